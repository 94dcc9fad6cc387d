"""Random choices of items, drawn by hash and therefore equal on every machine."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PerLabel:
    """A fixed number of queries for each label; all other items are training set and database.

    Attributes:
        n: queries for each label. None: as many as make a tenth of the items, but at most half of those that carry the
            label.
    """

    n: int | None = None

    def __str__(self) -> str:
        return f"{self.n or 'tenth'}-a-label"

    def parts(self, labels: np.ndarray, draw: int) -> Mapping[str, np.ndarray]:
        """Rows of the parts "train", "query" and "database"; those of "train" and "database" are equal."""
        counts = member_of(labels).sum(axis=0)
        tenth = np.minimum(max(1, len(labels) // (10 * len(counts))), counts // 2)  # half of a rare label is trained on
        query = per_label(labels, self.n or tenth, draw)
        return {"train": np.flatnonzero(~query), "query": np.flatnonzero(query), "database": np.flatnonzero(~query)}


@dataclass(frozen=True)
class AtRandom:
    """A fixed number of queries; all other items are the database, and a fixed number of these are the training set.

    Attributes:
        n_query: number of queries.
        n_train: number of training items.
    """

    n_query: int
    n_train: int

    def __str__(self) -> str:
        return f"{self.n_query}-at-random-{self.n_train}-train"

    def parts(self, labels: np.ndarray, draw: int) -> Mapping[str, np.ndarray]:
        """Rows of the parts "train", "query" and "database"; a ValueError where there are too few items."""
        if len(labels) < self.n_query + self.n_train:
            raise ValueError(f"expected at least {self.n_query} + {self.n_train} items, got {len(labels)}")
        order = by_hash(len(labels), draw)
        query, database = np.sort(order[: self.n_query]), order[self.n_query :]
        return {"train": np.sort(database[: self.n_train]), "query": query, "database": np.sort(database)}


def hash_order(names: Iterable[str]) -> np.ndarray:
    """Indices of `names` in the order of the SHA-256 of each name."""
    return np.argsort([hashlib.sha256(name.encode()).hexdigest() for name in names])


def by_hash(n: int, draw: int) -> np.ndarray:
    """Rows 0 to n - 1 in the order of the SHA-256 of draw and row: a random order that is equal on every machine."""
    return hash_order(f"{draw}:{row}" for row in range(n))


def member_of(labels: np.ndarray) -> np.ndarray:
    """Which item carries which label: bool (n_items, c)."""
    return labels.astype(bool) if labels.ndim == 2 else labels[:, None] == np.unique(labels)


def stratified(labels: np.ndarray, n_query: int, draw: int) -> np.ndarray:
    """A stratified choice of queries: bool (n,), each class in proportion.

    The rounding follows the method of largest remainders. Within a class, items are taken in the order `by_hash`.

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
    order = by_hash(len(labels), draw)
    query = np.zeros(len(labels), bool)
    for name, n in zip(classes, quota, strict=True):
        query[order[labels[order] == name][:n]] = True
    return query


def per_label(labels: np.ndarray, n: int | np.ndarray, draw: int) -> np.ndarray:
    """A choice of n queries for each label: bool (n_items,).

    Items are visited in a random order. Each becomes a query of the first of its labels that has too few queries so
    far. A query with several labels counts for that one alone.

    Args:
        labels: int (n_items,), or multi-hot (n_items, c).
        n: how many queries for each label, one number or (c,).
        draw: number of the draw.

    Raises:
        ValueError: a label with too few items; it is named by its column.
    """
    member, query = member_of(labels), np.zeros(len(labels), bool)
    quota = np.broadcast_to(n, member.shape[1])
    missing = quota.copy()
    for row in by_hash(len(labels), draw):
        open_labels = np.flatnonzero(member[row] & (missing > 0))
        if len(open_labels):
            query[row], missing[open_labels[0]] = True, missing[open_labels[0]] - 1
    if missing.any():
        label = int(missing.argmax())
        raise ValueError(
            f"expected {quota[label]} queries for each label, got {quota[label] - missing[label]} for label {label}"
        )
    return query
