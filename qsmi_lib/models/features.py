"""Frozen features: a backbone turns a data set into a matrix once; the matrix is kept, and mapped into memory."""

import hashlib
import marshal
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor, nn

from qsmi_lib.datasets.base import Part, Split
from qsmi_lib.datasets.images.lazy import Pictures
from qsmi_lib.models import backbones
from qsmi_lib.models.weights import checksum
from qsmi_lib.utils import paths
from qsmi_lib.utils.io import atomic_write
from qsmi_lib.utils.precision import autocast, resolve_precision
from qsmi_lib.utils.progress import bar

PIXELS = 400_000  # of the pictures of a batch on a CPU, as many as its cache holds with what comes of them


def of_split(split: Split, name: str) -> Split:
    """`split` seen by the frozen backbone `name`: the inputs become its features, float32 (n, n_features).

    Raises:
        ValueError, FileNotFoundError: as `backbones.load`, and as `extract`.
    """
    backbone = backbones.load(name)
    size = batch_size(name)

    def seen(part: Part) -> Part:
        try:
            return Part(extract(part.inputs, backbone, name, batch_size=size), part.labels)
        except ValueError as error:
            raise ValueError(f"the backbone {name} cannot see {split.name}: {error}") from error

    train = seen(split.train)
    database = train if split.database is split.train else seen(split.database)
    return Split(split.name, train, seen(split.query), database, split.fingerprint, split.classes)


def batch_size(name: str) -> int:
    """How many pictures the backbone `name` sees at a time: on a CPU few, which its cache holds."""
    side = backbones.BACKBONES[name].side or 1
    return 1000 if torch.cuda.is_available() else min(125, PIXELS // side**2)


def extract(
    images: Tensor | Pictures, backbone: nn.Module, name: str, *, precision: str = "auto", batch_size: int = 125
) -> Tensor:
    """The features of `images`: those on disk, or computed, batch by batch, and kept.

    The file is keyed by the checksums of the pictures and of the network's weights, structure and code (its `forward`,
    not what that calls elsewhere). Where an earlier
    call was killed the matrix goes on after its last whole batch; of two calls at once one waits for the other.

    Args:
        images: (n, ...), as the network takes them, in memory or in files; n at least 1.
        backbone: any module in evaluation mode, images (b, ...) -> features (b, n_features). It is moved to the device
            that computes, in channels_last.
        name: of the file and the progress bar.
        precision: float32, bf16, or auto (bf16 where the device is fast at it).
        batch_size: images at a time.

    Returns:
        float32 (n, n_features), mapped into memory; what is written to it stays with the caller.

    Raises:
        ValueError: no images, a network in training mode, or outputs that are not finite or not (b, n_features).
    """
    if not len(images) or backbone.training:
        what = f"{len(images)} images" if not len(images) else "a network in training mode"
        raise ValueError(f"features need at least one image and a network in evaluation mode, got {what}")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    precision = resolve_precision(precision, device)
    path = file_of(images, backbone, name, precision)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if (held := _opened(path, len(images))) is None:
            _compute(images, backbone.to(device, memory_format=torch.channels_last), path, precision, batch_size)
            held = _opened(path, len(images))
    return torch.from_numpy(held)


def file_of(images: Tensor | Pictures, backbone: nn.Module, name: str, precision: str) -> Path:
    """Where the features lie, or will lie."""
    kept_as_files = isinstance(images, Pictures)
    digest = hashlib.sha256(images.mark.encode() if kept_as_files else images.cpu().contiguous().numpy())
    digest.update(f"{images.dtype} {tuple(images.shape)} {checksum(backbone)} {backbone} {precision}".encode())
    for kind in sorted({type(module) for module in backbone.modules()}, key=lambda kind: kind.__qualname__):
        if not kind.__module__.startswith(("torch.", "torchvision.")):
            code = kind.forward.__code__  # weights and names do not say what a module does
            digest.update(marshal.dumps(code.replace(co_filename="", co_firstlineno=1)))
    return paths.cache() / "features" / f"{name}-{digest.hexdigest()[:16]}.npy"


def _compute(images: Tensor | Pictures, backbone: nn.Module, path: Path, precision: str, size: int) -> None:
    """Fill the matrix beside `path` where it is not a number yet, then put it in its place."""
    device = next((value.device for value in backbone.state_dict().values()), images.device)
    partial = path.with_suffix(".partial")
    held = _opened(partial, len(images))
    for start in bar(range(0, len(images), size), f"{path.stem} of {len(images)} items", unit="batch"):
        rows = slice(start, start + size)
        if held is not None and np.isfinite(held[rows]).all():
            continue
        with torch.inference_mode(), autocast(precision, device):
            batch = images[rows].to(device)
            features = backbone(batch).float().cpu().numpy()
        fits = features.ndim == 2 and len(features) == len(batch)
        if not fits or not np.isfinite(features).all():
            kind = "that are not finite" if fits else f"of shape {features.shape} for {len(batch)} images"
            raise ValueError(
                f"{path.stem.rsplit('-', 1)[0]} must give finite features (n, n_features), got some {kind}"
            )
        if held is None:
            held = _empty(partial, (len(images), features.shape[1]))
        held[rows] = features
    held.flush()
    partial.replace(path)


def _empty(path: Path, shape: tuple[int, int]) -> np.memmap:
    """A matrix of NaN on disk; its file is there whole or not at all."""
    with atomic_write(path) as partial:
        matrix = np.lib.format.open_memmap(partial, "w+", np.float32, shape)
        matrix[:] = np.nan
        matrix.flush()
    return np.lib.format.open_memmap(path, "r+")


def _opened(path: Path, n: int) -> np.memmap | None:
    """The matrix in `path`, or None where there is none of `n` rows; a finished one is not written to."""
    try:
        held = np.lib.format.open_memmap(path, "c")  # refuses a truncated file, which "r+" would fill up with zeros
        if path.suffix != ".npy":
            held = np.lib.format.open_memmap(path, "r+")
    except (FileNotFoundError, ValueError):
        return None
    return held if held.ndim == 2 and len(held) == n and held.dtype == np.float32 else None
