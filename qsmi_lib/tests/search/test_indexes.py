"""Indexes of faiss: the flat one against the evaluator's kernel, the others against the flat one; lengths; errors."""

import numpy as np
import pytest

from qsmi_lib.evaluation import evaluate
from qsmi_lib.search import indexes
from qsmi_lib.search.indexes import KINDS, OUTSIDE, CodeIndex

pytest.importorskip("faiss")
LENGTHS = (1, 12, 48, 65)


def codes(n, bits, seed=0):
    return np.random.default_rng(seed).choice(np.array([-1, 1], np.int8), (n, bits))


def distances(query, database):
    return (query[:, None] != database).sum(axis=2)


@pytest.mark.parametrize("bits", LENGTHS)
def test_the_flat_index_finds_the_nearest(bits):
    database, query = codes(300, bits), codes(10, bits, 1)
    answers = CodeIndex(database).search(query, 25)
    every = distances(query, database)
    assert (answers.distances == np.sort(every, axis=1)[:, :25]).all()
    assert (np.take_along_axis(every, answers.items, axis=1) == answers.distances).all()
    assert all(len(set(row)) == 25 for row in answers.items.tolist())


@pytest.mark.parametrize("bits", [12, 65])
def test_the_flat_indexs_distances_are_the_evaluators(bits):
    """How relevant and other pairs are spread over the distances, by the index and by the evaluator's kernel."""
    database, query = codes(200, bits), codes(20, bits, 1)
    labels, query_labels = np.arange(200) % 4, np.arange(20) % 4
    answers = CodeIndex(database).search(query, 200)
    relevant = labels[answers.items] == query_labels[:, None]
    counts = [
        np.bincount(answers.distances[pairs], minlength=bits + 1) / pairs.sum() for pairs in (relevant, ~relevant)
    ]
    scored = evaluate(query, database, query_labels, labels)
    assert scored.share_by_distance == pytest.approx(np.stack(counts, axis=1), abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", LENGTHS)
def test_every_distance_is_right_and_an_item_finds_itself(kind, bits):
    database = codes(300, bits)
    answers = CodeIndex(database, kind).search(database, 3)
    every, hit = distances(database, database), answers.items != OUTSIDE
    assert (np.take_along_axis(every, np.maximum(answers.items, 0), axis=1) == answers.distances)[hit].all()
    assert (answers.distances[:, 0] == 0).all() and (answers.distances[~hit] == OUTSIDE).all()


def test_the_graph_finds_nearly_all_of_well_spread_codes():
    words = codes(20, 48)
    rng = np.random.default_rng(1)
    database = words[np.arange(2000) % 20] * np.where(rng.random((2000, 48)) < 0.1, -1, 1).astype(np.int8)
    query = database[::50]
    flat, graph = (CodeIndex(database, kind).search(query, 10).distances for kind in ("flat", "hnsw"))
    assert (flat == graph).mean() > 0.95


def test_tables_use_only_bits_of_the_code():
    """12 bits fill two bytes; a table that looked at the four added ones would put all items into one bucket."""
    database = codes(400, 12)
    answers = CodeIndex(database, "multihash", tables=3, substring=4, flips=0).search(database[:1], 400)
    shares_a_substring = [
        any((code[start : start + 4] == database[0, start : start + 4]).all() for start in (0, 4, 8))
        for code in database
    ]
    assert set(answers.items[answers.items != OUTSIDE].tolist()) == set(np.flatnonzero(shares_a_substring).tolist())


@pytest.mark.parametrize("bits", LENGTHS)
def test_octets_add_no_distance(bits):
    one, other = codes(2, bits)
    differing = np.unpackbits(indexes.octets(one[None]) ^ indexes.octets(other[None])).sum()
    assert differing == (one != other).sum() and indexes.octets(one[None]).shape == (1, -(-bits // 8))


def test_one_item_and_all_alike():
    for kind in KINDS:
        assert CodeIndex(np.ones((1, 16)), kind).search(np.ones((2, 16)), 1).items.tolist() == [[0], [0]]
        answers = CodeIndex(np.ones((30, 16)), kind).search(-np.ones((1, 16)), 5)
        assert set(answers.distances.ravel().tolist()) <= {16, OUTSIDE}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CodeIndex(np.ones((3, 8)), "tree"), "unknown index 'tree'; known: flat, hnsw, multihash"),
        (lambda: CodeIndex(np.ones((3, 8)), "flat", tables=2), "unknown setting of flat 'tables'; known: "),
        (lambda: CodeIndex(np.ones((3, 8)), "hnsw", efort=2), "unknown setting of hnsw 'efort'; known: effort, nei"),
        (
            lambda: CodeIndex(np.ones((3, 8)), "multihash", tables=0),
            "tables must be a whole number of at least 1, got 0",
        ),
        (lambda: CodeIndex(np.ones((3, 8)), "multihash", tables=3, substring=3), "a code of 9, got 8 bits"),
        (lambda: CodeIndex(np.ones((0, 8))), "codes must have shape .* got .0, 8."),
        (lambda: CodeIndex(np.zeros((3, 8))), "codes must hold -1 and .1 only, got 0"),
        (lambda: CodeIndex(np.ones((3, 8))).search(np.ones((1, 16))), "must have 8 bits as the database has, got 16"),
        (lambda: CodeIndex(np.ones((3, 8))).search(np.ones((1, 8)), 4), "k must be from 1 to 3, .* got 4"),
        (
            lambda: CodeIndex(np.ones((3, 8))).search(np.ones((1, 8)), 0),
            "k must be a whole number of at least 1, got 0",
        ),
        (
            lambda: CodeIndex(np.ones((3, 8)), "hnsw", neighbours=1),
            "neighbours must be a whole number of at least 2, got 1",
        ),
    ],
)
def test_bad_input_is_one_clear_error(make, message):
    with pytest.raises(ValueError, match=message):
        make()
