"""CNNH: codes that factor the relevance of the training set first, then a regression onto them. Unchecked cores."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from qsmi_lib.utils.numba import compiled


def cnnh_codes(labels: Tensor, bits: int, *, n_sweeps: int = 10, seed: int = 0) -> Tensor:
    r"""CNNH's first stage (Xia, Pan, Lai, Liu, Yan, AAAI 2014), reconstructed: no public working code.

    .. math::
        \min_{H \in [-1, 1]^{N \times n}} \Big\| S - \tfrac1n H H^T \Big\|_F^2, \qquad
        S_{ij} = 2 \Delta_{ij} - 1, \quad \text{codes } \mathrm{sign}(H)

    by Newton steps on one entry after the other: with :math:`L = H H^T - n S`, :math:`g' = 4 L_{i\cdot} H_{\cdot j}`
    and :math:`g'' = 4 (H_{\cdot j}^T H_{\cdot j} + H_{ij}^2 + L_{ii})`, entry ij moves by :math:`-g' / g''`, as far as
    [-1, 1] allows. No N x N matrix is formed: items of equal labels share their row of S, so
    :math:`S_{i\cdot} H_{\cdot j}` is a sum over the distinct label sets.

    Args:
        labels: int (n,), or multi-hot (n, c).
        bits: code length.
        n_sweeps: passes over all entries.
        seed: of the first H, uniform in [-1, 1].

    Returns:
        int8 (n, bits), -1 and +1, where the labels lie.

    Raises:
        ValueError: labels that are no labels.
    """
    kinds, group = np.unique(labels.cpu().numpy(), axis=0, return_inverse=True)
    related = kinds[:, None] == kinds if kinds.ndim == 1 else kinds.astype(np.int64) @ kinds.T.astype(np.int64) > 0
    factor = np.random.default_rng(seed).uniform(-1.0, 1.0, (len(group), bits))
    _descend(factor, group.reshape(-1), np.where(related, 1.0, -1.0), n_sweeps)
    return torch.from_numpy(np.where(factor >= 0, 1, -1).astype(np.int8)).to(labels.device)


def cnnh_loss(embeddings: Tensor, targets: Tensor) -> Tensor:
    r"""CNNH's second stage, :math:`\operatorname*{mean}_{ik} (y_{ik} - b_{ik})^2`: regression onto the codes.

    Args:
        embeddings: (n, bits), floating.
        targets: (n, bits) of -1 and +1, what `cnnh_codes` gave.

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: embeddings that are not finite, empty or not (n, bits); targets of another shape or other values.
    """
    return (embeddings - targets).square().mean()


def prepare(inputs: Tensor, labels: Tensor, bits: int, seed: int, options: Mapping) -> Tensor:
    """The targets of a run: the codes of the first stage."""
    return cnnh_codes(labels, bits, seed=seed)


def cnnh_objective(embeddings: Tensor, labels: Tensor, *, targets: Tensor) -> Tensor:
    """`cnnh_loss`; the codes of the first stage say all that the labels do."""
    return cnnh_loss(embeddings, targets)


@compiled()
def _descend(factor: np.ndarray, group: np.ndarray, sign: np.ndarray, n_sweeps: int) -> None:
    """Newton steps over the entries of `factor` (n, bits), in place; `sign` is S of two groups."""
    n_item, bits = factor.shape
    gram = factor.T @ factor
    by_group = np.zeros((bits, len(sign)))  # column sums over the items of a group
    for i in range(n_item):
        by_group[:, group[i]] += factor[i]
    for _ in range(n_sweeps):
        for j in range(bits):
            for i in range(n_item):
                row, own = factor[i], group[i]
                slope = np.dot(row, gram[j]) - bits * np.dot(sign[own], by_group[j])
                curvature = gram[j, j] + row[j] ** 2 + np.dot(row, row) - bits * sign[own, own]
                if curvature > 0.0:
                    step = min(max(-slope / curvature, -1.0 - row[j]), 1.0 - row[j])
                else:  # the quadratic falls towards one end
                    step = (-1.0 if slope > 0.0 else 1.0) - row[j]
                gram[j] += step * row
                gram[:, j] += step * row
                gram[j, j] += step * step
                by_group[j, own] += step
                row[j] += step
