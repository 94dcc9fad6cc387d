"""Rotations before the sign: ITQ, rotations in a plane, and the random search, which never lowers the mAP."""

from itertools import product

import numpy as np
import pytest

from qsmi_lib.evaluation import evaluate
from qsmi_lib.models import rotation
from qsmi_lib.models.rotation import itq, search, turn_in_plane


def random_rotation(bits, seed):
    """A rotation, determinant +1."""
    matrix = np.linalg.qr(np.random.default_rng(seed).normal(size=(bits, bits)))[0]
    matrix[:, 0] *= np.linalg.det(matrix)
    return matrix


def embeddings(seed, bits=6, n=60, n_class=4):
    """Points around the centres of classes, as from a trained network; queries, database, and their labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_class, size=n)
    points = rng.normal(size=(n_class, bits))[labels] + 0.5 * rng.normal(size=(n, bits))
    n_query = n // 4
    return points[:n_query], points[n_query:], labels[:n_query], labels[n_query:]


def score(query, database, query_labels, database_labels, matrix):
    """mAP of sgn(R h), the mean over all orders of ties."""
    codes = (np.where(part @ matrix >= 0, 1, -1) for part in (query, database))
    return evaluate(*codes, query_labels, database_labels).map_expected


def assert_rotation(matrix, bits):
    assert matrix.shape == (bits, bits) and matrix.dtype == np.float64
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(bits), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1)


# The search


@pytest.mark.parametrize("seed", range(6))
def test_the_search_never_lowers_the_map_from_any_start(seed):
    data, start = embeddings(seed), random_rotation(6, seed + 100)
    result = search(*data, start=start, n_steps=25, seed=seed)
    assert_rotation(result.rotation, 6)
    assert result.history.shape == (26,) and result.history.dtype == np.float64
    assert (np.diff(result.history) >= 0).all()
    assert result.before == score(*data, np.eye(6))
    assert result.history[0] == max(result.before, score(*data, start))
    assert result.history[-1] == pytest.approx(score(*data, result.rotation))


@pytest.mark.parametrize("start", ["itq", "identity"])
def test_a_named_start(start):
    data = embeddings(1)
    matrix = itq(data[1], seed=3) if start == "itq" else np.eye(6)
    result = search(*data, start=start, n_steps=0, seed=3)
    assert result.history.tolist() == [max(result.before, score(*data, matrix))]
    np.testing.assert_allclose(result.rotation, matrix if result.history[0] > result.before else np.eye(6))
    improved = search(*data, start=start, n_steps=40, seed=3)
    assert improved.history[-1] > improved.history[0] == result.history[0]


def test_a_start_that_lowers_the_map_is_not_used():
    words = np.array(list(product([-1.0, 1.0], repeat=2)))
    quarter = turn_in_plane(np.eye(2), np.pi / 4) + np.eye(2)
    data = words, words.repeat(3, axis=0) * [1.0, 1.3], np.arange(4), np.arange(4).repeat(3)
    result = search(*data, start=quarter, n_steps=0)
    assert score(*data, quarter) < result.before == result.history[0] == 1
    assert np.array_equal(result.rotation, np.eye(2))


@pytest.mark.parametrize("bits", [2, 3])
def test_codes_rotated_by_45_degrees_are_rotated_back(bits):
    """Four classes on the corners of a square; after the rotation they lie on the axes, where noise decides a bit."""
    rng, labels = np.random.default_rng(0), np.arange(60) % 4
    corners = np.array(list(product([-1.0, 1.0], repeat=2)))[labels] + 0.1 * rng.normal(size=(60, 2))
    rotated = corners @ (np.eye(2) + turn_in_plane(np.eye(2), np.pi / 4))
    points = np.concatenate([rotated, np.ones((60, bits - 2))], axis=1)
    result = search(points[:20], points[20:], labels[:20], labels[20:], start="identity", n_steps=120)
    assert result.before < 0.85 and result.history[-1] == 1
    assert_rotation(result.rotation, bits)


def test_a_seed_gives_the_same_search_in_any_order_of_the_database():
    query, database, query_labels, database_labels = embeddings(4)
    state, order = np.random.get_state()[1].tolist(), np.random.default_rng(0).permutation(len(database))
    copies = query.copy(), database.copy()
    first, again, other = (
        search(query.tolist(), database, query_labels, database_labels, start="identity", n_steps=20, seed=seed)
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first.rotation, again.rotation) and np.array_equal(first.history, again.history)
    assert not np.array_equal(first.rotation, other.rotation)
    shuffled = search(
        query, database[order], query_labels, database_labels[order], start="identity", n_steps=20, seed=1
    )
    np.testing.assert_allclose(first.rotation, shuffled.rotation, atol=1e-12)
    np.testing.assert_allclose(first.history, shuffled.history, rtol=1e-12)
    assert np.array_equal(query, copies[0]) and np.array_equal(database, copies[1])
    assert np.random.get_state()[1].tolist() == state


@pytest.mark.parametrize("start", ["itq", "identity", np.eye(1)])
def test_one_bit_cannot_be_rotated(start):
    result = search(*embeddings(0, bits=1), start=start, n_steps=10)
    assert result.rotation.tolist() == [[1.0]] and result.history.tolist() == [result.before]


@pytest.mark.parametrize("start", ["itq", "identity"])
def test_zero_embeddings(start):
    query, database, query_labels, database_labels = embeddings(0)
    result = search(0 * query, 0 * database, query_labels, database_labels, start=start, n_steps=5)
    assert_rotation(result.rotation, 6)
    assert set(result.history) == {result.before}
    database[::5] = 0
    result = search(query, database, query_labels, database_labels, start=start, n_steps=10)
    assert_rotation(result.rotation, 6)
    assert result.history[-1] >= result.before


def test_several_labels():
    query, database, *labels = embeddings(3)
    several = [np.stack([part % 2, part // 2, part == 1], axis=1).astype(int) for part in labels]
    result = search(query, database, *several, n_steps=25)
    assert (np.diff(result.history) >= 0).all()
    assert result.history[-1] == pytest.approx(score(query, database, *several, result.rotation))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 2 * np.eye(6)}, r"start must be a rotation \(6, 6\) of determinant \+1, got shape \(6, 6\)"),
        ({"start": np.diag([-1.0, 1, 1, 1, 1, 1])}, r"start must be a rotation \(6, 6\) of determinant \+1"),
        ({"start": np.eye(5)}, r"start must be a rotation \(6, 6\) .*, got shape \(5, 5\)"),
        ({"start": np.full((6, 6), np.nan)}, "start must be a rotation"),
        ({"start": "pca"}, "start must be 'itq', 'identity' or a rotation, got 'pca'"),
        ({"start": None}, "start must be 'itq', 'identity' or a rotation, got None"),
        ({"n_steps": -1}, "n_steps must be a whole number of at least 0, got -1"),
        ({"n_steps": 2.5}, "n_steps must be a whole number of at least 0, got 2.5"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        search(*embeddings(0), **options)


def test_wrong_embeddings_and_labels_are_refused():
    query, database, query_labels, database_labels = embeddings(0)
    for wrong in (query[0], query[:, :5]):
        with pytest.raises(ValueError, match=r"embeddings must have shape \(n, bits\), as many bits each, got "):
            search(wrong, database, query_labels, database_labels)
    with pytest.raises(ValueError, match="no query has anything relevant"):
        search(query, database, query_labels + 10, database_labels)
    with pytest.raises(ValueError, match="one row per code"):
        search(query, database, query_labels[1:], database_labels)
    for value in (np.nan, np.inf):
        query[0, 0] = value
        with pytest.raises(ValueError, match="embeddings must be finite"):
            search(query, database, query_labels, database_labels)


# Rotations in a plane


@pytest.mark.parametrize("seed", range(3))
def test_a_rotation_in_a_plane_changes_nothing_outside_the_plane(seed):
    basis, angle = random_rotation(6, seed), (0.7, -1.0, np.pi / 2)[seed]
    plane, others = basis[:, :2], basis[:, 2:]
    matrix = np.eye(6) + plane @ turn_in_plane(plane, angle)
    assert_rotation(matrix, 6)
    explicit = np.eye(6)
    cosine, sine = np.cos(angle), np.sin(angle)
    explicit[:2, :2] = [[cosine, -sine], [sine, cosine]]
    np.testing.assert_allclose(matrix, basis @ explicit @ basis.T, atol=1e-12)
    np.testing.assert_allclose(others.T @ matrix, others.T, atol=1e-12)


def test_the_angle_falls_from_one_radian_to_zero(monkeypatch):
    angles = []

    def note(plane, angle):
        angles.append(angle)
        return turn_in_plane(plane, angle)

    monkeypatch.setattr(rotation, "turn_in_plane", note)
    search(*embeddings(0), start="identity", n_steps=20)
    np.testing.assert_allclose(np.abs(angles), np.arange(20, 0, -1) / 20)
    assert len(set(np.sign(angles))) == 2


# ITQ


def quantization_error(points, matrix):
    rotated = points @ matrix
    return ((np.where(rotated >= 0, 1.0, -1.0) - rotated) ** 2).sum()


@pytest.mark.parametrize("bits", [1, 2, 7])
def test_itq_is_a_rotation_that_lowers_the_quantization_error_in_each_iteration(bits):
    points = np.random.default_rng(bits).normal(size=(80, bits)) * [3, 2, 1, 1, 0.5, 1, 2][:bits]
    rotations = [itq(points, n_iter=n, seed=bits) for n in range(20)]
    errors = [quantization_error(points, matrix) for matrix in rotations]
    assert_rotation(rotations[-1], bits)
    assert (np.diff(errors) <= 1e-9).all() and (bits == 1 or errors[-1] < errors[0])
    assert np.array_equal(itq(points, seed=1), itq(points, seed=1))


@pytest.mark.parametrize(("bits", "seed"), [(2, 0), (2, 1), (3, 0), (3, 1)])  # with more bits it may stop early
def test_itq_rotates_a_cube_back_to_its_axes(bits, seed):
    words, matrix = np.array(list(product([-1.0, 1.0], repeat=bits))), random_rotation(bits, seed)
    result = itq(words @ matrix, seed=seed)
    assert quantization_error(words @ matrix, result) == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(np.abs(matrix @ result).round(6).sum(axis=0), 1)  # axes are mapped onto axes


def test_a_negated_bit_changes_no_distance():
    """So a determinant of -1 may be corrected by negating a column."""
    query, database, *labels = embeddings(7)
    codes = [np.where(part >= 0, 1, -1) for part in (query, database)]
    negated = [part * [-1, 1, 1, 1, 1, 1] for part in codes]
    assert np.array_equal(codes[0] @ codes[1].T, negated[0] @ negated[1].T)
    assert evaluate(*codes, *labels).map == evaluate(*negated, *labels).map
