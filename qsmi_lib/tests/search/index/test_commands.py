"""`qsmi index` and `qsmi search` on files of vectors: counts, answers, and every kind of bad input."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qsmi_lib.search.index.index import Index
from qsmi_lib.tests.search.index.calls import call, counts, refused

N, D = 60, 12


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    monkeypatch.setattr("qsmi_lib.search.index.hashing.EPOCHS", 2)


def vectors(seed=0):
    rng = np.random.default_rng(seed)
    return (np.repeat(np.eye(3, D), N // 3, axis=0) + 0.2 * rng.normal(size=(N, D))).astype(np.float32)


def names(n=N):
    return "class\n" + "".join(f"{'abc'[3 * row // N]}\n" for row in range(n))


@pytest.fixture
def place(tmp_path):
    """A folder with vectors.npy and labels.csv."""
    np.save(tmp_path / "vectors.npy", vectors())
    (tmp_path / "labels.csv").write_text(names())
    return tmp_path


def indexed(place, *more):
    return counts(place / "vectors.npy", "--labels", place / "labels.csv", *more)


def test_the_three_counts(place):
    assert indexed(place, "--bits", "8") == (N, 0, 0) and indexed(place) == (0, 0, 0)
    values = vectors()
    values[3], values[5] = values[7], -values[5]
    np.save(place / "vectors.npy", np.concatenate([values, vectors(1)[:4]]))
    (place / "labels.csv").write_text(names() + "c\n" * 4)
    assert indexed(place) == (4, 2, 0)
    np.save(place / "vectors.npy", values[:-10])
    (place / "labels.csv").write_text(names(N - 10))
    assert indexed(place) == (0, 0, 14)
    (place / "labels.csv").write_text(names(N - 10).replace("\na", "\nb", 1))
    assert indexed(place) == (0, 1, 0)
    (place / "labels.csv").write_text(names(N - 10).replace("c\n", "d\n"))
    assert "classes d" in call("index", place / "vectors.npy", "--labels", place / "labels.csv").output


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_a_vector_finds_itself_at_any_scale(place, scale):
    np.save(place / "vectors.npy", vectors() * scale)
    indexed(place)
    np.save(place / "query.npy", vectors()[33] * scale)
    result = call("search", place / "vectors.index", place / "query.npy", "--json", "--rerank", "100", "--k", "3")
    answers = json.loads(result.output)
    assert len(answers) == 3 and answers[0] == {"name": 33, "distance": 0, "labels": ["b"]}


def wrong(kind):
    """Vectors of this kind of fault."""
    values = vectors()
    match kind:
        case "nan":
            values[7, 3] = np.nan
        case "infinite":
            values[7, 3] = -np.inf
        case "zero":
            values[7] = 0
        case "one row":
            return values[:1]
        case "three rows":
            return values[:3]
        case "no row":
            return values[:0]
        case "flat":
            return values[0]
        case "cube":
            return values[None]
        case "text":
            return values.astype(str)
        case "objects":
            return values.astype(object)
        case "complex":
            return values.astype(complex)
        case "equal":
            return np.repeat(values[:1], N, axis=0)
    return values


KINDS = ["nan", "infinite", "zero", "one row", "three rows", "no row", "flat", "cube", "text", "objects", "complex",
         "equal"]  # fmt: skip


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_bad_vectors_are_one_line_and_nothing_is_written(place, kind, there):
    if there:
        counts(place / "vectors.npy", "--bits", "8")
    np.save(place / "vectors.npy", wrong(kind))
    if there and kind == "equal":  # the hasher is kept
        assert counts(place / "vectors.npy") == (0, N - 1, 0)
    else:
        refused(place, "index", place / "vectors.npy", "--bits", "8", named=[place / "vectors.npy"])


LABELS = {
    "one class": ("class\n" + "a\n" * N, "classes"),
    "one short": (names(N - 1), "59"),
    "one long": (names() + "a\n", "61"),
    "empty": ("", "labels.csv"),
    "header": ("class\n", "labels.csv"),
    "each its own": ("class\n" + "".join(f"x{row}\n" for row in range(N)), "of their own"),
}


@pytest.mark.parametrize("kind", LABELS)
def test_bad_labels_are_one_line_and_nothing_is_written(place, kind):
    text, named = LABELS[kind]
    (place / "labels.csv").write_text(text)
    refused(place, "index", place / "vectors.npy", "--labels", place / "labels.csv", named=[named])
    refused(place, "index", place / "vectors.npy", "--labels", place / "missing.csv", named=["missing.csv"])


def test_vectors_of_another_length_are_refused(place):
    indexed(place)
    np.save(place / "vectors.npy", np.ones((N, D + 1)) + np.eye(N, D + 1))
    refused(place, "index", place / "vectors.npy", "--labels", place / "labels.csv", named=[D, D + 1, "--retrain"])
    index = place / "vectors.index"
    for query in (np.ones(D + 1), np.ones((2, D)), np.full(D, np.nan), np.zeros(D), np.array("text"), np.ones((D, 1))):
        np.save(place / "query.npy", query)
        refused(place, "search", index, place / "query.npy", named=["query.npy"])
    refused(place, "search", index, place / "missing.npy", named=["missing.npy"])
    (place / "query.npy").write_bytes(b"no array")
    refused(place, "search", index, place / "query.npy", named=["query.npy"])
    for query in (np.ones(D + 1), np.full(D, np.nan), np.zeros(D), "text", None, [[1.0]] * 3):
        with pytest.raises((ValueError, FileNotFoundError)):
            Index.load(index).search(query)


@pytest.mark.parametrize("option", [{"k": 0}, {"k": -1}, {"k": 1.5}, {"k": True}, {"rerank": -1}, {"rerank": "10"}])
def test_numbers_of_answers_are_checked(place, option):
    indexed(place)
    with pytest.raises(ValueError, match=next(iter(option))):
        Index.load(place / "vectors.index").search(vectors()[0], **option)


def test_options_that_contradict_each_other_are_refused(place):
    path, labels = place / "vectors.npy", place / "labels.csv"
    refused(place, "index", path, "--labels", labels, "--no-labels", named=["--labels", "--no-labels"])
    refused(place, "index", path, "--backbone", "resnet50", named=["--backbone"])
    refused(place, "index", path, "--bits", "5000", named=["5000", "4096"])
    refused(place, "index", path, "--output", path, named=["--output"])
    assert call("index", path, "--bits", "0").exit_code == 2


def test_a_failed_export_leaves_the_index_and_says_so(place):
    """The index is whole; only the further file is missing."""
    (place / "no.parquet").mkdir()
    result = call("index", place / "vectors.npy", "--labels", place / "labels.csv", "--parquet", place / "no.parquet")
    assert result.exit_code == 1 and str(place) in result.output.splitlines()[-1]
    assert indexed(place) == (0, 0, 0)


@pytest.mark.parametrize("name", ["vectors.npy", "labels.csv", "vectors.parquet"])
def test_no_file_that_is_read_is_overwritten_by_an_export(place, name):
    pq.write_table(pa.table({"x": [[1.0, 2.0, n] for n in range(N)]}), place / "vectors.parquet")
    before = {path: path.read_bytes() for path in place.iterdir()}
    source = place / ("vectors.parquet" if name.endswith("parquet") else "vectors.npy")
    result = call("index", source, "--labels", place / "labels.csv", "--parquet", place / name)
    assert result.exit_code == 1 and name in result.output and before == {p: p.read_bytes() for p in place.iterdir()}


def test_an_index_is_not_taken_for_that_of_another_source_of_its_name(place):
    indexed(place)
    np.save(place / "vectors.v2.npy", vectors(5))
    assert counts(place / "vectors.v2.npy", "--labels", place / "labels.csv") == (N, 0, 0)
    pq.write_table(pa.table({"x": [[1.0, 2.0, n] for n in range(N)]}), place / "vectors.parquet")
    result = call("index", place / "vectors.parquet", "--labels", place / "labels.csv")
    assert result.exit_code == 1 and "vectors.npy" in result.output and "--output" in result.output


def test_one_output_takes_one_source_and_says_what_it_holds(place):
    """Another file into the same index is a change of all its rows, not an error: the counts tell."""
    indexed(place)
    np.save(place / "other.npy", vectors(5))
    assert counts(place / "other.npy", "--labels", place / "labels.csv", "--output", place / "vectors.index") == (
        0,
        N,
        0,
    )
