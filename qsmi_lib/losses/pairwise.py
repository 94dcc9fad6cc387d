"""Pairwise competitors, in batches as the QSMI paper ran them: unchecked cores, which `qsmi_lib.losses` exports."""

import torch
import torch.nn.functional as F
from torch import Tensor

from qsmi_lib.losses.qsmi import quantization_penalty
from qsmi_lib.losses.similarity import relevance_matrix, squared_distance


def dsh_loss(embeddings: Tensor, relevance: Tensor, *, alpha: float = 1e-5, margin: float | None = None) -> Tensor:
    r"""Deep Supervised Hashing (Liu et al., CVPR 2016, its Eq. 3), over all pairs of a batch.

    .. math::
        \frac{1}{N^2} \sum_{ij} \Big[ \tfrac12 \Delta_{ij} d_{ij}^2 + \tfrac12 (1 - \Delta_{ij}) \max(m - d_{ij}^2, 0)
        \Big] + \frac{\alpha}{N} \sum_{ik} \big| |y_{ik}| - 1 \big|, \qquad d_{ij} = \|y_i - y_j\|

    Self pairs are among the pairs (they add nothing); the penalty counts once per sample.

    Args:
        embeddings: (n, bits), floating; network outputs before the sign.
        relevance: (n, n), bool or floating in [0, 1].
        alpha: weight of the penalty.
        margin: m, in units of squared distance; None is 2 * bits, the original's choice.

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: embeddings that are not finite, empty or not (n, bits); relevance of another shape or range.
    """
    n, bits = embeddings.shape
    distance = squared_distance(embeddings)
    delta = relevance.to(distance.dtype)
    hinge = F.relu((2.0 * bits if margin is None else margin) - distance)
    pairs = 0.5 * (delta * distance + (1.0 - delta) * hinge).mean()
    return pairs + alpha / n * quantization_penalty(embeddings)


def dpsh_loss(embeddings: Tensor, relevance: Tensor, *, eta: float = 5.0) -> Tensor:
    r"""Deep Pairwise-Supervised Hashing (Li et al., IJCAI 2016), over all pairs of a batch.

    .. math::
        \sum_{ij} \Big[ \log(1 + e^{\theta_{ij}}) - \Delta_{ij} \theta_{ij} \Big]
        + \eta \sum_i \| b_i - y_i \|^2, \qquad \theta_{ij} = \tfrac12 y_i^T y_j, \quad b_i = \mathrm{sign}(y_i)

    Args:
        embeddings: (n, bits), floating; network outputs before the sign.
        relevance: (n, n), bool or floating in [0, 1].
        eta: weight of the distance to the codes, which are constants here.

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: embeddings that are not finite, empty or not (n, bits); relevance of another shape or range.
    """
    theta = 0.5 * embeddings @ embeddings.T
    likelihood = (F.softplus(theta) - relevance.to(theta.dtype) * theta).sum()
    codes = torch.where(embeddings.detach() >= 0, 1.0, -1.0)
    return likelihood + eta * (codes - embeddings).square().sum()


def dsh_objective(embeddings: Tensor, labels: Tensor, *, alpha: float, **options) -> Tensor:
    """`dsh_loss` of the labels' relevance."""
    return dsh_loss(embeddings, relevance_matrix(labels), alpha=alpha, **options)


def dpsh_objective(embeddings: Tensor, labels: Tensor, *, alpha: float) -> Tensor:
    """`dpsh_loss` of the labels' relevance; `alpha` is its eta."""
    return dpsh_loss(embeddings, relevance_matrix(labels), eta=alpha)
