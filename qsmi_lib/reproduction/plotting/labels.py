"""What labels ask of codes: sets of labels and their relevance, hash centers on the cube, draws of classes."""

from collections.abc import Mapping, Sequence
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction.plotting.style import described, method_style


def label_sets(images: ArrayLike, titles: Sequence[str], relevance: Mapping[str, ArrayLike]) -> Figure:
    """Items with several labels, and the relevance of each pair, one panel per rule; rows are queries.

    Args:
        images: (n, height, width).
        titles: the labels of each item, as text.
        relevance: rule -> (n, n), between 0 and 1.
    """
    n = len(images)
    figure, panels = plt.subplots(1, len(relevance), figsize=(2.45 * len(relevance), 2.7), squeeze=False)
    for axes, (rule, matrix) in zip(panels[0], relevance.items(), strict=True):
        axes.imshow(matrix, cmap="Blues", vmin=0, vmax=1.4)
        for (row, column), value in np.ndenumerate(np.asarray(matrix, float)):
            axes.text(column, row, f"{value:.2g}", ha="center", va="center")
        axes.set(xticks=[], yticks=range(n))
        axes.set_yticklabels(titles)
        axes.set_title(rule, pad=30)
        axes.grid(False)
        for place, image in enumerate(images):
            picture = axes.inset_axes((place - 0.45, -1.15, 0.9, 0.6), transform=axes.transData)
            picture.imshow(image, cmap="gray_r", aspect="auto")
            picture.set(xticks=[], yticks=[])
            picture.spines[:].set_visible(True)
    panels[0, 0].set_ylabel("query")
    rules = ", ".join(relevance).replace("$", "").replace("\\", "")
    text = f"A matrix for each rule ({rules}): how relevant each of {n} images is to each other one."
    return described(figure, text)


def graded_answers(queries: ArrayLike, answers: ArrayLike, fractions: ArrayLike) -> Figure:
    """Queries and their nearest items; above each item, the fraction of the query's labels that it has.

    Args:
        queries: (n, height, width).
        answers: (n, k, height, width), in the order of their ranks.
        fractions: (n, k), between 0 and 1.
    """
    n, k = np.shape(fractions)
    figure, panels = plt.subplots(n, k + 1, figsize=(0.85 * (k + 1), 0.75 * n), squeeze=False)
    for row, column in product(range(n), range(k + 1)):
        axes = panels[row, column]
        axes.imshow(answers[row][column - 1] if column else queries[row], cmap="gray_r", aspect="auto")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(column == 0)
        axes.set_title(f"{fractions[row][column - 1]:.2g}" if column else "query", fontsize=8, pad=2)
    full, some = (int((np.asarray(fractions) >= least).sum()) for least in (1.0, 1e-6))
    text = (
        f"{n} queries with {k} answers each. {some} answers share a label with the query; {full} have all its labels."
    )
    return described(figure, text)


def centers_on_cube(centers: ArrayLike, targets: Mapping[Sequence[int], ArrayLike]) -> Figure:
    """Codes of three bits as corners of a cube: the centers of the labels, and the target of items with several.

    Args:
        centers: (n_labels, 3), -1 and +1.
        targets: the labels of an item, as rows of `centers` -> its target, (3,) of -1 and +1; one panel each.
    """
    centers, names, told = np.asarray(centers), "abcdefgh", []
    figure, panels = plt.subplots(1, len(targets), figsize=(2.4 * len(targets), 2.6), squeeze=False)
    for axes, (labels, target) in zip(panels[0], targets.items(), strict=True):
        _draw_cube(axes)
        for label in labels:
            axes.plot(*_flat([centers[label], target]), color="C1", linestyle="--", marker="")
        axes.plot(*_flat(centers), "o", color="C0", markersize=9)
        axes.plot(*_flat([target]), "*", color="C1", markersize=15)
        for name, center in zip(names, centers, strict=False):
            (x,), (y,) = _flat([center])
            axes.annotate(name, (x, y), (6, 6), textcoords="offset points", fontsize=11)
        distances = ", ".join(str(int((centers[label] != np.asarray(target)).sum())) for label in labels)
        title = f"labels {{{', '.join(names[label] for label in labels)}}}\nbits to each center: {distances}"
        axes.set_title(title)
        told.append(title.replace("\n", ", "))
    return described(
        figure, f"Cubes whose corners are codes of three bits, with the centers of labels. {'; '.join(told)}."
    )


def drawn_classes(members: ArrayLike, scores: Mapping[str, ArrayLike], metric: str) -> Figure:
    """Draws of classes: which classes each has, and how each method scores on it; the easiest draw is on top.

    Args:
        members: bool (n_draws, n_classes).
        scores: method -> (n_draws,).
        metric: what is scored.
    """
    means = np.mean(list(scores.values()), axis=0)
    order = np.argsort(-means, kind="stable")
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.6), sharey=True, width_ratios=(3, 2))
    left.imshow(np.asarray(members)[order], cmap="Blues", vmin=0, vmax=1.4, aspect="auto")
    left.set(xlabel="class (dark: drawn)", ylabel="draw", yticks=range(len(order)))
    left.set_yticklabels(order)
    left.grid(False)
    for method, values in scores.items():
        style = method_style(method) | {"linestyle": ""}
        right.plot(np.asarray(values)[order], range(len(order)), label=METHODS[method].title, **style)
    right.set_xlabel(metric)
    right.legend(loc="upper left")
    text = f"{len(order)} draws of classes. The mean {metric} of the methods is {means.max():.3f} on the easiest draw"
    return described(figure, f"{text} and {means.min():.3f} on the hardest.")


def _draw_cube(axes: Axes) -> None:
    """The eight corners and twelve edges of the cube."""
    corners = np.array(list(product((-1, 1), repeat=3)))
    for first, second in product(corners, corners):
        if (first != second).sum() == 1:
            axes.plot(*_flat([first, second]), color="0.75", linestyle="-", marker="", linewidth=1)
    axes.plot(*_flat(corners), "o", color="white", markeredgecolor="0.6", linestyle="")
    axes.set(xlim=(-1.6, 2.1), ylim=(-1.4, 1.9), aspect="equal")
    axes.set_axis_off()


def _flat(points: ArrayLike) -> np.ndarray:
    """Points of three bits on paper, (2, n): the third bit goes to the right and up."""
    x, y, z = np.asarray(points, float).T
    return np.stack([x + 0.4 * z, y + 0.3 * z])
