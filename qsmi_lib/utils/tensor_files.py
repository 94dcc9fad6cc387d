"""Tensors with a header in a safetensors file, whole or not at all, and checked when they are read again."""

import hashlib
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from qsmi_lib.utils.files import whole

CHECKSUM = "checksum"  # its name in the header


def write(path: Path, tensors: dict[str, Tensor], header: dict[str, str]) -> None:
    """Write `tensors` and `header` to `path`, with a checksum of the former."""
    with whole(path) as partial:
        save_file(tensors, str(partial), metadata=header | {CHECKSUM: checksum(tensors)})


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the header that `write` wrote to `path`.

    Raises:
        safetensors.SafetensorError: no file of that kind, or a cut one.
        ValueError: numbers that are not those that were written, or no checksum of them.
    """
    with safe_open(path, framework="pt") as file:
        header = file.metadata() or {}
    tensors = load_file(path)
    if header.pop(CHECKSUM, None) != checksum(tensors):
        raise ValueError("its numbers are not those that were written")
    return tensors, header


def checksum(tensors: dict[str, Tensor]) -> str:
    """SHA-256 of names and numbers."""
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(name.encode() + value.numpy().tobytes())
    return digest.hexdigest()
