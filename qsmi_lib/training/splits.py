"""Splits of a data set under a protocol: pictures, or the features of a frozen backbone."""

from dataclasses import replace
from pathlib import Path

import torch

from qsmi_lib import datasets
from qsmi_lib.datasets import DATASETS, FEW_LABELS, FULL, PROTOCOLS, Part, Split
from qsmi_lib.datasets.images.dataset import PictureSet
from qsmi_lib.models import backbones, features
from qsmi_lib.models.backbones import BACKBONES
from qsmi_lib.models.pretrained import Backbone


def load_split(
    name: str,
    *,
    draw: int = 0,
    protocol: str = FULL,
    labels: str = "",
    backbone: str = "",
    feature_precision: str = "auto",
    device: torch.device | str = "cpu",
) -> Split:
    """The data set `name` on `device`; with a backbone the inputs are its features, computed once.

    Args:
        name, draw, protocol, labels, device: as in `datasets.load`.
        backbone: a name that `backbones.named` knows; empty: the pictures themselves.
        feature_precision: in which the backbone computes: float32, bf16, or auto (bf16 if the device is fast at it).

    Raises:
        ValueError: as `datasets.load`; or a backbone that has seen labels which the protocol does not give.
        FileNotFoundError: data or weights are not on this machine; the message says how to get them.
    """
    if not backbone:
        return datasets.load(name, draw=draw, protocol=protocol, labels=labels, device=device)
    split_fingerprint = fingerprint(name, draw, protocol, backbone, labels)
    data = datasets.named(name, labels)
    pictures = data.load(draw if protocol == FULL else 0)
    if isinstance(data, PictureSet) and data.at is not None:  # published sets keep the size of their records
        pictures = _enlarged(pictures, backbones.named(backbone))
    featured = features.of_split(pictures, backbone, feature_precision)
    return replace(PROTOCOLS[protocol](featured, draw), fingerprint=split_fingerprint).to(device)


def _enlarged(split: Split, entry: Backbone) -> Split:
    """`split` of pictures in files, decoded at the size that a backbone takes if that is larger than the usual one."""
    if split.train.inputs.side >= (entry.scaled or 0):
        return split

    form = {"side": entry.scaled, "resample": entry.interpolation, "squash": entry.squash}

    def decoded(part: Part) -> Part:
        return Part(part.inputs.like(**form), part.labels)

    train = decoded(split.train)
    database = train if split.database is split.train else decoded(split.database)
    return replace(split, train=train, query=decoded(split.query), database=database)


def fingerprint(name: str, draw: int = 0, protocol: str = FULL, backbone: str = "", labels: str = "") -> str:
    """Identifies the split that `load_split` gives, without loading it; part of the id of a run.

    Raises:
        ValueError: an unknown name, protocol or backbone, or a backbone that has seen labels which the protocol does
            not give.
    """
    data = datasets.fingerprint(name, draw, protocol, labels)
    if not backbone:
        return data
    if protocol in FEW_LABELS:
        backbones.refuse_leak(backbone, name, protocol)
    return f"{data}-{backbones.named(backbone).fingerprint}"


def require_classes(split: Split) -> Split:
    """`split` itself, or a ValueError if all its training items, or all that is searched, carry the same labels.

    Then there is nothing to learn, or every answer is right.
    """
    for part, labels in {
        "training items": [split.train.labels],
        "queries and database items": [split.query.labels, split.database.labels],
    }.items():
        if len(first := torch.cat(labels)) and (first == first[:1]).all():
            raise ValueError(f"all {part} of {split.name} carry the same labels: expected at least two classes")
    return split


def inventory() -> list[tuple[str, Path | str | None, str]]:
    """Every data set and the weights of every backbone: name, path or None, and how to get it."""
    places = [(name, data.find(), data.fetch) for name, data in DATASETS.items()]
    return [*places, *((name, backbones.find(name), entry.fetch) for name, entry in BACKBONES.items())]
