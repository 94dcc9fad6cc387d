"""What a rotation brings to a trained method: searched on items held out, scored on queries that it never saw."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from qsmi_lib import datasets
from qsmi_lib.codes import binarize
from qsmi_lib.config.presets import configure, epochs_of
from qsmi_lib.config.profiles import PROFILES
from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import overlap
from qsmi_lib.evaluation import evaluate
from qsmi_lib.losses.similarity import on_sphere
from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction import rotations
from qsmi_lib.reproduction.rotations import rotate, rotate_all
from qsmi_lib.training import factory, loop, records, runs
from qsmi_lib.utils import paths

PROFILE = "toy"
CONFIG = configure("digits", "qsmi", 8, epochs=1, protocol="held_out", precision="float32")
REDUCED = replace(CONFIG, protocol="reduced_held_out")
STEPS = 5


@pytest.fixture
def searches(monkeypatch):
    """What each search was given, and what it found: first that of no steps, which is the start."""
    seen, search = [], rotations.search

    def note(*data, **options):
        seen.append((data, options, search(*data, **options)))
        return seen[-1][-1]

    monkeypatch.setattr(rotations, "search", note)
    return seen


def scores_of(codes, split):
    result = evaluate(*codes, split.query.labels, split.database.labels)
    return {name: getattr(result, name) for name in rotations.SHOWN}


# One search


def test_the_record_of_a_search(results, searches):
    record = rotate(CONFIG, PROFILE, n_steps=STEPS, seed=3)
    [path] = (results / PROFILE / "rotations").iterdir()
    assert path == rotations.file_of(CONFIG, PROFILE, n_steps=STEPS, seed=3)
    assert path.name == f"{CONFIG.run_id(datasets.fingerprint('digits', 0, 'held_out'))}-itq-{STEPS}n-s3.json"
    assert records.load(path) == json.loads(json.dumps(record)) == record
    assert record["config"] == CONFIG.to_dict()
    found = searches[-1][-1]
    assert {name: value for name, value in record["search"].items() if name != "accepted"} == {
        "start": "itq",
        "n_steps": STEPS,
        "seed": 3,
        "criterion": "map_expected",
        "n_query": 129,
        "n_database": 1168,
        "before": runs.rounded(found.before),
        "after": runs.rounded(found.history[-1]),
    }
    for name in ("before", "at_start", "metrics"):
        assert set(record[name]) == set(rotations.SHOWN)
    assert record["provenance"]["precision"] == "float32" and record["provenance"]["seconds_search"] >= 0


def test_accepted_steps_retell_the_history(searches):
    record = rotate(CONFIG, PROFILE, start="identity", n_steps=20)
    history, told = searches[-1][-1].history, dict(record["search"]["accepted"])
    best = 0.0
    for step, value in enumerate(history):
        best = told.get(step, best)
        assert best == pytest.approx(value, rel=1e-5)
    assert 0 in told and len(told) == len(set(history))


def test_queries_have_no_say(searches, digits):
    rotate(CONFIG, PROFILE, n_steps=STEPS)
    assert [options for _, options, _ in searches] == [
        {"start": "itq", "n_steps": n_steps, "seed": 0} for n_steps in (0, STEPS)
    ]
    split = datasets.load("digits", protocol="held_out")
    assert overlap(split.query, digits.query) == overlap(split.database, digits.query) == 0
    model, _ = factory.load(rotations.model_of(CONFIG, PROFILE))
    for (query, database, query_labels, database_labels), _, _ in searches:
        assert torch.equal(query_labels, split.query.labels) and torch.equal(database_labels, split.database.labels)
        for points, part in ((query, split.query), (database, split.database)):
            embeddings = loop.embed(model, part.inputs).double().numpy()
            np.testing.assert_allclose(points, embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True))


@pytest.mark.parametrize("config", [CONFIG, REDUCED], ids=lambda config: config.protocol)
def test_before_and_after_are_scores_of_the_queries_and_the_whole_database(searches, digits, config):
    record = rotate(config, PROFILE, n_steps=STEPS)
    model, loaded = factory.load(rotations.model_of(config, PROFILE))
    assert loaded == config
    parts = digits.query, digits.database
    assert record["before"] == scores_of([loop.encode(model, part.inputs) for part in parts], digits)
    for name, (_, _, found) in zip(("at_start", "metrics"), searches, strict=True):
        turn = torch.from_numpy(found.rotation)
        points = (on_sphere(loop.embed(model, part.inputs).double()) for part in parts)
        assert record[name] == scores_of([binarize(own @ turn) for own in points], digits)


def test_the_first_items_are_searched(monkeypatch, searches):
    monkeypatch.setattr(rotations, "N_QUERY", 10)
    monkeypatch.setattr(rotations, "N_DATABASE", 50)
    record = rotate(CONFIG, PROFILE, n_steps=STEPS)
    split = datasets.load("digits", protocol="held_out")
    assert torch.equal(searches[0][0][2], split.query.labels[:10])
    assert torch.equal(searches[0][0][3], split.database.labels[:50])
    assert (record["search"]["n_query"], record["search"]["n_database"]) == (10, 50)


@pytest.mark.parametrize("method", ["classifier", "dnnh", "itq"])
def test_a_rotation_can_be_put_after_any_method(method):
    record = rotate(configure("digits", method, 8, protocol="held_out", **epochs_of(method, 1)), PROFILE, n_steps=STEPS)
    assert record["search"]["after"] >= record["search"]["before"]


def test_what_nothing_trained_is_computed_in_float32():
    """Whatever precision the configuration asks for, so that a search turns the embeddings that made the codes."""
    config = configure("digits", "lsh", 8, precision="bf16")
    assert runs.run(config, PROFILE)["provenance"]["precision"] == "float32"


def test_one_bit():
    record = rotate(replace(CONFIG, bits=1), PROFILE, n_steps=STEPS)
    assert record["metrics"] == record["at_start"] == record["before"]
    assert [step for step, _ in record["search"]["accepted"]] == [0]


@pytest.mark.parametrize("protocol", ["full", "reduced", "first_tenth"])
def test_a_protocol_that_holds_nothing_out_is_refused(results, protocol):
    message = f"unknown protocol that holds items out '{protocol}'; known: held_out, reduced_held_out"
    with pytest.raises(ValueError, match=message):
        rotate(replace(CONFIG, protocol=protocol), PROFILE)
    assert not results.exists()


# What is recorded is not done again


def test_a_recorded_search_is_read(searches, trainings):
    first = rotate(CONFIG, PROFILE, n_steps=STEPS)
    assert rotate(CONFIG, PROFILE, n_steps=STEPS) == first
    assert (len(searches), len(trainings)) == (2, 1)
    again = rotate(CONFIG, PROFILE, n_steps=STEPS, fresh=True)
    assert (len(searches), len(trainings)) == (4, 1)
    assert again["metrics"] == first["metrics"] and again["search"] == first["search"]


@pytest.mark.parametrize("other", [{"n_steps": STEPS + 1}, {"n_steps": STEPS, "seed": 1}])
def test_a_search_with_other_settings_has_a_record_of_its_own(trainings, other):
    first = rotate(CONFIG, PROFILE, n_steps=STEPS)
    record = rotate(CONFIG, PROFILE, **other)
    assert other.items() <= record["search"].items()
    assert records.load(rotations.file_of(CONFIG, PROFILE, **other)) == record
    assert records.load(rotations.file_of(CONFIG, PROFILE, n_steps=STEPS)) == first
    assert len(trainings) == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"start": "nowhere"}, "unknown start 'nowhere'; known: identity, itq"),
        ({"n_steps": -1}, "n_steps must be a whole number of at least 0, got -1"),
        ({"n_steps": 2.5}, "n_steps must be a whole number of at least 0, got 2.5"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
    ],
)
def test_a_search_that_cannot_be_is_refused_before_anything_is_trained(trainings, results, wrong, message):
    with pytest.raises(ValueError, match=message):
        rotate(CONFIG, PROFILE, **wrong)
    assert not trainings and not results.exists()


def test_each_start_has_its_record(results):
    for start in ("itq", "identity"):
        assert rotate(CONFIG, PROFILE, start=start, n_steps=STEPS)["search"]["start"] == start
    assert len(list((results / PROFILE / "rotations").iterdir())) == 2


def test_weights_that_are_gone_are_trained_again(trainings):
    first = rotate(CONFIG, PROFILE, n_steps=STEPS)
    rotations.model_of(CONFIG, PROFILE).unlink()
    assert rotate(CONFIG, PROFILE, n_steps=STEPS, fresh=True)["metrics"] == first["metrics"]
    assert trainings == [CONFIG, CONFIG]


def test_the_runs_are_none_of_the_profiles(results):
    rotate(CONFIG, PROFILE, n_steps=STEPS)
    assert not (results / PROFILE / "runs").exists()
    assert len(list((results / PROFILE / "tuning" / "runs").iterdir())) == 1


def test_several_searches_keep_their_order_and_go_on_where_they_stopped(searches, trainings):
    rotate(CONFIG, PROFILE, n_steps=STEPS)
    other = replace(CONFIG, seed=1)
    found = rotate_all([other, CONFIG], PROFILE, n_steps=STEPS)
    assert [record["config"]["seed"] for record in found] == [1, 0]
    assert trainings == [CONFIG, other] and len(searches) == 4
    assert rotate_all([other, CONFIG], PROFILE, n_steps=STEPS) == found
    assert (len(trainings), len(searches)) == (2, 4)


def test_a_recorded_search_needs_neither_run_nor_weights(results, monkeypatch):
    """What the repository carries of a search is its record alone."""
    rotate(CONFIG, PROFILE, n_steps=STEPS)
    for path in (results / PROFILE / "tuning").rglob("*.*"):
        path.unlink()
    monkeypatch.setattr(loop, "train", lambda *_args: pytest.fail("the search is recorded"))
    assert len(rotate_all([CONFIG], PROFILE, n_steps=STEPS)) == 1


@pytest.mark.parametrize("path", sorted((paths.COMMITTED / "rotations").glob("*.json")), ids=lambda path: path.stem)
def test_a_committed_search_never_lowered_what_it_searched_for(path):
    record = records.load(path)
    config, found = RunConfig.from_dict(record["config"]), record["search"]
    settings = {name: found[name] for name in ("start", "n_steps", "seed")}
    assert path == rotations.file_of(config, "", where=path.parent, **settings)
    assert config.protocol in rotations.WHOLE
    reached = [value for _, value in found["accepted"]]
    assert reached == sorted(reached) and reached[-1] == found["after"]
    assert found["before"] <= reached[0]
    for name in ("before", "at_start", "metrics"):
        assert set(record[name]) == set(rotations.SHOWN)


# Tables and grids


def test_the_table_shows_what_a_search_brought():
    record = rotate(REDUCED, PROFILE, n_steps=STEPS)
    before, after = record["before"], record["metrics"]
    (row,) = rotations.table([REDUCED, CONFIG], paths.rotations(PROFILE), STEPS).to_dict("records")
    assert row == {
        "method": "qsmi",
        "bits": 8,
        "protocol": "reduced_held_out",
        "held_before": record["search"]["before"],
        "held_after": record["search"]["after"],
        "before": before["map_expected"],
        "after": after["map_expected"],
        "gain": after["map_expected"] - before["map_expected"],
        "start_gain": record["at_start"]["map_expected"] - before["map_expected"],
        "precision_gain": after["precision_radius2"] - before["precision_radius2"],
    }
    nothing = rotations.table([CONFIG], paths.rotations(PROFILE), STEPS)
    assert nothing.empty and set(nothing.columns) == row.keys()


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_the_grids_hold_items_out(profile):
    compared, poster = rotations.rotations(profile), rotations.poster_rotations(profile)
    assert {config.protocol for config in compared} == {"held_out"}
    assert {config.protocol for config in poster} == {"held_out", "reduced_held_out"}
    variants = {"qmi", "qmi_clamped", "qsmi_unclamped", "qsmi_priors", "qsmi_jaccard"}
    assert {config.method for config in compared} == METHODS.keys() - variants
    assert {config.method for config in poster} == {"spring"}
    assert len(set(map(repr, compared))) == len(compared) and len(set(map(repr, poster))) == len(poster)
