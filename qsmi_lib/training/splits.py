"""What a run trains on: a data set as its protocol divides it, seen directly or through a frozen backbone."""

from dataclasses import replace
from pathlib import Path

import torch

from qsmi_lib import datasets
from qsmi_lib.datasets import DATASETS, FEW_LABELS, FULL, PROTOCOLS, Split
from qsmi_lib.models import backbones, features
from qsmi_lib.models.backbones import BACKBONES
from qsmi_lib.utils.validation import known


def load_split(
    name: str, *, draw: int = 0, protocol: str = FULL, backbone: str = "", device: torch.device | str = "cpu"
) -> Split:
    """The data set `name`, resident on `device`; with a backbone the inputs are its features, computed once.

    Args:
        name, draw, protocol, device: as of `datasets.load`.
        backbone: one of `backbones.BACKBONES`; empty: the pictures themselves.

    Raises:
        ValueError: as `datasets.load`; or a backbone that has seen labels which the protocol does not give.
        FileNotFoundError: data or weights are not on this machine; the message says how to get them.
    """
    if not backbone:
        return datasets.load(name, draw=draw, protocol=protocol, device=device)
    mark = fingerprint(name, draw, protocol, backbone)
    seen = features.of_split(datasets.named(name).load(draw if protocol == FULL else 0), backbone)
    return replace(PROTOCOLS[protocol](seen, draw), fingerprint=mark).to(device)


def fingerprint(name: str, draw: int = 0, protocol: str = FULL, backbone: str = "") -> str:
    """What identifies the split that `load_split` would give, without loading it; part of the id of a run.

    Raises:
        ValueError: an unknown name, protocol or backbone, or a backbone that has seen labels which the protocol does
            not give.
    """
    mark = datasets.fingerprint(name, draw, protocol)
    if not backbone:
        return mark
    if protocol in FEW_LABELS:
        backbones.refuse_leak(backbone, name, protocol)
    return f"{mark}-{known('backbone', BACKBONES, backbone).fingerprint}"


def inventory() -> list[tuple[str, Path | str | None, str]]:
    """Every data set and every backbone's weights: its name, where it lies or None, and how to get it."""
    places = [(name, module.find(), module.fetch) for name, module in DATASETS.items()]
    for name, entry in BACKBONES.items():
        file = next(iter(entry.files))
        fetch = f"downloaded when first needed, or put {file} where QSMI_DATA points"
        places.append((name, backbones.find(name), fetch if entry.url else f"put {file} where QSMI_DATA points"))
    return places
