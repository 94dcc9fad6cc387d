"""Which differences count as more than noise: Holm's procedure, the paired comparison, and its artefact."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from qsmi_lib.evaluation import evaluate
from qsmi_lib.reproduction.analysis import significance
from qsmi_lib.reproduction.analysis.significance import holm, moderated, paired
from qsmi_lib.reproduction.artefacts import save_artefact
from qsmi_lib.tests.reproduction.invented import empty
from qsmi_lib.training.records import SavedCodes

# Holm's procedure


def slow_holm(p, level):
    """Step by step: the smallest p that is left against the level over how many are left; the first failure ends it."""
    rejected, left = set(), set(range(len(p)))
    while left:
        smallest = min(left, key=lambda i: p[i])
        if p[smallest] > level / len(left):
            break
        rejected.add(smallest)
        left.remove(smallest)
    return [i in rejected for i in range(len(p))]


def test_holm_against_its_definition():
    rng = np.random.default_rng(0)
    for _ in range(40):
        p = rng.random(rng.integers(1, 12)) ** 4
        p[rng.integers(len(p))] = p[0]  # equal ones too
        assert holm(p, 0.2).tolist() == slow_holm(p, 0.2)


def test_holm_of_known_examples():
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist() == [True, False, False, True]
    assert holm(np.array([0.04, 0.02, 0.03])).tolist() == [False] * 3  # 0.04 <= 0.05 / 1, but 0.02 > 0.05 / 3
    assert holm(np.array([0.05])).tolist() == [True] and holm(np.array([])).tolist() == []


# The paired comparison


def test_a_case_by_hand():
    """Differences 0.1, 0.2, 0.3 by seed and 0.1, 0.3, 0.1, 0.3 by query, whose mean is 0.2 both."""
    by_seed = np.array([[0.5, 0.7, 0.9], [0.4, 0.5, 0.6]])
    by_query = np.array([[0.6, 0.9, 0.5, 0.8], [0.5, 0.6, 0.4, 0.5]])
    (row,) = paired(np.array(["a", "b"]), by_seed, by_query).to_dict("records")
    of_seeds, of_queries = 0.01 / 3, (4 * 0.01 / 3) / 4
    freedom = (of_seeds + of_queries) ** 2 / (of_seeds**2 / 2 + of_queries**2 / 3)
    assert (row["first"], row["second"], row["difference"]) == ("a", "b", pytest.approx(0.2))
    assert row["se"] == pytest.approx(math.sqrt(of_seeds + of_queries))
    assert row["p"] == pytest.approx(2 * stats.t.cdf(-0.2 / row["se"], freedom))
    assert row["significant"] == (row["p"] <= 0.05)


def simulated(seed, *, n_method=3, n_seed=3, n_query=60, gap=0.0, seed_effect=0.02, spread=0.1):
    """AP that differs by query (for all methods alike), by run, and by chance; the first method is `gap` better."""
    rng = np.random.default_rng(seed)
    query = rng.uniform(0.2, 0.8, n_query)
    run = seed_effect * rng.normal(size=(n_method, n_seed, 1))
    ap = query + run + spread * rng.normal(size=(n_method, n_seed, n_query))
    ap[0] += gap
    return np.array([f"m{i}" for i in range(n_method)]), ap.mean(axis=2), ap.mean(axis=1)


@pytest.mark.parametrize(("other", "p"), [(0.75, 1.0), (0.5, 0.0)])
def test_without_any_spread_a_difference_is_sure_or_none(other, p):
    (row,) = paired(
        np.array(["a", "b"]), np.array([[0.75] * 3, [other] * 3]), np.array([[0.75] * 4, [other] * 4])
    ).to_dict("records")
    assert (row["difference"], row["se"], row["p"], row["significant"]) == (0.75 - other, 0.0, p, p == 0.0)


def test_a_clear_difference_is_significant_and_no_other():
    table = paired(*simulated(0, gap=0.4, seed_effect=0.005)).set_index(["first", "second"])
    assert table["significant"].to_dict() == {("m0", "m1"): True, ("m0", "m2"): True, ("m1", "m2"): False}
    assert table.loc[("m0", "m1"), "difference"] == pytest.approx(0.4, abs=0.05)


def test_every_pair_has_one_row_and_their_order_turns_the_sign_alone():
    methods, by_seed, by_query = simulated(1, n_method=5)
    table = paired(methods, by_seed, by_query)
    assert list(zip(table["first"], table["second"], strict=True)) == list(combinations(methods, 2))
    assert table["significant"].tolist() == slow_holm(table["p"].tolist(), 0.05)
    turned = paired(methods[::-1], by_seed[::-1], by_query[::-1]).set_index(["second", "first"])
    for row in table.to_dict("records"):
        other = turned.loc[row["first"], row["second"]]
        assert (other["difference"], other["p"]) == pytest.approx((-row["difference"], row["p"]))


def test_seeds_and_queries_are_paired():
    """What all methods find hard, and what a seed gives to all, is no error of their difference."""
    methods, by_seed, by_query = simulated(3)
    harder = by_query + np.linspace(-5, 5, by_query.shape[1])
    luckier = by_seed + np.array([-3.0, 0.0, 3.0])
    before, after = paired(methods, by_seed, by_query), paired(methods, luckier, harder)
    np.testing.assert_allclose(after["p"], before["p"], rtol=1e-9)


@pytest.mark.parametrize(
    "noise", [{"seed_effect": 0.02}, {"seed_effect": 0.0}, {"seed_effect": 0.1, "spread": 0.01}], ids=str
)
def test_without_a_true_difference_few_tables_have_a_false_verdict(noise):
    """Any false difference among three pairs, in 5 % of 100 repetitions; sampling allows some more."""
    false = sum(paired(*simulated(seed, **noise))["significant"].any() for seed in range(100))
    assert false / 100 < 0.08


@pytest.mark.parametrize("widths", [[1.0] * 12, [1.0] * 9 + [10.0] * 3], ids=str)
def test_many_methods_that_vary_alike_or_unequally_have_few_false_verdicts(widths):
    false = 0
    for seed in range(100):
        methods, by_seed, by_query = simulated(seed, n_method=12, n_query=200, spread=0.01, seed_effect=0.0)
        noise = np.array(widths)[:, None] * np.random.default_rng(seed).normal(size=(12, 3))
        false += paired(methods, by_seed + 0.01 * noise, by_query)["significant"].any()
    assert false / 100 < 0.09


def test_one_method_that_scatters_does_not_drown_the_others():
    """m0 is better by far more than m1 to m7 scatter, and m7's runs lie thirty times as far apart."""
    methods, by_seed, by_query = simulated(0, n_method=8, gap=0.2, seed_effect=0.005)
    by_seed[7] = by_seed[7].mean() + 0.3 * np.array([-1.0, 0.0, 1.0])
    table = paired(methods, by_seed, by_query).set_index(["first", "second"])["significant"]
    assert all(table["m0", f"m{i}"] for i in range(1, 7)) and not any(table[f"m{i}", "m7"] for i in range(7))


def test_variances_of_one_law_give_its_two_numbers():
    """Variances drawn from the law that is assumed: 8 degrees of freedom around 0.04."""
    rng = np.random.default_rng(0)
    true = 8 * 0.04 / rng.chisquare(8, size=20_000)
    estimated = true * rng.chisquare(3, size=20_000) / 3
    variance, prior = moderated(estimated, 3)
    assert prior == pytest.approx(8, rel=0.1)
    slope, offset = np.polyfit(estimated, variance, 1)
    assert slope == pytest.approx(3 / (8 + 3), rel=0.1) and offset == pytest.approx(8 * 0.04 / (8 + 3), rel=0.1)
    assert np.square(variance - true).mean() < 0.5 * np.square(estimated - true).mean()


def test_variances_that_scatter_by_chance_alone_are_one():
    variance, prior = moderated(np.array([0.9, 1.0, 1.1]), 2)
    assert prior == np.inf and variance == pytest.approx(1.0)
    assert moderated(np.zeros(3), 2)[0].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("more", [-1e-9, 1e-12, 1e-9, 1e-5])
def test_variances_hardly_more_scattered_than_by_chance(more):
    """Two logarithms whose variance is the trigamma function of 1, chance's own, and a little more."""
    apart = math.sqrt(2 * (math.pi**2 / 6 + more))
    variance, prior = moderated(np.array([1.0, math.exp(apart)]), 2)
    assert prior > 1e4 and variance == pytest.approx(variance.mean(), rel=1e-3)


def test_arrays_that_cannot_be_compared_are_refused():
    methods, by_seed, by_query = simulated(0)
    with pytest.raises(ValueError, match="two methods, seeds and queries, got 3, 1 and 60"):
        paired(*simulated(0, n_seed=1))
    with pytest.raises(ValueError, match="of as many methods, got 2, 3 and 3"):
        paired(methods[:2], by_seed, by_query)
    by_seed[0, 0] = np.inf
    with pytest.raises(ValueError, match="must be finite"):
        paired(methods, by_seed, by_query)


# The artefact


def random_codes(config, store=None):
    """Codes that depend on method and seed alone; the first query has nothing relevant."""
    rng = np.random.default_rng(100 * config.seed + len(config.method))
    labels = np.arange(60) % 3
    codes = rng.choice(np.array([-1, 1], np.int8), (60, 8))
    return SavedCodes(codes[:20], codes[20:], np.r_[9, labels[1:20]], labels[20:])


def test_the_artefact_holds_the_ap_of_the_codes(tmp_path, monkeypatch):
    results = empty("digits", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"the codes of digits-\w+-12b-s0-.* are not on this machine"):
        significance.collect(results, 12)
    monkeypatch.setattr(significance, "codes_of", random_codes)
    collected = significance.collect(results, 12)
    runs = significance.compared_runs(results, 12)
    assert collected["methods"].tolist() == list(dict.fromkeys(run.method for run in runs))
    ap = np.array([evaluate(*random_codes(run), ties="expected").ap[1:] for run in runs])
    ap = ap.reshape(-1, len(results.profile.seeds), 19)
    np.testing.assert_allclose(collected["by_seed"], ap.mean(axis=2))
    np.testing.assert_allclose(collected["by_query"], ap.mean(axis=1), atol=1 / significance.SCALE)
    assert significance.verdicts(results, 48).empty and len(significance.verdicts(results, 12)) == len(ap)


def test_verdicts_are_antisymmetric_sorted_and_put_in_words(tmp_path):
    """LSH clearly below, DSH and QSMI alike."""
    results, rng = empty("digits", tmp_path), np.random.default_rng(0)
    ap = np.array([0.2, 0.7, 0.71])[:, None, None] + rng.normal(0, [[[0.01]], [[0.05]], [[0.05]]], (3, 3, 400))
    by_query = np.round(ap.clip(0, 1).mean(axis=1) * significance.SCALE).astype(np.uint16)
    arrays = {"methods": np.array(["lsh", "dsh", "qsmi"]), "by_query": by_query}
    arrays |= {"by_seed": ap.mean(axis=2) + rng.normal(0, 0.02, (3, 3))}
    save_artefact(results.store, significance.artefact_of(12), arrays, {})
    square = significance.verdicts(results, 12)
    values = square.to_numpy()
    np.testing.assert_array_equal(values, -values.T)
    assert square.index[-1] == "lsh" and square.loc["lsh", ["dsh", "qsmi"]].tolist() == [-1, -1]
    assert significance.in_words(square, "qsmi") == "better than LSH; worse than none; within noise of DSH"
