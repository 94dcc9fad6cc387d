"""Scores as rows: one a method, the best on top, and in each a mark a code length."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction.plotting.style import described, listed, method_style

FAR = 0.5  # a method that never reaches this share of the best score is far below the others


def panels(
    scores: Mapping[str, tuple[pd.DataFrame, str]],
    label: str,
    published: pd.DataFrame | None = None,
    *,
    paper: str = "paper",
    n_columns: int = 2,
) -> Figure:
    """Panels with the methods in the order of the first one, with one range where they have one metric.

    Args:
        scores: title of a panel -> `tables.cells`, and their metric.
        label: what the metrics are.
        published: the paper's rows, drawn as ticks in each panel.
        paper: what the ticks are.
        n_columns: at most so many panels side by side.
    """
    first, metric = next(iter(scores.values()))
    order, lengths = ranked(first, metric), sorted(first["bits"].unique())
    n_columns = min(n_columns, len(scores))
    n_rows = -(-len(scores) // n_columns)
    height = n_rows * (0.1 + (0.06 + 0.11 * len(lengths)) * len(order) + 0.5) + 0.6
    one_metric = len({metric for _, metric in scores.values()}) == 1
    shape = {"figsize": (3.2 * n_columns + 1.0, height), "sharex": one_metric, "sharey": True, "squeeze": False}
    figure, grid = plt.subplots(n_rows, n_columns, **shape)
    for axes in grid.flat[len(scores) :]:
        axes.set_visible(False)
    texts = []
    for axes, (title, (cells, metric)) in zip(grid.flat, scores.items(), strict=False):
        marks(axes, cells, order, metric)
        if published is not None:
            _ticks(axes, published, order, lengths)
        far = _cut(axes, cells, order, metric)
        axes.set(title=title)
        texts.append(f"{title}, {in_words(cells, metric)}{far}.")
    for axes in grid[-1]:
        axes.set_xlabel(label)
    name_rows(grid[0, 0], order)
    handles = length_handles(lengths)
    if published is not None and len(published):
        handles.append(plt.Line2D([], [], color="black", linestyle="", marker="|", markersize=8, label=paper))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return described(figure, f"A row for each method with a mark for each code length. {' '.join(texts)}")


def ranked(cells: pd.DataFrame, metric: str) -> list[str]:
    """Methods by `metric` at the greatest code length, the highest first; those without a number there last."""
    scores = cells[cells["bits"] == cells["bits"].max()].set_index("method")[metric]
    scores = scores.sort_values(ascending=False, kind="stable")
    return list(scores.index) + [method for method in cells["method"].unique() if method not in scores.index]


def in_words(cells: pd.DataFrame, metric: str) -> str:
    """The scores at the greatest code length, for alternative texts: 48 bits: QSMI 0.861; DSH 0.827."""
    longest = cells[cells["bits"] == cells["bits"].max()]
    scores = {METHODS[method].title: score for method, score in zip(longest["method"], longest[metric], strict=True)}
    return f"{cells['bits'].max():g} bits: {listed(scores)}"


def marks(axes: Axes, cells: pd.DataFrame, order: Sequence[str], metric: str) -> None:
    """One row per method in its colour and marker, the codes longer and the marks fuller from top to bottom."""
    lengths = sorted(cells["bits"].unique())
    for cell in cells.to_dict("records"):
        place = order.index(cell["method"]) + _shift(lengths, cell["bits"])
        look = method_style(cell["method"]) | {"linestyle": "none", "capsize": 2}
        face = _filled(look["color"], lengths, cell["bits"])
        axes.errorbar(cell[metric], place, xerr=cell.get(f"{metric}_std"), markerfacecolor=face, **look)


def length_handles(lengths: Sequence[int]) -> list[plt.Line2D]:
    """Handles for a legend of the code lengths."""
    look = {"color": "0.3", "linestyle": "", "marker": "o"}
    return [
        plt.Line2D([], [], markerfacecolor=_filled("0.3", lengths, bits), label=f"{bits} bits", **look)
        for bits in lengths
    ]


def name_rows(axes: Axes, order: Sequence[str]) -> None:
    """The methods' titles beside the rows, the first on top."""
    axes.set_yticks(range(len(order)), [METHODS[method].title for method in order])
    axes.set_ylim(len(order) - 0.4, -0.6)


def _shift(lengths: Sequence[int], bits: int) -> float:
    """Where the mark of a code length is in its row."""
    return 0.6 * ((lengths.index(bits) + 0.5) / len(lengths) - 0.5)


def _filled(color: str, lengths: Sequence[int], bits: int) -> tuple:
    """The filling of the mark of a code length: from white for the shortest to the colour itself."""
    share = 1.0 if len(lengths) == 1 else lengths.index(bits) / (len(lengths) - 1)
    return tuple(1.0 - share * (1.0 - np.array(to_rgb(color))))


def _ticks(axes: Axes, published: pd.DataFrame, order: Sequence[str], lengths: Sequence[int]) -> None:
    """The paper's numbers in the rows of their methods."""
    known = published[published["method"].isin(order) & published["bits"].isin(lengths)]
    place = [order.index(m) + _shift(lengths, bits) for m, bits in zip(known["method"], known["bits"], strict=True)]
    axes.plot(known["mean"], place, color="black", linestyle="", marker="|", markersize=8)


def _cut(axes: Axes, cells: pd.DataFrame, order: Sequence[str], metric: str) -> str:
    """Leave out methods far below the others, named at the left edge instead; returns what alternative text says."""
    most = cells.groupby("method")[metric].max()
    far = [method for method in order if most[method] < FAR * most.max()]
    if not far:
        return ""
    near = cells[~cells["method"].isin(far)]
    low = (near[metric] - near[f"{metric}_std"].fillna(0.0)).min()
    axes.set_xlim(left=low - 0.05 * (axes.get_xlim()[1] - low))
    for method in far:
        axes.annotate(
            f"◂ {most[method]:.2f}", (0.01, order.index(method)), xycoords=("axes fraction", "data"), va="center"
        )
    return "; far left, cut off: " + ", ".join(METHODS[method].title for method in far)
