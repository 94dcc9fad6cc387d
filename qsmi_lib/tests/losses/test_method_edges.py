"""Batches at the edge, through the objective of every method that has one; and what the public losses refuse."""

import functools
import inspect
import itertools
import math

import numpy as np
import pytest
import torch

from qsmi_lib import losses
from qsmi_lib.config.presets import configure
from qsmi_lib.losses import validation
from qsmi_lib.methods import METHODS
from qsmi_lib.training.loop import settings_of_loss

N = 6
TRAINED = [name for name, method in METHODS.items() if method.loss is not None]
VARIANTS = {  # "method" or "method, choice" -> method and option; every choice that an option has by name
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


def random_embeddings(n, bits):
    return 1.5 * torch.randn(n, bits, generator=torch.Generator().manual_seed(0))


def n_classes(labels):
    return labels.shape[1] if labels.ndim == 2 else int(labels.max()) + 1


@functools.cache
def objective(variant, kind, bits, step=0):
    """Random outputs of the network for a batch, and the loss of outputs, as the training loop calls it."""
    labels, (name, choice) = LABELS[kind], VARIANTS[variant]
    method, config = METHODS[name], configure("digits", name, bits, **choice)
    more = {} if method.on_step is None else method.on_step(step)
    if name == "qsmi_u":
        more["targets"] = torch.arange(len(labels)) // 2  # clusters: too few items here to find any
    elif method.prepare is not None:
        more["targets"] = method.prepare(torch.zeros(len(labels), 1), labels, bits, 0, config.options)
    width = n_classes(labels) if name == "classifier" else bits
    return random_embeddings(len(labels), width), lambda y: method.loss(y, labels, **settings_of_loss(config), **more)


def loss_and_gradient(loss, embeddings):
    with torch.random.fork_rng():
        torch.manual_seed(0)  # PGDH samples
        leaf = embeddings.clone().requires_grad_()
        value = loss(leaf)
    assert value.shape == () and value.dtype == embeddings.dtype
    return value, torch.autograd.grad(value, leaf)[0]


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_loss_and_gradient_are_finite_at_the_edge(variant, edge):
    for kind, labels in LABELS.items():
        for bits, step in ((12, 0), (1, 10_000)):
            if variant.startswith("csq") and 2**bits < n_classes(labels):
                continue  # there are not as many centers
            embeddings, loss = objective(variant, kind, bits, step)
            value, gradient = loss_and_gradient(loss, EDGES[edge](embeddings))
            assert value.isfinite() and gradient.isfinite().all(), (kind, bits, value)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_random_batch_has_a_gradient(variant):
    embeddings, loss = objective(variant, "two classes", 12)
    assert (loss_and_gradient(loss, embeddings)[1] != 0).any(dim=1).all()


@pytest.mark.parametrize("variant", ["hashnet", "mihash", "hashgan", "dnnh", "spring", "spring, negatives", "pgdh"])
def test_one_item_alone_costs_nothing(variant):
    embeddings, loss = objective(variant, "one item", 12)
    value, gradient = loss_and_gradient(loss, embeddings)
    assert value.item() == 0 and not gradient.any()


@pytest.mark.parametrize(
    ("variant", "kind"),
    [
        ("spring, negatives", "one class, no negative pair"),  # it pushes any two negatives apart, without a positive
        *itertools.product(
            ["dnnh", "spring", "spring, margin_spring", "spring, margin", "spring, likelihood"],
            ["no positive pair", "one class, no negative pair", "no label at all"],
        ),
    ],
)
def test_a_batch_without_triplets_costs_nothing(variant, kind):
    embeddings, loss = objective(variant, kind, 12)
    value, gradient = loss_and_gradient(loss, embeddings)
    assert value.item() == 0 and not gradient.any()


@pytest.mark.parametrize("name", ["csq", "csq_qsmi"])
def test_a_run_with_too_few_bits_says_how_many_it_needs(name):
    with pytest.raises(ValueError, match=r"6 classes need at least 3 bits .*, got 2"):
        objective(name, "no positive pair", 2)


# What the public losses refuse

GOOD = {
    "embeddings": random_embeddings(N, 4),
    "labels": LABELS["two classes"],
    "relevance": losses.relevance_matrix(LABELS["two classes"]),
    "needs": losses.relevance_matrix(torch.arange(N) // 2),
    "targets": random_embeddings(N, 4).sign(),
    "decisions": torch.stack([random_embeddings(N, 4).sign()] * 2),
    "n_classes": 2,
    "bits": 4,
    "sigma": 2.0,
}
WRONG = {  # argument -> values that no loss takes, and what the error says
    "embeddings": {
        "NaN": (torch.full((N, 4), math.nan), "must be finite, got 24 NaN"),
        "infinite": (torch.full((N, 4), -math.inf), "must be finite, got 24 NaN or infinite"),
        "1-D": (torch.zeros(4), r"shape \(n, bits\), got torch.float32 of shape \(4,\)"),
        "3-D": (torch.zeros(2, N, 4), r"shape \(n, bits\), got torch.float32 of shape \(2, 6, 4\)"),
        "codes": (torch.ones(N, 4, dtype=torch.int8), "floating tensor .*, got torch.int8"),
        "no item": (torch.zeros(0, 4), r"at least one item and one bit, got shape \(0, 4\)"),
    },
    "relevance": {
        "one row": (torch.ones(N), r"must have shape \(6, 6\), got .* \(6,\)"),
        "another batch's": (torch.ones(N + 1, N + 1), r"must have shape \(6, 6\), got .* \(7, 7\)"),
        "integers": (torch.ones(N, N).long(), "bool or floating, got torch.int64"),
        "above 1": (torch.full((N, N), 1.5), r"must lie in \[0, 1\], got 1.5"),
        "NaN": (torch.full((N, N), math.nan), r"must lie in \[0, 1\], got nan"),
    },
    "labels": {
        "floating": (torch.zeros(N), "must be integers"),
        "multi-hot with 2": (torch.full((N, 3), 2), "must hold 0 and 1 only, got 2"),
        "none": (torch.zeros(0).long(), "at least one item"),
        "a list": ([0] * N, "got a list"),
    },
    "targets": {
        "0": (torch.zeros(N, 4), "must hold -1 and .1 only, got 0.0"),
        "NaN": (torch.full((N, 4), math.nan), "must hold -1 and .1 only, got nan"),
        "bool": (torch.ones(N, 4, dtype=torch.bool), "must hold -1 and .1, got torch.bool"),
        "other items": (torch.ones(N - 1, 4), r"must have shape \(6, 4\), got .* \(5, 4\)"),
        "other bits": (torch.ones(N, 1), r"must have shape \(6, 4\), got .* \(6, 1\)"),
        "labels": (torch.ones(N), r"must have shape \(6, 4\), got .* \(6,\)"),
        "several": (torch.ones(2, N, 4), r"must have shape \(6, 4\), got .* \(2, 6, 4\)"),
        "a list": ([[1.0]], "got a list"),
    },
    "decisions": {
        "one sample": (torch.ones(1, N, 4), r"at least two samples .*, got .* \(1, 6, 4\)"),
        "no axis of samples": (torch.ones(N, 4), r"shape \(t, 6, 4\) .*, got .* \(6, 4\)"),
        "other bits": (torch.ones(2, N, 5), r"must have shape \(2, 6, 4\), got .* \(2, 6, 5\)"),
        "other items": (torch.ones(2, 1, 4), r"must have shape \(2, 6, 4\), got .* \(2, 1, 4\)"),
        "0 and 1": (torch.zeros(2, N, 4), "must hold -1 and .1 only, got 0.0"),
    },
}
WRONG["needs"] = WRONG["relevance"]
REFUSED = {  # kind of option -> values that it must not have
    "POSITIVE": (0, 0.0, -1.0, math.nan, math.inf, "3"),
    "WEIGHTS": (-1, -1e-3, math.nan, math.inf, "3", None),
    "COUNTS": (0, -1, 1.5, True, "3"),
}
FREE = {"form", "similarity", "clamp", "seed"}  # options that are no such numbers; the first two have names to choose


def parameters(name):
    return inspect.signature(getattr(losses, name)).parameters


def call(name, **changed):
    """The public loss `name` with good arguments but for the `changed` ones."""
    required = [key for key, parameter in parameters(name).items() if parameter.default is parameter.empty]
    return getattr(losses, name)(**{key: GOOD[key] for key in required} | changed)


@pytest.mark.parametrize("name", losses.__all__)
def test_good_arguments_are_taken(name):
    result = call(name)
    assert all(part.isfinite().all() for part in (result if isinstance(result, tuple) else (result,)))


@pytest.mark.parametrize(
    ("name", "argument"), [(name, key) for name in losses.__all__ for key in parameters(name) if key in WRONG]
)
def test_wrong_arguments_are_refused(name, argument):
    for bad, message in WRONG[argument].values():
        with pytest.raises(ValueError, match=f"{argument}.*{message}"):
            call(name, **{argument: bad})


@pytest.mark.parametrize(
    ("name", "option", "kind"),
    [
        (name, option, kind)
        for name in losses.__all__
        for option in parameters(name)
        for kind in REFUSED
        if option in getattr(validation, kind)
    ],
)
def test_numbers_out_of_range_are_refused(name, option, kind):
    for bad in REFUSED[kind]:
        with pytest.raises(ValueError, match=f"{option} must be .*, got {bad!r}"):
            call(name, **{option: bad})


@pytest.mark.parametrize("dtype", validation.HALF)
@pytest.mark.parametrize("name", [name for name in losses.__all__ if "embeddings" in parameters(name)])
def test_half_precision_is_computed_in_float32(name, dtype):
    outputs = random_embeddings(N, 4).to(dtype).requires_grad_()
    result = call(name, embeddings=outputs)
    result, wanted = (
        each if isinstance(each, tuple) else (each,) for each in (result, call(name, embeddings=outputs.float()))
    )
    assert all(torch.equal(one, other) for one, other in zip(result, wanted, strict=True))
    (slope,) = torch.autograd.grad(sum(part.sum() for part in result), outputs)
    assert slope.dtype == dtype and slope.isfinite().all()


def test_a_number_of_numpys_is_a_number():
    outputs, relevance = random_embeddings(N, 8), torch.eye(N)
    one, other = (losses.dch_loss(outputs, relevance, gamma=gamma) for gamma in (np.float32(20.0), 20.0))
    assert one == other


@pytest.mark.parametrize("name", losses.__all__)
def test_no_option_goes_unchecked(name):
    numbers = validation.POSITIVE | validation.WEIGHTS | validation.COUNTS
    assert set(parameters(name)) <= numbers | set(WRONG) | FREE


def test_an_unknown_form_lists_the_known():
    with pytest.raises(ValueError, match=r"form must be 'spring', .* or 'likelihood', got 'hooke'"):
        call("spring_loss", form="hooke")


@pytest.mark.parametrize(("method", "known"), [("dch", "code, paper"), ("spring", "dtsh, .*, spring")])
def test_a_run_of_an_unknown_form_is_refused(method, known):
    with pytest.raises(ValueError, match=f"unknown form 'hooke'; known: {known}"):
        configure("digits", method, 12, form="hooke")


@pytest.mark.parametrize(
    ("labels", "n_classes", "message"),
    [
        (torch.tensor([0, -1]), None, "at least 0, got -1"),
        (torch.tensor([0, 3]), 3, "got 4 where n_classes is 3"),
        (LABELS["multi-hot"], 4, "got 3 where n_classes is 4"),
    ],
)
def test_labels_that_are_none_of_the_classes_have_no_center(labels, n_classes, message):
    with pytest.raises(ValueError, match=f"labels must be .*{message}"):
        losses.item_centers(labels, 8, n_classes=n_classes)
