"""What the order inside ties moves, and what it leaves alone."""

import numpy as np
import pytest

from qsmi_lib.evaluation import evaluate
from qsmi_lib.reproduction.analysis import tie_orders
from qsmi_lib.reproduction.artefacts import is_current, load_artefact
from qsmi_lib.reproduction.results import committed
from qsmi_lib.tests.reproduction.invented import empty
from qsmi_lib.training.records import SavedCodes, run_id

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
def scores(codes):
    return tie_orders.tie_orders(codes, n_permutations=4)


def test_its_size(codes, scores):
    assert (scores["n_query"], scores["n_database"], scores["k"]) == (40, 120, 12)
    assert scores["n_query_codes"] == len(set(map(tuple, codes.query.tolist())))
    assert set(scores["permuted"]) == set(tie_orders.MOVED)
    assert all(len(values) == 4 for values in scores["permuted"].values())
    assert np.shape(scores["at_recall"]) == (2, 11)
    assert len(scores["gain_by_class"]) == 4


def test_the_stored_order_is_that_of_evaluate(codes, scores):
    expected = evaluate(*codes, k=12)
    for field in tie_orders.MOVED:
        value = getattr(expected, field)
        assert scores["stored"][field] == pytest.approx(value[12] if isinstance(value, dict) else value, abs=1e-8)
    for field in tie_orders.FREE:
        assert scores["order_free"][field] == pytest.approx(getattr(expected, field), abs=1e-8)


@pytest.mark.parametrize("seed", range(2))
def test_no_order_moves_the_fields_that_are_free_of_it(codes, seed):
    order = np.random.default_rng(seed).permutation(len(codes.database))
    moved = codes._replace(database=codes.database[order], database_labels=codes.database_labels[order])
    scores, expected = evaluate(*moved, k=12), evaluate(*codes, k=12)
    for field in tie_orders.FREE:
        assert getattr(scores, field) == pytest.approx(getattr(expected, field), abs=1e-12)
    assert scores.map != expected.map


@pytest.mark.parametrize("seed", range(2))
def test_relevant_last_and_first_are_the_bounds(seed):
    scores = tie_orders.tie_orders(synthetic(seed), n_permutations=3, seed=seed)
    assert scores["first"]["map"] == pytest.approx(scores["order_free"]["map_optimistic"], abs=1e-7)
    assert scores["last"]["map"] == pytest.approx(scores["order_free"]["map_pessimistic"], abs=1e-7)
    for field in set(tie_orders.MOVED) - {"map_at_k_hits"}:  # more hits may make the mean over hits smaller
        values = [scores[order][field] for order in ORDERS] + scores["permuted"][field]
        assert (min(values), max(values)) == (scores["last"][field], scores["first"][field])
        assert scores["last"][field] < scores["first"][field]


def test_random_orders_are_seeded(codes, scores):
    assert tie_orders.tie_orders(codes, n_permutations=4) == scores
    more, other = (tie_orders.tie_orders(codes, n_permutations=n, seed=s)["permuted"] for n, s in ((5, 0), (4, 1)))
    assert more["map"][:4] == scores["permuted"]["map"]
    assert len(set(more["map"] + other["map"])) == 9


def test_without_ties_no_order_matters():
    far = np.where(np.tri(8, 8, -1), -1, 1).astype(np.int8)  # row i differs from the first in i bits
    codes = SavedCodes(far[:1], far, np.array([0]), np.array([0, 1, 0, 0, 1, 1, 0, 1]))
    scores = tie_orders.tie_orders(codes, n_permutations=2)
    for field in tie_orders.MOVED:
        assert len({scores[order][field] for order in ORDERS} | set(scores["permuted"][field])) == 1
    assert scores["gain_by_class"] == [0]


def test_a_sorted_database_helps_the_class_that_stands_first():
    labels = np.repeat([0, 1], 10)
    same = np.ones((20, 4), np.int8)
    gain = tie_orders.tie_orders(SavedCodes(same, same, labels, labels[::-1]), n_permutations=1)["gain_by_class"]
    assert gain[0] > 0.3 and gain[1] < -0.2


def test_a_class_without_database_items_is_left_out(codes):
    labels = codes.query_labels.copy()
    labels[:3] = 99
    scores = tie_orders.tie_orders(codes._replace(query_labels=labels), n_permutations=1)
    assert scores["first"]["map"] == pytest.approx(scores["order_free"]["map_optimistic"], abs=1e-7)
    assert len(scores["gain_by_class"]) == 4


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


def test_the_artefact_comes_back(tmp_path, monkeypatch):
    results = empty("digits", tmp_path)
    with pytest.raises(FileNotFoundError, match="run the experiment with --fresh"):
        tie_orders.of_runs(results, n_permutations=1)
    monkeypatch.setattr(tie_orders, "codes_of", lambda config, store: synthetic(config.bits, config.bits))
    written = tie_orders.of_runs(results, n_permutations=2)
    assert load_artefact(results.store, tie_orders.FILE) == written
    assert is_current(results.store, tie_orders.FILE, tie_orders.made_by(results, 2))
    assert [run["run"] for run in written["runs"]] == [run_id(config) for config in results.grid("tie_order")]
    rows = tie_orders.spread(written)
    assert rows["score"].tolist()[:5] == ["map_11pt", "map", "map_at_k[12]", "map_at_k_hits[12]", "precision_at_k[12]"]
    assert (rows["low"] <= rows["high"]).all() and (rows["width"] == rows["first"] - rows["last"]).all()


def test_the_committed_artefact_has_the_scores_of_the_committed_records():
    runs = load_artefact(committed().store, tie_orders.FILE)["runs"]
    assert [run["run"] for run in runs] == committed().recorded("tie_order").index.tolist()
    for run, record in zip(runs, committed().recorded("tie_order").to_dict("records"), strict=True):
        for field in (*tie_orders.FREE, "map", "map_11pt"):
            score = run["order_free"].get(field, run["stored"].get(field))
            assert score == pytest.approx(record[field], abs=1e-7)
        assert run["stored"]["map_at_k"] == pytest.approx(record["map_at_5000_clean"], abs=1e-7)
