"""MIHash: mutual information between Hamming distance and relevance, from soft histograms. An unchecked core."""

import math

import torch
from torch import Tensor

from qsmi_lib.losses.similarity import pair_weights, relevance_matrix


def mihash_loss(embeddings: Tensor, relevance: Tensor, *, slope: float = 1.0, n_bins: float | None = None) -> Tensor:
    r"""MIHash (Cakir, He, Bargal, Sclaroff, ICCV 2017): minus the mutual information, summed over anchors.

    .. math::
        -\sum_i H(D_i) - p_i^+ H(D_i \mid +) - p_i^- H(D_i \mid -), \qquad
        D_{ij} = \tfrac12 (n - h_i^T h_j), \quad h = 2 \operatorname{sigmoid}(a y) - 1

    :math:`D_i` is the distance from anchor i to another item of the batch, binned softly: a distance d counts
    :math:`\max(0, 1 - |d - c_l| / w)` in the bin at :math:`c_l = l w`, :math:`l = 0, \dots, n / w`. Entropies are in
    bits; self pairs are left out; an anchor without positives, or without negatives, adds nothing.

    Args:
        embeddings: (n, bits), floating; network outputs before the sigmoid.
        relevance: (n, n), bool or floating in [0, 1].
        slope: a.
        n_bins: how many bins of equal width there are between distances 0 and n; None is n / 2, the authors' advice.

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
    information = _entropy(sum(counts) / others)
    for count, pairs in zip(counts, (similar, dissimilar), strict=True):
        total = pairs.sum(dim=1)
        information = information - total / others * _entropy(count / total.clamp_min(1e-6)[:, None])
    return -information.sum()


def mihash_objective(embeddings: Tensor, labels: Tensor, **options) -> Tensor:
    """`mihash_loss` of the labels' relevance."""
    return mihash_loss(embeddings, relevance_matrix(labels), **options)


def _entropy(shares: Tensor) -> Tensor:
    """Entropy of each row in bits, 0 log 0 being 0; the floor keeps its slope at 0 finite."""
    return -(shares * shares.clamp_min(1e-12).log()).sum(dim=1) / math.log(2.0)
