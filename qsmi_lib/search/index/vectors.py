"""Vectors of one's own: read from .npy and Parquet files, checked, and given as float32."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from qsmi_lib.datasets.images.listing import PATH_NAMES, plain_name
from qsmi_lib.search.index import parquet
from qsmi_lib.utils import arrays
from qsmi_lib.utils.limits import LARGEST, SMALLEST
from qsmi_lib.utils.reading import damaged, map_array

SUFFIXES = (".npy", ".parquet")
AGAIN = "save real numbers (n, d) with numpy.save"


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
    if path.suffix.lower() == ".parquet":
        with parquet.opened(path) as file:
            shape, rows = parquet.vectors(path, file)
            return _filled(path, shape, rows)
    _need_npy(path)
    array = _numbers(path)
    if array.ndim != 2:
        raise damaged(path, f"its array has shape {array.shape}, expected (n, d), a row for each vector", AGAIN)
    return _filled(path, array.shape, arrays.blocks(array))


def read_query(path: Path, d: int) -> np.ndarray:
    """The one vector in the .npy file `path`, of shape (d,) or (1, d): float32 (d,).

    Raises:
        FileNotFoundError, OSError: the file is not there, or cannot be read.
        ValueError: as `read`; or several vectors, or one of another length.
    """
    _need_npy(path)
    array = _numbers(path)
    if array.ndim not in (1, 2) or (array.ndim == 2 and len(array) != 1):
        raise damaged(path, f"its array has shape {array.shape}, expected one vector, ({d},) or (1, {d})", AGAIN)
    vector = array.reshape(1, -1)
    if vector.shape[1] != d:
        what = f"its vector has {vector.shape[1]} numbers, and those of the index have {d}"
        raise damaged(path, what, "make it with the same network as the index")
    return _float32(path, vector, 0)[0]


def read_names(path: Path) -> list[str] | None:
    """The names of the vectors in a Parquet file with a column called `name`, `path`, `file`, `image`, `id` or so.

    None if it has none of them, or is a .npy file. The first such column is read.

    Raises:
        FileNotFoundError, OSError, ImportError: as `read`.
        ValueError: a damaged file, an empty name, or the same name twice.
    """
    if path.suffix.lower() != ".parquet":
        return None
    with parquet.opened(path) as file:
        text = [field.name for field in file.schema_arrow if parquet.is_text(field.type)]
    called = [name for name in text if plain_name(name) in PATH_NAMES - {""}]
    if not called:
        return None
    names = ["" if name is None else str(name) for name in parquet.columns(path, called[:1])[called[0]]]
    first: dict[str, int] = {}
    for row, name in enumerate(names):
        if not name or first.setdefault(name, row) != row:
            what = f"has the name {name!r} of row {first[name]}" if name else "has no name"
            remedy = f"give each row a name of its own in the column {called[0]}, or rename the column"
            raise damaged(path, f"row {row} {what}", remedy)
    return names


def _need_npy(path: Path) -> None:
    if path.suffix.lower() != ".npy":
        kinds = " or ".join(SUFFIXES)
        raise ValueError(f"{path} must be a {kinds} file of vectors: save the array with numpy.save('vectors.npy', x)")


def _numbers(path: Path) -> np.ndarray:
    """The array in a .npy file, mapped; a ValueError if it holds text."""
    array = map_array(path, remedy=AGAIN)
    if array.dtype.kind == "U":
        raise damaged(path, f"its array holds text ({array.dtype}), expected numbers", AGAIN)
    return array


def _filled(path: Path, shape: tuple[int, int], blocks: Iterable[np.ndarray]) -> np.ndarray:
    """The vectors of `shape` that `blocks` hold."""
    n, d = shape
    if n < 2:
        what = "no vector" if not n else "one vector"
        raise damaged(path, f"it holds {what}, shape ({n}, {d})", "give it at least two, of two classes")
    if d < 2:
        raise damaged(path, f"its vectors have {d} numbers, shape ({n}, {d})", "give each vector at least two")
    vectors, first = np.empty(shape, np.float32), 0
    for block in blocks:
        vectors[first : first + len(block)] = _float32(path, block, first)
        first += len(block)
    if first != n:
        raise damaged(path, f"it says that it has {n} rows, and has {first}", AGAIN)
    return vectors


def _float32(path: Path, block: np.ndarray, first: int) -> np.ndarray:
    """`block` as float32; a ValueError names a row that cannot be compared by cosine. Its rows count from `first`."""
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(block.astype(np.float64), axis=1)
    wrong = np.flatnonzero(~((lengths >= SMALLEST) & (lengths <= LARGEST)))
    if not len(wrong):
        return block.astype(np.float32)
    row, values = first + wrong[0], block[wrong[0]]
    if not np.isfinite(values).all():
        raise damaged(path, f"row {row} has NaN, an infinite or a missing number", "remove the row, or correct it")
    if not values.any():
        raise damaged(path, f"row {row} is zero, so that its cosine is undefined", "remove the row")
    what = f"row {row} has the length {lengths[wrong[0]]:.3g}, expected {SMALLEST:g} to {LARGEST:g}"
    raise damaged(path, what, "scale the vectors")
