"""Files that are read back: valid ones come back, others are refused with file, reason and remedy."""

import io
import json
import os
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from qsmi_lib.utils import paths, reading
from qsmi_lib.utils.io import checksum, write_arrays, write_tensors
from qsmi_lib.utils.reading import (
    damaged,
    differs,
    map_array,
    parse_json,
    read_arrays,
    read_json,
    read_table,
    read_tensors,
)

ARRAYS = {"a": np.arange(6).reshape(2, 3), "b": np.ones(2, np.int8), "names": np.array(["one", "two"])}


def refused(path, reason, remedy="delete it"):
    return pytest.raises(ValueError, match=f"(?s){path}.*{reason}.*; {remedy}")


def header(shape, dtype="<i8") -> bytes:
    """The header of a .npy file with this text as its shape, which need not be one."""
    text = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


# JSON


def test_the_remedy_of_a_committed_file_is_git():
    for path in (paths.COMMITTED / "runs" / "a.json", paths.PUBLISHED / "table_1.csv"):
        assert f"git checkout -- {path.relative_to(paths.ROOT)}" in str(damaged(path, "it is empty"))
    assert "git" not in str(damaged(paths.COMMITTED / "codes" / "a.npz", "it is empty"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "JSON"),
        ("{", "JSON"),
        ("[" * 1000 + "]" * 1000, "levels"),
        ("[" * 100_000, "levels"),
        ("[" * 21 + "]" * 21, "levels"),
        ("[NaN]", "finite"),
        ("[1e999]", "finite"),
        ("[-Infinity]", "finite"),
        ("[9223372036854775808]", "large"),
        (f"[{'9' * 5000}]", ""),
        ('{"a": 1, "a": 2}', "twice"),
        ("[]", "object, got a list"),
        ('{"a": 1}', "b"),
    ],
)
def test_json_that_is_none_or_has_another_form_is_refused(tmp_path, text, reason):
    path = tmp_path / "file.json"
    path.write_text(text)
    with refused(path, reason):
        read_json(path, {"a": int, "b": object})


def test_text_that_is_none_too_large_or_no_file_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    path.write_bytes(b'"\xff\xfe"')
    with refused(path, "UTF-8"):
        read_json(path, object)
    path.write_text('"' + "x" * 100 + '"')
    monkeypatch.setattr(reading, "LARGEST_TEXT", 100)
    with refused(path, "larger than 100"):
        read_json(path, object)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=str(path)):
        read_json(path, object)
    path.mkdir()
    with refused(path, "folder"):
        read_json(path, object)
    if hasattr(os, "mkfifo"):
        path.rmdir()
        os.mkfifo(path)
        with refused(path, "pipe"):
            read_json(path, object)


def test_a_later_format_is_refused_before_its_form(tmp_path):
    path = tmp_path / "file.json"
    for found in (2, "1", [1], None):
        path.write_text(json.dumps({"format": found}))
        with pytest.raises(ValueError, match=f"{path}.*format.*expected 1.*update"):
            read_json(path, {"a": int}, version=1)
    for text in ('{"a": 1}', '{"a": 1, "format": 1}'):
        path.write_text(text)
        assert read_json(path, {"a": int}, version=1)["a"] == 1


@pytest.mark.parametrize(
    ("value", "form", "difference"),
    [
        (1, float, ""),
        (1.5, float, ""),
        (True, float, "it must be number, got true"),
        (1.5, int, "it must be integer, got 1.5"),
        (None, (int, None), ""),
        (True, bool, ""),
        (0, bool, "it must be boolean, got 0"),
        ([1, 2.5], [float], ""),
        ([[1, 2], []], [[float]], ""),
        ([[1, 2], [3, "x"]], [[float]], 'it[1][1] must be number, got "x"'),
        ([1, [2]], [[float]], "it[0] must be array, got 1"),
        ({"a": {"b": [None]}}, {"a": {"b": [str]}}, "a.b[0] must be string, got null"),
        ({"a": 1}, {"a": int, "b?": int}, ""),
        ({"a": 1, "b": ""}, {"a": int, "b?": int}, 'b must be integer, got ""'),
        ({"a": 1, "c": []}, {"a": int}, ""),
        ({"a": 1, "c": []}, {"a": int, ...: float}, "c must be number, got a list"),
        ({"x": {}}, {"a": int, "b": int}, "it must contain ['a', 'b'] properties"),
        ({"odd key": {}}, {...: str}, "odd key must be string, got an object"),
    ],
)
def test_the_first_difference_from_a_form_is_named(value, form, difference):
    assert differs(value, form) == difference


def test_json_within_the_bounds_is_read():
    assert parse_json('{"a": [1, 2.5, null, true, "\\u00e9"]}') == {"a": [1, 2.5, None, True, "é"]}
    assert parse_json("[" * 20 + "]" * 20)


# Tables


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "table"),
        ("x,y\n1,2,3\n4\n", ""),
        ("x\n1\n", "lacks the columns y"),
        ("x,y\n1,a\n", "column y"),
        ("x,y\n1,inf\n", "column y"),
        ('x,y\n"1,2\n', ""),
    ],
)
def test_a_file_that_is_no_such_table_is_refused(tmp_path, text, reason):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with refused(path, reason):
        read_table(path, {"x": object, "y": float})


def test_a_table_comes_back(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("x,y\na,1\nb,\n")
    rows = read_table(path, {"x": object, "y": float})
    assert rows["x"].tolist() == ["a", "b"] and rows["y"].isna().tolist() == [False, True]


# Arrays


def npz(path, members: dict[str, bytes], compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)


def test_arrays_come_back(tmp_path):
    path = tmp_path / "arrays.npz"
    write_arrays(path, **ARRAYS)
    read = read_arrays(path)
    assert read.keys() == ARRAYS.keys()
    for name, value in ARRAYS.items():
        assert np.array_equal(read[name], value) and read[name].dtype == value.dtype
    assert read_arrays(path, {"a": ("iu", (1, 2))}).keys() == {"a"}


HEADERS = {
    "a huge shape": header("(1000000000000,)"),
    "a negative shape": header("(-1,)"),
    "a shape that is no number": header("(2.5,)"),
    "a shape beyond all numbers": header(f"({'9' * 400},)"),
    "a header that does not end": b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': (" + b" " * 107,
    "a header of brackets": b"\x93NUMPY\x01\x00\xff\x7f" + b"(" * 0x7FFF,
    "no dtype": header("(1,)", "<q9"),
    "objects": header("(1,)", "|O") + b"x" * 8,
    "a record": header("(1,)", [("x", "<i8")]) + b"x" * 8,
    "too few numbers": header("(2,)") + b"x" * 8,
    "too many numbers": header("(1,)") + b"x" * 16,
    "no array": b"text",
    "nothing": b"",
    "a pickle": b"\x80\x04N.",
    "a later version": b"\x93NUMPY\x09\x00" + b"x" * 100,
}


@pytest.mark.parametrize("content", HEADERS.values(), ids=HEADERS)
def test_a_header_that_the_bytes_do_not_bear_out_is_refused(tmp_path, content):
    for path in (tmp_path / "arrays.npz", tmp_path / "array.npy"):
        npz(path, {"a": content}) if path.suffix == ".npz" else path.write_bytes(content)
        tracemalloc.start()
        with refused(path, ""):
            read_arrays(path) if path.suffix == ".npz" else map_array(path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
        tracemalloc.stop()


def test_arrays_of_another_kind_shape_or_name_are_refused(tmp_path):
    path = tmp_path / "arrays.npz"
    write_arrays(path, **ARRAYS)
    for expected, reason in {"f": "<i8|int64", "i": "(2, 3)"}.items():
        with refused(path, reason.replace("(", r"\(").replace(")", r"\)")):
            read_arrays(path, {"a": (expected, (1,))})
    with refused(path, "lacks c"):
        read_arrays(path, {"c": ("i", (1,))})


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "arrays.npz"
    array = io.BytesIO()
    np.save(array, np.zeros(10_000_000, np.int8))
    npz(path, {f"zeros{number}": array.getvalue() for number in range(3)})
    assert path.stat().st_size < 100_000 and len(read_arrays(path)) == 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "LARGEST_ARRAYS", 20_000_000)
        tracemalloc.start()
        with refused(path, "20,000,000"):
            read_arrays(path)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
        tracemalloc.stop()


def test_every_cut_and_every_changed_byte_of_arrays_is_refused_or_changes_nothing(tmp_path):
    path = tmp_path / "arrays.npz"
    write_arrays(path, a=np.arange(3))
    raw = path.read_bytes()
    for place in range(0, len(raw), 3):
        for content in (raw[:place], raw[:place] + bytes([raw[place] ^ 0x41]) + raw[place + 1 :]):
            path.write_bytes(content)
            try:
                assert np.array_equal(read_arrays(path)["a"], np.arange(3))
            except ValueError as error:
                assert str(path) in str(error)


def test_arrays_are_mapped(tmp_path):
    path = tmp_path / "array.npy"
    np.save(path, ARRAYS["a"])
    map_array(path)[0, 0] = 7
    assert np.load(path)[0, 0] == 0
    map_array(path, "r+")[0, 0] = 7
    assert np.load(path)[0, 0] == 7
    np.save(path, np.asfortranarray(ARRAYS["a"]))
    assert np.array_equal(map_array(path), ARRAYS["a"])
    path.write_bytes(path.read_bytes()[:-1])
    with refused(path, "bytes"):
        map_array(path)


# Tensors


TENSORS = {"weight": torch.arange(6.0).reshape(2, 3), "codes": torch.tensor([[1, -1]], dtype=torch.int8)}


def test_tensors_and_header_come_back(tmp_path):
    path = tmp_path / "tensors.safetensors"
    write_tensors(path, TENSORS, {"bits": "2"})
    tensors, held = read_tensors(path)
    assert held == {"bits": "2"} and tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], value) for name, value in TENSORS.items())


def test_tensors_without_their_checksum_are_read_where_none_is_needed(tmp_path):
    path = tmp_path / "tensors.safetensors"
    save_file(TENSORS, path)
    with refused(path, "checksum None"):
        read_tensors(path)
    assert read_tensors(path, needs_checksum=False)[0].keys() == TENSORS.keys()
    for others in (TENSORS | {"weight": torch.zeros(2, 3)}, {"other": TENSORS["weight"]}):
        save_file(others, path, metadata={"checksum": checksum(TENSORS)})
        with refused(path, f"checksum {checksum(TENSORS)}, got {checksum(others)}"):
            read_tensors(path, needs_checksum=False)


def test_tensors_of_a_later_format_are_refused_and_none_is_the_first(tmp_path):
    path, held = tmp_path / "tensors.safetensors", {"checksum": checksum(TENSORS)}
    save_file(TENSORS, path, metadata=held)
    assert read_tensors(path)[1] == {}
    save_file(TENSORS, path, metadata=held | {"format": "2"})
    with pytest.raises(ValueError, match=f"{path} has format '2', expected '1'.*update"):
        read_tensors(path)


def test_tensors_of_a_type_that_numpy_lacks_are_refused(tmp_path):
    path = tmp_path / "tensors.safetensors"
    save_file({"weight": torch.zeros(2, dtype=torch.bfloat16)}, path, metadata={"checksum": "x"})
    with refused(path, ""):
        read_tensors(path)


SAFETENSORS = {
    "cut": lambda raw: raw[:40],
    "empty": lambda raw: b"",
    "a header beyond the file": lambda raw: (2**60).to_bytes(8, "little") + raw[8:],
    "a header of brackets": lambda raw: (50_000).to_bytes(8, "little") + b"[" * 50_000,
    "a tensor beyond the file": lambda raw: raw.replace(b"[2,3]", b"[9,9]"),
    "an unknown type": lambda raw: raw.replace(b'"I8"', b'"X8"'),
}


@pytest.mark.parametrize("damage", SAFETENSORS.values(), ids=SAFETENSORS)
def test_damaged_tensors_are_refused(tmp_path, damage):
    path = tmp_path / "tensors.safetensors"
    write_tensors(path, TENSORS, {})
    path.write_bytes(damage(path.read_bytes()))
    with refused(path, ""):
        read_tensors(path)
