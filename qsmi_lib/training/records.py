"""Records: one small JSON file a run, written whole or not at all; what made it stands in it."""

import datetime
import json
import platform
import subprocess
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
from torch import Tensor

from qsmi_lib.codes import pack, unpack
from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import Split
from qsmi_lib.utils import paths
from qsmi_lib.utils.files import write_arrays, write_text

KEYS = ("config", "metrics", "provenance")  # what a record has at least


def save(record: dict, path: Path) -> None:
    """Write `record` to `path`, one top-level key a line; a reader sees the old file or the new one, never a part."""
    lines = (f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in record.items())
    write_text(path, "{" + ",\n ".join(lines) + "}\n")


def load(path: Path) -> dict:
    """The record at `path`; a ValueError names a file that is not one."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not a record: {error}; delete it and run again") from error
    if not isinstance(record, dict) or (missing := [key for key in KEYS if record.get(key) is None]):
        lack = f"it lacks {', '.join(missing)}" if isinstance(record, dict) else "it is no JSON object"
        raise ValueError(f"{path} is not a record: {lack}; delete it and run again")
    return record


def load_run(path: Path, config: RunConfig) -> dict:
    """The record at `path`; a ValueError where it is not the one of `config`."""
    record = load(path)
    if record["config"] != config.to_dict():
        raise ValueError(f"{path} is not the record of its name: its configuration is another; delete it and run again")
    return record


def by_any_label(record: dict) -> dict:
    """The metrics by which an item is relevant that shares any label, the field's rule, also with several labels."""
    return record.get("metrics_share_one", record["metrics"])


def provenance(device: str, precision: str) -> dict:
    """What made a record: commit, versions, machine; the run adds its times."""
    import torch

    return {
        "commit": _git("rev-parse", "HEAD"),
        "dirty": None if (changes := _git("status", "--porcelain", "--", "qsmi_lib")) is None else bool(changes),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
        "device": device,
        "threads": torch.get_num_threads(),
        "precision": precision,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _git(*arguments: str) -> str | None:
    """What git says of the repository; None where there is no git or it refuses, or the package has no repository."""
    if not (paths.ROOT / ".git").exists():
        return None
    try:
        git = subprocess.run(["git", *arguments], cwd=paths.ROOT, capture_output=True, text=True, check=True)
        return git.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


class SavedCodes(NamedTuple):
    """Codes and labels of one run: int8 (n, bits) of -1 and +1, and int64 (n,) or multi-hot (n, c)."""

    query: np.ndarray
    database: np.ndarray
    query_labels: np.ndarray
    database_labels: np.ndarray


def saved_codes(path: Path) -> SavedCodes:
    """The codes that a run wrote to `path`; a ValueError names a file that is damaged."""
    try:
        with np.load(path) as saved:
            query, database = (unpack(saved[part], int(saved["bits"])) for part in ("query", "database"))
            return SavedCodes(query, database, saved["query_labels"], saved["database_labels"])
    except (BadZipFile, EOFError, KeyError, ValueError) as error:
        raise ValueError(f"{path} holds no codes of a run: {error}; delete it and run again") from error


def save_codes(path: Path, query: Tensor, database: Tensor, split: Split) -> None:
    """Packed codes and labels, so that metrics can be computed again without training; whole or not at all."""
    write_arrays(
        path,
        bits=np.array(query.shape[1]),
        query=pack(query.cpu().numpy()),
        database=pack(database.cpu().numpy()),
        query_labels=split.query.labels.cpu().numpy(),
        database_labels=split.database.labels.cpu().numpy(),
    )
