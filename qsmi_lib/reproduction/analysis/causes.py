"""Causes of differences above two standard deviations; a cause counts only if a run shows it."""

from collections.abc import Mapping
from importlib.metadata import version

import numpy as np
import pandas as pd

from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import Split
from qsmi_lib.evaluation.conventions import average_precision_at_k, precision_at_recall_reached
from qsmi_lib.models.backbones import BACKBONES
from qsmi_lib.reproduction.artefacts import is_current, save_artefact
from qsmi_lib.reproduction.results import Results
from qsmi_lib.training import runs
from qsmi_lib.training.records import fingerprint

N_QUERY = 1000  # queries, drawn, over which the means are taken
FILE = "features_allow.json"
FORM = {"scikit-learn?": str, ...: {...: float}}  # what it must look like, see `reading.Form`
BOUNDS = ("map_pessimistic", "map_optimistic")  # what the order of ties can make of "map"
WIDEST = 0.5  # codes that nearly all coincide have bounds further apart, which explain nothing


def allowed(split: Split) -> dict[str, float]:
    """Scores of a linear classifier on the features of `split`: logistic regression, its penalty by cross-validation.

    The database is ranked by the probability of being of the query's class, a real number and no code. This is what the
    features reach without hashing. It is no bound: a head with a hidden layer may do better.

    Returns:
        `accuracy`, the share of the queries that it classifies correctly; `map` and `map_11pt` of its ranking.
    """
    from sklearn.linear_model import LogisticRegression  # slow to import, and the other functions need none of it
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    parts = [
        (part.inputs.cpu().numpy(), part.labels.cpu().numpy()) for part in (split.train, split.query, split.database)
    ]
    (train, labels), (query, query_labels), (database, database_labels) = parts
    chosen = np.random.default_rng(0).permutation(len(query))[:N_QUERY]
    penalties = {"logisticregression__C": [1e-3, 1e-2, 1e-1, 1.0]}
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    model = GridSearchCV(linear, penalties, scoring="neg_log_loss", cv=5).fit(train, labels).best_estimator_
    query_shares, database_shares = model.predict_proba(query[chosen]), model.predict_proba(database)
    scores = []
    for shares, label in zip(query_shares, query_labels[chosen], strict=True):
        relevant = (database_labels == label)[np.argsort(-(database_shares @ shares), kind="stable")]
        scores.append((average_precision_at_k(relevant), precision_at_recall_reached(relevant).mean()))
    means = (model.score(query, query_labels), *np.mean(scores, axis=0))
    return {name: round(float(mean), 4) for name, mean in zip(("accuracy", "map", "map_11pt"), means, strict=True)}


def collect(results: Results, *, fresh: bool = False) -> None:
    """Write `allowed` for each set of features and protocol of Tables 3 and 5 as an artefact, unless it is there."""
    notes = made_by(results)
    if fresh or not is_current(results.store, FILE, notes):
        limits = {features: allowed(runs.split_of(run)) for features, run in _one_run_each(results).items()}
        save_artefact(results.store, FILE, {"scikit-learn": version("scikit-learn")} | limits, notes)


def made_by(results: Results) -> dict:
    """The data and settings that `collect` depends on."""
    fingerprints = {features: fingerprint(run) for features, run in _one_run_each(results).items()}
    return {"features": fingerprints, "n_query": N_QUERY}


def _one_run_each(results: Results) -> dict[str, RunConfig]:
    """`features_of` the runs of Tables 3 and 5 -> one run on these features."""
    return {features_of(vars(run)): run for name in ("table_3", "table_5") for run in results.grid(name)}


def features_of(settings: Mapping) -> str:
    """What decides `allowed`, of the settings of a run: data, backbone and protocol."""
    return f"{settings['dataset']} {settings['backbone']} {settings['protocol']}"


def cause(row: Mapping, rows: pd.DataFrame, features: Mapping[str, Mapping[str, float]]) -> tuple[bool, str]:
    """Whether a run shows the cause of a number outside two standard deviations, and the cause, whole or in part.

    Two causes are looked for, in this order. *The reading*: another reading of the paper's protocol brings the same
    cell within two. *The features*: ours is below the paper's, and more than half of the difference lies above what a
    linear classifier reaches on our features by the same metric, without any code; where it is less, that part is named
    and the difference stays unexplained. Then it is also said where *the order of ties* could make up for the
    difference: the paper's number lies between the bounds of all orders on our codes, these being no further apart than
    `WIDEST`. That is no cause shown, for no run had such an order: the upper bound takes every relevant item first.

    Args:
        row: of `rows`, a cell with |z| above 2.
        rows: all cells, as `ledger.ledger` has them, with their `features`, see `features_of`, and the bounds of
            `BOUNDS`.
        features: those -> `allowed`.
    """
    cell = (rows["table"] == row["table"]) & (rows["method"] == row["method"]) & (rows["bits"] == row["bits"])
    within = rows[cell & (rows["metric"] == row["metric"]) & (rows["z"].abs() <= 2)]
    if len(within):
        other = within.iloc[0]
        return True, f"the reading: by {other['reading']} z is {other['z']:+.1f}"
    share, clause = _above_features(row, features)
    if share > 0.5:
        return True, clause
    part = f"{share:.0%} are {clause}" if share >= 0.01 else ""
    return False, "; ".join(filter(None, [part, _between_ties(row)]))


def _above_features(row: Mapping, features: Mapping[str, Mapping[str, float]]) -> tuple[float, str]:
    """Which share of the difference lies above what the features of `row` allow, and that in words."""
    limit = features.get(row["features"], {}).get(row["metric"])
    if limit is None or row["mean"] >= row["paper"]:
        return 0.0, ""
    title = BACKBONES[row["features"].split()[1]].title
    share = (row["paper"] - limit) / (row["paper"] - row["mean"])
    return share, f"the features: a linear classifier on {title}'s reaches {limit:.3f} without codes"


def _between_ties(row: Mapping) -> str:
    """That the paper's number lies between the bounds of all orders of ties, in words; "" where it does not."""
    lowest, highest = (row[bound] for bound in BOUNDS)
    if row["metric"] != "map" or not lowest <= row["paper"] <= highest or highest - lowest > WIDEST:
        return ""
    return f"orders of ties reach from {lowest:.3f} to {highest:.3f}"
