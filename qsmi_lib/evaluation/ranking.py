"""Ranking kernels in numba: one pass over the database a query, a stable counting sort, exact histograms.

A gain is a whole number (see `relevance.Gains`), so that sums of it, nearness of recall and histograms are exact; only
the quotients are float64. `torch_ranking` computes `scan` on other devices.
"""

from typing import NamedTuple

import numpy as np
from numba import njit, prange

from qsmi_lib.evaluation.relevance import Gains


class Scan(NamedTuple):
    """What one ranking leaves, ties in database order.

    Attributes:
        ap: float64 (n_query,); sum over ranks of gain * precision at that rank, over the total gain; nan without any.
        precision_at_recall: float64 (n_query, 11), at the recall nearest to 0, 0.1, ... 1.
        ap_at_k: float64 (n_query, n_k); the same sum as `ap`, over the first k ranks, not divided.
        gain_at_k: float64 (n_query, n_k); gains of the first k ranks.
        histogram: int64 (n_query, bits + 1, 1 + largest gain); items by distance and gain.
    """

    ap: np.ndarray
    precision_at_recall: np.ndarray
    ap_at_k: np.ndarray
    gain_at_k: np.ndarray
    histogram: np.ndarray


def scan(query_words: np.ndarray, database_words: np.ndarray, bits: int, gains: Gains, ks: np.ndarray) -> Scan:
    """Rank the whole database for each query on the CPU, all cores.

    Args:
        query_words: uint64 (n_query, words), packed codes.
        database_words: uint64 (n_database, words).
        bits: code length.
        gains: labels of both under a relevance rule.
        ks: int64 (n_k,), ascending, each between 1 and n_database.
    """
    n_query, n_gain = len(query_words), 1 + int(gains.unit.max())
    result = Scan(
        np.empty(n_query),
        np.zeros((n_query, 11)),
        np.zeros((n_query, len(ks))),
        np.zeros((n_query, len(ks))),
        np.zeros((n_query, bits + 1, n_gain), np.int64),
    )
    labels = gains.query, gains.database, gains.multi_hot, gains.graded, gains.unit
    _scan(query_words, database_words, *labels, ks, *result)
    return result


@njit(cache=True, inline="always")
def _ones(word):
    """Number of ones of a 64-bit word; LLVM knows the pattern and emits one instruction for it."""
    word = np.uint64(word)
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@njit(cache=True, parallel=True)
def _scan(
    query_words, database_words, query_labels, database_labels, multi_hot, graded, units, ks,
    ap, precision_at_recall, ap_at_k, gain_at_k, histogram,
):  # fmt: skip
    n_query, n_database, width = len(query_words), len(database_words), query_words.shape[1]
    n_level = histogram.shape[1]
    for q in prange(n_query):
        distance = np.empty(n_database, np.int32)
        gain = np.empty(n_database, np.int32)
        start = np.zeros(n_level + 1, np.int64)
        for i in range(n_database):
            bits = 0
            for w in range(width):
                bits += _ones(query_words[q, w] ^ database_words[i, w])
            if multi_hot:
                shared = 0
                for w in range(query_labels.shape[1]):
                    shared += _ones(query_labels[q, w] & database_labels[i, w])
                if not graded:
                    shared = min(shared, 1)
            else:
                shared = 1 if query_labels[q, 0] == database_labels[i, 0] else 0
            distance[i] = bits
            gain[i] = shared
            start[bits + 1] += 1
            histogram[q, bits, shared] += 1
        for level in range(n_level):
            start[level + 1] += start[level]
        ranked = np.empty(n_database, np.int32)  # gains in the order of the ranking: a stable counting sort
        for i in range(n_database):
            ranked[start[distance[i]]] = gain[i]
            start[distance[i]] += 1
        ap[q] = _walk(ranked, units[q], ks, precision_at_recall[q], ap_at_k[q], gain_at_k[q])


@njit(cache=True)
def _walk(ranked, unit, ks, precision_at_recall, ap_at_k, gain_at_k):
    """AP of one query from its gains in rank order; fills the row of every other field of `Scan`."""
    total = np.int64(0)
    for i in range(len(ranked)):
        total += ranked[i]
    scale = 1.0 / unit
    seen, area = np.int64(0), 0.0
    previous, previous_precision = np.int64(0), 0.0  # the recall before the present one, at its first rank
    level, k = 0, 0
    for i in range(len(ranked)):
        gain = ranked[i]
        if gain > 0:
            seen += gain
            precision = seen * scale / (i + 1)
            area += gain * scale * precision
            while level < 11 and 10 * seen >= level * total:
                if i > 0 and level * total - 10 * previous <= 10 * seen - level * total:
                    precision_at_recall[level] = previous_precision
                else:
                    precision_at_recall[level] = precision
                level += 1
            previous, previous_precision = seen, precision
        if k < len(ks) and i + 1 == ks[k]:
            ap_at_k[k] = area
            gain_at_k[k] = seen * scale
            k += 1
    return area / (total * scale) if total > 0 else np.nan


class Ties(NamedTuple):
    """AP over all orders inside ties: float64 (n_query,) each, nan where nothing is relevant."""

    expected: np.ndarray
    optimistic: np.ndarray
    pessimistic: np.ndarray


def ties(histogram: np.ndarray, units: np.ndarray) -> Ties:
    r"""AP in the mean over all orders of tied items, and in the best and worst order, from `Scan.histogram` alone.

    A level of n items, P gain and N items before it, sum p and sum of squares s of its gains adds in the mean

    .. math:: \sum_{t=1}^{n} \frac{1}{N + t} \Big[ \frac{p P + s}{n} + \frac{(t - 1)(p^2 - s)}{n (n - 1)} \Big]

    (McSherry & Najork 2008; s = p where relevance is 0 or 1). Inside ties the best order is by descending gain, the
    worst by ascending gain. The sums of 1 / (N + t) are differences of harmonic numbers.
    """
    n_query = len(histogram)
    n_database = int(histogram[0].sum()) if n_query else 0
    harmonic = np.zeros(n_database + 1)
    # In long double, for the differences below are small beside the numbers.
    harmonic[1:] = np.cumsum(1.0 / np.arange(1, n_database + 1, dtype=np.longdouble))
    result = Ties(np.empty(n_query), np.empty(n_query), np.empty(n_query))
    _ties(histogram, units, harmonic, *result)
    return result


@njit(cache=True, parallel=True)
def _ties(histogram, units, harmonic, expected, optimistic, pessimistic):
    n_query, n_level, n_gain = histogram.shape
    for q in prange(n_query):
        seen, total = 0, 0.0
        mean = best = worst = 0.0
        for level in range(n_level):
            n, p, s = 0, 0.0, 0.0
            for gain in range(n_gain):
                count = histogram[q, level, gain]
                n += count
                p += count * gain
                s += count * gain * gain
            if p > 0:
                inverse = harmonic[seen + n] - harmonic[seen]
                mean += (p * total + s) / n * inverse
                if n > 1:
                    mean += (p * p - s) / n / (n - 1.0) * (n - (seen + 1) * inverse)
                best += _ordered(histogram[q, level], 1, seen, total, harmonic)
                worst += _ordered(histogram[q, level], -1, seen, total, harmonic)
            seen += n
            total += p
        scale = total * units[q]
        expected[q] = mean / scale if total > 0 else np.nan
        optimistic[q] = best / scale if total > 0 else np.nan
        pessimistic[q] = worst / scale if total > 0 else np.nan


@njit(cache=True)
def _ordered(counts, direction, seen, total, harmonic):
    """What a level adds when its gains stand in descending (direction 1) or ascending (-1) order."""
    area = 0.0
    n_gain = len(counts)
    for step in range(n_gain):
        gain = n_gain - 1 - step if direction > 0 else step
        count = counts[gain]
        inverse = harmonic[seen + count] - harmonic[seen]
        area += gain * (gain * count + (total - gain * seen) * inverse)
        seen += count
        total += gain * count
    return area
