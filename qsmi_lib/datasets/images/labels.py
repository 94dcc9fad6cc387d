"""The labels in the columns of lists: multi-hot, one class, or several names; what may mean two things is a fault."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from qsmi_lib.datasets.images.entries import Fault, FaultError, Item, Reading
from qsmi_lib.datasets.images.listing import BLANKS, Cell, Listing, plain_name
from qsmi_lib.datasets.images.lookup import PARTS, Files, outside, part_of_folder, plain

INDEX, MULTI_HOT = "index", "multi-hot"
CHOICES = ("", INDEX, MULTI_HOT)  # how one column of 0 and 1 is read; empty: it is a fault
# Names of a column of classes, in small letters without marks; names of classes are preferred to their numbers.
CLASS_NAMES = ("classname", "labelname", "categoryname", "breed", "species", "label", "class", "category", "target")
CLASS_NAMES += ("labelid", "classid", "categoryid", "classindex", "groundtruth", "gt")
SEVERAL_NAMES = ("labels", "tags", "classes", "categories", "targets")  # of a column of several names in each cell
PART_NAMES = ("split", "set", "subset", "part", "partition", "phase", "dataset")  # of a column of parts
PART_NAMES += ("istrain", "istest", "isval", "isvalid", "isvalidation")
NO_LABELS = {"fold", "folds", "kfold", "cvfold", "width", "height", "w", "h", "area", "difficult", "truncated"}
NO_LABELS |= {"occluded", "iscrowd", "xmin", "xmax", "ymin", "ymax", "xcenter", "ycenter", "bbox", "filesize"}
ROW_NAMES = ("", "index", "unnamed0")  # of a column of row numbers
NO_CLASSES = {"annotations", "flickr", "image", "images", "imgs", "img", "jpeg", "jpegimages", "jpg", "labels", "masks"}
NO_CLASSES |= {"photos", "pictures", "png", "segmentationclass", "segmentationobject"}  # folders that are no classes
NO_CLASSES |= {"annotation", "gt", "groundtruth", "input", "inputs", "label", "mask", "target", "targets"}
MOST_MISSING = 10  # faults of a list whose pictures are all missing; a longer one has one fault
MOST_NAMED = 6  # labels in a message
MOST_LABELS = 100_000  # columns, or names
MOST_CELLS = 200_000_000  # items times labels
ZERO_ONE, SIGNS = {"0", "1"}, {"-1", "1"}
WORDS = {"false": "0", "no": "0", "true": "1", "yes": "1"}  # for 0 and 1
TRUTHS = {"0", "1", "0.0", "1.0", *WORDS}
MISSING = {"nan", "<na>", "na", "n/a", "none", "null", "?", "-"}  # how programs write that there is no label
WHOLE = re.compile(r"[-+]?(0|[1-9]\d{0,14})(\.0*)?")
ZEROS = re.compile(r"0\d+")  # a name, as its zeros would be lost in a number
THOUSANDS = re.compile(r"[1-9]\d{0,2}([.,]\d{3})+")
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
NUMBERS = re.compile(r"\d+([,; ] ?\d+)*")
FLAG_CELL = re.compile(r"[01]( [01])+|\[ ?[01](\.0?)?(,? +[01](\.0?)?)+ ?\]")
FLAG = re.compile(r"([01])(?:\.0?)?")
PIECE = re.compile(r"'([^']*)'|\"([^\"]*)\"|([^'\"\[\]{}]*)")  # of a cell such as ['cat', 'dog']
EXPECTED = "expected 0 and 1 for each label, one class name, or one class number"


class Line(NamedTuple):
    """A row of a list.

    Attributes:
        part: to which it belongs; empty if the files do not divide the items.
        where: ``<file>:<line>``.
        path: as it is listed.
        values: of its labels.
        listing: the list.
    """

    part: str
    where: str
    path: str
    values: Sequence[Cell]
    listing: Listing


def read(listings: Sequence[tuple[str, Listing]], files: Files, choice: str = "") -> Reading:
    """The labels of lists that belong together.

    Args:
        listings: pairs of a part and a list.
        files: of the data set.
        choice: how one column of 0 and 1 is read, one of `CHOICES`.

    Raises:
        FaultError: the columns cannot be read, or may mean two things.
    """
    result = Reading(files=[table.name for _, table in listings])
    lines, names = [], ()
    for part, table in listings:
        chosen = columns(table)
        if chosen.ignored:
            result.notes.append(Fault(table.name, f"these columns are not read: {', '.join(chosen.ignored)}"))
        if len(names) > 1 and chosen.names and names != chosen.names:
            raise FaultError(f"{table.name}:1", f"its labels are others, or in another order, than {named(names)}")
        names = names or chosen.names
        lines += _lines(part, table, chosen)
    result.entries += [("", fault) for _, table in listings for fault in table.faults]
    if not lines:
        return result
    labelled = {line.listing.name for line in lines if line.values}
    for _, table in listings:
        if labelled and table.rows and table.name not in labelled:
            raise FaultError(table.name, "it names pictures without labels, which other lists have: move it elsewhere")
    paths = _resolved(lines, files)
    if len(paths) > MOST_MISSING and all(isinstance(path, _Wrong) for path in paths):
        what = f"{paths[0].text}; nor are the pictures of all other {len(paths) - 1:,} lines"
        raise FaultError(lines[0].where, f"{what}: if the paths begin with folders that are not here, remove these")
    if labelled:
        how, labels, result.classes = _labels(lines, names, choice)
    else:
        how, labels = _folder_classes(lines, paths, files)
    for line, label, path in zip(lines, labels, paths, strict=True):
        what = next((text for text in (label, path) if isinstance(text, _Wrong)), None)
        entry = Fault(line.where, what.text) if what else Item(line.where, path, label)
        result.entries.append((line.part, entry))
    header = "with" if listings[0][1].header else "without"
    result.how = f"{', '.join(result.files)} ({listings[0][1].form}, {header} a header): {how}"
    return result


class _Wrong(NamedTuple):
    """What is wrong with a path or with labels."""

    text: str


class Columns(NamedTuple):
    """Which columns are read: of labels (None: all but that of the paths), their names, that of the part."""

    labels: list[int] | None = None
    names: tuple[str, ...] = ()
    part: int | None = None
    ignored: tuple[str, ...] = ()


def columns(table: Listing) -> Columns:
    """The columns of labels and parts, by the names in the header; without one, numbers of rows are left out."""
    if not table.header:
        width = max((len(row.cells) for row in table.rows), default=0)
        columns = [k for k in range(width) if k != table.column]
        return Columns(columns[1:]) if table.column and _counts_rows(table) else Columns()
    if len(table.header) > MOST_LABELS:
        raise FaultError(table.name, f"it has {len(table.header):,} columns: expected at most {MOST_LABELS:,} labels")
    plain_names = [plain_name(name) for name in table.header]
    columns = [k for k in range(len(plain_names)) if k != table.column]
    part = _part_column(table, [k for k in columns if plain_names[k] in PART_NAMES])
    labels = [k for k in columns if k != part and plain_names[k] not in NO_LABELS]
    by_name = [k for name in CLASS_NAMES + SEVERAL_NAMES for k in labels if plain_names[k] == name]
    if by_name:
        _refuse_other_labels(table, by_name, labels)
        labels = by_name[:1]
    elif len(labels) > 1:
        labels = [k for k in labels if plain_names[k] not in ROW_NAMES]
    ignored = sorted({*columns} - {*labels, part})
    everything = not ignored and part is None
    names = [_tidy(table.header[k]) for k in labels]
    if len(set(names)) < len(names):
        raise FaultError(f"{table.name}:1", f"a label is named twice: {', '.join(_few(names))}")
    return Columns(
        None if everything else labels, tuple(names), part, tuple(table.header[k] or f"{k + 1}" for k in ignored)
    )


def _counts_rows(table: Listing) -> bool:
    """Whether the first column has another whole number in each row."""
    cells = [row.cells[0] for row in table.rows]
    return len(set(cells)) == len(cells) and all(isinstance(cell, str) and WHOLE.fullmatch(cell) for cell in cells)


def _cells(table: Listing, column: int) -> list[Cell]:
    return [row.cells[column] if len(row.cells) > column else "" for row in table.rows]


def _part_column(table: Listing, columns: Sequence[int]) -> int | None:
    """The column of parts, of those with such a name; a FaultError if there are two, or other values than parts."""
    if len(columns) > 1:
        names = " and ".join(repr(table.header[k]) for k in columns)
        raise FaultError(f"{table.name}:1", f"the columns {names} may both be of parts: remove or rename one")
    for column in columns:
        values = [str(cell) for cell in dict.fromkeys(_cells(table, column)) if not _part_of(cell)]
        if values:
            what = f"the column {table.header[column]!r} has values like {values[0]!r}: expected the parts train, test"
            hint = "or database in each row; remove the column, or give it another name, if it has no parts"
            raise FaultError(table.name, f"{what}, validation {hint}")
    return columns[0] if columns else None


def _are_truths(cells: Sequence[Cell]) -> bool:
    return all(isinstance(cell, str) and cell.casefold() in TRUTHS for cell in cells)


def _part_of(value: Cell) -> str:
    return PARTS.get(value.casefold(), "") if isinstance(value, str) else ""


def _refuse_other_labels(table: Listing, by_name: Sequence[int], columns: Sequence[int]) -> None:
    """A FaultError if the first of the columns with names of classes may not be the only one of labels."""
    first = _cells(table, by_name[0])
    for other in by_name[1:]:
        cells = _cells(table, other)
        if not len(set(first)) == len(set(cells)) == len(set(zip(first, cells, strict=True))):
            names = f"{table.header[by_name[0]]!r} and {table.header[other]!r}"
            what = f"the columns {names} divide the items in other ways, and each may have the classes"
            raise FaultError(f"{table.name}:1", f"{what}: remove or rename one")
    flags = [k for k in columns if k not in by_name and _are_truths(_cells(table, k))]
    if flags and (_are_truths(first) or len(flags) > 1):
        what = f"the column {table.header[by_name[0]]!r} may have the classes, or be one label beside"
        hint = "remove the columns that are no labels, or rename the first"
        raise FaultError(f"{table.name}:1", f"{what} {table.header[flags[0]]!r}, which has 0 and 1: {hint}")


def _lines(part: str, table: Listing, chosen: Columns) -> list[Line]:
    lines = []
    for where, cells in table.rows:
        path = cells[table.column] if len(cells) > table.column else ""
        if chosen.labels is None:
            values = [*cells[: table.column], *cells[table.column + 1 :]]
        else:
            values = [cells[k] for k in chosen.labels if k < len(cells)]
            values += filter(None, cells[len(table.header) :] if table.header else ())  # too many are a fault
        own = _part_of(cells[chosen.part]) if chosen.part is not None and chosen.part < len(cells) else part
        lines.append(Line(own, where, path if isinstance(path, str) else "", values, table))
    return lines


def _resolved(lines: Sequence[Line], files: Files) -> list[str | _Wrong]:
    """The path of the picture that each line means."""
    resolved = []
    for line in lines:
        path = plain(line.path)
        if outside(path):
            resolved.append(_Wrong(f"the path {line.path!r} lies outside the root"))
            continue
        found = files.matches(path, line.listing.name.rpartition("/")[0], line.part)
        if len(found) == 1:
            resolved.append(found[0])
        elif found:
            resolved.append(_Wrong(f"{path} may be {found[0]} or {found[1]}: expected a longer path"))
        else:
            resolved.append(_Wrong(f"{path} is not there: expected it below {files.tree.source}"))
    return resolved


def _folder_classes(lines: Sequence[Line], paths: Sequence[str | _Wrong], files: Files) -> tuple[str, list]:
    """Classes by the folders of the pictures, for lists of paths alone: of parts, or of all pictures.

    Another list may name the pictures of which something else is said.
    """
    kinds = [path.split("/")[-2] if isinstance(path, str) and "/" in path else "" for path in paths]
    known = {kind for kind, path in zip(kinds, paths, strict=True) if isinstance(path, str)}
    whole = all(line.part for line in lines) or len(lines) >= len(files.pictures)
    no_classes = any(kind.casefold() in NO_CLASSES or part_of_folder(kind) or not kind for kind in known)
    if not whole or len(known) < 2 or no_classes:
        line = lines[0]
        what = f"{line.path!r} has no labels: expected `path 0 1 0 ...`, or `path <class>`"
        raise FaultError(line.where, f"{what}; if it is no list of labels, move it elsewhere")
    return f"paths alone, the folders are the classes: {named(sorted(known))}", kinds


def _labels(lines: Sequence[Line], names: Sequence[str], choice: str) -> tuple[str, list, tuple[str, ...]]:
    """How the values are read; the labels, or what is wrong with them, of each line; and names of multi-hot columns."""
    file = lines[0].listing.name
    rows = _flags([line.values for line in lines])
    if len(names) == len(lines[0].values) < len(rows[0]):
        names = ()  # a cell holds 0 and 1 for several labels
    widths = Counter(len(values) for values in rows if values)
    width = len(names) or max(widths, key=widths.get)
    if width > MOST_LABELS or width * len(rows) > MOST_CELLS:
        most = f"expected at most {MOST_LABELS} columns and {MOST_CELLS} cells"
        raise FaultError(file, f"it has {len(rows)} rows of {width} columns of labels: {most}")
    ragged = 10 * max(widths.values()) <= 9 * sum(widths.values())
    if ragged and not names and lines[0].listing.form != BLANKS and _are_names(rows):
        further = {cell for values in rows for cell in values[1:]} - {""}
        if further.isdisjoint(values[0] for values in rows if values):
            what = f"some lines have further cells, such as {min(further, key=str)!r}, which may be labels or remarks"
            raise FaultError(file, f"{what}: give the columns names in a header such as `file,label,remark`")
        return (*_several_names(file, [frozenset(filter(None, values)) for values in rows]), ())
    if width == 1:
        return _one_column(lines, rows, names, choice)
    if choice == INDEX:
        raise FaultError(file, f"{width} columns of labels are no class numbers: leave out --labels {INDEX}")
    return _multi_hot(lines, rows, width, names)


def _flags(rows: list[Sequence[Cell]]) -> list[Sequence[Cell]]:
    """`rows` with tidy cells and with 0 and 1 for `WORDS` in several columns.

    All 0 and 1 of a single cell become cells of their own, as in ``path<tab>0 1 0`` or ``path<tab>[0, 1, 0]``.
    """
    if all(len(values) == 1 and isinstance(values[0], str) and FLAG_CELL.fullmatch(values[0]) for values in rows):
        return [FLAG.findall(values[0]) for values in rows]
    first = next((values for values in rows if len(values) > 1), ())
    if first and all(isinstance(cell, str) and cell.casefold() in WORDS for cell in first):
        return [[WORDS.get(str(cell).casefold(), cell) for cell in values] for values in rows]
    return [values if ZERO_ONE.issuperset(values) else [_whole(_tidy(cell)) for cell in values] for values in rows]


def _tidy(cell: Cell) -> Cell:
    """A cell with composed letters and single blanks, so that equal names are equal."""
    if isinstance(cell, frozenset):
        return frozenset(map(_tidy, cell))
    if cell.isascii() and "  " not in cell:
        return cell
    return " ".join(unicodedata.normalize("NFC", cell).split())


def _whole(cell: Cell) -> Cell:
    """A whole number without a point, as NumPy writes it with one; any other cell as it is."""
    if isinstance(cell, str) and "." in cell and NUMBER.fullmatch(cell) and abs(float(cell)) < 1e15:
        return str(int(float(cell))) if float(cell).is_integer() else cell
    return cell


def _are_names(rows: Sequence[Sequence[Cell]]) -> bool:
    cells = [cell for values in rows for cell in values]
    return 2 * sum(isinstance(cell, str) and not NUMBER.fullmatch(cell or "0") for cell in cells) > len(cells)


def _multi_hot(
    lines: Sequence[Line], rows: Sequence[Sequence[Cell]], width: int, names: Sequence[str]
) -> tuple[str, list, tuple[str, ...]]:
    """Columns of 0 and 1, or of -1 and 1; a row with other values, or of another length, is wrong."""
    fitting = [values for values in rows if len(values) == width]
    n_rows = {zero: sum({zero, "1"}.issuperset(values) for values in fitting) for zero in ("0", "-1")}
    zero = max(n_rows, key=n_rows.get)
    allowed, labels = {zero, "1"}, []
    n_wrong = Counter(k for values in fitting for k, value in enumerate(values) if value and value not in allowed)
    if n_wrong and 2 * max(n_wrong.values()) > len(fitting):
        column = max(n_wrong, key=n_wrong.get)
        value = next(values[column] for values in fitting if values[column] not in ("", zero, "1"))
        name = repr(names[column]) if names else str(column + 1)
        hint = "; call the column of the classes 'label'" if names else ""
        what = f"the labels have {width} columns, and column {name} has values like {value!r}"
        raise FaultError(lines[0].listing.name, f"{what}: {EXPECTED}{hint}")
    for line, values in zip(lines, rows, strict=True):
        if not values:
            labels.append(_Wrong(f"{line.path!r} has no labels: expected `path 0 1 0 ...`"))
        elif not allowed.issuperset(values):
            value = next(value for value in values if value not in allowed)
            labels.append(_Wrong(f"a label must be {zero} or 1, got {value!r}"))
        elif len(values) != width:
            labels.append(_Wrong(f"{len(values)} labels, expected {width} as in the other lines"))
        else:
            labels.append([int(value == "1") for value in values])
    how = f"{width} columns of {zero} and 1, multi-hot" if width > 1 else f"one column of {zero} and 1, one label"
    return f"{how}{': ' * bool(names)}{', '.join(_few(names))}", labels, tuple(names)


def _one_column(
    lines: Sequence[Line], rows: Sequence[Sequence[Cell]], names: Sequence[str], choice: str
) -> tuple[str, list, tuple[str, ...]]:
    """One column: of names, of numbers, of several names in each cell, or, as `choice` says, of 0 and 1."""
    file, name = lines[0].listing.name, plain_name(names[0]) if names else ""
    _refuse_thousands(lines)
    rows = [[_bracketed(line.where, cell) for cell in values] for line, values in zip(lines, rows, strict=True)]
    cells = [values[0] for values in rows if len(values) == 1 and values[0]]
    if any(isinstance(cell, frozenset) for cell in cells):
        return (*_several_names(file, [_names_in(values) for values in rows]), ())
    kinds = set(cells)
    if not kinds:
        raise FaultError(file, f"its labels are empty: {EXPECTED}")
    flags = kinds <= ZERO_ONE or kinds <= SIGNS
    if choice == MULTI_HOT:
        if not flags:
            raise FaultError(file, f"its labels have other values than 0 and 1: leave out --labels {MULTI_HOT}")
        return _multi_hot(lines, rows, 1, names)
    if flags and choice != INDEX and name not in CLASS_NAMES:
        raise FaultError(
            file,
            f"one column of {' and '.join(sorted(kinds))} may be two classes, or one label that a picture "
            f"carries or not: choose --labels {INDEX} for two classes, or --labels {MULTI_HOT} for one label",
        )
    if choice != INDEX and (mark := _mark(file, name, kinds)):
        names_of = [
            _names_in(cell.strip() for value in values for cell in value.split(mark))
            if len(values) < 2
            else _Wrong(f"{len(values)} cells of labels, expected 1: a cell that contains the delimiter needs quotes")
            for values in rows
        ]
        return (*_several_names(file, names_of), ())
    return (*_one_class(lines, rows, cells, choice), ())


def _mark(file: str, name: str, kinds: set[str]) -> str:
    """What separates several names in the cells of a column `name` with the values `kinds`; empty: they are one name.

    Raises:
        FaultError: both may be meant.
    """
    mark = next((mark for mark in "|,; " if any(mark in cell for cell in kinds)), "")
    numbers = sum(bool(NUMBERS.fullmatch(cell)) for cell in kinds)
    if mark == "|" or name == "tags" or (mark and 2 * numbers > len(kinds)):
        return mark
    if mark in ("", " ") and name not in SEVERAL_NAMES:
        return ""
    if mark != " " and name in SEVERAL_NAMES:
        return mark
    counts = Counter(piece.strip() for cell in kinds for piece in set(cell.split(mark)))
    for cell in sorted(kinds):
        if mark in cell and any(counts[piece.strip()] > 1 for piece in cell.split(mark)):
            what = f"{cell!r} may be one name, or several that occur elsewhere too"
            hint = "call the column 'tags' for several, or 'label' and write the names without"
            raise FaultError(file, f"{what}: {hint} {'blanks' if mark == ' ' else repr(mark)} for one")
    return ""


def _refuse_thousands(lines: Sequence[Line]) -> None:
    """A FaultError if the marks in a column of numbers may be those of thousands."""
    cells = [cell for line in lines for cell in line.values[:1] if isinstance(cell, str)]
    marked = [cell for cell in cells if "," in cell or "." in cell]
    if marked and all(map(THOUSANDS.fullmatch, marked)):
        what = f"{marked[0]!r} may be {re.sub('[.,]', '', marked[0])}, or numbers with a mark between them"
        raise FaultError(lines[0].listing.name, f"{what}: write class numbers without marks")


def _bracketed(where: str, cell: Cell) -> Cell:
    """The set of names in a cell such as ['cat', 'dog'], as pandas writes it; any other cell as it is."""
    if not isinstance(cell, str) or (cell[:1], cell[-1:]) not in (("[", "]"), ("{", "}")):
        return cell
    pieces = [PIECE.fullmatch(piece.strip()) for piece in cell[1:-1].split(",")]
    if not all(pieces):
        raise FaultError(where, f"{cell[:80]!r} cannot be read: expected names in one cell as cat|dog")
    return frozenset(piece[piece.lastindex].strip() for piece in pieces)


def _names_in(values: Iterable[Cell]) -> frozenset[str]:
    return frozenset().union(*(value if isinstance(value, frozenset) else {value} for value in values)) - {""}


def _several_names(file: str, labels: list) -> tuple[str, list]:
    names = sorted(frozenset().union(*(label for label in labels if isinstance(label, frozenset))))
    _refuse_missing(file, names)
    if len(names) > MOST_LABELS or len(names) * len(labels) > MOST_CELLS:
        raise FaultError(file, f"it has {len(names)} names of labels: expected at most {MOST_LABELS}")
    return f"several names for a picture, multi-hot: {named(names)}", labels


def _refuse_missing(file: str, names: Iterable[str]) -> None:
    if missing := next((name for name in names if name.casefold() in MISSING), None):
        what = f"{missing!r} may be a name, or mean that there is no label"
        raise FaultError(file, f"{what}: remove these lines, or write another name")


def _one_class(
    lines: Sequence[Line], rows: Sequence[Sequence[Cell]], cells: Sequence[str], choice: str
) -> tuple[str, list]:
    """One class for each line: its number where all cells are whole numbers, else its name."""
    file, counts = lines[0].listing.name, Counter(cells)
    _refuse_missing(file, counts)
    points = [cell for cell in counts if NUMBER.fullmatch(cell) and not WHOLE.fullmatch(cell) and not ZEROS.match(cell)]
    if points and 2 * sum(n for cell, n in counts.items() if NUMBER.fullmatch(cell)) > len(cells):
        raise FaultError(file, f"numbers like {points[0]} are no classes: {EXPECTED}")
    if len(cells) > 2 and 2 * sum(n == 1 for n in counts.values()) > len(cells):
        own = " and ".join(list(counts)[:2])
        raise FaultError(file, f"most items have a class of their own, such as {own}: {EXPECTED}")
    numbers: dict[str, bool] = {}  # list -> whether its cells are whole numbers
    for line, values in zip(lines, rows, strict=True):
        if values and values[0]:
            numbers[line.listing.name] = numbers.get(line.listing.name, True) and bool(WHOLE.fullmatch(values[0]))
    if len({*numbers.values()}) > 1:
        raise FaultError(file, f"of {' and '.join(numbers)} one has names, one numbers: {EXPECTED}, in all lists alike")
    of_numbers, labels = all(numbers.values()), []
    if of_numbers and choice != INDEX and "-1" in counts and len(counts) > 2:
        what = "-1 beside other numbers may be a class, or mean that there is no label"
        raise FaultError(file, f"{what}: remove these lines, or choose --labels {INDEX} if it is a class")
    for values in rows:
        cell = values[0] if values else ""
        if len(values) > 1:
            what = f"{len(values)} labels, expected 1 as in the other lines"
            labels.append(_Wrong(f"{what}; a cell that contains the delimiter needs quotes"))
        elif not cell:
            labels.append(_Wrong("it has no label: expected one class"))
        else:
            labels.append(int(float(cell)) if of_numbers else cell)
    kinds = sorted({label for label in labels if not isinstance(label, _Wrong)})
    kind = "number" if of_numbers else "name"
    return f"one column, the {kind} of a class: {named([str(kind) for kind in kinds])}", labels


def alike(names: Sequence[str]) -> tuple[str, str] | None:
    """The first two names of classes that differ only in capital letters or leading zeros; None if there are none."""
    known: dict[str, str] = {}
    for name in names:
        key = name.lstrip("0") if name.isdecimal() else name.casefold()
        if known.setdefault(key, name) != name:
            return known[key], name
    return None


def _few(names: Sequence[str]) -> list[str]:
    return [*names[:MOST_NAMED], "..."] if len(names) > MOST_NAMED else list(names)


def named(names: Sequence[str]) -> str:
    """The first of several names, and how many they are."""
    return ", ".join(_few(list(names))) + (f" ({len(names)} in all)" if len(names) > MOST_NAMED else "")
