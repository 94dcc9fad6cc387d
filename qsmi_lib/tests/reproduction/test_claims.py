"""What the paper claims in words is counted from records as a slow definition would count it."""

import math

import numpy as np
import pandas as pd
import pytest

from qsmi_lib.config.profiles import PROFILES
from qsmi_lib.config.run import RunConfig
from qsmi_lib.reproduction.analysis import claims
from qsmi_lib.reproduction.experiments import grid
from qsmi_lib.reproduction.grids import STEPS
from qsmi_lib.reproduction.plotting import claims as plots
from qsmi_lib.tests.reproduction.test_tables import invent
from qsmi_lib.training import runs
from qsmi_lib.training.records import SavedCodes
from qsmi_lib.utils import paths


@pytest.fixture
def where(tmp_path):
    """Table 2: DSH at 0.70, 0.72, ... by code length, DPSH at 0.9, QSMI at 0.71, 0.74, ...; two seeds 0.02 apart."""
    for run in grid("table_2", "paper"):
        place = (12, 24, 36, 48).index(run.bits)
        score = {"dsh": 0.70 + 0.02 * place, "dpsh": 0.9, "qsmi": 0.71 + 0.03 * place}[run.method]
        if run.seed < 2:
            invent(run, tmp_path, map_11pt=score + 0.02 * run.seed)
    return tmp_path


def test_the_fewest_bits_that_are_enough(where):
    rows = claims.fewer_bits("table_2", "paper", where).set_index("method")
    assert rows.loc["dsh", ["bits", "enough", "share"]].tolist() == [48, 36, 0.75]  # 0.77 >= 0.76
    assert rows.loc["dsh", "score"] == pytest.approx(0.77) and rows.loc["dsh", "ours"] == pytest.approx(0.78)
    assert math.isnan(rows.loc["dpsh", "enough"]) and math.isnan(rows.loc["dpsh", "share"])
    assert set(rows.index) == {"dsh", "dpsh"}


def test_equal_scores_are_enough(where):
    rows = claims.fewer_bits("table_2", "paper", where, of="dpsh").set_index("method")
    assert rows.loc["qsmi", "enough"] == 12


def test_no_records_give_no_rows(tmp_path):
    assert claims.fewer_bits("table_2", "paper", tmp_path).empty
    assert claims.spread(["table_2"], "paper", tmp_path).empty
    assert claims.paired("steps", "paper", tmp_path).empty
    assert claims.levels("steps", "paper", tmp_path) == {}


def test_the_spread_is_the_root_of_the_mean_variance(tmp_path):
    for run in grid("table_2", "paper"):
        if run.method == "qsmi" and run.seed < {12: 2, 24: 3, 36: 1, 48: 0}[run.bits]:
            invent(run, tmp_path, map_11pt=0.8 + 0.01 * run.seed**2)
    (row,) = claims.spread(["table_2"], "paper", tmp_path).to_dict("records")
    squares = sum(
        (np.array(own) - np.mean(own)) @ (np.array(own) - np.mean(own)) for own in ([0, 0.01], [0, 0.01, 0.04])
    )
    assert row["std"] == pytest.approx((squares / 3) ** 0.5)
    assert (row["method"], row["cells"], row["freedom"]) == ("qsmi", 2, 3)
    assert row["low"] == pytest.approx(
        row["std"] * (3 / 9.348) ** 0.5, rel=1e-3
    )  # the quantiles of chi-square, 3 degrees
    assert row["high"] == pytest.approx(row["std"] * (3 / 0.2158) ** 0.5, rel=1e-3)


def test_trainings_that_two_protocols_share_count_once(tmp_path):
    for run in grid("table_5", "paper"):
        if run.method == "qsmi" and run.bits == 16 and run.seed < 3:
            invent(run, tmp_path, map_11pt=0.1 * run.seed)
    (row,) = claims.spread(["table_5"], "paper", tmp_path).to_dict("records")
    assert (row["cells"], row["freedom"], row["std"]) == (1, 2, pytest.approx(0.1))


def test_gains_are_paired_by_seed(tmp_path):
    scores = {None: {0: 0.80, 1: 0.90, 2: 0.70}, 10.0: {1: 0.91, 2: 0.73, 4: 0.1}}
    for run in grid("constant_m", "paper"):
        own = scores[run.options["information_needs"]]
        if run.seed in own:
            invent(run, tmp_path, map_11pt=own[run.seed])
    (row,) = claims.paired("constant_m", "paper", tmp_path).to_dict("records")
    assert (row["information_needs"], row["n"], row["up"]) == (10.0, 2, 2)
    assert row["gain"] == pytest.approx(0.02) and row["score"] == pytest.approx(0.82)
    assert row["error"] == pytest.approx(0.01)  # 0.01 and 0.03: deviation 0.0141, over the root of 2
    (other,) = claims.paired("constant_m", "paper", tmp_path, base=1).to_dict("records")
    assert other["gain"] == pytest.approx(-0.02) and other["up"] == 0


def test_one_seed_has_no_error(tmp_path):
    for run in grid("batch_sizes", "paper"):
        if run.seed == 0:
            invent(run, tmp_path, map_11pt=run.batch_size / 1000)
    rows = claims.paired("batch_sizes", "paper", tmp_path, base=1)
    assert rows["batch_size"].tolist() == [64, 256] and rows["error"].isna().all()
    assert rows["gain"].tolist() == pytest.approx([-0.064, 0.128])


def test_steps_have_titles_of_their_own():
    titles = [claims.step_title(vars(run), "paper") for run in grid("steps", "paper")]
    assert len(set(titles)) == len(STEPS) + 2 and titles[0] == "as the paper"
    assert titles[-11] == "true priors + cosine over 50 epochs + shifts by a pixel + memory of 4 batches"
    assert titles[-6] == "constant rate over 150 epochs" and titles[-1] == "cosine over 150 epochs"


def test_levels_keep_the_seeds_apart(tmp_path):
    for run in grid("steps", "paper"):
        if run.seed < 2 and run.schedule == "cosine":
            invent(run, tmp_path, precision_at_recall=[0.1 * run.seed] * 11)
    found = claims.levels("steps", "paper", tmp_path)
    assert found["cosine over 50 epochs"] == [[0.0] * 11, [0.1] * 11] and len(found) == 4


def test_figures_draw_what_they_are_given(where, tmp_path):
    levels = plots.at_recall({"plain": [[1.0] * 10 + [0.2], [0.8] * 10 + [0.4]]})
    (line,) = levels.axes[0].lines
    assert line.get_ydata()[[0, -1]].tolist() == pytest.approx([0.9, 0.3])
    assert "mean 0.845" in levels.legends[0].get_texts()[0].get_text()
    rows = pd.DataFrame({"gain": [0.01, -0.02], "error": [0.001, math.nan]})
    drawn = plots.brought(rows, ["one", "two"])
    assert [tick.get_text() for tick in drawn.axes[0].get_yticklabels()] == ["one", "two"]
    spread = plots.spreads(claims.spread(["table_2"], "paper", where))
    assert [tick.get_text() for tick in spread.axes[0].get_yticklabels()] == ["DSH", "DPSH", "QSMI"]
    for figure in (levels, drawn, spread):
        figure.canvas.draw()
        assert figure.axes[0].get_xlabel()


def test_the_widths_of_the_kernel_stand_beside_a_method_without_one():
    numbers = {"map_11pt": [0.5, 0.6, 0.8], "map_11pt_std": [0.1, math.nan, 0.1]}
    cells = pd.DataFrame({"method": ["qmi", "qmi", "qsmi"], "sigma": [1.0, 10.0, math.nan]} | numbers)
    figure = plots.widths(cells)
    figure.canvas.draw()
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["QSMI, no width", "QMI"]


def test_a_configuration_is_a_row():
    run = RunConfig("digits", "qsmi", 8, memory=2, epochs=PROFILES["digits"].epochs)
    assert claims.step_title(vars(run), "digits") == "memory of 2 batches"


def test_what_is_astray_is_nearer_to_the_word_of_another_class():
    one, other = [1, 1, 1, 1, 1, 1], [-1, -1, -1, -1, 1, 1]
    half = [1, 1, -1, -1, 1, 1]  # as far from both words: not astray
    lost = [-1, -1, -1, 1, 1, 1]
    database = np.array([one, one, lost, half, other, other, one], np.int8)
    labels = np.array([3, 3, 3, 3, 7, 7, 7])
    codes = SavedCodes(np.array([other, lost, half], np.int8), database, np.array([3, 7, 7]), labels)
    query, searched = claims.astray(codes)
    assert query.tolist() == [True, False, False]
    assert searched.tolist() == [False, False, True, False, False, False, True]


def test_what_is_astray_is_counted_by_step_and_kept(trainings):
    with pytest.raises(FileNotFoundError, match="not on this machine"):
        claims.astray_by_step("digits")
    runs.run_all([run for run in grid("steps", "digits") if run.seed == 0], "digits")
    found = claims.astray_by_step("digits")
    assert found["step"].tolist() == [
        claims.step_title(vars(run), "digits") for run in grid("steps", "digits") if run.seed == 0
    ]
    assert found["database"].between(0, 1).all() and (found["worst_share"] >= found["database"]).all()
    assert (paths.results("digits") / "artefacts" / claims.ASTRAY).read_text() == found.to_csv(index=False)


def test_nine_curves_are_told_apart():
    lines = plots.at_recall({str(step): [[0.5] * 11] for step in range(9)}).axes[0].lines
    assert len({(line.get_color(), line.get_marker(), line.get_linestyle()) for line in lines}) == 9
