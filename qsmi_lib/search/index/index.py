"""An index in use: codes of queries, and their nearest items."""

import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from PIL import Image

from qsmi_lib.datasets.images import decoding, files
from qsmi_lib.methods import METHODS
from qsmi_lib.models import backbones
from qsmi_lib.search.collection import Collection
from qsmi_lib.search.index import building, ranking, sources, storage, vectors
from qsmi_lib.search.index.storage import PICTURES, Stored
from qsmi_lib.utils import paths
from qsmi_lib.utils.precision import autocast
from qsmi_lib.utils.validation import QsmiWarning, whole_number


class Answer(NamedTuple):
    """An item of the result of a search.

    Attributes:
        name: path below the folder of the pictures; of a vector the number of its row, or its name in a Parquet file.
        distance: number of bits that differ from the query's code.
        labels: of the item; None if they are unknown.
        row: of the item in the index.
    """

    name: str | int
    distance: int
    labels: frozenset[str] | None
    row: int


class Index:
    """The codes of a folder of pictures, or of vectors, with the hasher that made them.

    Args:
        stored: what the folder of the index holds; `Index.load` reads it.

    Examples:
        >>> import tempfile
        >>> from sklearn.datasets import load_digits
        >>> digits, labels = load_digits(return_X_y=True)
        >>> index = Index.of_vectors(digits, labels, output=tempfile.mkdtemp(), bits=16)
        >>> [answer.distance for answer in index.search(digits[0], k=3)]
        [0, 0, 0]
    """

    def __init__(self, stored: Stored):
        self.stored = stored

    @classmethod
    def load(cls, folder: Path | str) -> "Index":
        """The index that `qsmi index` wrote to `folder`.

        Raises:
            FileNotFoundError: `folder` holds no index.
            ValueError: a file of the index is damaged, or missing.
        """
        return cls(storage.read(paths.expanded(folder)))

    @classmethod
    def of_pictures(cls, source: Path | str, output: Path | str | None = None, *, backbone: str | None = None,
                    labelled: bool = True, **settings) -> "Index":  # fmt: skip
        """Index the pictures of a folder, archive or list; see `building.build`, also for its `settings`.

        Args:
            source: the folder, archive or list.
            output: folder of the index; None: beside `source`, with the suffix `.index`.
            backbone: whose features are hashed; None: that of the index in `output`, or `sources.BACKBONE`.
            labelled: whether the labels of folders and lists are used.
        """
        place = paths.expanded(source)
        folder = default_output(place) if output is None else paths.expanded(output)
        items = sources.Folder(place, backbone or backbone_of(folder), labelled=labelled)
        return cls._built(building.build(items, folder, **settings))

    @classmethod
    def of_vectors(cls, values: ArrayLike, labels: ArrayLike | Sequence | None = None, *, output: Path | str,
                   **settings) -> "Index":  # fmt: skip
        """Index vectors; see `building.build`, also for its `settings`.

        Args:
            values: (n, d), finite, no row of zeros.
            labels: (n,) of any kind, multi-hot (n, c), or a set of names for each vector; None: unknown.
            output: folder of the index.
        """
        folder = paths.expanded(output)
        return cls._built(building.build(sources.Vectors.of(folder, values, labels), folder, **settings))

    @classmethod
    def _built(cls, built: building.Built) -> "Index":
        """The index; what is left out and what is worth knowing is a QsmiWarning each."""
        for text in (*built.faults, *built.notes):
            warnings.warn(str(text), QsmiWarning, stacklevel=3)
        return cls(built.index)

    def __len__(self) -> int:
        return len(self.stored)

    @property
    def kind(self) -> str:
        """What is indexed, "pictures" or "vectors"."""
        return self.stored.about["kind"]

    @property
    def bits(self) -> int:
        """Code length."""
        return self.stored.about["bits"]

    @property
    def method(self) -> str:
        """Title of the method that made the codes."""
        return METHODS[self.stored.about["method"]].title

    @property
    def source(self) -> Path:
        """Where the pictures or the file of vectors were, seen from where the index is now."""
        return (self.stored.folder / self.stored.about["source"]).resolve()

    def search(self, query: Path | str | Image.Image | ArrayLike, k: int = 10, *, rerank: int = 0) -> list[Answer]:
        """The `k` items whose codes are nearest to that of the query, or all if there are fewer; ties by row.

        Args:
            query: a picture or its file; a vector or its .npy file.
            k: number of answers, at least 1.
            rerank: so many of the nearest are ordered by the cosine of their stored features; 0: none.

        Raises:
            ValueError: a query of another kind or length, or one that cannot be read.
            FileNotFoundError, ImportError: the backbone's weights, or the file of the query, are missing.
        """
        k, rerank = whole_number("k", k, 1), whole_number("rerank", rerank, 0)
        feature = self.features(query)
        distances = self.distances(feature)
        rows = np.argsort(distances, kind="stable")[: max(k, rerank)]
        if rerank:
            first = rows[:rerank]
            rows[:rerank] = first[ranking.by_cosine(feature, self.stored.features(first))]
        return [self._answer(row, int(distances[row])) for row in rows[:k].tolist()]

    def features(self, query: Path | str | Image.Image | ArrayLike) -> np.ndarray:
        """The features of a query: float32 (d,); errors as of `search`."""
        if self.kind == PICTURES:
            return self.pictures.features([_opened(query, self.pictures.side)])[0]
        d = self.stored.about["n_features"]
        in_file = isinstance(query, Path | str)
        return vectors.read_query(paths.expanded(query), d) if in_file else vectors.query(query, d)

    def distances(self, feature: np.ndarray) -> np.ndarray:
        """The Hamming distance of each item to features (d,): uint16 (n,)."""
        code = np.packbits(self.stored.hasher.codes(feature[None]) > 0, axis=1)
        return np.bitwise_count(self.stored.codes ^ code).sum(axis=1, dtype=np.uint16)

    @cached_property
    def pictures(self) -> "PictureHasher":
        """Codes of pictures; a ValueError if the installed backbone is another one than that of the index."""
        return PictureHasher(self.stored)

    def collection(self) -> Collection:
        """The pictures as the app shows them.

        Raises:
            ValueError: an index of vectors.
        """
        if self.kind != PICTURES:
            raise ValueError(f"{self.stored.folder} is an index of vectors, which have no pictures: use `qsmi search`")
        items, about = list(self.stored.items), self.stored.about
        originals = sources.Originals(self.source, self.pictures.side)
        codes = np.unpackbits(self.stored.codes, axis=1, count=self.bits).astype(np.int8) * 2 - 1
        [own] = [row for row in about["scores"]["rows"] if (row["method"], row["bits"]) == (self.method, self.bits)]
        if about["labelled"]:
            score = {"mAP of the held-out tenth": own["map"]}
        else:
            score = {"recall of the 10 nearest by cosine": own["recall"]}
        return Collection(
            self.source.name,
            self.pictures,
            codes,
            [item.name for item in items],
            lambda row: originals.picture(items[row].name),
            labels=[item.labels for item in items] if about["labelled"] else (),
            method=about["method"],
            examples=[row for row, item in enumerate(items) if item.held_out],
            scores=score,
            likeness=self._likeness,
            notice="" if self.source.exists() else f"{self.source} is no longer there, so no thumbnail can be shown.",
        )

    def _likeness(self, image: Image.Image, rows: np.ndarray) -> np.ndarray:
        """The cosine of a picture's features with the stored ones of these rows."""
        [feature], stored = self.pictures.features([image]), self.stored.features(rows)
        norms = np.linalg.norm(feature) * np.linalg.norm(stored, axis=1)
        return stored @ feature / np.maximum(norms, np.finfo(np.float32).tiny)

    def _answer(self, row: int, distance: int) -> Answer:
        item = self.stored.item(row)
        return Answer(row if self._is_numbered else item.name, distance, item.labels, row)

    @cached_property
    def _is_numbered(self) -> bool:
        """Whether the names are the numbers of the rows."""
        return all(self.stored.item(row).name == str(row) for row in (0, len(self) - 1))


class PictureHasher:
    """Codes of pictures by the backbone and the hasher of an index.

    Args:
        stored: the index.

    Raises:
        ValueError: the backbone has other weights or another preprocessing than that of the index.
    """

    def __init__(self, stored: Stored):
        about = stored.about["backbone"]
        self.name, self._stored, entry = about["name"], stored, backbones.named(about["name"])
        now = {"checksum": entry.fingerprint, "preprocessing": building.preprocessing(self.name)}
        for what, value in now.items():
            if value != about[what]:
                raise ValueError(
                    f"{stored.folder} was made with {what} {about[what]!r} of the backbone {self.name}, the installed "
                    f"one has {value!r}: index again with --retrain"
                )
        self._entry, self._precision = entry, about["precision"]

    @property
    def side(self) -> int:
        """Pixels of the square that a picture is scaled to; pass it to `decoding.read`."""
        return self._entry.scaled

    def fitted(self, image: Image.Image, name: str = "the picture") -> Image.Image:
        """What the network sees of `image`, in RGB; any picture is accepted."""
        margin = (self.side - self._entry.side) // 2
        return self._fitted(image).crop((margin, margin, margin + self._entry.side, margin + self._entry.side))

    def codes(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Codes of pictures of any size and mode: int8 (n, bits) of -1 and +1."""
        return self._stored.hasher.codes(self.features(images))

    def features(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Features of pictures, float32 (n, d), in the precision of the index."""
        pixels = torch.from_numpy(np.stack([self._fitted(image) for image in images])).permute(0, 3, 1, 2)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network = self._network.to(device, memory_format=torch.channels_last)
        with torch.inference_mode(), autocast(self._precision, device):
            return network(pixels.contiguous().to(device)).float().cpu().numpy()

    def _fitted(self, image: Image.Image) -> Image.Image:
        return decoding.fit(image.convert("RGB"), self.side, self._entry.interpolation, self._entry.squash)

    @cached_property
    def _network(self) -> torch.nn.Module:
        return backbones.load(self.name)


def backbone_of(folder: Path) -> str:
    """The backbone of the index in `folder`, or the usual one where there is none."""
    about = storage.read(folder).about["backbone"] if storage.holds_index(folder) else None
    return about["name"] if about else sources.BACKBONE


def default_output(source: Path) -> Path:
    """The folder of the index of `source`, of a list its folder: beside it, under its name with the suffix `.index`."""
    place = sources.root_of(source.absolute())
    place = place.resolve() if not place.name or ".." in place.parts else place
    stem = place.name if place.is_dir() else place.name.removesuffix(place.suffix).removesuffix(".tar")
    return place.with_name(f"{stem}.index")


def about(index: Index) -> str:
    """What an index is, in one line."""
    about = index.stored.about
    by = "" if about["backbone"] is None else f", features by {about['backbone']['name']}"
    n_now, n_trained = len(about["labels"]), len(about["classes"])
    trained = "" if n_now == n_trained else f" ({n_trained} when the codes were learned)"
    labels = f", {n_now} labels{trained}" if about["labelled"] else ", no labels"
    return f"{len(index):,} {index.kind}{labels}{by}, {index.bits} bits by {index.method}"


def _opened(query: Path | str | Image.Image, side: int) -> Image.Image:
    """The picture of a query, decoded as those of the index; a ValueError names a file that cannot be read."""
    if isinstance(query, Image.Image):
        return decoding.rgb(query)
    if not isinstance(query, Path | str):
        raise ValueError(f"an index of pictures needs a picture or its file, got a {type(query).__name__}")
    path = paths.expanded(query)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: expected a picture")
    try:
        return decoding.read(files.read(path, decoding.MOST_BYTES), side)
    except ValueError as error:
        raise ValueError(f"{path} cannot be read as a picture ({error})") from error
