"""Where things lie; the only module that knows the tree."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
PUBLISHED = ROOT / "data" / "paper"  # the published numbers, one CSV a table
SPLITS = ROOT / "data" / "splits"  # divisions that are committed as indices
WEIGHTS = ROOT / "data" / "weights"  # of the digits' own backbones
COMMITTED = ROOT / "results" / "paper"  # what the repository carries: records under runs, and artefacts


def data() -> Path:
    """Folder of the data sets: ``QSMI_DATA``, or ``data/`` of the repository."""
    return Path(os.environ.get("QSMI_DATA") or ROOT / "data").expanduser().absolute()


def results(profile: str) -> Path:
    """Folder of a profile's results: ``QSMI_RESULTS/<profile>``, or ``results/<profile>`` of the repository."""
    return Path(os.environ.get("QSMI_RESULTS") or ROOT / "results").expanduser().absolute() / profile


def runs(profile: str) -> Path:
    """Folder of a profile's records."""
    return results(profile) / "runs"


def codes(profile: str, run_id: str) -> Path:
    """File of the codes of one run."""
    return results(profile) / "codes" / f"{run_id}.npz"


def model(profile: str, run_id: str) -> Path:
    """File of the weights of one run."""
    return results(profile) / "models" / f"{run_id}.safetensors"


def tuning(profile: str) -> Path:
    """Folder of a profile's line searches."""
    return results(profile) / "tuning"


def rotations(profile: str) -> Path:
    """Folder of a profile's searches for rotations."""
    return results(profile) / "rotations"


def tables(profile: str) -> Path:
    """Folder of a profile's tables."""
    return results(profile) / "tables"


def figures(profile: str) -> Path:
    """Folder of a profile's figures."""
    return results(profile) / "figures"


def notebooks(profile: str) -> Path:
    """Folder of a profile's executed notebooks."""
    return results(profile) / "notebooks"


def export() -> None:
    """Make the two variables absolute, so that kernels, which start elsewhere, see the same folders."""
    for name, folder in {"QSMI_DATA": data(), "QSMI_RESULTS": results("")}.items():
        if os.environ.get(name):
            os.environ[name] = str(folder)
