"""Gradient descent of QSMI on free points of the sphere, without a network, with the square clamp and without it."""

import itertools
import math

import numpy as np
import torch
from torch import Tensor

from qsmi_lib.losses import cosine_similarity, relevance_matrix
from qsmi_lib.losses.similarity import on_sphere


def random_points(n_classes: int, bits: int, seed: int, *, n_per_class: int = 4) -> tuple[Tensor, Tensor]:
    """Unit vectors in random directions, and their classes.

    With four points a class, the clamped descent of four classes in the plane ends at right angles from each of 100
    starts; with three points, 3 of 100 starts end in a local minimum.

    Returns:
        Embeddings (n, bits), float64, and labels int (n,), with n = `n_classes` times `n_per_class`.
    """
    labels = torch.arange(n_classes).repeat_interleave(n_per_class)
    drawn = np.random.default_rng(seed).standard_normal((len(labels), bits))
    return on_sphere(torch.from_numpy(drawn)), labels


def pulls(embeddings: Tensor, labels: Tensor, *, clamp: bool) -> Tensor:
    r"""How each pair moves its first point: minus the gradient of the pair's part of the loss, Eq. 30 pair by pair.

    .. math::
        -\frac{2}{N} \Big(2 \Delta_{ij} (S_{ij} - 1) + \frac2M S_{ij}\Big) \frac{\partial S_{ij}}{\partial y_i}
        \quad \text{with the clamp, else} \quad
        \frac{2}{N} \Big(\Delta_{ij} - \frac1M\Big) \frac{\partial S_{ij}}{\partial y_i}

    The loss is `qsmi_loss` divided by N. The factor 2 stands for the pairs (i, j) and (j, i).

    Args:
        embeddings: (n, bits), floating, no row zero.
        labels: int (n,).
        clamp: as of `qsmi_loss`; M is estimated from the labels.

    Returns:
        (n, n, bits); entry (i, j) is the pull of item j on item i. The sum over j is minus the gradient of item i.
    """
    delta, similarity = relevance_matrix(labels).to(embeddings.dtype), cosine_similarity(embeddings)
    inverse_needs = delta.mean()
    slope = 2 * delta * (similarity - 1) + 2 * inverse_needs * similarity if clamp else inverse_needs - delta
    length, unit = embeddings.norm(dim=1)[:, None, None], on_sphere(embeddings)
    cosine = (2 * similarity - 1)[:, :, None]
    turn = 0.5 * (unit[None, :] - cosine * unit[:, None]) / length  # Eq. 33
    return -2 / len(labels) * slope[:, :, None] * turn


def descend(embeddings: Tensor, labels: Tensor, *, clamp: bool, n_steps: int = 200, rate: float = 2.0) -> Tensor:
    """Paths of points under gradient descent; the loss depends on directions only, so each step ends on the sphere.

    Args:
        embeddings: (n, bits), where they start.
        labels: int (n,).
        clamp: as of `qsmi_loss`.
        n_steps: of the descent.
        rate: length of a step over the gradient of the loss divided by N.

    Returns:
        (n_steps + 1, n, bits), unit vectors, the start first.
    """
    path = [on_sphere(embeddings)]
    for _ in range(n_steps):
        path.append(on_sphere(path[-1] + rate * pulls(path[-1], labels, clamp=clamp).sum(dim=1)))
    return torch.stack(path)


def class_directions(embeddings: Tensor, labels: Tensor) -> Tensor:
    """The mean direction of each class, unit vectors (classes, bits), in the order of the labels."""
    unit = on_sphere(embeddings)
    return on_sphere(torch.stack([unit[labels == label].mean(dim=0) for label in labels.unique()]))


def smallest_angle(embeddings: Tensor, labels: Tensor) -> float:
    """The smallest angle between the mean directions of two classes, in degrees."""
    directions = class_directions(embeddings, labels)
    cosines = [float(first @ second) for first, second in itertools.combinations(directions, 2)]
    return math.degrees(math.acos(min(1.0, max(cosines))))
