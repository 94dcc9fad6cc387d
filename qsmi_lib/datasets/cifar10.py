"""CIFAR-10 (Krizhevsky, 2009): 50,000 training pictures, which are the database too, and 10,000 queries."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from qsmi_lib.datasets.base import Part, Split
from qsmi_lib.datasets.images.image_folder import order, read
from qsmi_lib.utils import paths
from qsmi_lib.utils.io import atomic_write

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE, N_TRAIN, N_QUERY = 32, 50_000, 10_000
# Of the pixels, training pictures first, each part in `image_folder.order`; then of the labels as uint8.
SHA256 = "d094fe3152d0019fc21fcebedbc9b70c899f44ae9101e3479ec367dc8a44e0d5"
FETCH = "put cifar10.zip, a folder cifar10/{train,test}/<class> or torchvision's download where QSMI_DATA points"
BATCHES = "cifar-10-batches-py"  # torchvision's name for the folder that it downloads


def fingerprint(draw: int) -> str:
    """The data and the division, which is the official one and has no draws."""
    if draw != 0:
        raise ValueError(f"cifar10 has one split: draw must be 0, got {draw}")
    return f"{SHA256[:16]}-official"


def find() -> Path | None:
    """The first of a zip, a folder of pictures and torchvision's batches that lies under QSMI_DATA, or None."""
    own = paths.data()
    return next((place for place in (own / "cifar10.zip", own / "cifar10", own / BATCHES) if place.exists()), None)


def load(draw: int) -> Split:
    """CIFAR-10 as uint8 pictures (n, 3, 32, 32) from where `find` sees it, else downloaded by torchvision.

    What was decoded is kept under the folder of results, and mapped into memory from there.

    Raises:
        FileNotFoundError: the data are not here and cannot be downloaded; the message says how to get them.
        ValueError: a file is damaged, or its pictures are not CIFAR-10's; the message names it.
    """
    mark = fingerprint(draw)
    kept = paths.cache() / f"cifar10-{SHA256[:16]}.safetensors"
    images, labels = _kept(kept) or _decoded(find() or download(), kept)
    train, query = (Part(images[rows], labels[rows]) for rows in (slice(N_TRAIN), slice(N_TRAIN, None)))
    return Split("cifar10", train, query, train, mark, CLASSES)


def download() -> Path:
    """torchvision's download into the data folder; FileNotFoundError with the ways to get the data where it fails."""
    from torchvision.datasets import CIFAR10

    try:
        CIFAR10(paths.data(), download=True)
    except (OSError, RuntimeError) as error:
        message = f"CIFAR-10 is not on this machine and its download failed ({error}): {FETCH}"
        raise FileNotFoundError(message) from error
    return paths.data() / BATCHES


def checksum(images: Tensor, labels: Tensor) -> str:
    """SHA-256 of pixels and labels in their order."""
    digest = hashlib.sha256(images.contiguous().numpy())
    digest.update(labels.to(torch.uint8).numpy())
    return digest.hexdigest()


def _kept(path: Path) -> tuple[Tensor, Tensor] | None:
    """Pictures and labels that were decoded before; None where there are none, or the file is damaged."""
    try:
        held = load_file(path)
        found = held["images"], held["labels"].long()
    except (FileNotFoundError, SafetensorError, KeyError):
        return None
    return found if checksum(*found) == SHA256 else None


def _decoded(source: Path, kept: Path) -> tuple[Tensor, Tensor]:
    """Pictures and labels of `source`, training pictures first, compared with the known checksum and kept."""
    if source.name == BATCHES:
        parts = {"train": [f"data_batch_{k}" for k in range(1, 6)], "test": ["test_batch"]}
        found = {part: _batches([source / name for name in names]) for part, names in parts.items()}
    else:
        found = {part: own[1:] for part, own in read(source, ("train", "test"), CLASSES, SIDE).items()}
    for part, n in {"train": N_TRAIN, "test": N_QUERY}.items():
        if len(found[part][0]) != n:
            raise ValueError(f"{source} holds {len(found[part][0])} pictures of the part {part!r}: expected {n}")
    images, labels = (torch.cat([found[part][k] for part in ("train", "test")]) for k in (0, 1))
    if (digest := checksum(images, labels)) != SHA256:
        raise ValueError(f"{source} does not hold CIFAR-10's pixels: expected SHA-256 {SHA256}, got {digest}; {FETCH}")
    with atomic_write(kept) as partial:
        save_file({"images": images, "labels": labels.to(torch.uint8)}, partial)
    return images, labels


class _Arrays(pickle.Unpickler):
    """Reads lists, dictionaries and NumPy arrays, and refuses to run anything else."""

    def find_class(self, module: str, name: str):
        allowed = {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}
        cores = ("numpy.core.multiarray", "numpy._core.multiarray")
        if (module, name) in allowed:
            return super().find_class(module, name)
        if module in cores and name == "_reconstruct":
            return np.empty(0).__reduce__()[0]  # that function, whatever this NumPy calls its module
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no batch of pictures needs")


def _batches(files: list[Path]) -> tuple[Tensor, Tensor]:
    """Pictures and labels of torchvision's batches, in `image_folder.order`."""
    names, images, labels = [], [], []
    for path in files:
        try:
            with path.open("rb") as file:
                batch = _Arrays(file, encoding="latin1").load()
            names += [f"{CLASSES[k]}/{Path(n).stem}" for k, n in zip(batch["labels"], batch["filenames"], strict=True)]
            images.append(np.asarray(batch["data"], np.uint8).reshape(len(batch["labels"]), 3, SIDE, SIDE))
            labels += batch["labels"]
        except FileNotFoundError as error:
            raise ValueError(f"{path} is missing: expected torchvision's six batches; {FETCH}") from error
        except Exception as error:  # a damaged pickle raises whatever its bytes happen to say
            raise ValueError(f"{path} is damaged or no batch of CIFAR-10: {error}; {FETCH}") from error
    rows = order(names)
    return torch.from_numpy(np.concatenate(images)[rows]), torch.tensor(labels)[rows]
