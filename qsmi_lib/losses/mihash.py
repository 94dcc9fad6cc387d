"""MIHash: mutual information between Hamming distance and relevance, from soft histograms. No input checks."""

import math
from typing import Any

import torch
from torch import Tensor

from qsmi_lib.losses.similarity import pair_weights, relevance_matrix


def mihash_loss(embeddings: Tensor, relevance: Tensor, *, slope: float = 1.0, n_bins: float | None = None) -> Tensor:
    r"""MIHash (Cakir, He, Bargal, Sclaroff, ICCV 2017): minus the mutual information, summed over anchors.

    .. math::
        -\sum_i H(D_i) - p_i^+ H(D_i \mid +) - p_i^- H(D_i \mid -), \qquad
        D_{ij} = \tfrac12 (n - h_i^T h_j), \quad h = 2 \operatorname{sigmoid}(a y) - 1

    :math:`D_i` is the distance from anchor i to the other items of the batch, in a soft histogram: a distance d adds
    :math:`\max(0, 1 - |d - c_l| / w)` to the bin at :math:`c_l = l w`, :math:`l = 0, \dots, n / w`. Entropies are in
    bits. Pairs (i, i) are left out. An anchor without positives, or without negatives, adds 0.

    Args:
        embeddings: (n, bits), floating; network outputs before the sigmoid.
        relevance: (n, n), bool or floating in [0, 1].
        slope: a.
        n_bins: number of bins of equal width between distances 0 and n; None is n / 2, as the authors advise.

    Returns:
        The loss, a scalar; lower is better.

    Raises:
        ValueError: embeddings that are not finite, empty or not (n, bits); relevance of another shape or range; a
            slope or n_bins not above 0.
    """
    n_item, bits = embeddings.shape
    n_bins = max(1, bits // 2 if n_bins is None else round(n_bins))
    hashed = (0.5 * slope * embeddings).tanh()
    distance = 0.5 * (bits - hashed @ hashed.T)
    centers = torch.linspace(0.0, bits, n_bins + 1, dtype=distance.dtype, device=distance.device)
    in_bin = (1.0 - (distance[:, :, None] - centers).abs() * (n_bins / bits)).clamp_min(0.0)
    similar, dissimilar = pair_weights(relevance, distance.dtype)
    counts = [torch.einsum("ij,ijl->il", pairs, in_bin) for pairs in (similar, dissimilar)]
    others = max(1, n_item - 1)
    information = _entropy((counts[0] + counts[1]) / others)
    for count, pairs in zip(counts, (similar, dissimilar), strict=True):
        total = pairs.sum(dim=1)
        information = information - total / others * _entropy(count / total.clamp_min(1e-6)[:, None])
    return -information.sum()


def mihash_objective(embeddings: Tensor, labels: Tensor, **options: Any) -> Tensor:
    """`mihash_loss` of the labels' relevance."""
    return mihash_loss(embeddings, relevance_matrix(labels), **options)


def _entropy(shares: Tensor) -> Tensor:
    """Entropy of each row in bits, 0 log 0 being 0; the floor keeps the gradient at 0 finite."""
    return -(shares * shares.clamp_min(1e-12).log()).sum(dim=1) / math.log(2.0)
