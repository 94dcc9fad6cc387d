"""Runs on frozen features and with trained backbones: learning rates, splits, records, models on disk."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from qsmi_lib import datasets
from qsmi_lib.codes import pack
from qsmi_lib.config.presets import configure
from qsmi_lib.methods import METHODS
from qsmi_lib.models import backbones, features
from qsmi_lib.models.networks import HEADS, EndToEnd
from qsmi_lib.models.weights import checksum
from qsmi_lib.training import factory, runs, splits
from qsmi_lib.training.loop import encode, train
from qsmi_lib.training.records import Store, load_codes, load_record, run_id

BITS, NAME = 12, "digits_pixels"
WITHOUT_LOSS = [name for name, entry in METHODS.items() if entry.loss is None]
FROZEN = configure("digits", "qsmi", BITS, backbone=NAME, epochs=1)
TRAINED = configure("digits", "qsmi", BITS, backbone=NAME, backbone_learning_rate=1e-4, epochs=1)
each_kind = pytest.mark.parametrize("config", [FROZEN, TRAINED], ids=["frozen", "trained"])


def seeded(config, **settings):
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        return factory.of(config, **settings)


# Networks of configurations


@each_kind
@pytest.mark.parametrize("head", HEADS)
def test_a_configuration_names_backbone_and_head(config, head):
    model = factory.of(replace(config, head=head), weights=False)
    assert isinstance(model, EndToEnd) == (config is TRAINED)
    assert type(getattr(model, "head", model)) is type(HEADS[head](32, BITS))


def test_a_trained_backbone_starts_with_the_published_weights_and_needs_no_file_without_them(digits, monkeypatch):
    model, published = factory.of(TRAINED), backbones.BACKBONES[NAME].tensors
    assert checksum(model.backbone).startswith(published)
    assert torch.equal(model(digits.query.inputs[:5]), model.head(model.backbone(digits.query.inputs[:5])))
    monkeypatch.setattr(backbones, "find", lambda name: None)
    monkeypatch.setattr(backbones, "download", lambda name: pytest.fail("weights are not needed"))
    assert not checksum(factory.of(TRAINED, weights=False).backbone).startswith(published)


def test_a_seed_gives_the_same_head_whether_the_backbone_is_trained_or_not():
    assert checksum(seeded(FROZEN)) == checksum(seeded(TRAINED).head) == checksum(seeded(TRAINED, weights=False).head)


def test_unknown_and_missing_backbones_list_the_known(tmp_path):
    with pytest.raises(ValueError, match=r"unknown backbone 'vgg'; known: alexnet, .*squeezenet1_1_keras"):
        factory.build("digits", BITS, backbone="vgg")
    with pytest.raises(ValueError, match="unknown head 'large'; known: csq, narrow, wide"):
        factory.build("digits", BITS, backbone=NAME, head="large")
    for dataset in ("cifar10", str(tmp_path)):
        with pytest.raises(
            ValueError, match=f"{dataset} needs the features of a backbone: name one of resnet56"
        ) as raised:
            factory.build(dataset, BITS)
        assert "digits" not in str(raised.value).removeprefix(dataset)


# Learning rates


def largest_step(before, after):
    pairs = zip(before.parameters(), after.parameters(), strict=True)
    return max((one - other).abs().max().item() for one, other in pairs)


@pytest.mark.parametrize(("backbone_rate", "rate"), [(1e-4, 1e-3), (1e-3, 0.0)])
def test_each_part_moves_at_its_own_rate(digits, backbone_rate, rate):
    """Adam's first step is the learning rate for every weight with a gradient: one batch, one step."""
    settings = {"backbone_learning_rate": backbone_rate, "learning_rate": rate, "precision": "float32"}
    split = replace(digits, train=digits.train[:400])
    config = configure("digits", "qsmi", BITS, backbone=NAME, epochs=1, batch_size=400, **settings)
    before, after = seeded(config), train(config, split).model
    assert largest_step(before.backbone, after.backbone) == pytest.approx(backbone_rate, rel=0.01)
    assert largest_step(before.head, after.head) == pytest.approx(rate, rel=0.01)


def test_a_frozen_backbone_and_its_features_do_not_change():
    split = runs.split_of(FROZEN)
    before = split.train.inputs.clone()
    assert largest_step(seeded(FROZEN), train(FROZEN, split).model) > 0
    assert torch.equal(split.train.inputs, before) and not split.train.inputs.requires_grad


def test_a_backbone_that_takes_part_encodes_few_items_at_a_time():
    assert factory.batch_size(FROZEN) == factory.batch_size(configure("digits", "qsmi", BITS)) == 1000
    assert factory.batch_size(TRAINED) == features.batch_size(NAME)


# Runs and models on disk


def test_frozen_runs_see_features_and_trained_backbones_pictures(digits):
    frozen, trained = runs.split_of(FROZEN), runs.split_of(TRAINED)
    assert frozen.train.inputs.shape == (1297, 32) and frozen.database is frozen.train
    assert torch.equal(trained.train.inputs, digits.train.inputs)
    assert torch.equal(frozen.query.labels, trained.query.labels)
    assert len(runs.split_of(FROZEN, protocol="held_out").query) == 129


@each_kind
def test_a_recorded_model_gives_its_codes_where_the_published_weights_are_not(config, tmp_path, monkeypatch):
    store, name = Store(tmp_path), run_id(config)
    record = runs.run(config, store)
    assert record["config"]["backbone"] == NAME and 0.1 < record["metrics"]["map"] <= 1
    split = runs.split_of(config)
    monkeypatch.setattr(backbones, "find", lambda name: pytest.fail("weights are not needed"))
    model, loaded = factory.load(store.model(name))
    assert loaded == config
    precision, size = record["provenance"]["precision"], factory.batch_size(config)
    codes = encode(model, split.query.inputs, precision=precision, batch_size=size).numpy()
    assert np.array_equal(pack(load_codes(store.codes(name)).query), pack(codes))
    assert runs.run(config, store) == load_record(store.record(name))


def test_a_model_of_another_kind_is_named(tmp_path):
    """A head alone is no backbone with a head."""
    path = tmp_path / "model.safetensors"
    factory.save(factory.of(FROZEN), TRAINED, path)
    with pytest.raises(ValueError, match=f"{path} cannot be used: it is not a model that qsmi_lib saved: ."):
        factory.load(path)


def test_frozen_and_trained_backbones_and_other_weights_have_separate_records():
    plain = configure("digits", "qsmi", BITS, epochs=1)
    assert len({run_id(config) for config in (FROZEN, TRAINED, plain, replace(FROZEN, backbone="digits_labels"))}) == 4


@pytest.mark.parametrize("rate", [0.0, 1e-4])
def test_a_backbone_that_knows_the_labels_is_refused_whether_it_is_trained_or_not(rate, results):
    leak = {"backbone": "digits_labels", "backbone_learning_rate": rate, "protocol": "sampled"}
    config = configure("digits", "qsmi", BITS, **leak)
    with pytest.raises(ValueError, match=r"digits_labels has seen all training labels .* use one of digits_pixels"):
        runs.run(config, Store(results))
    assert not list(results.rglob("*.json"))


@pytest.mark.parametrize("method", WITHOUT_LOSS)
def test_methods_that_train_nothing_are_fitted_to_features(method, tmp_path):
    config = configure("digits", method, 16, backbone=NAME, seed=3)
    record = runs.run(config, Store(tmp_path))
    assert record["history"] == [] and record["metrics"]["map"] > 0.3  # chance is a tenth
    assert record["provenance"]["fingerprint"] == splits.fingerprint("digits", backbone=NAME)
    split = runs.split_of(config)
    fitted = factory.build("digits", 16, method, backbone=NAME).eval()
    fitted.fit(split.train.inputs, 3)
    loaded, _ = factory.load(Store(tmp_path).model(run_id(config)))
    assert torch.equal(encode(fitted, split.query.inputs), encode(loaded, split.query.inputs))
    assert not list(fitted.parameters())


@pytest.mark.parametrize("name", ["squeezenet1_1", "resnet50"])
def test_the_networks_of_table_5_train_end_to_end(name, monkeypatch):
    """With random weights: the published ones would have to be downloaded."""
    monkeypatch.setattr(backbones, "load", lambda name: backbones.assembled(name).eval())
    pictures = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    part = datasets.Part(pictures, torch.tensor([0, 0, 1, 1]))
    split = datasets.Split("cifar10", part, part, part, "four pictures", tuple("0123456789"))
    config = configure("cifar10", "qsmi", 8, backbone=name, backbone_learning_rate=1e-4, epochs=1, batch_size=4)
    monkeypatch.setitem(
        backbones.BACKBONES, name, replace(backbones.BACKBONES[name], side=64)
    )  # a quarter of the published side in pixels
    before = checksum(seeded(config).backbone)
    trained = train(config, split)
    assert checksum(trained.model.backbone) != before
    assert encode(trained.model, pictures, precision=trained.precision, batch_size=2).shape == (4, 8)
