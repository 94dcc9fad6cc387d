"""What a reader of labels gives: the pictures with their labels, the faults, and how the files were understood."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

FORMS = (
    "lists of lines `path 0 1 0 ...` (one list, or train.txt, test.txt and database.txt), a table such as labels.csv "
    "with a column a label or a column of classes, or folders <class>/<name> or <part>/<class>/<name>"
)
MOST_NAMED = 6  # files in a note


class Fault(NamedTuple):
    """An error in a data set, or a note on it: where, and what."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class FaultError(ValueError):
    """A file that contains labels, but cannot be read: where, and what."""

    def __init__(self, where: str, what: str):
        super().__init__(f"{where}: {what}")
        self.fault = Fault(where, what)


class Item(NamedTuple):
    """A picture with its labels.

    Attributes:
        where: the line that lists it, ``<file>:<line>``; in folders its path.
        path: below the root, with slashes.
        labels: 0 or 1 for each label; or the name or number of its class; or the set of the names of its labels.
    """

    where: str
    path: str
    labels: Sequence[int] | str | int | frozenset[str]


@dataclass
class Reading:
    """The labels of a data set as a reader understands them.

    Attributes:
        how: which files were read, and how, in one line; empty if they could not be.
        entries: pairs of a part ("train", "query", "database", "validation" or "") and an item or a fault.
        classes: names of the labels, if the files give names for multi-hot columns.
        notes: what is allowed but worth knowing.
        files: that were read, or are faults.
    """

    how: str = ""
    entries: list[tuple[str, Item | Fault]] = field(default_factory=list)
    classes: tuple[str, ...] = ()
    notes: list[Fault] = field(default_factory=list)
    files: list[str] = field(default_factory=list)


def count(names: Sequence[str], one: str, several: str) -> str:
    """How many names there are, with the words for one or for several."""
    return f"{len(names):,} {one if len(names) == 1 else several}"


def first_names(names: Sequence[str]) -> str:
    """The first names, for a message."""
    return ", ".join([*names[:MOST_NAMED], *(["..."] if len(names) > MOST_NAMED else [])])


def label_names(label: Sequence[int] | str | int | frozenset[str], classes: Sequence[str]) -> str:
    """The labels of an item in words."""
    if isinstance(label, str | int):
        return str(label)
    if not isinstance(label, frozenset):
        label = [name for name, flag in zip(classes, label, strict=False) if flag]
    return ", ".join(sorted(label)) or "no label"
