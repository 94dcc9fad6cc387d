"""Codes that a method makes beside the network: hash centers, CNNH's first stage, PGDH's samples."""

import itertools
import math

import numpy as np
import pytest
import torch

from qsmi_lib import losses
from qsmi_lib.losses import cnnh, csq, pgdh
from qsmi_lib.tests.losses import slow_methods as slow

MULTI_HOT = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 1], [1, 1, 1], [0, 0, 1], [0, 0, 0]])


def distances(codes):
    """Hamming distance of every two codes."""
    return [sum(a != b for a, b in zip(*pair, strict=True)) for pair in itertools.combinations(codes.tolist(), 2)]


# Hash centers


@pytest.mark.parametrize(("n_classes", "bits"), [(1, 1), (2, 1), (4, 2), (10, 8), (10, 16), (32, 16), (10, 64)])
def test_hadamard_centers_are_half_of_the_bits_apart_or_opposite(n_classes, bits):
    centers = losses.hash_centers(n_classes, bits)
    assert centers.dtype == torch.int8 and centers.shape == (n_classes, bits)
    assert (centers.abs() == 1).all()
    assert set(distances(centers)) <= {bits // 2, bits}
    assert torch.equal(losses.hash_centers(n_classes, bits, seed=1), centers)


@pytest.mark.parametrize(("bits", "least"), [(12, 6), (24, 12), (48, 24)])
def test_ten_centers_lie_half_of_the_bits_apart(bits, least):
    """At the paper's lengths, which are no powers of two; as far as the Hadamard code's, and on average farther."""
    centers = losses.hash_centers(10, bits)
    assert ((centers > 0).sum(dim=1) == bits // 2).all()
    assert min(distances(centers)) >= least
    assert np.mean(distances(centers)) > bits / 2


@pytest.mark.parametrize(("n_classes", "bits"), [(80, 48), (21, 12), (33, 16), (5, 3), (8, 3), (100, 7), (10, 5)])
def test_random_centers_are_distinct(n_classes, bits):
    centers = losses.hash_centers(n_classes, bits)
    assert centers.shape == (n_classes, bits) and set(centers.unique().tolist()) == {-1, 1}
    assert min(distances(centers)) >= 1
    if math.comb(bits, bits // 2) >= n_classes:  # balanced words, for which this many suffice
        assert ((centers > 0).sum(dim=1) == bits // 2).all()


def test_many_classes_still_lie_far_apart():
    """80 classes (COCO) of 48 bits: at least a third of the bits, as the authors' tutorial asks for."""
    assert min(distances(losses.hash_centers(80, 48))) >= 16


def test_random_centers_are_those_of_their_seed():
    again, other = (losses.hash_centers(10, 12, seed=seed) for seed in (3, 4))
    assert torch.equal(losses.hash_centers(10, 12, seed=3), again)
    assert not torch.equal(other, again)


@pytest.mark.parametrize(("n_classes", "bits", "least"), [(3, 1, 2), (10, 3, 4), (5, 2, 3), (1025, 10, 11)])
def test_too_few_bits_for_the_classes_say_how_many_are_needed(n_classes, bits, least):
    message = f"{n_classes} classes need at least {least} bits .*, got {bits}"
    with pytest.raises(ValueError, match=message):
        losses.hash_centers(n_classes, bits)
    with pytest.raises(ValueError, match=message):
        losses.item_centers(torch.arange(n_classes), bits)


def test_an_item_has_the_center_of_its_class():
    labels = torch.tensor([2, 0, 0, 9])
    assert torch.equal(losses.item_centers(labels, 12, seed=3), losses.hash_centers(10, 12, seed=3)[labels])
    assert torch.equal(losses.item_centers(labels, 12, n_classes=11), losses.hash_centers(11, 12)[labels])


@pytest.mark.parametrize("bits", [8, 12])
def test_an_item_of_several_classes_has_the_majority_of_their_centers(bits):
    """The last item has no label: its votes are even at every bit, so it has the word that settles those of others."""
    codes = losses.item_centers(MULTI_HOT, bits, seed=3)
    centers = losses.hash_centers(3, bits, seed=3).tolist()
    assert codes.tolist() == slow.majority(MULTI_HOT, centers, codes[-1].tolist())


def test_even_votes_are_settled_by_one_word_of_the_seed():
    nothing = torch.zeros(3, 4, dtype=torch.int64)
    words = [losses.item_centers(nothing, 24, seed=seed) for seed in (0, 0, 1)]
    assert all((word == word[0]).all() for word in words)
    assert torch.equal(words[0], words[1]) and not torch.equal(words[0], words[2])


@pytest.mark.parametrize("labels", [torch.arange(6) % 3, MULTI_HOT, MULTI_HOT.bool()], ids=["single", "int", "bool"])
def test_the_targets_of_a_run_are_the_codes_of_its_seed(labels):
    arguments = (torch.zeros(6, 2), labels, 12, 3, {})
    assert torch.equal(csq.prepare(*arguments), losses.item_centers(labels, 12, seed=3))
    assert torch.equal(cnnh.prepare(*arguments), losses.cnnh_codes(labels, 12, seed=3))


# CNNH

GROUPS = {
    "few items": (torch.tensor([0, 0, 1]), 12),  # where the curvature is often negative
    "single": (torch.tensor([4, 4, 4, 4, 0, 0, 0, 2, 2, 1, 1, 1]), 5),
    "multi-hot": (MULTI_HOT.repeat(3, 1), 5),
}


def start(labels, bits, seed=0):
    """What CNNH starts from: H; the kind of each item, S of two kinds; and S of two items."""
    kinds, group = np.unique(labels.numpy(), axis=0, return_inverse=True)
    by_kind = 2.0 * losses.relevance_matrix(torch.from_numpy(kinds)).double().numpy() - 1.0
    factor = np.random.default_rng(seed).uniform(-1.0, 1.0, (len(labels), bits))
    return factor, group.reshape(-1), by_kind, 2.0 * losses.relevance_matrix(labels).double().numpy() - 1.0


@pytest.mark.parametrize(("labels", "bits"), GROUPS.values(), ids=GROUPS)
def test_coordinate_descent_is_its_definition(labels, bits):
    """The kernel forms no N x N matrix, the definition forms it anew at every entry."""
    factor, group, by_kind, signs = start(labels, bits)
    expected = slow.cnnh_sweep(slow.cnnh_sweep(factor, signs), signs)
    cnnh._descend(factor, group, by_kind, 2)
    np.testing.assert_allclose(factor, expected, rtol=0, atol=1e-9)
    codes = losses.cnnh_codes(labels, bits, n_sweeps=2)
    assert codes.dtype == torch.int8
    np.testing.assert_array_equal(codes.numpy(), np.where(expected >= 0, 1, -1))


def test_the_objective_falls_with_every_sweep():
    factor, group, by_kind, signs = start(torch.arange(60) % 3, 6)
    objectives = [slow.cnnh_objective(factor, signs)]
    for _ in range(5):
        cnnh._descend(factor, group, by_kind, 1)
        assert np.abs(factor).max() <= 1.0
        objectives.append(slow.cnnh_objective(factor, signs))
    assert all(after <= before for before, after in itertools.pairwise(objectives))
    assert objectives[-1] < 0.7 * objectives[0]


def test_codes_of_two_clear_classes_factor_their_relevance():
    """Of two classes S is of rank one: the codes of a class coincide, and the other's are their opposites."""
    labels = torch.arange(40) % 2
    codes = losses.cnnh_codes(labels, 8)
    assert (codes[labels == 0] == codes[0]).all() and (codes[labels == 1] == -codes[0]).all()
    assert slow.cnnh_objective(codes.double().numpy(), start(labels, 8)[3]) == 0.0


def test_codes_of_several_classes_coincide_within_a_class():
    labels = torch.arange(100) % 5
    codes = losses.cnnh_codes(labels, 12)
    assert all(len(codes[labels == label].unique(dim=0)) == 1 for label in range(5))
    assert len(codes.unique(dim=0)) == 5


def test_cnnh_codes_are_those_of_their_seed():
    labels = torch.arange(20) % 4
    first, again, other = (losses.cnnh_codes(labels, 12, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


# PGDH

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
    """Its mean gradient over all pairs of samples, each as probable as it is, is exact: no baseline stays in it.

    An item's reward is differentiated by that item's own log-odds alone. A pair rewards both of its items alike, so
    this is half of the gradient of the mean reward of all.
    """
    delta, leaf = RELEVANCE.tolist(), LOG_ODDS.clone().requires_grad_()
    codes = torch.tensor(slow.all_codes(N, BITS), dtype=torch.float64)
    probability = torch.tensor(
        [slow.probability(batch, LOG_ODDS.tolist()) for batch in codes.tolist()], dtype=torch.float64
    )
    assert probability.sum().item() == pytest.approx(1)
    which = torch.combinations(torch.arange(len(codes)))  # two equal samples tell nothing
    surrogates = torch.stack([pgdh.pgdh_loss(leaf, RELEVANCE, pair, balance=BALANCE) for pair in codes[which]])
    surrogate = torch.autograd.grad(2 * (probability[which].prod(dim=1) * surrogates).sum(), leaf)[0]
    own = slope(lambda i, y: -slow.pgdh_expected_rewards(y, delta, BALANCE)[i] / N)
    joint = slope(lambda i, y: -sum(slow.pgdh_expected_rewards(y, delta, BALANCE)) / N)
    np.testing.assert_allclose(surrogate, own, rtol=1e-6, atol=1e-9)
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
    seen = []
    monkeypatch.setattr(pgdh, "pgdh_loss", lambda y, relevance, decisions, **options: seen.append(decisions))
    log_odds = torch.tensor([[0.0, 2.0, -2.0, 50.0]])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pgdh.pgdh_objective(log_odds, torch.zeros(1, dtype=torch.int64), n_samples=10_000.0)
    assert seen[0].shape == (10_000, 1, 4) and set(seen[0].unique().tolist()) == {-1.0, 1.0}
    assert ((seen[0] + 1) / 2).mean(dim=(0, 1)).tolist() == pytest.approx(log_odds[0].sigmoid().tolist(), abs=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.int8])
@pytest.mark.parametrize("bits", [12, 64, 200])
def test_decisions_may_be_codes(dtype, bits):
    """Small integers too, whose inner product of antipodal codes must not wrap."""
    embeddings = torch.randn(3, bits, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    decisions = torch.ones(2, 3, bits, dtype=dtype)
    decisions[0, 0] = -1
    fast = losses.pgdh_loss(embeddings, RELEVANCE, decisions)
    assert fast.item() == pytest.approx(slow.pgdh_loss(embeddings, RELEVANCE, decisions))
