"""The networks layer by layer, and models on disk: whole, with their configuration, or not at all."""

import csv
import json

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from qsmi_lib.config.presets import configure
from qsmi_lib.methods import METHODS
from qsmi_lib.models import heads, networks, projections
from qsmi_lib.training import factory
from qsmi_lib.utils.paths import PUBLISHED

BITS = 12
CONFIG = configure("digits", "qsmi", BITS, seed=3, alpha=0.1)


def images(side, width=None, n=50):
    return torch.randn(n, 1, side, width or side, generator=torch.Generator().manual_seed(0))


def seeded(dataset, bits=BITS, method="qsmi"):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return factory.build(dataset, bits, method)


@pytest.fixture
def network():
    return seeded("digits")


# Networks


def test_fashion_cnn_has_the_layers_of_table_11():
    with open(PUBLISHED / "table_11.csv", newline="", encoding="utf-8") as file:
        layers = list(csv.DictReader(file))
    network = seeded("fashion_mnist")
    convolutions = [network.convolution_1, network.convolution_2]
    published = [row for row in layers if row["layer"] == "Convolution"]
    assert [f"{c.kernel_size[0]}x{c.kernel_size[1]}" for c in convolutions] == [row["kernel"] for row in published]
    assert [str(c.out_channels) for c in convolutions] == [row["units"] for row in published]
    assert all(c.padding == (0, 0) and c.stride == (1, 1) for c in convolutions)
    assert (network.dense.in_features, network.dense.out_features) == (1024, BITS)
    pooling, ins, outs = [row["kernel"] for row in layers if row["layer"] == "Max Pooling"], [], []
    for layer in (*convolutions, network.dense):
        layer.register_forward_hook(lambda _, given, output: (ins.append(given[0]), outs.append(output))[0])
    network(images(28))
    for kernel, before, after in zip(pooling, outs[:2], ins[1:], strict=True):
        pooled = F.max_pool2d(before, tuple(map(int, kernel.split("x")))).relu()
        assert torch.equal(pooled.reshape(after.shape), after)


SHAPES = {
    "fashion_mnist": {
        "convolution_1.weight": (32, 1, 5, 5),
        "convolution_1.bias": (32,),
        "convolution_2.weight": (64, 32, 5, 5),
        "convolution_2.bias": (64,),
        "dense.weight": (BITS, 1024),
        "dense.bias": (BITS,),
    },
    "digits": {
        "hidden.weight": (64, 64),
        "hidden.bias": (64,),
        "dense.weight": (BITS, 64),
        "dense.bias": (BITS,),
    },
    "digit_pairs": {
        "hidden.weight": (64, 128),
        "hidden.bias": (64,),
        "dense.weight": (BITS, 64),
        "dense.bias": (BITS,),
    },
}
SIDES = {"fashion_mnist": (28, 28), "digits": (8, 8), "digit_pairs": (8, 16)}


@pytest.mark.parametrize("dataset", networks.NETWORKS)
def test_a_network_has_these_parameters_and_no_other(dataset):
    parameters = seeded(dataset).named_parameters()
    assert {name: tuple(value.shape) for name, value in parameters} == SHAPES[dataset]


@pytest.mark.parametrize(("dataset", "sides"), SIDES.items())
def test_embeddings_have_no_output_activation(dataset, sides):
    assert seeded(dataset, bits=1)(images(*sides)).shape == (50, 1)
    embeddings = seeded(dataset, bits=48)(10 * images(*sides))
    assert embeddings.shape == (50, 48)
    assert embeddings.min() < -1 and embeddings.max() > 1


def test_pooling_before_relu_is_relu_before_pooling():
    network = seeded("fashion_mnist")
    hidden = F.max_pool2d(F.relu(network.convolution_1(images(28))), 2)
    hidden = F.max_pool2d(F.relu(network.convolution_2(hidden)), 2)
    torch.testing.assert_close(network(images(28)), network.dense(hidden.flatten(1)), rtol=0, atol=0)


def test_digits_mlp_is_two_layers(network):
    pixels = images(8)
    expected = F.relu(pixels.flatten(1) @ network.hidden.weight.T + network.hidden.bias)
    expected = expected @ network.dense.weight.T + network.dense.bias
    torch.testing.assert_close(network(pixels), expected)


def test_the_layout_on_a_device_does_not_change_embeddings():
    network = seeded("fashion_mnist")
    before = network(images(28))
    after = networks.to_device(network, torch.device("cpu"))(images(28))
    assert network.convolution_2.weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)


OWN = {"dnnh": heads.DivideAndEncode, "classifier": heads.ClassWords}


@pytest.mark.parametrize("dataset", networks.NETWORKS)
@pytest.mark.parametrize("method", [name for name, entry in METHODS.items() if entry.loss is not None])
def test_methods_share_the_network_but_for_the_last_layer_of_some(dataset, method):
    network, usual = seeded(dataset, method=method), seeded(dataset)
    assert type(network) is type(usual)
    assert type(network.dense) is OWN.get(method, torch.nn.Linear)
    for name, value in usual.state_dict().items():
        assert name.startswith("dense") or torch.equal(network.state_dict()[name], value)
    assert network.eval()(images(*SIDES[dataset], n=3)).shape == (3, BITS)


@pytest.mark.parametrize("method", [name for name, entry in METHODS.items() if entry.loss is None])
def test_a_method_that_nothing_trains_is_a_module_of_its_own(method):
    network = factory.build("digits", BITS, method)
    assert isinstance(network, projections.Projection)
    assert not list(network.parameters())


@pytest.mark.parametrize(
    ("bits", "method", "message"),
    [
        (65, "dnnh", "65 bits need at least as many features to divide among them, got 64"),
        (3, "classifier", "10 classes need at least 4 bits for distinct centers, got 3"),
        (325, "lsh", "bits must be at most 324, the width of the features, got 325"),
        (12, "lda", r"unknown method 'lda'; known: classifier, .*spring"),
    ],
)
def test_a_code_length_that_a_method_cannot_give_is_refused(bits, method, message):
    with pytest.raises(ValueError, match=message):
        factory.build("digits", bits, method)


def test_an_unknown_data_set_lists_the_known():
    with pytest.raises(ValueError, match=r"unknown data set 'mnist'; known: .*digits.*fashion_mnist.*; or the path of"):
        factory.build("mnist", BITS)


@pytest.mark.parametrize("bits", [0, -1, True, 1.5, "12", None])
def test_bits_are_a_whole_number_of_at_least_1(bits):
    with pytest.raises(ValueError, match=f"bits must be a whole number of at least 1, got {bits!r}"):
        factory.build("digits", bits)


# Models on disk


@pytest.mark.parametrize(
    ("dataset", "method"),
    [
        ("fashion_mnist", "qsmi"),
        ("digits", "qsmi"),
        ("digits", "dnnh"),
        ("digits", "classifier"),
        ("digit_pairs", "qsmi"),
    ],
)
def test_a_model_comes_back_with_its_configuration(tmp_path, dataset, method):
    path = tmp_path / "new" / "folder" / "model.safetensors"
    config = configure(dataset, method, BITS, seed=3, protocol="held_out")
    network = networks.to_device(seeded(dataset, method=method), torch.device("cpu")).eval()
    factory.save(network, config, path)
    loaded, loaded_config = factory.load(path)
    assert loaded_config == config
    assert not loaded.training
    pictures = images(*SIDES[dataset])
    torch.testing.assert_close(loaded(pictures), network(pictures), rtol=1e-5, atol=1e-5)
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in network.state_dict().items())


def write_pickle(path):
    torch.save({"dense.weight": torch.zeros(2, 2)}, path)


def write_header(path, **changed):
    """A file as `save` writes it, whose configuration differs from its weights."""
    save_file(load_file(path), path, {"config": json.dumps(CONFIG.to_dict() | changed)})


DAMAGES = {
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "cut off in the header": lambda path: path.write_bytes(path.read_bytes()[:20]),
    "empty": lambda path: path.write_bytes(b""),
    "a pickle": write_pickle,
    "weights alone": lambda path: save_file(load_file(path), path),
    "no JSON": lambda path: save_file(load_file(path), path, {"config": "digits"}),
    "no configuration": lambda path: save_file(load_file(path), path, {"config": "3"}),
    "an unknown setting": lambda path: write_header(path, depth=3),
    "an unknown data set": lambda path: write_header(path, dataset="mnist"),
    "another length": lambda path: write_header(path, bits=BITS + 1),
    "another network": lambda path: write_header(path, dataset="fashion_mnist"),
    "another last layer": lambda path: write_header(path, method="classifier"),
    "an unknown method": lambda path: write_header(path, method="lda"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_file_that_is_no_model_is_named(tmp_path, network, damage):
    path = tmp_path / "model.safetensors"
    factory.save(network, CONFIG, path)
    damage(path)
    with pytest.raises(ValueError, match=f"{path} is damaged, or not a model that qsmi_lib saved: ."):
        factory.load(path)


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        factory.load(tmp_path / "nothing.safetensors")


@pytest.mark.parametrize("interruption", [OSError("No space left on device"), KeyboardInterrupt()])
def test_a_failing_save_leaves_the_old_model_and_nothing_else(tmp_path, network, monkeypatch, interruption):
    def write_a_part(model, path, metadata):
        with open(path, "wb") as file:
            file.write(b"half")
        raise interruption

    path = tmp_path / "models" / "model.safetensors"
    factory.save(network, CONFIG, path)
    before = path.read_bytes()
    monkeypatch.setattr(factory, "save_weights", write_a_part)
    with pytest.raises(type(interruption)):
        factory.save(network, CONFIG, path)
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == before
