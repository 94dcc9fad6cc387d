"""Fashion-MNIST (Xiao et al., 2017): 60,000 training images, which are the database too, and 10,000 queries."""

import gzip
import hashlib
import zlib
from pathlib import Path

import numpy as np
import torch

from qsmi_lib.datasets.base import Part, Split
from qsmi_lib.utils import paths

CLASSES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
MEAN, STD = 0.1307, 0.3081  # MNIST's constants, as the authors' code has them; Fashion-MNIST's own are 0.2860, 0.3530
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
FETCH = "get it with `apt-get install dataset-fashion-mnist`, or go online: torchvision then downloads it"
FILES = {  # name: shape and SHA-256 of its contents, after gzip: header and all
    "train-images-idx3-ubyte": (
        (60000, 28, 28),
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    "train-labels-idx1-ubyte": ((60000,), "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    "t10k-images-idx3-ubyte": ((10000, 28, 28), "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
    "t10k-labels-idx1-ubyte": ((10000,), "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
}


def fingerprint(draw: int) -> str:
    """The data and the division, which is the official one and has no draws."""
    if draw != 0:
        raise ValueError(f"fashion_mnist has one split: draw must be 0, got {draw}")
    return "-".join(digest[:8] for _, digest in FILES.values())


def find() -> Path | None:
    """The first folder with all four files, or None: under QSMI_DATA, a download there, Debian's package."""
    own = paths.data()
    for folder in (own, own / "fashion-mnist", own / "fashion_mnist", own / "FashionMNIST" / "raw", DEBIAN):
        if all(_file(folder, name) for name in FILES):
            return folder
    return None


def load(draw: int) -> Split:
    """Fashion-MNIST from where `find` sees it, else downloaded by torchvision into the data folder.

    Raises:
        FileNotFoundError: the data are not here and cannot be downloaded; the message says how to get them.
        ValueError: a file is damaged or truncated; the message names it.
    """
    mark = fingerprint(draw)
    folder = find() or download()
    arrays = {name: read(_file(folder, name)) for name in FILES}
    train, query = (
        Part(
            torch.from_numpy((arrays[f"{part}-images-idx3-ubyte"][:, None] / 255.0 - MEAN) / STD).float(),
            torch.from_numpy(arrays[f"{part}-labels-idx1-ubyte"].astype(np.int64)),
        )
        for part in ("train", "t10k")
    )
    return Split("fashion_mnist", train, query, train, mark, CLASSES)


def download() -> Path:
    """torchvision's download into the data folder; FileNotFoundError with the ways to get the data where it fails."""
    from torchvision.datasets import FashionMNIST

    try:
        FashionMNIST(paths.data(), download=True)
    except (OSError, RuntimeError) as error:
        message = f"Fashion-MNIST is not on this machine and its download failed ({error}): {FETCH}"
        raise FileNotFoundError(message) from error
    return paths.data() / "FashionMNIST" / "raw"


def read(path: Path) -> np.ndarray:
    """The array of one of the four IDX files, gzipped or not, its count and checksum compared with the known ones."""
    shape, digest = FILES[path.name.removesuffix(".gz")]
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is damaged or truncated: {error}; delete it, then {FETCH}") from error
    expected = int(np.prod(shape)) + 4 + 4 * len(shape)
    if len(raw) != expected:
        raise ValueError(
            f"{path} is truncated: expected {expected} bytes unpacked, got {len(raw)}; delete it, then {FETCH}"
        )
    if (found := hashlib.sha256(raw).hexdigest()) != digest:
        raise ValueError(f"{path} is damaged: expected SHA-256 {digest} unpacked, got {found}; delete it, then {FETCH}")
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def _file(folder: Path, name: str) -> Path | None:
    """The file `name` of `folder`, plain or gzipped, or None."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)
