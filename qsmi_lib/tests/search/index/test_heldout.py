"""The held-out tenth: equal items never fall on both sides, and each label keeps an item to search."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qsmi_lib.search.index.heldout import TOLERANCE, equals, held_out
from qsmi_lib.search.index.storage import rounded


@st.composite
def items(draw):
    """Features of items that are often equal up to rounding and length, their labels, and digests if there are any."""
    n, seed = draw(st.integers(2, 60)), draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    originals = rng.normal(size=(draw(st.integers(1, n)), draw(st.sampled_from((8, 40)))))
    origin = rng.integers(len(originals), size=n)
    features = originals[origin] * rng.choice((0.01, 1.0, 50.0), size=(n, 1))
    features *= 1 + rng.normal(size=features.shape) * rng.choice((0.0, 1e-6, 1e-4), size=(n, 1))
    labels = draw(st.none() | st.lists(st.frozensets(st.sampled_from("abcd"), max_size=2), min_size=n, max_size=n))
    digests = draw(st.just([]) | st.lists(st.sampled_from("0123456789"), min_size=n, max_size=n))
    return features.astype(np.float32), labels, digests


def slow_equals(features, digests):
    """Pairs of items that are equal by definition."""
    units = features.astype(np.float64) / np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    n = len(units)
    pairs = [(a, b) for a in range(n) for b in range(a)]
    same = {(a, b) for a, b in pairs if np.linalg.norm(units[a] - units[b]) < 0.99 * TOLERANCE}
    return same | {(a, b) for a, b in pairs if digests and digests[a] == digests[b]}


@settings(max_examples=40)
@given(items())
def test_equal_items_are_never_on_both_sides(case):
    features, labels, digests = case
    chosen, group = held_out(features, labels, digests), equals(features, digests)
    assert chosen.shape == (len(features),) and chosen.dtype == bool
    for a, b in slow_equals(features, digests):
        assert group[a] == group[b] and chosen[a] == chosen[b]


@settings(max_examples=40)
@given(items())
def test_each_label_keeps_an_item_and_has_a_query_where_it_can(case):
    features, labels, digests = case
    chosen, group = held_out(features, labels, digests), equals(features, digests)
    n_groups = len(set(group.tolist()))
    if labels is None:
        assert len(set(group[chosen].tolist())) == (max(1, n_groups // 10) if n_groups > 1 else 0)
        return
    groups = defaultdict(set)
    for own, number in zip(labels, group.tolist(), strict=True):
        for label in own:
            groups[label].add(number)
    asked = set(group[chosen].tolist())
    for label, having in groups.items():
        assert having - asked, f"{label} has no item to search"
    assert all(any(labels[row] for row in np.flatnonzero(group == number)) for number in asked)


def test_a_tenth_of_each_class_is_held_out():
    features = np.random.default_rng(0).normal(size=(130, 16)).astype(np.float32)
    labels = [frozenset(["a" if row < 100 else "b" if row < 120 else "c"]) for row in range(130)]
    chosen = held_out(features, labels)
    assert [chosen[:100].sum(), chosen[100:120].sum(), chosen[120:].sum()] == [10, 2, 1]
    assert np.array_equal(chosen, held_out(features, labels)) and held_out(features, labels, seed=1).sum() == 13


@pytest.mark.parametrize("labels", [[frozenset("a"), frozenset("b"), frozenset("b"), frozenset("b")], None])
def test_a_class_that_cannot_be_divided_is_not_asked_for(labels):
    """One item, or only equal ones: there would be nothing to find, or nothing but the query itself."""
    features = np.array([[1, 0, 0], [0, 1, 0], [0, 2, 0], [0, 3, 0]], np.float32)
    chosen = held_out(features, labels)
    assert not chosen.any() if labels else chosen.sum() in (1, 3)


@pytest.mark.parametrize("stored", [False, True])
def test_the_same_picture_in_another_batch_or_format_is_equal(stored):
    """Also as an index stores its features: one that lies between two steps is rounded up or down."""
    rng = np.random.default_rng(0)
    features = (rng.uniform(0, 1, size=(50, 1280)) ** 8).astype(np.float32)
    both = np.concatenate([features, features * (1 + rng.normal(size=features.shape).astype(np.float32) * 1e-4)])
    if stored:
        values, scale = rounded(both)
        both = values * scale[:, None]
    group = equals(both)
    assert np.array_equal(group[:50], group[50:]) and len(set(group.tolist())) == 50


def test_many_equal_items_need_no_table_of_their_pairs():
    """A table of 30,000 copies and their pairs would fill the memory."""
    rng = np.random.default_rng(0)
    copies = np.repeat(rng.normal(size=(3, 16)), 10_000, axis=0)
    features = copies * (1 + 1e-5 * rng.normal(size=copies.shape))
    group = equals(features.astype(np.float32))
    assert [len(set(group[row::10_000].tolist())) for row in (0, 5)] == [3, 3] and len(set(group.tolist())) == 3
