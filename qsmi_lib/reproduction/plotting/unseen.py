"""Figures of notebook 12: which classes a part holds, and what a second information need does to the embeddings."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from qsmi_lib.reproduction.plotting.style import described


def parts_by_class(counts: Mapping[str, ArrayLike], names: Sequence[str]) -> Figure:
    """How many items of each class a part of a split holds, a row per part; an empty square means none.

    Args:
        counts: part -> (c,), items of each class.
        names: of the c classes.
    """
    table = np.array([np.asarray(row) for row in counts.values()])
    figure, axes = plt.subplots(figsize=(6.0, 0.42 * len(counts) + 0.9))
    axes.imshow(table > 0, cmap="Blues", vmin=0.0, vmax=2.5, aspect="auto")
    for (row, column), count in np.ndenumerate(table):
        if count:
            axes.text(column, row, f"{count:,}", ha="center", va="center")
    axes.set(xlabel="class", xticks=range(len(names)), yticks=range(len(counts)))
    axes.set_xticklabels(names)
    axes.set_yticklabels(counts)
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(counts) + 1) - 0.5, minor=True)
    axes.grid(False)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)
    rows = (f"{part}: {', '.join(np.array(names)[row > 0])}" for part, row in zip(counts, table, strict=True))
    return described(figure, f"Table of the classes of each part. {'; '.join(rows)}.")


def two_needs(embeddings: Mapping[str, ArrayLike], labels: ArrayLike, clusters: ArrayLike) -> Figure:
    """Embeddings of two bits on the unit circle, one panel each; the colour tells the label, the marker the cluster.

    Args:
        embeddings: title -> (n, 2).
        labels: int (n,), two of them.
        clusters: int (n,), two of them.
    """
    labels, clusters = np.asarray(labels), np.asarray(clusters)
    figure, panels = plt.subplots(1, len(embeddings), figsize=(2.3 * len(embeddings), 2.9), squeeze=False)
    for axes, (title, points) in zip(panels[0], embeddings.items(), strict=True):
        unit = np.asarray(points) / np.linalg.norm(points, axis=1, keepdims=True)
        axes.add_patch(plt.Circle((0, 0), 1.0, fill=False, color="0.7", linewidth=0.8))
        for label, cluster in np.ndindex(2, 2):
            chosen = unit[(labels == label) & (clusters == cluster)]
            # A cluster lies a little further out than the other, so that neither hides the other.
            axes.plot(
                *(chosen * (0.94 + 0.12 * cluster)).T,
                "o^"[cluster],
                color=f"C{label}",
                linestyle="",
                alpha=0.6,
                label=f"label {label}, cluster {cluster}",
            )
        axes.set(title=title, xlim=(-1.25, 1.25), ylim=(-1.25, 1.25), aspect="equal")
        axes.set_axis_off()
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    text = (
        "Points on a circle; colours are labels, markers are clusters. Where clusters count, their markers lie apart, "
    )
    return described(figure, f"{text}else they mix. Panels: {', '.join(embeddings)}.")
