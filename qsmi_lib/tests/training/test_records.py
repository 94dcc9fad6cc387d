"""Runs and their records: what is written, when a run is repeated, and which sources made it."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from joblib import delayed
from joblib.externals.loky import get_reusable_executor

from qsmi_lib.codes import unpack
from qsmi_lib.config.presets import configure
from qsmi_lib.training import factory, loop, records, runs
from qsmi_lib.utils.parallel import workers

PROFILE = "toy"
CONFIG = configure("digits", "qsmi", 12, epochs=1, precision="float32")
OTHER = replace(CONFIG, seed=1)
DESIGN = {  # the keys that DESIGN fixes
    "config": {"dataset", "method", "bits", "seed", "epochs", "alpha", "batch_size", "learning_rate"},
    "metrics": {"map_11pt", "map", "map_expected", "precision_radius2", "empty_radius2", "precision_at_recall"},
    "provenance": {
        "commit", "dirty", "torch", "device", "threads", "precision",
        "seconds_train", "seconds_evaluate", "started",
    },
}  # fmt: skip


def run(config=CONFIG, **options):
    return runs.run(config, PROFILE, **options)


def files(folder):
    """Every file under `folder`, with its content."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# What a run leaves


def test_a_run_leaves_its_record_model_and_codes(results):
    run()
    name = CONFIG.run_id(runs.datasets.fingerprint("digits"))
    assert set(files(results / PROFILE)) == {
        Path("runs", f"{name}.json"),
        Path("models", f"{name}.safetensors"),
        Path("codes", f"{name}.npz"),
    }


def test_a_record_is_json_with_the_fixed_keys(results):
    record = run()
    stored = json.loads(runs.record_path(CONFIG, PROFILE).read_text())
    assert stored == records.load(runs.record_path(CONFIG, PROFILE)) == record
    for part, names in DESIGN.items():
        assert names <= set(stored[part])
    assert stored["config"] == CONFIG.to_dict()
    assert stored["provenance"]["precision"] == "float32"
    assert [entry["epoch"] for entry in stored["history"]] == [1]
    assert len(stored["metrics"]["precision_at_recall"]) == 11
    assert set(stored["metrics"]["map_at_k"]) == {"1", "10", "100", "1000"}


def test_a_record_says_what_the_codes_of_the_database_are_like(results):
    found = run()["codes"]
    [path] = (results / PROFILE / "codes").iterdir()
    codes = unpack(np.load(path)["database"], 12)
    assert found["bit_mean"] == pytest.approx(codes.mean(axis=0), rel=1e-5)
    assert found["n_distinct"] == len({tuple(code) for code in codes.tolist()})
    assert 0 < found["bit_entropy"] <= 1 and 0 < found["code_entropy"] <= np.log2(found["n_distinct"])


def test_numbers_keep_six_digits():
    assert runs.rounded(1234567.891) == 1234570.0
    assert runs.rounded([0.123456789, 3]) == [0.123457, 3]


def test_the_stored_codes_give_the_recorded_metrics(results):
    record = run()
    [path] = (results / PROFILE / "codes").iterdir()
    stored = np.load(path)
    codes = (unpack(stored[name], int(stored["bits"])) for name in ("query", "database"))
    scores = json.loads(json.dumps(runs.scores(*codes, stored["query_labels"], stored["database_labels"])))
    assert scores == {name: record[name] for name in ("metrics", "ap_by_label", "n_by_label")}


def test_the_stored_model_gives_the_stored_codes(results, digits):
    run()
    [path] = (results / PROFILE / "models").iterdir()
    model, config = factory.load(path)
    assert config == CONFIG
    [path] = (results / PROFILE / "codes").iterdir()
    embeddings, codes = model(digits.query.inputs), torch.from_numpy(unpack(np.load(path)["query"], 12))
    sure = embeddings.abs() > 1e-4  # nearer to 0 than that, rounding decides
    assert torch.equal(codes[sure] > 0, embeddings[sure] > 0)


# What is recorded is not run again, unless that is asked for


def test_a_recorded_run_is_read(trainings):
    assert run() == run()
    assert trainings == [CONFIG]


def test_fresh_runs_again(trainings):
    first, second = run(), run(fresh=True)
    assert trainings == [CONFIG, CONFIG]
    assert second["metrics"] == first["metrics"]


def test_a_split_and_a_profile_have_their_own_records(trainings):
    run(), run(replace(CONFIG, draw=1)), run(replace(CONFIG, protocol="reduced")), runs.run(CONFIG, "another")
    assert len(trainings) == 4


# Several runs


def test_run_all_keeps_the_order_and_runs_equal_configurations_once(trainings):
    found = runs.run_all([OTHER, CONFIG, OTHER], PROFILE)
    assert [record["config"]["seed"] for record in found] == [1, 0, 1]
    assert trainings == [OTHER, CONFIG]
    assert runs.run_all([CONFIG, OTHER], PROFILE) == [found[1], found[0]]
    assert trainings == [OTHER, CONFIG]


def test_run_all_of_nothing_is_nothing():
    assert runs.run_all([], PROFILE) == []


def test_two_processes_give_the_numbers_of_one():
    alone = runs.run_all([CONFIG, OTHER], PROFILE)
    try:
        together = runs.run_all([CONFIG, OTHER], "parallel", jobs=2)
    finally:
        get_reusable_executor().shutdown(wait=True)
    for one, two in zip(alone, together, strict=True):
        assert two["config"] == one["config"]
        assert two["history"][0] == pytest.approx(one["history"][0], rel=1e-4)
        assert two["metrics"]["map"] == pytest.approx(one["metrics"]["map"], rel=1e-3)


@pytest.mark.parametrize("return_as", ["list", "generator_unordered"])
def test_a_process_that_is_killed_is_named(return_as):
    with pytest.raises(ChildProcessError, match="a process was killed"), workers(2, return_as=return_as) as parallel:
        list(parallel(delayed(os._exit)(1) for _ in range(2)))


@pytest.mark.parametrize(
    ("owner", "name"),
    [(loop, "train"), (factory, "save_weights"), (np, "savez_compressed"), (Path, "write_text")],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_an_interrupted_run_leaves_earlier_ones_whole_and_nothing_by_half(results, monkeypatch, owner, name):
    run()
    before = files(results)

    def interrupt(*arguments, **options):
        for target in arguments:
            if str(target).startswith(str(results)):
                Path(target).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(owner, name, interrupt)
    with pytest.raises(KeyboardInterrupt):
        runs.run_all([CONFIG, OTHER], PROFILE)
    after = files(results)
    assert {path: after[path] for path in before} == before
    assert not [path for path in after if "partial" in path.name]
    assert not runs.record_path(OTHER, PROFILE).exists()


# Records on disk

RECORD = {"config": {"seed": 0}, "metrics": {"map": 0.5}, "history": [], "provenance": {"commit": ""}}


def test_a_record_comes_back(tmp_path):
    path = tmp_path / "new" / "folder" / "record.json"
    records.save(RECORD, path)
    assert records.load(path) == RECORD
    assert len(path.read_text().splitlines()) == len(RECORD)


@pytest.mark.parametrize("step", ["write_text", "replace"])
def test_a_failing_write_leaves_the_old_record_and_nothing_else(tmp_path, monkeypatch, step):
    path = tmp_path / "record.json"
    records.save(RECORD, path)

    def fail(self, *_args, **_kwargs):
        self.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, step, fail)
    with pytest.raises(OSError, match="No space left"):
        records.save(RECORD | {"history": [1]}, path)
    assert list(tmp_path.iterdir()) == [path]
    assert records.load(path) == RECORD


@pytest.mark.parametrize("value", [float("nan"), torch.zeros(1)])
def test_what_json_cannot_hold_is_not_written(tmp_path, value):
    with pytest.raises((ValueError, TypeError)):
        records.save(RECORD | {"metrics": {"map": value}}, tmp_path / "record.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b'{"config": {', b"\xff\xfe", b"null", b"[]", b"3"),
        b'{"config": {"bits": 12}, "metrics": {"map": 0.5}}',
        b'{"config": {"bits": 12}, "metrics": {"map": 0.5}, "provenance": null}',
    ],
)
def test_a_file_that_is_no_record_is_named(content):
    path = runs.record_path(CONFIG, PROFILE)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{path} is not a record: .*; delete it and run again"):
        run()


def test_without_a_repository_nothing_is_said_of_one(tmp_path, monkeypatch):
    monkeypatch.setattr("qsmi_lib.utils.paths.ROOT", tmp_path)
    made = records.provenance("cpu", "float32")
    assert made["commit"] is made["dirty"] is None


def test_a_git_that_refuses_says_nothing(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()  # no repository that git would take
    monkeypatch.setattr("qsmi_lib.utils.paths.ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    made = records.provenance("cpu", "float32")
    assert made["commit"] is made["dirty"] is None


def test_denormal_numbers_are_flushed_while_a_network_trains_and_only_then(monkeypatch):
    denormal, seen, train = torch.tensor([1e-40]), [], loop.train

    def watched(config, split):
        seen.append((denormal * 1.0).item())
        return train(config, split)

    monkeypatch.setattr(loop, "train", watched)
    supported = torch.set_flush_denormal(False)
    config = replace(CONFIG, epochs=1)
    runs.train(config, runs.split_of(config))
    assert seen == [0.0] or not supported
    assert (denormal * 1.0).item() > 0.0
