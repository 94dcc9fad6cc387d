"""CNNH: codes that factorise the relevance of the training set, then a regression onto them. No input checks."""

import functools
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from qsmi_lib.losses.similarity import relevance_matrix
from qsmi_lib.utils.limits import CNNH_STEPS


def cnnh_codes(labels: Tensor, bits: int, *, n_sweeps: int = 10, seed: int = 0) -> Tensor:
    r"""CNNH's first stage (Xia, Pan, Lai, Liu, Yan, AAAI 2014), a reconstruction: there is no public code that works.

    .. math::
        \min_{H \in [-1, 1]^{N \times n}} \Big\| S - \tfrac1n H H^T \Big\|_F^2, \qquad
        S_{ij} = 2 \Delta_{ij} - 1, \quad \text{codes } \mathrm{sign}(H)

    by coordinate descent, one Newton step per entry. With :math:`L = H H^T - n S`,
    :math:`g' = 4 L_{i\cdot} H_{\cdot j}` and :math:`g'' = 4 (H_{\cdot j}^T H_{\cdot j} + H_{ij}^2 + L_{ii})`, entry ij
    moves by :math:`-g' / g''` within [-1, 1]. No N x N matrix is formed: items with equal labels have equal rows of S,
    so :math:`S_{i\cdot} H_{\cdot j}` is a sum over the distinct label sets.

    The first call compiles the descent with numba, which takes seconds.

    Args:
        labels: int (n,), or multi-hot (n, c).
        bits: code length.
        n_sweeps: passes over all entries.
        seed: seed of the initial H, uniform in [-1, 1].

    Returns:
        int8 (n, bits), -1 and +1, on the device of `labels`.

    Raises:
        ValueError: labels that are not whole numbers, none, of another shape, or not 0 and 1 where multi-hot; bits or
            n_sweeps below 1, or so large that the descent would take hours, see `limits.CNNH_STEPS`.
    """
    if (n_steps := len(labels) * bits**2 * n_sweeps) > CNNH_STEPS:
        raise ValueError(
            f"items * bits**2 * n_sweeps must be at most {CNNH_STEPS:g}, got {n_steps:g} of {len(labels)} items, "
            f"{bits} bits and {n_sweeps} sweeps: use fewer bits"
        )
    label_sets, group = np.unique(labels.cpu().numpy(), axis=0, return_inverse=True)
    related = relevance_matrix(torch.from_numpy(label_sets)).numpy()
    factor = np.random.default_rng(seed).uniform(-1.0, 1.0, (len(group), bits))
    _compiled_descend()(factor, group.reshape(-1), np.where(related, 1.0, -1.0), n_sweeps)
    return torch.from_numpy(np.where(factor >= 0, 1, -1).astype(np.int8)).to(labels.device)


def cnnh_loss(embeddings: Tensor, targets: Tensor) -> Tensor:
    r"""CNNH's second stage, :math:`\operatorname*{mean}_{ik} (y_{ik} - b_{ik})^2`: regression onto the codes.

    Args:
        embeddings: (n, bits), floating.
        targets: (n, bits) of -1 and +1, the result of `cnnh_codes`.

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: embeddings that are not finite, empty or not (n, bits); targets of another shape or other values.
    """
    return (embeddings - targets).square().mean()


def prepare(inputs: Tensor, labels: Tensor, bits: int, seed: int, options: Mapping) -> Tensor:
    """Targets of a run: the codes of the first stage."""
    return cnnh_codes(labels, bits, seed=seed)


def cnnh_objective(embeddings: Tensor, labels: Tensor, *, targets: Tensor) -> Tensor:
    """`cnnh_loss`; the labels entered it through the codes of the first stage."""
    return cnnh_loss(embeddings, targets)


@functools.cache
def _compiled_descend() -> Callable[..., None]:
    """`_descend`, compiled. numba is imported here because the other losses do not need it."""
    from qsmi_lib.utils.numba import compiled

    return compiled()(_descend)


def _descend(factor: np.ndarray, group: np.ndarray, sign: np.ndarray, n_sweeps: int) -> None:
    """Newton steps over the entries of `factor` (n, bits), in place; `sign` is S of every two label sets."""
    n_item, bits = factor.shape
    gram = factor.T @ factor
    by_group = np.zeros((bits, len(sign)))  # column sums over the items of each label set
    for i in range(n_item):
        by_group[:, group[i]] += factor[i]
    for _ in range(n_sweeps):
        for j in range(bits):
            for i in range(n_item):
                row, g = factor[i], group[i]
                slope = np.dot(row, gram[j]) - bits * np.dot(sign[g], by_group[j])
                curvature = gram[j, j] + row[j] ** 2 + np.dot(row, row) - bits * sign[g, g]
                if curvature > 0.0:
                    step = min(max(-slope / curvature, -1.0 - row[j]), 1.0 - row[j])
                else:  # the quadratic is least at one end of [-1, 1]
                    step = (-1.0 if slope > 0.0 else 1.0) - row[j]
                gram[j] += step * row
                gram[:, j] += step * row
                gram[j, j] += step * step
                by_group[j, g] += step
                row[j] += step
