"""Vectors of one's own: read from .npy and Parquet files, checked, and given as float32."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from qsmi_lib.datasets.images.listing import PATH_NAMES, plain_name
from qsmi_lib.search.index import parquet
from qsmi_lib.utils import arrays
from qsmi_lib.utils.limits import LARGEST, SMALLEST
from qsmi_lib.utils.reading import damaged, map_array

SUFFIXES = (".npy", ".parquet")
AGAIN = "save real numbers (n, d) with numpy.save"
Fault = Callable[[str, str], ValueError]  # what is wrong and the remedy -> the error


def read(path: Path) -> np.ndarray:
    """The vectors of the file `path`: float32 (n, d), n and d at least 2, with finite numbers, no vector zero.

    A .npy file holds an array (n, d) of floats, integers or truth values. A Parquet file holds a column of lists of
    numbers, or a column for each dimension; columns that are called as labels, names or row numbers (`label`, `file`,
    `id`, `index` and so on) are not part of the vectors. Rows are counted from 0, in messages too.

    Raises:
        FileNotFoundError, OSError: the file is not there, or cannot be read.
        ImportError: it is a Parquet file, and pyarrow is not installed.
        ValueError: a file of another kind, or damaged; another shape; a row that is not finite, zero, or too long or
            short to compute with.
    """
    fault = partial(damaged, path)
    if path.suffix.lower() == ".parquet":
        with parquet.opened(path) as file:
            shape, rows, _ = parquet.vectors(path, file)
            return _filled(fault, shape, rows)
    return _rows(fault, _numbers(path))


def columns(path: Path) -> Sequence[str]:
    """The columns of a Parquet file that has one for each dimension; empty for any other file."""
    if path.suffix.lower() != ".parquet":
        return ()
    with parquet.opened(path) as file:
        return parquet.vectors(path, file).columns


def read_query(path: Path, d: int) -> np.ndarray:
    """The one vector in the .npy file `path`, of shape (d,) or (1, d): float32 (d,).

    Raises:
        FileNotFoundError, OSError: the file is not there, or cannot be read.
        ValueError: as `read`; or several vectors, or one of another length.
    """
    return _one(partial(damaged, path), _numbers(path, [".npy"]), d)


def checked(values: Tensor | ArrayLike) -> np.ndarray:
    """`values` in memory, (n, d), as `read` gives and checks those of a file."""
    return _rows(partial(_unusable, "vectors"), arrays.on_host("vectors", values))


def query(values: Tensor | ArrayLike, d: int) -> np.ndarray:
    """`values` in memory, (d,) or (1, d), as `read_query` gives and checks those of a file."""
    return _one(partial(_unusable, "the query"), arrays.on_host("the query", values), d)


def read_names(path: Path) -> list[str] | None:
    """The names of the vectors in a Parquet file with a column called `name`, `path`, `file`, `image`, `id` or so.

    None if it has none of them, or is a .npy file. The first such column is read.

    Raises:
        FileNotFoundError, OSError, ImportError: as `read`.
        ValueError: a damaged file, an empty name, or the same name twice.
    """
    if path.suffix.lower() != ".parquet":
        return None
    called = [name for name in parquet.text_columns(path) if plain_name(name) in PATH_NAMES - {""}]
    if not called:
        return None
    names = ["" if name is None else str(name) for name in parquet.read_columns(path, called[:1])[called[0]]]
    first: dict[str, int] = {}
    for row, name in enumerate(names):
        if not name or first.setdefault(name, row) != row:
            what = f"has the name {name!r} of row {first[name]}" if name else "has no name"
            remedy = f"give each row a name of its own in the column {called[0]}, or rename the column"
            raise damaged(path, f"row {row} {what}", remedy)
    return names


def _unusable(name: str, what: str, remedy: str) -> ValueError:
    return ValueError(f"{name} cannot be used: {what}; {remedy}")


def _numbers(path: Path, kinds: Sequence[str] = SUFFIXES) -> np.ndarray:
    """The array in a .npy file, mapped; a ValueError if it is no such file, or holds text."""
    if path.suffix.lower() != ".npy":
        expected = " or ".join(kinds)
        raise ValueError(f"{path} must be a {expected} file: save the array with numpy.save('name.npy', array)")
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}: expected a file of vectors")
    array = map_array(path, remedy=AGAIN)
    if array.dtype.kind == "U":
        raise damaged(path, f"its array holds text ({array.dtype}), expected numbers", AGAIN)
    return array


def _one(fault: Fault, array: np.ndarray, d: int) -> np.ndarray:
    """The vector in `array`, float32 (d,)."""
    if array.ndim not in (1, 2) or (array.ndim == 2 and len(array) != 1):
        raise fault(f"its shape is {array.shape}, expected one vector, ({d},) or (1, {d})", "give one row alone")
    vector = array.reshape(1, -1)
    if vector.shape[1] != d:
        what = f"it has {vector.shape[1]} numbers, and the vectors of the index have {d}"
        raise fault(what, "compute it as those of the index were")
    return _float32(fault, vector, 0)[0]


def _rows(fault: Fault, array: np.ndarray) -> np.ndarray:
    """The vectors in `array`, float32 (n, d)."""
    if array.ndim != 2:
        raise fault(f"the array has shape {array.shape}, expected (n, d)", "give each vector a row")
    return _filled(fault, array.shape, arrays.blocks(array))


def _filled(fault: Fault, shape: tuple[int, ...], blocks: Iterable[np.ndarray]) -> np.ndarray:
    """The vectors of `shape` that `blocks` hold."""
    n, d = shape
    if n < 2:
        raise fault(f"there is {'one vector' if n else 'no vector'}, shape ({n}, {d})", "give at least two")
    if d < 2:
        raise fault(f"the vectors have {d} numbers, shape ({n}, {d})", "give each at least two")
    vectors, first = np.empty(shape, np.float32), 0
    for block in blocks:
        vectors[first : first + len(block)] = _float32(fault, block, first)
        first += len(block)
    if first != n:
        raise fault(f"it says that it has {n} rows, and has {first}", "write it again")
    return vectors


def _float32(fault: Fault, block: np.ndarray, first: int) -> np.ndarray:
    """`block` as float32; an error names the first row that has no cosine. Its rows count from `first`."""
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(block.astype(np.float64), axis=1)
    wrong = np.flatnonzero(~((lengths >= SMALLEST) & (lengths <= LARGEST)))
    if not len(wrong):
        return block.astype(np.float32)
    row, values = first + wrong[0], block[wrong[0]]
    if not np.isfinite(values).all():
        raise fault(f"row {row} has NaN, an infinite or a missing number", "remove the row, or correct it")
    if not values.any():
        raise fault(f"row {row} is zero, so that its cosine is undefined", "remove the row")
    what = f"row {row} has the length {lengths[wrong[0]]:.3g}, expected {SMALLEST:g} to {LARGEST:g}"
    raise fault(what, "scale the vectors")
