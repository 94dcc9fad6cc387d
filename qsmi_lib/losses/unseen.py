"""QSMI+U (the paper calls it QSMIH+U): its's extension for classes that training never sees. An unchecked core."""

from collections.abc import Mapping

import torch
from torch import Tensor

from qsmi_lib.losses.qsmi import qsmi_loss, quantization_penalty
from qsmi_lib.losses.similarity import relevance_matrix


def qsmi_u_loss(
    embeddings: Tensor,
    relevance: Tensor,
    needs: Tensor,
    *,
    alpha: float = 0.01,
    beta: float = 0.5,
    information_needs: float | None = None,
) -> Tensor:
    r"""QSMI with further needs, found by clustering (Section 3.4).

    .. math::
        L_{QSMI}(\Delta) + \alpha L_{hash} + \beta L_{QSMI}(\Delta^U)

    :math:`\Delta^U_{ij}` is 1 where i and j lie in one cluster. Each of the two losses has an M of its own.

    Args:
        embeddings: (n, bits), floating; network outputs before the sign.
        relevance: (n, n), bool or floating in [0, 1].
        needs: (n, n), bool; equal clusters.
        alpha: weight of the penalty.
        beta: weight of the clusters' QSMI; 0.5 in the paper.
        information_needs: M of the labels; None estimates it from the batch. That of the clusters is estimated.

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: embeddings that are not finite, empty or not (n, bits); relevance or needs of another shape or
            range; information_needs or beta not above 0.
    """
    labelled = qsmi_loss(embeddings, relevance, information_needs=information_needs)
    return labelled + alpha * quantization_penalty(embeddings) + beta * qsmi_loss(embeddings, needs)


def clusters(inputs: Tensor, *, n_clusters: int, seed: int) -> Tensor:
    """k-means clusters of items (scikit-learn's, one k-means++ start).

    Args:
        inputs: (n, ...), pixels or frozen features.
        n_clusters: how many; 5 in the paper.
        seed: of the start.

    Returns:
        int64 (n,), the number of each item's cluster, where the inputs lie.
    """
    from sklearn.cluster import KMeans

    points = inputs.flatten(1).float().cpu().numpy()
    cluster = KMeans(n_clusters, n_init=1, random_state=seed).fit_predict(points)
    return torch.from_numpy(cluster).long().to(inputs.device)


def prepare(inputs: Tensor, labels: Tensor, bits: int, seed: int, options: Mapping) -> Tensor:
    """The targets of a run: the clusters of its training items, as many as the option `n_clusters` says."""
    return clusters(inputs, n_clusters=int(options["n_clusters"]), seed=seed)


def qsmi_u_objective(
    embeddings: Tensor, labels: Tensor, *, targets: Tensor, alpha: float, beta: float, information_needs: float | None
) -> Tensor:
    """`qsmi_u_loss`, `targets` (n,) being the items' clusters."""
    relevance, needs = relevance_matrix(labels), relevance_matrix(targets)
    return qsmi_u_loss(embeddings, relevance, needs, alpha=alpha, beta=beta, information_needs=information_needs)
