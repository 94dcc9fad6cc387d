"""All that is wrong with a data set of picture files, found at once: what its lists say, and what its files hold."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from qsmi_lib.datasets.images import manifest
from qsmi_lib.datasets.images.archive import Tree
from qsmi_lib.datasets.images.dataset import PictureSet
from qsmi_lib.datasets.images.lazy import UNREADABLE, decoded
from qsmi_lib.datasets.images.manifest import Catalogue, Fault
from qsmi_lib.utils.progress import bar


class Report(NamedTuple):
    """What `inspect` found.

    Attributes:
        catalogue: the items.
        faults: what must not be.
        notes: what may be, and should be known: items without a label, equal pictures.
    """

    catalogue: Catalogue
    faults: tuple[Fault, ...]
    notes: tuple[Fault, ...]


def inspect(source: Path) -> Report:
    """Read every list and decode every picture below `source`; nothing is raised for what is wrong with an item.

    Faults are a line of another length, a label other than 0 or 1, a path outside the root, a missing or unreadable
    picture, an item twice in a part, a query that trains or is searched, be it under another name, and where there are
    none of these, a division that cannot be made. Notes are items
    without a label, and pictures that are there twice under two names elsewhere.

    Raises:
        FileNotFoundError, ValueError: as `catalogue.read`.
    """
    found = manifest.read(source)
    faults, notes = list(found.faults), []
    bare, queries = found.unlabelled(), found.parts.get("query", np.empty(0, np.int64))
    if len(bare):
        asking = len(np.intersect1d(bare, queries))
        what = f"{len(bare)} of {len(found)} items carry no label, this one first; {asking} of them are queries"
        notes.append(Fault(found.where[bare[0]], what))

    def named(row: int) -> str:
        return (
            f"{found.paths[row]} " if found.where[row] != found.paths[row] else ""
        )  # a folder's items list themselves

    first_of, asking = {}, np.isin(np.arange(len(found)), queries)
    for row, digest, error in _contents(found):
        first = first_of.setdefault(digest, row)
        if error:
            faults.append(Fault(found.where[row], f"{named(row)}cannot be read as a picture ({error})"))
        elif first != row:
            leaks = asking[row] != asking[first]
            same = f"{named(row)}holds the same picture as {found.where[first]}"
            what = f"{same}: a query that trains or is searched" if leaks else same
            (faults if leaks else notes).append(Fault(found.where[row], what))
    if not faults:
        try:
            PictureSet(str(source), at=source).parts(0)
        except ValueError as error:
            faults.append(Fault(str(source), str(error).removeprefix(f"{source} ")))
    return Report(found, tuple(faults), tuple(notes))


def summary(found: Catalogue) -> str:
    """What a data set holds, in a line."""
    several = found.labels.ndim == 2 and len(found)
    mean = f", {found.labels.sum(axis=1).mean():.2f} a picture" if several else ""
    parts = [f"{len(found.parts[part]):,} {part}" for part in ("train", "query", "database") if part in found.parts]
    return f"{len(found):,} pictures, {len(found.classes)} labels{mean}; {', '.join(parts) or 'not divided'}"


def _contents(found: Catalogue) -> Iterator[tuple[int, str, str]]:
    """Row, digest of the file, and what is wrong with it, of every picture."""
    with Tree(found.root) as tree, ThreadPoolExecutor(torch.get_num_threads()) as pool:

        def content(row: int) -> tuple[int, str, str]:
            try:
                held = tree.bytes_of(found.paths[row])
                decoded(held, 1)
            except UNREADABLE as error:
                return row, f"unreadable {row}", str(error)
            return row, hashlib.sha256(held).hexdigest(), ""

        yield from bar(pool.map(content, range(len(found))), "decoding", total=len(found), unit="picture")
