"""The figures of notebook 14, its tables of any subset of records, and the energies beside the library's loss."""

import math

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from qsmi_lib import losses
from qsmi_lib.plotting import sphere

forms = pytest.mark.parametrize("form", sphere.FORMS)
inside = pytest.mark.parametrize("difference", [-3.7, -1.0, 0.4, 3.5])

EMPTY = pd.DataFrame([])
TURNED = pd.DataFrame(
    [
        {"method": "spring", "bits": 12, "protocol": "reduced_held_out", "held_before": 0.5, "held_after": 0.7}
        | {"before": 0.45, "after": 0.6, "gain": 0.15, "precision_gain": 0.1}
    ]
)


@pytest.fixture(autouse=True)
def agg():
    plt.switch_backend("agg")
    yield
    plt.close("all")


def triplet(difference):
    """The embeddings of one triplet on the circle whose t is `difference`, and who is relevant to the first item."""
    positive, negative = (
        (0.0, math.acos(1 + difference / 2)) if difference < 0 else (math.acos(1 - difference / 2), 0.0)
    )
    angle = torch.tensor([0.0, positive, negative], dtype=torch.float64, requires_grad=True)
    relevance = torch.tensor([[True, True, False], [False, True, False], [False, False, True]])
    return angle, relevance


def loss(angle, relevance, form):
    return losses.spring_loss(torch.stack([angle.cos(), angle.sin()], dim=1), relevance, form=form)


@forms
@inside
def test_energy_is_the_librarys(form, difference):
    expected = loss(*triplet(difference), form).item()
    assert sphere.energy(difference, form, bits=2) == pytest.approx(expected, abs=1e-7)


@forms
@inside
def test_slope_is_the_librarys(form, difference):
    """By the chain rule over the angle that is not 0: t is 2 cos(negative) - 2 cos(positive)."""
    angle, relevance = triplet(difference)
    loss(angle, relevance, form).backward()
    moved = 1 if difference > 0 else 2
    slope_of_t = 2.0 * math.sin(angle[moved].item()) * (1 if moved == 1 else -1)
    expected = angle.grad[moved].item() / slope_of_t
    assert sphere.slope(difference, form, bits=2) == pytest.approx(expected, abs=1e-6)


def test_springs_have_no_slope_at_the_worst_triplet_and_say_so_without_a_warning():
    for form in ("spring", "margin_spring"):
        assert sphere.slope(4.0, form) == math.inf
    assert sphere.slope([-4.0, 4.0], "margin").tolist() == [0.0, 1.0]


def record(bits, protocol=None, entropy=None, score=0.5):
    config = {"method": "qsmi", "bits": bits} | ({} if protocol is None else {"protocol": protocol})
    return {"config": config, "metrics": {"map_expected": score}} | (
        {} if entropy is None else {"codes": {"bit_entropy": entropy}}
    )


def test_comparison_takes_any_subset():
    scores = sphere.comparison([record(12, entropy=0.9), record(48, "reduced")], TURNED)
    assert scores["protocol"].tolist() == ["full", "reduced", "reduced"]
    assert scores["method"].tolist() == ["QSMI", "QSMI", sphere.ROTATED]
    assert scores["map"].tolist() == [0.5, 0.5, 0.6]
    np.testing.assert_array_equal(scores["bit_entropy"], [0.9, np.nan, np.nan])
    assert sphere.comparison([], EMPTY).empty


def test_by_length_has_a_row_a_method_and_a_dash_where_nothing_is_known():
    table = sphere.by_length(sphere.comparison([record(12, score=0.25)], TURNED), (12, 48))
    assert len(table) == 2 * len(sphere.method_order())
    values = table.set_index(["training set", "method"])
    assert values.loc[("all training items", "QSMI")].tolist() == ["0.250", "–"]
    assert values.loc[("reduced training set", sphere.ROTATED)].tolist() == ["0.600", "–"]
    assert set(sphere.by_length(sphere.comparison([], EMPTY), (12,))["12 bits"]) == {"–"}


def test_by_length_leaves_out_methods_without_the_value():
    scores = sphere.comparison([record(12, entropy=0.9)], TURNED)
    table = sphere.by_length(scores, (12, 48), "bit_entropy")
    assert table.to_numpy().tolist() == [["all training items", "QSMI", "0.900", "–"]]


def test_gains_with_and_without_searches():
    table = sphere.gains(TURNED, [0.65])
    assert table.to_dict("records")[0] == {
        **{"training set": "reduced training set", "bits": 12, "held out, no rotation": 0.5, "held out, ITQ": 0.65},
        **{"held out, searched": 0.7, "queries, no rotation": 0.45, "queries, searched": 0.6, "queries' gain": 0.15},
    }
    assert list(sphere.gains(EMPTY, [])) == list(table)


def test_history_is_what_was_accepted_and_stays_until_the_next():
    search = {"n_steps": 5, "accepted": [[0, 0.3], [2, 0.4], [5, 0.6]]}
    assert sphere.history_of(search).tolist() == [0.3, 0.3, 0.4, 0.4, 0.4, 0.6]


def points(n=40):
    drawn = np.random.default_rng(0).normal(size=(n, 3))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.arange(n) % 10


def test_each_point_is_on_one_of_the_two_sides():
    where, labels = points()
    figure = sphere.spheres(where, -where, labels)
    shown = [sum(len(c.get_offsets()) for c in axes.collections) for axes in figure.axes]
    assert shown[0] + shown[2] == len(where) and shown[1] + shown[3] == len(where)
    assert shown[0] == shown[3]  # the antipodes of the front are behind


def test_the_sides_together_name_every_octant_where_its_point_lies():
    octants = np.array(list(np.ndindex(2, 2, 2))) * 2.0 - 1.0
    figure = sphere.spheres(octants / np.sqrt(3.0), octants / np.sqrt(3.0), np.arange(8))
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
    frame = sphere._frame(30.0, 20.0)
    np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(frame) == pytest.approx(1.0)
    np.testing.assert_allclose(sphere._frame(0.0, 0.0)[:, 2], [1.0, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(sphere._frame(0.0, 90.0)[:, 2], [0.0, 0.0, 1.0], atol=1e-12)


def test_a_legend_only_where_classes_have_names():
    where, labels = points()
    assert not sphere.spheres(where, where, labels, [str(k) for k in range(10)]).legends
    (legend,) = sphere.spheres(where, where, labels, ["coat", *"bcdefghij"]).legends
    assert legend.get_texts()[0].get_text() == "coat"


def test_look_around_is_a_picture_where_nobody_looks_on(monkeypatch):
    monkeypatch.setenv("QSMI_HEADLESS", "1")
    where, labels = points()
    assert len(sphere.look_around(where, where, labels).axes) == 4


def test_look_around_has_a_slider_for_each_angle(monkeypatch, capsys):
    monkeypatch.setattr("qsmi_lib.progress.watched", lambda: True)
    where, labels = points()
    panel = sphere.look_around(where, where, labels)
    assert [slider.description for slider in panel.kwargs_widgets] == ["azimuth", "elevation"]
    assert all(isinstance(slider, ipywidgets.IntSlider) for slider in panel.kwargs_widgets)
    panel.kwargs_widgets[0].value = 90


def figures():
    where, labels = points()
    grid = np.linspace(-4.0, 4.0, 9)
    yield sphere.energies(grid[:-1])
    yield sphere.circle(np.linspace(0.1, 6.0, 8), np.arange(8) % 4, [0.0, 30.0, 60.0], [0.2, 1.0, 0.4])
    yield sphere.spheres(where, where, labels)
    yield sphere.search_curves({"a": {"x": [[0.1, 0.2], [0.1, 0.3]], "y": [[0.2, 0.2]]}, "b": {}})
    yield sphere.search_curves({"a": {}, "b": {}})
    yield sphere.across_lengths(sphere.comparison([record(12), record(48)], TURNED), (12, 48))
    yield sphere.across_lengths(sphere.comparison([], EMPTY), (12, 48))
    yield sphere.balance({"a": [0.1, -0.2], "b": [0.0, 0.0]}, {"a": np.ones((3, 2)) / 3, "b": np.ones((3, 2)) / 3})


def test_every_axis_that_is_drawn_has_a_name():
    for figure in figures():
        figure.canvas.draw()
        for axes in figure.axes:
            shared = axes.get_subplotspec() is not None and not axes.get_subplotspec().is_first_col()
            assert not axes.axison or (axes.get_xlabel() and (axes.get_ylabel() or shared))


def test_the_circle_shows_the_middle_of_the_best_rotations():
    degrees, scores = 10.0 * np.arange(6), [0.5, 0.7, 0.9, 0.9, 0.9, 0.6]
    figure = sphere.circle([0.3, 1.8], [0, 1], degrees, scores)
    assert [axes.get_title() for axes in figure.axes[:2]] == ["before: mAP 0.500", "turned by 30°: mAP 0.900"]
    turned = [line.get_xydata()[0] for line in figure.axes[1].lines]
    angles = np.array([0.3, 1.8]) + math.radians(30.0)
    np.testing.assert_allclose(turned, np.stack([np.cos(angles), np.sin(angles)], axis=1))


def test_search_curves_draw_every_seed_and_name_each_curve_once():
    figure = sphere.search_curves({"12 bits": {"a": [[0.1, 0.2], [0.1, 0.3]], "b": [[0.2, 0.2]]}})
    assert [line.get_ydata().tolist() for line in figure.axes[0].lines] == [[0.1, 0.2], [0.1, 0.3], [0.2, 0.2]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]


def test_across_lengths_draws_a_curve_a_method_in_its_panel():
    figure = sphere.across_lengths(sphere.comparison([record(48), record(12, score=0.4)], TURNED), (12, 48))
    reduced, full = ({line.get_label(): line for line in axes.lines} for axes in figure.axes)
    assert full["QSMI"].get_xydata().tolist() == [[12, 0.4], [48, 0.5]]
    assert reduced[sphere.ROTATED].get_xydata().tolist() == [[12, 0.6]]


def test_balance_draws_the_means_and_the_shares_it_is_given():
    shares = {"before": np.array([[0.5, 0.0], [0.5, 0.25], [0.0, 0.75]])}
    figure = sphere.balance({"before": [0.1, -0.2]}, shares)
    assert figure.axes[0].lines[0].get_ydata().tolist() == [0.1, -0.2]
    assert [line.get_ydata().tolist() for line in figure.axes[1].lines] == shares["before"].T.tolist()
