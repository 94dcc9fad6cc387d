"""The labels of vectors, from a table with a row for each vector, read by the rules for lists of pictures."""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from qsmi_lib.datasets.images import labels
from qsmi_lib.datasets.images.entries import Fault, FaultError
from qsmi_lib.datasets.images.labels import CLASS_NAMES, INDEX, SEVERAL_NAMES, TRUTHS, WHOLE
from qsmi_lib.datasets.images.listing import (
    DELIMITERS,
    N_SAMPLED,
    NUMBER,
    PATH_NAMES,
    Cell,
    Listing,
    Row,
    columnwise,
    plain_name,
)
from qsmi_lib.search.index import parquet
from qsmi_lib.utils import arrays
from qsmi_lib.utils.reading import damaged, map_array, read_text

TEXTS = (".csv", ".tsv", ".txt")
SUFFIXES = (*TEXTS, ".npy", ".parquet")
OF_LABELS = {*CLASS_NAMES, *SEVERAL_NAMES}
AS_TEXT = "save it as CSV in UTF-8"


class _Rows:
    """What `labels.read` asks of the files of a data set: here the paths are numbers of rows, and all are there."""

    def matches(self, path: str, folder: str, part: str) -> tuple[str]:
        return (path,)


def read_labels(table: Path, n: int) -> list[frozenset[str]]:
    """The labels of `n` vectors in the file `table`: a set of names for each, empty if it has none.

    The rows are in the order of the vectors. The file is one of these:

    - text (.csv, .tsv, .txt): a column of classes, names or numbers; or, in several columns, 0 and 1 for each label. A
      single column always holds classes, also if they are 0 and 1. An empty cell means no label. Several names in a
      cell are separated by ``|``; or by ``,`` (in quotes) or ``;`` where the column is called `tags` or `labels`. A
      header is needed where there are other columns: that of the classes is called `label`, `class` or so.
    - .npy: class numbers or names (n,), or 0 and 1 (n, c).
    - .parquet: columns as in text, or lists of names; it may be the file of the vectors itself.

    Raises:
        FileNotFoundError, OSError, ImportError: the file is not there or cannot be read, or pyarrow is missing.
        ValueError: another number of rows; a cell or column that cannot be read, or may mean two things; no label, or
            a single one.
    """
    suffix = table.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{table} must be a table of labels, {', '.join(SUFFIXES)}: {AS_TEXT}, a row for each vector")
    if not table.exists():
        raise FileNotFoundError(f"there is no {table}: expected a table of labels, a row for each vector")
    array = _array(table) if suffix == ".npy" else None
    if array is not None and array.ndim == 2:
        _need_rows(table, len(array), n)
        carried = [frozenset(map(str, np.flatnonzero(row).tolist())) for row in array]
    else:
        carried = _of_listing(_listing(table, suffix, array, n))
    kinds = set(carried) - {frozenset()}
    if len(kinds) < 2:
        which = ", ".join(sorted(*kinds)) if kinds else "no label"
        raise ValueError(f"{table} gives all vectors the same labels, {which}: expected at least two classes")
    if pair := labels.alike(sorted(frozenset().union(*kinds))):
        raise ValueError(f"{table} has the classes {pair[0]!r} and {pair[1]!r}, which differ only in capital letters "
                         "or zeros: write them alike")  # fmt: skip
    return carried


def label_columns(path: Path) -> list[str]:
    """The columns of the file `path` that are called as labels; empty if it is not a Parquet file.

    Raises:
        FileNotFoundError, OSError, ImportError, ValueError: as of `read_labels`.
    """
    if path.suffix.lower() != ".parquet":
        return []
    return [name for name in parquet.text_columns(path) if plain_name(name) in OF_LABELS]


def _array(table: Path) -> np.ndarray:
    """The labels in a .npy file: (n,), or 0 and 1 (n, c)."""
    array = map_array(table, remedy="save class numbers (n,), or 0 and 1 (n, c), with numpy.save")
    try:
        return arrays.labels("its array", array)
    except ValueError as error:
        raise damaged(table, error, "save class numbers (n,), or 0 and 1 (n, c), with numpy.save") from error


def _listing(table: Path, suffix: str, array: np.ndarray | None, n: int) -> Listing:
    """The table as a list of pictures, with the number of each row in place of a path; without columns of names."""
    if array is not None:
        header, rows = ("label",), [Row(f"{table}: row {k}", [str(value)]) for k, value in enumerate(array.tolist())]
    elif suffix == ".parquet":
        header, rows = columnwise(parquet.read_columns(table, label_columns(table) or parquet.text_columns(table)))
        rows = [Row(f"{table}: row {k}", row.cells) for k, row in enumerate(rows)]
    else:
        header, rows = _of_text(table)
    _need_rows(table, len(rows), n)
    others = {k for k, name in enumerate(header) if plain_name(name) in PATH_NAMES - {""} and len(header) > 1}
    header = ("", *(name for k, name in enumerate(header) if k not in others)) if header else ()

    def kept(number: int, row: Row) -> Row:
        return Row(row.where, [str(number), *(cell for k, cell in enumerate(row.cells) if k not in others)])

    return Listing(str(table), "text", 0, [kept(number, row) for number, row in enumerate(rows)], header)


def _of_text(table: Path) -> tuple[tuple[str, ...], list[Row]]:
    """The header of a text, empty if it has none, and its rows. Lines that begin with # are comments.

    A blank line is a row without label if there is one column, and nothing if there are several. The first row is a
    header if it names a column of labels, or if it has several cells and not only numbers.
    """
    text = read_text(table, AS_TEXT).replace("\r\n", "\n").replace("\r", "\n")
    rows, delimiter = [], _delimiter([line for line in text.split("\n") if line.strip() and not line.startswith("#")])
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter, skipinitialspace=True)
    try:
        for cells in reader:
            if not (cells and cells[0].startswith("#")):
                rows.append(Row(f"{table}:{reader.line_num}", [cell.strip() for cell in cells]))
    except csv.Error as error:
        raise FaultError(f"{table}:{reader.line_num}", f"the line cannot be read ({error}): {AS_TEXT}") from error
    if max((len(row.cells) for row in rows), default=0) > 1:
        rows = [row for row in rows if any(row.cells)]
    if not rows:
        raise ValueError(f"{table} has no rows: expected one for each vector")
    if not rows[-1].cells:
        what = "a blank line at the end may be a vector without label, or nothing"
        raise FaultError(rows[-1].where, f'{what}: remove it, or write "" for a vector without label')
    first = rows[0].cells
    if not OF_LABELS.isdisjoint(map(plain_name, first)) or (len(first) > 1 and not all(map(_is_number, first))):
        return tuple(first), rows[1:]
    return ("label",) if len(first) < 2 else (), rows


def _delimiter(lines: Sequence[str]) -> str:
    """What separates the columns: a mark that occurs equally often in each line; a comma if there is one column.

    Only tabs and commas separate words. Other marks, which may stand in the name of a class or between several of
    them, need a header with the column of labels, or numbers alone.
    """
    lines = lines[:: -(-len(lines) // N_SAMPLED) or 1]
    for form, mark in DELIMITERS.items():
        try:
            rows = [*csv.reader(lines, delimiter=mark, skipinitialspace=True)]
        except csv.Error:
            continue
        widths = {len(row) for row in rows}
        if len(widths) != 1 or max(widths) < 2:
            continue
        called = not OF_LABELS.isdisjoint(map(plain_name, rows[0]))
        if form in ("tabs", "commas") or called or all(_is_number(cell.strip()) for row in rows[1:] for cell in row):
            return mark
    return ","


def _is_number(cell: str) -> bool:
    return cell.casefold() in TRUTHS or NUMBER.fullmatch(cell) is not None


def _need_rows(table: Path, got: int, expected: int) -> None:
    if got != expected:
        what = f"{table} has {got} rows of labels, and there are {expected} vectors"
        raise ValueError(f"{what}: write a row for each vector, in their order; a header must be called 'label'")


def _of_listing(listing: Listing) -> list[frozenset[str]]:
    """The labels of each row of a list whose first cells are the numbers of the rows."""
    chosen = labels.columns(listing).labels
    if chosen == [] or listing.header == ("",):
        raise ValueError(f"{listing.name} has no column of labels: call it 'label'")
    carried: list[frozenset[str]] = [frozenset()] * len(listing.rows)

    def cells(row: Row) -> Sequence[Cell]:
        return row.cells[1:] if chosen is None else [row.cells[k] for k in chosen if k < len(row.cells)]

    rows = [row for row in listing.rows if any(cells(row))]
    values = {cell for row in rows for cell in cells(row)}
    numbers = all(len(cells(row)) == 1 for row in rows) and all(
        isinstance(v, str) and WHOLE.fullmatch(v) for v in values
    )
    if numbers and "-1" in values and len(values) > 2:
        what = "-1 beside other numbers may be a class, or mean that there is no label"
        raise ValueError(f"{listing.name}: {what}: leave the cell empty, or write a name")
    reading = labels.read([("", replace(listing, rows=rows))], _Rows(), INDEX if numbers else "")
    for _, entry in reading.entries:
        if isinstance(entry, Fault):
            raise FaultError(*entry)
        carried[int(entry.path)] = _names(entry.labels, reading.classes)
    return carried


def _names(label: Sequence[int] | str | int | frozenset[str], classes: Sequence[str]) -> frozenset[str]:
    """The names of the labels of an item; those of columns without a header are the numbers of the columns, from 0."""
    if isinstance(label, frozenset):
        return label
    if isinstance(label, str | int):
        return frozenset({str(label)})
    return frozenset(str(name) for name, flag in zip(classes or range(len(label)), label, strict=True) if flag)
