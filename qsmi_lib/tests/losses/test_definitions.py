"""Every loss against its definition (`slow_losses`), finite differences, and what it is invariant to."""

import inspect
import math

import pytest
import torch
from torch.autograd import gradcheck

from qsmi_lib import losses
from qsmi_lib.losses import csq, pairwise, qsmi, triplet
from qsmi_lib.losses.similarity import pair_weights
from qsmi_lib.tests.losses import slow_losses as slow
from qsmi_lib.tests.losses.batches import (
    LABELS,
    N,
    batch,
    equals,
    generator,
    graded_relevance,
    random_codes,
    random_embeddings,
)

CASES = {  # name of the loss, here and in `slow_losses`, and its options
    "qmi": ("qsmi_loss", {"similarity": "gaussian", "clamp": False, "sigma": 2.0}),
    "qmi, clamped": ("qsmi_loss", {"similarity": "gaussian", "clamp": True, "sigma": 2.0}),
    "qsmi, not clamped": ("qsmi_loss", {"clamp": False, "information_needs": 10.0}),
    "qsmi": ("qsmi_loss", {}),
    "qsmi, priors": ("qsmi_priors_loss", {}),
    "qsmi, priors, not clamped": ("qsmi_priors_loss", {"clamp": False}),
    "qsmi+u": ("qsmi_u_loss", {"alpha": 0.3, "beta": 0.7}),
    "qsmi+u, 10 needs": ("qsmi_u_loss", {"alpha": 0.01, "beta": 0.5, "information_needs": 10.0}),
    "penalty": ("quantization_penalty", {}),
    "dsh": ("dsh_loss", {"alpha": 0.3}),
    "dsh, margin": ("dsh_loss", {"alpha": 0.3, "margin": 7.0}),
    "dpsh": ("dpsh_loss", {"eta": 0.3}),
    "dhn": ("dhn_loss", {"alpha": 0.3}),
    "hashnet": ("hashnet_loss", {"class_weight": 3.0, "sharpness": 7.0, "beta": 1.3}),
    "hashgan": ("hashgan_loss", {"sharpness": 4.0}),
    "dch": ("dch_loss", {"alpha": 0.3, "gamma": 7.0}),
    "dch, code": ("dch_code_loss", {"alpha": 0.3, "gamma": 7.0}),
    "mihash": ("mihash_loss", {"slope": 1.7}),
    "mihash, 5 bins": ("mihash_loss", {"slope": 1.0, "n_bins": 5}),
    "dnnh": ("dnnh_loss", {"margin": 0.5, "epsilon": 0.5}),
    "dnnh, threshold": ("dnnh_loss", {"margin": 3.0, "epsilon": 0.2}),
    **{form: ("spring_loss", {"form": form}) for form in slow.FORMS},
    "negatives": ("negatives_loss", {}),
    "dtsh": ("dtsh_loss", {"eta": 0.3}),
    "pgdh": ("pgdh_loss", {}),
    "pgdh, balance": ("pgdh_loss", {"balance": 1.5}),
    "csq": ("csq_loss", {"alpha": 0.3}),
    "csq_qsmi": ("csq_qsmi_loss", {"alpha": 0.3, "a_csq": 0.2}),
    "cnnh": ("cnnh_loss", {}),
}
OF_DIRECTIONS = ["qsmi", "qsmi, not clamped", "qsmi, priors", "hashgan", *slow.FORMS, "negatives"]
OF_AXES = ["penalty", "dhn", "hashnet", "dch, code", "mihash", "dnnh", "csq", "cnnh"]
WITH_SELF_PAIRS = {"qsmi_loss", "qsmi_u_loss", "csq_qsmi_loss", "dsh_loss", "dpsh_loss"}
each_case = pytest.mark.parametrize("case", CASES)


def parameters(case):
    return inspect.signature(getattr(losses, CASES[case][0])).parameters


def value(case, tensors, module=losses, **changed):
    """The loss `case` of those of `tensors` that it takes."""
    name, options = CASES[case]
    arguments = {key: tensor for key, tensor in (tensors | changed).items() if key in parameters(case)}
    return getattr(module, name)(**arguments, **options)


@each_case
def test_each_loss_is_its_definition(case):
    for kind in (*LABELS, *(() if "labels" in parameters(case) else ("graded",))):
        for bits in (1, 12):
            tensors = batch(kind, bits)
            assert value(case, tensors).item() == equals(value(case, tensors, slow)), (kind, bits)


@each_case
def test_gradients_are_finite_differences(case):
    tensors = batch()
    assert gradcheck(lambda y: value(case, tensors, embeddings=y), tensors["embeddings"].requires_grad_())


@each_case
def test_float32_is_close_to_float64(case):
    tensors = batch(bits=12)
    single = value(case, tensors, embeddings=tensors["embeddings"].float())
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(value(case, tensors).item(), rel=1e-4, abs=1e-5)


@each_case
def test_the_order_of_a_batch_does_not_matter(case):
    tensors, order = batch("multi-hot"), torch.randperm(N, generator=generator(1))
    shuffled = {key: tensors[key][order] for key in ("embeddings", "labels", "targets")}
    shuffled |= {key: tensors[key][order][:, order] for key in ("relevance", "needs")}
    shuffled["decisions"] = tensors["decisions"][:, order]
    assert value(case, shuffled).item() == equals(value(case, tensors).item())


@pytest.mark.parametrize(
    "case", [c for c in CASES if "relevance" in parameters(c) and CASES[c][0] not in WITH_SELF_PAIRS]
)
def test_pairs_of_an_item_with_itself_do_not_count(case):
    """An item without a label is not even relevant to itself."""
    values = [value(case, batch(), relevance=graded_relevance(diagonal)).item() for diagonal in (1.0, 0.5, 0.0)]
    assert values == equals([values[0]] * 3)


def turned(embeddings):
    bits = embeddings.shape[1]
    return embeddings @ torch.linalg.qr(random_embeddings(bits, n=bits, seed=3))[0]


@pytest.mark.parametrize("case", [*OF_DIRECTIONS, "dch"])
def test_losses_of_directions_ignore_lengths_and_rotations(case):
    tensors = batch()
    scaled = torch.logspace(-3, 3, N, dtype=torch.float64)[:, None] * tensors["embeddings"]
    before = value(case, tensors).item()
    assert value(case, tensors, embeddings=scaled).item() == equals(before)
    rotated = value(case, tensors, embeddings=turned(tensors["embeddings"])).item()
    assert (rotated == equals(before)) == (case != "dch")  # its quantization term looks at the axes


@pytest.mark.parametrize("case", OF_AXES)
def test_losses_of_bits_do_not_ignore_rotations(case):
    tensors = batch()
    rotated = value(case, tensors, embeddings=turned(tensors["embeddings"])).item()
    assert rotated != equals(value(case, tensors).item(), 1e-3)


@pytest.mark.parametrize(
    ("loss", "weight"), [(losses.dsh_loss, "alpha"), (losses.dch_loss, "alpha"), (losses.dtsh_loss, "eta")]
)
def test_only_the_quantization_term_depends_on_the_axes(loss, weight):
    embeddings, relevance = random_embeddings(), batch()["relevance"]
    for size, ignores in ((0.0, True), (0.5, False)):
        before, after = (loss(y, relevance, **{weight: size}).item() for y in (embeddings, turned(embeddings)))
        assert (after == equals(before)) == ignores


# Objectives: the losses of the labels' relevance


@pytest.mark.parametrize("labels", [torch.arange(N) % 3, LABELS["multi-hot"]], ids=LABELS)
def test_the_classifier_is_its_definition(labels):
    scores = random_embeddings(3).requires_grad_()
    assert csq.classifier_objective(scores, labels).item() == equals(slow.classifier_objective(scores, labels))
    assert gradcheck(lambda y: csq.classifier_objective(y, labels), scores)


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_objectives_are_the_losses_of_the_labels_relevance(labels):
    y, relevance = random_embeddings(), losses.relevance_matrix(labels)
    penalty = 0.3 * losses.quantization_penalty(y)
    gamma = {"alpha": 0.3, "gamma": 5.0}
    for objective, expected in [
        (qsmi.qsmi_objective(y, labels, alpha=0.3), losses.qsmi_loss(y, relevance) + penalty),
        (pairwise.dsh_objective(y, labels, alpha=0.3), losses.dsh_loss(y, relevance, alpha=0.3)),
        (pairwise.dpsh_objective(y, labels, alpha=0.3), losses.dpsh_loss(y, relevance, eta=0.3)),
        (pairwise.dch_objective(y, labels, form="paper", **gamma), losses.dch_loss(y, relevance, **gamma)),
        (pairwise.dch_objective(y, labels, form="code", **gamma), losses.dch_code_loss(y, relevance, **gamma)),
        (triplet.spring_objective(y, labels, form="dtsh"), losses.dtsh_loss(y, relevance)),
        (triplet.spring_objective(y, labels, form="negatives"), losses.negatives_loss(y, relevance)),
        *(
            (triplet.spring_objective(y, labels, form=form), losses.spring_loss(y, relevance, form=form))
            for form in slow.FORMS
        ),
    ]:
        assert objective.item() == equals(expected.item())
    assert set(triplet.FORMS) == {*slow.FORMS, "dtsh", "negatives"}


# Known values


def test_dsh_of_two_codes_by_hand():
    """Two of four pairs are (i, i) and add 0; the codes differ in one bit: d^2 = 4, margin 2 * 3 = 6."""
    codes = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, -1.0]])
    similar, dissimilar = torch.ones(2, 2, dtype=torch.bool), torch.eye(2, dtype=torch.bool)
    assert losses.dsh_loss(codes, similar).item() == equals(2 * 4 / 2 / 4)
    assert losses.dsh_loss(codes, dissimilar).item() == equals(2 * (6 - 4) / 2 / 4)


@pytest.mark.parametrize(
    ("step", "beta"), [(0, 1.0), (199, 1.0), (200, math.sqrt(2)), (399, math.sqrt(2)), (10_000, math.sqrt(51))]
)
def test_hashnet_hardens_every_200_steps(step, beta):
    assert pairwise.hashnet_beta(step) == {"beta": equals(beta)}


def test_hashnet_divides_by_its_weights_even_below_1():
    """With similar pairs only, the class weight cancels."""
    embeddings, relevance = random_embeddings(4, n=2), torch.ones(2, 2)
    light, heavy = (losses.hashnet_loss(embeddings, relevance, class_weight=weight).item() for weight in (0.01, 10.0))
    assert light == equals(heavy)


def test_pgdh_balances_graded_relevance_even_below_1():
    """One pair of relevance 0.2: dissimilar over similar is 0.8 / 0.2 = 4."""
    arguments = random_embeddings(n=2), torch.full((2, 2), 0.2, dtype=torch.float64), random_codes(4, 2, 5).double()
    assert losses.pgdh_loss(*arguments).item() == equals(losses.pgdh_loss(*arguments, balance=4.0).item())


@pytest.mark.parametrize(
    ("form", "best", "worst"),
    [
        ("spring", 0.0, (math.sqrt(8) - math.sqrt(slow.ROOT)) ** 2),
        ("margin_spring", 0.0, slow.margin_spring(4, 5)),
        ("margin", 0.0, 6.0),
        ("likelihood", slow.softplus(-5 / 2) / 5, slow.softplus(5 * 3 / 2) / 5),
    ],
)
def test_springs_are_best_where_positives_coincide_and_negatives_are_antipodal(form, best, worst):
    """t is -4 there, and 4 the other way round: the spring's energy is then 8 but for the root's offset."""
    pole = random_embeddings(n=1)
    relevance = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])  # only the first item is an anchor
    for positive, negative, energy in ((2 * pole, -pole, best), (-pole, 2 * pole, worst)):
        embeddings = torch.cat([pole, positive, negative])
        assert losses.spring_loss(embeddings, relevance, form=form).item() == equals(energy, 1e-7)


def test_mihash_of_separated_codes_is_minus_the_entropy_of_the_prior():
    """The distance then determines relevance: I(D; +/-) is the entropy of p+ for each anchor."""
    words = losses.hash_centers(4, 8).double()
    labels = torch.unique(LABELS["single"], return_inverse=True)[1]
    relevance = losses.relevance_matrix(labels)
    similar = pair_weights(relevance, torch.float64)[0].sum(dim=1) / (N - 1)
    entropies = [slow.entropy([prior, 1 - prior]) for prior in similar.tolist()]
    separated = losses.mihash_loss(100 * words[labels], relevance).item()
    assert separated == equals(-sum(entropies))
    assert separated < losses.mihash_loss(random_embeddings(8), relevance).item() <= 0
    assert losses.mihash_loss(torch.ones(N, 8), relevance).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("case", ["dhn", "hashnet", "hashgan", "dch", "dch, code", "mihash", "dnnh", "dtsh", "spring"])
def test_separated_codes_cost_less_than_random_ones(case):
    tensors = batch(bits=8)
    words = 3 * losses.hash_centers(4, 8).double()[torch.unique(tensors["labels"], return_inverse=True)[1]]
    assert value(case, tensors, embeddings=words) < value(case, tensors)


def test_csq_is_least_at_the_centers():
    centers = random_codes(N, 12).double()
    assert losses.csq_loss(20 * centers, centers).item() == pytest.approx(0, abs=1e-12)
    assert losses.csq_loss(torch.zeros(N, 12), centers, alpha=0.0).item() == pytest.approx(math.log(2))


# Large values

POLES = torch.tensor([[1.0], [-1.0]])
ANTIPODAL = {  # two items whose inner product in the exponent is -1e6
    "dhn": lambda relevance: losses.dhn_loss(9 * POLES.expand(2, 1_000_000), relevance, alpha=0.0),
    "hashnet": lambda relevance: losses.hashnet_loss(9 * POLES, relevance, sharpness=1e6),
    "hashgan": lambda relevance: losses.hashgan_loss(POLES, relevance, sharpness=1e6),
    "dpsh": lambda relevance: losses.dpsh_loss(math.sqrt(2e6) * POLES, relevance, eta=0.0) / 2,
}
WRONG = {  # large logits of the wrong sign
    "csq": lambda y: losses.csq_loss(1e6 * y, -y),
    "classifier": lambda y: csq.classifier_objective(1e6 * y @ y.T, torch.tensor([1, 0])),
    "classifier, multi-hot": lambda y: csq.classifier_objective(
        1e6 * y * torch.tensor([1.0, -1.0, -1.0]), torch.tensor([[0, 1, 1], [1, 0, 0]])
    ),
}


@pytest.mark.parametrize("name", ANTIPODAL)
def test_an_inner_product_of_a_million_costs_a_million_or_nothing(name):
    relevant = torch.ones(2, 2) if name != "dpsh" else torch.ones(2, 2, dtype=torch.float64)
    assert ANTIPODAL[name](relevant).item() == pytest.approx(1e6)
    assert ANTIPODAL[name](torch.eye(2)).item() == 0


@pytest.mark.parametrize("loss", WRONG.values(), ids=WRONG)
def test_logits_of_a_million_of_the_wrong_sign_cost_two_million(loss):
    leaf = POLES.clone().requires_grad_()
    assert loss(leaf).item() == pytest.approx(2e6)
    assert torch.autograd.grad(loss(leaf), leaf)[0].isfinite().all()


def test_dtsh_is_linear_far_out():
    """theta is -5e5 for the positive and 5e5 for the negative."""
    relevance = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert losses.dtsh_loss(1e3 * torch.tensor([[1.0], [-1.0], [1.0]]), relevance, eta=0.0).item() == pytest.approx(1e6)


def test_pgdh_of_improbable_decisions_is_finite():
    """Item 1 differs from item 0 with probability 1; the other sample has probability exp(-1e6)."""
    decisions = torch.stack([POLES, POLES.abs()])
    assert losses.pgdh_loss(1e6 * POLES, torch.eye(2), decisions).item() == pytest.approx(-1e6 / 4)
