"""Tables of means and standard deviations over seeds: pure functions of the runs and of the published numbers."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import SUBSTITUTE_FOR, TITLES
from qsmi_lib.methods import METHODS
from qsmi_lib.models.backbones import BACKBONES
from qsmi_lib.reproduction.experiments import Experiment, experiment
from qsmi_lib.reproduction.results import Results, committed
from qsmi_lib.reproduction.titles import METRIC_TITLES, setting_title
from qsmi_lib.training.records import run_id
from qsmi_lib.utils import paths
from qsmi_lib.utils.io import write_text
from qsmi_lib.utils.reading import CLONE, read_table

PUBLISHED = {  # columns of the tables of data/paper, see `reading.read_table`
    **dict.fromkeys(("source", "place", "dataset", "method", "metric", "note"), object),
    **dict.fromkeys(("bits", "mean", "std"), float),
}
NEAREST = {"map_literature": "map"}  # numbers quoted from other papers are compared with this metric


def cells(name: str, results: Results, metrics: Sequence[str] | None = None) -> pd.DataFrame:
    """One row for each cell of the experiment `name`: its settings, seeds, and mean and std of each metric.

    A cell is one combination of the settings `Experiment.by`; its runs differ in the seed (or draw) only.

    Args:
        name: an experiment.
        results: the grid and records to use.
        metrics: columns of the table of runs; None: the metrics of the experiment.

    Returns:
        The settings of `Experiment.by`, `seeds` (how many are recorded), and for each metric its mean under its name
        and its sample standard deviation under ``<metric>_std`` (nan for one seed).
    """
    entry, recorded = experiment(name), results.recorded(name)
    metrics = entry.metrics if metrics is None else metrics
    by_cell = {}
    for config in results.grid(name):
        by_cell.setdefault(key_of(config, entry.by), {})[run_id(config)] = None
    table = []
    for key, runs in by_cell.items():
        seeds = recorded.loc[recorded.index.intersection(list(runs), sort=False)]
        row = dict(zip(entry.by, key, strict=True)) | {"seeds": len(seeds)}
        for metric in metrics:
            values = _scores(seeds, metric, results)
            row[metric] = values.mean() if len(values) else math.nan
            row[f"{metric}_std"] = values.std(ddof=1) if len(values) > 1 else math.nan
        table.append(row)
    return pd.DataFrame(table)


def _scores(runs: pd.DataFrame, metric: str, results: Results) -> np.ndarray:
    """`metric` of recorded runs, float64; a ValueError names the record that lacks it."""
    values = runs[metric] if metric in runs else pd.Series(math.nan, runs.index)
    for run, value in values.items():
        if not isinstance(value, float | int) or not math.isfinite(value):
            raise results.damaged(run, f"it has no {metric}")
    return values.to_numpy(float)


def published(name: str) -> pd.DataFrame:
    """The paper's numbers for the experiment `name`, from data/paper; an empty table if the paper prints none."""
    file = experiment(name).published
    columns = ["dataset", "method", "bits", "metric", "mean", "std"]
    if file is None:
        return pd.DataFrame(columns=columns)
    return read_published(file)[columns].replace({"metric": NEAREST})


def read_published(file: str) -> pd.DataFrame:
    """A table of data/paper; a ValueError names a damaged one."""
    return read_table(paths.PUBLISHED / file, PUBLISHED, CLONE)


def compared(name: str, results: Results) -> pd.DataFrame:
    """Each number of the experiment `name` compared with the paper's: one row for each cell and metric.

    Returns:
        `dataset`, `method`, `bits`, the settings, `metric`, `seeds`, `mean`, `std`, `paper`, `paper_std`, `difference`
        and `z`, the difference divided by the joint standard deviation (the root of the sum of both variances). With
        one seed, only the paper's deviation is used; if the paper prints none, only ours. `paper` is nan if the paper
        has no number for this data set.
    """
    entry = experiment(name)
    paper = published(name).set_index(["dataset", "method", "bits", "metric"])
    first = results.grid(name)[0]
    rows = []
    for cell in cells(name, results).to_dict("records"):
        settings = {"dataset": first.dataset, "method": first.method, "bits": first.bits} | cell
        for metric in entry.metrics:
            key = (settings["dataset"], settings["method"], settings["bits"], metric)
            number, deviation = paper.loc[key, ["mean", "std"]] if key in paper.index else (math.nan, math.nan)
            row = {name: settings[name] for name in ("dataset", "method", "bits", *entry.by)}
            row |= {"metric": metric, "seeds": cell["seeds"], "mean": cell[metric], "std": cell[f"{metric}_std"]}
            rows.append(
                row | {"paper": number, "paper_std": deviation} | z_score(row["mean"], row["std"], number, deviation)
            )
    return pd.DataFrame(rows)


def z_score(mean: float, std: float, paper: float, paper_std: float) -> dict[str, float]:
    """`difference` (our mean minus the paper's number) and `z`; `z` is nan if no standard deviation is known."""
    difference = mean - paper
    spread = math.hypot(*(deviation for deviation in (std, paper_std) if not math.isnan(deviation)))
    return {"difference": difference, "z": difference / spread if spread else math.nan}


def markdown(name: str, results: Results) -> str:
    """The table of the experiment `name` in Markdown: a caption, and one row for each cell."""
    entry = experiment(name)
    rows = []
    for key, numbers in compared(name, results).groupby(list(entry.by), sort=False, dropna=False):
        row = {setting: setting_title(setting, value) for setting, value in zip(entry.by, key, strict=True)}
        row["seeds"] = str(numbers["seeds"].iloc[0])
        for number in numbers.to_dict("records"):
            paper = f" ({plus_minus(number['paper'], number['paper_std'])})" if pd.notna(number["paper"]) else ""
            row[METRIC_TITLES[number["metric"]]] = plus_minus(number["mean"], number["std"]) + paper
        rows.append(row)
    table = pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)
    remarks = [entry.remark] if entry.remark and results.profile.name == "paper" else []
    return "\n\n".join([caption(name, results), table, *remarks, *notes(results.grid(name))]) + "\n"


def notes(configs: list[RunConfig]) -> list[str]:
    """The notes of the methods of `configs`: one line for each note, after the titles of its methods."""
    by_note = {}
    for method in dict.fromkeys(config.method for config in configs):
        by_note.setdefault(METHODS[method].note, []).append(METHODS[method].title)
    return [f"{', '.join(titles)}: {note}." for note, titles in by_note.items() if note]


def caption(name: str, results: Results) -> str:
    """The caption of the table of `name`: title, data, protocol, runs."""
    entry, configs, recorded = experiment(name), results.grid(name), results.recorded(name)
    epochs = sorted({config.epochs for config in configs if METHODS[config.method].loss is not None})
    n_runs = len({run_id(config) for config in configs})
    precisions = "/".join(sorted(set(recorded["used_precision"]))) or "-"
    over = "seeds" if len({config.draw for config in configs}) == 1 else "draws of the classes, each with its own seed"
    return (
        f"**{entry.title}.** {_data_title(name, configs)}{_relevance_rule(entry)};"
        f" {' and '.join(map(str, epochs))} epochs; {len(recorded)} of {n_runs} runs recorded"
        f" (seeds {_seeds_title(sorted(set(recorded['seed'])))}; {precisions}); mean ± std over {over}"
        f"{_in_brackets(name, configs[0].dataset)}, ties by database index."
    )


def _data_title(name: str, configs: list[RunConfig]) -> str:
    """The titles of the data set and of the backbones of an experiment."""
    dataset = configs[0].dataset
    title = shown_data(name, dataset)
    for backbone, rate in dict.fromkeys((c.backbone, c.backbone_learning_rate) for c in configs if c.backbone):
        how = f"trained too, at a rate of {rate:g}:" if rate else "features of"
        title += f"; {how} {seen_through(backbone, dataset)}"
    return title


def _relevance_rule(entry: Experiment) -> str:
    """The definition of relevance, for the caption; "" if no item has several labels."""
    if not any(metric.startswith("share_one_") for metric in entry.metrics):
        return ""
    return "; relevance is the share of the query's labels that an item carries, or, where a column says so, 1 for any"


def _seeds_title(seeds: list[int]) -> str:
    """Up to five seeds as a list, more as a range."""
    if len(seeds) > 5:
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds)) or "none"


def _in_brackets(name: str, dataset: str) -> str:
    """The explanation of the numbers in brackets; "" if the paper prints none for `dataset`."""
    if dataset not in set(published(name)["dataset"]):
        return ""
    return (
        f" (in brackets the paper's{experiment(name).quoted or f', after {committed().grid(name)[0].epochs} epochs'})"
    )


def shown_data(name: str, dataset: str) -> str:
    """The data set of an experiment, for captions; a substitute with the paper's data sets that it replaces."""
    paper = committed().grid(name)[0].dataset
    originals = SUBSTITUTE_FOR.get(paper, (paper,))
    wanted = set(published(name)["dataset"]) or experiment(name).substitute_for
    originals = [original for original in originals if not wanted or original in wanted]
    if dataset in originals:
        return TITLES[dataset]
    return f"{TITLES[dataset]} in place of {' and '.join(TITLES[original] for original in originals)}"


def seen_through(backbone: str, dataset: str) -> str:
    """A backbone, for captions, with the labels of the data that it was trained on."""
    entry = BACKBONES[backbone]
    seen = entry.labels_of in (dataset, *SUBSTITUTE_FOR.get(dataset, ()))
    labels = f"all training labels of {TITLES[entry.labels_of]}" if seen else "no label of these data"
    return f"{entry.title} (has seen {labels})"


def plus_minus(mean: float, std: float) -> str:
    """A mean and its standard deviation as the paper prints them; a dash for a missing mean."""
    if math.isnan(mean):
        return "–"
    return f"{mean:.3f}" if math.isnan(std) else f"{mean:.3f} ± {std:.3f}"


def write_table(name: str, results: Results) -> list[Path]:
    """Write the table of `name` as CSV and Markdown; returns the two paths."""
    folder = results.store.tables
    write_text(folder / f"{name}.csv", compared(name, results).to_csv(index=False))
    write_text(folder / f"{name}.md", markdown(name, results))
    return [folder / f"{name}.csv", folder / f"{name}.md"]


def key_of(config: RunConfig, by: tuple[str, ...]) -> tuple:
    """The settings `by` of a run, which identify its cell; None where its method has no such option."""
    values = config.options | {name: getattr(config, name) for name in RunConfig.__dataclass_fields__}
    return tuple(values.get(name) for name in by)
