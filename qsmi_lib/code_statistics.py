"""What a set of codes is like, whatever its labels: balance and entropy of the bits, entropy of the codes."""

import numpy as np

from qsmi_lib.codes import pack


def code_statistics(codes: np.ndarray) -> dict[str, float | int | list[float]]:
    """Balance and entropies of codes.

    Args:
        codes: (n, bits) of -1 and +1.

    Returns:
        `bit_mean`: the mean of each bit, 0 where it is balanced; `bit_entropy`: the mean entropy of a bit, at most 1;
        `code_entropy`: the entropy of the code as a whole, in bits; `n_distinct`: how many different codes there are.
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
    kept = shares[shares > 0]
    return float(abs((kept * np.log2(kept)).sum()))
