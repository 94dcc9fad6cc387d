"""Which older sources gave the same as today's: shown by computing one record of each kind again, a part of it."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import torch

from qsmi_lib import paths, records, rotated, runner, sources, tables, tuning
from qsmi_lib.config import RunConfig
from qsmi_lib.config import profile as get_profile
from qsmi_lib.experiments import EXPERIMENTS, grid
from qsmi_lib.methods import METHODS
from qsmi_lib.progress import bar

WHOLE = 15  # seconds of training


def verify(profile: str) -> list[str]:
    """Compare older sources with today's, and note in ``equal_sources.json`` of `profile` those that give the same.

    Of the runs that share an older hash, one of each protocol and backbone is run again, the one that was quickest. A
    run of at most `WHOLE` seconds is repeated whole, and every score must be the record's; of a longer one the first
    epoch is trained, and the loss and the measures after it must be the record's, to the six digits that it holds. A
    search for a rotation is repeated whole, and so is one trial of a line search whose sources made no run. Other
    machines may round otherwise and find fewer equal. What a pair of hashes has shown is written before the next pair.

    Returns:
        A line a comparison: the record, and whether it came out equal.

    Raises:
        FileNotFoundError: data or weights are not on this machine.
    """
    path = sources.equalities_of(profile)
    held, lines, hashes = sources.equalities(profile), [], itemgetter(1, 2)
    wanting = sorted((own for own in _kinds(profile) if own[1] not in held.get(own[2], ())), key=hashes)
    for (older, today), kinds in groupby(bar(wanting, "comparing", unit="record"), hashes):
        found = [(name, compare()) for name, *_, compare in kinds]
        lines += [f"{name}: {'equal' if equal else 'differs'}" for name, equal in found]
        if all(equal for _, equal in found):
            held.setdefault(today, []).append(older)
            records.write(path, json.dumps({key: sorted(held[key]) for key in sorted(held)}, indent=1) + "\n")
    return lines


def _kinds(profile: str) -> Iterator[tuple]:
    """What is to be compared: the name of a record, the two hashes, and what compares it."""
    kinds, own = {}, get_profile(profile)
    for record in tables.found([run for name in EXPERIMENTS for run in grid(name, profile)], paths.runs(profile)):
        config = RunConfig.from_dict(record["config"])
        older, today = record["provenance"].get("source_hash"), sources.source_hash(config)
        if older and older != today:
            kinds.setdefault((older, today, config.protocol, config.backbone), []).append((record, config))
    for (older, today, *_), own_runs in kinds.items():
        record, config = min(own_runs, key=lambda run: run[0]["provenance"]["seconds_train"])
        yield runner.run_id(config), older, today, lambda config=config, record=record: _same_run(config, record)
    seen = {(older, today) for older, today, *_ in kinds}
    for path in sorted(paths.tuning(profile).glob("*.json")):
        for trial, config in tuning.tried(tuning.read(path)):
            older, today = trial.get("source_hash"), sources.source_hash(config)
            if older and (older, today) not in seen and not sources.is_current(older, today, profile):
                seen.add((older, today))
                yield (
                    f"trial {trial['run']}",
                    older,
                    today,
                    lambda config=config, trial=trial: _same_trial(config, trial),
                )
    for config in [run for turned in rotated.ROTATIONS.values() for run in turned(own)]:
        path = rotated.file_of(config, profile, n_steps=own.rotation_steps)
        record = records.load(path) if path.exists() else {"provenance": {}}
        older, today = record["provenance"].get("search_hash"), rotated.made_by(config)["search_hash"]
        if older and older != today and (older, today) not in seen:
            seen.add((older, today))
            yield path.stem, older, today, lambda config=config, record=record: _same_search(config, record)


def _same_run(config: RunConfig, record: dict) -> bool:
    """Whether today's sources give all scores of `record`, or, where that takes long, its first epoch."""
    with _threads_of(record):
        if record["provenance"]["seconds_train"] <= WHOLE or METHODS[config.method].loss is None:
            with tempfile.TemporaryDirectory() as folder:
                again = json.loads(json.dumps(runner.run(config, str(Path(folder) / "again"))))
            parts = [part for part in ("metrics", "metrics_share_one", "history") if part in record]
            return all(_digits(again[part]) == _digits(record[part]) for part in parts)
        trained, _ = runner.train(replace(config, epochs=1), runner.split_of(config))
    return {name: runner.rounded(value) for name, value in trained.history[0].items()} == record["history"][0]


@contextmanager
def _threads_of(record: dict) -> Iterator[None]:
    """As many threads as made `record`: more of them add up in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(record["provenance"]["threads"])
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _same_trial(config: RunConfig, trial: dict) -> bool:
    """Whether today's sources give the scores of a `trial` of a line search."""
    with tempfile.TemporaryDirectory() as folder:
        metrics = runner.run(config, str(Path(folder) / "again"))["metrics"]
    return all(metrics[name] == trial[name] for name in tuning.SHOWN)


def _digits(part: dict | list) -> dict | list:
    """Scores as newer records hold them, their curves with six digits."""
    if isinstance(part, list):
        return part
    return {name: runner.rounded(value) if isinstance(value, list) else value for name, value in part.items()}


def _same_search(config: RunConfig, record: dict) -> bool:
    """Whether today's sources give the search and the scores of `record`."""
    settings = {name: record["search"][name] for name in ("start", "n_steps", "seed")}
    with _threads_of(record), tempfile.TemporaryDirectory() as folder:
        again = rotated.rotate(config, str(Path(folder) / "again"), **settings)
    return all(again[part] == record[part] for part in ("search", "before", "at_start", "metrics"))
