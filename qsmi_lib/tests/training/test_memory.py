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


def batches(kind):
    """Embeddings that require a gradient, and labels, of one batch after the other."""
    generator = torch.Generator().manual_seed(0)
    for n in SIZES:
        embeddings = torch.randn(n, 5, generator=generator, requires_grad=True)
        yield embeddings, torch.randint(kind[0], (n, *kind[1:]), generator=generator)


def slow_beside(number, kind, n_batches):
    """Rows and labels that the batch of this number is compared with: itself, then earlier ones, the oldest first."""
    rows_of = [(embeddings.tolist(), labels.tolist()) for embeddings, labels in batches(kind)]
    chosen = [rows_of[number], *rows_of[max(0, number - n_batches) : number]]
    return [row for rows, _ in chosen for row in rows], [label for _, labels in chosen for label in labels]


@pytest.mark.parametrize("n_batches", [0, 1, 2, 4])
@pytest.mark.parametrize("kind", LABELS.values(), ids=LABELS)
def test_a_batch_comes_before_the_last_ones_and_only_it_gets_a_gradient(n_batches, kind):
    """The gradient of a loss in which all others are numbers."""
    memory, earlier = Memory(n_batches), []

    def loss(embeddings, labels):
        return METHODS["qsmi"].loss(embeddings, labels, alpha=0.01)

    for number, (embeddings, labels) in enumerate(batches(kind)):
        rows, row_labels = memory.beside(embeddings, labels)
        assert (rows.tolist(), row_labels.tolist()) == slow_beside(number, kind, n_batches)
        assert n_batches or (rows is embeddings and row_labels is labels)
        loss(rows, row_labels).backward()
        present = embeddings.detach().requires_grad_()
        loss(torch.cat([present, rows.detach()[len(present) :]]), row_labels).backward()
        assert torch.equal(embeddings.grad, present.grad)
        assert all(torch.equal(leaf.grad, before) for leaf, before in earlier), "an earlier batch got more"
        earlier.append((embeddings, embeddings.grad.clone()))


# In training


def plain_loop(config, split):
    """The weights after training as in the paper, with the memory as a list."""
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        model, memory = factory.build(config.dataset, config.bits), []
        optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)
        generator = torch.Generator().manual_seed(config.seed)
        for _ in range(config.epochs):
            for index in torch.randperm(len(split.train), generator=generator).split(config.batch_size):
                embeddings, labels = model(split.train.inputs[index]), split.train.labels[index]
                older = memory[-config.memory :] if config.memory else []
                rows = torch.cat([embeddings, *(e for e, _ in older)])
                memory = [*older, (embeddings.detach(), labels)]
                labels = torch.cat([labels, *(y for _, y in older)])
                optimizer.zero_grad()
                METHODS[config.method].loss(rows, labels, **settings_of_loss(config)).backward()
                optimizer.step()
    return model.state_dict()


@pytest.mark.parametrize("memory", [0, 1, 3])
@pytest.mark.parametrize("dataset", ["digits", "digit_pairs"])
def test_training_is_the_plain_loop_to_the_last_bit(dataset, memory):
    """A batch shorter than the others is remembered as well."""
    split = datasets.load(dataset)
    config = configure(dataset, "qsmi", 16, epochs=2, precision="float32", memory=memory)
    assert (config.schedule, config.augmentation) == ("constant", "none")
    weights, expected = train(config, split).model.state_dict(), plain_loop(config, split)
    assert weights.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in weights.items())


def test_the_first_batch_has_nothing_before_it(digits):
    """One batch an epoch: the second is the first that meets another."""
    one = replace(CONFIG, batch_size=len(digits.train), epochs=1)
    first, first_with = (train(replace(one, memory=n), digits).model.dense.weight for n in (0, 4))
    second, second_with = (train(replace(one, memory=n, epochs=2), digits).model.dense.weight for n in (0, 4))
    assert torch.equal(first, first_with) and not torch.equal(second, second_with)


@pytest.mark.parametrize("method", ["dsh", "hashnet", "mihash", "spring", "pgdh", "classifier", "csq", "cnnh"])
def test_a_loss_of_pairs_trains_with_a_memory_and_one_with_targets_is_refused(digits, method):
    split = replace(digits, train=digits.train[:200])
    config = configure("digits", method, 16, epochs=1, memory=2)
    if METHODS[method].prepare is None:
        assert len(train(config, split).history) == 1
    else:
        with pytest.raises(ValueError, match=f"memory 2 needs a loss of pairs, got {method}, which has targets"):
            train(config, split)
