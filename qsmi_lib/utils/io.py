"""Files written completely or not at all, and tensors with a checksum of their names and numbers."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qsmi_lib.utils import scratch

if TYPE_CHECKING:  # what writes text alone needs no PyTorch
    from torch import Tensor

CHECKSUM, FORMAT = "checksum", "format"  # their names in the header of a file of tensors
VERSION = "1"  # of the format


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A hidden file beside `path` to write to. It replaces `path` when the block ends, and is deleted on an error.

    A reader sees the old file or the new one, never a part. The folder of `path` is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = scratch.beside(path)
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically, as UTF-8."""
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write `arrays` to the .npz file `path` atomically."""
    with atomic_write(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)


def write_tensors(path: Path, tensors: "dict[str, Tensor]", header: dict[str, str]) -> None:
    """Write `tensors`, `header` and the checksum of `tensors` to the safetensors file `path` atomically."""
    from safetensors.torch import save_file

    with atomic_write(path) as partial:
        save_file(tensors, str(partial), metadata=header | {FORMAT: VERSION, CHECKSUM: checksum(tensors)})


def read_tensors(path: Path) -> "tuple[dict[str, Tensor], dict[str, str]]":
    """The tensors and the header that `write_tensors` wrote to `path`.

    Raises:
        safetensors.SafetensorError: the file is cut, or no safetensors file.
        ValueError: a later format; tensors that do not have the checksum of the header, or none in it.
    """
    from safetensors import safe_open
    from safetensors.torch import load_file

    with safe_open(path, framework="pt") as file:
        header = file.metadata() or {}
    check_format(header)
    tensors = load_file(path)
    expected, got = header.pop(CHECKSUM, None), checksum(tensors)
    if got != expected:
        raise ValueError(f"the tensors must have the checksum {expected}, got {got}")
    return tensors, header


def check_format(header: dict[str, str]) -> None:
    """Take the format out of a header; a ValueError where it is a later one. A file without one has the first."""
    if (found := header.pop(FORMAT, VERSION)) != VERSION:
        raise ValueError(f"its format is {found}, expected {VERSION}: a newer qsmi_lib wrote it, update")


def checksum(tensors: "Mapping[str, Tensor]") -> str:
    """SHA-256 of names and numbers, in the order of the names; neither device nor memory layout matters."""
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(name.encode() + value.detach().cpu().numpy().tobytes())
    return digest.hexdigest()
