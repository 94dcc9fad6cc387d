"""Frozen features: the output of a backbone for a data set is computed once, cached on disk and mapped into memory."""

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

PIXELS = 400_000  # in a batch on a CPU, so that the activations fit into its cache


def of_split(split: Split, name: str, precision: str = "auto") -> Split:
    """`split` with the features of the frozen backbone `name` as inputs, float32 (n, n_features).

    Args:
        split: of pictures.
        name: one of `backbones.BACKBONES`.
        precision: in which the backbone computes, as of `extract`.

    Raises:
        ValueError, FileNotFoundError: as `backbones.load`, and as `extract`.
    """
    backbone = backbones.load(name)
    size = batch_size(name)

    def with_features(part: Part) -> Part:
        try:
            return Part(extract(part.inputs, backbone, name, precision=precision, batch_size=size), part.labels)
        except ValueError as error:
            raise ValueError(f"cannot extract features of {name} from {split.name}: {error}") from error

    train = with_features(split.train)
    database = train if split.database is split.train else with_features(split.database)
    return Split(split.name, train, with_features(split.query), database, split.fingerprint, split.classes)


def batch_size(name: str) -> int:
    """Pictures in a batch of the backbone `name`; on a CPU few, so that they fit into its cache."""
    side = backbones.BACKBONES[name].side or 1
    return 1000 if torch.cuda.is_available() else min(125, PIXELS // side**2)


def extract(
    images: Tensor | Pictures, backbone: nn.Module, name: str, *, precision: str = "auto", batch_size: int = 125
) -> Tensor:
    """The features of `images`: read from disk, or computed batch by batch and written to disk.

    The file name contains a hash of the pictures and of the network's weights, structure and code (its `forward`, not
    the functions that this calls). If an earlier call was killed, the computation continues after its last complete
    batch. Of two simultaneous calls one waits for the other.

    Args:
        images: (n, ...), in the form that the network takes, in memory or in files; n at least 1.
        backbone: any module in evaluation mode, images (b, ...) -> features (b, n_features). It is moved to the device
            that computes, in channels_last.
        name: of the file and the progress bar.
        precision: float32, bf16, or auto (bf16 where the device is fast at it).
        batch_size: images in a batch.

    Returns:
        float32 (n, n_features), mapped into memory; changes to it are not written to the file.

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
        if (matrix := _open(path, len(images))) is None:
            _compute(images, backbone.to(device, memory_format=torch.channels_last), path, precision, batch_size)
            matrix = _open(path, len(images))
    return torch.from_numpy(matrix)


def file_of(images: Tensor | Pictures, backbone: nn.Module, name: str, precision: str) -> Path:
    """File of the features, whether it exists or not."""
    in_files = isinstance(images, Pictures)
    digest = hashlib.sha256(images.fingerprint.encode() if in_files else images.cpu().contiguous().numpy())
    digest.update(f"{images.dtype} {tuple(images.shape)} {checksum(backbone)} {backbone} {precision}".encode())
    for kind in sorted({type(module) for module in backbone.modules()}, key=lambda kind: kind.__qualname__):
        if not kind.__module__.startswith(("torch.", "torchvision.")):
            code = kind.forward.__code__  # neither weights nor names identify what a module computes
            digest.update(marshal.dumps(code.replace(co_filename="", co_firstlineno=1)))
    return paths.cache() / "features" / f"{name}-{digest.hexdigest()[:16]}.npy"


def _compute(images: Tensor | Pictures, backbone: nn.Module, path: Path, precision: str, size: int) -> None:
    """Fill the rows that are still NaN in the partial file of `path`, then rename it to `path`."""
    device = next((value.device for value in backbone.state_dict().values()), images.device)
    partial = path.with_suffix(".partial")
    matrix = _open(partial, len(images))
    for start in bar(range(0, len(images), size), f"{path.stem} of {len(images)} items", unit="batch"):
        rows = slice(start, start + size)
        if matrix is not None and np.isfinite(matrix[rows]).all():
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
        if matrix is None:
            matrix = _create(partial, (len(images), features.shape[1]))
        matrix[rows] = features
    matrix.flush()
    partial.replace(path)


def _create(path: Path, shape: tuple[int, int]) -> np.memmap:
    """A matrix of NaN on disk, written atomically."""
    with atomic_write(path) as partial:
        matrix = np.lib.format.open_memmap(partial, "w+", np.float32, shape)
        matrix[:] = np.nan
        matrix.flush()
    return np.lib.format.open_memmap(path, "r+")


def _open(path: Path, n: int) -> np.memmap | None:
    """The matrix of `n` rows in `path`, or None if there is none; a finished one is opened copy-on-write."""
    try:
        matrix = np.lib.format.open_memmap(path, "c")  # refuses a truncated file, which "r+" would fill with zeros
        if path.suffix != ".npy":
            matrix = np.lib.format.open_memmap(path, "r+")
    except (FileNotFoundError, ValueError):
        return None
    return matrix if matrix.ndim == 2 and len(matrix) == n and matrix.dtype == np.float32 else None
