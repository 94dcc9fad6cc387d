"""Fig. 4: one map of database and queries, and its readings against slow definitions."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from qsmi_lib.reproduction.analysis import tsne
from qsmi_lib.reproduction.artefacts import load_artefact
from qsmi_lib.tests.reproduction.invented import empty
from qsmi_lib.training import runs
from qsmi_lib.training.records import codes_of


@pytest.fixture
def clouds():
    """Three classes of 40 codes of 12 bits, most of them near one word, and 15 queries of the same classes."""
    generator = np.random.default_rng(0)
    words = generator.choice([-1, 1], size=(3, 12))
    labels = np.arange(135) % 3
    flips = generator.random((135, 12)) < 0.08
    codes = np.where(flips, -words[labels], words[labels]).astype(np.int8)
    return tsne.Points(codes[:120], codes[120:], labels[:120], labels[120:])


def slow_memberships(distance, k):
    """Every order of the items that keeps the distances ascending, equally likely."""
    orders = [o for o in permutations(range(len(distance))) if list(distance[list(o)]) == sorted(distance)]
    counts = np.zeros(len(distance))
    for order in orders:
        counts[list(order[:k])] += 1
    return counts / len(orders)


@pytest.mark.parametrize("distance", [[1, 2, 3, 4], [2, 1, 2, 2], [0, 0, 0, 0], [3, 1, 1, 3, 3], [5, np.inf, 0]])
def test_memberships_are_the_mean_over_all_orders_of_ties(distance):
    distance = np.array(distance, float)
    for k in (1, 2):
        shares = tsne.memberships(distance[None], k)[0]
        assert shares == pytest.approx(slow_memberships(distance, k)) and shares.sum() == pytest.approx(k)


def test_same_class_counts_neighbours_of_the_own_class_and_never_the_item_itself():
    items = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    labels = np.array([0, 0, 1, 1, 1, 1])
    expected = [(1 + 0) / 2, (1 + 0) / 2, 0.0, 1.0, 1.0, 1.0]
    assert tsne.same_class(items, labels, k=2) == pytest.approx(np.mean(expected))
    assert tsne.same_class(items, labels, np.array([[0.4]]), np.array([0]), k=2) == 1.0


def test_a_space_agrees_with_itself_and_one_without_structure_as_chance_would():
    generator = np.random.default_rng(0)
    points, labels = generator.normal(size=(200, 5)), np.arange(200) % 2
    assert tsne.agreement(points, points, labels)[0] == pytest.approx(1.0)
    assert tsne.agreement(points, 3.0 * points + 1.0, labels)[0] == pytest.approx(1.0)
    share, chance = tsne.agreement(points, np.ones((200, 1)), labels)
    assert share == pytest.approx(chance) == pytest.approx(10 / 99)


def test_agreement_does_not_look_across_classes():
    points, labels = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
    apart = points + 100.0 * labels[:, None]
    assert tsne.agreement(points, apart, labels)[0] == pytest.approx(1.0)


def test_classes_stay_apart_and_items_and_queries_that_coincide_are_one_point(clouds):
    database, query = tsne.embed(clouds.database, clouds.query, perplexity=3)
    assert database.shape == (120, 2) and query.shape == (15, 2)
    for places, codes in ((database, clouds.database), (query, clouds.query)):
        for place, code in zip(places, codes, strict=True):
            same = (clouds.database == code).all(axis=1)
            assert np.isfinite(place).all() and (database[same] == place).all()
    assert tsne.same_class(database, clouds.database_labels, k=5) > 0.9
    assert tsne.same_class(database, clouds.database_labels, query, clouds.query_labels, k=5) > 0.9


def test_too_few_distinct_items_are_refused():
    items = np.repeat(np.eye(4), 30, axis=0)
    with pytest.raises(ValueError, match="perplexity 2 needs more than 6 distinct items, got 4"):
        tsne.embed(items, items[:2], perplexity=2)


def test_maps_and_measures_are_made_once(tmp_path, monkeypatch, clouds):
    results, perplexities = empty("digits", tmp_path), []

    def embed(database, query, *, perplexity):
        perplexities.append(perplexity)
        return database[:, :2], query[:, :2]

    monkeypatch.setattr(tsne, "points_of", lambda space, results: clouds)
    monkeypatch.setattr(tsne, "embed", embed)
    tsne.collect(results)
    tsne.collect(results)
    assert perplexities == list(tsne.PERPLEXITIES) * len(tsne.SPACES)
    measured = load_artefact(results.store, tsne.MEASURED)
    assert measured["dataset"] == "digits" and measured["qsmi"]["items"] == 120
    assert measured["qsmi"]["distinct"] == len(np.unique(clouds.database, axis=0))
    for space in tsne.SPACES:
        points = tsne.load_map(results.store, space, 2)
        assert (points.database == clouds.database[:, :2]).all() and (points.query_labels == clouds.query_labels).all()
    monkeypatch.setattr(tsne, "PERPLEXITIES", (2, 40))
    tsne.collect(results)
    assert perplexities[-2:] == [2, 40]


def test_points_are_codes_of_the_runs_and_the_features_behind_them(tmp_path, monkeypatch):
    results, run = empty("digits", tmp_path), runs.run
    monkeypatch.setattr(runs, "run", lambda config, store, fresh: run(replace(config, epochs=1), store, fresh=fresh))
    monkeypatch.setattr(tsne, "codes_of", lambda config, store: codes_of(replace(config, epochs=1), store))
    for space, width in {"qsmi": 48, "features": 32}.items():
        points = tsne.points_of(space, results)
        assert points.database.shape == (1297, width) and points.query.shape == (500, width)
        assert len(points.database_labels) == 1297 and len(points.query_labels) == 500
        assert tsne.same_class(points.database, points.database_labels, points.query, points.query_labels) > 0.5
