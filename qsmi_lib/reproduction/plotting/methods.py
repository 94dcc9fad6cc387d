"""Figures of notebook 17: losses, line searches, scores, significance, rotations, properties of codes.

Each figure ends with the caption that it is given. Without records it says "not recorded yet".
"""

from collections.abc import Iterator, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction.analysis.method_tables import shown
from qsmi_lib.reproduction.plotting.style import DPI, awaited, captioned
from qsmi_lib.reproduction.titles import METRIC_TITLES

SHORTFALL = 0.06  # mAP below the best value of a row that `trials` prints darkest
NEAR = 0.13  # how far below the best score the close-up of `scores` reaches
PROPERTIES = {
    "imbalance": "imbalance of a bit",
    "bit_entropy": "entropy of a bit (bits)",
    "code_entropy": "entropy of the code (bits)",
    "n_distinct": "different codes",
    "separation": "separation (share of 1)",
}
# Colour, marker and filling by code length, the longest first.
LENGTH_STYLES = (("C0", "o", None), ("C1", "s", "none"), ("C2", "^", "none"), ("C3", "D", "none"))


def families(pairs: pd.DataFrame, orders: pd.DataFrame, centers: Mapping[int, ArrayLike]) -> Figure:
    """Losses as functions of Hamming distance: similar pairs, dissimilar pairs, an order, hash centers.

    Args:
        pairs: `pair_costs.pair_costs`.
        orders: `pair_costs.order_costs`.
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
    """The line searches: one row per setting, its values in order with their held-out mAP; dark is far below the best.

    The chosen value has a frame, and an arrow where it is the least or the largest that was tried.

    Args:
        table: `method_tables.trials`.
        caption: text below the figure.
    """
    if table.empty:
        return awaited(caption)
    rows = [(key, group.sort_values("value")) for key, group in table.groupby(["method", "setting"], sort=False)]
    n_column = max(len(group) for _, group in rows)
    figure, axes = plt.subplots(dpi=DPI, figsize=(1.52 * n_column + 1.8, 0.36 * len(rows) + 0.7))
    for place, (_, group) in enumerate(rows):
        for column, trial in enumerate(group.itertuples()):
            dark = min((group["score"].max() - trial.score) / SHORTFALL, 1.0)
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


def scores(cells: pd.DataFrame, caption: str, metric: str = "map") -> Figure:
    """Every method's score with its deviation over seeds, sorted by the longest codes'; a close-up of the best.

    Args:
        cells: `tables.cells` of the methods.
        caption: text below the figure.
        metric: the score; a third panel shows precision within radius 2.
    """
    recorded = cells[cells["seeds"] > 0]
    if recorded.empty:
        return awaited(caption)
    lengths = sorted(recorded["bits"].unique())
    order = _order(recorded, metric, lengths[-1])
    figure, panels = plt.subplots(
        1, 3, dpi=DPI, figsize=(8.4, 0.27 * len(order) + 1.4), sharey=True, width_ratios=(1.0, 1.5, 1.0)
    )
    best = recorded[metric].max()
    near = recorded[recorded[metric] > best - NEAR]
    for axes, rows, name in zip(panels, (recorded, near, recorded), (metric, metric, "precision_radius2"), strict=True):
        _dots(axes, rows, order, name, f"{name}_std")
        axes.set_xlabel(METRIC_TITLES[name])
    panels[0].set_xlim(0, 1)
    panels[2].set_xlim(0, 1)
    panels[1].set(xlim=(best - NEAR, best + 0.1 * NEAR), title="close-up of the best")
    _name_rows(panels[0], order)
    return _finished(figure, caption)


def verdicts(squares: Mapping[int, pd.DataFrame], caption: str) -> Figure:
    """Significant differences, one panel per code length: the row's method is better (+), worse (−) or within noise.

    Args:
        squares: code length -> `significance.verdicts`, empty where there are none.
        caption: text below the figure.
    """
    squares = {bits: square for bits, square in squares.items() if len(square)}
    if not squares:
        return awaited(caption)
    figure, panels = plt.subplots(
        1,
        len(squares),
        dpi=DPI,
        figsize=(4.6 * len(squares), 0.2 * len(next(iter(squares.values()))) + 1.8),
        squeeze=False,
    )
    for axes, (bits, square) in zip(panels[0], squares.items(), strict=True):
        for row, values in enumerate(square.to_numpy()):
            for column, value in enumerate(values):
                face = {1: "C0", -1: "#f3c9a9", 0: "0.92"}[value] if row != column else "white"
                axes.barh(row, 1, left=column - 0.5, height=1, color=face, edgecolor="white", linewidth=0.6)
                sign = {1: "+", -1: "−", 0: ""}[value]
                ink = "white" if value == 1 else "black"
                axes.text(column, row, sign, ha="center", va="center", fontsize=7, color=ink)
        titles = [METHODS[method].title for method in square.index]
        axes.set(title=f"{bits} bits", xticks=range(len(titles)), yticks=range(len(titles)))
        axes.set(xlim=(-0.5, len(titles) - 0.5), ylim=(len(titles) - 0.5, -0.5), aspect="equal")
        axes.set_xticklabels(titles, rotation=90, fontsize=7)
        axes.set_yticklabels(titles, fontsize=7)
        axes.tick_params(length=0)
        axes.grid(False)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("than this method")
    panels[0, 0].set_ylabel("this method is better (+), worse (−)")
    return captioned(figure, caption)


def rotations(table: pd.DataFrame, caption: str) -> Figure:
    """mAP of the queries before and after the rotation, one panel per code length; and its gain on the held-out items.

    Args:
        table: `rotations.table`.
        caption: text below the figure.
    """
    if table.empty:
        return awaited(caption)
    lengths = sorted(table["bits"].unique())
    figure, panels = plt.subplots(
        1,
        len(lengths) + 1,
        dpi=DPI,
        figsize=(8.4, 0.24 * table["method"].nunique() + 1.4),
        width_ratios=[1.1] * len(lengths) + [1],
    )
    order = _order(table, "after", lengths[-1])
    place = np.arange(len(order))
    for axes, (bits, group, style) in zip(panels, _by_length(table, order), strict=False):
        axes.hlines(place, group["before"], group["after"], color="0.6", linewidth=2)
        axes.plot(group["before"], place, linestyle="", color="C1", marker="o", markerfacecolor="white", label="before")
        axes.plot(group["after"], place, linestyle="", color="C0", marker="o", markersize=4, label="after")
        for y, gain in enumerate(group["gain"]):
            if not np.isnan(gain):
                text = f"{gain:+.3f}".replace("-", "−")
                axes.text(1.16, y, text, va="center", ha="right", fontsize=7, family="monospace")
        axes.set(
            title=f"{bits} bits", xlabel="mAP (all orders of ties)", xlim=(0, 1.18), xticks=[0, 0.25, 0.5, 0.75, 1]
        )
        _name_rows(axes, order if axes is panels[0] else [""] * len(order))
        panels[-1].plot(group["held_after"] - group["held_before"], group["gain"], **style)
    low, high = (float(f(panels[-1].get_xlim() + panels[-1].get_ylim())) for f in (min, max))
    panels[-1].plot([low, high], [low, high], color="0.6", linestyle=":", marker="", label="equal gain")
    panels[-1].set(xlabel="gain in mAP, held-out items", ylabel="gain in mAP, queries")
    panels[-1].legend()
    return _finished(figure, caption)


def properties(table: pd.DataFrame, caption: str) -> Figure:
    """Properties of the codes, a panel each: means over seeds, sorted by separation at the longest code.

    Args:
        table: `method_tables.properties`.
        caption: text below the figure.
    """
    if table.empty:
        return awaited(caption)
    means = table.groupby(["method", "bits"], sort=False)[list(PROPERTIES)].mean().reset_index()
    order = _order(means, "separation", max(means["bits"]))
    figure, panels = plt.subplots(1, len(PROPERTIES), dpi=DPI, figsize=(9.4, 0.27 * len(order) + 1.4), sharey=True)
    for axes, (name, title) in zip(panels, PROPERTIES.items(), strict=True):
        _dots(axes, means, order, name)
        axes.set_xlabel(title)
    panels[0].set_xlim(0, None)
    panels[1].set_xlim(None, 1.02)
    panels[3].set_xscale("log")
    _name_rows(panels[0], order)
    return _finished(figure, caption)


def distances(shares: Mapping[str, ArrayLike], caption: str) -> Figure:
    """Histograms of the distances of relevant and other pairs, one panel per method.

    Args:
        shares: method -> (bits + 1, 2), `share_by_distance` of a record.
        caption: text below the figure.
    """
    if not shares:
        return awaited(caption)
    n_row = -(-len(shares) // 6)
    figure, panels = plt.subplots(
        n_row,
        min(6, len(shares)),
        dpi=DPI,
        figsize=(1.5 * min(6, len(shares)) + 0.4, 1.25 * n_row + 0.6),
        sharex=True,
        squeeze=False,
    )
    for axes in panels.flat[len(shares) :]:
        axes.set_visible(False)
    for axes, (method, share) in zip(panels.flat, shares.items(), strict=False):
        height = np.sqrt(np.asarray(share))
        bits = np.arange(len(height))
        filled, line = {"color": "C0", "alpha": 0.75, "linewidth": 0}, {"color": "C1", "linestyle": "-", "marker": ""}
        axes.fill_between(bits, height[:, 0], step="mid", label="relevant pairs", **filled)
        axes.step(bits, height[:, 1], where="mid", linewidth=1.2, label="other pairs", **line)
        axes.set(title=METHODS[method].title, ylim=(0, None), yticks=[], xticks=[0, bits[-1] // 2, bits[-1]])
        axes.title.set_fontsize(8)
        axes.grid(False)
    figure.supxlabel("Hamming distance of a query and a database item (bits)", fontsize=9)
    figure.supylabel("share of the pairs, square-root scale", fontsize=9)
    return _finished(figure, caption)


def _order(table: pd.DataFrame, column: str, bits: int) -> list[str]:
    """Methods by `column` at `bits`, the highest first; those without a number there last."""
    scores = table[table["bits"] == bits].set_index("method")[column].sort_values(ascending=False, kind="stable")
    return list(scores.index) + [method for method in table["method"].unique() if method not in scores.index]


def _dots(axes: plt.Axes, table: pd.DataFrame, order: list[str], column: str, std: str | None = None) -> None:
    """One row per method, one mark per code length."""
    for _, group, style in _by_length(table, order):
        error = group[std].to_numpy() if std else None
        axes.errorbar(group[column], np.arange(len(order)), xerr=error, capsize=2, **style)


def _by_length(table: pd.DataFrame, order: list[str]) -> Iterator[tuple[int, pd.DataFrame, dict]]:
    """Each code length of `table`, its rows, one a method of `order`, and the look and name of its marks."""
    lengths = sorted(table["bits"].unique())
    for number, bits in enumerate(lengths):
        color, marker, face = LENGTH_STYLES[len(lengths) - 1 - number]
        style = {"linestyle": "", "color": color, "marker": marker, "markerfacecolor": face or color}
        group = table[table["bits"] == bits].set_index("method").reindex(order)
        yield bits, group, style | {"label": f"{bits} bits"}


def _name_rows(axes: plt.Axes, order: list[str]) -> None:
    """The methods' titles beside the rows, the first on top."""
    axes.set_yticks(range(len(order)), [METHODS[method].title if method else "" for method in order])
    axes.set_ylim(len(order) - 0.4, -0.6)


def _finished(figure: Figure, caption: str) -> Figure:
    """`figure` with the legend of its first panel above and its caption below."""
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return captioned(figure, caption)
