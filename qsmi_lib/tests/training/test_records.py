"""Files of a store: records that come back complete or not at all, their format, and damaged files named."""

import json

import numpy as np
import pytest
import torch

from qsmi_lib.config.presets import configure
from qsmi_lib.config.profiles import PROFILES
from qsmi_lib.training import records
from qsmi_lib.training.records import Store, codes_of, load_codes, load_record, run_id, save_codes, save_record

CONFIG = configure("digits", "qsmi", 12, epochs=1)
MADE_BY = {"commit": "", "precision": "float32", "seconds_train": 1.0}
RECORD = {"config": CONFIG.to_dict(), "metrics": {"map": 0.5}, "history": [], "provenance": MADE_BY}


def test_a_profile_has_a_folder_of_results_and_its_trials_one_inside(results):
    store = Store.of(PROFILES["digits"])
    assert store.folder == results / "digits"
    assert store.trials.runs.is_relative_to(store.folder) and store.trials.runs != store.runs


def test_a_record_comes_back_with_its_format(tmp_path):
    path = tmp_path / "new" / "folder" / "record.json"
    save_record(RECORD, path)
    assert load_record(path, CONFIG) == RECORD | {"format": 1}
    assert json.loads(path.read_text())["format"] == records.FORMAT


def test_a_later_format_is_refused(tmp_path):
    path = tmp_path / "record.json"
    path.write_text(json.dumps(RECORD | {"format": 2}))
    with pytest.raises(ValueError, match=f"{path} has format 2, expected 1.*update"):
        load_record(path)


@pytest.mark.parametrize("value", [float("nan"), torch.zeros(1)])
def test_what_json_cannot_hold_is_not_written(tmp_path, value):
    with pytest.raises((ValueError, TypeError)):
        save_record(RECORD | {"metrics": {"map": value}}, tmp_path / "record.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"config": {',
        b"\xff\xfe",
        b"[]",
        b'{"config": {"bits": 12}, "metrics": {"map": 0.5}, "provenance": null}',
    ],
)
def test_a_file_that_is_no_record_is_named(tmp_path, content):
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{path} .*; delete it and run again"):
        load_record(path)


def test_the_record_of_another_run_is_named(tmp_path):
    path = tmp_path / "record.json"
    save_record(RECORD, path)
    with pytest.raises(ValueError, match=f"{path} .*delete it and run again"):
        load_record(path, configure("digits", "qsmi", 24, epochs=1))


def test_codes_come_back_with_their_labels(digits, tmp_path):
    codes = [torch.from_numpy(np.random.default_rng(n).choice([-1, 1], (n, 13))) for n in (500, 1297)]
    save_codes(tmp_path / "codes.npz", *codes, digits)
    saved = load_codes(tmp_path / "codes.npz")
    for array, tensor in zip(saved, (*codes, digits.query.labels, digits.database.labels), strict=True):
        assert np.array_equal(array, tensor.numpy())


def test_damaged_and_missing_codes_are_named(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"the codes of {run_id(CONFIG)} are not on this machine"):
        codes_of(CONFIG, store)
    path = store.codes(run_id(CONFIG))
    path.parent.mkdir()
    for content in (b"half", b""):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"{path} .*; delete it and run again with --fresh"):
            codes_of(CONFIG, store)
