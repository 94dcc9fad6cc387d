"""Maps: codes in the plane (Fig. 4), a map beside its distances, and how many bits classes share."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike

from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction.analysis.tsne import Points
from qsmi_lib.reproduction.plotting.style import described, listed

PANEL = np.array([2.9, 2.1])  # width and height of a panel of `maps` in inches, without its title
NUMERAL = {
    "ha": "center", "va": "center", "fontsize": 8, "weight": "bold", "annotation_clip": True,
    "path_effects": [withStroke(linewidth=2.5, foreground="white")],
}  # fmt: skip


def maps(points_of: Mapping[str, Points], classes: tuple[str, ...], size: float = 0.5) -> Figure:
    """Fig. 4: two panels a map, the database on the left and the queries on the right.

    Items that coincide are one disc, its area proportional to their number, in the colour of one of them; it is drawn
    with small discs over large ones. The number of a class is printed in its middle, for readers who see no colour.
    The outermost two permille on each side are cut off, no disc is.

    Args:
        points_of: title -> places in the plane, and labels.
        classes: names of the classes.
        size: area of the disc of one item.
    """
    shape = {"figsize": (6.4, 2.9 * len(points_of)), "dpi": 75, "sharex": "row", "sharey": "row", "squeeze": False}
    figure, panels = plt.subplots(len(points_of), 2, **shape)  # so many discs make a large file: fewer pixels
    colors = plt.get_cmap("tab10", len(classes))
    for row, (title, points) in zip(panels, points_of.items(), strict=True):
        low, high = np.percentile(points.database, [0.2, 99.8], axis=0)
        largest = np.unique(points.database, axis=0, return_counts=True)[1].max()
        radius = np.sqrt(size * largest) / 2 / (72 * PANEL)  # of the largest disc, as a share of a panel
        margin = (high - low) * np.maximum(0.05, radius / (1 - 2 * radius))
        for axes, places, labels, part in (
            (row[0], points.database, points.database_labels, "database"),
            (row[1], points.query, points.query_labels, "queries"),
        ):
            spots, first, counts = np.unique(places, axis=0, return_index=True, return_counts=True)
            order = np.argsort(-counts, kind="stable")
            looks = {"c": colors(labels[first[order]]), "s": size * counts[order], "antialiased": False}
            axes.scatter(*spots[order].T, linewidths=0, rasterized=True, **looks)
            axes.set(title=f"{title}: {len(places):,} {part}", xticks=[], yticks=[])
            axes.set(xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]))
            for label in np.unique(labels):
                axes.annotate(str(label), _middle(places[labels == label]), **NUMERAL)
    for index, name in enumerate(classes):
        numbered = name if name == str(index) else f"{index}: {name}"
        panels[0, 0].plot([], [], linestyle="", marker="o", color=colors(index), label=numbered)
    figure.legend(loc="outside lower center", ncols=5)
    spots = {title: len(np.unique(points.database, axis=0)) for title, points in points_of.items()}
    texts = (f"{title}: {len(points_of[title].database):,} items in {n:,} places" for title, n in spots.items())
    return described(
        figure,
        "Maps in the plane, database left and queries right, discs in the colours of the classes and as large as the "
        f"number of items that coincide. {'; '.join(texts)}.",
    )


def beside_distances(distance: ArrayLike, labels: ArrayLike, places_of: Mapping[str, ArrayLike]) -> Figure:
    """What a map is made from and what it shows: distances of all pairs on the left, a panel for each map.

    Args:
        distance: (n, n), Hamming distances of the items.
        labels: int (n,), the group of each item, ascending; colour and marker of the item in a map.
        places_of: title -> (n, 2), places in the plane.
    """
    labels = np.asarray(labels)
    panels = len(places_of) + 1
    figure, axes = plt.subplots(1, panels, figsize=(2.5 * panels, 2.7))
    image = axes[0].imshow(np.asarray(distance), interpolation="nearest")
    axes[0].set(title="Hamming distances", xlabel="item", ylabel="item")
    axes[0].grid(False)
    figure.colorbar(image, ax=axes[0], label="bits", shrink=0.8)
    for panel, (title, places) in zip(axes[1:], places_of.items(), strict=True):
        for group in np.unique(labels):
            look = {"color": f"C{group % 6}", "marker": "os^DvP"[group % 6], "markersize": 3, "linestyle": ""}
            panel.plot(*np.asarray(places)[labels == group].T, label=f"group {group + 1}", **look)
        panel.set(title=title, xticks=[], yticks=[], aspect="equal")
    if len(np.unique(labels)) > 1:
        axes[-1].legend(markerscale=1.5)
    text = f"A matrix of Hamming distances, and maps of the same items: {', '.join(places_of)}."
    return described(figure, text)


def similarity_of_classes(matrices: dict[str, np.ndarray], classes: tuple[str, ...]) -> Figure:
    """Mean agreement of the codes of each pair of classes, one panel per method: classes that share a code lose bits.

    Args:
        matrices: method -> (c, c), the mean share of equal bits between items of two classes.
        classes: their names.
    """
    figure, panels = plt.subplots(1, len(matrices), figsize=(2.3 * len(matrices) + 0.8, 2.9), sharey=True)
    for axes, (method, matrix) in zip(np.atleast_1d(panels), matrices.items(), strict=True):
        image = axes.imshow(matrix, vmin=0.0, vmax=1.0)
        axes.set(title=METHODS[method].title, xticks=range(len(classes)), yticks=range(len(classes)))
        axes.set_xticklabels(classes, rotation=90)
        axes.grid(False)
        axes.set_xlabel("class")
    np.atleast_1d(panels)[0].set_yticklabels(classes)
    np.atleast_1d(panels)[0].set_ylabel("class")
    figure.colorbar(image, ax=panels, label="share of equal bits")
    others = {METHODS[method].title: np.max(matrix - 2 * np.eye(len(matrix))) for method, matrix in matrices.items()}
    return described(
        figure,
        "A square for each method: the mean share of equal bits for each pair of classes, bright where codes agree. "
        f"Largest share between two classes: {listed(others)}.",
    )


def _middle(places: np.ndarray) -> np.ndarray:
    """The item nearest to the medians, (2,) of (n, 2): one of the class even if it has two clusters."""
    return places[np.abs(places - np.median(places, axis=0)).sum(axis=1).argmin()]
