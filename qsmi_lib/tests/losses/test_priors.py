"""QSMI with true priors and with graded relevance: two loops, the potentials of the paper, limits and gradients."""

import itertools
import math

import pytest
import torch
from torch.autograd import gradcheck

from qsmi_lib import losses
from qsmi_lib.config.presets import configure
from qsmi_lib.losses.qsmi import qsmi_objective
from qsmi_lib.methods import METHODS
from qsmi_lib.tests.losses import slow_losses as slow
from qsmi_lib.training.loop import settings_of_loss

N, BITS = 12, 5
SINGLE = torch.tensor([7, 7, 7, 7, 7, 7, 0, 0, 0, 2, 2, 5])
SEVERAL = torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 0], [0, 0, 1, 0]] * 2)
LABELS = {
    "balanced": torch.arange(N) % 3,
    "unbalanced": SINGLE,
    "several": SEVERAL,
    "all the same": torch.zeros(N, dtype=torch.int64),
    "all their own": torch.arange(N),
    "none at all": torch.zeros(N, 3, dtype=torch.int64),
    "one column": torch.tensor([[1], [0], [1], [1]] * 3),
    "all of them": torch.ones(N, 3, dtype=torch.int64),
}
each_labels = pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
each_clamp = pytest.mark.parametrize("clamp", [True, False])


def embeddings(n=N, bits=BITS, seed=0):
    return torch.randn(n, bits, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def multi_hot(labels):
    return (labels[:, None] == labels.unique()).long()


def slow_weights(labels):
    """a and r of each pair: labels shared, and what the priors alone would have of them."""
    items = [slow.carried(label) for label in labels.tolist()]
    prior = {k: sum(k in item for item in items) / len(items) for k in set().union(*items)}
    shared = [[float(len(item & other)) for other in items] for item in items]
    expected = [[sum(p * ((k in i) + (k in j) - p) for k, p in prior.items()) for j in items] for i in items]
    return shared, expected


def slow_priors_loss(y, labels, clamp):
    shared, expected = slow_weights(labels)
    rows, total = y.tolist(), 0.0
    for i in range(len(rows)):
        for j in range(len(rows)):
            s, a, r = slow.similarity(rows[i], rows[j], "cosine"), shared[i][j], expected[i][j]
            if not clamp:
                total -= (a - r) * s
            elif r > 0:
                total += a * (s - 1) ** 2 + r * s**2
            else:
                total += (a - r) * (s - 1) ** 2
    return total


def equals(expected):
    return pytest.approx(expected, rel=1e-10, abs=1e-9)


# True priors


@each_labels
@each_clamp
def test_the_loss_is_its_definition(labels, clamp):
    y = embeddings()
    assert losses.qsmi_priors_loss(y, labels, clamp=clamp).item() == equals(slow_priors_loss(y, labels, clamp))


@each_labels
def test_not_clamped_it_is_the_mutual_information_of_equations_13_to_16(labels):
    y = embeddings()
    v_in, v_all, v_btw = losses.information_potentials(y, labels)
    expected = -(N**2) * (v_in + v_all - 2 * v_btw).item()
    assert losses.qsmi_priors_loss(y, labels, clamp=False).item() == equals(expected)


def weights(labels, clamp=False):
    """The derivative by each similarity, and the similarities."""
    y = embeddings(len(labels))
    pair = losses.cosine_similarity(y).requires_grad_()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qsmi_lib.losses.qsmi_variants.cosine_similarity", lambda _: pair)
        loss = losses.qsmi_priors_loss(y, labels, clamp=clamp)
    return torch.autograd.grad(loss, pair)[0], pair.detach()


@each_labels
def test_the_weights_are_the_covariance_of_the_labels(labels):
    """So each row adds up to 0: what all items share says nothing."""
    found, _ = weights(labels)
    member = (labels if labels.ndim == 2 else multi_hot(labels)).double()
    centred = member - member.mean(dim=0)
    torch.testing.assert_close(found, -centred @ centred.T)
    assert found.sum(dim=1).abs().max() < 1e-12


@each_labels
def test_the_clamp_pulls_to_0_and_1_and_never_beyond(labels):
    """Each pair is drawn to the one with the weight of what attracts, to the other with that of what repels."""
    found, pair = weights(labels, clamp=True)
    shared, expected = (torch.tensor(values, dtype=torch.float64) for values in slow_weights(labels))
    attract, repel = shared + (-expected).clamp_min(0), expected.clamp_min(0)
    torch.testing.assert_close(found, 2 * attract * (pair - 1) + 2 * repel * pair)


def test_equal_priors_give_the_short_form():
    """Eq. 19, and 17: r = 1 / M for every pair."""
    y = embeddings()
    for n_classes, clamp in itertools.product((1, 2, 3, 4, 6, 12), (True, False)):
        labels = torch.arange(N) % n_classes
        expected = losses.qsmi_loss(y, losses.relevance_matrix(labels), clamp=clamp).item()
        for own in (labels, multi_hot(labels), labels * 3 - 4):
            assert losses.qsmi_priors_loss(y, own, clamp=clamp).item() == equals(expected)


@each_clamp
def test_unequal_priors_do_not(clamp):
    y = embeddings()
    short = losses.qsmi_loss(y, losses.relevance_matrix(SINGLE), clamp=clamp).item()
    assert abs(losses.qsmi_priors_loss(y, SINGLE, clamp=clamp).item() - short) > 0.1


@each_clamp
def test_single_labels_are_their_multi_hot_rows_in_any_order_and_width(clamp):
    y, hot = embeddings(), multi_hot(SINGLE)
    expected = losses.qsmi_priors_loss(y, SINGLE, clamp=clamp).item()
    for own in (hot, hot.bool(), hot.flip(1), torch.cat([hot, torch.zeros(N, 2, dtype=torch.int64)], dim=1)):
        assert losses.qsmi_priors_loss(y, own, clamp=clamp).item() == equals(expected)


@each_clamp
def test_the_order_of_the_items_and_their_lengths_have_no_say(clamp):
    y, order = embeddings(), torch.randperm(N, generator=torch.Generator().manual_seed(1))
    expected = losses.qsmi_priors_loss(y, SEVERAL, clamp=clamp).item()
    scale = torch.rand(N, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) * 9 + 0.1
    assert losses.qsmi_priors_loss(scale * y[order], SEVERAL[order], clamp=clamp).item() == equals(expected)


def test_two_items_of_rare_labels_attract():
    """Beside nine of one label, two of others: r < 0, as the docstring has it."""
    labels = torch.tensor([0] * 8 + [1, 2])
    found, pair = weights(labels, clamp=True)
    assert slow_weights(labels)[1][8][9] < 0 and found[8, 9] < 0 < pair[8, 9]
    assert found[0, 8] > 0


def test_items_without_labels_are_told_from_those_with():
    """Where nobody carries a label, or all the same ones, there is nothing to learn."""
    y = embeddings()
    for name in ("none at all", "all of them", "all the same"):
        assert losses.qsmi_priors_loss(y, LABELS[name], clamp=False).item() == equals(0)
    assert losses.qsmi_priors_loss(y, LABELS["none at all"]).item() == 0
    half = torch.tensor([[1]] * 6 + [[0]] * 6)
    apart = torch.tensor([[1.0, 0]] * 6 + [[-1.0, 0]] * 6)
    assert losses.qsmi_priors_loss(apart, half, clamp=False).item() == pytest.approx(-18)
    assert losses.qsmi_priors_loss(apart, half, clamp=False) < losses.qsmi_priors_loss(y, half, clamp=False)


@each_clamp
def test_one_item(clamp):
    """Its own prior is 1: clamped it is drawn to itself and away, as in Eq. 19 with M = 1."""
    for labels in (torch.tensor([4]), torch.tensor([[1, 0, 1]])):
        n_labels = 1 if labels.ndim == 1 else 2
        expected = n_labels if clamp else 0.0
        assert losses.qsmi_priors_loss(torch.ones(1, 3), labels, clamp=clamp).item() == pytest.approx(expected)


@each_labels
@each_clamp
def test_gradients_are_finite_differences(labels, clamp):
    y = embeddings().requires_grad_()
    assert gradcheck(lambda y: losses.qsmi_priors_loss(y, labels, clamp=clamp), y)


@each_clamp
def test_a_zero_row_has_no_gradient_and_the_others_keep_theirs(clamp):
    y = embeddings(6, 4)
    y[2] = 0
    y.requires_grad_()
    gradient = torch.autograd.grad(losses.qsmi_priors_loss(y, SEVERAL[:6], clamp=clamp), y)[0]
    assert gradient.isfinite().all() and (gradient[2] == 0).all() and (gradient[0] != 0).any()


# Graded relevance


def slow_jaccard(labels):
    items = [slow.carried(label) for label in labels.tolist()]
    return [[len(i & j) / len(i | j) if i | j else 0.0 for j in items] for i in items]


@each_labels
def test_jaccard_is_the_share_of_what_two_sets_have_in_common(labels):
    found = losses.jaccard_similarity(labels)
    assert found.is_floating_point() and found.shape == (N, N)
    assert found.tolist() == [pytest.approx(row, rel=1e-6) for row in slow_jaccard(labels)]


def test_jaccard_of_every_pair_of_sets():
    labels = torch.tensor(list(itertools.product((0, 1), repeat=4)))
    for own in (labels, labels.bool(), labels.to(torch.uint8)):
        found = losses.jaccard_similarity(own)
        assert found.tolist() == [pytest.approx(row, rel=1e-6) for row in slow_jaccard(labels)]
    assert torch.equal(found, found.T) and found.min() >= 0 and found.max() <= 1
    assert found[0].sum() == 0  # without a label not even like itself
    assert torch.equal(found > 0, losses.relevance_matrix(labels))


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.int64])
def test_jaccard_of_single_labels_is_equality(dtype):
    labels = SINGLE.to(dtype)
    assert torch.equal(losses.jaccard_similarity(labels), losses.relevance_matrix(labels).float())


# As methods


def objective(method, y, labels, **settings):
    return METHODS[method].loss(y, labels, **settings_of_loss(configure("digits", method, BITS, **settings)))


@pytest.mark.parametrize("settings", [{}, {"alpha": 0.3}, {"information_needs": 7.0}])
def test_graded_qsmi_of_single_labels_is_qsmi(settings):
    y = embeddings()
    expected = objective("qsmi", y, SINGLE, **settings).item()
    assert objective("qsmi_jaccard", y, SINGLE, **settings).item() == equals(expected)
    assert objective("qsmi_jaccard", y, multi_hot(SINGLE), **settings).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("needs", [None, 2.5])
def test_graded_qsmi_of_several_labels_is_equation_19_of_their_similarity(needs):
    y = embeddings()
    expected = slow.qsmi_loss(y, torch.tensor(slow_jaccard(SEVERAL)), "cosine", True, needs=needs)
    expected += 0.2 * slow.quantization_penalty(y)
    found = objective("qsmi_jaccard", y, SEVERAL, alpha=0.2, information_needs=needs).item()
    assert found == pytest.approx(expected, rel=1e-6)
    plain = qsmi_objective(y, SEVERAL, alpha=0.2, information_needs=needs).item()
    assert abs(found - plain) > 0.1


def test_true_priors_are_trained_with_the_quantization_penalty():
    y = embeddings()
    expected = slow_priors_loss(y, SEVERAL, True) + 0.2 * slow.quantization_penalty(y)
    assert objective("qsmi_priors", y, SEVERAL, alpha=0.2).item() == equals(expected)


@pytest.mark.parametrize("method", ["qsmi_priors", "qsmi_jaccard"])
def test_gradients_of_the_objectives(method):
    y = embeddings().requires_grad_()
    assert gradcheck(lambda y: objective(method, y, SEVERAL), y)


# Bad input

BAD = {
    "another number of labels": (torch.ones(3, 2), torch.tensor([0, 1]), "one row per embedding: expected 3, got 2"),
    "floating labels": (torch.ones(2, 2), torch.tensor([0.0, 1.0]), "labels must be integers (n,) or integer or bool"),
    "a 2 among multi-hot": (torch.ones(2, 2), torch.tensor([[0, 2], [1, 0]]), "must hold 0 and 1 only, got 2"),
    "no items": (torch.ones(0, 2), torch.tensor([], dtype=torch.int64), "at least one item and one bit, got shape (0"),
    "not finite": (torch.tensor([[math.nan, 1.0]]), torch.tensor([0]), "embeddings must be finite, got 1 NaN"),
    "one axis": (torch.ones(2), torch.tensor([0, 1]), "embeddings must be a floating tensor of shape (n, bits)"),
}


@pytest.mark.parametrize(("y", "labels", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_named(y, labels, message):
    with pytest.raises(ValueError) as error:
        losses.qsmi_priors_loss(y, labels)
    assert message in str(error.value)


@pytest.mark.parametrize(
    "labels", [torch.tensor([[0, 2]]), torch.ones(2), torch.tensor([], dtype=torch.int64), [[0, 1]]]
)
def test_bad_labels_have_no_jaccard_similarity(labels):
    with pytest.raises(ValueError, match="labels must"):
        losses.jaccard_similarity(labels)


def test_half_precision_is_computed_in_float32():
    y = embeddings().to(torch.float16)
    found = losses.qsmi_priors_loss(y, SINGLE)
    assert found.dtype == torch.float32
    assert torch.equal(found, losses.qsmi_priors_loss(y.float(), SINGLE))
