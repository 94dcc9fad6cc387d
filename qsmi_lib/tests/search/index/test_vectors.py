"""Vectors of one's own: what is read, and what is refused with the file, the row and the remedy."""

import builtins
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from qsmi_lib.search.index import parquet
from qsmi_lib.search.index.vectors import SUFFIXES, checked, query, read, read_names, read_query

VECTORS = np.random.default_rng(0).integers(1, 100, (7, 3)).astype(np.float32)


def changed(row, values):
    vectors = VECTORS.astype(np.float64)
    vectors[row] = values
    return vectors


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int8, np.uint16, np.int64, ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_of_any_kind_of_numbers_is_read(tmp_path, kind, order):
    np.save(tmp_path / "a.npy", np.asarray(VECTORS, dtype=kind, order=order))
    found = read(tmp_path / "a.npy")
    assert np.array_equal(found, VECTORS) and found.dtype == np.float32 and found.flags.c_contiguous
    assert type(found) is np.ndarray  # in memory: the file may be deleted


def test_many_rows_are_read_in_blocks(tmp_path):
    pytest.importorskip("pyarrow")
    vectors = np.random.default_rng(0).normal(size=(2 * parquet.ROWS + 5, 70))
    np.save(tmp_path / "a.npy", vectors)
    pd.DataFrame({"v": list(vectors)}).to_parquet(tmp_path / "a.parquet", row_group_size=700)
    assert np.array_equal(read(tmp_path / "a.npy"), vectors.astype(np.float32))
    assert np.array_equal(read(tmp_path / "a.parquet"), vectors.astype(np.float32))


def columns(kind="float64"):
    return {f"x{k}": VECTORS[:, k].astype(kind) for k in range(3)}


@pytest.mark.parametrize(
    "frame",
    [
        {"v": list(VECTORS)},
        {"v": [list(map(int, row)) for row in VECTORS], "label": list("aabbaab"), "size": range(7)},
        {"label": list(VECTORS[:, 0]), "v": list(VECTORS)},
        columns(),
        columns("int32") | {"name": list("abcdefg"), "words": list("ABCDEFG")},
        columns() | {"class": [0, 1, 0, 1, 0, 1, 0], "id": range(7), "index": range(7)},
    ],
)
def test_a_parquet_file_is_read(tmp_path, frame):
    pytest.importorskip("pyarrow")
    pd.DataFrame(frame, index=range(10, 17)).to_parquet(tmp_path / "a.parquet")
    assert np.array_equal(read(tmp_path / "a.parquet"), VECTORS)


def test_lists_are_read_where_nothing_else_has_imported_pyarrow(tmp_path, monkeypatch):
    pyarrow = pytest.importorskip("pyarrow")
    pd.DataFrame({"v": list(VECTORS)}).to_parquet(tmp_path / "a.parquet")
    for name in ("compute", "parquet"):  # as in a new process; pandas has imported both here
        monkeypatch.delitem(sys.modules, f"pyarrow.{name}")
        monkeypatch.delattr(pyarrow, name)
    assert np.array_equal(read(tmp_path / "a.parquet"), VECTORS)


def test_lists_of_fixed_size_and_half_precision_are_read(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet as pq

    lists = pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.astype(np.float16).ravel()), 3)
    pq.write_table(pa.table({"v": lists}), tmp_path / "a.parquet")
    assert np.array_equal(read(tmp_path / "a.parquet"), VECTORS)


ARRAYS = {
    "NaN": (changed(4, [1, np.nan, 1]), "row 4|NaN|remove"),
    "infinite": (changed([3, 5], [1, 1, -np.inf]), "row 3|infinite|remove"),
    "zero": (changed(6, 0), "row 6|zero|cosine|remove"),
    "too long": (changed(2, [1e300, 1, 1]), "row 2|scale"),
    "too short": (changed(2, [1e-30, 0, 0]), "row 2|1e-30|scale"),
    "no row": (VECTORS[:0], "no vector|(0, 3)|two"),
    "one row": (VECTORS[:1], "one vector|(1, 3)|two"),
    "one column": (VECTORS[:, :1], "1 numbers|(7, 1)|two"),
    "no column": (VECTORS[:, :0], "0 numbers|(7, 0)|two"),
    "one axis": (VECTORS[0], "(3,)|(n, d)"),
    "no axis": (np.float32(3), "()|(n, d)"),
    "three axes": (VECTORS[None], "(1, 7, 3)|(n, d)"),
    "complex": (VECTORS * 1j, "complex64|numbers"),
    "text": (VECTORS.astype(str), "text|numbers"),
    "objects": (np.array([{}, []], object), "object|numbers"),
    "fields": (np.zeros(3, [("a", int)]), "numbers"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_is_refused_with_its_fault(tmp_path, name):
    array, words = ARRAYS[name]
    np.save(tmp_path / "a.npy", array)
    refused(lambda: read(tmp_path / "a.npy"), "a.npy", *words.split("|"))
    if array.dtype.kind == "f":
        refused(lambda: checked(array), "vectors", *words.split("|"))


def refused(call, *words):
    with pytest.raises(ValueError) as raised:
        call()
    assert all(word in str(raised.value) for word in words) and "\n" not in str(raised.value), str(raised.value)


FRAMES = {
    "lists of several lengths": ({"v": [[1.0, 2], [1.0, 2], [1.0], [1.0, 2]]}, "row 2|v|1 numbers|2"),
    "an empty list": ({"v": [[1.0, 2], [], [3.0, 4]]}, "row 1|0 numbers|2"),
    "no list": ({"v": [[1.0, 2], None, [3.0, 4]]}, "row 1|0 numbers|2"),
    "no first list": ({"v": [None, [1.0, 2], [3.0, 4]]}, "0 numbers"),
    "a missing number": ({"a": [1.0, 2, 3], "b": [1.0, None, 2]}, "row 1|missing"),
    "NaN in a list": ({"v": [[1.0, 2], [3, 4], [float("nan"), 4]]}, "row 2|NaN"),
    "two columns of lists": ({"v": [[1.0, 2]] * 2, "w": [[1.0, 2]] * 2}, "v and w|keep one"),
    "no numbers": ({"a": ["x", "y"], "label": [1, 2]}, "a, label|lists of numbers"),
    "no rows": ({"a": np.zeros(0), "b": np.zeros(0)}, "no vector"),
    "no rows of lists": ({"v": pd.Series([[1.0, 2]])[:0]}, ""),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_parquet_file_is_refused_with_its_fault(tmp_path, name):
    pytest.importorskip("pyarrow")
    frame, words = FRAMES[name]
    pd.DataFrame(frame).to_parquet(tmp_path / "a.parquet")
    refused(lambda: read(tmp_path / "a.parquet"), "a.parquet", *words.split("|"))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_damaged_file_is_refused(tmp_path, suffix):
    pytest.importorskip("pyarrow")
    path = tmp_path / f"a{suffix}"
    np.save(path, VECTORS) if suffix == ".npy" else pd.DataFrame({"v": list(VECTORS)}).to_parquet(path)
    whole = path.read_bytes()
    for part in (b"", b"PAR1", whole[:-1], whole[: len(whole) // 2], bytes(len(whole)), whole + b"more"):
        path.write_bytes(part)
        refused(lambda: read(path), path.name)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=path.name):
        read(path)
    path.mkdir()
    with pytest.raises((ValueError, OSError), match=path.name):
        read(path)


@pytest.mark.parametrize("name", ["a.npz", "a.csv", "a.safetensors", "a"])
def test_another_kind_of_file_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"1,2\n3,4\n")
    refused(lambda: read(tmp_path / name), name, *SUFFIXES, "numpy.save")


def test_without_pyarrow_the_remedy_is_named(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install .*qsmi-lib\[export\]"):
        read(tmp_path / "a.parquet")


@pytest.mark.parametrize("shape", [(3,), (1, 3)])
def test_a_query_is_one_vector(tmp_path, shape):
    np.save(tmp_path / "q.npy", VECTORS[:1].astype(np.float64).reshape(shape))
    found = read_query(tmp_path / "q.npy", 3)
    assert np.array_equal(found, VECTORS[0]) and found.dtype == np.float32
    assert np.array_equal(query(VECTORS[0].reshape(shape).tolist(), 3), found)


def test_vectors_in_memory_are_checked_alike():
    for values in (VECTORS, VECTORS.tolist(), torch.from_numpy(VECTORS).to(torch.bfloat16)):
        found = checked(values)
        assert np.array_equal(found, VECTORS) and found.dtype == np.float32
    with pytest.raises(ValueError, match="objects"):
        checked([[1, "a"], [{}, 2]])


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (VECTORS[0], "3 numbers|have 5"),
        (VECTORS, "(7, 3)|one vector"),
        (np.float32(1), "()|one vector"),
        (np.array([1, 2, np.nan, 4, 5]), "NaN"),
        (np.zeros(5), "zero"),
        (np.array(list("abcde")), "text"),
    ],
)
def test_a_query_is_refused_with_its_fault(tmp_path, array, words):
    np.save(tmp_path / "q.npy", array)
    refused(lambda: read_query(tmp_path / "q.npy", 5), "q.npy", *words.split("|"))
    refused(lambda: read_query(tmp_path / "q.parquet", 5), "q.parquet", ".npy")
    if array.dtype.kind == "f":
        refused(lambda: query(array, 5), "query", *words.split("|"))


def test_names_are_those_of_a_column_called_so(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"
    for frame, expected in [
        ({"v": list(VECTORS)}, None),
        ({"v": list(VECTORS), "File": list("abcdefg")}, list("abcdefg")),
        ({"id": range(3, 10), "v": list(VECTORS)}, list("3456789")),
        (columns() | {"words": list("aaaaaaa")}, None),
    ]:
        pd.DataFrame(frame).to_parquet(path)
        assert read_names(path) == expected
    for names, words in [(list("abcabcd"), "row 3|'a'|row 0"), (["a", None, *"cdefg"], "row 1|no name")]:
        pd.DataFrame({"v": list(VECTORS), "name": names}).to_parquet(path)
        refused(lambda: read_names(path), "a.parquet", *words.split("|"))
    assert read_names(tmp_path / "a.npy") is None
