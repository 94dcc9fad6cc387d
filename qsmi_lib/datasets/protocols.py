"""Protocols: which items of a data set train, query and are searched."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from qsmi_lib.datasets.base import Part, Split, stratified

FULL = "full"  # the protocol in which a data set is used as published
SHARE_HELD_OUT = 10  # one training item in so many is held out
N_REDUCED = 5000  # items of the reduced training set, as in the spherical embedding's experiments


def full(split: Split, draw: int) -> Split:
    """The data set as published."""
    return split


def held_out(split: Split, draw: int) -> Split:
    """A tenth of the training items, class by class, asks the others: for choices that must not see the queries."""
    asked = _members(split.train, len(split.train) // SHARE_HELD_OUT, draw)
    train = split.train[~asked]
    return Split(split.name, train, split.train[asked], train, split.fingerprint, split.classes)


def reduced(split: Split, draw: int) -> Split:
    """Trained on 5,000 items, class by class (half of a set that has no 10,000); queries and database as published."""
    kept = _members(split.train, min(N_REDUCED, len(split.train) // 2), draw)
    return Split(split.name, split.train[kept], split.query, split.database, split.fingerprint, split.classes)


def reduced_held_out(split: Split, draw: int) -> Split:
    """`held_out` of the reduced training set: trained on nine tenths of it, which are the database too."""
    return held_out(reduced(split, draw), draw)


def first_tenth(split: Split, draw: int) -> Split:
    """The first tenth of the training items, which are the database too, and the first tenth of the queries."""
    train, query = (part[: len(part) // 10] for part in (split.train, split.query))
    return Split(split.name, train, query, train, split.fingerprint, split.classes)


def unseen(split: Split, draw: int, *, n_unseen: int) -> Split:
    """Some classes are held back: nothing of them trains, and queries and database are of them alone (Section 4.4).

    Args:
        split: of single labels.
        draw: which classes, drawn at random.
        n_unseen: how many.
    """
    if split.train.labels.ndim != 1:
        raise ValueError("unseen classes need single labels, got multi-hot ones")
    unseen = torch.from_numpy(np.random.default_rng(draw).permutation(len(split.classes))[:n_unseen])
    train, query, database = (
        part[~torch.isin(part.labels, unseen) if part is split.train else torch.isin(part.labels, unseen)]
        for part in (split.train, split.query, Part(split.database.inputs, split.database.labels))
    )
    return Split(split.name, train, query, database, split.fingerprint, split.classes)


PROTOCOLS: dict[str, Callable[[Split, int], Split]] = {
    FULL: full,
    "held_out": held_out,
    "reduced": reduced,
    "reduced_held_out": reduced_held_out,
    "first_tenth": first_tenth,
    "unseen_2": partial(unseen, n_unseen=2),
    "unseen_3": partial(unseen, n_unseen=3),
}


def _members(part: Part, n: int, draw: int) -> torch.Tensor:
    """Which items of `part` a stratified draw of n takes, bool; the first label stands for several."""
    labels = part.labels if part.labels.ndim == 1 else part.labels.argmax(dim=1)
    return torch.from_numpy(stratified(labels.cpu().numpy(), n, draw)).to(part.labels.device)
