"""Binary codes: signs of embeddings, packing into 64-bit words, and statistics of bits."""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from qsmi_lib.utils import arrays


def binarize(embeddings: Tensor | ArrayLike) -> Tensor:
    r"""Codes :math:`b = \mathrm{sign}(y)` with :math:`\mathrm{sign}(0) = +1`, so that there is no third value.

    Args:
        embeddings: (n, bits), floating.

    Returns:
        int8 (n, bits), -1 and +1.

    Raises:
        ValueError: embeddings that are NaN, not (n, bits), or without bits.
    """
    embeddings = arrays.dense("embeddings", embeddings)
    if embeddings.ndim != 2 or embeddings.shape[1] == 0:
        raise ValueError(f"embeddings must have shape (n, bits) with at least one bit, got {tuple(embeddings.shape)}")
    if arrays.first(embeddings, lambda block: block != block) is not None:
        raise ValueError("embeddings must not be NaN: NaN has no sign")
    if isinstance(embeddings, np.ndarray):
        return torch.from_numpy(np.where(embeddings >= 0, np.int8(1), np.int8(-1)))
    return torch.where(embeddings >= 0, 1, -1).to(torch.int8)


def check(name: str, values: np.ndarray | Tensor, least: int = 1) -> None:
    """Raise ValueError unless `values` are codes (n, bits) of -1 and +1, at least `least` of them and one bit."""
    if values.ndim != 2 or len(values) < least or values.shape[1] == 0:
        items = f"at least {'one item' if least == 1 else least} and " if least else "at least "
        raise ValueError(f"{name} must have shape (n, bits) with {items}one bit, got {tuple(values.shape)}")
    is_signed = values.dtype.is_signed if isinstance(values, Tensor) else values.dtype.kind in "if"
    if not is_signed:  # -1 as uint8 is 255
        raise ValueError(f"{name} must be floating or signed integers, -1 and +1, got {values.dtype}")
    wrong = arrays.first(values, lambda block: (block != 1) & (block != -1))
    if wrong is not None:
        raise ValueError(f"{name} must hold -1 and +1 only, got {wrong}; make codes with qsmi_lib.codes.binarize")


def checked(name: str, values: Tensor | ArrayLike, least: int = 1) -> np.ndarray:
    """`values`, an array or tensor on any device, as a NumPy array of codes; a ValueError as of `check`."""
    array = arrays.on_host(name, values)
    check(name, array, least)
    return array


def pack(codes: Tensor | ArrayLike) -> np.ndarray:
    """Codes (n, bits) of -1 and +1 as uint64 words (n, ceil(bits / 64)); padding bits are 0."""
    return pack_bits(checked("codes", codes, least=0) > 0)


def pack_bits(bits: np.ndarray) -> np.ndarray:
    """Bits (n, c), bool, as uint64 words (n, ceil(c / 64)); padding bits are 0."""
    octets = np.packbits(bits, axis=1)
    padded = np.zeros((len(bits), -(-bits.shape[1] // 64) * 8), np.uint8)
    padded[:, : octets.shape[1]] = octets
    return padded.view(np.uint64)


def unpack(words: np.ndarray, bits: int) -> np.ndarray:
    """The int8 codes (n, bits) of `words`, the inverse of `pack`."""
    return np.unpackbits(words.view(np.uint8), axis=1, count=bits).astype(np.int8) * 2 - 1


def code_statistics(codes: Tensor | ArrayLike) -> dict[str, float | int | list[float]]:
    """Balance and entropies of codes.

    Args:
        codes: (n, bits) of -1 and +1.

    Returns:
        `bit_mean`: mean of each bit, 0 if it is balanced; `bit_entropy`: mean entropy of a bit, at most 1;
        `code_entropy`: entropy of the codes, in bits; `n_distinct`: number of different codes.

    Raises:
        ValueError: codes of another shape or with other values, or none.
    """
    codes = checked("codes", codes)
    mean = codes.mean(axis=0, dtype=np.float64)
    counts = np.unique(pack_bits(codes > 0), axis=0, return_counts=True)[1]
    return {
        "bit_mean": mean.tolist(),
        "bit_entropy": float(np.mean([entropy(np.array([1.0 + m, 1.0 - m]) / 2.0) for m in mean])),
        "code_entropy": entropy(counts / counts.sum()),
        "n_distinct": len(counts),
    }


def entropy(shares: np.ndarray) -> float:
    """Entropy in bits of `shares`, which sum to 1; 0 log 0 is 0."""
    positive = shares[shares > 0]
    return float(abs((positive * np.log2(positive)).sum()))
