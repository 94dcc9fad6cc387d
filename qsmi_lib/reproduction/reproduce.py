"""Regenerate: the runs of each experiment, every notebook through papermill, then tables and figures."""

import os
import sys
import time
from itertools import chain, starmap
from pathlib import Path

import papermill
from joblib import delayed
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm

from qsmi_lib import datasets
from qsmi_lib.config.profiles import profile as get_profile
from qsmi_lib.config.run import RunConfig
from qsmi_lib.models import backbones
from qsmi_lib.reproduction import figures, tables
from qsmi_lib.reproduction import rotations as rotated
from qsmi_lib.reproduction.analysis import causes, significance, tsne
from qsmi_lib.reproduction.experiments import EXPERIMENTS, grid
from qsmi_lib.training import runs as runner
from qsmi_lib.utils import paths
from qsmi_lib.utils.parallel import workers

# Notebooks whose own part reads pictures, features or codes, which no repository carries, and an experiment with them.
LOOKS_AT = {"05": "table_2", "11": "fig_4", "13": "uit_dsh", "14": "spring_forms"}
TIMED = {"10"}  # measures times: runs after the others and by itself, also where several run at a time


def notebooks(only: tuple[str, ...] = ()) -> list[Path]:
    """The notebooks in their order, or those whose number or name `only` lists; a ValueError lists the known ones."""
    known = {path.stem: path for path in sorted(paths.NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))}
    chosen = [path for name, path in known.items() if not only or any(o in (name, name[:2]) for o in only)]
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


def reproduce(
    profile: str,
    *,
    only: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (),
    fresh: bool = False,
    jobs: int = 1,
) -> list[str]:
    """Everything the chosen notebooks show, under `profile`; returns what failed, a line each.

    Args:
        profile: digits, quick, paper or gpu.
        only: numbers or names of notebooks; all where it is empty.
        seeds: train these seeds of the profile alone, and leave the notebooks, which would train the others too.
        fresh: run again what is recorded.
        jobs: training runs at a time, then notebooks, then tables and figures.
    """
    chosen = notebooks(only)
    numbers = {path.stem[:2] for path in chosen}
    names = [name for name, entry in EXPERIMENTS.items() if entry.notebook in numbers]
    known = sorted({config.seed for name in names for config in grid(name, profile)})
    if unknown := sorted(set(seeds) - set(known)):
        raise ValueError(f"profile {profile} has the seeds {', '.join(map(str, known))} there, got {unknown[0]}")
    paths.export()
    configs = [config for name in names for config in grid(name, profile) if not seeds or config.seed in seeds]
    own = get_profile(profile)
    rotations = {n: rotated.ROTATIONS[n](own) for n in sorted(numbers & rotated.ROTATIONS.keys()) if not seeds}
    steps = own.rotation_steps
    searches = {rotated.file_of(run, profile, n_steps=steps): run for runs in rotations.values() for run in runs}
    turned = list(searches.values())
    wanting, total = [], {runner.record_path(config, profile): config for config in configs}
    total |= searches
    for path, config in total.items():
        if fresh or not path.exists():
            wanting.append(config)
    looks = {n: grid(LOOKS_AT[n], profile)[0] for n in sorted(numbers & LOOKS_AT.keys()) if not seeds}
    lacking = _not_here(wanting)
    blind = {n for n, config in looks.items() if not _found(config)}
    why = "; ".join(dict.fromkeys(lacking.values()))
    absent = [config for config in wanting if _needs(config) in lacking]
    if absent:
        lessons = {EXPERIMENTS[n].notebook for n in names if any(config in absent for config in grid(n, profile))}
        lessons |= {n for n, runs in rotations.items() if any(config in absent for config in runs)}
        print(f"skipped: {len(absent)} runs, and notebooks {', '.join(sorted(lessons))}: {why}")
        chosen = [path for path in chosen if path.stem[:2] not in lessons]
        names = [name for name in names if not any(config in absent for config in grid(name, profile))]
        configs, turned, wanting = (
            [config for config in some if _needs(config) not in lacking] for some in (configs, turned, wanting)
        )
    if poorer := ", ".join(sorted(blind & {path.stem[:2] for path in chosen})):
        print(f"on the digits, but for what they show of the records, for the data are not here: notebooks {poorer}")
    if wanting:
        print(f"training {len(wanting)} of {len(total)} runs", flush=True)
    runner.run_all(configs, profile, jobs=jobs, fresh=fresh)
    rotated.rotate_all(turned, profile, n_steps=steps, jobs=jobs, fresh=fresh)
    if "methods" in names and not seeds:
        significance.collect_all(profile)
    failures = []
    if {"table_3", "table_5"} <= set(names) and not seeds:
        try:
            causes.collect(profile, fresh=fresh)
        except FileNotFoundError as error:
            failures.append(f"what the features of Tables 3 and 5 allow is not known: {error}")
    if "fig_4" in names and not seeds and "11" not in blind:
        try:
            tsne.collect(profile, fresh=fresh)
        except (ImportError, ValueError) as error:
            failures.append(f"the maps of Fig. 4 failed: {error}")
    chosen = [] if seeds else chosen
    folder, start = paths.notebooks(profile), time.monotonic()
    with workers(jobs, return_as="generator_unordered") as parallel:
        asked = [(path, folder / path.name, "digits" if path.stem[:2] in blind else profile) for path in chosen]
        beside, alone = ([one for one in asked if (one[0].stem[:2] in TIMED) == timed] for timed in (False, True))
        work = chain(parallel(delayed(attempt)(*one) for one in beside), starmap(attempt, alone))
        bar = tqdm(work, "notebooks", len(chosen), unit="notebook", disable=not sys.stderr.isatty())
        for done, (name, took, failed) in enumerate(bar, 1):
            bar.set_postfix_str(name)
            failures += [failed] if failed else []
            if bar.disable:
                left = (time.monotonic() - start) / done * (len(chosen) - done)
                print(f"{done}/{len(chosen)} {name}: {took:.0f} s, about {left:.0f} s left", flush=True)
    write_all(profile, names, jobs=jobs)
    return sorted(failures)


def _needs(config: RunConfig) -> tuple[str, str]:
    """What a run reads: a data set, and a backbone's weights where it has one."""
    return config.dataset, config.backbone


def _found(config: RunConfig) -> bool:
    """Whether the data of `config`, and the weights of its backbone, are on this machine; nothing is downloaded."""
    return bool(datasets.named(config.dataset).find()) and bool(not config.backbone or backbones.find(config.backbone))


def _not_here(configs: list[RunConfig]) -> dict[tuple[str, str], str]:
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


def write_all(profile: str, names: list[str] | None = None, *, jobs: int = 1) -> list[Path]:
    """Write the tables and figures of the experiments `names`, or of all, from the records; returns the paths."""
    names = list(EXPERIMENTS) if names is None else names
    with workers(jobs) as parallel:
        written = parallel(delayed(write)(name, profile) for name in names)
    return sum(written, figures.write("fig_2a", profile))


def write(name: str, profile: str) -> list[Path]:
    """Write the table and the figure of one experiment, where it has them; returns the paths."""
    return (tables.write(name, profile) if EXPERIMENTS[name].metrics else []) + figures.write(name, profile)
