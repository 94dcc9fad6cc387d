"""Batches at the edge: the objective of every method that trains has a finite value and gradient."""

import itertools

import pytest
import torch

from qsmi_lib.config.presets import configure
from qsmi_lib.methods import METHODS
from qsmi_lib.training.loop import settings_of_loss

N = 6
TRAINED = [name for name, method in METHODS.items() if method.loss is not None]
VARIANTS = {  # "method" or "method, choice" -> method and option
    **{name: (name, {}) for name in TRAINED},
    **{
        f"{name}, {choice}": (name, {option: choice})
        for name in TRAINED
        for option, default in METHODS[name].options.items()
        if isinstance(default, tuple)
        for choice in default[1:]
    },
}
LABELS = {
    "two classes": torch.tensor([0, 0, 0, 1, 1, 1]),
    "no positive pair": torch.arange(N),
    "one class, no negative pair": torch.zeros(N, dtype=torch.int64),
    "one item": torch.zeros(1, dtype=torch.int64),
    "multi-hot": torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 1], [1, 1, 1]]),
    "no label at all": torch.zeros(N, 3, dtype=torch.int64),
}
EDGES = {  # random embeddings -> those of the edge
    "random": lambda y: y,
    "a zero row": lambda y: torch.cat([torch.zeros_like(y[:1]), y[1:]]),
    "all zero": torch.zeros_like,
    "huge": lambda y: 1e4 * y,
    "tiny": lambda y: 1e-30 * y,
    "equal rows": lambda y: y[:1].expand(len(y), -1).clone(),
    "codes": lambda y: torch.where(y >= 0, 1.0, -1.0),
}


def n_classes(labels):
    return labels.shape[1] if labels.ndim == 2 else int(labels.max()) + 1


def objective(variant, kind, bits, step=0):
    """Random outputs of the network for a batch, and the loss as the training loop calls it."""
    labels, (name, choice) = LABELS[kind], VARIANTS[variant]
    method, config = METHODS[name], configure("digits", name, bits, **choice)
    more = {} if method.on_step is None else method.on_step(step)
    if name == "qsmi_u":
        more["targets"] = torch.arange(len(labels)) // 2  # clusters; there are too few items for k-means
    elif method.prepare is not None:
        more["targets"] = method.prepare(torch.zeros(len(labels), 1), labels, bits, 0, config.options)
    width = n_classes(labels) if name == "classifier" else bits
    outputs = 1.5 * torch.randn(len(labels), width, generator=torch.Generator().manual_seed(0))
    return outputs, lambda y: method.loss(y, labels, **settings_of_loss(config), **more)


def loss_and_gradient(loss, embeddings):
    with torch.random.fork_rng():
        torch.manual_seed(0)  # PGDH samples
        leaf = embeddings.clone().requires_grad_()
        value = loss(leaf)
    assert value.shape == () and value.dtype == embeddings.dtype
    return value, torch.autograd.grad(value, leaf)[0]


@pytest.mark.parametrize("variant", VARIANTS)
def test_loss_and_gradient_are_finite_at_every_edge(variant):
    for kind, (bits, step) in itertools.product(LABELS, ((12, 0), (1, 10_000))):
        if variant.startswith("csq") and 2**bits < n_classes(LABELS[kind]):
            continue  # there are fewer words than centers
        embeddings, loss = objective(variant, kind, bits, step)
        for edge, change in EDGES.items():
            value, gradient = loss_and_gradient(loss, change(embeddings))
            assert value.isfinite() and gradient.isfinite().all(), (kind, bits, edge, value)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_item_of_a_random_batch_has_a_gradient(variant):
    embeddings, loss = objective(variant, "two classes", 12)
    assert (loss_and_gradient(loss, embeddings)[1] != 0).any(dim=1).all()


@pytest.mark.parametrize(
    ("variant", "kinds"),
    [
        *((name, ["one item"]) for name in ("hashnet", "mihash", "hashgan", "pgdh")),
        ("spring, negatives", ["one item", "one class, no negative pair"]),
        *(
            (name, ["one item", "no positive pair", "one class, no negative pair", "no label at all"])
            for name in ("dnnh", "spring", "spring, margin_spring", "spring, margin", "spring, likelihood")
        ),
    ],
)
def test_a_batch_without_pairs_or_triplets_costs_nothing(variant, kinds):
    for kind in kinds:
        embeddings, loss = objective(variant, kind, 12)
        value, gradient = loss_and_gradient(loss, embeddings)
        assert value.item() == 0 and not gradient.any(), kind


@pytest.mark.parametrize("name", ["csq", "csq_qsmi"])
def test_a_run_with_too_few_bits_says_how_many_it_needs(name):
    with pytest.raises(ValueError, match=r"6 classes need at least 3 bits .*, got 2"):
        objective(name, "no positive pair", 2)
