"""What an index is made of: the pictures of a folder, or vectors; their names, labels, states and features."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence, Set
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image
from torch import Tensor

from qsmi_lib.datasets.images import decoding, manifest
from qsmi_lib.datasets.images.archive import Tree
from qsmi_lib.datasets.images.decoding import SUFFIXES
from qsmi_lib.datasets.images.entries import Fault, first_names
from qsmi_lib.datasets.images.folders import UnlabelledError
from qsmi_lib.datasets.images.lazy import Pictures
from qsmi_lib.datasets.images.lookup import LISTS, suffix_of
from qsmi_lib.datasets.images.manifest import Manifest
from qsmi_lib.models import backbones, features
from qsmi_lib.search.index import storage, vectors
from qsmi_lib.search.index.label_tables import label_columns, read_labels
from qsmi_lib.utils import arrays, paths
from qsmi_lib.utils.progress import bar

Labels = list[frozenset[str]] | None  # of each item; None: unknown
BACKBONE = "efficientnet_lite0"  # of folders of pictures


class Source(ABC):
    """The items of an index.

    Attributes:
        place: the folder, archive, list or file.
        names: of the items, each once: paths below the folder, or numbers of rows.
        labels: of the items, or None where they are unknown.
        notes: on what is left out.
        backbone: name of the backbone that computes the features; None: the items are their features.
    """

    kind: str
    backbone: str | None
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
    def features(self, rows: Sequence[int], precision: str | None) -> tuple[np.ndarray, list[Fault]]:
        """Features of these items, float32 (n, d), rows of NaN where there are none; and the faults of these items.

        Args:
            rows: of the items.
            precision: in which a backbone computes, "float32" or "bf16".
        """

    @abstractmethod
    def forget(self) -> None:
        """Delete what `features` has kept for the case that the command is repeated."""


class Folder(Source):
    """The pictures of a folder, archive or list, and their features by a backbone.

    Args:
        place: the folder, archive or list.
        backbone: name of the backbone.
        labelled: whether folders of classes and lists are looked for; else all pictures are taken, without labels.
        choice: how one column of 0 and 1 in a list is read, as of `manifest.read`.

    Raises:
        FileNotFoundError, ValueError: as of `manifest.read` and `Manifest.checked`.
    """

    kind = storage.PICTURES

    def __init__(self, place: Path, backbone: str, *, labelled: bool = True, choice: str = ""):
        name, at, file = backbone.partition("@")
        backbone = f"{name}@{paths.expanded(file).absolute()}" if at else backbone  # from any folder
        if backbones.named(backbone).side is None:
            raise ValueError(f"the backbone {backbone} takes no photographs: leave out --backbone, or name another one")
        self.place, self.backbone = place, backbone
        self._kept: Callable[[], None] | None = None  # deletes the file of features
        items = _manifest(place, choice) if labelled else None
        if items is None:
            self.names, self.notes = _pictures(place)
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

    def features(self, rows: Sequence[int], precision: str | None) -> tuple[np.ndarray, list[Fault]]:
        """Features by the backbone; the faults of pictures that cannot be decoded."""
        entry = backbones.named(self.backbone)
        if not len(rows):
            return np.empty((0, entry.n_features), np.float32), []
        names, where = ([texts[row] for row in rows] for texts in (self.names, self.where))
        form = {"resample": entry.interpolation, "squash": entry.squash}
        pictures = Pictures(self.root, names, where, entry.scaled, **form)
        network = backbones.load(self.backbone)
        self._kept = partial(features.forget, pictures, network, self.backbone, precision)
        try:
            found = features.extract(
                pictures,
                network,
                self.backbone,
                precision=precision,
                batch_size=features.batch_size(self.backbone),
                skip_unreadable=True,
            ).numpy()
        except ValueError:
            if not all(faults := [pictures.fault(row) for row in range(len(rows))]):
                raise
            return np.full((len(rows), entry.n_features), np.nan, np.float32), faults  # not one can be decoded
        faults = [pictures.fault(row) for row in np.flatnonzero(np.isnan(found).any(axis=1)).tolist()]
        return found, [fault for fault in faults if fault]

    def forget(self) -> None:
        """Delete the file of features: the index has them."""
        if self._kept is not None:
            self._kept()

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
        names: of the rows; None: their numbers.
    """

    kind, backbone = storage.VECTORS, None

    def __init__(self, place: Path, values: np.ndarray, labels: Labels = None, names: Sequence[str] | None = None):
        self.place, self.values, self.labels = place, values, labels
        self.names = [str(row) for row in range(len(values))] if names is None else names

    @classmethod
    def read(cls, place: Path, labels: Path | None = None) -> "Vectors":
        """The vectors and names of a file, and the labels of a table; errors as of `vectors` and `read_labels`."""
        values = vectors.read(place)
        known = None if labels is None else read_labels(labels, len(values))
        source = cls(place, values, known, vectors.read_names(place))
        if labels is None and (columns := label_columns(place)):
            what = f"its column {columns[0]!r} is not read: --labels {place} learns from it"
            source.notes = [Fault(str(place), what)]
        if columns := vectors.columns(place):
            source.notes = [*source.notes, Fault(str(place), f"a vector is the columns {first_names(columns)}")]
        return source

    @classmethod
    def of(cls, place: Path, values: ArrayLike, labels: ArrayLike | Sequence[Set[str]] | None = None) -> "Vectors":
        """Vectors in memory, under the name `place`.

        Args:
            values: (n, d), finite, no row of zeros.
            labels: (n,) of any kind, multi-hot (n, c), or a set of names for each row; None: unknown.

        Raises:
            ValueError: other values, or another number of labels.
        """
        rows = vectors.checked(values)
        named = None if labels is None else _sets_of(labels)
        if named is not None and len(named) != len(rows):
            raise ValueError(f"labels must be one for each of the {len(rows)} vectors, got {len(named)}")
        return cls(place, rows, named)

    @property
    def n_features(self) -> int:
        """Length of the vectors."""
        return self.values.shape[1]

    def state(self, row: int) -> str:
        """The digest of the row."""
        return self.digests([row])[0]

    def digests(self, rows: Sequence[int]) -> list[str]:
        """SHA-256 of the rows."""
        return [hashlib.sha256(self.values[row].tobytes()).hexdigest() for row in rows]

    def features(self, rows: Sequence[int], precision: str | None) -> tuple[np.ndarray, list[Fault]]:
        """The rows themselves."""
        return self.values[np.asarray(rows, np.int64)], []

    def forget(self) -> None:
        """Nothing is kept."""


class Originals:
    """The pictures that were indexed, as their files are now.

    Args:
        place: the folder, archive or list; it is opened when the first picture is read, and not again.
        side: as of `decoding.read`.
    """

    def __init__(self, place: Path, side: int | None = None):
        self._side = side
        self._root = root_of(place)

    def picture(self, name: str) -> Image.Image:
        """The picture of that name, in RGB.

        Raises:
            OSError, ValueError: it is no longer there, cannot be read, or is a link out of the folder.
        """
        if self._root.is_dir() and not (self._root / name).resolve().is_relative_to(self._root.resolve()):
            raise FileNotFoundError(f"{name} leads out of {self._root}")
        return decoding.read(self._tree.bytes_of(name), self._side)

    @cached_property
    def _tree(self) -> Tree:
        return Tree(self._root, links=False)


def root_of(place: Path) -> Path:
    """The folder of a list; anything else is itself."""
    return place.parent if place.is_file() and suffix_of(place.name) in LISTS - {""} else place


def named_labels(labels: np.ndarray, classes: Sequence[str]) -> list[frozenset[str]]:
    """Class numbers (n,) or multi-hot labels (n, c) as sets of names."""
    if labels.ndim == 1:
        return [frozenset([classes[label]]) for label in labels.tolist()]
    return [frozenset(classes[label] for label in np.flatnonzero(row)) for row in labels]


def _sets_of(labels: ArrayLike | Sequence[Set[str]]) -> list[frozenset[str]]:
    """Labels in memory as sets of names; None, NaN and empty text are no label."""
    if isinstance(labels, list | tuple) and all(isinstance(own, Set) for own in labels):
        return [frozenset(map(str, own)) for own in labels]
    array = arrays.on_host("labels", labels) if isinstance(labels, Tensor) else np.asarray(labels)
    if array.ndim == 2 and array.shape[1] > 1:
        if not np.isin(array, (0, 1)).all():
            raise ValueError("labels of shape (n, c) must be 0 and 1, a column for each label")
        return named_labels(array, list(map(str, range(array.shape[1]))))
    labels = array.ravel().tolist()
    return [frozenset() if label in (None, "") or label != label else frozenset([str(label)]) for label in labels]


def _manifest(place: Path, choice: str) -> Manifest | None:
    """The manifest of `place`, or None where its pictures lie in no folder of classes and no file lists them."""
    try:
        return manifest.read(place, choice).checked()
    except UnlabelledError:
        return None
    except ValueError as error:
        if not place.is_dir() or not _pictures(place)[0]:
            raise
        raise ValueError(f"{error}; `--no-labels` indexes the pictures without labels") from error


def _pictures(place: Path) -> tuple[list[str], list[Fault]]:
    """The names of all pictures of a folder or archive, and notes on what is left out."""
    with Tree(place) as tree:
        names = [name for name in tree.names() if suffix_of(name) in SUFFIXES]
        notes = [Fault(name, reason) for name, reason in sorted(tree.left_out.items())]
        unread = decoding.unread(tree.names())
    return names, [*notes, *([Fault(str(place), unread)] if unread else [])]
