"""From a picture to its code (Fig. 1), answers to queries as pictures, and what an index costs for its recall."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from qsmi_lib.reproduction.plotting.style import DPI, cycle_style, described
from qsmi_lib.search.collection import Answer, Collection

COLUMNS = 12  # squares of a row of bits
TITLES = {"flat": "flat", "hnsw": "HNSW", "multihash": "multi-hash"}


def pipeline(image: np.ndarray, code: np.ndarray) -> Figure:
    """Fig. 1: image -> network -> embedding -> code, and the loss that trains it from the labels of a batch.

    Args:
        image: (height, width), the example on the left.
        code: (bits,), its code of -1 and +1.
    """
    figure, axes = plt.subplots(figsize=(7.2, 2.4))
    axes.set(xlim=(0, 10), ylim=(-1.35, 1.6))
    axes.axis("off")
    picture = axes.inset_axes((0.1, -0.55, 1.3, 1.5), transform=axes.transData)
    picture.imshow(image, cmap="gray_r")
    picture.set(xticks=[], yticks=[], title="image $x$")
    picture.spines[:].set_visible(True)
    for left, text in {2.2: "network\n$f_W$", 4.5: "embedding\n$y \\in \\mathbb{R}^n$", 6.8: "sign"}.items():
        _box(axes, left, 0.2, text)
    words = "\n".join("".join("+" if bit > 0 else "−" for bit in row) for row in np.array_split(code, 4))
    axes.text(9.2, 0.2, words, family="monospace", ha="center", va="center", fontsize=8)
    axes.text(9.2, 1.0, "code $b$", ha="center", va="bottom")
    for start, end in ((1.45, 2.15), (3.75, 4.45), (6.05, 6.75), (8.35, 8.6)):
        axes.add_patch(FancyArrowPatch((start, 0.2), (end, 0.2), arrowstyle="-|>", mutation_scale=10, color="black"))
    _box(axes, 4.5, -0.95, "loss (Eq. 21)\nlabels $\\rightarrow \\Delta$", dashed=True)
    axes.add_patch(FancyArrowPatch((5.25, -0.15), (5.25, -0.6), arrowstyle="-|>", mutation_scale=10, color="black"))
    style = {"arrowstyle": "-|>", "mutation_scale": 10, "linestyle": "--", "color": "0.3"}
    axes.add_patch(FancyArrowPatch((4.45, -0.95), (2.95, -0.2), connectionstyle="arc3,rad=-0.3", **style))
    axes.text(3.1, -1.1, "gradient", ha="center", color="0.3")
    return described(
        figure,
        "Boxes from left to right: the image x, the network, its embedding y, the sign, and the code b of "
        f"{len(code)} bits. The loss compares embeddings with the labels of a batch; its gradient reaches the network.",
    )


def answered(query: np.ndarray, answers_of: Mapping[str, tuple[Collection, Sequence[Answer]]]) -> Figure:
    """The static picture of `panel.panel`: one row per method, below each answer its bits, those dark that differ.

    Args:
        query: the picture that was searched for, (height, width) or (height, width, 3).
        answers_of: method -> its collection, and its answers.
    """
    most = max(len(answers) for _, answers in answers_of.values())
    figure, panels = plt.subplots(
        2 * len(answers_of),
        most + 1,
        dpi=DPI,
        figsize=(0.72 * (most + 1), 1.3 * len(answers_of)),
        height_ratios=[3, 1] * len(answers_of),
        squeeze=False,
    )
    for axes in panels.flat:
        axes.set_axis_off()
    for row, (title, (collection, answers)) in enumerate(answers_of.items()):
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
    figure, panels = plt.subplots(2, len(sizes), **shape)
    costs = {"milliseconds": "a query alone [ms]", "megabytes": "memory [megabytes]"}
    for column, size in enumerate(sizes):
        for kind, group in rows[rows["items"] == size].groupby("index", sort=False):
            style = cycle_style(list(TITLES).index(kind))  # the same in every panel, also where a kind is missing
            for axes, (cost, title) in zip(panels[:, column], costs.items(), strict=True):
                axes.plot(group[cost], group["recall"], label=TITLES[kind], **style)
                axes.set(xlabel=title, xscale="log")
        panels[0, column].set_title(f"{size:,} codes")
    for axes in panels[:, 0]:
        axes.set_ylabel("recall of 10")
    panels[0, 0].legend(loc="lower right")
    recalls = rows.groupby("index")["recall"].agg(["min", "max"])
    ranges = (f"{TITLES[kind]} from {low:.2f} to {high:.2f}" for kind, low, high in recalls.itertuples())
    text = (
        "A column of panels for each number of codes: recall over the time of a query, above, and over memory, below. "
    )
    return described(figure, f"{text}Recall of 10: {', '.join(ranges)}.")


def _box(axes: plt.Axes, left: float, middle: float, text: str, *, dashed: bool = False) -> None:
    """A rounded box, 1.5 wide and 0.7 high, with words in it."""
    look = {"boxstyle": "round,pad=0.02", "facecolor": "white", "edgecolor": "0.3" if dashed else "black"}
    line = "--" if dashed else "-"
    axes.add_patch(FancyBboxPatch((left, middle - 0.35), 1.5, 0.7, linestyle=line, **look))
    axes.text(left + 0.75, middle, text, ha="center", va="center", fontsize=8)


def answers(queries: np.ndarray, answers: np.ndarray, right: np.ndarray) -> Figure:
    """Queries and their nearest database items as pictures, one row per query; a wrong answer is struck through.

    Args:
        queries: (n, height, width).
        answers: (n, k, height, width), the answers in rank order.
        right: bool (n, k), which of them are relevant.
    """
    n, k = right.shape
    figure, panels = plt.subplots(n, k + 1, figsize=(0.6 * (k + 1), 0.68 * n + 0.3), squeeze=False)
    for row in range(n):
        for column, image in enumerate([queries[row], *answers[row]]):
            axes = panels[row, column]
            axes.imshow(image, cmap="gray_r")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(column == 0)
            if column and not right[row, column - 1]:
                axes.plot([0, 1], [1, 0], transform=axes.transAxes, color="#D55E00", linewidth=2, marker="none")
    figure.suptitle("query, and the nearest in the database by Hamming distance", x=0.01, ha="left")
    text = f"{n} queries, one a row, and the {k} nearest items of the database as pictures, wrong ones struck through: "
    return described(figure, f"{text}{int(right.sum())} of {right.size} answers are right.")


def _shown(axes: plt.Axes, image: np.ndarray, title: str) -> None:
    """A picture with words above it."""
    axes.imshow(image, cmap="gray")
    axes.set_title(title, fontsize=7, pad=2)
