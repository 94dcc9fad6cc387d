"""Rankings by cosine and by Hamming distance, their average precision, and recall of neighbours.

A block of rankings is int64 (rows, n_database): for each query the database indices, the best first. Blocks of queries
bound the memory.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from numpy.typing import ArrayLike

from qsmi_lib.evaluation.neighbors import nearest
from qsmi_lib.evaluation.validation import label_pair

PAIRS = 1 << 22  # of a query and an item in a block, about 100 MB
TINY = np.finfo(np.float32).tiny  # features of a picture may all be 0
ROWS = 4096  # of the database that are float64 at once
STEPS = 1 << 30  # of the cosine from 0 to 1: wider than the rounding errors of float64, finer than those of float32


def cosine_rankings(queries: np.ndarray, database: np.ndarray) -> Iterator[np.ndarray]:
    r"""The database by falling cosine :math:`x \cdot y / (\|x\| \|y\|)` for each query, ties in database order.

    The cosine is computed in float64 and rounded to multiples of `1 / STEPS`, so that equal cosines are tied.

    Args:
        queries: (n_query, d), floating, without a vector of zeros.
        database: (n_database, d), likewise.

    Yields:
        Blocks of rankings, the queries in their order.
    """
    rows = max(1, PAIRS // len(database))
    for first in range(0, len(queries), rows):
        block = _unit(queries[first : first + rows])
        steps = np.empty((len(block), len(database)), np.int32)
        for start in range(0, len(database), ROWS):
            steps[:, start : start + ROWS] = np.rint(block @ _unit(database[start : start + ROWS]).T * -STEPS)
        yield np.argsort(steps, axis=1, kind="stable")


def hamming_rankings(queries: np.ndarray, database: np.ndarray) -> Iterator[np.ndarray]:
    """The database by rising Hamming distance for each query, ties in database order.

    Args:
        queries: codes (n_query, bits) of -1 and +1.
        database: (n_database, bits).

    Yields:
        Blocks of rankings, the queries in their order.
    """
    rows = max(1, PAIRS // len(database))
    for first in range(0, len(queries), rows):
        yield nearest(queries[first : first + rows], database, len(database))


def reordered(
    rankings: Iterable[np.ndarray], queries: np.ndarray, features: Callable[[np.ndarray], np.ndarray], n: int
) -> Iterator[np.ndarray]:
    """`rankings` with their first `n` items by falling cosine; equal ones keep their order.

    Args:
        rankings: blocks, which together have a row for each query.
        queries: (n_query, d).
        features: database indices -> vectors (k, d).
        n: how many items are ordered.
    """
    start = 0
    for block in rankings:
        for row, items in enumerate(block[:, :n]):
            block[row, :n] = items[by_cosine(queries[start + row], features(items))]
        start += len(block)
        yield block


def by_cosine(query: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The order of `vectors` (n, d) by falling cosine with `query` (d,); equal ones keep their order."""
    [[order]] = cosine_rankings(query[None], vectors)
    return order


def average_precision(ranking: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    r"""AP of the whole ranking: :math:`\frac1R \sum_{r \text{ relevant}} P(r)`, P(r) the precision at rank r.

    Args:
        ranking: int (n_query, n_database), a block of rankings.
        relevant: bool (n_query, n_database), by database index.

    Returns:
        float64 (n_query,); NaN where nothing is relevant.
    """
    hits = np.take_along_axis(relevant, ranking, axis=1)
    found = hits.cumsum(axis=1)
    precision = np.where(hits, found / np.arange(1, hits.shape[1] + 1), 0.0)
    with np.errstate(invalid="ignore"):
        return precision.sum(axis=1) / found[:, -1]


def mean_average_precision(
    rankings: Iterable[np.ndarray], query_labels: ArrayLike, database_labels: ArrayLike
) -> float:
    """Mean AP of `rankings` over the queries to which something is relevant.

    An item is relevant if it has the class of the query, or at least one of its labels.

    Args:
        rankings: blocks, which together have a row for each query.
        query_labels: class numbers or text (n_query,), or multi-hot (n_query, c) of 0 and 1.
        database_labels: (n_database,) or (n_database, c), as `query_labels`.

    Raises:
        ValueError: labels of another number or kind, or nothing relevant to any query.
    """
    queries, database = label_pair(
        query_labels, database_labels, len(query_labels), len(database_labels), torch.device("cpu")
    )
    scores, first = [], 0
    for ranking in rankings:
        block = queries[first : first + len(ranking)]
        scores.append(average_precision(ranking, _relevance(block, database)))
        first += len(ranking)
    ap = np.concatenate(scores)
    if len(ap) != len(queries):
        raise ValueError(f"rankings must have a row for each of the {len(queries)} queries, got {len(ap)}")
    if np.isnan(ap).all():
        raise ValueError(f"no query has anything relevant in the database: none of {len(ap)}")
    return float(np.nanmean(ap))


def recall_of_neighbours(found: np.ndarray, expected: np.ndarray) -> float:
    """Share of the `expected` items of each query that are among those `found`, the mean over queries.

    Args:
        found: int (n_query, k), database indices.
        expected: int (n_query, m), different ones in each row, m at least 1.
    """
    return float(np.mean([np.isin(items, answers).mean() for answers, items in zip(found, expected, strict=True)]))


def _unit(vectors: np.ndarray) -> np.ndarray:
    """`vectors` as float64 of length 1 or 0. The largest value is divided out first: squares of tiny ones are 0."""
    scaled = vectors / np.maximum(np.abs(vectors).max(axis=1, keepdims=True), TINY).astype(np.float64)
    return scaled / np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), TINY)


def _relevance(queries: np.ndarray, database: np.ndarray) -> np.ndarray:
    """Whether each item is relevant to each query: bool (n_query, n_database)."""
    if queries.ndim == 1:
        return queries[:, None] == database
    return queries.astype(np.float32) @ database.T.astype(np.float32) > 0
