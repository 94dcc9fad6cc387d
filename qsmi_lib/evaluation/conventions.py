"""Other conventions of the field, for one query: what a published "mAP" may mean where it differs from `evaluate`.

`relevant` is 1 or 0 for each database item in the order of the ranking, nearest first, ties already broken. R is the
number of ones, :math:`g_r` is the value at rank r, :math:`P(r)` the precision at rank r. Undefined values are nan: a
`numpy.nanmean` over queries then skips the query, and `numpy.nan_to_num` before the mean counts it as 0.
"""

import numpy as np
from numpy.typing import ArrayLike

from qsmi_lib.utils.arrays import on_host
from qsmi_lib.utils.validation import whole_number

DENOMINATORS = ("R", "min(R, k)", "hits", "k")


def average_precision_at_k(relevant: ArrayLike, k: int | None = None, *, denominator: str = "R") -> float:
    r"""Average precision over the first k ranks, :math:`\frac{1}{D} \sum_{r=1}^{k} g_r P(r)`.

    D is, by `denominator`,

    - "R": all relevant items of the database (ranx, pytorch-metric-learning). Always below 1 if k < R;
    - "min(R, k)": the most relevant items that fit into k ranks (recommenders, hashranking; `Evaluation.map_at_k`);
    - "hits": the relevant items in the first k ranks (DeepHash-pytorch, torchmetrics; `Evaluation.map_at_k_hits`).
      Missed items cost nothing. HashNet skips a query without hits, DeepHash-pytorch and `Evaluation` count it as 0;
    - "k": the number of ranks (RePlay, which later changed to min(R, k)). Always below 1 if R < k, and never above
      the precision at rank k.

    Args:
        relevant: (n,) of 0 and 1.
        k: between 1 and n; None is n, for which all denominators but "k" are equal.
        denominator: one of `DENOMINATORS`.

    Returns:
        nan if D is 0. D = k is never 0: a query without hits then scores 0.

    Raises:
        ValueError: `relevant` that is empty, not (n,) or holds other values than 0 and 1; k or denominator unknown.
    """
    relevant = _ranked(relevant)
    k = len(relevant) if k is None else whole_number("k", k, 1, len(relevant))
    if denominator not in DENOMINATORS:
        raise ValueError(f"denominator must be one of {DENOMINATORS}, got {denominator!r}")
    n_relevant, hits = relevant.sum(), relevant[:k].sum()
    divisor = {"R": n_relevant, "min(R, k)": min(n_relevant, k), "hits": hits, "k": k}[denominator]
    return _area(relevant[:k]) / divisor if divisor else np.nan


def average_precision_last_dropped(relevant: ArrayLike) -> float:
    """AP of all ranks but the last, divided by their hits: the slice ``[0:topk]`` with ``topk = -1``.

    This is "mAP@ALL" of DeepHash-pytorch on CIFAR-10. The difference shows in small databases only. nan if no relevant
    item is left.
    """
    shortened = _ranked(relevant)[:-1]
    return _area(shortened) / shortened.sum() if shortened.any() else np.nan


def average_precision_first_missed(relevant: ArrayLike) -> float:
    r"""AP as an area, :math:`\sum_r P(r)\,(\rho_r - \rho_{r-1})` with recall :math:`\rho`, without its first step.

    A hit at rank 1 adds nothing, and a perfect ranking scores (R - 1) / R (``AP.m`` of MIHash and TALR). nan if
    nothing is relevant.
    """
    relevant = _ranked(relevant)
    return (_area(relevant) - relevant[0]) / relevant.sum() if relevant.any() else np.nan


def precision_at_recall_reached(relevant: ArrayLike) -> np.ndarray:
    """Precision at the first rank whose recall is at least 0, 0.1, ... 1: the literal reading of Eq. 22.

    `Evaluation.precision_at_recall` uses the *nearest* recall, as the authors' code does. That is often an earlier
    rank with a higher precision.

    Returns:
        (11,), nan if nothing is relevant.
    """
    relevant = _ranked(relevant)
    return _precision(relevant)[_reached(relevant)] if relevant.any() else np.full(11, np.nan)


def precision_at_recall_interpolated(relevant: ArrayLike) -> np.ndarray:
    """The highest precision at any rank whose recall is at least 0, 0.1, ... 1 (textbooks, TREC, PASCAL VOC 2007).

    It is at least `precision_at_recall_reached`, and never increases with the recall.

    Returns:
        (11,), nan if nothing is relevant.
    """
    relevant = _ranked(relevant)
    if not relevant.any():
        return np.full(11, np.nan)
    precision = _precision(relevant)
    return np.array([precision[first:].max() for first in _reached(relevant)])


def precision_within_radius(distances: ArrayLike, relevant: ArrayLike, radius: int = 2) -> float:
    """Share of relevant items among those within Hamming distance `radius`; nan if there are none.

    `numpy.nanmean` over queries skips empty balls; `Evaluation.precision_radius2` counts them as 0.

    Args:
        distances: (n,), in any order.
        relevant: (n,) of 0 and 1, in the same order.
        radius: the largest distance inside the ball.
    """
    distances, relevant = on_host("distances", distances), _ranked(relevant)
    if distances.shape != relevant.shape:
        raise ValueError(f"distances must have the shape {relevant.shape} of relevant, got {distances.shape}")
    ball = relevant[distances <= radius]
    return ball.mean() if ball.size else np.nan


def _ranked(relevant: ArrayLike) -> np.ndarray:
    """`relevant` as int64, checked."""
    relevant = on_host("relevant", relevant)
    if relevant.ndim != 1 or not relevant.size:
        raise ValueError(f"relevant must have shape (n,) with at least one item, got {relevant.shape}")
    if not np.isin(relevant, (0, 1)).all():
        raise ValueError(f"relevant must hold 0 and 1 only, got {np.setdiff1d(relevant, (0, 1))[0]}")
    return relevant.astype(np.int64)


def _precision(relevant: np.ndarray) -> np.ndarray:
    """P(r) at every rank."""
    return relevant.cumsum() / np.arange(1, len(relevant) + 1)


def _area(relevant: np.ndarray) -> float:
    """Sum of the precision at the ranks of the relevant items."""
    return relevant @ _precision(relevant)


def _reached(relevant: np.ndarray) -> list[int]:
    """Index of the first rank with recall at least 0, 0.1, ... 1, compared in integers."""
    seen = relevant.cumsum()
    return [int(np.argmax(10 * seen >= level * seen[-1])) for level in range(11)]
