"""What answers of hash tables are worth: their relevance, and AP@10 by two rules for what an answer lacks."""

import numpy as np
from numpy.typing import ArrayLike

from qsmi_lib.search.lsh import MISSING, K

CONVENTIONS = ("published", "clean")


def relevance_of(items: ArrayLike, query_labels: ArrayLike, database_labels: ArrayLike) -> np.ndarray:
    """Which answers are relevant: int8 (n_query, k) of 1, 0 and, where an item is missing, `MISSING`.

    Args:
        items: int (n_query, k), database indices or `MISSING`.
        query_labels: int (n_query,).
        database_labels: int (n_database,).
    """
    items, asked, kept = map(np.asarray, (items, query_labels, database_labels))
    if items.ndim != 2 or asked.shape != items.shape[:1] or kept.ndim != 1:
        raise ValueError(
            "items must have shape (n_query, k), labels (n_query,) and (n_database,), "
            f"got {items.shape}, {asked.shape} and {kept.shape}"
        )
    if items.size and not (items.min() >= MISSING and items.max() < len(kept)):
        wrong = items[(items < MISSING) | (items >= len(kept))][0]
        raise ValueError(f"items must be indices of the {len(kept)} database items, or {MISSING}, got {wrong}")
    same = (kept[items] == asked[:, None]).astype(np.int8)
    return np.where(items == MISSING, np.int8(MISSING), same)


def ap_at_10(relevance: ArrayLike, convention: str = "clean") -> np.ndarray:
    """AP of the first ten ranks over the relevant ones among them, by one of two rules for what an answer lacks.

    - "published": missing ranks count as relevant, in the sum and in the divisor. An empty answer scores 1.
    - "clean": missing ranks count as not relevant.

    By both a query with no relevant rank scores 0. For an answer of ten this is `Evaluation.map_at_k_hits` of a query.

    Args:
        relevance: (n_query, at most 10) of 1, 0 and `MISSING`, a row an answer; ranks beyond the last are missing.
        convention: one of `CONVENTIONS`.

    Returns:
        float64 (n_query,).

    Raises:
        ValueError: relevance of another shape or with other values; an unknown convention.
    """
    relevance = np.asarray(relevance)
    if relevance.ndim != 2 or relevance.shape[1] > K:
        raise ValueError(f"relevance must have shape (n_query, at most {K}), got {relevance.shape}")
    if not np.isin(relevance, (0, 1, MISSING)).all():
        raise ValueError(f"relevance must hold 1, 0 and {MISSING} only")
    if convention not in CONVENTIONS:
        raise ValueError(f"convention must be one of {CONVENTIONS}, got {convention!r}")
    ranks = np.pad(relevance.astype(np.int64), ((0, 0), (0, K - relevance.shape[1])), constant_values=MISSING)
    gain = ranks == 1 if convention == "clean" else ranks != 0
    precision = gain.cumsum(axis=1) / np.arange(1, K + 1)
    return (gain * precision).sum(axis=1) / np.maximum(gain.sum(axis=1), 1)
