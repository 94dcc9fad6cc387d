"""Figures as functions of data: each takes what it draws and returns a matplotlib `Figure`; none computes a result."""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from qsmi_lib.files import whole

plt.style.use(Path(__file__).with_name("qsmi.mplstyle"))


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write `figure` as ``<name>.png`` and ``<name>.pdf`` into `folder`, undated, so that equal figures are equal."""
    written = []
    for kind, metadata in {"png": {"Software": None}, "pdf": {"CreationDate": None}}.items():
        with whole(folder / f"{name}.{kind}") as partial:
            figure.savefig(partial, format=kind, metadata=metadata)
        written.append(folder / f"{name}.{kind}")
    return written
