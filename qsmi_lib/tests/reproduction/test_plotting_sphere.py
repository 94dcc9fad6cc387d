"""The figures of notebook 14 draw what they are given."""

import math

import ipywidgets
import numpy as np
import pandas as pd
import pytest

from qsmi_lib.reproduction.analysis.spherical import ROTATED
from qsmi_lib.reproduction.plotting import spherical

EMPTY = pd.DataFrame([], columns=["protocol", "bits", "method", "map"])
SCORES = pd.DataFrame(
    [("full", 48, "QSMI", 0.5), ("full", 12, "QSMI", 0.4), ("reduced", 12, ROTATED, 0.6)], columns=EMPTY.columns
)


def points(n=40):
    drawn = np.random.default_rng(0).normal(size=(n, 3))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.arange(n) % 10


def test_each_point_is_on_one_of_the_two_sides():
    where, labels = points()
    figure = spherical.spheres(where, -where, labels)
    shown = [sum(len(c.get_offsets()) for c in axes.collections) for axes in figure.axes]
    assert shown[0] + shown[2] == len(where) and shown[1] + shown[3] == len(where)
    assert shown[0] == shown[3]  # the antipodes of the front are behind


def test_the_sides_together_name_every_octant_where_its_point_lies():
    octants = np.array(list(np.ndindex(2, 2, 2))) * 2.0 - 1.0
    figure = spherical.spheres(octants / np.sqrt(3.0), octants / np.sqrt(3.0), np.arange(8))
    named = []
    for side in (0, 2):
        codes = {text.get_text(): text.get_position() for text in figure.axes[side].texts}
        for octant, drawn in zip(octants, figure.axes[side].collections, strict=True):
            for place in drawn.get_offsets():
                code = "".join("−+"[int(sign > 0)] for sign in octant)
                np.testing.assert_allclose(place, codes.pop(code), atol=1e-12)
                named.append(code)
        assert not codes
    assert len(set(named)) == 8


def test_a_frame_is_a_rotation_that_looks_where_it_should():
    frame = spherical._frame(30.0, 20.0)
    np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(frame) == pytest.approx(1.0)
    np.testing.assert_allclose(spherical._frame(0.0, 0.0)[:, 2], [1.0, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(spherical._frame(0.0, 90.0)[:, 2], [0.0, 0.0, 1.0], atol=1e-12)


def test_a_legend_only_where_classes_have_names():
    where, labels = points()
    assert not spherical.spheres(where, where, labels, [str(k) for k in range(10)]).legends
    (legend,) = spherical.spheres(where, where, labels, ["coat", *"bcdefghij"]).legends
    assert legend.get_texts()[0].get_text() == "coat"


def test_look_around_is_a_picture_where_nobody_looks_on(monkeypatch):
    monkeypatch.setenv("QSMI_HEADLESS", "1")
    where, labels = points()
    assert len(spherical.look_around(where, where, labels).axes) == 4


def test_look_around_has_a_slider_for_each_angle(monkeypatch, capsys):
    monkeypatch.setattr("qsmi_lib.utils.progress.watched", lambda: True)
    where, labels = points()
    panel = spherical.look_around(where, where, labels)
    assert [slider.description for slider in panel.kwargs_widgets] == ["azimuth", "elevation"]
    assert all(isinstance(slider, ipywidgets.IntSlider) for slider in panel.kwargs_widgets)
    panel.kwargs_widgets[0].value = 90


def figures():
    where, labels = points()
    grid = np.linspace(-4.0, 4.0, 9)
    yield spherical.energies(grid[:-1])
    yield spherical.circle(np.linspace(0.1, 6.0, 8), np.arange(8) % 4, [0.0, 30.0, 60.0], [0.2, 1.0, 0.4])
    yield spherical.spheres(where, where, labels)
    yield spherical.search_curves({"a": {"x": [[0.1, 0.2], [0.1, 0.3]], "y": [[0.2, 0.2]]}, "b": {}})
    yield spherical.search_curves({"a": {}, "b": {}})
    yield spherical.across_lengths(SCORES, (12, 48))
    yield spherical.across_lengths(EMPTY, (12, 48))
    yield spherical.balance({"a": [0.1, -0.2], "b": [0.0, 0.0]}, {"a": np.ones((3, 2)) / 3, "b": np.ones((3, 2)) / 3})


def test_every_axis_that_is_drawn_has_a_name():
    for figure in figures():
        figure.canvas.draw()
        for axes in figure.axes:
            shared = axes.get_subplotspec() is not None and not axes.get_subplotspec().is_first_col()
            assert not axes.axison or (axes.get_xlabel() and (axes.get_ylabel() or shared))


def test_the_circle_shows_the_middle_of_the_best_rotations():
    degrees, scores = 10.0 * np.arange(6), [0.5, 0.7, 0.9, 0.9, 0.9, 0.6]
    figure = spherical.circle([0.3, 1.8], [0, 1], degrees, scores)
    assert [axes.get_title() for axes in figure.axes[:2]] == ["before: mAP 0.500", "turned by 30°: mAP 0.900"]
    turned = [line.get_xydata()[0] for line in figure.axes[1].lines]
    angles = np.array([0.3, 1.8]) + math.radians(30.0)
    np.testing.assert_allclose(turned, np.stack([np.cos(angles), np.sin(angles)], axis=1))


def test_search_curves_draw_every_seed_and_name_each_curve_once():
    figure = spherical.search_curves({"12 bits": {"a": [[0.1, 0.2], [0.1, 0.3]], "b": [[0.2, 0.2]]}})
    assert [line.get_ydata().tolist() for line in figure.axes[0].lines] == [[0.1, 0.2], [0.1, 0.3], [0.2, 0.2]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]


def test_across_lengths_draws_a_curve_a_method_in_its_panel():
    figure = spherical.across_lengths(SCORES, (12, 48))
    reduced, full = ({line.get_label(): line for line in axes.lines} for axes in figure.axes)
    assert full["QSMI"].get_xydata().tolist() == [[12, 0.4], [48, 0.5]]
    assert reduced[ROTATED].get_xydata().tolist() == [[12, 0.6]]


def test_balance_draws_the_means_and_the_shares_it_is_given():
    shares = {"before": np.array([[0.5, 0.0], [0.5, 0.25], [0.0, 0.75]])}
    figure = spherical.balance({"before": [0.1, -0.2]}, shares)
    assert figure.axes[0].lines[0].get_ydata().tolist() == [0.1, -0.2]
    assert [line.get_ydata().tolist() for line in figure.axes[1].lines] == shares["before"].T.tolist()
