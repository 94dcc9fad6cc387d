"""The benchmark of the indexes: its table, its codes, and recall."""

import numpy as np
import pytest

from qsmi_lib.reproduction.bench import indexes as bench
from qsmi_lib.search.indexes import OUTSIDE

pytest.importorskip("faiss")


def test_the_benchmark_compares_with_the_flat_index(monkeypatch, results):
    monkeypatch.setattr(bench, "N_QUERY", 20)
    monkeypatch.setattr(bench, "SIZES", {"small": 300})
    text = bench.indexes(["small"])
    rows = (results / "benchmarks" / "indexes.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0] == "items,index,settings,seconds_build,milliseconds,together,megabytes,recall"
    assert len(rows) == 1 + 1 + 4 + 3 and rows[1].endswith(",1.0") and "| 300 " in text
    assert (results / "benchmarks" / "indexes.md").read_text(encoding="utf-8") == text


def test_a_part_of_the_benchmark_has_the_same_codes_and_is_not_written(monkeypatch, results):
    made = []
    monkeypatch.setattr(bench, "N_QUERY", 20)
    monkeypatch.setattr(bench, "SIZES", {"small": 300, "large": 400})
    monkeypatch.setattr(bench, "measured", lambda case, database, query, exact: made.append(database[0]) or [])
    monkeypatch.setattr(bench, "table", lambda headers, rows: "")
    for sizes in (["large"], ["small", "large"]):
        bench.indexes(sizes)
        assert (results / "benchmarks" / "indexes.csv").exists() == (sizes == ["small", "large"])
    assert (made[0] == made[-1]).all() and (made[0] != made[3]).any()


def test_recall_counts_ties_and_what_is_lost():
    exact = np.array([[0, 2, 2], [1, 1, 3]])
    assert bench.recall(exact, exact) == 1.0
    assert bench.recall(np.array([[0, 2, 3], [1, OUTSIDE, OUTSIDE]]), exact) == 3 / 6


def test_generated_codes_lie_around_their_words():
    words, codes = bench.generated(3000, 0), bench.generated(3000, 0)
    assert (words == codes).all() and words.shape == (3000, bench.BITS) and words.dtype == np.int8
    near = np.sort((bench.BITS - words[:300].astype(int) @ words.T.astype(int)) // 2, axis=1)
    assert near[:, 1].mean() < 3 * 2 * bench.FLIPPED * bench.BITS < bench.BITS / 2 and bench.N_WORDS < 3000
