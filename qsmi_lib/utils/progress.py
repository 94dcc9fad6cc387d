"""Progress of long computations: a bar in terminals and notebooks; in files and pipes, lines with the time left."""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sized

from tqdm.auto import tqdm

EVERY = 10.0  # seconds between two lines


def watched() -> bool:
    """Whether this runs interactively: in a terminal, or in a Jupyter kernel without ``QSMI_HEADLESS``."""
    if os.environ.get("QSMI_HEADLESS"):
        return False
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def bar(items: Iterable, title: str, **options) -> Iterable:
    """`items`, with a display of progress; there is none if ``QSMI_HEADLESS`` is set.

    Args:
        items: the items to iterate over.
        title: label of the bar or of the lines.
        options: arguments of tqdm, such as `total` and `unit`.
    """
    if os.environ.get("QSMI_HEADLESS"):
        return items
    if watched():
        return tqdm(items, desc=title, leave=False, **options)
    total = options.get("total", len(items) if isinstance(items, Sized) else None)
    return _lines(items, title, total, options.get("unit", "item"))


def _lines(items: Iterable, title: str, total: int | None, unit: str) -> Iterator:
    """`items`, with a line on standard error at most every `EVERY` seconds: how many are done, and the time left."""
    start = last = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if done and now - last >= EVERY:
            last = now
            left = f", about {(now - start) / done * (total - done):.0f} s left" if total else ""
            print(f"{title}: {done}{f' of {total}' if total else ''} {unit}s{left}", file=sys.stderr, flush=True)
        yield item
