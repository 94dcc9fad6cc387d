"""Queries drawn by hash: the quota of each label, exactly; the same draw the same everywhere."""

import hashlib

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from qsmi_lib.datasets.listed import check_leaks
from qsmi_lib.datasets.sampling import AtRandom, PerLabel, by_hash, per_label

SEVERAL = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 0, 0], [0, 1, 1], [1, 0, 0]])


def slow_order(n, draw):
    return sorted(range(n), key=lambda row: hashlib.sha256(f"{draw}:{row}".encode()).hexdigest())


def slow_per_label(labels, n, draw):
    """Rows of the queries and, for each, the label it counts for; None where a label comes out short."""
    carried = [set(np.flatnonzero(row)) for row in labels] if labels.ndim == 2 else [{label} for label in labels]
    wanted = dict.fromkeys(range(labels.shape[1]) if labels.ndim == 2 else sorted(set(labels)), n)
    counts_for = {}
    for row in slow_order(len(labels), draw):
        for label in wanted:
            if label in carried[row] and wanted[label]:
                wanted[label] -= 1
                counts_for[row] = label
                break
    return None if any(wanted.values()) else counts_for


def random_labels(n, c, seed=0, share=0.3):
    return (np.random.default_rng(seed).random((n, c)) < share).astype(np.int64)


# By hash


def test_the_order_is_pinned():
    """So it is on every machine."""
    assert by_hash(10, 0).tolist() == [7, 4, 9, 3, 8, 2, 6, 0, 5, 1]
    assert by_hash(10, 1).tolist() == [7, 4, 8, 6, 5, 2, 3, 0, 9, 1]


@pytest.mark.parametrize("n", [0, 1, 2, 100])
def test_the_order_is_a_permutation_by_the_digests(n):
    assert by_hash(n, 3).tolist() == slow_order(n, 3)
    assert sorted(by_hash(n, 3)) == list(range(n))


# A label


def test_a_draw_is_pinned():
    assert [np.flatnonzero(per_label(SEVERAL, 1, draw)).tolist() for draw in range(3)] == [
        [3, 4, 7],
        [4, 6, 7],
        [2, 6, 7],
    ]


@settings(max_examples=40)
@given(st.integers(0, 1000), st.integers(1, 4), st.integers(0, 3))
def test_any_draw_is_what_the_slow_way_draws(seed, n, draw):
    labels = random_labels(30, 4, seed, share=0.4)
    expected = slow_per_label(labels, n, draw)
    if expected is None:
        with pytest.raises(ValueError, match=f"expected {n} queries for each label, got "):
            per_label(labels, n, draw)
        return
    query = per_label(labels, n, draw)
    assert query.dtype == bool and set(np.flatnonzero(query)) == set(expected)
    assert np.bincount(list(expected.values()), minlength=4).tolist() == [n] * 4
    assert query.sum() == 4 * n and labels[query].any(axis=1).all()


def test_with_single_labels_each_has_as_many_queries():
    labels = np.array([7, 7, 7, 2, 2, 2, 2, 40, 40, 40] * 3)
    query = per_label(labels, 5, 0)
    assert {label: int(query[labels == label].sum()) for label in (2, 7, 40)} == {2: 5, 7: 5, 40: 5}
    hot = (labels[:, None] == np.unique(labels)).astype(int)
    assert np.array_equal(query, per_label(hot, 5, 0))
    assert set(np.flatnonzero(query)) == set(slow_per_label(labels, 5, 0))


def test_draws_differ_and_one_draw_does_not():
    labels = random_labels(200, 5)
    drawn = [per_label(labels, 3, draw) for draw in (0, 1, 2, 0)]
    assert np.array_equal(drawn[0], drawn[3])
    assert len({tuple(np.flatnonzero(own)) for own in drawn}) == 3


def test_a_label_may_use_up_its_items_and_no_more():
    labels = np.array([0, 0, 1, 1, 1])
    assert per_label(labels, 2, 0)[:2].all()
    with pytest.raises(ValueError, match=r"^expected 3 queries for each label, got 2 for label 0$"):
        per_label(labels, 3, 0)


def test_the_label_that_comes_out_shortest_is_named():
    labels = np.array([[1, 0, 0, 1]] * 6 + [[0, 1, 0, 0]] * 3)
    with pytest.raises(ValueError, match=r"^expected 4 queries for each label, got 0 for label 2$"):
        per_label(labels, 4, 0)


# Parts


def of(labels, parts):
    """Queries, training items, database; they do not leak and leave nothing out."""
    assert set(parts) == {"train", "query", "database"}
    assert all((np.diff(rows) > 0).all() for rows in parts.values())
    check_leaks({name: rows.tolist() for name, rows in parts.items()}, len(labels))
    assert sorted([*parts["query"], *parts["database"]]) == list(range(len(labels)))
    assert set(parts["train"]) <= set(parts["database"])
    return len(parts["query"]), len(parts["train"]), len(parts["database"])


def test_all_that_does_not_ask_trains_and_is_searched():
    labels = random_labels(200, 5)
    parts = PerLabel(3).parts(labels, 1)
    assert of(labels, parts) == (15, 185, 185)
    assert np.array_equal(np.flatnonzero(per_label(labels, 3, 1)), parts["query"])


def test_the_paper_s_quota_of_nus_wide_in_small():
    """2,100 queries, 100 for each of 21 labels."""
    labels = random_labels(6000, 21, share=0.1)
    labels[~labels.any(axis=1), 0] = 1
    assert of(labels, PerLabel(100).parts(labels, 0)) == (2100, 3900, 3900)


@pytest.mark.parametrize(("n_items", "n_query"), [(100, 10), (109, 10), (40, 5), (20, 5), (199, 15)])
def test_without_a_number_a_tenth_asks_and_one_a_label_at_least(n_items, n_query):
    for labels in (np.arange(n_items) % 5, np.eye(5, dtype=int)[np.arange(n_items) % 5]):
        assert of(labels, PerLabel().parts(labels, 0))[0] == n_query


def test_a_rare_label_gives_half_of_its_items_at_most():
    labels = np.repeat([0, 1, 2, 3], [94, 3, 2, 1])
    parts = PerLabel().parts(labels, 0)
    assert of(labels, parts) == (4, 96, 96)
    assert np.bincount(labels[parts["query"]], minlength=4).tolist() == [2, 1, 1, 0]


def test_each_label_may_have_a_quota_of_its_own():
    labels = np.repeat([0, 1, 2], [10, 10, 2])
    query = per_label(labels, np.array([3, 0, 2]), 0)
    assert np.bincount(labels[query], minlength=3).tolist() == [3, 0, 2]
    with pytest.raises(ValueError, match=r"^expected 3 queries for each label, got 2 for label 2$"):
        per_label(labels, np.array([1, 1, 3]), 0)


def test_at_random_so_many_ask_so_many_train_and_all_others_are_searched():
    labels = random_labels(50, 3)
    parts = AtRandom(12, 20).parts(labels, 2)
    assert of(labels, parts) == (12, 20, 38)
    order = slow_order(50, 2)
    assert parts["query"].tolist() == sorted(order[:12]) and parts["train"].tolist() == sorted(order[12:32])
    assert not np.array_equal(AtRandom(12, 20).parts(labels, 3)["query"], parts["query"])


def test_at_random_all_may_be_used_and_no_more():
    labels = random_labels(50, 3)
    assert of(labels, AtRandom(20, 30).parts(labels, 0)) == (20, 30, 30)
    with pytest.raises(ValueError, match=r"^expected at least 20 \+ 31 items, got 50$"):
        AtRandom(20, 31).parts(labels, 0)


def test_names_of_divisions_tell_them_apart():
    """They are part of fingerprints."""
    own = [PerLabel(), PerLabel(100), PerLabel(10), AtRandom(5000, 10_000), AtRandom(5000, 1000), AtRandom(500, 10_000)]
    assert len(set(map(str, own))) == len(own)
    assert str(PerLabel()) == "tenth-a-label" and str(PerLabel(100)) == "100-a-label"
    assert str(AtRandom(5000, 10_000)) == "5000-at-random-10000-train"
