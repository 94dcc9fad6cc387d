"""Figures of the search: answers as pictures with the bits that differ, and what an index costs for its recall."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from qsmi_lib.reproduction.plotting import cycle_style
from qsmi_lib.reproduction.plotting.style import DPI
from qsmi_lib.search.collection import Answer, Collection

COLUMNS = 12  # squares of a row of bits
TITLES = {"flat": "flat", "hnsw": "HNSW", "multihash": "multi-hash"}


def answered(query: np.ndarray, found: Mapping[str, tuple[Collection, Sequence[Answer]]]) -> Figure:
    """The static picture of `panel.panel`: a row a method, below each answer its bits, those dark that differ.

    Args:
        query: the picture that was searched for, (height, width) or (height, width, 3).
        found: method -> its collection, and its answers.
    """
    most = max(len(answers) for _, answers in found.values())
    figure, panels = plt.subplots(
        2 * len(found),
        most + 1,
        dpi=DPI,
        figsize=(0.72 * (most + 1), 1.3 * len(found)),
        height_ratios=[3, 1] * len(found),
        squeeze=False,
    )
    for axes in panels.flat:
        axes.set_axis_off()
    for row, (title, (collection, answers)) in enumerate(found.items()):
        _shown(panels[2 * row, 0], query, "query")
        panels[2 * row + 1, 0].text(0.5, 0.5, title, ha="center", va="center", fontsize=8)
        for column, answer in enumerate(answers, start=1):
            below = f"{answer.name}: {answer.distance}" if len(answer.name) < 6 else f"{answer.distance}"
            _shown(panels[2 * row, column], np.asarray(collection.picture(answer.item)), below)
            bits = np.zeros(-(-collection.codes.shape[1] // COLUMNS) * COLUMNS)
            bits[list(answer.differing)] = 1.0
            bits[collection.codes.shape[1] :] = np.nan  # beyond the code
            panels[2 * row + 1, column].imshow(bits.reshape(-1, COLUMNS), cmap="Reds", vmin=-0.1, vmax=1)
    return figure


def indexes(rows: pd.DataFrame) -> Figure:
    """Recall of each index over the time of a query and over its memory, a column of panels a number of codes.

    Args:
        rows: results/benchmarks/indexes.csv.
    """
    sizes = list(rows["items"].unique())
    shape = {"figsize": (2.5 * len(sizes), 4.2), "sharex": "row", "sharey": True, "squeeze": False}
    figure, panels = plt.subplots(2, len(sizes), dpi=DPI, **shape)
    costs = {"milliseconds": "a query alone [ms]", "megabytes": "memory [megabytes]"}
    for column, size in enumerate(sizes):
        for kind, own in rows[rows["items"] == size].groupby("index", sort=False):
            style = cycle_style(list(TITLES).index(kind))  # the same in every panel, also where a kind is missing
            for axes, (cost, title) in zip(panels[:, column], costs.items(), strict=True):
                axes.plot(own[cost], own["recall"], label=TITLES[kind], **style)
                axes.set(xlabel=title, xscale="log")
        panels[0, column].set_title(f"{size:,} codes")
    for axes in panels[:, 0]:
        axes.set_ylabel("recall of 10")
    panels[0, 0].legend(loc="lower right")
    return figure


def _shown(axes: plt.Axes, image: np.ndarray, title: str) -> None:
    """A picture with words above it."""
    axes.imshow(image, cmap="gray")
    axes.set_title(title, fontsize=7, pad=2)
