"""Information potentials, QMI and QSMI (Passalis & Tefas, Sections 3.2 to 3.4). No input checks.

`qsmi_lib.losses` exports these functions with input checks. The training loop calls them without: a check would wait
for the device at every step.
"""

from typing import Any

from torch import Tensor

from qsmi_lib.losses.similarity import relevance_matrix, similarity_matrix


def information_potentials(
    embeddings: Tensor, labels: Tensor, *, similarity: str = "cosine", sigma: float = 10.0
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Information potentials with the class priors of the labels (Eqs. 9 to 11, Gaussian; Eqs. 14 to 16, cosine).

    .. math::
        V_{IN} = \frac{1}{N^2} \sum_k \sum_{i,j \in k} S_{ij}, \quad
        V_{ALL} = \frac{1}{N^2} \sum_k \Big(\frac{N_k}{N}\Big)^2 \sum_{ij} S_{ij}, \quad
        V_{BTW} = \frac{1}{N^2} \sum_k \frac{N_k}{N} \sum_{i \in k} \sum_j S_{ij}

    Quadratic mutual information is :math:`V_{IN} + V_{ALL} - 2 V_{BTW}`.

    Args:
        embeddings: (n, bits), floating.
        labels: int (n,), or multi-hot (n, c). :math:`N_k` is the number of items with label k.
        similarity: "cosine" or "gaussian".
        sigma: width of the Gaussian kernel, which has no normaliser.

    Returns:
        The three scalars (V_IN, V_ALL, V_BTW).

    Raises:
        ValueError: embeddings that are not finite, empty or not (n, bits); labels of another length or kind.
    """
    kernel = similarity_matrix(embeddings, similarity, sigma)
    n = len(embeddings)
    if labels.ndim == 1:
        labels = labels[:, None] == labels.unique()[None, :]
    member = labels.to(kernel.dtype)
    prior = member.sum(dim=0) / n
    v_in = (kernel @ member * member).sum() / n**2
    v_all = prior.square().sum() * kernel.sum() / n**2
    v_btw = (kernel.sum(dim=1) @ member @ prior) / n**2
    return v_in, v_all, v_btw


def qsmi_loss(
    embeddings: Tensor,
    relevance: Tensor,
    *,
    similarity: str = "cosine",
    clamp: bool = True,
    sigma: float = 10.0,
    information_needs: float | None = None,
) -> Tensor:
    r"""QSMI (cosine) or QMI (Gaussian) as a loss: sums over pairs, :math:`N^2` times the paper's means.

    .. math::
        \text{clamp:} \quad \sum_{ij} \Delta_{ij} (S_{ij} - 1)^2 + \tfrac1M S_{ij}^2 \qquad
        \text{else:} \quad -\sum_{ij} \big(\Delta_{ij} - \tfrac1M\big) S_{ij}

    These are :math:`N^2` times Eq. 19, and minus :math:`N^2` times Eq. 17. Sums are the authors' scale: their alpha is
    the weight of a penalty that is a sum too. Their published code has :math:`(\Delta S - 1)^2`, which adds a constant,
    the number of dissimilar pairs.

    Args:
        embeddings: (n, bits), floating; network outputs before the sign.
        relevance: (n, n), bool or floating in [0, 1].
        similarity: "cosine" or "gaussian".
        clamp: the square clamp of Section 3.3.
        sigma: width of the Gaussian kernel.
        information_needs: M; None is the estimate of the batch, :math:`N^2 / \sum_{ij} \Delta_{ij}` (Section 3.3).

    Returns:
        The loss, a scalar; lower is better.

    Raises:
        ValueError: embeddings that are not finite, empty or not (n, bits); relevance of another shape or range;
            an unknown similarity; sigma or information_needs not above 0.
    """
    pair = similarity_matrix(embeddings, similarity, sigma)
    delta = relevance.to(pair.dtype)
    inverse_needs = delta.mean() if information_needs is None else 1.0 / information_needs
    if clamp:
        return (delta * (pair - 1.0).square() + inverse_needs * pair.square()).sum()
    return ((inverse_needs - delta) * pair).sum()


def quantization_penalty(embeddings: Tensor) -> Tensor:
    r"""Distance to binary codes, :math:`\sum_{ik} \big| |y_{ik}| - 1 \big|`.

    This is Eq. 20 with the absolute value that is missing in print.

    Args:
        embeddings: (n, bits), floating.

    Returns:
        The sum over items and bits, a scalar; 0 for codes.

    Raises:
        ValueError: embeddings that are not finite, empty or not (n, bits).
    """
    return (embeddings.abs() - 1.0).abs().sum()


def qsmi_objective(embeddings: Tensor, labels: Tensor, *, alpha: float, **options: Any) -> Tensor:
    r"""The training loss :math:`L_{QSMI} + \alpha L_{hash}` (Eq. 21); `options` go to `qsmi_loss`."""
    return qsmi_loss(embeddings, relevance_matrix(labels), **options) + alpha * quantization_penalty(embeddings)
