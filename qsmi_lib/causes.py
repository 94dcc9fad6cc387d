"""Why a number lies outside two standard deviations of the paper's: a cause counts only where a run shows it."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from qsmi_lib import paths, records, runner
from qsmi_lib.backbones import BACKBONES
from qsmi_lib.datasets import Split
from qsmi_lib.experiments import grid

N_QUERY = 1000  # queries, drawn, over which the mean is taken
FILE = "features_allow.json"
OPEN = "open"
FAILED = 0.5  # a method that reaches less than this share of what the features allow has failed by itself


def allowed(split: Split) -> dict[str, float]:
    """What the features of `split` allow a linear classifier: logistic regression, its penalty by cross-validation.

    Returns:
        `accuracy`: share of the queries that it labels right; `map_soft`: mAP where the database is ranked by the
        probability of being of the query's class, a real number and no code; `map_hard`: by equal predicted labels.
    """
    parts = [
        (part.inputs.cpu().numpy(), part.labels.cpu().numpy()) for part in (split.train, split.query, split.database)
    ]
    (train, labels), (query, query_labels), (database, database_labels) = parts
    chosen = np.random.default_rng(0).permutation(len(query))[:N_QUERY]
    penalties = {"logisticregression__C": [1e-3, 1e-2, 1e-1, 1.0]}
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    model = GridSearchCV(linear, penalties, scoring="neg_log_loss", cv=5).fit(train, labels).best_estimator_
    asked, searched = model.predict_proba(query[chosen]), model.predict_proba(database)
    soft, hard = [], []
    for own, label in zip(asked, query_labels[chosen], strict=True):
        relevant = database_labels == label
        soft.append(average_precision_score(relevant, searched @ own))
        hard.append(average_precision_score(relevant, searched.argmax(1) == own.argmax()))
    found = {"accuracy": model.score(query, query_labels), "map_soft": np.mean(soft), "map_hard": np.mean(hard)}
    return {name: round(float(value), 4) for name, value in found.items()}


def collect(profile: str, *, fresh: bool = False) -> Path:
    """Write `allowed` for each set of features and protocol of Tables 3 and 5, unless it is there; returns the file."""
    path = file_of(profile)
    if path.exists() and not fresh:
        return path
    wanted = {features_of(vars(run)): run for name in ("table_3", "table_5") for run in grid(name, profile)}
    found = {features: allowed(runner.split_of(run)) for features, run in wanted.items()}
    records.write(path, json.dumps(found, indent=1) + "\n")
    return path


def file_of(profile: str) -> Path:
    """Where `collect` writes."""
    return paths.results(profile) / "artefacts" / FILE


def features_of(settings: Mapping) -> str:
    """What decides `allowed`, of the settings of a run: data, backbone and protocol."""
    return f"{settings['dataset']} {settings['backbone']} {settings['protocol']}"


def cause(row: Mapping, rows: pd.DataFrame, features: Mapping[str, Mapping[str, float]]) -> str:
    """What a run shows to be the cause of a number outside two standard deviations, or `OPEN`.

    Two causes are looked for. *The reading*: another reading of the paper's protocol brings the same cell within two.
    *The features*: the paper's number is above what a linear classifier on our features reaches without any code, and
    ours is no failure of the method.

    Args:
        row: of `rows`, a cell with |z| above 2.
        rows: all cells, as `report.ledger` has them, with their `features`, see `features_of`.
        features: those -> `allowed`.
    """
    cell = (rows["table"] == row["table"]) & (rows["method"] == row["method"]) & (rows["bits"] == row["bits"])
    within = rows[cell & (rows["metric"] == row["metric"]) & (rows["z"].abs() <= 2)]
    if len(within):
        other = within.iloc[0]
        return f"the reading: by {other['reading']} z is {other['z']:+.1f}"
    limit = features.get(row["features"])
    if limit and row["paper"] > limit["map_soft"] and row["mean"] > FAILED * limit["map_soft"]:
        title = BACKBONES[row["features"].split()[1]].title
        return f"the features: a linear classifier on {title}'s ranks with mAP {limit['map_soft']:.3f}, no code needed"
    return OPEN
