"""Weights on disk: the same from either format, nothing is executed, and another network's are named."""

import re

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from qsmi_lib.models.weights import checksum, load_weights


def network(seed=0, n_out=3):
    """A convolution, a normalisation that has seen a batch, and a dense layer."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        own = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, n_out))
        own(torch.randn(5, 1, 4, 4))
    return own.eval()


def images():
    return torch.randn(6, 1, 4, 4, generator=torch.Generator().manual_seed(1))


def write_legacy(state, path):
    torch.save(state, path, _use_new_zipfile_serialization=False)


WRITERS = {"safetensors": save_file, "pth": torch.save, "th": write_legacy}
each_format = pytest.mark.parametrize("suffix", WRITERS)


def written(folder, suffix, state=None):
    path = folder / f"weights.{suffix}"
    WRITERS[suffix](network().state_dict() if state is None else state, path)
    return path


@each_format
def test_every_format_gives_the_same_network(tmp_path, suffix):
    other = network(seed=1)
    load_weights(other, written(tmp_path, suffix))
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in network().state_dict().items())
    assert torch.equal(other(images()), network()(images()))


@pytest.mark.parametrize("wrap", [lambda state: {"state_dict": state, "epoch": 200}, lambda state: state])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_checkpoint_and_a_parallel_wrapper_are_unpacked(tmp_path, wrap, prefix):
    state = {f"{prefix}{name}": value for name, value in network().state_dict().items()}
    torch.save(wrap(state), tmp_path / "weights.pth")
    other = network(seed=1)
    load_weights(other, tmp_path / "weights.pth")
    assert checksum(other) == checksum(network())


def test_the_older_names_of_torchvisions_densenets_are_understood(tmp_path):
    def small(seed):
        torch.manual_seed(seed)
        return models.DenseNet(growth_rate=4, block_config=(2, 1), num_init_features=8, num_classes=3).eval()

    with torch.random.fork_rng():
        whole, other = small(0), small(1)
    older = {re.sub(r"(norm|conv)([12])\.", r"\1.\2.", name): value for name, value in whole.state_dict().items()}
    assert older.keys() != whole.state_dict().keys()
    torch.save(older, tmp_path / "densenet.pth")
    load_weights(other, tmp_path / "densenet.pth")
    assert checksum(other) == checksum(whole)


def test_layers_that_a_network_itself_calls_so_keep_their_names(tmp_path):
    """A layer called module, and one called conv whose parts are numbered, as MobileNet's are."""

    def nested():
        inner = nn.ModuleDict({"conv": nn.Sequential(*(nn.Linear(2, 2) for _ in range(3)))})
        return nn.ModuleDict({"module": inner})

    whole, other = nested(), nested()
    assert "module.conv.1.weight" in whole.state_dict()
    save_file(whole.state_dict(), tmp_path / "weights.safetensors")
    load_weights(other, tmp_path / "weights.safetensors")
    assert checksum(other) == checksum(whole)


# What is refused


class Runs:
    """Unpickled, it opens a file to write to."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("suffix", ["pth", "th"])
def test_a_checkpoint_that_would_execute_something_is_refused_and_nothing_is_executed(tmp_path, suffix):
    trace = tmp_path / "executed"
    path = written(tmp_path, suffix, network().state_dict() | {"more": Runs(trace)})
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} is damaged, or holds other things than weights: "):
        load_weights(network(), path)
    assert not trace.exists()
    torch.load(path, weights_only=False)["more"].close()
    assert trace.exists()  # it does execute where pickles are trusted


@each_format
def test_the_weights_of_another_network_are_named_with_layer_and_shapes(tmp_path, suffix):
    path = written(tmp_path, suffix, network(n_out=4).state_dict())
    message = (
        f"{re.escape(str(path))} holds the weights of another network: Sequential expects 3.weight of shape "
        r"\(3, 8\), got \(4, 8\)"
    )
    other = network(seed=1)
    before = checksum(other)
    with pytest.raises(ValueError, match=message):
        load_weights(other, path)
    assert checksum(other) == before


@each_format
def test_a_missing_layer_and_one_too_many_are_named(tmp_path, suffix):
    state = network().state_dict()
    path = written(tmp_path, suffix, {name: value for name, value in state.items() if name != "3.bias"})
    with pytest.raises(ValueError, match=r"expects 3.bias of shape \(3,\), got none"):
        load_weights(network(), path)
    path = written(tmp_path, suffix, state | {"4.weight": torch.zeros(2, 3)})
    with pytest.raises(ValueError, match=r"expects 4.weight of shape none, got \(2, 3\)"):
        load_weights(network(), path)


@each_format
@pytest.mark.parametrize("n_left", [0, 30, -60])
def test_a_truncated_file_is_named(tmp_path, suffix, n_left):
    path = written(tmp_path, suffix)
    path.write_bytes(path.read_bytes()[:n_left])
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} is damaged, or holds other things than weights: "):
        load_weights(network(), path)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {1: torch.zeros(2)}, {"state_dict": 4}, torch.zeros(3)])
def test_a_checkpoint_of_other_things_is_named(tmp_path, content):
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=r"weights\.pth is damaged, or holds other things than weights: "):
        load_weights(network(), tmp_path / "weights.pth")


@each_format
def test_a_file_that_is_not_there_is_no_damaged_one(tmp_path, suffix):
    with pytest.raises(FileNotFoundError, match="nothing"):
        load_weights(network(), tmp_path / f"nothing.{suffix}")


# Checksums


@pytest.mark.parametrize("name", [name for name in network().state_dict() if not name.endswith("num_batches_tracked")])
def test_the_checksum_sees_every_weight_and_statistic(name):
    other = network()
    other.state_dict()[name].view(-1)[-1] += 1e-3
    assert checksum(other) != checksum(network()) == checksum(network())


def test_the_checksum_does_not_see_how_many_batches_there_were():
    other = network()
    other[1].num_batches_tracked += 7
    assert checksum(other) == checksum(network())


def test_the_checksum_does_not_depend_on_the_layout_in_memory():
    assert checksum(network().to(memory_format=torch.channels_last)) == checksum(network())


def test_the_checksum_sees_the_names():
    one, other = (nn.ModuleDict({name: network()}) for name in ("one", "other"))
    assert checksum(one) != checksum(other)
