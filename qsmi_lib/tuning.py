"""Hyper-parameters by line search on held-out training items: the queries are never asked."""

import json
from pathlib import Path

from qsmi_lib import paths, records, runner
from qsmi_lib.config import RunConfig, known
from qsmi_lib.methods import METHODS, configure

EPOCHS = 10
BITS = 48  # the length at which methods are tuned; the values hold for all
CRITERION = "map_expected"  # free of ties
MADE_BY = ("torch", "device", "precision", "source_hash", "fingerprint")  # of a trial's provenance
SHOWN = ("map_expected", "map_11pt", "map", "precision_radius2")  # of each trial


def tune(
    method: str, dataset: str, profile: str, *, bits: int = BITS, seed: int = 0, epochs: int = EPOCHS, jobs: int = 1
) -> dict:
    """The line search for `method`: one setting after the other, the best value of each kept for the next.

    Each trial trains on nine tenths of the training set and is scored by the last tenth asking them (the protocol
    "held_out"). Trials that are recorded are not run again; the search is written when it is through.

    Args:
        method: registry name.
        dataset: registry name.
        profile: under whose results the search is recorded.
        bits: code length.
        seed: of all trials.
        epochs: passes over the nine tenths.
        jobs: trials at a time.

    Returns:
        `method`, `dataset`, `bits`, `seed`, `epochs`, `protocol`, `criterion`; `trials`, each with its `settings`, its
        metrics `SHOWN` and its `run`; `chosen`: setting -> value;
        `provenance`, what is the same for all trials of what made them.

    Raises:
        ValueError: an unknown method or data set, or a setting out of its range.
    """
    common = {"seed": seed, "epochs": epochs, "protocol": "held_out"}
    trials, chosen = [], {}
    for name, values in known("method", METHODS, method).search.items() or [(None, (None,))]:
        tried = [chosen | ({} if name is None else {name: value}) for value in values]
        configs = [configure(dataset, method, bits, **common, **settings) for settings in tried]
        found = runner.run_all(configs, trials_of(profile), jobs=jobs)
        trials += [_trial(*pair) for pair in zip(tried, configs, found, strict=True)]
        best = max(range(len(found)), key=lambda i: found[i]["metrics"][CRITERION])
        chosen = tried[best]
    head = {"method": method, "dataset": dataset, "bits": bits} | common | {"criterion": CRITERION}
    made_by = {name: found[0]["provenance"][name] for name in MADE_BY}
    search = head | {"trials": trials, "chosen": chosen, "provenance": made_by}
    records.write(file_of(method, dataset, bits, paths.tuning(profile)), json.dumps(search, indent=1) + "\n")
    return search


def chosen(method: str, dataset: str) -> dict[str, float | None]:
    """The settings that the repository's search chose for `method` on `dataset`; none where there was no search."""
    path = file_of(method, dataset, BITS, paths.COMMITTED / "tuning")
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))["chosen"]
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path} is not the record of a search: {error}; delete it and tune again") from error


def trials_of(profile: str) -> str:
    """Whose folder of results the trials under `profile` go to: they are none of its runs."""
    return f"{profile}/tuning"


def file_of(method: str, dataset: str, bits: int, folder: Path) -> Path:
    """Where a search is written."""
    return folder / f"{dataset}-{method}-{bits}b.json"


def _trial(settings: dict, config: RunConfig, record: dict) -> dict:
    """One trial as the search records it."""
    shown = {name: record["metrics"][name] for name in SHOWN}
    return {"settings": settings} | shown | {"run": runner.record_path(config, "").stem}
