"""The losses against their definitions read aloud (`slow_losses`), their limits, and their input checks."""

import inspect
import itertools
import math
import re

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch.autograd import gradcheck

from qsmi_lib import losses
from qsmi_lib.losses.pairwise import dpsh_objective, dsh_objective
from qsmi_lib.losses.qsmi import qsmi_objective
from qsmi_lib.tests.losses import slow_losses as slow

N, BITS = 12, 5
LABELS = {
    "balanced": torch.arange(N) % 3,
    "unbalanced": torch.tensor([7, 7, 7, 7, 7, 7, 0, 0, 0, 2, 2, 5]),
    "multi-hot": torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 1, 1], [0, 0, 1]] * 2),
}
SIMILARITIES = ("cosine", "gaussian")
VARIANTS = [(similarity, clamp) for similarity in SIMILARITIES for clamp in (True, False)]
PAIRWISE = {  # every loss of embeddings and relevance
    **{
        f"{similarity}, {'clamped' if clamp else 'not clamped'}": lambda y, delta, s=similarity, c=clamp: (
            losses.qsmi_loss(y, delta, similarity=s, clamp=c, sigma=2.0)
        )
        for similarity, clamp in VARIANTS
    },
    "dsh": lambda y, delta: losses.dsh_loss(y, delta, alpha=0.1),
    "dpsh": losses.dpsh_loss,
}
each_labels = pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
each_similarity = pytest.mark.parametrize("similarity", SIMILARITIES)
each_variant = pytest.mark.parametrize(("similarity", "clamp"), VARIANTS)
each_pairwise = pytest.mark.parametrize("loss", PAIRWISE.values(), ids=PAIRWISE)
each_public = pytest.mark.parametrize("name", losses.__all__)


def random_embeddings(n=N, bits=BITS, *, seed=0, scale=1.5):
    return scale * torch.randn(n, bits, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def gradient(loss, embeddings):
    """Gradient of `loss` at `embeddings`."""
    leaf = embeddings.clone().requires_grad_()
    return torch.autograd.grad(loss(leaf), leaf)[0]


def quadratic_mutual_information(embeddings, labels, similarity, sigma=2.0):
    v_in, v_all, v_btw = losses.information_potentials(embeddings, labels, similarity=similarity, sigma=sigma)
    return (v_in + v_all - 2 * v_btw).item()


def equals(expected, tolerance=1e-10):
    return pytest.approx(expected, rel=tolerance, abs=tolerance)


# Relevance and similarity


@each_labels
def test_relevance_is_its_definition(labels):
    relevance = losses.relevance_matrix(labels)
    assert relevance.dtype == torch.bool
    assert relevance.tolist() == slow.relevance_matrix(labels)


def test_an_item_without_labels_is_relevant_to_nothing():
    relevance = losses.relevance_matrix(torch.tensor([[0, 0], [1, 0], [1, 1]]))
    assert relevance.tolist() == [[False, False, False], [False, True, True], [False, True, True]]


@each_labels
def test_relevance_takes_any_integers_and_bool_multi_hot(labels):
    for dtype in (torch.uint8, torch.int32) if labels.ndim == 1 else (torch.uint8, torch.bool):
        assert torch.equal(losses.relevance_matrix(labels.to(dtype)), losses.relevance_matrix(labels))


@pytest.mark.parametrize(
    ("kind", "fast"), [("cosine", losses.cosine_similarity), ("gaussian", lambda y: losses.gaussian_similarity(y, 2.0))]
)
def test_similarity_is_its_definition(kind, fast):
    embeddings = random_embeddings()
    rows = embeddings.tolist()
    expected = [[slow.similarity(y, other, kind, 2.0) for other in rows] for y in rows]
    assert fast(embeddings).tolist() == [equals(row) for row in expected]


def test_similarity_of_known_directions():
    same_opposite_orthogonal = torch.tensor([[3.0, 0.0], [0.1, 0.0], [-7.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    assert losses.cosine_similarity(same_opposite_orthogonal)[0].tolist() == equals([1, 1, 0, 0.5])


# Information potentials, quadratic mutual information


@each_labels
@each_similarity
def test_information_potentials_are_their_definition(labels, similarity):
    embeddings = random_embeddings()
    fast = losses.information_potentials(embeddings, labels, similarity=similarity, sigma=2.0)
    expected = slow.information_potentials(embeddings, labels, similarity, 2.0)
    assert [value.item() for value in fast] == equals(expected)


@each_similarity
@pytest.mark.parametrize("name", ["balanced", "unbalanced"])
def test_the_short_form_needs_equal_priors(name, similarity):
    """Eq. 17 is the general form where every class is as large, and only there."""
    embeddings, labels = random_embeddings(), LABELS[name]
    short = -losses.qsmi_loss(
        embeddings,
        losses.relevance_matrix(labels),
        similarity=similarity,
        clamp=False,
        sigma=2.0,
        information_needs=len(labels.unique()),
    )
    general = quadratic_mutual_information(embeddings, labels, similarity)
    assert (short.item() / N**2 == equals(general)) == (name == "balanced")


@each_similarity
@given(
    labels=st.lists(st.integers(0, 3), min_size=1, max_size=10),
    seed=st.integers(0, 2**32 - 1),
    sigma=st.floats(0.1, 20),
)
def test_mutual_information_is_never_negative(similarity, labels, seed, sigma):
    """Both kernels are positive semidefinite, so it is a squared distance of densities, for unequal classes too."""
    embeddings = random_embeddings(len(labels), seed=seed)
    assert quadratic_mutual_information(embeddings, torch.tensor(labels), similarity, sigma) >= -1e-12


@each_similarity
def test_mutual_information_with_one_class_is_zero(similarity):
    labels = torch.zeros(N, dtype=torch.int64)
    assert quadratic_mutual_information(random_embeddings(), labels, similarity) == equals(0)


def chance(embeddings, labels, similarity):
    """Expected mutual information of these embeddings with labels in random order."""
    kernel = losses.cosine_similarity(embeddings)
    if similarity == "gaussian":
        kernel = losses.gaussian_similarity(embeddings, 2.0)
    priors = torch.unique(labels, return_counts=True)[1].double() / len(labels)
    return ((1 - priors.square().sum()) * (1 - kernel.mean()) / (len(labels) - 1)).item()


@each_similarity
def test_chance_value_is_the_mean_over_all_orders_of_the_labels(similarity):
    embeddings, labels = random_embeddings(6), torch.tensor([0, 0, 0, 1, 1, 2])
    orders = set(itertools.permutations(labels.tolist()))
    values = [quadratic_mutual_information(embeddings, torch.tensor(order), similarity) for order in orders]
    assert sum(values) / len(values) == equals(chance(embeddings, labels, similarity))


@each_similarity
def test_shuffled_labels_reach_the_chance_value(similarity):
    embeddings, labels = random_embeddings(120), torch.arange(120) % 10
    generator = torch.Generator().manual_seed(0)
    shuffles = [labels[torch.randperm(120, generator=generator)] for _ in range(200)]
    values = torch.tensor([quadratic_mutual_information(embeddings, shuffle, similarity) for shuffle in shuffles])
    standard_error = values.std().item() / math.sqrt(len(values))
    assert values.mean().item() == pytest.approx(chance(embeddings, labels, similarity), abs=3 * standard_error)


# QSMI and QMI as losses


@each_labels
@each_variant
@pytest.mark.parametrize("needs", [None, 10.0])
def test_qsmi_loss_is_its_definition(labels, similarity, clamp, needs):
    embeddings, relevance = random_embeddings(), losses.relevance_matrix(labels)
    fast = losses.qsmi_loss(
        embeddings, relevance, similarity=similarity, clamp=clamp, sigma=2.0, information_needs=needs
    )
    assert fast.item() == equals(slow.qsmi_loss(embeddings, relevance, similarity, clamp, 2.0, needs))


def test_defaults_are_the_proposed_loss():
    embeddings, relevance = random_embeddings(), losses.relevance_matrix(LABELS["unbalanced"])
    assert losses.qsmi_loss(embeddings, relevance).item() == equals(
        slow.qsmi_loss(embeddings, relevance, "cosine", True)
    )


@each_similarity
def test_scale_is_n_squared_times_equations_17_and_19(similarity):
    """The paper's means over pairs, in its matrix form."""
    embeddings, relevance = random_embeddings(), losses.relevance_matrix(LABELS["unbalanced"])
    s = losses.cosine_similarity(embeddings)
    if similarity == "gaussian":
        s = losses.gaussian_similarity(embeddings, 10.0)
    delta, needs = relevance.double(), 4.0
    equation_17 = (delta * s - s / needs).mean()
    equation_19 = (delta * (s - 1) * (s - 1) + s * s / needs).mean()
    loss = {
        clamp: losses.qsmi_loss(embeddings, relevance, similarity=similarity, clamp=clamp, information_needs=needs)
        for clamp in (True, False)
    }
    assert loss[True].item() == equals(N**2 * equation_19.item())
    assert loss[False].item() == equals(-(N**2) * equation_17.item())


@each_similarity
def test_the_published_code_adds_the_number_of_dissimilar_pairs(similarity):
    """passalis/qsmi, hashing/qmi_hashing.py clamps (Delta S - 1)^2: a constant more, and so the same gradient."""
    relevance = losses.relevance_matrix(LABELS["unbalanced"])
    delta = relevance.double()

    def published(embeddings):
        s = losses.cosine_similarity(embeddings)
        if similarity == "gaussian":
            s = losses.gaussian_similarity(embeddings, 10.0)
        needs = N**2 / delta.sum()
        return ((delta * s - 1) ** 2 + s**2 / needs).sum()

    def ours(embeddings):
        return losses.qsmi_loss(embeddings, relevance, similarity=similarity)

    embeddings = random_embeddings()
    assert (published(embeddings) - ours(embeddings)).item() == equals((~relevance).sum().item())
    torch.testing.assert_close(gradient(published, embeddings), gradient(ours, embeddings), rtol=0, atol=1e-12)


@each_labels
@pytest.mark.parametrize("needs", [None, 10.0])
def test_gradient_is_equation_30_mended(labels, needs):
    embeddings, relevance = random_embeddings(), losses.relevance_matrix(labels)
    fast = gradient(lambda y: losses.qsmi_loss(y, relevance, information_needs=needs), embeddings)
    expected = slow.qsmi_gradient(embeddings, relevance, needs or N**2 / relevance.sum().item())
    torch.testing.assert_close(fast, torch.tensor(expected, dtype=torch.float64), rtol=1e-8, atol=1e-8)


@each_pairwise
def test_gradients_agree_with_finite_differences(loss):
    embeddings, relevance = random_embeddings(6), losses.relevance_matrix(LABELS["unbalanced"][3:9])
    assert gradcheck(lambda y: loss(y, relevance), embeddings.requires_grad_())


@pytest.mark.parametrize(("name", "expected"), [("balanced", 3.0), ("unbalanced", 144 / (36 + 9 + 4 + 1))])
def test_information_needs_are_estimated_from_the_relevance(name, expected):
    """M = N^2 / sum of Delta: the number of classes where they are as large, fewer where they are not."""
    embeddings, relevance = random_embeddings(), losses.relevance_matrix(LABELS[name])
    estimated, given = (losses.qsmi_loss(embeddings, relevance, information_needs=m) for m in (None, expected))
    assert estimated.item() == equals(given.item())
    assert losses.qsmi_loss(embeddings, relevance, information_needs=expected + 1).item() != equals(given.item())


def test_nothing_relevant_at_all_costs_nothing():
    relevance = torch.zeros(N, N, dtype=torch.bool)
    assert losses.qsmi_loss(random_embeddings(), relevance).item() == 0


# Properties that the losses share


@each_labels
@each_pairwise
def test_relevance_of_zeros_and_ones_may_be_floating(loss, labels):
    embeddings, relevance = random_embeddings(), losses.relevance_matrix(labels)
    assert loss(embeddings, relevance.float()).item() == equals(loss(embeddings, relevance).item())


@each_variant
def test_relevance_may_be_a_degree(similarity, clamp):
    embeddings = random_embeddings()
    degree = torch.rand(N, N, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    fast = losses.qsmi_loss(embeddings, degree, similarity=similarity, clamp=clamp)
    assert fast.item() == equals(slow.qsmi_loss(embeddings, degree, similarity, clamp))


@given(scales=st.lists(st.floats(1e-3, 1e3), min_size=N, max_size=N), clamp=st.booleans())
def test_qsmi_ignores_the_length_of_each_embedding(scales, clamp):
    embeddings, relevance = random_embeddings(), losses.relevance_matrix(LABELS["unbalanced"])
    scaled = torch.tensor(scales, dtype=torch.float64)[:, None] * embeddings
    before, after = (losses.qsmi_loss(y, relevance, clamp=clamp).item() for y in (embeddings, scaled))
    assert after == equals(before)


@each_pairwise
@given(order=st.permutations(range(N)))
def test_the_order_of_a_batch_does_not_matter(loss, order):
    embeddings, relevance = random_embeddings(), losses.relevance_matrix(LABELS["multi-hot"])
    shuffled = loss(embeddings[order], relevance[order][:, order])
    assert shuffled.item() == equals(loss(embeddings, relevance).item())


@each_pairwise
@each_labels
def test_float32_comes_close_to_float64(loss, labels):
    embeddings, relevance = random_embeddings(), losses.relevance_matrix(labels)
    assert loss(embeddings.float(), relevance).dtype == torch.float32
    assert loss(embeddings.float(), relevance).item() == pytest.approx(loss(embeddings, relevance).item(), rel=1e-5)


@each_pairwise
@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e15])
@pytest.mark.parametrize("zero_rows", [0, 2, N])
def test_extreme_values_and_zero_rows_stay_finite(loss, scale, zero_rows):
    embeddings, relevance = random_embeddings(scale=scale), losses.relevance_matrix(LABELS["unbalanced"])
    embeddings[:zero_rows] = 0
    assert loss(embeddings, relevance).isfinite()
    assert gradient(lambda y: loss(y, relevance), embeddings).isfinite().all()


@pytest.mark.parametrize("clamp", [True, False])
def test_a_zero_row_has_no_direction_and_gets_no_gradient(clamp):
    embeddings, relevance = random_embeddings(), losses.relevance_matrix(LABELS["unbalanced"])
    embeddings[3] = 0
    assert losses.cosine_similarity(embeddings)[3].tolist() == [0.5] * N
    slope = gradient(lambda y: losses.qsmi_loss(y, relevance, clamp=clamp), embeddings)
    assert (slope == 0).all(dim=1).tolist() == [row == 3 for row in range(N)]


# The penalty, and the objectives that training minimises


def test_penalty_is_its_definition():
    embeddings = random_embeddings()
    assert losses.quantization_penalty(embeddings).item() == equals(slow.quantization_penalty(embeddings))


def test_binary_codes_cost_nothing():
    assert losses.quantization_penalty(random_embeddings().sign()).item() == 0


def test_penalty_ignores_the_sign():
    """Eq. 20 as printed would pull every output to +1."""
    embeddings = random_embeddings()
    assert losses.quantization_penalty(-embeddings).item() == losses.quantization_penalty(embeddings).item()


def test_penalty_is_a_sum_over_batch_and_bits():
    twice = random_embeddings().repeat(2, 3)
    assert losses.quantization_penalty(twice).item() == equals(
        6 * losses.quantization_penalty(random_embeddings()).item()
    )


def test_sums_with_alpha_are_means_with_alpha_n_over_n():
    """Mean over pairs and mean penalty want alpha * bits / N; Eq. 19's mean beside Eq. 20's sum wants alpha / N^2."""
    embeddings, labels, alpha = random_embeddings(), LABELS["balanced"], 0.1
    relevance = losses.relevance_matrix(labels)

    def means(y, weight, penalty):
        s = losses.cosine_similarity(y)
        return (relevance * (s - 1).square() + relevance.double().mean() * s.square()).mean() + weight * penalty

    def per_element(y):
        return means(y, alpha * BITS / N, (y.abs() - 1).abs().mean())

    def equation_20(y, weight):
        return means(y, weight, (y.abs() - 1).abs().sum())

    sums = gradient(lambda y: qsmi_objective(y, labels, alpha=alpha), embeddings)
    torch.testing.assert_close(N**2 * gradient(per_element, embeddings), sums)
    torch.testing.assert_close(N**2 * gradient(lambda y: equation_20(y, alpha / N**2), embeddings), sums)
    literal = gradient(lambda y: equation_20(y, alpha), embeddings)
    assert torch.cosine_similarity(literal.flatten(), sums.flatten(), dim=0) < 0.99


@each_labels
def test_objectives_are_the_losses_of_the_labels_relevance(labels):
    embeddings, relevance = random_embeddings(), losses.relevance_matrix(labels)
    expected = {
        qsmi_objective: losses.qsmi_loss(embeddings, relevance) + 0.3 * losses.quantization_penalty(embeddings),
        dsh_objective: losses.dsh_loss(embeddings, relevance, alpha=0.3),
        dpsh_objective: losses.dpsh_loss(embeddings, relevance, eta=0.3),
    }
    for objective, value in expected.items():
        assert objective(embeddings, labels, alpha=0.3).item() == equals(value.item())


# DSH and DPSH


@each_labels
@pytest.mark.parametrize("margin", [None, 7.0])
def test_dsh_is_its_definition(labels, margin):
    embeddings, relevance = random_embeddings(), losses.relevance_matrix(labels)
    fast = losses.dsh_loss(embeddings, relevance, alpha=0.3, margin=margin)
    assert fast.item() == equals(slow.dsh_loss(embeddings, relevance, 0.3, margin or 2 * BITS))


def test_dsh_of_two_codes_by_hand():
    """Two of four pairs are (i, i) and add nothing; the codes differ in one bit: d^2 = 4, margin 2 * 3 = 6."""
    codes = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, -1.0]])
    similar, dissimilar = torch.ones(2, 2, dtype=torch.bool), torch.eye(2, dtype=torch.bool)
    assert losses.dsh_loss(codes, similar).item() == equals(2 * 4 / 2 / 4)
    assert losses.dsh_loss(codes, dissimilar).item() == equals(2 * (6 - 4) / 2 / 4)


@each_labels
def test_dpsh_is_its_definition(labels):
    embeddings, relevance = random_embeddings(), losses.relevance_matrix(labels)
    assert losses.dpsh_loss(embeddings, relevance, eta=0.3).item() == equals(slow.dpsh_loss(embeddings, relevance, 0.3))


@pytest.mark.parametrize("theta", [1e3, -1e3])
@pytest.mark.parametrize("similar", [True, False])
def test_dpsh_is_linear_far_out(theta, similar):
    """log(1 + e^theta) - Delta theta of two pairs at +-1,000, and of the items with themselves, which cost nothing."""
    side = math.sqrt(abs(theta) * 2)
    embeddings = torch.tensor([[side], [math.copysign(side, theta)]], dtype=torch.float64)
    relevance = torch.eye(2, dtype=torch.bool) | similar
    expected = 2 * (max(theta, 0) - similar * theta)
    assert losses.dpsh_loss(embeddings, relevance, eta=0.0).item() == equals(expected)


# Input checks

GOOD = {
    "embeddings": random_embeddings(),
    "labels": LABELS["balanced"],
    "relevance": losses.relevance_matrix(LABELS["balanced"]),
    "sigma": 2.0,
    "needs": losses.relevance_matrix(LABELS["balanced"] % 2),
    "targets": random_embeddings().sign(),
    "decisions": torch.stack([random_embeddings().sign(), -random_embeddings().sign()]),
    "bits": 12,
    "n_classes": 10,
}
OF_EMBEDDINGS = [name for name in losses.__all__ if "embeddings" in inspect.signature(getattr(losses, name)).parameters]
OF_RELEVANCE = ["qsmi_loss", "dsh_loss", "dpsh_loss"]
OF_LABELS = ["relevance_matrix", "information_potentials"]
EYE = torch.eye(N)
BAD_EMBEDDINGS = {
    "1-D": (torch.zeros(3), r"shape \(n, bits\), got torch.float32 of shape \(3,\)"),
    "3-D": (torch.zeros(2, 3, 4), r"shape \(n, bits\), got torch.float32 of shape \(2, 3, 4\)"),
    "integers": (torch.ones(2, 3, dtype=torch.int8), r"must be a floating tensor .*, got torch.int8"),
    "a list": ([[1.0]], "must be a floating tensor .*, got a list"),
    "no item": (torch.zeros(0, 4), r"at least one item and one bit, got shape \(0, 4\)"),
    "no bit": (torch.zeros(4, 0), r"at least one item and one bit, got shape \(4, 0\)"),
    "NaN": (torch.tensor([[1.0, math.nan]]), "must be finite, got . NaN or infinite"),
    "infinite": (torch.tensor([[1.0, -math.inf]]), "must be finite, got . NaN or infinite"),
}
BAD_RELEVANCE = {
    "another shape": (torch.ones(N, N + 1), rf"shape \({N}, {N}\), got torch.float32 of shape \({N}, {N + 1}\)"),
    "one row": (torch.ones(N), rf"shape \({N}, {N}\), got torch.float32 of shape \({N},\)"),
    "an array": (EYE.numpy(), rf"shape \({N}, {N}\), got a ndarray"),
    "integers": (EYE.long(), "must be bool or floating, got torch.int64"),
    "above 1": (2 * EYE, r"must lie in \[0, 1\]"),
    "below 0": (-EYE, r"must lie in \[0, 1\]"),
    "NaN": (EYE + math.nan, r"must lie in \[0, 1\]"),
}
BAD_LABELS = {
    "floating": (torch.zeros(N), r"integers .* or integer or bool multi-hot .*, got torch.float32 of shape"),
    "3-D": (
        torch.zeros(N, 2, 2).long(),
        r"integers .* or integer or bool multi-hot .*, got torch.int64 of shape",
    ),
    "a list": ([0] * N, r"integers .* or integer or bool multi-hot .*, got a list"),
    "bool (n,)": (torch.ones(N, dtype=torch.bool), "must be integers, got torch.bool"),
    "multi-hot with 2": (torch.full((N, 3), 2), "multi-hot labels must hold 0 and 1 only, got 2"),
    "none": (torch.zeros(0).long(), "at least one item, got none"),
}
BAD_OPTIONS = {
    "unknown similarity": ("qsmi_loss", {"similarity": "dot"}, "'cosine' or 'gaussian', got 'dot'"),
    "its potentials": ("information_potentials", {"similarity": "dot"}, "'cosine' or 'gaussian', got 'dot'"),
    "sigma 0": ("qsmi_loss", {"similarity": "gaussian", "sigma": 0.0}, "sigma must be .* above 0, got 0.0"),
    "its kernel": ("gaussian_similarity", {"sigma": math.nan}, "sigma must be .* above 0, got nan"),
    "no needs": ("qsmi_loss", {"information_needs": 0}, "information_needs must be .* above 0, got 0"),
    "negative needs": ("qsmi_loss", {"information_needs": -1.0}, "information_needs must be .* above 0, got -1.0"),
    "sigma as text": ("gaussian_similarity", {"sigma": "3"}, "sigma must be .* above 0, got '3'"),
    "sigma is never estimated": ("qsmi_loss", {"sigma": None}, "sigma must be .* above 0, got None"),
    "negative eps": ("cosine_similarity", {"eps": -1.0}, "eps must be .* above 0, got -1.0"),
    "alpha NaN": ("dsh_loss", {"alpha": math.nan}, "alpha must be .* at least 0, got nan"),
    "negative eta": ("dpsh_loss", {"eta": -1}, "eta must be .* at least 0, got -1"),
    "no margin": ("dsh_loss", {"margin": 0}, "margin must be .* above 0, got 0"),
    "other length": (
        "information_potentials",
        {"labels": torch.zeros(N - 1).long()},
        f"one row per embedding: expected {N}, got {N - 1}",
    ),
}


def call(name, **changed):
    """The public loss `name` with good arguments but for the `changed` ones."""
    loss = getattr(losses, name)
    required = [p.name for p in inspect.signature(loss).parameters.values() if p.default is p.empty]
    return loss(**{key: GOOD[key] for key in required} | changed)


@pytest.mark.parametrize("name", OF_EMBEDDINGS)
@pytest.mark.parametrize(("bad", "message"), BAD_EMBEDDINGS.values(), ids=BAD_EMBEDDINGS)
def test_bad_embeddings(name, bad, message):
    with pytest.raises(ValueError, match=f"embeddings .*{message}"):
        call(name, embeddings=bad)


@pytest.mark.parametrize("name", OF_RELEVANCE)
@pytest.mark.parametrize(("bad", "message"), BAD_RELEVANCE.values(), ids=BAD_RELEVANCE)
def test_bad_relevance(name, bad, message):
    with pytest.raises(ValueError, match=f"relevance .*{message}"):
        call(name, relevance=bad)


@pytest.mark.parametrize("name", OF_LABELS)
@pytest.mark.parametrize(("bad", "message"), BAD_LABELS.values(), ids=BAD_LABELS)
def test_bad_labels(name, bad, message):
    with pytest.raises(ValueError, match=message):
        call(name, labels=bad)


@pytest.mark.parametrize(("name", "options", "message"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_bad_options(name, options, message):
    with pytest.raises(ValueError, match=message):
        call(name, **options)


def test_arguments_are_checked_by_position_too():
    with pytest.raises(ValueError, match="relevance must have shape"):
        losses.qsmi_loss(GOOD["embeddings"], GOOD["labels"])


@each_public
def test_the_checked_function_is_the_core_that_training_calls(name):
    core = inspect.unwrap(getattr(losses, name))
    required = {key: GOOD[key] for key in GOOD if key in inspect.signature(core).parameters}
    torch.testing.assert_close(getattr(losses, name)(**required), core(**required), rtol=0, atol=0)


@each_public
def test_docstrings_tell_shapes_and_errors(name):
    text = inspect.getdoc(getattr(losses, name))
    assert re.search(r"\((n|n_classes), (bits|c)\)", text)
    assert "Raises:\n    ValueError: " in text
