"""Some classes alone, and classes of unequal frequency: which items stay, under which labels."""

import pytest
import torch

from qsmi_lib import datasets
from qsmi_lib.datasets import Part, Split, subsets
from qsmi_lib.datasets.images.lazy import Pictures
from qsmi_lib.datasets.subsets import n_way, unbalanced
from qsmi_lib.tests.datasets.small_pictures import SIDE, picture, write_folder

N_CLASSES = 12
NAMES = tuple(f"class {k}" for k in range(N_CLASSES))
DRAWN = ("class 2", "class 7", "class 9")  # of draw 0, three of twelve


def part(start, n, n_classes=N_CLASSES):
    """The inputs are the numbers of the items."""
    return Part(torch.arange(start, start + n, dtype=torch.float32)[:, None], torch.arange(n) % n_classes)


def split(own_database=False):
    train = part(0, 120)
    database = part(5000, 180) if own_database else train
    return Split("toy", train, part(1000, 36), database, "mark", NAMES)


def numbers(own):
    return own.inputs[:, 0].int().tolist()


# N ways


@pytest.mark.parametrize("own_database", [False, True])
@pytest.mark.parametrize("n_classes", [1, 5, N_CLASSES])
def test_the_items_of_the_drawn_classes_stay_and_no_other(own_database, n_classes):
    whole = split(own_database)
    found = n_way(whole, 3, n_classes=n_classes)
    assert len(found.classes) == n_classes and list(found.classes) == sorted(found.classes, key=NAMES.index)
    assert (found.name, found.fingerprint) == (whole.name, whole.fingerprint)
    assert (found.database is found.train) == (not own_database)
    for name in ("train", "query", "database"):
        own, before = getattr(found, name), getattr(whole, name)
        drawn = [NAMES[label] in found.classes for label in before.labels.tolist()]
        assert numbers(own) == [number for number, kept in zip(numbers(before), drawn, strict=True) if kept]
        kept = [NAMES[label] for label, stays in zip(before.labels.tolist(), drawn, strict=True) if stays]
        assert [found.classes[label] for label in own.labels.tolist()] == kept
        assert own.labels.dtype == torch.int64 and own.labels.unique().tolist() == list(range(n_classes))


def test_draws_differ_and_one_draw_does_not():
    drawn = [n_way(split(), draw, n_classes=5).classes for draw in (0, 1, 2, 3, 0)]
    assert drawn[0] == drawn[4] and len(set(drawn)) > 2
    assert {name for own in drawn for name in own} > set(drawn[0])


def test_a_draw_is_pinned():
    assert n_way(split(), 0, n_classes=3).classes == DRAWN


def test_more_classes_than_there_are():
    with pytest.raises(ValueError, match=r"^13 classes are to be drawn, but toy has 12$"):
        n_way(split(), 0, n_classes=13)


# Unequal frequencies


def test_each_class_keeps_its_share():
    """One, then 100 to the minus 1 / 11, 2 / 11, ... and a hundredth."""
    labels = torch.arange(N_CLASSES * 1000) % N_CLASSES
    train = Part(torch.arange(len(labels), dtype=torch.float64)[:, None], labels)
    whole = Split("toy", train, part(1000, 36), train, "mark", NAMES)
    found = unbalanced(whole, 0)
    counts = found.train.labels.bincount().tolist()
    assert counts == [round(1000 * 100 ** (-k / 11)) for k in range(N_CLASSES)]
    assert counts[0] == 1000 and counts[-1] == 10 and counts == sorted(counts, reverse=True)
    assert found.database is found.train and found.query is whole.query and found.classes == NAMES
    rows = found.train.inputs[:, 0].long()
    assert (rows.diff() > 0).all() and torch.equal(labels[rows], found.train.labels)
    other = unbalanced(whole, 1)
    assert other.train.labels.bincount().tolist() == counts
    assert not torch.equal(other.train.inputs, found.train.inputs)
    assert torch.equal(unbalanced(whole, 0).train.inputs, found.train.inputs)


def test_a_database_of_its_own_is_not_searched():
    whole = split(own_database=True)
    found = unbalanced(whole, 0)
    assert found.database is found.train and max(numbers(found.train)) < 120


def test_the_rarest_class_keeps_one_at_least():
    assert unbalanced(split(), 0).train.labels.bincount().tolist()[-4:] == [1, 1, 1, 1]


def test_one_class_keeps_all():
    train = Part(torch.zeros(7, 1), torch.zeros(7, dtype=torch.int64))
    assert len(unbalanced(Split("toy", train, train, train, "mark", ("all",)), 0).train) == 7


# Both


@pytest.mark.parametrize("protocol", subsets.PROTOCOLS)
def test_several_labels_are_refused(protocol):
    train = Part(torch.zeros(3, 1), torch.eye(3, dtype=torch.int64))
    several = Split("toy", train, train, train, "mark", ("a", "b", "c"))
    with pytest.raises(ValueError, match=r"^toy must have one label an item, got several$"):
        subsets.PROTOCOLS[protocol](several, 0)


def test_pictures_stay_in_their_files(tmp_path):
    paths = [f"{number}.png" for number in range(24)]
    root = write_folder(tmp_path / "own", {path: picture(number) for number, path in enumerate(paths)})
    train = Part(Pictures(root, paths, paths, SIDE), torch.arange(24) % N_CLASSES)
    whole = Split("toy", train, train, train, "mark", NAMES)
    for found in (n_way(whole, 0, n_classes=3), unbalanced(whole, 0)):
        assert isinstance(found.train.inputs, Pictures) and found.database is found.train
        assert len(found.train.inputs[:]) == len(found.train)
    names = [path for path, label in zip(paths, train.labels, strict=True) if NAMES[label] in DRAWN]
    assert n_way(whole, 0, n_classes=3).train.inputs.paths.tolist() == names


def test_they_are_protocols_of_any_data_set():
    five = [datasets.load("digits", protocol="n_way_5", draw=draw) for draw in (0, 1)]
    assert [len(own.classes) for own in five] == [5, 5] and five[0].classes != five[1].classes
    assert five[0].fingerprint != five[1].fingerprint != datasets.fingerprint("digits")
    assert five[0].fingerprint == datasets.fingerprint("digits", 0, "n_way_5")
    whole = datasets.load("digits")
    names = [whole.classes[label] for label in whole.query.labels]
    assert len(five[0].query) == sum(name in five[0].classes for name in names)
    with pytest.raises(ValueError, match="20 classes are to be drawn, but digits has 10"):
        datasets.load("digits", protocol="n_way_20")
    counts = datasets.load("digits", protocol="unbalanced").train.labels.bincount()
    assert counts[0] > 90 * counts[-1] >= 90
