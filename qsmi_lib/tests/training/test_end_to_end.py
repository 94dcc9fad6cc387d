"""Heads on frozen features, and backbones trained with them: networks, learning rates, runs, models on disk."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from qsmi_lib import datasets
from qsmi_lib.codes import pack
from qsmi_lib.config.presets import configure
from qsmi_lib.datasets.protocols import FULL
from qsmi_lib.evaluation import evaluate
from qsmi_lib.methods import METHODS
from qsmi_lib.models import backbones, features, networks, projections
from qsmi_lib.models.networks import EndToEnd, HashHead
from qsmi_lib.models.weights import checksum
from qsmi_lib.training import factory, records, runs, splits
from qsmi_lib.training.loop import encode, train
from qsmi_lib.training.splits import load_split
from qsmi_lib.utils import paths

BITS, NAME = 12, "digits_pixels"
WITHOUT_LOSS = [name for name, entry in METHODS.items() if entry.loss is None]
FROZEN = configure("digits", "qsmi", BITS, backbone=NAME, epochs=1)
TRAINED = configure("digits", "qsmi", BITS, backbone=NAME, backbone_learning_rate=1e-4, epochs=1)


def seeded(build, *arguments, seed=0, **settings):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build(*arguments, **settings)


@pytest.fixture(autouse=True)
def forget_splits():
    """The runner keeps the last split, which lies in the folder of another test."""
    runs._split.cache_clear()


@pytest.fixture
def no_weights(monkeypatch):
    """No file of weights at hand, and none to be had."""
    monkeypatch.setattr(backbones, "find", lambda name: None)
    monkeypatch.setattr(backbones, "download", lambda name: pytest.fail("weights are not needed"))


# Networks


def test_a_hash_head_is_two_layers():
    head, inputs = HashHead(20, BITS), torch.randn(5, 20)
    shapes = {name: tuple(value.shape) for name, value in head.named_parameters()}
    assert shapes == {
        "hidden.weight": (64, 20),
        "hidden.bias": (64,),
        "dense.weight": (BITS, 64),
        "dense.bias": (BITS,),
    }
    hidden = (inputs @ head.hidden.weight.T + head.hidden.bias).clamp(min=0)
    torch.testing.assert_close(head(inputs), hidden @ head.dense.weight.T + head.dense.bias)
    assert HashHead(20, BITS, n_hidden=7).hidden.out_features == 7


@pytest.mark.parametrize("dataset", datasets.DATASETS)
@pytest.mark.parametrize("name", backbones.BACKBONES)
def test_frozen_features_of_any_backbone_get_a_head_of_their_width(dataset, name):
    head = factory.build(dataset, BITS, backbone=name)
    assert isinstance(head, HashHead)
    assert (head.hidden.in_features, head.dense.out_features) == (backbones.BACKBONES[name].n_features, BITS)


@pytest.mark.parametrize("method", [name for name, entry in METHODS.items() if entry.head is not None])
def test_methods_bring_their_last_layer_to_features_too(method):
    own, usual = factory.build("digits", BITS, method), factory.build("digits", BITS, method, backbone=NAME)
    assert isinstance(usual, HashHead) and type(usual.dense) is type(own.dense) is not nn.Linear
    assert usual.eval()(torch.randn(3, 32)).shape == (3, BITS)


def test_a_data_set_without_a_network_needs_a_backbone():
    with pytest.raises(
        ValueError, match="cifar10 has no network of its own: name a backbone, one of resnet56, squeezen"
    ):
        factory.build("cifar10", BITS)


def test_an_unknown_backbone_lists_the_known():
    with pytest.raises(ValueError, match=r"unknown backbone 'vgg'; known: alexnet, .*squeezenet1_1_keras"):
        factory.build("digits", BITS, backbone="vgg")


def test_end_to_end_is_the_head_after_the_published_backbone(digits):
    model = factory.of(TRAINED)
    assert isinstance(model, EndToEnd) and isinstance(model.head, HashHead)
    assert checksum(model.backbone).startswith(backbones.BACKBONES[NAME].tensors)
    images = digits.query.inputs[:5]
    assert torch.equal(model(images), model.head(model.backbone(images)))
    assert model(images).shape == (5, BITS)


def test_without_weights_no_file_is_needed(no_weights):
    model = factory.of(TRAINED, weights=False)
    assert (
        model.state_dict().keys()
        == networks.EndToEnd(backbones.assembled(NAME), HashHead(32, BITS)).state_dict().keys()
    )
    assert not checksum(model.backbone).startswith(backbones.BACKBONES[NAME].tensors)


def test_a_seed_gives_the_same_head_whether_the_backbone_is_trained_or_not():
    frozen, trained = (seeded(factory.of, config) for config in (FROZEN, TRAINED))
    bare = seeded(factory.of, TRAINED, weights=False)
    assert checksum(frozen) == checksum(trained.head) == checksum(bare.head)


# Learning rates


def test_a_trained_backbone_has_a_learning_rate_of_its_own():
    model = factory.of(TRAINED)
    backbone, head = factory.parameter_groups(model, TRAINED)
    assert backbone["lr"] == 1e-4 and "lr" not in head
    own = [id(value) for group in (backbone, head) for value in group["params"]]
    assert sorted(own) == sorted(id(value) for value in model.parameters())
    assert {id(value) for value in backbone["params"]} == {id(value) for value in model.backbone.parameters()}


@pytest.mark.parametrize("build", [lambda: factory.build("digits", BITS), lambda: factory.of(FROZEN)])
def test_every_other_network_has_one_learning_rate(build):
    model = build()
    (group,) = factory.parameter_groups(model, FROZEN)
    assert list(group) == ["params"] and [id(v) for v in group["params"]] == [id(v) for v in model.parameters()]


def largest_step(before, after):
    pairs = zip(before.parameters(), after.parameters(), strict=True)
    return max((one - other).abs().max().item() for one, other in pairs)


@pytest.mark.parametrize(("backbone_rate", "rate"), [(1e-4, 1e-3), (1e-3, 1e-4), (1e-3, 0.0)])
def test_each_part_moves_at_its_own_rate(digits, backbone_rate, rate):
    """Adam's first step is the learning rate for every weight with a gradient: one batch, one step."""
    settings = {"backbone_learning_rate": backbone_rate, "learning_rate": rate, "precision": "float32"}
    config = configure("digits", "qsmi", BITS, backbone=NAME, epochs=1, batch_size=len(digits.train), **settings)
    before, after = seeded(factory.of, config, seed=config.seed), train(config, digits).model
    assert largest_step(before.backbone, after.backbone) == pytest.approx(backbone_rate, rel=0.01)
    assert largest_step(before.head, after.head) == pytest.approx(rate, rel=0.01)


def test_a_frozen_backbone_stays(results):
    split = runs.split_of(FROZEN)
    before = split.train.inputs.clone()
    trained = train(FROZEN, split)
    assert isinstance(trained.model, HashHead) and largest_step(seeded(factory.of, FROZEN), trained.model) > 0
    assert torch.equal(split.train.inputs, before) and not split.train.inputs.requires_grad
    assert checksum(backbones.load(NAME)).startswith(backbones.BACKBONES[NAME].tensors)


def test_items_are_encoded_few_at_a_time_where_the_backbone_takes_part():
    assert factory.batch_size(FROZEN) == factory.batch_size(configure("digits", "qsmi", BITS)) == 1000
    assert factory.batch_size(TRAINED) == features.batch_size(NAME)


# Splits


def test_frozen_runs_see_features_and_trained_backbones_pictures(digits):
    frozen, trained = (runs.split_of(config) for config in (FROZEN, TRAINED))
    assert frozen.train.inputs.shape == (1297, 32) and frozen.database is frozen.train
    assert torch.equal(trained.train.inputs, digits.train.inputs)
    assert torch.equal(frozen.query.labels, trained.query.labels)


@pytest.mark.parametrize("config", [FROZEN, TRAINED], ids=["frozen", "trained"])
def test_another_protocol_can_be_asked_for(config):
    split, usual = runs.split_of(config, protocol="held_out"), runs.split_of(config)
    assert (len(split.train), len(split.query)) == (1168, 129) and len(usual.train) == 1297
    assert runs.split_of(config, protocol=FULL) is usual is runs.split_of(config)


# Runs and models on disk


@pytest.mark.parametrize("config", [FROZEN, TRAINED], ids=["frozen", "trained"])
def test_a_run_is_recorded_and_its_model_gives_its_codes_without_any_weights_at_hand(config, results, monkeypatch):
    record = runs.run(config, "digits")
    path = runs.record_path(config, "digits")
    assert records.load(path) == json.loads(json.dumps(record)) and record["config"] == config.to_dict()
    assert record["config"]["backbone"] == NAME and 0.1 < record["metrics"]["map"] <= 1
    assert len(record["history"]) == 1
    split, precision = runs.split_of(config), record["provenance"]["precision"]
    monkeypatch.setattr(backbones, "find", lambda name: pytest.fail("weights are not needed"))
    model, loaded = factory.load(paths.model("digits", path.stem))
    assert loaded == config and not model.training
    size = factory.batch_size(config)
    found = encode(model, split.query.inputs, precision=precision, batch_size=size)
    stored = np.load(paths.codes("digits", path.stem))
    assert np.array_equal(stored["query"], pack(found.numpy()))
    assert runs.run(config, "digits") == records.load(path)


def test_a_saved_model_is_the_one_that_was_trained(tmp_path, digits, no_weights):
    model = seeded(factory.of, TRAINED, weights=False).eval()
    factory.save(model, TRAINED, tmp_path / "model.safetensors")
    loaded, config = factory.load(tmp_path / "model.safetensors")
    assert config == TRAINED and checksum(loaded) == checksum(model)
    assert torch.equal(encode(loaded, digits.query.inputs), encode(model, digits.query.inputs))


def test_a_model_of_another_kind_is_named(tmp_path):
    """A head alone is no backbone with a head."""
    path = tmp_path / "model.safetensors"
    factory.save(factory.of(FROZEN), TRAINED, path)
    with pytest.raises(ValueError, match=f"{path} is damaged, or not a model that qsmi_lib saved: ."):
        factory.load(path)


def test_records_of_frozen_and_trained_backbones_and_of_other_weights_have_names_of_their_own():
    others = [
        configure("digits", "qsmi", BITS, epochs=1),
        configure("digits", "qsmi", BITS, backbone="digits_labels", epochs=1),
    ]
    names = {runs.run_id(config) for config in (FROZEN, TRAINED, *others)}
    assert len(names) == 4


@pytest.mark.parametrize("rate", [0.0, 1e-4])
def test_a_backbone_that_knows_the_labels_is_refused_whether_it_is_trained_or_not(rate, results):
    config = configure(
        "digits", "qsmi", BITS, backbone="digits_labels", backbone_learning_rate=rate, protocol="sampled"
    )
    with pytest.raises(ValueError, match=r"digits_labels has seen all training labels .* use one of digits_pixels"):
        runs.run(config, "digits")
    assert not list(results.rglob("*.json"))


# Hashes of features that no label has touched


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """The digits as their backbone sees them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QSMI_RESULTS", str(tmp_path_factory.mktemp("results")))
        yield load_split("digits", backbone=NAME)


def fitted(method, split, bits=16, seed=0):
    network = factory.build("digits", bits, method, backbone=NAME).eval()
    network.fit(split.train.inputs, seed)
    return network


@pytest.mark.parametrize("method", WITHOUT_LOSS)
def test_features_are_hashed_as_they_are(seen, method):
    network = fitted(method, seen)
    assert isinstance(network, projections.Projection) and not list(network.parameters())
    assert np.array_equal(network.features(seen.query.inputs), seen.query.inputs.numpy())
    inputs = seen.train.inputs.double()
    torch.testing.assert_close(network.mean.double(), inputs.mean(0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", WITHOUT_LOSS)
def test_codes_of_features_find_what_is_alike(seen, method):
    """Chance is a tenth."""
    network = fitted(method, seen)
    codes = [encode(network, part.inputs) for part in (seen.query, seen.database)]
    assert evaluate(*codes, seen.query.labels, seen.database.labels).map > 0.3


@pytest.mark.parametrize("method", WITHOUT_LOSS)
def test_training_is_fitting_to_features(seen, method):
    trained = train(configure("digits", method, 8, backbone=NAME, seed=3), seen)
    expected = fitted(method, seen, bits=8, seed=3)
    assert trained.history == []
    assert all(torch.equal(value, expected.state_dict()[k]) for k, value in trained.model.state_dict().items())


@pytest.mark.parametrize("method", WITHOUT_LOSS)
def test_a_hash_of_features_is_saved_and_comes_back(seen, tmp_path, method):
    network, config = fitted(method, seen), configure("digits", method, 16, backbone=NAME)
    factory.save(network, config, tmp_path / "model.safetensors")
    loaded, loaded_config = factory.load(tmp_path / "model.safetensors")
    assert loaded_config == config
    assert torch.equal(encode(loaded, seen.query.inputs), encode(network, seen.query.inputs))


@pytest.mark.parametrize("method", ["lsh", "itq", "spectral_hashing"])
def test_as_many_bits_as_features(seen, method):
    """Some features are 0 for every item."""
    assert (seen.train.inputs == 0).all(dim=0).any()
    assert fitted(method, seen, bits=32)(seen.query.inputs).isfinite().all()


@pytest.mark.parametrize("method", WITHOUT_LOSS)
def test_more_bits_than_features_are_refused(method):
    with pytest.raises(ValueError, match="bits must be at most 32, the width of the features, got 33"):
        factory.build("digits", 33, method, backbone=NAME)


def test_lsh_of_features_projects_on_random_directions(seen):
    directions = np.random.default_rng(5).normal(size=(32, 16))
    inputs = [part.inputs.numpy().astype(float) for part in (seen.train, seen.query)]
    expected = (inputs[1] - inputs[0].mean(axis=0)) @ directions
    np.testing.assert_allclose(fitted("lsh", seen, seed=5)(seen.query.inputs), expected, rtol=1e-3, atol=1e-4)


def test_a_hash_of_features_is_run_and_recorded():
    config = configure("digits", "lsh", BITS, backbone=NAME)
    record = runs.run(config, "digits")
    assert record["history"] == [] and 0.1 < record["metrics"]["map"] <= 1
    assert record["provenance"]["fingerprint"] == splits.fingerprint("digits", backbone=NAME)


@pytest.mark.parametrize("method", WITHOUT_LOSS)
def test_what_nothing_trains_has_no_learning_rate_of_a_backbone(method):
    with pytest.raises(ValueError, match=f"unknown setting of {method} 'backbone_learning_rate'; known: "):
        configure("digits", method, BITS, backbone=NAME, backbone_learning_rate=1e-4)


# The networks of Table 5


@pytest.mark.parametrize("name", ["alexnet", "resnet50", "squeezenet1_1"])
def test_the_networks_of_table_5_train_end_to_end(name, monkeypatch):
    """With weights at random: the published ones would have to be downloaded."""
    monkeypatch.setattr(backbones, "load", lambda name: backbones.assembled(name).eval())
    pictures = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    part = datasets.Part(pictures, torch.tensor([0, 0, 1, 1]))
    split = datasets.Split("cifar10", part, part, part, "four pictures", datasets.DATASETS["cifar10"].classes)
    config = configure("cifar10", "qsmi", 8, backbone=name, backbone_learning_rate=1e-4, epochs=1, batch_size=4)
    before = checksum(seeded(factory.of, config).backbone)
    trained = train(config, split)
    assert checksum(trained.model.backbone) != before
    assert encode(trained.model, pictures, precision=trained.precision, batch_size=2).shape == (4, 8)
