"""Rankings by cosine, their average precision and the recall of neighbours, against slow definitions."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score
from sklearn.metrics.pairwise import cosine_similarity

from qsmi_lib.evaluation import evaluate
from qsmi_lib.search.index import ranking

RNG = np.random.default_rng(0)
QUERIES, DATABASE = (RNG.normal(size=(n, 6)).astype(np.float32) for n in (23, 71))


@pytest.fixture(params=[1 << 22, 100, 1])
def blocks(request, monkeypatch):
    """Blocks of all queries, of some, and of one; the database in few and in many parts."""
    monkeypatch.setattr(ranking, "PAIRS", request.param)
    monkeypatch.setattr(ranking, "ROWS", 7 if request.param == 100 else 4096)


def slow_average_precision(order, relevant):
    hits, precisions = 0, []
    for rank, item in enumerate(order, 1):
        if relevant[item]:
            hits += 1
            precisions.append(hits / rank)
    return sum(precisions) / len(precisions) if precisions else float("nan")


def test_rankings_are_by_falling_cosine(blocks):
    expected = np.argsort(-cosine_similarity(QUERIES, DATABASE), axis=1)
    assert np.array_equal(np.concatenate([*ranking.cosine_rankings(QUERIES, DATABASE)]), expected)


def test_the_length_of_a_vector_does_not_matter(blocks):
    lengths = np.float32(2.0) ** RNG.integers(-120, 120, (len(DATABASE), 1))
    order = np.concatenate([*ranking.cosine_rankings(QUERIES, DATABASE)])
    again = np.concatenate([*ranking.cosine_rankings(QUERIES * np.float32(1e-30), DATABASE * lengths)])
    assert np.array_equal(again, order)


def test_equal_vectors_keep_the_order_of_the_database(blocks):
    repeated = np.tile(DATABASE[:5], (20, 1))
    for order in np.concatenate([*ranking.cosine_rankings(QUERIES, repeated)]):
        assert (np.diff(order.reshape(5, 20), axis=1) == 5).all()


def test_average_precision_is_that_of_scikit_learn_and_of_the_definition():
    scores, relevant = RNG.normal(size=(40, 60)), RNG.random((40, 60)) < RNG.random((40, 1))
    relevant[:, 0] = True
    order = np.argsort(-scores, axis=1)
    found = ranking.average_precision(order, relevant)
    assert found == pytest.approx([average_precision_score(*pair) for pair in zip(relevant, scores, strict=True)])
    assert found == pytest.approx([slow_average_precision(*pair) for pair in zip(order, relevant, strict=True)])


def test_a_query_without_relevant_items_is_left_out():
    order = np.array([[2, 0, 1], [0, 1, 2]])
    assert np.isnan(ranking.average_precision(order, np.array([[1, 0, 1], [0, 0, 0]], bool))).tolist() == [False, True]
    assert ranking.mean_average_precision([order], [0, 7], [0, 1, 1]) == pytest.approx(1 / 2)
    with pytest.raises(ValueError, match="anything relevant"):
        ranking.mean_average_precision([order], [5, 7], [0, 1, 1])


@pytest.mark.parametrize("kind", ["numbers", "text", "multi-hot"])
def test_mean_average_precision_of_sign_vectors_is_that_of_evaluate(blocks, kind):
    queries, database = (np.where(part >= 0, 1, -1) for part in (QUERIES, DATABASE))
    numbers = [RNG.integers(4, size=len(part)) for part in (queries, database)]
    multi_hot = [RNG.random((len(part), 4)) < 0.3 for part in (queries, database)]
    labels = {"numbers": numbers, "text": [part.astype(str) for part in numbers], "multi-hot": multi_hot}[kind]
    rankings = ranking.cosine_rankings(queries.astype(np.float32), database.astype(np.float32))
    expected = evaluate(queries.astype(np.int8), database.astype(np.int8), *labels).map
    assert ranking.mean_average_precision(rankings, *labels) == pytest.approx(expected, abs=1e-12)


def test_rankings_must_be_as_many_as_the_labels():
    with pytest.raises(ValueError, match="2 queries, got 1"):
        ranking.mean_average_precision([np.array([[0, 1]])], [0, 1], [0, 1])


def test_recall_is_the_share_of_the_expected_items():
    found, expected = np.array([[1, 2, 3, 4], [5, 6, 7, 8]]), np.array([[4, 9], [8, 5]])
    assert ranking.recall_of_neighbours(found, expected) == pytest.approx((1 / 2 + 1) / 2)
