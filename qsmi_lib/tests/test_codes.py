"""Signs of embeddings, packing at every length, and statistics of codes."""

import json
import math
from collections import Counter
from itertools import product

import numpy as np
import pytest
import torch

from qsmi_lib.codes import binarize, code_statistics, entropy, pack, unpack


def random_codes(n, bits):
    return np.random.default_rng(bits).choice(np.array([-1, 1], np.int8), (n, bits))


# Signs


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_binarize_maps_both_zeros_to_plus_one(dtype):
    codes = binarize(torch.tensor([[0.0, -0.0, 0.5, -0.5], [2.0, -3.0, torch.inf, -torch.inf]], dtype=dtype))
    assert codes.dtype == torch.int8
    assert codes.tolist() == [[1, 1, 1, -1], [1, -1, 1, -1]]


def test_binarize_takes_arrays_and_codes_and_does_not_change_them():
    embeddings = np.array([[-0.25, 0.0], [4.0, -4.0]])
    before = embeddings.copy()
    codes = binarize(embeddings)
    assert codes.tolist() == [[-1, 1], [1, -1]]
    assert torch.equal(binarize(codes), codes)
    np.testing.assert_array_equal(embeddings, before)
    assert not binarize(torch.ones(2, 3, requires_grad=True)).requires_grad


@pytest.mark.parametrize(
    ("embeddings", "message"),
    [
        (torch.tensor([[0.0, torch.nan]]), "NaN"),
        (torch.zeros(3), r"\(n, bits\) .* got \(3,\)"),
        (torch.zeros(2, 3, 4), r"\(n, bits\) .* got \(2, 3, 4\)"),
        (torch.zeros(3, 0), r"at least one bit, got \(3, 0\)"),
    ],
)
def test_what_has_no_code_is_named(embeddings, message):
    with pytest.raises(ValueError, match=f"embeddings must .*{message}"):
        binarize(embeddings)


# Packing


@pytest.mark.parametrize("bits", [1, 7, 8, 9, 48, 63, 64, 65, 128, 200])
def test_packed_codes_can_be_unpacked_and_keep_their_distances(bits):
    """The padding is equal in all codes, so that it adds nothing to a distance."""
    codes = random_codes(9, bits)
    codes[0], codes[1] = -1, 1
    words = pack(codes)
    assert words.dtype == np.uint64 and words.shape == (9, -(-bits // 64))
    assert unpack(words, bits).dtype == np.int8
    np.testing.assert_array_equal(unpack(words, bits), codes)
    distances = np.unpackbits((words[:, None] ^ words[None, :]).view(np.uint8), axis=2).sum(axis=2)
    np.testing.assert_array_equal(distances, (codes[:, None] != codes[None, :]).sum(axis=2))


def test_pack_takes_no_items():
    assert pack(np.ones((0, 12), np.int8)).shape == (0, 1)


# Statistics


def slow_entropy(values):
    """Entropy of the frequencies of the values, in bits."""
    counts = Counter(values).values()
    return sum(-n / sum(counts) * math.log2(n / sum(counts)) for n in counts)


@pytest.mark.parametrize(
    ("codes", "expected"),  # mean of each bit, entropy of a bit and of a code, number of codes
    [
        (np.full((7, 3), -1), ([-1] * 3, 0.0, 0.0, 1)),
        (np.array([[1, -1]]), ([1, -1], 0.0, 0.0, 1)),
        (np.array(list(product([-1, 1], repeat=3))), ([0] * 3, 1.0, 3.0, 8)),
        (np.repeat([[1] * 5, [-1] * 5], 10, axis=0), ([0] * 5, 1.0, 1.0, 2)),  # balanced bits that repeat each other
    ],
    ids=["constant", "one item", "every word", "repeated bits"],
)
def test_statistics_of_codes_with_known_entropies(codes, expected):
    assert tuple(code_statistics(codes.astype(np.int8)).values()) == expected


@pytest.mark.parametrize("bits", [1, 5, 64, 65, 130])
def test_statistics_of_random_codes(bits):
    codes = random_codes(6, bits)[np.random.default_rng(0).integers(6, size=200)]
    statistics = code_statistics(codes)
    assert statistics["bit_mean"] == pytest.approx(codes.mean(axis=0).tolist())
    assert statistics["bit_entropy"] == pytest.approx(np.mean([slow_entropy(bit.tolist()) for bit in codes.T]))
    assert statistics["code_entropy"] == pytest.approx(slow_entropy(map(tuple, codes.tolist())))
    assert statistics["n_distinct"] == len(set(map(tuple, codes.tolist())))
    assert json.loads(json.dumps(statistics)) == statistics


def test_entropy_of_a_certain_event_is_not_minus_0():
    assert str(entropy(np.array([1.0, 0.0]))) == "0.0"
    assert entropy(np.full(8, 1 / 8)) == 3.0
