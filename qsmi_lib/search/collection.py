"""Search by picture: codes of any picture, collections to search, and answers with the bits that differ."""

import hashlib
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import nn

from qsmi_lib import datasets
from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import DATASETS
from qsmi_lib.datasets.images import decoding, files
from qsmi_lib.datasets.images.decoding import MOST_BYTES, SUFFIXES
from qsmi_lib.models import backbones
from qsmi_lib.models.weights import checksum
from qsmi_lib.search import ink
from qsmi_lib.search.indexes import CodeIndex
from qsmi_lib.search.uploads import opened
from qsmi_lib.training import factory, loop, runs
from qsmi_lib.training.records import Store, codes_of, run_id
from qsmi_lib.utils import io, paths
from qsmi_lib.utils.progress import bar
from qsmi_lib.utils.reading import read_arrays

GREY = {
    "digits": (8, DATASETS["digits"]),
    "fashion_mnist": (28, DATASETS["fashion_mnist"]),
}  # side in pixels
CIFAR_SIDE = 32
BATCH = 100  # pictures hashed at a time
ORDERED = 100  # items at least that are found, where those at equal distance are ordered by their likeness
FORMAT = 4  # of the cached codes of folders; increase it if pictures are read in another way


class Answer(NamedTuple):
    """One item of the result of a search.

    Attributes:
        item: index in the collection.
        name: name of the item in the collection.
        distance: Hamming distance to the query.
        differing: indices of the bits that differ, ascending.
        right: whether it shares a label with the query; None if the labels of either are unknown.
    """

    item: int
    name: str
    distance: int
    differing: tuple[int, ...]
    right: bool | None = None


class Hasher:
    """A trained network that computes codes of pictures.

    Args:
        model: the network, in evaluation mode.
        config: its configuration. It decides the inputs: the ink of a picture in the form of the data set, or RGB
            pictures for a backbone.
        precision: the precision of its training.

    Raises:
        ValueError: the network accepts neither grey nor RGB pictures.
    """

    def __init__(self, model: nn.Module, config: RunConfig, precision: str = "float32"):
        need_pictures(config)
        self.model, self.config, self.precision = model, config, precision

    @classmethod
    def of(cls, config: RunConfig, store: Store) -> "Hasher":
        """The network of the run `config`, which is trained now if no model is saved."""
        need_pictures(config)  # before it is trained
        path = store.model(run_id(config))
        record = runs.run(config, store, fresh=not path.exists())
        model, config = factory.load(path)
        return cls(model, config, record["provenance"]["precision"])

    @property
    def side(self) -> int | None:
        """Pixels of each side of the training pictures of a backbone, for `uploads.opened`; None without a backbone."""
        return getattr(datasets.named(self.config.dataset), "side", CIFAR_SIDE) if self.config.backbone else None

    def fitted(self, image: Image.Image, name: str = "the picture") -> Image.Image:
        """What the network sees of `image`.

        Without a backbone it is the ink, in the form of the data (`ink.found`). With a backbone it is the centre,
        scaled to the size of the data with bilinear interpolation and antialiasing.

        Raises:
            ValueError: the picture is blank; the message contains `name`.
        """
        if self.side is None:
            return ink.found(image, GREY[self.config.dataset][0], name)
        return decoding.fit(image.convert("RGB"), self.side)

    def codes(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Codes of pictures of any size and mode: int8 (n, bits) of -1 and +1; a ValueError if one is blank."""
        return self.encode([self.fitted(image) for image in images])

    def encode(self, fitted: Sequence[Image.Image]) -> np.ndarray:
        """Codes of pictures that are `fitted`: int8 (n, bits) of -1 and +1."""
        return loop.encode(self.model, self._inputs(fitted), precision=self.precision).cpu().numpy()

    def _inputs(self, fitted: Sequence[Image.Image]) -> torch.Tensor:
        pixels = np.stack([np.asarray(image) for image in fitted])
        if not self.config.backbone:
            _, data = GREY[self.config.dataset]
            return torch.from_numpy((pixels[:, None] / 255.0 - data.mean) / data.std).float()
        with torch.no_grad():
            return self._backbone(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous())

    @cached_property
    def _backbone(self) -> nn.Module:
        return backbones.load(self.config.backbone)


def need_pictures(config: RunConfig) -> None:
    """A ValueError if the network of `config` accepts neither grey nor RGB pictures."""
    if not config.backbone and config.dataset not in GREY:
        raise ValueError(
            f"{config.dataset} does not accept user images: use {' or '.join(GREY)}, or a data set with a backbone"
        )


@dataclass(frozen=True, eq=False)  # equality and hash are those of the object, for the cache of thumbnails
class Collection:
    """Pictures to search: their names and codes, and an index of the codes.

    Attributes:
        title: of the collection.
        hasher: computes the codes of items and queries.
        codes: int8 (n, bits) of -1 and +1.
        names: names of the n items.
        picture: function from the index of an item to its RGB picture.
        kind: kind of the index, one of `indexes.KINDS`.
        faults: files that are left out, each with the reason.
        labels: labels of the n items; empty if they are unknown.
        method: name of the method in `methods.METHODS`; empty if it is unknown.
        examples: rows of items that are good queries, such as those that the hasher was not trained on; if empty, any.
        scores: name -> value: how good the codes are, such as mAP.
        notice: a sentence that a visitor has to know, such as that the folder of the pictures is gone.
        likeness: function from a picture and rows to numbers, by which items at equal distance are ordered, the highest
            first; None: they keep the order of the index.
    """

    title: str
    hasher: Hasher
    codes: np.ndarray
    names: Sequence[str]
    picture: Callable[[int], Image.Image]
    kind: str = "flat"
    faults: tuple[str, ...] = ()
    labels: Sequence[frozenset[str]] = ()
    method: str = ""
    examples: Sequence[int] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    notice: str = ""
    likeness: Callable[[Image.Image, np.ndarray], np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def index(self) -> CodeIndex:
        """The index of the codes, built for the first search."""
        return CodeIndex(self.codes, self.kind)

    def search(
        self, image: Image.Image, k: int = 10, *, labels: Set[str] = frozenset(), without: int | None = None
    ) -> list[Answer]:
        """The `k` items nearest to `image`, or all if there are fewer; an approximate index may find fewer.

        Args:
            image: the query.
            k: number of answers, at least 1.
            labels: of the query, if they are known; then the answers are marked as right or wrong.
            without: an item that is no answer: the query itself, if it is in the collection.
        """
        [code] = codes = self.hasher.codes([image])
        n_found = max(k + (without is not None), ORDERED if self.likeness else 0)
        found = self.index.search(codes, min(n_found, len(self)))
        items, distances = found.items[0], found.distances[0]
        if self.likeness is not None:
            items, distances = items[items >= 0], distances[items >= 0]
            order = np.lexsort([-self.likeness(image, items), distances])
            items, distances = items[order], distances[order]
        answers = [
            Answer(
                item,
                self.names[item],
                distance,
                tuple(np.flatnonzero(code != self.codes[item]).tolist()),
                not labels.isdisjoint(self.labels[item]) if labels and self.labels else None,
            )
            for item, distance in zip(items.tolist(), distances.tolist(), strict=True)
            if item >= 0 and item != without
        ]
        return answers[:k]


def of_run(config: RunConfig, store: Store, *, part: str = "database", kind: str = "flat") -> Collection:
    """The database or query set of a run, with the saved codes; a run that is not recorded is trained now.

    Args:
        config: the run.
        store: its folder of results.
        part: "database" or "query".
        kind: of the index.
    """
    hasher = Hasher.of(config, store)
    split = datasets.load(config.dataset, draw=config.draw, protocol=config.protocol, labels=config.labels)
    items = getattr(split, part)
    labels = items.labels
    rows = labels.tolist() if labels.ndim == 1 else [row.nonzero()[:, 0].tolist() for row in labels]
    named = [[split.classes[label] for label in np.atleast_1d(row)] for row in rows]
    names = [", ".join(sorted(row)) for row in named]

    def picture(item: int) -> Image.Image:
        if config.backbone:
            return Image.fromarray(items.inputs[item].permute(1, 2, 0).numpy())
        _, data = GREY[config.dataset]
        grey = (items.inputs[item, 0].numpy() * data.std + data.mean) * 255.0
        return Image.fromarray(grey.round().astype(np.uint8)).convert("RGB")

    codes, labels_of = getattr(codes_of(config, store), part), [frozenset(row) for row in named]
    return Collection(split.name, hasher, codes, names, picture, kind, labels=labels_of, method=config.method)


def of_folder(folder: Path | str, hasher: Hasher, *, kind: str = "flat") -> Collection:
    """The pictures in a folder and its subfolders, named by path; `faults` lists the unreadable files.

    Links that lead out of the folder are ignored, and so are links to folders and hidden files.

    The codes are cached in the folder of results until a file or the network changes. If they cannot be written there,
    a QsmiWarning says so.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it holds no readable picture, the message names the first fault; or more files than `files.find`
            accepts.
    """
    folder = paths.expanded(folder).resolve()
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder: expected a folder of pictures")
    found, left_out = files.find(folder, links=False)
    places = {name: folder / real for name, real in found.items() if _is_picture(name)}
    places = {name: place for name, place in places.items() if _inside(place, folder)}
    unread = decoding.unread(found)
    skipped = [f"{name}: {reason}" for name, reason in left_out.items() if name.endswith("/") or _is_picture(name)]
    path_of_codes = paths.cache() / "folders" / f"{_fingerprint(places, hasher)}.npz"
    arrays = _read_arrays(path_of_codes, places, hasher.config.bits)
    if arrays is None:
        arrays, lasting = _hash_files(folder.name, places, hasher)
        if lasting:
            with io.optional():
                io.write_arrays(path_of_codes, **arrays)
    codes, names, faults = arrays["codes"], arrays["names"].tolist(), arrays["faults"].tolist()
    faults += skipped + ([unread] if unread else [])
    if not names:
        raise ValueError(f"{folder} holds no readable picture: {faults[0] if faults else f'expected {_suffixes()}'}")

    def picture(item: int) -> Image.Image:
        if not _inside(place := places[names[item]], folder):  # it may have become a link since
            raise FileNotFoundError(f"{names[item]} is no longer a file of {folder.name}")
        return opened(files.read(place, MOST_BYTES), names[item], hasher.side)

    method = hasher.config.method
    return Collection(folder.name, hasher, codes, names, picture, kind, tuple(faults), method=method)


def _read_arrays(path: Path, places: Mapping[str, Path], bits: int) -> dict[str, np.ndarray] | None:
    """The cached arrays of the pictures `places`, or None if there is no such file or a damaged one."""
    try:
        arrays = read_arrays(path, {"codes": ("i", [2]), "names": ("U", [1]), "faults": ("U", [1])})
    except (OSError, ValueError):
        return None
    codes, names = arrays["codes"], arrays["names"].tolist()
    whole = codes.dtype == np.int8 and codes.shape == (len(names), bits) and bool((np.abs(codes) == 1).all())
    return arrays if whole and places.keys() >= set(names) else None


def _hash_files(title: str, places: Mapping[str, Path], hasher: Hasher) -> tuple[dict[str, np.ndarray], bool]:
    """The `codes` and `names` of the readable pictures, the `faults` of the others; and whether these may be cached."""
    codes, names, faults, lasting = [np.empty((0, hasher.config.bits), np.int8)], [], [], True
    for start in bar(range(0, len(places), BATCH), f"hashing {title}", unit="batch"):
        fitted = []
        for name in list(places)[start : start + BATCH]:
            try:
                content = files.read(places[name], MOST_BYTES)  # one large picture in memory at a time
                fitted.append(hasher.fitted(opened(content, name, hasher.side), name))
                names.append(name)
            except OSError as error:
                faults.append(f"{name} cannot be read: {error.strerror or error}")
                lasting = False  # permissions may change, and the file would look the same
            except ValueError as error:
                faults.append(str(error))
        codes += [hasher.encode(fitted)] if fitted else []
    arrays = {"codes": np.concatenate(codes), "names": np.array(names, str), "faults": np.array(faults, str)}
    return arrays, lasting


def _fingerprint(places: Mapping[str, Path], hasher: Hasher) -> str:
    """A hash of all that the codes depend on: format, network, and each file's name, size and time of change."""
    states = [(name, path.stat().st_size, path.stat().st_mtime_ns) for name, path in places.items()]
    text = f"{FORMAT} {hasher.config} {checksum(hasher.model)} {hasher.precision} {states}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in SUFFIXES


def _inside(path: Path, folder: Path) -> bool:
    """Whether `path`, its links resolved, is a file below `folder`."""
    return path.is_file() and path.resolve().is_relative_to(folder)


def _suffixes() -> str:
    return "files ending in " + ", ".join(sorted(SUFFIXES))
