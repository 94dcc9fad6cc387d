"""Provenance: what made a record, and a probe by which today's code can be compared with the code that made it.

The probe of a run is short and can be replayed: the losses of its first three batches, or, where nothing is trained,
the codes of the first hundred database items.
"""

import datetime
import platform
import subprocess

import numpy as np
import torch

from qsmi_lib.codes import pack
from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import Split
from qsmi_lib.training import loop
from qsmi_lib.training.records import COMMITTED, Store
from qsmi_lib.utils import paths

N_CODES = 100  # of the probe of a method that trains nothing
# Relative, between machines: of losses by precision (frozen features may be in bf16 in any case), and of the mAP at the
# start of a search for a rotation, where a changed rounding may turn a few bits.
TOLERANCES = {"float32": 2e-3, "bf16": 5e-3, "rotation": 2e-2}
DIFFERENT_BITS = 1e-3  # share of the bits of a probe's codes that may differ


def provenance(device: str, precision: str) -> dict:
    """What makes a record: commit, versions, machine; the run adds its times."""
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


def require_commit(store: Store) -> None:
    """A ValueError where `store` is the committed one and the code that would fill it has no commit of its own."""
    if store.folder.resolve() != COMMITTED.folder.resolve() and COMMITTED.folder.resolve() not in (
        store.folder.resolve().parents
    ):
        return
    if _git("rev-parse", "HEAD") is None:
        raise ValueError(f"{store.folder} takes records of committed code only, and git names no commit here: "
                         "set QSMI_RESULTS to another folder")  # fmt: skip
    if changes := _git("status", "--porcelain", "--", "qsmi_lib"):
        raise ValueError(
            f"{store.folder} takes records of committed code only, and qsmi_lib has uncommitted changes "
            f"({changes.splitlines()[0].strip()} ...): commit them, or set QSMI_RESULTS to another folder"
        )


def replay(config: RunConfig, split: Split, precision: str) -> list[float] | str:
    """The probe of `config`, computed now.

    Args:
        config: the run.
        split: what it trains on.
        precision: in which the record was made, "float32" or "bf16".

    Returns:
        The losses of the first three batches, to six digits; or, where nothing is trained, the codes of the first 100
        database items, packed, as hexadecimal digits.
    """
    with loop.computing(config, split):
        return probe_of(loop.train_briefly(config, split, loop.N_FIRST, precision), split)


def probe_of(trained: loop.Trained, split: Split) -> list[float] | str:
    """The probe of a run that was trained on `split`, whole or briefly; see `replay`."""
    if trained.first_losses:
        return trained.first_losses
    codes = loop.encode(trained.model, split.database.inputs[:N_CODES], precision=trained.precision)
    return pack(codes.cpu().numpy()).tobytes().hex()


def disagreement(recorded: list[float] | str, replayed: list[float] | str, kind: str) -> str:
    """In what two probes of one run differ by more than machines do, as a clause; "" where they agree.

    Args:
        recorded: the probe of the record.
        replayed: what `replay` gave.
        kind: one of `TOLERANCES`; of no use to codes.
    """
    if isinstance(recorded, str):
        bits = [np.unpackbits(np.frombuffer(bytes.fromhex(probe), np.uint8)) for probe in (recorded, replayed)]
        if len(bits[0]) != len(bits[1]):
            return f"{len(bits[1])} bits, recorded {len(bits[0])}"
        different = (bits[0] != bits[1]).mean()
        return f"{different:.1%} of the bits differ" if different > DIFFERENT_BITS else ""
    off = np.abs(np.subtract(replayed, recorded)) / np.maximum(np.abs(recorded), 1e-12)
    if off.max() <= TOLERANCES[kind]:
        return ""
    batch = int((off > TOLERANCES[kind]).argmax())
    what = "mAP" if kind == "rotation" else f"loss of batch {batch + 1}"
    return f"{what}: {replayed[batch]:g}, recorded {recorded[batch]:g}"


def _git(*arguments: str) -> str | None:
    """What git says of the repository; None where there is no git or it refuses, or the package has no repository."""
    if not (paths.ROOT / ".git").exists():
        return None
    try:
        git = subprocess.run(["git", *arguments], cwd=paths.ROOT, capture_output=True, text=True, check=True)
        return git.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
