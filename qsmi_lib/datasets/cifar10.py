"""CIFAR-10 (Krizhevsky, 2009): 50,000 training pictures, which are also the database, and 10,000 queries."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save as serialized
from torch import Tensor

from qsmi_lib.datasets.base import Dataset, Part, Split
from qsmi_lib.datasets.images import manifest
from qsmi_lib.datasets.images.lazy import Pictures
from qsmi_lib.datasets.sampling import hash_order
from qsmi_lib.utils import io, paths
from qsmi_lib.utils.progress import bar
from qsmi_lib.utils.reading import read_tensors

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE, N_TRAIN, N_QUERY = 32, 50_000, 10_000
# Of the pixels, training pictures first, each part in the order of the SHA-256 of <class>/<stem>; then of the labels as
# uint8. torchvision's batches contain the stems too, so every source gives this order.
SHA256 = "d094fe3152d0019fc21fcebedbc9b70c899f44ae9101e3479ec367dc8a44e0d5"
FETCH = "put cifar10.zip, a folder cifar10/{train,test}/<class> or torchvision's download where QSMI_DATA points"
BATCHES = "cifar-10-batches-py"  # torchvision's name for the folder that it downloads
FILES = {"train": [f"data_batch_{k}" for k in range(1, 6)], "query": ["test_batch"]}


class Cifar10(Dataset):
    """CIFAR-10 in its official division, uint8 pictures (n, 3, 32, 32)."""

    name = "cifar10"
    classes = CLASSES
    fetch = FETCH

    def find(self) -> Path | None:
        """The first of a zip, a folder of pictures and torchvision's batches under QSMI_DATA."""
        places = [paths.data() / name for name in ("cifar10.zip", "cifar10", BATCHES)]
        return next((place for place in places if place.exists()), None)

    def fingerprint(self, draw: int) -> str:
        """Identifies the data and their one division."""
        if draw != 0:
            raise ValueError(f"cifar10 has one split: draw must be 0, got {draw}")
        return f"{SHA256[:16]}-official"

    def load(self, draw: int) -> Split:
        """CIFAR-10 from the source `find`, else downloaded by torchvision.

        The decoded pictures are cached under the folder of results, and mapped into memory from there. If they cannot
        be written there, a QsmiWarning says so.

        Raises:
            FileNotFoundError: the data are not here and cannot be downloaded; the message says how to get them.
            ValueError: a file is damaged, or does not hold CIFAR-10's pictures; the message names it.
        """
        fingerprint = self.fingerprint(draw)
        cache = paths.cache() / f"cifar10-{SHA256[:16]}.safetensors"
        images, labels = _read_cache(cache) or _decode(self.find() or download(), cache)
        train, query = (Part(images[rows], labels[rows]) for rows in (slice(N_TRAIN), slice(N_TRAIN, None)))
        return Split(self.name, train, query, train, fingerprint, CLASSES)


def download() -> Path:
    """Download with torchvision into the data folder; a FileNotFoundError says how to get the data otherwise."""
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


def _read_cache(path: Path) -> tuple[Tensor, Tensor] | None:
    """Pictures and labels that were decoded before; None if there are none, or the file is damaged."""
    try:
        tensors, _ = read_tensors(path, needs_checksum=False)
        images, labels = tensors["images"], tensors["labels"].long()
    except (OSError, ValueError, KeyError):
        return None
    whole = images.shape == (N_TRAIN + N_QUERY, 3, SIDE, SIDE) and images.dtype == torch.uint8
    return (images, labels) if whole and checksum(images, labels) == SHA256 else None


def _decode(source: Path, cache: Path) -> tuple[Tensor, Tensor]:
    """Pictures and labels of `source`, training pictures first; verified by their checksum and written to `cache`."""
    parts = _read_batches(source) if source.name == BATCHES else _read_pictures(source)
    for part, n in {"train": N_TRAIN, "query": N_QUERY}.items():
        if len(parts[part][0]) != n:
            raise ValueError(f"{source} holds {len(parts[part][0])} pictures of the part {part!r}: expected {n}")
    images, labels = (torch.cat([parts[part][k] for part in ("train", "query")]) for k in (0, 1))
    if (digest := checksum(images, labels)) != SHA256:
        raise ValueError(f"{source} does not hold CIFAR-10's pixels: expected SHA-256 {SHA256}, got {digest}; {FETCH}")
    with io.optional():
        io.write_bytes(cache, serialized({"images": images, "labels": labels.to(torch.uint8)}))
    return images, labels


def _read_pictures(source: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """Pictures and labels of each part of a folder or zip with ``{train,test}/<class>/<stem>.<suffix>``."""
    items = manifest.read(source).checked()
    if items.classes != CLASSES or items.labels.ndim != 1:
        raise ValueError(f"{source} holds the classes {', '.join(items.classes)}: expected {', '.join(CLASSES)}")
    names = np.array([f"{Path(path).parent.name}/{Path(path).stem}" for path in items.paths])
    parts = {}
    for part in FILES:
        rows = items.parts.get(part, np.empty(0, np.int64))
        rows = rows[hash_order(names[rows])]
        pictures = Pictures(items.root, np.array(items.paths)[rows], np.array(items.where)[rows], SIDE)
        batches = bar(pictures.split(1000), f"reading {source.name}", total=-(-len(rows) // 1000), unit="batch")
        images = torch.cat([torch.empty(0, 3, SIDE, SIDE, dtype=torch.uint8), *batches])
        parts[part] = images, torch.from_numpy(items.labels[rows])
    return parts


class _Arrays(pickle.Unpickler):
    """Reads lists, dictionaries and NumPy arrays, and refuses to run anything else."""

    def find_class(self, module: str, name: str):
        allowed = {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}
        cores = ("numpy.core.multiarray", "numpy._core.multiarray")
        if (module, name) in allowed:
            return super().find_class(module, name)
        if module in cores and name == "_reconstruct":
            return np.empty(0).__reduce__()[0]  # that function, whatever this NumPy calls its module
        raise pickle.UnpicklingError(f"it needs {module}.{name}, which no batch of pictures contains")


def _read_batches(folder: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """Pictures and labels of each part of torchvision's batches."""
    parts = {}
    for part, files in FILES.items():
        names, images, labels = [], [], []
        for path in (folder / name for name in files):
            try:
                with path.open("rb") as file:
                    batch = _Arrays(file, encoding="latin1").load()
                stems = [Path(name).stem for name in batch["filenames"]]
                names += [f"{CLASSES[k]}/{stem}" for k, stem in zip(batch["labels"], stems, strict=True)]
                images.append(np.asarray(batch["data"], np.uint8).reshape(len(batch["labels"]), 3, SIDE, SIDE))
                labels += batch["labels"]
            except FileNotFoundError as error:
                raise ValueError(f"{path} is missing: expected torchvision's six batches; {FETCH}") from error
            except Exception as error:  # a damaged pickle raises whatever its bytes happen to say
                raise ValueError(f"{path} is damaged or no batch of CIFAR-10: {error}; {FETCH}") from error
        rows = hash_order(names)
        parts[part] = torch.from_numpy(np.concatenate(images)[rows]), torch.tensor(labels)[rows]
    return parts
