"""Files that are written completely or not at all, and tensors whose checksum is compared on reading."""

import numpy as np
import pytest
import torch

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


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("of the block"), OSError("of what the block reads")])
def test_an_error_that_is_not_of_the_system_passes_unchanged(tmp_path, error):
    with pytest.raises(type(error)) as raised, io.atomic_write(tmp_path / "file"):
        raise error
    assert raised.value is error and not list(tmp_path.iterdir())


def test_a_file_in_the_way_of_a_folder_is_named_with_the_remedy(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for attempt in (lambda path: io.write_text(path, "new"), io.check_writable):
        with pytest.raises(
            (FileExistsError, NotADirectoryError), match=f"cannot write {tmp_path}/file/a.*QSMI_RESULTS"
        ):
            attempt(tmp_path / "file" / "a")
    io.check_writable(tmp_path / "folder" / "a")
    assert not list((tmp_path / "folder").iterdir())


def test_a_folder_is_written_completely_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "folder"
    with pytest.raises(KeyError), io.atomic_folder(path) as partial:
        (partial / "half").write_text("a")
        raise KeyError
    assert not list(path.parent.iterdir())
    path.mkdir()
    with io.atomic_folder(path) as partial:
        (partial / "whole").write_text("a")
    assert list(path.parent.iterdir()) == [path] and [file.name for file in path.iterdir()] == ["whole"]
    with pytest.raises(OSError, match=f"cannot write {path}"), io.atomic_folder(path) as partial:
        (partial / "other").write_text("a")
    assert list(path.parent.iterdir()) == [path] and [file.name for file in path.iterdir()] == ["whole"]


def test_rows_can_be_appended_to_the_header_of_a_npy_file(tmp_path):
    for array in (np.arange(12, dtype=np.float32).reshape(4, 3), np.arange(3), np.empty((0, 2), np.float32)):
        (tmp_path / "a.npy").write_bytes(io.npy_header(array.shape, array.dtype) + array.tobytes())
        read = np.load(tmp_path / "a.npy")
        assert np.array_equal(read, array) and (read.shape, read.dtype) == (array.shape, array.dtype)


def test_arrays_are_read_as_they_were_written(tmp_path):
    arrays = {"a": np.arange(3), "b": np.ones((2, 2), np.int8)}
    io.write_arrays(tmp_path / "arrays.npz", **arrays)
    with np.load(tmp_path / "arrays.npz") as file:
        for name, value in arrays.items():
            assert np.array_equal(file[name], value) and file[name].dtype == value.dtype


def test_the_checksum_depends_on_names_and_numbers_alone():
    """Its value is part of saved hashers and of the keys of features: it must not change."""
    assert io.checksum(TENSORS) == "d22a663065440e70b8d96316299f4bfd3a0f7318f06b599f2cc9f72f9b223b0c"
    transposed = {"weight": TENSORS["weight"].T.contiguous().T, "codes": TENSORS["codes"]}
    assert io.checksum(dict(reversed(transposed.items()))) == io.checksum(TENSORS)
    assert io.checksum({"w": TENSORS["weight"], "codes": TENSORS["codes"]}) != io.checksum(TENSORS)
