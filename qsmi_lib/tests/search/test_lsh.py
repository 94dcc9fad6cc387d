"""Hash tables against their definitions read aloud."""

import tracemalloc
from functools import partial

import numpy as np
import pytest

from qsmi_lib.search import lsh

BITS = (1, 8, 9, 33, 64)


@pytest.fixture(scope="module")
def features():
    """Queries and a database of the kind that HOG gives: not negative, not centred."""
    rng = np.random.default_rng(0)
    return rng.random((7, 5), np.float32), rng.random((40, 5), np.float32)


def slow_key(item, directions):
    """Bit k is on where the item lies on the positive side of plane k, or on it."""
    key = 0
    for k in range(directions.shape[1]):
        if sum(float(x) * float(r) for x, r in zip(item, directions[:, k], strict=True)) >= 0:
            key += 2**k
    return key


def slow_collisions(query, database, directions):
    """In how many tables the key of each item is the query's."""
    keys = [slow_key(query, table) for table in directions]
    return [sum(slow_key(item, t) == key for t, key in zip(directions, keys, strict=True)) for item in database]


def slow_answer(query, database, directions, k, ties):
    """A loop over the tables counts the items in the query's buckets; ties by the order of the loop, or by index."""
    met = {}
    for table in directions:
        for index, item in enumerate(database):
            if slow_key(item, table) == slow_key(query, table):
                met[index] = met.get(index, 0) + 1
    return sorted(met if ties == "table" else sorted(met), key=lambda index: -met[index])[:k]


@pytest.mark.parametrize("bits", BITS)
def test_keys(features, bits):
    query, database = features
    index = lsh.HashTables(database, bits, 3, seed=2)
    assert index.directions.shape == (3, 5, bits)
    assert index.keys(query).tolist() == [[slow_key(item, table) for item in query] for table in index.directions]
    np.testing.assert_array_equal(index.database_keys, index.keys(database))
    assert index.database_keys.dtype.itemsize == next(size for size in (1, 2, 4, 8) if bits <= 8 * size)


def test_a_point_on_a_plane_is_on_its_positive_side():
    assert lsh.HashTables(np.zeros((1, 4)), 3, 2).database_keys.tolist() == [[7], [7]]


@pytest.mark.parametrize("bits", [1, 9, 40])
def test_buckets_and_collisions(features, bits):
    query, database = features[0][:3], features[1][:25]
    index = lsh.HashTables(database, bits, 4, seed=1)
    expected = [slow_collisions(item, database, index.directions) for item in query]
    counts = index.collisions(query)
    assert counts.tolist() == expected
    for item, shared in zip(query, expected, strict=True):
        assert index.bucket(item).tolist() == np.flatnonzero(shared).tolist()
        for table, normals in enumerate(index.directions):
            inside = [i for i, other in enumerate(database) if slow_key(other, normals) == slow_key(item, normals)]
            assert index.bucket(item, table).tolist() == inside
    sizes = index.bucket_sizes(2)
    assert sizes.sum() == len(database) and (np.diff(sizes) <= 0).all()
    assert sizes[0] == np.unique(index.database_keys[2], return_counts=True)[1].max()


@pytest.mark.parametrize("ties", lsh.TIES)
@pytest.mark.parametrize(("bits", "k"), [(1, 1), (1, 60), (4, 10), (30, 10)])
def test_answers(features, bits, k, ties):
    query, database = features
    index = lsh.HashTables(database, bits, 3)
    answers = index.answers(query, k, ties=ties)
    assert answers.items.shape == answers.tables.shape == (len(query), k)
    for items, tables, item in zip(answers.items, answers.tables, query, strict=True):
        expected = slow_answer(item, database, index.directions, k, ties)
        assert items.tolist() == expected + [lsh.MISSING] * (k - len(expected))
        counts = slow_collisions(item, database, index.directions)
        assert tables.tolist() == [counts[i] for i in expected] + [0] * (k - len(expected))


def test_an_empty_bucket_is_an_empty_answer():
    index = lsh.HashTables([[1.0, 1.0]], 64, 3)
    assert index.bucket([-1.0, 1.0]).size == 0
    assert index.answers([[-1.0, 1.0]]).items.tolist() == [[lsh.MISSING] * 10]


def test_equal_items_share_every_bucket(features):
    index = lsh.HashTables(features[1], 20, 6)
    assert (np.diag(index.collisions(features[1])) == 6).all()


def test_seeds(features):
    query, database = features
    keys = {seed: lsh.HashTables(database, 6, 4, seed).keys(query) for seed in (0, 1)}
    np.testing.assert_array_equal(keys[0], lsh.HashTables(database, 6, 4).keys(query))
    np.testing.assert_array_equal(keys[0][:2], lsh.HashTables(database, 6, 2).keys(query))
    assert (keys[0] != keys[1]).any()


def test_parts_change_nothing(features, monkeypatch):
    query, database = features
    whole = lsh.HashTables(database, 5, 3)
    answers, near = whole.answers(query, ties="table"), lsh.by_angle(query, database)
    monkeypatch.setattr(lsh, "CHUNK", 1)
    monkeypatch.setattr(lsh, "ROWS", 3)
    parts = lsh.HashTables(database, 5, 3)
    np.testing.assert_array_equal(parts.database_keys, whole.database_keys)
    np.testing.assert_array_equal(parts.answers(query, ties="table"), answers)
    np.testing.assert_array_equal(lsh.by_angle(query, database), near)


def test_memory_stays_below_200_mb():
    rng = np.random.default_rng(0)
    index = lsh.HashTables(rng.random((60_000, 8), np.float32), 8, 16)
    query = rng.random((60, 8), np.float32)
    tracemalloc.start()
    index.answers(query, ties="table")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000_000


def test_more_than_255_tables_are_counted(features):
    index = lsh.HashTables(features[1], 1, 300)
    assert index.collisions(features[1])[0, 0] == 300


@pytest.mark.parametrize("k", [1, 5, 40])
def test_by_angle(features, k):
    query, database = features
    cosine = query @ database.T / np.outer(*(np.linalg.norm(part, axis=1) for part in features))
    expected = [sorted(range(len(row)), key=lambda i, row=row: -row[i])[:k] for row in cosine.astype(float)]
    assert lsh.by_angle(query, database, k).tolist() == expected


def test_by_angle_breaks_ties_by_index_and_survives_zeros():
    database = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [3.0, 0.0]]
    assert lsh.by_angle([[1.0, 0.0], [0.0, 0.0]], database, 3).tolist() == [[1, 3, 4], [0, 1, 2]]


@pytest.mark.parametrize(("angle", "bits", "tables"), [(0.4, 1, 1), (0.4, 4, 1), (1.2, 3, 5), (np.pi, 2, 3), (0, 9, 2)])
def test_collision_probability(angle, bits, tables):
    n = 3000
    index = lsh.HashTables([[1.0, 0.0]], bits, n * tables)
    query = [np.cos(angle), np.sin(angle)]
    met = (index.keys([query]) == index.database_keys).reshape(n, tables).any(axis=1).mean()
    expected = lsh.collision_probability(angle, bits, tables)
    assert abs(met - expected) <= 3.5 * np.sqrt(expected * (1 - expected) / n) + 1e-12


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bits": 0}, "bits must be a whole number from 1 to 64, got 0"),
        ({"bits": 65}, "bits must be .* from 1 to 64, got 65"),
        ({"bits": 8.0}, "bits must be a whole number"),
        ({"tables": 0}, "tables must be a whole number of at least 1, got 0"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"database": np.ones(3)}, r"database must have shape \(n, n_features\), got \(3,\)"),
        ({"database": np.ones((3, 0))}, r"got \(3, 0\)"),
        ({"database": np.ones((0, 3))}, "at least one item"),
        ({"database": [[np.nan, 1.0]]}, "database must be finite"),
        ({"database": [[1j, 1.0]]}, "database must be real numbers, got complex128"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        lsh.HashTables(**{"database": np.ones((3, 2)), "bits": 4, "tables": 2} | settings)


def test_wrong_queries_are_refused(features):
    query, database = features
    index = lsh.HashTables(database, 4, 2)
    for ask in (index.keys, index.collisions, index.answers):
        with pytest.raises(ValueError, match=r"features must have shape \(n, 5\), got \(7, 4\)"):
            ask(query[:, :4])
    with pytest.raises(ValueError, match=r"shape \(n, 5\), got \(1, 4\)"):
        index.bucket(query[0, :4])
    for table in (2, -1, 0.5):
        for ask in (partial(index.bucket, query[0]), index.bucket_sizes):
            with pytest.raises(ValueError, match=f"table must be .* from 0 to 1, got {table}"):
                ask(table)
    with pytest.raises(ValueError, match="features must be real numbers, got complex"):
        index.keys(query + np.complex64(1j))
    with pytest.raises(ValueError, match="features must be real numbers, got <U1"):
        index.keys(np.full(query.shape, "a"))
    for k in (0, 2.5, True):
        with pytest.raises(ValueError, match=f"k must be a whole number of at least 1, got {k}"):
            index.answers(query, k)
    with pytest.raises(ValueError, match="got 'tables'"):
        index.answers(query, ties="tables")
    with pytest.raises(ValueError, match=r"queries must have shape \(n, 5\), got \(7, 4\)"):
        lsh.by_angle(query[:, :4], database)
    with pytest.raises(ValueError, match=r"k must be .* from 1 to 40, got 41"):
        lsh.by_angle(query, database, 41)
