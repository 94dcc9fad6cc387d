"""Public data sets as they are distributed: COCO, VOC, NUS-WIDE, CelebA, MIRFlickr, Oxford's, ImageNet's, Kaggle's."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from qsmi_lib.datasets.images import labels, matlab
from qsmi_lib.datasets.images.entries import Fault, FaultError, Item, Reading
from qsmi_lib.datasets.images.listing import Listing, listing, text_of
from qsmi_lib.datasets.images.lookup import (
    PARTS,
    Files,
    outside,
    part_of_folder,
    part_of_list,
    plain,
    stem_of,
    suffix_of,
)

Row = tuple[str, str, str, Any]  # part, where, path as it is listed, labels
CELEBA_PARTS = ("train", "validation", "query")  # 0, 1 and 2
COCO_KEYS = (b'"images"', b'"annotations"', b'"categories"')
MOST_BYTES_OTHER_JSON = 100_000_000  # of a file of another name than COCO's
# Files of the data sets below that also look like lists of their own.
OWN = re.compile(r"(list_\w+_celeba|identity_celeba|list_eval_partition|loc_\w+)\.\w+", re.IGNORECASE)
MOST_BYTES_MAT = 1_000_000  # of a file of MATLAB; that of Oxford Flowers has 500 bytes
MOST_NUMBERS_MAT = 10_000_000  # in an array of MATLAB


def read(files: Files) -> Reading | None:
    """The labels of a public data set that is recognised by its files; None if none is.

    Raises:
        FaultError: a file that belongs to it is damaged or missing.
    """
    return next(filter(None, (reader(files) for reader in READERS)), None)


def _reading(
    files: Files,
    how: str,
    rows: Sequence[Row],
    lists: Sequence[str],
    classes: Sequence[str] = (),
    notes: Sequence[Fault] = (),
    *,
    incomplete: bool = False,
) -> Reading:
    """The reading of `rows`; missing pictures are one fault, or a note if the data set is `incomplete` everywhere."""
    entries, missing, notes = [], [], list(notes)
    for part, where, path, label in rows:
        name = plain(path)
        found = () if outside(name) else files.matches(name, "", part)
        if len(found) == 1:
            entries.append((part, Item(where, found[0], label)))
        else:
            missing.append((where, path))
    if missing:
        where, path = missing[0]
        what = f"{len(missing):,} of {len(rows):,} listed pictures are not there, {path} first"
        if incomplete and entries:
            notes.append(Fault(where, f"{what}: they are left out"))
        else:
            entries.append(("", Fault(where, f"{what}: expected them below {files.tree.source}")))
    return Reading(how, entries, tuple(classes), notes, list(lists))


def _labelled(rows: Sequence[Row], notes: list[Fault]) -> list[Row]:
    """The rows with a label; a note counts the others, which are left out as usual in this field."""
    kept = [row for row in rows if any(row[3])]
    if len(kept) < len(rows):
        without = next(row for row in rows if not any(row[3]))
        what = f"{len(rows) - len(kept):,} of {len(rows):,} pictures carry no label and are left out"
        notes.append(Fault(without[1], what))
    return kept


def _lines(files: Files, name: str) -> list[tuple[str, str]]:
    """The lines of a text that are neither blank nor comments: where they stand, and their text."""
    lines = ((number, line.strip()) for number, line in enumerate(text_of(files.content(name)).split("\n"), 1))
    return [(f"{name}:{number}", line) for number, line in lines if line and not line.startswith("#")]


def _called(files: Files, *names: str) -> list[str]:
    """Paths of the files of these names, in small letters; those in upper folders first."""
    found = (name for name in files.names if name.rpartition("/")[2].casefold() in names)
    return sorted(found, key=lambda name: (name.count("/"), name))


def _folder(name: str) -> str:
    """The folder of a file with its slash; empty at the top."""
    return name[: name.rfind("/") + 1]


# COCO


def _coco(files: Files) -> Reading | None:
    """COCO: ``instances_<part>.json``, or one such file of another name."""
    names = [name for name in files.lists if suffix_of(name) == ".json"]
    instances = [name for name in names if stem_of(name).startswith("instances_")]
    others = (name for name in names if not stem_of(name).startswith(("person_", "panoptic_", "captions_", "stuff_")))
    return read_coco(files, instances or [name for name in others if files.tree.size(name) < MOST_BYTES_OTHER_JSON])


def is_coco(files: Files, name: str) -> bool:
    """Whether the file `name` has COCO's keys; False if it cannot be read."""
    try:
        return suffix_of(name) == ".json" and all(key in files.content(name) for key in COCO_KEYS)
    except (FaultError, OSError):
        return False


def read_coco(files: Files, names: Iterable[str]) -> Reading | None:
    """The labels in those of the files `names` that have COCO's form; None if there are none.

    Raises:
        FaultError: a file is damaged, or several files do not tell their parts by their names.
    """
    contents = {}
    for name in names:
        if is_coco(files, name):
            contents[name] = _coco_content(name, files.content(name))
    if not contents:
        return None
    parts = {name: part_of_list(name) if len(contents) > 1 else "" for name in contents}
    if len(contents) > 1 and len(set(parts.values()) - {""}) < len(contents):
        first, second, *_ = contents
        raise FaultError(second, f"it and {first} are of one part: expected names such as instances_train.json")
    categories = {}
    for name, (_, named, _) in contents.items():
        if any(categories.setdefault(key, title) != title for key, title in named.items()):
            raise FaultError(name, "its categories are others than in the first file")
    columns = {key: column for column, key in enumerate(sorted(categories))}
    rows = []
    for name, (images, _, carried) in contents.items():
        for number, (key, path) in enumerate(images.items(), 1):
            label = [0] * len(columns)
            for category in carried.get(key, ()):
                label[columns[category]] = 1
            rows.append((parts[name], f"{name}:{number}", path, label))
    how = f"{', '.join(contents)} (COCO): {len(columns)} categories, multi-hot"
    return _reading(files, how, rows, list(contents), [categories[key] for key in sorted(categories)])


def _coco_content(name: str, raw: bytes) -> tuple[dict[int, str], dict[int, str], dict[int, set[int]]]:
    """Image -> path, category -> name, image -> categories."""
    try:
        content = json.loads(text_of(raw))
        images = {int(image["id"]): str(image["file_name"]) for image in content["images"]}
        categories = {int(category["id"]): str(category["name"]) for category in content["categories"]}
        carried = defaultdict(set)
        for annotation in content["annotations"]:
            carried[int(annotation["image_id"])].add(int(annotation["category_id"]))
    except (RecursionError, ValueError, TypeError, LookupError, AttributeError) as error:
        what = "expected images with id and file_name, categories with id and name, and annotations"
        raise FaultError(name, f"it is not in COCO's form ({type(error).__name__}: {error}): {what}") from error
    unknown = set().union(*carried.values()) - categories.keys()
    if unknown:
        raise FaultError(name, f"an annotation has the unknown category {min(unknown)}")
    if not categories or len(categories) > labels.MOST_LABELS or len(categories) * len(images) > labels.MOST_CELLS:
        raise FaultError(name, f"it has {len(categories)} categories: expected 1 to {labels.MOST_LABELS}")
    return images, categories, carried


# VOC


def _voc(files: Files) -> Reading | None:
    """VOC: ``ImageSets/Main/<class>_<part>.txt`` with -1, 0 and 1, and ``JPEGImages``, of one year or several."""
    pattern = re.compile(r"(.*/)?ImageSets/Main/(.+)_(trainval|train|val|test)\.txt", re.IGNORECASE)
    lists = defaultdict(dict)  # (folder of the year, part) -> class -> file
    for name in files.lists:
        if match := pattern.fullmatch(name):
            lists[match[1] or "", match[3].lower()][match[2]] = name
    if not lists:
        return None
    classes = sorted({kind for group in lists.values() for kind in group})
    has_test = any(part == "test" for _, part in lists)
    rows, read, n_difficult = [], [], 0
    for folder in sorted({folder for folder, _ in lists}):
        parts = _voc_parts({part for other, part in lists if other == folder}, has_test)
        for listed, part in parts.items():
            flags = _voc_flags(files, lists[folder, listed], classes)
            read += lists[folder, listed].values()
            for picture, (where, *own) in flags.items():
                n_difficult += own.count("0")
                rows.append((part, where, f"{folder}JPEGImages/{picture}.jpg", [int(flag == "1") for flag in own]))
    notes = []
    if n_difficult:
        what = f"{n_difficult:,} entries are 0, difficult objects alone: these pictures do not count as of the class"
        notes.append(Fault(read[0], what))
    how = f"{_folder(read[0])}<class>_<part>.txt (VOC): {len(classes)} classes, multi-hot"
    return _reading(files, how, rows, read, classes, notes)


def _voc_flags(files: Files, lists: Mapping[str, str], classes: Sequence[str]) -> dict[str, list[str]]:
    """Picture -> where it is first listed, and -1, 0 or 1 for each class, of the lists of one part."""
    flags = defaultdict(list)
    for column, kind in enumerate(classes, 1):
        if kind not in lists:
            raise FaultError(_folder(next(iter(lists.values()))), f"there is no list of {kind} for each part")
        for where, line in _lines(files, lists[kind]):
            picture, flag = [*line.split(), "", ""][:2]
            own = flags[picture]
            if flag not in ("-1", "0", "1") or len(own) != column - (column == 1):
                what = "expected a name, as in the lists of the other classes, and -1, 0 or 1"
                raise FaultError(where, f"{what}, got {line[:80]!r}")
            own += [flag] if own else [where, flag]
    if short := next((own for own in flags.values() if len(own) <= len(classes)), None):
        raise FaultError(short[0], "this picture is not in the lists of all classes")
    return flags


def _voc_parts(available: set[str], has_test: bool) -> dict[str, str]:
    """The lists of a year that are read -> their parts; VOC trains on ``trainval`` where there is a test set."""
    if has_test:
        train = ("trainval",) if "trainval" in available else ("train", "val")
        parts = {part: "train" for part in train} | {"test": "query"}
        return {part: own for part, own in parts.items() if part in available}
    if {"train", "val"} <= available:
        return {"train": "train", "val": "validation"}
    return {"trainval": ""} if "trainval" in available else {part: part_of_list(part) for part in available}


# NUS-WIDE and MIRFlickr: a file for each concept


def _nus_wide(files: Files) -> Reading | None:
    """NUS-WIDE: ``Groundtruth/TrainTestLabels`` or ``AllLabels``, ``ImageList``, and the pictures in ``Flickr``."""
    pattern = re.compile(r"(?:.*/)?(TrainTestLabels|AllLabels)/Labels_(.+?)(?:_(Train|Test))?\.txt", re.IGNORECASE)
    lists = defaultdict(dict)  # part -> concept -> file
    for name in files.lists:
        if match := pattern.fullmatch(name):
            part = (match[3] or "").lower() if match[1].casefold() == "traintestlabels" else ""
            lists[part][match[2]] = name
    if not lists:
        flickr = [name for name in files.pictures if "flickr" in name.casefold().split("/")[:-2]]
        if 2 * len(flickr) > len(files.pictures):
            what = "its folders are search terms, no classes: expected Groundtruth and ImageList of NUS-WIDE beside it"
            raise FaultError(_folder(_folder(flickr[0])[:-1]) or flickr[0], what)
        return None
    divided = {"train", "test"} <= lists.keys()
    parts = {"train": "train", "test": "query"} if divided else {"": ""}
    if not divided and "" not in lists:
        raise FaultError(next(iter(next(iter(lists.values())).values())), "expected lists of both Train and Test")
    concepts = sorted({concept for part in parts for concept in lists[part]})
    rows, read = [], []
    for part, own in parts.items():
        found = _called(files, f"{part}imagelist.txt")
        if not found:
            raise FaultError(next(iter(lists[part].values())), f"expected {part.title()}Imagelist.txt of NUS-WIDE too")
        if missing := [concept for concept in concepts if concept not in lists[part]]:
            raise FaultError(_folder(next(iter(lists[part].values()))), f"it lacks the labels of {missing[0]} {part}")
        paths = _lines(files, found[0])
        table = np.stack([_flags(files, lists[part][concept], len(paths)) for concept in concepts], axis=1)
        read += [found[0], *lists[part].values()]
        rows += [(own, *line, label) for line, label in zip(paths, table.tolist(), strict=True)]
    notes = []
    if not divided:
        rows = _labelled(rows, notes)
    how = f"{_folder(read[1])}Labels_<concept>.txt (NUS-WIDE): {len(concepts)} concepts, multi-hot"
    return _reading(files, how, rows, read, concepts, notes, incomplete=True)


def _flags(files: Files, name: str, n: int) -> np.ndarray:
    """The 0 and 1 in the n lines of a file, int (n,)."""
    values = text_of(files.content(name)).split()
    if len(values) != n:
        raise FaultError(name, f"it has {len(values):,} lines: expected {n:,}, as there are pictures in the list")
    if wrong := next((k for k, value in enumerate(values, 1) if value not in ("0", "1")), None):
        raise FaultError(f"{name}:{wrong}", f"expected 0 or 1, got {values[wrong - 1][:80]!r}")
    return np.array([value == "1" for value in values], np.int64)


def _mirflickr(files: Files) -> Reading | None:
    """MIRFlickr: pictures ``im<number>.jpg``, and for each concept a file with the numbers of its pictures."""
    numbers = {}
    if len(set(map(_folder, files.pictures))) > 1:
        return None  # the folders may be classes
    for name in files.pictures:
        if match := re.fullmatch(r"im(\d{1,9})\.jpg", name.rpartition("/")[2], re.IGNORECASE):
            numbers[int(match[1])] = name
    if not numbers or 2 * len(numbers) <= len(files.pictures):
        return None
    folders = defaultdict(dict)  # folder -> concept -> its file and the numbers in it
    for name in files.lists:
        lines = [line for _, line in _lines(files, name)]
        if lines and all(line.isdecimal() and len(line) < 10 for line in lines):
            folders[_folder(name)][stem_of(name)] = (name, {int(line) for line in lines})
    concepts = max(folders.values(), key=len, default={})
    if len(concepts) < 2:
        return None
    kinds = sorted(concepts)
    carried = [concepts[kind][1] for kind in kinds]
    rows = [("", name, name, [int(n in numbers_of) for numbers_of in carried]) for n, name in sorted(numbers.items())]
    for name, numbers_of in concepts.values():
        if unknown := numbers_of - numbers.keys():
            raise FaultError(name, f"it lists im{min(unknown)}.jpg, which is not there, and {len(unknown) - 1} more")
    notes = []
    if kinds_r1 := [kind for kind in kinds if kind.endswith("_r1")]:
        what = f"{len(kinds_r1)} of {len(kinds)} labels are the narrower ones, _r1: move these files to leave them out"
        notes.append(Fault(concepts[kinds_r1[0]][0], what))
    rows = _labelled(rows, notes)
    read = [name for name, _ in concepts.values()]
    how = f"{_folder(read[0])}<concept>.txt (MIRFlickr): {len(kinds)} concepts, multi-hot"
    return _reading(files, how, rows, read, kinds, notes)


# CelebA


def _celeba(files: Files) -> Reading | None:
    """CelebA: ``list_attr_celeba`` and, where it is there, ``list_eval_partition``, both as .txt or .csv."""
    names = _called(files, "list_attr_celeba.txt", "list_attr_celeba.csv")
    if not names:
        return None
    reading = labels.read([("", _table(files, names[0]))], files)
    partitions = _called(files, "list_eval_partition.txt", "list_eval_partition.csv")
    if partitions:
        table = _table(files, partitions[0])
        parts = {}
        for row in table.rows:
            number = row.cells[1] if len(row.cells) == 2 else ""
            if number not in ("0", "1", "2"):
                raise FaultError(row.where, "expected a picture and 0, 1 or 2 (train, validation, test)")
            for name in files.matches(plain(str(row.cells[0]))):
                parts[name] = CELEBA_PARTS[int(number)]
        for k, (_, entry) in enumerate(reading.entries):
            if isinstance(entry, Item):
                if entry.path not in parts:
                    raise FaultError(entry.where, f"{entry.path} is in no part of {partitions[0]}")
                reading.entries[k] = (parts[entry.path], entry)
        reading.files.append(partitions[0])
    return reading


def _table(files: Files, name: str) -> Listing:
    table = listing(name, files.content(name), files)
    if table is None:
        raise FaultError(name, "it lists no picture that is here: unpack the pictures beside it")
    return table


# Oxford Flowers and Pets


def _flowers(files: Files) -> Reading | None:
    """Oxford Flowers: ``imagelabels.mat`` and, where it is there, ``setid.mat``, with ``image_<number>.jpg``."""
    names = _called(files, "imagelabels.mat")
    if not names:
        return None
    kinds = _of_matlab(files, names[0], ("labels",))["labels"]
    read, parts = [names[0]], {}
    if sets := _called(files, "setid.mat"):
        numbers = _of_matlab(files, sets[0], ("trnid", "valid", "tstid"))
        for name, part in {"trnid": "train", "valid": "validation", "tstid": "query"}.items():
            parts |= dict.fromkeys(numbers[name], part)
        read.append(sets[0])
        if wrong := [number for number in range(1, len(kinds) + 1) if number not in parts]:
            raise FaultError(sets[0], f"image {wrong[0]} is in no part, nor are {len(wrong) - 1} others")
    rows = [
        (parts.get(number, ""), f"{names[0]}:{number}", f"image_{number:05}.jpg", kind)
        for number, kind in enumerate(kinds, 1)
    ]
    return _reading(files, f"{', '.join(read)} (Oxford Flowers): {len(set(kinds))} classes, by number", rows, read)


def _of_matlab(files: Files, name: str, variables: Sequence[str]) -> dict[str, list[int]]:
    """Arrays of whole numbers in a file of MATLAB, flat; a FaultError names a file that is damaged or too large."""
    expected = f"expected arrays of whole numbers {', '.join(variables)}"
    if (size := files.tree.size(name)) > MOST_BYTES_MAT:
        raise FaultError(name, f"it has {size:,} bytes: {expected}, in at most {MOST_BYTES_MAT:,} bytes")
    try:
        arrays = matlab.arrays(files.tree.bytes_of(name))
    except ValueError as error:
        raise FaultError(name, f"it cannot be read: {error}; {expected}") from error
    for variable in variables:
        values = arrays.get(variable)
        if values is None or len(values) > MOST_NUMBERS_MAT or not np.all(np.abs(values) < 1e9) or np.any(values % 1):
            raise FaultError(name, f"it has no such array {variable}: {expected}")
    return {variable: arrays[variable].astype(np.int64).tolist() for variable in variables}


def _pets(files: Files) -> Reading | None:
    """Oxford Pets: ``annotations/list.txt`` with name, class, species and breed; ``trainval.txt`` and ``test.txt``."""
    for name in _called(files, "list.txt"):
        lines = [(where, line.split()) for where, line in _lines(files, name)]
        if lines and all(len(cells) == 4 and all(map(str.isdecimal, cells[1:])) for _, cells in lines):
            break
    else:
        return None
    kinds = {}
    for where, cells in lines:
        kind = cells[0].rpartition("_")[0]
        if kinds.setdefault(cells[1], kind) != kind or not kind:
            what = f"class {cells[1]} has two names, {kinds[cells[1]]!r} and {kind!r}"
            raise FaultError(where, f"{what}: expected pictures <breed>_<number>")
    parts, read = {}, [name]
    for list_name, part in {"trainval.txt": "train", "test.txt": "query"}.items():
        if (file := f"{_folder(name)}{list_name}") in files.names:
            parts |= {line.split()[0]: part for _, line in _lines(files, file)}
            read.append(file)
    if wrong := [where for where, cells in lines if parts and cells[0] not in parts]:
        raise FaultError(wrong[0], f"it and {len(wrong) - 1} more are in no part: expected trainval.txt or test.txt")
    rows = [(parts.get(cells[0], ""), where, f"{cells[0]}.jpg", kinds[cells[1]]) for where, cells in lines]
    return _reading(files, f"{', '.join(read)} (Oxford Pets): {len(kinds)} breeds, by name", rows, read)


# Dogs vs. Cats, Tiny ImageNet, ILSVRC


def _dogs_vs_cats(files: Files) -> Reading | None:
    """Dogs vs. Cats: the class is the beginning of a picture's name, ``cat.0.jpg``; others have none."""
    rows = []
    for name in files.pictures:
        if match := re.fullmatch(r"(cat|dog)\.\d+\.jpg", name.rpartition("/")[2], re.IGNORECASE):
            rows.append(("", name, name, match[1].lower()))
    folders = {_folder(path) for _, path, _, _ in rows}
    others = set(map(_folder, {*files.pictures} - {path for _, path, _, _ in rows}))
    if len(folders) != 1 or any(part_of_folder(f"/{folder}".split("/")[-2]) != "query" for folder in others):
        return None
    return _reading(files, f"{folders.pop()}cat.<number>.jpg (Dogs vs. Cats): 2 classes, cat and dog", rows, [])


def _tiny_imagenet(files: Files) -> Reading | None:
    """Tiny ImageNet: ``train/<class>/images`` and ``val/val_annotations.txt``; the test set has no labels."""
    names = [name for name in _called(files, "val_annotations.txt") if _folder(name).endswith("val/")]
    if not names:
        return None
    root = _folder(names[0]).removesuffix("val/")
    pattern = re.compile(re.escape(root) + r"train/([^/]+)/images/[^/]+")
    rows = [("train", name, name, match[1]) for name in files.pictures if (match := pattern.fullmatch(name))]
    classes = {row[3] for row in rows}
    for where, line in _lines(files, names[0]):
        picture, kind = [*line.split(), "", ""][:2]
        if kind not in classes:
            raise FaultError(where, f"{kind!r} is no class: expected a folder of {root}train")
        rows.append(("validation", where, f"{root}val/images/{picture}", kind))
    how = f"{root}train/<class>/images, {names[0]} (Tiny ImageNet): {len(classes)} classes"
    return _reading(files, how, rows, names[:1])


def read_ilsvrc(files: Files) -> Reading | None:
    """ILSVRC: ``train/<class>``, and ``val`` without folders of classes: its classes are in a list.

    That list is ``LOC_val_solution.csv`` of Kaggle, or a list named as a part, such as ``val.txt``, of the pictures of
    ``val`` with the names of folders in ``train``. Other data sets may look so too. None if the training set has a
    list as well.

    Raises:
        FaultError: there is no such list.
    """
    trained, flat = [], []
    for name in files.pictures:
        *_, part, kind = ["", "", *name.split("/")[:-1]]
        if part_of_folder(part) == "train":
            trained.append((name, kind))
        elif part_of_folder(kind) in ("validation", "query"):
            flat.append(name)
    if not trained or not flat or any(stem_of(name) in ("train", "labels", "metadata") for name in files.lists):
        return None
    classes = {kind for _, kind in trained}
    own = [name for name in files.lists if PARTS.get(stem_of(name)) in ("validation", "query")]
    for read in [*_called(files, "loc_val_solution.csv"), *own]:
        kinds = _classes_in(files, read, classes)
        listed = [name for name in flat if _folder(name) in set(map(_folder, kinds))]
        if kinds and 2 * len(kinds) > len(listed):
            break
    else:
        folders = " and ".join(sorted({_folder(name) for name in flat}))
        what = f"{len(flat):,} pictures in {folders} have no class: expected folders of classes, or a list such as"
        raise FaultError(
            flat[0], f"{what} val.txt with lines `<name> <class>`, the classes named as in train; or move them"
        )
    if missing := [name for name in listed if name not in kinds]:
        raise FaultError(read, f"it lacks the class of {missing[0]} and of {len(missing) - 1} more")
    rows = [("train", name, name, kind) for name, kind in trained]
    rows += [(part_of_folder(name.split("/")[-2]), name, name, kinds[name]) for name in listed]
    return _reading(files, f"train/<class>, {read} (as ILSVRC): {len(classes)} classes", rows, [read])


def _classes_in(files: Files, name: str, classes: set[str]) -> dict[str, str]:
    """Picture -> class, as the rows of a list give them; a class may be the first word of a cell."""
    try:
        table = listing(name, files.content(name), files)
    except FaultError:
        return {}
    kinds: dict[str, str] = {}
    for row in table.rows if table else ():
        path, cell = row.cells[table.column], str(row.cells[-1]).split(" ")[0]
        found = files.matches(plain(path), "", part_of_list(name) or "validation") if isinstance(path, str) else ()
        if len(found) == 1 and cell in classes:
            kinds[found[0]] = cell
    return kinds


READERS: tuple[Callable[[Files], Reading | None], ...] = (
    _coco,
    _voc,
    _nus_wide,
    _celeba,
    _flowers,
    _tiny_imagenet,
    _pets,
    _mirflickr,
    _dogs_vs_cats,
)
