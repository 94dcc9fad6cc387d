"""Figures of Tables 6 to 8: scores under two rules of relevance, and by the frequency of a label."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction.plotting import cycle_style
from qsmi_lib.reproduction.plotting.style import DPI


def over_bits(cells: pd.DataFrame, metrics: Mapping[str, str]) -> Figure:
    """Scores over code length, a panel a metric, a curve a method with the deviation over seeds.

    Args:
        cells: `tables.cells` of an experiment.
        metrics: its metrics -> titles of the panels.
    """
    figure, panels = plt.subplots(1, len(metrics), figsize=(7.4, 3.3), dpi=DPI, squeeze=False)
    step = 0.01 * np.ptp(cells["bits"])
    for axes, (metric, title) in zip(panels[0], metrics.items(), strict=True):
        for index, (method, own) in enumerate(cells.groupby("method", sort=False)):
            style = cycle_style(index) | ({"color": "0.3", "linestyle": ":"} if index > 5 else {})
            place = own["bits"] + step * index
            axes.errorbar(place, own[metric], own[f"{metric}_std"], label=METHODS[method].title, **style)
        axes.set(title=title, xlabel="code length [bits]", xticks=sorted(cells["bits"].unique()))
    panels[0, 0].set_ylabel("score")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=7)
    return figure


def by_label(scores: Mapping[str, np.ndarray], labels: Sequence[str], counts: Sequence[int]) -> Figure:
    """Mean AP of the queries of each label, the most frequent label first, a curve a method.

    Args:
        scores: title -> (seeds, labels), as records' `ap_by_label` has it.
        labels: their names.
        counts: training items that carry each.
    """
    figure, axes = plt.subplots(figsize=(6.4, 3.6), dpi=DPI)
    order = np.argsort(-np.asarray(counts), kind="stable")
    for index, (title, values) in enumerate(scores.items()):
        values = np.asarray(values, float)[:, order]
        deviation = values.std(axis=0, ddof=1) if len(values) > 1 else None
        axes.errorbar(np.arange(len(order)), values.mean(axis=0), deviation, label=title, **cycle_style(index))
    axes.set(xlabel="label, and how many training items carry it", ylabel="mean AP of its queries")
    axes.set_xticks(range(len(order)), [f"{labels[k]}\n{counts[k]:,}" for k in order], fontsize=6.5)
    figure.legend(loc="outside lower center", ncols=3)
    return figure
