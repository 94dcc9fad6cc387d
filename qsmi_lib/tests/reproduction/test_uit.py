"""The UIT slides' tables: what is published, what was measured, and the way from one to the other."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from qsmi_lib.config.presets import configure
from qsmi_lib.datasets import DATASETS
from qsmi_lib.reproduction.analysis import lsh_scores, uit, uit_tables
from qsmi_lib.reproduction.experiments import grid
from qsmi_lib.reproduction.plotting import lsh as plots
from qsmi_lib.search import lsh
from qsmi_lib.training import records
from qsmi_lib.training.records import SavedCodes
from qsmi_lib.training.runs import record_path
from qsmi_lib.utils import paths

SMALL = {
    "as published": uit.Setting("scikit-image", "full", 2, ties="table"),
    "ties by index": uit.Setting("scikit-image", "first_tenth", 2),
    "all pictures": uit.Setting("scikit-image", "first_tenth", 2),
    "scikit-image's HOG": uit.Setting("scikit-image", "first_tenth", 2),
    "centred": uit.Setting("scikit-image", "first_tenth", 2, centred=True),
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """`lsh_tables` of the digits, and its file."""
    pytest.importorskip("skimage")
    pytest.importorskip("cv2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QSMI_RESULTS", str(tmp_path_factory.mktemp("results")))
        patch.setenv("QSMI_HEADLESS", "1")
        return uit.lsh_tables("digits", SMALL), paths.results("digits") / "artefacts" / uit.FILE


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_sizes_of_hog():
    pytest.importorskip("skimage")
    pytest.importorskip("cv2")
    pixels = np.random.default_rng(0).integers(256, size=(3, 28, 28)).astype(np.uint8)
    dataset = DATASETS["fashion_mnist"]
    images = (torch.from_numpy(pixels)[:, None] / 255.0 - dataset.mean) / dataset.std
    assert uit.features("fashion_mnist", images).shape == (3, 324)
    opencv = uit.features("fashion_mnist", images, "opencv")
    assert opencv.shape == (3, 144)
    np.testing.assert_array_equal(opencv, uit.hog_opencv(pixels))
    assert uit.features("digits", torch.zeros(2, 1, 8, 8)).shape == (2, 324)
    with pytest.raises(ValueError, match="kind must be 'scikit-image' or 'opencv', got 'hog'"):
        uit.features("digits", torch.zeros(2, 1, 8, 8), "hog")


def test_the_published_tables_are_those_of_data_paper():
    first, second = uit_tables.published(1), uit_tables.published(2)
    printed = first[first["printed"]]
    assert printed.set_index(["tables", "bits"])["paper"].to_dict() == {
        (8, 8): 0.6223, (8, 12): 0.6401, (8, 16): 0.6494, (16, 8): 0.6775, (16, 12): 0.6923, (16, 16): 0.6940,
    }  # fmt: skip
    assert len(first) == len(uit.BITS) * len(uit.TABLES) == 12
    assert set(zip(first["tables"], first["bits"], strict=True)) == {(t, b) for t in uit.TABLES for b in uit.BITS}
    assert second["paper"].tolist() == [0.7305, 0.7650, 0.7744, 0.7184, 0.7576, 0.7801]
    assert second["alpha"].tolist() == [0.005] * 3 + [0.01] * 3


def test_a_cell_is_what_the_tables_say(measured, digits):
    made, file = measured
    assert json.loads(file.read_text()) == made
    query, database = (uit.features("digits", part.inputs) for part in (digits.query, digits.database))
    own = made["settings"]["as published"]
    assert (own["n_query"], own["n_database"], own["n_features"], own["seeds"]) == (500, 1297, 324, [0, 1])
    cell = next(cell for cell in own["cells"] if (cell["tables"], cell["bits"]) == (4, 12))
    labels = digits.query.labels.numpy(), digits.database.labels.numpy()
    index = lsh.HashTables(database, 12, 4, seed=1)
    relevance = lsh_scores.relevance_of(index.answers(query, ties="table").items, *labels)
    for convention in lsh_scores.CONVENTIONS:
        assert cell[convention][1] == pytest.approx(lsh_scores.ap_at_10(relevance, convention).mean(), abs=1e-6)
    assert cell["short"][1] == pytest.approx((relevance == lsh.MISSING).any(axis=1).mean(), abs=1e-6)
    assert cell["empty"][1] == pytest.approx((relevance == lsh.MISSING).all(axis=1).mean(), abs=1e-6)
    (bucket,) = [one for one in own["buckets"] if one["bits"] == 12]
    assert bucket["largest"][1] == pytest.approx(index.bucket_sizes(0)[0] / 1297, abs=1e-6)
    mean_bucket = np.mean([index.bucket(item, 0).size for item in database[:200]]) / 1297
    assert 0 < mean_bucket < 5 * bucket["own"][1]
    near = lsh_scores.relevance_of(lsh.by_angle(query, database), *labels)
    assert own["by_angle"] == pytest.approx(lsh_scores.ap_at_10(near).mean(), abs=1e-6)


def test_what_one_change_moves(measured):
    made, _ = measured
    plain, centred = (made["settings"][name] for name in ("scikit-image's HOG", "centred"))
    for before, after in zip(plain["buckets"], centred["buckets"], strict=True):
        assert np.mean(after["own"]) <= np.mean(before["own"])  # centred buckets are more even
    for cell in made["settings"]["as published"]["cells"]:
        padded, clean, short = (np.array(cell[name]) for name in ("published", "clean", "short"))
        assert ((padded == clean) | (short > 0)).all()
        assert (np.array(cell["empty"]) <= short).all()
    rows = uit_tables.ladder(made)
    assert len(rows) == 12 * len(uit_tables.LADDER)
    assert list(dict.fromkeys(rows["rung"])) == list(uit_tables.LADDER)
    for _, own in rows.groupby(["tables", "bits"]):
        (paper,) = uit_tables.published(1).merge(own[["tables", "bits"]].drop_duplicates())["paper"]
        assert paper + own["change"].sum() == pytest.approx(own["mean"].iloc[-1])


def test_tables_and_figures_of_measurements(measured):
    made, _ = measured
    first, rows = uit_tables.table_1(made), uit_tables.ladder(made)
    assert (first["seeds"] == 2).all()
    assert first["paper"].tolist() == uit_tables.published(1)["paper"].tolist()
    text = uit_tables.markdown(first)
    assert text.count("\n") == 13 and "| slides" in text and "| script" in text and "0.6223" in text
    plots.ladder(rows, uit_tables.published(1)).canvas.draw()
    figure = plots.by_bits(first, uit_tables.table_2(where=paths.results("none")).query("protocol == 'full'"), 0.7)
    figure.canvas.draw()
    assert {"LSH, 16 tables", "DSH, alpha 0.01", "HOG by angle, no hashing"} <= {
        text.get_text() for text in figure.legends[0].get_texts()
    }


def test_table_2_waits_for_its_records(results):
    where = results / "none"
    rows = uit_tables.table_2(where=where)
    assert (rows["seeds"] == 0).all() and rows["mean"].isna().all()
    text = uit_tables.markdown(rows)
    assert "–" in text and "first tenth of all" in text
    runs = [run for run in grid("uit_dsh", "paper") if (run.protocol, run.alpha, run.bits) == ("first_tenth", 0.01, 12)]
    for run in runs[:2]:
        record = {"config": run.to_dict(), "metrics": {"map_at_k_hits": {"10": 0.7 + 0.1 * run.seed}, "map": 0.5}}
        records.save(record | {"provenance": {}}, where / record_path(run, "paper").name)
    rows = uit_tables.table_2(where=where)
    (found,) = rows[rows["seeds"] > 0].to_dict("records")
    assert (found["protocol"], found["alpha"], found["bits"], found["seeds"]) == ("first_tenth", 0.01, 12, 2)
    assert found["paper"] == 0.7576
    assert (found["mean"], found["std"]) == (pytest.approx(0.75), pytest.approx(np.std([0.7, 0.8], ddof=1)))


def test_settings_of_dsh(monkeypatch):
    asked = []

    def hashed(config, split):
        asked.append(config)
        codes = np.where(np.random.default_rng(config.seed).random((60, config.bits)) < config.alpha, -1, 1)
        labels = np.arange(60) % 3
        return SavedCodes(codes[:20].astype(np.int8), codes[20:].astype(np.int8), labels[:20], labels[20:])

    monkeypatch.setattr(uit, "hashed", hashed)
    made = uit.dsh_settings("digits", bits=8, n_seeds=2, epochs=3)
    assert [(run.learning_rate, run.alpha, run.seed) for run in asked] == [
        (own["learning_rate"], own["alpha"], seed) for own in uit.DSH_SETTINGS.values() for seed in (0, 1)
    ]
    assert {(run.method, run.bits, run.epochs, run.protocol) for run in asked} == {("dsh", 8, 3, "first_tenth")}
    monkeypatch.setattr(paths, "COMMITTED", paths.results("digits"))
    assert uit_tables.committed(uit.DSH_FILE) == made
    rows = uit_tables.dsh_settings(made)
    assert rows["seeds"].tolist() == [2] * 4
    assert rows["change"].iloc[0] == 0
    scores = [own["map_at_10"] for own in made["settings"].values()]
    assert rows["change"].iloc[2] == pytest.approx(np.mean(scores[2]) - np.mean(scores[0]))


def test_hashed_records_nothing(digits, results):
    codes = uit.hashed(configure("digits", "dsh", 8, epochs=1), digits)
    assert codes.query.shape == (500, 8) and codes.database.shape == (1297, 8)
    assert set(np.unique(codes.database)) <= {-1, 1}
    np.testing.assert_array_equal(codes.query_labels, digits.query.labels)
    assert not results.exists()


def test_the_committed_measurements():
    file = paths.COMMITTED / "artefacts" / uit.FILE
    assert file.stat().st_size < 50_000
    made = uit_tables.committed()
    assert list(made["settings"]) == list(uit.SETTINGS)
    for name, setting in uit.SETTINGS.items():
        own = made["settings"][name]
        sizes = (1000, 6000) if setting.protocol == "first_tenth" else (10_000, 60_000)
        assert (own["n_query"], own["n_database"]) == sizes
        assert own["n_features"] == {"opencv": 144, "scikit-image": 324}[setting.features]
        assert [(cell["tables"], cell["bits"]) for cell in own["cells"]] == [
            (t, b) for b in uit.BITS for t in uit.TABLES
        ]
        assert all(len(cell["clean"]) == setting.n_seeds for cell in own["cells"])
    first = uit_tables.table_1(made)
    assert (first["z"].abs() < 3).all()
    assert (first["mean"] - first["paper"]).abs().max() < 0.04
    assert isinstance(uit_tables.ladder(made), pd.DataFrame)


def test_the_committed_settings_of_dsh():
    made = uit_tables.committed(uit.DSH_FILE)
    assert {
        title: {name: own[name] for name in ("learning_rate", "alpha")} for title, own in made["settings"].items()
    } == (uit.DSH_SETTINGS)
    assert all(len(own["map_at_10"]) == 5 for own in made["settings"].values())
