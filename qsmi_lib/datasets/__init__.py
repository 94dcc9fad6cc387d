"""Data sets by name -> `Split`: tensors, labels, and which items train, query and are searched."""

from dataclasses import replace
from pathlib import Path

import torch

from qsmi_lib.datasets import cifar10, digit_pairs, digits, fashion_mnist, listed, protocols, subsets
from qsmi_lib.datasets.base import Part, Split, overlap
from qsmi_lib.datasets.images.dataset import PICTURE_SETS, PictureSet
from qsmi_lib.datasets.protocols import FULL
from qsmi_lib.utils.validation import known

# A data set has fingerprint(draw), which where it can needs no data; find(), where the data lie or None; load(draw);
# CLASSES, their names; MEAN and STD, where it gives images normalised; and, where find may say None, FETCH, how to get
# the data. Of most it is a module, of picture files a `PictureSet`.
DATASETS = {
    "cifar10": cifar10,
    "digit_pairs": digit_pairs,
    "digits": digits,
    "fashion_mnist": fashion_mnist,
} | PICTURE_SETS
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
# Data sets that cannot be shipped, and what runs in their place; its numbers never stand without this being said.
STANDS_FOR = {"miml_scenes": ("nus_wide", "ms_coco"), "tiny_imagenet_32": ("ilsvrc",)}
BACKBONE_OF = {  # data sets without a network of their own -> the backbone that they are seen by
    "cifar10": "resnet56",
    "ilsvrc": "densenet201",
    "miml_scenes": "squeezenet1_1_keras",
    "ms_coco": "resnet50",
    "nus_wide": "densenet201",
    "tiny_imagenet_32": "squeezenet1_1_keras",
}
PROTOCOLS = protocols.PROTOCOLS | listed.PROTOCOLS | subsets.PROTOCOLS
FEW_LABELS = {"reduced", "reduced_held_out", *listed.PROTOCOLS}  # no label but the training items' own may be known


def named(name: str):
    """The data set called `name`, or the folder, zip or list file of that path.

    Raises:
        ValueError: neither a known name nor a path; the known names are listed.
    """
    if name and name not in DATASETS and (place := Path(name).expanduser()).exists():
        return PictureSet(name, at=place.absolute())
    if name not in DATASETS:
        raise ValueError(
            f"unknown data set {name!r}; known: {', '.join(sorted(DATASETS))}; or the path of a folder, a zip or a list"
        )
    return DATASETS[name]


def title(name: str) -> str:
    """A data set as captions name it; what it stands in for is part of it."""
    own = TITLES.get(name, name)
    return f"{own} in place of {' and '.join(TITLES[of] for of in STANDS_FOR[name])}" if name in STANDS_FOR else own


def load(name: str, *, draw: int = 0, protocol: str = FULL, device: torch.device | str = "cpu") -> Split:
    """The data set `name`, resident on `device`; `training.load_split` gives a backbone's features instead.

    Args:
        name: a registry name, or the path of a folder, zip or list of pictures.
        draw: which split, where the protocol, or the data set as published, has several; never the training seed.
        protocol: how the data set is divided, one of `PROTOCOLS`.
        device: where the tensors lie.

    Raises:
        ValueError: an unknown name (the known ones are listed), or a file that is damaged (it is named).
        FileNotFoundError: the data are not on this machine; the message says how to get them.
    """
    mark = fingerprint(name, draw, protocol)
    whole = named(name).load(draw if protocol == FULL else 0)
    return replace(PROTOCOLS[protocol](whole, draw), fingerprint=mark).to(device)


def fingerprint(name: str, draw: int = 0, protocol: str = FULL) -> str:
    """What identifies the split `load` would give, without loading it."""
    module = named(name)
    if known("protocol", PROTOCOLS, protocol) is PROTOCOLS[FULL]:
        return module.fingerprint(draw)
    if protocol in listed.PROTOCOLS:
        listed.refuse(name, draw)
    return f"{module.fingerprint(0)}-{protocol}-draw-{draw}"


__all__ = [
    "BACKBONE_OF",
    "DATASETS",
    "FEW_LABELS",
    "PROTOCOLS",
    "STANDS_FOR",
    "TITLES",
    "Part",
    "Split",
    "fingerprint",
    "load",
    "named",
    "overlap",
    "title",
]
