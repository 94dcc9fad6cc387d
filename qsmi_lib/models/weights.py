"""Files of weights: read without executing anything, compared with the shapes that a network expects, checksummed."""

import re
from collections.abc import Container
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from qsmi_lib.utils import io


def load_weights(network: nn.Module, path: Path, *, in_order: bool = False) -> None:
    """Load the weights of a file, safetensors or a PyTorch checkpoint, into `network`; no pickle is executed.

    Args:
        network: gets the weights.
        path: of the file.
        in_order: whether the file has the tensors of `network` in the same order, under other names; shapes must agree.

    Raises:
        ValueError: the file is damaged, would execute code, or holds the weights of another network.
    """
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
            state = state.get("state_dict", state)
        if in_order and len(state) == len(expected):
            state = dict(zip(expected, state.values(), strict=True))
        got = {_renamed(name, expected): tuple(value.shape) for name, value in state.items()}
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to say
        raise ValueError(f"{path} is damaged, or does not contain weights alone: {error}") from error
    wrong = [name for name in expected if got.get(name) != expected[name] and not name.endswith("num_batches_tracked")]
    if wrong or (extra := sorted(got.keys() - expected.keys())):
        name = wrong[0] if wrong else extra[0]
        raise ValueError(
            f"{path} holds the weights of another network: {type(network).__name__} expects {name} of shape "
            f"{expected.get(name, 'none')}, got {got.get(name, 'none')}"
        )
    network.load_state_dict({_renamed(name, expected): value for name, value in state.items()}, strict=False)


def _renamed(name: str, expected: Container[str]) -> str:
    """`name` as the network has it: without the prefix of DataParallel, and in the current form of DenseNet's names."""
    short = name if name in expected else name.removeprefix("module.")
    return short if short in expected else re.sub(r"\.(norm|conv)\.([12])\.", r".\1\2.", short)


def checksum(network: nn.Module) -> str:
    """Checksum of the weights and statistics of `network`, as float32 (see `utils.io.checksum`)."""
    state = network.state_dict()
    return io.checksum({k: value.float() for k, value in state.items() if not k.endswith("num_batches_tracked")})
