"""What the paper claims in words is counted from records as a slow definition counts it."""

import math

import numpy as np
import pandas as pd
import pytest

from qsmi_lib.config.presets import configure
from qsmi_lib.config.profiles import PROFILES
from qsmi_lib.reproduction.analysis import claims
from qsmi_lib.reproduction.artefacts import load_artefact
from qsmi_lib.tests.reproduction.invented import empty, invent, invent_grid
from qsmi_lib.training.records import SavedCodes


@pytest.fixture
def paper(tmp_path):
    """The profile `paper` without any record."""
    return empty("paper", tmp_path)


def test_the_fewest_bits_that_are_enough(paper):
    """DSH at 0.70, 0.72, ... by code length, DPSH at 0.9, QSMI at 0.71, 0.74, ...; two seeds 0.02 apart."""

    def score(run):
        place = (12, 24, 36, 48).index(run.bits)
        level = {"dsh": 0.70 + 0.02 * place, "dpsh": 0.9, "qsmi": 0.71 + 0.03 * place}[run.method]
        return level + 0.02 * run.seed if run.seed < 2 else None

    invent_grid(paper, "table_2", score)
    rows = claims.fewer_bits("table_2", paper).set_index("method")
    assert rows.loc["dsh", ["bits", "enough", "share"]].tolist() == [48, 36, 0.75]  # 0.77 >= 0.76
    assert rows.loc["dsh", "score"] == pytest.approx(0.77) and rows.loc["dsh", "ours"] == pytest.approx(0.78)
    assert math.isnan(rows.loc["dpsh", "enough"]) and math.isnan(rows.loc["dpsh", "share"])
    equal = claims.fewer_bits("table_2", paper, of="dpsh").set_index("method")
    assert equal.loc["qsmi", "enough"] == 12


def test_no_records_give_no_rows(paper):
    assert claims.fewer_bits("table_2", paper).empty and claims.spread(["table_2"], paper).empty
    assert claims.paired("steps", paper).empty and claims.levels("steps", paper) == {}


def test_the_spread_is_the_root_of_the_mean_variance(paper):
    seeds = {12: 2, 24: 3, 36: 1, 48: 0}
    known = lambda run: run.method == "qsmi" and run.seed < seeds[run.bits]  # noqa: E731
    invent_grid(paper, "table_2", lambda run: 0.8 + 0.01 * run.seed**2 if known(run) else None)
    (row,) = claims.spread(["table_2"], paper).to_dict("records")
    squares = sum(np.square(np.array(scores) - np.mean(scores)).sum() for scores in ([0, 0.01], [0, 0.01, 0.04]))
    assert row["std"] == pytest.approx((squares / 3) ** 0.5)
    assert (row["method"], row["cells"], row["freedom"]) == ("qsmi", 2, 3)
    low, high = (row["std"] * (3 / quantile) ** 0.5 for quantile in (9.348, 0.2158))  # of chi-square, 3 degrees
    assert (row["low"], row["high"]) == (pytest.approx(low, rel=1e-3), pytest.approx(high, rel=1e-3))


def test_trainings_that_two_protocols_share_count_once(paper):
    for run in paper.grid("table_5"):
        if (run.method, run.bits) == ("qsmi", 16) and run.seed < 3:
            invent(paper, run, map_11pt=0.1 * run.seed)
    (row,) = claims.spread(["table_5"], paper).to_dict("records")
    assert (row["cells"], row["freedom"], row["std"]) == (1, 2, pytest.approx(0.1))


def test_gains_are_paired_by_seed(paper):
    scores = {None: {0: 0.80, 1: 0.90, 2: 0.70}, 10.0: {1: 0.91, 2: 0.73, 4: 0.1}}
    invent_grid(paper, "constant_m", lambda run: scores[run.options["information_needs"]].get(run.seed))
    (row,) = claims.paired("constant_m", paper).to_dict("records")
    assert (row["information_needs"], row["n"], row["up"]) == (10.0, 2, 2)
    assert row["gain"] == pytest.approx(0.02) and row["score"] == pytest.approx(0.82)
    assert row["error"] == pytest.approx(0.01)  # 0.01 and 0.03: deviation 0.0141, over the root of 2
    (other,) = claims.paired("constant_m", paper, base=1).to_dict("records")
    assert other["gain"] == pytest.approx(-0.02) and other["up"] == 0


def test_one_seed_has_no_error(paper):
    invent_grid(paper, "batch_sizes", lambda run: run.batch_size / 1000 if run.seed == 0 else None)
    rows = claims.paired("batch_sizes", paper, base=1)
    assert rows["batch_size"].tolist() == [64, 256] and rows["error"].isna().all()
    assert rows["gain"].tolist() == pytest.approx([-0.064, 0.128])


def test_steps_have_titles_of_their_own(paper):
    steps = [run for run in paper.grid("steps") if run.seed == 0]
    titles = [claims.step_title(vars(run), paper.profile) for run in steps]
    assert len(set(titles)) == len(steps) and titles[0] == "as the paper"
    assert "true priors + cosine over 50 epochs + shifts by a pixel + memory of 4 batches" in titles
    memory = configure("digits", "qsmi", 8, memory=2, epochs=PROFILES["digits"].epochs)
    assert claims.step_title(vars(memory), PROFILES["digits"]) == "memory of 2 batches"


def test_levels_are_by_step_and_seed(paper):
    for run in paper.grid("steps"):
        if run.seed < 2 and run.schedule == "cosine":
            invent(paper, run, precision_at_recall=[0.1 * run.seed] * 11)
    levels = claims.levels("steps", paper)
    assert levels["cosine over 50 epochs"] == [[0.0] * 11, [0.1] * 11] and len(levels) == 4


def test_items_astray_are_nearest_to_another_classs_modal_code():
    one, other = [1, 1, 1, 1, 1, 1], [-1, -1, -1, -1, 1, 1]
    half = [1, 1, -1, -1, 1, 1]  # as far from both: not astray
    lost = [-1, -1, -1, 1, 1, 1]
    database = np.array([one, one, lost, half, other, other, one], np.int8)
    labels = np.array([3, 3, 3, 3, 7, 7, 7])
    codes = SavedCodes(np.array([other, lost, half], np.int8), database, np.array([3, 7, 7]), labels)
    query, searched = claims.astray(codes)
    assert query.tolist() == [True, False, False]
    assert searched.tolist() == [False, False, True, False, False, False, True]


def test_items_astray_are_counted_by_step(tmp_path, monkeypatch):
    digits = empty("digits", tmp_path)
    with pytest.raises(FileNotFoundError, match="run the experiment with --fresh"):
        claims.astray_by_step(digits)

    def random_codes(config, store):
        labels = np.arange(60) % 10
        codes = np.random.default_rng(config.epochs).choice(np.array([-1, 1], np.int8), (60, 8))
        return SavedCodes(codes[:20], codes, labels[:20], labels)

    monkeypatch.setattr(claims, "codes_of", random_codes)
    table = claims.astray_by_step(digits)
    assert table["step"].nunique() == len(table) == sum(run.seed == 0 for run in digits.grid("steps"))
    assert table["database"].between(0, 1).all() and (table["worst_share"] >= table["database"]).all()
    saved = load_artefact(digits.store, claims.ASTRAY)
    pd.testing.assert_frame_equal(saved.astype({"worst": str}), table, check_dtype=False)
