"""Input checks of `evaluate`: codes, labels and ranks k. A ValueError names the expected and the given value."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from qsmi_lib.evaluation.packing import blocks
from qsmi_lib.utils.validation import whole_number

LARGEST = (1 << 63) - 1  # single label
LONGEST = (1 << 16) - 1  # bits of a code and labels of an item: the kernels hold a distance and a gain in 16 bits each


def codes(name: str, values: Tensor | ArrayLike, device: torch.device) -> np.ndarray | Tensor:
    """`values`, checked as codes (n, bits), in the form of `_array`."""
    values = _array(name, values, device)
    if values.ndim != 2 or 0 in values.shape:
        got = tuple(values.shape)
        raise ValueError(f"{name} must have shape (n, bits) with at least one item and one bit, got {got}")
    if values.shape[1] > LONGEST:
        raise ValueError(f"{name} must have at most {LONGEST} bits, got {values.shape[1]}")
    if not _signed(values):  # -1 as uint8 is 255
        raise ValueError(f"{name} must be floating or signed integers, -1 and +1, got {values.dtype}")
    wrong = _first(values, lambda block: (block != 1) & (block != -1))
    if wrong is not None:
        raise ValueError(f"{name} must hold -1 and +1 only, got {wrong}; make codes with qsmi_lib.codes.binarize")
    return values


def labels(name: str, values: Tensor | ArrayLike, n: int, device: torch.device) -> np.ndarray | Tensor:
    """`values`, checked as labels (n,) or (n, c) of n codes, in the form of `_array`."""
    values = _array(name, values, device)
    if values.ndim not in (1, 2) or not _integral(values):
        got = f"{values.dtype} of shape {tuple(values.shape)}"
        raise ValueError(f"{name} must be integers (n,) or integer or bool multi-hot (n, c), got {got}")
    if len(values) != n:
        raise ValueError(f"{name} must have one row per code: expected {n}, got {len(values)}")
    if values.ndim == 1 and values.dtype in (np.uint64, torch.uint64) and (values > LARGEST).any():
        raise ValueError(f"{name} must be at most {LARGEST}, got {values.max()}")
    if values.ndim == 2:
        if not 1 <= values.shape[1] <= LONGEST:
            raise ValueError(f"{name} of shape (n, c) must have 1 to {LONGEST} labels, got {values.shape[1]}")
        wrong = _first(values, lambda block: (block != 0) & (block != 1))
        if wrong is not None:
            raise ValueError(f"{name} of shape (n, c) must hold 0 and 1 only, got {wrong}")
    return values


def cutoffs(k: int | Sequence[int] | None, n_database: int) -> np.ndarray:
    """`k` as an ascending int64 array."""
    ks = [] if k is None else [k] if isinstance(k, int) or np.ndim(k) == 0 else list(k)
    return np.array(sorted({whole_number("k", value, 1, n_database) for value in ks}), np.int64)


def _array(name: str, values: Tensor | ArrayLike, device: torch.device) -> np.ndarray | Tensor:
    """`values` as an array. A tensor stays a tensor if it and `device` are off the CPU, or NumPy lacks its dtype."""
    if isinstance(values, Tensor):
        if values.layout != torch.strided:
            raise ValueError(f"{name} must be dense, got {values.layout}")
        values = values.detach()
        if device.type != "cpu" and values.device.type != "cpu":
            return values
        return values.cpu() if values.dtype == torch.bfloat16 else values.cpu().numpy()
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name} must be an array or a tensor: {error}") from None


def _signed(values: np.ndarray | Tensor) -> bool:
    if isinstance(values, Tensor):
        return values.dtype.is_signed and not values.is_complex()
    return values.dtype.kind in "if"


def _first(values: np.ndarray | Tensor, is_wrong: Callable) -> object | None:
    """The first of `values` that is wrong, or None."""
    for block in blocks(values):
        mask = is_wrong(block)
        if mask.any():
            return block[mask][0]
    return None


def _integral(values: np.ndarray | Tensor) -> bool:
    if isinstance(values, Tensor):
        return not (values.is_floating_point() or values.is_complex())
    return values.dtype.kind in "iub"
