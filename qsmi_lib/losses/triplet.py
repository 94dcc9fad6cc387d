"""Triplet losses: DNNH, DTSH, and the spring loss of the spherical embedding with its variants. No input checks.

A triplet is an anchor, a positive (another item, relevant to the anchor) and a negative (not relevant to it). A loss is
the mean over all triplets of a batch, and 0 if there are none.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from qsmi_lib.losses.similarity import on_sphere, relevance_matrix, squared_distance

REST = 2.0 * math.sqrt(2.0)  # rest length of the spring
EPS = 1e-8  # added under square roots, whose derivative is infinite at 0


def triplet_difference(distance: Tensor, relevance: Tensor) -> tuple[Tensor, Tensor]:
    r"""Differences :math:`t_{qpn} = d_{qp} - d_{qn}` of the triplets of a batch.

    Args:
        distance: (n, n), floating.
        relevance: (n, n), bool or floating in [0, 1]; positives are above 0, negatives 0.

    Returns:
        t (n_pair, n), a row per pair of anchor and positive; and a mask of its shape, 1 for triplets and 0 elsewhere.
    """
    related = (relevance > 0).fill_diagonal_(True)  # an item without labels is not its own negative
    anchor, positive = related.clone().fill_diagonal_(False).nonzero(as_tuple=True)
    # index_select is deterministic; the gradient of distance[anchor, positive] is summed in any order by threads.
    to_positive = distance.flatten().index_select(0, anchor * len(distance) + positive)
    return to_positive[:, None] - distance.index_select(0, anchor), (~related)[anchor].to(distance.dtype)


def dnnh_loss(embeddings: Tensor, relevance: Tensor, *, margin: float = 1.0, epsilon: float = 0.5) -> Tensor:
    r"""Deep Neural Network Hashing (Lai, Pan, Liu, Yan, CVPR 2015), a reconstruction: there is no public code
    that works.

    .. math::
        \operatorname*{mean}_{qpn} \max\big(0, m + \|F_q - F_p\|^2 - \|F_q - F_n\|^2\big), \qquad
        F = g_\epsilon(\operatorname{sigmoid}(y))

    with :math:`g_\epsilon(s)` = s if :math:`|s - \tfrac12| \le \epsilon`, else 0 or 1. The divide-and-encode layer,
    which computes each bit from its own slice of the features, is `qsmi_lib.models.networks.DivideAndEncode`.

    Args:
        embeddings: (n, bits), floating; network outputs before the sigmoid; the code is their sign.
        relevance: (n, n), bool or floating in [0, 1].
        margin: m, in bits.
        epsilon: half the width of the interval in which the threshold is linear; 0.5 is no threshold.

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: embeddings that are not finite, empty or not (n, bits); relevance of another shape or range; a
            margin or epsilon not above 0.
    """
    soft = embeddings.sigmoid()
    hard = (soft > 0.5).to(soft.dtype)
    difference, valid = triplet_difference(
        squared_distance(torch.where((soft - 0.5).abs() <= epsilon, soft, hard)), relevance
    )
    return _mean(F.relu(margin + difference), valid)


def spring_loss(embeddings: Tensor, relevance: Tensor, *, form: str = "spring") -> Tensor:
    r"""Spherical embedding (Pidhorskyi et al., ACCV 2018): a spring on the sphere, and variants.

    .. math::
        \operatorname*{mean}_{qpn} E(t), \qquad t = \|h_q - h_p\|^2 - \|h_q - h_n\|^2 \in [-4, 4], \quad
        h = y / \|y\|

    ============= ==================================================================================================
    form          E(t), with :math:`\ell = \sqrt{4 - t}`
    ============= ==================================================================================================
    spring        :math:`(2\sqrt2 - \ell)^2`: 0 only if positives coincide and negatives are antipodal
    margin_spring :math:`K' (r - \ell)^2 / r^2 + 6 - K'`, :math:`r = 2\sqrt2 + 1`, :math:`K' = 6 / (1 - r^{-2})`
    margin        :math:`\max(0, t + 2)`
    likelihood    :math:`\frac1n \log(1 + e^{n (t / 4 + 1/2)})`, DTSH's likelihood on the sphere
    ============= ==================================================================================================

    All forms are invariant to rotations of the embeddings, see `qsmi_lib.models.rotation`.

    Args:
        embeddings: (n, bits), floating.
        relevance: (n, n), bool or floating in [0, 1].
        form: one of the above.

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: embeddings that are not finite, empty or not (n, bits); relevance of another shape or range; an
            unknown form.
    """
    bits = embeddings.shape[1]
    difference, valid = triplet_difference(squared_distance(on_sphere(embeddings)), relevance)
    length = (4.0 - difference).clamp_min(0.0).add(EPS).sqrt()
    if form == "spring":
        energy = (REST - length).square()
    elif form == "margin_spring":
        rest, stiffness = REST + 1.0, 6.0 / (1.0 - 1.0 / (REST + 1.0) ** 2)
        energy = stiffness * ((rest - length) / rest).square() + 6.0 - stiffness
    elif form == "margin":
        energy = F.relu(difference + 2.0)
    elif form == "likelihood":
        energy = F.softplus(bits * (difference / 4.0 + 0.5)) / bits
    else:
        raise ValueError(f"form must be 'spring', 'margin_spring', 'margin' or 'likelihood', got {form!r}")
    return _mean(energy, valid)


def negatives_loss(embeddings: Tensor, relevance: Tensor) -> Tensor:
    r"""The simple spring of the spherical embedding: repels dissimilar pairs, without attraction.

    .. math::
        \operatorname*{mean}_{\text{dissimilar } ij} \big(2 - \|h_i - h_j\|\big)^2, \qquad h = y / \|y\|

    Args:
        embeddings: (n, bits), floating.
        relevance: (n, n), bool or floating in [0, 1]; dissimilar where 0.

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: embeddings that are not finite, empty or not (n, bits); relevance of another shape or range.
    """
    distance = (squared_distance(on_sphere(embeddings)) + EPS).sqrt()
    dissimilar = (relevance == 0).fill_diagonal_(False)
    return _mean((2.0 - distance).square(), dissimilar.to(distance.dtype))


def dtsh_loss(embeddings: Tensor, relevance: Tensor, *, eta: float = 0.00888) -> Tensor:
    r"""Deep Triplet-Supervised Hashing (Wang, Shi, Kitani, ACCV 2016), with margin n / 2.

    .. math::
        \operatorname*{mean}_{qpn} \log\big(1 + e^{-(\theta_{qp} - \theta_{qn} - n / 2)}\big)
        + \eta \operatorname*{mean}_{ik} (\mathrm{sign}(y_{ik}) - y_{ik})^2, \qquad \theta_{ij} = \tfrac12 y_i^T y_j

    Args:
        embeddings: (n, bits), floating.
        relevance: (n, n), bool or floating in [0, 1].
        eta: weight of the distance to the codes, which are constants (no gradient); 200 / 22,500 in the poster.

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: embeddings that are not finite, empty or not (n, bits); relevance of another shape or range.
    """
    bits = embeddings.shape[1]
    difference, valid = triplet_difference(-0.5 * embeddings @ embeddings.T, relevance)
    codes = torch.where(embeddings.detach() >= 0, 1.0, -1.0)
    return _mean(F.softplus(difference + 0.5 * bits), valid) + eta * (codes - embeddings).square().mean()


FORMS = ("spring", "margin_spring", "margin", "likelihood", "negatives", "dtsh")


def spring_objective(embeddings: Tensor, labels: Tensor, *, form: str) -> Tensor:
    """The loss that `form` names, one of `FORMS`, of the labels' relevance."""
    relevance = relevance_matrix(labels)
    if form == "negatives":
        return negatives_loss(embeddings, relevance)
    return dtsh_loss(embeddings, relevance) if form == "dtsh" else spring_loss(embeddings, relevance, form=form)


def dnnh_objective(embeddings: Tensor, labels: Tensor, **options: float) -> Tensor:
    """`dnnh_loss` of the labels' relevance."""
    return dnnh_loss(embeddings, relevance_matrix(labels), **options)


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of the values where `valid` is 1; 0 if it is 0 everywhere."""
    return (values * valid).sum() / valid.sum().clamp_min(1.0)
