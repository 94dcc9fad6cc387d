"""What figures share: the styles of curves, a caption below a figure, and how a figure is saved."""

from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from qsmi_lib.utils.io import atomic_write

DPI = 71  # on the screen and in the notebook, which must stay small; files are written at 150


def captioned(figure: Figure, caption: str) -> Figure:
    """`figure` with a caption below it, for readers who see the figure alone."""
    figure.text(0.01, -0.01, caption, fontsize=7.5, color="0.3", ha="left", va="top")
    return figure


def awaited(caption: str) -> Figure:
    """An empty figure that says "not recorded yet"."""
    figure, axes = plt.subplots(dpi=DPI, figsize=(4.8, 0.8))
    axes.text(0.5, 0.5, "not recorded yet", ha="center", va="center", color="0.3")
    axes.set_axis_off()
    return captioned(figure, caption)


def cycle_style(index: int) -> dict:
    """Colour, line style and marker number `index` of the style's cycle, for curves that share or carry something."""
    return list(plt.rcParams["axes.prop_cycle"])[index % len(plt.rcParams["axes.prop_cycle"])]


def distinct_style(index: int) -> dict:
    """As `cycle_style`, with three more than the cycle has: up to nine curves that nothing else tells apart."""
    further = [
        {"marker": "x", "linestyle": ":", "color": "0.4"},
        {"marker": "*", "linestyle": "-", "color": "black"},
        {"marker": "+", "linestyle": "--", "color": "black"},
    ]
    n = len(plt.rcParams["axes.prop_cycle"])
    return cycle_style(index) if index < n else further[index - n]


def save_figure(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write `figure` as ``<name>.png`` and ``<name>.pdf`` into `folder`, undated, so that equal figures are equal.

    The PNG has a palette of 256 colours: a figure of few colours and their blends looks the same at 40 % of the bytes.
    """
    png, pdf = (folder / f"{name}.{kind}" for kind in ("png", "pdf"))
    drawn = BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None})
    with atomic_write(png) as partial:
        Image.open(drawn).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(partial, "png", optimize=True)
    with atomic_write(pdf) as partial:
        figure.savefig(partial, format="pdf", metadata={"CreationDate": None})
    return [png, pdf]
