"""The training loop and the encoder, on the embedded digits."""

import math
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from qsmi_lib import losses
from qsmi_lib.config.presets import configure, epochs_of
from qsmi_lib.config.run import SCHEDULES
from qsmi_lib.evaluation import evaluate
from qsmi_lib.methods import METHODS, Method
from qsmi_lib.training import factory, loop
from qsmi_lib.training.loop import encode, resolve_precision, train

CPU = torch.device("cpu")
QSMI = METHODS["qsmi"].loss
LEARNT = [name for name, entry in METHODS.items() if entry.loss is not None]
CONFIG = configure("digits", "qsmi", 16, epochs=2, precision="float32")


@pytest.fixture(scope="module")
def trained(digits):
    return train(CONFIG, digits)


def untrained():
    """The network that a run with seed 0 starts from."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return factory.build("digits", 16)


def codes_of(trained, split):
    return encode(trained.model, split.query.inputs, precision=trained.precision)


def mean_average_precision(model, split):
    query, database = (encode(model, part.inputs) for part in (split.query, split.database))
    return evaluate(query, database, split.query.labels, split.database.labels).map


@pytest.fixture
def registered(monkeypatch):
    """Puts a loss into the registry; gives the configuration of a run with it."""

    def register(loss):
        monkeypatch.setitem(METHODS, "toy", Method("Toy", loss, 0.01, "this test"))
        return configure("digits", "toy", 16, epochs=3, precision="float32")

    return register


# What training repeats, and what it leaves alone


def test_a_seed_gives_the_same_codes_again(digits, trained):
    """Whatever the state of the global generators, which a run does not touch; it leaves the split alone too."""
    before = digits.train.inputs.clone(), digits.train.labels.clone()
    with torch.random.fork_rng():
        torch.manual_seed(99)
        states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
        again = train(CONFIG, digits)
        assert torch.equal(torch.get_rng_state(), states[0])
        assert (random.getstate(), np.random.get_state()[1].tolist()) == states[1:]
    assert torch.equal(codes_of(again, digits), codes_of(trained, digits))
    assert again.history == trained.history
    assert torch.equal(digits.train.inputs, before[0]) and torch.equal(digits.train.labels, before[1])


@pytest.mark.parametrize("name", METHODS)
def test_a_seed_gives_every_method_the_same_weights_again(digits, name):
    """Whatever is drawn: weights, batches, centers, clusters, sampled codes, directions."""
    split = replace(digits, train=digits.train[:300])
    config = configure("digits", name, 16, seed=3, precision="float32", **epochs_of(name, 1))
    weights = []
    for state in (1, 2):
        with torch.random.fork_rng():
            torch.manual_seed(state)
            before = torch.get_rng_state(), np.random.get_state()[1].tolist()
            weights.append(train(config, split).model.state_dict())
            assert torch.equal(torch.get_rng_state(), before[0])
            assert np.random.get_state()[1].tolist() == before[1]
    assert weights[0] and all(torch.equal(value, weights[1][key]) for key, value in weights[0].items())


def test_sampled_codes_are_another_seed_s_own(digits, monkeypatch):
    """PGDH samples: not the same decisions in each step, nor under each seed."""
    drawn, bernoulli = [], torch.bernoulli

    def note(probability):
        drawn.append(bernoulli(probability))
        return drawn[-1]

    monkeypatch.setattr(torch, "bernoulli", note)
    split = replace(digits, train=digits.train[:128])
    for seed in (0, 0, 1):
        train(configure("digits", "pgdh", 16, epochs=2, seed=seed, learning_rate=0.0, precision="float32"), split)
    first, second, again, _, other, _ = drawn
    assert first.shape == (16, 128, 16)
    assert torch.equal(first, again) and not torch.equal(first, second) and not torch.equal(first, other)


def test_another_seed_gives_other_codes(digits, trained):
    other = train(replace(CONFIG, seed=1), digits)
    assert (codes_of(other, digits) != codes_of(trained, digits)).any()
    assert other.history != trained.history


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
    for epoch in (first, second):
        assert torch.equal(epoch.bincount(), digits.train.labels.bincount())
    assert not torch.equal(first, second)


def test_the_loss_sees_float32_and_the_numbers_of_the_configuration(digits, monkeypatch):
    seen = set()

    def loss(embeddings, labels, *, alpha, margin, **options):
        seen.add((embeddings.dtype, tuple(embeddings.shape[1:]), alpha, margin, *options))
        return QSMI(embeddings, labels, alpha=alpha)

    monkeypatch.setitem(METHODS, "toy", Method("Toy", loss, 0.01, "this test", {"margin": None}))
    train(configure("digits", "toy", 16, epochs=1, alpha=0.5, margin=3.0, precision="bf16"), digits)
    assert seen == {(torch.float32, (16,), 0.5, 3.0)}


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
    assert prepared == [(1297, 1297, 16, 0, {})]
    assert steps == list(range(0, 44, 2))


def test_a_head_may_give_the_loss_class_scores_and_codes_later(digits, monkeypatch):
    entry, shapes = METHODS["classifier"], set()

    def loss(scores, labels):
        shapes.add(scores.shape[1])
        return entry.loss(scores, labels)

    monkeypatch.setitem(METHODS, "classifier", replace(entry, loss=loss))
    model = train(configure("digits", "classifier", 16, epochs=10), digits).model
    assert shapes == {10}
    words = {tuple(word) for word in model.dense.words.int().tolist()}
    codes = [tuple(code) for code in encode(model, digits.query.inputs).tolist()]
    assert len(words) == 10 and np.mean([code in words for code in codes]) > 0.5


def test_history_has_one_entry_an_epoch_and_the_loss_falls(trained):
    first, second = trained.history
    assert (first["epoch"], second["epoch"]) == (1, 2)
    assert second["loss"] < first["loss"] and second["clamped_qsmi_loss"] < first["clamped_qsmi_loss"]
    assert second["qsmi"] > first["qsmi"] > 0


def test_history_measures_the_first_1024_items(digits, trained):
    """Means over pairs as in Fig. 2b: Eq. 19, Eq. 13, and Eq. 13 with the Gaussian kernel."""
    with torch.no_grad():
        embeddings, labels = trained.model(digits.train.inputs[:1024]), digits.train.labels[:1024]
    last = trained.history[-1]
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
    after = train(config, digits).model
    step = (after.dense.weight - start.dense.weight).detach()
    torch.testing.assert_close(step, -0.02 * start.dense.weight.grad.sign(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", LEARNT)
def test_every_method_learns_to_retrieve(digits, name):
    model = train(configure("digits", name, 16, epochs=5), digits).model
    assert not model.loop
    assert mean_average_precision(model, digits) > 1.2 * mean_average_precision(untrained(), digits)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_longer_finite_stops_the_run(digits, registered, value):
    steps = []

    def loss(embeddings, labels, *, alpha):
        steps.append(None)
        factor = value if len(steps) == 15 else 1.0
        return QSMI(embeddings, labels, alpha=alpha) * factor

    with pytest.raises(FloatingPointError, match=r"the loss became (nan|-?inf) in epoch 2 of RunConfig"):
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
@pytest.mark.parametrize("rate", [0.001, 0.03])
def test_a_cosine_falls_from_epoch_to_epoch_by_half_a_period(digits, rates, epochs, rate):
    """The same in all steps of an epoch; the first epoch has the whole rate, after the last there would be none."""
    split = replace(digits, train=digits.train[:300])
    train(replace(CONFIG, epochs=epochs, learning_rate=rate, schedule="cosine"), split)
    expected = [rate * (1 + math.cos(math.pi * epoch / epochs)) / 2 for epoch in range(epochs) for _ in range(3)]
    assert rates[:3] == [[rate]] * 3
    assert [own for (own,) in rates] == pytest.approx(expected, rel=1e-9)


def test_a_constant_rate_stays_exactly(digits, rates):
    train(replace(CONFIG, epochs=7, learning_rate=0.0017), replace(digits, train=digits.train[:300]))
    assert rates == [[0.0017]] * 21


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_backbone_follows_the_schedule_from_its_own_rate(digits, rates, schedule):
    own = {"backbone": "digits_pixels", "backbone_learning_rate": 1e-4, "schedule": schedule}
    config = configure("digits", "qsmi", 16, epochs=2, precision="float32", **own)
    train(config, replace(digits, train=digits.train[:100]))
    factors = {"constant": [1.0, 1.0], "cosine": [1.0, 0.5]}[schedule]
    assert rates == [pytest.approx([1e-4 * factor, 1e-3 * factor]) for factor in factors]


def test_a_schedule_makes_another_network(digits):
    """But not in the first epoch."""
    for epochs, same in ((1, True), (2, False)):
        one, other = (train(replace(CONFIG, epochs=epochs, schedule=s), digits).model.dense.weight for s in SCHEDULES)
        assert torch.equal(one, other) == same


def test_the_schedules_are_those_of_configurations():
    assert tuple(loop.SCHEDULES) == SCHEDULES


# Precision


def test_precision_is_taken_as_said_and_auto_is_one_of_the_two():
    assert [resolve_precision(name, CPU) for name in ("float32", "bf16")] == ["float32", "bf16"]
    assert resolve_precision("auto", CPU) in {"float32", "bf16"}


@pytest.mark.parametrize(("flags", "expected"), [("avx2 amx_bf16 amx_tile", "bf16"), ("avx2 avx512_bf16", "float32")])
def test_auto_is_bf16_on_a_cpu_that_multiplies_it_in_hardware(monkeypatch, flags, expected):
    monkeypatch.setattr("qsmi_lib.utils.precision.Path.exists", lambda path: True)
    monkeypatch.setattr("qsmi_lib.utils.precision.Path.read_text", lambda path: f"flags : {flags}")
    assert resolve_precision("auto", CPU) == expected


@pytest.mark.parametrize("capability", [(7, 5), (8, 0), (9, 0)])
def test_auto_is_bf16_on_cuda_since_ampere(monkeypatch, capability):
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: capability)
    assert resolve_precision("auto", torch.device("cuda")) == ("bf16" if capability >= (8, 0) else "float32")


@pytest.mark.parametrize("precision", ["auto", "float32", "bf16"])
def test_a_run_says_its_precision_and_keeps_float32_weights(digits, precision):
    trained = train(replace(CONFIG, epochs=1, precision=precision), digits)
    assert trained.precision == resolve_precision(precision, CPU)
    assert {value.dtype for value in trained.model.parameters()} == {torch.float32}


# Codes


@pytest.mark.parametrize("batch_size", [1, 7, 500, 10_000])
def test_codes_do_not_depend_on_the_batch_size(digits, batch_size):
    model, inputs = untrained(), digits.query.inputs
    codes = encode(model, inputs, batch_size=batch_size)
    assert codes.dtype == torch.int8 and codes.shape == (500, 16) and not codes.requires_grad
    sure = model(inputs).abs() > 1e-5  # nearer to 0 than that, rounding decides
    assert torch.equal(codes[sure], (2 * (model(inputs) > 0) - 1)[sure].to(torch.int8))
    assert sure.float().mean() > 0.999


def test_an_exact_zero_becomes_plus_one():
    assert encode(nn.Identity(), torch.tensor([[0.0, -0.0, 1e-30, -1e-30]])).tolist() == [[1, 1, 1, -1]]


def test_codes_are_made_in_the_precision_that_is_asked_for(digits):
    seen = []

    class Spy(nn.Linear):
        def forward(self, inputs):
            seen.append(super().forward(inputs).dtype)
            return super().forward(inputs)

    for precision in ("float32", "bf16"):
        encode(Spy(8, 4), digits.query.inputs[:5, 0, 0], precision=precision)
    assert seen == [torch.float32, torch.bfloat16]
