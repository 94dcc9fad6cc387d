"""Networks by configuration, and models on disk: complete, with their configuration, or not at all."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from qsmi_lib.config.presets import configure
from qsmi_lib.methods import METHODS
from qsmi_lib.models import networks, projections
from qsmi_lib.training import factory
from qsmi_lib.training.loop import encode

BITS = 12
CONFIG = configure("digits", "qsmi", BITS, seed=3, alpha=0.1)
SIDES = {"fashion_mnist": (28, 28), "digits": (8, 8), "digit_pairs": (8, 16)}
LAST_LAYERS = {"dnnh": networks.DivideAndEncode, "classifier": networks.ClassWords}


def images(dataset, n=50):
    return torch.randn(n, 1, *SIDES[dataset], generator=torch.Generator().manual_seed(0))


def seeded(dataset, method="qsmi"):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return factory.build(dataset, BITS, method)


@pytest.mark.parametrize("dataset", networks.NETWORKS)
def test_trained_methods_share_the_network_except_for_the_last_layer_of_some(dataset):
    usual = seeded(dataset)
    for method in (name for name, entry in METHODS.items() if entry.loss is not None):
        network = seeded(dataset, method)
        assert type(network) is type(usual) and type(network.dense) is LAST_LAYERS.get(method, torch.nn.Linear)
        for name, value in usual.state_dict().items():
            assert name.startswith("dense") or torch.equal(network.state_dict()[name], value)
        assert network.eval()(images(dataset, 3)).shape == (3, BITS)


@pytest.mark.parametrize("method", [name for name, entry in METHODS.items() if entry.loss is None])
def test_a_method_without_training_is_a_projection(method):
    network = factory.build("digits", BITS, method)
    assert isinstance(network, projections.Projection) and not list(network.parameters())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("digits", 65, "dnnh"), "65 bits need at least as many features to divide among them, got 64"),
        (("digits", 3, "classifier"), "10 classes need at least 4 bits for distinct centers, got 3"),
        (("digits", 325, "lsh"), "bits must be at most 324, the width of the features, got 325"),
        (("digits", 12, "lda"), r"unknown method 'lda'; known: classifier, .*spring"),
        (("mnist", 12), r"unknown data set 'mnist'; known: .*digits.*fashion_mnist.*; or the path of"),
        *((("digits", bits), f"from 1 to 4096, got {bits!r}") for bits in (0, -1, True, 1.5, "12", None)),
    ],
)
def test_what_cannot_be_built_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        factory.build(*arguments)


# Models on disk


@pytest.mark.parametrize(
    ("dataset", "method"),
    [("fashion_mnist", "qsmi"), ("digits", "dnnh"), ("digits", "classifier"), ("digit_pairs", "qsmi")],
)
def test_a_saved_model_comes_back_with_its_configuration_and_codes(tmp_path, dataset, method):
    path = tmp_path / "new" / "folder" / "model.safetensors"
    config = configure(dataset, method, BITS, seed=3, protocol="held_out")
    network = networks.to_device(seeded(dataset, method), torch.device("cpu")).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    factory.save(network, config, path)
    loaded, loaded_config = factory.load(path)
    assert loaded_config == config and not loaded.training
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in network.state_dict().items())
    codes = encode(network, images(dataset))
    assert torch.equal(encode(loaded, images(dataset)), codes) and len(codes.unique(dim=0)) > 1


def write_header(path, **changed):
    """A file as `save` writes it, whose configuration differs from its weights."""
    save_file(load_file(path), path, {"config": json.dumps(CONFIG.to_dict() | changed)})


DAMAGES = {
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "a changed bit": lambda path: path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1])),
    "cut off in the header": lambda path: path.write_bytes(path.read_bytes()[:20]),
    "empty": lambda path: path.write_bytes(b""),
    "a pickle": lambda path: torch.save({"dense.weight": torch.zeros(2, 2)}, path),
    "weights alone": lambda path: save_file(load_file(path), path),
    "no JSON": lambda path: save_file(load_file(path), path, {"config": "digits"}),
    "no configuration": lambda path: save_file(load_file(path), path, {"config": "3"}),
    "an unknown setting": lambda path: write_header(path, depth=3),
    "an unknown data set": lambda path: write_header(path, dataset="mnist"),
    "another length": lambda path: write_header(path, bits=BITS + 1),
    "another network": lambda path: write_header(path, dataset="fashion_mnist"),
    "another last layer": lambda path: write_header(path, method="classifier"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_file_that_is_no_model_is_named(tmp_path, damage):
    path = tmp_path / "model.safetensors"
    factory.save(seeded("digits"), CONFIG, path)
    damage(path)
    with pytest.raises(ValueError, match=f"(?s){path} .*; delete it and run again"):
        factory.load(path)


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        factory.load(tmp_path / "nothing.safetensors")
