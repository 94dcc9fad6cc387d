"""Progress of long work: a bar where a person looks on; elsewhere, in a file or a pipe, lines with the time left."""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sized

from tqdm.auto import tqdm

EVERY = 10.0  # seconds between two lines


def watched() -> bool:
    """Whether a person looks on: a terminal, or a Jupyter kernel that was not started headless (``QSMI_HEADLESS``)."""
    if os.environ.get("QSMI_HEADLESS"):
        return False
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def bar(items: Iterable, title: str, **options) -> Iterable:
    """`items` with their progress under `title`; nothing is shown where ``QSMI_HEADLESS`` is set.

    Args:
        items: what is gone through.
        title: of the bar, or of the lines.
        options: of tqdm, `total` and `unit` above all.
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
