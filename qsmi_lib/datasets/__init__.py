"""Data sets by name -> `Split`: tensors, labels, and which items train, query and are searched."""

import torch

from qsmi_lib.config import known
from qsmi_lib.datasets import digits, fashion_mnist
from qsmi_lib.datasets.splits import Part, Split, overlap

# A module has fingerprint(draw), which needs no data; find(), where the data lie or None; load(draw); CLASSES, their
# names; MEAN and STD, of the normalisation of images; and, where find may say None, FETCH, how to get the data.
DATASETS = {"digits": digits, "fashion_mnist": fashion_mnist}


def load(name: str, *, draw: int = 0, device: torch.device | str = "cpu") -> Split:
    """The data set `name`, resident on `device`.

    Args:
        name: a registry name.
        draw: which split, where the protocol has several; never the training seed.
        device: where the tensors lie.

    Raises:
        ValueError: an unknown name (the known ones are listed), or a file that is damaged (it is named).
        FileNotFoundError: the data are not on this machine; the message says how to get them.
    """
    return known("data set", DATASETS, name).load(draw).to(device)


def fingerprint(name: str, draw: int = 0) -> str:
    """What identifies the split `load` would give, without loading it."""
    return known("data set", DATASETS, name).fingerprint(draw)


__all__ = ["DATASETS", "Part", "Split", "fingerprint", "load", "overlap"]
