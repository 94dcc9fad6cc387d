"""Hash centers: how far apart they are, and what an item gets."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.linalg import hadamard

from qsmi_lib import losses
from qsmi_lib.losses import csq
from qsmi_lib.tests.losses import slow_losses as slow

MULTI_HOT = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 1], [1, 1, 1], [0, 0, 1], [0, 0, 0]])


def distances(codes):
    """Hamming distance of every two codes."""
    return [sum(a != b for a, b in zip(*pair, strict=True)) for pair in itertools.combinations(codes.tolist(), 2)]


@pytest.mark.parametrize(("n_classes", "bits"), [(1, 1), (2, 1), (4, 2), (10, 8), (32, 16), (10, 64)])
def test_hadamard_centers_are_half_of_the_bits_apart_or_opposite(n_classes, bits):
    centers = losses.hash_centers(n_classes, bits)
    expected = np.concatenate([hadamard(bits), -hadamard(bits)])[:n_classes]
    assert centers.dtype == torch.int8 and np.array_equal(centers, expected)
    assert set(distances(centers)) <= {bits // 2, bits}
    assert torch.equal(losses.hash_centers(n_classes, bits, seed=1), centers)


@pytest.mark.parametrize("bits", [12, 24, 48])
def test_ten_centers_are_half_of_the_bits_apart(bits):
    """At the paper's lengths, which are no powers of two; on average more than the Hadamard code."""
    centers = losses.hash_centers(10, bits)
    assert ((centers > 0).sum(dim=1) == bits // 2).all()
    assert min(distances(centers)) >= bits // 2 and np.mean(distances(centers)) > bits / 2


@pytest.mark.parametrize(("n_classes", "bits"), [(80, 48), (33, 16), (5, 3), (8, 3), (100, 7)])
def test_random_centers_are_distinct(n_classes, bits):
    centers = losses.hash_centers(n_classes, bits)
    assert centers.shape == (n_classes, bits) and set(centers.unique().tolist()) == {-1, 1}
    # For 80 classes of 48 bits (COCO) at least a third of the bits, as in the authors' tutorial.
    assert min(distances(centers)) >= (16 if bits == 48 else 1)
    if math.comb(bits, bits // 2) >= n_classes:  # there are enough words with half of the bits set
        assert ((centers > 0).sum(dim=1) == bits // 2).all()


def test_random_centers_depend_on_the_seed_alone():
    assert torch.equal(losses.hash_centers(10, 12, seed=3), losses.hash_centers(10, 12, seed=3))
    assert not torch.equal(losses.hash_centers(10, 12, seed=3), losses.hash_centers(10, 12, seed=4))


@pytest.mark.parametrize(("n_classes", "bits", "least"), [(3, 1, 2), (10, 3, 4), (1025, 10, 11)])
def test_an_error_says_how_many_bits_the_classes_need(n_classes, bits, least):
    message = f"{n_classes} classes need at least {least} bits .*, got {bits}"
    with pytest.raises(ValueError, match=message):
        losses.hash_centers(n_classes, bits)
    with pytest.raises(ValueError, match=message):
        losses.item_centers(torch.arange(n_classes), bits)


def test_an_item_has_the_center_of_its_class():
    labels = torch.tensor([2, 0, 0, 9])
    assert torch.equal(losses.item_centers(labels, 12, seed=3), losses.hash_centers(10, 12, seed=3)[labels])
    assert torch.equal(losses.item_centers(labels, 12, n_classes=11), losses.hash_centers(11, 12)[labels])
    assert torch.equal(csq.prepare(torch.zeros(4, 2), labels, 12, 3, {}), losses.item_centers(labels, 12, seed=3))


@pytest.mark.parametrize("bits", [8, 12])
def test_an_item_of_several_classes_has_the_majority_of_their_centers(bits):
    """The last item has no label: all its votes are even, so its code is the word that breaks even votes."""
    codes = losses.item_centers(MULTI_HOT, bits, seed=3)
    centers = losses.hash_centers(3, bits, seed=3).tolist()
    assert codes.tolist() == slow.majority(MULTI_HOT, centers, codes[-1].tolist())
    assert torch.equal(losses.item_centers(MULTI_HOT.bool(), bits, seed=3), codes)
    other = losses.item_centers(MULTI_HOT, 24, seed=4)[-1]
    assert not torch.equal(losses.item_centers(MULTI_HOT, 24, seed=3)[-1], other)


@pytest.mark.parametrize(
    ("n_classes", "bits", "least"), [(1000, 24, 6), (3000, 48, 12), (4096, 12, 1), (6000, 12, None), (9000, 2, None)]
)
def test_centers_of_thousands_of_classes(n_classes, bits, least):
    """All distinct and well apart. Where there are nearly as many classes as words, distinct is all they can be."""
    if least is None:
        with pytest.raises(ValueError, match=f"{n_classes} classes need at least .. bits"):
            losses.hash_centers(n_classes, bits)
        return
    centers = losses.hash_centers(n_classes, bits).float()
    distance = (bits - centers @ centers.T).div(2).fill_diagonal_(bits)
    assert centers.shape == (n_classes, bits) and distance.min() >= least


def test_more_classes_than_centers_can_be_found_for_is_one_error_that_names_the_bound():
    with pytest.raises(ValueError, match=r"at most 53509 classes .* got 200000"):
        losses.hash_centers(200_000, 48)


def test_centers_of_types_that_are_no_index():
    """PyTorch takes uint8 for a mask, and int8 for no index at all."""
    labels = torch.tensor([2, 0, 0, 9])
    for kind in (torch.uint8, torch.int8, torch.int32, torch.float32):
        assert torch.equal(losses.item_centers(labels.to(kind), 12), losses.item_centers(labels, 12))
    assert torch.equal(losses.hash_centers(np.int64(10), np.int64(64)), losses.hash_centers(10, 64))
    assert torch.equal(losses.hash_centers(10, 12, seed=np.uint8(3)), losses.hash_centers(10, 12, seed=3))
