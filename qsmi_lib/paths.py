"""Where things lie; the only module that knows the tree."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
PUBLISHED = ROOT / "data" / "paper"  # the published numbers, one CSV a table
COMMITTED = ROOT / "results" / "paper"  # the records that the repository carries


def data() -> Path:
    """Folder of the data sets: ``QSMI_DATA``, or ``data/`` of the repository."""
    return Path(os.environ.get("QSMI_DATA") or ROOT / "data")


def results(profile: str) -> Path:
    """Folder of a profile's results: ``QSMI_RESULTS/<profile>``, or ``results/<profile>`` of the repository."""
    return Path(os.environ.get("QSMI_RESULTS") or ROOT / "results") / profile
