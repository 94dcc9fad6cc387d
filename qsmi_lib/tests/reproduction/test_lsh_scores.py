"""Relevance of answers and the two AP@10 against their rules read aloud."""

import numpy as np
import pytest
from qsmi_lib.reproduction.analysis.lsh_scores import CONVENTIONS, ap_at_10, relevance_of

from qsmi_lib.evaluation import conventions, evaluate
from qsmi_lib.search.lsh import MISSING


def slow_ap_at_10(relevant, convention):
    """The rule, one query: pad, then mean precision over the relevant ranks of ten."""
    padded = list(relevant) + [1 if convention == "published" else 0] * (10 - len(relevant))
    hits, total = 0, 0.0
    for rank, gain in enumerate(padded, start=1):
        hits += gain
        total += gain * hits / rank
    return total / hits if hits else 0.0


def test_relevance_of():
    found = relevance_of([[2, 0, MISSING], [MISSING] * 3], [5, 7], [5, 7, 7])
    assert found.tolist() == [[0, 1, -1], [-1, -1, -1]]
    assert found.dtype == np.int8


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_ap_at_10(convention):
    rng = np.random.default_rng(1)
    for length in range(11):
        relevant = rng.integers(2, size=(20, length))
        expected = [slow_ap_at_10(row, convention) for row in relevant]
        padded = np.pad(relevant, ((0, 0), (0, 10 - length)), constant_values=MISSING)
        np.testing.assert_allclose(ap_at_10(relevant, convention), expected, atol=1e-12)
        np.testing.assert_array_equal(ap_at_10(padded, convention), ap_at_10(relevant, convention))


def test_an_empty_answer_scores_1_as_published_and_0_clean():
    assert ap_at_10([[]], "published").tolist() == [1]
    assert ap_at_10([[]], "clean").tolist() == [0]
    assert ap_at_10([[0] * 10], "published").tolist() == ap_at_10([[0] * 10]).tolist() == [0]
    assert ap_at_10([[1] * 10], "published").tolist() == ap_at_10([[1] * 10]).tolist() == [1]
    assert ap_at_10([[0, 0]], "published") == pytest.approx(np.mean([i / (i + 2) for i in range(1, 9)]))


def test_a_full_answer_scores_as_the_evaluator_has_it():
    rng = np.random.default_rng(2)
    relevant = rng.integers(2, size=(30, 10))
    expected = [conventions.average_precision_at_k(row, denominator="hits") for row in relevant]
    for convention in CONVENTIONS:
        np.testing.assert_allclose(ap_at_10(relevant, convention), np.nan_to_num(expected), atol=1e-12)
    code, codes = np.ones((1, 12), np.int8), np.where(np.tri(12, 12, -1)[:10], -1, 1).astype(np.int8)
    scores = evaluate(code, codes, [1], relevant[0], k=10)
    assert ap_at_10(relevant[:1]).item() == pytest.approx(scores.map_at_k_hits[10])


def test_mistaken_answers_are_refused():
    with pytest.raises(ValueError, match=r"items must have shape \(n_query, k\)"):
        relevance_of([[0]], [1, 2], [1])
    for item in (2, -2):
        with pytest.raises(ValueError, match=f"indices of the 2 database items, or -1, got {item}"):
            relevance_of([[item]], [0], [0, 1])
    with pytest.raises(ValueError, match=r"relevance must have shape \(n_query, at most 10\), got \(1, 11\)"):
        ap_at_10([[1] * 11])
    with pytest.raises(ValueError, match="1, 0 and -1 only"):
        ap_at_10([[2]])
    with pytest.raises(ValueError, match="convention must be one of"):
        ap_at_10([[1]], "published ")
