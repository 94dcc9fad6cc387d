"""An index made, or brought up to date: which items are new, their codes, and the hasher that makes them."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
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
SETTINGS = {"kind": "items of the kind", "labelled": "labels known:", "bits": "a code length of", "seed": "the seed"}
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
    seed: int | None = None,
    retrain: bool = False,
    lengths: Sequence[int] = (),
) -> Built:
    """Index `source` in `folder`. An index that is there keeps its hasher, and only what is new is encoded.

    A new hasher is trained without a held-out tenth, whose items ask the queries of the scores.

    Args:
        source: the items.
        folder: of the index.
        bits: code length; None: that of the index, or 48.
        seed: of the hasher and of the held-out tenth; None: that of the index, or 0.
        retrain: whether the hasher is trained anew. It uses the stored features of the pictures that have not changed.
        lengths: further code lengths that the scores of a new hasher are compared with.

    Raises:
        ValueError: too few items, the same labels for all, or an index of other settings. Nothing is written.
        OSError: the index cannot be written.
    """
    storage.check_free(folder)
    old = storage.read(folder) if storage.holds_index(folder) else None
    trained = old is None or retrain
    backbone = _about_backbone(source, None if trained else old)
    if not trained:
        _check_same(old, source, backbone, bits, seed)
    usual = {"bits": BITS_USUAL, "seed": 0} if old is None else old.about
    is_asked, bits = bits is not None, whole_number("bits", usual["bits"] if bits is None else bits, 1, BITS)
    seed = whole_number("seed", usual["seed"] if seed is None else seed, 0, SEED)
    before = {} if old is None else {item.name: (row, item) for row, item in enumerate(old.items)}
    same_features = old is not None and old.about["kind"] == source.kind and old.about["backbone"] == backbone
    items, is_new = _compared(source, before if same_features else {})
    _check_enough(source, range(len(items)), [])  # before hours of work
    features, faults = _features(source, items, is_new, before, old, backbone)
    usable = ~np.isnan(features).any(axis=1)
    _check_enough(source, np.flatnonzero(usable).tolist(), faults)
    items = [item for item, use in zip(items, usable, strict=True) if use]
    features, is_new = features[usable], is_new[usable]
    if trained:
        items, about, hasher, notes = _trained(source, items, features, bits, seed, lengths, is_asked)
    else:
        items = [item._replace(held_out=item.name in before and before[item.name][1].held_out) for item in items]
        about = {name: old.about[name] for name in ("bits", "method", "seed", "settings", "scores", "classes")}
        hasher, notes = old.hasher, _unseen(items, old.about["classes"])
    encoded = is_new | trained
    codes = np.empty((len(items), -(-hasher.bits // 8)), np.uint8)
    codes[encoded] = np.packbits(hasher.codes(features[encoded]) > 0, axis=1)
    for row in np.flatnonzero(~encoded).tolist():
        codes[row] = old.codes[before[items[row].name][0]]
    about["labels"] = sorted(frozenset().union(*(item.labels or () for item in items)))
    about |= {"kind": source.kind, "source": _relative(source.place, folder), "labelled": source.labels is not None}
    storage.write(folder, Contents(about | {"backbone": backbone}, items, codes, *storage.rounded(features), hasher))
    source.forget()
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


def _about_backbone(source: Source, old: Stored | None) -> dict | None:
    """What identifies the features of `source`: the backbone's weights, preprocessing and precision, that of `old`."""
    if source.backbone is None:
        return None
    about = {
        "name": source.backbone,
        "checksum": backbones.named(source.backbone).fingerprint,
        "preprocessing": preprocessing(source.backbone),
    }
    if old is not None and old.about["backbone"] is not None:
        return about | {"precision": old.about["backbone"]["precision"]}
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return about | {"precision": resolve_precision("auto", device)}


def preprocessing(backbone: str) -> dict:
    """How pictures are prepared for a backbone, as an index stores it."""
    entry = backbones.named(backbone)
    names = ("side", "scaled", "interpolation", "squash")
    return {name: getattr(entry, name) for name in names} | {"mean": list(entry.mean), "std": list(entry.std)}


def _check_same(old: Stored, source: Source, backbone: dict | None, bits: int | None, seed: int | None) -> None:
    """A ValueError if the settings of the index differ from those that are asked for."""
    about, asked = old.about, {"kind": source.kind, "labelled": source.labels is not None}
    asked |= {name: value for name, value in {"bits": bits, "seed": seed}.items() if value is not None}
    for name, value in asked.items():
        if about[name] != value:
            raise ValueError(f"{old.folder} was made with {SETTINGS[name]} {about[name]!r}, not {value!r}: {ANEW}")
    for name, value in (backbone or {}).items():
        if name != "precision" and about["backbone"][name] != value:
            raise ValueError(
                f"{old.folder}: the backbone {source.backbone} is not the one it was made by, whose {name} is "
                f"{about['backbone'][name]!r}, not {value!r}: {ANEW}"
            )
    if source.kind == storage.VECTORS and source.n_features != about["n_features"]:
        n, d = source.n_features, about["n_features"]
        raise ValueError(f"{old.folder} holds vectors of length {d}, and those of {source.place} have {n}: {ANEW}")


def _compared(source: Source, before: Mapping[str, tuple[int, Item]]) -> tuple[list[Item], np.ndarray]:
    """The items of `source`, and whether the content of each is not that of `before`, bool (n,).

    Only contents whose state has changed are read.
    """
    states = [source.state(row) for row in range(len(source.names))]
    stored = [before[name][1] if name in before else None for name in source.names]
    unread = [row for row, item in enumerate(stored) if item is None or item.state != states[row]]
    digests = {row: item.sha256 for row, item in enumerate(stored) if item is not None}
    digests |= dict(zip(unread, source.digests(unread), strict=True))
    labels = source.labels or [None] * len(source.names)
    items = [Item(name, labels[row], states[row], digests[row]) for row, name in enumerate(source.names)]
    is_new = [old is None or old.sha256 != item.sha256 for old, item in zip(stored, items, strict=True)]
    return items, np.array(is_new, bool)


def _features(
    source: Source,
    items: Sequence[Item],
    is_new: np.ndarray,
    before: Mapping[str, tuple[int, Item]],
    old: Stored | None,
    backbone: dict | None,
) -> tuple[np.ndarray, list[Fault]]:
    """Features of all items, float32 (n, d), NaN if they cannot be read; of old pictures those of `old`."""
    if source.backbone is None:
        return source.features(range(len(items)), None)
    found, faults = source.features(np.flatnonzero(is_new).tolist(), backbone["precision"])
    features = np.empty((len(items), found.shape[1]), np.float32)
    features[is_new] = found
    if not is_new.all():
        kept = np.flatnonzero(~is_new)
        features[kept] = old.features(np.array([before[items[row].name][0] for row in kept.tolist()]))
    return features, faults


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
    source: Source,
    items: list[Item],
    features: np.ndarray,
    bits: int,
    seed: int,
    lengths: Sequence[int],
    is_asked: bool,
) -> tuple:
    """The items with the held-out tenth marked, the new hasher with its settings and scores, and notes.

    ITQ makes as many bits as it can, if fewer than the usual ones are possible and no number was asked for.
    """
    notes = []
    labels = None if source.labels is None else [item.labels for item in items]
    is_pictures = source.backbone is not None
    # Of older pictures there are no features but the stored ones.
    compared = storage.restored(*storage.rounded(features)) if is_pictures else features
    asks = held_out(compared, labels, [item.sha256 for item in items], seed, near=is_pictures)
    if not asks.any():
        what = (
            f"all {len(items)} {source.kind} of {source.place} have the same direction, or each is alone in its class"
        )
        raise ValueError(f"{what}: add others")
    most = min(int((~asks).sum()), features.shape[1])
    if labels is None and bits > most and not is_asked:
        notes.append(f"{most} bits instead of {bits}: more cannot be learned from so few {source.kind} or features")
        bits = most
    hasher = hashing.fit(
        features[~asks], labels and [own for own, ask in zip(labels, asks, strict=True) if not ask], bits, seed=seed
    )
    all_bits = sorted({bits, *lengths})
    measured = compression.table(features, labels, bits=all_bits, seed=seed, asks=asks, hasher=hasher)
    items = [item._replace(held_out=bool(ask)) for item, ask in zip(items, asks, strict=True)]
    classes = Counter(label for item in items for label in item.labels or ())
    about = {
        "bits": bits,
        "method": hasher.method,
        "seed": seed,
        "settings": hashing.settings(hasher.method, bits, int((~asks).sum())),
        "scores": compression.to_record(measured),
        "classes": sorted(classes),
    }
    alone = sorted(label for label, n in classes.items() if n < 2)
    if alone:
        notes.append(f"classes with one of the {source.kind} are not tested: {first_names(alone)}")
    return items, about, hasher, notes


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
