"""Tables about methods: the registry, the line searches, properties of codes; and the caption of a figure of runs."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from qsmi_lib.config.run import RunConfig
from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction.grids import TRAINED
from qsmi_lib.training import tuning
from qsmi_lib.training.records import Store


def described(methods: Iterable[str]) -> pd.DataFrame:
    """The registry as a table: title, source, what the line search tries, and a note on the numbers."""
    rows = []
    for entry in map(METHODS.__getitem__, methods):
        tried = "; ".join(f"{name}: {', '.join(map(shown, values))}" for name, values in entry.search.items())
        rows.append({"method": entry.title, "source": entry.source, "tried": tried or "–", "note": entry.note})
    return pd.DataFrame(rows)


def shown(value: float | None) -> str:
    """A value of a setting as tables and figures print it; None is nan in a column of numbers."""
    return "the loss's own" if pd.isna(value) else f"{value:g}"


def trials(store: Store, dataset: str = "fashion_mnist") -> pd.DataFrame:
    """The line searches that are recorded, one row per trial; methods with nothing to tune have none.

    Args:
        store: the folder of results with the searches.
        dataset: registry name.

    Returns:
        `method`, `setting` and `value`, which the trial tried; `score`, mAP of the held-out items (all orders of ties);
        `chosen`; `at_end`, whether the value is the least or the largest that was tried.
    """
    rows = []
    for method in TRAINED:
        search = tuning.recorded_search(method, dataset, store) or {"trials": []}
        for trial in filter(lambda trial: trial["settings"], search["trials"]):
            name, value = list(trial["settings"].items())[-1]  # the settings before it are those chosen already
            row = {"method": method, "setting": name, "value": value, "score": trial[search["criterion"]]}
            rows.append(row | {"chosen": search["chosen"][name] == value})
    table = pd.DataFrame(rows, columns=["method", "setting", "value", "score", "chosen"])
    lines = table.groupby(["method", "setting"])["value"]  # None, the loss's own choice, has no place among numbers
    return table.assign(at_end=table["value"].eq(lines.transform("min")) | table["value"].eq(lines.transform("max")))


def properties(runs: pd.DataFrame) -> pd.DataFrame:
    """Properties of the codes of runs, one row per run.

    Args:
        runs: rows of the table of runs.

    Returns:
        `method`, `bits`, `seed`; `imbalance`, the mean size of a bit's mean over the database, 0 where all bits are
        balanced; `bit_entropy`, `code_entropy` (bits) and `n_distinct` of the database's codes; `separation`, the
        chance that a relevant pair of query and item is nearer than another pair, equal distances counting half; `map`.
    """
    separation = []
    for shares in runs["share_by_distance"]:
        within, between = np.array(shares).T
        separation.append(float(between @ (within.cumsum() - within / 2)))
    imbalance = [float(np.abs(means).mean()) for means in runs["bit_mean"]]
    table = runs.assign(imbalance=imbalance, separation=separation).reset_index(drop=True)
    numbers = ["imbalance", "bit_entropy", "code_entropy", "n_distinct", "separation", "map"]
    return table[["method", "bits", "seed", *numbers]].astype(dict.fromkeys(numbers, float))


def caption(configs: Sequence[RunConfig], n_recorded: int, measure: str) -> str:
    """The caption of a figure of the runs `configs`: data, epochs, seeds, tuning, measure, recorded runs."""
    dataset = configs[0].dataset
    data = "Fashion-MNIST" if dataset == "fashion_mnist" else dataset
    trained = [config for config in configs if METHODS[config.method].loss is not None]
    epochs = " and ".join(str(n) for n in sorted({config.epochs for config in trained}))
    epochs = f"{epochs} epochs" if trained else "nothing trained"
    seeds = sorted({config.seed for config in configs})
    tuned = f"tuned at {tuning.BITS} bits" if any(tuning.chosen(c.method, dataset) for c in trained) else "not tuned"
    runs = len(set(map(repr, configs)))
    seeds = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
    return f"{data}, {epochs}, {seeds}, {tuned}; {measure}; {n_recorded} of {runs} runs"
