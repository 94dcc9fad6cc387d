"""Exact nearest neighbours against a sort of all distances."""

import numpy as np
import pytest

from qsmi_lib.evaluation import neighbors
from qsmi_lib.evaluation.neighbors import nearest, nearest_others


@pytest.mark.parametrize("bits", [1, 3, 12, 200])
def test_neighbours_are_in_the_order_of_distance_and_index(bits, monkeypatch):
    rng = np.random.default_rng(bits)
    query, database = (rng.choice(np.array([-1, 1], np.int8), (n, bits)) for n in (7, 40))
    distances = (query[:, None] != database).sum(axis=2)
    expected = np.argsort(distances, axis=1, kind="stable")
    for k in (1, 5, 40):
        np.testing.assert_array_equal(nearest(query, database, k), expected[:, :k])
    monkeypatch.setattr(neighbors, "ROWS", 3)
    np.testing.assert_array_equal(nearest(query, database, 5), expected[:, :5])


def test_a_code_is_not_its_own_neighbour():
    codes = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (30, 3))  # with many equal codes
    distances = (codes[:, None] != codes).sum(axis=2)
    np.fill_diagonal(distances, 99)
    for k in (1, 4, 29):
        np.testing.assert_array_equal(nearest_others(codes, k), np.argsort(distances, axis=1, kind="stable")[:, :k])
