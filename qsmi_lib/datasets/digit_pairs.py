"""Pairs of scikit-learn's digits side by side: a data set of several labels that needs no network and no download."""

import torch

from qsmi_lib.datasets import digits
from qsmi_lib.datasets.base import Part, Split
from qsmi_lib.datasets.digits import CLASSES, MEAN, STD

__all__ = ["CLASSES", "MEAN", "STD"]
SINGLE = 5  # one picture in so many shows its left digit alone, beside an empty half


def fingerprint(draw: int) -> str:
    """The data and the division, which is that of the digits."""
    return f"pairs-{digits.fingerprint(draw)}"


def find() -> str:
    """Where the data lie."""
    return digits.find()


def load(draw: int) -> Split:
    """Pictures (n, 1, 8, 16): each digit of a part beside another one of it; labels multi-hot (n, 10), one or two.

    The other digit is drawn by `draw`; each stands on the left once.
    """
    whole = digits.load(draw)
    generator = torch.Generator().manual_seed(draw)
    train, query = (_paired(part, generator) for part in (whole.train, whole.query))
    return Split("digit_pairs", train, query, train, fingerprint(draw), CLASSES)


def _paired(part: Part, generator: torch.Generator) -> Part:
    partner = torch.randperm(len(part), generator=generator)
    single = torch.randperm(len(part), generator=generator) < len(part) // SINGLE
    empty = torch.full_like(part.inputs, -MEAN / STD)  # pixels of 0, standardised
    right = torch.where(single[:, None, None, None], empty, part.inputs[partner])
    labels = torch.nn.functional.one_hot(part.labels, len(CLASSES))
    labels = torch.where(single[:, None], labels, labels | labels[partner])
    return Part(torch.cat([part.inputs, right], dim=3), labels)
