"""Figures of what losses charge and how tuning went draw what they are given, also where nothing is recorded."""

import pandas as pd

from qsmi_lib.reproduction.analysis.method_tables import trials
from qsmi_lib.reproduction.analysis.pair_costs import BY_PAIR, order_costs, pair_costs
from qsmi_lib.reproduction.plotting import methods as plots

BITS = 12
CAPTION = "some data, some epochs"
SEARCHES = pd.DataFrame(
    [
        ("dch", "gamma", 5.0, 0.5, False, True),
        ("dch", "gamma", 10.0, 0.6, True, False),
        ("dch", "gamma", 20.0, 0.4, False, True),
        ("dch", "alpha", 0.1, 0.6, False, True),
        ("dch", "alpha", 1.0, 0.7, True, True),
    ],
    columns=["method", "setting", "value", "score", "chosen", "at_end"],
)


def drawn(figure):
    """The figure's axes, after it has been drawn without a warning."""
    figure.canvas.draw()
    return figure.axes


def test_trials_figure_marks_the_chosen_and_the_ends():
    (axes,) = drawn(plots.trials(SEARCHES, CAPTION))
    assert [text.get_text().split(":")[0] for text in axes.texts if text.get_fontweight() == "bold"] == ["10", "1"]
    assert [line.get_marker() for line in axes.lines] == [">"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["DCH: gamma", "DCH: alpha"]


def test_trials_figure_shows_values_in_order_and_an_arrow_where_the_least_is_best():
    lines = [("dsh", "alpha", value, score, value == 0.001, value < 0.1) for value, score in ((0.01, 0.5), (0.1, 0.4))]
    lines.append(("dsh", "alpha", 0.001, 0.6, True, True))
    (axes,) = drawn(plots.trials(pd.DataFrame(lines, columns=SEARCHES.columns), CAPTION))
    assert [text.get_text().split(":")[0] for text in axes.texts] == ["0.001", "0.01", "0.1"]
    assert [line.get_marker() for line in axes.lines] == ["<"]
    left, right = axes.get_xlim()
    assert all(left < text.get_position()[0] < right for text in axes.texts)


def figures():
    centers = {12: [6.0, 6.0, 8.0], 16: [8.0, 8.0, 8.0]}
    yield plots.families(pair_costs(BITS), order_costs(BITS), centers)
    yield plots.continuation([0, 1, 2], [1.0, 1.5, 2.0], [0, 2])


def test_every_axis_has_a_name():
    for figure in figures():
        first, *others = drawn(figure)
        assert first.get_ylabel() or all(tick.get_text() for tick in first.get_yticklabels())
        assert all(axes.get_xlabel() for axes in (first, *others))


def test_losses_that_charge_the_same_share_a_curve():
    axes = drawn(plots.families(pair_costs(BITS), order_costs(BITS), {12: [6.0]}))[0]
    labels = [line.get_label() for line in axes.lines]
    assert "HashNet, HashGAN†" in labels and len(labels) == len(BY_PAIR)  # one fewer, and the dotted line


def test_a_figure_without_records_says_so(tmp_path):
    figure = plots.trials(trials(tmp_path), CAPTION)
    (axes,) = drawn(figure)
    assert [text.get_text() for text in axes.texts] == ["not recorded yet"]
    assert CAPTION in [text.get_text() for text in figure.texts]
