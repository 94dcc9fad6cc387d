"""Folders and files of data and results; the only module that knows the layout.

Results lie under ``QSMI_RESULTS``, else in the checkout that the package lies in, else under ``./results``; data under
``QSMI_DATA``, else in the checkout, else in the user's cache folder. What is committed is read from the checkout alone.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
PUBLISHED = ROOT / "data" / "paper"  # the published numbers, one CSV a table
SPLITS = ROOT / "data" / "splits"  # splits that are committed as indices
WEIGHTS = ROOT / "data" / "weights"  # of the digits' own backbones
BENCHMARKS = ROOT / "results" / "benchmarks"  # the committed tables of the benchmarks
COMMITTED = ROOT / "results" / "paper"  # the committed records, under runs, and artefacts


def is_checkout() -> bool:
    """Whether the package lies in a checkout of the repository, and not in a folder of installed packages."""
    return (ROOT / "pyproject.toml").is_file() and (ROOT / "results" / "paper").is_dir()


def is_committed(path: Path) -> bool:
    """Whether `path` is a file of the repository that programs read: a record, a search, an artefact, a list, a table.

    Codes, weights and trials under `COMMITTED` are not in the repository.
    """
    folders = [COMMITTED / name for name in ("runs", "rotations", "tuning", "artefacts")]
    return path.is_relative_to(ROOT) and path.parent in (*folders, PUBLISHED, SPLITS, BENCHMARKS)


def need_checkout(what: str) -> None:
    """Raise a FileNotFoundError with the remedy where `what`, the subject of its sentence, needs the repository."""
    if not is_checkout():
        raise FileNotFoundError(
            f"{what} needs the repository, and only the package is installed: clone the repository, and install the "
            "package from there: pip install --editable '.[all]'"
        )


def data() -> Path:
    """Folder of the data sets: ``QSMI_DATA``, else ``data/`` of the checkout, else the user's cache folder."""
    default = ROOT / "data" if is_checkout() else user_cache() / "qsmi_lib"
    return expanded(os.environ.get("QSMI_DATA") or default).absolute()


def results() -> Path:
    """Folder of all results: ``QSMI_RESULTS``, else ``results/`` of the checkout, else ``./results``."""
    default = ROOT / "results" if is_checkout() else "results"
    return expanded(os.environ.get("QSMI_RESULTS") or default).absolute()


def expanded(path: Path | str) -> Path:
    """`path` with the home folder in place of ``~``; unchanged where ``~name`` names no user."""
    return Path(os.path.expanduser(path))  # that of `Path` raises a RuntimeError


def user_cache() -> Path:
    """The folder in which this system's programs keep what they can download again."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def cache() -> Path:
    """Folder of what can be computed again: features, codes of folders, decoded data sets."""
    return results() / "cache"


def export() -> None:
    """Make QSMI_DATA and QSMI_RESULTS absolute, so that processes in other folders use the same ones."""
    for name, folder in {"QSMI_DATA": data(), "QSMI_RESULTS": results()}.items():
        if os.environ.get(name):
            os.environ[name] = str(folder)
