"""The tables about methods: what they try, which trials are recorded, what their codes are like, and captions."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from qsmi_lib.config.presets import configure
from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction.analysis import class_agreement, method_tables
from qsmi_lib.reproduction.artefacts import load_artefact
from qsmi_lib.reproduction.grids import TRAINED, UNTRAINED
from qsmi_lib.tests.reproduction.invented import empty
from qsmi_lib.training.records import SavedCodes, Store, codes_of
from qsmi_lib.training.tuning import search_path

HEAD = dict.fromkeys(("method", "dataset", "protocol"), "invented") | dict.fromkeys(("bits", "seed", "epochs"), 1)


def test_the_registry_has_a_row_a_method():
    table = method_tables.described([*TRAINED, *UNTRAINED]).set_index("method")
    assert list(table.index) == [METHODS[name].title for name in (*TRAINED, *UNTRAINED)]
    assert table.loc["PGDH†", "tried"].startswith("balance: 1, 3, the loss's own;")
    assert (table["tried"] == "–").sum() == sum(not METHODS[name].search for name in (*TRAINED, *UNTRAINED))


def write_search(store, method, settings, chosen):
    trials = [{"settings": setting, "map_expected": score} for score, setting in enumerate(settings)]
    search = HEAD | {"criterion": "map_expected", "trials": trials, "chosen": chosen}
    path = search_path(method, "digits", store)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(search))


def test_trials_say_what_was_chosen_and_whether_it_is_the_least_or_the_largest(tmp_path):
    store, searched = Store(tmp_path), METHODS["dch"].search
    assert method_tables.trials(store, "digits").empty
    settings = [{"gamma": value} for value in (*searched["gamma"], 2.5)]
    settings += [{"gamma": 10.0, "alpha": value} for value in searched["alpha"]]
    write_search(store, "dch", settings, {"gamma": 10.0, "alpha": 1.0})
    write_search(store, "cnnh", [{}], {})  # nothing to tune
    trials = method_tables.trials(store, "digits")
    assert list(trials["setting"]) == ["gamma"] * 4 + ["alpha"] * 3
    assert list(trials["score"]) == list(range(7))
    assert list(trials["chosen"]) == [False, True, False, False, False, False, True]
    assert list(trials["at_end"]) == [False, False, True, True, True, False, True]


def test_the_losss_own_choice_is_neither_least_nor_largest(tmp_path):
    store = Store(tmp_path)
    write_search(store, "pgdh", [{"balance": value} for value in METHODS["pgdh"].search["balance"]], {"balance": None})
    assert list(method_tables.trials(store, "digits")["at_end"]) == [True, True, False]


def test_the_properties_of_recorded_codes(tmp_path):
    results, config = empty("digits", tmp_path), configure("digits", "qsmi", 8, epochs=1)
    results.run_all([config])
    (row,) = method_tables.properties(results.table).to_dict("records")
    codes = codes_of(config, results.store)
    distance = (8 - codes.query.astype(int) @ codes.database.astype(int).T) // 2
    relevant = codes.query_labels[:, None] == codes.database_labels
    near, far = distance[relevant], distance[~relevant]
    area = stats.mannwhitneyu(far, near).statistic / (len(near) * len(far))  # P(near < far) + P(equal) / 2
    assert row["separation"] == pytest.approx(area, abs=1e-5)  # a record holds six digits of each share
    assert row["imbalance"] == pytest.approx(np.abs(codes.database.mean(axis=0)).mean(), rel=1e-4)
    assert (row["method"], row["bits"], row["seed"]) == ("qsmi", 8, 0)


def test_properties_by_their_definition():
    share = [[0.5, 0.0], [0.5, 0.5], [0.0, 0.5]]
    codes = {"bit_mean": [0.5, -0.5], "bit_entropy": 0.8, "code_entropy": 3.0, "n_distinct": 9}
    run = {"method": "dsh", "bits": 2, "seed": 1, "map": 0.5, "share_by_distance": share} | codes
    (row,) = method_tables.properties(pd.DataFrame([run])).to_dict("records")
    slow = sum(w * b * ((i < j) + 0.5 * (i == j)) for i, (w, _) in enumerate(share) for j, (_, b) in enumerate(share))
    assert (row["imbalance"], row["separation"], row["n_distinct"]) == (0.5, pytest.approx(slow), 9)


def test_a_caption_says_what_a_figure_is_of(tmp_path):
    configs = empty("digits", tmp_path).grid("methods")
    expected = f"digits, 20 epochs, seeds 0, 1, 2, not tuned; mAP; 3 of {len(configs)} runs"
    assert method_tables.caption(configs, 3, "mAP") == expected
    assert "seed 0," in method_tables.caption([config for config in configs if config.seed == 0], 0, "mAP")
    paper = empty("paper", tmp_path).grid("methods")
    assert method_tables.caption(paper, 0, "mAP").startswith("Fashion-MNIST, 10 epochs, seeds 0, 1, 2")


def test_class_agreement_is_the_mean_share_of_equal_bits(tmp_path, monkeypatch):
    codes, labels = np.array([[1, 1, 1, 1], [1, 1, 1, -1], [-1, -1, -1, -1]], np.int8), np.array([0, 0, 1])
    groups = [codes[labels == 0], codes[labels == 1]]
    expected = [[np.mean([(x == y).mean() for x in a for y in b]) for b in groups] for a in groups]
    assert class_agreement.class_agreement(codes, labels) == pytest.approx(np.array(expected))
    results = empty("digits", tmp_path)
    with pytest.raises(FileNotFoundError, match="run the experiment with --fresh"):
        class_agreement.agreement_of_variants(results)
    monkeypatch.setattr(class_agreement, "codes_of", lambda *_: SavedCodes(codes, codes, labels, labels))
    shares = class_agreement.agreement_of_variants(results)
    assert list(shares) == list(dict.fromkeys(run.method for run in results.grid("table_1")))
    np.testing.assert_equal(load_artefact(results.store, class_agreement.AGREEMENT), shares)
