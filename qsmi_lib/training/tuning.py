"""Hyper-parameters by line search on held-out training items: the query set is never used."""

import json
from pathlib import Path

import numpy as np

from qsmi_lib.config.presets import COUNTS, configure
from qsmi_lib.config.run import RunConfig, short
from qsmi_lib.datasets import backbone_of
from qsmi_lib.methods import METHODS
from qsmi_lib.models.backbones import file_part, named
from qsmi_lib.training import runs
from qsmi_lib.training.provenance import require_commit
from qsmi_lib.training.records import COMMITTED, OPTIONS, Store, run_id
from qsmi_lib.utils import io
from qsmi_lib.utils.reading import damaged, read_json
from qsmi_lib.utils.validation import known

SEED = 0
BITS = 48  # methods are tuned at this code length, and the values are used at all lengths
CRITERION = "map_expected"  # does not depend on the order of ties
MADE_BY = ("torch", "device", "precision", "fingerprint")  # from the provenance of a trial
# Settings whose line search is limited to the registry's values: the cost grows with a count, a weight of 0 gives
# another method, and beyond 0.5 DNNH's epsilon has no effect.
CLOSED = {*COUNTS, "a_csq", "beta", "epsilon"}
SUBSTITUTE_EPOCHS = {"miml_scenes": 50, "tiny_imagenet_32": 10}  # of a search: 1,350 and 14,400 training items
FURTHER = 2  # most values beyond those of the registry, tried while the last one is the best
SHOWN = ("map_expected", "map_11pt", "map", "precision_radius2")  # metrics of each trial
FORMAT = 1  # of the searches that `tune` writes; the first ones name none
TUNE_AGAIN = "delete it and tune again"
SEARCH = {  # what a search must look like, see `reading.Form`
    **dict.fromkeys(("method", "dataset", "protocol", "criterion"), str),
    **dict.fromkeys(("bits", "seed", "epochs"), int),
    "backbone?": str,
    "trials": [{f"{name}?": float for name in SHOWN} | {CRITERION: float, "settings": OPTIONS, "run?": str}],
    "chosen": OPTIONS,
}


def tune(
    method: str,
    dataset: str,
    store: Store,
    *,
    backbone: str = "",
    bits: int = BITS,
    seed: int = SEED,
    epochs: int | None = None,
    labels: str = "",
    jobs: int = 1,
) -> dict:
    """The line search for `method`: one setting after the other, each fixed at its best value for the next.

    Each trial trains on nine tenths of the training set and is evaluated with the held-out tenth as queries (the
    protocol "held_out"; on CIFAR-10, with the features of a backbone that has seen no label, "reduced_held_out": only
    the labels of 5,000 items are used). With several labels relevance is the share of them. Where the best value is the
    smallest or the largest of the registry's, up to `FURTHER` values beyond it are tried, unless the setting is one of
    `CLOSED`. Recorded trials are not run again; the search is recorded when it is complete.

    Args:
        method: registry name.
        dataset: registry name.
        store: the folder of results.
        backbone: whose features are hashed; empty: the usual one of the data set, or none.
        bits: code length.
        seed: of all trials.
        epochs: passes over the nine tenths; None: those of `usual_of`.
        labels: how one column of 0 and 1 in a list of pictures is read, as in `datasets.named`.
        jobs: parallel processes.

    Returns:
        `method`, `dataset`, `bits`, `seed`, `epochs`, `protocol`, `criterion`; `trials`, each with its `settings`, its
        metrics `SHOWN`, and its `run`; `chosen`, the best value of each setting; `provenance`, the entries `MADE_BY` of
        the first trial.

    Raises:
        ValueError: an unknown method or data set, a method that trains nothing, a setting out of range; or the search
            would be written into the committed store with uncommitted code.
    """
    if known("method", METHODS, method).loss is None:
        raise ValueError(f"{method} trains nothing, so there is nothing to tune")
    backbone = backbone or backbone_of(dataset)
    usual, protocol = usual_of(dataset, backbone)
    common = {"seed": seed, "epochs": usual if epochs is None else epochs, "protocol": protocol}
    features = ({"backbone": backbone} if backbone else {}) | ({"labels": labels} if labels else {})
    require_commit(store)
    trials, provenances, chosen = [], [], {}

    def score(candidates: list[dict]) -> list[dict]:
        configs = [configure(dataset, method, bits, **common, **features, **settings) for settings in candidates]
        records = runs.run_all(configs, store.trials, jobs=jobs, title="trials")
        trials.extend(_trial(*each) for each in zip(candidates, configs, records, strict=True))
        provenances.extend(record["provenance"] for record in records)
        return records

    if not METHODS[method].search:
        score([{}])
    for name, values in METHODS[method].search.items():
        line, fixed = list(values), chosen
        scores = [record["metrics"][CRITERION] for record in score([fixed | {name: value} for value in line])]
        while (value := _beyond(name, line, line[np.argmax(scores)])) is not None and len(line) < len(values) + FURTHER:
            scores.append(score([fixed | {name: value}])[0]["metrics"][CRITERION])
            line.append(value)
        chosen = fixed | {name: line[np.argmax(scores)]}
    head = {"format": FORMAT, "method": method, "dataset": dataset, **features, "bits": bits}
    head |= common | {"criterion": CRITERION}
    made_by = {name: provenances[0][name] for name in MADE_BY}
    search = head | {"trials": trials, "chosen": chosen, "provenance": made_by}
    path = search_path(method, dataset, store, backbone=backbone, bits=bits, seed=seed, epochs=epochs)
    io.write_text(path, json.dumps(search, indent=1) + "\n")
    return search


def usual_of(dataset: str, backbone: str) -> tuple[int, str]:
    """Epochs and protocol of a search; features of a backbone that has seen no label are tuned on few items."""
    if not backbone:
        return 10, "held_out"
    if dataset in SUBSTITUTE_EPOCHS:
        return SUBSTITUTE_EPOCHS[dataset], "held_out"
    return (5, "held_out") if named(backbone).labels_of == dataset else (50, "reduced_held_out")


def load_search(path: Path) -> dict:
    """The search in the file `path`; a ValueError names a file that is not a search."""
    search = read_json(path, SEARCH, TUNE_AGAIN, version=FORMAT)
    if search["criterion"] != CRITERION:
        raise damaged(path, f"criterion must be {CRITERION}, got {search['criterion']!r}", TUNE_AGAIN)
    for row, trial in enumerate(search["trials"]):
        if missing := sorted(trial["settings"].keys() - search["chosen"].keys()):
            raise damaged(path, f"trials[{row}] sets {missing[0]}, for which nothing was chosen", TUNE_AGAIN)
    for name in search["chosen"]:
        values = [trial["settings"].get(name) for trial in search["trials"]]
        if len({isinstance(value, str) for value in values if value is not None}) > 1:
            raise damaged(path, f"the values of {name} must be numbers or text, got both", TUNE_AGAIN)
    return search


def chosen(method: str, dataset: str, backbone: str = "", epochs: int | None = None) -> dict[str, float | None]:
    """The settings that the committed search chose for `method` on `dataset`; empty if there is no such search."""
    search = recorded_search(method, dataset, backbone=backbone, epochs=epochs)
    return search["chosen"] if search else {}


def recorded_search(
    method: str, dataset: str, store: Store = COMMITTED, *, backbone: str = "", epochs: int | None = None
) -> dict | None:
    """The search for `method` in `store`, of `BITS` bits, `SEED` and, unless given, the usual epochs; or None."""
    path = store.existing(search_path(method, dataset, store, backbone=backbone, epochs=epochs))
    return load_search(path) if path.exists() else None


def search_path(
    method: str,
    dataset: str,
    store: Store,
    *,
    backbone: str = "",
    bits: int = BITS,
    seed: int = SEED,
    epochs: int | None = None,
) -> Path:
    """File of a search in `store`."""
    epochs = usual_of(dataset, backbone)[0] if epochs is None else epochs
    data = f"{short(dataset)}-{file_part(backbone)}" if backbone else short(dataset)
    return store.tuning / f"{data}-{method}-{bits}b-s{seed}-{epochs}e.json"


def _beyond(name: str, line: list[float | None], best: float | None) -> float | None:
    """The next value outwards if `best` is an end of `line`, by the ratio of the last two; else None."""
    values = sorted(value for value in line if value is not None)
    ends = {values[0]: values[1], values[-1]: values[-2]}
    return None if best not in ends or name in CLOSED else float(f"{best * best / ends[best]:.3g}")


def _trial(settings: dict, config: RunConfig, record: dict) -> dict:
    """One trial as the search records it."""
    metrics = {name: record["metrics"][name] for name in SHOWN}
    return {"settings": settings} | metrics | {"run": run_id(config)}
