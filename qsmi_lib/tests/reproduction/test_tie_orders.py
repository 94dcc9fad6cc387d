"""What the order inside ties moves, and what it leaves alone."""

import json

import numpy as np
import pytest

from qsmi_lib.evaluation import evaluate
from qsmi_lib.reproduction import experiments
from qsmi_lib.reproduction.analysis import tie_orders
from qsmi_lib.training import records, runs
from qsmi_lib.training.records import SavedCodes
from qsmi_lib.utils import paths

ORDERS = ("stored", "sorted", "first", "last")


def synthetic(seed=0, bits=6, n_query=40, n_database=120, n_class=4):
    """Codes of classes with many ties: a word a class, a fifth of its bits flipped."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_class, size=n_query + n_database)
    words = rng.choice([-1, 1], size=(n_class, bits))
    flipped = rng.random((len(labels), bits)) < 0.2
    codes = np.where(flipped, -words[labels], words[labels]).astype(np.int8)
    return SavedCodes(codes[:n_query], codes[n_query:], labels[:n_query], labels[n_query:])


@pytest.fixture(scope="module")
def codes():
    return synthetic()


@pytest.fixture(scope="module")
def found(codes):
    return tie_orders.tie_orders(codes, n_permutations=4)


def test_its_size(codes, found):
    assert (found["n_query"], found["n_database"], found["k"]) == (40, 120, 12)
    assert found["n_query_codes"] == len(set(map(tuple, codes.query.tolist())))
    assert set(found["permuted"]) == set(tie_orders.MOVED)
    assert all(len(values) == 4 for values in found["permuted"].values())
    assert np.shape(found["at_recall"]) == (2, 11)
    assert len(found["gain_by_class"]) == 4


def test_the_stored_order_is_that_of_evaluate(codes, found):
    scores = evaluate(*codes, k=12)
    for field in tie_orders.MOVED:
        value = getattr(scores, field)
        assert found["stored"][field] == pytest.approx(value[12] if isinstance(value, dict) else value, abs=1e-8)
    for field in tie_orders.FREE:
        assert found["order_free"][field] == pytest.approx(getattr(scores, field), abs=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_no_order_moves_the_fields_that_are_free_of_it(codes, seed):
    order = np.random.default_rng(seed).permutation(len(codes.database))
    moved = codes._replace(database=codes.database[order], database_labels=codes.database_labels[order])
    scores, expected = evaluate(*moved, k=12), evaluate(*codes, k=12)
    for field in tie_orders.FREE:
        assert getattr(scores, field) == pytest.approx(getattr(expected, field), abs=1e-12)
    assert scores.map != expected.map


@pytest.mark.parametrize("seed", range(3))
def test_relevant_last_and_first_are_the_bounds(seed):
    found = tie_orders.tie_orders(synthetic(seed), n_permutations=3, seed=seed)
    assert found["first"]["map"] == pytest.approx(found["order_free"]["map_optimistic"], abs=1e-7)
    assert found["last"]["map"] == pytest.approx(found["order_free"]["map_pessimistic"], abs=1e-7)
    for field in set(tie_orders.MOVED) - {"map_at_k_hits"}:  # more hits may make the mean over hits smaller
        values = [found[order][field] for order in ORDERS] + found["permuted"][field]
        assert (min(values), max(values)) == (found["last"][field], found["first"][field])
        assert found["last"][field] < found["first"][field]


def test_random_orders_are_seeded(codes, found):
    assert tie_orders.tie_orders(codes, n_permutations=4) == found
    more, other = (tie_orders.tie_orders(codes, n_permutations=n, seed=s)["permuted"] for n, s in ((5, 0), (4, 1)))
    assert more["map"][:4] == found["permuted"]["map"]
    assert len(set(more["map"] + other["map"])) == 9


def test_without_ties_no_order_matters():
    far = np.where(np.tri(8, 8, -1), -1, 1).astype(np.int8)  # row i differs from the first in i bits
    codes = SavedCodes(far[:1], far, np.array([0]), np.array([0, 1, 0, 0, 1, 1, 0, 1]))
    found = tie_orders.tie_orders(codes, n_permutations=2)
    for field in tie_orders.MOVED:
        assert len({found[order][field] for order in ORDERS} | set(found["permuted"][field])) == 1
    assert found["gain_by_class"] == [0]


def test_a_sorted_database_helps_the_class_that_stands_first():
    labels = np.repeat([0, 1], 10)
    same = np.ones((20, 4), np.int8)
    gain = tie_orders.tie_orders(SavedCodes(same, same, labels, labels[::-1]), n_permutations=1)["gain_by_class"]
    assert gain[0] > 0.3 and gain[1] < -0.2


def test_a_class_without_database_items_is_left_out(codes):
    asked = codes.query_labels.copy()
    asked[:3] = 99
    found = tie_orders.tie_orders(codes._replace(query_labels=asked), n_permutations=1)
    assert found["first"]["map"] == pytest.approx(found["order_free"]["map_optimistic"], abs=1e-7)
    assert len(found["gain_by_class"]) == 4


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"query_labels": np.ones((40, 2), int)}, {}, r"one class an item, got \(40, 2\) and \(120,\)"),
        ({}, {"n_permutations": 0}, "n_permutations must be at least 1, got 0"),
        ({"query": np.zeros((40, 6), np.int8)}, {}, "-1 and"),
    ],
)
def test_mistakes_are_refused(codes, change, options, message):
    with pytest.raises(ValueError, match=message):
        tie_orders.tie_orders(codes._replace(**change), **options)


def test_the_artefact_comes_back(monkeypatch):
    with pytest.raises(FileNotFoundError, match="run the experiment with --fresh"):
        tie_orders.of_runs("digits", n_permutations=1)
    monkeypatch.setattr(tie_orders, "codes_of", lambda config, profile: synthetic(config.bits, config.bits))
    written = tie_orders.of_runs("digits", n_permutations=2)
    monkeypatch.setattr(paths, "COMMITTED", paths.results("digits"))
    assert tie_orders.committed() == json.loads(json.dumps(written)) == written
    assert [run["bits"] for run in written["runs"]] == [8, 12, 24, 48]
    rows = tie_orders.spread(written)
    assert rows["score"].tolist()[:5] == ["map_11pt", "map", "map_at_k[12]", "map_at_k_hits[12]", "precision_at_k[12]"]
    assert (rows["low"] <= rows["high"]).all()
    assert (rows["width"] == rows["first"] - rows["last"]).all()


def test_the_committed_artefact_is_of_the_committed_records():
    found = tie_orders.committed()
    assert (paths.COMMITTED / "artefacts" / tie_orders.FILE).stat().st_size < 50_000
    assert [run["bits"] for run in found["runs"]] == [8, 12, 24, 48]
    assert found["n_permutations"] == 20
    for run, config in zip(found["runs"], experiments.grid("tie_order", "paper"), strict=True):
        assert run["run"] == runs.record_path(config, "paper").stem
        metrics = records.load(paths.COMMITTED / "runs" / f"{run['run']}.json")["metrics"]
        for field in (*tie_orders.FREE, "map", "map_11pt"):
            known = run["order_free"].get(field, run["stored"].get(field))
            assert known == pytest.approx(metrics[field], abs=1e-7)
        assert run["stored"]["map_at_k"] == pytest.approx(metrics["map_at_k"]["5000"], abs=1e-7)
