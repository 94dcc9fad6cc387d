"""Networks of configurations, and models on disk."""

import json
from pathlib import Path

from torch import nn

from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import named
from qsmi_lib.methods import METHODS
from qsmi_lib.models import backbones, features
from qsmi_lib.models.backbones import BACKBONES
from qsmi_lib.models.networks import HEADS, NETWORKS, EndToEnd
from qsmi_lib.utils.io import write_tensors
from qsmi_lib.utils.limits import BITS
from qsmi_lib.utils.reading import damaged, parse_json, read_tensors
from qsmi_lib.utils.validation import known, whole_number

AGAIN = "delete it and run again with --fresh"


def build(
    dataset: str,
    bits: int,
    method: str = "qsmi",
    *,
    backbone: str = "",
    head: str = "narrow",
    end_to_end: bool = False,
    weights: bool = True,
) -> nn.Module:
    """The network that hashes `dataset`, initialised by PyTorch's defaults from its global generator.

    Args:
        dataset: registry name.
        bits: code length.
        method: registry name; some have a special last layer, and those that train nothing a projection.
        backbone: whose features are hashed; empty: the network of the data set hashes its pictures.
        head: one of `HEADS`; only used with a backbone.
        end_to_end: whether the network contains the backbone and takes pictures.
        weights: whether that backbone gets its published weights.

    Raises:
        ValueError: an unknown data set, method, backbone or head, a code length below 1 or above `limits.BITS`, or a
            data set without network and backbone.
        FileNotFoundError: the weights of the backbone are not on this machine.
    """
    data = named(dataset)
    entry = known("method", METHODS, method)
    bits = whole_number("bits", bits, 1, BITS)
    of_pictures = [name for name, entry in BACKBONES.items() if entry.side]
    if not backbone and dataset not in NETWORKS:
        raise ValueError(
            f"{dataset} needs the features of a backbone: name one of {', '.join(of_pictures)}, or timm:NAME"
        )
    n_features = backbones.named(backbone).n_features if backbone else None
    if entry.network is not None:
        return entry.network(dataset, bits, n_features)
    hashing = known("head", HEADS, head)
    model = hashing(n_features, bits) if backbone else NETWORKS[dataset](bits)
    if entry.head is not None:
        model.dense = entry.head(model.dense.in_features, bits, len(data.classes))
    if not end_to_end:
        return model
    return EndToEnd(backbones.load(backbone) if weights else backbones.assembled(backbone), model)


def of(config: RunConfig, *, weights: bool = True) -> nn.Module:
    """The network of `config`; `weights` as in `build`."""
    end_to_end = config.backbone_learning_rate > 0
    parts = {"backbone": config.backbone, "head": config.head, "end_to_end": end_to_end, "weights": weights}
    return build(config.dataset, config.bits, config.method, **parts)


def parameter_groups(model: nn.Module, config: RunConfig) -> list[dict]:
    """The weights of `model` for Adam; those of a trained backbone have their own learning rate."""
    if not isinstance(model, EndToEnd):
        return [{"params": list(model.parameters())}]
    tuned = {"params": list(model.backbone.parameters()), "lr": config.backbone_learning_rate}
    return [tuned, {"params": list(model.head.parameters())}]


def batch_size(config: RunConfig) -> int:
    """The number of items that the network of `config` encodes at a time."""
    return features.batch_size(config.backbone) if config.backbone_learning_rate else 1000


def save(model: nn.Module, config: RunConfig, path: Path) -> None:
    """Write `model` to `path` as safetensors, with its configuration and a checksum in the header.

    The file is written completely or not at all.
    """
    weights = {name: value.contiguous() for name, value in model.state_dict().items()}
    write_tensors(Path(path), weights, {"config": json.dumps(config.to_dict())})


def load(path: Path) -> tuple[nn.Module, RunConfig]:
    """The model that `save` wrote to `path`, in evaluation mode on the CPU, and its configuration.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or was not written by `save`; the message names it.
    """
    tensors, header = read_tensors(path, AGAIN, needs_checksum=False)  # the first models have none
    try:
        if "config" not in header:
            raise ValueError("it has no configuration")
        config = RunConfig.from_dict(parse_json(header["config"]))
        model = of(config, weights=False)
        model.load_state_dict(tensors)
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        raise damaged(path, f"it is not a model that qsmi_lib saved: {error}", AGAIN) from error
    return model.eval(), config
