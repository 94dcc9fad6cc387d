"""Data sets by name -> `Split`: tensors, labels, and which items train, query and are searched."""

from dataclasses import replace

import torch

from qsmi_lib.config import FULL, known
from qsmi_lib.datasets import digits, fashion_mnist
from qsmi_lib.datasets.protocols import PROTOCOLS
from qsmi_lib.datasets.splits import Part, Split, overlap

# A module has fingerprint(draw), which needs no data; find(), where the data lie or None; load(draw); CLASSES, their
# names; MEAN and STD, of the normalisation of images; and, where find may say None, FETCH, how to get the data.
DATASETS = {"digits": digits, "fashion_mnist": fashion_mnist}


def load(name: str, *, draw: int = 0, protocol: str = FULL, device: torch.device | str = "cpu") -> Split:
    """The data set `name`, resident on `device`.

    Args:
        name: a registry name.
        draw: which split, where the protocol, or the data set as published, has several; never the training seed.
        protocol: how the data set is divided, one of `protocols.PROTOCOLS`.
        device: where the tensors lie.

    Raises:
        ValueError: an unknown name (the known ones are listed), or a file that is damaged (it is named).
        FileNotFoundError: the data are not on this machine; the message says how to get them.
    """
    mark = fingerprint(name, draw, protocol)
    whole = DATASETS[name].load(draw if protocol == FULL else 0)
    divided = PROTOCOLS[protocol](whole, draw)
    return replace(divided, fingerprint=mark).to(device)


def fingerprint(name: str, draw: int = 0, protocol: str = FULL) -> str:
    """What identifies the split `load` would give, without loading it."""
    module = known("data set", DATASETS, name)
    if known("protocol", PROTOCOLS, protocol) is PROTOCOLS[FULL]:
        return module.fingerprint(draw)
    return f"{module.fingerprint(0)}-{protocol}-draw-{draw}"


__all__ = ["DATASETS", "PROTOCOLS", "Part", "Split", "fingerprint", "load", "overlap"]
