"""Binary codes: signs of embeddings, packing into 64-bit words, and statistics of bits."""

import numpy as np
import torch
from torch import Tensor


def binarize(embeddings: Tensor | np.ndarray) -> Tensor:
    r"""Codes :math:`b = \mathrm{sign}(y)` with :math:`\mathrm{sign}(0) = +1`, so that there is no third value.

    Args:
        embeddings: (n, bits), floating.

    Returns:
        int8 (n, bits), -1 and +1.

    Raises:
        ValueError: embeddings that are NaN, not (n, bits), or without bits.
    """
    embeddings = torch.as_tensor(embeddings)
    if embeddings.ndim != 2 or embeddings.shape[1] == 0:
        raise ValueError(f"embeddings must have shape (n, bits) with at least one bit, got {tuple(embeddings.shape)}")
    if embeddings.isnan().any():
        raise ValueError("embeddings must not be NaN: NaN has no sign")
    return torch.where(embeddings >= 0, 1, -1).to(torch.int8)


def pack(codes: np.ndarray) -> np.ndarray:
    """Codes (n, bits) of -1 and +1 as uint64 words (n, ceil(bits / 64)); padding bits are 0."""
    octets = np.packbits(codes > 0, axis=1)
    padded = np.zeros((len(codes), -(-codes.shape[1] // 64) * 8), np.uint8)
    padded[:, : octets.shape[1]] = octets
    return padded.view(np.uint64)


def unpack(words: np.ndarray, bits: int) -> np.ndarray:
    """The int8 codes (n, bits) of `words`, the inverse of `pack`."""
    return np.unpackbits(words.view(np.uint8), axis=1, count=bits).astype(np.int8) * 2 - 1


def code_statistics(codes: np.ndarray) -> dict[str, float | int | list[float]]:
    """Balance and entropies of codes.

    Args:
        codes: (n, bits) of -1 and +1.

    Returns:
        `bit_mean`: mean of each bit, 0 if it is balanced; `bit_entropy`: mean entropy of a bit, at most 1;
        `code_entropy`: entropy of the codes, in bits; `n_distinct`: number of different codes.
    """
    mean = codes.mean(axis=0, dtype=np.float64)
    counts = np.unique(pack(codes), axis=0, return_counts=True)[1]
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
