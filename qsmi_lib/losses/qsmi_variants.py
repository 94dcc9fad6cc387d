"""Variants of QSMI: true class priors, graded relevance, and QSMI+U for unseen classes. No input checks."""

from collections.abc import Mapping

import torch
from torch import Tensor

from qsmi_lib.losses.qsmi import qsmi_loss, quantization_penalty
from qsmi_lib.losses.similarity import cosine_similarity, relevance_matrix


def qsmi_priors_loss(embeddings: Tensor, labels: Tensor, *, clamp: bool = True) -> Tensor:
    r"""QSMI with the true priors of the labels (Eqs. 13 to 16) as a loss: a sum over pairs, as `qsmi_loss`.

    With :math:`z_{ik}` = 1 where item i carries label k, and the priors :math:`p_k = N_k / N` of the batch, Eqs. 14 to
    16 add up to

    .. math::
        N^2 I = \sum_{ij} (a_{ij} - r_{ij}) S_{ij}, \qquad a_{ij} = \sum_k z_{ik} z_{jk}, \qquad
        r_{ij} = \sum_k p_k (z_{ik} + z_{jk} - p_k)

    Not clamped, the loss is :math:`-\sum_{ij} (a_{ij} - r_{ij}) S_{ij}`; its weights are the covariance
    :math:`\sum_k (z_{ik} - p_k)(z_{jk} - p_k)`. Clamped as the paper clamps Eq. 17, attraction is
    :math:`(S - 1)^2` and repulsion :math:`S^2`:

    .. math::
        \sum_{ij} a_{ij} (S_{ij} - 1)^2 + r^+_{ij} S_{ij}^2 + r^-_{ij} (S_{ij} - 1)^2

    If all labels are equally frequent and each item has one, r = 1 / M and this is Eq. 19. Two items of rare labels
    have r < 0 and attract each other: compared with the frequent labels they are alike.

    Args:
        embeddings: (n, bits), floating.
        labels: int (n,), or multi-hot (n, c).
        clamp: the square clamp of Section 3.3.

    Returns:
        The loss, a scalar; lower is better.

    Raises:
        ValueError: embeddings that are not finite, empty or not (n, bits); labels of another length or kind.
    """
    pair = cosine_similarity(embeddings)
    member = (labels if labels.ndim == 2 else labels[:, None] == labels.unique()).to(pair.dtype)
    prior = member.mean(dim=0)
    frequency = member @ prior
    attract, repel = member @ member.T, frequency[:, None] + frequency[None, :] - prior @ prior
    if not clamp:
        return ((repel - attract) * pair).sum()
    attract = attract + (-repel).clamp_min(0.0)
    return (attract * (pair - 1.0).square() + repel.clamp_min(0.0) * pair.square()).sum()


def jaccard_similarity(labels: Tensor) -> Tensor:
    r"""Graded relevance of label sets, :math:`\Delta_{ij} = |L_i \cap L_j| / |L_i \cup L_j|`.

    Args:
        labels: int (n,), where the relevance is equality, or multi-hot (n, c).

    Returns:
        floating (n, n) in [0, 1]; 0 if neither item has a label.

    Raises:
        ValueError: labels that are not whole numbers, none, of another shape, or not 0 and 1 where multi-hot.
    """
    member = (labels if labels.ndim == 2 else labels[:, None] == labels.unique()).float()
    shared, size = member @ member.T, member.sum(dim=1)
    return shared / (size[:, None] + size[None, :] - shared).clamp_min(1.0)


def qsmi_u_loss(
    embeddings: Tensor,
    relevance: Tensor,
    needs: Tensor,
    *,
    alpha: float = 0.01,
    beta: float = 0.5,
    information_needs: float | None = None,
) -> Tensor:
    r"""QSMI+U, the paper's QSMIH+U: QSMI of the labels and QSMI of clusters (Section 3.4).

    .. math::
        L_{QSMI}(\Delta) + \alpha L_{hash} + \beta L_{QSMI}(\Delta^U)

    :math:`\Delta^U_{ij}` is 1 if i and j are in the same cluster. Each of the two losses has its own M.

    Args:
        embeddings: (n, bits), floating; network outputs before the sign.
        relevance: (n, n), bool or floating in [0, 1].
        needs: (n, n), bool; whether two items are in the same cluster.
        alpha: weight of the penalty.
        beta: weight of the QSMI of the clusters; 0.5 in the paper.
        information_needs: M of the labels; None is the estimate of the batch. M of the clusters is always estimated.

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: embeddings that are not finite, empty or not (n, bits); relevance or needs of another shape or
            range; information_needs or beta not above 0.
    """
    labelled = qsmi_loss(embeddings, relevance, information_needs=information_needs)
    return labelled + alpha * quantization_penalty(embeddings) + beta * qsmi_loss(embeddings, needs)


def clusters(inputs: Tensor, *, n_clusters: int, seed: int) -> Tensor:
    """k-means clusters of items (scikit-learn, one k-means++ initialisation).

    Args:
        inputs: (n, ...), pixels or frozen features.
        n_clusters: number of clusters; 5 in the paper.
        seed: seed of the initialisation.

    Returns:
        int64 (n,), the cluster of each item, on the device of `inputs`.
    """
    from sklearn.cluster import KMeans  # slow to import, and the other losses need no scikit-learn

    points = inputs.flatten(1).float().cpu().numpy()
    cluster = KMeans(n_clusters, n_init=1, random_state=seed).fit_predict(points)
    return torch.from_numpy(cluster).long().to(inputs.device)


def qsmi_priors_objective(embeddings: Tensor, labels: Tensor, *, alpha: float) -> Tensor:
    r"""`qsmi_priors_loss` and :math:`\alpha L_{hash}`."""
    return qsmi_priors_loss(embeddings, labels) + alpha * quantization_penalty(embeddings)


def qsmi_jaccard_objective(
    embeddings: Tensor, labels: Tensor, *, alpha: float, information_needs: float | None
) -> Tensor:
    r"""`qsmi_loss` of `jaccard_similarity` and :math:`\alpha L_{hash}`."""
    graded = qsmi_loss(embeddings, jaccard_similarity(labels), information_needs=information_needs)
    return graded + alpha * quantization_penalty(embeddings)


def qsmi_u_objective(
    embeddings: Tensor, labels: Tensor, *, targets: Tensor, alpha: float, beta: float, information_needs: float | None
) -> Tensor:
    """`qsmi_u_loss`; `targets` (n,) are the clusters of the items."""
    relevance, needs = relevance_matrix(labels), relevance_matrix(targets)
    return qsmi_u_loss(embeddings, relevance, needs, alpha=alpha, beta=beta, information_needs=information_needs)


def prepare_qsmi_u(inputs: Tensor, labels: Tensor, bits: int, seed: int, options: Mapping) -> Tensor:
    """Targets of a run of QSMI+U: `clusters` of the training items; the option `n_clusters` is their number."""
    return clusters(inputs, n_clusters=int(options["n_clusters"]), seed=seed)
