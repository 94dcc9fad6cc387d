"""Points of classes on the circle or the sphere under gradient descent, with the square clamp beside without it."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import PillowWriter
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from torch import Tensor

from qsmi_lib.reproduction.analysis.descent import class_directions, descend, pulls, random_points, smallest_angle
from qsmi_lib.reproduction.plotting.spherical import view
from qsmi_lib.reproduction.plotting.style import described

CLASSES = (("#0072B2", "o"), ("#E69F00", "s"), ("#CC79A7", "^"), ("black", "D"), ("#56B4E9", "v"), ("0.5", "P"))
SIMILAR = {"color": "#009E73", "linestyle": "-", "label": "pull of a similar point"}
DISSIMILAR = {"color": "#D55E00", "linestyle": "--", "label": "push of a dissimilar point"}
ARC = {"color": "black", "linestyle": "-", "label": "smallest angle"}
TITLES = {True: "with the clamp", False: "without the clamp"}
REACH = 1.3  # of the axes; the circle has radius 1
PALE = 0.35  # what lies on the far side of the sphere
TAIL = 10  # steps behind each point that are drawn
FULL_TURN = np.linspace(0.0, 2.0 * np.pi, 73)


def side_by_side(
    paths: Mapping[bool, Tensor], labels: Tensor, step: int | Sequence[int] = 0, point: int = 0, azimuth: float = 30.0
) -> Figure:
    """Where the points are after `step` steps, the last steps of each, and the pull of each pair on one of them.

    A line goes from the chosen point towards each similar point, and away from each dissimilar one. Its length is
    proportional to the size of that pair's gradient (`analysis.descent.pulls`).

    Args:
        paths: clamp or not -> (n_steps + 1, n, 2 or 3), from `analysis.descent.descend`.
        labels: int (n,), at most six classes.
        step: of the descent; several steps are the columns of one figure.
        point: the chosen one, from 0 to n - 1.
        azimuth: of points on the sphere, from where it is seen, in degrees around the third axis.
    """
    steps, several = np.atleast_1d(step), np.ndim(step) > 0
    shape, side = ((len(paths), len(steps)), 1.65) if several else ((1, len(paths)), 3.1)
    figure, panels = plt.subplots(*shape, figsize=(side * shape[1], (side + 0.4) * shape[0] + 0.35), squeeze=False)
    cells = [(clamp, number) for clamp in paths for number in steps]
    for axes, (clamp, number) in zip(panels.flat, cells, strict=True):
        _panel(axes, paths[clamp][: number + 1], labels, clamp, point, azimuth)
    _legend(figure)
    angles = (f"step {n}, {TITLES[clamp]}: {smallest_angle(paths[clamp][n], labels):.0f} degrees" for clamp, n in cells)
    where = "on a circle" if paths[cells[0][0]].shape[2] == 2 else "on a sphere"
    return described(figure, f"Points of several classes {where}. Smallest angle between two: {'; '.join(angles)}.")


def write_gif(path: Path, *, seed: int = 1, every: int = 2, n_frames: int = 31) -> None:
    """Write four classes in the plane, with the clamp and without it, as an animation; equal calls give equal files.

    Args:
        path: the GIF.
        seed: of the start.
        every: number of steps between two frames.
        n_frames: how many; the last one stays for two seconds.
    """
    start, labels = random_points(4, 2, seed)
    paths = {clamp: descend(start, labels, clamp=clamp) for clamp in TITLES}
    figure, writer = side_by_side(paths, labels), PillowWriter(fps=10)
    for _ in range(2):  # the layout settles at the second drawing
        figure.draw_without_rendering()
    figure.set_layout_engine("none")  # the panels stay where they are
    with writer.saving(figure, path, dpi=72):
        for frame in [*range(n_frames), *[n_frames - 1] * 20]:
            for axes, clamp in zip(figure.axes, paths, strict=True):
                axes.clear()
                _panel(axes, paths[clamp][: every * frame + 1], labels, clamp, point=0, azimuth=0.0)
            writer.grab_frame()
    plt.close(figure)


def _panel(axes: plt.Axes, path: Tensor, labels: Tensor, clamp: bool, point: int, azimuth: float) -> None:
    """One descent at its last step; what lies on the far side of the sphere is pale."""
    axes.set_axis_off()
    axes.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal")
    axes.add_patch(plt.Circle((0, 0), 1.0, facecolor="0.97", edgecolor="0.75", linewidth=0.8))
    if path.shape[2] == 2:
        frame = np.eye(2)
    else:
        frame = view(azimuth, 25.0)
        axes.add_collection(LineCollection(_great_circles() @ frame[:, :2], colors="0.87", linewidths=0.6))
    tails, here = (path[-TAIL:].numpy() @ frame).swapaxes(0, 1), path[-1].numpy() @ frame
    colors = np.array([color for color, _ in CLASSES])
    axes.add_collection(LineCollection(tails[:, :, :2], colors=colors[labels], linewidths=0.8, alpha=0.5))
    directions = class_directions(path[-1], labels).numpy()
    rays = np.stack([np.zeros_like(directions), directions], axis=1) @ frame
    alphas = np.where(_far(rays[:, 1]), PALE, 1.0)
    axes.add_collection(LineCollection(rays[:, :, :2], colors=colors[: len(rays)], linewidths=1.2, alpha=alphas))
    axes.plot(*(_arc(directions) @ frame)[:, :2].T, marker="", linewidth=1.4, **ARC)
    for label, (color, marker) in enumerate(CLASSES):
        for hidden in (False, True):
            members = here[(labels.numpy() == label) & (_far(here) == hidden)]
            style = {"color": color, "markersize": 6.5, "linestyle": "", "zorder": 3}
            style |= {"markeredgecolor": "white", "markeredgewidth": 0.5}
            axes.plot(*members[:, :2].T, marker=marker, alpha=PALE if hidden else 1.0, **style)
    _pulls(axes, path[-1], labels, clamp, point, frame)
    angle = smallest_angle(path[-1], labels)
    axes.set_title(f"{TITLES[clamp]}\nstep {len(path) - 1}: {angle:.0f}°")


def _pulls(axes: plt.Axes, points: Tensor, labels: Tensor, clamp: bool, point: int, frame: np.ndarray) -> None:
    """The lines of `side_by_side` at the chosen point."""
    size = len(labels) * pulls(points, labels, clamp=clamp)[point].norm(dim=1, keepdim=True)
    towards = points - points[point]
    lines = size * towards / towards.norm(dim=1, keepdim=True).clamp_min(1e-12)
    similar = labels == labels[point]
    for style, kind, sign in ((SIMILAR, similar, 1), (DISSIMILAR, ~similar, -1)):
        ends = (points[point] + sign * lines[kind]).numpy() @ frame
        starts = np.broadcast_to(points[point].numpy() @ frame, ends.shape)
        segments = np.stack([starts, ends], axis=1)[:, :, :2]
        axes.add_collection(LineCollection(segments, linewidth=1.4, zorder=3.5, **style))
    place = points[point].numpy() @ frame
    axes.plot(*place[:2], "o", color="none", markeredgecolor="black", markersize=10, zorder=4)


def _far(places: np.ndarray) -> np.ndarray:
    """Which places (n, 2 or 3) are on the far side of the sphere; none of the plane."""
    return places[:, 2:].sum(axis=1) < 0


def _great_circles() -> np.ndarray:
    """The three circles where a coordinate is 0, (3, places, 3)."""
    circle = np.stack([np.cos(FULL_TURN), np.sin(FULL_TURN), np.zeros_like(FULL_TURN)], axis=1)
    return np.stack([np.roll(circle, shift, axis=1) for shift in range(3)])


def _arc(directions: np.ndarray) -> np.ndarray:
    """The arc between the nearest two of `directions`, half as long as they, (places, bits)."""
    cosines = directions @ directions.T - 2 * np.eye(len(directions))
    first, second = directions[list(np.unravel_index(cosines.argmax(), cosines.shape))]
    arc = first + np.linspace(0.0, 1.0, 20)[:, None] * (second - first)
    return 0.5 * arc / np.linalg.norm(arc, axis=1, keepdims=True)


def _legend(figure: Figure) -> None:
    """What the lines are."""
    lines = [plt.Line2D([], [], **style) for style in (SIMILAR, DISSIMILAR, ARC)]
    figure.legend(handles=lines, loc="outside lower center", ncols=3)


if __name__ == "__main__":
    write_gif(Path(sys.argv[1]))
