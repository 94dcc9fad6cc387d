"""Sliders and films: a static picture without a person, and each value within reach of the mouse with one."""

import ipywidgets
import matplotlib.pyplot as plt
import pytest

from qsmi_lib.reproduction import figures
from qsmi_lib.reproduction.plotting import widgets
from qsmi_lib.reproduction.results import committed


@pytest.fixture
def watched(monkeypatch, capsys):
    """A person looks on; what is displayed is swallowed."""
    monkeypatch.setattr("qsmi_lib.utils.progress.watched", lambda: True)


@pytest.fixture
def drawn():
    """A plot function, and the values that it was called with."""
    calls = []

    def draw(**values):
        calls.append(values)
        return plt.figure()

    yield draw, calls
    plt.close("all")


def test_without_a_person_there_is_one_picture(drawn):
    draw, calls = drawn
    figure = widgets.explore(draw, needs=widgets.Slider(10, 1, 100, 1, "M"))
    assert calls == [{"needs": 10}] and plt.get_fignums() == [figure.number]  # open, so that the notebook shows it


def test_without_a_person_a_film_is_its_stills(drawn):
    draw, calls = drawn
    widgets.explore(
        draw, step=widgets.Steps(0, 0, 90, 1, "step", stills=(0, 5, 90)), bits=widgets.Choice("a", "ab", "c")
    )
    widgets.explore(draw, step=widgets.Steps(3, 0, 90, 1, "step"))
    assert calls == [{"step": (0, 5, 90), "bits": "a"}, {"step": 3}]


@pytest.mark.usefixtures("watched")
def test_explore_has_a_widget_for_each_argument(drawn):
    draw, calls = drawn
    arguments = {"needs": widgets.Slider(10, 1, 100, 1, "M"), "share": widgets.Slider(0.5, 0.0, 1.0, 0.01, "S")}
    arguments |= {"kind": widgets.Choice("b", ("a", "b"), "kind"), "order": widgets.Order(("1", "2"), "items")}
    panel = widgets.explore(draw, **arguments)
    needs, share, kind, order = panel.kwargs_widgets
    assert isinstance(needs, ipywidgets.IntSlider) and isinstance(share, ipywidgets.FloatSlider)
    needs.value, kind.value, order.value = 20, "a", ["2", "1"]
    assert calls[-1] == {"needs": 20, "share": 0.5, "kind": "a", "order": ["2", "1"]} and len(calls) == 4
    assert not plt.get_fignums()  # closed, so that the notebook does not show it twice
    assert panel.out.layout.min_height == "320px"  # the figure's, so that the page does not jump


@pytest.mark.usefixtures("watched")
@pytest.mark.parametrize(("start", "step"), [(99, 1), (0.3, 0.1)])
def test_buttons_reach_each_value_and_stop_at_the_ends(drawn, start, step):
    high = 100 if step == 1 else 0.5
    row = widgets.explore(drawn[0], value=widgets.Slider(start, 0, high, step, "M")).children[0]
    less, slider, more = row.children
    seen = [slider.value]
    for button in (more, more, more, less):
        button.click()
        seen.append(slider.value)
    assert seen == ([99, 100, 100, 100, 99] if step == 1 else [0.3, 0.4, 0.5, 0.5, 0.4])
    assert (less.tooltip, more.tooltip) == ("M: one step less", "M: one step more")


@pytest.mark.usefixtures("watched")
def test_a_film_plays_the_steps_of_its_slider(drawn):
    draw, calls = drawn
    panel = widgets.explore(draw, step=widgets.Steps(0, 0, 90, 1, "step", stills=(0, 90), pace=2))
    play, less, slider, more = panel.children[0].children
    assert isinstance(play, ipywidgets.Play) and (play.min, play.max, play.step, play.value) == (0, 90, 2, 0)
    assert slider.continuous_update and calls == [{"step": 0}]  # a person sees one step at a time
    more.click()
    less.click()
    more.click()
    assert [call["step"] for call in calls] == [0, 1, 0, 1]


@pytest.mark.usefixtures("watched")
def test_the_variants_of_the_learning_curves_can_be_chosen():
    panel = figures.learning_curves(committed())
    assert panel.kwargs_widgets[0].value == "all" and "QSMI" in panel.kwargs_widgets[0].options
    plt.close("all")
