"""What an index is made of: the pictures of a folder, or vectors; their names, labels, states and features."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from qsmi_lib.datasets.images import decoding, manifest
from qsmi_lib.datasets.images.archive import Tree
from qsmi_lib.datasets.images.decoding import SUFFIXES
from qsmi_lib.datasets.images.entries import Fault
from qsmi_lib.datasets.images.folders import UnlabelledError
from qsmi_lib.datasets.images.lazy import Pictures
from qsmi_lib.datasets.images.lookup import LISTS, suffix_of
from qsmi_lib.datasets.images.manifest import Manifest
from qsmi_lib.models import backbones, features
from qsmi_lib.search.index import vectors
from qsmi_lib.utils.progress import bar

Labels = list[frozenset[str]] | None  # of each item; None: unknown
LEAST = 4  # items of an index: some are searched, one asks


class Source(ABC):
    """The items of an index.

    Attributes:
        place: the folder, archive, list or file.
        names: of the items, each once: paths below the folder, or numbers of rows.
        labels: of the items, or None where they are unknown.
        notes: on what is left out.
    """

    kind: str
    place: Path
    names: Sequence[str]
    labels: Labels
    notes: Sequence[Fault] = ()

    @abstractmethod
    def state(self, row: int) -> str:
        """Identifies the content of an item without reading it; a change of the content changes it."""

    @abstractmethod
    def digests(self, rows: Sequence[int]) -> list[str]:
        """SHA-256 of the content of these items; empty for one that cannot be read."""

    @abstractmethod
    def features(self, rows: Sequence[int]) -> tuple[np.ndarray, list[Fault]]:
        """Features of these items, float32 (n, d), rows of NaN where there are none; and the faults of these items."""


class Folder(Source):
    """The pictures of a folder, archive or list, and their features by a backbone.

    Args:
        place: the folder, archive or list.
        backbone: name of the backbone.
        labelled: whether folders of classes and lists are looked for; else all pictures are taken, without labels.
        precision: in which the backbone computes, as of `features.extract`.

    Raises:
        FileNotFoundError, ValueError: as of `manifest.read` and `Manifest.checked`.
    """

    kind = "pictures"

    def __init__(self, place: Path, backbone: str, *, labelled: bool = True, precision: str = "auto"):
        self.place, self.backbone, self.precision = place, backbone, precision
        items = _manifest(place) if labelled else None
        if items is None:
            with Tree(place) as tree:
                self.names = [name for name in tree.names() if suffix_of(name) in SUFFIXES]
                self.notes = [Fault(name, reason) for name, reason in sorted(tree.left_out.items())]
                if unread := decoding.unread(tree.names()):
                    self.notes.append(Fault(str(place), unread))
            self.root, self.where, self.labels = place, self.names, None
            if not self.names:
                more = f"; {self.notes[0]}" if self.notes else ""
                raise ValueError(
                    f"{place} holds no picture: expected files ending in {', '.join(sorted(SUFFIXES))}{more}"
                )
        else:
            self.names, self.root, self.where, self.notes = items.paths, items.root, items.where, items.notes
            self.labels = named_labels(items.labels, items.classes)

    def state(self, row: int) -> str:
        """Size and time of change, or the checksum in a zip."""
        return self._tree.fingerprint(self.names[row])

    def digests(self, rows: Sequence[int]) -> list[str]:
        """SHA-256 of the files; empty for one that cannot be read."""
        return [self._digest(self.names[row]) for row in bar(rows, f"reading {self.place.name}", unit="picture")]

    def features(self, rows: Sequence[int]) -> tuple[np.ndarray, list[Fault]]:
        """Features by the backbone; the faults of pictures that cannot be decoded."""
        entry = backbones.named(self.backbone)
        if not len(rows):
            return np.empty((0, entry.n_features), np.float32), []
        names, where = ([texts[row] for row in rows] for texts in (self.names, self.where))
        pictures = Pictures(self.root, names, where, entry.scaled, resample=entry.interpolation)
        network = backbones.load(self.backbone)
        found = features.extract(
            pictures,
            network,
            self.backbone,
            precision=self.precision,
            batch_size=features.batch_size(self.backbone),
            skip_unreadable=True,
        ).numpy()
        faults = [pictures.fault(row) for row in np.flatnonzero(np.isnan(found).any(axis=1)).tolist()]
        return found, [fault for fault in faults if fault]

    @cached_property
    def _tree(self) -> Tree:
        return Tree(self.root)

    def _digest(self, name: str) -> str:
        try:
            return hashlib.sha256(self._tree.bytes_of(name)).hexdigest()
        except (OSError, ValueError):
            return ""  # the decoder says why


class Vectors(Source):
    """Vectors in a file or in memory, whose features they are themselves.

    Args:
        place: the file, or a name for an array.
        values: float32 (n, d).
        labels: of each row; None: unknown.
    """

    kind = "vectors"

    def __init__(self, place: Path, values: np.ndarray, labels: Labels = None):
        self.place, self.values, self.labels = place, values, labels
        self.names = [str(row) for row in range(len(values))]

    @classmethod
    def read(cls, place: Path, labels: Path | None = None) -> "Vectors":
        """The vectors of a file, and the labels of a table; errors as of `vectors.read` and `vectors.read_labels`."""
        values = vectors.read(place)
        return cls(place, values, None if labels is None else vectors.read_labels(labels, len(values)))

    def state(self, row: int) -> str:
        """The digest of the row."""
        return self.digests([row])[0]

    def digests(self, rows: Sequence[int]) -> list[str]:
        """SHA-256 of the rows."""
        return [hashlib.sha256(self.values[row].tobytes()).hexdigest() for row in rows]

    def features(self, rows: Sequence[int]) -> tuple[np.ndarray, list[Fault]]:
        """The rows themselves."""
        return self.values[np.asarray(rows, np.int64)], []


def picture(place: Path, name: str) -> Image.Image:
    """The picture of that name below a folder, archive or the folder of a list, in RGB.

    Raises:
        OSError, ValueError: it is no longer there, cannot be read, or is a link out of the folder.
    """
    root = place.parent if place.is_file() and suffix_of(place.name) in LISTS - {""} else place
    with Tree(root, links=False) as tree:
        if root.is_dir() and not (root / name).resolve().is_relative_to(root.resolve()):
            raise FileNotFoundError(f"{name} leads out of {root}")
        return decoding.read(tree.bytes_of(name))


def named_labels(labels: np.ndarray, classes: Sequence[str]) -> list[frozenset[str]]:
    """Class numbers (n,) or multi-hot labels (n, c) as sets of names."""
    if labels.ndim == 1:
        return [frozenset([classes[label]]) for label in labels.tolist()]
    return [frozenset(classes[label] for label in np.flatnonzero(row)) for row in labels]


def _manifest(place: Path) -> Manifest | None:
    """The manifest of `place`, or None where its pictures lie in no folder of classes and no file lists them."""
    try:
        return manifest.read(place).checked()
    except UnlabelledError:
        return None
    except ValueError as error:
        raise ValueError(f"{error}; `--no-labels` indexes the pictures without labels") from error
