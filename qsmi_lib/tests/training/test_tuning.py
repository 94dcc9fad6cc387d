"""The line search: what it tries, what it keeps, and that the queries are never asked."""

import json

import numpy as np
import pytest

from qsmi_lib import datasets
from qsmi_lib.config.presets import configure
from qsmi_lib.config.profiles import PROFILES
from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction import grids
from qsmi_lib.training import loop, records, runs, splits, tuning
from qsmi_lib.training.tuning import CLOSED, tune
from qsmi_lib.utils import paths

PROFILE = "toy"
HEAD = dict.fromkeys(("method", "dataset", "bits", "seed", "epochs", "protocol"), "invented")  # of a search
TUNED = [name for name, entry in METHODS.items() if entry.search]
COMMITTED = sorted((paths.COMMITTED / "tuning").glob("*.json"))


def invented_record(**metrics):
    """A record with these metrics, the others 0.5."""
    provenance = dict.fromkeys(tuning.MADE_BY, "invented")
    return {"metrics": dict.fromkeys(tuning.SHOWN, 0.5) | metrics, "provenance": provenance}


@pytest.fixture
def invented(monkeypatch):
    """Puts invented scores in the place of runs; gives the batches of configurations that were asked for."""

    def invent(score):
        asked = []

        def run_all(configs, profile, *, jobs):
            asked.append((profile, list(configs), jobs))
            return [invented_record(map_expected=score(config)) for config in configs]

        monkeypatch.setattr(runs, "run_all", run_all)
        return asked

    return invent


def settings_of(config, names):
    """The values of these settings in a configuration."""
    values = config.options | {"alpha": config.alpha}
    return {name: values[name] for name in names}


# The search, on invented scores


def test_one_setting_after_the_other_and_the_best_is_kept(invented):
    asked = invented(lambda config: -abs(config.options["gamma"] - 10) - abs(config.alpha - 0.1))
    search = tune("dch", "digits", PROFILE)
    tried = [[settings_of(config, ("gamma", "alpha")) for config in configs] for _, configs, _ in asked]
    assert tried == [
        [{"gamma": gamma, "alpha": 0.1} for gamma in (5.0, 10.0, 20.0)],
        [{"gamma": 10.0, "alpha": alpha} for alpha in (0.01, 0.1, 1.0)],
    ]
    assert search["chosen"] == {"gamma": 10.0, "alpha": 0.1}
    assert [trial["settings"] for trial in search["trials"]] == [
        *({"gamma": gamma} for gamma in (5.0, 10.0, 20.0)),
        *({"gamma": 10.0, "alpha": alpha} for alpha in (0.01, 0.1, 1.0)),
    ]


def test_a_line_search_is_no_grid(invented):
    """The best cell, gamma 5 and alpha 1, lies off both lines."""
    invented(lambda config: {(10.0, 0.1): 0.5, (5.0, 1.0): 0.9}.get((config.options["gamma"], config.alpha), 0.1))
    assert tune("dch", "digits", PROFILE)["chosen"] == {"gamma": 10.0, "alpha": 0.1}


@pytest.mark.parametrize("method", TUNED)
def test_of_equal_values_the_first_is_kept(invented, method):
    invented(lambda config: 0.5)
    assert tune(method, "digits", PROFILE)["chosen"] == {name: v[0] for name, v in METHODS[method].search.items()}


@pytest.mark.parametrize(
    ("best", "gammas"),
    [
        (10.0, [5.0, 10.0, 20.0]),
        (20.0, [5.0, 10.0, 20.0, 40.0]),  # 40 is worse
        (40.0, [5.0, 10.0, 20.0, 40.0, 80.0]),
        (300.0, [5.0, 10.0, 20.0, 40.0, 80.0]),  # no more than two beyond
        (5.0, [5.0, 10.0, 20.0, 2.5]),
        (1.0, [5.0, 10.0, 20.0, 2.5, 1.25]),
    ],
)
def test_a_line_goes_on_while_its_end_is_the_best(invented, best, gammas):
    invented(lambda config: -abs(np.log(config.options["gamma"] / best)) if config.alpha == 0.1 else -9.0)
    search = tune("dch", "digits", PROFILE)
    assert [trial["settings"]["gamma"] for trial in search["trials"][: len(gammas)]] == gammas
    assert search["chosen"] == {"gamma": min(gammas, key=lambda gamma: abs(np.log(gamma / best))), "alpha": 0.1}


def test_the_step_outwards_is_that_of_the_last_two_values(invented):
    """DSH tries 0.00001, 0.001 and 0.01: below the first follow hundredths, above the last tens."""
    asked = invented(lambda config: config.alpha)
    tune("dsh", "digits", PROFILE)
    assert [config.alpha for _, configs, _ in asked for config in configs] == [1e-5, 1e-3, 1e-2, 0.1, 1.0]
    asked = invented(lambda config: -config.alpha)
    tune("dsh", "digits", PROFILE)
    assert [config.alpha for _, configs, _ in asked for config in configs] == [1e-5, 1e-3, 1e-2, 1e-7, 1e-9]


@pytest.mark.parametrize("name", ["csq_qsmi", "dnnh", "qsmi_u"])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_closed_lines_keep_to_the_registrys_values(invented, name, sign):
    closed = CLOSED & METHODS[name].search.keys()
    invented(lambda config: sign * sum(config.options[setting] for setting in closed))
    for trial in tune(name, "digits", PROFILE)["trials"]:
        assert all(trial["settings"].get(s, METHODS[name].search[s][0]) in METHODS[name].search[s] for s in closed)


def test_counts_and_the_losss_own_value_have_nothing_beyond(invented):
    asked = invented(lambda config: config.options["n_samples"] + 100 * (config.options["balance"] is None))
    assert tune("pgdh", "digits", PROFILE)["chosen"] == {"balance": None, "n_samples": 64.0}
    assert [len(configs) for _, configs, _ in asked] == [3, 3]


@pytest.mark.parametrize("method", TUNED)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_every_value_can_be_chosen(invented, method, place):
    best = {name: values[place] for name, values in METHODS[method].search.items()}
    invented(lambda config: sum(settings_of(config, best)[name] == value for name, value in best.items()))
    assert tune(method, "digits", PROFILE)["chosen"] == best


def test_a_setting_may_be_the_losss_own(invented):
    invented(lambda config: float(config.options["balance"] is None))
    search = tune("pgdh", "digits", PROFILE)
    assert search["chosen"] == {"balance": None, "n_samples": 4.0}
    assert json.loads(tuning.file_of("pgdh", "digits", paths.tuning(PROFILE)).read_text()) == search


@pytest.mark.parametrize("method", [name for name in METHODS if name not in TUNED and METHODS[name].loss])
def test_a_method_with_nothing_to_choose_has_one_trial(invented, method):
    asked = invented(lambda config: 0.5)
    search = tune(method, "digits", PROFILE)
    assert [configs for _, configs, _ in asked] == [[configure("digits", method, 48, epochs=10, protocol="held_out")]]
    assert [trial["settings"] for trial in search["trials"]] == [{}]
    assert search["chosen"] == {}


@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].loss])
def test_the_queries_are_never_asked(invented, method):
    asked = invented(lambda config: 0.5)
    tune(method, "digits", PROFILE, bits=12, seed=3, epochs=2, jobs=2)
    for profile, configs, jobs in asked:
        assert (profile, jobs) == ("toy/tuning", 2)
        for config in configs:
            assert (config.method, config.dataset, config.protocol) == (method, "digits", "held_out")
            assert (config.bits, config.seed, config.epochs) == (12, 3, 2)


def test_the_best_is_by_the_criterion_alone(monkeypatch):
    """The score that does not hang on the order of ties, though the others say otherwise."""

    def run_all(configs, profile, *, jobs):
        others = set(tuning.SHOWN) - {"map_expected"}
        return [invented_record(map_expected=c.alpha, **dict.fromkeys(others, -c.alpha)) for c in configs]

    monkeypatch.setattr(runs, "run_all", run_all)
    search = tune("dhn", "digits", PROFILE)
    assert search["criterion"] == "map_expected" and search["chosen"] == {"alpha": 100.0}


def test_the_record_of_a_search(invented, results):
    invented(lambda config: config.alpha)
    search = tune("dhn", "digits", PROFILE, bits=12, seed=3, epochs=2)
    assert {name: value for name, value in search.items() if name not in ("trials", "chosen")} == {
        "method": "dhn",
        "dataset": "digits",
        "bits": 12,
        "seed": 3,
        "epochs": 2,
        "protocol": "held_out",
        "criterion": "map_expected",
        "provenance": dict.fromkeys(tuning.MADE_BY, "invented"),
    }
    for trial in search["trials"]:
        assert set(trial) == {"settings", "run", *tuning.SHOWN}
        config = configure("digits", "dhn", 12, seed=3, epochs=2, protocol="held_out", **trial["settings"])
        assert trial["run"] == runs.record_path(config, "").stem
        assert trial["map_expected"] == trial["settings"]["alpha"]
    [path] = (results / PROFILE / "tuning").iterdir()
    assert path.name == "digits-dhn-12b-s3-2e.json" and json.loads(path.read_text()) == search


def test_a_search_is_written_when_it_is_through(monkeypatch, results):
    lines = []

    def run_all(configs, profile, *, jobs):
        lines.append(profile)
        if len(lines) == 2:
            raise KeyboardInterrupt
        return [invented_record() for _ in configs]

    monkeypatch.setattr(runs, "run_all", run_all)
    with pytest.raises(KeyboardInterrupt):
        tune("dch", "digits", PROFILE)
    assert not results.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lda", "digits"), "unknown method 'lda'; known: classifier, cnnh"),
        (("lsh", "digits"), "lsh trains nothing: there is nothing to tune"),
        (("dhn", "mnist"), "unknown data set 'mnist'; known: cifar10, digit_pairs, digits, fashion_mnist"),
    ],
)
def test_unknown_names_list_the_known(arguments, message, results):
    with pytest.raises(ValueError, match=message):
        tune(*arguments, PROFILE)
    assert not results.exists()


@pytest.mark.parametrize("options", [{"bits": 0}, {"seed": -1}, {"epochs": 0}])
def test_settings_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be a whole number of at least"):
        tune("dhn", "digits", PROFILE, **options)


# The search, on runs


def test_a_search_on_digits_keeps_what_scored_best_and_goes_on_where_it_stopped(monkeypatch, results):
    search = tune("dhn", "digits", PROFILE, bits=8, epochs=1)
    scores = [trial["map_expected"] for trial in search["trials"]]
    assert search["chosen"] == search["trials"][int(np.argmax(scores))]["settings"]
    folder = results / PROFILE / "tuning"
    for trial in search["trials"]:
        record = records.load(folder / "runs" / f"{trial['run']}.json")
        assert record["provenance"]["fingerprint"] == datasets.fingerprint("digits", 0, "held_out")
        assert {name: record["metrics"][name] for name in tuning.SHOWN} == {name: trial[name] for name in tuning.SHOWN}
        with np.load(folder / "codes" / f"{trial['run']}.npz") as codes:
            assert (len(codes["query"]), len(codes["database"])) == (129, 1168)
        assert search["provenance"] == {name: record["provenance"][name] for name in tuning.MADE_BY}
    assert not (results / PROFILE / "runs").exists(), "trials are none of the profile's runs"
    monkeypatch.setattr(loop, "train", lambda *_args: pytest.fail("all trials are recorded"))
    assert tune("dhn", "digits", PROFILE, bits=8, epochs=1) == search


# What the repository carries


def test_chosen_is_what_the_committed_search_chose(monkeypatch, tmp_path, invented):
    monkeypatch.setattr(paths, "COMMITTED", tmp_path)
    assert tuning.chosen("dch", "digits") == {}
    (tmp_path / "tuning").mkdir()
    searches = {
        "": {"gamma": 5.0, "alpha": 1.0},
        "bits": {"gamma": 10.0},
        "seed": {"gamma": 2.0},
        "epochs": {"gamma": 3.0},
    }
    for other, chosen in searches.items():
        path = tuning.file_of("dch", "digits", tmp_path / "tuning", **({other: 12} if other else {}))
        path.write_text(json.dumps(HEAD | {"chosen": chosen, "trials": []}))
    assert tuning.chosen("dch", "digits") == {"gamma": 5.0, "alpha": 1.0}
    assert tuning.chosen("dch", "digits", epochs=12) == {"gamma": 3.0}
    assert tuning.chosen("dch", "digits", epochs=13) == {}
    assert tuning.chosen("dch", "fashion_mnist") == tuning.chosen("dhn", "digits") == {}


def test_a_search_under_a_profile_chooses_nothing_for_others(invented):
    invented(lambda config: config.alpha)
    before = tuning.chosen("dhn", "digits")
    tune("dhn", "digits", PROFILE)
    assert tuning.chosen("dhn", "digits") == before


@pytest.mark.parametrize("text", ["", "{}", '{"chosen": {}}'])
def test_a_file_that_is_no_search_is_named(monkeypatch, tmp_path, text):
    monkeypatch.setattr(paths, "COMMITTED", tmp_path)
    path = tuning.file_of("dch", "digits", tmp_path / "tuning")
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(ValueError, match=f"{path.name} is not the record of a search: .*; delete it and tune again"):
        tuning.chosen("dch", "digits")


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_a_committed_search_is_what_tune_makes_of_its_scores(path, monkeypatch):
    search = json.loads(path.read_text())
    for trial in search["trials"]:
        trial.pop("source_hash", None)  # of records made before version 0.2
    by_run = {trial["run"]: trial for trial in search["trials"]}

    def run_all(configs, profile, *, jobs):
        trials = [by_run[runs.record_path(config, "").stem] for config in configs]
        return [{"metrics": trial, "provenance": search["provenance"]} for trial in trials]

    monkeypatch.setattr(runs, "run_all", run_all)
    backbone = search.get("backbone", "")
    mark = splits.fingerprint(search["dataset"], 0, search["protocol"], backbone)
    assert search["provenance"]["fingerprint"] == mark
    how = {name: search[name] for name in ("bits", "seed", "epochs")} | {"backbone": backbone}
    assert path == tuning.file_of(search["method"], search["dataset"], path.parent, **how)
    assert tune(search["method"], search["dataset"], PROFILE, **how) == search


# Frozen features


@pytest.mark.parametrize(
    ("backbone", "usual"),
    [("", (10, "held_out")), ("digits_labels", (5, "held_out")), ("digits_pixels", (50, "reduced_held_out"))],
)
def test_features_that_know_no_label_are_tuned_on_few_items(invented, backbone, usual):
    asked = invented(lambda config: 0.5)
    search = tune("dhn", "digits", PROFILE, backbone=backbone)
    assert {(run.epochs, run.protocol, run.backbone) for _, configs, _ in asked for run in configs} == {
        (*usual, backbone)
    }
    assert search.get("backbone", "") == backbone
    path = tuning.file_of("dhn", "digits", paths.tuning(PROFILE), backbone=backbone)
    assert path.exists() and tuning.recorded("dhn", "digits", paths.tuning(PROFILE), backbone=backbone) == search


@pytest.mark.parametrize(
    ("dataset", "usual"), [("miml_scenes", (50, "held_out")), ("tiny_imagenet_32", (10, "held_out"))]
)
def test_stand_ins_are_tuned_on_all_of_their_training_items(invented, dataset, usual):
    """Nothing of theirs is a question of few labels; the head is that of their runs."""
    asked = invented(lambda config: 0.5)
    tune("qsmi", dataset, PROFILE)
    asked = [run for _, configs, _ in asked for run in configs]
    assert {(run.epochs, run.protocol, run.backbone, run.head) for run in asked} == {
        (*usual, "squeezenet1_1_keras", "wide")
    }


@pytest.mark.parametrize("method", [*grids.TABLE_5_METHODS, "dhn"])
def test_the_methods_on_cifar10s_clean_features_have_their_search(method):
    search = tuning.recorded(method, "cifar10", backbone="squeezenet1_1_keras")
    assert search["protocol"] == "reduced_held_out" and search["chosen"].keys() == METHODS[method].search.keys()
    found = {run.method: run for run in grids.table_5(PROFILES["paper"]) if run.bits == 32}
    for name, value in search["chosen"].items() if method in found else ():
        run = found[method]
        assert {**run.options, "alpha": run.alpha}[name] == value
