"""Figures of what is hashed from frozen features: Tables 4, 5 and 9, and Fig. 4."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from qsmi_lib.methods import METHODS
from qsmi_lib.models.backbones import BACKBONES
from qsmi_lib.reproduction.analysis.tsne import Points
from qsmi_lib.reproduction.plotting import distinct_style
from qsmi_lib.reproduction.plotting.curves import MAP_LABEL
from qsmi_lib.reproduction.plotting.style import DPI
from qsmi_lib.reproduction.titles import PROTOCOL_TITLES

NUMERAL = {
    "ha": "center", "va": "center", "fontsize": 8, "weight": "bold", "annotation_clip": True,
    "path_effects": [withStroke(linewidth=2.5, foreground="white")],
}  # fmt: skip


def few_items(cells: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """Table 5: mAP of the whole ranking over code length, a panel a reading of the database.

    Args:
        cells: `tables.cells` of Table 5.
        published: the paper's rows for the same data set (may be empty), as hollow marks, whatever their convention.
    """
    protocols = list(cells["protocol"].unique())
    figure, panels = plt.subplots(1, len(protocols), figsize=(7.4, 3.4), sharey=True, squeeze=False)
    for axes, protocol in zip(panels[0], protocols, strict=True):
        _curves(axes, cells[cells["protocol"] == protocol], published, "map", gap=1.5)
        axes.set(title=PROTOCOL_TITLES[protocol], xlabel="code length [bits]", xticks=sorted(cells["bits"].unique()))
    panels[0, 0].set_ylabel("mAP, ours of the whole ranking")
    _legend(figure, panels[0, 0], "as the paper prints it" if len(published) else "")
    return figure


def unseen(cells: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """Table 9: mAP over code length, a row of panels a backbone, a column a number of classes held back.

    Args:
        cells: `tables.cells` of Table 9.
        published: the paper's rows for the same data set (may be empty), as hollow marks.
    """
    backbones, protocols = (list(cells[name].unique()) for name in ("backbone", "protocol"))
    shape = len(backbones), len(protocols)
    figure, panels = plt.subplots(*shape, figsize=(7.2, 2.6 * shape[0]), sharex=True, sharey=True, squeeze=False)
    for row, backbone in zip(panels, backbones, strict=True):
        for axes, protocol in zip(row, protocols, strict=True):
            here = cells[(cells["backbone"] == backbone) & (cells["protocol"] == protocol)]
            _curves(axes, here, published, "map_11pt", gap=3.0, step=0.5)
            axes.set(title=f"{BACKBONES[backbone].title}, {PROTOCOL_TITLES[protocol]}")
            axes.set_xticks(sorted(cells["bits"].unique()))
    for axes in panels[-1]:
        axes.set_xlabel("code length [bits]")
    for axes in panels[:, 0]:
        axes.set_ylabel(MAP_LABEL)
    _legend(figure, panels[0, 0], "paper" if len(published) else "")
    return figure


def maps(found: Mapping[str, Points], classes: tuple[str, ...], size: float = 0.5) -> Figure:
    """Fig. 4: a row of two panels a map: where the database lies, and where the queries fall among it.

    Items that coincide are one disc, its area in proportion to their number, in the colour of one of them; it is drawn
    so that small discs lie on large ones, and the class's number stands in its middle, for who sees no colour. The two
    permille farthest out on each side are cut off.

    Args:
        found: title -> places in the plane, and labels.
        classes: names of the classes.
        size: area of the disc of one item.
    """
    figure, panels = plt.subplots(
        len(found), 2, figsize=(6.4, 2.9 * len(found)), dpi=DPI, sharex="row", sharey="row", squeeze=False
    )
    colors = plt.get_cmap("tab10", len(classes))
    for row, (title, points) in zip(panels, found.items(), strict=True):
        low, high = np.percentile(points.database, [0.2, 99.8], axis=0)
        margin = 0.12 * (high - low)  # room for discs
        for axes, places, labels, part in (
            (row[0], points.database, points.database_labels, "database"),
            (row[1], points.query, points.query_labels, "queries"),
        ):
            spots, first, counts = np.unique(places, axis=0, return_index=True, return_counts=True)
            order = np.argsort(-counts, kind="stable")
            looks = {"c": colors(labels[first[order]]), "s": size * counts[order], "antialiased": False}
            axes.scatter(*spots[order].T, linewidths=0, rasterized=True, **looks)
            axes.set(title=f"{title}: {len(places):,} {part}", xticks=[], yticks=[])
            axes.set(xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]))
            for label in np.unique(labels):
                axes.annotate(str(label), _middle(places[labels == label]), **NUMERAL)
    for index, name in enumerate(classes):
        numbered = name if name == str(index) else f"{index}: {name}"
        panels[0, 0].plot([], [], linestyle="", marker="o", color=colors(index), label=numbered)
    figure.legend(loc="outside lower center", ncols=5)
    return figure


def _middle(places: np.ndarray) -> np.ndarray:
    """The item nearest to the medians, (2,) of (n, 2): among the class, also where it lies in two heaps."""
    return places[np.abs(places - np.median(places, axis=0)).sum(axis=1).argmin()]


def costs(times: pd.DataFrame) -> Figure:
    """Table 4: milliseconds of a weight update of the last layer, a bar a loss.

    Args:
        times: `bench.layers.summary`.
    """
    figure, axes = plt.subplots(figsize=(5.6, 0.24 * len(times) + 1.0))
    ordered = times.sort_values("update", ascending=False)
    place = np.arange(len(ordered))
    axes.barh(place, ordered["update"], color=[_of_paper(method) for method in ordered["method"]])
    axes.plot(ordered["feed_forward"], place, linestyle="", marker="|", color="black", label="feed-forward")
    axes.set(xscale="log", xlabel="milliseconds a batch", yticks=place)
    axes.set_yticklabels([METHODS[method].title for method in ordered["method"]])
    axes.grid(axis="y", visible=False)
    axes.legend(loc="upper right")
    return figure


def _curves(
    axes: Axes, cells: pd.DataFrame, published: pd.DataFrame, metric: str, *, gap: float, step: float = 0.0
) -> None:
    """A curve a method with its deviation, each `step` bits further; the paper's hollow, `gap` bits further."""
    for index, (method, own) in enumerate(cells.groupby("method", sort=False)):
        style = distinct_style(index)
        place = own["bits"] + step * index
        axes.errorbar(place, own[metric], own[f"{metric}_std"], label=METHODS[method].title, **style)
        paper = published[published["method"] == method]
        hollow = style | {"linestyle": "none", "markerfacecolor": "none", "alpha": 0.5}
        axes.errorbar(paper["bits"] + step * index + gap, paper["mean"], paper["std"], **hollow)


def _legend(figure: Figure, axes: Axes, hollow: str) -> None:
    """The curves of `axes` below the figure, and what hollow marks are, where there are any."""
    handles, labels = axes.get_legend_handles_labels()
    if hollow:
        handles.append(plt.Line2D([], [], color="0.4", linestyle="", marker="o", markerfacecolor="none"))
        labels.append(hollow)
    figure.legend(handles, labels, loc="outside lower center", ncols=6)


def _of_paper(method: str) -> str:
    """The colour of a bar: what Table 4 compares stands out."""
    return {"qsmi": "#D55E00", "dsh": "#0072B2", "dpsh": "#009E73"}.get(method, "0.8")
