"""Progress bars: in a terminal or a notebook that a person looks at, and nowhere else."""

import os
import sys
from collections.abc import Iterable

from tqdm.auto import tqdm


def watched() -> bool:
    """Whether a person looks on: a terminal, or a Jupyter kernel that was not started headless (``QSMI_HEADLESS``)."""
    if os.environ.get("QSMI_HEADLESS"):
        return False
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def bar(items: Iterable, title: str, **options) -> tqdm:
    """`items` behind a bar called `title`; it leaves no line behind."""
    return tqdm(items, desc=title, leave=False, disable=not watched(), **options)
