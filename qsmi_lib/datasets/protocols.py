"""Protocols: which items of a data set are training set, queries and database."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from qsmi_lib.datasets.base import Part, Split
from qsmi_lib.datasets.sampling import stratified
from qsmi_lib.utils import paths
from qsmi_lib.utils.io import write_text
from qsmi_lib.utils.reading import CLONE, damaged, read_json

FULL = "full"  # the protocol in which a data set is used as published
SHARE_HELD_OUT = 10  # one training item in so many is held out
N_REDUCED = 5000  # items of the reduced training set, as in the spherical embedding's experiments
RATIO = 100  # items of the most frequent class for one of the rarest
LIST = {"data": str, "sha256": str, "train": [int], "query": [int]}  # what a list of a split must look like
SHARE_TRAIN, SHARE_QUERY = 10, 10  # Table 5 trains on one training item in so many; one query in so many is used


def check_leaks(parts: Mapping[str, Sequence[int]], n_items: int) -> None:
    """A ValueError if a query is also in the training set or the database, or an item is twice in a part.

    Args:
        parts: "train", "query" and "database" -> indices of items; the database may contain the training items.
        n_items: how many items there are.
    """
    sets = {name: set(indices) for name, indices in parts.items()}
    for name, indices in parts.items():
        if len(sets[name]) != len(indices):
            n_twice = len(indices) - len(sets[name])
            raise ValueError(f"{n_twice} of {len(indices)} items of the part {name!r} are there twice")
        if beyond := [index for index in indices if not 0 <= index < n_items]:
            raise ValueError(f"the part {name!r} must hold indices from 0 to {n_items - 1}, got {beyond[0]}")
    for name in ("train", "database"):
        if shared := sets["query"] & sets[name]:
            n_query = len(sets["query"])
            raise ValueError(f"the split leaks: {len(shared)} of {n_query} queries are also in the part {name!r}")


def full(split: Split, draw: int) -> Split:
    """The data set as published."""
    return split


def held_out(split: Split, draw: int) -> Split:
    """A stratified tenth of the training set serves as queries, the rest as database: for choices of hyper-parameters.

    The query set is never used.
    """
    query = _stratified(split.train, len(split.train) // SHARE_HELD_OUT, draw)
    train = split.train[~query]
    return Split(split.name, train, split.train[query], train, split.fingerprint, split.classes)


def reduced(split: Split, draw: int) -> Split:
    """A stratified training set of 5,000 items, or half of a smaller one; queries and database as published."""
    rows = _stratified(split.train, min(N_REDUCED, len(split.train) // 2), draw)
    return Split(split.name, split.train[rows], split.query, split.database, split.fingerprint, split.classes)


def reduced_held_out(split: Split, draw: int) -> Split:
    """`held_out` of the reduced training set: nine tenths of it are training set and database."""
    return held_out(reduced(split, draw), draw)


def first_tenth(split: Split, draw: int) -> Split:
    """The first tenth of the training items, which are also the database, and the first tenth of the queries."""
    train, query = (part[: len(part) // 10] for part in (split.train, split.query))
    return Split(split.name, train, query, train, split.fingerprint, split.classes)


def unseen(split: Split, draw: int, *, n_unseen: int) -> Split:
    """Some classes are not trained on; queries and database are of these classes alone (Section 4.4).

    Args:
        split: of single labels.
        draw: which classes, drawn at random.
        n_unseen: how many.
    """
    _require_single_labels(split)
    classes = torch.from_numpy(np.random.default_rng(draw).permutation(len(split.classes))[:n_unseen])
    train = split.train[~torch.isin(split.train.labels, classes)]
    query, database = (part[torch.isin(part.labels, classes)] for part in (split.query, split.database))
    return Split(split.name, train, query, database, split.fingerprint, split.classes)


def n_way(split: Split, draw: int, *, n_classes: int) -> Split:
    """Training set, queries and database are restricted to some classes (Section 4.1, ILSVRC: 20).

    Args:
        split: of single labels.
        draw: which classes, drawn at random; they get new numbers, in the order of their labels.
        n_classes: how many.

    Raises:
        ValueError: several labels an item, or fewer classes than `n_classes`.
    """
    _require_single_labels(split)
    if len(split.classes) < n_classes:
        raise ValueError(f"{split.name} has {len(split.classes)} classes: expected at least {n_classes}")
    classes = np.sort(np.random.default_rng(draw).permutation(len(split.classes))[:n_classes])
    new_label = torch.full((len(split.classes),), -1)
    new_label[classes] = torch.arange(n_classes)

    def restricted(part: Part) -> Part:
        labels = new_label[part.labels]
        return Part(part.inputs[labels >= 0], labels[labels >= 0])

    train = restricted(split.train)
    database = train if split.database is split.train else restricted(split.database)
    names = tuple(split.classes[k] for k in classes)
    return Split(split.name, train, restricted(split.query), database, split.fingerprint, names)


def unbalanced(split: Split, draw: int) -> Split:
    r"""Classes of unequal frequency: of class k of c, the share :math:`100^{-k / (c - 1)}` of its training items.

    These are also the database. All queries are used, so that a mean over them weighs all classes alike.

    Args:
        split: of single labels.
        draw: which items of a class, drawn at random.
    """
    _require_single_labels(split)
    rng, n_classes = np.random.default_rng(draw), len(split.classes)
    chosen = torch.zeros(len(split.train), dtype=torch.bool)
    for k in range(n_classes):
        members = (split.train.labels == k).nonzero()[:, 0].numpy()
        n = max(1, round(len(members) * RATIO ** (-k / max(1, n_classes - 1))))
        chosen[rng.permutation(members)[:n]] = True
    train = split.train[chosen]
    return Split(split.name, train, split.query, train, split.fingerprint, split.classes)


# Table 5: a division that is committed as a list of indices. Items are numbered through: the training items of the data
# set as published, then its queries.


def table_5(split: Split, draw: int, *, with_train: bool) -> Split:
    """Table 5: few training items, few queries; the database is all other items, `with_train` the training items too.

    Raises:
        ValueError: another draw than 0, no list for this data set, or a list that leaks or is damaged.
    """
    require_list(split.name, draw)
    items = Part(*(torch.cat([getattr(p, k) for p in (split.train, split.query)]) for k in ("inputs", "labels")))
    parts = read_list(_list_file(split.name), split.fingerprint, len(items))
    rest = torch.ones(len(items), dtype=torch.bool)
    rest[parts["query"]] = False
    rest[parts["train"]] = with_train
    database = rest.nonzero()[:, 0]
    check_leaks(parts | {"database": database.tolist()}, len(items))
    train, query, database = (items[torch.as_tensor(rows)] for rows in (parts["train"], parts["query"], database))
    return Split(split.name, train, query, database, split.fingerprint, split.classes)


def draw_list(split: Split) -> dict[str, list[int]]:
    """The parts "train" and "query" of Table 5: a stratified tenth of the training items and a tenth of the queries."""
    train = stratified(split.train.labels.numpy(), len(split.train) // SHARE_TRAIN, 0).nonzero()[0]
    query = stratified(split.query.labels.numpy(), len(split.query) // SHARE_QUERY, 0).nonzero()[0]
    return {"train": train.tolist(), "query": (query + len(split.train)).tolist()}


def write_list(split: Split, path: Path) -> None:
    """Write the parts of `draw_list`, and their checksum, to `path`."""
    parts = draw_list(split)
    lines = [f'"data": "{split.fingerprint}"', f'"sha256": "{checksum(parts)}"']
    lines += [f'"{name}": {json.dumps(indices)}' for name, indices in parts.items()]
    write_text(path, "{" + ",\n ".join(lines) + "}\n")


def read_list(path: Path, data: str, n_items: int) -> dict[str, list[int]]:
    """The parts "train" and "query" that `write_list` wrote, their checksum verified.

    Args:
        path: the file.
        data: fingerprint of the data set that it must divide.
        n_items: how many items that data set has.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged or leaks; the message names it.
    """
    content = read_json(path, LIST, CLONE)
    try:
        parts = {name: content[name] for name in ("train", "query")}
        if content["data"] != data:
            raise ValueError(f"it divides {content['data']}, expected {data}")
        if (digest := checksum(parts)) != content["sha256"]:
            raise ValueError(f"expected SHA-256 {content['sha256']} of its indices, got {digest}")
        check_leaks(parts | {"database": []}, n_items)
    except ValueError as error:
        raise damaged(path, f"it is no list of a split: {error}", CLONE) from error
    return parts


def checksum(parts: Mapping[str, Sequence[int]]) -> str:
    """SHA-256 of the indices of the training items, then of the queries."""
    return hashlib.sha256(json.dumps([list(parts[name]) for name in ("train", "query")]).encode()).hexdigest()


def require_list(name: str, draw: int) -> None:
    """A ValueError if the data set `name` has no committed list, or `draw` is not 0: there is one list."""
    if not _list_file(name).exists():
        paths.need_checkout("a protocol of committed lists")
        known = ", ".join(sorted(path.stem.removesuffix("-table_5") for path in paths.SPLITS.glob("*-table_5.json")))
        raise ValueError(f"there is no committed list that divides {name} as Table 5 does; there is one for {known}")
    if draw != 0:
        raise ValueError(f"the split of Table 5 is one committed list: draw must be 0, got {draw}")


def _list_file(name: str) -> Path:
    return paths.SPLITS / f"{name}-table_5.json"


def _stratified(part: Part, n: int, draw: int) -> torch.Tensor:
    """A stratified choice of n items of `part`, bool; an item with several labels counts for its first one."""
    labels = part.labels if part.labels.ndim == 1 else part.labels.argmax(dim=1)
    return torch.from_numpy(stratified(labels.cpu().numpy(), n, draw)).to(part.labels.device)


def _require_single_labels(split: Split) -> None:
    if split.train.labels.ndim != 1:
        raise ValueError(f"{split.name} must have one label an item, got several")


LISTED = {
    "sampled": partial(table_5, with_train=False),
    "sampled_all": partial(table_5, with_train=True),
}
PROTOCOLS: dict[str, Callable[[Split, int], Split]] = {
    FULL: full,
    "held_out": held_out,
    "reduced": reduced,
    "reduced_held_out": reduced_held_out,
    "first_tenth": first_tenth,
    "unseen_2": partial(unseen, n_unseen=2),
    "unseen_3": partial(unseen, n_unseen=3),
    **LISTED,
    "n_way_20": partial(n_way, n_classes=20),
    "n_way_5": partial(n_way, n_classes=5),
    "unbalanced": unbalanced,
}
FEW_LABELS = {"reduced", "reduced_held_out", *LISTED}  # only the labels of the training items may be used
