"""Files that are written whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A hidden file beside `path` to write to: it takes the place of `path` when the block ends well, else it goes.

    A reader sees the old file or the new one, never a part; whatever stops the writer leaves the old one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically, making its folder."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write `arrays` to the .npz file `path` atomically, making its folder."""
    with whole(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
