"""Pictures in files, decoded when they are needed: as many as a disk holds, of any size."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from qsmi_lib.datasets.images import decoding
from qsmi_lib.datasets.images.archive import Tree

UNREADABLE = (OSError, ValueError)  # what `Tree.bytes_of` and `decode` raise
FORMAT = 2  # of decoded pictures; increase it if pictures are decoded in another way


class Pictures:
    """Pictures of a folder or zip, indexed like a tensor uint8 (n, 3, side, side).

    ``pictures[rows]`` with indices or a slice decodes those rows, on several threads. With a boolean mask it returns
    the `Pictures` of those rows and decodes nothing. A picture is scaled, bilinear and antialiased, until its shorter
    side has `side` pixels, and cropped to its centre. It becomes RGB of 8 bits as `decoding.read` says. The orientation
    in EXIF data is ignored.

    Args:
        root: the folder or zip.
        paths: of the pictures, below `root`.
        where: the line that lists each picture; errors name it.
        side: pixels of each side.
        device: of the decoded pictures.
    """

    dtype, ndim = torch.uint8, 4

    def __init__(
        self, root: Path, paths: Sequence[str], where: Sequence[str], side: int, device: torch.device | str = "cpu"
    ):
        self.root, self.side, self.device = root, side, torch.device(device)
        self.paths, self.where = np.asarray(paths, object), np.asarray(where, object)

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(n, 3, side, side)."""
        return len(self), 3, self.side, self.side

    def to(self, device: torch.device | str) -> "Pictures":
        """The same pictures, decoded to `device`."""
        return Pictures(self.root, self.paths, self.where, self.side, device)

    def __getitem__(self, rows: int | slice | Tensor) -> "Tensor | Pictures":
        if isinstance(rows, int):
            return self[rows : rows + 1][0] if rows != -1 else self[-1:][0]
        if isinstance(rows, Tensor):
            rows = rows.cpu().numpy()
            if rows.dtype == bool:
                return Pictures(self.root, self.paths[rows], self.where[rows], self.side, self.device)
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            decoded = list(pool.map(self._decode, self.paths[rows], self.where[rows]))
        images = np.stack(decoded) if decoded else np.empty((0, self.side, self.side, 3), np.uint8)
        return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().to(self.device)

    def split(self, size: int) -> Iterator[Tensor]:
        """Decoded pictures, `size` at a time."""
        return (self[start : start + size] for start in range(0, len(self), size))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of paths, of `Tree.fingerprint` of each file, of `side` and `FORMAT`; nothing is decoded."""
        digest = hashlib.sha256(f"{self.side} {FORMAT}".encode())
        for path in self.paths:
            digest.update(f"\n{path} {self._tree.fingerprint(path)}".encode())
        return digest.hexdigest()

    @property
    def checksum(self) -> str:
        """SHA-256 of the paths and bytes of the files, in the order of the paths: equal for folder and zip."""
        digest = hashlib.sha256()
        for path in sorted(self.paths):
            digest.update(path.encode() + self._tree.bytes_of(path))
        return digest.hexdigest()

    @cached_property
    def _tree(self) -> Tree:
        """The files, opened once: reading the directory of a zip takes long."""
        return Tree(self.root)

    def _decode(self, path: str, where: str) -> np.ndarray:
        try:
            return decode(self._tree.bytes_of(path), self.side)
        except UNREADABLE as error:
            raise ValueError(f"{where}: {path} of {self.root} cannot be read as a picture ({error})") from error


def decode(content: bytes, side: int) -> np.ndarray:
    """The picture in the bytes of a file, RGB uint8 (side, side, 3); a ValueError as of `decoding.read`."""
    return np.asarray(ImageOps.fit(decoding.read(content), (side, side), Image.Resampling.BILINEAR))
