"""`evaluate` against the slow definitions, its conventions, its edge cases and what it refuses."""

import dataclasses
import importlib.util
import inspect
import json
import math
import os
import subprocess
import sys
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.metrics import average_precision_score

from qsmi_lib.evaluation import Evaluation, conventions, evaluate, metrics, numba_ranking, packing, validation
from qsmi_lib.evaluation.ties import harmonic, over_orders
from qsmi_lib.tests.evaluation import slow_evaluation
from qsmi_lib.utils import numba

FIELDS = [field.name for field in dataclasses.fields(Evaluation)]
TIES_CHANGE = {"ap", "map"}
ORDER_FREE = [
    "map_expected", "map_optimistic", "map_pessimistic", "precision_radius2", "empty_radius2",
    "precision_recall_by_radius", "share_by_distance", "n_without_relevant",
]  # fmt: skip
KINDS = [("single", "share-one"), ("single", "fraction"), ("multi", "share-one"), ("multi", "fraction")]
BITS = [1, 2, 12, 48, 63, 64, 65, 127, 128, 200, 1024]


class Case(NamedTuple):
    query_codes: np.ndarray
    database_codes: np.ndarray
    query_labels: np.ndarray
    database_labels: np.ndarray


def random_case(seed, bits, kind, n_query=4, n_database=24, n_label=5):
    """Codes full of ties: three words and their opposites, a few with a bit flipped; the first query finds nothing."""
    rng = np.random.default_rng(seed)
    words = rng.choice([-1, 1], (3, bits))
    n = n_query + n_database
    codes = np.concatenate([words, -words])[rng.integers(6, size=n)]
    codes = np.where(rng.random((n, bits)) < 0.5 / bits, -codes, codes)
    labels = rng.integers(3, size=n) if kind == "single" else rng.integers(2, size=(n, n_label))
    labels[0] = 99 if kind == "single" else 0
    return Case(codes[:n_query], codes[n_query:], labels[:n_query], labels[n_query:])


def toy(relevant, distances=None):
    """One query and items at the given distances, by default all different, in the order of the ranking."""
    distances = range(len(relevant)) if distances is None else distances
    bits = max(12, *distances)
    database = np.where(np.arange(bits) < np.array(distances)[:, None], 1, -1)
    return Case(-np.ones((1, bits), int), database, np.array([1]), np.array(relevant))


def rankings(case, rule):
    return slow_evaluation.rankings(*(part.tolist() for part in case), rule)


def slow(name, ranked, **options):
    """The slow definition of a field, given those of the options that it takes."""
    function = getattr(slow_evaluation, f"slow_{name}")
    taken = inspect.signature(function).parameters
    return function(ranked, **{option: value for option, value in options.items() if option in taken})


def close(got, expected, name):
    if isinstance(expected, dict):
        assert got.keys() == expected.keys(), name
        got, expected = list(got.values()), list(expected.values())
    assert_allclose(np.array(got, float), np.array(expected, float), rtol=1e-12, atol=1e-13, err_msg=name)


def check(case, rule, ks):
    """Every field under both tie rules against its slow definition."""
    ranked, bits = rankings(case, rule), case.query_codes.shape[1]
    expected = {name: slow(name, ranked, ks=ks, bits=bits) for name in FIELDS if name not in TIES_CHANGE}
    for ties in ("index", "expected"):
        result = evaluate(*case, k=ks, relevance=rule, ties=ties)
        for name in FIELDS:
            close(getattr(result, name), slow(name, ranked, ties=ties) if name in TIES_CHANGE else expected[name], name)


def assert_close(one, other):
    """Equal but for rounding."""
    for name in FIELDS:
        close(getattr(one, name), getattr(other, name), name)


def assert_same(one, other, names=FIELDS):
    """Equal to the last digit."""
    for name in names:
        np.testing.assert_equal(getattr(one, name), getattr(other, name), err_msg=name)


# Against the slow definitions


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize(("kind", "rule"), KINDS)
def test_every_field(bits, kind, rule):
    check(random_case(bits, bits, kind), rule, [1, 3, 10, 24])


@pytest.mark.parametrize("n_label", [1, 63, 64, 65, 130])
@pytest.mark.parametrize("rule", ["share-one", "fraction"])
def test_many_labels(n_label, rule):
    case = random_case(0, 8, "multi", n_query=3, n_database=8, n_label=n_label)
    case.query_labels[1, -1] = case.database_labels[0, -1] = 1
    check(case, rule, [4])


@st.composite
def small_cases(draw):
    bits, n_query, n_database = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 7))
    n_label = draw(st.integers(0, 4))  # 0: single labels
    label = st.lists(st.integers(0, 1), min_size=n_label, max_size=n_label) if n_label else st.integers(-1, 1)
    code = st.lists(st.sampled_from([-1, 1]), min_size=bits, max_size=bits)
    lists = [
        draw(st.lists(element, min_size=n, max_size=n)) for element in (code, label) for n in (n_query, n_database)
    ]
    query_codes, database_codes, query_labels, database_labels = map(np.array, lists)
    ks = draw(st.lists(st.integers(1, n_database), unique=True, max_size=3))
    return Case(query_codes, database_codes, query_labels, database_labels), sorted(ks)


@pytest.mark.parametrize("rule", ["share-one", "fraction"])
@settings(max_examples=500)
@given(drawn=small_cases())
def test_every_field_of_small_cases(rule, drawn):
    case, ks = drawn
    if slow_evaluation.judged(rankings(case, rule)):
        check(case, rule, ks)
    else:
        with pytest.raises(ValueError, match="no query has anything relevant"):
            evaluate(*case, relevance=rule)


@pytest.mark.parametrize(("kind", "rule"), KINDS)
@settings(max_examples=50)
@given(
    seed=st.integers(0, 2**32 - 1), bits=st.sampled_from(BITS), n_query=st.integers(2, 5), n_database=st.integers(1, 30)
)
def test_every_field_of_long_codes(kind, rule, seed, bits, n_query, n_database):
    case = random_case(seed, bits, kind, n_query=n_query, n_database=n_database)
    if slow_evaluation.judged(rankings(case, rule)):
        check(case, rule, [1, n_database])


def test_tens_of_thousands_of_items():
    """More than the kernel takes at a time, against NumPy's stable sort."""
    rng = np.random.default_rng(0)
    case = Case(*(rng.choice([-1, 1], (n, 16)) for n in (3, 70_001)), *(rng.integers(4, size=n) for n in (3, 70_001)))
    ks = [1, 2048, 2049, 40_000, 70_001]
    result = evaluate(*case, k=ks)
    relevant = np.stack([
        (label == case.database_labels)[np.argsort((code != case.database_codes).sum(axis=1), kind="stable")]
        for code, label in zip(case.query_codes, case.query_labels, strict=True)
    ])  # fmt: skip
    close(result.ap, [conventions.average_precision_at_k(row) for row in relevant], "ap")
    at_k = {
        k: np.mean([conventions.average_precision_at_k(r, k, denominator="min(R, k)") for r in relevant]) for k in ks
    }
    close(result.map_at_k, at_k, "map_at_k")
    close(result.precision_at_k, {k: relevant[:, :k].mean() for k in ks}, "precision_at_k")
    nearest = [[np.abs(10 * row.cumsum() - tenth * row.sum()).argmin() for tenth in range(11)] for row in relevant]
    at_recall = [[row[: rank + 1].mean() for rank in ranks] for row, ranks in zip(relevant, nearest, strict=True)]
    close(result.precision_at_recall, np.mean(at_recall, axis=0), "precision_at_recall")


# Ties


@pytest.mark.parametrize("before", [0, 1, 31, 32, 33, 60_000, 10_000_000])
@pytest.mark.parametrize("n", [0, 1, 2, 40, 1000])
def test_differences_of_harmonic_numbers(before, n):
    got = harmonic(*(torch.tensor([float(value)]).double() for value in (before, n)))
    assert_allclose(got, [math.fsum(1 / (before + t) for t in range(1, n + 1))], rtol=1e-15, atol=1e-18)


def test_ties_behind_ten_million_items():
    """Where a difference of tabulated harmonic numbers would lose seven digits."""
    before = 10_000_000
    got = over_orders(torch.tensor([[[before, 0], [3, 2]]]))
    areas = [
        sum(Fraction(seen, before + place) for seen, place in enumerate(places, start=1))
        for places in combinations(range(1, 6), 2)
    ]
    for name, value in {
        "expected": sum(areas) / len(areas),
        "optimistic": max(areas),
        "pessimistic": min(areas),
    }.items():
        assert_allclose(getattr(got, name), [float(value)], rtol=1e-8, err_msg=name)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("kind", "rule"), KINDS)
def test_ties_against_every_order(seed, kind, rule):
    case = random_case(seed, 2, kind, n_query=3, n_database=7)
    result = evaluate(*case, relevance=rule, ties="expected")
    for q, ranked in enumerate(rankings(case, rule)):
        if not any(slow_evaluation.gains(ranked)):
            assert np.isnan(result.ap[q])
            continue
        orders = [
            slow_evaluation.average_precision([(0, g) for g in order]) for order in slow_evaluation.all_orders(ranked)
        ]
        alone = evaluate(*(part[q : q + 1] if i in (0, 2) else part for i, part in enumerate(case)), relevance=rule)
        close(result.ap[q], slow_evaluation.mean(orders), "ap")
        close(alone.map_expected, slow_evaluation.mean(orders), "map_expected")
        close(alone.map_optimistic, max(orders), "map_optimistic")
        close(alone.map_pessimistic, min(orders), "map_pessimistic")


@pytest.mark.parametrize(("kind", "rule"), KINDS)
def test_ties_and_the_order_of_the_database(kind, rule):
    case = random_case(7, 12, kind, n_database=60)
    order = np.random.default_rng(0).permutation(60)
    shuffled = case._replace(database_codes=case.database_codes[order], database_labels=case.database_labels[order])
    by_index, by_index_shuffled = (evaluate(*c, k=5, relevance=rule) for c in (case, shuffled))
    expected, expected_shuffled = (evaluate(*c, k=5, relevance=rule, ties="expected") for c in (case, shuffled))
    assert by_index.map != by_index_shuffled.map
    assert_same(expected, expected_shuffled, [*ORDER_FREE, *TIES_CHANGE])
    assert_same(expected, by_index, set(FIELDS) - TIES_CHANGE)
    assert expected.map == expected.map_expected != by_index.map
    assert expected.map_pessimistic < min(by_index.map, expected.map)
    assert expected.map_optimistic > max(by_index.map, expected.map)


def test_no_ties_leave_nothing_to_chance():
    result = evaluate(*toy([0, 1, 1, 0, 1]))
    for name in ("map_expected", "map_optimistic", "map_pessimistic"):
        close(getattr(result, name), result.map, name)


# Cases with a known answer


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_perfect_ranking_scores_one(kind):
    codes = np.array([[1, 1, 1, 1, 1, 1], [-1, -1, -1, -1, -1, -1]])[[0, 1, 0, 1, 1]]
    labels = np.array([3, 8, 3, 8, 8]) if kind == "single" else np.eye(2, dtype=int)[[0, 1, 0, 1, 1]]
    result = evaluate(codes[:2], codes, labels[:2], labels, k=2)
    for name in ("map", "map_11pt", "map_expected", "map_optimistic", "map_pessimistic", "precision_radius2"):
        assert getattr(result, name) == 1, name
    assert result.map_at_k == result.map_at_k_hits == result.precision_at_k == {2: 1}
    assert result.precision_at_recall.tolist() == [1] * 11
    assert result.empty_radius2 == 0


def test_everything_relevant_scores_one_in_any_order():
    case = random_case(3, 12, "single")._replace(query_labels=np.zeros(4, int), database_labels=np.zeros(24, int))
    result = evaluate(*case, k=5)
    assert result.map == result.map_11pt == result.map_at_k[5] == 1
    close(result.map_pessimistic, 1, "map_pessimistic")
    assert result.recall_at_k == {5: 5 / 24}


@pytest.mark.parametrize("rule", ["share-one", "fraction"])
def test_codes_all_equal(rule):
    case = random_case(5, 9, "multi")
    case = case._replace(query_codes=np.ones((4, 9), int), database_codes=np.ones((24, 9), int))
    check(case, rule, [1, 24])
    result = evaluate(*case, k=24, relevance=rule)
    close(result.precision_radius2, result.precision_at_k[24], "precision_radius2")
    assert result.empty_radius2 == 0


def test_one_query_and_one_item():
    result = evaluate([[1, -1, 1]], [[-1, 1, -1]], [4], [4], k=1)
    assert result.map == result.map_11pt == result.map_at_k[1] == result.recall_at_k[1] == 1
    assert (result.precision_radius2, result.empty_radius2) == (0, 1)
    assert result.precision_recall_by_radius.tolist() == [[0, 0], [0, 0], [0, 0], [1, 1]]
    assert result.share_by_distance.tolist() == [[0, 0], [0, 0], [0, 0], [1, 0]]  # there are no other pairs


@pytest.mark.parametrize(("kind", "rule"), KINDS)
def test_shares_by_distance_sum_to_one(kind, rule):
    shares = evaluate(*random_case(2, 65, kind), relevance=rule).share_by_distance
    assert shares.shape == (66, 2) and (shares >= 0).all()
    close(shares.sum(axis=0), [1, 1], "share_by_distance")


def test_queries_with_nothing_relevant_are_counted_and_left_out():
    case = random_case(11, 12, "single", n_query=6)
    case.query_labels[:] = [0, 99, 1, 98, 2, 97]
    result = evaluate(*case, k=[1, 5])
    alone = evaluate(*case._replace(query_codes=case.query_codes[::2], query_labels=case.query_labels[::2]), k=[1, 5])
    assert (result.n_without_relevant, alone.n_without_relevant) == (3, 0)
    assert np.isnan(result.ap).tolist() == [False, True] * 3
    assert_same(result, alone, set(FIELDS) - {"ap", "n_without_relevant"})


def test_fraction_of_the_query_s_labels():
    query, database = [[1, 1, 0, 0]], [[1, 0, 0, 0], [1, 1, 1, 0], [0, 0, 0, 1]]  # {a, b}; {a}, {a, b, c}, {d}
    codes = [[-1, -1, -1], [1, -1, -1], [1, 1, -1]]
    result = evaluate([[-1, -1, -1]], codes, query, database, k=[1, 2, 3], relevance="fraction")
    close(result.precision_at_k, {1: 0.5, 2: 0.75, 3: 0.5}, "precision_at_k")
    close(result.recall_at_k, {1: 1 / 3, 2: 1, 3: 1}, "recall_at_k")
    close(result.map, (0.5 * 0.5 + 1 * 0.75) / 1.5, "map")
    close(result.map_at_k, {1: 0.25, 2: 0.5, 3: 0.5}, "map_at_k")
    close(result.map_at_k_hits, {1: 0.5, 2: 2 / 3, 3: 2 / 3}, "map_at_k_hits")
    ideal = evaluate([[-1, -1, -1]], codes, query, [database[i] for i in (1, 0, 2)], relevance="fraction")
    close(ideal.map, (1 + 0.5 * 0.75) / 1.5, "the ideal order")


@pytest.mark.parametrize(
    ("relevant", "expected"),
    [
        ([0, 1, 1, 0, 1], [0, 0, 1 / 2, 1 / 2, 1 / 2, 1 / 2, 2 / 3, 2 / 3, 2 / 3, 3 / 5, 3 / 5]),
        ([0, 1, 0, 1, 1, 0, 1, 1], [0, 0, 1 / 2, 1 / 2, 1 / 2, 1 / 2, 3 / 5, 3 / 5, 4 / 7, 4 / 7, 5 / 8]),
    ],
)
def test_recall_half_way_between_two_ranks_takes_the_lower(relevant, expected):
    """0.5 lies half-way between 1/3 and 2/3, and 0.1, 0.3, ... between the fifths; in floating point they do not."""
    close(evaluate(*toy(relevant)).precision_at_recall, expected, "precision_at_recall")


def test_half_way_in_gains():
    """Gains 0, 3/3, 0, 2/3 give recall 0, 3/5, 3/5, 1: 0.3 and 0.8 lie half-way, and floating point misses 0.8."""
    labels = np.array([[0, 0, 0], [1, 1, 1], [0, 0, 0], [1, 0, 1]])
    case = toy([0] * 4)._replace(query_labels=labels[1:2], database_labels=labels)
    check(case, "fraction", [2])
    at_recall = evaluate(*case, relevance="fraction").precision_at_recall
    close(at_recall, [*[0] * 4, *[1 / 2] * 5, *[5 / 12] * 2], "precision_at_recall")


TOY = toy([1, 0, 1, 0, 1, 0, 0, 1], distances=[0, 1, 1, 2, 2, 2, 3, 4])


@pytest.mark.parametrize(
    ("value", "compute"),
    [
        (0.6917, lambda e, r: e.map),
        (0.4167, lambda e, r: conventions.average_precision_at_k(r, 3, denominator="R")),
        (0.5556, lambda e, r: e.map_at_k[3]),
        (0.5556, lambda e, r: conventions.average_precision_at_k(r, 3, denominator="min(R, k)")),
        (0.8333, lambda e, r: e.map_at_k_hits[3]),
        (0.8333, lambda e, r: conventions.average_precision_at_k(r, 3, denominator="hits")),
        (0.5556, lambda e, r: conventions.average_precision_at_k(r, 3, denominator="k")),
        (0.3458, lambda e, r: conventions.average_precision_at_k(r, denominator="k")),
        (0.6667, lambda e, r: average_precision_score(r, [0, -1, -1, -2, -2, -2, -3, -4])),
        (0.8125, lambda e, r: e.map_optimistic),
        (0.6667, lambda e, r: e.map_pessimistic),
        (0.7375, lambda e, r: e.map_expected),
        (0.7455, lambda e, r: e.map_11pt),
        (0.7000, lambda e, r: conventions.precision_at_recall_interpolated(r).mean()),
        (0.7000, lambda e, r: conventions.precision_at_recall_reached(r).mean()),
        (0.7556, lambda e, r: conventions.average_precision_last_dropped(r)),
        (0.4417, lambda e, r: conventions.average_precision_first_missed(r)),
    ],
)
def test_the_many_maps_of_one_query(value, compute):
    assert round(float(compute(evaluate(*TOY, k=3), TOY.database_labels)), 4) == value


# Forms of the input


def test_lists_arrays_and_tensors_say_the_same():
    case = random_case(1, 12, "multi")
    expected = evaluate(*case, k=[3, 9])
    for form in (
        lambda part: part.tolist(),
        lambda part: part.astype(np.int8),
        torch.from_numpy,
        lambda part: torch.from_numpy(part).to(torch.int8),
    ):
        assert_same(evaluate(*map(form, case), k=[3, 9]), expected)
    codes = case.query_codes.astype(np.float32), torch.from_numpy(case.database_codes).double().requires_grad_()
    labels = case.query_labels.astype(bool), torch.from_numpy(case.database_labels).bool()
    assert_same(evaluate(*codes, *labels, k=[3, 9], device="cpu"), expected)


def test_single_labels_may_be_bool_and_large():
    case = TOY._replace(query_labels=np.array([True]), database_labels=TOY.database_labels.astype(bool))
    assert evaluate(*case).map == evaluate(*TOY).map
    near = 2**60 + TOY.database_labels  # as float64 all of these are equal
    assert evaluate(*TOY[:2], near[:1], near).map == evaluate(*TOY).map


def test_arrays_of_any_layout_and_kind():
    case = random_case(1, 12, "single")._replace(query_labels=np.arange(4))
    expected = evaluate(*case, k=3)
    read_only = Case(*(part.astype(np.int8) for part in case))
    for part in read_only:
        part.setflags(write=False)
    assert_same(evaluate(*read_only, k=3), expected)
    assert_same(evaluate(*(part[::-1].copy()[::-1] for part in case), k=3), expected)
    assert_same(evaluate(*(np.asfortranarray(part) for part in case), k=3), expected)
    for kind in (np.uint16, np.uint64, ">i4"):
        assert_same(evaluate(*case[:2], *(labels.astype(kind) for labels in case[2:]), k=3), expected)


def test_forms_of_k():
    case = random_case(2, 12, "single")
    assert evaluate(*case).map_at_k == {}
    assert list(evaluate(*case, k=5).map_at_k) == list(evaluate(*case, k=np.int64(5)).map_at_k) == [5]
    several = evaluate(*case, k=[9, 5, 24, 5])
    assert list(several.map_at_k) == [5, 9, 24]
    assert_same(several, evaluate(*case, k=(5, 9, 24)))
    assert several.recall_at_k[24] == 1
    close(several.map_at_k[24], several.map, "AP at k = n_database is AP")


def test_inputs_are_left_as_they_are():
    case = random_case(4, 12, "multi")
    before = [part.copy() for part in case]
    evaluate(*case, k=4, relevance="fraction")
    for part, was in zip(case, before, strict=True):
        np.testing.assert_array_equal(part, was)


def test_record_is_json_without_ap():
    result = evaluate(*TOY, k=[1, 3])
    record = json.loads(json.dumps(result.to_record()))
    assert set(record) == set(FIELDS) - {"ap"}
    assert record["map"] == result.map
    assert record["map_at_k"]["3"] == result.map_at_k[3]
    assert record["precision_recall_by_radius"] == result.precision_recall_by_radius.tolist()


LABELS = np.zeros((8, 2), int)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"relevance": "any"}, r"relevance must be one of \('share-one', 'fraction'\), got 'any'"),
        ({"ties": "random"}, "ties must be 'index' or 'expected', got 'random'"),
        ({"k": 9}, "k must be whole numbers between 1 and the 8 database items, got 9"),
        ({"k": [3, 0]}, "between 1 and the 8 database items, got 0"),
        ({"k": -1}, "between 1 and the 8 database items, got -1"),
        ({"k": True}, "k must be whole numbers .* got True"),
        ({"k": 3.0}, r"k must be whole numbers .* got 3\.0"),
        ({"k": "3"}, "k must be whole numbers .* got '3'"),
        ({"query_codes": np.zeros((1, 12))}, "query_codes must hold -1 and \\+1 only, got 0"),
        ({"database_codes": np.full((8, 12), np.nan)}, "database_codes must hold -1 and \\+1 only, got nan"),
        ({"query_codes": np.ones((1, 11))}, "codes must be of one length, got 11 and 12 bits"),
        ({"query_codes": np.ones(12)}, r"query_codes must have shape \(n, bits\) .* got \(12,\)"),
        ({"query_codes": np.ones((0, 12))}, r"query_codes .* at least one item and one bit, got \(0, 12\)"),
        ({"database_codes": np.ones((0, 12))}, r"database_codes .* at least one item and one bit, got \(0, 12\)"),
        ({"database_codes": np.ones((8, 0))}, r"database_codes .* at least one item and one bit, got \(8, 0\)"),
        ({"query_labels": [1, 2]}, "query_labels must have one row per code: expected 1, got 2"),
        ({"database_labels": [1, 2]}, "database_labels must have one row per code: expected 8, got 2"),
        (
            {"query_labels": [1.0]},
            r"query_labels must be integers .* or integer or bool multi-hot .*, got float64",
        ),
        ({"query_labels": LABELS[:1, :, None]}, r"query_labels must be integers .* got int64 of shape \(1, 2, 1\)"),
        ({"database_labels": LABELS}, r"labels must be of one kind, got shapes \(1,\) and \(8, 2\)"),
        ({"query_labels": LABELS[:1, :1], "database_labels": LABELS}, r"one kind, got shapes \(1, 1\) and \(8, 2\)"),
        ({"database_labels": LABELS + 2}, r"database_labels of shape \(n, c\) must hold 0 and 1 only, got 2"),
        ({"query_codes": np.ones((1, 65536))}, "query_codes must have at most 65535 bits, got 65536"),
        ({"query_labels": np.ones((1, 65536), bool)}, r"query_labels .* 1 to 65535 labels, got 65536"),
        (
            {"query_labels": LABELS[:1, :0], "database_labels": LABELS[:, :0]},
            r"query_labels .* 1 to 65535 labels, got 0",
        ),
        ({"query_labels": np.array([2**63], np.uint64)}, "query_labels must be at most 9223372036854775807, got 92233"),
        ({"query_codes": np.full((1, 12), 255, np.uint8)}, "query_codes must be floating or signed .* got uint8"),
        ({"query_codes": [["+"] * 12]}, "query_codes must be floating or signed integers, -1 and .1, got <U1"),
        ({"query_codes": [[1, -1], [1]]}, "query_codes must be an array or a tensor: .*inhomogeneous"),
        ({"query_codes": torch.eye(12)[:1].to_sparse()}, "query_codes must be dense, got torch.sparse_coo"),
        ({"device": "gpu"}, "device must be one of PyTorch's, such as 'cpu' or 'cuda', got 'gpu'"),
        ({"query_labels": [7]}, "no query has anything relevant in the database: none of 1"),
        ({"query_labels": LABELS[:1], "database_labels": LABELS}, "no query has anything relevant"),
    ],
)
def test_mistakes_are_refused(changes, message):
    arguments = TOY._asdict() | changes
    with pytest.raises(ValueError, match=message):
        evaluate(**arguments)


# The same result however it is computed


@pytest.mark.parametrize(("kind", "rule"), KINDS)
def test_chunks_change_nothing(monkeypatch, kind, rule):
    case = random_case(6, 12, kind, n_query=9)
    whole, threads = evaluate(*case, k=[2, 7], relevance=rule), numba_ranking.n_threads()
    for name, module, values in [
        ("CHUNK_BYTES", metrics, (1, 64 * 15 * 5)),  # one query at a time, a few
        ("CHUNK_PAIRS", metrics, (1, 24 * 5)),
        ("NOTES_BYTES", numba_ranking, (8 * threads, 40 * threads)),  # one item a segment, five
        ("ROOM", packing, (1, 16 * 5)),
        ("TOGETHER", numba_ranking, (1, 2)),
        ("BLOCK_BYTES", packing, (1, 200)),
    ]:
        for value in values:
            with monkeypatch.context() as patch:
                patch.setattr(module, name, value)
                assert_close(evaluate(*case, k=[2, 7], relevance=rule), whole)


def test_memory_beyond_the_inputs_stays_small():
    rng = np.random.default_rng(0)
    codes = rng.integers(2, size=(1_000_000, 64), dtype=np.int8) * 2 - 1
    labels = rng.integers(10, size=1_000_000)
    arguments = codes[:2], codes, labels[:2], labels
    evaluate(*(part[:10] for part in arguments))  # what is compiled is no part of it
    tracemalloc.start()
    evaluate(*arguments, k=5000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < codes.nbytes  # one comparison of all codes at once would be as much


def test_codes_longer_than_int8_counts_do_not_overflow():
    code = np.ones((1, 200), np.int8)
    result = evaluate(code, np.concatenate([-code, code]), [1], [0, 1])
    assert result.map == 1
    assert result.precision_recall_by_radius[[0, 199, 200]].tolist() == [[1, 1], [1, 1], [0.5, 1]]


def test_the_budgets_of_memory_bind():
    """Each case would hold more than the others together if its budget did not bind."""
    everything = np.ones((2_000_000, 8), np.int8), np.zeros(2_000_000, int)  # all relevant: many notes
    long = np.ones((20_000, 1024), np.int8), np.zeros(20_000, int)  # many and long histograms
    evaluate(long[0][:9], long[0][:9], long[1][:9], long[1][:9])
    for query, database in ((slice(20), everything), (slice(20), long), (slice(None), [part[:10] for part in long])):
        codes, labels = database if query.stop else long
        tracemalloc.start()
        evaluate(codes[query], database[0], labels[query], database[1])
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 250e6


def test_a_database_too_large_to_keep_is_packed_part_by_part():
    codes = np.broadcast_to(np.ones((1, 1024), np.int8), (10_000_000, 1024))  # 1.3 GB packed, next to nothing here
    segments = packing.Segments(codes, np.zeros(10_000_000, np.int8), torch.device("cpu"))
    first = next(iter(segments))
    assert len(segments) > 1
    assert 8 * (first.codes.numel() + first.labels.numel()) <= packing.ROOM


def test_ten_million_equal_terms_keep_twelve_digits():
    """Every third item is relevant, all are tied, and every precision is 1/3: naive sums drift by 1e-11."""
    codes, labels = np.ones((10_000_000, 1), np.int8), np.arange(10_000_000, dtype=np.int32) % 3
    close(evaluate(codes[:1], codes, [2], labels, k=9_999_999).map, 1 / 3, "map")


def test_a_fork_after_use_is_refused_in_words():
    evaluate(*TOY)
    if not hasattr(os, "fork"):
        pytest.skip("this platform does not fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of forks beside threads: just so
        child = os.fork()
    if child == 0:
        try:
            evaluate(*TOY)
        except RuntimeError as error:
            os._exit(0 if "start processes by the method 'spawn'" in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_folder_that_cannot_be_written_to_costs_the_cache_alone(monkeypatch):
    def refusing(cache=False, **options):
        if cache:
            raise RuntimeError("no locator available")
        return lambda function: function

    monkeypatch.setattr(numba, "njit", refusing)
    assert numba.compiled(parallel=True)(abs) is abs


def test_labels_far_apart_are_not_counted():
    case = TOY._replace(query_labels=np.array([2**60]), database_labels=TOY.database_labels * 2**60)
    assert evaluate(*case).map == evaluate(*TOY).map


def test_threads_of_torch_stay_as_they_were():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        evaluate(*TOY)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_threads_of_torch_stay_as_they_were_where_numbas_start():
    """In a process of its own: the first call starts numba's threads."""
    lines = [
        "import numpy, torch",
        "from qsmi_lib.evaluation import evaluate",
        "torch.set_num_threads(1)",
        "codes, labels = numpy.ones((3, 8), numpy.int8), numpy.zeros(3, int)",
        "evaluate(codes, codes, labels, labels)",
        "print(torch.get_num_threads())",
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    environment.pop("NUMBA_NUM_THREADS", None)
    done = subprocess.run([sys.executable, "-c", ";".join(lines)], env=environment, capture_output=True, text=True)
    assert done.stdout == "1\n", done.stderr


def test_calls_from_several_threads():
    cases = [random_case(seed, 12, "single", n_query=20, n_database=500) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda case: evaluate(*case), cases))
    for case, result in zip(cases, together, strict=True):
        assert_same(evaluate(*case), result)


@pytest.mark.parametrize("bits", [1, 63, 64, 65, 200])
def test_packing_in_torch_keeps_distances(bits):
    codes = random_case(bits, bits, "single").database_codes
    words = packing.packed(torch.from_numpy(codes), torch.zeros(len(codes), dtype=int), torch.device("cpu")).codes
    differing = (words.numpy()[:, :, None] ^ words.numpy()[:, None, :]).view(np.uint8).reshape(-1, *[len(codes)] * 2, 8)
    between = np.unpackbits(differing, axis=3).sum(axis=(0, 3))
    np.testing.assert_array_equal(between, (codes[:, None] != codes).sum(axis=2))


# On a GPU; where there is none, the kernels run in Triton's interpreter (see conftest)

needs_triton = pytest.mark.skipif(not importlib.util.find_spec("triton"), reason="no Triton on this machine")


@pytest.fixture
def triton_ranking(monkeypatch):
    """The kernels of a GPU in place of the CPU's, on a GPU if there is one."""
    from qsmi_lib.evaluation import triton_ranking

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    monkeypatch.setattr(metrics, "_kernels", lambda _: (triton_ranking, device))
    monkeypatch.setattr(validation, "_array", lambda _name, values, _device: torch.as_tensor(values, device=device))
    return triton_ranking


@needs_triton
@pytest.mark.parametrize("bits", [1, 12, 64, 65, 200])
@pytest.mark.parametrize(("kind", "rule"), KINDS)
def test_triton_says_what_numba_says(request, bits, kind, rule):
    case = random_case(bits, bits, kind, n_query=4, n_database=150, n_label=70)
    expected = evaluate(*case, k=[1, 4, 150], relevance=rule, device="cpu")
    request.getfixturevalue("triton_ranking")
    result = evaluate(*case, k=[1, 4, 150], relevance=rule)
    assert_close(result, expected)


@needs_triton
@pytest.mark.parametrize("kind", ["single", "multi"])
def test_triton_takes_tensors_of_any_stride(request, kind):
    case = random_case(3, 12, kind, n_query=4, n_database=90)
    expected = evaluate(*case, k=5)
    request.getfixturevalue("triton_ranking")
    wide = [torch.from_numpy(part).repeat_interleave(2, dim=0)[::2] for part in case]
    assert_close(evaluate(*wide, k=5), expected)


@needs_triton
@pytest.mark.parametrize("codes", [torch.ones((1, 12), dtype=torch.uint8) * 255, torch.ones((1, 12), dtype=torch.bool)])
def test_unsigned_tensors_are_no_codes(triton_ranking, codes):
    with pytest.raises(ValueError, match=r"query_codes must be floating or signed integers, -1 and \+1, got torch"):
        evaluate(**TOY._asdict() | {"query_codes": codes})


@needs_triton
def test_triton_ranks_beyond_16_bits(request, monkeypatch):
    rng = np.random.default_rng(0)
    case = Case(*(rng.choice([-1, 1], (n, 8)) for n in (1, 70_000)), np.array([1]), rng.integers(4, size=70_000))
    expected = evaluate(*case, k=[65_536, 70_000], device="cpu")
    kernels = request.getfixturevalue("triton_ranking")
    if not torch.cuda.is_available():  # larger steps, or the interpreter takes minutes
        monkeypatch.setattr(kernels, "PLACED", 1024)
        monkeypatch.setattr(kernels, "COUNTED", 16_384)
    result = evaluate(*case, k=[65_536, 70_000])
    assert_close(result, expected)


@needs_triton
@pytest.mark.parametrize(("kind", "rule"), KINDS)
def test_parts_change_nothing_in_triton(monkeypatch, triton_ranking, kind, rule):
    case = random_case(6, 12, kind, n_query=5, n_database=90)
    whole = evaluate(*case, k=[2, 7], relevance=rule)
    for name, module, value in [
        ("CHUNK_BYTES", metrics, 1),
        ("SHORTEST", triton_ranking, 40),
        ("ROOM", packing, 16 * 50),
        ("SLOTS", triton_ranking, 1),
    ]:
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            assert_close(evaluate(*case, k=[2, 7], relevance=rule), whole)


def test_the_import_compiles_nothing():
    code = "from qsmi_lib.evaluation import numba_ranking; assert not numba_ranking._pass.signatures"
    subprocess.run([sys.executable, "-c", code], check=True)


COMPILE = """
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from qsmi_lib.evaluation import triton_ranking
pointers = dict.fromkeys(["query_codes", "query_labels", "codes", "labels", "before"], "*i64")
pointers |= dict.fromkeys(["counts", "ranks", "gains"], "*i32")
for kernel, block, warps in [(triton_ranking._count, 1024, 4), (triton_ranking._place, 32, 1)]:
    for rule in range(3):
        constants = {"code_words": 2, "label_words": 2, "rule": rule, "block": block}
        kinds = {name: "constexpr" if name in constants else pointers.get(name, "i32") for name in kernel.arg_names}
        source = ASTSource(fn=kernel, signature=kinds, constexprs=constants)
        options = {"num_warps": warps, "enable_fp_fusion": False}
        binary = compile(source, target=GPUTarget("cuda", 90, 32), options=options)
        assert "popc" in binary.asm["ptx"] and binary.asm["cubin"]
"""


@needs_triton
def test_kernels_compile_for_a_gpu(tmp_path):
    """The interpreter forgives what a compiler does not; compiling needs no GPU."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path)
    subprocess.run([sys.executable, "-c", COMPILE], check=True, env=environment)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
@pytest.mark.parametrize(("kind", "rule"), KINDS)
@pytest.mark.parametrize("bits", [12, 200])
def test_cuda_says_what_the_cpu_says(bits, kind, rule):
    case = random_case(bits, bits, kind, n_query=50, n_database=5000)
    expected = evaluate(*case, k=[3, 100], relevance=rule)
    on_device = [torch.from_numpy(part).cuda() for part in case]
    for result in (
        evaluate(*on_device, k=[3, 100], relevance=rule),
        evaluate(*case, k=[3, 100], relevance=rule, device="cuda"),
        evaluate(*on_device, k=[3, 100], relevance=rule, device="cpu"),
    ):
        assert_close(result, expected)


# Other conventions of the field


@pytest.mark.parametrize("seed", range(3))
def test_conventions_beside_the_evaluation(seed):
    relevant = np.random.default_rng(seed).integers(2, size=30)
    case = toy(relevant)
    result = evaluate(*case, k=[4, 30])
    for k in (4, 30):
        close(conventions.average_precision_at_k(relevant, k, denominator="min(R, k)"), result.map_at_k[k], "min(R, k)")
        close(conventions.average_precision_at_k(relevant, k, denominator="hits"), result.map_at_k_hits[k], "hits")
        hits_of_shown = result.map_at_k_hits[k] * result.precision_at_k[k]
        close(conventions.average_precision_at_k(relevant, k, denominator="k"), hits_of_shown, "k")
    close(conventions.average_precision_at_k(relevant), result.map, "R")
    close(conventions.precision_within_radius(range(30), relevant), result.precision_radius2, "radius 2")
    reached = conventions.precision_at_recall_reached(relevant)
    interpolated = conventions.precision_at_recall_interpolated(relevant)
    ranks = [min(r for r in range(1, 31) if 10 * relevant[:r].sum() >= level * relevant.sum()) for level in range(11)]
    close(reached, [relevant[:r].mean() for r in ranks], "reached")
    close(interpolated, [max(relevant[:r].mean() for r in range(first, 31)) for first in ranks], "interpolated")


def test_conventions_on_a_perfect_ranking():
    relevant = [1, 1, 1, 1, 0, 0]
    assert conventions.average_precision_at_k(relevant, 2) == 2 / 4
    assert conventions.average_precision_at_k(relevant, 2, denominator="min(R, k)") == 1
    assert conventions.average_precision_at_k(relevant, 2, denominator="k") == 1
    assert conventions.average_precision_at_k(relevant, denominator="k") == 4 / 6
    assert conventions.average_precision_first_missed(relevant) == 3 / 4
    assert conventions.average_precision_last_dropped(relevant) == 1
    assert conventions.precision_at_recall_reached(relevant).tolist() == [1] * 11
    assert conventions.precision_at_recall_interpolated(relevant).tolist() == [1] * 11


def test_conventions_leave_undefined_values_nan():
    for denominator in ("R", "min(R, k)", "hits"):
        assert np.isnan(conventions.average_precision_at_k([0, 0], 1, denominator=denominator))
    assert conventions.average_precision_at_k([0, 0], 1, denominator="k") == 0
    assert conventions.average_precision_at_k([0, 1], 1) == 0
    assert np.isnan(conventions.average_precision_at_k([0, 1], 1, denominator="hits"))
    assert np.isnan(conventions.average_precision_last_dropped([1]))
    assert np.isnan(conventions.average_precision_last_dropped([0, 1]))
    assert np.isnan(conventions.average_precision_first_missed([0, 0]))
    assert np.isnan(conventions.precision_at_recall_reached([0, 0])).all()
    assert np.isnan(conventions.precision_at_recall_interpolated([0, 0])).all()
    assert np.isnan(conventions.precision_within_radius([3, 4], [1, 1]))
    assert conventions.precision_within_radius([4, 2, 0], [1, 1, 0]) == 1 / 2


def test_empty_balls_skipped_or_counted():
    case = random_case(8, 48, "single", n_query=12)
    case.query_labels[0] = 0
    case.query_codes[::3] = np.random.default_rng(0).choice([-1, 1], (4, 48))
    distances = (case.query_codes[:, None] != case.database_codes).sum(axis=2)
    relevant = case.query_labels[:, None] == case.database_labels
    balls = [conventions.precision_within_radius(*pair) for pair in zip(distances, relevant, strict=True)]
    result = evaluate(*case)
    close(result.empty_radius2, np.isnan(balls).mean(), "empty_radius2")
    close(result.precision_radius2, np.nan_to_num(balls).mean(), "precision_radius2")
    assert 0 < result.empty_radius2 < 1
    assert np.nanmean(balls) > result.precision_radius2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: conventions.average_precision_at_k([1, 0], 3), "k must lie between 1 and the 2 ranked items, got 3"),
        (lambda: conventions.average_precision_at_k([1, 0], 0), "k must lie between 1 and the 2 ranked items, got 0"),
        (lambda: conventions.average_precision_at_k([1], denominator="n"), "denominator must be one of .* got 'n'"),
        (lambda: conventions.average_precision_first_missed([]), r"at least one item, got \(0,\)"),
        (lambda: conventions.precision_at_recall_reached([[1]]), r"relevant must have shape \(n,\) .* got \(1, 1\)"),
        (lambda: conventions.precision_at_recall_interpolated([0.5]), "relevant must hold 0 and 1 only, got 0.5"),
        (lambda: conventions.precision_within_radius([1], [1, 0]), r"shape \(2,\) of relevant, got \(1,\)"),
    ],
)
def test_conventions_refuse_mistakes(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_bfloat16_codes_are_codes():
    codes = torch.tensor([[1.0, -1.0], [1.0, 1.0]]).bfloat16()
    assert evaluate(codes, codes, [0, 1], [0, 1]).map == 1.0
