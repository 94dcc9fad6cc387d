"""The items and labels of a data set of picture files, read from lists, a table or folders; and all faults in them."""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from qsmi_lib.datasets.images import decoding
from qsmi_lib.datasets.images.archive import Tree
from qsmi_lib.datasets.images.decoding import SUFFIXES
from qsmi_lib.datasets.sampling import hash_order

TABLE = "labels.csv"
PARTS = {"train": "train", "test": "query", "val": "query", "query": "query", "database": "database"}
FORMS = (
    f"lists of lines `path 0 1 0 ...` (one list, or train.txt, test.txt and database.txt), {TABLE} with a column a "
    "label, or folders <class>/<name> or <part>/<class>/<name>"
)


class Fault(NamedTuple):
    """An error in a data set: where, and what."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class Classes(NamedTuple):
    """The names of the labels, in the order of the columns."""

    names: tuple[str, ...]


class Item(NamedTuple):
    """A picture in a list.

    Attributes:
        where: the line that lists it, ``<file>:<line>``; in folders its path.
        path: below the root, with slashes.
        labels: 0 or 1 for each class; in folders the name of the class.
    """

    where: str
    path: str
    labels: Sequence[int] | str


@dataclass(frozen=True)
class Manifest:
    """The items of a data set, each once, in the order of the SHA-256 of their paths: equal for every form.

    Attributes:
        source: the folder, zip or list file.
        root: the folder or zip that contains the paths.
        paths: of the pictures, below the root.
        where: the line that lists each picture.
        labels: int64, (n,) where every item carries one label, else multi-hot (n, c).
        classes: names of the labels; their numbers, if the files give no names.
        parts: "train", "query" and "database" -> rows, as the source divides the items; empty if it does not.
        faults: errors, in the order of the files.
    """

    source: Path
    root: Path
    paths: tuple[str, ...]
    where: tuple[str, ...]
    labels: np.ndarray
    classes: tuple[str, ...]
    parts: Mapping[str, np.ndarray]
    faults: tuple[Fault, ...]

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of paths, labels and parts, not of the pictures."""
        digest = hashlib.sha256("\n".join(self.paths).encode(errors="surrogateescape"))
        digest.update(self.labels.tobytes())
        for name, rows in sorted(self.parts.items()):
            digest.update(name.encode() + rows.tobytes())
        return digest.hexdigest()

    def unlabelled(self) -> np.ndarray:
        """Rows of the items without a label."""
        return np.flatnonzero(~self.labels.any(axis=1)) if self.labels.ndim == 2 else np.empty(0, np.int64)

    def checked(self) -> "Manifest":
        """The manifest itself; if it has faults, a ValueError with the first one and the command that lists all."""
        if self.faults:
            more = f" (the first of {len(self.faults)} faults)" if len(self.faults) > 1 else ""
            raise ValueError(f"{self.faults[0]}{more}; `python -m qsmi_lib datasets check {self.source}` lists all")
        return self


def read(source: Path) -> Manifest:
    """The manifest of a list file, or of a folder or zip in one of `FORMS`; no picture is opened.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: it is in none of these forms.
    """
    if not source.exists():
        raise FileNotFoundError(f"there is no {source}: expected a folder, a zip or a list file")
    if source.is_file() and source.suffix == ".txt":
        with Tree(source.parent) as tree:
            return _manifest(source, tree, [("", entry) for entry in _parse_list(source.read_bytes(), source.name)])
    with Tree(source) as tree:
        top = sorted(name for name in (tree.names() if tree.packed else _files(source)) if "/" not in name)
        lists = [name for name in top if name.endswith(".txt") and name.removesuffix(".txt") in PARTS]
        if not lists:  # one list of any name; other text files, such as a README, are ignored
            lists = [name for name in top if name.endswith(".txt") and _is_list(tree.bytes_of(name))]
            if len(lists) > 1:
                known = ", ".join(f"{part}.txt" for part in PARTS)
                raise ValueError(f"{source} holds several lists, {lists[0]} among them: expected {known}, or one alone")
        if lists:
            entries = [
                (PARTS.get(name.removesuffix(".txt"), ""), entry)
                for name in lists
                for entry in _parse_list(tree.bytes_of(name), name)
            ]
        elif TABLE in top:
            entries = [("", entry) for entry in _parse_table(tree.bytes_of(TABLE))]
        else:
            entries = _walk_folders(source, tree)
        return _manifest(source, tree, entries)


def _files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]


def _is_list(content: bytes) -> bool:
    """Whether some line ends with a label."""
    return any(line.split()[-1:] in ([b"0"], [b"1"]) and len(line.split()) > 1 for line in content.split(b"\n"))


def _parse_list(content: bytes, name: str) -> Iterator[Item | Fault]:
    """The lines ``path 0 1 0 ...`` of a list; a path contains no spaces."""
    lines = content.decode("utf-8-sig", errors="replace").split("\n")
    if not any(line.strip() for line in lines):
        yield Fault(name, "it lists no picture: expected lines `path 0 1 0 ...`")
    for number, line in enumerate(lines, 1):
        if line.strip():
            path, *values = line.split()
            yield _item(f"{name}:{number}", path, values)


def _parse_table(content: bytes) -> Iterator[Item | Fault | Classes]:
    """The names of the classes, then the rows of a table of labels; the first column is the path of the picture."""
    rows = csv.reader(io.StringIO(content.decode("utf-8-sig", errors="replace"), newline=""), strict=True)
    start, names = 1, None
    try:
        for row in rows:
            path, *values = [value.strip() for value in row] or [""]
            if row and names is None:
                names = tuple(values)
                if not names or set(names) <= {"0", "1"}:
                    yield Fault(f"{TABLE}:1", f"expected the names of the labels, got the picture {path!r}")
                elif len(set(names)) < len(names):
                    yield Fault(f"{TABLE}:1", f"a label is named twice: {', '.join(names)}")
                yield Classes(names)
            elif row:
                yield _item(f"{TABLE}:{rows.line_num}", path, values)
            start = rows.line_num + 1
    except csv.Error as error:
        yield Fault(f"{TABLE}:{start}", f"this row and the following ones cannot be read ({error})")


def _item(where: str, path: str, values: Sequence[str]) -> Item | Fault:
    if not values:
        return Fault(where, f"{path!r} has no labels: expected `path 0 1 0 ...`")
    if wrong := [value for value in values if value not in ("0", "1")]:
        return Fault(where, f"a label must be 0 or 1, got {wrong[0]!r}")
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts:
        return Fault(where, f"the path {path!r} lies outside the root")
    return Item(where, str(pure), [int(value) for value in values])


def _walk_folders(source: Path, tree: Tree) -> Iterator[tuple[str, Item | Fault]]:
    """Pictures in folders of classes, with or without folders of parts above them, as in the majority of paths."""
    names = [name for name in tree.names() if PurePosixPath(name).suffix.lower() in SUFFIXES]
    depths = [name.count("/") for name in names]
    depth = max((1, 2), key=depths.count)
    if depth not in depths:
        unread = decoding.unread(tree.names())
        raise ValueError(f"{source} holds no pictures in a known form: expected {FORMS}{unread and '; ' + unread}")
    for name, reason in tree.left_out.items():
        if name.endswith("/") or PurePosixPath(name).suffix.lower() in SUFFIXES:
            yield "", Fault(name, reason)
    for name, own_depth in zip(names, depths, strict=True):
        part, kind = ([""] * (2 - own_depth) + name.split("/"))[:2]
        if own_depth != depth:
            yield "", Fault(name, f"lies at another depth than most: expected {'<part>/' * (depth - 1)}<class>/<name>")
        elif part and part not in PARTS:
            yield "", Fault(name, f"unknown part {part!r}: expected {', '.join(PARTS)}")
        else:
            yield PARTS.get(part, ""), Item(name, name, kind)


def _manifest(source: Path, tree: Tree, entries: Iterable[tuple[str, Item | Fault | Classes]]) -> Manifest:
    """The manifest of all (part, entry): each item once, its file present, its labels the same in all parts."""
    entries = list(entries)
    classes = next((entry.names for _, entry in entries if isinstance(entry, Classes)), ())
    widths = Counter(len(entry.labels) for _, entry in entries if isinstance(entry, Item))
    width = len(classes) or max(widths, key=widths.get, default=0)
    faults, rows, first, labels, parts = [], {}, [], [], {}
    for part, entry in entries:
        if isinstance(entry, Fault):
            faults.append(entry)
        if not isinstance(entry, Item):
            continue
        if not isinstance(entry.labels, str) and len(entry.labels) != width:
            faults.append(Fault(entry.where, f"{len(entry.labels)} labels, expected {width} as in the other lines"))
            continue
        path = next((path for path in (entry.path, f"images/{entry.path}") if tree.holds(path)), None)
        if path is None:
            faults.append(Fault(entry.where, f"{entry.path} is not there: expected it below {tree.source}"))
            continue
        in_part = parts.setdefault(part, {})  # row -> where
        row = rows.setdefault(path, len(rows))
        if row == len(first):
            first.append(entry.where)
            labels.append(entry.labels)
        elif row in in_part:
            faults.append(Fault(entry.where, f"{path} is there twice, first at {in_part[row]}"))
        elif labels[row] != entry.labels:
            faults.append(Fault(entry.where, f"{path} carries other labels than at {first[row]}"))
        in_part.setdefault(row, entry.where)
    paths = tuple(rows)
    for part in ("train", "database"):
        for row in parts.get("query", {}).keys() & parts.get(part, {}).keys():
            faults.append(Fault(parts["query"][row], f"the query {paths[row]} is also in the part {part!r}"))
    if not paths and not faults:
        faults.append(Fault(str(source), f"it lists no picture: expected {FORMS}"))
    array, names = _encode_labels(labels, classes)
    order = hash_order(paths)
    place = np.argsort(order)
    rows_of = {part: np.sort(place[np.fromiter(rows, np.int64, len(rows))]) for part, rows in parts.items() if part}
    paths, where = (tuple(texts[row] for row in order) for texts in (paths, first))
    return Manifest(source, tree.source, paths, where, array[order], names, rows_of, tuple(faults))


def _encode_labels(labels: list, classes: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels as an array, (n,) or multi-hot (n, c), and the names of the classes."""
    if labels and isinstance(labels[0], str):
        names, array = np.unique(labels, return_inverse=True)
        return array.astype(np.int64), tuple(names.tolist())
    array = np.array(labels, np.int64).reshape(len(labels), len(labels[0]) if labels else len(classes))
    names = tuple(classes) or tuple(map(str, range(array.shape[1])))
    single = len(array) and (array.sum(axis=1) == 1).all()
    return (array.argmax(axis=1) if single else array), names
