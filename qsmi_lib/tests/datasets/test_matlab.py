"""The reader of MATLAB's files: as SciPy's for what SciPy writes, and a ValueError for any damaged file."""

from contextlib import suppress

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from qsmi_lib.datasets.images import matlab
from qsmi_lib.tests.datasets.layouts import matlab as written
from qsmi_lib.tests.fuzz.damage import damaged

TYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", TYPES)
def test_arrays_are_those_of_scipy(tmp_path, kind, compressed):
    values = {"labels": np.arange(17, dtype=kind), "a": np.array([[3, 1], [2, 5]], kind), "text": np.array(["cat"])}
    raw = written(compressed=compressed, **values)
    (tmp_path / "a.mat").write_bytes(raw)
    found, expected = matlab.arrays(raw), scipy.io.loadmat(tmp_path / "a.mat")
    for name in ("labels", "a"):
        assert found[name].tolist() == expected[name].ravel(order="F").tolist()


@given(damaged((written(labels=[1, 2, 3] * 9), written(labels=[1, 2, 3] * 9, b=[4], compressed=False))))
@settings(max_examples=150)
def test_a_damaged_file_is_read_or_refused(raw):
    with suppress(ValueError):
        assert all(array.ndim == 1 for array in matlab.arrays(raw).values())


@given(st.binary(max_size=200))
@settings(max_examples=50)
def test_any_bytes_behind_the_head_are_read_or_refused(content):
    with suppress(ValueError):
        matlab.arrays(written(labels=[1])[:128] + content)


def test_an_array_that_unpacks_to_much_is_refused(monkeypatch):
    raw = written(labels=np.zeros(10_000))
    assert len(raw) < 1000 and len(matlab.arrays(raw)["labels"]) == 10_000
    monkeypatch.setattr(matlab, "MOST_BYTES", 5000)
    with pytest.raises(ValueError, match="unpacks to more than 5,000 bytes"):
        matlab.arrays(raw)
