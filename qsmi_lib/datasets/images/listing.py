"""Lists of pictures as tables: text with any usual delimiter, JSON and JSON Lines -> rows with their line numbers."""

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

from qsmi_lib.datasets.images.decoding import SUFFIXES
from qsmi_lib.datasets.images.entries import Fault, FaultError
from qsmi_lib.datasets.images.lookup import PARTS, Files, part_of_list, plain, suffix_of

Cell = str | frozenset[str]  # a set: several names in one cell, as JSON may have them
BLANKS = "blanks"
DELIMITERS = {"tabs": "\t", "semicolons": ";", "commas": ",", "bars": "|", BLANKS: " "}
UNKNOWN = "\ufffd"  # what a byte becomes that does not belong to the encoding
N_SAMPLED = 200  # lines by which a list is recognised
FIRST_COLUMNS = 16  # among which the paths are searched
MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
END_OF_PATH = re.compile(rf"(?:{'|'.join(map(re.escape, sorted(SUFFIXES)))})(?!\S)", re.IGNORECASE)
EXCEL = re.compile(r"\Asep=.\n", re.IGNORECASE)  # a first line that tells Excel the delimiter
FLAGS = {"0", "1", "-1"}
NUMBER = re.compile(r"[-+]?\d+(\.\d*)?")
PATH_NAMES = {"", "file", "filename", "filenames", "filepath", "files", "id", "image", "imageid", "imagename"}
PATH_NAMES |= {"imagepath", "images", "img", "imgname", "imgpath", "name", "names", "path", "picture", "pictures"}
PATH_WORDS = ("image", "img", "file", "path", "picture", "photo")  # which say most in the name of a column of paths
MOST_OF_PATH = 4096  # characters, as on Linux
NESTED = 4  # levels of a JSON file that are searched for a table


class AmbiguousError(FaultError):
    """A file is a list, but may be read in two ways."""


class Row(NamedTuple):
    """A row of a list.

    Attributes:
        where: ``<file>:<line>``.
        cells: one for each column, without blanks around them.
    """

    where: str
    cells: Sequence[Cell]


@dataclass
class Listing:
    """A file of labels as a table.

    Attributes:
        name: of the file.
        form: how it is written, in words.
        column: of the paths.
        rows: without the header.
        header: a name for each column; empty if there is no header.
        faults: errors in the file.
    """

    name: str
    form: str
    column: int
    rows: list[Row] = field(default_factory=list)
    header: tuple[str, ...] = ()
    faults: list[Fault] = field(default_factory=list)


def listing(name: str, raw: bytes, files: Files) -> Listing | None:
    """The file `name` as a table, or None if it is no list.

    It is a list if most of its rows name pictures that exist, or if most begin like the path of a picture and some end
    with 0 or 1.

    Args:
        name: of the file.
        raw: its content.
        files: of the data set.

    Raises:
        FaultError: it is in an unknown encoding, or no JSON.
    """

    def found(cell: Cell) -> Sequence[str]:
        return matches(plain(cell.strip())) if isinstance(cell, str) and len(cell) <= MOST_OF_PATH else ()

    def exists(cell: Cell) -> bool:
        return bool(found(cell))

    matches = partial(files.matches, folder=name.rpartition("/")[0], part=part_of_list(name))
    if suffix_of(name) in (".json", ".jsonl"):
        table = _of_json(name, _values(name, raw), exists)
        return table and _with_paths(table, found)
    if b"\0" in raw[:N_SAMPLED] and not raw.startswith(tuple(MARKS)):
        return None  # no text
    text = EXCEL.sub("\n", text_of(raw), count=1)
    lines = [line for line in text.split("\n") if line.strip()]
    lines = [line for line in lines[:: -(-len(lines) // N_SAMPLED) or 1] if not _comment(line, exists)]
    if not lines:
        return None
    samples = {form: [_split(line, form, exists) for line in lines] for form in DELIMITERS}
    form, column = _form_of_paths(samples, files.holds)  # quick: the ends of paths take long
    if not form:
        form, column = _form_of_paths(samples, lambda cell: _ends_as_picture(cell) and exists(cell))
    if not form:
        form, column = _form_of_stems(samples, exists)
    form = form or _form_of_missing(samples)
    if form and UNKNOWN in text:
        line = text[: text.index(UNKNOWN)].count("\n") + 1
        raise FaultError(f"{name}:{line}", "it is neither UTF-8 nor UTF-16 with its mark: save it as UTF-8")
    if not form:
        return None
    return _with_paths(_table(name, form, column, _rows(name, text, form, exists), exists), found)


def text_of(raw: bytes) -> str:
    """The text of a file: UTF-8, or UTF-16 if it begins with a byte order mark; its lines end with a line feed.

    Bytes in another encoding become `UNKNOWN`.
    """
    encoding = next((encoding for mark, encoding in MARKS.items() if raw.startswith(mark)), "utf-8-sig")
    text = raw.decode(encoding, errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _comment(line: str, exists: Callable[[Cell], bool]) -> bool:
    return line.lstrip().startswith("#") and not exists(line.split()[0])


def _split(line: str, form: str, exists: Callable[[Cell], bool]) -> list[str]:
    """The cells of a line. At blanks it is split behind the longest path of a picture with which it begins."""
    if form != BLANKS or line.lstrip().startswith('"'):
        try:
            row = next(csv.reader([line.strip()], delimiter=DELIMITERS[form], skipinitialspace=form == BLANKS), [])
            return [cell.strip() for cell in row]
        except csv.Error:
            return [line]
    for end in reversed([match.end() for match in END_OF_PATH.finditer(line, 0, MOST_OF_PATH)]):
        if exists(line[:end]):
            return [line[:end].strip(), *line[end:].split()]
    return line.split()


def _path_column(rows: Iterable[Sequence[Cell]], exists: Callable[[Cell], bool]) -> tuple[int, int]:
    """The column that names most pictures, the first of several, and how many it names."""
    counts = [0] * FIRST_COLUMNS
    for row in rows:
        for column, cell in enumerate(row[:FIRST_COLUMNS]):
            counts[column] += exists(cell)
    return counts.index(max(counts)), max(counts)


def _form_of_paths(samples: dict[str, list[list[str]]], exists: Callable[[Cell], bool]) -> tuple[str, int]:
    """The form in which most rows name pictures, and the column of the paths; an empty form if there is none."""
    columns = {form: _path_column(rows, exists) for form, rows in samples.items()}
    form = max(samples, key=lambda form: (columns[form][1], max(map(len, samples[form])) > 1))
    column, n_named = columns[form]
    return (form, column) if _enough(n_named, samples[form], column, exists) else ("", 0)


def _form_of_stems(samples: dict[str, list[list[str]]], exists: Callable[[Cell], bool]) -> tuple[str, int]:
    """As `_form_of_paths` for pictures named without suffix, where any words might be meant.

    Where they are numbers, or more than a tenth is repeated, a header must say that they name pictures.
    """
    form, column = _form_of_paths(samples, exists)
    cells = [row[column] for row in samples[form] if len(row) > column] if form else []
    named = [cell for cell in cells if exists(cell)]
    numbers = 2 * sum(cell.isdecimal() for cell in named) > len(named)
    repeated = 10 * len(set(named)) < 9 * len(named)
    unclear = (numbers or repeated) and plain_name(cells[0]) not in PATH_NAMES - {""}
    return ("", 0) if not named or unclear else (form, column)


def _enough(n_named: int, rows: Sequence[Sequence[Cell]], column: int, exists: Callable[[Cell], bool]) -> bool:
    """Whether most rows name pictures; up to two rows of a header need not, if there are as many rows below them."""
    n_header = next((k for k, row in enumerate(rows[:2]) if len(row) > column and exists(row[column])), 2)
    if len(rows) > 1 and n_named == 1 and max(map(len, rows)) == 1:
        return False  # a text with a line that is the name of a picture
    return n_named > 0 and n_named >= min(n_header, len(rows) - n_header) and 2 * n_named > len(rows) - n_header


def _form_of_missing(samples: dict[str, list[list[str]]]) -> str:
    """The form of a list of pictures most of which are missing; empty if it is no list."""
    for form, rows in samples.items():
        paths = [row for row in rows if row and _ends_as_picture(row[0]) and "://" not in row[0]]
        if 2 * len(paths) > len(rows) and any(row[-1] in FLAGS for row in paths if len(row) > 1):
            return form
    return ""


def _rows(name: str, text: str, form: str, exists: Callable[[Cell], bool]) -> Iterator[Row | Fault]:
    """The rows of a text that are neither blank nor a comment; a fault ends them."""
    if form == BLANKS:
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip() and not _comment(line, exists):
                yield Row(f"{name}:{number}", _split(line, form, exists))
        return
    rows, start = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=DELIMITERS[form]), 1
    try:
        for row in rows:
            cells = [cell.strip() for cell in row]
            if any(cells) and not (cells[0].startswith("#") and not exists(cells[0])):
                yield Row(f"{name}:{rows.line_num}", cells)
            start = rows.line_num + 1
    except csv.Error as error:
        yield Fault(f"{name}:{start}", f"this row and the following ones cannot be read ({error})")


def _table(name: str, form: str, column: int, rows: Iterable[Row | Fault], exists: Callable[[Cell], bool]) -> Listing:
    """The table of `rows`: a line that counts them is left out, and a header is taken off."""
    table = Listing(name, form, column)
    for row in rows:
        (table.faults if isinstance(row, Fault) else table.rows).append(row)
    first = table.rows[0].cells if table.rows else ()
    if len(first) == 1 and first[0].isdecimal() and len(table.rows) > 1 and not exists(first[0]):
        del table.rows[0]
    if table.rows and (header := _header(table, exists)):
        table.header = header
        del table.rows[0]
    return table


def _with_paths(table: Listing, found: Callable[[Cell], Sequence[str]]) -> Listing:
    """The table with its column of paths: of several that name other pictures in most rows, that called so.

    Raises:
        FaultError: several columns may be meant.
    """
    rows = table.rows[:: -(-len(table.rows) // N_SAMPLED) or 1]
    pictures = {}
    for column in range(min(FIRST_COLUMNS, max((len(row.cells) for row in rows), default=0))):
        cells = [row.cells[column] if len(row.cells) > column else "" for row in rows]
        named = [tuple(found(cell)) if table.header or not _is_number(cell) else () for cell in cells]
        if 2 * sum(map(bool, named)) > len(rows):
            pictures[column] = named
    if len({*map(tuple, pictures.values())}) < 2:
        return table
    names = {column: plain_name(table.header[column]) if table.header else "" for column in pictures}
    ranks = {c: 2 * any(word in name for word in PATH_WORDS) or name in PATH_NAMES - {""} for c, name in names.items()}
    best = [column for column, rank in ranks.items() if rank == max(ranks.values())]
    if len({tuple(pictures[column]) for column in best}) > 1:
        what = f"the columns {' and '.join(str(column + 1) for column in best)} both name pictures"
        raise AmbiguousError(table.name, f"{what}: remove one, or call that of the pictures 'image'")
    return replace(table, column=best[0])


def _header(table: Listing, exists: Callable[[Cell], bool]) -> tuple[str, ...]:
    """The names of the columns if the first row is a header, else empty.

    Where it names the labels alone, an empty name for the paths is put before them.
    """
    cells, others = table.rows[0].cells, table.rows[1:]
    if any(map(_ends_as_picture, cells[:FIRST_COLUMNS])) or (len(cells) > table.column and exists(cells[table.column])):
        return ()
    width = len(others[0].cells) if others else len(cells)
    if len(cells) == width - 1 > 1 and table.column == 0:
        return ("", *cells)
    if table.form == BLANKS and len(cells) != width:
        return ()
    if len(cells) > table.column and plain_name(cells[table.column]) in PATH_NAMES:
        return tuple(cells)
    labels = [cell for column, cell in enumerate(cells) if column != table.column]
    known = {row.cells[-1] for row in others} if len(cells) == 2 else set()
    return () if all(map(NUMBER.fullmatch, labels)) or cells[-1] in known else tuple(cells)


def plain_name(name: str) -> str:
    """The name of a column in small letters without marks and blanks."""
    return re.sub(r"[\W_]", "", name.casefold())


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, str) and NUMBER.fullmatch(cell) is not None


def _ends_as_picture(cell: Cell) -> bool:
    return isinstance(cell, str) and len(cell) <= MOST_OF_PATH and suffix_of(cell) in SUFFIXES


# JSON


def _values(name: str, raw: bytes) -> Any:
    """The content of a JSON file, or the values in the lines of JSON Lines; a FaultError names file and line."""
    text, where = text_of(raw), name
    try:
        if suffix_of(name) == ".json":
            return json.loads(text)
        values = []
        for number, line in enumerate(text.split("\n"), 1):
            where = f"{name}:{number}"
            values.append(json.loads(line) if line.strip() else None)
        return values
    except RecursionError as error:
        raise FaultError(where, "too many nested brackets: expected a table, or an object `path: labels`") from error
    except ValueError as error:
        raise FaultError(where, f"it is not JSON: {error}") from error


def _of_json(name: str, content: Any, exists: Callable[[Cell], bool]) -> Listing | None:
    """The largest table in JSON whose rows name pictures.

    Raises:
        AmbiguousError: another table names further pictures.
    """
    tables = []
    for header, rows in _tables(content):
        sample = [row.cells for row in rows[:: -(-len(rows) // N_SAMPLED) or 1]]
        column, n_named = _path_column(sample, exists)
        numbers = sum(
            isinstance(cells[column], str) and cells[column].isdecimal() for cells in sample if len(cells) > column
        )
        by_number = 2 * numbers > len(sample) and not (header and plain_name(header[column]) in PATH_NAMES)
        if 2 * n_named > len(sample) and not by_number:
            rows = [Row(f"{name}:{row.where}", row.cells) for row in rows]
            tables.append(Listing(name, "JSON", column, [row for row in rows if len(row.cells) > column], header))
    largest = max(tables, key=lambda table: len(table.rows), default=None)
    named = {row.cells[largest.column] for row in largest.rows} if largest else set()
    for table in tables:
        if not named.issuperset(row.cells[table.column] for row in table.rows if exists(row.cells[table.column])):
            what = "it has several tables that name pictures: expected one, or one under each of the keys train, test"
            raise AmbiguousError(name, f"{what} and so on; save the others in files of their own")
    return largest


def _tables(content: Any, level: int = 0) -> Iterator[tuple[tuple[str, ...], list[Row]]]:
    """Every object or list in JSON as a table: its header, and its rows by their numbers, which are lines in JSONL."""
    children = []
    if isinstance(content, dict) and content and all(isinstance(value, list) for value in content.values()):
        yield from _by_key(content)
        yield columnwise(content)
    if isinstance(content, dict) and content and all(isinstance(value, dict) for value in content.values()):
        yield columnwise({key: list(value.values()) for key, value in content.items()})
    if isinstance(content, dict):
        if all(isinstance(value, dict) for value in content.values()):
            yield _objects(list(enumerate(({"": key} | value for key, value in content.items()), 1)))
        else:
            yield (), [Row(str(n), [str(key), *_cells(value)]) for n, (key, value) in enumerate(content.items(), 1)]
        children = list(content.values())[:N_SAMPLED]
    elif isinstance(content, list):
        numbered = list(enumerate(content, 1))
        yield _objects([(n, entry) for n, entry in numbered if isinstance(entry, dict)])
        yield (), [Row(str(n), [_cell(cell) for cell in entry]) for n, entry in numbered if isinstance(entry, list)]
    for child in children if level < NESTED else ():
        yield from _tables(child, level + 1)


def _by_key(content: dict[str, list]) -> Iterator[tuple[tuple[str, ...], list[Row]]]:
    """The tables under keys that are parts, or the paths under keys that are classes, as one table."""
    parts = all(key.casefold() in PARTS for key in content)
    entries = [(key, entry) for key, entries in content.items() for entry in entries]
    if parts and all(isinstance(entry, dict) for _, entry in entries):
        yield _objects([(n, entry | {"split": key}) for n, (key, entry) in enumerate(entries, 1)])
    elif parts and all(isinstance(entry, list) for _, entry in entries):
        width = max((len(entry) for _, entry in entries), default=0)
        header = ("", *(("label",) if width == 2 else map(str, range(1, width))), "split")
        rows = [[*map(_cell, entry), *[""] * (width - len(entry)), key] for key, entry in entries]
        yield header, [Row(str(n), cells) for n, cells in enumerate(rows, 1)]
    elif all(isinstance(entry, str) for _, entry in entries) and PATH_NAMES.isdisjoint(map(plain_name, content)):
        keys: dict[str, list[str]] = {}
        for key, entry in entries:
            keys.setdefault(entry, []).append(key)
        rows = [[path, own[0] if len(own) == 1 else frozenset(own)] for path, own in keys.items()]
        yield ("", "split" if parts else "label"), [Row(str(n), cells) for n, cells in enumerate(rows, 1)]


def columnwise(content: dict[str, list]) -> tuple[tuple[str, ...], list[Row]]:
    """The table of an object with a list for each column; without rows if their lengths differ."""
    if len({len(column) for column in content.values()}) > 1:
        return (), []
    rows = zip(*content.values(), strict=True)
    return tuple(content), [Row(str(n), [_cell(cell) for cell in row]) for n, row in enumerate(rows, 1)]


def _objects(numbered: list[tuple[int, dict]]) -> tuple[tuple[str, ...], list[Row]]:
    """The table of numbered objects; their first ones name its columns."""
    header = tuple(dict.fromkeys(str(name) for _, entry in numbered[:N_SAMPLED] for name in entry))
    return header, [Row(str(n), [_cell(entry.get(name)) for name in header]) for n, entry in numbered]


def _cells(value: Any) -> list[Cell]:
    """The cells of the value of a path: one for each number of a list, or one for a set of names."""
    if isinstance(value, list) and not all(isinstance(entry, str) for entry in value):
        return [_cell(entry) for entry in value]
    return [_cell(value)]


def _cell(value: Any) -> Cell:
    """A value as text, whole numbers without a point and truth values as 0 and 1; a list as a set of names."""
    if isinstance(value, list):
        return frozenset(str(entry).strip() for entry in value if not isinstance(entry, list | dict))
    if value is None or isinstance(value, dict):
        return ""
    if isinstance(value, bool) or (isinstance(value, float) and value.is_integer()):
        return str(int(value))
    return str(value).strip()
