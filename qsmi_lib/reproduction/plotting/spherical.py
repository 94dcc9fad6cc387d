"""Figures of notebook 14: the spring, circle and sphere cut into codes, rotation searches, the poster's comparison."""

from collections.abc import Mapping, Sequence

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction.analysis.spherical import COMPARED, FORMS, ROTATED, energy, slope
from qsmi_lib.reproduction.plotting import widgets
from qsmi_lib.reproduction.plotting.style import cycle_style, described, listed, method_style
from qsmi_lib.reproduction.titles import PROTOCOL_TITLES

CLASS_COLORS = [*plt.get_cmap("tab10").colors[:7], (0.0, 0.0, 0.0), *plt.get_cmap("tab10").colors[8:]]  # no grey
VIEW = {"azimuth": (45, 180), "elevation": (35, 90)}  # at first, and at most; in degrees
SIGNS = np.array(["−", "+"])


def energies(difference: ArrayLike, bits: int = 48) -> Figure:
    """The energy of a triplet and its slope, a curve a form.

    Args:
        difference: t, (g,), ascending in [-4, 4].
        bits: n of the likelihood.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.0))
    for index, (form, title) in enumerate(FORMS.items()):
        style = cycle_style(index) | {"marker": "", "label": title}
        left.plot(difference, energy(difference, form, bits), **style)
        right.plot(difference, slope(difference, form, bits), **style)
    name = r"$t = \|h_q - h_p\|^2 - \|h_q - h_n\|^2$"
    left.set(xlabel=name, ylabel="energy $E(t)$ of a triplet")
    right.set(xlabel=name, ylabel="slope $E'(t)$", ylim=(-0.05, 2.0))
    left.legend()
    return described(
        figure,
        "Two panels over the difference t of the squared distances to a positive and to a negative, a curve for each "
        "form of the triplet's energy: left the energy, right its slope.",
    )


def circle(phi: ArrayLike, labels: ArrayLike, degrees: ArrayLike, scores: ArrayLike) -> Figure:
    """Points on a circle cut into four codes, before and after the best rotation, and mAP over all rotations.

    Args:
        phi: (n,), the points' angles before, in rad.
        labels: int (n,).
        degrees: (g,), rotations counterclockwise, ascending from 0.
        scores: (g,), the mAP of each.
    """
    figure, panels = plt.subplots(1, 3, figsize=(7.6, 2.7), width_ratios=(1.0, 1.0, 1.5))
    degrees, scores = np.asarray(degrees), np.asarray(scores)
    best = np.flatnonzero(np.isclose(scores, scores.max()))
    chosen = best[len(best) // 2]
    for axes, index, title in zip(panels, (0, chosen), ("before", f"turned by {degrees[chosen]:.0f}°"), strict=False):
        angle = np.asarray(phi) + np.radians(degrees[index])
        _checkerboard(axes, np.eye(2))
        for name, marker in zip(np.unique(labels), "os^DvP", strict=False):
            members = angle[np.asarray(labels) == name]
            axes.plot(np.cos(members), np.sin(members), marker, color=f"C{name}", markersize=5, markeredgecolor="white")
        for code in ((1, 1), (0, 1), (0, 0), (1, 0)):
            place = 0.5 * (2 * np.array(code) - 1)
            axes.text(*place, "".join(SIGNS[list(code)]), ha="center", va="center", fontsize=11)
        axes.set_title(f"{title}: mAP {scores[index]:.3f}")
    panels[2].plot(degrees, scores, drawstyle="steps-mid", marker="", color="C0", linestyle="-")
    for index, name, marker in ((0, "before", "o"), (chosen, "turned", "s")):
        panels[2].plot(degrees[index], scores[index], marker, color="C1", label=name, markersize=6)
    panels[2].set(xlabel="rotation [degrees]", ylabel="mAP, all orders of ties", xticks=(0, 30, 60, 90))
    panels[2].legend(loc="lower center")
    return described(
        figure,
        "Points on a circle that two axes cut into four codes, before and after a rotation, and mAP over the angle. "
        f"Turned by {degrees[chosen]:.0f} degrees, mAP rises from {scores[0]:.3f} to {scores[chosen]:.3f}.",
    )


def spheres(
    before: ArrayLike,
    after: ArrayLike,
    labels: ArrayLike,
    names: Sequence[str] = (),
    azimuth: float = 45.0,
    elevation: float = 35.0,
) -> Figure:
    """Points on the sphere from two opposite sides, before and after the rotation; shades tell octants, that is codes.

    Args:
        before: (n, 3), unit vectors.
        after: (n, 3), the same after the rotation.
        labels: int (n,), 0 to 9; each point is drawn as its label.
        names: of the classes; a legend where they are more than the label itself.
        azimuth: from where the upper row looks, in degrees around the third axis.
        elevation: the same above the plane of the first two axes, in degrees.
    """
    figure, panels = plt.subplots(2, 2, figsize=(5.2, 5.4))
    for row, (turn, rise, side) in enumerate(((0.0, 1.0, "front"), (180.0, -1.0, "back"))):
        frame = view(azimuth + turn, rise * elevation)
        for axes, points, title in zip(panels[row], (before, after), ("before", "after"), strict=True):
            axes.set_title(f"{title} the rotation, {side}")
            _globe(axes, np.asarray(points), np.asarray(labels), frame)
    if any(name != str(number) for number, name in enumerate(names)):
        style = {"linestyle": "", "markersize": 6}
        handles = [
            plt.Line2D([], [], marker=f"${number}$", color=CLASS_COLORS[number], label=name, **style)
            for number, name in enumerate(names)
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=5)
    return described(
        figure,
        f"{len(before)} points of {len(np.unique(labels))} classes on a sphere, seen from two sides, before and after "
        "the rotation. Shades tell the eight octants, which are the codes of three bits.",
    )


def look_around(
    before: ArrayLike, after: ArrayLike, labels: ArrayLike, names: Sequence[str] = ()
) -> Figure | ipywidgets.interactive:
    """`spheres` with a slider for each angle if interactive, else as a static picture."""

    def draw(azimuth: float, elevation: float) -> Figure:
        return spheres(before, after, labels, names, azimuth, elevation)

    azimuth, elevation = (widgets.Slider(start, -most, most, 5, name) for name, (start, most) in VIEW.items())
    return widgets.explore(draw, azimuth=azimuth, elevation=elevation)


def search_curves(panels: Mapping[str, Mapping[str, Sequence[ArrayLike]]]) -> Figure:
    """The held-out mAP over a search's steps.

    Args:
        panels: title -> name of a curve -> its histories, one a seed, each (n_steps + 1,).
    """
    size = 3.6 * len(panels) + 0.8, 3.0
    figure, axes = plt.subplots(1, len(panels), figsize=size, sharex=True, sharey=True, squeeze=False)
    handles = {}
    for panel, (title, curves) in zip(axes[0], panels.items(), strict=True):
        for index, (name, histories) in enumerate(curves.items()):
            style = cycle_style(index) | {"drawstyle": "steps-post", "markersize": 4}
            for history in histories:
                every = (7 * index % 10, max(1, len(history) // 6))
                (handles[name],) = panel.plot(history, markevery=every, label=name, **style)
        panel.set(title=title, xlabel="step of the search")
    axes[0, 0].set_ylabel("mAP of held-out items")
    if handles:
        figure.legend(handles=list(handles.values()), loc="outside lower center", ncols=5)
    last = {
        f"{title}, {name}": np.mean([history[-1] for history in histories])
        for title, curves in panels.items()
        for name, histories in curves.items()
    }
    return described(figure, f"Rising steps of the held-out mAP over the search. At its end: {listed(last)}.")


def across_lengths(scores: pd.DataFrame, bits: Sequence[int]) -> Figure:
    """mAP over code length, one curve per method, one panel per training set.

    Args:
        scores: `analysis.spherical.comparison`; any subset.
        bits: the code lengths of the axis.
    """
    figure, panels = plt.subplots(1, 2, figsize=(7.6, 3.2), sharey=True)
    styles = {ROTATED: method_style("spring") | {"linewidth": 2.2}}
    styles |= {METHODS[name].title: method_style(name) | {"markerfacecolor": "white"} for name in COMPARED}
    for axes, protocol in zip(panels, ("reduced", "full"), strict=True):
        panel_scores = scores[scores["protocol"] == protocol]
        for title, style in styles.items():
            means = panel_scores[panel_scores["method"] == title].groupby("bits")["map"].mean()
            axes.plot(means.index, means.to_numpy(), label=title, **style)
        axes.set(title=PROTOCOL_TITLES[protocol], xlabel="code length [bits]", xticks=bits)
        axes.set_xlim(min(bits) - 2, max(bits) + 2)
    panels[0].set_ylabel("mAP, all orders of ties")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=6)
    longest = scores[scores["bits"] == max(bits)]
    texts = (
        f"{PROTOCOL_TITLES[protocol]}, {max(bits)} bits: {listed(group.groupby('method')['map'].mean())}."
        for protocol, group in longest.groupby("protocol")
    )
    return described(figure, f"Curves of mAP over the code length, a panel for each training set. {' '.join(texts)}")


def balance(means: Mapping[str, ArrayLike], shares: Mapping[str, ArrayLike]) -> Figure:
    """The mean of each bit, and how far items of one class and of two lie apart.

    Args:
        means: name of a set of codes -> (bits,), as `code_statistics` has them.
        shares: the same names -> (bits + 1, 2), as `Evaluation.share_by_distance`.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.0))
    for index, name in enumerate(means):
        style = cycle_style(index)
        place = np.arange(1, len(means[name]) + 1) + 0.15 * (2 * index - 1)
        left.plot(place, means[name], label=name, **style | {"linestyle": ""})
        left.vlines(place, 0.0, means[name], color=style["color"], linewidth=1)
        for column, (kind, width) in enumerate({"within a class": 1.5, "between classes": 0.8}.items()):
            values = np.asarray(shares[name])[:, column]
            label = f"{kind}, {name}"
            filled = {} if column == 0 else {"markerfacecolor": "white"}
            right.plot(values, label=label, **style | {"linewidth": width, "markersize": 4}, **filled)
    left.axhline(0.0, color="0.4", linewidth=0.8, linestyle="-", marker="", zorder=1)
    left.set(xlabel="bit", ylabel="mean of the bit", ylim=(-1.0, 1.0))
    left.legend()
    right.set(xlabel="Hamming distance [bits]", ylabel="share of the pairs", ylim=(0.0, None))
    right.legend()
    farthest = {name: float(np.abs(values).max()) for name, values in means.items()}
    return described(
        figure,
        "Left, the mean of each bit. Right, histograms of the distances within a class and between classes. "
        f"Mean of the least balanced bit, without its sign: {listed(farthest)}.",
    )


def view(azimuth: float, elevation: float) -> np.ndarray:
    """Right, up and towards the viewer, the columns of an orthogonal matrix, of a view given in degrees."""
    turn, rise = np.radians([azimuth, elevation])
    towards = np.array([np.cos(rise) * np.cos(turn), np.cos(rise) * np.sin(turn), np.sin(rise)])
    right = np.array([-np.sin(turn), np.cos(turn), 0.0])
    return np.stack([right, np.cross(towards, right), towards], axis=1)


def _globe(axes: plt.Axes, points: np.ndarray, labels: np.ndarray, frame: np.ndarray) -> None:
    """The half of the sphere that faces the viewer: octants with their codes, and points as their labels."""
    _checkerboard(axes, frame)
    seen = points @ frame
    for name in np.unique(labels):
        places = seen[(labels == name) & (seen[:, 2] > 0)]
        axes.scatter(
            places[:, 0], places[:, 1], s=26, marker=f"${name}$", color=CLASS_COLORS[name], linewidths=0.3, zorder=2
        )
    for code in np.ndindex(2, 2, 2):
        middle = (2 * np.array(code) - 1) / np.sqrt(3.0) @ frame
        if middle[2] > 0.1:
            style = {"fontsize": 8, "ha": "center", "va": "center", "zorder": 1}
            box = {"facecolor": "white", "edgecolor": "0.6", "pad": 1.5, "alpha": 0.85}
            axes.text(middle[0], middle[1], "".join(SIGNS[list(code)]), bbox=box, **style)


def _checkerboard(axes: plt.Axes, frame: np.ndarray) -> None:
    """A disc in two greys, neighbouring codes in different ones; `frame` takes the plane, or the view, to the axes."""
    grid = np.linspace(-1.0, 1.0, 401)
    x, y = np.meshgrid(grid, grid)
    height = np.sqrt(np.maximum(0.0, 1.0 - x**2 - y**2))
    places = np.tensordot(frame, np.stack([x, y, height][: len(frame)]), axes=1)
    shade = np.where(x**2 + y**2 <= 1.0, 0.80 + 0.14 * ((places < 0).sum(axis=0) % 2), 1.0)
    extent = {"extent": (-1, 1, -1, 1), "origin": "lower", "interpolation": "nearest", "zorder": 0}
    axes.imshow(shade, cmap="gray", vmin=0.0, vmax=1.0, **extent)
    axes.add_patch(plt.Circle((0, 0), 1.0, fill=False, color="0.4", linewidth=0.8))
    axes.set(xlim=(-1.08, 1.08), ylim=(-1.08, 1.08))
    axes.set_axis_off()
