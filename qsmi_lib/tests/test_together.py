"""Seeds trained side by side against the training loop, one seed after the other; and what runs make of it."""

import random
from dataclasses import replace

import pytest
import torch
from torch.func import vmap
from torch.nn.functional import max_pool2d

from qsmi_lib import datasets, models, records, runner, together
from qsmi_lib.config import AUGMENTATIONS
from qsmi_lib.configuring import configure, epochs_of
from qsmi_lib.methods import METHODS
from qsmi_lib.pooling import pooled_relu
from qsmi_lib.together import can_stack, train_together
from qsmi_lib.training import train

SEEDS = (0, 1, 5)
STACKED = {
    "qmi", "qmi_clamped", "qsmi_unclamped", "qsmi", "dsh", "dpsh", "dch", "hashnet", "dhn", "mihash", "hashgan",
    "classifier",
}  # fmt: skip
CONFIG = configure("digits", "qsmi", 16, epochs=2, precision="float32")


def seeds_of(config, seeds=SEEDS):
    return [replace(config, seed=seed) for seed in seeds]


@pytest.fixture(scope="module")
def split(digits):
    """Part of the digits: the last batch of an epoch is shorter, and fewer items are measured than could be."""
    return replace(digits, train=digits.train[:700])


@pytest.fixture(scope="module")
def pictures():
    """Noisy pictures of ten kinds, as large as `FashionCNN` takes them."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(10, (300,), generator=generator)
    kinds = torch.randn(10, 1, 28, 28, generator=generator)
    part = datasets.Part(kinds[labels] + torch.randn(300, 1, 28, 28, generator=generator), labels)
    return datasets.Split("fashion_mnist", part, part[:50], part, "made here", tuple("abcdefghij"))


def assert_same(found, expected, *, atol=1e-5):
    """The same networks and histories up to rounding; a step of Adam is 1e-3."""
    for one, other in zip(found, expected, strict=True):
        weights, others = one.model.state_dict(), other.model.state_dict()
        assert weights.keys() == others.keys() and one.precision == other.precision
        for name, value in weights.items():
            torch.testing.assert_close(value, others[name], rtol=0, atol=atol)
        for epoch, own in zip(one.history, other.history, strict=True):
            assert list(epoch) == list(own) and epoch == pytest.approx(own, rel=1e-3, abs=1e-6)


def assert_as_alone(config, split, **tolerance):
    configs = seeds_of(config)
    assert_same(train_together(configs, split), [train(own, split) for own in configs], **tolerance)


# Equal to the training loop


@pytest.mark.parametrize("name", sorted(STACKED))
def test_each_seed_gets_the_weights_and_the_history_that_it_gets_alone(split, name):
    assert_as_alone(configure("digits", name, 16, epochs=2, precision="float32"), split)


@pytest.mark.parametrize("name", ["qsmi", "hashnet", "classifier"])
def test_several_labels(name):
    data = datasets.load("digit_pairs")
    config = configure("digit_pairs", name, 16, epochs=2, precision="float32")
    assert_as_alone(config, replace(data, train=data.train[:300]))


@pytest.mark.parametrize("name", ["qsmi", "dch"])
def test_a_network_of_convolutions(pictures, name):
    """Convolutions in groups add up in another order."""
    assert_as_alone(configure("fashion_mnist", name, 16, epochs=2, precision="float32"), pictures, atol=5e-5)


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_augmentation_and_schedule(split, augmentation):
    assert_as_alone(replace(CONFIG, epochs=3, schedule="cosine", augmentation=augmentation), split)


@pytest.mark.parametrize("head", ["narrow", "wide"])
def test_the_head_of_a_frozen_backbone(head):
    config = configure("digits", "qsmi", 16, epochs=2, precision="float32", backbone="digits_pixels", head=head)
    data = runner.split_of(config)
    assert_as_alone(config, replace(data, train=data.train[:300]))


def test_what_changes_from_step_to_step(split, monkeypatch):
    entry = replace(METHODS["hashnet"], on_step=lambda step: {"beta": 1.0 + 0.2 * step})
    monkeypatch.setitem(METHODS, "hashnet", entry)
    assert_as_alone(configure("digits", "hashnet", 16, epochs=2, precision="float32"), split)


def test_in_bf16_the_gradients_are_nearly_those_of_float32(pictures, monkeypatch):
    """And not those themselves; the step of plain descent is the gradient."""
    monkeypatch.setattr(torch.optim, "Adam", lambda weights, lr, fused: torch.optim.SGD(weights, lr))
    config = configure("fashion_mnist", "qsmi", 16, epochs=1, precision="float32")
    data = replace(pictures, train=pictures.train[:128])
    kinds = (replace(config, precision="bf16"), config, replace(config, learning_rate=0.0))
    for found, exact, start in zip(*(train_together(seeds_of(own), data) for own in kinds), strict=True):
        assert found.precision == "bf16"
        for weight, own, before in zip(*(t.model.parameters() for t in (found, exact, start)), strict=True):
            assert weight.dtype == torch.float32
            assert 1e-5 < (weight - own).norm() / (own - before).norm() < 0.03


# What a seed does not depend on


@pytest.mark.parametrize("others", [(0,), (0, 2), (2, 0), (0, 1, 2, 3)])
def test_seeds_do_not_influence_each_other(split, others):
    expected = train_together(seeds_of(CONFIG, (0, 1)), split)[0]
    found = train_together(seeds_of(CONFIG, others), split)[others.index(0)]
    for weight, own in zip(found.model.parameters(), expected.model.parameters(), strict=True):
        torch.testing.assert_close(weight, own, rtol=0, atol=1e-7)


def test_split_and_global_generators_stay_as_they_are(split):
    before = split.train.inputs.clone(), split.train.labels.clone()
    states = torch.get_rng_state(), random.getstate()
    train_together(seeds_of(replace(CONFIG, augmentation="shift")), split)
    assert torch.equal(torch.get_rng_state(), states[0]) and random.getstate() == states[1]
    assert torch.equal(split.train.inputs, before[0]) and torch.equal(split.train.labels, before[1])


def test_what_is_left_is_an_ordinary_network_for_each(split):
    configs = seeds_of(CONFIG)
    for own in train_together(configs, split):
        assert type(own.model) is models.DigitsMLP and not own.model.training
        for weight in own.model.parameters():
            assert isinstance(weight, torch.nn.Parameter) and weight.untyped_storage().nbytes() == 4 * weight.numel()


def test_nothing_to_train_is_nothing(split):
    assert train_together([], split) == []


# What is refused


def test_a_loss_that_is_no_longer_finite_names_its_seed(split, monkeypatch):
    of = models.of

    def far_away(config):
        network = of(config)
        if config.seed == 1:
            network.dense.weight.data *= 1e30
        return network

    monkeypatch.setattr(models, "of", far_away)
    with pytest.raises(FloatingPointError, match=r"the loss became (nan|inf) in epoch 1 of RunConfig\(.* seed=1,"):
        train_together(seeds_of(configure("digits", "dpsh", 16, epochs=2, precision="float32")), split)


@pytest.mark.parametrize("other", [{"bits": 12}, {"epochs": 3}, {"options": {"information_needs": 10.0}}], ids=str)
def test_other_differences_than_of_the_seed_are_refused(split, other):
    with pytest.raises(ValueError, match="only configurations that differ in nothing but their seeds"):
        train_together([CONFIG, replace(CONFIG, seed=1, **other)], split)


def test_the_methods_that_stack():
    names = {name for name in METHODS if can_stack(configure("digits", name, 16))}
    assert names == STACKED


@pytest.mark.parametrize("name", sorted(set(METHODS) - STACKED))
def test_other_methods_are_refused_by_name(split, name):
    with pytest.raises(ValueError, match=f"seeds of RunConfig.*method='{name}'.* cannot be trained together"):
        train_together(seeds_of(configure("digits", name, 16, **epochs_of(name, 1))), split)


@pytest.mark.parametrize(
    ("settings", "stacks"),
    [
        ({}, True),
        ({"schedule": "cosine", "augmentation": "flip_shift"}, True),
        ({"backbone": "digits_pixels", "head": "wide"}, True),
        ({"memory": 1}, False),
        ({"backbone": "digits_pixels", "backbone_learning_rate": 1e-4}, False),
        ({"backbone": "digits_pixels", "head": "csq"}, False),
    ],
    ids=str,
)
def test_settings_that_stack(split, settings, stacks):
    config = configure("digits", "qsmi", 16, **settings)
    assert can_stack(config) == stacks
    if not stacks:
        with pytest.raises(ValueError, match="cannot be trained together"):
            train_together(seeds_of(config), split)


def test_no_network_that_stacks_drops_or_counts(monkeypatch):
    """Dropout would draw from a generator that seeds share, the statistics of a norm are changed in place."""
    kinds = [configure("digits", name, 16) for name in STACKED] + [configure("fashion_mnist", "qsmi", 16)]
    kinds += [configure("digits", "qsmi", 16, backbone="digits_pixels", head=head) for head in models.HEADS]
    for config in filter(can_stack, kinds):
        network = models.of(config)
        assert not [m for m in network.modules() if isinstance(m, torch.nn.Dropout | torch.nn.BatchNorm2d)]
        assert {type(m) for m in network.modules() if not list(m.children())} <= {torch.nn.Linear, torch.nn.Conv2d}


# What vmap cannot do


@pytest.mark.parametrize("value", [0.5, True])
def test_a_stack_gets_its_diagonals_filled(value):
    stack = torch.randint(2, (3, 5, 5), generator=torch.Generator().manual_seed(0)).to(type(value))
    expected = torch.stack([own.clone().fill_diagonal_(value) for own in stack])
    with together._Substitutes():
        assert torch.equal(vmap(lambda own: own.clone().fill_diagonal_(value))(stack), expected)


def test_a_stack_is_pooled_by_pytorchs_operators():
    stack = torch.randn(2, 3, 4, 6, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    with together._Substitutes():
        pooled = vmap(pooled_relu)(stack)
    plain = max_pool2d(stack.flatten(0, 1), 2).relu().unflatten(0, (2, 3))
    assert torch.equal(pooled, plain)
    assert torch.equal(*(torch.autograd.grad(own.square().sum(), stack)[0] for own in (pooled, plain)))
    assert stack.is_contiguous()


# Runs


@pytest.fixture
def groups(monkeypatch):
    """The seeds that were trained together, group by group."""
    seen = []

    def note(configs, split):
        seen.append([config.seed for config in configs])
        return train_together(configs, split)

    monkeypatch.setattr(together, "train_together", note)
    return seen


def test_runs_made_together_are_those_made_alone(results, groups, trainings):
    configs = [*seeds_of(CONFIG), replace(CONFIG, bits=12)]
    alone = runner.run_all(configs, "alone", stacked=False)
    assert (groups, trainings) == ([], configs)
    found = runner.run_all(configs, "together", stacked=True)
    assert (groups, trainings[4:]) == ([list(SEEDS)], configs[3:])
    names = [{p.relative_to(results / kind) for p in (results / kind).rglob("*.*")} for kind in ("alone", "together")]
    assert names[0] == names[1] and len(names[0]) == 3 * len(configs)
    for one, other, config in zip(found, alone, configs, strict=True):
        assert one == records.load(runner.record_path(config, "together"))
        assert one["config"] == other["config"] == config.to_dict() and one.keys() == other.keys()
        assert one["metrics"]["map"] == pytest.approx(other["metrics"]["map"], rel=1e-3)
        assert one["history"][-1] == pytest.approx(other["history"][-1], rel=1e-3)
        made, made_alone = one["provenance"], other["provenance"]
        assert made.keys() - made_alone.keys() == (set() if config.bits == 12 else {"together"})
        assert made.get("together") == (None if config.bits == 12 else 3)
        assert made["source_hash"] == made_alone["source_hash"]
    assert len({record["provenance"]["seconds_train"] for record in found[:3]}) == 1, "an equal share each"


def test_only_seeds_without_a_record_are_trained(groups, trainings):
    first = runner.run(replace(CONFIG, seed=1), "toy")
    found = runner.run_all(seeds_of(CONFIG, (2, 1, 0, 2)), "toy", stacked=True)
    assert groups == [[2, 0]] and found[1] == first and found[0] == found[3]
    assert [record["config"]["seed"] for record in found] == [2, 1, 0, 2]
    assert runner.run_all(seeds_of(CONFIG, (0, 1, 2)), "toy", stacked=True) == [found[2], found[1], found[0]]
    assert groups == [[2, 0]] and len(trainings) == 1
    runner.run_all(seeds_of(CONFIG, (0, 1, 2, 3)), "toy", stacked=True)
    assert groups == [[2, 0]] and trainings[1:] == [replace(CONFIG, seed=3)], "the last one is trained as ever"
    runner.run_all(seeds_of(CONFIG, (0, 1)), "toy", stacked=True, fresh=True)
    assert groups == [[2, 0], [0, 1]]


def test_an_interrupt_loses_the_group_in_progress_alone(groups, monkeypatch):
    other = replace(CONFIG, bits=12)
    noting = together.train_together

    def interrupted(configs, split):
        if configs[0].bits == 12:
            raise KeyboardInterrupt
        return noting(configs, split)

    monkeypatch.setattr(together, "train_together", interrupted)
    with pytest.raises(KeyboardInterrupt):
        runner.run_all([*seeds_of(CONFIG), *seeds_of(other)], "toy", stacked=True)
    assert all(runner.record_path(config, "toy").exists() for config in seeds_of(CONFIG))
    assert not any(runner.record_path(config, "toy").exists() for config in seeds_of(other))


def test_what_cannot_be_stacked_is_run_as_ever(groups, trainings):
    configs = seeds_of(configure("digits", "spring", 12, epochs=1, precision="float32"), (0, 1))
    runner.run_all(configs, "toy", stacked=True)
    assert (groups, trainings) == ([], configs)


@pytest.mark.parametrize("stacked", [True, False])
def test_seeds_go_together_where_it_is_asked_for(monkeypatch, stacked):
    seen = []
    monkeypatch.setattr(runner, "run_group", lambda group, *_args, **_options: seen.append(group) or [{}] * len(group))
    configs = seeds_of(CONFIG)
    runner.run_all(configs, "toy", stacked=stacked)
    assert seen == ([configs] if stacked else [[config] for config in configs])
