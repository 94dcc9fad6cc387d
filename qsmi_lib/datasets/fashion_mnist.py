"""Fashion-MNIST (Xiao et al., 2017): 60,000 training images, which are also the database, and 10,000 queries."""

import gzip
import hashlib
import zlib
from pathlib import Path

import numpy as np
import torch

from qsmi_lib.datasets.base import Dataset, Part, Split
from qsmi_lib.utils import paths
from qsmi_lib.utils.reading import damaged

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


class FashionMnist(Dataset):
    """Fashion-MNIST in its official division."""

    name = "fashion_mnist"
    classes = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
    mean, std = 0.1307, 0.3081  # MNIST's, as in the authors' code; those of Fashion-MNIST are 0.2860 and 0.3530
    fetch = FETCH

    def find(self) -> Path | None:
        """The first folder with all four files: under QSMI_DATA, torchvision's download there, Debian's package."""
        data = paths.data()
        for folder in (data, data / "fashion-mnist", data / "fashion_mnist", data / "FashionMNIST" / "raw", DEBIAN):
            if all(_file(folder, name) for name in FILES):
                return folder
        return None

    def fingerprint(self, draw: int) -> str:
        """Identifies the data and their one division."""
        if draw != 0:
            raise ValueError(f"fashion_mnist has one split: draw must be 0, got {draw}")
        return "-".join(digest[:8] for _, digest in FILES.values())

    def load(self, draw: int) -> Split:
        """Fashion-MNIST, float32 (n, 1, 28, 28), from the folder `find`, else downloaded by torchvision.

        Raises:
            FileNotFoundError: the data are not here and cannot be downloaded; the message says how to get them.
            ValueError: a file is damaged or truncated; the message names it.
        """
        fingerprint = self.fingerprint(draw)
        folder = self.find() or download()
        arrays = {name: read_idx(_file(folder, name)) for name in FILES}
        train, query = (
            Part(
                torch.from_numpy((arrays[f"{part}-images-idx3-ubyte"][:, None] / 255.0 - self.mean) / self.std).float(),
                torch.from_numpy(arrays[f"{part}-labels-idx1-ubyte"].astype(np.int64)),
            )
            for part in ("train", "t10k")
        )
        return Split(self.name, train, query, train, fingerprint, self.classes)


def download() -> Path:
    """Download with torchvision into the data folder; a FileNotFoundError says how to get the data otherwise."""
    from torchvision.datasets import FashionMNIST

    try:
        FashionMNIST(paths.data(), download=True)
    except (OSError, RuntimeError) as error:
        message = f"Fashion-MNIST is not on this machine and its download failed ({error}): {FETCH}"
        raise FileNotFoundError(message) from error
    return paths.data() / "FashionMNIST" / "raw"


def read_idx(path: Path) -> np.ndarray:
    """The array of one of the four IDX files, gzipped or not; its length and checksum are verified."""
    shape, digest = FILES[path.name.removesuffix(".gz")]
    remedy, expected = f"delete it, then {FETCH}", int(np.prod(shape)) + 4 + 4 * len(shape)
    with path.open("rb") as file:
        try:
            raw = (gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file).read(expected + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise damaged(path, error, remedy) from error
    if len(raw) != expected:
        got = "more" if len(raw) > expected else len(raw)
        raise damaged(path, f"expected {expected} bytes unpacked, got {got}", remedy)
    if (actual := hashlib.sha256(raw).hexdigest()) != digest:
        raise damaged(path, f"expected SHA-256 {digest} unpacked, got {actual}", remedy)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def _file(folder: Path, name: str) -> Path | None:
    """The file `name` of `folder`, plain or gzipped, or None."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)
