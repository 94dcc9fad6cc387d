"""Arrays that users pass: one dense form of real numbers for all modules, or a ValueError that says what came."""

from collections.abc import Callable, Iterator
from numbers import Integral, Real
from typing import overload

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

BLOCK_BYTES = 1 << 20  # arrays are checked in blocks of so many bytes, so that temporary arrays stay small
LARGEST_CLASS = (1 << 63) - 1  # as a class number
REAL = {torch.bool, torch.uint8, torch.int8, torch.uint16, torch.int16, torch.uint32, torch.int32, torch.uint64}
REAL |= {torch.int64, torch.bfloat16, torch.float16, torch.float32, torch.float64}
WIDE_UNSIGNED = {torch.uint16, torch.uint32, torch.uint64}  # which PyTorch cannot compare


def check_tensor(name: str, values: Tensor) -> None:
    """Raise ValueError unless `values` is dense, has numbers, and a type of real numbers that can be computed with."""
    if values.is_nested or type(values).__name__ == "MaskedTensor":
        kind = "nested" if values.is_nested else "masked"
        raise ValueError(f"{name} must be dense, got a {kind} tensor: pass an ordinary one")
    if values.layout != torch.strided:
        raise ValueError(f"{name} must be dense, got {values.layout}: convert it by to_dense()")
    if values.is_meta:
        raise ValueError(f"{name} must hold numbers, got a tensor on the device meta, which has none")
    if values.dtype not in REAL:
        remedy = "dequantize()" if values.is_quantized else "float()" if not values.is_complex() else "real or abs()"
        raise ValueError(
            f"{name} must be float16 to float64, bfloat16, integers or bool, got {values.dtype}: convert by {remedy}"
        )


def dense(name: str, values: Tensor | ArrayLike, *, text: bool = False) -> np.ndarray | Tensor:
    """`values` as an array: a tensor stays one, without its gradient and where it is; anything else is NumPy's.

    Lists, pandas objects and arrays of Python objects of one kind become arrays of numbers, or, with `text`, of text.

    Raises:
        ValueError: sparse, nested, quantized, complex or meta tensors, float8, masked entries, rows of several lengths,
            objects of several kinds.
    """
    if isinstance(values, Tensor):
        check_tensor(name, values)
        return values.detach().resolve_neg()
    if isinstance(values, np.ma.MaskedArray):
        if masked := int(np.ma.getmaskarray(values).sum()):
            raise ValueError(f"{name} must have no masked entries, got {masked}: fill them or leave out their rows")
        values = values.data
    if hasattr(values, "tocsr"):  # of SciPy
        raise ValueError(f"{name} must be dense, got a sparse {type(values).__name__}: convert it by toarray()")
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"{name} must be an array or a tensor: {error}") from None
    if array.dtype == object:
        array = _of_one_kind(name, array)
    if array.dtype.kind not in ("biufUS" if text else "biuf"):
        raise ValueError(f"{name} must be real numbers, got {array.dtype}")
    return array


def on_host(name: str, values: Tensor | ArrayLike) -> np.ndarray:
    """`dense` as an array of NumPy; bfloat16, which NumPy lacks, becomes float32."""
    array = dense(name, values)
    if isinstance(array, Tensor):
        return (array.float() if array.dtype == torch.bfloat16 else array).numpy(force=True)
    return array


def labels(name: str, values: Tensor | ArrayLike) -> np.ndarray | Tensor:
    """`values` as labels: class numbers (n,), or multi-hot (n, c) of integers or bool, c at least 2.

    Labels in one column (n, 1) are (n,). Floats that are whole numbers become int64. Text (n,) stays text. Sparse
    matrices, of SciPy or PyTorch, are multi-hot.

    Raises:
        ValueError: as `dense`; another shape; class numbers that are not whole, or beyond 64 bits; other values than 0
            and 1 in several columns.
    """
    array = dense(name, _unfolded(values), text=True)
    if array.ndim not in (1, 2):
        raise ValueError(
            f"{name} must be class numbers (n,) or multi-hot (n, c) of 0 and 1, got shape {tuple(array.shape)}"
        )
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if isinstance(array, Tensor) and array.dtype in WIDE_UNSIGNED:
        array = _signed(name, array)
    if not isinstance(array, Tensor) and array.dtype.kind in "US":
        if array.ndim == 2:
            raise ValueError(f"{name} of several columns must be 0 and 1, got text")
        return array
    if array.ndim == 2:
        wrong = first(array, lambda block: (block != 0) & (block != 1))
        if wrong is not None:
            raise ValueError(f"{name} of shape (n, c) must hold 0 and 1 only, got {wrong}")
        return array > 0 if _is_floating(array) else array
    if _is_floating(array):
        return _whole(name, array)
    if array.dtype == np.uint64 and array.size and array.max() > LARGEST_CLASS:
        raise ValueError(f"{name} must be at most {LARGEST_CLASS}, got {array.max()}")
    return array


def label_tensor(name: str, values: Tensor | ArrayLike, device: torch.device | str | None = None) -> Tensor:
    """`labels` as a tensor, class numbers as int64; on `device`, or if None where they are.

    Raises:
        ValueError: as `labels`; or text, which has no class numbers.
    """
    array = labels(name, values)
    if isinstance(array, Tensor):
        return array.long() if array.ndim == 1 else array
    if array.dtype.kind in "US":
        raise ValueError(
            f"{name} must be class numbers, got text such as {str(array[0])!r}: "
            "number them, e.g. by numpy.unique(labels, return_inverse=True)[1]"
        )
    return torch.from_numpy(array.astype(np.int64 if array.ndim == 1 else bool)).to(device or "cpu")


@overload
def blocks(values: Tensor) -> Iterator[Tensor]: ...
@overload
def blocks(values: np.ndarray) -> Iterator[np.ndarray]: ...
def blocks(values):  # type: ignore[no-untyped-def]
    """The rows of `values` in blocks of `BLOCK_BYTES`."""
    rows = max(1, BLOCK_BYTES // (values.dtype.itemsize * max(1, int(np.prod(values.shape[1:])))))
    return (values[first : first + rows] for first in range(0, len(values), rows))


def first(values: np.ndarray | Tensor, is_wrong: Callable) -> object | None:
    """The first of `values` that is wrong, or None."""
    for block in blocks(values):
        mask = is_wrong(block)
        if mask.any():
            return block[mask][0].item()
    return None


def _of_one_kind(name: str, array: np.ndarray) -> np.ndarray:
    """An array of Python objects as one of integers, floats or text."""
    values = array.ravel().tolist()
    kinds: tuple[tuple[type, ...], ...] = ((Integral, np.bool_), (Real, np.bool_), (str,))
    if not any(all(isinstance(value, kind) for value in values) for kind in kinds):
        names = ", ".join(sorted({type(value).__name__ for value in values}))
        raise ValueError(f"{name} must be numbers, or text, of one kind, got objects of type {names}")
    typed = np.array(values, dtype=None if values else np.int64).reshape(array.shape)
    if typed.dtype == object:
        raise ValueError(f"{name} must fit into 64 bits, got {max(values, key=abs)}")
    return typed


def _unfolded(values: Tensor | ArrayLike) -> Tensor | ArrayLike:
    """Sparse values as dense ones, anything else as it is."""
    if isinstance(values, Tensor) and not values.is_nested and values.layout in (
        torch.sparse_coo, torch.sparse_csr, torch.sparse_csc
    ):  # fmt: skip
        return values.to_dense()
    if hasattr(values, "tocsr"):
        rows = values.tocsr()
        zero_one = np.isin(rows.data, (0, 1)).all() and rows.has_canonical_format
        return (rows.astype(np.int8) if zero_one else rows).toarray()  # an eighth of the memory
    return values


def _signed(name: str, array: Tensor) -> Tensor:
    """Unsigned integers as int64."""
    signed = array.long()
    if (signed < 0).any():
        raise ValueError(f"{name} must be at most {LARGEST_CLASS}, got {int(signed[signed < 0][0]) + 2**64}")
    return signed


def _is_floating(array: np.ndarray | Tensor) -> bool:
    return array.is_floating_point() if isinstance(array, Tensor) else array.dtype.kind == "f"


def _whole(name: str, array: np.ndarray | Tensor) -> np.ndarray | Tensor:
    """Floats that are whole numbers, and small enough to be exact, as int64."""
    info, library = (torch.finfo, torch) if isinstance(array, Tensor) else (np.finfo, np)
    exact = 2.0 / float(info(array.dtype).eps)  # beyond it, neighbouring whole numbers are rounded to one
    wrong = first(array, lambda block: ~((library.floor(block) == block) & (abs(block) <= exact)))
    if wrong is not None:
        raise ValueError(
            f"{name} as {array.dtype} must be whole numbers up to {exact:g}, the numbers of classes, got {wrong}"
        )
    return array.long() if isinstance(array, Tensor) else array.astype(np.int64)
