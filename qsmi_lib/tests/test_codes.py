"""`binarize` never gives a third value; packing is exact at every length."""

import numpy as np
import pytest
import torch

from qsmi_lib.codes import binarize, pack, unpack


def test_binarize_maps_both_zeros_to_plus_one():
    codes = binarize(torch.tensor([[0.0, -0.0, 1e-30, -1e-30], [2.0, -3.0, torch.inf, -torch.inf]]))
    assert codes.dtype == torch.int8
    assert codes.tolist() == [[1, 1, 1, -1], [1, -1, 1, -1]]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_binarize_takes_every_precision(dtype):
    assert binarize(torch.tensor([[-0.5, 0.0, 0.5]], dtype=dtype)).tolist() == [[-1, 1, 1]]


def test_binarize_takes_arrays_and_leaves_them_alone():
    embeddings = np.array([[-0.25, 0.0], [4.0, -4.0]])
    kept = embeddings.copy()
    codes = binarize(embeddings)
    assert codes.tolist() == [[-1, 1], [1, -1]]
    assert torch.equal(binarize(codes), codes)
    np.testing.assert_array_equal(embeddings, kept)


def test_binarize_is_blind_to_length():
    embeddings = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(binarize(embeddings), binarize(3 * embeddings))


def test_binarize_has_no_gradient():
    assert not binarize(torch.ones(2, 3, requires_grad=True)).requires_grad


@pytest.mark.parametrize(
    ("embeddings", "message"),
    [
        (torch.tensor([[0.0, torch.nan]]), "embeddings must not be NaN"),
        (torch.zeros(3), r"embeddings must have shape \(n, bits\) .* got \(3,\)"),
        (torch.zeros(2, 3, 4), r"embeddings must have shape \(n, bits\) .* got \(2, 3, 4\)"),
        (torch.zeros(3, 0), r"at least one bit, got \(3, 0\)"),
    ],
)
def test_binarize_refuses(embeddings, message):
    with pytest.raises(ValueError, match=message):
        binarize(embeddings)


@pytest.mark.parametrize("bits", [1, 2, 7, 8, 9, 12, 48, 63, 64, 65, 127, 128, 200])
def test_pack_and_unpack(bits):
    codes = np.random.default_rng(bits).choice(np.array([-1, 1], np.int8), (9, bits))
    codes[0], codes[1] = -1, 1
    words = pack(codes)
    assert words.dtype == np.uint64
    assert words.shape == (9, -(-bits // 64))
    assert unpack(words, bits).dtype == np.int8
    np.testing.assert_array_equal(unpack(words, bits), codes)


@pytest.mark.parametrize("bits", [1, 63, 64, 65, 200])
def test_words_keep_the_hamming_distance(bits):
    """The padding is equal in all codes, so that it never counts."""
    codes = np.random.default_rng(bits).choice(np.array([-1, 1], np.int8), (6, bits))
    words = pack(codes)
    differing = np.unpackbits((words[:, None] ^ words[None, :]).view(np.uint8), axis=2).sum(axis=2)
    np.testing.assert_array_equal(differing, (codes[:, None] != codes[None, :]).sum(axis=2))


def test_pack_takes_no_items():
    assert pack(np.ones((0, 12), np.int8)).shape == (0, 1)
