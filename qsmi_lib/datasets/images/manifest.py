"""What a data set of picture files holds, read from lists, a table of labels or folders; and every fault of it."""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from qsmi_lib.datasets.images.archive import Tree

TABLE, NAMES = "labels.csv", "classes.txt"
PARTS = {"train": "train", "test": "query", "val": "query", "query": "query", "database": "database"}
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".ppm", ".tif", ".tiff"}
FORMS = (
    f"lists of lines `path 0 1 0 ...` (one list, or train.txt, test.txt and database.txt), {TABLE} with a column a "
    "label, or folders <class>/<name> or <part>/<class>/<name>"
)


class Fault(NamedTuple):
    """Something that a data set must not have: where, and what."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class Classes(NamedTuple):
    """The names of the labels, in the order of the columns."""

    names: tuple[str, ...]


class Item(NamedTuple):
    """A picture as it is listed.

    Attributes:
        where: the line that lists it, ``<file>:<line>``; of folders its own path.
        path: below the root, with slashes.
        labels: 0 and 1, a value a class; of folders the class's name.
    """

    where: str
    path: str
    labels: Sequence[int] | str


@dataclass(frozen=True)
class Catalogue:
    """The items of a data set, each once, in the order of the SHA-256 of their paths: by no class, in every form alike.

    Attributes:
        source: the folder, zip or list that it was read from.
        root: the folder or zip that the paths lie below.
        paths, where: of the pictures, below the root; what lists each.
        labels: int64, (n,) where every item carries one label, else multi-hot (n, c).
        classes: names of the labels; where nothing names them, their numbers.
        parts: "train", "query" and "database" -> rows, those that the source tells apart; none: it does not.
        faults: what is wrong, in the order of the files.
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
    def mark(self) -> str:
        """SHA-256 of paths, labels and parts: which items these are, not what their pictures show."""
        digest = hashlib.sha256("\n".join(self.paths).encode())
        digest.update(self.labels.tobytes())
        for name, rows in sorted(self.parts.items()):
            digest.update(name.encode() + rows.tobytes())
        return digest.hexdigest()

    def unlabelled(self) -> np.ndarray:
        """Rows of the items without any label."""
        return np.flatnonzero(~self.labels.any(axis=1)) if self.labels.ndim == 2 else np.empty(0, np.int64)

    def require(self) -> "Catalogue":
        """The catalogue itself; a ValueError with the first fault, and how to see the others, where it has any."""
        if self.faults:
            more = f" (the first of {len(self.faults)} faults)" if len(self.faults) > 1 else ""
            raise ValueError(f"{self.faults[0]}{more}; `python -m qsmi_lib datasets check {self.source}` lists all")
        return self


def read(source: Path) -> Catalogue:
    """The catalogue of a list file, or of a folder or zip in one of `FORMS`; nothing of a picture is read.

    Raises:
        FileNotFoundError: there is nothing of that name.
        ValueError: it is in none of these forms.
    """
    if not source.exists():
        raise FileNotFoundError(f"there is no {source}: expected a folder, a zip or a list file")
    if source.is_file() and source.suffix == ".txt":
        with Tree(source.parent) as tree:
            return _catalogue(source, tree, [("", entry) for entry in _listed(source.read_bytes(), source.name)])
    with Tree(source) as tree:
        top = sorted(name for name in (tree.names() if tree.zip else _files(source)) if "/" not in name)
        lists = [name for name in top if name.endswith(".txt") and name.removesuffix(".txt") in PARTS]
        if not lists:  # one list of any name; other texts, such as a README, are none
            lists = [name for name in top if name.endswith(".txt") and _is_list(tree.bytes_of(name))]
            if len(lists) > 1:
                known = ", ".join(f"{part}.txt" for part in PARTS)
                raise ValueError(f"{source} holds several lists, {lists[0]} among them: expected {known}, or one alone")
        if lists:
            found = [(PARTS.get(n.removesuffix(".txt"), ""), e) for n in lists for e in _listed(tree.bytes_of(n), n)]
        elif TABLE in top:
            found = [("", entry) for entry in _tabled(tree.bytes_of(TABLE))]
        else:
            found = _foldered(source, tree)
        return _catalogue(source, tree, found)


def _files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]


def _is_list(content: bytes) -> bool:
    """Whether any line ends in a label."""
    return any(line.split()[-1:] in ([b"0"], [b"1"]) and len(line.split()) > 1 for line in content.split(b"\n"))


def _listed(content: bytes, name: str) -> Iterator[Item | Fault]:
    """The lines ``path 0 1 0 ...`` of a list; a path has no blanks."""
    lines = content.decode("utf-8-sig", errors="replace").split("\n")
    if not any(line.strip() for line in lines):
        yield Fault(name, "it lists no picture: expected lines `path 0 1 0 ...`")
    for number, line in enumerate(lines, 1):
        if line.strip():
            path, *values = line.split()
            yield _item(f"{name}:{number}", path, values)


def _tabled(content: bytes) -> Iterator[Item | Fault | Classes]:
    """The rows of a table of labels, after the names of the classes; the first column names the pictures."""
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
        yield Fault(f"{TABLE}:{start}", f"this row and what follows cannot be read ({error})")


def _item(where: str, path: str, values: Sequence[str]) -> Item | Fault:
    if not values:
        return Fault(where, f"{path!r} has no labels: expected `path 0 1 0 ...`")
    if wrong := [value for value in values if value not in ("0", "1")]:
        return Fault(where, f"a label must be 0 or 1, got {wrong[0]!r}")
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts:
        return Fault(where, f"the path {path!r} lies outside the root")
    return Item(where, str(pure), [int(value) for value in values])


def _foldered(source: Path, tree: Tree) -> Iterator[tuple[str, Item | Fault]]:
    """Pictures in folders of classes, below folders of parts or not, as most of them are."""
    names = [name for name in tree.names() if PurePosixPath(name).suffix.lower() in SUFFIXES]
    depths = [name.count("/") for name in names]
    depth = max((1, 2), key=depths.count)
    if depth not in depths:
        raise ValueError(f"{source} holds no pictures in a known form: expected {FORMS}")
    for name, own in zip(names, depths, strict=True):
        part, kind = ([""] * (2 - own) + name.split("/"))[:2]
        if own != depth:
            yield "", Fault(name, f"lies at another depth than most: expected {'<part>/' * (depth - 1)}<class>/<name>")
        elif part and part not in PARTS:
            yield "", Fault(name, f"unknown part {part!r}: expected {', '.join(PARTS)}")
        else:
            yield PARTS.get(part, ""), Item(name, name, kind)


def _catalogue(source: Path, tree: Tree, found: Iterable[tuple[str, Item | Fault | Classes]]) -> Catalogue:
    """Items of all parts put together: each once, compared, and looked for."""
    entries = list(found)
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
        own = parts.setdefault(part, {})
        row = rows.setdefault(path, len(rows))
        if row == len(first):
            first.append(entry.where)
            labels.append(entry.labels)
        elif row in own:
            faults.append(Fault(entry.where, f"{path} is there twice, first at {own[row]}"))
        elif labels[row] != entry.labels:
            faults.append(Fault(entry.where, f"{path} carries other labels than at {first[row]}"))
        own.setdefault(row, entry.where)
    paths = tuple(rows)
    for part in ("train", "database"):
        for row in parts.get("query", {}).keys() & parts.get(part, {}).keys():
            faults.append(Fault(parts["query"][row], f"the query {paths[row]} lies in the part {part!r} too"))
    if not paths and not faults:
        faults.append(Fault(str(source), f"it lists no picture: expected {FORMS}"))
    coded, names = _coded(labels, classes)
    order = np.argsort([hashlib.sha256(path.encode()).hexdigest() for path in paths])
    place = np.argsort(order)
    known = {part: np.sort(place[np.fromiter(own, np.int64, len(own))]) for part, own in parts.items() if part}
    paths, where = (tuple(own[row] for row in order) for own in (paths, first))
    return Catalogue(source, tree.source, paths, where, coded[order], names, known, tuple(faults))


def _coded(labels: list, classes: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels as arrays, and the names of the classes."""
    if labels and isinstance(labels[0], str):
        names, coded = np.unique(labels, return_inverse=True)
        return coded.astype(np.int64), tuple(names.tolist())
    coded = np.array(labels, np.int64).reshape(len(labels), len(labels[0]) if labels else len(classes))
    names = tuple(classes) or tuple(map(str, range(coded.shape[1])))
    return (coded.argmax(axis=1) if (coded.sum(axis=1) == 1).all() and len(coded) else coded), names
