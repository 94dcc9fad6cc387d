"""Items drawn by hash: stratified, for each label, at random; the same everywhere."""

import hashlib

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from qsmi_lib.datasets.protocols import check_leaks
from qsmi_lib.datasets.sampling import AtRandom, PerLabel, by_hash, per_label, stratified

SEVERAL = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 0, 0], [0, 1, 1], [1, 0, 0]])


def slow_order(n, draw):
    return sorted(range(n), key=lambda row: hashlib.sha256(f"{draw}:{row}".encode()).hexdigest())


def random_labels(n, c, seed=0, share=0.3):
    return (np.random.default_rng(seed).random((n, c)) < share).astype(np.int64)


def test_draws_never_change():
    """Records name a split by its draw."""
    assert by_hash(10, 0).tolist() == slow_order(10, 0) == [7, 4, 9, 3, 8, 2, 6, 0, 5, 1]
    assert by_hash(10, 1).tolist() == slow_order(10, 1) == [7, 4, 8, 6, 5, 2, 3, 0, 9, 1]
    drawn = [np.flatnonzero(per_label(SEVERAL, 1, draw)).tolist() for draw in range(3)]
    assert drawn == [[3, 4, 7], [4, 6, 7], [2, 6, 7]]
    drawn = [np.flatnonzero(stratified(np.arange(20) % 2, 6, draw)).tolist() for draw in range(2)]
    assert drawn == [[4, 7, 9, 10, 15, 18], [4, 6, 7, 8, 11, 17]]


# Stratified


@settings(max_examples=50)
@given(labels=st.lists(st.integers(-2, 3), min_size=1, max_size=40), data=st.data(), draw=st.integers(0, 9))
def test_a_stratified_choice_has_each_class_in_proportion(labels, data, draw):
    labels = np.array(labels)
    n_query = data.draw(st.integers(0, len(labels)))
    query, order = stratified(labels, n_query, draw), slow_order(len(labels), draw)
    assert query.shape == labels.shape and query.sum() == n_query
    for name in np.unique(labels):
        n = query[labels == name].sum()
        assert abs(n - (labels == name).sum() * n_query / len(labels)) < 1
        assert query[[row for row in order if labels[row] == name][:n]].all()


def test_rounding_follows_the_largest_remainders():
    labels = np.repeat([0, 1, 2], [10, 6, 4])
    query = stratified(labels, 7, draw=0)  # shares 3.5, 2.1 and 1.4
    assert np.bincount(labels[query]).tolist() == [4, 2, 1]


@pytest.mark.parametrize("n_query", [-1, 4])
def test_more_queries_than_items_are_refused(n_query):
    with pytest.raises(ValueError, match=f"n_query must lie between 0 and 3, got {n_query}"):
        stratified(np.zeros(3, int), n_query, draw=0)


# For each label


def slow_per_label(labels, n, draw):
    """Rows of the queries and, for each, the label that it counts for; None if a label has too few items."""
    counts_for, missing = {}, dict.fromkeys(range(labels.shape[1]), n)
    for row in slow_order(len(labels), draw):
        for label in np.flatnonzero(labels[row]):
            if missing[label]:
                missing[label] -= 1
                counts_for[row] = label
                break
    return None if any(missing.values()) else counts_for


@settings(max_examples=40)
@given(st.integers(0, 1000), st.integers(1, 4), st.integers(0, 3))
def test_any_draw_is_that_of_the_slow_reference(seed, n, draw):
    labels = random_labels(30, 4, seed, share=0.4)
    expected = slow_per_label(labels, n, draw)
    if expected is None:
        with pytest.raises(ValueError, match=f"expected {n} queries for each label, got "):
            per_label(labels, n, draw)
        return
    assert set(np.flatnonzero(per_label(labels, n, draw))) == set(expected)
    assert np.bincount(list(expected.values()), minlength=4).tolist() == [n] * 4


def test_single_labels_are_drawn_as_one_hot_ones():
    labels = np.array([7, 7, 7, 2, 2, 2, 2, 40, 40, 40] * 3)
    query = per_label(labels, 5, 0)
    assert {label: int(query[labels == label].sum()) for label in (2, 7, 40)} == {2: 5, 7: 5, 40: 5}
    assert np.array_equal(query, per_label((labels[:, None] == np.unique(labels)).astype(int), 5, 0))


def test_the_label_with_the_fewest_items_is_named():
    labels = np.array([[1, 0, 0, 1]] * 6 + [[0, 1, 0, 0]] * 3)
    with pytest.raises(ValueError, match=r"^expected 4 queries for each label, got 0 for label 2$"):
        per_label(labels, 4, 0)
    labels = np.repeat([0, 1, 2], [10, 10, 2])
    query = per_label(labels, np.array([3, 0, 2]), 0)  # all items of a label
    assert np.bincount(labels[query], minlength=3).tolist() == [3, 0, 2]
    with pytest.raises(ValueError, match=r"^expected 3 queries for each label, got 2 for label 2$"):
        per_label(labels, np.array([1, 1, 3]), 0)


# Parts


def sizes(labels, parts):
    """Queries, training items, database; they do not leak and leave nothing out."""
    assert set(parts) == {"train", "query", "database"}
    assert all((np.diff(rows) > 0).all() for rows in parts.values())
    check_leaks({name: rows.tolist() for name, rows in parts.items()}, len(labels))
    assert sorted([*parts["query"], *parts["database"]]) == list(range(len(labels)))
    assert set(parts["train"]) <= set(parts["database"])
    return len(parts["query"]), len(parts["train"]), len(parts["database"])


def test_the_quota_of_nus_wide():
    """2,100 queries, 100 for each of 21 labels."""
    labels = random_labels(6000, 21, share=0.1)
    labels[~labels.any(axis=1), 0] = 1
    assert sizes(labels, PerLabel(100).parts(labels, 0)) == (2100, 3900, 3900)


@pytest.mark.parametrize(("n_items", "n_query"), [(100, 10), (109, 10), (40, 5), (20, 5), (199, 15)])
def test_without_a_number_a_tenth_are_queries_and_at_least_one_of_each_label(n_items, n_query):
    for labels in (np.arange(n_items) % 5, np.eye(5, dtype=int)[np.arange(n_items) % 5]):
        assert sizes(labels, PerLabel().parts(labels, 0))[0] == n_query


def test_at_most_half_of_a_rare_label_are_queries():
    labels = np.repeat([0, 1, 2, 3], [94, 3, 2, 1])
    parts = PerLabel().parts(labels, 0)
    assert sizes(labels, parts) == (4, 96, 96)
    assert np.bincount(labels[parts["query"]], minlength=4).tolist() == [2, 1, 1, 0]


def test_at_random_the_first_are_queries_and_the_next_are_trained_on():
    labels, order = random_labels(50, 3), slow_order(50, 2)
    parts = AtRandom(12, 20).parts(labels, 2)
    assert sizes(labels, parts) == (12, 20, 38)
    assert parts["query"].tolist() == sorted(order[:12]) and parts["train"].tolist() == sorted(order[12:32])
    assert sizes(labels, AtRandom(20, 30).parts(labels, 0)) == (20, 30, 30)
    with pytest.raises(ValueError, match=r"^expected at least 20 \+ 31 items, got 50$"):
        AtRandom(20, 31).parts(labels, 0)


def test_the_names_of_divisions_which_fingerprints_contain():
    assert [str(PerLabel()), str(PerLabel(100))] == ["tenth-a-label", "100-a-label"]
    assert str(AtRandom(5000, 10_000)) == "5000-at-random-10000-train"
