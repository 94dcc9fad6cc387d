"""The folder of results: for each run a small JSON record, codes and weights; and results of several runs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, get_type_hints

import numpy as np
from torch import Tensor

from qsmi_lib.codes import pack, unpack
from qsmi_lib.config.profiles import Profile
from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import Split
from qsmi_lib.training import splits
from qsmi_lib.utils import paths
from qsmi_lib.utils.io import write_arrays, write_text
from qsmi_lib.utils.reading import Between, damaged, read_arrays, read_json
from qsmi_lib.utils.validation import known

FORMAT = 1  # of the records that `save_record` writes
# The forms of records and of codes, see `reading.read_json` and `reading.read_arrays`.
OPTIONS = {...: (float, str, None)}
CONFIG = {f"{name}?": OPTIONS if name == "options" else kind for name, kind in get_type_hints(RunConfig).items()}
SCORES = ("map_11pt", "map", "map_expected", "map_optimistic", "map_pessimistic", "precision_radius2", "empty_radius2")
SHARE = Between(-1e-9, 1 + 1e-9)  # rounding may exceed 0 and 1
METRICS = {
    "n_without_relevant?": int,
    **{f"{name}?": SHARE for name in SCORES},
    **{f"{name}?": {...: SHARE} for name in ("map_at_k", "map_at_k_hits", "precision_at_k", "recall_at_k")},
    "precision_at_recall?": [SHARE],
    **{f"{name}?": [[SHARE]] for name in ("precision_recall_by_radius", "share_by_distance")},
}
MACHINE = {"precision": str, "features?": str, "seconds_evaluate?": float, "threads?": int}
RECORD = {
    "config": CONFIG,
    "metrics": METRICS,
    "provenance": MACHINE | {"seconds_train": float, "commit?": (str, None), "dirty?": (bool, None)},
    "metrics_share_one?": METRICS,
    "ap_by_label?": [(SHARE, None)],
    "n_by_label?": [int],
    "codes?": {"bit_mean?": [float], "bit_entropy?": float, "code_entropy?": float, "n_distinct?": int},
    "data?": str,
    "history?": [{...: float}],
    "probe?": ([float], str),
    "probe_provenance?": MACHINE,
}
PRECISIONS = ("float32", "bf16")
CODES = {
    "bits": ("iu", (0,)),
    "query": ("u", (2,)),
    "database": ("u", (2,)),
    "query_labels": ("iu", (1, 2)),
    "database_labels": ("iu", (1, 2)),
}
RUN_AGAIN = "delete it and run again with --fresh"


@dataclass(frozen=True)
class Store:
    """A folder of results: records, codes, weights, searches, artefacts, tables, figures and executed notebooks.

    Attributes:
        folder: it need not exist yet.
        committed: another folder of results, read if a file is missing in `folder`, never written to.
    """

    folder: Path
    committed: Path | None = None

    @classmethod
    def of(cls, profile: Profile) -> "Store":
        """The store of a profile; the committed records of `paper` can be read wherever results are written."""
        folder = paths.results() / profile.name
        fall_back = profile.name == paths.COMMITTED.name and folder != paths.COMMITTED
        return cls(folder, paths.COMMITTED if fall_back else None)

    def existing(self, path: Path) -> Path:
        """`path`, a file of this store, or the committed file of the same name if only that exists."""
        if self.committed is None or path.exists():
            return path
        committed = self.committed / path.relative_to(self.folder)
        return committed if committed.exists() else path

    def files(self, folder: Path) -> list[Path]:
        """The JSON files in `folder` of this store, and the committed ones that it lacks, sorted by name.

        Raises:
            OSError: the folder is there and cannot be read.
        """
        folders = [folder] if self.committed is None else [self.committed / folder.relative_to(self.folder), folder]
        names = {path.name: path for each in folders if each.exists() for path in each.iterdir()}
        return [names[name] for name in sorted(names) if name.endswith(".json") and not name.startswith(".")]

    def need_records(self) -> None:
        """Raise a FileNotFoundError with the remedy where no run and no rotation is recorded."""
        if not self.files(self.runs) and not self.files(self.rotations):
            raise FileNotFoundError(
                f"no records in {self.folder}: `qsmi run` and `qsmi reproduce` make them; or set QSMI_RESULTS to the "
                "folder of results that has them"
            )

    def record(self, run: str) -> Path:
        """File of the record of a run."""
        return self.runs / f"{run}.json"

    def codes(self, run: str) -> Path:
        """File of the codes of a run."""
        return self.folder / "codes" / f"{run}.npz"

    def model(self, run: str) -> Path:
        """File of the weights of a run."""
        return self.folder / "models" / f"{run}.safetensors"

    def artefact(self, name: str) -> Path:
        """File of an artefact, which is computed from several runs or their codes."""
        return self.folder / "artefacts" / name

    @property
    def runs(self) -> Path:
        """Folder of the records."""
        return self.folder / "runs"

    @property
    def rotations(self) -> Path:
        """Folder of the searches for rotations."""
        return self.folder / "rotations"

    @property
    def tuning(self) -> Path:
        """Folder of the line searches for hyper-parameters."""
        return self.folder / "tuning"

    @property
    def trials(self) -> "Store":
        """The store of the runs that line searches and rotations need, separate from those of the profile."""
        return Store(self.tuning)

    @property
    def tables(self) -> Path:
        """Folder of the tables."""
        return self.folder / "tables"

    @property
    def figures(self) -> Path:
        """Folder of the figures."""
        return self.folder / "figures"

    @property
    def notebooks(self) -> Path:
        """Folder of the executed notebooks."""
        return self.folder / "notebooks"


COMMITTED = Store(paths.COMMITTED)  # the results in the repository


def run_id(config: RunConfig) -> str:
    """The name of the record of `config`; it contains a hash of the configuration and the split."""
    return config.run_id(fingerprint(config))


def fingerprint(config: RunConfig) -> str:
    """Identifies the split of `config` without loading it; a ValueError if its backbone would leak labels."""
    return splits.fingerprint(config.dataset, config.draw, config.protocol, config.backbone, config.labels)


def save_record(record: dict, path: Path) -> None:
    """Write `record` to `path`, completely or not at all, with one line for each top-level key."""
    record = {"format": FORMAT} | record
    lines = (f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in record.items())
    write_text(path, "{" + ",\n ".join(lines) + "}\n")


def load_record(path: Path, config: RunConfig | None = None, *, form: Mapping = RECORD) -> dict:
    """The record at `path`.

    Args:
        path: the file.
        config: the configuration that it must have; None: any.
        form: what it must look like, see `reading.Form`.

    Raises:
        FileNotFoundError, OSError: it is not there, or cannot be read.
        ValueError: the file is not a record, has a later format, or is the record of another configuration; the message
            names the file.
    """
    record = read_json(path, form, version=FORMAT)
    try:
        recorded = RunConfig.from_dict(record["config"])
        for name in ("provenance", "probe_provenance"):
            known("precision", dict.fromkeys(PRECISIONS), record.get(name, record["provenance"])["precision"])
        _check_lengths(record, recorded.bits)
    except (TypeError, ValueError) as error:
        raise damaged(path, f"it is not a record: {error}") from error
    if config is not None and recorded != config:
        raise damaged(path, "it is the record of another configuration than its name says")
    return record


def _check_lengths(record: dict, bits: int) -> None:
    """A ValueError where a curve of `record` does not have the length that codes of `bits` bits give it."""
    curves = [(("codes", "bit_mean"), (bits,))]
    for metrics in ("metrics", "metrics_share_one"):
        curves += [((metrics, "precision_at_recall"), (11,))]
        curves += [((metrics, name), (bits + 1, 2)) for name in ("precision_recall_by_radius", "share_by_distance")]
    for (part, name), shape in curves:
        curve = record.get(part, {}).get(name)
        if curve is not None and (len(curve) != shape[0] or any(len(row) != n for n in shape[1:] for row in curve)):
            raise ValueError(f"{part}.{name} must have shape {shape}")


def by_any_label(record: dict) -> dict:
    """The metrics by the usual rule: an item is relevant if it shares at least one label with the query."""
    return record.get("metrics_share_one", record["metrics"])


class SavedCodes(NamedTuple):
    """Codes and labels of one run: int8 (n, bits) of -1 and +1, and int64 (n,) or multi-hot (n, c)."""

    query: np.ndarray
    database: np.ndarray
    query_labels: np.ndarray
    database_labels: np.ndarray


def save_codes(path: Path, query: Tensor, database: Tensor, split: Split) -> None:
    """Write packed codes and labels, from which metrics can be computed again; completely or not at all."""
    write_arrays(
        path,
        bits=np.array(query.shape[1]),
        query=pack(query.cpu().numpy()),
        database=pack(database.cpu().numpy()),
        query_labels=split.query.labels.cpu().numpy(),
        database_labels=split.database.labels.cpu().numpy(),
    )


def load_codes(path: Path) -> SavedCodes:
    """The codes that `save_codes` wrote to `path`; a ValueError names a damaged file."""
    saved = read_arrays(path, CODES, RUN_AGAIN)
    bits, n_words = int(saved["bits"]), saved["query"].shape[1]
    parts = [(saved[name], saved[f"{name}_labels"]) for name in ("query", "database")]
    for words, labels in parts:
        if words.dtype != np.uint64 or words.shape[1] != n_words or not 64 * (n_words - 1) < bits <= 64 * n_words:
            raise damaged(path, f"codes of {bits} bits need uint64 words, got {words.dtype} {words.shape}", RUN_AGAIN)
        if len(words) != len(labels) or not len(words):
            raise damaged(path, f"{len(words)} codes need a label each, got {len(labels)}", RUN_AGAIN)
    (_, one), (_, other) = parts
    if one.shape[1:] != other.shape[1:]:
        raise damaged(path, f"labels of shape {one.shape} and {other.shape} do not fit each other", RUN_AGAIN)
    return SavedCodes(*(unpack(words, bits) for words, _ in parts), *(labels for _, labels in parts))


def codes_of(config: RunConfig, store: Store) -> SavedCodes:
    """The codes of a recorded run, from `store` or from the committed artefacts.

    Raises:
        FileNotFoundError: neither has them; the message says how to compute them.
    """
    run = run_id(config)
    for path in (store.codes(run), COMMITTED.artefact(f"{run}.npz")):
        if path.exists():
            return load_codes(path)
    raise FileNotFoundError(f"the codes of {run} are not on this machine: run the experiment with --fresh")
