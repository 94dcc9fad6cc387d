"""Queries of data sets that no one has divided: so many a label, or so many at random; drawn by hash."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PerLabel:
    """So many queries a label; all other items train and are the database.

    Attributes:
        n: queries a label; None: as many as make a tenth of the items, but at most half of those that carry the label.
    """

    n: int | None = None

    def __str__(self) -> str:
        return f"{self.n or 'tenth'}-a-label"

    def parts(self, labels: np.ndarray, draw: int) -> Mapping[str, np.ndarray]:
        """Rows of the parts "train", "query" and "database", whose rows are those of "train"."""
        counts = member_of(labels).sum(axis=0)
        tenth = np.minimum(max(1, len(labels) // (10 * len(counts))), counts // 2)  # a rare label keeps what trains
        query = per_label(labels, self.n or tenth, draw)
        return {"train": np.flatnonzero(~query), "query": np.flatnonzero(query), "database": np.flatnonzero(~query)}


@dataclass(frozen=True)
class AtRandom:
    """So many queries; all other items are the database, and so many of them train.

    Attributes:
        n_query: queries.
        n_train: training items.
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


def by_hash(n: int, draw: int) -> np.ndarray:
    """Rows 0 to n - 1 in the order of the SHA-256 of draw and row: a random order, the same everywhere."""
    return np.argsort([hashlib.sha256(f"{draw}:{row}".encode()).hexdigest() for row in range(n)])


def member_of(labels: np.ndarray) -> np.ndarray:
    """Which item carries which label: bool (n_items, c)."""
    return labels.astype(bool) if labels.ndim == 2 else labels[:, None] == np.unique(labels)


def per_label(labels: np.ndarray, n: int | np.ndarray, draw: int) -> np.ndarray:
    """Which items are queries, n a label: bool.

    Items come in a random order; each becomes a query of the first of its labels that still wants one. A query with
    several labels counts for that one alone.

    Args:
        labels: int (n_items,), or multi-hot (n_items, c).
        n: how many queries each label, one number or (c,).
        draw: number of the draw.

    Raises:
        ValueError: a label with fewer than n items left; it is named by its column.
    """
    member, query = member_of(labels), np.zeros(len(labels), bool)
    asked = np.broadcast_to(n, member.shape[1])
    wanting = asked.copy()
    for row in by_hash(len(labels), draw):
        open_labels = np.flatnonzero(member[row] & (wanting > 0))
        if len(open_labels):
            query[row], wanting[open_labels[0]] = True, wanting[open_labels[0]] - 1
    if wanting.any():
        short = int(wanting.argmax())
        raise ValueError(
            f"expected {asked[short]} queries for each label, got {asked[short] - wanting[short]} for label {short}"
        )
    return query
