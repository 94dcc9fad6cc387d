"""Figures of frozen features: they draw what they are given, and nothing else."""

import math

import numpy as np
import pandas as pd
import pytest

from qsmi_lib.reproduction.analysis.tsne import Points
from qsmi_lib.reproduction.grids import TABLE_5_METHODS
from qsmi_lib.reproduction.plotting import curves, maps

BITS = (16, 32, 64)


def few(protocols=("sampled", "sampled_all")):
    rows = [(p, m, b) for p in protocols for m in TABLE_5_METHODS for b in BITS]
    table = pd.DataFrame(rows, columns=["protocol", "method", "bits"])
    return table.assign(map=np.linspace(0.1, 0.9, len(table)), map_std=0.01)


def paper(*rows):
    return pd.DataFrame(rows, columns=["method", "bits", "metric", "mean", "std"])


def test_table_5_has_a_panel_a_reading_and_a_curve_a_method():
    cells = few()
    figure = curves.few_items(cells, paper(("dsh", 16, "map", 0.689, math.nan)))
    assert [axes.get_title() for axes in figure.axes] == [
        "database: the rest",
        "database: the rest and the training items",
    ]
    for axes, protocol in zip(figure.axes, ("sampled", "sampled_all"), strict=True):
        drawn = [container.lines[0] for container in axes.containers[::2]]
        assert len(drawn) == len(TABLE_5_METHODS)
        own = cells[cells["protocol"] == protocol].groupby("method", sort=False)["map"].apply(list)
        assert [list(line.get_ydata()) for line in drawn] == list(own)
        quoted = [container.lines[0].get_ydata().tolist() for container in axes.containers[1::2]]
        assert [values for values in quoted if values] == [[0.689]]
    styles = [(line.get_color(), line.get_marker(), line.get_linestyle()) for line in drawn]
    assert len(set(styles)) == len(styles), "every curve can be told from the others"


def test_table_5_without_the_papers_numbers_names_none():
    figure = curves.few_items(few(("sampled",)), paper())
    assert "as the paper prints it" not in [text.get_text() for text in figure.legends[0].get_texts()]


def test_table_9_has_a_panel_a_backbone_and_number_of_classes():
    rows = [
        (backbone, protocol, method, bits)
        for backbone in ("resnet56", "squeezenet1_1_keras")
        for protocol in ("unseen_3", "unseen_2")
        for method in ("dsh", "qsmi_u")
        for bits in (12, 24)
    ]
    cells = pd.DataFrame(rows, columns=["backbone", "protocol", "method", "bits"]).assign(
        map_11pt=0.5, map_11pt_std=0.1
    )
    figure = curves.unseen(cells, paper(("dsh", 12, "map_11pt", 0.615, 0.065)))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [
        "ResNet-56, 3 unseen classes",
        "ResNet-56, 2 unseen classes",
        "SqueezeNet 1.1, 3 unseen classes",
        "SqueezeNet 1.1, 2 unseen classes",
    ]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["DSH", "QSMI+U", "paper"]


@pytest.mark.parametrize("n_maps", [1, 3])
def test_a_map_has_two_panels_on_the_same_axes(n_maps):
    generator = np.random.default_rng(0)
    points = Points(
        generator.normal(size=(50, 2)), generator.normal(size=(20, 2)), np.arange(50) % 3, np.arange(20) % 3
    )
    figure = maps.maps({f"map {k}": points for k in range(n_maps)}, ("a", "b", "c"))
    assert len(figure.axes) == 2 * n_maps
    for left, right in zip(figure.axes[::2], figure.axes[1::2], strict=True):
        assert left.get_xlim() == right.get_xlim() and left.get_ylim() == right.get_ylim()
        for axes, places, labels in ((left, points.database, 50), (right, points.query, 20)):
            discs = axes.collections[0]
            drawn = {
                tuple(place): tuple(color)
                for place, color in zip(discs.get_offsets(), discs.get_facecolors(), strict=True)
            }
            colors = [drawn[tuple(place)] for place in places]
            assert len(colors) == labels and colors[0] == colors[3] and len(set(colors)) == 3
            assert set(discs.get_sizes()) == {0.5}
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["0: a", "1: b", "2: c"]


def test_the_number_of_a_class_stands_on_one_of_its_items():
    heaps = np.array([[0.0, 0.0], [0.0, 1.0], [9.0, 0.0], [9.0, 1.0], [5.0, 5.0]])  # class 0 in two heaps
    points = Points(heaps, heaps[:1], np.array([0, 0, 0, 0, 1]), np.array([0]))
    figure = maps.maps({"toy": points}, ("0", "one"))
    numbers = {text.get_text(): text.xy for text in figure.axes[0].texts}
    assert sorted(numbers) == ["0", "1"] and tuple(numbers["1"]) == (5.0, 5.0)
    assert tuple(numbers["0"]) in set(map(tuple, heaps[:4]))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["0", "1: one"]


def test_costs_are_bars_from_dear_to_cheap():
    times = pd.DataFrame({"method": ["dsh", "qsmi", "spring"], "update": [1.0, 1.1, 9.0], "feed_forward": 0.1})
    (axes,) = curves.costs(times).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Spring", "QSMI", "DSH"]
    assert [bar.get_width() for bar in axes.patches] == [9.0, 1.1, 1.0]


def test_items_that_coincide_are_one_disc_as_large_as_all_of_them():
    places = np.array([[0.0, 0.0]] * 5 + [[1.0, 1.0]])
    points = Points(places, places[:1], np.array([0, 0, 0, 0, 1, 1]), np.array([0]))
    discs = maps.maps({"toy": points}, ("a", "b"), size=2.0).axes[0].collections[0]
    assert discs.get_offsets().tolist() == [[0.0, 0.0], [1.0, 1.0]] and discs.get_sizes().tolist() == [10.0, 2.0]
