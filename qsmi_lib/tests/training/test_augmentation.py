"""Augmented pictures against slow loops, and what training does with them."""

from collections import Counter
from dataclasses import replace
from itertools import product

import pytest
import torch

from qsmi_lib.config import run
from qsmi_lib.config.presets import configure
from qsmi_lib.datasets import Part
from qsmi_lib.methods import METHODS
from qsmi_lib.models import networks
from qsmi_lib.training.augmentation import AUGMENTATIONS, flipped, flipped_and_shifted, shifted
from qsmi_lib.training.loop import train

STEPS = list(product((-1, 0, 1), repeat=2))
IMAGES = torch.rand(300, 2, 4, 5, generator=torch.Generator().manual_seed(0))
CONFIG = configure("digits", "qsmi", 16, epochs=2, precision="float32")
N_VERSIONS = {"shift": 9, "flip": 2, "flip_shift": 18}
each = pytest.mark.parametrize("name", N_VERSIONS)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def slow_shifted(picture, down, right):
    """A picture, as nested lists, that moves by these pixels; what is beyond an edge looks as the edge."""
    h, w = len(picture[0]), len(picture[0][0])
    rows, columns = ([min(max(i - step, 0), n - 1) for i in range(n)] for step, n in ((down, h), (right, w)))
    return [[[channel[i][j] for j in columns] for i in rows] for channel in picture]


def slow_versions(picture, name):
    """Every picture that an augmentation may make of this one."""
    mirrored = [[row[::-1] for row in channel] for channel in picture]
    pictures = {False: picture} | ({True: mirrored} if "flip" in name else {})
    steps = STEPS if "shift" in name else [(0, 0)]
    return {(turn, step): slow_shifted(one, *step) for turn, one in pictures.items() for step in steps}


@each
def test_each_picture_becomes_a_version_of_itself_and_every_version_occurs(name):
    """At its own place, so that it keeps its label; about equally often, each picture on its own."""
    before = IMAGES.clone()
    after = AUGMENTATIONS[name](IMAGES, generator())
    assert after.shape == IMAGES.shape and after.dtype == IMAGES.dtype and torch.equal(IMAGES, before)
    counts = Counter()
    for picture, other in zip(IMAGES.tolist(), after.tolist(), strict=True):
        (version,) = [key for key, value in slow_versions(picture, name).items() if value == other]
        counts[version] += 1
    assert len(counts) == N_VERSIONS[name] and max(counts.values()) < 2 * len(IMAGES) / N_VERSIONS[name]


def test_a_row_of_known_pixels():
    """Moved to the right the first pixel is there twice and the last is gone."""
    row = torch.tensor([1.0, 2.0, 3.0]).expand(100, 1, 1, 3)
    assert {tuple(r) for r in shifted(row, generator())[:, 0, 0].tolist()} == {(1, 1, 2), (1, 2, 3), (2, 3, 3)}
    assert {tuple(r) for r in flipped(row, generator())[:, 0, 0].tolist()} == {(1, 2, 3), (3, 2, 1)}


def test_mirrored_and_shifted_is_one_after_the_other():
    drawn = generator()
    assert torch.equal(flipped_and_shifted(IMAGES, generator()), shifted(flipped(IMAGES, drawn), drawn))


@each
def test_a_generator_in_the_same_state_gives_the_same_and_goes_on_to_another(name):
    first, state = generator(), torch.get_rng_state()
    one, two = (AUGMENTATIONS[name](IMAGES, first) for _ in range(2))
    assert torch.equal(AUGMENTATIONS[name](IMAGES, generator()), one) and torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(one, two) and not torch.equal(AUGMENTATIONS[name](IMAGES, generator(1)), one)


def test_every_augmentation_of_a_configuration_is_there():
    assert tuple(AUGMENTATIONS) == run.AUGMENTATIONS
    assert AUGMENTATIONS["none"](IMAGES, generator()) is IMAGES


# In training


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda inputs: inputs.flatten(1), r"torch.float32 of shape \(1297, 64\)"),
        (lambda inputs: inputs.to(torch.uint8), r"torch.uint8 of shape \(1297, 1, 8, 8\)"),
    ],
    ids=["features", "whole numbers"],
)
def test_inputs_that_are_no_pictures_of_floats_are_refused(digits, change, kind):
    split = replace(digits, train=Part(change(digits.train.inputs), digits.train.labels))
    with pytest.raises(ValueError, match=rf"augmentation 'shift' needs pictures \(n, c, h, w\) of floats, got {kind}"):
        train(replace(CONFIG, augmentation="shift"), split)


@pytest.fixture
def seen(monkeypatch):
    """What training sees: the labels of each batch, its pictures, and the pictures on which it is measured."""
    batches = {"labels": [], "trained": [], "measured": []}
    loss, forward = METHODS["qsmi"].loss, networks.DigitsMLP.forward

    def noting_loss(embeddings, labels, **settings):
        batches["labels"].append(labels)
        return loss(embeddings, labels, **settings)

    def noting_forward(network, images):
        batches["trained" if network.training else "measured"].append(images)
        return forward(network, images)

    monkeypatch.setitem(METHODS, "qsmi", replace(METHODS["qsmi"], loss=noting_loss))
    monkeypatch.setattr(networks.DigitsMLP, "forward", noting_forward)
    return batches


@each
def test_only_the_pictures_of_the_batches_change_and_in_each_epoch_differently(digits, seen, name):
    """One batch an epoch, in some order of the same items; the order stays, and so does what is measured."""
    split = replace(digits, train=digits.train[:60])
    train(CONFIG, split)
    plain = {kind: list(batches) for kind, batches in seen.items()}
    for batches in seen.values():
        batches.clear()
    train(replace(CONFIG, augmentation=name), split)
    for kind in ("labels", "measured"):
        assert all(torch.equal(*pair) for pair in zip(seen[kind], plain[kind], strict=True))
    for before, after in zip(plain["trained"], seen["trained"], strict=True):
        assert not torch.equal(before, after)
        for picture, other in zip(before[:10].tolist(), after[:10].tolist(), strict=True):
            assert other in slow_versions(picture, name).values()
    first, second = ({str(picture) for picture in batch.tolist()} for batch in seen["trained"])
    assert first != second
