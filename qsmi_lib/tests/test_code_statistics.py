"""What a set of codes is like: cases whose balance and entropies are known, and slow definitions."""

import json
import math
from collections import Counter
from itertools import product

import numpy as np
import pytest

from qsmi_lib.codes import code_statistics, entropy


def slow_entropy(values):
    """Of the shares in which values come, in bits."""
    counts = Counter(values).values()
    return sum(-n / sum(counts) * math.log2(n / sum(counts)) for n in counts)


@pytest.mark.parametrize("value", [-1, 1])
def test_constant_codes_say_nothing(value):
    assert code_statistics(np.full((7, 3), value, np.int8)) == {
        "bit_mean": [value] * 3,
        "bit_entropy": 0.0,
        "code_entropy": 0.0,
        "n_distinct": 1,
    }


def test_every_word_once_says_all_there_is():
    words = np.array(list(product([-1, 1], repeat=3)), np.int8)
    assert code_statistics(words) == {"bit_mean": [0] * 3, "bit_entropy": 1.0, "code_entropy": 3.0, "n_distinct": 8}


def test_one_item():
    found = code_statistics(np.array([[1, -1]], np.int8))
    assert found == {"bit_mean": [1, -1], "bit_entropy": 0.0, "code_entropy": 0.0, "n_distinct": 1}


def test_balanced_bits_that_repeat_each_other():
    """Every bit is balanced, and all of them say the same one."""
    found = code_statistics(np.repeat([[1] * 5, [-1] * 5], 10, axis=0))
    assert (found["bit_entropy"], found["code_entropy"], found["n_distinct"]) == (1.0, 1.0, 2)


def test_a_bit_that_is_set_in_a_quarter():
    found = code_statistics(np.array([[1, 1], [-1, 1], [-1, 1], [-1, 1]]))
    assert found["bit_mean"] == [-0.5, 1.0]
    assert found["bit_entropy"] == pytest.approx((0.25 * 2 + 0.75 * math.log2(4 / 3)) / 2)


@pytest.mark.parametrize("bits", [1, 5, 64, 65, 130])
def test_random_codes(bits):
    rng = np.random.default_rng(bits)
    words = rng.choice([-1, 1], (6, bits)).astype(np.int8)
    codes = words[rng.integers(6, size=200)]
    found = code_statistics(codes)
    assert found["bit_mean"] == pytest.approx(codes.mean(axis=0).tolist())
    assert found["bit_entropy"] == pytest.approx(np.mean([slow_entropy(bit.tolist()) for bit in codes.T]))
    assert found["code_entropy"] == pytest.approx(slow_entropy(map(tuple, codes.tolist())))
    assert found["n_distinct"] == len(set(map(tuple, codes.tolist())))
    assert json.loads(json.dumps(found)) == found


def test_a_code_cannot_say_more_than_its_bits_or_than_there_are_items():
    codes = np.random.default_rng(0).choice([-1, 1], (50, 4))
    found = code_statistics(codes)
    assert found["code_entropy"] <= 4 * found["bit_entropy"] + 1e-12
    assert found["code_entropy"] <= math.log2(found["n_distinct"]) <= math.log2(50)


def test_entropy_of_nothing_sure():
    assert str(entropy(np.array([1.0, 0.0]))) == "0.0"  # and not -0.0
    assert entropy(np.full(8, 1 / 8)) == 3.0
