"""Progress of long computations: a bar in terminals and notebooks; in files and pipes, lines with the time left."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

from tqdm.auto import tqdm

T = TypeVar("T")
EVERY = 10.0  # seconds between two lines


def watched() -> bool:
    """Whether this runs interactively: in a terminal, or in a Jupyter kernel without ``QSMI_HEADLESS``."""
    if os.environ.get("QSMI_HEADLESS"):
        return False
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def bar(items: Iterable, title: str, *, size: Callable[[T], int] = lambda _: 1, **options) -> Iterable:
    """`items`, with a display of progress; there is none if ``QSMI_HEADLESS`` is set.

    Args:
        items: the items to iterate over.
        title: label of the bar or of the lines.
        size: of an item, in units.
        options: arguments of tqdm, such as `unit`; `total` and `initial` are in units.
    """
    if os.environ.get("QSMI_HEADLESS"):
        return items
    options.setdefault("total", len(items) if isinstance(items, Sized) else None)
    return _drawn(items, title, size, options) if watched() else _lines(items, title, size, **options)


def _drawn(items: Iterable[T], title: str, size: Callable[[T], int], options: dict) -> Iterator[T]:
    with tqdm(desc=title, leave=False, **options) as display:
        for item in items:
            yield item
            display.update(size(item))


def _lines(
    items: Iterable[T],
    title: str,
    size: Callable[[T], int],
    total: int | None,
    initial: int = 0,
    unit: str = "item",
    **_,
) -> Iterator[T]:
    """`items`, with a line on standard error at most every `EVERY` seconds: how many are done, and the time left."""
    start = last = time.monotonic()
    done = initial
    for item in items:
        now = time.monotonic()
        if done > initial and now - last >= EVERY:
            last = now
            left = f", about {(now - start) / (done - initial) * (total - done):.0f} s left" if total else ""
            print(f"{title}: {done}{f' of {total}' if total else ''} {unit}s{left}", file=sys.stderr, flush=True)
        yield item
        done += size(item)
