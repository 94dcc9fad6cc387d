"""The checks of numbers and names that all modules use."""

import math

import numpy as np
import pytest

from qsmi_lib.utils.validation import (
    known,
    known_names,
    non_negative_number,
    positive_number,
    whole_number,
    whole_numbers,
)


@pytest.mark.parametrize("wrong", [0, -1, 1.0, True, "1", None, math.nan])
def test_whole_numbers_have_a_least_value(wrong):
    with pytest.raises(ValueError, match=f"bits must be a whole number of at least 1, got {wrong!r}"):
        whole_number("bits", wrong, 1)


def test_whole_numbers_may_have_a_largest_value_and_be_numpys():
    assert whole_number("k", np.int64(5), 1, 5) == 5 and type(whole_number("k", np.int64(5), 1)) is int
    with pytest.raises(ValueError, match="k must be a whole number from 1 to 5, got 6"):
        whole_number("k", 6, 1, 5)


def test_finite_numbers():
    assert positive_number("sigma", np.float32(0.5)) == 0.5 and non_negative_number("alpha", 0) == 0.0
    for wrong in (math.nan, math.inf, -1.0, "1", None):
        with pytest.raises(ValueError, match=f"sigma must be .* above 0, got {wrong!r}"):
            positive_number("sigma", wrong)
        with pytest.raises(ValueError, match=f"alpha must be .* at least 0, got {wrong!r}"):
            non_negative_number("alpha", wrong)
    with pytest.raises(ValueError, match="above 0, got 0"):
        positive_number("sigma", 0)


def test_an_unknown_name_lists_the_known():
    assert known("method", {"qsmi": 1}, "qsmi") == 1
    with pytest.raises(ValueError, match="unknown method 'qmsi'; known: dsh, qsmi"):
        known("method", {"qsmi": 1, "dsh": 2}, "qmsi")
    with pytest.raises(ValueError, match="unknown method \\['qsmi'\\]; known: qsmi"):
        known("method", {"qsmi": 1}, ["qsmi"])


def test_one_value_is_a_list_of_one():
    assert whole_numbers("bits", 12, 1) == [12] and whole_numbers("bits", (12, np.int64(48)), 1, 64) == [12, 48]
    assert known_names("method", {"qsmi": 1}, "qsmi") == known_names("method", {"qsmi": 1}, ("qsmi",)) == ["qsmi"]


@pytest.mark.parametrize("wrong", ["12", "[12, 48]", [12, "48"], [12, [48]], [0], [65], [], None, 12.0])
def test_each_of_several_whole_numbers_is_checked(wrong):
    with pytest.raises(ValueError, match="bits"):
        whole_numbers("bits", wrong, 1, 64)


@pytest.mark.parametrize("wrong", ["lsh", ["qsmi", "lsh"], [["qsmi"]], [], 3])
def test_each_of_several_names_is_checked(wrong):
    with pytest.raises(ValueError, match="method"):
        known_names("method", {"qsmi": 1}, wrong)
