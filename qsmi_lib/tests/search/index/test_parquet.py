"""The Parquet file of an index, as other programs read it."""

import numpy as np
import pandas as pd
import pytest

from qsmi_lib.codes import pack
from qsmi_lib.search.index.parquet import to_parquet

pytest.importorskip("pyarrow")
NAMES, LABELS = ["a.png", "b/ü.png", "c.png"], [{"dog", "cat"}, set(), {"cat"}]
CODES = np.where(np.random.default_rng(0).random((3, 12)) < 0.5, 1, -1).astype(np.int8)


def test_all_columns_are_read_back(tmp_path):
    from pyarrow import parquet

    to_parquet(tmp_path / "below" / "a.parquet", NAMES, LABELS, np.packbits(CODES > 0, axis=1))
    frame = pd.read_parquet(tmp_path / "below" / "a.parquet")
    assert frame["name"].tolist() == NAMES
    assert [list(names) for names in frame["labels"]] == [["cat", "dog"], [], ["cat"]]
    assert [len(code) for code in frame["code"]] == [2, 2, 2]
    for code, bits in zip(frame["code"], CODES, strict=True):  # the first bit is the highest
        assert f"{int.from_bytes(code, 'big'):016b}"[:12] == "".join("1" if bit > 0 else "0" for bit in bits)
        assert code == pack(bits[None]).tobytes()[:2]
    kinds = dict(zip(*(lambda schema: (schema.names, map(str, schema.types)))(
        parquet.read_schema(tmp_path / "below" / "a.parquet")), strict=True))  # fmt: skip
    assert kinds["code"] == "fixed_size_binary[2]"


def test_unknown_labels_are_null(tmp_path):
    to_parquet(tmp_path / "a.parquet", NAMES, [None] * 3, np.packbits(CODES > 0, axis=1))
    frame = pd.read_parquet(tmp_path / "a.parquet")
    assert frame["labels"].isna().all() and list(frame) == ["name", "labels", "code"]


def test_as_many_names_labels_and_codes_are_needed(tmp_path):
    for labels, n_codes in [(LABELS[:2], 3), (LABELS, 2)]:
        with pytest.raises(ValueError, match="each of 3 names"):
            to_parquet(tmp_path / "a.parquet", NAMES, labels, np.zeros((n_codes, 2), np.uint8))
    assert not list(tmp_path.iterdir())
