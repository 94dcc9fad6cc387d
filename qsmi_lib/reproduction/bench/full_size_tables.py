"""What Tables 6, 7 and 8 take in all: their runs, and the tables of what was measured and what follows from it."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from qsmi_lib.models.backbones import BACKBONES
from qsmi_lib.reproduction.bench.measure import table
from qsmi_lib.reproduction.bench.synthetic import Shape

BATCH, SMALL_BATCH = 128, 32  # items; of Tables 6 and 7, and of Table 8
TWENTY_WAY = "ilsvrc_20_way"  # a draw of Table 7


class Plan(NamedTuple):
    """The runs of a table on one case; `repeats` counts seeds or draws, `batch` items."""

    table: str
    case: str
    methods: int
    lengths: int
    repeats: int
    epochs: int
    batch: int

    @property
    def runs(self) -> int:
        """How many networks are trained and evaluated."""
        return self.methods * self.lengths * self.repeats


PLANS = (
    Plan("Table 6", "nus_wide", methods=3, lengths=5, repeats=5, epochs=50, batch=BATCH),
    Plan("Table 7", TWENTY_WAY, methods=4, lengths=3, repeats=20, epochs=50, batch=BATCH),
    Plan("Table 8", "ms_coco", methods=7, lengths=2, repeats=5, epochs=20, batch=SMALL_BATCH),
    Plan("Table 8", "nus_wide", methods=7, lengths=2, repeats=5, epochs=10, batch=SMALL_BATCH),
)
COLUMNS = {  # of what is measured -> its title and format
    "n_train": ("train", ",.0f"),
    "n_query": ("queries", ",.0f"),
    "n_database": ("database", ",.0f"),
    "n_features": ("features", ",.0f"),
    "generate": ("generation", ".2f"),
    f"epoch_{BATCH}": (f"epoch by {BATCH}", ".2f"),
    f"epoch_{SMALL_BATCH}": (f"epoch by {SMALL_BATCH}", ".2f"),
    "encode": ("encoding", ".2f"),
    "evaluate_share-one": ("evaluation, share-one", ".2f"),
    "evaluate_fraction": ("evaluation, fraction", ".2f"),
    "gigabytes": ("GB at the peak", ".2f"),
}


def batches(case: str) -> list[int]:
    """By how many items at a time an epoch of `case` is timed: `BATCH`, and what its plans need."""
    return sorted({BATCH, *(plan.batch for plan in PLANS if plan.case == case)}, reverse=True)


def hours(plan: Plan, row: pd.Series) -> float:
    """What `plan` takes, one run after the other: each trains its epochs, encodes, and is evaluated by each rule.

    Args:
        plan: the runs.
        row: seconds, as `full_size.measured` names them; a rule that was not measured may be nan.
    """
    run = plan.epochs * row[f"epoch_{plan.batch}"] + row["encode"] + row.filter(like="evaluate_").sum()
    return plan.runs * run / 3600


def of_measured(found: pd.DataFrame) -> str:
    """The table of what was measured, a row a case; a dash where nothing was."""
    shown = found.assign(gigabytes=found["anonymous_bytes"].astype(float) / 1e9).reindex(columns=list(COLUMNS))
    rows = [
        [case, *("–" if pd.isna(value) else format(value, COLUMNS[name][1]) for name, value in row.items())]
        for case, row in shown.iterrows()
    ]
    return table(["data", *(title for title, _ in COLUMNS.values())], rows)


def of_plans(found: pd.DataFrame) -> str:
    """The table of what the plans take whose cases were measured, and the sums of the tables of which all were."""
    took = {plan: hours(plan, found.loc[plan.case]) for plan in PLANS if plan.case in found.index}
    rows = [
        [p.table, p.case, f"{p.methods} x {p.lengths} x {p.repeats}", str(p.epochs), str(p.batch), f"{value:.2f}"]
        for p, value in took.items()
    ]
    for name in dict.fromkeys(plan.table for plan in took):
        own = [plan for plan in PLANS if plan.table == name]
        if all(plan in took for plan in own):
            rows.append([f"**{name}, whole**", *[""] * 4, f"**{sum(took[plan] for plan in own):.2f}**"])
    return table(["table", "data", "methods x lengths x seeds or draws", "epochs", "batch", "hours"], rows)


def of_features(found: pd.DataFrame, shapes: Sequence[Shape]) -> str:
    """The table of what it takes to extract the features of all items once, a row a data set."""
    rows = []
    for shape in shapes:
        row = found.loc[shape.name]
        rate = row["pictures_per_second"]
        title = BACKBONES[row["backbone"]].title
        rows.append([shape.title, title, f"{shape.n_items:,}", f"{rate:.1f}", f"{shape.n_items / rate / 3600:.2f}"])
    return table(["data", "backbone", "pictures", "pictures a second", "hours"], rows)
