"""Relevance, similarity, information potentials, QMI and QSMI: definitions, the paper's equations, and properties."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qsmi_lib import losses
from qsmi_lib.losses.qsmi import qsmi_objective
from qsmi_lib.losses.qsmi_variants import qsmi_jaccard_objective, qsmi_priors_objective
from qsmi_lib.tests.losses import slow_losses as slow
from qsmi_lib.tests.losses.batches import equals, generator, gradient, random_embeddings

N = 12
LABELS = {
    "balanced": torch.arange(N) % 3,
    "unbalanced": torch.tensor([7, 7, 7, 7, 7, 7, 0, 0, 0, 2, 2, 5]),
    "multi-hot": torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 0], [0, 0, 1, 0]] * 2),
    "one class": torch.zeros(N, dtype=torch.int64),
    "a class per item": torch.arange(N),
    "no labels": torch.zeros(N, 3, dtype=torch.int64),
    "all labels": torch.ones(N, 3, dtype=torch.int64),
}
each_labels = pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
each_clamp = pytest.mark.parametrize("clamp", [True, False])
each_similarity = pytest.mark.parametrize("similarity", ["cosine", "gaussian"])


def outputs(n=N, seed=0):
    return random_embeddings(n=n, seed=seed)


def multi_hot(labels):
    return labels if labels.ndim == 2 else (labels[:, None] == labels.unique()).long()


def kernel(embeddings, similarity, sigma=2.0):
    if similarity == "cosine":
        return losses.cosine_similarity(embeddings)
    return losses.gaussian_similarity(embeddings, sigma)


def quadratic_mutual_information(embeddings, labels, similarity, sigma=2.0):
    v_in, v_all, v_btw = losses.information_potentials(embeddings, labels, similarity=similarity, sigma=sigma)
    return (v_in + v_all - 2 * v_btw).item()


# Relevance and similarity


@each_labels
def test_relevance_and_its_degree_are_their_definitions(labels):
    relevance, degree = losses.relevance_matrix(labels), losses.jaccard_similarity(labels)
    assert relevance.dtype == torch.bool and degree.is_floating_point()
    assert relevance.tolist() == slow.relevance_matrix(labels)
    assert degree.tolist() == [pytest.approx(row, rel=1e-6) for row in slow.jaccard_similarity(labels)]


def test_relevance_of_every_pair_of_label_sets():
    labels = torch.tensor(list(itertools.product((0, 1), repeat=4)))
    for dtype in (torch.int64, torch.bool, torch.uint8):
        degree = losses.jaccard_similarity(labels.to(dtype))
        assert degree.tolist() == [pytest.approx(row, rel=1e-6) for row in slow.jaccard_similarity(labels)]
        assert torch.equal(degree > 0, losses.relevance_matrix(labels.to(dtype)))
    assert not losses.relevance_matrix(labels)[0].any()  # no labels: relevant to nothing, itself included


@each_similarity
def test_similarity_is_its_definition(similarity):
    rows = outputs().tolist()
    expected = [[slow.kernel(y, other, similarity, 2.0) for other in rows] for y in rows]
    assert kernel(outputs(), similarity).tolist() == [equals(row) for row in expected]


def test_similarity_of_equal_opposite_and_orthogonal_directions():
    embeddings = torch.tensor([[3.0, 0.0], [0.1, 0.0], [-7.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    assert losses.cosine_similarity(embeddings)[0].tolist() == equals([1, 1, 0, 0.5])


def test_a_zero_row_has_no_direction_and_gets_no_gradient():
    embeddings, labels = outputs(), LABELS["multi-hot"]
    embeddings[4] = 0
    assert losses.cosine_similarity(embeddings)[4].tolist() == [0.5] * N
    for clamp in (True, False):
        for loss in (
            lambda y, c=clamp: losses.qsmi_loss(y, losses.relevance_matrix(labels), clamp=c),
            lambda y, c=clamp: losses.qsmi_priors_loss(y, labels, clamp=c),
        ):
            slope = gradient(loss, embeddings)
            assert (slope == 0).all(dim=1).tolist() == [row == 4 for row in range(N)]


# Information potentials and quadratic mutual information


@each_labels
@each_similarity
def test_information_potentials_are_their_definition(labels, similarity):
    fast = losses.information_potentials(outputs(), labels, similarity=similarity, sigma=2.0)
    assert [v.item() for v in fast] == equals(slow.information_potentials(outputs(), labels, similarity, 2.0))


@each_similarity
@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=10),
    seed=st.integers(0, 2**32 - 1),
    sigma=st.floats(0.1, 20),
)
def test_mutual_information_is_never_negative(similarity, labels, seed, sigma):
    """Both kernels are positive semidefinite: it is a squared distance of densities, also for unequal classes."""
    embeddings = outputs(len(labels), seed)
    assert quadratic_mutual_information(embeddings, torch.tensor(labels), similarity, sigma) >= -1e-12


def chance(embeddings, labels, similarity):
    """Expected mutual information of these embeddings with labels in random order."""
    priors = torch.unique(labels, return_counts=True)[1].double() / len(labels)
    return ((1 - priors.square().sum()) * (1 - kernel(embeddings, similarity).mean()) / (len(labels) - 1)).item()


@each_similarity
def test_chance_value_is_the_mean_over_all_orders_of_the_labels(similarity):
    embeddings, labels = outputs(6), torch.tensor([0, 0, 0, 1, 1, 2])
    orders = set(itertools.permutations(labels.tolist()))
    values = [quadratic_mutual_information(embeddings, torch.tensor(order), similarity) for order in orders]
    assert sum(values) / len(values) == equals(chance(embeddings, labels, similarity))


@each_similarity
@pytest.mark.parametrize("name", ["balanced", "unbalanced"])
def test_the_short_form_needs_equal_priors(name, similarity):
    """Eq. 17 is the general form if all classes are equally large, and only then."""
    embeddings, labels = outputs(), LABELS[name]
    options = {"similarity": similarity, "clamp": False, "sigma": 2.0, "information_needs": len(labels.unique())}
    short = -losses.qsmi_loss(embeddings, losses.relevance_matrix(labels), **options).item()
    general = quadratic_mutual_information(embeddings, labels, similarity)
    assert (short / N**2 == equals(general)) == (name == "balanced")


# QSMI and QMI


@each_similarity
def test_scale_is_n_squared_times_equations_17_and_19(similarity):
    """The paper's means over pairs, in its matrix form."""
    embeddings, relevance = outputs(), losses.relevance_matrix(LABELS["unbalanced"])
    s, delta, needs = kernel(embeddings, similarity, 10.0), relevance.double(), 4.0
    equations = {  # Eqs. 19 and 17
        True: (delta * (s - 1) * (s - 1) + s * s / needs).mean(),
        False: -(delta * s - s / needs).mean(),
    }
    for clamp, equation in equations.items():
        options = {"similarity": similarity, "clamp": clamp, "information_needs": needs}
        assert losses.qsmi_loss(embeddings, relevance, **options).item() == equals(N**2 * equation.item())


@each_similarity
def test_the_published_code_adds_the_number_of_dissimilar_pairs(similarity):
    """passalis/qsmi, hashing/qmi_hashing.py clamps (Delta S - 1)^2: a constant more, and so the same gradient."""
    relevance = losses.relevance_matrix(LABELS["unbalanced"])
    delta = relevance.double()

    def published(embeddings):
        s, needs = kernel(embeddings, similarity, 10.0), N**2 / delta.sum()
        return ((delta * s - 1) ** 2 + s**2 / needs).sum()

    def ours(embeddings):
        return losses.qsmi_loss(embeddings, relevance, similarity=similarity)

    assert (published(outputs()) - ours(outputs())).item() == equals((~relevance).sum().item())
    torch.testing.assert_close(gradient(published, outputs()), gradient(ours, outputs()), rtol=0, atol=1e-12)


@each_labels
@pytest.mark.parametrize("needs", [None, 10.0])
def test_gradient_is_equation_30_corrected(labels, needs):
    relevance = losses.relevance_matrix(labels)
    fast = gradient(lambda y: losses.qsmi_loss(y, relevance, information_needs=needs), outputs())
    estimate = N**2 / relevance.sum().item() if relevance.any() else math.inf
    expected = slow.qsmi_gradient(outputs(), relevance, needs or estimate)
    torch.testing.assert_close(fast, torch.tensor(expected, dtype=torch.float64), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("name", "expected"), [("balanced", 3.0), ("unbalanced", 144 / (36 + 9 + 4 + 1))])
def test_information_needs_are_estimated_from_the_relevance(name, expected):
    """M = N^2 / sum of Delta: the number of classes if they are equally large, fewer if not."""
    relevance = losses.relevance_matrix(LABELS[name])
    estimated, given = (losses.qsmi_loss(outputs(), relevance, information_needs=m).item() for m in (None, expected))
    assert estimated == equals(given)
    assert losses.qsmi_loss(outputs(), relevance, information_needs=expected + 1).item() != equals(given)


def test_relevance_may_be_a_degree_and_nothing_relevant_costs_nothing():
    degree = torch.rand(N, N, dtype=torch.float64, generator=generator(1))
    for similarity, clamp in itertools.product(("cosine", "gaussian"), (True, False)):
        fast = losses.qsmi_loss(outputs(), degree, similarity=similarity, clamp=clamp)
        assert fast.item() == equals(slow.qsmi_loss(outputs(), degree, similarity, clamp))
    assert losses.qsmi_loss(outputs(), torch.zeros(N, N)).item() == 0


# The penalty


def test_penalty_is_0_for_codes_a_sum_over_items_and_bits_and_blind_to_the_sign():
    """Eq. 20 as printed would pull every output to +1."""
    embeddings = outputs()
    penalty = losses.quantization_penalty(embeddings).item()
    assert losses.quantization_penalty(embeddings.sign()).item() == 0
    assert losses.quantization_penalty(-embeddings).item() == penalty
    assert losses.quantization_penalty(embeddings.repeat(2, 3)).item() == equals(6 * penalty)


def test_sums_with_alpha_are_means_with_alpha_n_over_n():
    """Mean over pairs and mean penalty need alpha * bits / N; Eq. 19's mean and Eq. 20's sum need alpha / N^2."""
    embeddings, labels, alpha = outputs(), LABELS["balanced"], 0.1
    relevance, bits = losses.relevance_matrix(labels), embeddings.shape[1]

    def means(y, weight, reduce):
        s = losses.cosine_similarity(y)
        pairs = (relevance * (s - 1).square() + relevance.double().mean() * s.square()).mean()
        return pairs + weight * reduce((y.abs() - 1).abs())

    sums = gradient(lambda y: qsmi_objective(y, labels, alpha=alpha), embeddings)
    per_element = gradient(lambda y: means(y, alpha * bits / N, torch.mean), embeddings)
    torch.testing.assert_close(N**2 * per_element, sums)
    torch.testing.assert_close(N**2 * gradient(lambda y: means(y, alpha / N**2, torch.sum), embeddings), sums)
    literal = gradient(lambda y: means(y, alpha, torch.sum), embeddings)
    assert torch.cosine_similarity(literal.flatten(), sums.flatten(), dim=0) < 0.99


# True priors


@each_labels
def test_with_priors_the_loss_is_its_definition_and_the_mutual_information(labels):
    for clamp in (True, False):
        fast = losses.qsmi_priors_loss(outputs(), labels, clamp=clamp).item()
        assert fast == equals(slow.qsmi_priors_loss(outputs(), labels, clamp))
    assert fast == equals(-(N**2) * quadratic_mutual_information(outputs(), labels, "cosine"))


def slope_by_similarity(labels, clamp, monkeypatch):
    """Gradient of the loss by the similarities, and the similarities."""
    pair = losses.cosine_similarity(outputs(len(labels))).requires_grad_()
    monkeypatch.setattr("qsmi_lib.losses.qsmi_variants.cosine_similarity", lambda _: pair)
    loss = losses.qsmi_priors_loss(outputs(len(labels)), labels, clamp=clamp)
    return torch.autograd.grad(loss, pair)[0], pair.detach()


@each_labels
def test_with_priors_the_weights_of_pairs_are_the_covariance_of_the_labels(labels, monkeypatch):
    """So each row sums to 0."""
    slope, _ = slope_by_similarity(labels, False, monkeypatch)
    centred = multi_hot(labels).double() - multi_hot(labels).double().mean(dim=0)
    torch.testing.assert_close(slope, -centred @ centred.T)
    assert slope.sum(dim=1).abs().max() < 1e-12


def test_two_items_of_rare_labels_attract(monkeypatch):
    """Beside eight items of one label, two of others have r < 0."""
    labels = torch.tensor([0] * 8 + [1, 2])
    slope, pair = slope_by_similarity(labels, True, monkeypatch)
    assert slow.priors_weights(labels)[1][8][9] < 0 and slope[8, 9] < 0 < pair[8, 9]
    assert slope[0, 8] > 0


@each_clamp
def test_with_equal_priors_the_loss_is_the_short_form_and_else_not(clamp):
    for n_classes in (1, 2, 3, 4, 6, 12):
        labels = torch.arange(N) % n_classes
        expected = losses.qsmi_loss(outputs(), losses.relevance_matrix(labels), clamp=clamp).item()
        hot = multi_hot(labels)
        wide = torch.cat([hot.flip(1), torch.zeros(N, 2, dtype=torch.int64)], dim=1)
        for same in (labels, labels.to(torch.uint8), labels * 3 - 4, hot, hot.bool(), wide):
            assert losses.qsmi_priors_loss(outputs(), same, clamp=clamp).item() == equals(expected)
    labels = LABELS["unbalanced"]
    short = losses.qsmi_loss(outputs(), losses.relevance_matrix(labels), clamp=clamp).item()
    assert abs(losses.qsmi_priors_loss(outputs(), labels, clamp=clamp).item() - short) > 0.1


def test_with_priors_items_without_labels_differ_from_those_with():
    """Where all items have the same labels, or none, there is nothing to learn."""
    for name in ("no labels", "all labels", "one class"):
        assert losses.qsmi_priors_loss(outputs(), LABELS[name], clamp=False).item() == equals(0)
    half = torch.tensor([[1, 0]] * 6 + [[0, 0]] * 6)
    apart = torch.tensor([[1.0, 0]] * 6 + [[-1.0, 0]] * 6)
    assert losses.qsmi_priors_loss(apart, half, clamp=False).item() == pytest.approx(-18)
    assert losses.qsmi_priors_loss(apart, half, clamp=False) < losses.qsmi_priors_loss(outputs(), half, clamp=False)


# Graded relevance, and objectives


@pytest.mark.parametrize("needs", [None, 2.5])
def test_objectives_of_the_variants(needs):
    y, penalty = outputs(), 0.2 * slow.quantization_penalty(outputs())
    labels = LABELS["multi-hot"]
    priors = qsmi_priors_objective(y, labels, alpha=0.2).item()
    assert priors == equals(slow.qsmi_priors_loss(y, labels) + penalty)
    graded = qsmi_jaccard_objective(y, labels, alpha=0.2, information_needs=needs).item()
    degree = torch.tensor(slow.jaccard_similarity(labels))
    assert graded == pytest.approx(slow.qsmi_loss(y, degree, information_needs=needs) + penalty, rel=1e-6)
    assert abs(graded - qsmi_objective(y, labels, alpha=0.2, information_needs=needs).item()) > 0.1
    single = LABELS["unbalanced"]
    plain = qsmi_objective(y, single, alpha=0.2, information_needs=needs).item()
    assert qsmi_jaccard_objective(y, single, alpha=0.2, information_needs=needs).item() == equals(plain, 1e-6)
