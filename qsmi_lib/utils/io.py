"""Files written completely or not at all, and tensors with a checksum of their names and numbers."""

import contextlib
import errno
import hashlib
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qsmi_lib.utils import scratch
from qsmi_lib.utils.validation import QsmiWarning

if TYPE_CHECKING:  # what writes text alone needs no PyTorch
    from torch import Tensor

CHECKSUM, FORMAT = "checksum", "format"  # their names in the header of a file of tensors
VERSION = "1"  # of the format


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """A block that writes `path`: an error of the system becomes one that names `path`, the reason and the remedy."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # not of the system, e.g. of a file that the block reads
            raise
        raise _unwritten(path, error.errno, error.strerror) from error


def _unwritten(path: Path, number: int, reason: str) -> OSError:
    """An OSError of the class that belongs to its number, e.g. PermissionError."""
    remedy = "free space there, make its folder writable, or write elsewhere (QSMI_RESULTS names the folder of results)"
    return OSError(number, f"cannot write {path}: {reason}; {remedy}")


@contextlib.contextmanager
def optional() -> Iterator[None]:
    """A block that writes a cache, whose content is in memory: a failure is a QsmiWarning, and the work goes on."""
    try:
        yield
    except OSError as error:
        warnings.warn(f"not cached, and computed again next time: {error}", QsmiWarning, stacklevel=4)


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A hidden file beside `path` to write to. It replaces `path` when the block ends, and is deleted on an error.

    A reader sees the old file or the new one, never a part. The folder of `path` is made. The block closes the file:
    Windows renames no file that is open or mapped.

    Raises:
        OSError: the file cannot be written, e.g. because the disk is full; it names `path` and the remedy.
    """
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = scratch.beside(path)
        try:
            yield partial
            partial.replace(path)
        finally:
            with contextlib.suppress(OSError):  # the first error is the one to report
                partial.unlink()


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A hidden folder beside `path` to fill. It becomes `path` when the block ends, and is deleted on an error.

    The folder of `path` is made. `path` itself may be there if it is an empty folder.

    Raises:
        OSError: the folder cannot be written, or `path` is there and is not empty; it names `path` and the remedy.
    """
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = scratch.beside(path)
        shutil.rmtree(partial, ignore_errors=True)  # of a killed process that had the number of this one
        partial.mkdir()
        try:
            yield partial
            with contextlib.suppress(FileNotFoundError):
                path.rmdir()  # an error if it is not empty
            partial.replace(path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def check_writable(path: Path) -> None:
    """Make the folder of `path`; the OSError of `atomic_write`, if a megabyte cannot be written there."""
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent) as file:
            file.write(bytes(2**20))


def check_room(path: Path, n_bytes: int) -> None:
    """Raise the OSError of `atomic_write` if the disk of the folder of `path` has fewer than `n_bytes` free."""
    if n_bytes > (free := shutil.disk_usage(path.parent).free):
        raise _unwritten(path, errno.ENOSPC, f"{n_bytes:,} bytes are needed, and {free:,} are free")


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically; the OSError of `atomic_write`."""
    with atomic_write(path) as partial:
        partial.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically, as UTF-8."""
    write_bytes(path, text.encode())


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write `arrays` to the .npz file `path` atomically."""
    content = BytesIO()
    np.savez_compressed(content, **arrays)
    write_bytes(path, content.getvalue())


def write_tensors(path: Path, tensors: "dict[str, Tensor]", header: dict[str, str]) -> None:
    """Write `tensors`, `header` and the checksum of `tensors` to the safetensors file `path` atomically."""
    from safetensors.torch import save

    write_bytes(path, save(tensors, header | {FORMAT: VERSION, CHECKSUM: checksum(tensors)}))


def npy_header(shape: tuple[int, ...], dtype: np.typing.DTypeLike = np.float32) -> bytes:
    """The bytes before the numbers in a .npy file in C order; the rows can then be appended in turn.

    A file that grows is not mapped: beyond the end of a full disk a map ends the process by SIGBUS, a write raises.
    """
    header = BytesIO()
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    np.lib.format.write_array_header_1_0(header, {"descr": descr, "fortran_order": False, "shape": shape})
    return header.getvalue()


def checksum(tensors: "Mapping[str, Tensor]") -> str:
    """SHA-256 of names and numbers, in the order of the names; neither device nor memory layout matters."""
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(name.encode() + value.detach().cpu().numpy().tobytes())
    return digest.hexdigest()
