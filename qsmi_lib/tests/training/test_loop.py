"""The training loop and the encoder, on the embedded digits."""

import math
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from qsmi_lib import losses
from qsmi_lib.config.presets import configure
from qsmi_lib.config.run import SCHEDULES
from qsmi_lib.evaluation import evaluate
from qsmi_lib.methods import METHODS, Method
from qsmi_lib.training import factory, loop
from qsmi_lib.training.loop import encode, rounded, train

QSMI = METHODS["qsmi"].loss
CONFIG = configure("digits", "qsmi", 16, epochs=2, precision="float32")
ONE_EPOCH = {"epochs": 1, "precision": "float32"}


@pytest.fixture(scope="module")
def few(digits):
    """The digits with 300 training items."""
    return replace(digits, train=digits.train[:300])


@pytest.fixture(scope="module")
def trained(digits):
    return train(CONFIG, digits)


def untrained():
    """The network that a run with seed 0 starts from."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return factory.build("digits", 16)


def mean_average_precision(model, split):
    query, database = (encode(model, part.inputs) for part in (split.query, split.database))
    return evaluate(query, database, split.query.labels, split.database.labels).map


def same_weights(one, other):
    weights, others = one.state_dict(), other.state_dict()
    return weights.keys() == others.keys() and all(torch.equal(weights[name], others[name]) for name in weights)


@pytest.fixture
def registered(monkeypatch):
    """Puts a loss into the registry; gives the configuration of a run with it."""

    def register(loss):
        monkeypatch.setitem(METHODS, "toy", Method("Toy", loss, 0.01, "this test"))
        return configure("digits", "toy", 16, epochs=3, precision="float32")

    return register


# Seeds


@pytest.mark.parametrize("name", ["qsmi", "csq", "cnnh", "pgdh", "qsmi_u", "dnnh", "itq", "lsh"])
def test_a_seed_gives_the_same_weights_whatever_the_global_generators(few, name):
    """Weights, batches, centers, clusters, sampled codes and directions are drawn; split and generators stay."""
    config = configure("digits", name, 16, seed=3, **(ONE_EPOCH if METHODS[name].loss else {}))
    before, models = few.train.inputs.clone(), []
    for state in (1, 2):
        with torch.random.fork_rng():
            torch.manual_seed(state)
            states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
            models.append(train(config, few).model)
            assert torch.equal(torch.get_rng_state(), states[0])
            assert (np.random.get_state()[1].tolist(), random.getstate()) == states[1:]
    assert same_weights(*models) and torch.equal(few.train.inputs, before)


def test_another_seed_gives_other_weights_and_other_batches(digits, trained):
    other = train(replace(CONFIG, seed=1), digits)
    assert not same_weights(other.model, trained.model) and other.history != trained.history


def test_pgdh_draws_other_codes_in_each_step_and_for_each_seed(digits, monkeypatch):
    drawn, bernoulli = [], torch.bernoulli

    def note(probability):
        drawn.append(bernoulli(probability))
        return drawn[-1]

    monkeypatch.setattr(torch, "bernoulli", note)
    split = replace(digits, train=digits.train[:128])
    for seed in (0, 0, 1):
        train(configure("digits", "pgdh", 16, epochs=2, seed=seed, learning_rate=0.0, precision="float32"), split)
    first, second, again, _, other, _ = drawn
    assert torch.equal(first, again) and not torch.equal(first, second) and not torch.equal(first, other)


# What a run does


def test_every_item_is_seen_once_an_epoch_and_the_last_batch_is_shorter(digits, registered):
    seen = []

    def loss(embeddings, labels, *, alpha):
        seen.append(labels)
        return QSMI(embeddings, labels, alpha=alpha)

    config = registered(loss)
    train(config, digits)
    assert [len(labels) for labels in seen] == ([128] * 10 + [17]) * config.epochs
    first, second = torch.cat(seen[:11]), torch.cat(seen[11:22])
    assert torch.equal(first.bincount(), digits.train.labels.bincount())
    assert torch.equal(second.bincount(), first.bincount()) and not torch.equal(first, second)


def test_the_loss_sees_float32_and_the_numbers_of_the_configuration(few, monkeypatch):
    seen = set()

    def loss(embeddings, labels, *, alpha, margin, **options):
        seen.add((embeddings.dtype, tuple(embeddings.shape[1:]), alpha, margin, *options))
        return QSMI(embeddings, labels, alpha=alpha)

    monkeypatch.setitem(METHODS, "toy", Method("Toy", loss, 0.01, "this test", {"margin": None}))
    config = configure("digits", "toy", 16, epochs=1, alpha=0.5, margin=3.0, precision="bf16")
    trained = train(config, few)
    assert seen == {(torch.float32, (16,), 0.5, 3.0)} and trained.precision == "bf16"
    assert {value.dtype for value in trained.model.parameters()} == {torch.float32}


def test_prepared_targets_come_with_their_items_and_settings_with_their_step(digits, monkeypatch):
    prepared, steps = [], []

    def prepare(inputs, labels, bits, seed, options):
        prepared.append((len(inputs), len(labels), bits, seed, dict(options)))
        return torch.arange(len(labels))

    def loss(embeddings, labels, *, targets, scale):
        assert torch.equal(labels, digits.train.labels[targets])
        steps.append(scale)
        return embeddings.square().mean()

    toy = Method("Toy", loss, None, "this test", prepare=prepare, on_step=lambda step: {"scale": 2 * step})
    monkeypatch.setitem(METHODS, "toy", toy)
    train(configure("digits", "toy", 16, epochs=2), digits)
    assert prepared == [(1297, 1297, 16, 0, {})] and steps == list(range(0, 44, 2))


def test_a_head_may_give_class_scores_in_training_and_codes_of_classes_afterwards(digits):
    model = train(configure("digits", "classifier", 16, epochs=10), digits).model
    words = {tuple(word) for word in model.dense.words.int().tolist()}
    codes = [tuple(code) for code in encode(model, digits.query.inputs).tolist()]
    assert len(words) == 10 and np.mean([code in words for code in codes]) > 0.5


def test_the_history_follows_loss_and_information_on_the_first_1024_items(digits, trained):
    """Means over pairs as in Fig. 2b: Eq. 19, Eq. 13, and Eq. 13 with the Gaussian kernel."""
    first, last = trained.history
    assert (first["epoch"], last["epoch"]) == (1, 2) and last["loss"] < first["loss"] and last["qsmi"] > first["qsmi"]
    with torch.no_grad():
        embeddings, labels = trained.model(digits.train.inputs[:1024]), digits.train.labels[:1024]
    loss = losses.qsmi_loss(embeddings, losses.relevance_matrix(labels)).item()
    assert last["clamped_qsmi_loss"] == pytest.approx(loss / 1024**2, rel=1e-4)
    for name, similarity in {"qsmi": "cosine", "qmi": "gaussian"}.items():
        v_in, v_all, v_btw = losses.information_potentials(embeddings.double(), labels, similarity=similarity)
        assert last[name] == pytest.approx((v_in + v_all - 2 * v_btw).item(), rel=1e-3, abs=1e-6)


def test_the_first_step_is_adams(digits):
    """A step of the learning rate against the sign of the gradient, where it is not tiny."""
    config = replace(CONFIG, epochs=1, batch_size=len(digits.train), learning_rate=0.02)
    start = untrained()
    QSMI(start(digits.train.inputs), digits.train.labels, alpha=config.alpha).backward()
    step = (train(config, digits).model.dense.weight - start.dense.weight).detach()
    torch.testing.assert_close(step, -0.02 * start.dense.weight.grad.sign(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["qsmi", "dsh", "hashnet", "mihash", "csq", "pgdh"])
def test_training_learns_to_retrieve(digits, name):
    """One loss of each form; the numbers of all methods are compared with golden ones."""
    model = train(configure("digits", name, 16, epochs=5), digits).model
    assert not model.training
    assert mean_average_precision(model, digits) > 1.2 * mean_average_precision(untrained(), digits)


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_a_loss_that_is_no_longer_finite_stops_the_run(digits, registered, value):
    steps = []

    def loss(embeddings, labels, *, alpha):
        steps.append(None)
        return QSMI(embeddings, labels, alpha=alpha) * (value if len(steps) == 15 else 1.0)

    with pytest.raises(FloatingPointError, match=r"the loss became (nan|-inf) in epoch 2 of RunConfig"):
        train(registered(loss), digits)
    assert len(steps) == 22  # the second of three epochs, to its end


def test_unknown_names_list_the_known(digits):
    with pytest.raises(ValueError, match=r"unknown method 'toy'; known: .*dsh.*qsmi"):
        train(replace(CONFIG, method="toy"), digits)
    with pytest.raises(ValueError, match=r"unknown data set 'toy'; known: .*digits"):
        train(replace(CONFIG, dataset="toy"), digits)


# The schedule of the learning rate


@pytest.fixture
def rates(monkeypatch):
    """The learning rates of each step that Adam makes, one a group of weights."""
    seen = []

    class Spy(torch.optim.Adam):
        def step(self, *arguments, **options):
            seen.append([group["lr"] for group in self.param_groups])
            return super().step(*arguments, **options)

    monkeypatch.setattr(torch.optim, "Adam", Spy)
    return seen


@pytest.mark.parametrize("epochs", [1, 2, 7])
def test_a_cosine_falls_from_epoch_to_epoch_by_half_a_period(few, rates, epochs):
    """The same in all three steps of an epoch; it starts at the full rate and would end at none."""
    train(replace(CONFIG, epochs=epochs, learning_rate=0.03, schedule="cosine"), few)
    expected = [0.03 * (1 + math.cos(math.pi * epoch / epochs)) / 2 for epoch in range(epochs) for _ in range(3)]
    assert rates[:3] == [[0.03]] * 3
    assert [rate for (rate,) in rates] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("schedule", "factors"), [("constant", [1.0, 1.0]), ("cosine", [1.0, 0.5])])
def test_a_backbone_follows_the_schedule_from_its_own_rate(digits, rates, schedule, factors):
    backbone = {"backbone": "digits_pixels", "backbone_learning_rate": 1e-4}
    config = configure("digits", "qsmi", 16, epochs=2, precision="float32", schedule=schedule, **backbone)
    train(config, replace(digits, train=digits.train[:100]))
    assert rates == [pytest.approx([1e-4 * factor, 1e-3 * factor]) for factor in factors]


def test_every_schedule_of_a_configuration_is_there():
    assert tuple(loop.SCHEDULES) == SCHEDULES


# Codes


@pytest.mark.parametrize("batch_size", [7, 10_000])
def test_codes_are_signs_and_do_not_depend_on_the_batch_size(digits, batch_size):
    model, inputs = untrained(), digits.query.inputs
    codes = encode(model, inputs, batch_size=batch_size)
    assert codes.dtype == torch.int8 and codes.shape == (500, 16) and not codes.requires_grad
    sure = model(inputs).abs() > 1e-5  # nearer to 0 than that, rounding decides
    assert torch.equal(codes[sure] > 0, model(inputs)[sure] > 0) and sure.float().mean() > 0.999
    assert encode(nn.Identity(), torch.tensor([[0.0, -0.0, 1e-30, -1e-30]])).tolist() == [[1, 1, 1, -1]]


def test_codes_are_computed_in_the_given_precision(digits):
    seen = []

    class Spy(nn.Linear):
        def forward(self, inputs):
            seen.append(super().forward(inputs).dtype)
            return super().forward(inputs)

    for precision in ("float32", "bf16"):
        encode(Spy(8, 4), digits.query.inputs[:5, 0, 0], precision=precision)
    assert seen == [torch.float32, torch.bfloat16]


def test_numbers_keep_six_digits():
    assert rounded(1234567.891) == 1234570.0
    assert rounded([0.123456789, 3, None]) == [0.123457, 3, None]
