"""Runs: train, encode, evaluate and record; a recorded run is read instead of repeated."""

import time
import warnings
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import torch
from joblib import delayed

from qsmi_lib import datasets
from qsmi_lib.codes import code_statistics
from qsmi_lib.config.run import RunConfig
from qsmi_lib.evaluation import evaluate
from qsmi_lib.training import factory, loop, splits
from qsmi_lib.training.loop import rounded
from qsmi_lib.training.provenance import probe_of, provenance, require_commit
from qsmi_lib.training.records import (
    Store,
    by_any_label,
    fingerprint,
    load_codes,
    load_record,
    run_id,
    save_codes,
    save_record,
)
from qsmi_lib.utils.io import check_writable
from qsmi_lib.utils.parallel import workers
from qsmi_lib.utils.precision import resolve_precision
from qsmi_lib.utils.progress import bar
from qsmi_lib.utils.validation import QsmiWarning

CUTOFFS = (1, 10, 100, 1000, 5000)  # k of the fields `..._at_k`, up to the size of the database
BARELY = 1.05  # times the mAP of a random order: codes that rank no better have learnt nothing
FEW = 100
FURTHER_CUTOFF = 500  # with several labels: corresponds to Table 8's 5,000 in a database of 1,500 items


def run(config: RunConfig, store: Store, *, fresh: bool = False) -> dict:
    """The record of `config` in `store`: read if it exists, otherwise made by a new run.

    Args:
        config: what to run.
        store: the folder of results.
        fresh: run again even if there is a record.

    Raises:
        ValueError: the record on disk is damaged or belongs to another configuration; or a new one would be written
            into the committed store with uncommitted code.
    """
    path = store.record(run_id(config))
    if store.existing(path).exists() and not fresh:
        return load_record(store.existing(path), config)
    require_commit(store)
    check_writable(path)  # before the training, not after it
    split = split_of(config, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    return _finish(config, *train(config, split), split, store)


def train(config: RunConfig, split: datasets.Split) -> tuple[loop.Trained, dict]:
    """Train; returns the model and its provenance with machine, precision and time."""
    device = split.train.inputs.device
    start = time.perf_counter()
    with loop.computing(config, split):
        made_by = provenance(device.type, resolve_precision(config.precision, device))
        if config.backbone and not config.backbone_learning_rate:
            made_by["features"] = resolve_precision("auto", device)  # in which the frozen backbone computed
        trained = loop.train(config, split)
    seconds = round(time.perf_counter() - start, 3)
    return trained, made_by | {"precision": trained.precision, "seconds_train": seconds}


def _finish(config: RunConfig, trained: loop.Trained, made_by: dict, split: datasets.Split, store: Store) -> dict:
    """Encode and evaluate a trained model; write model, codes and, last, the record, which is returned."""
    run = run_id(config)
    start = time.perf_counter()
    query, database = (
        loop.encode(trained.model, part.inputs, precision=trained.precision, batch_size=factory.batch_size(config))
        for part in (split.query, split.database)
    )
    metrics = scores(query, database, split.query.labels, split.database.labels)
    made_by = made_by | {"seconds_evaluate": round(time.perf_counter() - start, 3)}
    record = {
        "config": config.to_dict(),
        **({"data": datasets.title(config.dataset)} if config.dataset in datasets.SUBSTITUTE_FOR else {}),
        **metrics,
        "codes": {name: rounded(value) for name, value in code_statistics(database.cpu().numpy()).items()},
        # Six digits are enough for curves, and records stay small.
        "history": [{name: rounded(value) for name, value in epoch.items()} for epoch in trained.history],
        "probe": probe_of(trained, split),
        "provenance": made_by | {"fingerprint": fingerprint(config)},
    }
    _warn_of_chance(by_any_label(record), len(database))
    factory.save(trained.model, config, store.model(run))
    save_codes(store.codes(run), query, database, split)
    save_record(record, store.record(run))
    return load_record(store.record(run))


def chance(share: float, n: int) -> float:
    r"""Mean AP of n items in random order, a `share` of them relevant.

    .. math:: \frac{H_n}{n} + \frac{R - 1}{n - 1} \Big(1 - \frac{H_n}{n}\Big), \qquad
        R = \text{share} \cdot n, \quad H_n = \sum_{r=1}^n \frac1r

    It is linear in R, so a mean share gives the mean over queries. Codes that are all equal have this `map_expected`.
    """
    first = float((1.0 / np.arange(1, n + 1)).sum()) / n
    return first + (share * n - 1.0) / max(1, n - 1) * (1.0 - first)


def _warn_of_chance(metrics: dict, n_database: int) -> None:
    """A `QsmiWarning` if the codes rank no better than at random, as after a setting that prevents training.

    In a database of fewer than `FEW` items the mAP of trained codes may be that low by chance.
    """
    level = chance(metrics["precision_recall_by_radius"][-1][0], n_database)  # the precision of all pairs
    if n_database >= FEW and metrics["map_expected"] <= BARELY * level:
        warnings.warn(
            f"map_expected is {metrics['map_expected']:.4f}, and a random order has {level:.4f}: the codes tell the "
            "classes hardly apart. Check the settings: learning rate, weights and widths, bits, batch size",
            QsmiWarning,
            stacklevel=2,
        )


def scores(query: torch.Tensor, database: torch.Tensor, query_labels, database_labels) -> dict[str, dict]:
    """The metrics of a record; with several labels for both rules of relevance: fraction of labels, any shared label.

    Curves have six digits. `ap_by_label` is the mean AP of the queries with each label, `n_by_label` the number of
    database items with it.
    """
    several = query_labels.ndim == 2
    ks = [k for k in sorted({*CUTOFFS, FURTHER_CUTOFF} if several else CUTOFFS) if k <= len(database)]
    rules = {"metrics": "fraction", "metrics_share_one": "share-one"} if several else {"metrics": "share-one"}
    metrics = {}
    for key, rule in rules.items():
        scored = evaluate(query, database, query_labels, database_labels, k=ks, relevance=rule)
        metrics[key] = {k: rounded(v) if isinstance(v, list) else v for k, v in scored.to_record().items()}
    counts = {"n_by_label": _member(database_labels).sum(axis=0).tolist()}
    return metrics | {"ap_by_label": rounded(ap_by_label(scored.ap, query_labels))} | counts


def ap_by_label(ap: np.ndarray, labels: torch.Tensor | np.ndarray) -> list[float | None]:
    """Mean of `ap` (n,) over the queries with each label; None if no query with it has an AP.

    Args:
        ap: average precisions, NaN if undefined.
        labels: (n,) or multi-hot (n, c).
    """
    member = _member(labels) & ~np.isnan(ap)[:, None]
    return [float(ap[queries].mean()) if queries.any() else None for queries in member.T]


def _member(labels: torch.Tensor | np.ndarray) -> np.ndarray:
    """Which item has which label: bool (n, c)."""
    labels = np.asarray(labels.cpu() if isinstance(labels, torch.Tensor) else labels)
    return labels.astype(bool) if labels.ndim == 2 else labels[:, None] == np.arange(labels.max() + 1)


def split_of(
    config: RunConfig,
    device: torch.device | str = "cpu",
    protocol: str | None = None,
    feature_precision: str = "auto",
) -> datasets.Split:
    """The split on which `config` is trained and evaluated, or, if `protocol` is given, the split under that protocol.

    The inputs are the features of its backbone, or pictures if the backbone itself is trained. The last split stays in
    memory for the next run on the same data.

    Raises:
        ValueError: the backbone has seen labels that the protocol does not give, whether it is trained or not; or all
            items carry the same labels.
    """
    fingerprint(config)  # refuses a leak
    protocol = protocol or config.protocol
    frozen = "" if config.backbone_learning_rate else config.backbone
    data = datasets.fingerprint(config.dataset, config.draw, protocol, config.labels)  # files may have changed
    where = torch.device(device)
    return _split(config.dataset, config.draw, protocol, config.labels, frozen, feature_precision, where, data)


def run_all(
    configs: Iterable[RunConfig], store: Store, *, jobs: int = 1, fresh: bool = False, title: str = "runs"
) -> list[dict]:
    """The records of `configs`, in order; equal configurations are run once.

    Args:
        configs: what to run.
        store: the folder of results.
        jobs: parallel processes, which share the cores.
        fresh: as in `run`.
        title: of the progress bar.
    """
    configs = list(configs)
    names = [run_id(config) for config in configs]
    distinct = dict(zip(names, configs, strict=True))
    with workers(jobs, return_as="generator") as parallel:
        made = parallel(delayed(run)(config, store, fresh=fresh) for config in distinct.values())
        made = bar(made, title, total=len(distinct), unit="run")
        records = dict(zip(distinct, made, strict=True))
    return [records[name] for name in names]


def rescore(store: Store) -> int:
    """Compute again the metrics of every record whose codes are on this machine; returns the number of records.

    Raises:
        ValueError: `store` is the committed one and the code has uncommitted changes; or a file of codes is damaged.
    """
    require_commit(store)
    files = [path for path in sorted(store.runs.glob("*.json")) if store.codes(path.stem).exists()]
    for path in bar(files, "scoring", unit="run"):
        save_record(load_record(path) | scores(*load_codes(store.codes(path.stem))), path)
    return len(files)


@lru_cache(maxsize=1)
def _split(
    dataset: str,
    draw: int,
    protocol: str,
    labels: str,
    backbone: str,
    feature_precision: str,
    device: torch.device,
    data: str,
) -> datasets.Split:
    """A split by its names; `data`, its fingerprint, is part of the key of the cache."""
    how = {"labels": labels, "backbone": backbone, "feature_precision": feature_precision}
    return splits.require_classes(splits.load_split(dataset, draw=draw, protocol=protocol, **how, device=device))
