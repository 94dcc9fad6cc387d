"""Pictures in a tree ``<part>/<class>/<name>``, a folder or a zip of one, as tensors."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from qsmi_lib.datasets.images.archive import Tree
from qsmi_lib.utils.progress import bar


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
    with Tree(source) as tree:
        for path in tree.names():
            place, steps = f"{path} of {source}", path.split("/")
            if len(steps) != 3:
                raise ValueError(f"{place} lies at an unexpected depth: expected <part>/<class>/<name>")
            for kind, name, known in (("part", steps[0], parts), ("class", steps[1], classes)):
                if name not in known:
                    raise ValueError(f"{place} is of an unknown {kind} {name!r}: expected {', '.join(known)}")
            found[steps[0]].append((f"{steps[1]}/{Path(path).stem}", path, steps[1]))
        for part, own in found.items():
            if not own:
                raise ValueError(f"{source} holds no pictures of the part {part!r}: expected {part}/<class>/<name>")
        return {part: _pictures(tree, own, classes, side) for part, own in found.items()}


def order(names: Sequence[str]) -> np.ndarray:
    """The order of items by SHA-256 of their names ``<class>/<stem>``: the same from every source, by no class."""
    return np.argsort([hashlib.sha256(name.encode()).hexdigest() for name in names])


def _pictures(tree: Tree, own: list, classes: Sequence[str], side: int) -> tuple[list[str], Tensor, Tensor]:
    own = [own[index] for index in order([name for name, *_ in own])]
    images = np.empty((len(own), side, side, 3), np.uint8)
    for row, (_, path, _) in zip(images, bar(own, f"reading {tree.source.name}", unit="picture"), strict=True):
        row[:] = _picture(tree.bytes_of(path), f"{path} of {tree.source}", side)
    labels = torch.tensor([classes.index(name) for *_, name in own])
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
