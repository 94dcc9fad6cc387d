"""Weights on disk: the same from every format, nothing is executed, and those of another network are refused."""

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
        layers = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, n_out))
        layers(torch.randn(5, 1, 4, 4))
    return layers.eval()


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
    other, images = network(seed=1), torch.randn(6, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    load_weights(other, written(tmp_path, suffix))
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in network().state_dict().items())
    assert torch.equal(other(images), network()(images))


@pytest.mark.parametrize("wrap", [lambda state: {"state_dict": state, "epoch": 200}, lambda state: state])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_checkpoint_of_a_parallel_network_is_unpacked(tmp_path, wrap, prefix):
    state = {f"{prefix}{name}": value for name, value in network().state_dict().items()}
    other = network(seed=1)
    load_weights(other, written(tmp_path, "pth", wrap(state)))
    assert checksum(other) == checksum(network())


def test_the_older_names_of_torchvisions_densenets_are_read(tmp_path):
    def small(seed):
        torch.manual_seed(seed)
        return models.DenseNet(growth_rate=4, block_config=(2, 1), num_init_features=8, num_classes=3).eval()

    with torch.random.fork_rng():
        whole, other = small(0), small(1)
    older = {re.sub(r"(norm|conv)([12])\.", r"\1.\2.", name): value for name, value in whole.state_dict().items()}
    assert older.keys() != whole.state_dict().keys()
    load_weights(other, written(tmp_path, "pth", older))
    assert checksum(other) == checksum(whole)


def test_names_that_the_network_has_itself_are_not_changed(tmp_path):
    """A layer called module, and one called conv whose parts are numbered, as MobileNet's are."""

    def nested():
        inner = nn.ModuleDict({"conv": nn.Sequential(*(nn.Linear(2, 2) for _ in range(3)))})
        return nn.ModuleDict({"module": inner})

    whole, other = nested(), nested()
    assert "module.conv.1.weight" in whole.state_dict()
    load_weights(other, written(tmp_path, "safetensors", whole.state_dict()))
    assert checksum(other) == checksum(whole)


# Errors


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
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} is damaged, or does not contain weights alone: "):
        load_weights(network(), path)
    assert not trace.exists()
    torch.load(path, weights_only=False)["more"].close()
    assert trace.exists()  # it does execute where pickles are trusted


@each_format
def test_the_weights_of_another_network_are_refused_with_layer_and_shapes(tmp_path, suffix):
    other, state = network(seed=1), network().state_dict()
    before, prefix = checksum(other), "weights.* holds the weights of another network: Sequential expects"
    path = written(tmp_path, suffix, network(n_out=4).state_dict())
    with pytest.raises(ValueError, match=rf"{prefix} 3.weight of shape \(3, 8\), got \(4, 8\)"):
        load_weights(other, path)
    path = written(tmp_path, suffix, {name: value for name, value in state.items() if name != "3.bias"})
    with pytest.raises(ValueError, match=rf"{prefix} 3.bias of shape \(3,\), got none"):
        load_weights(other, path)
    path = written(tmp_path, suffix, state | {"4.weight": torch.zeros(2, 3)})
    with pytest.raises(ValueError, match=rf"{prefix} 4.weight of shape none, got \(2, 3\)"):
        load_weights(other, path)
    assert checksum(other) == before


@each_format
def test_a_truncated_or_missing_file_is_named(tmp_path, suffix):
    raw = written(tmp_path, suffix).read_bytes()
    for n_left in (0, 30, -60):
        path = tmp_path / f"weights.{suffix}"
        path.write_bytes(raw[:n_left])
        with pytest.raises(ValueError, match=f"{re.escape(str(path))} is damaged, or does not contain weights alone: "):
            load_weights(network(), path)
    with pytest.raises(FileNotFoundError, match="nothing"):
        load_weights(network(), tmp_path / f"nothing.{suffix}")


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {1: torch.zeros(2)}, {"state_dict": 4}, torch.zeros(3)])
def test_a_file_without_weights_is_named(tmp_path, content):
    path = written(tmp_path, "pth", content)
    with pytest.raises(ValueError, match=r"weights\.pth is damaged, or does not contain weights alone: "):
        load_weights(network(), path)


# Checksum


def test_the_checksum_is_of_every_weight_statistic_and_name():
    names = [name for name in network().state_dict() if not name.endswith("num_batches_tracked")]
    checksums = {checksum(network()), *(checksum(nn.ModuleDict({name: network()})) for name in ("one", "other"))}
    for name in names:
        other = network()
        other.state_dict()[name].view(-1)[-1] += 1e-3
        checksums.add(checksum(other))
    assert len(checksums) == len(names) + 3


def test_the_checksum_does_not_depend_on_batch_counts_or_layout():
    other = network()
    other[1].num_batches_tracked += 7
    assert checksum(other.to(memory_format=torch.channels_last)) == checksum(network())
