"""The Parquet file of an index, as other programs read it."""

import numpy as np
import pandas as pd
import pytest

from qsmi_lib.codes import pack
from qsmi_lib.search.index.label_tables import read_labels
from qsmi_lib.search.index.parquet import to_parquet
from qsmi_lib.search.index.vectors import read, read_names

pytest.importorskip("pyarrow")
NAMES, LABELS = ["a.png", "b/ü.png", "c.png"], [{"dog", "cat"}, set(), {"cat"}]
CODES = np.where(np.random.default_rng(0).random((3, 12)) < 0.5, 1, -1).astype(np.int8)
FEATURES = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)


def test_all_columns_are_read_back(tmp_path):
    from pyarrow import parquet

    to_parquet(tmp_path / "below" / "a.parquet", NAMES, LABELS, np.packbits(CODES > 0, axis=1), FEATURES)
    frame = pd.read_parquet(tmp_path / "below" / "a.parquet")
    assert frame["name"].tolist() == NAMES
    assert [list(names) for names in frame["labels"]] == [["cat", "dog"], [], ["cat"]]
    assert [len(code) for code in frame["code"]] == [2, 2, 2]
    for code, bits in zip(frame["code"], CODES, strict=True):  # the first bit is the highest
        assert f"{int.from_bytes(code, 'big'):016b}"[:12] == "".join("1" if bit > 0 else "0" for bit in bits)
        assert code == pack(bits[None]).tobytes()[:2]
    assert np.array_equal(np.stack(frame["features"]), FEATURES)
    kinds = dict(zip(*(lambda schema: (schema.names, map(str, schema.types)))(
        parquet.read_schema(tmp_path / "below" / "a.parquet")), strict=True))  # fmt: skip
    assert kinds["code"] == "fixed_size_binary[2]" and "float" in kinds["features"]


def test_it_can_be_indexed_again(tmp_path):
    path = tmp_path / "a.parquet"
    to_parquet(path, NAMES, LABELS, np.packbits(CODES > 0, axis=1), FEATURES)
    assert np.array_equal(read(path), FEATURES) and read_names(path) == NAMES
    assert read_labels(path, 3) == LABELS


def test_unknown_labels_are_null_and_features_may_be_missing(tmp_path):
    to_parquet(tmp_path / "a.parquet", NAMES, [None] * 3, np.packbits(CODES > 0, axis=1))
    frame = pd.read_parquet(tmp_path / "a.parquet")
    assert frame["labels"].isna().all() and list(frame) == ["name", "labels", "code"]


def test_as_many_names_labels_and_codes_are_needed(tmp_path):
    for labels, codes, features in [(LABELS[:2], 3, 3), (LABELS, 2, 3), (LABELS, 3, 2)]:
        with pytest.raises(ValueError, match="each of 3 names"):
            to_parquet(tmp_path / "a.parquet", NAMES, labels, np.zeros((codes, 2), np.uint8), FEATURES[:features])
    assert not list(tmp_path.iterdir())
