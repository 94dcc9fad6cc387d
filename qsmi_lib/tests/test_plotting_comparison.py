"""Figures of notebook 17 draw what they are given, also where nothing is recorded; and the tables behind them."""

import json
import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from qsmi_lib import comparison, losses, tables, tuning
from qsmi_lib.experiments import TRAINED, UNTRAINED, grid
from qsmi_lib.methods import METHODS
from qsmi_lib.plotting import comparison as plots
from qsmi_lib.records import write_arrays

BITS = 12
CAPTION = "some data, some epochs"


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def drawn(figure):
    """The figure's axes, after it has been drawn without a warning."""
    figure.canvas.draw()
    return figure.axes


def texts(axes):
    return [text.get_text() for text in axes.texts]


def record(method, bits, seed, share, **codes):
    """As much of a record as the tables here read."""
    codes = {"bit_mean": [0.5, -0.5], "bit_entropy": 0.8, "code_entropy": 3.0, "n_distinct": 9} | codes
    metrics = {"map": 0.5, "share_by_distance": share}
    return {"config": {"method": method, "bits": bits, "seed": seed}, "codes": codes, "metrics": metrics}


def slow_cost(method, distance, kind):
    """What the pair charges, by its formula; up to a factor and a constant."""
    similar, cosine, inner = kind == "similar", 1 - 2 * distance / BITS, BITS - 2 * distance
    softplus = [math.log1p(math.exp(x)) for x in (inner, inner / 2, 10 * cosine)]
    if method == "qsmi":
        s = (1 + cosine) / 2
        return similar * (s - 1) ** 2 + s**2 / 10
    if method == "dsh":
        return 4 * distance if similar else max(2 * BITS - 4 * distance, 0)
    if method == "dch":
        d = distance + 0.001
        return math.log(1 + d / 20) if similar else math.log(1 + 20 / d)
    place = {"dhn": 0, "dpsh": 1}.get(method, 2)
    return softplus[place] - similar * (inner, inner / 2, 10 * cosine)[place]


def test_pair_costs_are_the_formulas():
    costs = comparison.pair_costs(BITS)
    assert set(costs.columns) == {(m, k) for m in comparison.BY_PAIR for k in ("similar", "dissimilar")}
    for (method, kind), cost in costs.items():
        slow = np.array([slow_cost(method, distance, kind) for distance in range(BITS + 1)])
        np.testing.assert_allclose(cost, (slow - slow.min()) / np.ptp(slow), atol=1e-9, err_msg=f"{method} {kind}")


def test_qsmi_is_cheapest_where_similarity_is_m_over_m_plus_1():
    assert comparison.pair_costs(12, information_needs=3.0)["qsmi", "similar"].idxmin() == 12 / 4


def test_order_costs_are_the_formulas():
    costs = comparison.order_costs(BITS)
    assert list(costs.index) == list(range(-BITS, BITS + 1, 2))
    difference = np.array(costs.index)
    spring = (2 * math.sqrt(2) - np.sqrt(4 - 4 * difference / BITS)) ** 2
    np.testing.assert_allclose(costs["spring"], (spring - spring.min()) / np.ptp(spring), atol=1e-3)
    hinge = np.maximum(0, 1 + difference)
    np.testing.assert_allclose(costs["dnnh"], hinge / hinge.max(), atol=1e-9)
    far = np.abs(difference) >= 4  # two bins or more of two bits: told apart, whichever is nearer
    np.testing.assert_allclose(costs["mihash"][far], 0.0, atol=1e-9)
    assert costs["mihash"].idxmax() == 0


def test_one_anchor_alone_adds_to_mihash():
    points = torch.randn(3, BITS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    relevance = torch.eye(3, dtype=torch.bool)
    assert losses.mihash_loss(points, relevance).item() == pytest.approx(0.0, abs=1e-9)


def test_described_has_a_row_a_method():
    table = comparison.described([*TRAINED, *UNTRAINED])
    assert list(table["method"]) == [METHODS[name].title for name in (*TRAINED, *UNTRAINED)]
    assert table.set_index("method").loc["PGDH†", "tried"].startswith("balance: 1, 3, the loss's own;")
    assert (table["tried"] == "–").sum() == sum(not METHODS[name].search for name in (*TRAINED, *UNTRAINED))


@pytest.fixture
def searches(tmp_path):
    """Two searches: one that chose a middle value and then an end, one with nothing to tune."""
    settings = [{"gamma": value} for value in METHODS["dch"].search["gamma"]]
    settings += [{"gamma": 10.0, "alpha": value} for value in METHODS["dch"].search["alpha"]]
    trials = [{"settings": own, "map_expected": score} for own, score in zip(settings, range(6), strict=True)]
    chosen = {"gamma": 10.0, "alpha": 1.0}
    for method, search in {
        "dch": {"criterion": "map_expected", "trials": trials, "chosen": chosen},
        "cnnh": {"criterion": "map_expected", "trials": [{"settings": {}, "map_expected": 0.5}], "chosen": {}},
    }.items():
        tuning.file_of(method, "digits", 48, tmp_path).write_text(json.dumps(search))
    return comparison.trials(tmp_path, "digits")


def test_trials_say_what_was_chosen_and_whether_it_is_an_end(searches):
    assert list(searches["setting"]) == ["gamma"] * 3 + ["alpha"] * 3
    assert list(searches["score"]) == list(range(6))
    assert list(searches["chosen"]) == [False, True, False, False, False, True]
    assert list(searches["at_end"]) == [True, False, True] * 2


def test_trials_figure_marks_the_chosen_and_the_ends(searches):
    (axes,) = drawn(plots.trials(searches, CAPTION))
    assert [text.get_text().split(":")[0] for text in axes.texts if text.get_fontweight() == "bold"] == ["10", "1"]
    assert [line.get_marker() for line in axes.lines] == [">"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["DCH: gamma", "DCH: alpha"]


@pytest.mark.parametrize(("value", "words"), [(0.05, "0.05"), (None, "the loss's own"), (math.nan, "the loss's own")])
def test_shown(value, words):
    assert comparison.shown(value) == words


def test_properties_of_records():
    share = [[0.5, 0.0], [0.5, 0.5], [0.0, 0.5]]
    (row,) = comparison.properties([record("dsh", 2, 1, share)]).to_dict("records")
    assert row["imbalance"] == 0.5
    slow = sum(w * b * ((i < j) + 0.5 * (i == j)) for i, (w, _) in enumerate(share) for j, (_, b) in enumerate(share))
    assert row["separation"] == pytest.approx(slow)
    assert (row["method"], row["bits"], row["seed"], row["n_distinct"]) == ("dsh", 2, 1, 9)


@pytest.fixture
def square(tmp_path):
    """Three methods, the first clearly below, the others alike."""
    rng = np.random.default_rng(0)
    ap = np.array([0.2, 0.7, 0.71])[:, None, None] + rng.normal(0, [[[0.01]], [[0.05]], [[0.05]]], (3, 3, 400))
    ap = ap.clip(0, 1)
    by_query = np.round(ap.mean(axis=1) * comparison.SCALE).astype(np.uint16)
    methods = np.array(["lsh", "dsh", "qsmi"])
    path = tmp_path / "artefacts" / comparison.file_of(12)
    write_arrays(path, methods=methods, by_seed=ap.mean(axis=2) + rng.normal(0, 0.02, (3, 3)), by_query=by_query)
    return comparison.verdicts(tmp_path, 12)


def test_verdicts_are_antisymmetric_and_sorted(square):
    values = square.to_numpy()
    np.testing.assert_array_equal(values, -values.T)
    assert square.index[-1] == "lsh" and set(square.columns) == {"lsh", "dsh", "qsmi"}
    assert square.loc["lsh", "dsh"] == square.loc["lsh", "qsmi"] == -1
    assert square.loc["dsh", "qsmi"] == 0


def test_verdicts_in_words(square):
    assert comparison.in_words(square, "qsmi") == "better than LSH; worse than none; within noise of DSH"
    assert comparison.in_words(square, "lsh").startswith("better than none; worse than ")


def test_verdicts_figure_signs_every_pair(square):
    (axes,) = drawn(plots.verdicts({12: square, 48: pd.DataFrame()}, CAPTION))
    assert sorted(texts(axes)) == [""] * 5 + ["+"] * 2 + ["−"] * 2
    assert axes.get_title() == "12 bits"


def test_caption_says_what_stands_behind_a_figure():
    configs = grid("methods", "digits")
    assert comparison.caption(configs, 3, "mAP") == "digits, 10 epochs, seeds 0, 1, not tuned; mAP; 3 of 72 runs"
    one = [config for config in configs if config.seed == 0]
    assert "seed 0," in comparison.caption(one, 0, "mAP")
    assert comparison.caption(grid("methods", "paper"), 0, "mAP").startswith("Fashion-MNIST, 10 epochs, seeds 0, 1, 2")


def a_table(methods=("qsmi", "csq", "lsh")):
    rows = [
        {"method": method, "bits": bits, "seeds": 2, "map": 0.5 + place / 10 + bits / 1000, "map_std": 0.01}
        | {"precision_radius2": 0.5, "precision_radius2_std": 0.01, "before": 0.5, "after": 0.5 + place / 10}
        | {"gain": place / 10, "held_before": 0.4, "held_after": 0.45}
        for place, method in enumerate(methods)
        for bits in (12, 48)
    ]
    return pd.DataFrame(rows)


def test_scores_are_sorted_by_the_long_code():
    left, near, right = drawn(plots.scores(a_table(), CAPTION))
    assert [tick.get_text() for tick in left.get_yticklabels()] == ["LSH", "CSQ", "QSMI"]
    assert near.get_xlim()[1] - near.get_xlim()[0] < 0.2
    assert "precision" in right.get_xlabel()


def test_scores_of_one_seed_have_no_deviation():
    drawn(plots.scores(a_table().assign(seeds=1, map_std=math.nan, precision_radius2_std=math.nan), CAPTION))


def test_rotations_print_each_gain():
    short, long, gains = drawn(plots.rotations(a_table(), CAPTION))
    assert texts(long) == ["+0.200", "+0.100", "+0.000"]
    assert [axes.get_title() for axes in (short, long)] == ["12 bits", "48 bits"]
    assert "held-out" in gains.get_xlabel() and "queries" in gains.get_ylabel()


def figures():
    centers = {12: [6.0, 6.0, 8.0], 16: [8.0, 8.0, 8.0]}
    share = np.array([[0.9, 0.0], [0.1, 0.5], [0.0, 0.5]])
    kept = [record(method, bits, 0, share) for method in ("qsmi", "csq") for bits in (12, 48)]
    yield plots.families(comparison.pair_costs(BITS), comparison.order_costs(BITS), centers)
    yield plots.continuation([0, 1, 2], [1.0, 1.5, 2.0], [0, 2])
    yield plots.scores(a_table(), CAPTION)
    yield plots.rotations(a_table(), CAPTION)
    yield plots.properties(comparison.properties(kept), CAPTION)


def test_every_axis_has_a_name():
    for figure in figures():
        first, *others = drawn(figure)
        assert first.get_ylabel() or all(tick.get_text() for tick in first.get_yticklabels())
        assert all(axes.get_xlabel() for axes in (first, *others))


def test_losses_that_charge_the_same_share_a_curve():
    axes = drawn(plots.families(comparison.pair_costs(BITS), comparison.order_costs(BITS), {12: [6.0]}))[0]
    labels = [line.get_label() for line in axes.lines]
    assert "HashNet, HashGAN†" in labels and len(labels) == len(comparison.BY_PAIR)  # one fewer, and the dotted line


def test_distances_have_a_panel_a_method():
    shares = dict.fromkeys(("qsmi", "csq", "lsh", "itq", "dsh", "dch", "dhn"), np.array([[0.9, 0.0], [0.1, 1.0]]))
    axes = drawn(plots.distances(shares, CAPTION))
    assert [a.get_title() for a in axes if a.get_visible()] == [METHODS[name].title for name in shares]


@pytest.mark.parametrize(
    "figure",
    [
        lambda empty: plots.trials(comparison.trials(empty), CAPTION),
        lambda empty: plots.scores(tables.cells("methods", "paper", empty), CAPTION),
        lambda empty: plots.verdicts({12: comparison.verdicts(empty, 12)}, CAPTION),
        lambda empty: plots.rotations(pd.DataFrame(), CAPTION),
        lambda empty: plots.properties(comparison.properties([]), CAPTION),
        lambda empty: plots.distances({}, CAPTION),
    ],
    ids=["trials", "scores", "verdicts", "rotations", "properties", "distances"],
)
def test_a_figure_without_records_says_so(figure, tmp_path):
    drawn_figure = figure(tmp_path)
    (axes,) = drawn(drawn_figure)
    assert texts(axes) == ["not recorded yet"]
    assert CAPTION in [text.get_text() for text in drawn_figure.texts]
