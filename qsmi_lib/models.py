"""Networks: images or frozen features -> embeddings (n, bits), without an output activation unless said."""

import json
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model as load_weights
from safetensors.torch import save_model as save_weights
from torch import Tensor, nn

from qsmi_lib import backbones, features
from qsmi_lib.backbones import BACKBONES
from qsmi_lib.config import RunConfig, known
from qsmi_lib.datasets import named
from qsmi_lib.files import whole
from qsmi_lib.methods import METHODS
from qsmi_lib.pooling import pooled_relu


class FashionCNN(nn.Module):
    """The network of Table 11 for 1 x 28 x 28 images: two 5 x 5 convolutions, each max-pooled, and one dense layer.

    Without padding: 28 -> 24 -> 12 -> 8 -> 4, so the dense layer sees 64 * 4 * 4 = 1,024 numbers. ReLU after the
    pooling equals the table's order, for the maximum and a monotone function commute, and is a quarter of the work.

    Args:
        bits: code length, at least 1.
    """

    def __init__(self, bits: int):
        super().__init__()
        self.convolution_1 = nn.Conv2d(1, 32, 5)
        self.convolution_2 = nn.Conv2d(32, 64, 5)
        self.dense = nn.Linear(1024, bits)

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (n, bits) of normalised images (n, 1, 28, 28)."""
        hidden = pooled_relu(self.convolution_1(images))
        hidden = pooled_relu(self.convolution_2(hidden))
        return self.dense(hidden.flatten(1))


class DigitsMLP(nn.Module):
    """The smallest network that learns the embedded digits: 8 x 8 pixels -> 64 ReLU -> bits.

    Args:
        bits: code length, at least 1.
    """

    def __init__(self, bits: int):
        super().__init__()
        self.hidden = nn.Linear(64, 64)
        self.dense = nn.Linear(64, bits)

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (n, bits) of normalised images (n, 1, 8, 8)."""
        return self.dense(self.hidden(images.flatten(1)).relu())


class HashHead(nn.Module):
    """What hashes frozen features (Appendix B): a hidden layer with ReLU, and one dense layer.

    Args:
        n_features: width of the features.
        bits: code length, at least 1.
        n_hidden: N_H of the paper, 64 on CIFAR-10.
    """

    def __init__(self, n_features: int, bits: int, n_hidden: int = 64):
        super().__init__()
        self.hidden = nn.Linear(n_features, n_hidden)
        self.dense = nn.Linear(n_hidden, bits)

    def forward(self, features: Tensor) -> Tensor:
        """Embeddings (n, bits) of features (n, n_features)."""
        return self.dense(self.hidden(features).relu())


class CsqHead(nn.Module):
    """CSQ's own head (Yuan et al., CVPR 2020): two hidden layers with ReLU, half of the first dropped in training.

    Args:
        n_features: width of the features.
        bits: code length.
        n_hidden: width of both hidden layers; the features' own, 2,048, in the authors' code for ResNet-50.
    """

    def __init__(self, n_features: int, bits: int, n_hidden: int = 2048):
        super().__init__()
        self.hidden = nn.Linear(n_features, n_hidden)
        self.dropout = nn.Dropout(0.5)
        self.further = nn.Linear(n_hidden, n_hidden)
        self.dense = nn.Linear(n_hidden, bits)

    def forward(self, features: Tensor) -> Tensor:
        """Embeddings (n, bits) of features (n, n_features)."""
        return self.dense(self.further(self.dropout(self.hidden(features).relu())).relu())


class EndToEnd(nn.Module):
    """A backbone and the head that hashes its features, trained together.

    Args:
        backbone: pictures -> features.
        head: features -> embeddings.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module):
        super().__init__()
        self.backbone, self.head = backbone.train(), head  # loaded in evaluation mode

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (n, bits) of pictures, as the backbone takes them."""
        return self.head(self.backbone(images))


class DigitPairsMLP(DigitsMLP):
    """`DigitsMLP` for pairs of digits, 8 x 16 pixels.

    Args:
        bits: code length, at least 1.
    """

    def __init__(self, bits: int):
        super().__init__(bits)
        self.hidden = nn.Linear(128, 64)


NETWORKS = {"digit_pairs": DigitPairsMLP, "digits": DigitsMLP, "fashion_mnist": FashionCNN}
# What hashes a backbone's features: N_H of Appendix B, 64 on CIFAR-10 and 2,048 on NUS-WIDE; or what CSQ brings.
HEADS = {"narrow": HashHead, "wide": partial(HashHead, n_hidden=2048), "csq": CsqHead}


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
    """The network that `dataset` is hashed with, PyTorch's default initialisation from its global generator.

    Args:
        dataset: registry name.
        bits: code length.
        method: registry name; some bring a last layer, or, untrained, a module, of their own.
        backbone: whose features are hashed; empty: the data set's own network hashes its pictures.
        head: one of `HEADS`; without a backbone it is not used.
        end_to_end: whether the backbone is part of the network, which then takes pictures.
        weights: whether that backbone gets its published weights.

    Raises:
        ValueError: an unknown data set, method, backbone or head, a code length below 1, or a data set that has no
            network of its own and no backbone.
        FileNotFoundError: a backbone's weights are wanted and not on this machine.
    """
    data = named(dataset)
    entry = known("method", METHODS, method)
    if isinstance(bits, bool) or not isinstance(bits, int) or bits < 1:
        raise ValueError(f"bits must be a whole number of at least 1, got {bits!r}")
    if not backbone and dataset not in NETWORKS:
        raise ValueError(f"{dataset} has no network of its own: name a backbone, one of {', '.join(BACKBONES)}")
    n_features = known("backbone", BACKBONES, backbone).n_features if backbone else None
    if entry.network is not None:
        return entry.network(dataset, bits, n_features)
    hashing = known("head", HEADS, head)
    model = hashing(n_features, bits) if backbone else NETWORKS[dataset](bits)
    if entry.head is not None:
        model.dense = entry.head(model.dense.in_features, bits, len(data.CLASSES))
    if not end_to_end:
        return model
    return EndToEnd(backbones.load(backbone) if weights else backbones.assembled(backbone), model)


def of(config: RunConfig, *, weights: bool = True) -> nn.Module:
    """The network of `config`; `weights` as in `build`."""
    end_to_end = config.backbone_learning_rate > 0
    own = {"backbone": config.backbone, "head": config.head, "end_to_end": end_to_end, "weights": weights}
    return build(config.dataset, config.bits, config.method, **own)


def parameter_groups(model: nn.Module, config: RunConfig) -> list[dict]:
    """The weights of `model` as Adam takes them: a trained backbone's have a learning rate of their own."""
    if not isinstance(model, EndToEnd):
        return [{"params": list(model.parameters())}]
    tuned = {"params": list(model.backbone.parameters()), "lr": config.backbone_learning_rate}
    return [tuned, {"params": list(model.head.parameters())}]


def batch_size(config: RunConfig) -> int:
    """How many items the network of `config` encodes at a time."""
    return features.batch_size(config.backbone) if config.backbone_learning_rate else 1000


def save(model: nn.Module, config: RunConfig, path: Path) -> None:
    """Write `model` to `path` as safetensors, its configuration in the header; whole or not at all."""
    with whole(Path(path)) as partial:
        save_weights(model, str(partial), metadata={"config": json.dumps(config.to_dict())})


def load(path: Path) -> tuple[nn.Module, RunConfig]:
    """The model that `save` wrote to `path`, in evaluation mode on the CPU, and its configuration.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or no model that `save` wrote; the message names it.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        if "config" not in metadata:
            raise ValueError("it carries no configuration")
        config = RunConfig.from_dict(json.loads(metadata["config"]))
        model = of(config, weights=False)
        load_weights(model, path)
    except (SafetensorError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged, or not a model that qsmi_lib saved: {error}") from error
    return model.eval(), config


def to_device(model: nn.Module, device: torch.device) -> nn.Module:
    """`model` on `device` in channels_last, the layout in which convolutions are fast on CPU and GPU."""
    return model.to(device, memory_format=torch.channels_last)
