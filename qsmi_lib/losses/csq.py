"""Hash centers, CSQ, CSQ with QSMI, and the classification loss. No input checks."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from qsmi_lib.losses.qsmi import qsmi_loss
from qsmi_lib.losses.similarity import relevance_matrix
from qsmi_lib.utils.limits import CENTERS

SEARCHED = 1 << 16  # bits of all centers up to which every distance from n / 2 downwards is tried
BLOCK = 256  # words compared at a time


def hash_centers(n_classes: int, bits: int, *, seed: int = 0) -> Tensor:
    r"""Codes that are far from each other, one per class (Yuan et al., CVPR 2020, Algorithm 1).

    If `bits` is a power of two and at least half of `n_classes`, these are the first rows of :math:`[H; -H]` with the
    Hadamard matrix H. Any two of them differ in n / 2 or n bits.

    Otherwise they are random words with n / 2 bits set. A word is taken if its distance to all words taken before is
    large enough. The required distance is lowered from n / 2 until there are enough words. If there are too few words
    with n / 2 bits set, words with any number of bits set are drawn.

    More than 65,536 bits in all centers: the required distance d starts where all centers, as balls of radius d - 1,
    fill at most half of the words (Gilbert-Varshamov). Random words then reach it, in seconds.

    Args:
        n_classes: number of centers, at least 1.
        bits: code length.
        seed: seed of the random words.

    Returns:
        int8 (n_classes, bits), -1 and +1, all distinct.

    Raises:
        ValueError: there are fewer words of `bits` bits than classes; n_classes or bits below 1; n_classes**2 * bits
            above `limits.CENTERS`: 53,509 classes of 48 bits.
    """
    if 2**bits < n_classes:
        raise ValueError(
            f"{n_classes} classes need at least {(n_classes - 1).bit_length()} bits for distinct centers, got {bits}"
        )
    if n_classes**2 * bits > CENTERS:
        raise ValueError(
            f"hash centers of {bits} bits can be found for at most {math.isqrt(CENTERS // bits)} classes in reasonable "
            f"time, got {n_classes}: use a method without centers, e.g. qsmi"
        )
    if bits & (bits - 1) == 0 and n_classes <= 2 * bits:
        hadamard = np.ones((1, 1), np.int8)
        while len(hadamard) < bits:
            hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
        return torch.from_numpy(np.concatenate([hadamard, -hadamard])[:n_classes])
    rng = np.random.default_rng(seed)
    n_words = max(2000, 20 * n_classes) if n_classes * bits <= SEARCHED else 4 * n_classes
    for words, distance in _word_lists(n_classes, bits, n_words, rng):
        for least in range(distance, 0, -1):
            centers = _far_apart(words, n_classes, least)
            if len(centers) == n_classes:
                return torch.from_numpy(np.where(centers, 1, -1).astype(np.int8))
    raise ValueError(f"{n_words} random words of {bits} bits had fewer than {n_classes} distinct ones: use more bits")


def item_centers(labels: Tensor, bits: int, *, n_classes: int | None = None, seed: int = 0) -> Tensor:
    """Center of each item: that of its class, or with several labels the bitwise majority of their centers.

    Args:
        labels: class numbers (n,), or multi-hot (n, c).
        bits: code length.
        n_classes: number of classes; None is the largest label plus one, or c.
        seed: seed of random centers, and of one random word whose bits break even votes.

    Returns:
        int8 (n, bits), -1 and +1, on the device of `labels`.

    Raises:
        ValueError: as `hash_centers`; a label below 0, or not below n_classes.
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

    The first argument is :math:`\mathrm{sigmoid}(2y)`: the entropy is computed from the logits 2y, without overflow.

    Args:
        embeddings: (n, bits), floating; network outputs before tanh.
        targets: (n, bits) of -1 and +1, the centers of the items.
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

    CSQ replaces the quantization penalty. QSMI is the sum over pairs: the mean, times 0.001, would be negligible. The
    paper does not state whether QSMI takes the outputs before or after tanh; here it is after.

    Args:
        embeddings: (n, bits), floating; network outputs before tanh.
        targets: (n, bits) of -1 and +1, the centers of the items.
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
    """Targets of a run: the center of each item; random centers are drawn by the seed of the run."""
    return item_centers(labels, bits, seed=seed)


def csq_objective(embeddings: Tensor, labels: Tensor, *, targets: Tensor, alpha: float) -> Tensor:
    """`csq_loss`; the labels entered it through the centers."""
    return csq_loss(embeddings, targets, alpha=alpha)


def csq_qsmi_objective(embeddings: Tensor, labels: Tensor, *, targets: Tensor, **options: float) -> Tensor:
    """`csq_qsmi_loss` of the labels' relevance."""
    return csq_qsmi_loss(embeddings, targets, relevance_matrix(labels), **options)


def classifier_objective(scores: Tensor, labels: Tensor) -> Tensor:
    r"""Cross-entropy of class scores; the target of an item with several labels is uniform over its labels.

    So what is trained are the class probabilities that `models.heads.ClassWords` uses as weights. An item without a
    label adds 0.

    Args:
        scores: (n, c), floating.
        labels: int (n,), or multi-hot (n, c).

    Returns:
        The loss, a scalar.
    """
    if labels.ndim == 2:
        shares = labels / labels.sum(dim=1, keepdim=True).clamp_min(1)
        return F.cross_entropy(scores, shares.to(scores.dtype))
    return F.cross_entropy(scores, labels)


def _word_lists(n_classes: int, bits: int, n_words: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, int]]:
    """Lists of random words, bool (n_words, bits), each with the first distance that is required of its words."""
    searched, half = n_classes * bits <= SEARCHED, bits // 2
    ball = np.cumsum([math.comb(bits, i) for i in range(bits + 1)], dtype=object)  # words within each distance
    if searched or math.comb(bits, half) >= n_words:
        balanced = rng.permuted(np.broadcast_to(np.arange(bits) < half, (n_words, bits)), axis=1)
        swaps = np.cumsum([math.comb(half, i) * math.comb(bits - half, i) for i in range(half + 1)], dtype=object)
        yield balanced, max(1, half) if searched else _reached(np.repeat(swaps, 2), n_classes)
    if searched or 2**bits > n_words:
        yield rng.random((n_words, bits)) < 0.5, max(1, half) if searched else _reached(ball, n_classes)
    else:  # all words there are
        yield (rng.permutation(2**bits)[:, None] >> np.arange(bits)) & 1 > 0, _reached(ball, n_classes)


def _reached(ball: np.ndarray, n_classes: int) -> int:
    """The largest d for which `n_classes` balls of radius d - 1 fill half of the words; `ball` is size by radius."""
    return max(1, int(np.sum(2 * n_classes * ball <= ball[-1])))


def _far_apart(words: np.ndarray, n: int, least: int) -> np.ndarray:
    """Up to n of `words` (bool), in their order, that differ from each other in at least `least` bits."""
    bits = words.shape[1]
    chosen, n_chosen = np.empty((n, bits), np.float32), 0
    for start in range(0, len(words), BLOCK):
        block = np.where(words[start : start + BLOCK], 1, -1).astype(np.float32)
        near = bits - 2.0 * least  # a larger inner product is a smaller distance; exact, as these are integers
        free = (block @ chosen[:n_chosen].T <= near).all(axis=1)
        among = block @ block.T <= near
        for row in np.flatnonzero(free):
            if free[row]:
                chosen[n_chosen], n_chosen = block[row], n_chosen + 1
                if n_chosen == n:
                    return chosen > 0
                free &= among[row]
    return chosen[:n_chosen] > 0
