"""Figures as functions of data: each takes what it draws and returns a matplotlib `Figure`; none computes a result."""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

plt.style.use(Path(__file__).with_name("qsmi.mplstyle"))


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write `figure` as ``<name>.png`` and ``<name>.pdf`` into `folder`, undated, so that equal figures are equal."""
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{name}.png", metadata={"Software": None})
    figure.savefig(folder / f"{name}.pdf", metadata={"CreationDate": None})
