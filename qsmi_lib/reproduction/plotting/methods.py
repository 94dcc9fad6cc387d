"""Figures of notebook 17: losses, line searches, scores, significance, rotations, properties of codes.

Each figure ends with the caption that it is given. Without records it says "not recorded yet".
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction.analysis.method_tables import shown
from qsmi_lib.reproduction.plotting import rows
from qsmi_lib.reproduction.plotting.style import awaited, captioned, described, method_style
from qsmi_lib.reproduction.titles import METRIC_TITLES

DPI = 80  # below the style's: figures of many rows are large, and one notebook holds them all
SHORTFALL = 0.06  # mAP below the best value of a row that `trials` prints darkest
NEAR = 0.13  # how far below the best score the close-up of `scores` reaches
PROPERTIES = {
    "imbalance": "imbalance of a bit",
    "bit_entropy": "entropy of a bit (bits)",
    "code_entropy": "entropy of the code (bits)",
    "n_distinct": "different codes",
    "separation": "separation (share of 1)",
}


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
            curves.setdefault(tuple(cost.round(6)), []).append(method)
        for number, (cost, names) in enumerate(curves.items()):
            style = method_style(names[0]) | {"label": ", ".join(METHODS[name].title for name in names)}
            axes.plot(pairs.index, cost, markevery=(2 * number, bits // 3), **style)
        axes.axvline(bits / 2, color="0.6", linestyle=":", marker="", linewidth=1)
        axes.set(title=f"a {kind} pair", xlabel="Hamming distance (bits)", xticks=np.arange(0, bits + 1, bits // 4))
    panels[0, 0].set_ylabel("cost (share of its range)")
    panels[0, 1].legend(loc="upper right")
    for number, (method, cost) in enumerate(orders.items()):
        style = method_style(method) | {"label": METHODS[method].title}
        panels[1, 0].plot(orders.index, cost, markevery=(number, 8), **style)
    panels[1, 0].set(title="one positive, one negative", ylabel="cost (share of its range)")
    panels[1, 0].set(xlabel="distance to the positive less that to the negative (bits)")
    panels[1, 0].legend(loc="upper left")
    for place, (length, distance) in enumerate(centers.items()):
        share, count = np.unique(np.asarray(distance) / length, return_counts=True)
        style = {"color": "black", "linewidth": 4, "linestyle": "-"}
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
    return described(
        figure,
        "Four panels. Above, the cost of a similar and of a dissimilar pair over its Hamming distance, a curve for "
        "each loss. Below, the cost of an order of a positive and a negative over the difference of their distances, "
        f"and how far hash centers are apart: at {length} bits from {min(distance):g} to {max(distance):g}.",
    )


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
    return described(
        figure,
        f"Left, beta rises from {beta[0]:.2g} to {beta[-1]:.2g} over {steps[-1]:,} training steps. "
        "Right, tanh of beta times the output: the later the step, the closer to the sign.",
    )


def trials(table: pd.DataFrame, caption: str) -> Figure:
    """The line searches: one row per setting, its values in order with their held-out mAP; dark is far below the best.

    The chosen value has a frame, and an arrow where it is the least or the largest that was tried.

    Args:
        table: `method_tables.trials`.
        caption: text below the figure.
    """
    if table.empty:
        return awaited(caption)
    settings = [(key, group.sort_values("value")) for key, group in table.groupby(["method", "setting"], sort=False)]
    n_column = max(len(group) for _, group in settings)
    figure, axes = plt.subplots(dpi=DPI, figsize=(1.52 * n_column + 1.8, 0.36 * len(settings) + 0.7))
    for place, (_, group) in enumerate(settings):
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
    axes.set(xlim=(-0.62, n_column - 0.38), ylim=(len(settings) - 0.4, -0.6), yticks=range(len(settings)), xticks=[])
    axes.set_yticklabels([f"{METHODS[method].title}: {setting}" for (method, setting), _ in settings])
    axes.set_xlabel("value tried, ascending: held-out mAP (all orders of ties)")
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    chosen = table[table["chosen"]].itertuples()
    values = (f"{METHODS[t.method].title}, {t.setting}: {shown(t.value)}" for t in chosen)
    text = "A row for each setting with the held-out mAP of the values tried; the chosen one is framed. "
    return captioned(described(figure, f"{text}Chosen: {'; '.join(values)}."), caption)


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
    order = rows.ranked(recorded, metric)
    shape = {"dpi": DPI, "figsize": (8.4, 0.3 * len(order) + 1.4), "sharey": True, "width_ratios": (1.0, 1.5, 1.0)}
    figure, panels = plt.subplots(1, 3, **shape)
    best = recorded[metric].max()
    near = recorded[recorded[metric] > best - NEAR]
    for axes, part, name in zip(panels, (recorded, near, recorded), (metric, metric, "precision_radius2"), strict=True):
        rows.marks(axes, part, order, name)
        axes.set_xlabel(METRIC_TITLES[name])
    panels[0].set_xlim(0, 1)
    panels[2].set_xlim(0, 1)
    panels[1].set(xlim=(best - NEAR, best + 0.1 * NEAR), title="close-up of the best")
    rows.name_rows(panels[0], order)
    described(figure, f"A row for each method. {METRIC_TITLES[metric]} at {rows.in_words(recorded, metric)}.")
    return _finished(figure, recorded, caption)


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
    counts = (
        f"{int((square.to_numpy() == 1).sum())} of {len(square) * (len(square) - 1) // 2} pairs at {bits} bits"
        for bits, square in squares.items()
    )
    text = "A square for each code length: rows and columns are methods, signs mark significant differences: "
    return captioned(described(figure, f"{text}{'; '.join(counts)}."), caption)


def rotations(table: pd.DataFrame, caption: str) -> Figure:
    """mAP of the queries before and after the rotation, one panel per code length; and its gain on the held-out items.

    Args:
        table: `rotations.table`.
        caption: text below the figure.
    """
    if table.empty:
        return awaited(caption)
    lengths = sorted(table["bits"].unique())
    order = rows.ranked(table, "after")
    shape = {"dpi": DPI, "figsize": (8.4, 0.24 * len(order) + 1.4), "width_ratios": [1.1] * len(lengths) + [1]}
    figure, panels = plt.subplots(1, len(lengths) + 1, **shape)
    place = np.arange(len(order))
    after = {"linestyle": "", "color": "black", "marker": "o"}
    for axes, bits in zip(panels, lengths, strict=False):
        group = table[table["bits"] == bits].set_index("method").reindex(order)
        axes.hlines(place, group["before"], group["after"], color="0.6", linewidth=2)
        axes.plot(group["before"], place, label="before", **after | {"markerfacecolor": "white"})
        axes.plot(group["after"], place, label="after", **after)
        for row, gain in enumerate(group["gain"]):
            if np.isfinite(gain):
                axes.text(1.02, row, f"{gain:+.3f}", va="center", fontsize=7.5, color="0.3")
        axes.set(xlabel="mAP (all orders of ties)", xlim=(0, 1), title=f"{bits} bits")
        rows.name_rows(axes, order)
        if axes is not panels[0]:
            axes.set_yticklabels([])
        look = after | {"markerfacecolor": "white"} if bits < lengths[-1] else after
        panels[-1].plot(group["held_after"] - group["held_before"], group["gain"], label=f"{bits} bits", **look)
    low, high = (float(f(panels[-1].get_xlim() + panels[-1].get_ylim())) for f in (min, max))
    panels[-1].plot([low, high], [low, high], color="0.6", linestyle=":", marker="", label="equal gain")
    panels[-1].set(xlabel="gain in mAP, held-out items", ylabel="gain in mAP, queries")
    panels[-1].legend()
    text = (
        "A row for each method: mAP before and after a rotation. Last, gain of the queries over that of held-out items."
    )
    described(figure, f"{text} Gain of the queries at {rows.in_words(table, 'gain')}.")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return captioned(figure, caption)


def properties(table: pd.DataFrame, caption: str) -> Figure:
    """Properties of the codes, a panel each: means over seeds, sorted by separation at the longest code.

    Args:
        table: `method_tables.properties`.
        caption: text below the figure.
    """
    if table.empty:
        return awaited(caption)
    means = table.groupby(["method", "bits"], sort=False)[list(PROPERTIES)].mean().reset_index()
    order = rows.ranked(means, "separation")
    figure, panels = plt.subplots(1, len(PROPERTIES), dpi=DPI, figsize=(9.4, 0.3 * len(order) + 1.4), sharey=True)
    for axes, (name, title) in zip(panels, PROPERTIES.items(), strict=True):
        rows.marks(axes, means, order, name)
        axes.set_xlabel(title)
    panels[0].set_xlim(0, None)
    panels[1].set_xlim(None, 1.02)
    panels[3].set_xscale("log")
    rows.name_rows(panels[0], order)
    ends = METHODS[order[0]].title, METHODS[order[-1]].title
    text = f"A row for each method, a panel each for {', '.join(PROPERTIES.values())}. "
    described(figure, f"{text}Most separated: {ends[0]}; least: {ends[1]}.")
    return _finished(figure, means, caption)


def distances(shares: Mapping[str, ArrayLike], caption: str) -> Figure:
    """Histograms of distances, a row a method: relevant pairs above the line, the others below it.

    Args:
        shares: method -> (bits + 1, 2), `share_by_distance` of a record.
        caption: text below the figure.
    """
    if not shares:
        return awaited(caption)
    figure, axes = plt.subplots(dpi=DPI, figsize=(6.4, 0.36 * len(shares) + 1.2))
    medians = []
    for place, (method, share) in enumerate(shares.items()):
        height = np.sqrt(np.asarray(share))
        height = 0.48 * height / height.max(axis=0)
        bits = np.arange(len(height))
        axes.fill_between(
            bits, place, place - height[:, 0], step="mid", color=method_style(method)["color"], linewidth=0
        )
        axes.fill_between(bits, place, place + height[:, 1], step="mid", color="0.75", linewidth=0)
        near, far = (int(np.searchsorted(np.cumsum(np.asarray(share)[:, column]), 0.5)) for column in (0, 1))
        medians.append(f"{METHODS[method].title} {near} and {far}")
    rows.name_rows(axes, list(shares))
    axes.set_xlabel("Hamming distance of a query and a database item (bits)")
    axes.set(xlim=(-0.5, bits[-1] + 0.5), xticks=np.linspace(0, bits[-1], 5))
    axes.set_title("above each line: relevant pairs; below it, grey: other pairs (square-root scale)", loc="left")
    text = "A row for each method: histograms of the distances of relevant pairs, above, and of others, below. "
    return captioned(described(figure, f"{text}Median distances: {'; '.join(medians)}."), caption)


def _finished(figure: Figure, table: pd.DataFrame, caption: str) -> Figure:
    """`figure` with the code lengths of `table` above and its caption below."""
    handles = rows.length_handles(sorted(table["bits"].unique()))
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles))
    return captioned(figure, caption)
