"""From a picture to its code (Fig. 1), answers to queries as pictures, and what an index costs for its recall."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from PIL import Image

from qsmi_lib.reproduction.plotting.style import cycle_style, described
from qsmi_lib.search.answers import score
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
    axes.text(9.2, 0.6, "code $b$", ha="center", va="bottom")
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


def answered(query: Image.Image, answers_of: Mapping[str, tuple[Collection, Sequence[Answer]]]) -> Figure:
    """The static picture of `panel.panel`: the query as given and as the network sees it, then a row per method.

    Each answer has its bits below it, those dark that differ. If the labels are known, right and wrong answers are
    marked, and the right ones are counted.

    Args:
        query: the picture that was searched for.
        answers_of: method -> its collection, and its answers.
    """
    most = max(2, *(len(answers) for _, answers in answers_of.values()))
    size = {
        "figsize": (0.8 * (most + 1), 1.0 + 1.4 * len(answers_of)),
        "height_ratios": [3, *[3, 1.2] * len(answers_of)],
    }
    figure, panels = plt.subplots(1 + 2 * len(answers_of), most + 1, squeeze=False, **size)
    for axes in panels.flat:
        axes.set_axis_off()
    panels[0, 0].text(0.5, 0.5, "query", ha="center", va="center", fontsize=9)
    _shown(panels[0, 1], query, "as given")
    _shown(panels[0, 2], next(iter(answers_of.values()))[0].hasher.fitted(query), "as the network\nsees it")
    for row, (title, (collection, answers)) in enumerate(answers_of.items()):
        pictures, below = panels[1 + 2 * row], panels[2 + 2 * row]
        words = f"{title}{score(answers)}".replace(": ", "\n")
        pictures[0].text(0.5, 0.5, words, ha="center", va="center", fontsize=9)
        for axes, squares, answer in zip(pictures[1:], below[1:], answers, strict=False):
            _shown(axes, collection.picture(answer.item), answer.name if len(answer.name) < 9 else "", answer.right)
            bits = np.zeros(-(-collection.codes.shape[1] // COLUMNS) * COLUMNS)
            bits[list(answer.differing)] = 1.0
            bits[collection.codes.shape[1] :] = np.nan  # beyond the code
            squares.imshow(bits.reshape(-1, COLUMNS), cmap="Reds", vmin=-0.1, vmax=1)
            squares.set_title(f"{answer.distance} bit{'s' * (answer.distance != 1)}", fontsize=8, pad=2)
    rows = "; ".join(f"{title}{score(answers)}" for title, (_, answers) in answers_of.items())
    text = "The query as given and as the network sees it, then a row of answers for each method, with the bits that "
    return described(figure, f"{text}differ: {rows}.")


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


def answers(queries: np.ndarray, answers: np.ndarray, right: np.ndarray, titles: Sequence[str] = ()) -> Figure:
    """Queries and their nearest database items as pictures, one row per query; a wrong answer is struck through.

    Args:
        queries: (n, height, width).
        answers: (n, k, height, width), the answers in rank order.
        right: bool (n, k), which of them are relevant.
        titles: of the rows; without, the figure has one title, for answers by Hamming distance.
    """
    n, k = right.shape
    size = (0.6 * (k + 1), (0.9 if titles else 0.68) * n + 0.3)
    figure, panels = plt.subplots(n, k + 1, figsize=size, squeeze=False)
    for row in range(n):
        for column, image in enumerate([queries[row], *answers[row]]):
            axes = panels[row, column]
            axes.imshow(image, cmap="gray_r")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(column == 0)
            if column and not right[row, column - 1]:
                axes.plot([0, 1], [1, 0], transform=axes.transAxes, color="#D55E00", linewidth=2, marker="none")
    if titles:
        figure.get_layout_engine().set(hspace=0.4, rect=(0, 0, 1, 0.95))
    for row, title in enumerate(titles):  # wider than its panel, which it must not widen
        panels[row, 0].text(0, 1.15, title, transform=panels[row, 0].transAxes, fontsize=9, in_layout=False)
    if not titles:
        figure.suptitle("query, and the nearest in the database by Hamming distance", x=0.01, ha="left")
    counts = [
        f"{title}: " * bool(title) + f"{row.sum()} of {k} right"
        for title, row in zip(titles or [""] * n, right, strict=True)
    ]
    return described(figure, f"{n} queries, one a row, each before its {k} nearest items; {'; '.join(counts)}.")


def frozen_backbone(images: np.ndarray, features_of: Mapping[str, np.ndarray], labels: np.ndarray) -> Figure:
    """Which layers are trained when a backbone is frozen, and the features that it gives: a row per image.

    Args:
        images: (n, height, width), sorted by class; the first is the example on the left.
        features_of: backbone -> its features of `images`, (n, n_features).
        labels: int (n,).
    """
    figure = plt.figure(figsize=(7.2, 4.2))
    top, bottom = figure.subfigures(2, 1, height_ratios=(1, 2))
    axes = top.subplots()
    axes.set(xlim=(0, 10), ylim=(-0.75, 0.75))
    axes.axis("off")
    picture = axes.inset_axes((0.1, -0.55, 1.1, 1.1), transform=axes.transData)
    picture.imshow(images[0], cmap="gray_r")
    picture.set(xticks=[], yticks=[])
    picture.spines[:].set_visible(True)
    boxes = {2.2: "backbone $f$\nfrozen", 5.0: "head\ntrained", 7.8: "sign"}
    for left, text in boxes.items():
        _box(axes, left, 0.0, text, dashed="frozen" in text)
    for start, end, text in ((1.3, 2.1, ""), (3.8, 4.9, "features"), (6.6, 7.7, "$y$"), (9.4, 9.9, "code")):
        axes.add_patch(FancyArrowPatch((start, 0.0), (end, 0.0), arrowstyle="-|>", mutation_scale=10, color="black"))
        axes.text((start + end) / 2, 0.12, text, ha="center", fontsize=8)
    starts = np.flatnonzero(np.diff(labels, prepend=-1))
    panels = bottom.subplots(1, len(features_of), sharey=True, squeeze=False)[0]
    for axes, (title, features) in zip(panels, features_of.items(), strict=True):
        axes.imshow(features, cmap="Greys", aspect="auto", interpolation="none")
        axes.hlines(starts[1:] - 0.5, -0.5, features.shape[1] - 0.5, color="C1", linewidth=0.8)
        axes.set(title=title, xlabel="feature", yticks=(starts + np.append(starts[1:], len(labels)) - 1) / 2)
        axes.set_yticklabels(labels[starts])
        axes.grid(False)
    panels[0].set_ylabel("class of the image")
    text = "An image goes through a frozen backbone and a trained head; the sign is the code. Below, features of images"
    return described(figure, f"{text} sorted by class, from the backbones {' and '.join(features_of)}.")


def _shown(axes: plt.Axes, image: Image.Image, title: str, right: bool | None = None) -> None:
    """A picture with words above it; if `right` is known, it is marked by a sign and the colour of a frame."""
    sign, colour, line = {True: ("✓ ", "#0072B2", "-"), False: ("✗ ", "#D55E00", "--"), None: ("", "0.5", "-")}[right]
    axes.imshow(np.asarray(image), cmap="gray")
    axes.set_title(sign + title, fontsize=9, pad=3, color="black" if right is None else colour)
    axes.set_axis_on()
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color=colour, linestyle=line, linewidth=0.8 if right is None else 2)
