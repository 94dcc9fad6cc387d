"""The figures of notebook 01 and the sliders around them."""

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from qsmi_lib import losses
from qsmi_lib.reproduction.plotting import derivation, widgets


def slow_pair_loss(cosine, relevant, information_needs):
    """Two unit vectors through the library's loss; off the self pairs, which pay 1 / M each, and half of the rest."""
    angle = np.arccos(cosine)
    pair = torch.tensor([[1.0, 0.0], [np.cos(angle), np.sin(angle)]], dtype=torch.float64)
    relevance = torch.tensor([[True, relevant], [relevant, True]])
    loss = losses.qsmi_loss(pair, relevance, information_needs=information_needs)
    return (loss.item() - 2 / information_needs) / 2


@pytest.mark.parametrize("relevant", [True, False])
@pytest.mark.parametrize("information_needs", [1.0, 3.0, 10.0])
def test_pair_loss_is_the_librarys(relevant, information_needs):
    for cosine in (-1.0, -0.3, 0.4, 1.0):
        similarity = (1 + cosine) / 2
        expected = slow_pair_loss(cosine, relevant, information_needs)
        assert derivation.pair_loss(similarity, relevant, information_needs) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("relevant", [True, False])
def test_pair_slope_is_the_derivative(relevant):
    high, low = (derivation.pair_loss(0.3 + h, relevant, 7.0) for h in (1e-6, -1e-6))
    assert derivation.pair_slope(0.3, relevant, 7.0) == pytest.approx((high - low) / 2e-6, abs=1e-8)


@pytest.mark.parametrize("information_needs", [1, 2, 10, 100])
def test_the_star_is_the_lowest_point_of_the_similar_pair(information_needs):
    figure = derivation.pair_over_needs(information_needs, 0.5)
    lines = {line.get_label().split(",")[0].split(" =")[0]: line for line in figure.axes[0].lines}
    (x,), (y,) = lines["$S^*$"].get_data()
    curve = lines["similar pair"].get_ydata()
    assert x == pytest.approx(information_needs / (information_needs + 1))
    assert y <= curve.min() and y == pytest.approx(curve.min(), abs=1e-4)


def test_pair_over_needs_marks_the_pair_it_is_given():
    figure = derivation.pair_over_needs(4, 0.25)
    marked = [tuple(line.get_xydata()[0]) for line in figure.axes[0].lines if line.get_marker() in ("o", "s")]
    assert marked == [(0.25, pytest.approx(0.75**2 + 0.25**2 / 4)), (0.25, pytest.approx(0.25**2 / 4))]
    assert figure.axes[0].get_title() == "M = 4"


def figures():
    grid = np.linspace(-1, 1, 5)
    yield derivation.parzen_densities(grid, np.ones((2, 5)), np.full(5, 2.0), [0.0, 0.5], [0, 1])
    yield derivation.clamp_against_linear(grid, grid, grid**2)
    yield derivation.pair_over_needs()
    yield derivation.arrangements({"a": np.eye(10), "b": np.ones((10, 10))})
    yield derivation.descent_paths({"a": np.random.default_rng(0).normal(size=(4, 3, 2))}, [0, 0, 1])


def test_every_axis_has_a_name():
    for figure in figures():
        figure.canvas.draw()
        for axes in figure.axes:
            shared = axes.get_subplotspec() is not None and not axes.get_subplotspec().is_first_col()
            assert axes.get_ylabel() or shared
            assert axes.get_xlabel() or axes.get_label() == "<colorbar>"


def test_parzen_marks_each_image_under_its_own_need():
    figure = derivation.parzen_densities([0.0, 1.0], np.ones((2, 2)), [2.0, 2.0], [0.1, 0.2, 0.9], [0, 0, 1])
    here = [list(line.get_xdata()) for line in figure.axes[0].lines if line.get_marker() in ("o", "s")]
    assert here == [[0.1, 0.2], [0.9]]


def test_clamp_slopes_are_constant_and_growing():
    error = np.linspace(0, 1, 11)
    linear, clamped = (
        line.get_ydata() for line in derivation.clamp_against_linear(error, error, error**2).axes[1].lines
    )
    np.testing.assert_allclose(linear, 1.0)
    np.testing.assert_allclose(clamped, 2 * error, atol=1e-12)


def test_descent_ends_where_the_path_ends():
    path = np.arange(12.0).reshape(3, 2, 2)
    (axes,) = derivation.descent_paths({"a": path}, [0, 1]).axes
    named = [line.get_xydata()[0] for line in axes.lines if line.get_label().startswith("class")]
    np.testing.assert_array_equal(named, path[-1])


SLIDERS = {"needs": widgets.Slider(10, 1, 100, 1, "M"), "similarity": widgets.Slider(0.5, 0.0, 1.0, 0.01, "S")}


@pytest.fixture
def drawn():
    """A plot function that remembers what it was asked for."""
    calls = []

    def draw(needs, similarity):
        calls.append((needs, similarity))
        return plt.figure()

    draw.calls = calls
    return draw


def test_explore_draws_once_where_nobody_looks_on(monkeypatch, drawn):
    monkeypatch.setenv("QSMI_HEADLESS", "1")
    figure = widgets.explore(drawn, **SLIDERS)
    assert drawn.calls == [(10, 0.5)]
    assert plt.get_fignums() == [figure.number]  # open, so that the notebook shows it


def test_explore_has_sliders_where_a_person_looks_on(monkeypatch, drawn, capsys):
    monkeypatch.setattr("qsmi_lib.utils.progress.watched", lambda: True)
    panel = widgets.explore(drawn, **SLIDERS)
    needs, similarity = panel.kwargs_widgets
    assert isinstance(needs, ipywidgets.IntSlider) and isinstance(similarity, ipywidgets.FloatSlider)
    assert (needs.min, needs.max, needs.description) == (1, 100, "M")
    needs.value = 20
    similarity.value = 0.25
    assert drawn.calls == [(10, 0.5), (20, 0.5), (20, 0.25)]
    assert not plt.get_fignums()  # closed, so that the notebook does not show it twice


def test_choices_and_orders_are_widgets_too(monkeypatch, capsys):
    monkeypatch.setattr("qsmi_lib.utils.progress.watched", lambda: True)
    calls = []

    def draw(kind, order):
        calls.append((kind, tuple(order)))
        return plt.figure()

    choice, order = widgets.Choice("b", ("a", "b"), "kind"), widgets.Order(("1", "2", "3"), "items")
    kind, dragged = widgets.explore(draw, kind=choice, order=order).kwargs_widgets
    kind.value = "a"
    dragged.value = ["3", "1", "2"]
    dragged.value = ["3", "1"]
    assert calls == [("b", ("1", "2", "3")), ("a", ("1", "2", "3")), ("a", ("3", "1", "2")), ("a", ("3", "1"))]


def test_moving_is_the_path_of_the_chosen_loss_so_far():
    path = np.arange(24.0).reshape(6, 2, 2)
    paths = {("cosine", "clamped"): path, ("gaussian", "clamped"): -path}
    (axes,) = derivation.moving(paths, [0, 1], 3, "gaussian", "clamped").axes
    named = [line.get_xydata()[0] for line in axes.lines if line.get_label().startswith("class")]
    np.testing.assert_array_equal(named, -path[3])
    assert axes.get_title() == "gaussian, clamped: step 3" and axes.get_xlim()[1] > path.max()
