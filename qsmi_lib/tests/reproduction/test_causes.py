"""A cause of a difference counts where a run shows it, and nowhere else."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score

from qsmi_lib.datasets import Part, Split
from qsmi_lib.reproduction.analysis import causes
from qsmi_lib.reproduction.artefacts import load_artefact
from qsmi_lib.reproduction.results import committed
from qsmi_lib.tests.reproduction.invented import empty

FEATURES = {"cifar10 resnet56 full": {"accuracy": 0.9, "map": 0.9, "map_11pt": 0.8}}


def cells(*readings, **changes):
    """Cells of one number, by reading and z."""
    row = {"table": "Table 9", "method": "dsh", "bits": 24.0, "metric": "map_11pt", "paper": 0.9, "mean": 0.6}
    row |= {"features": "cifar10 resnet56 full", "map_pessimistic": 0.5, "map_optimistic": 0.7} | changes
    return pd.DataFrame([row | {"reading": reading, "z": z} for reading, z in readings])


def cause(rows, features=FEATURES):
    return causes.cause(rows.iloc[0].to_dict(), rows, features)


def test_another_reading_within_two_is_a_cause():
    assert cause(cells(("3 unseen", -2.5), ("2 unseen", 0.3))) == (True, "the reading: by 2 unseen z is +0.3")


def test_a_reading_of_another_cell_is_none():
    other = cells(("2 unseen", 0.3), bits=36.0)
    rows = pd.concat([cells(("3 unseen", -2.5)), other], ignore_index=True)
    assert cause(rows, {}) == (False, "")


REACHED = "the features: a linear classifier on ResNet-56's reaches 0.800 without codes"
TIES = "orders of ties reach from 0.500 to 0.700"


@pytest.mark.parametrize(
    ("paper", "mean", "expected"),
    [
        (0.9, 0.75, (True, REACHED)),  # two thirds of the difference lie above what the features allow
        (0.9, 0.85, (True, REACHED)),  # ours is above it, and still below the paper
        (0.9, 0.7, (False, f"50% are {REACHED}")),
        (0.8, 0.6, (False, "")),
        (0.9, 0.95, (False, "")),  # ours is above the paper's: no feature is to blame
    ],
)
def test_features_are_a_cause_as_far_as_the_paper_lies_beyond_them(paper, mean, expected):
    assert cause(cells(("", -9.0), paper=paper, mean=mean)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"paper": 0.65}, TIES),
        ({"paper": 0.5, "mean": 0.55}, TIES),  # ours above the paper's
        ({"paper": 0.71}, ""),
        ({"paper": 0.65, "metric": "map_11pt"}, ""),  # the bounds are those of "map"
        ({"paper": 0.65, "map_pessimistic": 0.1, "map_optimistic": 0.9}, ""),  # nearly all codes coincide
    ],
)
def test_what_an_order_of_ties_could_do_is_said_and_no_cause(changes, expected):
    assert cause(cells(("", -9.0), **({"metric": "map", "mean": 0.6} | changes))) == (False, expected)


def test_features_and_ties_are_said_together_and_by_the_metric_of_the_row():
    bounds = {"map_pessimistic": 0.55, "map_optimistic": 0.96}
    reached, row = REACHED.replace("0.800", "0.900"), {"metric": "map", "paper": 0.95}
    clause = f"14% are {reached}; orders of ties reach from 0.550 to 0.960"
    assert cause(cells(("", -9.0), mean=0.6, **row, **bounds)) == (False, clause)
    assert cause(cells(("", -9.0), mean=0.89, **row)) == (True, reached)


def test_without_features_nothing_is_explained():
    assert cause(cells(("", -9.0)), {}) == cause(cells(("", -9.0), features=float("nan"))) == (False, "")


def blobs(n, spread, seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 3
    return Part(3.0 * torch.eye(3)[labels] + spread * torch.randn(n, 3, generator=generator), labels)


def of(spread, n, n_query):
    parts = blobs(n, spread, 0), blobs(n_query, spread, 1), blobs(n, spread, 2)
    return Split("blobs", *parts, "mark", ("a", "b", "c"))


def test_what_features_allow_is_the_ranking_by_probability():
    split = of(1.0, 300, 60)
    limits = causes.allowed(split)
    assert 0.9 < limits["accuracy"] < 1 and 0.9 < limits["map_11pt"] < 1
    queries, database = (
        (3 * part.inputs).softmax(1) for part in (split.query, split.database)
    )  # of such blobs exactly
    best = [
        average_precision_score(split.database.labels == label, database @ query)
        for query, label in zip(queries, split.query.labels, strict=True)
    ]
    assert limits["map"] == pytest.approx(np.mean(best), abs=0.01)


def test_perfect_features_allow_everything():
    split = of(0.01, 90, 30)
    assert causes.allowed(split) == {"accuracy": 1.0, "map": 1.0, "map_11pt": 1.0}


def test_limits_are_collected_for_each_set_of_features_and_once(tmp_path, monkeypatch):
    results, values = empty("digits", tmp_path), iter((0.5, 0.6, 0.7))
    monkeypatch.setattr(causes, "allowed", lambda split: {"map": value})
    for options in ({}, {}, {"fresh": True}):
        value = next(values)
        causes.collect(results, **options)
        limits = load_artefact(results.store, causes.FILE)
        assert limits["digits digits_labels full"] == {"map": 0.7 if options else 0.5}
    used = {causes.features_of(vars(run)) for name in ("table_3", "table_5") for run in results.grid(name)}
    assert limits.keys() - {"scikit-learn"} == used


def test_the_committed_limits_cover_every_row_of_tables_3_and_5():
    limits = load_artefact(committed().store, causes.FILE)
    used = {causes.features_of(vars(run)) for name in ("table_3", "table_5") for run in committed().grid(name)}
    assert used == limits.keys() - {"scikit-learn"}
