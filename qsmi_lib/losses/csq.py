"""Central similarity: CSQ, CSQ with QSMI, and the hash centers that they, and the classifier, take. Unchecked cores."""

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from scipy.linalg import hadamard
from torch import Tensor

from qsmi_lib.losses.qsmi import qsmi_loss
from qsmi_lib.losses.similarity import relevance_matrix


def hash_centers(n_classes: int, bits: int, *, seed: int = 0) -> Tensor:
    r"""Codes that lie far apart, one a class (Yuan et al., CVPR 2020, Algorithm 1).

    Where `bits` is a power of two and at least half of `n_classes`: the first rows of :math:`[H; -H]`, H being the
    Hadamard matrix, any two n / 2 or n apart. Else words with n / 2 bits set, drawn at random, each kept that lies far
    from those kept before; the distance asked for falls from n / 2 until enough are found. Where there are too few such
    words, any words.

    Args:
        n_classes: how many centers, at least 1.
        bits: code length.
        seed: of the random words.

    Returns:
        int8 (n_classes, bits), -1 and +1, all distinct.

    Raises:
        ValueError: there are fewer words of `bits` bits than classes.
    """
    if 2**bits < n_classes:
        raise ValueError(
            f"{n_classes} classes need at least {(n_classes - 1).bit_length()} bits for distinct centers, got {bits}"
        )
    if bits & (bits - 1) == 0 and n_classes <= 2 * bits:
        rows = hadamard(bits)
        return torch.from_numpy(np.concatenate([rows, -rows])[:n_classes].astype(np.int8))
    rng = np.random.default_rng(seed)
    drawn = (max(2000, 20 * n_classes), bits)
    balanced = rng.permuted(np.broadcast_to(np.arange(bits) < bits // 2, drawn), axis=1)
    for words in (balanced, rng.random(drawn) < 0.5):
        for least in range(max(1, bits // 2), 0, -1):
            kept = _far_apart(words, n_classes, least)
            if len(kept) == n_classes:
                return torch.from_numpy(np.where(kept, 1, -1).astype(np.int8))
    raise ValueError(f"{drawn[0]} draws held no {n_classes} distinct words of {bits} bits")


def item_centers(labels: Tensor, bits: int, *, n_classes: int | None = None, seed: int = 0) -> Tensor:
    """The center of each item: its class's; with several labels the bitwise majority of their centers.

    Args:
        labels: int (n,), or multi-hot (n, c).
        bits: code length.
        n_classes: how many classes there are; None is the largest label plus one, or c.
        seed: of random centers, and of the one random word that settles even votes.

    Returns:
        int8 (n, bits), -1 and +1, where the labels lie.

    Raises:
        ValueError: as `hash_centers`; a label below 0 or not below n_classes.
    """
    if labels.ndim == 1:
        centers = hash_centers(n_classes or int(labels.max()) + 1, bits, seed=seed)
        return centers.to(labels.device)[labels]
    centers = hash_centers(labels.shape[1], bits, seed=seed).to(labels.device)
    votes = labels.float() @ centers.float()
    word = torch.randint(2, (bits,), generator=torch.Generator().manual_seed(seed)).to(labels.device) * 2.0 - 1.0
    return torch.where(votes == 0, word, votes.sign()).to(torch.int8)


def csq_loss(embeddings: Tensor, targets: Tensor, *, alpha: float = 1e-4) -> Tensor:
    r"""Central Similarity Quantization (Yuan et al., CVPR 2020).

    .. math::
        \operatorname*{mean}_{ik} \mathrm{BCE}\big(\tfrac12 (h_{ik} + 1), \tfrac12 (c_{ik} + 1)\big)
        + \alpha \operatorname*{mean}_{ik} (|h_{ik}| - 1)^2, \qquad h = \tanh(y)

    The first argument is :math:`\mathrm{sigmoid}(2y)`: the entropy is taken of the logits 2y and cannot overflow.

    Args:
        embeddings: (n, bits), floating; network outputs before tanh.
        targets: (n, bits) of -1 and +1, the items' centers.
        alpha: weight of the quantization term; 0.05 in the authors' command for ResNet-50, 0.001 for AlexNet.

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: embeddings that are not finite, empty or not (n, bits); targets of another shape or other values.
    """
    central = F.binary_cross_entropy_with_logits(2.0 * embeddings, (targets > 0).to(embeddings.dtype))
    return central + alpha * (embeddings.tanh().abs() - 1.0).square().mean()


def csq_qsmi_loss(
    embeddings: Tensor, targets: Tensor, relevance: Tensor, *, alpha: float = 1e-4, a_csq: float = 1e-3
) -> Tensor:
    r"""CSQ with QSMI (the QSMI paper's Table 8): :math:`L_{CSQ} + a_{csq} L_{QSMI}(\tanh y)`.

    CSQ takes the place of the quantization penalty. QSMI is the sum over pairs: as a mean, 0.001 of it would weigh
    nothing. Whether it saw the outputs before or after tanh is not stated; here after.

    Args:
        embeddings: (n, bits), floating; network outputs before tanh.
        targets: (n, bits) of -1 and +1, the items' centers.
        relevance: (n, n), bool or floating in [0, 1].
        alpha: weight of CSQ's quantization term.
        a_csq: weight of QSMI (Appendix B).

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: as `csq_loss` and `qsmi_loss`.
    """
    return csq_loss(embeddings, targets, alpha=alpha) + a_csq * qsmi_loss(embeddings.tanh(), relevance)


def prepare(inputs: Tensor, labels: Tensor, bits: int, seed: int, options: Mapping) -> Tensor:
    """The targets of a run: the center of each item's class, random centers drawn by the run's seed."""
    return item_centers(labels, bits, seed=seed)


def csq_objective(embeddings: Tensor, labels: Tensor, *, targets: Tensor, alpha: float) -> Tensor:
    """`csq_loss`; the centers say all that the labels do."""
    return csq_loss(embeddings, targets, alpha=alpha)


def csq_qsmi_objective(embeddings: Tensor, labels: Tensor, *, targets: Tensor, **options) -> Tensor:
    """`csq_qsmi_loss` of the labels' relevance."""
    return csq_qsmi_loss(embeddings, targets, relevance_matrix(labels), **options)


def classifier_objective(scores: Tensor, labels: Tensor) -> Tensor:
    r"""Cross-entropy of class scores; with several labels each of an item's gets an equal share of its probability.

    So the probabilities that `heads.ClassWords` weighs its words by are those that were trained. An item without a
    label says nothing.

    Args:
        scores: (n, c), floating.
        labels: int (n,), or multi-hot (n, c).
    """
    if labels.ndim == 2:
        shares = labels / labels.sum(dim=1, keepdim=True).clamp_min(1)
        return F.cross_entropy(scores, shares.to(scores.dtype))
    return F.cross_entropy(scores, labels)


def _far_apart(words: np.ndarray, n: int, least: int) -> np.ndarray:
    """The first n of `words` (bool), each at least `least` bits from those taken before; fewer where there are none."""
    kept = np.empty((0, words.shape[1]), bool)
    for word in words:
        if len(kept) < n and ((kept != word).sum(axis=1) >= least).all():
            kept = np.concatenate([kept, word[None]])
    return kept
