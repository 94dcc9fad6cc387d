"""Figures of the search show every answer with its bits, and every index at every size."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
from PIL import Image

from qsmi_lib.reproduction.plotting import retrieval
from qsmi_lib.search.collection import Answer, Collection


def test_each_answer_stands_above_its_bits():
    pictures = [Image.new("L", (4, 4), own) for own in (0, 255)]
    collection = Collection(
        "two", SimpleNamespace(), np.ones((2, 14), np.int8), ["0", "a long name"], pictures.__getitem__
    )
    answers = [Answer(0, "0", 1, (13,)), Answer(1, "a long name", 2, (0, 5))]
    figure = retrieval.answered(np.zeros((4, 4)), {"one": (collection, answers), "other": (collection, answers[:1])})
    titles = [axes.get_title() for axes in figure.axes]
    assert titles.count("query") == 2 and titles.count("0: 1") == 2 and titles.count("2") == 1
    bits = [
        axes.images[0].get_array()
        for axes in figure.axes
        if axes.images and axes.images[0].get_array().shape == (2, 12)
    ]
    assert len(bits) == 3 and np.flatnonzero(bits[0].filled(0) == 1).tolist() == [13]
    assert np.isnan(bits[0].filled(np.nan)).sum() == 10  # squares beyond 14 bits
    words = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert words == ["one", "other"]


def test_every_index_is_a_curve_at_each_size():
    rows = pd.DataFrame(
        [
            {"items": items, "index": kind, "milliseconds": own, "recall": 0.5 * own, "megabytes": 1.0 + own}
            for items in (10, 1000)
            for kind in ("flat", "multihash")
            for own in (1.0, 2.0)
        ]
    )
    figure = retrieval.indexes(rows)
    assert [axes.get_title() for axes in figure.axes[:2]] == ["10 codes", "1,000 codes"]
    assert all(len(axes.lines) == 2 for axes in figure.axes)
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["flat", "multi-hash"]


def test_an_index_that_is_missing_at_a_size_lends_nobody_its_style():
    rows = [
        {"items": items, "index": kind, "milliseconds": 1.0, "recall": 1.0, "megabytes": 1.0}
        for items, kind in ((10, "flat"), (10, "hnsw"), (10, "multihash"), (1000, "flat"), (1000, "multihash"))
    ]
    all_three, two = retrieval.indexes(pd.DataFrame(rows)).axes[:2]
    styles = [[line.get_color() for line in axes.lines] for axes in (all_three, two)]
    assert styles[1] == [styles[0][0], styles[0][2]]
