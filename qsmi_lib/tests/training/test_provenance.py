"""Provenance: the commit of a record, where none is needed, and probes that notice another computation."""

import math
import os
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import torch

from qsmi_lib.codes import pack
from qsmi_lib.config.presets import configure
from qsmi_lib.methods import METHODS
from qsmi_lib.training import loop, provenance, runs
from qsmi_lib.training.loop import N_FIRST
from qsmi_lib.training.provenance import disagreement, replay
from qsmi_lib.training.records import Store
from qsmi_lib.training.tuning import tune
from qsmi_lib.utils import paths

ONE_EPOCH = {"epochs": 1, "precision": "float32"}
CONFIG = configure("digits", "qsmi", 12, **ONE_EPOCH)
KINDS = {
    "trained": CONFIG,
    "schedule, memory, augmentation": replace(CONFIG, schedule="cosine", memory=2, augmentation="shift"),
    "several labels": configure("digit_pairs", "qsmi", 12, **ONE_EPOCH),
    "targets": configure("digits", "csq", 12, **ONE_EPOCH),
    "sampled codes": configure("digits", "pgdh", 12, **ONE_EPOCH),
    "bf16": replace(CONFIG, precision="bf16"),
    "nothing trained": configure("digits", "itq", 12),
    "features": configure("digits", "qsmi", 12, backbone="digits_pixels", **ONE_EPOCH),
    "features, nothing trained": configure("digits", "lsh", 12, backbone="digits_pixels"),
    "end to end": configure("digits", "qsmi", 12, backbone="digits_pixels", backbone_learning_rate=1e-4, **ONE_EPOCH),
}


# Commits


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A repository of one committed module, in the place of the one that these tests lie in."""
    root = tmp_path / "checkout"
    (root / "qsmi_lib").mkdir(parents=True)
    (root / "qsmi_lib" / "module.py").write_text("one = 1\n")
    identity = ("-c", "user.name=t", "-c", "user.email=t@t")
    for command in (("init", "-q"), ("add", "."), (*identity, "commit", "-q", "-m", "one")):
        subprocess.run(["git", *command], cwd=root, check=True)
    monkeypatch.setattr(paths, "ROOT", root)
    monkeypatch.setattr(provenance, "COMMITTED", Store(root / "results" / "paper"))
    return root


def refusals(checkout):
    """Files that make `qsmi_lib` differ from its commit, each alone -> what the message must name."""
    yield checkout / "qsmi_lib" / "module.py", "one = 2\n", "qsmi_lib/module.py"
    yield checkout / "qsmi_lib" / "new.py", "", "qsmi_lib/new.py"


def test_the_committed_folder_takes_no_record_of_uncommitted_code(checkout, trainings):
    for path, text, name in refusals(checkout):
        before = path.read_text() if path.exists() else None
        path.write_text(text)
        for store in (provenance.COMMITTED, provenance.COMMITTED.trials):
            with pytest.raises(ValueError, match=f"uncommitted changes.*{name}.*QSMI_RESULTS"):
                runs.run(CONFIG, store)
        with pytest.raises(ValueError, match="uncommitted changes"):
            tune("dhn", "digits", provenance.COMMITTED)
        path.unlink() if before is None else path.write_text(before)
    assert trainings == [] and not provenance.COMMITTED.folder.exists()


def test_the_committed_folder_takes_no_record_without_a_commit(tmp_path, monkeypatch, trainings):
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(provenance, "COMMITTED", Store(tmp_path / "results" / "paper"))
    with pytest.raises(ValueError, match=r"no commit.*QSMI_RESULTS"):
        runs.run(CONFIG, provenance.COMMITTED)
    assert trainings == [] and not provenance.COMMITTED.folder.exists()


def test_what_is_recorded_is_read_whatever_the_state_of_the_code(checkout, trainings):
    record = runs.run(CONFIG, provenance.COMMITTED)
    (checkout / "qsmi_lib" / "module.py").write_text("one = 2\n")
    assert runs.run(CONFIG, provenance.COMMITTED) == record and len(trainings) == 1


def test_the_index_of_the_repository_is_not_written(checkout):
    """A run that is killed meanwhile would leave it locked."""
    index = (checkout / ".git" / "index").read_bytes()
    os.utime(checkout / "qsmi_lib" / "module.py", (1, 1))  # git would note the new time
    assert provenance._uncommitted_changes() == "" and (checkout / ".git" / "index").read_bytes() == index


def test_other_changes_of_the_repository_do_not_matter(checkout):
    (checkout / "notes.txt").write_text("")
    made_by = runs.run(CONFIG, provenance.COMMITTED)["provenance"]
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True).stdout.strip()
    assert made_by["commit"] == head and made_by["dirty"] is False


def test_elsewhere_a_record_says_that_its_code_is_not_committed(checkout, tmp_path):
    (checkout / "qsmi_lib" / "module.py").write_text("one = 2\n")
    assert runs.run(CONFIG, Store(tmp_path / "elsewhere"))["provenance"]["dirty"] is True


@pytest.mark.parametrize("has_folder", [False, True], ids=["no repository", "git refuses"])
def test_without_a_repository_a_record_names_no_commit(tmp_path, monkeypatch, has_folder):
    if has_folder:
        (tmp_path / ".git").mkdir()  # no repository that git would take
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    made_by = runs.run(CONFIG, Store(tmp_path / "elsewhere"))["provenance"]
    assert made_by["commit"] is made_by["dirty"] is None


# Probes


@pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)
def test_a_replayed_probe_agrees_with_its_record(config, tmp_path):
    record = runs.run(config, Store(tmp_path))
    precision = record["provenance"]["precision"]
    replayed = replay(config, runs.split_of(config), precision)
    assert disagreement(record["probe"], replayed, precision, config.bits) == ""
    if METHODS[config.method].loss is None:
        assert len(bytes.fromhex(record["probe"])) == 100 * 8  # a word of 64 bits each
    else:
        assert len(record["probe"]) == N_FIRST
        assert record["probe"] == [float(f"{loss:.6g}") for loss in record["probe"]]


def test_a_probe_has_fewer_losses_where_there_are_fewer_batches(digits):
    config = replace(CONFIG, batch_size=len(digits.train))
    assert len(replay(config, digits, "float32")) == 1
    assert len(replay(replace(config, epochs=2), digits, "float32")) == 2


@pytest.fixture(scope="module")
def probe(digits):
    return replay(CONFIG, digits, "float32")


def test_a_loss_that_changes_by_one_per_cent_disagrees(digits, probe, monkeypatch):
    for batch in range(N_FIRST):
        changed = [loss * (1.01 if place == batch else 1) for place, loss in enumerate(probe)]
        assert f"loss of batch {batch + 1}" in disagreement(probe, changed, "float32", 12)
    assert "loss of batch 1" in disagreement(probe, [1.01 * loss for loss in probe], "bf16", 12)
    entry = METHODS["qsmi"]
    changed = replace(entry, loss=lambda *batch, **settings: 1.01 * entry.loss(*batch, **settings))
    monkeypatch.setitem(METHODS, "qsmi", changed)
    assert "loss of batch 1" in disagreement(probe, replay(CONFIG, digits, "float32"), "float32", 12)


@pytest.mark.parametrize("change", ["order of the batches", "weights", "learning rate"])
def test_another_start_disagrees(digits, probe, monkeypatch, change):
    if change == "order of the batches":
        permutation = torch.randperm
        monkeypatch.setattr(torch, "randperm", lambda *sizes, **options: permutation(*sizes, **options).flip(0))
    config = {"weights": replace(CONFIG, seed=1), "learning rate": replace(CONFIG, learning_rate=0.01)}
    assert disagreement(probe, replay(config.get(change, CONFIG), digits, "float32"), "float32", 12)


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_disagrees(probe, loss):
    for batch in range(N_FIRST):
        replayed = [loss if place == batch else number for place, number in enumerate(probe)]
        assert f"loss of batch {batch + 1}" in disagreement(probe, replayed, "bf16", 12)
    assert "2 numbers" in disagreement(probe, probe[:2], "bf16", 12)


def test_rounding_of_another_machine_agrees(probe):
    assert disagreement(probe, [loss * (1 + 1e-4) for loss in probe], "float32", 12) == ""
    assert disagreement(probe, [loss * (1 - 3e-3) for loss in probe], "bf16", 12) == ""


@pytest.mark.parametrize("bits", [12, 48, 80])
def test_codes_may_differ_in_one_bit_of_a_thousand(bits):
    """Of the code: the bits that fill its last word do not count."""
    codes = np.random.default_rng(0).choice([-1, 1], (100, bits))
    probe = pack(codes).tobytes().hex()
    for n_flipped in (0, bits // 10, bits // 10 + 1, 100 * bits):
        others = np.where(np.arange(100 * bits).reshape(codes.shape) < n_flipped, -codes, codes)
        difference = disagreement(probe, pack(others).tobytes().hex(), "float32", bits)
        assert (difference == "") == (n_flipped <= bits // 10), difference
    assert disagreement(probe, pack(codes[:50]).tobytes().hex(), "float32", bits) == "50 codes, recorded 100"


def test_a_brief_training_is_the_beginning_of_a_whole_one(digits):
    brief = loop.train_briefly(CONFIG, digits, 1000, "float32")  # as many batches as there are
    whole = loop.train(CONFIG, digits)
    assert all(torch.equal(value, whole.model.state_dict()[name]) for name, value in brief.model.state_dict().items())
