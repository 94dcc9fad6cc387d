"""Which files of a data set are the lists of its labels, which parts they are, and whether folders contradict them."""

import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

from qsmi_lib.datasets.images import labels
from qsmi_lib.datasets.images.entries import (
    FORMS,
    MOST_NAMED,
    Fault,
    FaultError,
    Item,
    Reading,
    count,
    label_names,
)
from qsmi_lib.datasets.images.folders import DATE, of_classes
from qsmi_lib.datasets.images.listing import AmbiguousError, Listing, listing, plain_name, text_of
from qsmi_lib.datasets.images.lookup import (
    PARTS,
    Files,
    part_of_list,
    plain,
    stem_of,
    suffix_of,
    telling,
)

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


def read(files: Files, names: Sequence[str], choice: str) -> Reading | None:
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
            what = f"{count(without, 'picture has', 'pictures have')} no label in {labelled[0]}, {without[0][1]} first"
            entries.append(("", Fault(without[0][0], f"{what}: expected a line for each")))
    how = f"{reading.how}; parts by {', '.join(parts)}"
    return Reading(how, entries, reading.classes, reading.notes, [*reading.files, *parts])


def _agree(files: Files, reading: Reading, tables: Sequence[Listing]) -> None:
    """A FaultError if folders of classes say something else than lists, and the lists might be of another matter.

    Two of these must hold: the lists, or their column of labels, are called so; they name at least half of the
    pictures; each class of theirs lies in one folder, or each folder in one class.
    """
    try:
        by_folder = {entry.path: entry.labels for _, entry in of_classes(files).entries if isinstance(entry, Item)}
    except ValueError:
        return  # the folders are no classes
    items = [(entry.path, entry.labels) for _, entry in reading.entries if isinstance(entry, Item)]
    said = {(by_folder.get(path), label if isinstance(label, Hashable) else tuple(label)) for path, label in items}
    kinds = set(by_folder.values())
    if len(kinds) < 2 or 2 * len(by_folder) <= len(files.pictures) or all(map(DATE.fullmatch, kinds)):
        return
    if len(items) < len(reading.entries) or all(kind == str(label) for kind, label in said):
        return  # faults of its own, or the same labels
    own = not TELLING_COLUMNS.isdisjoint(plain_name(name) for table in tables for name in table.header)
    called = own or all(telling(table.name) for table in tables)
    whole = 2 * len({path for path, _ in items}) >= len(by_folder)
    same = len(said) in (len({kind for kind, _ in said}), len({label for _, label in said}))
    if called + whole + same < 2:
        path, label = items[0]
        what = f"the folders say {labels.named(sorted(kinds))}, this list says {label_names(label, reading.classes)}"
        what += f" of {path}, and names {len(items):,} of {len(by_folder):,} pictures"
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
