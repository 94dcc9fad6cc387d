"""Which differences count as more than noise: Holm's procedure, the paired comparison, and what is kept for it."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from qsmi_lib.config.presets import configure, epochs_of
from qsmi_lib.evaluation import evaluate
from qsmi_lib.reproduction.analysis import significance
from qsmi_lib.reproduction.analysis.significance import collect, holm, load, moderated, paired
from qsmi_lib.training import runs
from qsmi_lib.training.runs import codes_of
from qsmi_lib.utils.io import write_arrays

PROFILE = "toy"
CONFIGS = [
    configure("digits", name, 8, seed=seed, **epochs_of(name, 1)) for name in ("qsmi", "dhn", "lsh") for seed in (0, 1)
]


@pytest.fixture
def recorded():
    """Runs of three methods with two seeds each, and one of another length."""
    runs.run_all([*CONFIGS, configure("digits", "qsmi", 12, epochs=1)], PROFILE)


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


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("level", [0.05, 0.2])
def test_holm_against_its_definition(seed, level):
    rng = np.random.default_rng(seed)
    p = rng.random(rng.integers(1, 12)) ** 4
    p[rng.integers(len(p))] = p[0]  # equal ones too
    assert holm(p, level).tolist() == slow_holm(p, level)


def test_holm_of_a_known_example():
    """p = 0.01, 0.04, 0.03, 0.005 at 5 %: 0.005 <= 0.05 / 4, 0.01 <= 0.05 / 3, but 0.03 > 0.05 / 2."""
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist() == [True, False, False, True]


def test_holm_goes_on_no_further_than_the_first_failure():
    assert holm(np.array([0.04, 0.02, 0.03])).tolist() == [False, False, False]  # 0.04 <= 0.05 / 1, but 0.02 > 0.05 / 3


def test_holm_of_one_and_of_none():
    assert holm(np.array([0.05])).tolist() == [True]
    assert holm(np.array([0.051])).tolist() == [False]
    assert holm(np.array([])).tolist() == []


# The paired comparison


def test_a_case_by_hand():
    """Differences 0.1, 0.2, 0.3 by seed and 0.1, 0.3, 0.1, 0.3 by query, whose mean is 0.2 both."""
    by_seed = np.array([[0.5, 0.7, 0.9], [0.4, 0.5, 0.6]])
    by_query = np.array([[0.6, 0.9, 0.5, 0.8], [0.5, 0.6, 0.4, 0.5]])
    (row,) = paired(np.array(["a", "b"]), by_seed, by_query).to_dict("records")
    of_seeds, of_queries = 0.01 / 3, (4 * 0.01 / 3) / 4
    freedom = (of_seeds + of_queries) ** 2 / (of_seeds**2 / 2 + of_queries**2 / 3)
    assert (row["first"], row["second"]) == ("a", "b")
    assert row["difference"] == pytest.approx(0.2)
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


def test_methods_that_are_the_same_do_not_differ():
    methods, by_seed, by_query = simulated(0, n_method=2)
    table = paired(methods, by_seed[[0, 0]], by_query[[0, 0]])
    assert table[["difference", "se", "p"]].to_numpy().tolist() == [[0.0, 0.0, 1.0]]
    assert not table["significant"].any()


def test_a_difference_without_any_spread_is_sure():
    """Every seed and query gains the same: the error is 0."""
    (row,) = paired(np.array(["a", "b"]), np.array([[0.75] * 3, [0.5] * 3]), np.array([[0.75] * 4, [0.5] * 4])).to_dict(
        "records"
    )
    assert (row["se"], row["p"], row["significant"]) == (0.0, 0.0, True)


def test_a_clear_difference_is_found_and_no_other():
    table = paired(*simulated(0, gap=0.4, seed_effect=0.005)).set_index(["first", "second"])
    assert table["significant"].to_dict() == {("m0", "m1"): True, ("m0", "m2"): True, ("m1", "m2"): False}
    assert table.loc[("m0", "m1"), "difference"] == pytest.approx(0.4, abs=0.05)


def test_every_pair_stands_once():
    methods, by_seed, by_query = simulated(1, n_method=5)
    table = paired(methods, by_seed, by_query)
    assert list(zip(table["first"], table["second"], strict=True)) == list(combinations(methods, 2))
    assert table["significant"].tolist() == slow_holm(table["p"].tolist(), 0.05)


@pytest.mark.parametrize("seed", range(5))
def test_exchanging_two_methods_turns_the_sign_alone(seed):
    methods, by_seed, by_query = simulated(seed, n_method=2, gap=0.05)
    one = paired(methods, by_seed, by_query).iloc[0]
    two = paired(methods[::-1], by_seed[::-1], by_query[::-1]).iloc[0]
    assert (two["first"], two["second"]) == (one["second"], one["first"])
    assert two["difference"] == -one["difference"]
    assert (two["se"], two["p"], two["significant"]) == (one["se"], one["p"], one["significant"])


def test_seeds_and_queries_are_paired():
    """What all methods find hard, and what a seed gives to all, is no error of their difference."""
    methods, by_seed, by_query = simulated(3)
    harder = by_query + np.linspace(-5, 5, by_query.shape[1])
    luckier = by_seed + np.array([-3.0, 0.0, 3.0])
    before, after = paired(methods, by_seed, by_query), paired(methods, luckier, harder)
    np.testing.assert_allclose(after["p"], before["p"], rtol=1e-9)


@pytest.mark.parametrize(("n_seed", "n_query"), [(1, 60), (3, 1), (1, 1)])
def test_one_seed_or_one_query_says_nothing_of_noise(n_seed, n_query):
    with pytest.raises(ValueError, match=f"two methods, seeds and queries, got 3, {n_seed} and {n_query}"):
        paired(*simulated(0, n_seed=n_seed, n_query=n_query))


@pytest.mark.parametrize(
    "noise", [{"seed_effect": 0.02}, {"seed_effect": 0.0}, {"seed_effect": 0.1, "spread": 0.01}], ids=str
)
def test_where_nothing_differs_hardly_anything_is_found(noise):
    """Any false difference among three pairs, in 5 % of 200 repetitions; sampling allows some more."""
    false = sum(paired(*simulated(seed, **noise))["significant"].any() for seed in range(200))
    assert false / 200 < 0.07


def test_among_many_methods_hardly_anything_is_found():
    """As in the comparison of all methods: few seeds, many queries, runs that differ by more than the queries do."""
    noise = {"n_method": 12, "n_query": 2000, "seed_effect": 0.005}
    false = sum(paired(*simulated(seed, **noise))["significant"].any() for seed in range(60))
    assert false / 60 < 0.1


def test_one_method_that_scatters_does_not_drown_the_others():
    """m0 is better by far more than m1 to m7 scatter, and m7's runs lie thirty times as far apart."""
    methods, by_seed, by_query = simulated(0, n_method=8, gap=0.2, seed_effect=0.005)
    by_seed[7] = by_seed[7].mean() + 0.3 * np.array([-1.0, 0.0, 1.0])
    table = paired(methods, by_seed, by_query).set_index(["first", "second"])["significant"]
    assert all(table["m0", f"m{i}"] for i in range(1, 7))
    assert not any(table[f"m{i}", "m7"] for i in range(7))


@pytest.mark.parametrize("widths", [[1.0] * 9 + [10.0] * 3, [1.0] * 6 + [5.0] * 6], ids=str)
def test_methods_that_vary_unequally_bring_no_flood_of_false_verdicts(widths):
    widths, false = np.array(widths)[:, None], 0
    for seed in range(200):
        methods, by_seed, by_query = simulated(seed, n_method=12, n_query=200, spread=0.01, seed_effect=0.0)
        rng = np.random.default_rng(seed)
        false += paired(methods, by_seed + 0.01 * widths * rng.normal(size=(12, 3)), by_query)["significant"].any()
    assert false / 200 < 0.08


def test_variances_of_one_law_give_its_two_numbers():
    """Variances drawn from the law that is assumed: 8 degrees of freedom around 0.04."""
    rng = np.random.default_rng(0)
    true = 8 * 0.04 / rng.chisquare(8, size=20_000)
    own = true * rng.chisquare(3, size=20_000) / 3
    variance, prior = moderated(own, 3)
    assert prior == pytest.approx(8, rel=0.1)
    slope, offset = np.polyfit(own, variance, 1)
    assert slope == pytest.approx(3 / (8 + 3), rel=0.1) and offset == pytest.approx(8 * 0.04 / (8 + 3), rel=0.1)
    assert np.square(variance - true).mean() < 0.5 * np.square(own - true).mean()


def test_variances_that_scatter_by_chance_alone_are_one():
    variance, prior = moderated(np.array([0.9, 1.0, 1.1]), 2)
    assert prior == np.inf and variance == pytest.approx(1.0)


@pytest.mark.parametrize("more", [-1e-9, 1e-12, 1e-9, 1e-5])
def test_variances_hardly_more_scattered_than_by_chance(more):
    """Two logarithms whose variance is the trigamma function of 1, chance's own, and a little more."""
    apart = math.sqrt(2 * (math.pi**2 / 6 + more))
    own = np.array([1.0, math.exp(apart)])
    variance, prior = moderated(own, 2)
    assert prior > 1e4 and variance == pytest.approx(variance.mean(), rel=1e-3)


def test_no_variance_at_all():
    assert moderated(np.zeros(3), 2)[0].tolist() == [0.0, 0.0, 0.0]


def test_sizes_that_do_not_fit_are_refused():
    methods, by_seed, by_query = simulated(0)
    with pytest.raises(ValueError, match="of as many methods, got 2, 3 and 3"):
        paired(methods[:2], by_seed, by_query)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_ap_that_is_no_number_is_refused(value):
    methods, by_seed, by_query = simulated(0)
    by_seed[0, 0] = value
    with pytest.raises(ValueError, match="must be finite"):
        paired(methods, by_seed, by_query)


# What is kept


def test_what_is_collected_is_what_the_codes_give(recorded, results):
    found = collect([*CONFIGS, configure("digits", "qsmi", 12, epochs=1)], PROFILE, 8)
    assert found["methods"].tolist() == ["qsmi", "dhn", "lsh"]
    ap = np.array([evaluate(*codes_of(config, PROFILE), ties="expected").ap for config in CONFIGS]).reshape(3, 2, 500)
    np.testing.assert_allclose(found["by_seed"], ap.mean(axis=2))
    np.testing.assert_allclose(found["by_query"], ap.mean(axis=1), atol=1 / 65535)
    kept = load(results / PROFILE, 8)
    assert all(np.array_equal(kept[name], found[name]) for name in ("methods", "by_seed", "by_query"))
    assert (results / PROFILE / "artefacts" / "methods_ap_8b.npz").stat().st_size < 300_000
    assert len(paired(**kept)) == 3


def test_codes_that_are_not_here_are_named():
    with pytest.raises(FileNotFoundError, match=r"the codes of digits-qsmi-8b-s0-.* are not on this machine"):
        collect(CONFIGS, PROFILE, 8)


def test_verdicts_name_the_better_of_two(results):
    methods, by_seed, by_query = simulated(0, gap=0.4, seed_effect=0.005)
    by_query = np.round(np.clip(by_query, 0, 1) * significance.SCALE).astype(np.uint16)
    path = results / PROFILE / "artefacts" / significance.file_of(8)
    path.parent.mkdir(parents=True)
    np.savez(path, methods=methods, by_seed=by_seed, by_query=by_query)
    square = significance.verdicts(results / PROFILE, 8)
    assert list(square.index) == list(square.columns) and square.index[0] == "m0"
    assert square.loc["m0"].to_dict() == {"m0": 0, "m1": 1, "m2": 1}
    assert (square.to_numpy() == -square.to_numpy().T).all()
    assert significance.verdicts(results / PROFILE, 12).empty


@pytest.fixture
def square(tmp_path):
    """Three methods, the first clearly below, the others alike."""
    rng = np.random.default_rng(0)
    ap = np.array([0.2, 0.7, 0.71])[:, None, None] + rng.normal(0, [[[0.01]], [[0.05]], [[0.05]]], (3, 3, 400))
    ap = ap.clip(0, 1)
    by_query = np.round(ap.mean(axis=1) * significance.SCALE).astype(np.uint16)
    methods = np.array(["lsh", "dsh", "qsmi"])
    path = tmp_path / "artefacts" / significance.file_of(12)
    write_arrays(path, methods=methods, by_seed=ap.mean(axis=2) + rng.normal(0, 0.02, (3, 3)), by_query=by_query)
    return significance.verdicts(tmp_path, 12)


def test_verdicts_are_antisymmetric_and_sorted(square):
    values = square.to_numpy()
    np.testing.assert_array_equal(values, -values.T)
    assert square.index[-1] == "lsh" and set(square.columns) == {"lsh", "dsh", "qsmi"}
    assert square.loc["lsh", "dsh"] == square.loc["lsh", "qsmi"] == -1
    assert square.loc["dsh", "qsmi"] == 0


def test_verdicts_in_words(square):
    assert significance.in_words(square, "qsmi") == "better than LSH; worse than none; within noise of DSH"
    assert significance.in_words(square, "lsh").startswith("better than none; worse than ")
