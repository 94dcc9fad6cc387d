"""Figures of notebook 02: rankings with ties, their scores by convention, and the effect of the code length."""

import functools
from collections.abc import Mapping, Sequence
from itertools import zip_longest

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from numpy.typing import ArrayLike

from qsmi_lib.evaluation.conventions import average_precision_at_k
from qsmi_lib.reproduction.plotting import widgets
from qsmi_lib.reproduction.plotting.style import described, listed

RELEVANT, OTHER = "C0", "0.88"
BOX, GAP = 0.84, 0.35  # width of a box and the room between two distances, in ranks


def rankings(distances: Sequence[int], orders: Sequence[ArrayLike], labels: Sequence[str] = ()) -> Figure:
    """Rankings as rows of boxes, the nearest item on the left; boxes that touch are at one distance.

    Args:
        distances: (n,), ascending.
        orders: rows of 0 and 1 (n,), relevance in the order of the ranking.
        labels: text at the end of each row.
    """
    distances = np.asarray(distances)
    left = np.arange(len(distances)) * (BOX + 0.02) + GAP * np.r_[0, np.diff(distances) > 0].cumsum()
    figure, axes = plt.subplots(figsize=(5.6, 0.75 + 0.42 * len(orders)))
    for row, order in enumerate(orders):
        for rank, (x, relevant) in enumerate(zip(left, order, strict=True), start=1):
            shape = FancyBboxPatch(
                (x + 0.05, row + 0.14), BOX - 0.1, 0.72, boxstyle="round,pad=0.03", linewidth=0.8,
                edgecolor="0.3", facecolor=RELEVANT if relevant else OTHER,
            )  # fmt: skip
            axes.add_patch(shape)
            style = {"color": "white", "fontweight": "bold"} if relevant else {"color": "0.3"}
            axes.text(x + BOX / 2, row + 0.5, str(rank), ha="center", va="center", **style)
    for row, label in enumerate(labels):
        axes.text(left[-1] + BOX + 0.25, row + 0.5, label, va="center")
    for distance in np.unique(distances):
        inside = left[distances == distance]
        axes.plot([inside[0], inside[-1] + BOX], [-0.12, -0.12], color="0.3", linestyle="-", marker="", linewidth=1)
        axes.text((inside[0] + inside[-1] + BOX) / 2, -0.22, str(distance), ha="center", va="bottom")
    axes.text(left[0] - 0.15, -0.22, "Hamming distance (bits)", ha="right", va="bottom")
    axes.text(left[0] - 0.15, (len(orders)) / 2, "rank, filled\nif relevant", ha="right", va="center")
    axes.set(xlim=(-2.6, left[-1] + BOX + (1.6 if labels else 0.1)), ylim=(len(orders) + 0.05, -0.75))
    axes.set_axis_off()
    ranks = (", ".join(str(rank) for rank, relevant in enumerate(order, start=1) if relevant) for order in orders)
    rows = (f"{label}: relevant at ranks {found}" for found, label in zip_longest(ranks, labels, fillvalue="one order"))
    text = f"Rankings as rows of boxes, filled if relevant, at Hamming distances {', '.join(map(str, distances))}. "
    return described(figure, f"{text}{'; '.join(rows)}.")


def ties_in_order(distances: Sequence[int], relevant: Sequence[int], order: Sequence[str] = ()) -> Figure:
    """The ranking of a database in its own order and in another one, with the average precision of each.

    Args:
        distances: (n,), ascending: item 1 is the first.
        relevant: 0 or 1, (n,).
        order: numbers of items as the database has them; those that are missing come last.
    """
    places = {name: place for place, name in enumerate(order)}
    items = range(len(distances))
    ranked = sorted(items, key=lambda item: (distances[item], places.get(str(item + 1), len(distances) + item)))
    orders = [list(relevant), [relevant[item] for item in ranked]]
    names = [f"AP {average_precision_at_k(order):.4f}" for order in orders]
    return rankings(distances, orders, [f"{names[0]}, as it is", f"{names[1]}, as dragged"])


def drag_ties(distances: Sequence[int], relevant: Sequence[int]) -> Figure | ipywidgets.interactive:
    """`ties_in_order` with the items as tags to drag interactively, else as a static picture."""
    names = [str(item + 1) for item in range(len(distances))]
    draw = functools.partial(ties_in_order, distances, relevant)
    return widgets.explore(draw, order=widgets.Order(names, "database"))


def conventions(groups: Mapping[str, Mapping[str, float]], reference: float) -> Figure:
    """One query's score by convention, as dots with their values; the reference is a line.

    Args:
        groups: title of a group -> name of a convention -> value; a marker for each group.
        reference: the value of the convention that the others are compared with.
    """
    n_row = sum(len(group) for group in groups.values())
    figure, axes = plt.subplots(figsize=(6.2, 0.7 + 0.27 * (n_row + 0.6 * len(groups))))
    axes.axvline(reference, color="0.4", linestyle=":", marker="", label="reference", zorder=1)
    place, ticks, names = 0.0, [], []
    for number, (title, group) in enumerate(groups.items()):
        places = place + np.arange(len(group))
        axes.plot(list(group.values()), places, linestyle="", color=f"C{number}", marker="os^Dv"[number], label=title)
        for y, value in zip(places, group.values(), strict=True):
            style = {"fontsize": 8, "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1}}
            axes.annotate(f"{value:.4f}", (value, y), (7, 0), textcoords="offset points", va="center", **style)
        ticks.extend(places)
        names.extend(group)
        place = places[-1] + 1.6
    axes.set_yticks(ticks, names)
    axes.set(xlabel="score of one query (share of 1)", ylim=(place - 0.9, -0.7))
    axes.set_xlim(axes.get_xlim()[0], axes.get_xlim()[1] + 0.06)
    axes.grid(axis="y", visible=False)
    figure.legend(loc="outside upper center", ncols=3)
    scores = {name: value for group in groups.values() for name, value in group.items()}
    return described(figure, f"The score of one query by convention, reference {reference:.3f}: {listed(scores)}.")


def eleven_points(recall: ArrayLike, precision: ArrayLike, rules: Mapping[str, ArrayLike]) -> Figure:
    """Precision over recall, rank by rank, and the eleven values of each rule.

    Args:
        recall: (n,), by rank.
        precision: (n,), by rank.
        rules: name -> (11,), precision at recall 0, 0.1, ... 1.
    """
    figure, axes = plt.subplots(figsize=(5.6, 3.2))
    axes.plot(recall, precision, color="0.6", linestyle="-", marker=".", linewidth=1, label="ranks 1, 2, ...")
    for (name, values), marker, size, colour in zip(
        rules.items(), "osx", (9, 6, 5), ("C0", "C1", "black"), strict=False
    ):
        hollow = {"markerfacecolor": "none"} if marker != "x" else {}
        axes.plot(np.arange(11) / 10, values, linestyle="", marker=marker, markersize=size, color=colour, label=name,
                  markeredgewidth=1.4, **hollow)  # fmt: skip
    axes.set(xlabel="recall (share of the relevant items)", ylabel="precision (share of the ranked items)")
    axes.set(xticks=np.arange(11) / 10, ylim=(0, 1.05))
    axes.legend(loc="lower left")
    means = {name: float(np.mean(values)) for name, values in rules.items()}
    text = "Precision over recall, rank by rank, and eleven marks for each rule. Mean of the eleven by rule: "
    return described(figure, f"{text}{listed(means)}.")


def tie_orders(scores: Mapping) -> Figure:
    """Range of each score over the orders inside ties: the extremes, random orders, the sorted database.

    Args:
        scores: what `tie_orders.of_runs` returned, code lengths ascending.
    """
    runs = scores["runs"]
    place = np.arange(len(runs))
    fields = list(runs[0]["permuted"])
    figure, panels = plt.subplots(1, len(fields), figsize=(8.4, 3.2), sharey=True)
    for axes, field in zip(panels, fields, strict=True):
        first, last, by_class = ([run[order][field] for run in runs] for order in ("first", "last", "sorted"))
        random = np.array([run["permuted"][field] for run in runs])
        middle = (np.array(first) + last) / 2
        half = np.abs(np.array(first) - last) / 2
        axes.errorbar(place, middle, half, color="0.6", linestyle="", marker="", elinewidth=1,
                      label="from relevant last to relevant first")  # fmt: skip
        axes.plot(place, random.mean(axis=1), color="C0", linestyle="", marker="_", markersize=7, markeredgewidth=2)
        axes.vlines(place, random.min(axis=1), random.max(axis=1), color="C0", linewidth=7,
                    label=f"{random.shape[1]} random orders")  # fmt: skip
        axes.plot(place + 0.3, by_class, color="C1", linestyle="", marker="x", markersize=6, label="sorted by class")
        if field == "map":
            expected = [run["order_free"]["map_expected"] for run in runs]
            axes.plot(place - 0.3, expected, color="black", linestyle="", marker=".", label="mean over all orders")
            handles = axes.get_legend_handles_labels()
        title = f"{field}\nk = {runs[0]['k']:,}" if "_at_k" in field else f"{field}\n"
        axes.set(title=title, xticks=place, xlim=(-0.6, len(runs) - 0.4))
        axes.set_xticklabels([str(run["bits"]) for run in runs])
        axes.grid(axis="x", visible=False)
    panels[0].set_ylabel("score (share of 1)")
    panels[len(fields) // 2].set_xlabel("code length (bits)")
    figure.legend(*handles, loc="outside upper center", ncols=4)
    widest = max(runs, key=lambda run: run["first"]["map"] - run["last"]["map"])
    text = "A panel for each score: its range over the orders inside ties, for each code length. mAP varies most at "
    ends = f"from {widest['last']['map']:.3f} to {widest['first']['map']:.3f}"
    return described(figure, f"{text}{widest['bits']} bits, {ends}.")


def sorted_database(gaps: Mapping[str, ArrayLike]) -> Figure:
    """Effect of the order of the database on the mAP of each class of queries.

    Args:
        gaps: name of an order -> (n_class,), mAP less the mean over all orders inside ties, by class.
    """
    figure, axes = plt.subplots(figsize=(5.6, 2.9))
    axes.axhline(0, color="0.4", linestyle="-", marker="", linewidth=1)
    for name, gap in gaps.items():
        axes.plot(np.arange(len(gap)), gap, label=name)
    axes.set(
        xlabel="class of the query (its place in a sorted database)", ylabel="mAP less its mean\nover orders of ties"
    )
    axes.set_xticks(np.arange(len(gap)))
    axes.legend()
    largest = {name: float(np.abs(gap).max()) for name, gap in gaps.items()}
    text = "mAP of each class of queries less its mean over all orders of ties. Largest difference, without its sign: "
    return described(figure, f"{text}{listed(largest)}.")


def empty_balls(bits: ArrayLike, empty: ArrayLike, counted: ArrayLike, skipped: ArrayLike) -> Figure:
    """Precision within radius 2 under both rules for an empty ball, and the share of empty balls, by code length.

    Args:
        bits: (m,), code lengths.
        empty: (m,), share of the queries with an empty ball.
        counted: (m,), mean precision where an empty ball counts 0.
        skipped: (m,), mean precision over the other queries; nan where there are none.
    """
    figure, axes = _over_bits(bits)
    axes.bar(bits, empty, width=np.asarray(bits) * 0.12, color="0.85", edgecolor="0.6", label="share of empty balls")
    axes.plot(bits, skipped, color="C1", linestyle="--", marker="s", label="precision, empty balls skipped")
    axes.plot(bits, counted, color="C0", linestyle="-", marker="o", label="precision, an empty ball counts 0")
    axes.set(ylabel="share of 1", ylim=(0, 1.05))
    figure.legend(loc="outside upper center", ncols=2)
    shares = "; ".join(f"{length} bits: {share:.2f}" for length, share in zip(bits, empty, strict=True))
    text = (
        "Over the code length: precision within radius 2 under two rules for an empty ball, and bars of the share of "
    )
    return described(figure, f"{text}empty balls. Share by code length: {shares}.")


def _over_bits(bits: ArrayLike) -> tuple[Figure, plt.Axes]:
    """Axes whose x is the code length, on a scale of powers of 2."""
    figure, axes = plt.subplots(figsize=(5.6, 3.2))
    axes.set_xscale("log", base=2)
    axes.set_xticks(bits, [str(length) for length in bits])
    axes.minorticks_off()
    axes.set_xlabel("code length (bits)")
    return figure, axes
