"""Runs: train, encode, evaluate, record; what is recorded already is not run again."""

import tempfile
import time
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from joblib import delayed

from qsmi_lib import datasets
from qsmi_lib.codes import code_statistics
from qsmi_lib.config.run import RunConfig
from qsmi_lib.evaluation import evaluate
from qsmi_lib.training import factory, loop, records, splits
from qsmi_lib.utils import paths
from qsmi_lib.utils.parallel import workers
from qsmi_lib.utils.progress import bar

SMALL = 256  # numbers a picture: a network for so little, or a narrow head, is faster on one thread than on several
CUTOFFS = (1, 10, 100, 1000, 5000)  # k of the fields `..._at_k`, as far as the database reaches
FURTHER_CUTOFF = 500  # with several labels: what Table 8's 5,000 are where the database holds 1,500 items


def run(config: RunConfig, profile: str, *, fresh: bool = False) -> dict:
    """The record of `config` under `profile`: the one on disk, or that of a new run.

    Args:
        config: what to run.
        profile: whose folder of results.
        fresh: run again although a record is there.
    """
    path = record_path(config, profile)
    if path.exists() and not fresh:
        return records.load_run(path, config)
    path.parent.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=path.parent).close()  # a folder that cannot be written to fails before the training
    split = split_of(config, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    return finish(config, *train(config, split), split, profile)


def finish(config: RunConfig, trained: loop.Trained, provenance: dict, split: datasets.Split, profile: str) -> dict:
    """Encode and score what was trained; write model, codes and, last, the record, which is returned."""
    path = record_path(config, profile)
    start = time.perf_counter()
    query, database = (
        loop.encode(trained.model, part.inputs, precision=trained.precision, batch_size=factory.batch_size(config))
        for part in (split.query, split.database)
    )
    scored = scores(query, database, split.query.labels, split.database.labels)
    provenance = provenance | {"seconds_evaluate": round(time.perf_counter() - start, 3)}
    record = {
        "config": config.to_dict(),
        **({"data": datasets.title(config.dataset)} if config.dataset in datasets.STANDS_FOR else {}),
        **scored,
        "codes": {name: rounded(value) for name, value in code_statistics(database.cpu().numpy()).items()},
        # Six digits draw a curve; records stay small.
        "history": [{name: rounded(value) for name, value in epoch.items()} for epoch in trained.history],
        "provenance": provenance | {"fingerprint": fingerprint(config)},
    }
    factory.save(trained.model, config, paths.model(profile, path.stem))
    records.save_codes(paths.codes(profile, path.stem), query, database, split)
    records.save(record, path)
    return record


def rounded(value: float | list | None) -> float | list | None:
    """`value` with six significant digits; a whole number, or None, as it is; a list item by item."""
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return value if value is None or isinstance(value, int) else float(f"{value:.6g}")


def train(config: RunConfig, split: datasets.Split) -> tuple[loop.Trained, dict]:
    """Train, and say on what machine, in which precision and how long."""
    device = split.train.inputs.device
    start = time.perf_counter()
    threads = torch.get_num_threads()
    narrow = split.train.inputs.ndim == 2 and config.head == "narrow"
    if narrow or split.train.inputs[0].numel() <= SMALL:
        torch.set_num_threads(1)
    # Adam's moments of units that no longer fire decay into denormal numbers, on which a CPU is many times slower; as
    # 0 they leave every weight what it is, for beside Adam's epsilon of 1e-8 they are nothing.
    torch.set_flush_denormal(True)
    try:
        provenance = records.provenance(device.type, loop.resolve_precision(config.precision, device))
        trained = loop.train(config, split)
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)
    seconds = round(time.perf_counter() - start, 3)
    return trained, provenance | {"precision": trained.precision, "seconds_train": seconds}


def scores(query: torch.Tensor, database: torch.Tensor, query_labels, database_labels) -> dict[str, dict]:
    """The metrics that a record carries; with several labels by the paper's fractions, and by any shared label.

    Curves have six digits. `ap_by_label` is the mean AP of the queries that carry each label, `n_by_label` how many
    database items do.
    """
    several = query_labels.ndim == 2
    ks = [k for k in sorted({*CUTOFFS, FURTHER_CUTOFF} if several else CUTOFFS) if k <= len(database)]
    rules = {"metrics": "fraction", "metrics_share_one": "share-one"} if several else {"metrics": "share-one"}
    found = {}
    for key, rule in rules.items():
        scored = evaluate(query, database, query_labels, database_labels, k=ks, relevance=rule)
        found[key] = {k: rounded(v) if isinstance(v, list) else v for k, v in scored.to_record().items()}
    counts = {"n_by_label": _member(database_labels).sum(axis=0).tolist()}
    return found | {"ap_by_label": rounded(ap_by_label(scored.ap, query_labels))} | counts


def ap_by_label(ap: np.ndarray, labels: torch.Tensor | np.ndarray) -> list[float | None]:
    """Mean of `ap` (n,) over the queries that carry each label, (n,) or (n, c); None where it is of none."""
    member = _member(labels) & ~np.isnan(ap)[:, None]
    return [float(ap[own].mean()) if own.any() else None for own in member.T]


def _member(labels: torch.Tensor | np.ndarray) -> np.ndarray:
    """Which item carries which label: bool (n, c)."""
    labels = np.asarray(labels.cpu() if isinstance(labels, torch.Tensor) else labels)
    return labels.astype(bool) if labels.ndim == 2 else labels[:, None] == np.arange(labels.max() + 1)


def record_path(config: RunConfig, profile: str) -> Path:
    """Where the record of `config` lies, or will lie."""
    return paths.runs(profile) / f"{run_id(config)}.json"


def run_id(config: RunConfig) -> str:
    """The name of the record of `config`."""
    return config.run_id(fingerprint(config))


def fingerprint(config: RunConfig) -> str:
    """What identifies the data of `config`, without having them; a ValueError where its backbone would leak labels."""
    return splits.fingerprint(config.dataset, config.draw, config.protocol, config.backbone)


def codes_of(config: RunConfig, profile: str) -> records.SavedCodes:
    """The codes of a recorded run, or those that the repository carries of it; an error says how to make them."""
    run_id = record_path(config, profile).stem
    for path in (paths.codes(profile, run_id), paths.COMMITTED / "artefacts" / f"{run_id}.npz"):
        if path.exists():
            return records.saved_codes(path)
    raise FileNotFoundError(f"the codes of {run_id} are not on this machine: run the experiment with --fresh")


def split_of(config: RunConfig, device: torch.device | str = "cpu", protocol: str | None = None) -> datasets.Split:
    """What `config` trains on and is scored on, or, under another `protocol`, would be; the last one is kept.

    The inputs are the features of its backbone, or, where the backbone itself is trained, the pictures.
    """
    fingerprint(config)  # refuses a leak, also where the backbone is trained and the pictures are asked for
    frozen = "" if config.backbone_learning_rate else config.backbone
    return _split(config.dataset, config.draw, protocol or config.protocol, frozen, torch.device(device))


def run_all(configs: Iterable[RunConfig], profile: str, *, jobs: int = 1, fresh: bool = False) -> list[dict]:
    """The records of `configs`, in their order; equal configurations are run once.

    Args:
        configs: what to run.
        profile: whose folder of results.
        jobs: processes at a time; joblib gives each its share of the cores.
        fresh: as in `run`.
    """
    configs = list(configs)
    files = [record_path(config, profile) for config in configs]
    distinct = dict(zip(files, configs, strict=True))
    with workers(jobs, return_as="generator") as parallel:
        made = parallel(delayed(run)(config, profile, fresh=fresh) for config in distinct.values())
        made = bar(made, f"{profile} runs", total=len(distinct), unit="run")
        records_of = dict(zip(distinct, made, strict=True))
    return [records_of[path] for path in files]


@lru_cache(maxsize=1)
def _split(dataset: str, draw: int, protocol: str, backbone: str, device: torch.device) -> datasets.Split:
    """The split, kept for the next run on the same data."""
    return splits.load_split(dataset, draw=draw, protocol=protocol, backbone=backbone, device=device)
