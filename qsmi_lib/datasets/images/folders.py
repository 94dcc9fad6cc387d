"""Pictures in folders of classes, with or without folders of parts above; and what shows that they are no classes."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence, Set

from qsmi_lib.datasets.images import decoding, labels
from qsmi_lib.datasets.images.entries import (
    FORMS,
    MOST_NAMED,
    Fault,
    FaultError,
    Item,
    Reading,
    count,
    first_names,
)
from qsmi_lib.datasets.images.listing import text_of
from qsmi_lib.datasets.images.lookup import (
    LISTS,
    OTHER_DATA,
    PARTS,
    TELLING,
    Files,
    part_of_folder,
    plain,
    stem_of,
    suffix_of,
    words,
    words_in,
)

VOLUMES = {"batch", "chunk", "disk", "fold", "folder", "part", "set", "shard", "split", "volume"}  # of one collection
DATE = re.compile(r"(19|20)\d\d([-_. ]?\d\d?){0,2}")  # the name of a folder that is rather no class
ARCHIVES = {".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zip"}
PROGRAMS = {".bat", ".ipynb", ".jl", ".m", ".ps1", ".py", ".r", ".sh"}  # which read or write labels
JSON_STRING = re.compile(r'"([^"\n]+)"')
MOST_SEARCHED = 200_000  # characters of a text that is no list


class UnlabelledError(ValueError):
    """There are pictures, but they lie in no folder, and no file tells their labels."""


def read(files: Files) -> Reading:
    """Folders of classes, where no file looks as if it told labels; a FaultError names one that does."""
    unread = [name for name in files.names if suffix_of(name) not in LISTS | PROGRAMS | decoding.SUFFIXES]
    told = (name for name in unread if TELLING & set(words(name)))
    if name := next(told, ""):
        raise FaultError(name, "this format is not read: save its labels as .csv, or move it elsewhere")
    for name in files.lists:
        if _names_pictures(name, files):
            what = f"it names pictures, but cannot be read as a list, or most of them are not here: expected {FORMS}"
            raise FaultError(name, f"{what}; mend its paths, or move it elsewhere")
    reading = of_classes(files)
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
    text = text_of(files.content(name)).replace("\0", "")[:MOST_SEARCHED]  # UTF-16 without its mark has zeros
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


def of_classes(files: Files) -> Reading:
    """Pictures in folders of classes, with or without folders of parts above them, as in the majority of paths.

    Raises:
        FaultError: the folders are no classes.
        UnlabelledError: all pictures lie in no folder.
        ValueError: no picture lies in such a folder.
    """
    prefix = _shared_folders(files.pictures)
    depths = Counter(name.count("/") - len(prefix) for name in files.pictures)
    depth = max((1, 2), key=depths.__getitem__)
    paths = [name.split("/")[len(prefix) :] for name in files.pictures if name.count("/") - len(prefix) == depth]
    tops, kinds = {steps[0] for steps in paths}, {steps[depth - 1] for steps in paths}
    source = str(files.tree.source)
    if not depths[depth]:
        more = "".join(f"; {what}" for what in _elsewhere(files))
        kind = UnlabelledError if set(depths) == {0} else ValueError
        without = "; `qsmi index` takes them without labels" * (kind is UnlabelledError)
        raise kind(f"{source} holds no pictures in a known form: expected {FORMS}{more}{without}")
    parts = {top for top in tops if part_of_folder(top)}
    if depth == 1 and (parts == tops or {"train", "query"} & set(map(part_of_folder, parts))):
        no_classes = parts
    else:
        no_classes = _no_classes(kinds)
    if no_classes and (depth == 1 or parts):
        what = f"no file tells the labels of the pictures in {first_names(sorted(no_classes))}"
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
        yield f"{count(names, 'picture lies', 'pictures lie')} {folders}, {names[0]} first"
    if unread := decoding.unread(iter(files.names)):
        yield unread
    if archives := [name for name in files.names if suffix_of(name) in ARCHIVES]:
        yield f"{first_names(archives)}: unpack {'it' if len(archives) == 1 else 'them'}"


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
