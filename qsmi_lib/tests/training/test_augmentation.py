"""Augmented pictures against slow loops, and what training does with them."""

import random
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
from qsmi_lib.training import augmentation
from qsmi_lib.training.augmentation import AUGMENTATIONS, flipped, flipped_and_shifted, shifted
from qsmi_lib.training.loop import train

STEPS = list(product((-1, 0, 1), repeat=2))
IMAGES = torch.rand(300, 2, 4, 5, generator=torch.Generator().manual_seed(0))
REAL = [name for name in AUGMENTATIONS if name != "none"]
CONFIG = configure("digits", "qsmi", 16, epochs=2, precision="float32")
each = pytest.mark.parametrize("name", REAL)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def slow_shifted(picture, down, right):
    """A picture, as nested lists, that moves by these pixels; what is beyond an edge looks as the edge."""
    h, w = len(picture[0]), len(picture[0][0])
    rows, columns = ([min(max(i - step, 0), n - 1) for i in range(n)] for step, n in ((down, h), (right, w)))
    return [[[channel[i][j] for j in columns] for i in rows] for channel in picture]


def slow_mirrored(picture):
    return [[row[::-1] for row in channel] for channel in picture]


def slow_versions(picture, name):
    """Every picture that an augmentation may make of this one."""
    mirrored = {False: picture} | ({True: slow_mirrored(picture)} if "flip" in name else {})
    steps = STEPS if "shift" in name else [(0, 0)]
    return {(turn, step): slow_shifted(own, *step) for turn, own in mirrored.items() for step in steps}


def versions_of(before, after, name):
    """Which version of its picture each one has become; every one is exactly one of its own."""
    found = []
    for picture, other in zip(before.tolist(), after.tolist(), strict=True):
        (version,) = [key for key, value in slow_versions(picture, name).items() if value == other]
        found.append(version)
    return found


@each
def test_each_picture_becomes_a_version_of_itself_and_every_version_occurs(name):
    """At its own place, so that it keeps its label; about equally often, each picture on its own."""
    after = AUGMENTATIONS[name](IMAGES, generator())
    assert after.shape == IMAGES.shape and after.dtype == IMAGES.dtype
    counts = Counter(versions_of(IMAGES, after, name))
    n_versions = {"shift": 9, "flip": 2, "flip_shift": 18}[name]
    assert len(counts) == n_versions
    assert max(counts.values()) < 2 * len(IMAGES) / n_versions


def test_a_row_of_known_pixels():
    """Moved to the right the first pixel is there twice and the last is gone."""
    row = torch.tensor([1.0, 2.0, 3.0]).expand(100, 1, 1, 3)
    assert {tuple(r) for r in shifted(row, generator())[:, 0, 0].tolist()} == {(1, 1, 2), (1, 2, 3), (2, 3, 3)}
    assert {tuple(r) for r in flipped(row, generator())[:, 0, 0].tolist()} == {(1, 2, 3), (3, 2, 1)}


def test_mirrored_and_shifted_is_one_after_the_other():
    drawn = generator()
    expected = shifted(flipped(IMAGES, drawn), drawn)
    assert torch.equal(flipped_and_shifted(IMAGES, generator()), expected)


@each
def test_a_generator_in_the_same_state_gives_the_same_and_goes_on_to_another(name):
    first = generator()
    one, two = (AUGMENTATIONS[name](IMAGES, first) for _ in range(2))
    assert torch.equal(AUGMENTATIONS[name](IMAGES, generator()), one)
    assert not torch.equal(one, two) and not torch.equal(AUGMENTATIONS[name](IMAGES, generator(1)), one)


@each
def test_pictures_and_global_generators_stay_as_they_are(name):
    before, states = IMAGES.clone(), (torch.get_rng_state(), random.getstate())
    AUGMENTATIONS[name](IMAGES, generator())
    assert torch.equal(IMAGES, before)
    assert torch.equal(torch.get_rng_state(), states[0]) and random.getstate() == states[1]


def test_none_is_the_pictures_themselves():
    assert AUGMENTATIONS["none"](IMAGES, generator()) is IMAGES


def test_the_names_are_those_of_configurations():
    assert tuple(augmentation.AUGMENTATIONS) == run.AUGMENTATIONS


# In training


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda inputs: inputs.flatten(1), r"torch.float32 of shape \(1297, 64\)"),
        (lambda inputs: inputs.to(torch.uint8), r"torch.uint8 of shape \(1297, 1, 8, 8\)"),
    ],
    ids=["features", "whole numbers"],
)
@each
def test_what_is_no_picture_of_floats_is_refused(digits, name, change, kind):
    split = replace(digits, train=Part(change(digits.train.inputs), digits.train.labels))
    with pytest.raises(ValueError, match=rf"augmentation '{name}' needs pictures \(n, c, h, w\) of floats, got {kind}"):
        train(replace(CONFIG, augmentation=name), split)


@pytest.fixture
def seen(monkeypatch):
    """What training sees: the labels of each batch, its pictures, and the pictures on which it is measured."""
    found = {"labels": [], "trained": [], "measured": []}
    loss, forward = METHODS["qsmi"].loss, networks.DigitsMLP.forward

    def noting_loss(embeddings, labels, **settings):
        found["labels"].append(labels)
        return loss(embeddings, labels, **settings)

    def noting_forward(network, images):
        found["trained" if network.training else "measured"].append(images)
        return forward(network, images)

    monkeypatch.setitem(METHODS, "qsmi", replace(METHODS["qsmi"], loss=noting_loss))
    monkeypatch.setattr(networks.DigitsMLP, "forward", noting_forward)
    return found


@each
def test_only_the_pictures_of_the_batches_change(digits, seen, name):
    """The order stays, and so does what the network is measured on."""
    train(CONFIG, digits)
    plain = {kind: list(batches) for kind, batches in seen.items()}
    for batches in seen.values():
        batches.clear()
    train(replace(CONFIG, augmentation=name), digits)
    for kind in ("labels", "measured"):
        assert len(seen[kind]) == len(plain[kind])
        assert all(map(torch.equal, seen[kind], plain[kind]))
    assert not any(map(torch.equal, seen["trained"], plain["trained"]))
    for before, after in zip(plain["trained"], seen["trained"], strict=True):
        shown = after[:10].tolist()
        for picture, other in zip(before[:10].tolist(), shown, strict=True):
            assert other in slow_versions(picture, name).values()


@each
def test_the_next_epoch_sees_other_versions(digits, seen, name):
    """One batch of a few items an epoch: in some order the same items."""
    split = replace(digits, train=digits.train[:60])
    train(replace(CONFIG, augmentation=name), split)
    first, second = ({str(picture) for picture in batch.tolist()} for batch in seen["trained"])
    assert first != second


@each
def test_a_seed_gives_the_same_weights_again(digits, name):
    split = replace(digits, train=digits.train[:300])
    own, again, plain = (
        train(replace(CONFIG, augmentation=kind), split).model.dense.weight for kind in (name, name, "none")
    )
    assert torch.equal(own, again) and not torch.equal(own, plain)
