"""PGDH: its gradient is that of the expected reward; sampling; decisions of any type."""

import itertools

import numpy as np
import pytest
import torch

from qsmi_lib import losses
from qsmi_lib.losses import pgdh
from qsmi_lib.tests.losses import slow_losses as slow

N, BITS, BALANCE = 3, 2, 1.5
LOG_ODDS = torch.randn(N, BITS, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
RELEVANCE = torch.tensor([[1.0, 0.3, 0.0], [0.3, 1.0, 1.0], [0.0, 1.0, 1.0]], dtype=torch.float64)


def slope(function, step=1e-5):
    """Central differences of `function` of the log-odds, (n, bits) -> a number."""
    result = torch.zeros(N, BITS, dtype=torch.float64)
    for i, k in itertools.product(range(N), range(BITS)):
        sides = []
        for move in (step, -step):
            moved = LOG_ODDS.clone()
            moved[i, k] += move
            sides.append(function(i, moved.tolist()))
        result[i, k] = (sides[0] - sides[1]) / (2 * step)
    return result


def test_pgdh_follows_the_expected_reward_of_each_item():
    """Its mean gradient over all pairs of samples, weighted by their probability, is exact.

    The reward of an item is differentiated by the log-odds of that item alone. A pair rewards both of its items
    equally, so this is half of the gradient of the mean reward of all items.
    """
    delta, leaf = RELEVANCE.tolist(), LOG_ODDS.clone().requires_grad_()
    codes = torch.tensor(slow.all_codes(N, BITS), dtype=torch.float64)
    probability = torch.tensor(
        [slow.probability(batch, LOG_ODDS.tolist()) for batch in codes.tolist()], dtype=torch.float64
    )
    assert probability.sum().item() == pytest.approx(1)
    which = torch.combinations(torch.arange(len(codes)))  # two equal samples have gradient 0
    surrogates = torch.stack([pgdh.pgdh_loss(leaf, RELEVANCE, pair, balance=BALANCE) for pair in codes[which]])
    surrogate = torch.autograd.grad(2 * (probability[which].prod(dim=1) * surrogates).sum(), leaf)[0]
    of_item = slope(lambda i, y: -slow.pgdh_expected_rewards(y, delta, BALANCE)[i] / N)
    joint = slope(lambda i, y: -sum(slow.pgdh_expected_rewards(y, delta, BALANCE)) / N)
    np.testing.assert_allclose(surrogate, of_item, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(surrogate, joint / 2, rtol=1e-6, atol=1e-9)


def test_pgdh_descent_draws_similar_items_together():
    labels, leaf = torch.tensor([0, 0, 1, 1]), torch.zeros(4, 8, requires_grad=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(200):
            step = torch.autograd.grad(pgdh.pgdh_objective(leaf, labels), leaf)[0]
            leaf = (leaf - 5 * step).detach().requires_grad_()
    codes = leaf.detach().sign()
    assert torch.equal(codes[0], codes[1]) and torch.equal(codes[2], codes[3])
    assert (codes[0] == -codes[2]).all()


def test_pgdh_samples_bits_with_their_probability(monkeypatch):
    samples = []
    monkeypatch.setattr(pgdh, "pgdh_loss", lambda y, relevance, decisions, **options: samples.append(decisions))
    log_odds = torch.tensor([[0.0, 2.0, -2.0, 50.0]])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pgdh.pgdh_objective(log_odds, torch.zeros(1, dtype=torch.int64), n_samples=10_000.0)
    assert samples[0].shape == (10_000, 1, 4) and set(samples[0].unique().tolist()) == {-1.0, 1.0}
    assert ((samples[0] + 1) / 2).mean(dim=(0, 1)).tolist() == pytest.approx(log_odds[0].sigmoid().tolist(), abs=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.int8])
def test_decisions_may_be_codes_of_any_type(dtype):
    """The inner product of antipodal codes of 200 bits does not fit into int8."""
    embeddings = torch.randn(3, 200, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    decisions = torch.ones(2, 3, 200, dtype=dtype)
    decisions[0, 0] = -1
    fast = losses.pgdh_loss(embeddings, RELEVANCE, decisions)
    assert fast.item() == pytest.approx(slow.pgdh_loss(embeddings, RELEVANCE, decisions))
