"""Relevance rules of retrieval: how much a database item is worth to a query, as whole numbers."""

from typing import NamedTuple

import numpy as np

RULES = ("share-one", "fraction")  # as `evaluate` takes them


class Gains(NamedTuple):
    """Labels in the form the ranking kernels read; the gain of an item is a whole number in units of 1 / unit.

    Attributes:
        query: int64 (n_query, width); the label, or a multi-hot row as 64 labels a word.
        database: int64 (n_database, width).
        multi_hot: whether a row is a set of labels rather than one label.
        graded: whether the gain is the number of shared labels, rather than 1 where there is any.
        unit: int64 (n_query,); a relevant item's gain lies in 1 to unit: the query's number of labels, or 1.
    """

    query: np.ndarray
    database: np.ndarray
    multi_hot: bool
    graded: bool
    unit: np.ndarray


def gains(query_labels: np.ndarray, database_labels: np.ndarray, graded: bool) -> Gains:
    """The labels under "share-one" (a gain of 0 or 1) or, graded, under "fraction" (share of the query's labels).

    Args:
        query_labels: int (n_query,), or multi-hot (n_query, c) of 0 and 1.
        database_labels: likewise, of the same form and c.
        graded: for multi-hot labels only; with single labels both rules say the same.
    """
    if query_labels.ndim == 1:
        query, database = (labels.astype(np.int64)[:, None] for labels in (query_labels, database_labels))
        return Gains(query, database, False, False, np.ones(len(query), np.int64))
    query, database = _words(query_labels), _words(database_labels)
    unit = np.maximum(query_labels.sum(axis=1, dtype=np.int64), 1) if graded else np.ones(len(query), np.int64)
    return Gains(query, database, True, graded, unit)


def _words(multi_hot: np.ndarray) -> np.ndarray:
    """Multi-hot rows (n, c) as int64 words (n, ceil(c / 64))."""
    octets = np.packbits(multi_hot.astype(bool), axis=1)
    words = np.zeros((len(multi_hot), max(1, -(-multi_hot.shape[1] // 64)) * 8), np.uint8)
    words[:, : octets.shape[1]] = octets
    return words.view(np.int64)
