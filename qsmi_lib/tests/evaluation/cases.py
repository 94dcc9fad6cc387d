"""Random and toy inputs of `evaluate`, and comparison with the slow definitions."""

import dataclasses
import inspect
from typing import NamedTuple

import numpy as np
from numpy.testing import assert_allclose

from qsmi_lib.evaluation import Evaluation, evaluate
from qsmi_lib.tests.evaluation import slow_evaluation

FIELDS = [field.name for field in dataclasses.fields(Evaluation)]
TIES_CHANGE = {"ap", "map"}
KINDS = [("single", "share-one"), ("single", "fraction"), ("multi", "share-one"), ("multi", "fraction")]


class Case(NamedTuple):
    query_codes: np.ndarray
    database_codes: np.ndarray
    query_labels: np.ndarray
    database_labels: np.ndarray


def random_case(seed, bits, kind, n_query=4, n_database=24, n_label=5):
    """Codes with many ties: three words, their opposites, some bits flipped. Nothing is relevant to the first query."""
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
    """The slow definition of a field, with those of `options` that it takes."""
    function = getattr(slow_evaluation, f"slow_{name}")
    accepted = inspect.signature(function).parameters
    return function(ranked, **{option: value for option, value in options.items() if option in accepted})


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


TOY = toy([1, 0, 1, 0, 1, 0, 0, 1], distances=[0, 1, 1, 2, 2, 2, 3, 4])
