"""`evaluate` against the slow definitions, its conventions, its edge cases and its input checks."""

import itertools
import json
import math
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.metrics import average_precision_score

from qsmi_lib.evaluation import conventions, evaluate
from qsmi_lib.evaluation.ties import harmonic, over_orders
from qsmi_lib.tests.evaluation import slow_evaluation
from qsmi_lib.tests.evaluation.cases import (
    FIELDS,
    KINDS,
    TIES_CHANGE,
    TOY,
    Case,
    assert_same,
    check,
    close,
    random_case,
    rankings,
    toy,
)

ORDER_FREE = [
    "map_expected", "map_optimistic", "map_pessimistic", "precision_radius2", "empty_radius2",
    "precision_recall_by_radius", "share_by_distance", "n_without_relevant",
]  # fmt: skip
BITS = [1, 2, 12, 48, 63, 64, 65, 127, 128, 200, 1024]


# Against the slow definitions


@pytest.mark.parametrize(("kind", "rule"), KINDS)
def test_every_field(kind, rule):
    for bits in BITS:
        check(random_case(bits, bits, kind), rule, [1, 3, 10, 24])


@pytest.mark.parametrize("rule", ["share-one", "fraction"])
def test_many_labels(rule):
    for n_label in (2, 63, 64, 65, 130):
        case = random_case(0, 8, "multi", n_query=3, n_database=8, n_label=n_label)
        case.query_labels[1, -1] = case.database_labels[0, -1] = 1
        check(case, rule, [4])


@st.composite
def small_cases(draw):
    bits, n_query, n_database = draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 7))
    n_label = draw(st.sampled_from([0, 2, 3, 4]))  # 0: single labels
    label = st.lists(st.integers(0, 1), min_size=n_label, max_size=n_label) if n_label else st.integers(-1, 1)
    code = st.lists(st.sampled_from([-1, 1]), min_size=bits, max_size=bits)
    lists = [
        draw(st.lists(element, min_size=n, max_size=n)) for element in (code, label) for n in (n_query, n_database)
    ]
    query_codes, database_codes, query_labels, database_labels = map(np.array, lists)
    ks = draw(st.lists(st.integers(1, n_database), unique=True, max_size=3))
    return Case(query_codes, database_codes, query_labels, database_labels), sorted(ks)


@settings(max_examples=100)
@given(drawn=small_cases(), rule=st.sampled_from(["share-one", "fraction"]))
def test_every_field_of_small_cases(drawn, rule):
    case, ks = drawn
    if slow_evaluation.judged(rankings(case, rule)):
        check(case, rule, ks)
    else:
        with pytest.raises(ValueError, match="no query has anything relevant"):
            evaluate(*case, relevance=rule)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    bits=st.sampled_from(BITS),
    n_query=st.integers(2, 5),
    n_database=st.integers(1, 30),
    kind=st.sampled_from(KINDS),
)
def test_every_field_of_long_codes(seed, bits, n_query, n_database, kind):
    labels, rule = kind
    case = random_case(seed, bits, labels, n_query=n_query, n_database=n_database)
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
def test_differences_of_harmonic_numbers(before):
    n = torch.tensor([0.0, 1.0, 2.0, 40.0, 1000.0]).double()
    expected = [math.fsum(1 / (before + t) for t in range(1, int(size) + 1)) for size in n]
    assert_allclose(harmonic(torch.full_like(n, before), n), expected, rtol=1e-15, atol=1e-18)


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


@pytest.mark.parametrize(("kind", "rule"), KINDS)
def test_ties_against_every_order(kind, rule):
    for seed in range(3):
        case = random_case(seed, 2, kind, n_query=3, n_database=7)
        result = evaluate(*case, relevance=rule, ties="expected")
        assert np.isnan(result.ap[0])  # nothing is relevant to it
        for q, ranked in enumerate(rankings(case, rule)):
            if not any(slow_evaluation.gains(ranked)):
                continue
            orders = [
                slow_evaluation.average_precision([(0, g) for g in order])
                for order in slow_evaluation.all_orders(ranked)
            ]
            one = slice(q, q + 1)
            alone = evaluate(case[0][one], case[1], case[2][one], case[3], relevance=rule)
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


MANY_MAPS = [
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
]


def test_the_many_maps_of_one_query():
    result = evaluate(*TOY, k=3)
    for expected, compute in MANY_MAPS:
        assert round(float(compute(result, TOY.database_labels)), 4) == expected


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


def test_arrays_of_any_layout_and_kind():
    case = random_case(1, 12, "single")._replace(query_labels=np.arange(4))
    expected = evaluate(*case, k=3)
    read_only = Case(*(part.astype(np.int8) for part in case))
    for part in read_only:
        part.setflags(write=False)
    for same in (
        read_only,
        [part[::-1].copy()[::-1] for part in case],
        [np.asfortranarray(part) for part in case],
        *([*case[:2], *(labels.astype(kind) for labels in case[2:])] for kind in (np.uint16, np.uint64, ">i4")),
        [*case[:2], *(labels + 2**60 for labels in case[2:])],  # as float64 all of these labels are equal
    ):
        assert_same(evaluate(*same, k=3), expected)
    boolean = TOY._replace(query_labels=np.array([True]), database_labels=TOY.database_labels.astype(bool))
    assert evaluate(*boolean).map == evaluate(*TOY).map


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


def test_bfloat16_codes_are_codes():
    codes = torch.tensor([[1.0, -1.0], [1.0, 1.0]]).bfloat16()
    assert evaluate(codes, codes, [0, 1], [0, 1]).map == 1.0


@pytest.mark.parametrize("bits", [1, 7, 16, 64, 100])
def test_queries_and_database_may_be_of_different_types(bits):
    """Some types are packed by NumPy, others by PyTorch."""
    random = np.random.default_rng(bits)
    query, database = (np.sign(random.normal(size=(n, bits))).astype(np.int8) for n in (9, 40))
    labels, of_database = (random.integers(0, 2, (n, 70)) for n in (9, 40))  # of more than one word
    forms = (np.asarray, torch.from_numpy, lambda array: torch.from_numpy(array).bfloat16())
    scores = {
        evaluate(form(query), other(database), of_query(labels), of_item(of_database)).map
        for form, other, of_query, of_item in itertools.product(forms, repeat=4)
    }
    assert len(scores) == 1


LABELS = np.zeros((8, 2), int)


FAULTS = [  # arguments, and what the error says
    ({"relevance": "any"}, "'share-one', 'fraction'.*got 'any'"),
    ({"ties": "random"}, "'index' or 'expected', got 'random'"),
    ({"device": "gpu"}, "device .* got 'gpu'"),
    *(({"k": k}, f"k must be .* from 1 to 8, got {wrong}") for k, wrong in [(9, 9), ([3, 0], 0), (-1, -1)]),
    *(({"k": k}, f"k must be .* from 1 to 8, got {k!r}") for k in (9, -1, True, 3.0, "3")),
    ({"k": [3, 0]}, "k must be .* from 1 to 8, got 0"),
    ({"query_codes": np.zeros((1, 12))}, r"query_codes .* -1 and \+1 only, got 0"),
    ({"database_codes": np.full((8, 12), np.nan)}, r"database_codes .* -1 and \+1 only, got nan"),
    ({"query_codes": np.full((1, 12), 255, np.uint8)}, "query_codes .* got uint8"),
    ({"query_codes": [["+"] * 12]}, "query_codes .* got <U1"),
    ({"query_codes": np.ones(12)}, r"query_codes .* \(n, bits\) .* got \(12,\)"),
    ({"query_codes": np.ones((0, 12))}, r"query_codes .* at least one item .* got \(0, 12\)"),
    ({"database_codes": np.ones((8, 0))}, r"database_codes .* one bit, got \(8, 0\)"),
    ({"query_codes": np.ones((1, 11))}, "number of bits, got 11 and 12"),
    ({"query_codes": np.ones((1, 65536))}, "query_codes .* 65535 bits, got 65536"),
    ({"query_codes": [[1, -1], [1]]}, "query_codes must be an array or a tensor"),
    ({"query_codes": torch.eye(12)[:1].to_sparse()}, "query_codes .* got torch.sparse_coo"),
    ({"query_labels": [1, 2]}, "query_labels .* expected 1, got 2"),
    ({"query_labels": [1.5]}, "query_labels .* whole numbers .* got 1.5"),
    ({"query_labels": LABELS[:1, :, None]}, r"query_labels must be class numbers .* \(1, 2, 1\)"),
    ({"query_labels": np.array([2**63], np.uint64)}, "query_labels must be at most 9223372036854775807, got 92233"),
    ({"query_labels": np.ones((1, 65536), bool)}, "query_labels .* 1 to 65535 labels, got 65536"),
    ({"query_labels": LABELS[:1, :0], "database_labels": LABELS[:, :0]}, "query_labels .* labels, got 0"),
    ({"database_labels": LABELS + 2}, "database_labels .* 0 and 1 only, got 2"),
    ({"database_labels": LABELS}, r"shapes \(1,\) and \(8, 2\)"),
    ({"query_labels": LABELS[:1, :1], "database_labels": LABELS}, r"shapes \(1,\) and \(8, 2\)"),
    ({"query_labels": [7]}, "no query has anything relevant"),
    ({"query_labels": LABELS[:1], "database_labels": LABELS}, "no query has anything relevant"),
]


@pytest.mark.parametrize(("changes", "message"), FAULTS)
def test_each_fault_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        evaluate(**TOY._asdict() | changes)
