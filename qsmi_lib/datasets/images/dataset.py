"""Data sets of picture files: NUS-WIDE, MS COCO, ILSVRC, what stands in for them here, and any folder or list."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from qsmi_lib.datasets.base import Part, Split
from qsmi_lib.datasets.images import manifest
from qsmi_lib.datasets.images.archive import Tree
from qsmi_lib.datasets.images.lazy import Pictures
from qsmi_lib.datasets.images.manifest import Catalogue
from qsmi_lib.datasets.listed import check_leaks
from qsmi_lib.datasets.sampling import AtRandom, PerLabel
from qsmi_lib.utils import paths

TENTH = PerLabel()


@dataclass(frozen=True)
class Version:
    """What is known of a data set as published.

    Attributes:
        n_labels: how many there are; None: any number.
        n_items: how many pictures; None: any number.
        division: how it is divided where its files do not say.
        n_query: how many queries its files must give where they divide it; None: any number.
        mark: the start of the SHA-256 of labels and pictures (see `PictureSet.load`); empty: it is not known.
    """

    n_labels: int | None = None
    n_items: int | None = None
    division: PerLabel | AtRandom | None = TENTH
    n_query: int | None = None
    mark: str = ""


@dataclass(frozen=True)
class PictureSet:
    """A data set of picture files, in one of the forms of `catalogue.read`.

    Attributes:
        name: of the registry, and of the folder or zip under QSMI_DATA; or the path of any.
        versions: of the published ones, told apart by their numbers of labels and pictures.
        side: pixels of each side that the pictures are decoded to.
        at: where it lies, for a path.
    """

    name: str
    versions: Mapping[str, Version] = field(default_factory=lambda: {"any": Version()})
    side: int = 224
    at: Path | None = None

    @property
    def FETCH(self) -> str:  # noqa: N802, as the modules of other data sets have it
        """How to get the data."""
        stem = self.name.replace("_", "-")
        return (
            f"put a folder {self.name} or {stem}.zip where QSMI_DATA points; `datasets check PATH` says what it lacks"
        )

    @property
    def CLASSES(self) -> tuple[str, ...]:  # noqa: N802
        """Names of the classes, as the data have them."""
        return self.catalogue().classes

    def find(self) -> Path | None:
        """The folder, zip or list, or None."""
        stems = (self.name, self.name.replace("_", "-"), f"{self.name.replace('_', '-')}.zip")
        places = [self.at] if self.at else [paths.data() / stem for stem in stems]
        return next((place for place in places if place.exists()), None)

    def fingerprint(self, draw: int) -> str:
        """The data and the division; only where one version alone is known, the data need not be here.

        Raises:
            FileNotFoundError: the data are needed, and not here; the message says how to get them.
            ValueError: as `load`.
        """
        known = [version for version in self.versions.values() if version.mark]
        if len(known) == len(self.versions) == 1:
            return f"{known[0].mark}-{self._divided(known[0], known[0].division, draw)}"
        found = self.catalogue()
        version = self.versions[self.version()]
        with Tree(found.root) as tree:  # sizes stand for the pictures, and are the same on every machine
            sizes = [tree.size(path) for path in found.paths]
        mark = hashlib.sha256(f"{found.mark} {sizes}".encode()).hexdigest()
        return f"{mark[:16]}-{self._divided(version, None if found.parts else version.division, draw)}"

    def load(self, draw: int) -> Split:
        """The data set as `Pictures` that are decoded when they are asked for; the fingerprint says which division.

        Raises:
            FileNotFoundError: the data are not here; the message says how to get them.
            ValueError: a fault of the data (file and line are named), numbers of no known version, items without a
                label where the protocol has none, or a query that trains or is searched.
        """
        found, mark, parts = self.catalogue(), self.fingerprint(draw), self.parts(draw)
        version = self.versions[self.version()]
        pictures = Pictures(found.root, found.paths, found.where, self.side)
        content = hashlib.sha256(f"{found.mark} {pictures.content}".encode()).hexdigest() if version.mark else ""
        if not content.startswith(version.mark):
            raise ValueError(
                f"{found.source} does not hold the known pictures and labels of {self.name}: expected a SHA-256 that "
                f"starts with {version.mark}, got {content}"
            )
        labels = torch.from_numpy(found.labels)

        def part(name: str) -> Part:
            chosen = torch.zeros(len(found), dtype=torch.bool)
            chosen[torch.from_numpy(parts[name])] = True
            return Part(pictures[chosen], labels[chosen])

        train = part("train")
        database = train if np.array_equal(np.sort(parts["train"]), np.sort(parts["database"])) else part("database")
        return Split(self.name, train, part("query"), database, mark, found.classes)

    def parts(self, draw: int) -> dict[str, np.ndarray]:
        """Rows of "train", "query" and "database", as the data or the protocol divide them; errors as of `load`."""
        found, version = self.catalogue(), self.versions[self.version()]
        parts = dict(found.parts) or version.division.parts(found.labels, draw)
        parts.setdefault("database", parts.get("train"))
        parts.setdefault("train", parts["database"])
        for part in ("train", "query"):
            if parts.get(part) is None or not len(parts[part]):
                raise ValueError(f"{found.source} has no part {part!r}: expected {manifest.FORMS}")
        check_leaks({part: rows.tolist() for part, rows in parts.items()}, len(found))
        return parts

    def catalogue(self) -> Catalogue:
        """What the data hold; a FileNotFoundError says how to get them, a ValueError names the first fault."""
        if (place := self.find()) is None:
            raise FileNotFoundError(f"{self.name} is not on this machine: {self.FETCH}")
        files = [place, *(place.iterdir() if place.is_dir() else ())]
        return _read(place, tuple(sorted((file.name, file.stat().st_mtime_ns) for file in files))).require()

    def version(self) -> str:
        """The name of the version that the data are, by their numbers of labels and pictures.

        Raises:
            ValueError: they are none of them, or carry what its protocol forbids.
        """
        found = self.catalogue()
        n_labels, n_items = len(found.classes), len(found)
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
                f"{found.source} holds {n_items} pictures with {n_labels} labels, {self.name} has {known}: name its "
                "path instead, to use it as a data set of its own"
            )
        version = self.versions[fits[0]]
        n_query = len(found.parts.get("query", ()))
        if found.parts and version.n_query not in (None, n_query):
            raise ValueError(f"{found.source} lists {n_query} queries, expected {version.n_query}, as {self.name} has")
        if not found.parts and version.division is None:
            raise ValueError(f"{found.source} is one list: expected train.txt, test.txt and database.txt")
        if not found.parts and len(bare := found.unlabelled()):
            raise ValueError(f"{len(bare)} of {n_items} pictures carry no label, the first at {found.where[bare[0]]}: "
                             "expected at least one label each")  # fmt: skip
        return fits[0]

    def _divided(self, version: Version, division: PerLabel | AtRandom | None, draw: int) -> str:
        if division is None and draw != 0:
            raise ValueError(f"{self.name} has one split, its own: draw must be 0, got {draw}")
        return f"{division or 'own'}-{self.side}px" + (f"-draw-{draw}" if division else "")


@lru_cache(maxsize=4)
def _read(place: Path, state: tuple) -> Catalogue:
    """The catalogue of `place`, read once for each `state` of its files."""
    return manifest.read(place)


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
            "miml_scenes", {"2,000 pictures, 5 labels": Version(5, 2000, PerLabel(100), mark="112ae62bcc33bd1a")}
        ),
        PictureSet("tiny_imagenet_32", {"32 classes": Version(32, 17_600, None, mark="5ab29608dab26ac6")}, side=64),
    )
}
