"""The data sets of Tables 6, 7 and 8 at full size, generated: time and memory of an epoch and an evaluation.

From these follows what the whole tables take.
"""

import dataclasses
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pandas as pd
import torch

from qsmi_lib.config.presets import configure
from qsmi_lib.datasets import BACKBONE_OF
from qsmi_lib.datasets.protocols import n_way
from qsmi_lib.evaluation import evaluate
from qsmi_lib.models import backbones, features
from qsmi_lib.models.backbones import BACKBONES
from qsmi_lib.reproduction.bench.measure import machine, save, seconds, table
from qsmi_lib.reproduction.bench.synthetic import NOISE, POWER, SHAPES, Shape, generate
from qsmi_lib.training import loop, runs
from qsmi_lib.utils import io, paths
from qsmi_lib.utils.precision import autocast, resolve_precision
from qsmi_lib.utils.progress import bar
from qsmi_lib.utils.validation import known

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
BITS = 64  # the longest code of the three tables
K = 5000  # of Table 8
EVERY = 0.02  # seconds between two looks at the memory
ROUNDS = 5  # of a backbone's batch; the median counts

GENERATED = f"""\
Features and labels by a seeded generator, in the shapes of the data sets of Tables 6 to 8. No picture and no real
label is among them: scores on them would mean nothing about methods, and none is given. Where an item has several
labels ({{several}}), the j-th most frequent
label is carried in proportion to j^-{POWER}, and every item carries at least one; single labels are equally frequent.
Features are the mean of the labels' random directions, scaled to a root mean square of 1, plus Gaussian noise of
deviation {NOISE:g}, and 0 where that is negative."""
SHARE = "**Only a share of {share:g} of the items was generated: all times below are that share's.**"
MEASURED = f"""\
Measured, in seconds, each row in a process of its own: generation (0 where the files were there), one epoch of QSMI
by batches of {BATCH} and of {SMALL_BATCH} on the paper's head of 2,048 hidden units and {BITS} bits, in bf16 where
the device multiplies it in hardware, the codes of all queries and database items, one evaluation by each rule with
k = {K}. Features are read from files mapped into memory (those of a 20-way draw from a copy in memory; a GPU has a
copy, which is not timed). The last column is the peak of what the process holds in memory and no file does, all of
it: RssAnon in /proc, read every {1000 * EVERY:.0f} ms; a dash where the system does not tell."""
COMPUTED = f"""\
Computed from that: runs x (epochs x epoch + encoding + evaluation by each rule), one run at a time on all threads. A
run's first epoch stands for all of its epochs, QSMI's for every method's, {BITS} bits for every length; only the head
is trained."""
EXTRACTED = """\
Features of all items, once: computed from the measured speed of the backbone with weights and pictures at random;
reading and decoding pictures are not counted."""


def full_size(names: Sequence[str] = (), share: float = 1.0) -> str:
    """Generate, measure and compute; returns the tables, written to results/benchmarks if they are whole.

    The measurements are also written as CSV. The data stay in the cache of the results, 13 GB for all shapes.

    Args:
        names: of `SHAPES`; none: all.
        share: of the items, in (0, 1].

    Raises:
        ValueError: an unknown name, a share out of its range, or so small that a part has no items.
        OSError: the disk has no room for the data.
    """
    shapes = [known("shape", SHAPES, name).shrunk(share) for name in dict.fromkeys(names or SHAPES)]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    speed = {name: pictures_per_second(name, device) for name in {BACKBONE_OF[s.name]: None for s in shapes}}
    rows = []
    for case, shape in bar([(case, s) for s in shapes for case in cases(s)], "measuring", unit="case"):
        row, peak = apart(measured, case, shape, paths.cache() / "generated")
        backbone = BACKBONE_OF[shape.name]
        rows.append(row | {"anonymous_bytes": peak, "backbone": backbone, "pictures_per_second": speed[backbone]})
    measurements = pd.DataFrame(rows).set_index("case")
    place = machine(device, "numpy", "numba")
    several = (
        f"{s.title}: {s.labels_per_item} of {s.n_labels} in the mean" for s in SHAPES.values() if s.labels_per_item
    )
    parts = [GENERATED.format(several="; ".join(several)), place, MEASURED, of_measured(measurements)]
    parts += [COMPUTED, of_plans(measurements), EXTRACTED, of_features(measurements, shapes)]
    if share < 1:
        parts.insert(0, SHARE.format(share=share))
    if share < 1 or len(shapes) < len(SHAPES):
        return "\n\n".join(parts) + "\n"
    io.write_text(paths.results() / "benchmarks" / "full_size.csv", f"# {place}\n" + measurements.round(3).to_csv())
    return save("full_size", *parts)


def cases(shape: Shape) -> tuple[str, ...]:
    """What is measured of `shape`: all of it, and of ILSVRC a draw too."""
    return (shape.name, TWENTY_WAY) if shape.name == "ilsvrc" else (shape.name,)


def measured(case: str, shape: Shape, folder: Path) -> dict[str, str | float]:
    """The sizes of one case, and seconds: generation, an epoch by each of its batches, encoding, evaluation.

    Args:
        case: one of `cases`.
        shape: what is generated.
        folder: where the data lie, or will lie.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    split, to_generate = timed(lambda: generate(shape, folder), device)
    split = (n_way(split, 0, n_classes=20) if case == TWENTY_WAY else split).to(device)
    row = {"case": case, "n_train": len(split.train), "n_query": len(split.query), "n_database": len(split.database)}
    row |= {"n_features": shape.n_features, "generate": to_generate}
    for batch in batches(case):
        config = configure(shape.name, "qsmi", BITS, epochs=1, batch_size=batch)
        runs.train(config, dataclasses.replace(split, train=split.train[:batch]))  # warm: memory, kernels
        trained, made_by = runs.train(config, split)
        row[f"epoch_{batch}"] = made_by["seconds_train"]
    parts = split.query, split.database
    codes, row["encode"] = timed(
        lambda: [loop.encode(trained.model, part.inputs, precision=trained.precision) for part in parts], device
    )
    labels = [part.labels for part in parts]
    k, few = min(K, len(split.database)), (codes[1][:100], codes[1][:100], labels[1][:100], labels[1][:100])
    for rule in ("share-one", "fraction") if shape.labels_per_item else ("share-one",):
        evaluate(*few, relevance=rule)  # compiled, or read from the cache
        row[f"evaluate_{rule}"] = seconds(lambda rule=rule: evaluate(*codes, *labels, k=k, relevance=rule), device)
    return row


def timed(call: Callable[[], Any], device: torch.device) -> tuple[Any, float]:
    """What `call` returns, and its seconds."""
    results = []
    took = seconds(lambda: results.append(call()), device)
    return results[0], took


def apart(call: Callable[..., Any], *arguments: Any) -> tuple[Any, int | None]:
    """Call `call` in a new process, and record the peak of its anonymous memory.

    It is read from this process: a thread of the other one would wait while compiled loops run.

    Returns:
        What `call` returns, and the peak in bytes, or None where the system does not tell.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        pid = process.submit(os.getpid).result()
        running, peak = process.submit(call, *arguments), 0
        while wait([running], timeout=EVERY).not_done:
            peak = max(peak, anonymous_bytes(pid))
        return running.result(), peak or None


def anonymous_bytes(pid: int) -> int:
    """What the process `pid` holds in memory and no file does; 0 where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), 0)


def pictures_per_second(name: str, device: torch.device) -> float:
    """Speed of the backbone `name` as `features.extract` calls it, weights and pictures at random."""
    network = backbones.assembled(name).eval().to(device, memory_format=torch.channels_last)
    side = BACKBONES[name].side
    pictures = torch.randint(256, (features.batch_size(name), 3, side, side), dtype=torch.uint8)
    with torch.inference_mode(), autocast(resolve_precision("auto", device), device):
        took = [seconds(lambda: network(pictures.to(device)).float().cpu(), device) for _ in range(1 + ROUNDS)]
    return len(pictures) / median(took[1:])


def batches(case: str) -> list[int]:
    """By how many items at a time an epoch of `case` is timed: `BATCH`, and what its plans need."""
    return sorted({BATCH, *(plan.batch for plan in PLANS if plan.case == case)}, reverse=True)


def hours(plan: Plan, row: pd.Series) -> float:
    """What `plan` takes, one run after the other: each trains its epochs, encodes, and is evaluated by each rule.

    Args:
        plan: the runs.
        row: seconds, as `measured` names them; a rule that was not measured may be nan.
    """
    run = plan.epochs * row[f"epoch_{plan.batch}"] + row["encode"] + row.filter(like="evaluate_").sum()
    return plan.runs * run / 3600


def of_measured(rows: pd.DataFrame) -> str:
    """The table of what was measured, one row per case; a dash where nothing was."""
    shown = rows.assign(gigabytes=rows["anonymous_bytes"].astype(float) / 1e9).reindex(columns=list(COLUMNS))
    rows = [
        [case, *("–" if pd.isna(value) else format(value, COLUMNS[name][1]) for name, value in row.items())]
        for case, row in shown.iterrows()
    ]
    return table(["data", *(title for title, _ in COLUMNS.values())], rows)


def of_plans(measurements: pd.DataFrame) -> str:
    """The table of what the plans take whose cases were measured, and the sums of the tables of which all were."""
    took = {plan: hours(plan, measurements.loc[plan.case]) for plan in PLANS if plan.case in measurements.index}
    rows = [
        [p.table, p.case, f"{p.methods} x {p.lengths} x {p.repeats}", str(p.epochs), str(p.batch), f"{value:.2f}"]
        for p, value in took.items()
    ]
    for name in dict.fromkeys(plan.table for plan in took):
        plans = [plan for plan in PLANS if plan.table == name]
        if all(plan in took for plan in plans):
            rows.append([f"**{name}, whole**", *[""] * 4, f"**{sum(took[plan] for plan in plans):.2f}**"])
    return table(["table", "data", "methods x lengths x seeds or draws", "epochs", "batch", "hours"], rows)


def of_features(measurements: pd.DataFrame, shapes: Sequence[Shape]) -> str:
    """The table of what it takes to extract the features of all items once, one row per data set."""
    rows = []
    for shape in shapes:
        row = measurements.loc[shape.name]
        rate = row["pictures_per_second"]
        title = BACKBONES[row["backbone"]].title
        rows.append([shape.title, title, f"{shape.n_items:,}", f"{rate:.1f}", f"{shape.n_items / rate / 3600:.2f}"])
    return table(["data", "backbone", "pictures", "pictures a second", "hours"], rows)
