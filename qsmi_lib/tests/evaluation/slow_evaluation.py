"""The fields of `Evaluation` by their definitions: pure Python, exact in fractions, one function a field, slow.

Everything starts from `rankings(...)`: for each query its database items as (distance, gain), nearest first, equal
distances in database order. A gain is a `Fraction`, so that sums of gains and nearness of recall know no rounding.
"""

import math
from fractions import Fraction
from itertools import chain, groupby, permutations, product

LEVELS = [Fraction(level, 10) for level in range(11)]


def distance(code, other):
    return sum(a != b for a, b in zip(code, other, strict=True))


def gain(query_label, label, rule):
    """Gain of an item with `label` for a query with `query_label`; multi-hot labels are lists of 0 and 1."""
    if not isinstance(query_label, list):
        return Fraction(int(query_label == label))
    shared = sum(a and b for a, b in zip(query_label, label, strict=True))
    if rule == "share-one":
        return Fraction(int(shared > 0))
    return Fraction(shared, sum(query_label)) if any(query_label) else Fraction(0)


def rankings(query_codes, database_codes, query_labels, database_labels, rule):
    ranked = []
    for code, query_label in zip(query_codes, query_labels, strict=True):
        items = [
            (distance(code, other), gain(query_label, label, rule))
            for other, label in zip(database_codes, database_labels, strict=True)
        ]
        ranked.append(sorted(items, key=lambda item: item[0]))  # Python's sort keeps the order of equal items
    return ranked


def gains(ranking):
    return [g for _, g in ranking]


def judged(ranked):
    """The queries that have something relevant: every mean is over these."""
    return [ranking for ranking in ranked if any(gains(ranking))]


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def precision(ranking, rank):
    return sum(gains(ranking)[:rank]) / Fraction(rank)


def recall(ranking, rank):
    return sum(gains(ranking)[:rank]) / sum(gains(ranking))


def area(ranking, k):
    """Gain times precision at each of the first k ranks, summed."""
    return sum(g * precision(ranking, rank) for rank, g in enumerate(gains(ranking)[:k], start=1) if g)


def average_precision(ranking):
    total = sum(gains(ranking))
    return area(ranking, len(ranking)) / total if total else math.nan


def tied_groups(ranking):
    """The gains at each distance, nearest first."""
    return [gains(group) for _, group in groupby(ranking, key=lambda item: item[0])]


def expected_average_precision(ranking):
    """Mean over all orders of tied items.

    In a group of n items after N items with sum of gains P, an item is t-th with probability 1/n; each other item of
    the group then precedes it with probability (t - 1)/(n - 1).
    """
    total, before, gained = Fraction(0), 0, Fraction(0)
    for group in tied_groups(ranking):
        n = len(group)
        for g in group:
            others = sum(group) - g
            for t in range(1, n + 1):
                ahead = others * Fraction(t - 1, n - 1) if n > 1 else 0
                total += g * (gained + ahead + g) / (before + t) / n if g else 0
        before, gained = before + n, gained + sum(group)
    return total / gained if gained else math.nan


def all_orders(ranking):
    """The gains of the ranking in every order that its ties allow."""
    return [list(chain(*groups)) for groups in product(*(permutations(group) for group in tied_groups(ranking)))]


def with_ties_sorted(ranking, best):
    """The ranking whose tied items stand by gain, the highest first (or last)."""
    return sorted(ranking, key=lambda item: (item[0], -item[1] if best else item[1]))


# One function a field, called slow_<field>(ranked, **options).


def slow_ap(ranked, ties):
    return [expected_average_precision(r) if ties == "expected" else average_precision(r) for r in ranked]


def slow_map(ranked, ties):
    return mean(slow_ap(judged(ranked), ties))


def slow_map_expected(ranked):
    return mean(expected_average_precision(r) for r in judged(ranked))


def slow_map_optimistic(ranked):
    return mean(average_precision(with_ties_sorted(r, best=True)) for r in judged(ranked))


def slow_map_pessimistic(ranked):
    return mean(average_precision(with_ties_sorted(r, best=False)) for r in judged(ranked))


def nearest_rank(ranking, level):
    """The first rank whose recall is nearest to `level`; `min` gives the first of equals."""
    return min(range(1, len(ranking) + 1), key=lambda rank: abs(recall(ranking, rank) - level))


def slow_precision_at_recall(ranked):
    return [mean(precision(r, nearest_rank(r, level)) for r in judged(ranked)) for level in LEVELS]


def slow_map_11pt(ranked):
    return mean(slow_precision_at_recall(ranked))


def slow_map_at_k(ranked, ks):
    return {k: mean(area(r, k) / min(sum(g > 0 for g in gains(r)), k) for r in judged(ranked)) for k in ks}


def slow_map_at_k_hits(ranked, ks):
    return {k: mean(area(r, k) / (sum(gains(r)[:k]) or 1) for r in judged(ranked)) for k in ks}


def slow_precision_at_k(ranked, ks):
    return {k: mean(precision(r, k) for r in judged(ranked)) for k in ks}


def slow_recall_at_k(ranked, ks):
    return {k: mean(recall(r, k) for r in judged(ranked)) for k in ks}


def ball(ranking, radius):
    return [g for d, g in ranking if d <= radius]


def slow_precision_radius2(ranked):
    return mean(mean(ball(r, 2)) if ball(r, 2) else 0 for r in judged(ranked))


def slow_empty_radius2(ranked):
    return mean(Fraction(not ball(r, 2)) for r in judged(ranked))


def slow_precision_recall_by_radius(ranked, bits):
    """Over all pairs of a query and an item within the radius."""
    rows = []
    everything = sum(sum(gains(r)) for r in judged(ranked))
    for radius in range(bits + 1):
        pairs = [g for r in judged(ranked) for g in ball(r, radius)]
        rows.append([mean(pairs) if pairs else 0, sum(pairs) / everything])
    return rows


def slow_share_by_distance(ranked, bits):
    """A pair with gain g counts g among the relevant pairs, and 1 - g among the others."""
    pairs = [pair for r in judged(ranked) for pair in r]
    relevant, others = sum(g for _, g in pairs), sum(1 - g for _, g in pairs)
    rows = []
    for radius in range(bits + 1):
        here = [g for d, g in pairs if d == radius]
        rows.append([sum(here) / relevant, sum(1 - g for g in here) / others if others else 0])
    return rows


def slow_n_without_relevant(ranked):
    return len(ranked) - len(judged(ranked))
