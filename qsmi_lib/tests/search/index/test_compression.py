"""The table of compression: its scores by slow definitions, who asks whom, and what is not possible."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics.pairwise import cosine_similarity

from qsmi_lib.search.index import compression, hashing
from qsmi_lib.search.index.heldout import held_out

VALUES, NUMBERS = (part[:300] for part in load_digits(return_X_y=True))
VALUES = VALUES.astype(np.float32)
ONE = [frozenset([str(number)]) for number in NUMBERS]
SEVERAL = [frozenset({"odd"} if number % 2 else {"even"}) | ({"large"} if number > 6 else set()) for number in NUMBERS]
SEVERAL[5] = frozenset()


@pytest.fixture(autouse=True)
def fitted(monkeypatch):
    """What hashers were fitted to, briefly."""
    calls = []

    def fit(features, labels, bits, **options):
        calls.append((features, labels, bits, options["method"]))
        return real(features, labels, bits, **options)

    real = hashing.fit
    monkeypatch.setattr(hashing, "fit", fit)
    monkeypatch.setattr(hashing, "EPOCHS", 2)
    return calls


def slow_scores(order, labels, query_labels, nearest):
    """mAP and recall of 10 and 100 for one query."""
    hits = [bool(labels[item] & query_labels) for item in order]
    precisions = [sum(hits[: rank + 1]) / (rank + 1) for rank, hit in enumerate(hits) if hit]
    recalls = [len(set(order[:k].tolist()) & set(nearest[:k].tolist())) / k for k in (10, 100)]
    return np.mean(precisions) if precisions else np.nan, *recalls


@pytest.mark.parametrize("labels", [ONE, SEVERAL], ids=["one", "several"])
def test_scores_are_those_of_slow_definitions(labels, fitted):
    table = compression.table(VALUES, labels, bits=[16])
    asks = held_out(VALUES, labels)
    query, database, mean = VALUES[asks], VALUES[~asks], VALUES[~asks].mean(axis=0)
    query_labels, database_labels = (
        [own for own, ask in zip(labels, asks, strict=True) if ask == side] for side in (True, False)
    )
    nearest = np.argsort(
        -cosine_similarity(query.astype(float), database.astype(float)).round(9), axis=1, kind="stable"
    )

    def by_code(query_codes, database_codes):
        return np.argsort((query_codes[:, None] != database_codes).sum(axis=2), axis=1, kind="stable")

    orders = {"float32": nearest, "sign of": by_code(query >= 0, database >= 0)}
    orders["sign, less"] = by_code(query >= mean, database >= mean)
    for features, own, bits, method in list(fitted):
        hasher = hashing.fit(features, own, bits, method=method, seed=0)
        orders[method.upper()] = by_code(hasher.codes(query), hasher.codes(database))
    assert (table.n_query, table.n_database) == (len(query), len(database)) and len(table.rows) == 5
    for row, (name, order) in zip(table.rows, orders.items(), strict=True):
        slow = [
            slow_scores(*case)
            for case in zip(order, [database_labels] * len(order), query_labels, nearest, strict=True)
        ]
        assert row.method.startswith(name) and not row.remark
        assert (row.map, row.recall, row.recall_100) == pytest.approx(np.nanmean(slow, axis=0))
    assert table.rows[0].recall == 1.0
    assert [(row.bits, row.bytes) for row in table.rows] == [(2048, 256), (64, 8), (64, 8), (16, 2), (16, 2)]


def test_hashers_are_fitted_to_the_searched_vectors_alone_and_copies_stay_together(fitted):
    copies = np.concatenate([VALUES, VALUES[:150] * 2])
    labels = [*ONE, *ONE[:150]]
    table = compression.table(copies, labels, bits=[8], n_query=20)
    asks = held_out(copies, labels)
    assert table.n_query == 20 < asks.sum() and table.n_database == (~asks).sum()
    assert [method for *_, method in fitted] == ["itq", "qsmi"]
    units = copies / np.linalg.norm(copies, axis=1, keepdims=True)
    asked = {unit.round(4).tobytes() for unit in units[asks]}
    for features, own, *_ in fitted:
        assert np.array_equal(features, copies[~asks])
        assert own == [one for one, ask in zip(labels, asks, strict=True) if not ask]
        searched = features / np.linalg.norm(features, axis=1, keepdims=True)
        assert asked.isdisjoint(unit.round(4).tobytes() for unit in searched)


def test_without_labels_there_is_no_qsmi_and_no_map():
    table = compression.table(VALUES, bits=[16, 64, 65])
    assert [row.method for row in table.rows][3:] == ["ITQ"] * 3
    assert all(row.map is None for row in table.rows)
    assert all(0 < row.recall <= 1 for row in table.rows if not row.remark)
    assert "64 dimensions" in table.rows[-1].remark and table.rows[-1].recall is None
    shown = compression.lines(table)
    assert "mAP" not in shown[1] and "labels" in shown[-2]
    assert "64 dimensions" in shown[-3] and f"{table.rows[0].recall:.4f}" in shown[2]


def test_fewer_vectors_than_bits_are_named():
    table = compression.table(VALUES[:30], bits=[40])
    assert "27 vectors" in table.rows[-1].remark


def test_the_seed_decides_all():
    tables = [compression.table(VALUES, ONE, bits=[8], seed=seed) for seed in (0, 0, 1)]
    assert tables[0] == tables[1] != tables[2]


def test_what_cannot_be_measured_is_refused():
    for values, labels in [(np.ones((9, 3), np.float32), None), (VALUES[:3], [{"a"}, {"b"}, {"c"}])]:
        with pytest.raises(ValueError, match="two different"):
            compression.table(values, labels)
    for options in [{"bits": [0]}, {"bits": []}, {"n_query": 0}]:
        with pytest.raises(ValueError, match=r"bits|n_query"):
            compression.table(VALUES, **options)
