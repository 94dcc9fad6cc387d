"""Protocols that take a part of a data set of single labels: some classes, or fewer items of one class than another."""

from functools import partial

import numpy as np
import torch

from qsmi_lib.datasets.base import Part, Split

RATIO = 100  # items of the most frequent class for one of the rarest


def n_way(split: Split, draw: int, *, n_classes: int) -> Split:
    """Some classes alone, drawn at random: their items train, are searched and ask (Section 4.1, ILSVRC: 20).

    Args:
        split: of single labels.
        draw: which classes; they are numbered anew, in the order of their labels.
        n_classes: how many.

    Raises:
        ValueError: several labels an item, or fewer classes than asked for.
    """
    _single(split)
    if len(split.classes) < n_classes:
        raise ValueError(f"{n_classes} classes are to be drawn, but {split.name} has {len(split.classes)}")
    drawn = np.sort(np.random.default_rng(draw).permutation(len(split.classes))[:n_classes])
    number = torch.full((len(split.classes),), -1)
    number[drawn] = torch.arange(n_classes)

    def of_them(part: Part) -> Part:
        labels = number[part.labels]
        return Part(part.inputs[labels >= 0], labels[labels >= 0])

    train = of_them(split.train)
    database = train if split.database is split.train else of_them(split.database)
    names = tuple(split.classes[k] for k in drawn)
    return Split(split.name, train, of_them(split.query), database, split.fingerprint, names)


def unbalanced(split: Split, draw: int) -> Split:
    r"""Of class k of c the share :math:`100^{-k / (c - 1)}` of its training items, which are the database too.

    The rarest class keeps a hundredth. All queries stay: a mean over them weighs all classes alike.

    Args:
        split: of single labels.
        draw: which items of a class, drawn at random; the order of the classes is theirs.
    """
    _single(split)
    rng, n_classes = np.random.default_rng(draw), len(split.classes)
    kept = torch.zeros(len(split.train), dtype=torch.bool)
    for k in range(n_classes):
        own = (split.train.labels == k).nonzero()[:, 0].numpy()
        kept[rng.permutation(own)[: max(1, round(len(own) * RATIO ** (-k / max(1, n_classes - 1))))]] = True
    train = split.train[kept]
    return Split(split.name, train, split.query, train, split.fingerprint, split.classes)


def _single(split: Split) -> None:
    if split.train.labels.ndim != 1:
        raise ValueError(f"{split.name} must have one label an item, got several")


PROTOCOLS = {
    "n_way_20": partial(n_way, n_classes=20),
    "n_way_5": partial(n_way, n_classes=5),
    "unbalanced": unbalanced,
}
