"""Features and labels made by a seeded generator in the shapes of the large data sets, on disk and mapped into memory.

They show what a data set of that size costs, in time and memory; of a method's quality they say nothing.
"""

import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from qsmi_lib.datasets.base import Part, Split
from qsmi_lib.utils import io
from qsmi_lib.utils.progress import bar
from qsmi_lib.utils.reading import map_array

POWER = 0.9  # of the law of label frequencies
NOISE = 2.0  # standard deviation of a feature around its labels' mean, which has a root mean square of 1


@dataclass(frozen=True)
class Shape:
    """How much there is of a data set.

    Attributes:
        name: registry name.
        title: as tables print it.
        n_items: of queries and database together.
        n_features: of an item.
        n_labels: how many different ones there are.
        labels_per_item: mean number of labels of an item, above 1; None: each item has a single one.
        n_query: the last items, which are the queries; the others are the database.
        n_train: the first items of the database, which train; None: all of it.

    Raises:
        ValueError: a part without items or larger than the whole, or more labels an item than the law can give.
    """

    name: str
    title: str
    n_items: int
    n_features: int
    n_labels: int
    labels_per_item: float | None
    n_query: int
    n_train: int | None = None

    def __post_init__(self):
        n_train = self.n_database if self.n_train is None else self.n_train
        if not (self.n_query >= 1 and 1 <= n_train <= self.n_database):
            sizes = f"{n_train} of {self.n_database} database items and {self.n_query} queries"
            raise ValueError(f"a shape must have queries, a database and training items in it, got {sizes}")
        most = 1.0 / _law(self.n_labels)[0]
        if self.labels_per_item is not None and not 1 < self.labels_per_item <= most:
            raise ValueError(
                f"labels_per_item must lie above 1 and reach {most:.3g} at most, got {self.labels_per_item}"
            )

    @property
    def n_database(self) -> int:
        """Number of items that are searched."""
        return self.n_items - self.n_query

    def shrunk(self, share: float) -> "Shape":
        """The shape with a share of the items, in (0, 1]; features and labels stay."""
        if not 0 < share <= 1:
            raise ValueError(f"share must lie in (0, 1], got {share}")
        n_train = None if self.n_train is None else round(self.n_train * share)
        sizes = {"n_items": round(self.n_items * share), "n_query": round(self.n_query * share), "n_train": n_train}
        return dataclasses.replace(self, **sizes)


def frequencies(shape: Shape) -> np.ndarray:
    r"""Share of the items that carry each label, float64 (n_labels,).

    Single labels are equally frequent. Of several, the j-th most frequent has :math:`f_j \propto j^{-0.9}`, scaled so
    that the shares add up to `labels_per_item`.
    """
    if shape.labels_per_item is None:
        return np.full(shape.n_labels, 1.0 / shape.n_labels)
    return shape.labels_per_item * _law(shape.n_labels)


def generate(shape: Shape, folder: Path, *, seed: int = 0, block: int = 1024) -> Split:
    """The data set of `shape`: that in `folder`, or a new one, which is written there block by block.

    Each label has a random direction. An item's features are the mean of its labels' directions, scaled to a root mean
    square of 1, plus Gaussian noise, and zero where that is negative, as after a ReLU. Labels are drawn independently,
    items without any again. Of two calls at once one waits for the other; a killed one leaves nothing that is taken for
    whole.

    Args:
        shape: what to generate.
        folder: where the two files lie, or will lie.
        seed: of everything.
        block: items at a time; what is generated does not depend on it.

    Returns:
        Views of two memory maps: inputs float32, labels int64. Where all of the database trains, it is the training
        part itself. What is written to the tensors stays with the caller.

    Raises:
        OSError: the files cannot be written, e.g. because the disk has no room for them.
    """
    mark = f"{shape.name}-{hashlib.sha256(f'{shape} {POWER} {NOISE} {seed}'.encode()).hexdigest()[:16]}"
    files = {kind: folder / f"{mark}-{kind}.npy" for kind in ("labels", "features")}
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{mark}.lock"):
        if not all(path.exists() for path in files.values()):
            for left in folder.glob(f".{mark}-*.partial"):  # by a killed call
                left.unlink()
            columns = 1 if shape.labels_per_item is None else shape.n_labels
            io.check_room(files["features"], shape.n_items * (4 * shape.n_features + 8 * columns))
            _write(shape, files, seed, block)
    labels, features = (torch.from_numpy(map_array(path)) for path in files.values())
    items = Part(features, labels)
    database, query = items[: shape.n_database], items[shape.n_database :]
    train = database if shape.n_train is None else database[: shape.n_train]
    return Split(shape.name, train, query, database, mark, tuple(map(str, range(shape.n_labels))))


def _law(n_labels: int) -> np.ndarray:
    """The power law, its sum 1."""
    weights = np.arange(1, n_labels + 1) ** -POWER
    return weights / weights.sum()


def _write(shape: Shape, files: dict[str, Path], seed: int, block: int) -> None:
    of_labels, of_directions, of_noise = (np.random.default_rng([seed, stream]) for stream in range(3))
    draw = _single_labels if shape.labels_per_item is None else _label_sets
    labels = draw(shape, of_labels)
    with io.atomic_write(files["labels"]) as partial, partial.open("wb") as file:
        file.write(io.npy_header(labels.shape, labels.dtype))
        file.write(labels)
    directions = of_directions.standard_normal((shape.n_labels, shape.n_features), np.float32)
    with io.atomic_write(files["features"]) as partial, partial.open("wb") as file:
        file.write(io.npy_header((shape.n_items, shape.n_features)))
        for start in bar(range(0, shape.n_items, block), f"{shape.title}, generated", unit="block"):
            means = _means(labels[start : start + block], directions)
            noise = of_noise.standard_normal(means.shape, np.float32)  # one stream, however it is cut
            file.write(np.maximum(means + NOISE * noise, 0.0))


def _single_labels(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """int64 (n_items,); classes of equal size, or one more."""
    return rng.permutation(shape.n_items) % shape.n_labels


def _label_sets(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """int64 (n_items, n_labels), multi-hot, no row empty.

    That empty rows are drawn again makes each label more frequent than a draw does, by one over the share of rows that
    are not empty: draws are as much rarer.
    """
    wanted, empty = frequencies(shape), 0.0
    for _ in range(1000):  # to the share of empty rows that the rarer draws themselves leave
        empty = np.prod(1.0 - wanted * (1.0 - empty))
    chance = wanted * (1.0 - empty)
    labels = np.zeros((shape.n_items, shape.n_labels), np.int64)
    while len(rows := np.flatnonzero(~labels.any(axis=1))):
        labels[rows] = rng.random((len(rows), shape.n_labels)) < chance
    return labels


def _means(labels: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """The mean direction of each item, scaled to a root mean square of 1: float32 (n, n_features)."""
    if labels.ndim == 1:
        sums = directions[labels]
    else:
        sums = np.zeros((len(labels), directions.shape[1]), np.float32)
        for label, direction in enumerate(directions):  # a matrix product would round by the number of rows
            sums[labels[:, label] == 1] += direction
    return sums / np.sqrt(np.square(sums).mean(axis=1, keepdims=True))


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("nus_wide", "NUS-WIDE", 195_834, 1920, 21, labels_per_item=2.1, n_query=2_100),
        Shape("ms_coco", "MS COCO", 122_218, 2048, 80, labels_per_item=2.9, n_query=5_000, n_train=10_000),
        Shape("ilsvrc", "ILSVRC", 1_331_167, 1920, 1000, labels_per_item=None, n_query=50_000),
    )
}
