"""What every data set offers, and what it gives: a split into training set, queries and database."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from qsmi_lib.utils.arrays import label_tensor


@dataclass(frozen=True)
class Part:
    """Items and their labels, row by row.

    Attributes:
        inputs: (n, channels, height, width) images, or (n, features).
        labels: int64 (n,), or multi-hot (n, c), c at least 2. Class numbers of another type, or in one column (n, 1),
            become int64 (n,): so losses, which index by them, and `evaluate` understand them alike.
    """

    inputs: Tensor
    labels: Tensor

    def __post_init__(self):
        usual = isinstance(self.labels, Tensor) and (
            self.labels.dtype == torch.int64 if self.labels.ndim == 1 else self.labels.shape[1:] > (1,)
        )
        if not usual:
            object.__setattr__(self, "labels", label_tensor("labels", self.labels))
        if len(self.inputs) != len(self.labels):
            raise ValueError(f"a part must have one label per item, got {len(self.inputs)} and {len(self.labels)}")

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, rows: Tensor | slice) -> "Part":
        return Part(self.inputs[rows], self.labels[rows])

    def to(self, device: torch.device | str) -> "Part":
        """The part on `device`."""
        return Part(self.inputs.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Split:
    """A data set as a protocol divides it; the database may be the training set itself.

    Attributes:
        name: registry name of the data set.
        fingerprint: identifies the data and the division; part of the id of every run.
        classes: names of the classes, in the order of the labels.
    """

    name: str
    train: Part
    query: Part
    database: Part
    fingerprint: str
    classes: tuple[str, ...]

    def to(self, device: torch.device | str) -> "Split":
        """The split on `device`; a database that is the training set stays the same tensors."""
        train = self.train.to(device)
        database = train if self.database is self.train else self.database.to(device)
        return Split(self.name, train, self.query.to(device), database, self.fingerprint, self.classes)


class Dataset(ABC):
    """A data set that can be loaded by name.

    Attributes:
        name: in the registry.
        classes: names of the classes, in the order of the labels.
        mean, std: by which the pixels, scaled to [0, 1], are normalised; None where `load` gives uint8 pictures.
        fetch: how to get the data; empty where they cannot be missing.
    """

    name: str
    classes: tuple[str, ...]
    mean: float | None = None
    std: float | None = None
    fetch: str = ""

    @abstractmethod
    def find(self) -> Path | str | None:
        """Where the data lie, or None if they are not on this machine."""

    @abstractmethod
    def fingerprint(self, draw: int) -> str:
        """Identifies the data and the division; computed without the data where possible.

        Raises:
            ValueError: the data set has no such draw.
        """

    @abstractmethod
    def load(self, draw: int) -> Split:
        """The data set as published, divided by `draw` where it is not divided already.

        Raises:
            FileNotFoundError: the data are not on this machine; the message says how to get them.
            ValueError: no such draw, or a damaged file, which is named.
        """


def overlap(part: Part, other: Part) -> int:
    """How many items of `part` are also in `other`, compared by their exact values."""
    contents = {item.tobytes() for item in other.inputs.cpu().numpy()}
    return sum(item.tobytes() in contents for item in part.inputs.cpu().numpy())
