"""Figures of notebook 18: precision at each recall, gains of the steps, spread over seeds."""

from collections.abc import Mapping, Sequence
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction.plotting.curves import MAP_LABEL
from qsmi_lib.reproduction.plotting.style import cycle_style, distinct_style


def at_recall(levels: Mapping[str, Sequence[Sequence[float]]]) -> Figure:
    """Precision at the eleven levels of recall whose mean is the eleven-point mAP, a curve a kind of run.

    Args:
        levels: title -> eleven precisions for each seed.
    """
    figure, axes = plt.subplots(figsize=(5.6, 4.6))
    recall = np.linspace(0.0, 1.0, 11)
    for index, (title, seeds) in enumerate(levels.items()):
        mean = np.mean(seeds, axis=0)
        axes.plot(recall, mean, label=f"{title} (mean {mean.mean():.3f})", **distinct_style(index))
    axes.set(xlabel="recall", ylabel="precision", ylim=(0.0, 1.0), xticks=recall[::2])
    figure.legend(loc="outside lower center", fontsize="x-small")
    return figure


def brought(rows: pd.DataFrame, titles: Sequence[str]) -> Figure:
    """Gain of each step over the plain method: mean over seeds and standard error.

    Args:
        rows: `claims.paired`.
        titles: what the rows are called.
    """
    figure, axes = plt.subplots(figsize=(5.6, 0.45 * len(rows) + 1.0))
    place = np.arange(len(rows))
    axes.errorbar(rows["gain"], place, xerr=rows["error"], **cycle_style(0) | {"linestyle": "none"})
    axes.axvline(0.0, color="black", linewidth=0.8, linestyle="-", marker="")
    axes.set(xlabel=f"gain in {MAP_LABEL}: mean and standard error over seeds", yticks=place)
    axes.set_yticklabels([fill(title, 42) for title in titles])
    axes.invert_yaxis()
    return figure


def widths(cells: pd.DataFrame) -> Figure:
    """mAP of both forms of QMI over the width of their kernel, and of QSMI, which has none, as a line.

    Args:
        cells: `tables.cells` of the experiment "sigmas".
    """
    figure, axes = plt.subplots()
    for index, (method, group) in enumerate(cells.groupby("method", sort=False)):
        style, label = cycle_style(index), METHODS[method].title
        if group["sigma"].isna().all():
            axes.axhline(group["map_11pt"].item(), label=f"{label}, no width", **style | {"marker": ""})
        else:
            axes.errorbar(group["sigma"], group["map_11pt"], group["map_11pt_std"], label=label, **style)
    ticks = sorted(cells["sigma"].dropna().unique())
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{sigma:g}" for sigma in ticks])
    axes.minorticks_off()
    axes.set(xlabel="width of the kernel, sigma", ylabel=MAP_LABEL)
    axes.legend()
    return figure


def spreads(rows: pd.DataFrame) -> Figure:
    """Standard deviation over seeds, a point a method and experiment.

    Args:
        rows: `claims.spread`.
    """
    rows = rows[rows["std"] > 0]  # what has no randomness has no place on a logarithmic axis
    methods = list(dict.fromkeys(rows["method"]))
    figure, axes = plt.subplots(figsize=(5.2, 0.24 * len(methods) + 1.0))
    for index, (name, group) in enumerate(rows.groupby("experiment", sort=False)):
        place = [methods.index(method) for method in group["method"]]
        axes.plot(group["std"], place, label=name, **cycle_style(index) | {"linestyle": "none"})
    axes.set(xlabel=f"standard deviation over seeds of {MAP_LABEL}", yticks=range(len(methods)), xscale="log")
    axes.set_yticklabels([METHODS[method].title for method in methods])
    axes.invert_yaxis()
    axes.legend(fontsize="x-small")
    return figure
