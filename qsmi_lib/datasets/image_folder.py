"""Pictures in a tree ``<part>/<class>/<name>``, a folder or a zip of one, as tensors."""

import hashlib
import io
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from qsmi_lib.progress import bar

Entry = tuple[str, str, str]  # part, class, file name


def read(
    source: Path, parts: Sequence[str], classes: Sequence[str], side: int
) -> dict[str, tuple[list[str], Tensor, Tensor]]:
    """All pictures below `source`, each part in the order of `order`.

    Args:
        source: a folder with ``<part>/<class>/<name>.<suffix>``, or a zip with the same below one folder.
        parts: names of the parts, each of which must be there.
        classes: names of the classes, in the order of the labels.
        side: pixels of each side.

    Returns:
        part -> names ``<class>/<stem>``, images uint8 (n, 3, side, side), labels int64 (n,).

    Raises:
        ValueError: the zip is damaged, a folder is of no known part or class, a part is empty, a picture cannot be read
            or is not RGB of that size; the message names the file and what was expected.
    """
    found = {part: [] for part in parts}
    with _Tree(source) as tree:
        for place, entry in tree.entries():
            for kind, name, known in (("part", entry[0], parts), ("class", entry[1], classes)):
                if name not in known:
                    raise ValueError(f"{place} is of an unknown {kind} {name!r}: expected {', '.join(known)}")
            found[entry[0]].append((f"{entry[1]}/{Path(entry[2]).stem}", place, entry))
        for part, own in found.items():
            if not own:
                raise ValueError(f"{source} holds no pictures of the part {part!r}: expected {part}/<class>/<name>")
        return {part: _pictures(tree, own, classes, side) for part, own in found.items()}


def order(names: Sequence[str]) -> np.ndarray:
    """The order of items by SHA-256 of their names ``<class>/<stem>``: the same from every source, by no class."""
    return np.argsort([hashlib.sha256(name.encode()).hexdigest() for name in names])


def _pictures(tree: "_Tree", own: list, classes: Sequence[str], side: int) -> tuple[list[str], Tensor, Tensor]:
    own = [own[index] for index in order([name for name, *_ in own])]
    images = np.empty((len(own), side, side, 3), np.uint8)
    for row, (_, place, entry) in zip(images, bar(own, f"reading {tree.source.name}", unit="picture"), strict=True):
        row[:] = _picture(tree.bytes_of(entry), place, side)
    labels = torch.tensor([classes.index(entry[1]) for *_, entry in own])
    return [name for name, *_ in own], torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), labels


def _picture(content: bytes, place: str, side: int) -> np.ndarray:
    wanted = f"RGB of {side} x {side}"
    try:
        with Image.open(io.BytesIO(content)) as image:
            got = f"{image.mode} of {image.width} x {image.height}"
            pixels = np.asarray(image) if got == wanted else None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        kind = type(error).__name__  # its text may name nothing but an address in memory
        raise ValueError(
            f"{place} cannot be read ({kind}): expected an RGB picture of {side} x {side} pixels"
        ) from error
    if pixels is None:
        raise ValueError(f"{place} must be an RGB picture of {side} x {side} pixels, got {got}")
    return pixels


def _hidden(path: Path) -> bool:
    return any(step.startswith((".", "__MACOSX")) for step in path.parts)


class _Tree:
    """A folder or a zip: its entries, and what is in them."""

    def __init__(self, source: Path):
        self.source = source
        self.zip = None
        if not source.is_dir():
            try:
                self.zip = zipfile.ZipFile(source)
            except zipfile.BadZipFile as error:
                raise ValueError(
                    f"{source} is damaged or truncated: expected a zip of pictures, but {str(error).lower()}"
                ) from error

    def __enter__(self) -> "_Tree":
        return self

    def __exit__(self, *_) -> None:
        if self.zip is not None:
            self.zip.close()

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """Each file's place, as messages name it, and its entry; hidden files are passed over."""
        if self.zip is None:
            names = [path.relative_to(self.source) for path in sorted(self.source.rglob("*")) if path.is_file()]
        else:
            shown = [n for n in self.zip.namelist() if not n.endswith("/") and not _hidden(Path(n))]
            names = [Path(*Path(n).parts[1:]) for n in shown]
            self.names = dict(zip(names, shown, strict=True))
        for name in names:
            if _hidden(name):
                continue
            place = f"{name} of {self.source}"
            if len(name.parts) != 3:
                raise ValueError(f"{place} lies at an unexpected depth: expected <part>/<class>/<name>")
            yield place, name.parts

    def bytes_of(self, entry: Entry) -> bytes:
        """What is in a file; a ValueError names a zip whose checksum of it does not hold."""
        if self.zip is None:
            return self.source.joinpath(*entry).read_bytes()
        try:
            return self.zip.read(self.names[Path(*entry)])
        except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, zipfile.zlib.error) as error:
            raise ValueError(f"{self.source} is damaged at {'/'.join(entry)}: {error}") from error
