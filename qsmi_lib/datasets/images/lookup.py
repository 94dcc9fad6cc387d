"""The files of a data set by the names that lists give them: paths, ends of paths, with or without suffix."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import PurePosixPath

from qsmi_lib.datasets.images.archive import Tree
from qsmi_lib.datasets.images.decoding import SUFFIXES
from qsmi_lib.datasets.images.entries import FaultError
from qsmi_lib.datasets.images.files import composed

LISTS = {".txt", ".csv", ".tsv", ".lst", ".list", ".text", ".json", ".jsonl", ""}
# Data that are read in some public data sets at most.
OTHER_DATA = {".dat", ".db", ".feather", ".h5", ".hdf5", ".mat", ".npy", ".npz", ".numbers", ".ods", ".parquet"}
OTHER_DATA |= {".pickle", ".pkl", ".sqlite", ".sqlite3", ".tfrecord", ".xls", ".xlsx", ".xml", ".yaml", ".yml"}
PARTS = {
    **dict.fromkeys(("train", "training", "trainval"), "train"),
    **dict.fromkeys(("test", "testing", "query", "queries"), "query"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("database", "gallery", "retrieval"), "database"),
}
TELLING = {"annotation", "annotations", "groundtruth", "label", "labels", "metadata"}  # words of the names of lists
NO_ANSWERS = "sample_submission"  # how names of Kaggle's files begin in which all answers are dummies
MOST_LISTS = 300  # in a folder; where more texts lie, there is one for each picture
MOST_LISTS_IN_ALL = 2000  # those in the uppermost folders are read, the others named in a note
MOST_MEGABYTES = 200  # of a list; 270,000 lines with 81 labels have 50
MOST_MEGABYTES_JSON = 600  # COCO's largest has 450


class Files:
    """The files of a folder or zip.

    Args:
        tree: the folder or zip.
    """

    def __init__(self, tree: Tree):
        self.tree = tree
        self.names = list(tree.names())
        self._names = set(self.names)

    @cached_property
    def pictures(self) -> list[str]:
        """Paths of the pictures, by their suffixes."""
        return [name for name in self.names if suffix_of(name) in SUFFIXES]

    @cached_property
    def lists(self) -> list[str]:
        """Paths of the files that may be lists, those in upper folders first, but not one for each picture."""
        texts = [name for name in self.names if suffix_of(name) in LISTS and not stem_of(name).startswith(NO_ANSWERS)]
        counts = Counter(name.rpartition("/")[0] for name in texts)
        few = (name for name in texts if counts[name.rpartition("/")[0]] <= MOST_LISTS)
        return sorted(few, key=lambda name: (name.count("/"), name))[:MOST_LISTS_IN_ALL]

    def content(self, name: str) -> bytes:
        """Content of a list; a FaultError names a file that is too large."""
        most = MOST_MEGABYTES_JSON if suffix_of(name) in (".json", ".jsonl") else MOST_MEGABYTES
        if (size := self.tree.size(name)) > most * 1_000_000:
            what = f"it has {size / 1e6:.0f} MB: expected at most {most} MB of a list; if it is none, move it elsewhere"
            raise FaultError(name, what)
        return self.tree.bytes_of(name, most * 1_000_000)

    def holds(self, name: str) -> bool:
        """Whether there is a file of that path."""
        return name in self._names

    def matches(self, path: str, folder: str = "", part: str = "") -> Sequence[str]:
        """The files that a list means by `path`: one if it is unambiguous.

        Looked up are in turn: the path below the list's folder, and below ``images`` there; the same below the root;
        then the pictures whose paths end with it, with or without their suffixes; and these without regard to case.

        Args:
            path: as `plain` gives it.
            folder: of the list.
            part: of the list: of several pictures, those in a folder of that part are meant.
        """
        for below in dict.fromkeys((folder, "")):
            for candidate in (path, f"images/{path}"):
                name = f"{below}/{candidate}" if below else candidate
                if name in self._names:
                    return (name,)
        found = self._ending(path, self._by_end, str) or self._ending(
            path.casefold(), self._by_end_folded, str.casefold
        )
        if len(found) > 1 and part:
            found = [name for name in found if part in map(part_of_folder, name.split("/")[:-1])] or found
        return found

    def _ending(self, path: str, ends: Mapping[str, list[str]], form: Callable[[str], str]) -> list[str]:
        """The pictures whose paths in the form `form` end with `path`."""
        names = ends.get(path.rpartition("/")[2], ())
        paths = ((name, f"/{form(name)}") for name in names)
        return [name for name, whole in paths if whole.endswith(f"/{path}") or _stem(whole).endswith(f"/{path}")]

    @cached_property
    def _by_end_folded(self) -> dict[str, list[str]]:
        """As `_by_end`, in small letters."""
        ends = defaultdict(dict)  # a dict keeps each path once
        for end, names in self._by_end.items():
            ends[end.casefold()] |= dict.fromkeys(names)
        return {end: list(names) for end, names in ends.items()}

    @cached_property
    def _by_end(self) -> dict[str, list[str]]:
        """File name, with and without suffix -> paths of pictures."""
        ends = defaultdict(list)
        for name in self.pictures:
            last = name.rpartition("/")[2]
            ends[last].append(name)
            ends[_stem(last)].append(name)
        return ends


def plain(path: str) -> str:
    """`path` with slashes, composed letters, and no empty steps."""
    path = composed(path) if "\\" in path or not path.isascii() else path
    return str(PurePosixPath(path)) if "//" in path or "./" in path or path.endswith("/") else path


def outside(path: str) -> bool:
    """Whether a plain path leads out of the root."""
    return path.startswith("/") or re.match(r"[A-Za-z]:", path) is not None or ".." in path.split("/")


def suffix_of(name: str) -> str:
    """Suffix in small letters, with its dot."""
    _, dot, end = name.rpartition(".")
    return f".{end.lower()}" if dot and "/" not in end else ""


def stem_of(name: str) -> str:
    """Name of a file without folders and suffix, in small letters."""
    return PurePosixPath(name).stem.casefold()


def words(name: str) -> list[str]:
    """The words of a file's name in small letters: ``trainLabels_2014.csv`` has train and labels."""
    return words_in(PurePosixPath(name).stem)


def words_in(text: str) -> list[str]:
    """The words of a name in small letters, also of one such as ``trainLabels``."""
    return [word.casefold() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", text)]


def telling(name: str) -> bool:
    """Whether a file must be a list, by its name."""
    return bool(TELLING & set(words(name))) or stem_of(name) in PARTS


def part_of_folder(name: str) -> str:
    """The part that a folder's name means, ``train2014`` as ``train``; empty if none."""
    return PARTS.get(name.casefold().rstrip("0123456789"), "")


def part_of_list(name: str) -> str:
    """The part that a list's name means, or else that of the nearest of its folders; empty if none or two."""
    *folders, file = name.split("/")
    if parts := {PARTS[word] for word in words(file) if word in PARTS}:
        return parts.pop() if len(parts) == 1 else ""
    return next(filter(None, map(part_of_folder, reversed(folders))), "")


def _stem(path: str) -> str:
    return path.rpartition(".")[0] if suffix_of(path) in SUFFIXES else path
