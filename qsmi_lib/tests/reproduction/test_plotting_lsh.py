"""The figures of hash tables draw what they are given."""

import numpy as np

from qsmi_lib.reproduction.plotting import lsh as plots
from qsmi_lib.search import lsh


def test_planes():
    rng = np.random.default_rng(0)
    points, query = rng.normal(size=(30, 2)), np.array([1.0, 0.5])
    index = lsh.HashTables(points, 2, 3)
    figure = plots.planes(points, query, index.directions, [index.bucket(query, table) for table in range(3)])
    figure.canvas.draw()
    counts = index.collisions(query[None])[0]
    assert [axes.get_title() for axes in figure.axes[:3]] == [
        f"table {t + 1}: {len(index.bucket(query, t))} of 30" for t in range(3)
    ]
    dots = {line.get_label(): line.get_xdata() for line in figure.axes[3].lines}
    for count in range(4):
        np.testing.assert_array_equal(dots[f"in {count} of 3"], points[counts == count, 0])


def test_curves_of_collisions_and_buckets():
    figure = plots.collisions(8, 4)
    figure.canvas.draw()
    curves = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
    assert list(curves) == ["1 bit, 1 table", "8 bits, 1 table", "8 bits, 4 tables"]
    np.testing.assert_allclose([curve[30] for curve in curves.values()], [5 / 6, (q := (5 / 6) ** 8), 1 - (1 - q) ** 4])
    assert len(plots.collisions(1, 1).axes[0].lines) == 1
    figure = plots.bucket_sizes({"as it is": [20, 10, 2], "centred": [9] * 3 + [5]}, bits=4)
    figure.canvas.draw()
    assert [line.get_label() for line in figure.axes[0].lines] == [
        "as it is: 3 buckets",
        "centred: 4 buckets",
        "even: 16 buckets of 2",
    ]


def test_retrieved():
    pictures = np.zeros((2, 3, 4, 4))
    relevance = {"LSH": np.array([[1, 0, lsh.MISSING], [1, 1, 1]]), "DSH": np.ones((2, 3), int)}
    figure = plots.retrieved(pictures[:, 0], {name: (pictures, own) for name, own in relevance.items()})
    figure.canvas.draw()
    panels = np.array(figure.axes).reshape(4, 4)
    assert [row[0].get_ylabel() for row in panels] == ["LSH", "DSH", "LSH", "DSH"]
    assert [[len(axes.lines) for axes in row[1:]] for row in panels] == [[0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert [text.get_text() for text in panels[0, 3].texts] == ["–"]
