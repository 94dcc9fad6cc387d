"""Figures of notebook 02 draw what they are given."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyBboxPatch

from qsmi_lib.reproduction.plotting import conventions

BITS = [8, 12, 48]


def drawn(figure):
    """The figure's one pair of axes, after it has been drawn without a warning."""
    figure.canvas.draw()
    (axes,) = figure.axes
    return axes


def line(axes, label):
    return next(line for line in axes.lines if line.get_label() == label)


def test_rankings_are_boxes_filled_where_relevant():
    orders = [[1, 0, 1], [1, 1, 0]]
    axes = drawn(conventions.rankings([0, 2, 2], orders, ["first", "second"]))
    boxes = [patch for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
    filled = [box.get_facecolor() == plt.matplotlib.colors.to_rgba(conventions.RELEVANT) for box in boxes]
    assert filled == [True, False, True, True, True, False]
    gap, touching = np.diff([box.get_x() for box in boxes[:3]])
    assert gap > touching
    assert {"0", "2", "first", "second"} <= {text.get_text() for text in axes.texts}


def test_only_tied_items_follow_the_order_that_is_dragged():
    distances, relevant = [0, 1, 1, 2, 2, 2, 3, 4], [1, 0, 1, 0, 1, 0, 0, 1]
    last_first = [str(item) for item in range(8, 0, -1)]
    figure = conventions.ties_in_order(distances, relevant, last_first)
    boxes = [patch for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch)]
    filled = [box.get_facecolor() == boxes[0].get_facecolor() for box in boxes]
    assert filled[:8] == [bool(own) for own in relevant]
    assert filled[8:] == [True, True, False, False, True, False, False, True]  # 1; 3, 2; 6, 5, 4; 7; 8
    words = [text.get_text() for text in figure.axes[0].texts]
    assert "AP 0.6917, as it is" in words and any(word.endswith("as dragged") for word in words)


def test_items_that_were_taken_away_come_last_among_the_tied():
    figure = conventions.ties_in_order([0, 0, 0], [1, 0, 0], ["3"])
    words = [text.get_text() for text in figure.axes[0].texts]
    assert "AP 1.0000, as it is" in words and "AP 0.5000, as dragged" in words


def test_nobody_drags_where_nobody_looks_on():
    figure = conventions.drag_ties([0, 1, 1], [1, 0, 1])
    assert [text.get_text() for text in figure.axes[0].texts].count("AP 0.8333, as it is") == 1


def test_conventions_name_every_value():
    groups = {"ties": {"best": 0.75, "worst": 0.5}, "cut-offs": {"hits": 1.0}}
    axes = drawn(conventions.conventions(groups, 0.625))
    assert [text.get_text() for text in axes.texts] == ["0.7500", "0.5000", "1.0000"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["best", "worst", "hits"]
    assert line(axes, "ties").get_xdata().tolist() == [0.75, 0.5]
    assert list(line(axes, "reference").get_xdata()) == [0.625, 0.625]


def test_eleven_points():
    rules = {"nearest": np.linspace(1, 0.5, 11), "reached": np.full(11, 0.5), "interpolated": np.ones(11)}
    axes = drawn(conventions.eleven_points([0.5, 0.5, 1], [1, 0.5, 2 / 3], rules))
    for name, values in rules.items():
        np.testing.assert_array_equal(line(axes, name).get_ydata(), values)
    assert "recall" in axes.get_xlabel()
    assert "precision" in axes.get_ylabel()


def test_tie_orders():
    scores = [{"map_11pt": 0.6, "map": 0.5, "map_at_k": 0.4}, {"map_11pt": 0.7, "map": 0.6, "map_at_k": 0.5}]
    runs = [
        {
            "bits": bits,
            "k": 5000,
            "order_free": {"map_expected": own["map"]},
            "sorted": own,
            "first": {field: value + 0.2 for field, value in own.items()},
            "last": {field: value - 0.1 for field, value in own.items()},
            "permuted": {field: [value - 0.01, value + 0.01] for field, value in own.items()},
        }
        for bits, own in zip((8, 48), scores, strict=True)
    ]
    figure = conventions.tie_orders({"runs": runs})
    figure.canvas.draw()
    assert [axes.get_title() for axes in figure.axes] == ["map_11pt\n", "map\n", "map_at_k\nk = 5,000"]
    for axes, field in zip(figure.axes, scores[0], strict=True):
        assert line(axes, "sorted by class").get_ydata().tolist() == [own[field] for own in scores]
        (band,) = (c for c in axes.collections if c.get_label() == "2 random orders")
        bands = [segment[:, 1] for segment in band.get_segments()]
        np.testing.assert_allclose(bands, [run["permuted"][field] for run in runs])
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["8", "48"]
    assert line(figure.axes[1], "mean over all orders").get_ydata().tolist() == [0.5, 0.6]


def test_sorted_database():
    axes = drawn(conventions.sorted_database({"no order": [0.0, 0.01], "sorted by class": [0.2, -0.2]}))
    assert line(axes, "sorted by class").get_ydata().tolist() == [0.2, -0.2]
    assert len(axes.get_xticks()) == 2


def test_empty_balls_may_leave_nothing_to_average():
    axes = drawn(conventions.empty_balls(BITS, [0, 0.5, 1], [0.3, 0.4, 0], [0.3, 0.8, np.nan]))
    assert [bar.get_height() for bar in axes.patches] == [0, 0.5, 1]
    assert line(axes, "precision, an empty ball counts 0").get_ydata().tolist() == [0.3, 0.4, 0]
