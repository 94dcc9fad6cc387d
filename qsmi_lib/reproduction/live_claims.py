"""What the text says of live tables: inequalities, each with a margin of two standard errors over the seeds."""

import math

import pandas as pd

from qsmi_lib.reproduction.experiments import Claim, Experiment, experiment
from qsmi_lib.reproduction.results import Results
from qsmi_lib.reproduction.tables import key_of
from qsmi_lib.reproduction.titles import METRIC_TITLES, setting_title

MARGIN = 2.0  # standard errors of the difference


def report(name: str, results: Results) -> str:
    """One line for each claim about the live table of `name`: the inequality, and whether it holds.

    A claim holds if the difference exceeds `MARGIN` standard errors. Notebooks print it below the table, so text and
    table cannot differ.
    """
    entry = experiment(name)
    lines = [f"{sentence(claim, entry)}: {_verdict(*difference(claim, name, results))}" for claim in entry.claims]
    return "\n".join(lines)


def sentence(claim: Claim, entry: Experiment) -> str:
    """A claim in words, as ``mAP (whole ranking), 48 bits: QSMI > DSH``: first what both sides share."""
    sides = (claim.higher, claim.lower)
    titles = [_titles(side, entry) if isinstance(side, tuple) else [f"{side:g}"] for side in sides]
    shared = [title for title in titles[0] if title in titles[1]]
    higher, lower = (", ".join(title for title in side if title not in shared) for side in titles)
    return f"{', '.join([METRIC_TITLES[claim.metric], *shared])}: {higher} > {lower}"


def difference(claim: Claim, name: str, results: Results) -> tuple[float, float]:
    """Mean difference of the two sides over the seeds that both have, and its standard error.

    Returns:
        (nan, nan) for fewer than two seeds.
    """
    higher, lower = (_scores(side, claim.metric, name, results) for side in (claim.higher, claim.lower))
    differences = (higher - lower).dropna()
    return (differences.mean(), differences.sem()) if len(differences) > 1 else (math.nan, math.nan)


def _scores(side: tuple | float, metric: str, name: str, results: Results) -> pd.Series | float:
    """The scores of a cell by seed; a number unchanged."""
    if not isinstance(side, tuple):
        return side
    by = experiment(name).by
    rows = results.rows([config for config in results.grid(name) if key_of(config, by) == side])
    values = rows[metric] if metric in rows else [epochs[-1][metric] for epochs in rows["history"]]
    return pd.Series(list(values), index=list(rows["seed"]), dtype=float)


def _titles(side: tuple, entry: Experiment) -> list[str]:
    """The settings of a cell in words."""
    worded = {"bits": "{} bits", "alpha": "alpha {}", "batch_size": "batches of {}"}
    titles = map(setting_title, entry.by, side)
    return [worded.get(name, "{}").format(title) for name, title in zip(entry.by, titles, strict=True)]


def _verdict(mean: float, error: float) -> str:
    if math.isnan(mean):
        return "not known, fewer than two seeds"
    return "holds" if mean > MARGIN * error else "does not hold"
