"""QSMIH+U: the paper's extension for classes that training never sees. An unchecked core."""

import torch
from torch import Tensor, nn

from qsmi_lib.config import RunConfig
from qsmi_lib.datasets import Part
from qsmi_lib.losses.information import qsmi_loss, quantization_penalty
from qsmi_lib.losses.similarity import relevance_matrix

SPACES = ("inputs", "embeddings")


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


def clusters(inputs: Tensor, model: nn.Module, *, space: str, n_clusters: int, seed: int) -> Tensor:
    """k-means clusters of the training items (scikit-learn's, one k-means++ start).

    Args:
        inputs: images or features, the first axis being the items.
        model: the network, as it is now.
        space: "inputs", the pixels or frozen features themselves, or "embeddings", the network's present outputs.
        n_clusters: how many; 5 in the paper.
        seed: of the start.

    Returns:
        int64 (n,), where the inputs lie.
    """
    from sklearn.cluster import KMeans

    if space == "embeddings":
        with torch.no_grad():
            points = torch.cat([model(batch) for batch in inputs.split(1000)])
    else:
        points = inputs.flatten(1)
    found = KMeans(n_clusters, n_init=1, random_state=seed).fit_predict(points.float().cpu().numpy())
    return torch.from_numpy(found).long().to(inputs.device)


def prepare(train: Part, config: RunConfig, network: nn.Module) -> Tensor:
    """The targets of a run: the items' clusters, in the space and of the number that the run's options name."""
    if config.options["space"] == "inputs" and config.options["refresh"] is not None:
        raise ValueError("refresh needs space=embeddings: the inputs do not change, and nor would their clusters")
    return clusters(
        train.inputs,
        network,
        space=config.options["space"],
        n_clusters=int(config.options["n_clusters"]),
        seed=config.seed,
    )


def qsmi_u_objective(
    embeddings: Tensor, labels: Tensor, *, targets: Tensor, alpha: float, beta: float, information_needs: float | None
) -> Tensor:
    """`qsmi_u_loss`, `targets` (n,) being the items' clusters."""
    relevance, needs = relevance_matrix(labels), relevance_matrix(targets)
    return qsmi_u_loss(embeddings, relevance, needs, alpha=alpha, beta=beta, information_needs=information_needs)
