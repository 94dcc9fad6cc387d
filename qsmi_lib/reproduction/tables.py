"""Tables as pure functions of records and of the published numbers: mean and deviation over seeds, beside the paper."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import STANDS_FOR, TITLES
from qsmi_lib.methods import METHODS
from qsmi_lib.models.backbones import BACKBONES
from qsmi_lib.reproduction.experiments import experiment, grid
from qsmi_lib.reproduction.titles import CONVENTIONS, HEAD_TITLES, PROTOCOL_TITLES
from qsmi_lib.training import records
from qsmi_lib.training.runs import run_id
from qsmi_lib.utils import files, paths

# What a caption says of the paper's numbers, where it is not after how many epochs they were made.
QUOTED = {
    "table_3": ": through a DenseNet-BC-190, after 5 epochs",
    "table_5": ": QSMI's with AlexNet, frozen or not; the others quoted, each under a convention of its own",
    "table_9": "; it does not say which classes, nor how 7.5 of 10 are taken",
}
# Experiments without published numbers that are of one of the data sets for which their own stand.
STANDS_FOR_ONE = {name: {"nus_wide"} for name in ("table_6_tuned", "fig_3_scenes", "poster_scenes")}
# What must stand beside a table's numbers, whatever its methods.
REMARKS = {
    "table_6_tuned": "Tuned at 48 bits on 150 held-out training items, by the mAP of all orders of ties, relevance by "
    "shares.",
    "table_7": "Tuned for 10 epochs on held-out items of all classes. After 50 epochs the order is another "
    "(notebook 09).",
    "table_8": "All are tuned at 48 bits on the head of 2,048 hidden units, by batches of 128, for 50 epochs; CSQ's "
    "own head has the settings found there.",
}
NEAREST = {"map_literature": "map"}  # beside what the paper quotes from others stands the nearest convention


def found(configs: list[RunConfig], where: Path) -> list[dict]:
    """The records of `configs` in the folder `where`, those that exist."""
    distinct = {run_id(config): config for config in configs}
    return [records.load(path) for name in distinct if (path := where / f"{name}.json").exists()]


def cells(name: str, profile: str, where: Path | None = None, metrics: Sequence[str] | None = None) -> pd.DataFrame:
    """One row a cell of the experiment `name`: its settings, seeds, and mean and std of each metric.

    Args:
        name: an experiment.
        profile: whose grid, and whose records unless `where` is given.
        where: folder of records.
        metrics: fields of `Evaluation`; None: those of the experiment.

    Returns:
        The settings of `Experiment.by`, `seeds` (how many are recorded), and for each metric its mean under its name
        and its sample deviation under ``<metric>_std`` (nan for one seed).
    """
    entry, configs = experiment(name), grid(name, profile)
    metrics = entry.metrics if metrics is None else metrics
    kept = found(configs, where or paths.runs(profile))
    rows = [[key_of(RunConfig.from_dict(r["config"]), entry.by), *(value(r, m) for m in metrics)] for r in kept]
    table = []
    for key in dict.fromkeys(key_of(config, entry.by) for config in configs):
        own = [row[1:] for row in rows if row[0] == key]
        row = dict(zip(entry.by, key, strict=True)) | {"seeds": len(own)}
        for metric, values in zip(metrics, np.array(own).reshape(len(own), len(metrics)).T, strict=True):
            row[metric] = values.mean() if len(values) else math.nan
            row[f"{metric}_std"] = values.std(ddof=1) if len(values) > 1 else math.nan
        table.append(row)
    return pd.DataFrame(table)


def value(record: dict, metric: str) -> float:
    """A metric of a record.

    ``map_at_10`` is over the relevant items of the first ten, as published mAP@k is; ``map_at_10_clean`` is over
    min(R, 10); ``share_one_`` before a name is the rule of any shared label.
    """
    scores = record["metrics_share_one" if metric.startswith("share_one_") else "metrics"]
    name = metric.removeprefix("share_one_")
    if not name.startswith("map_at_"):
        return scores[name]
    cut = name.removeprefix("map_at_").removesuffix("_clean")
    return scores["map_at_k" if name.endswith("_clean") else "map_at_k_hits"][cut]


def published(name: str) -> pd.DataFrame:
    """The paper's numbers for the experiment `name`, as data/paper has them; empty where it prints none."""
    file = experiment(name).published
    columns = ["dataset", "method", "bits", "metric", "mean", "std"]
    if file is None:
        return pd.DataFrame(columns=columns)
    return pd.read_csv(paths.PUBLISHED / file)[columns].replace({"metric": NEAREST})


def beside(name: str, profile: str, where: Path | None = None) -> pd.DataFrame:
    """Each number of the experiment `name` beside the paper's: one row a cell and metric.

    Returns:
        `dataset`, `method`, `bits`, the settings, `metric`, `seeds`, `mean`, `std`, `paper`, `paper_std`, `difference`,
        `z` and `verdict`. z is the difference over the root of both variances; with one seed of ours only the paper's
        counts, and ours alone where the paper prints none. The paper's numbers stand beside ours where both are of the
        same data set.
    """
    entry = experiment(name)
    paper = published(name).set_index(["dataset", "method", "bits", "metric"])
    first = grid(name, profile)[0]
    rows = []
    for cell in cells(name, profile, where).to_dict("records"):
        settings = {"dataset": first.dataset, "method": first.method, "bits": first.bits} | cell
        for metric in entry.metrics:
            key = (settings["dataset"], settings["method"], settings["bits"], metric)
            theirs, theirs_std = paper.loc[key, ["mean", "std"]] if key in paper.index else (math.nan, math.nan)
            row = {name: settings[name] for name in ("dataset", "method", "bits", *entry.by)}
            row |= {"metric": metric, "seeds": cell["seeds"], "mean": cell[metric], "std": cell[f"{metric}_std"]}
            rows.append(row | compare(row["mean"], row["std"], theirs, theirs_std))
    return pd.DataFrame(rows)


def compare(mean: float, std: float, paper: float, paper_std: float) -> dict:
    """The paper's number beside ours: difference, z and verdict."""
    difference = mean - paper
    spread = math.hypot(*(own for own in (std, paper_std) if not math.isnan(own)))
    z = difference / spread if spread else math.nan
    if math.isnan(paper):
        verdict = "not in the paper"
    elif math.isnan(mean):
        verdict = "not run"
    elif math.isnan(paper_std):
        verdict = "no std published"
    else:
        verdict = "within 2" if abs(z) <= 2 else "outside"
    return {"paper": paper, "paper_std": paper_std, "difference": difference, "z": z, "verdict": verdict}


def markdown(name: str, profile: str, where: Path | None = None) -> str:
    """The table of the experiment `name` for people: a caption, and a row a cell."""
    entry = experiment(name)
    long = beside(name, profile, where)
    rows = []
    for key, own in long.groupby(list(entry.by), sort=False, dropna=False):
        row = {setting: _setting(setting, value) for setting, value in zip(entry.by, key, strict=True)}
        row["seeds"] = str(own["seeds"].iloc[0])
        for number in own.to_dict("records"):
            theirs = f" ({plus_minus(number['paper'], number['paper_std'])})" if pd.notna(number["paper"]) else ""
            row[CONVENTIONS[number["metric"]]] = plus_minus(number["mean"], number["std"]) + theirs
        rows.append(row)
    table = pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)
    remarks = [REMARKS[name]] if name in REMARKS and profile == "paper" else []
    return "\n\n".join([caption(name, profile, where), table, *remarks, *notes(grid(name, profile))]) + "\n"


def notes(configs: list[RunConfig]) -> list[str]:
    """What must stand beside the numbers of the methods of `configs`, a line a note."""
    of_note = {}
    for method in dict.fromkeys(config.method for config in configs):
        of_note.setdefault(METHODS[method].note, []).append(METHODS[method].title)
    return [f"{', '.join(titles)}: {note}." for note, titles in of_note.items() if note]


def caption(name: str, profile: str, where: Path | None = None) -> str:
    """What the table of `name` shows: title, data, protocol, runs."""
    configs = grid(name, profile)
    kept = found(configs, where or paths.runs(profile))
    first, theirs = configs[0], grid(name, "paper")[0]
    seeds = sorted({record["config"]["seed"] for record in kept})
    shown_seeds = ", ".join(map(str, seeds)) or "none"
    shown_seeds = shown_seeds if len(seeds) <= 5 else f"{seeds[0]} to {seeds[-1]}"
    epochs = sorted({config.epochs for config in configs if METHODS[config.method].loss is not None})
    data = shown_data(name, first.dataset, theirs.dataset)
    for backbone, rate in dict.fromkeys((c.backbone, c.backbone_learning_rate) for c in configs if c.backbone):
        how = f"trained too, at a rate of {rate:g}:" if rate else "features of"
        data += f"; {how} {seen_through(backbone, first.dataset)}"
    several = any(metric.startswith("share_one_") for metric in experiment(name).metrics)
    rule = "; relevance is the share of the query's labels that an item carries, or, where a column says so, 1 for any"
    rule = rule if several else ""
    precisions = "/".join(sorted({record["provenance"]["precision"] for record in kept})) or "-"
    n_runs = len({config.run_id(config.protocol) for config in configs})
    shown = first.dataset in set(published(name)["dataset"])
    beside_paper = f" (in brackets the paper's{QUOTED.get(name, f', after {theirs.epochs} epochs')})" if shown else ""
    over = "seeds" if len({config.draw for config in configs}) == 1 else "draws of the classes, each with its own seed"
    return (
        f"**{experiment(name).title}.** {data}{rule}; {' and '.join(map(str, epochs))} epochs; {len(kept)} of {n_runs}"
        f" runs recorded (seeds {shown_seeds}; {precisions}); mean ± std over {over}"
        f"{beside_paper}, ties by database index."
    )


def shown_data(name: str, own: str, paper_profile: str) -> str:
    """The data of an experiment as captions name them, with what they stand in for.

    Args:
        name: the experiment.
        own: its data set.
        paper_profile: its data set under the profile ``paper``.
    """
    of = STANDS_FOR.get(paper_profile, (paper_profile,))
    quoted = set(published(name)["dataset"]) or STANDS_FOR_ONE.get(name, set())
    of = [each for each in of if not quoted or each in quoted]
    return TITLES[own] if own in of else f"{TITLES[own]} in place of {' and '.join(TITLES[each] for each in of)}"


def seen_through(backbone: str, dataset: str) -> str:
    """A backbone as captions name it, with what its weights have seen of the data."""
    entry = BACKBONES[backbone]
    seen = entry.knows in (dataset, *STANDS_FOR.get(dataset, ()))
    labels = f"all training labels of {TITLES[entry.knows]}" if seen else "no label of these data"
    return f"{entry.title} (has seen {labels})"


def readings(rows: pd.DataFrame, by: tuple[str, ...]) -> list[str]:
    """What else tells the rows of `beside` apart, for people: the settings beyond method and bits."""
    others = [name for name in by if name not in ("method", "bits")]
    return ["; ".join(_setting(name, row[name]) for name in others) for row in rows.to_dict("records")]


def plus_minus(mean: float, std: float) -> str:
    """A mean and its deviation as the paper prints them; a dash where there is none."""
    if math.isnan(mean):
        return "–"
    return f"{mean:.3f}" if math.isnan(std) else f"{mean:.3f} ± {std:.3f}"


def write(name: str, profile: str) -> list[Path]:
    """Write the table of `name` under `profile` as CSV and Markdown; returns the two paths."""
    folder = paths.tables(profile)
    files.write_text(folder / f"{name}.csv", beside(name, profile).to_csv(index=False))
    files.write_text(folder / f"{name}.md", markdown(name, profile))
    return [folder / f"{name}.csv", folder / f"{name}.md"]


def key_of(config: RunConfig, by: tuple[str, ...]) -> tuple:
    """The settings of a run that tell cells apart."""
    values = config.options | {name: getattr(config, name) for name in RunConfig.__dataclass_fields__}
    return tuple(values.get(name) for name in by)


def _setting(name: str, value: object) -> str:
    """A setting as a table prints it."""
    if name == "method":
        return METHODS[value].title
    if name == "information_needs":
        return "from the batch" if value is None or math.isnan(value) else f"M = {value:g}"
    if name == "protocol":
        return PROTOCOL_TITLES[value]
    if name == "backbone":
        return BACKBONES[value].title
    if name == "head":
        return HEAD_TITLES[value]
    return value if isinstance(value, str) else "–" if pd.isna(value) else f"{value:g}"
