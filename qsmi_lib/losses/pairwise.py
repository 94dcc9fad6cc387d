r"""Losses of pairs: DSH, DPSH, DHN, HashNet, HashGAN and DCH, over all pairs of a batch. No input checks.

Relevance may be graded: a pair counts :math:`\Delta` times as similar and :math:`1 - \Delta` times as dissimilar. DSH
and DPSH include the pairs (i, i), the others leave them out. Every log(1 + e^x) is a softplus, which does not overflow.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from qsmi_lib.losses.qsmi import quantization_penalty
from qsmi_lib.losses.similarity import on_sphere, pair_weights, relevance_matrix, squared_distance, weighted_mean

EPS = 1e-3  # added to DCH's distances, so that a dissimilar pair at distance 0 costs a finite amount


def dsh_loss(embeddings: Tensor, relevance: Tensor, *, alpha: float = 1e-5, margin: float | None = None) -> Tensor:
    r"""Deep Supervised Hashing (Liu et al., CVPR 2016, its Eq. 3), over all pairs of a batch.

    .. math::
        \frac{1}{N^2} \sum_{ij} \Big[ \tfrac12 \Delta_{ij} d_{ij}^2 + \tfrac12 (1 - \Delta_{ij}) \max(m - d_{ij}^2, 0)
        \Big] + \frac{\alpha}{N} \sum_{ik} \big| |y_{ik}| - 1 \big|, \qquad d_{ij} = \|y_i - y_j\|

    The pairs (i, i) are included and add 0. The penalty is a mean over items.

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
        eta: weight of the distance to the codes, which are constants (no gradient).

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: embeddings that are not finite, empty or not (n, bits); relevance of another shape or range.
    """
    theta = 0.5 * embeddings @ embeddings.T
    likelihood = (F.softplus(theta) - relevance.to(theta.dtype) * theta).sum()
    codes = torch.where(embeddings.detach() >= 0, 1.0, -1.0)
    return likelihood + eta * (codes - embeddings).square().sum()


def dhn_loss(embeddings: Tensor, relevance: Tensor, *, alpha: float = 0.1) -> Tensor:
    r"""Deep Hashing Network (Zhu et al., AAAI 2016).

    .. math::
        \operatorname*{mean}_{i \ne j} \big[ \log(1 + e^{x_{ij}}) - \Delta_{ij} x_{ij} \big]
        + \frac{\alpha}{N} \sum_{ik} \log\cosh(|h_{ik}| - 1), \qquad h = \tanh(y), \quad x_{ij} = h_i^T h_j

    The paper sums over pairs and over items. The means, and so the scale of alpha, are a choice of this library.

    Args:
        embeddings: (n, bits), floating; network outputs before tanh.
        relevance: (n, n), bool or floating in [0, 1].
        alpha: weight of the penalty.

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: embeddings that are not finite, empty or not (n, bits); relevance of another shape or range.
    """
    hashed = embeddings.tanh()
    similar, dissimilar = pair_weights(relevance, hashed.dtype)
    inner = hashed @ hashed.T
    likelihood = weighted_mean(F.softplus(inner) - relevance.to(inner.dtype) * inner, similar + dissimilar)
    return likelihood + alpha / len(hashed) * _log_cosh(hashed.abs() - 1.0).sum()


def hashnet_loss(
    embeddings: Tensor, relevance: Tensor, *, class_weight: float = 10.0, sharpness: float = 10.0, beta: float = 1.0
) -> Tensor:
    r"""HashNet (Cao et al., ICCV 2017): weighted likelihood, and a tanh that becomes steeper in training.

    .. math::
        \frac{\sum_{i \ne j} C \Delta_{ij} \log(1 + e^{-x_{ij}}) + (1 - \Delta_{ij}) \log(1 + e^{x_{ij}})}
        {\sum_{i \ne j} C \Delta_{ij} + (1 - \Delta_{ij})}, \qquad
        h = \tanh(\beta y), \quad x_{ij} = \tfrac{s}{n} h_i^T h_j

    The authors pair the two halves of a batch. Here all pairs of a batch count, as in the other methods.

    Args:
        embeddings: (n, bits), floating; network outputs before tanh.
        relevance: (n, n), bool or floating in [0, 1].
        class_weight: C, the weight of a similar pair; the authors advise the number of classes.
        sharpness: s; 10 in the authors' code.
        beta: slope of the tanh, see `hashnet_beta`.

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: embeddings that are not finite, empty or not (n, bits); relevance of another shape or range; a
            class_weight, sharpness or beta not above 0.
    """
    hashed = (beta * embeddings).tanh()
    similar, dissimilar = pair_weights(relevance, hashed.dtype)
    inner = sharpness / hashed.shape[1] * hashed @ hashed.T
    weights = class_weight * similar + dissimilar
    cost = class_weight * similar * F.softplus(-inner) + dissimilar * F.softplus(inner)
    return cost.sum() / weights.sum().clamp_min(torch.finfo(cost.dtype).tiny)


def hashnet_beta(step: int) -> dict[str, float]:
    r"""HashNet's continuation :math:`\beta = \sqrt{1 + 0.005\,t}`, t being the step rounded down to a multiple of 200
    (authors' code).
    """
    return {"beta": math.sqrt(1.0 + 0.005 * (step // 200 * 200))}


def hashgan_loss(embeddings: Tensor, relevance: Tensor, *, sharpness: float = 10.0) -> Tensor:
    r"""HashGAN's cosine-weighted cross-entropy (Cao et al., CVPR 2018), without its generator.

    .. math::
        \operatorname*{mean}_{i \ne j} \, w_{ij} \big[ \log(1 + e^{x_{ij}}) - \Delta_{ij} x_{ij} \big], \qquad
        x_{ij} = s \cos(y_i, y_j), \quad w_{ij} = \tfrac{|S|}{|S_1|} \text{ if similar, else } 1

    with :math:`|S|` pairs in the batch, :math:`|S_1|` of them similar. There are no generated images.

    Args:
        embeddings: (n, bits), floating.
        relevance: (n, n), bool or floating in [0, 1].
        sharpness: s; in the authors' code 10 for CIFAR-10 and 5 for NUS-WIDE.

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: embeddings that are not finite, empty or not (n, bits); relevance of another shape or range; a
            sharpness not above 0.
    """
    unit = on_sphere(embeddings)
    similar, dissimilar = pair_weights(relevance, unit.dtype)
    inner = sharpness * unit @ unit.T
    pairs = similar + dissimilar
    return weighted_mean(F.softplus(-inner), similar) + weighted_mean(dissimilar * F.softplus(inner), pairs)


def dch_loss(embeddings: Tensor, relevance: Tensor, *, alpha: float = 0.1, gamma: float = 20.0) -> Tensor:
    r"""Deep Cauchy Hashing (Cao et al., CVPR 2018), as in the paper.

    .. math::
        \operatorname*{mean}_{\text{similar}} \log\Big(1 + \frac{d_{ij}}{\gamma}\Big)
        + \operatorname*{mean}_{\text{dissimilar}} \log\Big(1 + \frac{\gamma}{d_{ij}}\Big)
        + \frac{\alpha}{N} \sum_i \log\Big(1 + \frac{d(|y_i|, 1)}{\gamma}\Big), \qquad
        d(a, b) = \tfrac{n}{2} (1 - \cos(a, b))

    The paper's weights :math:`|S| / |S_1|` and :math:`|S| / |S_0|` turn its sum into these two means. 0.001 is added
    to the distance of a pair.

    Args:
        embeddings: (n, bits), floating.
        relevance: (n, n), bool or floating in [0, 1].
        alpha: weight of the quantization term, the paper's lambda.
        gamma: scale of the Cauchy distribution, in bits.

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: embeddings that are not finite, empty or not (n, bits); relevance of another shape or range; a
            gamma not above 0.
    """
    unit = on_sphere(embeddings)
    bits = unit.shape[1]
    similar, dissimilar = pair_weights(relevance, unit.dtype)
    distance = 0.5 * bits * (1.0 - unit @ unit.T).clamp_min(0.0) + EPS
    pairs = weighted_mean((distance / gamma).log1p(), similar) + weighted_mean((gamma / distance).log1p(), dissimilar)
    to_cube = 0.5 * bits * (1.0 - unit.abs().sum(dim=1) / math.sqrt(bits)).clamp_min(0.0)
    return pairs + alpha * (to_cube / gamma).log1p().mean()


def dch_code_loss(embeddings: Tensor, relevance: Tensor, *, alpha: float = 0.0, gamma: float = 20.0) -> Tensor:
    r"""Deep Cauchy Hashing as in the authors' code, which differs from the paper.

    .. math::
        \operatorname*{mean}_{i \ne j} w_{ij} \Big[ \Delta_{ij} \log\Big(1 + \frac{d_{ij}}{\gamma}\Big)
        + (1 - \Delta_{ij}) \log\Big(1 + \frac{\gamma}{d_{ij}}\Big) \Big]
        + \alpha \operatorname*{mean}_{ik} (|h_{ik}| - 1)^2, \qquad
        d_{ij} = \|h_i - h_j\|^2 + 0.001, \quad h = \tanh(y)

    with :math:`w_{ij} = |S| / |S_1|` for similar pairs and 1 for dissimilar ones.

    Args:
        embeddings: (n, bits), floating; network outputs before tanh.
        relevance: (n, n), bool or floating in [0, 1].
        alpha: weight of the quantization term; 0 in the code.
        gamma: scale of the Cauchy distribution, in units of squared distance.

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: as `dch_loss`.
    """
    hashed = embeddings.tanh()
    similar, dissimilar = pair_weights(relevance, hashed.dtype)
    distance = squared_distance(hashed) + EPS
    far = weighted_mean(dissimilar * (gamma / distance).log1p(), similar + dissimilar)
    return weighted_mean((distance / gamma).log1p(), similar) + far + alpha * (hashed.abs() - 1.0).square().mean()


def dsh_objective(embeddings: Tensor, labels: Tensor, *, alpha: float, **options: float | None) -> Tensor:
    """`dsh_loss` of the labels' relevance."""
    return dsh_loss(embeddings, relevance_matrix(labels), alpha=alpha, **options)


def dpsh_objective(embeddings: Tensor, labels: Tensor, *, alpha: float) -> Tensor:
    """`dpsh_loss` of the labels' relevance; `alpha` is its eta."""
    return dpsh_loss(embeddings, relevance_matrix(labels), eta=alpha)


def dhn_objective(embeddings: Tensor, labels: Tensor, *, alpha: float) -> Tensor:
    """`dhn_loss` of the labels' relevance."""
    return dhn_loss(embeddings, relevance_matrix(labels), alpha=alpha)


def hashnet_objective(embeddings: Tensor, labels: Tensor, **options: float) -> Tensor:
    """`hashnet_loss` of the labels' relevance."""
    return hashnet_loss(embeddings, relevance_matrix(labels), **options)


def hashgan_objective(embeddings: Tensor, labels: Tensor, **options: float) -> Tensor:
    """`hashgan_loss` of the labels' relevance."""
    return hashgan_loss(embeddings, relevance_matrix(labels), **options)


def dch_objective(embeddings: Tensor, labels: Tensor, *, form: str = "paper", **options: float) -> Tensor:
    """`dch_loss` (`form="paper"`) or `dch_code_loss` (`form="code"`) of the labels' relevance."""
    if form not in ("paper", "code"):
        raise ValueError(f"form must be 'paper' or 'code', got {form!r}")
    loss = dch_loss if form == "paper" else dch_code_loss
    return loss(embeddings, relevance_matrix(labels), **options)


def _log_cosh(values: Tensor) -> Tensor:
    """log cosh x = |x| + log(1 + exp(-2|x|)) - log 2, which does not overflow."""
    magnitude = values.abs()
    return magnitude + F.softplus(-2.0 * magnitude) - math.log(2.0)
