"""Data sets by name -> `Split`: tensors, labels, and which items train, query and are searched."""

from dataclasses import replace
from pathlib import Path

import torch

from qsmi_lib import backbones, features
from qsmi_lib.config import FULL, known
from qsmi_lib.datasets import cifar10, digits, fashion_mnist, listed, protocols
from qsmi_lib.datasets.splits import Part, Split, overlap

# A module has fingerprint(draw), which needs no data; find(), where the data lie or None; load(draw); CLASSES, their
# names; MEAN and STD, where it gives images normalised; and, where find may say None, FETCH, how to get the data.
DATASETS = {"cifar10": cifar10, "digits": digits, "fashion_mnist": fashion_mnist}
TITLES = {"cifar10": "CIFAR-10", "digits": "digits", "fashion_mnist": "Fashion-MNIST"}
BACKBONE_OF = {"cifar10": "resnet56"}  # data sets without a network of their own -> the backbone that they are seen by
PROTOCOLS = protocols.PROTOCOLS | listed.PROTOCOLS
FEW_LABELS = {"reduced", "reduced_held_out", *listed.PROTOCOLS}  # no label but the training items' own may be known


def load(
    name: str, *, draw: int = 0, protocol: str = FULL, backbone: str = "", device: torch.device | str = "cpu"
) -> Split:
    """The data set `name`, resident on `device`.

    Args:
        name: a registry name.
        draw: which split, where the protocol, or the data set as published, has several; never the training seed.
        protocol: how the data set is divided, one of `PROTOCOLS`.
        backbone: the inputs are its features, which are computed once (see `features`); empty: the pictures.
        device: where the tensors lie.

    Raises:
        ValueError: an unknown name (the known ones are listed), a file that is damaged (it is named), or a backbone
            that has seen labels which the protocol does not give.
        FileNotFoundError: data or weights are not on this machine; the message says how to get them.
    """
    mark = fingerprint(name, draw, protocol, backbone)
    whole = DATASETS[name].load(draw if protocol == FULL else 0)
    if backbone:
        whole = features.of_split(whole, backbone)
    divided = PROTOCOLS[protocol](whole, draw)
    return replace(divided, fingerprint=mark).to(device)


def fingerprint(name: str, draw: int = 0, protocol: str = FULL, backbone: str = "") -> str:
    """What identifies the split `load` would give, without loading it."""
    module = known("data set", DATASETS, name)
    if known("protocol", PROTOCOLS, protocol) is PROTOCOLS[FULL]:
        mark = module.fingerprint(draw)
    else:
        if protocol in listed.PROTOCOLS:
            listed.refuse(name, draw)
        mark = f"{module.fingerprint(0)}-{protocol}-draw-{draw}"
    if not backbone:
        return mark
    if protocol in FEW_LABELS:
        backbones.refuse_leak(backbone, name, protocol)
    return f"{mark}-{known('backbone', backbones.BACKBONES, backbone).mark}"


def inventory() -> list[tuple[str, Path | str | None, str]]:
    """Every data set and every backbone's weights: its name, where it lies or None, and how to get it."""
    found = [(name, module.find(), getattr(module, "FETCH", "")) for name, module in DATASETS.items()]
    for name, entry in backbones.BACKBONES.items():
        file = next(iter(entry.files))
        fetch = f"downloaded when first needed, or put {file} where QSMI_DATA points"
        found.append((name, backbones.find(name), fetch if entry.url else f"put {file} where QSMI_DATA points"))
    return found


__all__ = [
    "BACKBONE_OF",
    "DATASETS",
    "FEW_LABELS",
    "PROTOCOLS",
    "TITLES",
    "Part",
    "Split",
    "fingerprint",
    "inventory",
    "load",
    "overlap",
]
