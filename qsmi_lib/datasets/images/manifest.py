"""The items and labels of a data set of picture files, read from lists, a table or folders; and all faults in them."""

import hashlib
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from qsmi_lib.datasets.images import decoding, labels, public
from qsmi_lib.datasets.images.archive import Tree
from qsmi_lib.datasets.images.entries import Fault, FaultError, Item, Reading
from qsmi_lib.datasets.images.listing import MARKS, AmbiguousError, Listing, listing, plain_name, text_of
from qsmi_lib.datasets.images.lookup import (
    LISTS,
    OTHER_DATA,
    PARTS,
    TELLING,
    Files,
    part_of_folder,
    part_of_list,
    plain,
    stem_of,
    suffix_of,
    telling,
    words,
    words_in,
)
from qsmi_lib.datasets.sampling import hash_order
from qsmi_lib.utils.validation import known

FORMS = (
    "lists of lines `path 0 1 0 ...` (one list, or train.txt, test.txt and database.txt), a table such as labels.csv "
    "with a column a label or a column of classes, or folders <class>/<name> or <part>/<class>/<name>"
)
MOST_NAMED = 6  # files in a note
UNUSED = "(unused)"  # the second label of a data set of one label, which no item carries
VOLUMES = {"batch", "chunk", "disk", "fold", "folder", "part", "set", "shard", "split", "volume"}  # of one collection
DATE = re.compile(r"(19|20)\d\d([-_. ]?\d\d?){0,2}")  # the name of a folder that is rather no class
ARCHIVES = {".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zip"}
PROGRAMS = {".bat", ".ipynb", ".jl", ".m", ".ps1", ".py", ".r", ".sh"}  # which read or write labels
JSON_STRING = re.compile(r'"([^"\n]+)"')
MOST_SEARCHED = 200_000  # characters of a text that is no list
TELLING_COLUMNS = {
    "breed",
    "category",
    "class",
    "classes",
    "classid",
    "classname",
    "label",
    "labels",
    "species",
    "tags",
}
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
        which = self.classes[carried] if self.labels.ndim == 1 else _label_names(carried, self.classes)
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
                reading = public.read_ilsvrc(files) or _read_lists(files, top, choice) or public.read(files)
                reading = reading or _read_lists(files, files.lists, choice) or _read_folders(files)
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


# Lists


def _read_lists(files: Files, names: Sequence[str], choice: str) -> Reading | None:
    """The lists among the files `names` that belong together; None if there is no list.

    Raises:
        FaultError: a file that is a list by its name or its content, but cannot be read.
        ValueError: several lists that do not belong together.
    """
    tables, unread = {}, {}
    for name in names:
        try:
            table = listing(name, files.content(name), files)
        except (FaultError, OSError) as error:
            sure = telling(name) or isinstance(error, AmbiguousError)
            if sure or suffix_of(name) not in (".json", ".jsonl"):
                unread[name] = error
            continue
        if table is not None:
            tables[name] = table
        elif telling(name) and not _lists_classes(name, files):
            unread[name] = FaultError(name, f"it lists no picture that is here: expected {FORMS}")
    for name in [name for name in tables if suffix_of(name) == ".json" and f"{name[:-5]}.txt" in tables]:
        del tables[name]  # Food-101 has each list twice
    chosen = _together(files, tables)
    folders = {name.rpartition("/")[0] for name in chosen}
    for name, error in unread.items():  # a list that cannot be read is not passed over
        beside = name.rpartition("/")[0] in folders and stem_of(name) in PARTS
        if not chosen or (beside and stem_of(name) not in map(stem_of, chosen)):
            raise error
    if not chosen:
        return None
    if not any(len(row.cells) > 1 for name in chosen for row in tables[name].rows):  # paths alone
        n_folders = len({name.rpartition("/")[0] for name in files.pictures})
        for name, error in unread.items():
            if telling(name) and text_of(files.content(name)).count("\n") > n_folders:  # else it may name the classes
                raise error
        labelled = [
            name for name in tables if name not in chosen and any(len(row.cells) > 1 for row in tables[name].rows)
        ]
        if labelled:
            return _joined(files, tables, chosen, labelled, choice)
    reading = labels.read([(part, tables[name]) for name, part in chosen.items()], files, choice)
    _agree(files, reading, [tables[name] for name in chosen])
    return reading


def _joined(
    files: Files, tables: Mapping[str, Listing], parts: Mapping[str, str], labelled: Sequence[str], choice: str
) -> Reading:
    """The labels of one list, for the pictures in lists of `parts` that hold paths alone."""
    if len(labelled) > 1:
        what = f"it and {labelled[0]} both tell labels: move one of them elsewhere"
        raise FaultError(labelled[1], what)
    reading = labels.read([("", tables[labelled[0]])], files, choice)
    items = {entry.path: entry for _, entry in reading.entries if isinstance(entry, Item)}
    entries = [(part, entry) for part, entry in reading.entries if isinstance(entry, Fault)]
    for name, part in parts.items():
        without = []
        for row in tables[name].rows:
            found = files.matches(plain(str(row.cells[0])), name.rpartition("/")[0], part)
            if len(found) == 1 and found[0] in items:
                entries.append((part, items[found[0]]))
            else:
                without.append((row.where, row.cells[0]))
        if without:
            what = f"{_count(without, 'picture has', 'pictures have')} no label in {labelled[0]}, {without[0][1]} first"
            entries.append(("", Fault(without[0][0], f"{what}: expected a line for each")))
    how = f"{reading.how}; parts by {', '.join(parts)}"
    return Reading(how, entries, reading.classes, reading.notes, [*reading.files, *parts])


def _agree(files: Files, reading: Reading, tables: Sequence[Listing]) -> None:
    """A FaultError if folders of classes say something else than lists, and the lists might be of another matter.

    Two of these must hold: the lists, or their column of labels, are called so; they name at least half of the
    pictures; each class of theirs lies in one folder, or each folder in one class.
    """
    try:
        folders = {entry.path: entry.labels for _, entry in _folders(files).entries if isinstance(entry, Item)}
    except ValueError:
        return  # the folders are no classes
    items = [(entry.path, entry.labels) for _, entry in reading.entries if isinstance(entry, Item)]
    said = {(folders.get(path), label if isinstance(label, Hashable) else tuple(label)) for path, label in items}
    kinds = set(folders.values())
    if len(kinds) < 2 or 2 * len(folders) <= len(files.pictures) or all(map(DATE.fullmatch, kinds)):
        return
    if len(items) < len(reading.entries) or all(kind == str(label) for kind, label in said):
        return  # faults of its own, or the same labels
    own = not TELLING_COLUMNS.isdisjoint(plain_name(name) for table in tables for name in table.header)
    called = own or all(telling(table.name) for table in tables)
    whole = 2 * len({path for path, _ in items}) >= len(folders)
    same = len(said) in (len({kind for kind, _ in said}), len({label for _, label in said}))
    if called + whole + same < 2:
        path, label = items[0]
        what = f"the folders say {labels.named(sorted(kinds))}, this list says {_label_names(label, reading.classes)}"
        what += f" of {path}, and names {len(items):,} of {len(folders):,} pictures"
        raise FaultError(
            tables[0].name, f"{what}: if it tells the labels, pass its path or call it labels; else move it elsewhere"
        )


def _lists_classes(name: str, files: Files) -> bool:
    """Whether most lines of a text name folders of pictures."""
    folders = {step for picture in files.pictures for step in picture.split("/")[:-1]}
    lines = [line.strip() for line in text_of(files.content(name)).split("\n") if re.search(r"\w", line)]
    n_named = sum(not folders.isdisjoint({line, *re.split(r"[\s,;:\"'\[\]{}]+", line)}) for line in lines)
    return bool(lines) and 2 * n_named > len(lines)


def _together(files: Files, tables: Mapping[str, Listing]) -> dict[str, str]:
    """The lists that are read -> their parts: those named train, test and so on, or one for each part, or one alone."""
    named = [name for name in tables if stem_of(name) in PARTS]
    named = [name for name in named if name.count("/") == named[0].count("/")]
    stems = {stem_of(name) for name in named}
    if "trainval" in stems:  # which is the union of two others
        has_test = any(PARTS[stem] == "query" for stem in stems)
        unused = {"train", "val"} if has_test or stems == {"trainval"} else {"trainval"}
        named = [name for name in named if stem_of(name) not in unused]
    if named:
        parts = {name: PARTS[stem_of(name)] for name in named}
    else:
        parts = {name: part_of_list(name) if len(tables) > 1 else "" for name in tables}
    folders = {name.rpartition("/")[0] for name in named}
    stems = Counter(stem_of(name) for name in named)
    several = len(folders) > 1 or max(stems.values(), default=1) > 1
    if not named and len(tables) > 1:
        several = "" in parts.values() or len(set(parts.values())) < len(parts)
    if several:
        names = ", ".join(list(parts)[:MOST_NAMED])
        raise ValueError(
            f"{files.tree.source} holds several lists, {names}: expected train.txt, test.txt and database.txt, or one "
            f"alone; pass the path of one of them, or move the others elsewhere"
        )
    return parts


# Folders


def _read_folders(files: Files) -> Reading:
    """Folders of classes, where no file looks as if it told labels; a FaultError names one that does."""
    unread = [name for name in files.names if suffix_of(name) not in LISTS | PROGRAMS | decoding.SUFFIXES]
    told = (name for name in unread if TELLING & set(words(name)))
    if name := next(told, ""):
        raise FaultError(name, "this format is not read: save its labels as .csv, or move it elsewhere")
    for name in files.lists:
        if not stem_of(name).startswith("sample_submission") and _names_pictures(name, files):
            what = f"it names pictures, but cannot be read as a list, or most of them are not here: expected {FORMS}"
            raise FaultError(name, f"{what}; mend its paths, or move it elsewhere")
    reading = _folders(files)
    kinds = {entry.labels for _, entry in reading.entries if isinstance(entry, Item)}
    data = [name for name in unread if suffix_of(name) in OTHER_DATA]
    if data and all(map(DATE.fullmatch, kinds)):
        what = "this format is not read, and the folders are dates: save its labels as .csv, or move it elsewhere"
        raise FaultError(data[0], what)
    return reading


def _names_pictures(name: str, files: Files) -> bool:
    """Whether most lines of a text, or many strings of JSON, look like names of pictures, with their suffixes or not.

    Words that name folders, and numbers, do not count as names without suffix.
    """
    raw = files.content(name)
    if not raw.startswith(tuple(MARKS)):
        raw = raw.replace(b"\0", b"")  # UTF-16 without its mark
    text = text_of(raw)[:MOST_SEARCHED]
    stems = {stem_of(picture) for picture in files.pictures}
    stems = {stem for stem in stems if not stem.isdecimal()}
    stems -= {step.casefold() for picture in files.pictures for step in picture.split("/")[:-1]}
    as_json = suffix_of(name) in (".json", ".jsonl")
    found = JSON_STRING.findall(text) if as_json else text.split("\n")
    lines = [line for line in found if re.search(r"\w", line)]
    named = [cell for line in lines if (cell := _picture_in(line, stems))]
    if as_json:  # whose strings are also keys and labels
        return bool(named) and (3 * len(named) >= len(lines) or 2 * len(set(named)) > len(files.pictures))
    return 2 * len(named) > len(lines)


def _picture_in(line: str, stems: Set[str]) -> str:
    """The first cell of a line that looks like the name of a picture; empty if there is none."""
    cells = (cell.strip("\"': ") for cell in re.split(r"[\s,;|]+", line) if "://" not in cell)
    return next((cell for cell in cells if suffix_of(cell) in decoding.SUFFIXES or stem_of(plain(cell)) in stems), "")


def _folders(files: Files) -> Reading:
    """Pictures in folders of classes, with or without folders of parts above them, as in the majority of paths.

    Raises:
        FaultError: the folders are no classes.
        ValueError: there is no picture in a folder.
    """
    prefix = _shared_folders(files.pictures)
    depths = Counter(name.count("/") - len(prefix) for name in files.pictures)
    depth = max((1, 2), key=depths.__getitem__)
    paths = [name.split("/")[len(prefix) :] for name in files.pictures if name.count("/") - len(prefix) == depth]
    tops, kinds = {steps[0] for steps in paths}, {steps[depth - 1] for steps in paths}
    source = str(files.tree.source)
    if not depths[depth]:
        more = "".join(f"; {what}" for what in _elsewhere(files))
        raise ValueError(f"{source} holds no pictures in a known form: expected {FORMS}{more}")
    parts = {top for top in tops if part_of_folder(top)}
    if depth == 1 and (parts == tops or {"train", "query"} & set(map(part_of_folder, parts))):
        no_classes = parts
    else:
        no_classes = _no_classes(kinds)
    if no_classes and (depth == 1 or parts):
        what = f"no file tells the labels of the pictures in {_first_names(sorted(no_classes))}"
        raise FaultError(source, f"{what}: expected {FORMS}; if these are classes, rename the folders")
    if depth == 2 and not parts:
        what = f"folders lie in {', '.join(sorted(tops)[:MOST_NAMED])}, of which none is a part"
        raise FaultError(source, f"{what}: expected folders of classes, or train and test above folders of classes")
    form = f"{'<part>/' * (depth - 1)}<class>/<name>"
    entries, faulty = [], defaultdict(list)
    for name, reason in files.tree.left_out.items():
        if name.endswith("/") or suffix_of(name) in (decoding.SUFFIXES | LISTS) - {""}:
            entries.append(("", Fault(name, reason)))
    for name in files.pictures:
        steps = name.split("/")[len(prefix) :]
        part, kind = ([""] * (3 - len(steps)) + steps)[:2]
        if len(steps) != depth + 1:
            what = f"lies at another depth than most: expected {form}"
            faulty[what, len(steps), steps[0] * (len(steps) > 1)].append(name)  # one fault for all pictures of a folder
        elif part and not part_of_folder(part):
            faulty[f"unknown part {part!r}: expected {', '.join(sorted(PARTS))}", 0, part].append(name)
        else:
            entries.append((part_of_folder(part) if part else "", Item(name, name, kind)))
    for (what, *_), names in faulty.items():
        more = f"; so do {len(names) - 1} more" if len(names) > 2 else "; so does 1 more" if len(names) == 2 else ""
        remedy = f"; move {'it' if len(names) == 1 else 'them'} to such a folder, or elsewhere"
        entries.append(("", Fault(names[0], what + more + remedy)))
    classes = sorted({entry.labels for _, entry in entries if isinstance(entry, Item)})
    return Reading(f"folders {'/'.join([*prefix, form])}: {labels.named(classes)}", entries)


def _elsewhere(files: Files) -> Iterator[str]:
    """Where pictures lie that are not in folders of classes: at other depths, in other formats, in archives."""
    depths = defaultdict(list)
    for name in files.pictures:
        depths[name.count("/")].append(name)
    for depth, names in sorted(depths.items()):
        folders = {0: "in no folder", 1: "in 1 folder"}.get(depth, f"in {depth} folders, one below the other")
        yield f"{_count(names, 'picture lies', 'pictures lie')} {folders}, {names[0]} first"
    if unread := decoding.unread(iter(files.names)):
        yield unread
    if archives := [name for name in files.names if suffix_of(name) in ARCHIVES]:
        yield f"{_first_names(archives)}: unpack {'it' if len(archives) == 1 else 'them'}"


def _no_classes(folders: Set[str]) -> set[str]:
    """Those of the folders that are no classes by their names, as ``images`` and ``masks``."""
    no_classes = {
        folder
        for folder in folders
        if folder.casefold() in labels.NO_CLASSES or _all_in(labels.NO_CLASSES, words_in(folder))
    }
    parts = {folder: {PARTS[word] for word in words_in(folder) if word in PARTS} for folder in folders}
    of_parts = set().union(*parts.values())
    if "train" in of_parts and of_parts & {"query", "validation"}:  # as cars_train and cars_test
        no_classes |= {folder for folder in folders if parts[folder]}
    stems = {re.sub(r"\d+$", "", folder) for folder in folders}
    if len(stems) == 1 < len(folders) and VOLUMES.issuperset(words_in(stems.pop())[-1:] or [""]):
        no_classes |= folders  # as images_part_01 and images_part_02
    return no_classes


def _all_in(known: Set[str], found: Sequence[str]) -> bool:
    """Whether all words are known, but for parts and single letters beside them: ``train_images`` and ``imagesA``."""
    own = [word for word in found if word not in PARTS and len(word) > 1]
    return bool(own) and known.issuperset(own)


def _shared_folders(names: Sequence[str]) -> list[str]:
    """The folders around all pictures that are neither a part nor a class."""
    paths = [name.split("/")[:-1] for name in names]
    first, last = min(paths, default=[]), max(paths, default=[])
    depth = min(map(len, paths), default=0)
    n_shared = next((k for k in range(depth) if first[k] != last[k]), depth)
    steps = first[: max(0, min(n_shared, depth - 1))]
    return steps[: next((k for k, step in enumerate(steps) if part_of_folder(step)), len(steps))]


# All forms


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
        f"{where}: {f'{path}: ' * (path != where)}{_label_names(label, names)}"
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
        each = "; ".join(f"{len(names):,} {kind} ({_first_names(names)})" for kind, names in kinds.items())
        notes.append(Fault(str(source), f"{_count(other, 'file is', 'files are')} not read: {each}"))
    left = [name for name in files.pictures if name not in paths]
    if left:
        what = f"{_count(left, 'picture is', 'pictures are')} in no list and left out: {_first_names(left)}"
        notes.append(Fault(str(source), what))
    return notes


def _count(names: Sequence[str], one: str, several: str) -> str:
    return f"{len(names):,} {one if len(names) == 1 else several}"


def _first_names(names: Sequence[str]) -> str:
    return ", ".join([*names[:MOST_NAMED], *(["..."] if len(names) > MOST_NAMED else [])])


def _first_items(reading: Reading) -> list[Item]:
    items = (entry for _, entry in reading.entries if isinstance(entry, Item))
    return list(itertools.islice(items, N_SHOWN))


def _label_names(label: Sequence[int] | str | int | frozenset[str], classes: Sequence[str]) -> str:
    """The labels of an item in words."""
    if isinstance(label, str | int):
        return str(label)
    if not isinstance(label, frozenset):
        label = [name for name, flag in zip(classes, label, strict=False) if flag]
    return ", ".join(sorted(label)) or "no label"


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
