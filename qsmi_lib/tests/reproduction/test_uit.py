"""The UIT slides' tables: the two AP@10, what was measured, and the steps from the slides' numbers to ours."""

import numpy as np
import pytest
import torch

from qsmi_lib.config.presets import configure
from qsmi_lib.evaluation import conventions, evaluate
from qsmi_lib.reproduction.analysis import uit
from qsmi_lib.reproduction.analysis.uit import CONVENTIONS, ap_at_10, relevance_of
from qsmi_lib.reproduction.artefacts import is_current, load_artefact
from qsmi_lib.reproduction.plotting import lsh as plots
from qsmi_lib.reproduction.results import committed
from qsmi_lib.search import lsh
from qsmi_lib.search.lsh import MISSING
from qsmi_lib.tests.reproduction.invented import empty, invent
from qsmi_lib.training.records import SavedCodes

SMALL = {
    "as published": uit.Setting("scikit-image", "full", 2, ties="table"),
    "ties by index": uit.Setting("scikit-image", "first_tenth", 2),
    "all pictures": uit.Setting("scikit-image", "first_tenth", 2),
    "scikit-image's HOG": uit.Setting("scikit-image", "first_tenth", 2),
    "centred": uit.Setting("scikit-image", "first_tenth", 2, centred=True),
}


# Relevance and AP@10


def slow_ap_at_10(relevant, convention):
    """The rule, one query: pad, then mean precision over the relevant ranks of ten."""
    padded = list(relevant) + [1 if convention == "published" else 0] * (10 - len(relevant))
    hits, total = 0, 0.0
    for rank, gain in enumerate(padded, start=1):
        hits += gain
        total += gain * hits / rank
    return total / hits if hits else 0.0


def test_relevance_of():
    relevance = relevance_of([[2, 0, MISSING], [MISSING] * 3], [5, 7], [5, 7, 7])
    assert relevance.tolist() == [[0, 1, -1], [-1, -1, -1]] and relevance.dtype == np.int8


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_ap_at_10_by_its_definition(convention):
    rng = np.random.default_rng(1)
    for length in range(11):
        relevant = rng.integers(2, size=(20, length))
        expected = [slow_ap_at_10(row, convention) for row in relevant]
        padded = np.pad(relevant, ((0, 0), (0, 10 - length)), constant_values=MISSING)
        np.testing.assert_allclose(ap_at_10(relevant, convention), expected, atol=1e-12)
        np.testing.assert_array_equal(ap_at_10(padded, convention), ap_at_10(relevant, convention))


def test_an_empty_answer_scores_1_as_published_and_0_clean():
    assert ap_at_10([[]], "published").tolist() == [1] and ap_at_10([[]], "clean").tolist() == [0]


def test_a_full_answer_scores_as_the_evaluator_has_it():
    relevant = np.random.default_rng(2).integers(2, size=(30, 10))
    expected = np.nan_to_num([conventions.average_precision_at_k(row, denominator="hits") for row in relevant])
    for convention in CONVENTIONS:
        np.testing.assert_allclose(ap_at_10(relevant, convention), expected, atol=1e-12)
    code, codes = np.ones((1, 12), np.int8), np.where(np.tri(12, 12, -1)[:10], -1, 1).astype(np.int8)
    scores = evaluate(code, codes, [1], relevant[0], k=10)
    assert ap_at_10(relevant[:1]).item() == pytest.approx(scores.map_at_k_hits[10])


def test_mistaken_answers_are_refused():
    with pytest.raises(ValueError, match=r"items must have shape \(n_query, k\)"):
        relevance_of([[0]], [1, 2], [1])
    for item in (2, -2):
        with pytest.raises(ValueError, match=f"indices of the 2 database items, or -1, got {item}"):
            relevance_of([[item]], [0], [0, 1])
    with pytest.raises(ValueError, match=r"relevance must have shape \(n_query, at most 10\), got \(1, 11\)"):
        ap_at_10([[1] * 11])
    with pytest.raises(ValueError, match="1, 0 and -1 only"):
        ap_at_10([[2]])
    with pytest.raises(ValueError, match="convention must be one of"):
        ap_at_10([[1]], "published ")


# Table 1


@pytest.fixture(scope="module")
def digits_results(tmp_path_factory):
    """The profile `digits`, with the artefact of `lsh_tables`."""
    pytest.importorskip("skimage")
    pytest.importorskip("cv2")
    results = empty("digits", tmp_path_factory.mktemp("digits"))
    uit.lsh_tables(results, SMALL)
    return results


@pytest.fixture
def measured(digits_results):
    """What `lsh_tables` measured on the digits."""
    return load_artefact(digits_results.store, uit.FILE)


def test_features_are_hog_of_two_libraries():
    pytest.importorskip("skimage")
    pytest.importorskip("cv2")
    images = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    assert uit.features("fashion_mnist", images).shape == (3, 324)
    assert uit.features("fashion_mnist", images, "opencv").shape == (3, 144)
    with pytest.raises(ValueError, match="kind must be 'scikit-image' or 'opencv', got 'hog'"):
        uit.features("digits", torch.zeros(2, 1, 8, 8), "hog")


def test_a_cell_is_what_the_hash_tables_say(measured, digits):
    query, database = (uit.features("digits", part.inputs) for part in (digits.query, digits.database))
    setting = measured["settings"]["as published"]
    assert (setting["n_query"], setting["n_database"], setting["n_features"]) == (500, 1297, 324)
    cell = next(cell for cell in setting["cells"] if (cell["tables"], cell["bits"]) == (4, 12))
    labels = digits.query.labels.numpy(), digits.database.labels.numpy()
    index = lsh.HashTables(database, 12, 4, seed=1)
    relevance = relevance_of(index.answers(query, ties="table").items, *labels)
    for convention in CONVENTIONS:
        assert cell[convention][1] == pytest.approx(ap_at_10(relevance, convention).mean(), abs=1e-6)
    assert cell["short"][1] == pytest.approx((relevance == MISSING).any(axis=1).mean(), abs=1e-6)
    assert cell["empty"][1] == pytest.approx((relevance == MISSING).all(axis=1).mean(), abs=1e-6)
    (bucket,) = [row for row in setting["buckets"] if row["bits"] == 12]
    assert bucket["largest"][1] == pytest.approx(index.bucket_sizes(0)[0] / 1297, abs=1e-6)
    near = relevance_of(lsh.by_angle(query, database), *labels)
    assert setting["by_angle"] == pytest.approx(ap_at_10(near).mean(), abs=1e-6)


def test_changes_of_the_ladder_add_up(measured):
    plain, centred = (measured["settings"][name] for name in ("scikit-image's HOG", "centred"))
    for before, after in zip(plain["buckets"], centred["buckets"], strict=True):
        assert np.mean(after["own"]) <= np.mean(before["own"])  # centred buckets are more even
    rows, published = uit.ladder(measured), uit.published(1).set_index(["tables", "bits"])["paper"]
    assert list(dict.fromkeys(rows["rung"])) == list(uit.LADDER)
    for cell, steps in rows.groupby(["tables", "bits"]):
        assert published[cell] + steps["change"].sum() == pytest.approx(steps["mean"].iloc[-1])


def test_tables_and_figures_of_measurements(measured, tmp_path):
    first = uit.table_1(measured)
    assert (first["seeds"] == 2).all() and first["paper"].tolist() == uit.published(1)["paper"].tolist()
    text = uit.markdown(first)
    assert text.count("\n") == len(first) + 1 and "| slides" in text and "| script" in text and "0.6223" in text
    second = uit.table_2(empty("paper", tmp_path)).query("protocol == 'full'")
    for figure in (plots.ladder(uit.ladder(measured), uit.published(1)), plots.by_bits(first, second, 0.7)):
        figure.canvas.draw()
        assert figure.axes[0].get_ylabel()
    assert "HOG by angle, no hashing" in {text.get_text() for text in figure.legends[0].get_texts()}


# Table 2


def test_table_2_is_of_the_records_that_exist(tmp_path):
    paper = empty("paper", tmp_path)
    for run in paper.grid("uit_dsh"):
        if (run.protocol, run.alpha, run.bits) == ("first_tenth", 0.01, 12) and run.seed < 2:
            invent(paper, run, map_at_k_hits={"10": 0.7 + 0.1 * run.seed})
    rows = uit.table_2(paper)
    (row,) = rows[rows["seeds"] > 0].to_dict("records")
    assert (row["protocol"], row["alpha"], row["bits"], row["seeds"]) == ("first_tenth", 0.01, 12, 2)
    assert (row["paper"], row["mean"]) == (0.7576, pytest.approx(0.75))
    assert row["std"] == pytest.approx(np.std([0.7, 0.8], ddof=1))
    assert rows["mean"].isna().sum() == len(rows) - 1 and "–" in uit.markdown(rows)


def test_settings_of_dsh_are_trained_by_title_and_seed(monkeypatch, tmp_path):
    configs, results = [], empty("digits", tmp_path)

    def hashed(config, split):
        configs.append(config)
        codes = np.where(np.random.default_rng(config.seed).random((60, config.bits)) < config.alpha, -1, 1)
        labels = np.arange(60) % 3
        return SavedCodes(codes[:20].astype(np.int8), codes[20:].astype(np.int8), labels[:20], labels[20:])

    monkeypatch.setattr(uit, "hashed", hashed)
    options = {"bits": 8, "n_seeds": 2, "epochs": 3}
    made = uit.dsh_settings(results, **options)
    assert [(run.learning_rate, run.alpha, run.seed) for run in configs] == [
        (setting["learning_rate"], setting["alpha"], seed) for setting in uit.DSH_SETTINGS.values() for seed in (0, 1)
    ]
    assert {(run.method, run.bits, run.epochs, run.protocol) for run in configs} == {("dsh", 8, 3, "first_tenth")}
    assert load_artefact(results.store, uit.DSH_FILE) == made
    assert is_current(results.store, uit.DSH_FILE, uit.dsh_made_by(results, **options))
    rows, scores = uit.dsh_settings_table(made), [setting["map_at_10"] for setting in made["settings"].values()]
    assert rows["change"].tolist() == pytest.approx([np.mean(score) - np.mean(scores[0]) for score in scores])


def test_hashed_trains_and_records_nothing(digits, results):
    codes = uit.hashed(configure("digits", "dsh", 8, epochs=1), digits)
    assert codes.query.shape == (500, 8) and set(np.unique(codes.database)) <= {-1, 1}
    np.testing.assert_array_equal(codes.query_labels, digits.query.labels)
    assert not results.exists()


# What the repository carries


def test_the_committed_measurements_are_of_the_settings():
    made = load_artefact(committed().store, uit.FILE)
    for name, setting in uit.SETTINGS.items():
        cells = made["settings"][name]["cells"]
        assert {(cell["tables"], cell["bits"]) for cell in cells} == {(t, b) for b in uit.BITS for t in uit.TABLES}
        assert all(len(cell["clean"]) == setting.n_seeds for cell in cells)
    first = uit.table_1(made)
    assert (first["z"].abs() < 3).all() and (first["mean"] - first["paper"]).abs().max() < 0.04
    dsh = load_artefact(committed().store, uit.DSH_FILE)["settings"]
    assert {title: {n: s[n] for n in ("learning_rate", "alpha")} for title, s in dsh.items()} == uit.DSH_SETTINGS
