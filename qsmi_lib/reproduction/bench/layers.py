"""Table 4: what a weight update of the last layer costs under each loss, and the feed-forward of the hashing layers."""

import logging
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch

from qsmi_lib.config.presets import configure
from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction.bench.measure import machine, save, table
from qsmi_lib.reproduction.grids import COMPARED, TRAINED
from qsmi_lib.training.factory import build
from qsmi_lib.training.loop import settings_of_loss
from qsmi_lib.utils import io, paths
from qsmi_lib.utils.precision import autocast, resolve_precision
from qsmi_lib.utils.progress import bar
from qsmi_lib.utils.reading import CLONE, read_table, read_text

BATCH, BITS, N_CLASSES = 128, 48, 10  # Section 4.3 states the batch; 48 bits are the paper's longest code
ROUNDS = 15  # of all methods in turn; the median counts


def steps(method: str, device: torch.device) -> tuple[Callable[[], object], Callable[[], object]]:
    """The two things that are timed: a weight update of the last layer, and a batch through both hashing layers.

    The update is the last layer's output, the loss and the gradients of that layer's weights, each in the precision in
    which `training` computes them; the feed-forward starts from ResNet-56's 64 features. Features and labels are
    random.
    """
    config = configure("cifar10", method, BITS)
    entry, generator = METHODS[method], torch.Generator().manual_seed(0)
    features = torch.randn(BATCH, 64, generator=generator).to(device)
    labels = torch.randint(N_CLASSES, (BATCH,), generator=generator).to(device)
    model = build(config.dataset, BITS, method, backbone=config.backbone).to(device)
    settings = settings_of_loss(config) | ({} if entry.on_step is None else dict(entry.on_step(0)))
    if entry.prepare is not None:
        settings["targets"] = entry.prepare(features, labels, BITS, config.seed, config.options)
    hidden = model.hidden(features).relu().detach()
    precision = resolve_precision("auto", device)

    def update() -> None:
        model.dense.zero_grad()
        with autocast(precision, device):
            embeddings = model.dense(hidden)
        entry.loss(embeddings.float(), labels, **settings).backward()

    def feed_forward() -> None:
        with torch.inference_mode(), autocast(precision, device):
            model(features)

    return update, feed_forward


def measure(methods: tuple[str, ...], device: torch.device, rounds: int = ROUNDS) -> pd.DataFrame:
    """Milliseconds of `steps`, by PyTorch's own timer, which warms up and waits for the device; one thread.

    Returns:
        One row per round and method: `method`, `update`, `feed_forward`.
    """
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # no messages about compilers
    from torch.utils.benchmark import Timer

    timed = {method: steps(method, device) for method in methods}
    rows = []
    for _ in bar(range(rounds), "timing", unit="round"):
        for method, calls in timed.items():
            timers = [Timer("call()", globals={"call": call}) for call in calls]
            took = [timer.blocked_autorange(min_run_time=0.05).median * 1e3 for timer in timers]
            rows.append({"method": method, "update": took[0], "feed_forward": took[1]})
    return pd.DataFrame(rows)


def summary(rows: pd.DataFrame, base: str = "dsh") -> pd.DataFrame:
    """Medians over rounds, one row per method: milliseconds, and the `overhead` of the update over that of `base`."""
    by_round = rows.assign(round=rows.groupby("method").cumcount()).pivot(index="round", columns="method")
    ratio = by_round["update"].div(by_round["update"][base], axis=0)
    order = rows["method"].drop_duplicates()
    medians = rows.groupby("method")[["update", "feed_forward"]].median().loc[order]
    return medians.assign(overhead=(ratio.median() - 1.0).loc[order]).reset_index()


def layers(device: torch.device | None = None) -> str:
    """Time every trained method; returns the table, which is also written to results/benchmarks, with a CSV beside."""
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    methods = (*COMPARED, *(name for name in TRAINED if name not in COMPARED))
    medians = summary(measure(methods, device))
    place = machine(device)
    io.write_text(paths.results() / "benchmarks" / "layers.csv", f"# {place}\n" + medians.round(6).to_csv(index=False))
    rows = [
        [METHODS[r["method"]].title, f"{r['update']:.3f}", f"{r['feed_forward']:.3f}", f"{r['overhead']:+.0%}"]
        for r in medians.to_dict("records")
    ]
    return save(
        "layers",
        f"Milliseconds a batch of {BATCH}, {BITS} bits, 64 features, one thread: medians of {ROUNDS} rounds. {place}",
        table(["loss", "weight update of the last layer", "feed-forward", "update against DSH's"], rows),
    )


def recorded(folder: Path = paths.BENCHMARKS) -> tuple[str, pd.DataFrame]:
    """What `layers` wrote: the machine in words, and `summary`."""
    path = folder / "layers.csv"
    columns = {"method": object} | dict.fromkeys(("update", "feed_forward", "overhead"), float)
    place = read_text(path, CLONE).partition("\n")[0].removeprefix("# ").strip()
    return place, read_table(path, columns, CLONE, comment="#")
