"""`python -m qsmi_lib.tests.torture --kills 200`: commands are killed at random moments and started again."""

import itertools
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

import click
import torch._dynamo  # noqa: F401  what the commands import, once for all of them
from matplotlib import pyplot

from qsmi_lib.evaluation import numba_ranking  # noqa: F401
from qsmi_lib.reproduction import reproduce  # noqa: F401
from qsmi_lib.search.index import commands, index  # noqa: F401
from qsmi_lib.tests.torture.torture import COMMANDS, Torture

INDEXES = ("index", "reindex", "retrain")
NAMES = ("run", "features", "tune", *INDEXES, "run", "features", "tune", "tables", "workers")  # kernels take minutes


@click.command()
@click.option("--kills", default=200, show_default=True, type=click.IntRange(min=1), help="Number of kills.")
@click.option("--seed", default=1, show_default=True, help="Of signals and moments.")
@click.option("--command", "names", multiple=True, default=NAMES, type=click.Choice(list(COMMANDS)), show_default=True,
              help="Repeat for several, which are killed in turn.")  # fmt: skip
def torture(kills: int, seed: int, names: tuple[str, ...]) -> None:
    """Kill commands and start them again; an AssertionError ends it at the first promise that is broken."""
    pyplot.switch_backend("agg")
    folder, counts, lingered, began = Path(tempfile.mkdtemp(prefix="torture-")), Counter(), 0.0, time.monotonic()
    tortured = Torture(folder, seed)
    try:
        for name in itertools.cycle(names):
            if counts.total() >= kills:
                break
            for outcome in tortured.kills(name):
                lingered = max(lingered, outcome.end.lingered)
                if outcome.killed:
                    moment = "file access" if outcome.kill.event else "moment"
                    counts[name, outcome.kill.number.name, moment] += 1
            print(f"{counts.total()} of {kills} kills, {time.monotonic() - began:.0f} s: {name}", flush=True)
        shutil.rmtree(folder)
    finally:
        for (name, number, moment), count in sorted(counts.items()):
            print(f"{name:<10}{number:<9}{moment:<12}{count:>4}")
        print(f"{counts.total()} kills; the last process ended {lingered:.1f} s after its parent", flush=True)


if __name__ == "__main__":
    torture()
