"""PGDH: bits as Bernoulli decisions, learnt by policy gradient. No input checks."""

import torch
import torch.nn.functional as F
from torch import Tensor

from qsmi_lib.losses.similarity import pair_weights, relevance_matrix


def pgdh_loss(embeddings: Tensor, relevance: Tensor, decisions: Tensor, *, balance: float | None = None) -> Tensor:
    r"""Policy Gradient Deep Hashing (Yuan, Ren, Lu, Zhou, ECCV 2018), a reconstruction: there is no public code.

    Bit k of item i is +1 with probability :math:`\mathrm{sigmoid}(y_{ik})`. With T samples :math:`b^t` of the codes
    the loss is

    .. math::
        -\frac{1}{TN} \sum_{t, i} (r_i^t - \bar r_i^t) \log p(b_i^t \mid y_i), \qquad
        r_i = -\frac{1}{n (N - 1)} \sum_{j \ne i} w_{ij} (2 \Delta_{ij} - 1) d_H(b_i, b_j)

    Its gradient is that of REINFORCE with a reward per item. :math:`w_{ij}` is `balance` for similar pairs and 1 for
    the others. The baseline :math:`\bar r_i^t` is the mean reward of item i over the other samples; it does not change
    the expected gradient.

    Args:
        embeddings: (n, bits), floating; log-odds of the bits.
        relevance: (n, n), bool or floating in [0, 1].
        decisions: (t, n, bits) of -1 and +1, sampled codes, t at least 2.
        balance: weight of a similar pair; None is the number of dissimilar pairs over that of similar ones.

    Returns:
        The loss, a scalar, a surrogate: only its gradient is meaningful.

    Raises:
        ValueError: embeddings that are not finite, empty or not (n, bits); relevance or decisions of another shape or
            range; a balance not above 0.
    """
    decisions = decisions.to(embeddings.dtype)
    n_sample, n_item, bits = decisions.shape
    similar, dissimilar = pair_weights(relevance, embeddings.dtype)
    total = similar.sum()
    weight = dissimilar.sum() / torch.where(total > 0, total, 1.0) if balance is None else balance
    distance = 0.5 * (bits - decisions @ decisions.transpose(1, 2))
    reward = ((dissimilar - weight * similar) * distance).sum(dim=2) / (bits * max(1, n_item - 1))
    advantage = (reward - reward.mean(dim=0)) * (n_sample / (n_sample - 1))
    log_probability = -F.softplus(-decisions * embeddings).sum(dim=2)
    return -(advantage * log_probability).mean()


def pgdh_objective(
    embeddings: Tensor, labels: Tensor, *, n_samples: float = 16.0, balance: float | None = None
) -> Tensor:
    """`pgdh_loss` of the labels' relevance, with bits sampled by PyTorch's global generator."""
    probability = embeddings.detach().sigmoid().expand(int(n_samples), -1, -1)
    decisions = torch.bernoulli(probability) * 2.0 - 1.0
    return pgdh_loss(embeddings, relevance_matrix(labels), decisions, balance=balance)
