"""Runs: what they leave, what they reuse, what an interrupted one leaves, and how their codes are scored."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from joblib.externals.loky import get_reusable_executor

from qsmi_lib.codes import binarize
from qsmi_lib.config.presets import configure
from qsmi_lib.datasets.protocols import FULL
from qsmi_lib.evaluation import evaluate
from qsmi_lib.training import factory, loop, runs
from qsmi_lib.training.records import Store, by_any_label, load_codes, load_record, run_id, save_record
from qsmi_lib.utils.validation import QsmiWarning

CONFIG = configure("digits", "qsmi", 12, epochs=1, precision="float32")
OTHER = replace(CONFIG, seed=1)
DESIGN = {  # the keys that DESIGN fixes
    "config": {"dataset", "method", "bits", "seed", "epochs", "alpha", "batch_size", "learning_rate"},
    "metrics": {"map_11pt", "map", "map_expected", "precision_radius2", "empty_radius2", "precision_at_recall"},
    "provenance": {
        "commit", "dirty", "torch", "device", "threads", "precision",
        "seconds_train", "seconds_evaluate", "started", "fingerprint",
    },
}  # fmt: skip


@pytest.fixture
def store(results):
    return Store(results / "toy")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The store of one finished run, and its record; no test changes them."""
    store = Store(tmp_path_factory.mktemp("finished"))
    return store, runs.run(CONFIG, store)


def files(folder):
    """Every file under `folder`, with its content."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# What a run leaves


def test_a_run_leaves_its_record_model_and_codes(finished):
    store, record = finished
    name = run_id(CONFIG)
    expected = {store.record(name), store.model(name), store.codes(name)}
    assert {store.folder / path for path in files(store.folder)} == expected
    stored = json.loads(store.record(name).read_text())
    assert stored == load_record(store.record(name)) == record
    for part, names in DESIGN.items():
        assert names <= set(stored[part])
    assert stored["config"] == CONFIG.to_dict() and stored["format"] == 1 and len(stored["probe"]) == 3
    assert stored["provenance"]["precision"] == "float32" and [entry["epoch"] for entry in stored["history"]] == [1]


def test_the_stored_codes_give_the_recorded_metrics_and_statistics(finished):
    store, record = finished
    codes = load_codes(store.codes(run_id(CONFIG)))
    scores = json.loads(json.dumps(runs.scores(*codes)))
    assert scores == {name: record[name] for name in ("metrics", "ap_by_label", "n_by_label")}
    assert record["codes"]["bit_mean"] == pytest.approx(codes.database.mean(axis=0), rel=1e-5)
    assert record["codes"]["n_distinct"] == len({tuple(code) for code in codes.database.tolist()})


def test_the_stored_model_gives_the_stored_codes(finished, digits):
    store, _ = finished
    model, config = factory.load(store.model(run_id(CONFIG)))
    assert config == CONFIG and not model.training
    embeddings = model(digits.query.inputs)
    codes = torch.from_numpy(load_codes(store.codes(run_id(CONFIG))).query)
    sure = embeddings.abs() > 1e-4  # nearer to 0 than that, rounding decides
    assert torch.equal(codes[sure] > 0, embeddings[sure] > 0)


def test_rescoring_computes_the_metrics_from_the_codes_and_changes_nothing_else(store):
    record = runs.run(CONFIG, store)
    save_record(record | {"metrics": {"map": 0.0}, "ap_by_label": []}, store.record(run_id(CONFIG)))
    assert runs.rescore(store) == 1
    assert load_record(store.record(run_id(CONFIG))) == record


# What is recorded is not run again, unless that is requested


def test_a_recorded_run_is_read_unless_a_fresh_one_is_requested(store, trainings):
    first = runs.run(CONFIG, store)
    assert runs.run(CONFIG, store) == first and trainings == [CONFIG]
    assert runs.run(CONFIG, store, fresh=True)["metrics"] == first["metrics"] and trainings == [CONFIG, CONFIG]


def test_splits_and_stores_have_separate_records(store, results, trainings):
    for config in (CONFIG, replace(CONFIG, draw=1), replace(CONFIG, protocol="reduced")):
        runs.run(config, store)
    runs.run(CONFIG, Store(results / "another"))
    assert len(trainings) == 4


def test_run_all_keeps_the_order_and_runs_equal_configurations_once(store, trainings):
    assert runs.run_all([], store) == []
    made = runs.run_all([OTHER, CONFIG, OTHER], store)
    assert [record["config"]["seed"] for record in made] == [1, 0, 1]
    assert runs.run_all([CONFIG, OTHER], store) == [made[1], made[0]]
    assert trainings == [OTHER, CONFIG]


def test_two_processes_give_the_numbers_of_one(finished, store):
    try:
        made = runs.run_all([CONFIG, OTHER], store, jobs=2)
    finally:
        get_reusable_executor().shutdown(wait=True)
    assert [record["config"] for record in made] == [CONFIG.to_dict(), OTHER.to_dict()]
    assert made[0]["history"][0] == pytest.approx(finished[1]["history"][0], rel=1e-4)
    assert made[0]["metrics"]["map"] == pytest.approx(finished[1]["metrics"]["map"], rel=1e-3)


@pytest.mark.parametrize("part", ["training", ".safetensors", ".npz", ".json"])
def test_an_interrupted_run_leaves_earlier_ones_and_no_partial_file(store, monkeypatch, part):
    runs.run(CONFIG, store)
    before = files(store.folder)
    write_bytes = Path.write_bytes

    def train(*_):
        raise KeyboardInterrupt

    def interrupted(path, content):
        write_bytes(path, content[:9])
        if part in path.name:
            raise KeyboardInterrupt
        write_bytes(path, content)

    monkeypatch.setattr(*(loop, "train", train) if part == "training" else (Path, "write_bytes", interrupted))
    with pytest.raises(KeyboardInterrupt):
        runs.run_all([CONFIG, OTHER], store)
    after = files(store.folder)
    assert {path: after[path] for path in before} == before
    assert not [path for path in after if "partial" in path.name] and not store.record(run_id(OTHER)).exists()


def test_a_folder_that_cannot_be_written_to_fails_before_the_training(tmp_path, trainings):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        runs.run(CONFIG, Store(tmp_path / "file"))
    assert trainings == []


def test_denormal_numbers_are_flushed_while_a_network_trains_and_only_then(digits, monkeypatch):
    denormal, seen, train = torch.tensor([1e-40]), [], loop.train

    def watched(config, split):
        seen.append((denormal * 1.0).item())
        return train(config, split)

    monkeypatch.setattr(loop, "train", watched)
    supported = torch.set_flush_denormal(False)
    runs.train(CONFIG, digits)
    assert seen == [0.0] or not supported
    assert (denormal * 1.0).item() > 0.0


# Splits


def test_a_split_is_loaded_once_for_consecutive_runs():
    assert runs.split_of(CONFIG, protocol=FULL) is runs.split_of(OTHER)
    held_out = runs.split_of(CONFIG, protocol="held_out")
    assert (len(held_out.train), len(held_out.query)) == (1168, 129)


# Scores of a record


def labelled_codes(n_query=20, n_database=600, n_labels=4):
    """Random codes and multi-hot labels; the first query carries no label, and no query the third."""
    draw = torch.Generator().manual_seed(0)
    codes = [binarize(torch.randn(n, 12, generator=draw)) for n in (n_query, n_database)]
    labels = [(torch.randn(n, n_labels, generator=draw) > 0.3).long() for n in (n_query, n_database)]
    labels[0][:, 2] = 0
    labels[0][0] = 0
    return codes, labels


def test_several_labels_are_scored_by_both_rules():
    codes, labels = labelled_codes()
    record = runs.scores(*codes, *labels)
    assert list(record) == ["metrics", "metrics_share_one", "ap_by_label", "n_by_label"]
    for key, rule in {"metrics": "fraction", "metrics_share_one": "share-one"}.items():
        expected = evaluate(*codes, *labels, k=[1, 10, 100, 500], relevance=rule).to_record()
        assert record[key].keys() == expected.keys()
        for name, value in expected.items():
            if isinstance(value, list):
                assert np.asarray(record[key][name]) == pytest.approx(np.asarray(value), rel=1e-5)
            else:
                assert record[key][name] == value
    assert record["metrics"]["map"] != record["metrics_share_one"]["map"]
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert by_any_label(record) is record["metrics_share_one"]


def test_scores_by_label_are_those_of_the_queries_that_carry_it():
    codes, labels = labelled_codes()
    record = runs.scores(*codes, *labels)
    ap = evaluate(*codes, *labels).ap
    assert np.isnan(ap[0]) and record["ap_by_label"][2] is None
    for label in (0, 1, 3):
        of_label = [ap[row] for row in range(20) if labels[0][row, label]]
        assert record["ap_by_label"][label] == pytest.approx(sum(of_label) / len(of_label), rel=1e-5)
    assert record["n_by_label"] == labels[1].sum(dim=0).tolist()


def test_single_labels_are_scored_by_one_rule():
    codes, _ = labelled_codes()
    labels = [torch.arange(20) % 3, torch.arange(600) % 4]
    record = runs.scores(*codes, *labels)
    assert list(record) == ["metrics", "ap_by_label", "n_by_label"] and by_any_label(record) is record["metrics"]
    expected = evaluate(*codes, *labels, k=[1, 10, 100])
    assert record["metrics"]["map"] == expected.map and record["n_by_label"] == [150] * 4
    assert record["ap_by_label"][:3] == pytest.approx([expected.ap[k::3].mean() for k in range(3)], rel=1e-5)


@pytest.mark.parametrize(("n", "cutoffs"), [(9, ["1"]), (500, ["1", "10", "100", "500"]), (499, ["1", "10", "100"])])
def test_cutoffs_reach_as_far_as_the_database(n, cutoffs):
    codes, labels = labelled_codes(n_database=n)
    assert list(runs.scores(*codes, *labels)["metrics"]["map_at_k"]) == cutoffs


def test_a_run_of_several_labels_is_recorded_with_both_rules(store):
    config = configure("digit_pairs", "csq", 12, epochs=1)
    record = runs.run(config, store)
    assert record["metrics"]["map"] < record["metrics_share_one"]["map"]
    assert len(record["ap_by_label"]) == len(record["n_by_label"]) == 10
    assert sum(record["n_by_label"]) > 1297 and "data" not in record


def test_the_map_of_a_random_order_is_that_of_equal_codes():
    labels, codes = np.arange(40) % 3, np.ones((40, 4))
    scored = evaluate(codes, codes, labels, labels)
    share = scored.to_record()["precision_recall_by_radius"][-1][0]
    assert runs.chance(share, 40) == pytest.approx(scored.map_expected, rel=1e-12)
    assert runs.chance(1.0, 1) == 1.0


def test_a_run_that_has_learnt_nothing_says_so(store):
    """A huge weight of the penalty leaves nothing of the classes."""
    with pytest.warns(QsmiWarning, match=r"map_expected is 0.1\d*, .* random order has 0.10\d*"):
        runs.run(configure("digits", "qsmi", 8, epochs=1, alpha=1e9), store)
