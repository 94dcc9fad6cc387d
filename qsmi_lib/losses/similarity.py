r"""Relevance :math:`\Delta` of labels and similarity :math:`S` of embeddings: the two matrices of every loss here."""

import torch
from torch import Tensor


def relevance_matrix(labels: Tensor) -> Tensor:
    r"""Relevance :math:`\Delta` (Eq. 18): equal labels, or at least one shared label.

    Args:
        labels: int (n,), or multi-hot (n, c) of 0 and 1.

    Returns:
        bool (n, n); the diagonal is part of it. An item without any label is not even relevant to itself.

    Raises:
        ValueError: labels that are floating, empty, of another shape, or not 0 and 1 where multi-hot.
    """
    if labels.ndim == 1:
        return labels[:, None] == labels[None, :]
    # float32 holds the counts of shared labels exactly, and its product is the fast one on every device.
    multi_hot = labels.float()
    return multi_hot @ multi_hot.T > 0


def cosine_similarity(embeddings: Tensor, eps: float = 1e-8) -> Tensor:
    r"""Spherical similarity :math:`S_{ij} = \tfrac12 \big(1 + y_i^T y_j / (\|y_i\| \|y_j\|)\big) \in [0, 1]` (Eq. 12).

    A norm is max(norm, eps); a zero row is detached, for its direction is undefined and its gradient would be 1 / eps.

    Args:
        embeddings: (n, bits), floating.

    Returns:
        (n, n), as floating as the embeddings.

    Raises:
        ValueError: embeddings that are not finite, empty or not (n, bits).
    """
    norm = embeddings.norm(dim=1, keepdim=True)
    unit = torch.where(norm > 0, embeddings, embeddings.detach()) / norm.clamp_min(eps)
    return 0.5 * (1.0 + unit @ unit.T)


def gaussian_similarity(embeddings: Tensor, sigma: float) -> Tensor:
    r"""Gaussian kernel without normaliser, :math:`G_{ij} = \exp(-\|y_i - y_j\|^2 / (2 \sigma^2))`.

    The authors' code has this form; Eqs. 6 and 9 to 11 read literally have :math:`4 \sigma^2` and a normaliser.

    Args:
        embeddings: (n, bits), floating.
        sigma: width of the kernel, in units of the embeddings.

    Returns:
        (n, n), in (0, 1].

    Raises:
        ValueError: embeddings that are not finite, empty or not (n, bits); sigma not above 0.
    """
    square = embeddings.square().sum(dim=1)
    distance = (square[:, None] + square[None, :] - 2.0 * embeddings @ embeddings.T).clamp_min(0.0)
    return torch.exp(-distance / (2.0 * sigma**2))


def similarity_matrix(embeddings: Tensor, similarity: str, sigma: float) -> Tensor:
    """The similarity named `similarity`: "cosine" (Eq. 12) or "gaussian" (its `sigma` matters only there)."""
    return cosine_similarity(embeddings) if similarity == "cosine" else gaussian_similarity(embeddings, sigma)
