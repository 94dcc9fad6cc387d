"""Provenance: which commit made a record, and a probe that compares the current code with that code.

The probe of a run can be replayed quickly: it is the losses of its first three batches, or, for a method that trains
nothing, the codes of the first 100 database items.
"""

import datetime
import platform
import subprocess

import numpy as np
import torch

from qsmi_lib.codes import pack, unpack
from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import Split
from qsmi_lib.training import loop
from qsmi_lib.training.records import COMMITTED, Store
from qsmi_lib.utils import paths

N_CODES = 100  # in the probe of a method that trains nothing
# Tolerated relative differences between machines, for the first number of a probe and for the others. "float32" and
# "bf16" are for losses; "rotation" is for the mAP at the start of a search, where rounding may flip a few bits.
# Measured between AVX512 and AVX2: below 1e-6 in float32; 3e-5 and 2e-3 in bf16 (2e-2 for PGDH, whose losses are
# near 0); 1.5e-2 for the mAP.
TOLERANCES = {"float32": (1e-3, 1e-3), "bf16": (4e-3, 1e-2), "rotation": (3e-2, 3e-2)}
DIFFERENT_BITS = 1e-3  # share of the bits of a probe's codes that may differ between machines


def provenance(device: str, precision: str) -> dict:
    """Commit, versions and machine; a run adds its times later."""
    changes = _uncommitted_changes()
    return {
        "commit": _git("rev-parse", "HEAD"),
        "dirty": None if changes is None else bool(changes),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
        "device": device,
        "threads": torch.get_num_threads(),
        "precision": precision,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def require_commit(store: Store) -> None:
    """Refuse to write into the committed folder of results with uncommitted code; called before training.

    In any other folder such a record is written; its provenance says that the code was not committed.

    Raises:
        ValueError: `store` is the committed folder, or a folder in it (such as the trials of the line searches), and
            git knows no commit or `qsmi_lib` has uncommitted changes.
    """
    if not store.folder.resolve().is_relative_to(COMMITTED.folder.resolve()):
        return
    rule = f"{store.folder} takes records of committed code only"
    changes = _uncommitted_changes()
    if _git("rev-parse", "HEAD") is None or changes is None:
        raise ValueError(f"{rule}, and git names no commit here: set QSMI_RESULTS to another folder")
    if changes:
        raise ValueError(
            f"{rule}, and qsmi_lib has uncommitted changes ({changes.splitlines()[0].strip()} ...): "
            "commit them, or set QSMI_RESULTS to another folder"
        )


def replay(config: RunConfig, split: Split, precision: str) -> list[float] | str:
    """The probe of `config`, computed with the current code.

    Args:
        config: the run.
        split: what it trains on.
        precision: that of the record, "float32" or "bf16".

    Returns:
        The losses of the first three batches, to six digits. For a method that trains nothing: the codes of the first
        100 database items, packed into words as `codes.pack` does, as hexadecimal digits.
    """
    with loop.computing(config, split):
        return probe_of(loop.train_briefly(config, split, loop.N_FIRST, precision), split)


def probe_of(trained: loop.Trained, split: Split) -> list[float] | str:
    """The probe of `trained`, which was trained on `split` completely or with `train_briefly`; see `replay`."""
    if trained.first_losses:
        return trained.first_losses
    codes = loop.encode(trained.model, split.database.inputs[:N_CODES], precision=trained.precision)
    return pack(codes.cpu().numpy()).tobytes().hex()


def disagreement(recorded: list[float] | str, replayed: list[float] | str, kind: str, bits: int) -> str:
    """How two probes of one run differ, as a clause; "" if the difference is within the tolerances between machines.

    Args:
        recorded: the probe of the record.
        replayed: what `replay` gave.
        kind: one of `TOLERANCES`, for numbers.
        bits: code length of the run, for codes.
    """
    if isinstance(recorded, str):
        return _disagreement_of_codes(recorded, replayed, bits)
    if len(recorded) != len(replayed):
        return f"{len(replayed)} numbers, recorded {len(recorded)}"
    size = np.abs(recorded)
    size[1:] = size.max()  # losses may come near 0: their scale is the largest loss of the probe
    first, others = TOLERANCES[kind]
    allowed = np.where(np.arange(len(size)) == 0, first, others) * np.maximum(size, 1e-12)
    beyond = ~(np.abs(np.subtract(replayed, recorded)) <= allowed)  # NaN is beyond too
    if not beyond.any():
        return ""
    place = int(beyond.argmax())
    name = "mAP" if kind == "rotation" else f"loss of batch {place + 1}"
    return f"{name}: {replayed[place]:g}, recorded {recorded[place]:g}"


def _disagreement_of_codes(recorded: str, replayed: str, bits: int) -> str:
    """`disagreement` of packed codes; the bits that fill their last words do not count."""
    n_words = -(-bits // 64)
    one, other = (np.frombuffer(bytes.fromhex(probe), np.uint64).reshape(-1, n_words) for probe in (recorded, replayed))
    if len(one) != len(other):
        return f"{len(other)} codes, recorded {len(one)}"
    different = (unpack(one, bits) != unpack(other, bits)).mean()
    return f"{different:.1%} of the bits differ" if different > DIFFERENT_BITS else ""


def _uncommitted_changes() -> str | None:
    """The changed files of the package, one a line; "" if there are none, None where there is no repository."""
    return _git("status", "--porcelain", "--", "qsmi_lib")


def _git(*arguments: str) -> str | None:
    """Output of a git command in the checkout; None where there is no checkout, no git, or the command fails."""
    if not (paths.ROOT / ".git").exists():
        return None
    command = ["git", "--no-optional-locks", *arguments]  # killed with this process, it would leave the index locked
    try:
        git = subprocess.run(command, cwd=paths.ROOT, capture_output=True, encoding="utf-8", check=True)
        return git.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
