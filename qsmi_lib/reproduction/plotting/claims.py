"""Figures of notebook 18: precision at each recall, gains of the steps, spread over seeds."""

from collections.abc import Mapping, Sequence
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction.plotting.curves import MAP_LABEL
from qsmi_lib.reproduction.plotting.style import awaited, cycle_style, described, listed, method_style


def at_recall(levels: Mapping[str, Sequence[Sequence[float]]]) -> Figure:
    """Precision at the eleven levels of recall whose mean is the eleven-point mAP, and what each step changes of it.

    Args:
        levels: title -> eleven precisions for each seed; the others are compared with the first.
    """
    if not levels:
        return awaited("precision at eleven levels of recall")
    recall = np.linspace(0.0, 1.0, 11)
    (plain, first), *steps = ((title, np.mean(seeds, axis=0)) for title, seeds in levels.items())
    n_rows = -(-len(levels) // 3)
    shape = {"figsize": (7.4, 1.7 * n_rows + 0.4), "sharex": True, "squeeze": False}
    figure, panels = plt.subplots(n_rows, 3, **shape)
    panels.flat[0].bar(recall, first, width=0.08, color=method_style("qsmi")["color"])
    panels.flat[0].set(title=f"{plain}: mean {first.mean():.3f}", ylim=(0.0, 1.0), ylabel="precision")
    gains = np.array([mean - first for _, mean in steps]).reshape(-1, 11)
    reach = 1.1 * np.abs(gains).max(initial=0.01)
    for axes, (title, _), gain in zip(panels.flat[1:], steps, gains, strict=False):
        axes.bar(recall, gain, width=0.08, color=np.where(gain < 0, "0.6", "black"))
        axes.set(title=fill(f"{title}: {gain.mean():+.3f}", 32), ylim=(-reach, reach))
        axes.title.set_fontsize(8)
    for axes in panels.flat[len(levels) :]:
        axes.set_visible(False)
    for axes in panels[1:, 0]:
        axes.set_ylabel("change")
    figure.supxlabel("recall", fontsize=9)
    text = f"Bars of the precision at eleven levels of recall, {plain}: mean {first.mean():.3f}. "
    changes = (
        f"{title}: {gain.mean():+.3f} on average, {gain[-1]:+.3f} at recall 1"
        for (title, _), gain in zip(steps, gains, strict=True)
    )
    return described(figure, f"{text}A panel for the change by each step. {'; '.join(changes)}.")


def brought(rows: pd.DataFrame, titles: Sequence[str]) -> Figure:
    """Gain of each step over the plain method: mean over seeds and standard error.

    Args:
        rows: `claims.paired`.
        titles: what the rows are called.
    """
    figure, axes = plt.subplots(figsize=(5.6, 0.45 * len(rows) + 1.0))
    place = np.arange(len(rows))
    axes.errorbar(rows["gain"], place, xerr=rows["error"], color="black", marker="o", linestyle="none")
    axes.axvline(0.0, color="black", linewidth=0.8, linestyle="-", marker="")
    axes.set(xlabel=f"gain in {MAP_LABEL}: mean and standard error over seeds", yticks=place)
    axes.set_yticklabels([fill(title, 42) for title in titles])
    axes.invert_yaxis()
    gains = (f"{title} {gain:+.3f}" for title, gain in zip(titles, rows["gain"], strict=True))
    return described(figure, f"A dot with its error for the gain of each step: {', '.join(gains)}.")


def widths(cells: pd.DataFrame) -> Figure:
    """mAP of both forms of QMI over the width of their kernel, and of QSMI, which has none, as a line.

    Args:
        cells: `tables.cells` of the experiment "sigmas".
    """
    figure, axes = plt.subplots()
    for method, group in cells.groupby("method", sort=False):
        style, label = method_style(method), METHODS[method].title
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
    best = {METHODS[method].title: score for method, score in cells.groupby("method")["map_11pt"].max().items()}
    text = f"{MAP_LABEL}, over the width of the kernel: curves for the forms of QMI, a line for QSMI, which has none."
    return described(figure, f"{text} Highest: {listed(best)}.")


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
    figure.legend(loc="outside lower center", ncols=2)
    largest = rows.loc[rows["std"].idxmax()]
    text = "A row for each method with the standard deviation over seeds in each experiment, on a logarithmic axis. "
    return described(figure, f"{text}The largest: {METHODS[largest['method']].title} {largest['std']:.3f}.")
