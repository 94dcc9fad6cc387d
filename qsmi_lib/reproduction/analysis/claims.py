"""Claims that the paper makes in words only, as numbers from records."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import scipy

from qsmi_lib.config.profiles import Profile
from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import named
from qsmi_lib.reproduction import tables
from qsmi_lib.reproduction.artefacts import save_artefact
from qsmi_lib.reproduction.experiments import experiment
from qsmi_lib.reproduction.results import Results
from qsmi_lib.reproduction.titles import STEP_TITLES
from qsmi_lib.training.records import SavedCodes, codes_of, run_id

METRIC = "map_11pt"
ASTRAY = "astray.csv"
SAME = ("dataset", "backbone", "protocol", "draw", "bits", "seed")  # what two runs that are compared share


def fewer_bits(name: str, results: Results, of: str = "qsmi") -> pd.DataFrame:
    """The fewest bits with which the method `of` reaches the score of each other method's longest codes.

    The paper: "almost the same performance with less than half of the bits" (Section 4.3).

    Args:
        name: an experiment of methods by code length.
        results: the grid and the records of a profile.
        of: registry name.

    Returns:
        One row per method: its most `bits` and mean `score` there; `enough`, the fewest bits at which the mean of `of`
        is no lower (nan where there are none), its mean `ours` there; `share`, the quotient of the two lengths.
    """
    cells = tables.cells(name, results).dropna(subset=METRIC)
    method_cells = cells[cells["method"] == of].sort_values("bits")
    rows = []
    for method, others in cells[cells["method"] != of].groupby("method", sort=False):
        longest = others.loc[others["bits"].idxmax()]
        reached = method_cells[method_cells[METRIC] >= longest[METRIC]].head(1)
        enough, ours = (reached["bits"].item(), reached[METRIC].item()) if len(reached) else (np.nan, np.nan)
        row = {"method": method, "bits": longest["bits"], "score": longest[METRIC], "enough": enough, "ours": ours}
        rows.append(row | {"share": enough / longest["bits"]})
    return pd.DataFrame(rows, columns=["method", "bits", "score", "enough", "ours", "share"])


def spread(names: Iterable[str], results: Results) -> pd.DataFrame:
    """Deviation over seeds by method: the paper calls its method "more stable".

    Args:
        names: experiments.
        results: as in `fewer_bits`.

    Returns:
        One row per method and experiment: `experiment`, `method`, `cells` with two seeds or more, `std`, the root of
        the mean variance over them, `freedom`, its degrees of freedom, and its 95 % confidence interval, `low` to
        `high`, by the chi-square distribution. Of several protocols the first one counts: Table
        5's differ in the database alone and share their trainings.
    """
    rows = []
    for name in names:
        cells = tables.cells(name, results)
        if "protocol" in cells:
            cells = cells[cells["protocol"] == cells["protocol"].iloc[0]]
        several = cells[cells["seeds"] > 1]
        for method, group in several.groupby("method", sort=False):
            freedom = group["seeds"] - 1
            squares = float((group[f"{METRIC}_std"] ** 2 * freedom).sum())
            n = int(freedom.sum())
            lower, upper = scipy.stats.chi2.ppf([0.975, 0.025], n)
            low, std, high = (np.sqrt(squares / over) for over in (lower, n, upper))
            row = {"experiment": name, "method": method, "cells": len(group), "std": std}
            rows.append(row | {"freedom": n, "low": low, "high": high})
    return pd.DataFrame(rows, columns=["experiment", "method", "cells", "std", "freedom", "low", "high"])


def paired(name: str, results: Results, *, base: int = 0) -> pd.DataFrame:
    """Gain of each cell of an experiment over one of them, seed by seed.

    Args:
        name: the experiment.
        results: as in `fewer_bits`.
        base: which cell the others are compared with, by its place in the grid.

    Returns:
        One row per cell that shares seeds with that one, in the grid's order: its settings, `n` such seeds, its mean
        `score`, the mean `gain`, the standard error of that (nan for one seed), and in how many seeds it went `up`.
    """
    entry, configs = experiment(name), results.grid(name)
    scores = {tables.key_of(config, entry.by): {} for config in configs}
    recorded = results.recorded(name).get(METRIC, {})  # without any record there are no metrics
    for config in configs:
        if (run := run_id(config)) in recorded:
            scores[tables.key_of(config, entry.by)][config.seed] = recorded[run]
    reference, rows = list(scores.values())[base], []
    for key, by_seed in scores.items():
        common = by_seed.keys() & reference.keys()
        gain = np.array([by_seed[seed] - reference[seed] for seed in common])
        if len(gain) and by_seed is not reference:
            error = gain.std(ddof=1) / len(gain) ** 0.5 if len(gain) > 1 else np.nan
            row = dict(zip(entry.by, key, strict=True)) | {"n": len(gain)}
            row |= {"score": np.mean([by_seed[seed] for seed in common])}
            rows.append(row | {"gain": gain.mean(), "error": error, "up": int((gain > 0).sum())})
    return pd.DataFrame(rows, columns=[*entry.by, "n", "score", "gain", "error", "up"])


def levels(name: str, results: Results) -> dict[str, list[list[float]]]:
    """Precision at the eleven levels of recall, of each recorded seed, by what a run adds to the paper."""
    curves = {}
    for run in results.recorded(name).to_dict("records"):
        curves.setdefault(step_title(run, results.profile), []).append(run["precision_at_recall"])
    return curves


def astray(codes: SavedCodes) -> tuple[np.ndarray, np.ndarray]:
    """Items whose code is nearest to another class's modal code; for data with one label an item.

    The modal code of a class is the most frequent code of its database items. Recall 1.0 is reached at the last item of
    a class, so a single item that is astray lowers the precision there for all queries of the class.

    Returns:
        bool (n_query,) and (n_database,), which of them are astray.
    """
    classes = np.unique(codes.database_labels)
    modal = np.stack([_modal_code(codes.database[codes.database_labels == name]) for name in classes]).astype(np.int32)
    parts = ((codes.query, codes.query_labels), (codes.database, codes.database_labels))
    similarity = [(part.astype(np.int32) @ modal.T, np.searchsorted(classes, labels)) for part, labels in parts]
    return tuple(share.max(axis=1) > share[np.arange(len(share)), place] for share, place in similarity)


def astray_by_step(results: Results) -> pd.DataFrame:
    """How many items are `astray` under each step beyond the paper, seed 0; written as an artefact.

    Returns:
        One row per step: its title, the shares of the `query` and the `database` that are astray, and, of the class
        with the largest share of the database astray, its name, `worst`, and that share, `worst_share`.

    Raises:
        FileNotFoundError: the codes are not on this machine.
    """
    rows, configs = [], _first_seeds(results)
    for config in configs:
        codes = codes_of(config, results.store)
        query, database = astray(codes)
        shares = [database[codes.database_labels == name].mean() for name in np.unique(codes.database_labels)]
        row = {"step": step_title(vars(config), results.profile), "query": query.mean(), "database": database.mean()}
        rows.append(row | {"worst": named(config.dataset).classes[int(np.argmax(shares))], "worst_share": max(shares)})
    table = pd.DataFrame(rows).round(4)
    save_artefact(results.store, ASTRAY, table, astray_made_by(results))
    return table


def astray_made_by(results: Results) -> dict:
    """The runs that `astray_by_step` is made from."""
    return {"runs": [run_id(config) for config in _first_seeds(results)]}


def _first_seeds(results: Results) -> list[RunConfig]:
    return [config for config in results.grid("steps") if config.seed == 0]


def _modal_code(codes: np.ndarray) -> np.ndarray:
    """The code that most rows of (n, bits) have; of several the first in lexicographic order."""
    distinct, counts = np.unique(codes, axis=0, return_counts=True)
    return distinct[counts.argmax()]


def step_title(row: Mapping, profile: Profile) -> str:
    """The title of what a run adds to the paper, from its `method`, `memory`, `schedule`, `epochs` and `augmentation`.

    The epochs of `profile` at a constant rate are the paper's and are not named.
    """
    usual = row["schedule"] == "constant" and row["epochs"] == profile.epochs
    names = [row["method"], "" if usual else row["schedule"], row["augmentation"]]
    titles = [STEP_TITLES[name].format(epochs=row["epochs"]) for name in names if name in STEP_TITLES]
    return " + ".join(titles + ([f"memory of {row['memory']:g} batches"] if row["memory"] else [])) or "as the paper"


def gains(runs: pd.DataFrame, of: str, metric: str = METRIC) -> pd.DataFrame:
    """The method `of` against every other on the same data, features, code length and seed.

    Args:
        runs: rows of the table of runs; pairs of which one is missing are left out.
        of: registry name.
        metric: a column of the table.

    Returns:
        One row per backbone and other method: `backbone`, `method`, `n` pairs, the mean `gain`, and `up`, in how many
        pairs the score increased.
    """
    scores = runs.set_index(["method", *SAME])[metric].to_dict()
    pairs = [
        {"backbone": setting[1], "method": method, "gain": scores[of, *setting] - score}
        for (method, *setting), score in scores.items()
        if method != of and (of, *setting) in scores
    ]
    by_method = pd.DataFrame(pairs, columns=["backbone", "method", "gain"]).groupby(["backbone", "method"], sort=False)
    return by_method["gain"].agg(n="size", gain="mean", up=lambda gain: int((gain > 0).sum())).reset_index()
