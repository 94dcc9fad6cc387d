"""Reproduce: run each experiment, execute every notebook, then write tables and figures."""

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, starmap
from pathlib import Path

from joblib import delayed
from tqdm import tqdm

from qsmi_lib import datasets
from qsmi_lib.config.run import RunConfig
from qsmi_lib.models import backbones
from qsmi_lib.reproduction import figures, notebooks, rotations, tables, verify
from qsmi_lib.reproduction.analysis import causes, made_by, significance, tsne
from qsmi_lib.reproduction.artefacts import outdated
from qsmi_lib.reproduction.experiments import EXPERIMENTS
from qsmi_lib.reproduction.results import Results
from qsmi_lib.training.records import run_id
from qsmi_lib.utils import paths
from qsmi_lib.utils.parallel import workers

TIMED = {"10"}  # notebooks that measure times: each runs by itself, after the others


def attempt(notebook: Path, output: Path, profile: str) -> tuple[str, float, str]:
    """Execute `notebook` into `output`; returns its name, its seconds, and what failed, "" if nothing did."""
    began = time.monotonic()
    failed = notebooks.failure(notebooks.execute, notebook, output, profile=profile)
    return notebook.stem, time.monotonic() - began, failed


@dataclass
class Plan:
    """The work of a reproduction.

    Attributes:
        notebooks: the notebooks to execute.
        names: the experiments whose tables and figures are written.
        configs: the runs, recorded or not.
        turned: the runs after which a rotation is searched.
        on_digits: numbers of notebooks whose live part uses the digits, because their data are not on this machine.
    """

    notebooks: list[Path]
    names: list[str]
    configs: list[RunConfig]
    turned: list[RunConfig]
    on_digits: set[str]


def reproduce(
    results: Results, *, only: tuple[str, ...] = (), seeds: tuple[int, ...] = (), fresh: bool = False, jobs: int = 1
) -> list[str]:
    """Reproduce everything that the chosen notebooks show, under the profile of `results`.

    Args:
        results: profile and folder.
        only: numbers or names of notebooks; empty: all.
        seeds: train only these seeds of the profile, and execute no notebook, which would train the others too.
        fresh: run again, also where a record exists.
        jobs: training runs at a time, then notebooks, then tables and figures.

    Returns:
        An error message for each part that failed.
    """
    paths.export()
    plan = _plan(results, only, seeds, fresh)
    if not fresh:
        for line in verify.quick_disagreements(results, plan.configs):
            print(f"today's code disagrees with a record that is reused: {line}", flush=True)
    results.run_all(plan.configs, jobs=jobs, fresh=fresh, title=f"{results.profile.name} runs")
    results.rotate(plan.turned, jobs=jobs, fresh=fresh)
    failures = _collect_artefacts(results, plan, fresh=fresh, partly=bool(seeds))
    failures += _execute_all(plan, results, jobs)
    others = [] if results.profile.only_live else outdated(results.store, made_by.expected(results))
    for name in others:  # under `only_live` the notebooks make the artefacts, with parameters of their own
        print(f"{results.store.artefact(name)} was made from other runs or settings than its experiment has today")
    write_all(results, plan.names, jobs=jobs)
    return sorted(failures)


def write_all(results: Results, names: Iterable[str] = EXPERIMENTS, *, jobs: int = 1) -> list[Path]:
    """Write the tables and figures of the experiments `names` from the records; returns the paths."""
    with workers(jobs) as parallel:
        written = parallel(delayed(write_experiment)(name, results) for name in names)
    return sum(written, figures.write_figure("fig_2a", results))


def write_experiment(name: str, results: Results) -> list[Path]:
    """Write the table and the figure of one experiment, where it has them; returns the paths."""
    table = tables.write_table(name, results) if EXPERIMENTS[name].metrics else []
    return table + figures.write_figure(name, results)


def _plan(results: Results, only: tuple[str, ...], seeds: tuple[int, ...], fresh: bool) -> Plan:
    """The work to do. What this machine lacks the data for is left out and printed."""
    chosen = notebooks.chosen(only)
    numbers = {path.stem[:2] for path in chosen}
    names = [name for name, entry in EXPERIMENTS.items() if entry.notebook in numbers and results.makes(name)]
    _check_seeds(results, names, seeds)
    runs = {name: [config for config in results.grid(name) if not seeds or config.seed in seeds] for name in names}
    turned = {name: [] if seeds else results.to_rotate(name) for name in names}
    records = {name: _records(results, runs[name], turned[name]) for name in names}
    needed = {path: config for of_experiment in records.values() for path, config in of_experiment.items()}
    missing = {path: config for path, config in needed.items() if fresh or not results.store.existing(path).exists()}
    lacking = _not_here(missing.values())
    absent = {path for path, config in missing.items() if _needs(config) in lacking}
    readers = {} if seeds else {name: EXPERIMENTS[name].notebook for name in names if EXPERIMENTS[name].reads_data}
    on_digits = {number for name, number in readers.items() if not _is_here(runs[name][0])}
    if absent:
        skipped = [name for name in names if absent & records[name].keys()]
        lessons = {EXPERIMENTS[name].notebook for name in skipped}
        why = "; ".join(dict.fromkeys(lacking.values()))
        print(f"skipped: {len(absent)} runs, and notebooks {', '.join(sorted(lessons))}: {why}")
        chosen = [path for path in chosen if path.stem[:2] not in lessons]
        names = [name for name in names if name not in skipped]
    if poorer := ", ".join(sorted(on_digits & {path.stem[:2] for path in chosen})):
        print(f"the live parts of notebooks {poorer} use the digits: their data are not on this machine")
    if n_missing := len(missing) - len(absent):
        print(f"training {n_missing} of {len(needed)} runs", flush=True)
    configs = [config for config in chain(*runs.values()) if _needs(config) not in lacking]
    rotated = [config for config in chain(*turned.values()) if _needs(config) not in lacking]
    return Plan([] if seeds else chosen, names, configs, rotated, on_digits)


def _check_seeds(results: Results, names: list[str], seeds: tuple[int, ...]) -> None:
    """A ValueError where the experiments `names` have no run of one of `seeds`."""
    known = sorted({config.seed for name in names for config in results.grid(name)})
    if unknown := sorted(set(seeds) - set(known)):
        profile = results.profile.name
        raise ValueError(f"profile {profile} has the seeds {', '.join(map(str, known))} there, got {unknown[0]}")


def _records(results: Results, runs: list[RunConfig], turned: list[RunConfig]) -> dict[Path, RunConfig]:
    """The file of each record, of a run or of the rotation after one -> the run."""
    store, n_steps = results.store, results.profile.rotation_steps
    return {store.record(run_id(config)): config for config in runs} | {
        rotations.rotation_path(config, store, n_steps=n_steps): config for config in turned
    }


def _collect_artefacts(results: Results, plan: Plan, *, fresh: bool, partly: bool) -> list[str]:
    """Compute the artefacts that tables and figures need; returns an error message for each that failed."""
    failures, names = [], set(plan.names)
    if partly:
        return failures
    if "methods" in names:
        significance.collect_all(results)
    if {"table_3", "table_5"} <= names:
        try:
            causes.collect(results, fresh=fresh)
        except FileNotFoundError as error:
            failures.append(f"no linear classifier was fitted to the features of Tables 3 and 5: {error}")
    if "fig_4" in names and EXPERIMENTS["fig_4"].notebook not in plan.on_digits:
        try:
            tsne.collect(results, fresh=fresh)
        except (ImportError, ValueError) as error:
            failures.append(f"the maps of Fig. 4 failed: {error}")
    return failures


def _execute_all(plan: Plan, results: Results, jobs: int) -> list[str]:
    """Execute the notebooks of `plan` and print the time taken and left; returns the error messages."""
    failures, start, folder = [], time.monotonic(), results.store.notebooks
    profile_of = {
        path: "digits" if path.stem[:2] in plan.on_digits else results.profile.name for path in plan.notebooks
    }
    tasks = [(path, folder / path.name, profile) for path, profile in profile_of.items()]
    together, alone = ([task for task in tasks if (task[0].stem[:2] in TIMED) == timed] for timed in (False, True))
    with workers(jobs, return_as="generator_unordered") as parallel:
        finished = chain(parallel(delayed(attempt)(*task) for task in together), starmap(attempt, alone))
        bar = tqdm(finished, "notebooks", len(tasks), unit="notebook", disable=not sys.stderr.isatty())
        for done, (name, took, failed) in enumerate(bar, 1):
            bar.set_postfix_str(name)
            failures += [failed] if failed else []
            if bar.disable:
                left = (time.monotonic() - start) / done * (len(tasks) - done)
                print(f"{done}/{len(tasks)} {name}: {took:.0f} s, about {left:.0f} s left", flush=True)
    return failures


def _needs(config: RunConfig) -> tuple[str, str]:
    """The data set and the backbone whose files a run reads."""
    return config.dataset, config.backbone


def _is_here(config: RunConfig) -> bool:
    """Whether the data of `config`, and the weights of its backbone, are on this machine; nothing is downloaded."""
    return bool(datasets.named(config.dataset).find()) and bool(not config.backbone or backbones.find(config.backbone))


def _not_here(configs: Iterable[RunConfig]) -> dict[tuple[str, str], str]:
    """The data sets and backbones of `configs` that this machine lacks after trying to download -> how to get them."""
    lacking = {}
    for dataset, backbone in dict.fromkeys(map(_needs, configs)):
        try:
            datasets.named(dataset).load(0)  # downloads where it can
            if backbone:
                backbones.load(backbone)
        except FileNotFoundError as error:
            lacking[dataset, backbone] = str(error)
    return lacking
