"""Data sets by name -> `Split`: training set, queries and database, as tensors with labels."""

from dataclasses import replace

import torch

from qsmi_lib.datasets.base import Dataset, Part, Split, overlap
from qsmi_lib.datasets.cifar10 import Cifar10
from qsmi_lib.datasets.digits import DigitPairs, Digits
from qsmi_lib.datasets.fashion_mnist import FashionMnist
from qsmi_lib.datasets.images.dataset import PICTURE_SETS, PictureSet
from qsmi_lib.datasets.protocols import FEW_LABELS, FULL, LISTED, PROTOCOLS, require_list
from qsmi_lib.utils import paths
from qsmi_lib.utils.validation import known, whole_number

DATASETS: dict[str, Dataset] = {entry.name: entry for entry in (Cifar10(), DigitPairs(), Digits(), FashionMnist())}
DATASETS |= PICTURE_SETS
TITLES = {
    "cifar10": "CIFAR-10",
    "digit_pairs": "pairs of digits",
    "digits": "digits",
    "fashion_mnist": "Fashion-MNIST",
    "ilsvrc": "ILSVRC",
    "miml_scenes": "miml-scenes",
    "ms_coco": "MS COCO",
    "nus_wide": "NUS-WIDE",
    "tiny_imagenet_32": "Tiny ImageNet, 32 classes",
}
# Substitute data sets -> the data sets, which cannot be shipped, that they replace. Captions always say so.
SUBSTITUTE_FOR = {"miml_scenes": ("nus_wide", "ms_coco"), "tiny_imagenet_32": ("ilsvrc",)}
BACKBONE_OF = {  # data sets that are hashed by the features of a frozen backbone -> that backbone
    "cifar10": "resnet56",
    "ilsvrc": "densenet201",
    "miml_scenes": "squeezenet1_1_keras",
    "ms_coco": "resnet50",
    "nus_wide": "densenet201",
    "tiny_imagenet_32": "squeezenet1_1_keras",
}
OF_PICTURES = "efficientnet_lite0"  # the backbone for a folder, zip or list of pictures


def backbone_of(dataset: str) -> str:
    """The backbone of a data set where none is named; empty: the network of the data set takes its pictures."""
    return BACKBONE_OF.get(dataset, "" if dataset in DATASETS else OF_PICTURES)


def named(name: str, labels: str = "") -> Dataset:
    """The data set called `name`, or the folder, zip or list file of that path.

    Args:
        name: a registry name, or a path.
        labels: how one column of 0 and 1 in a list of pictures is read: "index", "multi-hot", or "", which refuses it.

    Raises:
        ValueError: neither a known name nor a path, where the known names are listed; or `labels` for a data set that
            has no lists.
    """
    if name and name not in DATASETS and (place := paths.expanded(name)).exists():
        return PictureSet(name, at=place.absolute(), choice=labels)
    if labels and name in DATASETS:
        raise ValueError(
            f"labels {labels!r} is for lists of pictures: pass the path of a folder, zip or list, not {name}"
        )
    if name not in DATASETS:
        raise ValueError(
            f"unknown data set {name!r}; known: {', '.join(sorted(DATASETS))}; or the path of a folder, a zip or a list"
        )
    return DATASETS[name]


def title(name: str) -> str:
    """A data set's title in captions; that of a substitute names what it replaces."""
    originals = " and ".join(TITLES[original] for original in SUBSTITUTE_FOR.get(name, ()))
    return f"{TITLES[name]} in place of {originals}" if originals else TITLES.get(name, name)


def load(
    name: str, *, draw: int = 0, protocol: str = FULL, labels: str = "", device: torch.device | str = "cpu"
) -> Split:
    """The data set `name` on `device`; `training.load_split` gives the features of a backbone instead.

    Args:
        name: a registry name, or the path of a folder, zip or list of pictures.
        draw: which split, where the protocol or the data set as published has several; never the training seed.
        protocol: how the data set is divided, one of `PROTOCOLS`.
        labels: as in `named`.
        device: where the tensors lie.

    Raises:
        ValueError: an unknown name (the known ones are listed), or a damaged file, which is named.
        FileNotFoundError: the data are not on this machine; the message says how to get them.
    """
    identity, draw = fingerprint(name, draw, protocol, labels), whole_number("draw", draw, 0)
    published = named(name, labels).load(draw if protocol == FULL else 0)
    return replace(PROTOCOLS[protocol](published, draw), fingerprint=identity).to(device)


def fingerprint(name: str, draw: int = 0, protocol: str = FULL, labels: str = "") -> str:
    """The fingerprint of the split that `load` would give, without loading it."""
    dataset, draw = named(name, labels), whole_number("draw", draw, 0)
    if known("protocol", PROTOCOLS, protocol) is PROTOCOLS[FULL]:
        return dataset.fingerprint(draw)
    if protocol in LISTED:
        require_list(name, draw)
    return f"{dataset.fingerprint(0)}-{protocol}-draw-{draw}"


__all__ = [
    "BACKBONE_OF",
    "DATASETS",
    "FEW_LABELS",
    "FULL",
    "PROTOCOLS",
    "SUBSTITUTE_FOR",
    "TITLES",
    "Dataset",
    "Part",
    "Split",
    "backbone_of",
    "fingerprint",
    "load",
    "named",
    "overlap",
    "title",
]
