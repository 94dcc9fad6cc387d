"""Search by picture: what makes a code of any picture, what is searched, and the answers with the bits that differ."""

import hashlib
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import nn

from qsmi_lib import datasets
from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import DATASETS
from qsmi_lib.models import backbones
from qsmi_lib.models.weights import checksum
from qsmi_lib.search.indexes import CodeIndex
from qsmi_lib.search.uploads import opened
from qsmi_lib.training import factory, loop, runs
from qsmi_lib.training.records import Store, codes_of, run_id
from qsmi_lib.utils import paths
from qsmi_lib.utils.io import write_arrays
from qsmi_lib.utils.progress import bar

GREY = {
    "digits": (8, DATASETS["digits"]),
    "fashion_mnist": (28, DATASETS["fashion_mnist"]),
}  # side in pixels
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"}
CIFAR_SIDE = 32
BATCH = 100  # pictures hashed at a time
FORMAT = 1  # of the cached codes of folders; raise it where pictures are read in another way


class Answer(NamedTuple):
    """One item that a search found.

    Attributes:
        item: its place in the collection.
        name: what it is called there.
        distance: how many bits differ from the query's code.
        differing: which, ascending.
    """

    item: int
    name: str
    distance: int
    differing: tuple[int, ...]


class Hasher:
    """Pictures -> codes, by a network that was trained.

    Args:
        model: in evaluation mode.
        config: its configuration, which says what the network takes: grey pictures of the data set's own size, light on
            dark, or RGB ones through a backbone.
        precision: in which it was trained.

    Raises:
        ValueError: the data set has neither grey pictures of one size nor a backbone.
    """

    def __init__(self, model: nn.Module, config: RunConfig, precision: str = "float32"):
        if not config.backbone and config.dataset not in GREY:
            raise ValueError(f"{config.dataset} has no form for pictures of one's own: {', '.join(GREY)} have, or a "
                             "data set with a backbone")  # fmt: skip
        self.model, self.config, self.precision = model, config, precision

    @classmethod
    def of(cls, config: RunConfig, store: Store) -> "Hasher":
        """The network of the run `config`: as it was saved, or trained now."""
        path = store.model(run_id(config))
        record = runs.run(config, store, fresh=not path.exists())
        model, config = factory.load(path)
        return cls(model, config, record["provenance"]["precision"])

    def fitted(self, image: Image.Image) -> Image.Image:
        """`image` as small as the network takes it: scaled, bilinear and antialiased, and cut to its centre."""
        mode, side = ("RGB", CIFAR_SIDE) if self.config.backbone else ("L", GREY[self.config.dataset][0])
        if self.config.backbone:
            side = getattr(datasets.named(self.config.dataset), "side", side)  # as what it learned from
        return ImageOps.fit(image.convert(mode), (side, side), Image.Resampling.BILINEAR)

    def codes(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Codes of pictures of any size and mode: int8 (n, bits) of -1 and +1."""
        return loop.encode(self.model, self._inputs(images), precision=self.precision).cpu().numpy()

    def _inputs(self, images: Sequence[Image.Image]) -> torch.Tensor:
        pixels = np.stack([np.asarray(self.fitted(image)) for image in images])
        if not self.config.backbone:
            _, own = GREY[self.config.dataset]
            return torch.from_numpy((pixels[:, None] / 255.0 - own.mean) / own.std).float()
        with torch.no_grad():
            return self._backbone(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous())

    @cached_property
    def _backbone(self) -> nn.Module:
        return backbones.load(self.config.backbone)


@dataclass(frozen=True, eq=False)  # compared and hashed as the object that it is
class Collection:
    """What is searched: pictures by number, what each is called, their codes, and an index over these.

    Attributes:
        title: of the whole.
        hasher: what made the codes, and makes those of queries.
        codes: int8 (n, bits) of -1 and +1.
        names: n of them.
        picture: number -> RGB picture.
        kind: of the index, one of `indexes.KINDS`.
        faults: files that are not part of it, each with its reason.
    """

    title: str
    hasher: Hasher
    codes: np.ndarray
    names: Sequence[str]
    picture: Callable[[int], Image.Image]
    kind: str = "flat"
    faults: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def index(self) -> CodeIndex:
        """The index over the codes, built when it is first asked."""
        return CodeIndex(self.codes, self.kind)

    def search(self, image: Image.Image, k: int = 10) -> list[Answer]:
        """The `k` items nearest to `image`, or all where there are fewer; an approximate index may find less."""
        [code] = asked = self.hasher.codes([image])
        found = self.index.search(asked, min(k, len(self)))
        return [
            Answer(item, self.names[item], distance, tuple(np.flatnonzero(code != self.codes[item]).tolist()))
            for item, distance in zip(found.items[0].tolist(), found.distances[0].tolist(), strict=True)
            if item >= 0
        ]


def of_run(config: RunConfig, store: Store, *, part: str = "database", kind: str = "flat") -> Collection:
    """The database of a run, or its queries, with the codes that it saved; it is trained now if it was not yet.

    Args:
        config: the run.
        store: the folder of results in which it lies.
        part: "database" or "query".
        kind: of the index.
    """
    hasher = Hasher.of(config, store)
    split = datasets.load(config.dataset, draw=config.draw, protocol=config.protocol)
    own = getattr(split, part)
    rows = own.labels.tolist() if own.labels.ndim == 1 else [row.nonzero()[:, 0].tolist() for row in own.labels]
    names = [", ".join(split.classes[label] for label in np.atleast_1d(row)) for row in rows]

    def picture(item: int) -> Image.Image:
        if config.backbone:
            return Image.fromarray(own.inputs[item].permute(1, 2, 0).numpy())
        _, form = GREY[config.dataset]
        grey = (own.inputs[item, 0].numpy() * form.std + form.mean) * 255.0
        return Image.fromarray(grey.round().astype(np.uint8)).convert("RGB")

    return Collection(split.name, hasher, getattr(codes_of(config, store), part), names, picture, kind)


def of_folder(folder: Path | str, hasher: Hasher, *, kind: str = "flat") -> Collection:
    """The pictures below a folder, by path; links out of it are passed over, and `faults` names what cannot be read.

    The codes are kept in the cache of the results, until a file or the network changes.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it holds no picture that can be read; the message names the first fault.
    """
    folder = Path(folder).expanduser().resolve()
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder: expected one with pictures")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and _inside(path, folder))
    kept = paths.cache() / "folders" / f"{_mark(folder, files, hasher)}.npz"
    found = _kept(kept)
    if found is None:
        found, lasting = _hashed(folder, files, hasher)
        if lasting:
            write_arrays(kept, **found)
    codes, names, faults = found["codes"], found["names"].tolist(), found["faults"].tolist()
    if not names:
        raise ValueError(f"{folder} holds no picture to search: {faults[0] if faults else f'expected {_suffixes()}'}")

    def picture(item: int) -> Image.Image:
        if not _inside(path := folder / names[item], folder):  # it may have become a link since
            raise FileNotFoundError(f"{names[item]} is no longer a file of {folder.name}")
        return opened(path.read_bytes(), names[item])

    return Collection(folder.name, hasher, codes, names, picture, kind, tuple(faults))


def _kept(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays that were kept, or None where there are none, or damaged ones."""
    try:
        with path.open("rb") as file, np.load(file) as arrays:  # of a damaged file NumPy closes nothing
            return dict(arrays)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def _hashed(folder: Path, files: Sequence[Path], hasher: Hasher) -> tuple[dict[str, np.ndarray], bool]:
    """The `codes` of the pictures among `files`, their `names`, the `faults` of the others; and whether these last."""
    codes, names, faults, lasting = [np.empty((0, hasher.config.bits), np.int8)], [], [], True
    for start in bar(range(0, len(files), BATCH), f"hashing {folder.name}", unit="batch"):
        images = []
        for path in files[start : start + BATCH]:
            name = path.relative_to(folder).as_posix()
            try:
                images.append(hasher.fitted(opened(path.read_bytes(), name)))  # a large picture is let go at once
                names.append(name)
            except OSError as error:
                faults.append(f"{name} cannot be read: {error.strerror}")
                lasting = False  # who may read it changes without a trace in the file
            except ValueError as error:
                faults.append(str(error))
        codes += [hasher.codes(images)] if images else []
    arrays = {"codes": np.concatenate(codes), "names": np.array(names, str), "faults": np.array(faults, str)}
    return arrays, lasting


def _mark(folder: Path, files: Sequence[Path], hasher: Hasher) -> str:
    """What the codes of a folder depend on: format, network, and of each file its name, size and time of change."""
    states = [(path.relative_to(folder).as_posix(), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    own = f"{FORMAT} {hasher.config} {checksum(hasher.model)} {hasher.precision} {states}"
    return hashlib.sha256(own.encode()).hexdigest()[:16]


def _inside(path: Path, folder: Path) -> bool:
    """Whether `path` is a file that lies below `folder`, also after its links."""
    return path.is_file() and path.resolve().is_relative_to(folder)


def _suffixes() -> str:
    return "files ending in " + ", ".join(sorted(SUFFIXES))
