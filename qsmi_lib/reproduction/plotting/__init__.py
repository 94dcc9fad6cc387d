"""Figures as functions of data: each takes what it draws and returns a matplotlib `Figure`; none computes a result."""

from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from qsmi_lib.utils.io import atomic_write

plt.style.use(Path(__file__).with_name("qsmi.mplstyle"))


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


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
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
