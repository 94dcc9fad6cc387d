"""Effect of a rotation on a trained method: searched on items held out, scored on queries that it never saw."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from qsmi_lib import datasets
from qsmi_lib.codes import binarize
from qsmi_lib.config.presets import configure, epochs_of
from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import overlap
from qsmi_lib.evaluation import evaluate
from qsmi_lib.losses.similarity import on_sphere
from qsmi_lib.reproduction import rotations
from qsmi_lib.reproduction.rotations import rotate, rotate_all, rotation_path
from qsmi_lib.training import factory, loop
from qsmi_lib.training.records import COMMITTED, Store, load_record, run_id

CONFIG = configure("digits", "qsmi", 8, epochs=1, protocol="held_out", precision="float32")
REDUCED = replace(CONFIG, protocol="reduced_held_out")
STEPS = 5


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "toy")


@pytest.fixture
def searches(monkeypatch):
    """What each search was given and returned: first that of no steps, which is the start, then the probe's."""
    calls, search = [], rotations.search

    def note(*data, **options):
        calls.append((data, options, search(*data, **options)))
        return calls[-1][-1]

    monkeypatch.setattr(rotations, "search", note)
    return calls


def model_of(config, store):
    return factory.load(store.trials.model(run_id(config)))[0]


# One search


def test_the_record_of_a_search(store, searches):
    record = rotate(CONFIG, store, n_steps=STEPS, seed=3)
    (path,) = store.rotations.iterdir()
    assert path == rotation_path(CONFIG, store, n_steps=STEPS, seed=3)
    assert path.name == f"{run_id(CONFIG)}-itq-{STEPS}n-s3.json" and load_record(path, CONFIG) == record
    _, _, best = searches[1]
    settings = {name: value for name, value in record["search"].items() if name != "accepted"}
    assert settings == {
        "start": "itq", "n_steps": STEPS, "seed": 3, "criterion": "map_expected", "n_query": 129, "n_database": 1168,
        "before": loop.rounded(best.before), "after": loop.rounded(float(best.history[-1])),
    }  # fmt: skip
    assert record["probe"] == rotations.probe(CONFIG, datasets.load("digits", protocol="held_out"), "float32", seed=3)
    reached, told = 0.0, dict(record["search"]["accepted"])
    for step, value in enumerate(best.history):
        reached = told.get(step, reached)
        assert reached == pytest.approx(value, rel=1e-5)
    assert 0 in told and record["provenance"]["seconds_search"] >= 0


def test_the_search_never_sees_the_queries(store, searches, digits):
    rotate(CONFIG, store, n_steps=STEPS)
    split = datasets.load("digits", protocol="held_out")
    assert overlap(split.query, digits.query) == overlap(split.database, digits.query) == 0
    model = model_of(CONFIG, store)
    for (query, database, query_labels, database_labels), _, _ in searches[:2]:
        assert torch.equal(query_labels, split.query.labels) and torch.equal(database_labels, split.database.labels)
        for points, part in ((query, split.query), (database, split.database)):
            embeddings = loop.embed(model, part.inputs).double().numpy()
            np.testing.assert_allclose(points, embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True))


@pytest.mark.parametrize("config", [CONFIG, REDUCED], ids=lambda config: config.protocol)
def test_before_and_after_are_scores_of_the_queries_and_the_whole_database(config, store, searches, digits):
    record = rotate(config, store, n_steps=STEPS)
    points = [
        on_sphere(loop.embed(model_of(config, store), part.inputs).double()) for part in (digits.query, digits.database)
    ]
    turns = {"before": np.eye(8), "at_start": searches[0][2].rotation, "metrics": searches[1][2].rotation}
    for name, turn in turns.items():
        codes = [binarize(part @ torch.from_numpy(turn)) for part in points]
        scores = evaluate(*codes, digits.query.labels, digits.database.labels)
        assert record[name] == {metric: getattr(scores, metric) for metric in rotations.SHOWN}


@pytest.mark.filterwarnings("ignore:.*hardly apart:qsmi_lib.utils.validation.QsmiWarning")  # one bit, one epoch
def test_at_most_so_many_items_are_searched(monkeypatch, store, searches):
    monkeypatch.setattr(rotations, "N_QUERY", 10)
    monkeypatch.setattr(rotations, "N_DATABASE", 50)
    record = rotate(replace(CONFIG, bits=1), store, n_steps=STEPS)
    split = datasets.load("digits", protocol="held_out")
    assert torch.equal(searches[0][0][2], split.query.labels[:10])
    assert (record["search"]["n_query"], record["search"]["n_database"]) == (10, 50)
    assert record["metrics"] == record["at_start"] == record["before"]  # one bit cannot be turned


@pytest.mark.parametrize("method", ["classifier", "itq"])
def test_a_rotation_is_searched_after_any_method(method, store):
    config = configure("digits", method, 8, protocol="held_out", **epochs_of(method, 1))
    search = rotate(config, store, n_steps=STEPS)["search"]
    assert search["after"] >= search["before"]


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"protocol": "full"}, {}, "unknown protocol that holds items out 'full'; known: held_out, reduced_held_out"),
        ({}, {"start": "nowhere"}, "unknown start 'nowhere'; known: identity, itq"),
        ({}, {"n_steps": 2.5}, "n_steps must be a whole number of at least 0, got 2.5"),
        ({}, {"seed": -1}, "seed must be a whole number of at least 0, got -1"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_trained(change, options, message, trainings, store):
    with pytest.raises(ValueError, match=message):
        rotate(replace(CONFIG, **change), store, **options)
    assert not trainings and not store.folder.exists()


# What is recorded is not done again


def test_a_recorded_search_is_read_and_other_settings_have_a_record_of_their_own(store, searches, trainings):
    first = rotate(CONFIG, store, n_steps=STEPS)
    assert rotate(CONFIG, store, n_steps=STEPS) == first
    for options in ({"n_steps": STEPS + 1}, {"n_steps": STEPS, "seed": 1}, {"n_steps": STEPS, "start": "identity"}):
        assert options.items() <= rotate(CONFIG, store, **options)["search"].items()
    assert len(list(store.rotations.iterdir())) == 4 and trainings == [CONFIG]
    again = rotate(CONFIG, store, n_steps=STEPS, fresh=True)
    assert (again["metrics"], again["search"]) == (first["metrics"], first["search"]) and trainings == [CONFIG]
    store.trials.model(run_id(CONFIG)).unlink()
    assert rotate(CONFIG, store, n_steps=STEPS, fresh=True)["metrics"] == first["metrics"]
    assert trainings == [CONFIG, CONFIG]
    assert not store.runs.exists() and len(list(store.trials.runs.iterdir())) == 1  # none of the profile's own runs


def test_several_searches_have_the_order_of_their_runs_and_go_on_where_they_stopped(store, trainings):
    rotate(CONFIG, store, n_steps=STEPS)
    other = replace(CONFIG, seed=1)
    made = rotate_all([other, CONFIG], store, n_steps=STEPS)
    assert [record["config"]["seed"] for record in made] == [1, 0] and trainings == [CONFIG, other]
    for path in store.tuning.rglob("*.*"):
        path.unlink()  # a recorded search needs neither run nor weights
    assert rotate_all([other, CONFIG], store, n_steps=STEPS) == made and trainings == [CONFIG, other]


def test_the_table_shows_the_effect(store):
    record = rotate(REDUCED, store, n_steps=STEPS)
    before, after = record["before"], record["metrics"]
    (row,) = rotations.table([REDUCED, CONFIG], store, STEPS).to_dict("records")
    assert (row["method"], row["bits"], row["protocol"]) == ("qsmi", 8, "reduced_held_out")
    assert (row["held_before"], row["held_after"]) == (record["search"]["before"], record["search"]["after"])
    assert (row["before"], row["after"]) == (before["map_expected"], after["map_expected"])
    assert row["gain"] == row["after"] - row["before"]
    assert row["start_gain"] == record["at_start"]["map_expected"] - row["before"]
    assert row["precision_gain"] == after["precision_radius2"] - before["precision_radius2"]
    nothing = rotations.table([CONFIG], store, STEPS)
    assert nothing.empty and set(nothing.columns) == row.keys()


def test_committed_searches_have_the_name_of_their_settings_and_never_lowered_the_map():
    paths = sorted(COMMITTED.rotations.glob("*.json"))
    assert paths
    for path in paths:
        record = load_record(path)
        search = record["search"]
        settings = {name: search[name] for name in ("start", "n_steps", "seed")}
        assert path == rotation_path(RunConfig.from_dict(record["config"]), COMMITTED, **settings)
        reached = [value for _, value in search["accepted"]]
        assert reached == sorted(reached) and reached[-1] == search["after"] and search["before"] <= reached[0]
        assert all(set(record[name]) == set(rotations.SHOWN) for name in ("before", "at_start", "metrics"))
