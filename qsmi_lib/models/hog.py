"""Histograms of oriented gradients (HOG) of small grey pictures, by scikit-image and by OpenCV."""

import hashlib
import importlib
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from qsmi_lib.utils import io, paths
from qsmi_lib.utils.reading import read_tensors

CELLS = 4  # along each side; blocks of 2 x 2 cells, 9 orientations
N_FEATURES = (CELLS - 1) ** 2 * 4 * 9
FORMAT = 1  # of the cached features; increase it if `_hog` computes others


def hog(images: np.ndarray) -> np.ndarray:
    """scikit-image's HOG over the whole picture: 4 x 4 cells, blocks of 2 x 2, 9 orientations, L2-Hys.

    The features are cached under the folder of results; Fashion-MNIST takes 10 s. If they cannot be written there, a
    QsmiWarning says so.

    Args:
        images: uint8 (n, side, side), the side a multiple of 4.

    Returns:
        float32 (n, 324).

    Raises:
        ValueError: images of another shape or dtype.
        ImportError: scikit-image is not installed.
    """
    _check(images)
    _library("skimage.feature")
    made_by = f"{FORMAT} scikit-image {version('scikit-image')}"  # versions may differ in the numbers
    digest = hashlib.sha256(f"{made_by} {images.shape}".encode() + images.tobytes()).hexdigest()
    path = paths.cache() / "hog" / f"{digest[:16]}.safetensors"
    if (features := _read(path, len(images))) is None:
        features = _hog(images)
        with io.optional():
            io.write_tensors(path, {"features": torch.from_numpy(features)}, {})
    return features


def hog_opencv(images: np.ndarray) -> np.ndarray:
    """OpenCV's HOG as in the published LSH figures: its first 24 x 24 window, cells of 8, blocks of 2 x 2 cells.

    Args:
        images: uint8 (n, 28, 28).

    Returns:
        float32 (n, 144).

    Raises:
        ValueError: images of another shape or dtype.
        ImportError: OpenCV is not installed.
    """
    _check(images)
    if images.shape[1:] != (28, 28):
        raise ValueError(f"images must be 28 x 28 for the window of 24, got {images.shape[1]} x {images.shape[2]}")
    descriptor = _library("cv2").HOGDescriptor((24, 24), (16, 16), (8, 8), (8, 8), 9)
    return np.stack([descriptor.compute(np.ascontiguousarray(image)).ravel() for image in images])


def _hog(images: np.ndarray) -> np.ndarray:
    from skimage.feature import hog

    cell = images.shape[1] // CELLS
    return np.stack([hog(image, 9, (cell, cell), (2, 2)) for image in images]).astype(np.float32)


def _read(path: Path, n: int) -> np.ndarray | None:
    """The features of `n` images in `path`, or None if there is no such file, or a damaged one."""
    try:
        features = read_tensors(path)[0]["features"].numpy()
    except (OSError, KeyError, ValueError):
        return None
    return features if features.shape == (n, N_FEATURES) and features.dtype == np.float32 else None


def _check(images: np.ndarray) -> None:
    square = images.ndim == 3 and images.shape[1] == images.shape[2] and images.shape[1] % CELLS == 0
    if images.dtype != np.uint8 or not square or not len(images):
        raise ValueError(
            f"images must be uint8 (n, side, side), the side a multiple of {CELLS}, got {images.dtype} {images.shape}"
        )


def _library(name: str) -> ModuleType:
    """The module `name`; an ImportError says how to get it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"{name.split('.')[0]} is not installed: pip install 'qsmi-lib[lsh]'") from error
