"""Protocols whose division is a committed list of indices, and the check that nothing leaks."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch

from qsmi_lib.datasets.base import Part, Split, stratified
from qsmi_lib.utils import paths
from qsmi_lib.utils.io import write_text

SHARE_TRAIN, SHARE_QUERY = 10, 10  # one training item in so many trains, one test item in so many asks: Table 5


def check_leaks(parts: Mapping[str, Sequence[int]], n_items: int) -> None:
    """A ValueError where a division leaks: a query that trains or is searched, or an item twice in a part.

    Args:
        parts: "train", "query" and "database" -> indices of items; the database may hold the training items.
        n_items: how many items there are.
    """
    sets = {name: set(own) for name, own in parts.items()}
    for name, own in parts.items():
        if len(sets[name]) != len(own):
            raise ValueError(f"{len(own) - len(sets[name])} of {len(own)} items of the part {name!r} are there twice")
        if beyond := [index for index in own if not 0 <= index < n_items]:
            raise ValueError(f"the part {name!r} must hold indices from 0 to {n_items - 1}, got {beyond[0]}")
    for name in ("train", "database"):
        if shared := sets["query"] & sets[name]:
            raise ValueError(
                f"the split leaks: {len(shared)} of {len(sets['query'])} queries lie in the part {name!r}, not none"
            )


def read(path: Path, data: str, n_items: int) -> dict[str, list[int]]:
    """The parts "train" and "query" of a committed list, checked: its checksum, and that it does not leak.

    Raises:
        FileNotFoundError: there is no such list.
        ValueError: the file is damaged or leaks; the message names it.
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        parts = {name: held[name] for name in ("train", "query")}
        if held["data"] != data:
            raise ValueError(f"it divides {held['data']}, expected {data}")
        if (found := checksum(parts)) != held["sha256"]:
            raise ValueError(f"expected SHA-256 {held['sha256']} of its indices, got {found}")
        check_leaks(parts | {"database": []}, n_items)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no list of a split: {error}") from error
    return parts


def checksum(parts: Mapping[str, Sequence[int]]) -> str:
    """SHA-256 of the indices of the training items, then of the queries."""
    return hashlib.sha256(json.dumps([list(parts[name]) for name in ("train", "query")]).encode()).hexdigest()


def draw_list(split: Split) -> dict[str, list[int]]:
    """Table 5's parts, drawn by hash: a tenth of the training items, class by class, and a tenth of the queries.

    Items count through: the training items of the data set as published, then its queries.
    """
    train = stratified(split.train.labels.numpy(), len(split.train) // SHARE_TRAIN, 0).nonzero()[0]
    query = stratified(split.query.labels.numpy(), len(split.query) // SHARE_QUERY, 0).nonzero()[0]
    return {"train": train.tolist(), "query": (query + len(split.train)).tolist()}


def write_list(split: Split, path: Path) -> None:
    """Write what `draw_list` gives for `split` to `path`."""
    parts = draw_list(split)
    lines = [f'"data": "{split.fingerprint}"', f'"sha256": "{checksum(parts)}"']
    write_text(path, "{" + ",\n ".join(lines + [f'"{name}": {json.dumps(own)}' for name, own in parts.items()]) + "}\n")


def refuse(name: str, draw: int) -> None:
    """A ValueError for a data set without a list, and for another draw than 0: there is one list."""
    if not _file(name).exists():
        known = ", ".join(sorted(path.stem.removesuffix("-table_5") for path in paths.SPLITS.glob("*-table_5.json")))
        raise ValueError(f"there is no committed list that divides {name} as Table 5 does; there is one for {known}")
    if draw != 0:
        raise ValueError(f"the split of Table 5 is one committed list: draw must be 0, got {draw}")


def table_5(split: Split, draw: int, *, with_train: bool) -> Split:
    """Table 5: few training items, few queries; the rest is searched, in one reading with the training items.

    Raises:
        ValueError: another draw than 0, or a list that leaks or is damaged.
        FileNotFoundError: there is no list for this data set.
    """
    refuse(split.name, draw)
    everything = Part(*(torch.cat([getattr(p, k) for p in (split.train, split.query)]) for k in ("inputs", "labels")))
    listed = read(_file(split.name), split.fingerprint, len(everything))
    rest = torch.ones(len(everything), dtype=torch.bool)
    rest[listed["query"]] = False
    rest[listed["train"]] = with_train
    database = rest.nonzero()[:, 0]
    check_leaks(listed | {"database": database.tolist()}, len(everything))
    train, query, database = (everything[torch.as_tensor(own)] for own in (listed["train"], listed["query"], database))
    return Split(split.name, train, query, database, split.fingerprint, split.classes)


def _file(name: str) -> Path:
    return paths.SPLITS / f"{name}-table_5.json"


PROTOCOLS = {
    "sampled": partial(table_5, with_train=False),
    "sampled_all": partial(table_5, with_train=True),
}
