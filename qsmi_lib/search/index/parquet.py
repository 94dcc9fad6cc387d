"""Parquet files: vectors and text that are read, and the codes of an index that are written."""

from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from qsmi_lib.datasets.images.labels import CLASS_NAMES, ROW_NAMES, SEVERAL_NAMES
from qsmi_lib.datasets.images.listing import PATH_NAMES, plain_name
from qsmi_lib.utils import io
from qsmi_lib.utils.reading import damaged

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

ROWS = 1024  # that are unpacked at a time
LARGEST_TABLE = 20_000_000  # cells of columns that are read as text
NO_NUMBERS = {*CLASS_NAMES, *SEVERAL_NAMES, *ROW_NAMES, *PATH_NAMES, "indexlevel0"}  # columns that are no features
REMEDY = "write it again, e.g. by pandas.DataFrame.to_parquet"


def library():
    """The module pyarrow with what is used of it; an ImportError says how to get it."""
    try:
        import pyarrow.compute
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError('Parquet files need pyarrow: pip install "qsmi-lib[export]"') from error
    return pyarrow


@contextmanager
def opened(path: Path) -> "Iterator[ParquetFile]":
    """The Parquet file `path`; damaged bytes are a ValueError that names it."""
    parquet = library().parquet
    path.stat()  # an OSError of the system names the file
    try:
        with parquet.ParquetFile(path, memory_map=False) as file:
            yield file
    except MemoryError as error:
        raise damaged(path, "it does not fit into the memory", REMEDY) from error
    except (library().ArrowException, UnicodeError) as error:
        raise damaged(path, f"it is no Parquet file: {error}", REMEDY) from error
    except OSError as error:  # of pyarrow, without the file
        raise damaged(path, f"it cannot be read: {error}", REMEDY) from error


class Blocks(NamedTuple):
    """The vectors of a file: their shape, an iterator over blocks of rows, and the columns if there is one a number."""

    shape: tuple[int, int]
    rows: Iterator[np.ndarray]
    columns: Sequence[str] = ()


def vectors(path: Path, file: "ParquetFile") -> Blocks:
    """The vectors of a file: its one column of lists of numbers, or all columns of numbers together.

    Columns that are called as labels, names or row numbers are (`NO_NUMBERS`) do not count.

    Raises:
        ValueError: there is no such column, there are several columns of lists, or a list has another length.
    """
    types = library().types
    fields = [field for field in file.schema_arrow if plain_name(field.name) not in NO_NUMBERS]
    lists = [field.name for field in fields if is_vector(field.type)]
    numbers = [field.name for field in fields if types.is_integer(field.type) or types.is_floating(field.type)]
    n = file.metadata.num_rows
    if len(lists) > 1:
        raise damaged(path, f"the columns {' and '.join(lists)} both hold lists of numbers", "keep one of them")
    if not lists and not numbers:
        names = ", ".join(file.schema_arrow.names)
        raise damaged(path, f"none of its columns {names} holds vectors", "give it a column of lists of numbers")
    if not lists:
        return Blocks((n, len(numbers)), _wide(file, numbers), numbers)
    first = next(file.iter_batches(1, columns=lists), None)
    d = len(first[0][0].as_py() or ()) if first else 0
    return Blocks((n, d), _of_lists(path, file, lists[0], d))


def is_vector(kind: "pa.DataType") -> bool:
    """Whether a column of this type holds lists of numbers."""
    types = library().types
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return is_list and (types.is_floating(kind.value_type) or types.is_integer(kind.value_type))


def is_text(kind: "pa.DataType") -> bool:
    """Whether a column of this type holds text, numbers or lists of text: names or labels."""
    types = library().types
    if types.is_dictionary(kind) or types.is_list(kind) or types.is_large_list(kind):
        kind = kind.value_type
    tests = types.is_string, types.is_large_string, types.is_integer, types.is_floating, types.is_boolean
    return any(test(kind) for test in tests)


def text_columns(path: Path) -> list[str]:
    """The names of the columns of text or numbers in the file `path`; errors as of `read_columns`."""
    with opened(path) as file:
        return [field.name for field in file.schema_arrow if is_text(field.type) and not is_vector(field.type)]


def read_columns(path: Path, names: Sequence[str]) -> dict[str, list]:
    """The columns `names` of the file `path` as Python values.

    Raises:
        FileNotFoundError, OSError, ImportError: there is no such file, or no pyarrow.
        ValueError: the file is damaged or too large.
    """
    with opened(path) as file:
        if (n_cells := len(names) * file.metadata.num_rows) > LARGEST_TABLE:
            what = f"its columns of labels or names have {n_cells:,} cells, expected at most {LARGEST_TABLE:,}"
            raise damaged(path, what, "call the column of the labels 'label'")
        return file.read(columns=list(names)).to_pydict() if names else {}


def _wide(file: "ParquetFile", names: list[str]) -> Iterator[np.ndarray]:
    for batch in file.iter_batches(ROWS, columns=names):
        yield np.column_stack([batch[name].to_numpy(zero_copy_only=False) for name in names])


def _of_lists(path: Path, file: "ParquetFile", name: str, d: int) -> Iterator[np.ndarray]:
    first = 0
    for batch in file.iter_batches(ROWS, columns=[name]):
        column = batch[name]
        lengths = [n or 0 for n in library().compute.list_value_length(column).to_pylist()]  # None: no list
        if wrong := [row for row, n in enumerate(lengths, first) if n != d]:
            what = f"row {wrong[0]} of the column {name} has {lengths[wrong[0] - first]} numbers, and the first has {d}"
            raise damaged(path, what, "give every row as many numbers")
        yield column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), d)
        first += len(column)


def to_parquet(path: Path, names: Sequence[str], labels: Sequence[Set[str] | None], codes: np.ndarray) -> None:
    """Write a row for each item to the Parquet file `path`, completely or not at all.

    The columns are `name`, text; `labels`, a sorted list of text, null where they are unknown; and `code`, binary of
    fixed size: the bits in bytes, the first bit the highest of the first byte, as `numpy.packbits` packs them.

    Args:
        path: the file.
        names: of the items.
        labels: of each item, or None.
        codes: uint8 (n, ceil(bits / 8)), packed.

    Raises:
        ImportError: pyarrow is not installed.
        ValueError: not as many names, labels and codes.
        OSError: the file cannot be written.
    """
    pa = library()
    n = len(names)
    if not len(labels) == len(codes) == n:
        raise ValueError(f"expected labels and a code for each of {n} names, got {len(labels)} and {len(codes)}")
    octets = pa.py_buffer(np.ascontiguousarray(codes, np.uint8))
    columns = {
        "name": pa.array(names, pa.string()),
        "labels": pa.array([None if own is None else sorted(own) for own in labels], pa.list_(pa.string())),
        "code": pa.FixedSizeBinaryArray.from_buffers(pa.binary(codes.shape[1]), n, [None, octets]),
    }
    content = pa.BufferOutputStream()
    pa.parquet.write_table(pa.table(columns), content)
    io.write_bytes(path, content.getvalue())
