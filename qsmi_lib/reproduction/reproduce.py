"""Regenerate: the runs of each experiment, every notebook through papermill, then tables and figures."""

import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, starmap
from pathlib import Path

import papermill
from joblib import delayed
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm

from qsmi_lib import datasets
from qsmi_lib.config.run import RunConfig
from qsmi_lib.models import backbones
from qsmi_lib.reproduction import figures, rotations, tables, verify
from qsmi_lib.reproduction.analysis import causes, made_by, significance, tsne
from qsmi_lib.reproduction.artefacts import outdated
from qsmi_lib.reproduction.experiments import EXPERIMENTS
from qsmi_lib.reproduction.results import Results
from qsmi_lib.training.records import run_id
from qsmi_lib.utils import paths
from qsmi_lib.utils.parallel import workers

TIMED = {"10"}  # notebooks that measure times: each runs by itself, after the others


def notebooks(only: tuple[str, ...] = ()) -> list[Path]:
    """The notebooks in their order, or those whose number or name `only` lists; a ValueError lists the known ones."""
    known = {path.stem: path for path in sorted(paths.NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))}
    chosen = [path for name, path in known.items() if not only or any(one in (name, name[:2]) for one in only)]
    for name in only:
        if not any(name in (path.stem, path.stem[:2]) for path in chosen):
            raise ValueError(f"unknown notebook {name!r}; known: {', '.join(known)}")
    return chosen


def execute(notebook: Path, output: Path, **parameters) -> None:
    """Run `notebook` with `parameters` and write the executed copy to `output`.

    Raises:
        ValueError: a parameter that the notebook does not have; the known ones are listed.
        PapermillExecutionError: a cell failed; the copy up to there lies beside `output` as ``<name>.failed.ipynb``.
    """
    known = papermill.inspect_notebook(str(notebook))
    if unknown := sorted(parameters.keys() - known.keys()):
        raise ValueError(f"{notebook.name} has no parameter {', '.join(unknown)}; known: {', '.join(known)}")
    output.parent.mkdir(parents=True, exist_ok=True)
    os.environ["QSMI_HEADLESS"] = "1"  # the kernel inherits it: no bars and sliders in the executed copy
    partial = output.with_suffix(".failed.ipynb")
    papermill.execute_notebook(
        str(notebook),
        str(partial),
        parameters=parameters,
        cwd=str(notebook.parent),
        kernel_name="python3",
        progress_bar=False,
        extra_arguments=["--IPKernelApp.log_level=50"],  # what a kernel says of its own transport is of no use here
    )
    partial.replace(output)


def attempt(notebook: Path, output: Path, profile: str) -> tuple[str, float, str]:
    """`execute`; returns the notebook's name, the seconds that it took, and what failed there, "" where nothing did."""
    began, failed = time.monotonic(), ""
    try:
        execute(notebook, output, profile=profile)
    except PapermillExecutionError as error:
        failed = f"{notebook.name} failed: {error.ename}: {error.evalue}"
    except RuntimeError as error:  # nbclient: the kernel died, or does not answer
        failed = f"{notebook.name} failed: {error}; if memory is short, fewer --jobs need less"
    return notebook.stem, time.monotonic() - began, failed


@dataclass
class Plan:
    """What a reproduction will do.

    Attributes:
        notebooks: that are executed.
        names: the experiments whose tables and figures are written.
        configs: runs, recorded or not.
        turned: runs after which a rotation is searched.
        on_digits: numbers of notebooks whose live part shows the digits, for the data are not on this machine.
    """

    notebooks: list[Path]
    names: list[str]
    configs: list[RunConfig]
    turned: list[RunConfig]
    on_digits: set[str]


def reproduce(
    results: Results, *, only: tuple[str, ...] = (), seeds: tuple[int, ...] = (), fresh: bool = False, jobs: int = 1
) -> list[str]:
    """Everything the chosen notebooks show, under the profile of `results`; returns what failed, a line each.

    Args:
        results: profile and folder.
        only: numbers or names of notebooks; all where it is empty.
        seeds: train these seeds of the profile alone, and leave the notebooks, which would train the others too.
        fresh: run again what is recorded.
        jobs: training runs at a time, then notebooks, then tables and figures.
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
    for name in outdated(results.store, made_by.expected(results)):
        print(f"{results.store.artefact(name)} is of other runs or settings than its experiment has today")
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
    """What is to be done; what cannot be done here is left out, and said."""
    chosen = notebooks(only)
    numbers = {path.stem[:2] for path in chosen}
    names = [name for name, entry in EXPERIMENTS.items() if entry.notebook in numbers and results.makes(name)]
    known = sorted({config.seed for name in names for config in results.grid(name)})
    if unknown := sorted(set(seeds) - set(known)):
        profile = results.profile.name
        raise ValueError(f"profile {profile} has the seeds {', '.join(map(str, known))} there, got {unknown[0]}")
    runs = {name: [c for c in results.grid(name) if not seeds or c.seed in seeds] for name in names}
    entries = {name: EXPERIMENTS[name] for name in names}
    turned = {name: [] if seeds else results.to_rotate(name) for name in names}
    store, steps = results.store, results.profile.rotation_steps
    missing = {
        run_id(c): c for c in chain(*runs.values()) if fresh or not store.existing(store.record(run_id(c))).exists()
    }
    n_runs = len({run_id(c) for c in chain(*runs.values())}) + sum(map(len, turned.values()))
    for config in chain(*turned.values()):
        path = store.existing(rotations.rotation_path(config, store, n_steps=steps))
        if fresh or not path.exists():
            missing[path.stem] = config
    lacking = _not_here(missing.values())
    absent = {name for name, config in missing.items() if _needs(config) in lacking}
    on_digits = {e.notebook for n, e in entries.items() if e.reads_data and not seeds and not _is_here(runs[n][0])}
    if absent:
        parts = [n for n in names if any(_needs(c) in lacking and run_id(c) in absent for c in runs[n])]
        parts += [n for n, configs in turned.items() if any(_needs(c) in lacking for c in configs)]
        lessons = {EXPERIMENTS[name].notebook for name in parts}
        why = "; ".join(dict.fromkeys(lacking.values()))
        print(f"skipped: {len(absent)} runs, and notebooks {', '.join(sorted(lessons))}: {why}")
        chosen = [path for path in chosen if path.stem[:2] not in lessons]
        names = [name for name in names if name not in parts]
    configs = [c for c in chain(*runs.values()) if _needs(c) not in lacking]
    rotated = [c for c in chain(*turned.values()) if _needs(c) not in lacking]
    if poorer := ", ".join(sorted(on_digits & {path.stem[:2] for path in chosen})):
        print(f"the live parts of notebooks {poorer} show the digits, for their data are not on this machine")
    if n_missing := len(missing) - len(absent):
        print(f"training {n_missing} of {n_runs} runs", flush=True)
    return Plan([] if seeds else chosen, names, configs, rotated, on_digits)


def _collect_artefacts(results: Results, plan: Plan, *, fresh: bool, partly: bool) -> list[str]:
    """Compute what figures and tables need beyond the records; returns what failed."""
    failures, names = [], set(plan.names)
    if partly:
        return failures
    if "methods" in names:
        significance.collect_all(results)
    if {"table_3", "table_5"} <= names:
        try:
            causes.collect(results, fresh=fresh)
        except FileNotFoundError as error:
            failures.append(f"the limits set by the features of Tables 3 and 5 are not known: {error}")
    if "fig_4" in names and EXPERIMENTS["fig_4"].notebook not in plan.on_digits:
        try:
            tsne.collect(results, fresh=fresh)
        except (ImportError, ValueError) as error:
            failures.append(f"the maps of Fig. 4 failed: {error}")
    return failures


def _execute_all(plan: Plan, results: Results, jobs: int) -> list[str]:
    """Execute the notebooks of `plan`, saying how long each took and how long the rest will; returns what failed."""
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
    """What a run reads: a data set, and a backbone's weights where it has one."""
    return config.dataset, config.backbone


def _is_here(config: RunConfig) -> bool:
    """Whether the data of `config`, and the weights of its backbone, are on this machine; nothing is downloaded."""
    return bool(datasets.named(config.dataset).find()) and bool(not config.backbone or backbones.find(config.backbone))


def _not_here(configs: Iterable[RunConfig]) -> dict[tuple[str, str], str]:
    """What `configs` read and this machine has not, even after a try to download it -> how to get it."""
    lacking = {}
    for dataset, backbone in dict.fromkeys(map(_needs, configs)):
        try:
            datasets.named(dataset).load(0)  # downloads where it can
            if backbone:
                backbones.load(backbone)
        except FileNotFoundError as error:
            lacking[dataset, backbone] = str(error)
    return lacking
