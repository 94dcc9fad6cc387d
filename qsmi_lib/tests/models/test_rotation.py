"""Rotations before the sign: ITQ, turns in a plane, and the search, which never loses what it has."""

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
    """Points around the centres of classes, as a trained network leaves them; queries, database, and their labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_class, size=n)
    points = rng.normal(size=(n_class, bits))[labels] + 0.5 * rng.normal(size=(n, bits))
    n_query = n // 4
    return points[:n_query], points[n_query:], labels[:n_query], labels[n_query:]


def score(query, database, query_labels, database_labels, turn):
    """mAP of sgn(R h), any order of ties being as likely."""
    codes = (np.where(part @ turn >= 0, 1, -1) for part in (query, database))
    return evaluate(*codes, query_labels, database_labels).map_expected


def assert_rotation(matrix, bits):
    assert matrix.shape == (bits, bits) and matrix.dtype == np.float64
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(bits), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1)


# The search


@pytest.mark.parametrize("seed", range(20))
def test_the_search_never_lowers_the_map_whatever_the_start(seed):
    data, start = embeddings(seed), random_rotation(6, seed + 100)
    found = search(*data, start=start, n_steps=25, seed=seed)
    assert_rotation(found.rotation, 6)
    assert found.history.shape == (26,) and found.history.dtype == np.float64
    assert (np.diff(found.history) >= 0).all()
    assert found.before == score(*data, np.eye(6))
    assert found.history[0] == max(found.before, score(*data, start))
    assert found.history[-1] == pytest.approx(score(*data, found.rotation))
    assert found.history[-1] >= found.before


def test_the_search_improves_on_its_starts():
    gains = [np.ptp(search(*embeddings(seed), n_steps=40, seed=seed).history) for seed in range(5)]
    assert min(gains) > 0


@pytest.mark.parametrize("start", ["itq", "identity"])
def test_a_named_start(start):
    data = embeddings(1)
    matrix = itq(data[1], seed=3) if start == "itq" else np.eye(6)
    found = search(*data, start=start, n_steps=0, seed=3)
    assert found.history.tolist() == [max(found.before, score(*data, matrix))]
    used = matrix if found.history[0] > found.before else np.eye(6)
    np.testing.assert_allclose(found.rotation, used)


def test_the_usual_start_is_itq():
    data = embeddings(2)
    usual, named = (search(*data, n_steps=5, **options) for options in ({}, {"start": "itq"}))
    assert np.array_equal(usual.rotation, named.rotation)


def test_a_start_that_is_worse_than_none_is_left():
    words = np.array(list(product([-1.0, 1.0], repeat=2)))
    quarter = turn_in_plane(np.eye(2), np.pi / 4) + np.eye(2)
    data = words, words.repeat(3, axis=0) * [1.0, 1.3], np.arange(4), np.arange(4).repeat(3)
    found = search(*data, start=quarter, n_steps=0)
    assert score(*data, quarter) < found.before == found.history[0] == 1
    assert np.array_equal(found.rotation, np.eye(2))


@pytest.mark.parametrize("bits", [2, 3])
def test_codes_turned_by_45_degrees_are_turned_back(bits):
    """Four classes on the corners of a square; after the turn they lie on the axes, where noise decides a bit."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 4
    corners = np.array(list(product([-1.0, 1.0], repeat=2)))[labels] + 0.1 * rng.normal(size=(120, 2))
    turned = corners @ (np.eye(2) + turn_in_plane(np.eye(2), np.pi / 4))
    points = np.concatenate([turned, np.ones((120, bits - 2))], axis=1)
    found = search(points[:40], points[40:], labels[:40], labels[40:], start="identity", n_steps=200)
    assert found.before < 0.8 and found.history[-1] == 1
    assert_rotation(found.rotation, bits)
    if bits == 2:  # back by 45 degrees, or that and quarter turns, but for the width of the noise
        angle = np.arctan2(found.rotation[1, 0], found.rotation[0, 0])
        assert abs((angle % (np.pi / 2)) - np.pi / 4) < 0.6


def test_one_seed_is_one_search():
    data = embeddings(4)
    first, again, other = (search(*data, n_steps=30, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.rotation, again.rotation) and np.array_equal(first.history, again.history)
    assert not np.array_equal(first.rotation, other.rotation)


def test_the_global_generator_is_left_alone():
    before = np.random.get_state()[1].tolist()
    search(*embeddings(0), n_steps=3)
    assert np.random.get_state()[1].tolist() == before


def test_the_order_of_the_database_does_not_count():
    query, database, query_labels, database_labels = embeddings(5)
    order = np.random.default_rng(0).permutation(len(database))
    one = search(query, database, query_labels, database_labels, start="identity", n_steps=30)
    two = search(query, database[order], query_labels, database_labels[order], start="identity", n_steps=30)
    np.testing.assert_allclose(one.rotation, two.rotation, atol=1e-12)
    np.testing.assert_allclose(one.history, two.history, rtol=1e-12)


@pytest.mark.parametrize("start", ["itq", "identity", np.eye(1)])
def test_one_bit_has_nothing_to_turn(start):
    query, database, query_labels, database_labels = embeddings(0, bits=1)
    found = search(query, database, query_labels, database_labels, start=start, n_steps=10)
    assert found.rotation.tolist() == [[1.0]]
    assert found.history.tolist() == [found.before]


@pytest.mark.parametrize("start", ["itq", "identity"])
def test_zero_embeddings_have_one_code(start):
    query, database, query_labels, database_labels = embeddings(0)
    found = search(0 * query, 0 * database, query_labels, database_labels, start=start, n_steps=5)
    assert_rotation(found.rotation, 6)
    assert set(found.history) == {found.before}


def test_some_zero_embeddings():
    query, database, query_labels, database_labels = embeddings(0)
    database[::5] = 0
    found = search(query, database, query_labels, database_labels, n_steps=20)
    assert_rotation(found.rotation, 6)
    assert found.history[-1] >= found.before


def test_several_labels():
    query, database, query_labels, database_labels = embeddings(3)
    several = [np.stack([own % 2, own // 2, own == 1], axis=1).astype(int) for own in (query_labels, database_labels)]
    found = search(query, database, *several, n_steps=25)
    assert (np.diff(found.history) >= 0).all()
    assert found.history[-1] == pytest.approx(score(query, database, *several, found.rotation))


def test_float32_lists_and_inputs_are_left_as_they_are():
    data = embeddings(6)
    data = tuple(part.astype(np.float32) for part in data[:2]) + data[2:]
    copies = [part.copy() for part in data]
    expected = search(*data, n_steps=10)
    assert np.array_equal(search(*(part.tolist() for part in data), n_steps=10).rotation, expected.rotation)
    assert all(np.array_equal(part, was) for part, was in zip(data, copies, strict=True))


REFLECTION = np.diag([-1.0, 1, 1, 1, 1, 1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 2 * np.eye(6)}, r"start must be a rotation \(6, 6\) of determinant \+1, got shape \(6, 6\)"),
        ({"start": REFLECTION}, r"start must be a rotation \(6, 6\) of determinant \+1"),
        ({"start": np.eye(5)}, r"start must be a rotation \(6, 6\) .*, got shape \(5, 5\)"),
        ({"start": np.eye(6)[:, :5]}, r"start must be a rotation \(6, 6\) .*, got shape \(6, 5\)"),
        ({"start": np.full((6, 6), np.nan)}, "start must be a rotation"),
        ({"start": "pca"}, "start must be 'itq', 'identity' or a rotation, got 'pca'"),
        ({"start": None}, "start must be 'itq', 'identity' or a rotation, got None"),
        ({"n_steps": -1}, "n_steps must be a whole number of at least 0, got -1"),
        ({"n_steps": 2.5}, "n_steps must be a whole number of at least 0, got 2.5"),
    ],
)
def test_what_is_no_rotation_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        search(*embeddings(0), **options)


@pytest.mark.parametrize("start", ["identity", "itq"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_embeddings_that_are_not_finite_are_refused(start, value):
    query, *others = embeddings(0)
    query[0, 0] = value
    with pytest.raises(ValueError, match="embeddings must be finite"):
        search(query, *others, start=start)


def test_embeddings_of_another_shape_are_refused():
    query, database, *labels = embeddings(0)
    for wrong in (query[0], query[:, :5]):
        with pytest.raises(ValueError, match=r"embeddings must have shape \(n, bits\), as many bits each, got "):
            search(wrong, database, *labels)


def test_what_evaluate_refuses_is_refused():
    query, database, query_labels, database_labels = embeddings(0)
    with pytest.raises(ValueError, match="no query has anything relevant"):
        search(query, database, query_labels + 10, database_labels, start="identity")
    with pytest.raises(ValueError, match="one row per code"):
        search(query, database, query_labels[1:], database_labels, start="identity")


# Turns in a plane


@pytest.mark.parametrize("angle", [0.0, 0.3, -1.0, np.pi / 2])
def test_a_turn_of_two_axes_is_the_known_matrix(angle):
    c, s = np.cos(angle), np.sin(angle)
    plane = np.eye(3)[:, :2]
    turned = np.eye(3) + plane @ turn_in_plane(plane, angle)
    np.testing.assert_allclose(turned, [[c, -s, 0], [s, c, 0], [0, 0, 1]], atol=1e-15)


@pytest.mark.parametrize("seed", range(5))
def test_a_turn_is_a_rotation_that_leaves_all_that_is_not_in_the_plane(seed):
    basis, angle = random_rotation(6, seed), 0.7
    plane, beside = basis[:, :2], basis[:, 2:]
    turned = np.eye(6) + plane @ turn_in_plane(plane, angle)
    assert_rotation(turned, 6)
    explicit = np.eye(6)
    explicit[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    np.testing.assert_allclose(turned, basis @ explicit @ basis.T, atol=1e-12)
    np.testing.assert_allclose(beside.T @ turned, beside.T, atol=1e-12)
    for vector in plane.T:
        assert vector @ turned @ vector == pytest.approx(np.cos(angle))


def test_the_step_falls_from_one_radian_to_nothing(monkeypatch):
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
    turned = points @ matrix
    return ((np.where(turned >= 0, 1.0, -1.0) - turned) ** 2).sum()


@pytest.mark.parametrize("bits", [1, 2, 7])
def test_itq_is_a_rotation(bits):
    points = np.random.default_rng(0).normal(size=(50, bits))
    assert_rotation(itq(points), bits)
    assert np.array_equal(itq(points, seed=1), itq(points, seed=1))


@pytest.mark.parametrize("seed", range(4))
def test_the_quantization_error_of_itq_never_rises(seed):
    points = np.random.default_rng(seed).normal(size=(80, 5)) * [3, 2, 1, 1, 0.5]
    errors = [quantization_error(points, itq(points, n_iter=n, seed=seed)) for n in range(20)]
    assert (np.diff(errors) <= 1e-9).all() and errors[-1] < errors[0]


@pytest.mark.parametrize(("bits", "seed"), [(2, 0), (2, 1), (2, 2), (3, 0), (3, 1)])  # it may stop short in more bits
def test_itq_turns_a_cube_back_to_its_axes(bits, seed):
    words = np.array(list(product([-1.0, 1.0], repeat=bits)))
    turn = random_rotation(bits, seed)
    found = itq(words @ turn, seed=seed)
    assert quantization_error(words @ turn, found) == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(np.abs(turn @ found).round(6).sum(axis=0), 1)  # axes onto axes


def test_a_negated_bit_leaves_every_distance():
    """Why a determinant of -1 may be mended by negating a column."""
    query, database, query_labels, database_labels = embeddings(7)
    codes = [np.where(part >= 0, 1, -1) for part in (query, database)]
    negated = [part * [-1, 1, 1, 1, 1, 1] for part in codes]
    assert np.array_equal(codes[0] @ codes[1].T, negated[0] @ negated[1].T)
    labels = query_labels, database_labels
    assert evaluate(*codes, *labels).map == evaluate(*negated, *labels).map
