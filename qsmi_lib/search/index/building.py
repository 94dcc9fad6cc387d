"""An index made, or brought up to date: which items are new, their codes, and the hasher that makes them."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from qsmi_lib.datasets.images.entries import Fault, first_names
from qsmi_lib.models import backbones
from qsmi_lib.search.index import compression, hashing, storage
from qsmi_lib.search.index.heldout import held_out
from qsmi_lib.search.index.sources import Source
from qsmi_lib.search.index.storage import Contents, Item, Stored
from qsmi_lib.utils.limits import BITS, SEED
from qsmi_lib.utils.precision import resolve_precision
from qsmi_lib.utils.validation import whole_number

BITS_USUAL = 48
LEAST = 4  # items: some are learned from, one asks
ANEW = "`--retrain` makes it anew, `--output` names another index"


class Built(NamedTuple):
    """What `build` did.

    Attributes:
        index: as it is stored now.
        added: number of new items.
        changed: number of items with another content, or other labels.
        removed: number of items that are no longer there.
        trained: whether the hasher is new.
        faults: of pictures that cannot be read and are left out.
        notes: what is worth knowing.
    """

    index: Stored
    added: int
    changed: int
    removed: int
    trained: bool
    faults: Sequence[Fault]
    notes: Sequence[str]


def build(
    source: Source,
    folder: Path,
    *,
    bits: int | None = None,
    seed: int = 0,
    retrain: bool = False,
    lengths: Sequence[int] = (),
) -> Built:
    """Index `source` in `folder`. An index that is there keeps its hasher, and only what is new is encoded.

    A new hasher is trained without a held-out tenth, whose items ask the queries of the scores.

    Args:
        source: the items.
        folder: of the index.
        bits: code length; None: that of the index, or 48.
        seed: of the hasher and of the held-out tenth.
        retrain: whether the hasher is trained anew. It uses the stored features of the pictures that have not changed.

        lengths: further code lengths that the scores of a new hasher are compared with.

    Raises:
        ValueError: too few items, the same labels for all, or an index of other settings. Nothing is written.
        OSError: the index cannot be written.
    """
    storage.check_free(folder)
    old = storage.read(folder) if storage.holds_index(folder) else None
    backbone = _about_backbone(source)
    if old is not None and not retrain:
        _check_same(old, source, backbone, bits)
    usual = old.about["bits"] if old is not None else BITS_USUAL
    bits, seed = whole_number("bits", usual if bits is None else bits, 1, BITS), whole_number("seed", seed, 0, SEED)
    before = {} if old is None else {item.name: (row, item) for row, item in enumerate(old.items)}
    reusable = old is not None and old.about["kind"] == source.kind and old.about["backbone"] == backbone
    items, new = _compared(source, before if reusable else {})
    found, faults = source.features(new)
    unreadable = {new[place] for place in np.flatnonzero(np.isnan(found).any(axis=1)).tolist()}
    rows = [row for row in range(len(items)) if row not in unreadable]
    _check_enough(source, rows, faults)
    place = {row: place for place, row in enumerate(rows)}
    fresh = np.array([place[row] for row in new if row not in unreadable], np.int64)
    kept = np.setdiff1d(np.arange(len(rows)), fresh)
    stored = np.array([before[items[rows[row]].name][0] for row in kept.tolist()], np.int64)
    features = np.empty((len(rows), found.shape[1]), np.float32)
    features[fresh] = found[~np.isnan(found).any(axis=1)]
    if len(kept):
        features[kept] = old.features(stored)
    items = [items[row] for row in rows]
    if trained := old is None or retrain:
        items, about, hasher, notes = _trained(source, items, features, bits, seed, lengths)
    else:
        items = [item._replace(held_out=item.name in before and before[item.name][1].held_out) for item in items]
        about = {name: old.about[name] for name in ("bits", "method", "seed", "scores", "classes")}
        hasher, notes = old.hasher, _unseen(items, old.about["classes"])
    values, scale = storage.rounded(features)
    codes = np.empty((len(rows), -(-hasher.bits // 8)), np.uint8)
    if len(kept):  # the same to the last bit
        values[kept], scale[kept] = (part[stored] for part in old.rounded)
    if len(kept) and not trained:
        codes[kept] = old.codes[stored]
    encoded = np.arange(len(rows)) if trained else fresh
    codes[encoded] = np.packbits(hasher.codes(features[encoded]) > 0, axis=1)
    where = {"kind": source.kind, "source": _relative(source.place, folder), "labelled": source.labels is not None}
    about |= where | {"backbone": backbone}
    storage.write(folder, Contents(about, items, codes, values, scale, hasher))
    names = {item.name for item in items}
    changed = [item for item in items if item.name in before and _differs(item, before[item.name][1])]
    return Built(
        storage.read(folder),
        added=len(names - before.keys()),
        changed=len(changed),
        removed=len(before.keys() - names),
        trained=trained,
        faults=faults,
        notes=[*map(str, source.notes), *notes],
    )


def _about_backbone(source: Source) -> dict | None:
    """What identifies the features of `source`: the backbone's weights, preprocessing and precision."""
    if source.backbone is None:
        return None
    entry = backbones.named(source.backbone)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return {
        "name": source.backbone,
        "checksum": entry.fingerprint,
        "preprocessing": preprocessing(source.backbone),
        "precision": resolve_precision(source.precision, device),
    }


def preprocessing(backbone: str) -> dict:
    """How pictures are prepared for a backbone, as an index stores it."""
    entry = backbones.named(backbone)
    names = ("side", "scaled", "interpolation", "squash")
    return {name: getattr(entry, name) for name in names} | {"mean": list(entry.mean), "std": list(entry.std)}


def _check_same(old: Stored, source: Source, backbone: dict | None, bits: int | None) -> None:
    """A ValueError if the index in `folder` has other settings than are asked for."""
    about, asked = old.about, {"kind": source.kind, "labelled": source.labels is not None}
    asked |= {} if bits is None else {"bits": bits}
    for name, value in asked.items():
        if about[name] != value:
            raise ValueError(
                f"{old.folder} has {name} {about[name]!r}, asked for {value!r}: {ANEW}, or name another --output"
            )
    for name, value in (backbone or {}).items():
        if name != "precision" and about["backbone"][name] != value:
            raise ValueError(
                f"{old.folder} was made by the backbone {about['backbone']['name']} with {name} "
                f"{about['backbone'][name]!r}, now it is {value!r}: {ANEW}"
            )
    if source.kind == "vectors" and source.n_features != about["n_features"]:
        n, d = source.n_features, about["n_features"]
        raise ValueError(f"{old.folder} holds vectors of length {d}, and those of {source.place} have {n}: {ANEW}")


def _compared(source: Source, before: dict[str, tuple[int, Item]]) -> tuple[list[Item], list[int]]:
    """The items of `source`, and the rows of those whose content is not that of `before`.

    Only contents whose state has changed are read.
    """
    states = [source.state(row) for row in range(len(source.names))]
    stored = [before[name][1] if name in before else None for name in source.names]
    unread = [row for row, item in enumerate(stored) if item is None or item.state != states[row]]
    digests = {row: item.sha256 for row, item in enumerate(stored) if item is not None}
    digests |= dict(zip(unread, source.digests(unread), strict=True))
    new = [row for row in unread if stored[row] is None or stored[row].sha256 != digests[row]]
    labels = source.labels or [None] * len(source.names)
    return [Item(name, labels[row], states[row], digests[row]) for row, name in enumerate(source.names)], new


def _check_enough(source: Source, rows: Sequence[int], faults: Sequence[Fault]) -> None:
    """A ValueError if the items are too few, or their labels all the same."""
    first = f"; {faults[0]}" if faults else ""
    if len(rows) < LEAST:
        usable = f"{len(rows)} {source.kind} that can be used"
        raise ValueError(f"{source.place} holds {usable}, expected at least {LEAST}: add some{first}")
    if source.labels is not None and len(carried := {source.labels[row] for row in rows}) == 1:
        which = ", ".join(sorted(carried.pop())) or "none"
        raise ValueError(
            f"all {len(rows)} {source.kind} of {source.place} that can be used carry the same labels, {which}, so "
            f"every answer would be right: expected at least two classes{first}"
        )


def _trained(
    source: Source, items: list[Item], features: np.ndarray, bits: int, seed: int, lengths: Sequence[int]
) -> tuple:
    """The items with the held-out tenth marked, the new hasher with its settings and scores, and notes."""
    labels = None if source.labels is None else [item.labels for item in items]
    as_stored = _as_stored(features)  # of what was indexed before there are no other features
    asks = held_out(as_stored, labels, [item.sha256 for item in items], seed)
    if not asks.any():
        raise ValueError(
            f"all {len(items)} {source.kind} of {source.place} are equal, or each is alone in its class: add some"
        )
    hasher = hashing.fit(
        features[~asks], labels and [own for own, ask in zip(labels, asks, strict=True) if not ask], bits, seed=seed
    )
    compared = sorted({bits, *lengths})
    measured = compression.table(features, labels, bits=compared, seed=seed, asks=asks, hasher=hasher)
    items = [item._replace(held_out=bool(ask)) for item, ask in zip(items, asks, strict=True)]
    classes = Counter(label for item in items for label in item.labels or ())
    about = {
        "bits": bits,
        "method": hasher.method,
        "seed": seed,
        "scores": compression.to_record(measured),
        "classes": sorted(classes),
    }
    alone = sorted(label for label, n in classes.items() if n < 2)
    notes = [f"classes of one item ask no query: {first_names(alone)}"] if alone else []
    return items, about, hasher, notes


def _as_stored(features: np.ndarray) -> np.ndarray:
    values, scale = storage.rounded(features)
    return values * scale[:, None]


def _unseen(items: Sequence[Item], classes: Sequence[str]) -> list[str]:
    """A note on labels that the hasher has not been trained on."""
    unseen = sorted(frozenset().union(*(item.labels or () for item in items)) - set(classes))
    return [f"the hasher has not seen the classes {first_names(unseen)}: --retrain trains it on them"] if unseen else []


def _differs(item: Item, other: Item) -> bool:
    return item.sha256 != other.sha256 or item.labels != other.labels


def _relative(place: Path, folder: Path) -> str:
    """The path of the source from the index, so that both can be moved together; absolute on another drive."""
    try:
        return Path(os.path.relpath(place.absolute(), folder.absolute())).as_posix()
    except ValueError:
        return place.absolute().as_posix()
