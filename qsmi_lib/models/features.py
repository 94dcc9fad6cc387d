"""Frozen features: the output of a backbone for a data set is computed once, cached on disk and mapped into memory."""

import contextlib
import hashlib
import itertools
import math
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor, nn

from qsmi_lib.datasets.base import Part, Split
from qsmi_lib.datasets.images.lazy import Pictures
from qsmi_lib.models import backbones
from qsmi_lib.models.weights import checksum
from qsmi_lib.utils import io, paths
from qsmi_lib.utils.precision import autocast, resolve_precision
from qsmi_lib.utils.progress import bar

PIXELS = 400_000  # in a batch on a CPU, so that the activations fit into its cache
N_CHECKED = 8  # pictures whose features must agree with the stored ones; more if none of these can be read
TOLERANCE = {"float32": 1e-3, "bf16": 2e-2}  # of the difference, relative to the features, in root mean square


def of_split(split: Split, name: str, precision: str = "auto") -> Split:
    """`split` with the features of the frozen backbone `name` as inputs, float32 (n, n_features).

    Args:
        split: of pictures.
        name: one that `backbones.named` knows.
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
    side = backbones.named(name).side or 1
    return 1000 if torch.cuda.is_available() else min(125, max(1, PIXELS // side**2))


def extract(
    images: Tensor | Pictures,
    backbone: nn.Module,
    name: str,
    *,
    precision: str = "auto",
    batch_size: int = 125,
    skip_unreadable: bool = False,
) -> Tensor:
    """The features of `images`: read from disk, or computed batch by batch and written to disk.

    Pictures in files are decoded on other threads while the network computes.

    The file name contains a hash of the pictures and of the network's weights and structure. What else the network
    computes with (attributes, closures, hooks, its code) shows in its features of the first 8 pictures: they are
    computed at each call, and must agree with the stored ones, else the features are computed anew into a further file.
    Two networks with the same weights and structure that agree on these 8 pictures are taken for the same one.

    If an earlier call ended early, the computation continues after its last complete batch. Of two simultaneous calls
    one waits for the other.

    With `skip_unreadable`, a picture that cannot be decoded gets NaN as features, and `Pictures.fault` tells why. Each
    later call tries it again, and computes its features once it can be read.

    Args:
        images: (n, ...), in the form that the network takes, in memory or in files; n at least 1.
        backbone: any module in evaluation mode, images (b, ...) -> features (b, n_features). It is moved to the device
            that computes, in channels_last.
        name: of the file and the progress bar.
        precision: float32, bf16, or auto (bf16 where the device is fast at it).
        batch_size: images in a batch.
        skip_unreadable: go on where a picture in a file cannot be decoded.

    Returns:
        float32 (n, n_features), mapped into memory; changes to it are not written to the file.

    Raises:
        ValueError: no images, a picture that cannot be decoded, or with `skip_unreadable` none that can be, a network
            with a part in training mode, outputs that are not finite or not (b, n_features), or other features when the
            same picture comes again, alone or in another batch.
        OSError: the features cannot be written, e.g. because the disk is full. What was written is kept, and the next
            call continues there.
    """
    if not len(images):
        raise ValueError("features need at least one image, got 0 images")
    if training := [f"{part or name} ({type(m).__name__})" for part, m in backbone.named_modules() if m.training]:
        raise ValueError(
            f"features need a network in evaluation mode, got {training[0]} in training mode: call its .eval()"
        )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    precision = resolve_precision(precision, device)
    backbone = backbone.to(device, memory_format=torch.channels_last)

    def answer(batch: Tensor, mask: Tensor, n_features: int | None = None) -> np.ndarray:
        """Features of the rows of a batch, NaN where `mask` says that there is no picture."""
        if not len(batch):
            return np.full((len(mask), n_features), np.nan, np.float32)
        with torch.inference_mode(), autocast(precision, device):
            features = _checked(backbone(batch.to(device)), len(batch), name)
        rows = np.full((len(mask), features.shape[1]), np.nan, np.float32)
        rows[mask.numpy()] = features
        return rows

    first = _first(images, answer, skip_unreadable)
    shape = len(images), first.shape[1]

    def answers(n_done: int) -> Iterator[np.ndarray]:
        """Features of the batches from row `n_done` on."""
        with contextlib.closing(_batches(images, batch_size, range(n_done, len(images)), skip_unreadable)) as batches:
            for batch, mask in batches:
                features = answer(batch, mask, shape[1])
                before = first[n_done : n_done + len(features)]
                if not _agree(features[: len(before)], before, precision):
                    raise ValueError(
                        f"{name} must give a picture the same features at each call and in any batch, got others at "
                        "the second call: call the network's .eval(), and remove what is random in it"
                    )
                n_done += len(features)
                yield features

    for path in _numbered(file_of(images, backbone, name, precision)):
        if (matrix := _open(path, shape)) is None:
            with _locked(path):
                if (matrix := _open(path, shape)) is None:  # another process may have written it meanwhile
                    n_done = _rows_done(path, shape, first, precision) // batch_size * batch_size
                    with contextlib.closing(answers(n_done)) as rows:
                        _write(rows, path, shape, n_done, f"features by {name}")
                    matrix = _open(path, shape)
        if _agree(matrix[: len(first)], first, precision):
            break
    if isinstance(images, Pictures):
        for row in np.flatnonzero(np.isnan(matrix[:, 0])):
            [(batch, mask)] = images.batches(1, row, row + 1, skip_unreadable=skip_unreadable)
            matrix[row] = answer(batch, mask, shape[1])
    return torch.from_numpy(matrix)


def _batches(
    images: Tensor | Pictures, size: int, rows: range, skip_unreadable: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    """The images of `rows`, `size` rows at a time, and which rows of the batch they are, as of `Pictures.batches`."""
    if isinstance(images, Pictures):
        yield from images.batches(size, rows.start, rows.stop, skip_unreadable=skip_unreadable)
    else:
        for batch in images[rows.start : rows.stop].split(size):
            yield batch, torch.ones(len(batch), dtype=torch.bool)


def _first(images: Tensor | Pictures, answer: Callable[..., np.ndarray], skip_unreadable: bool) -> np.ndarray:
    """Features of the first `N_CHECKED` images, and of further ones until one can be decoded; NaN for the others."""
    for start in range(0, len(images), N_CHECKED):
        rows = range(start, min(start + N_CHECKED, len(images)))
        [(batch, mask)] = _batches(images, len(rows), rows, skip_unreadable)
        if len(batch):
            features = answer(batch, mask)
            return np.concatenate([np.full((start, features.shape[1]), np.nan, np.float32), features])
    raise ValueError(f"none of the {len(images):,} pictures can be decoded, the first: {images.fault(0)}")


def file_of(images: Tensor | Pictures, backbone: nn.Module, name: str, precision: str) -> Path:
    """First file of the features, whether it exists or not."""
    in_files = isinstance(images, Pictures)
    digest = hashlib.sha256(images.fingerprint.encode() if in_files else images.cpu().contiguous().numpy())
    digest.update(f"{images.dtype} {tuple(images.shape)} {checksum(backbone)} {backbone} {precision}".encode())
    return paths.cache() / "features" / f"{backbones.file_part(name)}-{digest.hexdigest()[:16]}.npy"


def forget(images: Tensor | Pictures, backbone: nn.Module, name: str, precision: str) -> None:
    """Delete the files that `extract` has written for these images; `precision` is float32 or bf16."""
    for path in itertools.takewhile(Path.exists, _numbered(file_of(images, backbone, name, precision))):
        path.unlink()
        path.with_suffix(".lock").unlink(missing_ok=True)


def _numbered(path: Path) -> Iterator[Path]:
    """`path`, then the same with -1, -2, ... at the end of its name."""
    return itertools.chain([path], (path.with_stem(f"{path.stem}-{k}") for k in itertools.count(1)))


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = FileLock(path.with_suffix(".lock"))
    with io.naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _checked(features: object, n: int, name: str) -> np.ndarray:
    """The output of a network for `n` images as float32 (n, n_features); a ValueError if it is anything else."""
    if not isinstance(features, Tensor):
        got = f"a {type(features).__name__}"
    elif features.ndim != 2 or len(features) != n or not features.shape[1]:
        got = f"some of shape {tuple(features.shape)} for {n} images"
    elif not (rows := features.float()).isfinite().all():
        got = "some that are not finite"
    else:
        return np.ascontiguousarray(rows.cpu().numpy())
    raise ValueError(f"{name} must give finite features (n, n_features), got {got}")


def _agree(features: np.ndarray, others: np.ndarray, precision: str) -> bool:
    """Whether features of the same pictures are equal but for rounding, all columns together; NaN equals anything."""
    decoded = ~np.isnan(features[:, 0] + others[:, 0])
    features, others = features[decoded].astype(np.float64), others[decoded].astype(np.float64)
    return bool(np.linalg.norm(features - others) <= TOLERANCE[precision] * np.linalg.norm(others))


def _write(answers: Iterable[np.ndarray], path: Path, shape: tuple[int, int], n_done: int, title: str) -> None:
    """Append the rows from `n_done` on to the partial file of `path`, then rename it to `path`."""
    partial, header, (n, n_features) = _partial(path), io.npy_header(shape), shape
    io.check_room(partial, 4 * (n - n_done) * n_features)
    with io.naming(partial):
        if n_done:
            os.truncate(partial, len(header) + 4 * n_done * n_features)
        else:
            partial.write_bytes(header)
    for features in bar(answers, title, size=len, total=n, initial=n_done, unit="picture"):
        with io.naming(partial), partial.open("ab") as file:
            file.write(features)
    with io.naming(path):
        partial.replace(path)


def _rows_done(path: Path, shape: tuple[int, int], first: np.ndarray, precision: str) -> int:
    """Number of complete rows in the partial file of `path`; 0 if there is none, or one of another network."""
    header, (n, n_features) = io.npy_header(shape), shape
    try:
        with _partial(path).open("rb") as file:
            whole = file.read(len(header)) == header
            rows = np.fromfile(file, np.float32, first.size)
    except FileNotFoundError:
        return 0
    rows = rows[: len(rows) // n_features * n_features].reshape(-1, n_features)
    if not whole or not _agree(rows, first[: len(rows)], precision):
        return 0
    return min((_partial(path).stat().st_size - len(header)) // (4 * n_features), n)


def _partial(path: Path) -> Path:
    """The file that grows until it becomes `path`."""
    return path.with_suffix(".partial")


def _open(path: Path, shape: tuple[int, int]) -> np.memmap | None:
    """The matrix of `shape` in `path`, copy-on-write, or None if there is none, or a damaged one."""
    header = io.npy_header(shape)
    try:
        with path.open("rb") as file:
            whole = file.read(len(header)) == header and path.stat().st_size == len(header) + 4 * math.prod(shape)
    except FileNotFoundError:
        return None
    return np.memmap(path, np.float32, "c", len(header), shape) if whole else None
