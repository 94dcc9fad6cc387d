r"""Relevance :math:`\Delta` of labels, similarity :math:`S` of embeddings, and helpers. No input checks."""

import torch
from torch import Tensor


def relevance_matrix(labels: Tensor) -> Tensor:
    r"""Relevance :math:`\Delta` (Eq. 18): equal labels, or at least one shared label.

    Args:
        labels: int (n,), or multi-hot (n, c) of 0 and 1.

    Returns:
        bool (n, n), with the diagonal. An item without any label is not relevant to itself either.

    Raises:
        ValueError: labels that are not whole numbers, none, of another shape, or not 0 and 1 where multi-hot.
    """
    if labels.ndim == 1:
        return labels[:, None] == labels[None, :]
    # float32 holds the counts of shared labels exactly, and its matrix product is fast on every device.
    multi_hot = labels.float()
    return multi_hot @ multi_hot.T > 0


def on_sphere(embeddings: Tensor, eps: float = 1e-8) -> Tensor:
    r"""Rows of unit length, :math:`h_i = y_i / \|y_i\|`; a zero row stays zero.

    Norms are max(norm, eps). A zero row gets no gradient: it has no direction, and its gradient would be 1 / eps.
    """
    norm = embeddings.norm(dim=1, keepdim=True)
    return torch.where(norm > 0, embeddings, embeddings.detach()) / norm.clamp_min(eps)


def squared_distance(embeddings: Tensor) -> Tensor:
    r"""Squared Euclidean distance of every two rows, :math:`\|y_i\|^2 + \|y_j\|^2 - 2 y_i^T y_j`, (n, n)."""
    square = embeddings.square().sum(dim=1)
    return (square[:, None] + square[None, :] - 2.0 * embeddings @ embeddings.T).clamp_min(0.0)


def pair_weights(relevance: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    r"""Weights of similar and of dissimilar pairs, :math:`\Delta` and :math:`1 - \Delta`, both 0 for self pairs."""
    delta = relevance.to(dtype)
    return delta.clone().fill_diagonal_(0.0), (1.0 - delta).fill_diagonal_(0.0)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of all values; 0 if all weights are 0."""
    return (weights * values).sum() / weights.sum().clamp_min(torch.finfo(values.dtype).tiny)


def cosine_similarity(embeddings: Tensor, eps: float = 1e-8) -> Tensor:
    r"""Spherical similarity :math:`S_{ij} = \tfrac12 \big(1 + y_i^T y_j / (\|y_i\| \|y_j\|)\big) \in [0, 1]` (Eq. 12).

    Args:
        embeddings: (n, bits), floating.
        eps: as in `on_sphere`.

    Returns:
        (n, n), floating.

    Raises:
        ValueError: embeddings that are not finite, empty or not (n, bits).
    """
    unit = on_sphere(embeddings, eps)
    return 0.5 * (1.0 + unit @ unit.T)


def gaussian_similarity(embeddings: Tensor, sigma: float) -> Tensor:
    r"""Gaussian kernel without normaliser, :math:`G_{ij} = \exp(-\|y_i - y_j\|^2 / (2 \sigma^2))`.

    This is the form of the authors' code. Eqs. 6 and 9 to 11 as printed have :math:`4 \sigma^2` and a normaliser.

    Args:
        embeddings: (n, bits), floating.
        sigma: width of the kernel, in units of the embeddings.

    Returns:
        (n, n), in (0, 1].

    Raises:
        ValueError: embeddings that are not finite, empty or not (n, bits); sigma not above 0.
    """
    return torch.exp(-squared_distance(embeddings) / (2.0 * sigma**2))


def similarity_matrix(embeddings: Tensor, similarity: str, sigma: float) -> Tensor:
    """The similarity named `similarity`: "cosine" (Eq. 12) or "gaussian", which alone uses `sigma`."""
    return cosine_similarity(embeddings) if similarity == "cosine" else gaussian_similarity(embeddings, sigma)
