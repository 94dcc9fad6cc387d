"""Folders and files of data and results; the only module that knows the layout."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
PUBLISHED = ROOT / "data" / "paper"  # the published numbers, one CSV a table
SPLITS = ROOT / "data" / "splits"  # splits that are committed as indices
WEIGHTS = ROOT / "data" / "weights"  # of the digits' own backbones
COMMITTED = ROOT / "results" / "paper"  # the committed records, under runs, and artefacts


def data() -> Path:
    """Folder of the data sets: ``QSMI_DATA``, or ``data/`` of the repository."""
    return Path(os.environ.get("QSMI_DATA") or ROOT / "data").expanduser().absolute()


def results() -> Path:
    """Folder of the results of all profiles: ``QSMI_RESULTS``, or ``results/`` of the repository."""
    return Path(os.environ.get("QSMI_RESULTS") or ROOT / "results").expanduser().absolute()


def cache() -> Path:
    """Folder of what can be computed again: features, codes of folders, decoded data sets."""
    return results() / "cache"


def export() -> None:
    """Make QSMI_DATA and QSMI_RESULTS absolute, so that processes in other folders use the same ones."""
    for name, folder in {"QSMI_DATA": data(), "QSMI_RESULTS": results()}.items():
        if os.environ.get(name):
            os.environ[name] = str(folder)
