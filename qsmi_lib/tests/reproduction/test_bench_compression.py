"""The benchmark of compression: its rows, and what is said beside them."""

import re
from itertools import product

import pandas as pd
import pytest

from qsmi_lib.reproduction.bench import compression as bench
from qsmi_lib.search.index import compression, hashing
from qsmi_lib.training import load_split
from qsmi_lib.utils import paths


@pytest.fixture(autouse=True)
def digits(monkeypatch):
    """Digits in place of photographs, and their pixels in place of features."""
    monkeypatch.setattr(bench, "load_split", lambda name, backbone: load_split("digits", backbone="digits_pixels"))
    monkeypatch.setattr(compression, "LENGTHS", (8,))
    monkeypatch.setattr(hashing, "EPOCHS", 1)


def test_all_rows_are_kept_and_shown(results):
    text = bench.compressed()
    rows = pd.read_csv(results / "benchmarks" / "compression.csv")
    assert (results / "benchmarks" / "compression.md").read_text(encoding="utf-8") == text
    for name, backbone in product(bench.DATASETS, bench.BACKBONES):
        own = rows[(rows["dataset"] == name) & (rows["backbone"] == backbone)]
        assert own["method"].tolist()[0].startswith("float32") and own["method"].tolist()[-1] == "QSMI"
        assert own["recall"].tolist()[0] == 1 and own["map"].between(0, 1).all()
        for row in own.itertuples():
            assert f"{row.map:.4f}" in text and f"{row.recall:.4f}" in text
    seen = [part for part in text.split("\n\n") if "trained with the labels of these" in part]
    assert len(seen) == len(bench.BACKBONES) and all("Tiny ImageNet" in part for part in seen)


def test_one_data_set_alone_is_not_kept(results):
    assert "QSMI" in bench.compressed(["miml_scenes"])
    assert not (results / "benchmarks").exists()


def test_the_numbers_in_the_documents_are_those_of_the_committed_table():
    text = (paths.ROOT / "docs" / "own_data.md").read_text(encoding="utf-8")
    rows = pd.read_csv(paths.ROOT / "results" / "benchmarks" / "compression.csv")
    known = {f"{value:.4f}" for value in rows[["map", "recall"]].to_numpy().ravel()}
    stated = re.findall(r"\b[01]\.\d{4}\b", text)
    assert len(stated) > 20 and set(stated) <= known


def test_the_committed_table_shows_what_the_documents_say():
    rows = pd.read_csv(paths.ROOT / "results" / "benchmarks" / "compression.csv")
    assert set(rows["dataset"]) == set(bench.DATASETS) and set(rows["backbone"]) == set(bench.BACKBONES)
    for _, own in rows.groupby(["dataset", "backbone"]):
        features, itq, qsmi = (own[own["method"].str.startswith(name)] for name in ("float32", "ITQ", "QSMI"))
        assert qsmi["map"].min() > features["map"].item() and qsmi["bytes"].max() < features["bytes"].item()
        assert itq["recall"].is_monotonic_increasing and itq["recall"].min() > qsmi["recall"].max()
        blind = own[own["method"] == "sign of each number"]
        assert blind["recall"].item() < 0.01
