"""Cross-batch memory against a slow definition, and training with and without it against a plain loop."""

from dataclasses import replace

import pytest
import torch

from qsmi_lib import datasets
from qsmi_lib.config.presets import configure
from qsmi_lib.methods import METHODS
from qsmi_lib.training import factory
from qsmi_lib.training.loop import settings_of_loss, train
from qsmi_lib.training.memory import Memory

SIZES = (4, 4, 4, 3, 4, 4)  # of the batches: the last of an epoch is shorter
LABELS = {"single": (10,), "multi-hot": (2, 3)}  # numbers below, and columns
CONFIG = configure("digits", "qsmi", 16, epochs=2, precision="float32")
WITH_TARGETS = [name for name, entry in METHODS.items() if entry.prepare is not None]
each_length = pytest.mark.parametrize("n_batches", [0, 1, 2, 4])
each_labels = pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)


def batches(kind):
    """Embeddings that ask for a gradient, and labels, of one batch after the other."""
    generator = torch.Generator().manual_seed(0)
    for n in SIZES:
        embeddings = torch.randn(n, 5, generator=generator, requires_grad=True)
        yield embeddings, torch.randint(kind[0], (n, *kind[1:]), generator=generator)


def slow_beside(number, kind, n_batches):
    """Rows and labels that the batch of this number is compared with: itself, then those kept, the oldest first."""
    own = [(e.tolist(), y.tolist()) for e, y in batches(kind)]
    chosen = [own[number], *own[max(0, number - n_batches) : number]]
    return [row for rows, _ in chosen for row in rows], [label for _, labels in chosen for label in labels]


@each_length
@each_labels
def test_a_batch_stands_before_the_last_ones_in_their_order(n_batches, labels):
    memory = Memory(n_batches)
    for number, (embeddings, own) in enumerate(batches(labels)):
        rows, row_labels = memory.beside(embeddings, own)
        assert (rows.tolist(), row_labels.tolist()) == slow_beside(number, labels, n_batches)
        assert rows.dtype == torch.float32 and row_labels.dtype == torch.int64


def test_no_batch_is_kept_where_none_shall_be():
    memory = Memory(0)
    for embeddings, labels in batches(LABELS["single"]):
        rows, row_labels = memory.beside(embeddings, labels)
        assert rows is embeddings and row_labels is labels
    assert not memory.kept


@each_length
@each_labels
def test_only_the_present_batch_gets_a_gradient(n_batches, labels):
    """That of a loss in which all others are numbers."""
    memory, earlier = Memory(n_batches), []

    def loss(embeddings, labels):
        return METHODS["qsmi"].loss(embeddings, labels, alpha=0.01)

    for number, (embeddings, own) in enumerate(batches(labels)):
        loss(*memory.beside(embeddings, own)).backward()
        rows, row_labels = map(torch.tensor, slow_beside(number, labels, n_batches))
        present = embeddings.detach().requires_grad_()
        loss(torch.cat([present, rows[len(present) :]]), row_labels).backward()
        assert torch.equal(embeddings.grad, present.grad)
        assert all(torch.equal(leaf.grad, before) for leaf, before in earlier), "an earlier batch got more"
        earlier.append((embeddings, embeddings.grad.clone()))


def test_what_is_kept_is_no_part_of_a_graph():
    memory = Memory(3)
    for embeddings, labels in batches(LABELS["single"]):
        memory.beside(2 * embeddings, labels)
    assert len(memory.kept) == 3
    assert not any(embeddings.requires_grad or embeddings.grad_fn for embeddings, _ in memory.kept)


# In training


def plain_loop(config, split):
    """The weights after training as the paper has it, with a memory as a list."""
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        model, kept = factory.build(config.dataset, config.bits), []
        optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)
        generator = torch.Generator().manual_seed(config.seed)
        for _ in range(config.epochs):
            for index in torch.randperm(len(split.train), generator=generator).split(config.batch_size):
                embeddings, labels = model(split.train.inputs[index]), split.train.labels[index]
                older = kept[-config.memory :] if config.memory else []
                rows = torch.cat([embeddings, *(e for e, _ in older)])
                kept = [*older, (embeddings.detach(), labels)]
                labels = torch.cat([labels, *(y for _, y in older)])
                optimizer.zero_grad()
                METHODS[config.method].loss(rows, labels, **settings_of_loss(config)).backward()
                optimizer.step()
    return model.state_dict()


def assert_equal(weights, others):
    assert weights.keys() == others.keys()
    assert all(torch.equal(value, others[name]) for name, value in weights.items())


@pytest.mark.parametrize("memory", [0, 1, 3])
def test_training_is_the_plain_loop_to_the_last_bit(digits, memory):
    """Without a memory what every earlier record was made by; a batch shorter than the others is kept as well."""
    config = replace(CONFIG, memory=memory)
    assert (config.schedule, config.augmentation, CONFIG.memory) == ("constant", "none", 0)
    assert_equal(train(config, digits).model.state_dict(), plain_loop(config, digits))


def test_a_memory_makes_another_network_and_the_same_one_again(digits):
    plain, own, again = (train(replace(CONFIG, memory=n), digits).model.dense.weight for n in (0, 2, 2))
    assert torch.equal(own, again) and not torch.equal(own, plain)


def test_the_first_batch_has_nothing_before_it(digits):
    """One batch an epoch: the second is the first that meets another."""
    one = replace(CONFIG, batch_size=len(digits.train), epochs=1)
    first, first_with = (train(replace(one, memory=n), digits).model.dense.weight for n in (0, 4))
    second, second_with = (train(replace(one, memory=n, epochs=2), digits).model.dense.weight for n in (0, 4))
    assert torch.equal(first, first_with) and not torch.equal(second, second_with)


def test_several_labels_are_remembered():
    split = datasets.load("digit_pairs")
    assert split.train.labels.ndim == 2
    config = configure("digit_pairs", "qsmi", 12, epochs=1, precision="float32", memory=2)
    assert_equal(train(config, split).model.state_dict(), plain_loop(config, split))


@pytest.mark.parametrize("method", WITH_TARGETS)
def test_a_loss_with_targets_is_refused(digits, method):
    with pytest.raises(ValueError, match=f"memory 2 needs a loss of pairs, got {method}, which has targets"):
        train(configure("digits", method, 16, epochs=1, memory=2), digits)


def test_these_methods_have_targets():
    assert sorted(WITH_TARGETS) == ["cnnh", "csq", "csq_qsmi", "qsmi_u"]


@pytest.mark.parametrize("method", [n for n, entry in METHODS.items() if entry.loss and n not in WITH_TARGETS])
def test_every_other_method_trains_with_a_memory(digits, method):
    split = replace(digits, train=digits.train[:300])
    history = train(configure("digits", method, 16, epochs=2, memory=2), split).history
    assert len(history) == 2
