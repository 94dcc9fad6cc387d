"""Figures of notebook 01: two matrices, Parzen densities, the clamp, a pair over S and M, arrangements, descent."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from qsmi_lib.reproduction.plotting.style import described, listed

SIMILAR, DISSIMILAR, ACCENT = "C0", "C1", "C2"


def pair_loss(similarity: ArrayLike, relevant: ArrayLike, information_needs: ArrayLike) -> np.ndarray:
    r"""One pair's term of Eq. 27, :math:`\Delta (S - 1)^2 + S^2 / M`; the arguments broadcast.

    Args:
        similarity: S, in [0, 1].
        relevant: Delta of the pair, bool.
        information_needs: M, above 0.
    """
    similarity = np.asarray(similarity, float)
    return np.where(relevant, (similarity - 1.0) ** 2, 0.0) + similarity**2 / np.asarray(information_needs, float)


def pair_slope(similarity: ArrayLike, relevant: ArrayLike, information_needs: ArrayLike) -> np.ndarray:
    r"""Its derivative with respect to S, :math:`2 \Delta (S - 1) + 2 S / M`."""
    similarity = np.asarray(similarity, float)
    return 2.0 * np.where(relevant, similarity - 1.0, 0.0) + 2.0 * similarity / np.asarray(information_needs, float)


def two_matrices(embeddings: ArrayLike, similarity: ArrayLike, relevance: ArrayLike, labels: ArrayLike) -> Figure:
    """Embeddings of two bits, the similarity of each two, and which pairs are relevant.

    Args:
        embeddings: (n, 2).
        similarity: (n, n), in [0, 1].
        relevance: (n, n), bool.
        labels: int (n,).
    """
    figure, (plane, *panels) = plt.subplots(1, 3, figsize=(7.2, 2.7), width_ratios=(1.1, 1.0, 1.0))
    embeddings, labels = np.asarray(embeddings), np.asarray(labels)
    for item, (place, label) in enumerate(zip(embeddings, labels, strict=True)):
        color, marker = f"C{label % 6}", "os^Dv"[label % 5]
        plane.plot([0.0, place[0]], [0.0, place[1]], color=color, linestyle="-", marker="", linewidth=0.8)
        plane.plot(*place, marker, color=color, markersize=6)
        plane.annotate(f"$y_{item + 1}$", place, 1.22 * place, ha="center", va="center")
    reach = 1.4 * np.abs(embeddings).max()
    plane.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="first bit", ylabel="second bit")
    names = np.arange(1, len(labels) + 1)
    titles = ("similarity $S$", r"relevance $\Delta$")
    for axes, matrix, title in zip(panels, (similarity, relevance), titles, strict=True):
        image = axes.imshow(np.asarray(matrix, float), vmin=0.0, vmax=1.0)
        axes.set(title=title, xticks=names - 1, xticklabels=names, yticks=names - 1, yticklabels=names)
        axes.grid(False)
    figure.colorbar(image, ax=panels, ticks=[0, 0.5, 1])
    text = (
        f"{len(labels)} embeddings of {len(np.unique(labels))} classes in the plane, the similarity S of each two, and "
    )
    return described(figure, text + "their relevance, which is 1 within a class and 0 between classes.")


def parzen_densities(
    grid: ArrayLike, joint: ArrayLike, density: ArrayLike, points: ArrayLike, needs: ArrayLike
) -> Figure:
    """The joint densities p(q, y) of each information need (Eq. 7) and their sum p(y) (Eq. 8).

    Args:
        grid: (g,), places y on a line.
        joint: (m, g), one row per information need.
        density: (g,).
        points: (n,), the images at the centres of the windows.
        needs: int (n,), the information need of each.
    """
    figure, axes = plt.subplots(figsize=(6.4, 2.8))
    grid, density, points, needs = map(np.asarray, (grid, density, points, needs))
    for need, row in enumerate(np.asarray(joint)):
        style = {"color": f"C{need}", "linestyle": ("-", "--", "-.")[need % 3]}
        (line,) = axes.plot(grid, row, marker="", label=f"$p(q_{need + 1}, y)$, Eq. 7", **style)
        axes.fill_between(grid, row, color=line.get_color(), alpha=0.12, linewidth=0)
        in_class = points[needs == need]
        axes.plot(in_class, np.zeros(len(in_class)), "os^"[need % 3], color=line.get_color(), clip_on=False, zorder=3)
    axes.plot(grid, density, color="black", linestyle=":", marker="", label="$p(y)$, Eq. 8")
    seen = grid[density > 0.002 * density.max()]
    axes.set(xlabel="place $y$ (units of the embedding)", ylabel="density (per unit)")
    axes.set(xlim=(seen.min(), seen.max()), ylim=(0, None))
    axes.legend()
    return described(
        figure,
        f"A curve of the joint density for each of {len(joint)} information needs, with the images as marks below, and "
        "dotted their sum. It is high where images are close together.",
    )


def clamp_against_linear(error: ArrayLike, linear: ArrayLike, clamped: ArrayLike) -> Figure:
    """Loss of one pair against its error, without and with the square clamp (after Fig. 2a), and the slopes.

    Args:
        error: (g,), distance of S from its ideal: 1 - S of a similar pair, S of a dissimilar one.
        linear: (g,), the loss without the clamp, shifted so that it starts at 0.
        clamped: (g,), the loss with it.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.4, 2.8))
    for values, color, style, label in ((linear, "C1", "--", "QSMI, shifted"), (clamped, "C0", "-", "square clamp")):
        left.plot(error, values, color=color, linestyle=style, marker="", label=label)
        right.plot(
            error, np.gradient(values, error, edge_order=2), color=color, linestyle=style, marker="", label=label
        )
    left.set(xlabel="error of a pair (similarity units)", ylabel="loss of the pair")
    right.set(xlabel="error of a pair (similarity units)", ylabel="slope of the loss")
    left.legend()
    return described(
        figure,
        "Left, the loss of a pair over its error: a line without the square clamp, a parabola with it. Right, their "
        "slopes: constant without the clamp; with it, zero at the ideal and growing with the error.",
    )


def pair_over_needs(information_needs: float = 10.0, similarity: float = 0.5) -> Figure:
    """Loss of one pair: over S for this M, and a similar pair over M and S; the optimum M / (M + 1) is marked.

    Args:
        information_needs: M, above 0; the picture spans 1 to 100.
        similarity: S of the pair that is marked, in [0, 1].
    """
    grid = np.linspace(0.0, 1.0, 201)
    best = information_needs / (information_needs + 1.0)
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.2), width_ratios=(1.0, 1.15))
    for relevant, color, style, marker in ((True, SIMILAR, "-", "o"), (False, DISSIMILAR, "--", "s")):
        label = "similar pair" if relevant else "dissimilar pair"
        slope = pair_slope(similarity, relevant, information_needs)
        curve = pair_loss(grid, relevant, information_needs)
        left.plot(grid, curve, color=color, linestyle=style, marker="", label=f"{label}, slope {slope:+.2f}")
        height = pair_loss(similarity, relevant, information_needs)
        left.plot(similarity, height, marker, color=color, markeredgecolor="white", markersize=8, zorder=3)
    left.vlines(similarity, 0.0, 1.0, color="0.6", linewidth=0.8, zorder=0)
    lowest = pair_loss(best, True, information_needs)
    left.plot(best, lowest, "*", color=ACCENT, markersize=13, zorder=4, label=f"$S^*$ = M/(M+1) = {best:.3f}")
    left.set(xlabel="similarity $S$", ylabel="loss of the pair", ylim=(-0.03, 1.4), title=f"M = {information_needs:g}")
    left.legend(loc="upper right")

    needs = np.geomspace(1.0, 100.0, 41)
    coarse = grid[::5]  # a figure behind a slider is drawn often
    surface = pair_loss(coarse[:, None], True, needs[None, :])
    filled = right.contourf(needs, coarse, surface, levels=np.linspace(0.0, 1.0, 11), cmap="cividis")
    right.plot(needs, needs / (needs + 1.0), color="white", linestyle="-", marker="", label="$S^*$ = M/(M+1)")
    right.plot(information_needs, best, "*", color="white", markeredgecolor="black", markersize=13)
    right.plot(information_needs, similarity, "o", color=SIMILAR, markeredgecolor="white", markersize=8)
    right.set(xscale="log", xlabel="information needs $M$", ylabel="similarity $S$", title="similar pair")
    right.set_xticks([1, 10, 100], ["1", "10", "100"])
    right.minorticks_off()
    right.legend(loc=(0.52, 0.3), labelcolor="white")
    figure.colorbar(filled, ax=right, label="loss of the pair", ticks=[0, 0.5, 1])
    return described(
        figure,
        "Left, the loss of a similar and of a dissimilar pair over the similarity S. Right, the loss of a similar pair "
        f"over M and S. For M = {information_needs:g} the best S of a similar pair is {best:.3f}.",
    )


def arrangements(similarities: Mapping[str, ArrayLike]) -> Figure:
    """Similarity matrices side by side, one panel per arrangement of the classes.

    Args:
        similarities: title -> (n, n), in [0, 1].
    """
    figure, panels = plt.subplots(1, len(similarities), figsize=(2.3 * len(similarities) + 0.6, 3.0), squeeze=False)
    for axes, (title, matrix) in zip(panels[0], similarities.items(), strict=True):
        image = axes.imshow(np.asarray(matrix), vmin=0.0, vmax=1.0)
        axes.set(title=title, xlabel="class", xticks=[0, 4, 9], yticks=[0, 4, 9])
        axes.grid(False)
    panels[0, 0].set_ylabel("class")
    figure.colorbar(image, ax=panels[0].tolist(), label="similarity $S$", ticks=[0, 0.5, 1])
    means = {title.replace("\n", ", ") + ", mean": float(np.mean(np.asarray(m))) for title, m in similarities.items()}
    text = "A square of similarities between classes for each arrangement, bright where S is 1. "
    return described(figure, f"{text}{listed(means)}.")


def descent_paths(paths: Mapping[str, ArrayLike], labels: ArrayLike) -> Figure:
    """Paths of embeddings of two bits under gradient descent; a marker shows the end of each.

    Args:
        paths: title -> (steps, n, 2), one panel each.
        labels: int (n,).
    """
    labels = np.asarray(labels)
    figure, panels = plt.subplots(
        1, len(paths), figsize=(3.4 * len(paths), 3.4), sharex=True, sharey=True, squeeze=False
    )
    for axes, (title, path) in zip(panels[0], paths.items(), strict=True):
        path = np.asarray(path)
        for item, label in enumerate(labels):
            color, marker = f"C{label % 6}", "os^Dv"[label % 5]
            axes.plot(*path[:, item].T, color=color, linestyle="-", marker="", linewidth=1.2)
            axes.plot(*path[0, item], marker, color="white", markeredgecolor=color, markersize=5)
            first = label not in labels[:item]
            axes.plot(*path[-1, item], marker, color=color, markersize=8, label=f"class {label}" if first else None)
            axes.plot(
                [0.0, path[-1, item, 0]],
                [0.0, path[-1, item, 1]],
                color="0.8",
                linewidth=0.8,
                ls="-",
                marker="",
                zorder=0,
            )
        axes.set(title=title, xlabel="first bit $y_1$", aspect="equal")
    panels[0, 0].set_ylabel("second bit $y_2$")
    panels[0, -1].legend(loc="best")
    return described(
        figure,
        f"Paths of {len(labels)} points of {len(np.unique(labels))} classes in the plane, from hollow to filled marks, "
        f"a panel each: {'; '.join(paths)}.",
    )
