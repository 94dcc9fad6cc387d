"""Frozen networks whose features are hashed: name -> network, its published weights, and what they have seen."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from qsmi_lib.models.backbone_networks import CifarResNet, DigitsNetwork, Pixels
from qsmi_lib.models.weights import checksum, load_weights
from qsmi_lib.utils import paths
from qsmi_lib.utils.progress import watched
from qsmi_lib.utils.validation import known


@dataclass(frozen=True)
class Backbone:
    """A network that turns pictures into features.

    Attributes:
        title: as tables and figures print it.
        network: () -> the network as its weights name it, not trained.
        features: network -> the module whose output are the features (n, n_features).
        n_features: how many.
        side: pixels of each side that the pictures are scaled to; None: they are taken as they come.
        files: name of a file of weights -> the start of its SHA-256; the first one is what `url` brings.
        url: where the weights are published; empty: they are not to be downloaded.
        source: what was trained on what, by whom.
        tensors: the start of `weights.checksum` of the features' network; empty where it is not known.
        knows: the data set whose training labels the weights have seen, all of them; empty: none.
    """

    title: str
    network: Callable[[], nn.Module]
    features: Callable[[nn.Module], nn.Module]
    n_features: int
    side: int | None
    files: Mapping[str, str]
    url: str
    source: str
    tensors: str = ""
    knows: str = ""

    @property
    def mark(self) -> str:
        """What identifies the weights, without having them."""
        return self.tensors or next(iter(self.files.values()))


def load(name: str) -> nn.Module:
    """The network called `name` with its published weights, in evaluation mode: pictures -> features (n, n_features).

    Raises:
        ValueError: an unknown name (the known ones are listed), or a file that is damaged or holds other weights.
        FileNotFoundError: the weights are not on this machine and cannot be downloaded; the message says what to do.
    """
    entry = known("backbone", BACKBONES, name)
    network = entry.network()
    path = find(name) or download(name)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(entry.files[path.name]):
        raise ValueError(
            f"{path} is not the published file of {entry.title}: expected a SHA-256 that starts with "
            f"{entry.files[path.name]}, got {digest}; delete it"
        )
    load_weights(network, path)
    whole = assembled(name, network)
    if entry.tensors and not (found := checksum(whole)).startswith(entry.tensors):
        raise ValueError(f"{path} does not hold the weights of {entry.title}: expected {entry.tensors}, got {found}")
    return whole.eval()


def assembled(name: str, network: nn.Module | None = None) -> nn.Module:
    """Pictures -> features: `network`, or an untrained one, without its last layer, behind what pictures need."""
    entry = known("backbone", BACKBONES, name)
    cut = entry.features(entry.network() if network is None else network)
    return cut if entry.side is None else nn.Sequential(Pixels(entry.side), cut)


def find(name: str) -> Path | None:
    """The file of weights of the backbone `name`: under QSMI_DATA, where torch.hub keeps them, or None."""
    folders = (paths.data(), Path(torch.hub.get_dir()) / "checkpoints", paths.WEIGHTS)
    files = [folder / file for folder in folders for file in known("backbone", BACKBONES, name).files]
    return next((path for path in files if path.is_file()), None)


def download(name: str) -> Path:
    """The published file of the backbone `name`, brought into the data folder."""
    entry = known("backbone", BACKBONES, name)
    wanted = " or ".join(entry.files)
    if not entry.url:
        raise FileNotFoundError(f"the weights of {entry.title} are not on this machine: put {wanted} under QSMI_DATA")
    file, digest = next(iter(entry.files.items()))
    path = paths.data() / file
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(entry.url, str(path), hash_prefix=digest, progress=watched())
    except (OSError, RuntimeError) as error:
        raise FileNotFoundError(
            f"the weights of {entry.title} are not on this machine and their download from {entry.url} failed "
            f"({error}): put {wanted} under QSMI_DATA"
        ) from error
    return path


def refuse_leak(name: str, dataset: str, protocol: str) -> None:
    """A ValueError where the backbone `name` has seen labels of `dataset` that `protocol` does not give."""
    entry = known("backbone", BACKBONES, name)
    if entry.knows == dataset:
        like = [other for other, backbone in BACKBONES.items() if (backbone.side is None) == (entry.side is None)]
        clean = ", ".join(other for other in like if BACKBONES[other].knows != dataset)
        raise ValueError(
            f"{name} has seen every training label of {dataset} ({entry.source}), but the protocol {protocol!r} gives "
            f"only those of its own training items; take one of {clean}"
        )


def _torchvision(name: str, without: str = "") -> nn.Module:
    """torchvision's network, its weights at random; `without` names a part that the weights' file does not hold."""
    from torchvision import models

    network = models.get_model(name)
    if without:
        delattr(network, without)
    return network


def _without(layer: str) -> Callable[[nn.Module], nn.Module]:
    """The network with `layer`, its last, replaced by the identity."""

    def cut(network: nn.Module) -> nn.Module:
        parent, _, name = layer.rpartition(".")
        setattr(network.get_submodule(parent), name, nn.Identity())
        return network

    return cut


def _pooled(network: nn.Module) -> nn.Module:
    """SqueezeNet up to fire9, averaged over the picture."""
    return nn.Sequential(network.features, nn.AdaptiveAvgPool2d(1), nn.Flatten())


_HUB = "https://download.pytorch.org/models/"
_BY_TORCHVISION = "trained on ImageNet's 1,000 classes by torchvision's authors"

BACKBONES = {
    "resnet56": Backbone(
        "ResNet-56",
        CifarResNet,
        _without("linear"),
        64,
        32,
        {"resnet56-4bfd9763.th": "4bfd9763", "resnet56-cifar10.safetensors": "cf29b05e3acebb9d"},
        "https://github.com/akamaster/pytorch_resnet_cifar10/raw/master/pretrained_models/resnet56-4bfd9763.th",
        "trained on all 50,000 training labels of CIFAR-10 by akamaster/pytorch_resnet_cifar10 (BSD-2)",
        "afabd0006da2390f",
        knows="cifar10",
    ),
    "squeezenet1_1_keras": Backbone(
        "SqueezeNet 1.1",
        lambda: _torchvision("squeezenet1_1", without="classifier"),
        _pooled,
        512,
        224,
        {"squeezenet1_1-imagenet-features.safetensors": "1678eaa9d535c7ae"},
        "",
        "trained on ImageNet's 1,000 classes; DeepCognition/keras-squeezenet (MIT), ported",
        "cb721446b97462e2",
        knows="ilsvrc",
    ),
    "squeezenet1_1": Backbone(
        "SqueezeNet 1.1 (torchvision)",
        lambda: _torchvision("squeezenet1_1"),
        _pooled,
        512,
        224,
        {"squeezenet1_1-b8a52dc0.pth": "b8a52dc0"},
        f"{_HUB}squeezenet1_1-b8a52dc0.pth",
        _BY_TORCHVISION,
        knows="ilsvrc",
    ),
    "alexnet": Backbone(
        "AlexNet",
        lambda: _torchvision("alexnet"),
        _without("classifier.6"),
        4096,
        224,
        {"alexnet-owt-7be5be79.pth": "7be5be79"},
        f"{_HUB}alexnet-owt-7be5be79.pth",
        _BY_TORCHVISION,
        knows="ilsvrc",
    ),
    "resnet50": Backbone(
        "ResNet-50",
        lambda: _torchvision("resnet50"),
        _without("fc"),
        2048,
        224,
        {"resnet50-11ad3fa6.pth": "11ad3fa6"},
        f"{_HUB}resnet50-11ad3fa6.pth",
        _BY_TORCHVISION,
        knows="ilsvrc",
    ),
    "densenet201": Backbone(
        "DenseNet-201",
        lambda: _torchvision("densenet201"),
        _without("classifier"),
        1920,
        224,
        {"densenet201-c1103571.pth": "c1103571"},
        f"{_HUB}densenet201-c1103571.pth",
        _BY_TORCHVISION,
        knows="ilsvrc",
    ),
    "digits_labels": Backbone(
        "digits network (labels)",
        lambda: DigitsNetwork(10),
        lambda network: network.body,
        32,
        None,
        {"digits_labels.safetensors": "e0206df70c2e7c7b"},
        "",
        "trained on all 1,297 training labels of the digits (data/weights/make_digits_backbones.py)",
        "00ec8d918fac356f",
        knows="digits",
    ),
    "digits_pixels": Backbone(
        "digits network (pixels)",
        lambda: DigitsNetwork(64),
        lambda network: network.body,
        32,
        None,
        {"digits_pixels.safetensors": "89c481a7b989882e"},
        "",
        "trained to give back the 1,297 training digits, without labels (data/weights/make_digits_backbones.py)",
        "f6efd10c6f1ffa09",
    ),
}
