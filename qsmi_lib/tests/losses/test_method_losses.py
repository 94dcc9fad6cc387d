"""The losses of the further methods against their definitions read aloud (`slow_methods`), and what they ignore."""

import inspect
import math

import pytest
import torch
from torch.autograd import gradcheck

from qsmi_lib import losses
from qsmi_lib.losses import csq, pairwise, triplet
from qsmi_lib.losses.similarity import pair_weights
from qsmi_lib.tests.losses import slow_losses
from qsmi_lib.tests.losses import slow_methods as slow

N = 10
MULTI_HOT = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 1]] * 2)  # two items without a label
LABELS = {"single": torch.tensor([7, 7, 7, 7, 0, 0, 0, 2, 2, 5]), "multi-hot": MULTI_HOT}
CASES = {  # loss, the same name in `losses` and in `slow`, and its options
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
    "qsmi_u": ("qsmi_u_loss", {"alpha": 0.3, "beta": 0.7}),
    "qsmi_u, 10 needs": ("qsmi_u_loss", {"alpha": 0.01, "beta": 0.5, "information_needs": 10.0}),
}
OF_DIRECTIONS = ["hashgan", *slow.FORMS, "negatives"]  # with DCH, which looks at the axes too
OF_AXES = ["dhn", "hashnet", "dch, code", "mihash", "dnnh", "csq", "cnnh"]
WITH_SELF_PAIRS = {"csq_qsmi", "qsmi_u", "qsmi_u, 10 needs"}  # QSMI counts them
each_case = pytest.mark.parametrize("case", CASES)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def random_embeddings(bits, *, n=N, seed=0):
    return 1.5 * torch.randn(n, bits, dtype=torch.float64, generator=generator(seed))


def signs(*shape, seed=5):
    return torch.randint(2, shape, generator=generator(seed)) * 2 - 1


def degrees(seed=7):
    """Soft relevance, symmetric; about a third of the pairs are not relevant at all."""
    uniform = torch.rand(N, N, dtype=torch.float64, generator=generator(seed))
    return ((uniform + uniform.T) / 2).where(uniform + uniform.T > 0.8, 0.0).fill_diagonal_(1.0)


RELEVANCE = {name: losses.relevance_matrix(labels) for name, labels in LABELS.items()} | {"soft": degrees()}
each_relevance = pytest.mark.parametrize("relevance", RELEVANCE.values(), ids=RELEVANCE)


def batch(bits=5, relevance=RELEVANCE["single"], n=N):
    """Everything that any of the losses takes."""
    return {
        "embeddings": random_embeddings(bits, n=n),
        "relevance": relevance,
        "targets": signs(n, bits),
        "decisions": signs(4, n, bits).double(),
        "needs": losses.relevance_matrix(torch.arange(n) // 4),
    }


def value(case, items, module=losses, **changed):
    """The loss `case` of what it takes of `items`, in `changed` values."""
    name, options = CASES[case]
    loss = getattr(module, name)
    taken = {key: item for key, item in (items | changed).items() if key in inspect.signature(loss).parameters}
    return loss(**taken, **options)


def equals(expected, tolerance=1e-9):
    return pytest.approx(expected, rel=tolerance, abs=tolerance)


# Definitions


@each_relevance
@pytest.mark.parametrize("bits", [1, 2, 12, 48])
@each_case
def test_each_loss_is_its_definition(case, bits, relevance):
    items = batch(bits, relevance)
    assert value(case, items).item() == equals(value(case, items, slow))


@each_case
def test_gradients_agree_with_finite_differences(case):
    items = batch()
    assert gradcheck(lambda y: value(case, items, embeddings=y), items["embeddings"].requires_grad_())


@pytest.mark.parametrize("labels", [torch.arange(N) % 3, MULTI_HOT], ids=LABELS)
def test_the_classifier_is_its_definition(labels):
    scores = random_embeddings(3).requires_grad_()
    assert csq.classifier_objective(scores, labels).item() == equals(slow.classifier_objective(scores, labels))
    assert gradcheck(lambda y: csq.classifier_objective(y, labels), scores)


@pytest.mark.parametrize(
    ("step", "beta"), [(0, 1.0), (199, 1.0), (200, math.sqrt(2)), (399, math.sqrt(2)), (10_000, math.sqrt(51))]
)
def test_hashnet_hardens_every_200_steps(step, beta):
    assert pairwise.hashnet_beta(step) == {"beta": equals(beta)}
    assert slow.hashnet_beta(step) == equals(beta)


def test_hashnet_divides_by_its_weights_even_below_1():
    """Of similar pairs alone the class weight cancels."""
    embeddings, relevance = random_embeddings(4, n=2), torch.ones(2, 2)
    light, heavy = (losses.hashnet_loss(embeddings, relevance, class_weight=weight).item() for weight in (0.01, 10.0))
    assert light == equals(heavy)


def test_pgdh_balances_soft_relevance_even_below_1():
    """One pair of relevance 0.2: dissimilar over similar is 0.8 / 0.2 = 4."""
    items = batch(n=2, relevance=torch.full((2, 2), 0.2, dtype=torch.float64))
    balanced = losses.pgdh_loss(items["embeddings"], items["relevance"], items["decisions"], balance=4.0)
    assert value("pgdh", items).item() == equals(balanced.item())


@pytest.mark.parametrize("form", triplet.FORMS)
def test_the_spring_objective_is_the_loss_that_its_form_names(form):
    embeddings = random_embeddings(5)
    expected = losses.dtsh_loss(embeddings, RELEVANCE["single"]) if form == "dtsh" else value(form, batch())
    assert triplet.spring_objective(embeddings, LABELS["single"], form=form).item() == expected.item()


@pytest.mark.parametrize(("form", "loss"), [("paper", losses.dch_loss), ("code", losses.dch_code_loss)])
def test_the_dch_objective_is_the_loss_that_its_form_names(form, loss):
    embeddings, settings = random_embeddings(5), {"alpha": 0.3, "gamma": 5.0}
    chosen = pairwise.dch_objective(embeddings, LABELS["multi-hot"], form=form, **settings)
    assert chosen.item() == loss(embeddings, RELEVANCE["multi-hot"], **settings).item()


# What a loss ignores, and what it does not


@each_case
def test_the_order_of_a_batch_does_not_matter(case):
    items, order = batch(relevance=RELEVANCE["soft"]), torch.randperm(N, generator=generator(1))
    shuffled = {key: items[key][order] for key in ("embeddings", "targets")}
    shuffled |= {key: items[key][order][:, order] for key in ("relevance", "needs")}
    shuffled["decisions"] = items["decisions"][:, order]
    assert value(case, shuffled).item() == equals(value(case, items).item())


@pytest.mark.parametrize("case", [case for case in CASES if case not in WITH_SELF_PAIRS])
def test_self_pairs_do_not_count(case):
    """An item without a label is not even relevant to itself."""
    items = batch()
    values = [value(case, items, relevance=degrees().fill_diagonal_(own)).item() for own in (1.0, 0.5, 0.0)]
    assert values == equals([values[0]] * 3)


@pytest.mark.parametrize("case", [*OF_DIRECTIONS, "dch"])
def test_losses_of_directions_ignore_the_length_of_each_embedding(case):
    items = batch()
    scaled = torch.logspace(-3, 3, N, dtype=torch.float64)[:, None] * items["embeddings"]
    assert value(case, items, embeddings=scaled).item() == equals(value(case, items).item())


def turned(embeddings):
    bits = embeddings.shape[1]
    return embeddings @ torch.linalg.qr(random_embeddings(bits, n=bits, seed=3))[0]


@pytest.mark.parametrize("case", OF_DIRECTIONS)
def test_losses_of_directions_ignore_a_rotation(case):
    items = batch()
    assert value(case, items, embeddings=turned(items["embeddings"])).item() == equals(value(case, items).item())


@pytest.mark.parametrize("case", OF_AXES)
def test_losses_of_bits_do_not_ignore_a_rotation(case):
    items = batch()
    assert value(case, items, embeddings=turned(items["embeddings"])).item() != equals(value(case, items).item(), 1e-3)


@pytest.mark.parametrize(
    ("loss", "weight"), [(losses.dsh_loss, "alpha"), (losses.dch_loss, "alpha"), (losses.dtsh_loss, "eta")]
)
def test_it_is_the_quantization_term_that_looks_at_the_axes(loss, weight):
    embeddings, relevance = random_embeddings(5), RELEVANCE["single"]
    for size, ignores in ((0.0, True), (0.5, False)):
        before, after = (loss(y, relevance, **{weight: size}).item() for y in (embeddings, turned(embeddings)))
        assert (after == equals(before)) == ignores


# Known values


@pytest.mark.parametrize(
    ("case", "best", "worst"),
    [
        ("spring", 0.0, (math.sqrt(8) - math.sqrt(slow.ROOT)) ** 2),
        ("margin_spring", 0.0, slow.margin_spring(4, 5)),
        ("margin", 0.0, 6.0),
        ("likelihood", slow.softplus(-5 / 2) / 5, slow.softplus(5 * 3 / 2) / 5),
    ],
)
def test_springs_are_longest_where_positives_coincide_and_negatives_are_antipodal(case, best, worst):
    """t is -4 there, and 4 the other way round: the spring's energy is then 7.9994, 8 but for the root's offset."""
    pole = random_embeddings(5, n=1)
    relevance = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])  # the first item alone is an anchor
    for positive, negative, energy in ((2 * pole, -pole, best), (-pole, 2 * pole, worst)):
        items = {"embeddings": torch.cat([pole, positive, negative]), "relevance": relevance}
        assert value(case, items).item() == equals(energy, 1e-7)


def test_mihash_of_separated_codes_is_minus_the_entropy_of_the_prior():
    """Then the distance says all about relevance: I(D; +/-) is the entropy of p+, for each anchor."""
    words = losses.hash_centers(4, 8).double()
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 1, 2, 2, 3])
    relevance = losses.relevance_matrix(labels)
    similar = pair_weights(relevance, torch.float64)[0].sum(dim=1) / (N - 1)
    entropies = [slow.entropy([prior, 1 - prior]) for prior in similar.tolist()]
    separated = losses.mihash_loss(100 * words[labels], relevance).item()
    assert separated == equals(-sum(entropies))
    assert separated < losses.mihash_loss(random_embeddings(8), relevance).item() <= 0


def test_mihash_of_equal_embeddings_knows_nothing():
    assert losses.mihash_loss(torch.ones(N, 8), RELEVANCE["single"]).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("case", ["dhn", "hashnet", "hashgan", "dch", "dch, code", "mihash", "dnnh", "dtsh", "spring"])
def test_separated_codes_cost_less_than_random_ones(case):
    words = 3 * losses.hash_centers(4, 8).double()[torch.unique(LABELS["single"], return_inverse=True)[1]]
    items = batch(8)
    assert value(case, items, embeddings=words) < value(case, items)


def test_csq_is_least_at_the_centers():
    centers = signs(N, 12).double()
    assert losses.csq_loss(20 * centers, centers).item() == pytest.approx(0, abs=1e-12)
    assert losses.csq_loss(torch.zeros(N, 12), centers, alpha=0.0).item() == pytest.approx(math.log(2))


def test_the_qsmi_of_unseen_needs_is_that_of_the_labels_where_the_clusters_are_the_classes():
    embeddings, relevance = random_embeddings(5), RELEVANCE["single"]
    qsmi = slow_losses.qsmi_loss(embeddings, relevance, "cosine", clamp=True)
    loss = losses.qsmi_u_loss(embeddings, relevance, relevance, alpha=0.0, beta=0.5).item()
    assert loss == equals(1.5 * qsmi)


# Far out

POLES = torch.tensor([[1.0], [-1.0]])
ANTIPODAL = {  # two items whose inner product in the exponent is -1e6
    "dhn": lambda relevance: losses.dhn_loss(9 * POLES.expand(2, 1_000_000), relevance, alpha=0.0),
    "hashnet": lambda relevance: losses.hashnet_loss(9 * POLES, relevance, sharpness=1e6),
    "hashgan": lambda relevance: losses.hashgan_loss(POLES, relevance, sharpness=1e6),
}
WRONG = {  # each entry as far on the wrong side as such numbers go
    "csq": lambda y: losses.csq_loss(1e6 * y, -y),
    "classifier": lambda y: csq.classifier_objective(1e6 * y @ y.T, torch.tensor([1, 0])),
    "classifier, multi-hot": lambda y: csq.classifier_objective(
        1e6 * y * torch.tensor([1.0, -1.0, -1.0]), torch.tensor([[0, 1, 1], [1, 0, 0]])
    ),
}


@pytest.mark.parametrize("loss", ANTIPODAL.values(), ids=ANTIPODAL)
def test_an_inner_product_of_a_million_costs_a_million_or_nothing(loss):
    assert loss(torch.ones(2, 2)).item() == pytest.approx(1e6)
    assert loss(torch.eye(2)).item() == 0


@pytest.mark.parametrize("loss", WRONG.values(), ids=WRONG)
def test_scores_of_a_million_on_the_wrong_side_cost_two_million(loss):
    leaf = POLES.clone().requires_grad_()
    assert loss(leaf).item() == pytest.approx(2e6)
    assert torch.autograd.grad(loss(leaf), leaf)[0].isfinite().all()


def test_dtsh_is_linear_far_out():
    """theta is -5e5 for the positive and 5e5 for the negative."""
    relevance = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert losses.dtsh_loss(1e3 * torch.tensor([[1.0], [-1.0], [1.0]]), relevance, eta=0.0).item() == pytest.approx(1e6)


def test_pgdh_of_improbable_decisions_is_finite():
    """Item 1 differs from item 0 with probability 1; the other sample's probability, exp(-1e6), no float holds."""
    decisions = torch.stack([POLES, POLES.abs()])
    assert losses.pgdh_loss(1e6 * POLES, torch.eye(2), decisions).item() == pytest.approx(-1e6 / 4)
