"""Input checks of `evaluate`: codes, labels and ranks k. A ValueError names the expected and the given value."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from qsmi_lib.codes import check
from qsmi_lib.utils import arrays
from qsmi_lib.utils.validation import whole_number

LONGEST = (1 << 16) - 1  # bits of a code and labels of an item: the kernels hold a distance and a gain in 16 bits each


def codes(name: str, values: Tensor | ArrayLike, device: torch.device) -> np.ndarray | Tensor:
    """`values`, checked as codes (n, bits), in the form of `_near`."""
    array = _near(arrays.dense(name, values), device)
    check(name, array)
    if array.shape[1] > LONGEST:
        raise ValueError(f"{name} must have at most {LONGEST} bits, got {array.shape[1]}")
    return array


def label_pair(
    query: Tensor | ArrayLike, database: Tensor | ArrayLike, n_query: int, n_database: int, device: torch.device
) -> tuple[np.ndarray | Tensor, np.ndarray | Tensor]:
    """The labels of queries and database, both (n,) or both (n, c), in the form of `_near`; text as class numbers."""
    names = ("query_labels", "database_labels")
    pair = [
        _labels(name, values, n, device)
        for name, values, n in zip(names, (query, database), (n_query, n_database), strict=True)
    ]
    if pair[0].shape[1:] != pair[1].shape[1:]:
        shapes = " and ".join(str(tuple(part.shape)) for part in pair)
        raise ValueError(f"query and database labels must be of one kind, got shapes {shapes}")
    kinds = {part.dtype.kind if isinstance(part, np.ndarray) and part.dtype.kind in "US" else "" for part in pair}
    if len(kinds) > 1:
        got = " and ".join(str(part.dtype) for part in pair)
        raise ValueError(f"query and database labels must be of one kind, numbers or text, got {got}")
    if kinds != {""}:
        numbers = np.unique(np.concatenate(pair), return_inverse=True)[1]
        return numbers[:n_query], numbers[n_query:]
    return pair[0], pair[1]


def cutoffs(k: int | Sequence[int] | None, n_database: int) -> np.ndarray:
    """`k` as an ascending int64 array."""
    ks = [] if k is None else [k] if isinstance(k, int) or np.ndim(k) == 0 else list(k)
    return np.array(sorted({whole_number("k", value, 1, n_database) for value in ks}), np.int64)


def _labels(name: str, values: Tensor | ArrayLike, n: int, device: torch.device) -> np.ndarray | Tensor:
    """`values`, checked as labels of n codes."""
    array = _near(arrays.labels(name, values), device)
    if len(array) != n:
        raise ValueError(f"{name} must have one row per code: expected {n}, got {len(array)}")
    if array.ndim == 2 and not 1 <= array.shape[1] <= LONGEST:
        raise ValueError(f"{name} of shape (n, c) must have 1 to {LONGEST} labels, got {array.shape[1]}")
    return array


def _near(array: np.ndarray | Tensor, device: torch.device) -> np.ndarray | Tensor:
    """NumPy's form of `array`. A tensor stays a tensor if it and `device` are off the CPU, or NumPy lacks its dtype."""
    if not isinstance(array, Tensor) or (device.type != "cpu" and array.device.type != "cpu"):
        return array
    return array.cpu() if array.dtype == torch.bfloat16 else array.cpu().numpy()
