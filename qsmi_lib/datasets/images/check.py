"""A check of a data set of picture files: all faults of its lists and of its pictures at once."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from qsmi_lib.datasets.images import decoding, manifest
from qsmi_lib.datasets.images.archive import Tree
from qsmi_lib.datasets.images.dataset import PictureSet
from qsmi_lib.datasets.images.entries import Fault
from qsmi_lib.datasets.images.lazy import UNREADABLE, decode, unreadable
from qsmi_lib.datasets.images.manifest import Manifest
from qsmi_lib.utils.progress import bar


class Report(NamedTuple):
    """Result of `inspect`.

    Attributes:
        manifest: the items.
        faults: errors in the data set.
        notes: what is allowed but worth knowing: items without a label, equal pictures.
    """

    manifest: Manifest
    faults: tuple[Fault, ...]
    notes: tuple[Fault, ...]


def inspect(source: Path, choice: str = "") -> Report:
    """Read every list and decode every picture below `source`; faults of items are reported, not raised.

    Faults are a line of another length, a label other than 0 or 1, a path outside the root, a missing or unreadable
    picture, an item twice in a part, and a query that is also in the training set or the database, under the same name
    or another; and the same labels for all items. If there are none of these, a division that cannot be made is a
    fault. So are labels of most queries that no item of the database has. Notes are such labels of some queries, items
    without a label, files that are not read, pictures in no list, and other pictures that occur
    under two names.

    Args:
        source: the folder, zip or list.
        choice: how one column of 0 and 1 is read, one of `labels.CHOICES`.

    Raises:
        FileNotFoundError, ValueError: as `manifest.read`.
    """
    items = manifest.read(source, choice)
    faults, notes = items.all_faults(), list(items.notes)
    queries, unlabelled = items.parts.get("query", np.empty(0, np.int64)), items.unlabelled()
    if len(unlabelled):
        n_query = len(np.intersect1d(unlabelled, queries))
        what = f"{len(unlabelled)} of {len(items)} items carry no label, this one first; {n_query} of them are queries"
        notes.append(Fault(items.where[unlabelled[0]], what))
    without, most = items.without_answers
    if without and not most:
        notes.append(without)
    with Tree(items.root) as tree:
        if unread := decoding.unread(tree.names()):
            notes.append(Fault(str(source), unread))
        if left_out := sorted(tree.left_out.keys() - {fault.where for fault in faults}):
            several = "others are" if len(left_out) > 1 else "other is"
            what = f"{len(left_out)} {several} left out, {left_out[0]} first ({tree.left_out[left_out[0]]})"
            notes.append(Fault(str(source), what))
    is_query = np.isin(np.arange(len(items)), queries)
    first_row = {}
    for row, digest, error in _contents(items):
        where, path = items.where[row], items.paths[row]
        prefix = f"{path} " if where != path else ""  # of folders `where` is the path
        first = first_row.setdefault(digest, row)
        if error:
            faults.append(unreadable(where, path, error))
        elif first != row:
            leaks = is_query[row] != is_query[first]
            what = f"{prefix}holds the same picture as {items.where[first]}"
            what += ": a query that is also in the training set or the database" if leaks else ""
            (faults if leaks else notes).append(Fault(where, what))
    if not faults:
        try:
            PictureSet(str(source), at=source, choice=choice).parts(0)
        except ValueError as error:
            faults.append(Fault(str(source), str(error).removeprefix(f"{source} ")))
    return Report(items, tuple(faults), tuple(notes))


def understood(items: Manifest) -> list[str]:
    """How the labels were read, and the first items as they were understood."""
    return [*([f"read   {items.how}"] if items.how else []), *(f"item   {text}" for text in items.shown)]


def summary(items: Manifest) -> str:
    """Numbers of pictures and labels, and the sizes of the parts, in one line."""
    multi_label = items.labels.ndim == 2 and len(items)
    mean = f", {items.labels.sum(axis=1).mean():.2f} a picture" if multi_label else ""
    parts = [f"{len(items.parts[part]):,} {part}" for part in ("train", "query", "database") if part in items.parts]
    return f"{len(items):,} pictures, {len(items.classes)} labels{mean}; {', '.join(parts) or 'not divided'}"


def _contents(items: Manifest) -> Iterator[tuple[int, str, str]]:
    """Row, digest of the file, and error message, of every picture."""
    with Tree(items.root) as tree, ThreadPoolExecutor(torch.get_num_threads()) as pool:

        def content(row: int) -> tuple[int, str, str]:
            try:
                raw = tree.bytes_of(items.paths[row])
                decode(raw, 1)
            except UNREADABLE as error:
                return row, f"unreadable {row}", str(error)
            return row, hashlib.sha256(raw).hexdigest(), ""

        yield from bar(pool.map(content, range(len(items))), "decoding", total=len(items), unit="picture")
