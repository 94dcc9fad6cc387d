"""Figures of scores, verdicts, rotations and codes draw what they are given, also where nothing is recorded."""

import math

import numpy as np
import pandas as pd
import pytest

from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction import tables
from qsmi_lib.reproduction.analysis import method_tables, significance
from qsmi_lib.reproduction.plotting import methods as plots

CAPTION = "some data, some epochs"


def drawn(figure):
    """The figure's axes, after it has been drawn without a warning."""
    figure.canvas.draw()
    return figure.axes


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_verdicts_figure_signs_every_pair():
    methods = ["qsmi", "dsh", "lsh"]
    square = pd.DataFrame([[0, 0, 1], [0, 0, 1], [-1, -1, 0]], index=methods, columns=methods)
    (axes,) = drawn(plots.verdicts({12: square, 48: pd.DataFrame()}, CAPTION))
    assert sorted(texts(axes)) == [""] * 5 + ["+"] * 2 + ["−"] * 2
    assert axes.get_title() == "12 bits"


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


def test_rotations_mark_each_gain_over_that_of_the_held_out_items():
    *_, gains = drawn(plots.rotations(a_table(("qsmi", "lsh")), CAPTION))
    marks = {line.get_label(): line.get_xydata() for line in gains.lines}
    for bits in (12, 48):
        np.testing.assert_allclose(marks[f"{bits} bits"], [[0.05, 0.1], [0.05, 0.0]])  # LSH gains most: it is first


def figures():
    numbers = {name: 0.5 for name in plots.PROPERTIES}
    codes = [{"method": method, "bits": bits, "seed": 0} | numbers for method in ("qsmi", "csq") for bits in (12, 48)]
    yield plots.scores(a_table(), CAPTION)
    yield plots.rotations(a_table(), CAPTION)
    yield plots.properties(pd.DataFrame(codes), CAPTION)


def test_every_axis_has_a_name():
    for figure in figures():
        first, *others = drawn(figure)
        assert first.get_ylabel() or all(tick.get_text() for tick in first.get_yticklabels())
        assert all(axes.get_xlabel() for axes in (first, *others))


def test_distances_have_a_panel_a_method():
    shares = dict.fromkeys(("qsmi", "csq", "lsh", "itq", "dsh", "dch", "dhn"), np.array([[0.9, 0.0], [0.1, 1.0]]))
    axes = drawn(plots.distances(shares, CAPTION))
    assert [a.get_title() for a in axes if a.get_visible()] == [METHODS[name].title for name in shares]


@pytest.mark.parametrize(
    "figure",
    [
        lambda empty: plots.scores(tables.cells("methods", "paper", empty), CAPTION),
        lambda empty: plots.verdicts({12: significance.verdicts(empty, 12)}, CAPTION),
        lambda empty: plots.rotations(pd.DataFrame(), CAPTION),
        lambda empty: plots.properties(method_tables.properties([]), CAPTION),
        lambda empty: plots.distances({}, CAPTION),
    ],
    ids=["scores", "verdicts", "rotations", "properties", "distances"],
)
def test_a_figure_without_records_says_so(figure, tmp_path):
    drawn_figure = figure(tmp_path)
    (axes,) = drawn(drawn_figure)
    assert texts(axes) == ["not recorded yet"]
    assert CAPTION in [text.get_text() for text in drawn_figure.texts]
