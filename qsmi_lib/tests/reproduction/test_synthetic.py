"""Generated data: the law as stated, the same numbers from the same seed, and files that are whole or not there."""

import dataclasses
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from qsmi_lib.config.presets import configure
from qsmi_lib.evaluation import evaluate
from qsmi_lib.reproduction.bench import synthetic
from qsmi_lib.reproduction.bench.full_size import anonymous_bytes, apart
from qsmi_lib.reproduction.bench.synthetic import SHAPES, Shape, frequencies, generate
from qsmi_lib.training import loop

SEVERAL = Shape("several", "several labels", 300, 16, 5, labels_per_item=1.5, n_query=20, n_train=100)
SINGLE = Shape("single", "single labels", 300, 16, 7, labels_per_item=None, n_query=20)


@pytest.mark.parametrize("name", ["nus_wide", "ms_coco"])
def test_label_frequencies_follow_the_law(name, tmp_path):
    shape = dataclasses.replace(SHAPES[name], n_items=20_000, n_features=4, n_query=100, n_train=None)
    labels = generate(shape, tmp_path).database.labels.double()
    n, law = len(labels), frequencies(shape)
    assert law.sum() == pytest.approx(shape.labels_per_item)
    assert law[0] / law[9] == pytest.approx(10**0.9)
    error = np.sqrt(law * (1 - law) / n)
    assert (np.abs(labels.mean(dim=0).numpy() - law) < 4.5 * error).all()
    per_item = labels.sum(dim=1)
    assert per_item.min() == 1
    assert abs(per_item.mean() - shape.labels_per_item) < 4.5 * per_item.std() / n**0.5


def test_single_labels_are_equally_frequent(tmp_path):
    split = generate(SINGLE, tmp_path)
    counts = np.bincount(np.concatenate([split.database.labels, split.query.labels]))
    assert len(counts) == 7 and counts.max() - counts.min() <= 1
    assert split.query.labels.unique().numel() > 1


def test_the_parts_are_views_of_one_map(tmp_path):
    split = generate(SEVERAL, tmp_path)
    assert (len(split.train), len(split.query), len(split.database)) == (100, 20, 280)
    assert split.train.inputs.data_ptr() == split.database.inputs.data_ptr()
    assert split.query.inputs.data_ptr() == split.database.inputs.data_ptr() + 280 * 16 * 4
    assert split.train.inputs.dtype == torch.float32 and split.train.labels.dtype == torch.int64
    assert split.train.labels.shape == (100, 5) and len(split.classes) == 5
    whole = generate(SINGLE, tmp_path)
    assert whole.database is whole.train and whole.train.labels.ndim == 1


def test_features_tell_the_labels(tmp_path):
    """Items of one class lie nearer to its mean than to another's, and no feature is negative."""
    split = generate(dataclasses.replace(SINGLE, n_features=512), tmp_path)
    inputs, labels = split.train.inputs, split.train.labels
    means = torch.stack([inputs[labels == label].mean(dim=0) for label in range(7)])
    assert (torch.cdist(split.query.inputs, means).argmin(dim=1) == split.query.labels).float().mean() > 0.9
    assert inputs.min() == 0 and 0.3 < (inputs > 0).float().mean() < 0.7


@pytest.mark.parametrize("shape", [SEVERAL, SINGLE], ids=lambda shape: shape.name)
def test_the_same_seed_gives_the_same_bits_whatever_the_block(shape, tmp_path):
    first = generate(shape, tmp_path / "a")
    for block in (7, 299):
        other = generate(shape, tmp_path / str(block), block=block)
        assert torch.equal(first.database.inputs, other.database.inputs)
        assert torch.equal(first.query.inputs, other.query.inputs)
        assert torch.equal(first.database.labels, other.database.labels)
    seeded = generate(shape, tmp_path / "a", seed=1)
    assert not torch.equal(first.database.inputs, seeded.database.inputs)
    assert not torch.equal(first.database.labels, seeded.database.labels)
    assert first.fingerprint != seeded.fingerprint


def test_what_is_there_is_used_again_and_writing_to_it_changes_no_file(tmp_path, monkeypatch):
    first = generate(SINGLE, tmp_path)
    before = first.train.inputs[0].clone()
    first.train.inputs[0] = 7.0
    monkeypatch.setattr(synthetic, "_write", lambda *_: pytest.fail("written again"))
    assert torch.equal(generate(SINGLE, tmp_path).train.inputs[0], before)


def test_a_killed_call_leaves_nothing_that_passes_for_whole(tmp_path):
    script = f"""
import os, pathlib, signal
from qsmi_lib.reproduction.bench import synthetic
def killing(blocks, *_, **__):
    for number, block in enumerate(blocks):
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        yield block
synthetic.bar = killing
synthetic.generate(synthetic.{SINGLE!r}, pathlib.Path({str(tmp_path)!r}), block=100)
"""
    assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode == -9
    assert list(tmp_path.glob("*-labels.npy")) and list(tmp_path.glob(".*.partial"))
    assert not list(tmp_path.glob("*-features.npy"))
    again, fresh = generate(SINGLE, tmp_path), generate(SINGLE, tmp_path / "fresh")
    assert torch.equal(again.database.inputs, fresh.database.inputs) and not list(tmp_path.glob(".*.partial"))


def test_a_full_disk_is_told_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(OSError, match=rf"{tmp_path}.*31,200 bytes are needed, and 1,000 are free"):
        generate(SEVERAL, tmp_path)
    assert not list(tmp_path.glob("*.npy")) and not list(tmp_path.glob(".*"))


def test_a_share_shrinks_all_parts_until_one_is_empty():
    half = SEVERAL.shrunk(0.5)
    assert (half.n_items, half.n_query, half.n_train, half.n_features) == (150, 10, 50, 16)
    with pytest.raises(ValueError, match="in it, got 1 of 3 database items and 0 queries"):
        SEVERAL.shrunk(0.01)
    for share in (0.0, 1.5, float("nan")):
        with pytest.raises(ValueError, match=rf"share must lie in \(0, 1\], got {share}"):
            SEVERAL.shrunk(share)


@pytest.mark.parametrize("several", [1.0, 4.0])
def test_means_that_the_law_cannot_give(several):
    with pytest.raises(ValueError, match=rf"labels_per_item must lie above 1 and reach 2\.\d+ at most, got {several}"):
        dataclasses.replace(SEVERAL, labels_per_item=several)


def learnt(shape, folder):
    """Generate, train, encode, evaluate; returns what the process held before, in bytes, and the score."""
    config = configure("nus_wide", "qsmi", 16, epochs=1, head="narrow")
    small = generate(dataclasses.replace(shape, n_items=1200, n_query=100), folder)
    loop.train(config, small)
    evaluate(*[torch.ones(50, 16)] * 2, *[small.query.labels[:50]] * 2)  # loads what is compiled
    before = anonymous_bytes(os.getpid())
    split = generate(shape, folder)
    model = loop.train(config, split).model
    codes = [loop.encode(model, part.inputs) for part in (split.query, split.database)]
    return before, evaluate(*codes, split.query.labels, split.database.labels, relevance="fraction").map


def test_training_and_evaluation_leave_the_matrix_in_its_file(tmp_path):
    shape = dataclasses.replace(SHAPES["nus_wide"], n_items=27_000, n_query=1_000)  # 207 MB
    (before, score), peak = apart(learnt, shape, tmp_path)
    assert 0 < score < 1
    if peak is None:
        pytest.skip("the system does not tell anonymous memory")
    assert before < peak < before + 100e6
