"""The tables about methods: what they try, which trials are recorded, what their codes are like, and captions."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from qsmi_lib.config.presets import configure
from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction.analysis import method_tables
from qsmi_lib.reproduction.experiments import grid
from qsmi_lib.reproduction.grids import TRAINED, UNTRAINED
from qsmi_lib.training import runs, tuning
from qsmi_lib.training.runs import codes_of
from qsmi_lib.utils import paths

PROFILE = "toy"


def test_described_has_a_row_a_method():
    table = method_tables.described([*TRAINED, *UNTRAINED])
    assert list(table["method"]) == [METHODS[name].title for name in (*TRAINED, *UNTRAINED)]
    assert table.set_index("method").loc["PGDH†", "tried"].startswith("balance: 1, 3, the loss's own;")
    assert (table["tried"] == "–").sum() == sum(not METHODS[name].search for name in (*TRAINED, *UNTRAINED))


@pytest.mark.parametrize(("value", "words"), [(0.05, "0.05"), (None, "the loss's own"), (math.nan, "the loss's own")])
def test_shown(value, words):
    assert method_tables.shown(value) == words


HEAD = dict.fromkeys(("method", "dataset", "bits", "seed", "epochs", "protocol"), "invented")  # of a search


@pytest.fixture
def searches(tmp_path):
    """Two searches: one that chose a middle value and then an end, one with nothing to tune."""
    settings = [{"gamma": value} for value in (*METHODS["dch"].search["gamma"], 2.5)]
    settings += [{"gamma": 10.0, "alpha": value} for value in METHODS["dch"].search["alpha"]]
    trials = [{"settings": own, "map_expected": score} for score, own in enumerate(settings)]
    chosen = {"gamma": 10.0, "alpha": 1.0}
    for method, search in {
        "dch": {"criterion": "map_expected", "trials": trials, "chosen": chosen},
        "cnnh": {"criterion": "map_expected", "trials": [{"settings": {}, "map_expected": 0.5}], "chosen": {}},
    }.items():
        tuning.file_of(method, "digits", tmp_path).write_text(json.dumps(HEAD | search))
    return method_tables.trials(tmp_path, "digits")


def test_trials_say_what_was_chosen_and_whether_it_is_an_end(searches):
    """An end is the least or the largest value that was tried, in whatever order."""
    assert list(searches["setting"]) == ["gamma"] * 4 + ["alpha"] * 3
    assert list(searches["score"]) == list(range(7))
    assert list(searches["chosen"]) == [False, True, False, False, False, False, True]
    assert list(searches["at_end"]) == [False, False, True, True, True, False, True]


def test_the_losss_own_choice_is_no_end(tmp_path):
    trials = [{"settings": {"balance": value}, "map_expected": 0.5} for value in METHODS["pgdh"].search["balance"]]
    search = {"criterion": "map_expected", "trials": trials, "chosen": {"balance": None}}
    tuning.file_of("pgdh", "digits", tmp_path).write_text(json.dumps(HEAD | search))
    assert list(method_tables.trials(tmp_path, "digits")["at_end"]) == [True, True, False]


def test_the_trials_of_a_search():
    search = tuning.tune("dhn", "digits", PROFILE)
    trials = method_tables.trials(paths.tuning(PROFILE), "digits")
    values = [trial["settings"]["alpha"] for trial in search["trials"]]
    assert trials["value"].tolist() == values
    assert trials["at_end"].tolist() == [value in (min(values), max(values)) for value in values]
    assert trials["chosen"].sum() == 1 and trials["chosen"].idxmax() == trials["score"].idxmax()
    assert trials["score"].tolist() == [trial["map_expected"] for trial in search["trials"]]
    assert method_tables.trials(paths.tuning("another"), "digits").empty


def test_the_properties_of_recorded_codes():
    config = configure("digits", "qsmi", 8, epochs=1)
    (row,) = method_tables.properties([runs.run(config, PROFILE)]).to_dict("records")
    codes = codes_of(config, PROFILE)
    distance = (8 - codes.query.astype(int) @ codes.database.astype(int).T) // 2
    relevant = codes.query_labels[:, None] == codes.database_labels
    near, far = distance[relevant], distance[~relevant]
    area = stats.mannwhitneyu(far, near).statistic / (len(near) * len(far))  # P(near < far) + P(equal) / 2
    assert row["separation"] == pytest.approx(area, abs=1e-5)  # a record keeps six digits of each share
    assert row["imbalance"] == pytest.approx(np.abs(codes.database.mean(axis=0)).mean(), rel=1e-4)
    assert (row["method"], row["bits"], row["seed"]) == ("qsmi", 8, 0)
    assert method_tables.properties([]).empty


def test_properties_of_records():
    share = [[0.5, 0.0], [0.5, 0.5], [0.0, 0.5]]
    codes = {"bit_mean": [0.5, -0.5], "bit_entropy": 0.8, "code_entropy": 3.0, "n_distinct": 9}
    metrics = {"map": 0.5, "share_by_distance": share}
    record = {"config": {"method": "dsh", "bits": 2, "seed": 1}, "codes": codes, "metrics": metrics}
    (row,) = method_tables.properties([record]).to_dict("records")
    assert row["imbalance"] == 0.5
    slow = sum(w * b * ((i < j) + 0.5 * (i == j)) for i, (w, _) in enumerate(share) for j, (_, b) in enumerate(share))
    assert row["separation"] == pytest.approx(slow)
    assert (row["method"], row["bits"], row["seed"], row["n_distinct"]) == ("dsh", 2, 1, 9)


def test_caption_says_what_stands_behind_a_figure():
    configs = grid("methods", "digits")
    words = f"digits, 10 epochs, seeds 0, 1, not tuned; mAP; 3 of {len(configs)} runs"
    assert method_tables.caption(configs, 3, "mAP") == words
    one = [config for config in configs if config.seed == 0]
    assert "seed 0," in method_tables.caption(one, 0, "mAP")
    assert method_tables.caption(grid("methods", "paper"), 0, "mAP").startswith(
        "Fashion-MNIST, 10 epochs, seeds 0, 1, 2"
    )
