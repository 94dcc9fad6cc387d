"""Figures of notebook 17 before any comparison: what the losses charge, HashNet's continuation, the line searches."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction.analysis.method_tables import shown
from qsmi_lib.reproduction.plotting.style import DPI, awaited, captioned

SHORTFALL = 0.06  # mAP below the best value of a row that `trials` prints darkest


def families(pairs: pd.DataFrame, orders: pd.DataFrame, centers: Mapping[int, ArrayLike]) -> Figure:
    """What the losses ask of codes: of similar pairs, of dissimilar ones, of an order, of centers.

    Args:
        pairs: `loss_shapes.pair_costs`.
        orders: `loss_shapes.order_costs`.
        centers: code length -> distances of every two centers (bits).
    """
    figure, panels = plt.subplots(2, 2, dpi=DPI, figsize=(6.8, 4.6))
    bits = pairs.index.max()
    for axes, kind in zip(panels[0], ("similar", "dissimilar"), strict=True):
        curves = {}  # losses that charge the same share one
        for method, cost in pairs.xs(kind, axis=1, level=1).items():
            curves.setdefault(tuple(cost.round(6)), []).append(METHODS[method].title)
        for number, (cost, titles) in enumerate(curves.items()):
            axes.plot(pairs.index, cost, label=", ".join(titles), markevery=(2 * number, bits // 3))
        axes.axvline(bits / 2, color="0.6", linestyle=":", marker="", linewidth=1)
        axes.set(title=f"a {kind} pair", xlabel="Hamming distance (bits)", xticks=np.arange(0, bits + 1, bits // 4))
    panels[0, 0].set_ylabel("cost (share of its range)")
    panels[0, 1].legend(loc="upper right")
    for number, (method, cost) in enumerate(orders.items()):
        panels[1, 0].plot(orders.index, cost, label=METHODS[method].title, markevery=(number, 8))
    panels[1, 0].set(title="one positive, one negative", ylabel="cost (share of its range)")
    panels[1, 0].set(xlabel="distance to the positive less that to the negative (bits)")
    panels[1, 0].legend(loc="upper left")
    for place, (length, distance) in enumerate(centers.items()):
        share, count = np.unique(np.asarray(distance) / length, return_counts=True)
        style = {"color": "C0", "linewidth": 4, "linestyle": "-"}
        panels[1, 1].vlines(share, place, place + 0.75 * count / count.sum(), **style)
        for x, n in zip(share, count, strict=True):
            top = (x, place + 0.75 * n / count.sum())
            panels[1, 1].annotate(str(n), top, (0, 2), textcoords="offset points", ha="center", fontsize=7)
    panels[1, 1].axvline(0.5, color="0.6", linestyle=":", marker="", linewidth=1, zorder=0)
    panels[1, 1].set(
        title=f"hash centers: {sum(count)} pairs of classes", xlabel="distance of two centers (share of the bits)"
    )
    panels[1, 1].set(xlim=(0, 1.05), ylim=(-0.05, len(centers)), yticks=range(len(centers)))
    panels[1, 1].set_yticklabels(centers)
    panels[1, 1].set_ylabel("code length (bits)")
    panels[1, 1].grid(axis="y", visible=False)
    return figure


def continuation(steps: ArrayLike, beta: ArrayLike, marked: Sequence[int]) -> Figure:
    """HashNet's beta over the steps of a training, and the squashing function at some of them.

    Args:
        steps: (n,), from 0.
        beta: (n,).
        marked: places in `steps` whose tanh is drawn.
    """
    steps, beta = np.asarray(steps), np.asarray(beta)
    figure, (left, right) = plt.subplots(1, 2, dpi=DPI, figsize=(6.8, 2.6))
    left.plot(steps, beta, marker="", color="black", linestyle="-")
    outputs = np.linspace(-2.0, 2.0, 201)
    for number, place in enumerate(marked):
        style = {"color": f"C{number}", "linestyle": ("-", "--", "-.", ":")[number % 4], "marker": ""}
        left.plot(steps[place], beta[place], color=f"C{number}", marker="os^D"[number % 4])
        right.plot(outputs, np.tanh(beta[place] * outputs), label=f"step {steps[place]:,}", **style)
    left.set(xlabel="training step (batches)", ylabel=r"$\beta$", ylim=(0, None))
    right.set(xlabel="network output $y$", ylabel=r"$h = \tanh(\beta y)$", yticks=[-1, 0, 1])
    right.legend()
    return figure


def trials(table: pd.DataFrame, caption: str) -> Figure:
    """The line searches: a row a setting, its values in order with their held-out mAP; dark is far below the best.

    The chosen value has a frame, and an arrow where it is the least or the largest that was tried.

    Args:
        table: `method_tables.trials`.
        caption: what stands below.
    """
    if table.empty:
        return awaited(caption)
    rows = [(key, own.sort_values("value")) for key, own in table.groupby(["method", "setting"], sort=False)]
    n_column = max(len(own) for _, own in rows)
    figure, axes = plt.subplots(dpi=DPI, figsize=(1.52 * n_column + 1.8, 0.36 * len(rows) + 0.7))
    for place, (_, own) in enumerate(rows):
        for column, trial in enumerate(own.itertuples()):
            dark = min((own["score"].max() - trial.score) / SHORTFALL, 1.0)
            face, ink = str(0.97 - 0.62 * dark), "white" if dark > 0.55 else "black"
            axes.barh(place, 0.94, left=column - 0.47, height=0.86, color=face, edgecolor="none")
            text = f"{shown(trial.value)}: {trial.score:.3f}"
            weight = "bold" if trial.chosen else "normal"
            axes.text(column, place, text, ha="center", va="center", color=ink, fontsize=7.5, fontweight=weight)
            if trial.chosen:
                axes.barh(place, 0.94, left=column - 0.47, height=0.86, color="none", edgecolor="C1", linewidth=1.8)
                if trial.at_end:
                    side = 1 if column else -1
                    head = {"marker": ">" if column else "<", "color": "C1", "clip_on": False, "markersize": 6}
                    axes.plot(column + 0.56 * side, place, **head)
    axes.set(xlim=(-0.62, n_column - 0.38), ylim=(len(rows) - 0.4, -0.6), yticks=range(len(rows)), xticks=[])
    axes.set_yticklabels([f"{METHODS[method].title}: {setting}" for (method, setting), _ in rows])
    axes.set_xlabel("value tried, ascending: held-out mAP (all orders of ties)")
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return captioned(figure, caption)
