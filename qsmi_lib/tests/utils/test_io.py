"""Files that are written completely or not at all, and tensors whose checksum is compared on reading."""

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from qsmi_lib.utils import io

TENSORS = {"weight": torch.arange(6.0).reshape(2, 3), "codes": torch.tensor([[1, -1]], dtype=torch.int8)}


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "folder" / "file.txt"
    io.write_text(path, "old\n")
    with pytest.raises(KeyError), io.atomic_write(path) as partial:
        partial.write_text("half")
        raise KeyError
    assert path.read_text() == "old\n" and list(path.parent.iterdir()) == [path]
    io.write_text(path, "new\n")
    assert path.read_bytes() == b"new\n" and list(path.parent.iterdir()) == [path]


def test_arrays_are_read_as_they_were_written(tmp_path):
    arrays = {"a": np.arange(3), "b": np.ones((2, 2), np.int8)}
    io.write_arrays(tmp_path / "arrays.npz", **arrays)
    with np.load(tmp_path / "arrays.npz") as file:
        for name, value in arrays.items():
            assert np.array_equal(file[name], value) and file[name].dtype == value.dtype


def test_tensors_and_header_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "tensors.safetensors"
    io.write_tensors(path, TENSORS, {"bits": "2"})
    tensors, header = io.read_tensors(path)
    assert header == {"bits": "2"} and tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], value) for name, value in TENSORS.items())


def test_other_tensors_than_those_written_are_refused(tmp_path):
    path = tmp_path / "tensors.safetensors"
    io.write_tensors(path, TENSORS, {})
    expected = io.checksum(TENSORS)
    for tensors in (TENSORS | {"weight": torch.zeros(2, 3)}, {"other": TENSORS["weight"]}):
        save_file(tensors, path, metadata={io.CHECKSUM: expected})
        with pytest.raises(ValueError, match=f"{expected}, got {io.checksum(tensors)}"):
            io.read_tensors(path)
    save_file(TENSORS, path)
    with pytest.raises(ValueError, match="checksum None"):
        io.read_tensors(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(SafetensorError):
        io.read_tensors(path)


def test_a_later_format_is_refused_and_none_is_the_first(tmp_path):
    path, header = tmp_path / "tensors.safetensors", {io.CHECKSUM: io.checksum(TENSORS)}
    save_file(TENSORS, path, metadata=header)
    assert io.read_tensors(path)[1] == {}
    save_file(TENSORS, path, metadata=header | {io.FORMAT: "2"})
    with pytest.raises(ValueError, match="format is 2, expected 1"):
        io.read_tensors(path)


def test_the_checksum_depends_on_names_and_numbers_alone():
    """Its value is part of saved hashers and of the keys of features: it must not change."""
    assert io.checksum(TENSORS) == "d22a663065440e70b8d96316299f4bfd3a0f7318f06b599f2cc9f72f9b223b0c"
    transposed = {"weight": TENSORS["weight"].T.contiguous().T, "codes": TENSORS["codes"]}
    assert io.checksum(dict(reversed(transposed.items()))) == io.checksum(TENSORS)
    assert io.checksum({"w": TENSORS["weight"], "codes": TENSORS["codes"]}) != io.checksum(TENSORS)
