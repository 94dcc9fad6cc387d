"""Pictures in files, decoded when they are needed: as many as a disk holds, of any size."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from qsmi_lib.datasets.images import decoding
from qsmi_lib.datasets.images.archive import Tree
from qsmi_lib.datasets.images.entries import Fault
from qsmi_lib.utils.parallel import ahead
from qsmi_lib.utils.validation import known

UNREADABLE = (OSError, ValueError)  # what `Tree.bytes_of` and `decode` raise
FORMAT = 3  # of decoded pictures; increase it if pictures are decoded in another way


class Pictures:
    """Pictures of a folder or zip, indexed like a tensor uint8 (n, 3, side, side).

    ``pictures[rows]`` with indices or a slice decodes those rows, on several threads. With a boolean mask it returns
    the `Pictures` of those rows and decodes nothing. `decode` says what a picture becomes.

    Args:
        root: the folder or zip.
        paths: of the pictures, below `root`.
        where: the line that lists each picture; errors name it.
        side: pixels of each side.
        device: of the decoded pictures.
        resample, squash: how pictures are scaled, as of `decoding.fit`.
    """

    dtype, ndim = torch.uint8, 4

    def __init__(
        self,
        root: Path,
        paths: Sequence[str],
        where: Sequence[str],
        side: int,
        device: torch.device | str = "cpu",
        *,
        resample: str = "bilinear",
        squash: bool = False,
    ):
        known("resampling filter", decoding.RESAMPLING, resample)
        self.root, self.device = root, torch.device(device)
        self.side, self.resample, self.squash = side, resample, squash
        self.paths, self.where = np.asarray(paths, object), np.asarray(where, object)

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(n, 3, side, side)."""
        return len(self), 3, self.side, self.side

    def to(self, device: torch.device | str) -> "Pictures":
        """The same pictures, decoded to `device`."""
        return self.like(device=device)

    def __getitem__(self, rows: int | slice | Tensor) -> "Tensor | Pictures":
        if isinstance(rows, int):
            return self[rows : rows + 1][0] if rows != -1 else self[-1:][0]
        if isinstance(rows, Tensor):
            rows = rows.cpu().numpy()
            if rows.dtype == bool:
                return self.like(paths=self.paths[rows], where=self.where[rows])
        rows = np.arange(len(self))[rows]
        return self._stacked(list(ahead(self._decoded, rows, torch.get_num_threads(), len(rows))))

    def split(self, size: int) -> Iterator[Tensor]:
        """Decoded pictures, `size` at a time; the following ones are decoded meanwhile."""
        return (images for images, _ in self.batches(size))

    def batches(
        self, size: int, start: int = 0, stop: int | None = None, *, skip_unreadable: bool = False
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Decoded pictures, `size` rows at a time; two further batches are decoded while the caller computes.

        Threads decode, because Pillow lets other threads run meanwhile. Processes would have to import PyTorch first,
        and to send every picture to this one.

        Args:
            size: rows of a batch.
            start: the first row.
            stop: the row after the last one; None: all rows.
            skip_unreadable: leave out pictures that cannot be decoded, instead of a ValueError.

        Yields:
            The pictures, and a mask of the rows of the batch, bool (rows,): whether each is among the pictures.
        """
        rows, threads = range(len(self))[start:stop], torch.get_num_threads()
        call = self._decoded_or_none if skip_unreadable else self._decoded
        with closing(ahead(call, rows, threads, 2 * (size + threads))) as decoded:
            for first in range(0, len(rows), size):
                batch = [next(decoded) for _ in rows[first : first + size]]
                mask = torch.tensor([image is not None for image in batch])
                yield self._stacked([image for image in batch if image is not None]), mask

    def fault(self, row: int) -> Fault | None:
        """Why a picture cannot be decoded, in the words of ``datasets check``; None if it can be."""
        try:
            self._read(row)
        except UNREADABLE as error:
            return unreadable(self.where[row], self.paths[row], error)
        return None

    @property
    def fingerprint(self) -> str:
        """SHA-256 of paths, of `Tree.fingerprint` of each file, of `side`, filter and `FORMAT`; nothing is decoded."""
        form = f"{self.side} {FORMAT}" + (f" {self.resample}" if self.resample != "bilinear" else "")
        form += " squash" * self.squash
        digest = hashlib.sha256(form.encode())
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

    def like(self, **changes) -> "Pictures":
        """The same pictures, but for the arguments that are given."""
        names = ("root", "paths", "where", "side", "device", "resample", "squash")
        return Pictures(**({name: getattr(self, name) for name in names} | changes))

    def _read(self, row: int) -> np.ndarray:
        return decode(self._tree.bytes_of(self.paths[row]), self.side, self.resample, self.squash)

    def _decoded(self, row: int) -> np.ndarray:
        try:
            return self._read(row)
        except UNREADABLE as error:
            where, path = self.where[row], self.paths[row]
            raise ValueError(f"{where}: {path} of {self.root} cannot be read as a picture ({error})") from error

    def _decoded_or_none(self, row: int) -> np.ndarray | None:
        try:
            return self._read(row)
        except UNREADABLE:
            return None

    def _stacked(self, images: list[np.ndarray]) -> Tensor:
        """Pictures (side, side, 3) as one tensor uint8 (n, 3, side, side) on the device."""
        pixels = np.stack(images) if images else np.empty((0, self.side, self.side, 3), np.uint8)
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().to(self.device)


def decode(content: bytes, side: int, resample: str = "bilinear", squash: bool = False) -> np.ndarray:
    """The picture in the bytes of a file, RGB uint8 (side, side, 3): `decoding.read`, then `decoding.fit`.

    Raises:
        ValueError: as `decoding.read`.
    """
    return np.asarray(decoding.fit(decoding.read(content, side), side, resample, squash))


def unreadable(where: str, path: str, error: Exception | str) -> Fault:
    """The fault of a picture that cannot be decoded; in folders `where` is its path."""
    return Fault(where, f"{path} " * (where != path) + f"cannot be read as a picture ({error})")
