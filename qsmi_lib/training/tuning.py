"""Hyper-parameters by line search on held-out training items: the queries are never asked."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from qsmi_lib.config.presets import COUNTS, configure
from qsmi_lib.config.run import RunConfig, short
from qsmi_lib.datasets import BACKBONE_OF
from qsmi_lib.methods import METHODS
from qsmi_lib.models.backbones import BACKBONES
from qsmi_lib.training import runs
from qsmi_lib.utils import files, paths
from qsmi_lib.utils.validation import known

SEED = 0
BITS = 48  # the length at which methods are tuned; the values hold for all
CRITERION = "map_expected"  # free of ties
MADE_BY = ("torch", "device", "precision", "fingerprint")  # of a trial's provenance
# Settings whose line search keeps to the registry's values: what counts buy costs in proportion, a weight of 0 makes
# another method, and beyond 0.5 DNNH's epsilon changes nothing.
CLOSED = {*COUNTS, "a_csq", "beta", "epsilon"}
STAND_IN_EPOCHS = {"miml_scenes": 50, "tiny_imagenet_32": 10}  # of a search: 1,350 and 14,400 items train
FURTHER = 2  # values beyond those of the registry, while the last one tried is the best
SHOWN = ("map_expected", "map_11pt", "map", "precision_radius2")  # of each trial


def tune(
    method: str,
    dataset: str,
    profile: str,
    *,
    backbone: str = "",
    bits: int = BITS,
    seed: int = SEED,
    epochs: int | None = None,
    jobs: int = 1,
) -> dict:
    """The line search for `method`: one setting after the other, the best value of each kept for the next.

    Each trial trains on nine tenths of the training set and is scored by the last tenth asking them (the protocol
    "held_out"; on CIFAR-10 with the features of a backbone that has seen no label "reduced_held_out", so that none
    beyond those of 5,000 items is seen). With several labels relevance is the share of them. Where the best value is
    the least or the largest of the registry's, up to `FURTHER` values beyond it are tried, unless the setting is one of
    `CLOSED`. Trials that are recorded are not run again; the search is written when it is through.

    Args:
        method: registry name.
        dataset: registry name.
        profile: under whose results the search is recorded.
        backbone: whose features are hashed; empty: the data set's usual one, or none.
        bits: code length.
        seed: of all trials.
        epochs: passes over the nine tenths; None: those of `usual_of`.
        jobs: trials at a time.

    Returns:
        `method`, `dataset`, `bits`, `seed`, `epochs`, `protocol`, `criterion`; `trials`, each with its `settings`, its
        metrics `SHOWN`, and its `run`; `chosen`: setting -> value; `provenance`, what
        else made the first trial.

    Raises:
        ValueError: an unknown method or data set, a method that trains nothing, or a setting out of its range.
    """
    if known("method", METHODS, method).loss is None:
        raise ValueError(f"{method} trains nothing: there is nothing to tune")
    backbone = backbone or BACKBONE_OF.get(dataset, "")
    usual, protocol = usual_of(dataset, backbone)
    common = {"seed": seed, "epochs": usual if epochs is None else epochs, "protocol": protocol}
    seen = {"backbone": backbone} if backbone else {}
    trials, made, chosen = [], [], {}

    def score(tried: list[dict]) -> list[dict]:
        configs = [configure(dataset, method, bits, **common, **seen, **settings) for settings in tried]
        found = runs.run_all(configs, trials_of(profile), jobs=jobs)
        trials.extend(_trial(*each) for each in zip(tried, configs, found, strict=True))
        made.extend(record["provenance"] for record in found)
        return found

    if not METHODS[method].search:
        score([{}])
    for name, values in METHODS[method].search.items():
        line, fixed = list(values), chosen
        found = score([fixed | {name: value} for value in line])
        scores = [record["metrics"][CRITERION] for record in found]
        while (value := _beyond(name, line, line[np.argmax(scores)])) is not None and len(line) < len(values) + FURTHER:
            scores.append(score([fixed | {name: value}])[0]["metrics"][CRITERION])
            line.append(value)
        chosen = fixed | {name: line[np.argmax(scores)]}
    head = {"method": method, "dataset": dataset, **seen, "bits": bits} | common | {"criterion": CRITERION}
    made_by = {name: made[0][name] for name in MADE_BY}
    search = head | {"trials": trials, "chosen": chosen, "provenance": made_by}
    path = file_of(method, dataset, paths.tuning(profile), backbone=backbone, bits=bits, seed=seed, epochs=epochs)
    files.write_text(path, json.dumps(search, indent=1) + "\n")
    return search


def usual_of(dataset: str, backbone: str) -> tuple[int, str]:
    """Epochs and protocol of a search; CIFAR-10's features by a backbone that knows no label are tuned on few items."""
    if not backbone:
        return 10, "held_out"
    if dataset in STAND_IN_EPOCHS:
        return STAND_IN_EPOCHS[dataset], "held_out"
    return (5, "held_out") if known("backbone", BACKBONES, backbone).knows == dataset else (50, "reduced_held_out")


def recorded(
    method: str, dataset: str, folder: Path | None = None, *, backbone: str = "", epochs: int | None = None
) -> dict | None:
    """The search for `method` of `BITS` bits and `SEED` in `folder` (the repository's), or None.

    `epochs` are the usual ones unless given.
    """
    path = file_of(method, dataset, folder or paths.COMMITTED / "tuning", backbone=backbone, epochs=epochs)
    return read(path) if path.exists() else None


def read(path: Path) -> dict:
    """The search in the file `path`; a ValueError names a file that holds none."""
    try:
        search = json.loads(path.read_text(encoding="utf-8"))
        missing = {"method", "dataset", "bits", "seed", "epochs", "protocol", "trials", "chosen"} - search.keys()
        if missing:
            raise ValueError(f"it has no {' and no '.join(sorted(missing))}")
    except ValueError as error:
        raise ValueError(f"{path} is not the record of a search: {error}; delete it and tune again") from error
    return search


def tried(search: dict) -> Iterator[tuple[dict, RunConfig]]:
    """The trials of a search, each with the run that it was."""
    common = {name: search[name] for name in ("seed", "epochs", "protocol", "backbone") if name in search}
    for trial in search["trials"]:
        yield trial, configure(search["dataset"], search["method"], search["bits"], **common, **trial["settings"])


def chosen(method: str, dataset: str, backbone: str = "", epochs: int | None = None) -> dict[str, float | None]:
    """The settings that the repository's search chose for `method` on `dataset`; none where there was no search."""
    search = recorded(method, dataset, backbone=backbone, epochs=epochs)
    return search["chosen"] if search else {}


def trials_of(profile: str) -> str:
    """Whose folder of results the trials under `profile` go to: they are none of its runs."""
    return f"{profile}/tuning"


def file_of(
    method: str,
    dataset: str,
    folder: Path,
    *,
    backbone: str = "",
    bits: int = BITS,
    seed: int = SEED,
    epochs: int | None = None,
) -> Path:
    """Where a search is written."""
    epochs = usual_of(dataset, backbone)[0] if epochs is None else epochs
    seen = f"{short(dataset)}-{backbone}" if backbone else short(dataset)
    return folder / f"{seen}-{method}-{bits}b-s{seed}-{epochs}e.json"


def _beyond(name: str, line: list[float | None], best: float | None) -> float | None:
    """The value that follows `best` outwards, by the ratio of the last two; None where `best` is no end of `line`."""
    values = sorted(value for value in line if value is not None)
    ends = {values[0]: values[1], values[-1]: values[-2]}
    return None if best not in ends or name in CLOSED else float(f"{best * best / ends[best]:.3g}")


def _trial(settings: dict, config: RunConfig, record: dict) -> dict:
    """One trial as the search records it."""
    shown = {name: record["metrics"][name] for name in SHOWN}
    made = {"run": runs.record_path(config, "").stem}
    return {"settings": settings} | shown | made
