"""Codes: the sign of embeddings, and 64 bits of it to a word."""

import numpy as np
import torch
from torch import Tensor


def binarize(embeddings: Tensor | np.ndarray) -> Tensor:
    r"""Codes :math:`b = \mathrm{sign}(y)` with :math:`\mathrm{sign}(0) = +1`: never a third value.

    Args:
        embeddings: (n, bits), floating.

    Returns:
        int8 (n, bits), -1 and +1.

    Raises:
        ValueError: embeddings with NaN, whose sign is undefined, or with no bits.
    """
    embeddings = torch.as_tensor(embeddings)
    if embeddings.ndim != 2 or embeddings.shape[1] == 0:
        raise ValueError(f"embeddings must have shape (n, bits) with at least one bit, got {tuple(embeddings.shape)}")
    if embeddings.isnan().any():
        raise ValueError("embeddings must not be NaN: NaN has no sign")
    return torch.where(embeddings >= 0, 1, -1).to(torch.int8)


def pack(codes: np.ndarray) -> np.ndarray:
    """Codes (n, bits) of -1 and +1 as uint64 words (n, ceil(bits / 64)); the padding bits are 0 in all of them."""
    octets = np.packbits(codes > 0, axis=1)
    words = np.zeros((len(codes), -(-codes.shape[1] // 64) * 8), np.uint8)
    words[:, : octets.shape[1]] = octets
    return words.view(np.uint64)


def unpack(words: np.ndarray, bits: int) -> np.ndarray:
    """The int8 codes (n, bits) that `pack` made `words` of."""
    return np.unpackbits(words.view(np.uint8), axis=1, count=bits).astype(np.int8) * 2 - 1
