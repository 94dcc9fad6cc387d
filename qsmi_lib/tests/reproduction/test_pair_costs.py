"""What losses charge codes, beside the formulas."""

import math

import numpy as np
import pytest
import torch

from qsmi_lib import losses
from qsmi_lib.reproduction.analysis.pair_costs import BY_PAIR, order_costs, pair_costs

BITS = 12


def slow_cost(method, distance, kind):
    """What the pair charges, by its formula; up to a factor and a constant."""
    similar, cosine, inner = kind == "similar", 1 - 2 * distance / BITS, BITS - 2 * distance
    softplus = [math.log1p(math.exp(x)) for x in (inner, inner / 2, 10 * cosine)]
    if method == "qsmi":
        s = (1 + cosine) / 2
        return similar * (s - 1) ** 2 + s**2 / 10
    if method == "dsh":
        return 4 * distance if similar else max(2 * BITS - 4 * distance, 0)
    if method == "dch":
        d = distance + 0.001
        return math.log(1 + d / 20) if similar else math.log(1 + 20 / d)
    place = {"dhn": 0, "dpsh": 1}.get(method, 2)
    return softplus[place] - similar * (inner, inner / 2, 10 * cosine)[place]


def test_pair_costs_are_the_formulas():
    costs = pair_costs(BITS)
    assert set(costs.columns) == {(m, k) for m in BY_PAIR for k in ("similar", "dissimilar")}
    for (method, kind), cost in costs.items():
        slow = np.array([slow_cost(method, distance, kind) for distance in range(BITS + 1)])
        np.testing.assert_allclose(cost, (slow - slow.min()) / np.ptp(slow), atol=1e-9, err_msg=f"{method} {kind}")


def test_qsmi_is_cheapest_where_similarity_is_m_over_m_plus_1():
    assert pair_costs(12, information_needs=3.0)["qsmi", "similar"].idxmin() == 12 / 4


def test_order_costs_are_the_formulas():
    costs = order_costs(BITS)
    assert list(costs.index) == list(range(-BITS, BITS + 1, 2))
    difference = np.array(costs.index)
    spring = (2 * math.sqrt(2) - np.sqrt(4 - 4 * difference / BITS)) ** 2
    np.testing.assert_allclose(costs["spring"], (spring - spring.min()) / np.ptp(spring), atol=1e-3)
    hinge = np.maximum(0, 1 + difference)
    np.testing.assert_allclose(costs["dnnh"], hinge / hinge.max(), atol=1e-9)
    far = np.abs(difference) >= 4  # two bins or more of two bits: told apart, whichever is nearer
    np.testing.assert_allclose(costs["mihash"][far], 0.0, atol=1e-9)
    assert costs["mihash"].idxmax() == 0


def test_one_anchor_alone_adds_to_mihash():
    points = torch.randn(3, BITS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    relevance = torch.eye(3, dtype=torch.bool)
    assert losses.mihash_loss(points, relevance).item() == pytest.approx(0.0, abs=1e-9)
