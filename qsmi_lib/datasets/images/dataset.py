"""Data sets of picture files: NUS-WIDE, MS COCO, ILSVRC, their substitutes, and any folder, zip or list."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from qsmi_lib.datasets.base import Dataset, Part, Split
from qsmi_lib.datasets.images import files, manifest
from qsmi_lib.datasets.images.archive import Tree
from qsmi_lib.datasets.images.entries import FORMS
from qsmi_lib.datasets.images.lazy import Pictures
from qsmi_lib.datasets.images.lookup import part_of_folder
from qsmi_lib.datasets.images.manifest import Manifest
from qsmi_lib.datasets.protocols import check_leaks
from qsmi_lib.datasets.sampling import AtRandom, PerLabel
from qsmi_lib.utils import paths

TENTH = PerLabel()
MOST_READ = 4  # manifests in memory
_READ: dict[tuple[Path, str], tuple[list[Path], list[tuple[str, int]], Manifest]] = {}  # folders, state, manifest


@dataclass(frozen=True)
class Version:
    """A version of a data set as published.

    Attributes:
        n_labels: number of labels; None: any.
        n_items: number of pictures; None: any.
        division: how the items are divided if the files do not divide them; None: the files must.
        n_query: number of queries if the files divide the items; None: any.
        checksum: start of the SHA-256 of labels and pictures (see `PictureSet.load`); empty: unknown.
    """

    n_labels: int | None = None
    n_items: int | None = None
    division: PerLabel | AtRandom | None = TENTH
    n_query: int | None = None
    checksum: str = ""


@dataclass(frozen=True)
class PictureSet(Dataset):
    """A data set of picture files, in one of the forms of `manifest.read`.

    Attributes:
        name: in the registry, and of the folder or zip under QSMI_DATA; or any path.
        versions: the published versions, distinguished by their numbers of labels and pictures.
        side: pixels of each side of the decoded pictures.
        at: where the files lie, for a path.
        choice: how one column of 0 and 1 is read, one of `labels.CHOICES`.
    """

    name: str
    versions: Mapping[str, Version] = field(default_factory=lambda: {"any": Version()})
    side: int = 224
    at: Path | None = None
    choice: str = ""

    @property
    def fetch(self) -> str:
        """How to get the data."""
        stem = self.name.replace("_", "-")
        return f"put a folder {self.name} or {stem}.zip where QSMI_DATA points; `datasets check PATH` lists its faults"

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, as the files give them."""
        return self.manifest().classes

    def find(self) -> Path | None:
        """The folder, zip or list, or None."""
        stem = self.name.replace("_", "-")
        stems = (self.name, stem, *(f"{stem}{suffix}" for suffix in (".zip", ".tar", ".tar.gz", ".tgz")))
        places = [self.at] if self.at else [paths.data() / stem for stem in stems]
        return next((place for place in places if place.exists()), None)

    def fingerprint(self, draw: int) -> str:
        """Identifies the data and the division; needs no data if the checksum of the only version is known.

        Raises:
            FileNotFoundError: the data are needed and not on this machine; the message says how to get them.
            ValueError: as `load`.
        """
        known = [version for version in self.versions.values() if version.checksum]
        if len(known) == len(self.versions) == 1:
            return f"{known[0].checksum}-{self._division_name(known[0].division, draw)}"
        items = self.manifest()
        version = self.versions[self.version()]
        with Tree(items.root) as tree:  # file sizes represent the pictures: they are equal on every machine
            sizes = [tree.size(path) for path in items.paths]
        digest = hashlib.sha256(f"{items.fingerprint} {sizes}".encode()).hexdigest()
        return f"{digest[:16]}-{self._division_name(None if items.parts else version.division, draw)}"

    def load(self, draw: int) -> Split:
        """The data set as `Pictures`, which are decoded when they are needed.

        Raises:
            FileNotFoundError: the data are not on this machine; the message says how to get them.
            ValueError: a fault of the data (file and line are named), numbers of no known version, items without a
                label where the files do not divide the items, or a query that is also in the training set or the
                database.
        """
        items, fingerprint, parts = self.manifest(), self.fingerprint(draw), self.parts(draw)
        version = self.versions[self.version()]
        pictures = Pictures(items.root, items.paths, items.where, self.side)
        if version.checksum:
            digest = hashlib.sha256(f"{items.fingerprint} {pictures.checksum}".encode()).hexdigest()
            if not digest.startswith(version.checksum):
                raise ValueError(
                    f"{items.source} does not hold the published pictures and labels of {self.name}: expected a "
                    f"SHA-256 that starts with {version.checksum}, got {digest}"
                )
        labels = torch.from_numpy(items.labels)

        def part(name: str) -> Part:
            chosen = torch.zeros(len(items), dtype=torch.bool)
            chosen[torch.from_numpy(parts[name])] = True
            return Part(pictures[chosen], labels[chosen])

        train = part("train")
        database = train if np.array_equal(np.sort(parts["train"]), np.sort(parts["database"])) else part("database")
        return Split(self.name, train, part("query"), database, fingerprint, items.classes)

    def parts(self, draw: int) -> dict[str, np.ndarray]:
        """Rows of "train", "query" and "database", as the files or the version divide them; errors as of `load`."""
        items, version = self.manifest(), self.versions[self.version()]
        parts = dict(items.parts) or version.division.parts(items.labels, draw)
        parts.setdefault("database", parts.get("train"))
        parts.setdefault("train", parts["database"])
        for part in ("train", "query"):
            if parts.get(part) is None or not len(parts[part]):
                hint = ""
                if part == "query" and len(items.lists) == 1:
                    hint = f"; to have queries chosen by a rule, rename {items.lists[0]} to labels"
                elif not items.lists and items.paths:  # folders of one part
                    steps = items.paths[0].split("/")
                    own = next((k for k, step in enumerate(steps) if part_of_folder(step)), 0)
                    folder, missing = "/".join(steps[: own + 1]), "test" if part == "query" else "train"
                    hint = (
                        f"; add a folder {missing} beside {folder}, or pass the path of {folder} for queries by a rule"
                    )
                raise ValueError(f"{items.source} has no part {part!r}: expected {FORMS}{hint}")
        check_leaks({part: rows.tolist() for part, rows in parts.items()}, len(items))
        return parts

    def manifest(self) -> Manifest:
        """The items; a FileNotFoundError says how to get the data, a ValueError names the first fault."""
        if (place := self.find()) is None:
            raise FileNotFoundError(f"{self.name} is not on this machine: {self.fetch}")
        return _read(place, self.choice).checked()

    def version(self) -> str:
        """The name of the version that the files hold, by their numbers of labels and pictures.

        Raises:
            ValueError: they hold no known version, are divided in another way, or have items without a label.
        """
        items = self.manifest()
        n_labels, n_items = len(items.classes), len(items)
        fits = [
            name
            for name, version in self.versions.items()
            if version.n_labels in (None, n_labels) and version.n_items in (None, n_items)
        ]
        if not fits:
            known = " or ".join(
                f"{v.n_items or 'any'} pictures with {v.n_labels} labels" for v in self.versions.values()
            )
            raise ValueError(
                f"{items.source} holds {n_items} pictures with {n_labels} labels, {self.name} has {known}: pass the "
                "path as the data set instead"
            )
        version = self.versions[fits[0]]
        n_query = len(items.parts.get("query", ()))
        if items.parts and version.n_query not in (None, n_query):
            raise ValueError(f"{items.source} lists {n_query} queries, expected {version.n_query}, as {self.name} has")
        if not items.parts and version.division is None:
            raise ValueError(f"{items.source} is one list: expected train.txt, test.txt and database.txt")
        if not items.parts and len(unlabelled := items.unlabelled()):
            raise ValueError(
                f"{len(unlabelled)} of {n_items} pictures carry no label, the first at "
                f"{items.where[unlabelled[0]]}: expected at least one label each"
            )
        return fits[0]

    def _division_name(self, division: PerLabel | AtRandom | None, draw: int) -> str:
        """The part of the fingerprint that names the division."""
        if division is None and draw != 0:
            raise ValueError(f"{self.name} is divided by its files: draw must be 0, got {draw}")
        return f"{division or 'own'}-{self.side}px" + (f"-draw-{draw}" if division else "")


def _read(place: Path, choice: str) -> Manifest:
    """The manifest of `place`, read again if a list, a file beside it, or the files of any folder have changed."""
    folders, state, items = _READ.get((place, choice), ([], None, None))
    if state is None or state != _state(place, folders, items.lists):
        items = manifest.read(place, choice)
        folders = files.folders(items.root) if items.root.is_dir() else []
        while len(_READ) >= MOST_READ:
            _READ.pop(next(iter(_READ)))
        _READ[place, choice] = folders, _state(place, folders, items.lists), items
    return items


def _state(place: Path, folders: Sequence[Path], lists: Sequence[str]) -> list[tuple[str, int]]:
    """The names and times of the source, of the files at its top, of its folders, and of its lists."""
    of = [place, *folders, *(place.iterdir() if place.is_dir() else ())]
    of += [place / name for name in lists if place.is_dir()]
    return sorted((str(file), file.stat().st_mtime_ns) for file in of if file.exists())  # not links to nothing


PICTURE_SETS = {
    entry.name: entry
    for entry in (
        PictureSet(
            "nus_wide",
            {
                "195,834 pictures, 21 labels": Version(21, 195_834, PerLabel(100), 2100),
                "223,496 pictures, 81 labels": Version(81, 223_496, None),
            },
        ),
        PictureSet("ms_coco", {"80 labels": Version(80, None, AtRandom(5000, 10_000))}),
        PictureSet("ilsvrc", {"1,000 classes": Version(1000, None, None)}),
        PictureSet(
            "miml_scenes", {"2,000 pictures, 5 labels": Version(5, 2000, PerLabel(100), checksum="112ae62bcc33bd1a")}
        ),
        PictureSet("tiny_imagenet_32", {"32 classes": Version(32, 17_600, None, checksum="5ab29608dab26ac6")}, side=64),
    )
}
