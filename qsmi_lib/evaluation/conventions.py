"""Other conventions of the field, one query at a time: what a published "mAP" may mean when it is not `evaluate`'s.

`relevant` is 1 or 0 for each database item in the order of the ranking, nearest first, ties already broken. R is the
number of ones, :math:`g_r` the r-th of them, :math:`P(r)` the precision at rank r. A value that a convention leaves
undefined is nan: `numpy.nanmean` over queries then skips the query, and `numpy.nan_to_num` before the mean counts it 0.
"""

import numpy as np
from numpy.typing import ArrayLike

from qsmi_lib.utils.validation import whole_number

DENOMINATORS = ("R", "min(R, k)", "hits", "k")


def average_precision_at_k(relevant: ArrayLike, k: int | None = None, *, denominator: str = "R") -> float:
    r"""Average precision over the first k ranks, :math:`\frac{1}{D} \sum_{r=1}^{k} g_r P(r)`.

    D is, by `denominator`,

    - "R": all relevant items of the database, found or not (ranx, pytorch-metric-learning). Below 1 wherever k < R;
    - "min(R, k)": as many as could stand in the first k ranks (recommenders, hashranking; `Evaluation.map_at_k`);
    - "hits": the relevant items in the first k ranks (DeepHash-pytorch, torchmetrics; `Evaluation.map_at_k_hits`).
      What is not found costs nothing. HashNet skips a query without hits, DeepHash-pytorch and `Evaluation` count it 0;
    - "k": the ranks that were shown (RePlay, which later took min(R, k)). Below 1 wherever R < k, and never above the
      precision at rank k.

    Args:
        relevant: (n,) of 0 and 1.
        k: between 1 and n; None is n, where all but "k" agree.
        denominator: one of `DENOMINATORS`.

    Returns:
        nan where D is 0; D = k never is, and a query without hits then scores 0.
    """
    relevant = _ranked(relevant)
    k = len(relevant) if k is None else whole_number("k", k, 1, len(relevant))
    if denominator not in DENOMINATORS:
        raise ValueError(f"denominator must be one of {DENOMINATORS}, got {denominator!r}")
    everything, hits = relevant.sum(), relevant[:k].sum()
    divisor = {"R": everything, "min(R, k)": min(everything, k), "hits": hits, "k": k}[denominator]
    return _area(relevant[:k]) / divisor if divisor else np.nan


def average_precision_last_dropped(relevant: ArrayLike) -> float:
    """AP of all ranks but the last, over the hits in them: what ``[0:topk]`` makes of ``topk = -1``.

    DeepHash-pytorch's "mAP@ALL" on CIFAR-10. A database of tens of thousands hides it; a small test does not.
    nan where no relevant item is left.
    """
    kept = _ranked(relevant)[:-1]
    return _area(kept) / kept.sum() if kept.any() else np.nan


def average_precision_first_missed(relevant: ArrayLike) -> float:
    r"""AP as an area, :math:`\sum_r P(r)\,(\rho_r - \rho_{r-1})` with recall :math:`\rho`, but its first step left out.

    A hit at rank 1 then adds nothing, and a perfect ranking scores (R - 1) / R (MIHash's and TALR's ``AP.m``). nan
    where nothing is relevant.
    """
    relevant = _ranked(relevant)
    return (_area(relevant) - relevant[0]) / relevant.sum() if relevant.any() else np.nan


def precision_at_recall_reached(relevant: ArrayLike) -> np.ndarray:
    """Precision at the first rank whose recall is at least 0, 0.1, ... 1: how one would first read Eq. 22.

    `Evaluation.precision_at_recall` takes the *nearest* recall instead, as the authors' code does, and so often an
    earlier rank with a higher precision.

    Returns:
        (11,), nan where nothing is relevant.
    """
    relevant = _ranked(relevant)
    return _precision(relevant)[_reached(relevant)] if relevant.any() else np.full(11, np.nan)


def precision_at_recall_interpolated(relevant: ArrayLike) -> np.ndarray:
    """The highest precision at any rank whose recall is at least 0, 0.1, ... 1 (textbooks, TREC, PASCAL VOC 2007).

    Never below `precision_at_recall_reached`, and never rising from one level to the next.

    Returns:
        (11,), nan where nothing is relevant.
    """
    relevant = _ranked(relevant)
    if not relevant.any():
        return np.full(11, np.nan)
    precision = _precision(relevant)
    return np.array([precision[first:].max() for first in _reached(relevant)])


def precision_within_radius(distances: ArrayLike, relevant: ArrayLike, radius: int = 2) -> float:
    """Share of relevant items among those within Hamming distance `radius`; nan where there are none.

    Averaged by `numpy.nanmean`, queries with an empty ball are skipped; `Evaluation.precision_radius2` counts them 0.

    Args:
        distances: (n,), in any order.
        relevant: (n,) of 0 and 1, in the same order.
        radius: the largest distance that counts.
    """
    distances, relevant = np.asarray(distances), _ranked(relevant)
    if distances.shape != relevant.shape:
        raise ValueError(f"distances must have the shape {relevant.shape} of relevant, got {distances.shape}")
    ball = relevant[distances <= radius]
    return ball.mean() if ball.size else np.nan


def _ranked(relevant: ArrayLike) -> np.ndarray:
    """`relevant` as int64, checked."""
    relevant = np.asarray(relevant)
    if relevant.ndim != 1 or not relevant.size:
        raise ValueError(f"relevant must have shape (n,) with at least one item, got {relevant.shape}")
    if not np.isin(relevant, (0, 1)).all():
        raise ValueError(f"relevant must hold 0 and 1 only, got {np.setdiff1d(relevant, (0, 1))[0]}")
    return relevant.astype(np.int64)


def _precision(relevant: np.ndarray) -> np.ndarray:
    """P(r) at every rank."""
    return relevant.cumsum() / np.arange(1, len(relevant) + 1)


def _area(relevant: np.ndarray) -> float:
    """Precision at the ranks of the relevant items, summed."""
    return relevant @ _precision(relevant)


def _reached(relevant: np.ndarray) -> list[int]:
    """Index of the first rank with recall 0, 0.1, ... 1 or more, compared in whole numbers."""
    seen = relevant.cumsum()
    return [int(np.argmax(10 * seen >= level * seen[-1])) for level in range(11)]
