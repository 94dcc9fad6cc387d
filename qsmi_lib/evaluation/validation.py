"""What `evaluate` accepts: codes of -1 and +1, labels, cut-offs; anything else is refused in one clear error."""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from qsmi_lib.evaluation.packing import blocks
from qsmi_lib.utils.validation import whole_number

LARGEST = (1 << 63) - 1  # a label
LONGEST = (1 << 16) - 1  # bits of a code, labels of an item: a kernel keeps a distance and a gain in 16 bits each


def codes(name: str, values: Tensor | ArrayLike, device: torch.device) -> np.ndarray | Tensor:
    """`values`, codes (n, bits), as `_array` gives them."""
    values = _array(name, values, device)
    if values.ndim != 2 or 0 in values.shape:
        got = tuple(values.shape)
        raise ValueError(f"{name} must have shape (n, bits) with at least one item and one bit, got {got}")
    if values.shape[1] > LONGEST:
        raise ValueError(f"{name} must have at most {LONGEST} bits, got {values.shape[1]}")
    if not _signed(values):  # 255 may pass for -1
        raise ValueError(f"{name} must be floating or signed integers, -1 and +1, got {values.dtype}")
    other = _first(values, lambda block: (block != 1) & (block != -1))
    if other is not None:
        raise ValueError(f"{name} must hold -1 and +1 only, got {other}; make codes with qsmi_lib.codes.binarize")
    return values


def labels(name: str, values: Tensor | ArrayLike, n: int, device: torch.device) -> np.ndarray | Tensor:
    """`values`, the labels (n,) or (n, c) of n codes, as `_array` gives them."""
    values = _array(name, values, device)
    if values.ndim not in (1, 2) or not _whole(values):
        got = f"{values.dtype} of shape {tuple(values.shape)}"
        raise ValueError(f"{name} must be integers (n,) or integer or bool multi-hot (n, c), got {got}")
    if len(values) != n:
        raise ValueError(f"{name} must have one row per code: expected {n}, got {len(values)}")
    if values.ndim == 1 and values.dtype in (np.uint64, torch.uint64) and (values > LARGEST).any():
        raise ValueError(f"{name} must be at most {LARGEST}, got {values.max()}")
    if values.ndim == 2:
        if not 1 <= values.shape[1] <= LONGEST:
            raise ValueError(f"{name} of shape (n, c) must have 1 to {LONGEST} labels, got {values.shape[1]}")
        other = _first(values, lambda block: (block != 0) & (block != 1))
        if other is not None:
            raise ValueError(f"{name} of shape (n, c) must hold 0 and 1 only, got {other}")
    return values


def cutoffs(k: int | list[int] | None, n_database: int) -> np.ndarray:
    """`k` as an ascending int64 array."""
    ks = [] if k is None else [k] if np.ndim(k) == 0 else list(k)
    return np.array(sorted({whole_number("k", value, 1, n_database) for value in ks}), np.int64)


def _array(name: str, values: Tensor | ArrayLike, device: torch.device) -> np.ndarray | Tensor:
    """An array; but a tensor as it is where neither it nor `device` is the CPU, or NumPy has not its type."""
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


def _first(values: np.ndarray | Tensor, wrong) -> object | None:
    """The first of `values` that is wrong, or None."""
    for block in blocks(values):
        mask = wrong(block)
        if mask.any():
            return block[mask][0]
    return None


def _whole(values: np.ndarray | Tensor) -> bool:
    if isinstance(values, Tensor):
        return not (values.is_floating_point() or values.is_complex())
    return values.dtype.kind in "iub"
