"""Average precision over all orders of tied items, in closed form from the histogram of each query."""

from typing import NamedTuple

import torch
from torch import Tensor

EXACT = 32  # harmonic numbers up to this one are sums, larger ones an asymptotic expansion


class Orders(NamedTuple):
    """The `area` of `packing.Scan` over all orders of tied items: float64 (n_query,) each."""

    expected: Tensor
    optimistic: Tensor
    pessimistic: Tensor


def over_orders(histogram: Tensor) -> Orders:
    r"""The area: its mean over all orders of tied items, and its values in the best and the worst order.

    A level of n items with sum of gains p and of squared gains s, after N items with sum of gains P, adds in the mean

    .. math:: \sum_{t=1}^{n} \frac{1}{N + t} \Big[ \frac{p P + s}{n} + \frac{(t - 1)(p^2 - s)}{n (n - 1)} \Big]

    (McSherry & Najork 2008; s = p if gains are 0 or 1). The best order of tied items is by descending gain, the worst
    by ascending gain; n items of equal gain g then add :math:`g \sum_t (P + g t) / (N + t)`.

    Args:
        histogram: int64 (n_query, levels, n_gain); items by distance and gain.
    """
    gains = torch.arange(histogram.shape[2], dtype=torch.float64, device=histogram.device)
    cells = histogram.double()
    n, p, s = cells.sum(dim=2), cells @ gains, cells @ gains.square()
    before, gain_before = n.cumsum(dim=1) - n, p.cumsum(dim=1) - p
    useful = p.nonzero(as_tuple=True)
    cells, n, p, s, before, gain_before = (values[useful] for values in (cells, n, p, s, before, gain_before))

    inverse = harmonic(before, n)
    mean = (p * gain_before + s) / n * inverse
    mean += (p.square() - s) / (n * (n - 1)).clamp(min=1) * (n - (before + 1) * inverse)

    def in_order(cells: Tensor, gains: Tensor) -> Tensor:
        ahead, gain_ahead = before[:, None] + cells.cumsum(dim=1) - cells, (cells * gains).cumsum(dim=1)
        gain_ahead += gain_before[:, None] - cells * gains
        ahead, gain_ahead, cells, gains = (v[..., gains > 0] for v in (ahead, gain_ahead, cells, gains))
        return (gains * (gains * cells + (gain_ahead - gains * ahead) * harmonic(ahead, cells))).sum(dim=1)

    def by_query(values: Tensor) -> Tensor:
        whole = torch.zeros(histogram.shape[:2], dtype=torch.float64, device=histogram.device)
        whole[useful] = values
        return whole.sum(dim=1)

    areas = mean, in_order(cells.flip(1), gains.flip(0)), in_order(cells, gains)
    return Orders(*map(by_query, areas))


def harmonic(before: Tensor, n: Tensor) -> Tensor:
    r""":math:`\sum_{t=1}^{n} 1 / (N + t)` with N = `before`, float64, accurate for any N.

    A difference of two harmonic numbers would lose digits for large N, and a later factor of N would show the loss.
    Above `EXACT` it is :math:`\log(1 + n / (N + 1/2)) + c(N + n) - c(N)` with the tail c of the expansion
    :math:`H_m = \gamma + \log(m + 1/2) + c(m)`.
    """
    table = torch.zeros(EXACT + 1, dtype=torch.float64, device=before.device)
    table[1:] = (1.0 / torch.arange(1, EXACT + 1, dtype=torch.float64, device=before.device)).cumsum(dim=0)
    after = before + n
    summed = table[after.clamp(max=EXACT).long()] - table[before.clamp(max=EXACT).long()]
    low, high = before.clamp(min=EXACT) + 0.5, after.clamp(min=EXACT) + 0.5
    return summed + torch.log1p((high - low) / low) + _tail(high) - _tail(low)


def _tail(x: Tensor) -> Tensor:
    """c(m) of `harmonic` at x = m + 1/2; the truncation error is below 1e-17 for m >= EXACT."""
    u = 1.0 / x.square()
    return u * (1 / 24 - u * (7 / 960 - u * (31 / 8064 - u * (127 / 30720))))
