"""`python -m qsmi_lib.tests.fuzz --minutes 10`: new cases of every target until the time ends."""

import atexit
import itertools
import logging
import os
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

import click
import torch

from qsmi_lib.tests.fuzz.run import Failure, run
from qsmi_lib.tests.fuzz.targets import TARGETS

CASES = 500  # of a target before the next one's turn


@click.command()
@click.option("--minutes", default=10.0, show_default=True, type=click.FloatRange(min=0, min_open=True))
@click.option("--seed", default=1, show_default=True, help="Of the first round; each round adds one.")
@click.option("--target", "names", multiple=True, type=click.Choice(list(TARGETS)), help="Repeat for several.")
@click.option("--kept", default="build/fuzz", show_default=True, type=click.Path(path_type=Path), help="Failing files.")
def fuzz(minutes: float, seed: int, names: tuple[str, ...], kept: Path) -> None:
    """Damage files at random and read them; exit status 1 if a reader did anything but read or refuse one."""
    os.environ["QSMI_RESULTS"] = scratch = tempfile.mkdtemp(prefix="qsmi-fuzz-")  # archives are unpacked there
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    logging.disable()
    end, totals, failed = time.monotonic() + minutes * 60, {name: Counter() for name in names or TARGETS}, []
    for number in itertools.count(seed):
        for name in totals:
            if number > seed and time.monotonic() > end:  # each target has at least one turn
                break
            try:
                totals[name] += run(name, CASES, number)
            except Failure as failure:
                kept.mkdir(parents=True, exist_ok=True)
                failed.append(path := kept / f"{name}-{number}{Path(TARGETS[name].file).suffix}")
                path.write_bytes(failure.content)
                traceback.print_exception(failure.__cause__)
                print(f"{name}, seed {number}: kept as {path}", file=sys.stderr, flush=True)
        left = max(0, end - time.monotonic())
        print(f"round {number}: {sum(map(Counter.total, totals.values())):,} cases, {left:.0f} s left", flush=True)
        if not left:
            break
    for name, counts in totals.items():
        print(f"{name:<12}{counts['read']:>9,} read {counts['refused']:>9,} refused")
    print(f"{len(failed)} failures")
    sys.exit(1 if failed else 0)


fuzz()
