"""The other conventions of the field: beside `evaluate`, on perfect rankings, and undefined values."""

import numpy as np
import pytest

from qsmi_lib.evaluation import conventions, evaluate
from qsmi_lib.tests.evaluation.cases import close, random_case, toy


@pytest.mark.parametrize("seed", range(3))
def test_conventions_beside_the_evaluation(seed):
    relevant = np.random.default_rng(seed).integers(2, size=30)
    case = toy(relevant)
    result = evaluate(*case, k=[4, 30])
    for k in (4, 30):
        close(conventions.average_precision_at_k(relevant, k, denominator="min(R, k)"), result.map_at_k[k], "min(R, k)")
        close(conventions.average_precision_at_k(relevant, k, denominator="hits"), result.map_at_k_hits[k], "hits")
        hits_of_shown = result.map_at_k_hits[k] * result.precision_at_k[k]
        close(conventions.average_precision_at_k(relevant, k, denominator="k"), hits_of_shown, "k")
    close(conventions.average_precision_at_k(relevant), result.map, "R")
    close(conventions.precision_within_radius(range(30), relevant), result.precision_radius2, "radius 2")
    reached = conventions.precision_at_recall_reached(relevant)
    interpolated = conventions.precision_at_recall_interpolated(relevant)
    ranks = [min(r for r in range(1, 31) if 10 * relevant[:r].sum() >= level * relevant.sum()) for level in range(11)]
    close(reached, [relevant[:r].mean() for r in ranks], "reached")
    close(interpolated, [max(relevant[:r].mean() for r in range(first, 31)) for first in ranks], "interpolated")


def test_conventions_on_a_perfect_ranking():
    relevant = [1, 1, 1, 1, 0, 0]
    assert conventions.average_precision_at_k(relevant, 2) == 2 / 4
    assert conventions.average_precision_at_k(relevant, 2, denominator="min(R, k)") == 1
    assert conventions.average_precision_at_k(relevant, 2, denominator="k") == 1
    assert conventions.average_precision_at_k(relevant, denominator="k") == 4 / 6
    assert conventions.average_precision_first_missed(relevant) == 3 / 4
    assert conventions.average_precision_last_dropped(relevant) == 1
    assert conventions.precision_at_recall_reached(relevant).tolist() == [1] * 11
    assert conventions.precision_at_recall_interpolated(relevant).tolist() == [1] * 11


def test_conventions_leave_undefined_values_nan():
    for denominator in ("R", "min(R, k)", "hits"):
        assert np.isnan(conventions.average_precision_at_k([0, 0], 1, denominator=denominator))
    assert conventions.average_precision_at_k([0, 0], 1, denominator="k") == 0
    assert conventions.average_precision_at_k([0, 1], 1) == 0
    assert np.isnan(conventions.average_precision_at_k([0, 1], 1, denominator="hits"))
    assert np.isnan(conventions.average_precision_last_dropped([1]))
    assert np.isnan(conventions.average_precision_last_dropped([0, 1]))
    assert np.isnan(conventions.average_precision_first_missed([0, 0]))
    assert np.isnan(conventions.precision_at_recall_reached([0, 0])).all()
    assert np.isnan(conventions.precision_at_recall_interpolated([0, 0])).all()
    assert np.isnan(conventions.precision_within_radius([3, 4], [1, 1]))
    assert conventions.precision_within_radius([4, 2, 0], [1, 1, 0]) == 1 / 2


def test_empty_balls_skipped_or_counted():
    case = random_case(8, 48, "single", n_query=12)
    case.query_labels[0] = 0
    case.query_codes[::3] = np.random.default_rng(0).choice([-1, 1], (4, 48))
    distances = (case.query_codes[:, None] != case.database_codes).sum(axis=2)
    relevant = case.query_labels[:, None] == case.database_labels
    balls = [conventions.precision_within_radius(*pair) for pair in zip(distances, relevant, strict=True)]
    result = evaluate(*case)
    close(result.empty_radius2, np.isnan(balls).mean(), "empty_radius2")
    close(result.precision_radius2, np.nan_to_num(balls).mean(), "precision_radius2")
    assert 0 < result.empty_radius2 < 1
    assert np.nanmean(balls) > result.precision_radius2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: conventions.average_precision_at_k([1, 0], 3), "k must be .* from 1 to 2, got 3"),
        (lambda: conventions.average_precision_at_k([1], denominator="n"), "denominator must be one of .* got 'n'"),
        (lambda: conventions.average_precision_first_missed([]), r"at least one item, got \(0,\)"),
        (lambda: conventions.precision_at_recall_reached([[1]]), r"\(n,\) .* got \(1, 1\)"),
        (lambda: conventions.precision_at_recall_interpolated([0.5]), "0 and 1 only, got 0.5"),
        (lambda: conventions.precision_within_radius([1], [1, 0]), r"\(2,\) of relevant, got \(1,\)"),
    ],
)
def test_each_fault_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
