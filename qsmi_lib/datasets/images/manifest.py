"""The items and labels of a data set of picture files, read from lists, a table or folders; and all faults in them."""

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from qsmi_lib.datasets.images import decoding, folders, labels, public, selection
from qsmi_lib.datasets.images.archive import Tree
from qsmi_lib.datasets.images.entries import (
    FORMS,
    Fault,
    FaultError,
    Item,
    Reading,
    count,
    first_names,
    label_names,
)
from qsmi_lib.datasets.images.listing import listing
from qsmi_lib.datasets.images.lookup import (
    LISTS,
    Files,
    suffix_of,
)
from qsmi_lib.datasets.sampling import hash_order
from qsmi_lib.utils.validation import known

UNUSED = "(unused)"  # the second label of a data set of one label, which no item carries
N_SHOWN = 3  # items in `Manifest.shown`


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
        notes: what is allowed but worth knowing.
        how: how the labels were read, in one line; empty if they could not be.
        shown: the first items as they were understood, a line each.
        lists: paths of the files with labels, below the root.
    """

    source: Path
    root: Path
    paths: tuple[str, ...]
    where: tuple[str, ...]
    labels: np.ndarray
    classes: tuple[str, ...]
    parts: Mapping[str, np.ndarray]
    faults: tuple[Fault, ...]
    notes: tuple[Fault, ...] = ()
    how: str = ""
    shown: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of paths, labels and parts, not of the pictures."""
        digest = hashlib.sha256("\n".join(self.paths).encode())
        digest.update(self.labels.tobytes())
        for name, rows in sorted(self.parts.items()):
            digest.update(name.encode() + rows.tobytes())
        return digest.hexdigest()

    def unlabelled(self) -> np.ndarray:
        """Rows of the items without a label."""
        return np.flatnonzero(~self.labels.any(axis=1)) if self.labels.ndim == 2 else np.empty(0, np.int64)

    def same_labels(self) -> Fault | None:
        """The fault that all items carry the same labels, if they do: then every answer to every query is right."""
        if not len(self) or (self.labels != self.labels[0]).any():
            return None
        carried = np.flatnonzero(self.labels[0]) if self.labels.ndim == 2 else [self.labels[0]]
        which = ", ".join(self.classes[label] for label in carried) or "none"
        what = f"all {len(self)} pictures carry the same labels, {which}, so every answer would be right"
        return Fault(str(self.source), f"{what}: expected at least two classes, as {FORMS}")

    @cached_property
    def without_answers(self) -> tuple[Fault | None, bool]:
        """The fault that labelled queries have no right answer in the database, and whether it is most of them."""
        database = self.parts.get("database", self.parts.get("train", ()))
        queries = np.setdiff1d(self.parts.get("query", ()), self.unlabelled()).astype(np.int64)
        if not len(database) or not len(queries):
            return None, False
        if self.labels.ndim == 1:
            answered = np.isin(self.labels[queries], self.labels[database])
        else:
            answered = self.labels[queries] @ self.labels[database].any(axis=0) > 0
        if answered.all():
            return None, False
        without = queries[~answered]
        carried = self.labels[without[0]]
        which = self.classes[carried] if self.labels.ndim == 1 else label_names(carried, self.classes)
        what = (
            f"{len(without):,} of {len(queries):,} queries have labels that no item of the database has, {which} first"
        )
        what += ": write the same labels alike in all parts, or give the database items with these labels"
        return Fault(self.where[without[0]], what), 2 * len(without) > len(queries)

    def all_faults(self) -> list[Fault]:
        """The faults; if there are none, that of the same labels, or of queries without right answers."""
        without, most = self.without_answers
        more = [self.same_labels(), without if most else None]
        return list(self.faults) or [fault for fault in more if fault]

    def checked(self) -> "Manifest":
        """The manifest itself; if it has faults, a ValueError with the first one and the command that lists all."""
        if faults := self.all_faults():
            more = f" (the first of {len(faults)} faults)" if len(faults) > 1 else ""
            raise ValueError(f"{faults[0]}{more}; `python -m qsmi_lib datasets check {self.source}` lists all")
        return self


def read(source: Path, choice: str = "") -> Manifest:
    """The manifest of a list file, or of a folder or zip in one of `FORMS` or of `public.READERS`.

    No picture is opened. A file is a list if most of its rows name pictures that exist. Such a file that cannot be
    read is a fault; other texts are named in a note.

    Args:
        source: the folder, zip or list.
        choice: how one column of 0 and 1 is read, one of `labels.CHOICES`.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: it is in none of these forms, or `choice` is unknown.
    """
    known("choice of labels", dict.fromkeys(labels.CHOICES), choice)
    if not source.exists():
        raise FileNotFoundError(f"there is no {source}: expected a folder, a zip or a list file")
    alone = source.is_file() and bool(suffix_of(source.name)) and suffix_of(source.name) in LISTS
    with Tree(source.parent if alone else source) as tree:
        files = Files(tree)
        try:
            if alone:
                reading = _read_alone(source.name, files, choice)
            else:
                top = [name for name in files.lists if "/" not in name and not public.OWN.fullmatch(name)]
                top = [name for name in top if not public.is_coco(files, name)]
                reading = public.read_ilsvrc(files) or selection.read(files, top, choice) or public.read(files)
                reading = reading or selection.read(files, files.lists, choice) or folders.read(files)
        except FaultError as error:
            reading = Reading(entries=[("", error.fault)])
        return _manifest(source, files, reading)


def _read_alone(name: str, files: Files, choice: str) -> Reading:
    """The list of that name."""
    if reading := public.read_coco(files, [name]):
        return reading
    table = listing(name, files.content(name), files)
    if table is None:
        raise FaultError(name, f"it lists no picture that is here: expected {FORMS}")
    return labels.read([("", table)], files, choice)


def _manifest(source: Path, files: Files, reading: Reading) -> Manifest:
    """The manifest of a reading: each item once, its labels the same in all parts, the parts without shared queries."""
    faults, rows, first, carried, parts = [], {}, [], [], {}
    for part, entry in reading.entries:
        if isinstance(entry, Fault):
            faults.append(entry)
            continue
        where, path, label = entry
        in_part = parts.setdefault(part, {})  # row -> where
        row = rows.setdefault(path, len(rows))
        if row == len(first):
            first.append(where)
            carried.append(label)
        elif row in in_part:
            faults.append(Fault(where, f"{path} is there twice, first at {in_part[row]}"))
        elif carried[row] != label:
            faults.append(Fault(where, f"{path} carries other labels than at {first[row]}"))
        in_part.setdefault(row, where)
    notes = [*reading.notes, *_validation(source, parts)]
    paths = tuple(rows)
    for part in ("train", "database"):
        for row in parts.get("query", {}).keys() & parts.get(part, {}).keys():
            faults.append(Fault(parts["query"][row], f"the query {paths[row]} is also in the part {part!r}"))
    if not paths and not faults:
        faults.append(Fault(str(source), f"it lists no picture: expected {FORMS}"))
    array, names = _encode(carried, reading.classes)
    if pair := labels.alike(names):
        what = f"the classes {pair[0]!r} and {pair[1]!r} differ only in capital letters or zeros: write them alike"
        faults.append(Fault(str(source), what))
    shown = [
        f"{where}: {f'{path}: ' * (path != where)}{label_names(label, names)}"
        for where, path, label in _first_items(reading)
    ]
    order = hash_order(paths)
    place = np.argsort(order)
    rows_of = {part: np.sort(place[np.fromiter(rows, np.int64, len(rows))]) for part, rows in parts.items() if part}
    if not faults:
        notes += _unread(source, files, reading, set(paths))
    paths, where = (tuple(texts[row] for row in order) for texts in (paths, first))
    return Manifest(
        source=source,
        root=files.tree.source,
        paths=paths,
        where=where,
        labels=array[order],
        classes=names,
        parts=rows_of,
        faults=tuple(faults),
        notes=tuple(notes),
        how=reading.how,
        shown=tuple(shown),
        lists=tuple(reading.files),
    )


def _validation(source: Path, parts: dict[str, dict[int, str]]) -> list[Fault]:
    """Make the validation set the queries if there are no others; with a note it is left out if there are."""
    validation = parts.pop("validation", None)
    if validation is None:
        return []
    if "query" not in parts:
        parts["query"] = validation
        return []
    what = f"{len(validation)} pictures of the validation set are left out: the test set has the queries"
    return [Fault(str(source), what)]


def _unread(source: Path, files: Files, reading: Reading, paths: set[str]) -> list[Fault]:
    """A note on the files that were not read, and one on the pictures without labels."""
    notes, read, named = [], {*reading.files}, decoding.SUFFIXES | decoding.UNREAD_SUFFIXES
    other = [name for name in files.names if suffix_of(name) not in named and name not in read]
    if len(reading.files) == 1 and source.name == reading.files[0]:
        other = []  # the list itself was passed
    if other:
        kinds = defaultdict(list)
        for name in other:
            kinds[suffix_of(name) or "without suffix"].append(name)
        each = "; ".join(f"{len(names):,} {kind} ({first_names(names)})" for kind, names in kinds.items())
        notes.append(Fault(str(source), f"{count(other, 'file is', 'files are')} not read: {each}"))
    left = [name for name in files.pictures if name not in paths]
    if left:
        what = f"{count(left, 'picture is', 'pictures are')} in no list and left out: {first_names(left)}"
        notes.append(Fault(str(source), what))
    return notes


def _first_items(reading: Reading) -> list[Item]:
    items = (entry for _, entry in reading.entries if isinstance(entry, Item))
    return list(itertools.islice(items, N_SHOWN))


def _encode(carried: Sequence, classes: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels as an array, (n,) or multi-hot (n, c), and the names of the classes."""
    if carried and isinstance(carried[0], str | int):
        names, array = np.unique(carried, return_inverse=True)
        return array.astype(np.int64), tuple(map(str, names.tolist()))
    if carried and isinstance(carried[0], frozenset):
        classes = sorted(frozenset().union(*carried))
        column = {name: k for k, name in enumerate(classes)}
        array = np.zeros((len(carried), len(classes)), np.int64)
        for row, names in enumerate(carried):
            array[row, [column[name] for name in names]] = 1
    else:
        array = np.array(carried, np.int64).reshape(len(carried), len(carried[0]) if carried else len(classes))
    names = tuple(classes) or tuple(map(str, range(array.shape[1])))
    if array.shape[1] == 1:  # one column would be taken for class numbers, see `utils.arrays.labels`
        array, names = np.pad(array, ((0, 0), (0, 1))), (*names, UNUSED)
    single = len(array) and (array.sum(axis=1) == 1).all()
    return (array.argmax(axis=1) if single else array), names
