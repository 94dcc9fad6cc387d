"""Splits: train, query and database, and the checks that nothing leaks between them."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Part:
    """Items and their labels, row by row.

    Attributes:
        inputs: (n, channels, height, width) normalised images, or (n, features); floating.
        labels: int64 (n,), or multi-hot (n, c).
    """

    inputs: Tensor
    labels: Tensor

    def __post_init__(self):
        if len(self.inputs) != len(self.labels):
            raise ValueError(f"a part must have one label per item, got {len(self.inputs)} and {len(self.labels)}")

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, which: Tensor | slice) -> "Part":
        return Part(self.inputs[which], self.labels[which])

    def to(self, device: torch.device | str) -> "Part":
        """The part on `device`."""
        return Part(self.inputs.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Split:
    """A data set as a protocol divides it; the database may be the training part itself.

    Attributes:
        name: registry name of the data set.
        fingerprint: says which data and which division; part of every run's id.
        classes: names of the classes, in the order of the labels.
    """

    name: str
    train: Part
    query: Part
    database: Part
    fingerprint: str
    classes: tuple[str, ...]

    def to(self, device: torch.device | str) -> "Split":
        """The split on `device`; a database that is the training part stays the same tensors."""
        train = self.train.to(device)
        database = train if self.database is self.train else self.database.to(device)
        return Split(self.name, train, self.query.to(device), database, self.fingerprint, self.classes)


def overlap(part: Part, other: Part) -> int:
    """How many items of `part` lie in `other` too, compared by their exact values."""
    contents = {item.tobytes() for item in other.inputs.cpu().numpy()}
    return sum(item.tobytes() in contents for item in part.inputs.cpu().numpy())


def stratified(labels: np.ndarray, n_query: int, draw: int) -> np.ndarray:
    """Which items are queries: bool (n,), each class in proportion, drawn by hash and so the same everywhere.

    Largest remainders settle the rounding; inside a class the items with the smallest SHA-256 of draw and index go.

    Args:
        labels: int (n,).
        n_query: how many queries, between 0 and n.
        draw: number of the draw.

    Raises:
        ValueError: more queries than items.
    """
    if not 0 <= n_query <= len(labels):
        raise ValueError(f"n_query must lie between 0 and {len(labels)}, got {n_query}")
    classes, counts = np.unique(labels, return_counts=True)
    share = counts * n_query / len(labels)
    quota = np.floor(share).astype(int)
    quota[np.argsort(quota - share, kind="stable")[: n_query - quota.sum()]] += 1
    key = np.array([hashlib.sha256(f"{draw}:{index}".encode()).hexdigest() for index in range(len(labels))])
    query = np.zeros(len(labels), bool)
    for name, n in zip(classes, quota, strict=True):
        members = np.flatnonzero(labels == name)
        query[members[np.argsort(key[members])[:n]]] = True
    return query
