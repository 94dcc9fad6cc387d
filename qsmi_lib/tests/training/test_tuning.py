"""The line search: what it tries, what it chooses, what it records, and that the query set is never used."""

import json

import numpy as np
import pytest

from qsmi_lib import datasets
from qsmi_lib.config.presets import configure
from qsmi_lib.methods import METHODS
from qsmi_lib.training import runs, splits, tuning
from qsmi_lib.training.records import COMMITTED, Store, load_codes, load_record, run_id
from qsmi_lib.training.tuning import CLOSED, load_search, recorded_search, search_path, tune

TRAINED = [name for name, entry in METHODS.items() if entry.loss]
TUNED = [name for name, entry in METHODS.items() if entry.search]


@pytest.fixture
def store(results):
    return Store(results / "toy")


def invented_record(**metrics):
    """A record with these metrics, the others 0.5."""
    provenance = dict.fromkeys(tuning.MADE_BY, "invented")
    return {"metrics": dict.fromkeys(tuning.SHOWN, 0.5) | metrics, "provenance": provenance}


@pytest.fixture
def invented(monkeypatch):
    """Puts invented scores in the place of runs; gives the batches of configurations that would have been run."""

    def invent(score):
        batches = []

        def run_all(configs, store, **options):
            batches.append((store, list(configs), options))
            return [invented_record(map_expected=score(config)) for config in configs]

        monkeypatch.setattr(runs, "run_all", run_all)
        return batches

    return invent


def settings_of(config, names):
    """The values of these settings in a configuration."""
    values = config.options | {"alpha": config.alpha}
    return {name: values[name] for name in names}


# The search, on invented scores


def test_one_setting_after_the_other_and_the_best_value_stays(invented, store):
    batches = invented(lambda config: -abs(config.options["gamma"] - 10) - abs(config.alpha - 0.1))
    search = tune("dch", "digits", store)
    tried = [[settings_of(config, ("gamma", "alpha")) for config in configs] for _, configs, _ in batches]
    assert tried == [
        [{"gamma": gamma, "alpha": 0.1} for gamma in (5.0, 10.0, 20.0)],
        [{"gamma": 10.0, "alpha": alpha} for alpha in (0.01, 0.1, 1.0)],
    ]
    assert search["chosen"] == {"gamma": 10.0, "alpha": 0.1}
    settings = [trial["settings"] for trial in search["trials"]]
    assert settings[:3] == [{"gamma": gamma} for gamma in (5.0, 10.0, 20.0)] and settings[3:] == tried[1]


@pytest.mark.parametrize(
    ("best", "gammas"),
    [
        (10.0, [5.0, 10.0, 20.0]),
        (20.0, [5.0, 10.0, 20.0, 40.0]),  # 40 is worse
        (300.0, [5.0, 10.0, 20.0, 40.0, 80.0]),  # no more than two beyond
        (5.0, [5.0, 10.0, 20.0, 2.5]),
        (1.0, [5.0, 10.0, 20.0, 2.5, 1.25]),
    ],
)
def test_a_line_goes_on_while_its_end_is_the_best(invented, store, best, gammas):
    invented(lambda config: -abs(np.log(config.options["gamma"] / best)) if config.alpha == 0.1 else -9.0)
    search = tune("dch", "digits", store)
    assert [trial["settings"]["gamma"] for trial in search["trials"][: len(gammas)]] == gammas
    assert search["chosen"] == {"gamma": min(gammas, key=lambda gamma: abs(np.log(gamma / best))), "alpha": 0.1}


def test_the_step_outwards_is_that_of_the_last_two_values(invented, store):
    """DSH tries 0.00001, 0.001 and 0.01: below the first follow hundredths, above the last tens."""
    for sign, beyond in ((1, [0.1, 1.0]), (-1, [1e-7, 1e-9])):
        batches = invented(lambda config, sign=sign: sign * config.alpha)
        tune("dsh", "digits", store)
        assert [config.alpha for _, configs, _ in batches for config in configs] == [1e-5, 1e-3, 1e-2, *beyond]


@pytest.mark.parametrize("name", ["csq_qsmi", "dnnh", "qsmi_u", "pgdh"])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_closed_lines_keep_to_the_registrys_values(invented, store, name, sign):
    closed = CLOSED & METHODS[name].search.keys()
    invented(lambda config: sign * sum(config.options[setting] for setting in closed))
    for trial in tune(name, "digits", store)["trials"]:
        assert all(trial["settings"].get(s, METHODS[name].search[s][0]) in METHODS[name].search[s] for s in closed)


def test_every_value_can_be_chosen_and_of_equal_ones_the_first(invented, store):
    for method in TUNED:
        values = METHODS[method].search
        for place in (1, 2):
            best = {name: line[place] for name, line in values.items()}
            invented(lambda config, best=best: sum(settings_of(config, best)[name] == v for name, v in best.items()))
            assert tune(method, "digits", store)["chosen"] == best
        invented(lambda config: 0.5)
        assert tune(method, "digits", store)["chosen"] == {name: line[0] for name, line in values.items()}


def test_the_default_of_the_loss_itself_may_be_chosen(invented, store):
    invented(lambda config: float(config.options["balance"] is None))
    search = tune("pgdh", "digits", store)
    assert search["chosen"] == {"balance": None, "n_samples": 4.0}
    assert load_search(search_path("pgdh", "digits", store)) == search


def test_the_query_set_is_never_used(invented, store):
    for method in TRAINED:
        batches = invented(lambda config: 0.5)
        search = tune(method, "digits", store, bits=12, seed=3, epochs=2, jobs=2)
        for trials, configs, options in batches:
            assert trials == store.trials and options["jobs"] == 2
            for config in configs:
                assert (config.method, config.dataset, config.protocol) == (method, "digits", "held_out")
                assert (config.bits, config.seed, config.epochs) == (12, 3, 2)
        if method not in TUNED:  # there is nothing to choose: one trial
            assert [trial["settings"] for trial in search["trials"]] == [{}] and search["chosen"] == {}


def test_the_best_is_by_the_criterion_alone(monkeypatch, store):
    """By the mAP that does not depend on the order of ties, though the others disagree."""

    def run_all(configs, store, **options):
        others = set(tuning.SHOWN) - {"map_expected"}
        return [invented_record(map_expected=c.alpha, **dict.fromkeys(others, -c.alpha)) for c in configs]

    monkeypatch.setattr(runs, "run_all", run_all)
    search = tune("dhn", "digits", store)
    assert search["criterion"] == "map_expected" and search["chosen"] == {"alpha": 100.0}


def test_the_record_of_a_search(invented, store):
    invented(lambda config: config.alpha)
    search = tune("dhn", "digits", store, bits=12, seed=3, epochs=2)
    head = {"method": "dhn", "dataset": "digits", "bits": 12, "seed": 3, "epochs": 2, "protocol": "held_out"}
    assert head.items() <= search.items() and search["provenance"] == dict.fromkeys(tuning.MADE_BY, "invented")
    for trial in search["trials"]:
        config = configure("digits", "dhn", 12, seed=3, epochs=2, protocol="held_out", **trial["settings"])
        assert trial["run"] == run_id(config) and trial["map_expected"] == trial["settings"]["alpha"]
    [path] = store.tuning.iterdir()
    assert path.name == "digits-dhn-12b-s3-2e.json" and json.loads(path.read_text()) == search


def test_an_interrupted_search_is_not_written(monkeypatch, store):
    batches = []

    def run_all(configs, store, **options):
        batches.append(store)
        if len(batches) == 2:
            raise KeyboardInterrupt
        return [invented_record() for _ in configs]

    monkeypatch.setattr(runs, "run_all", run_all)
    with pytest.raises(KeyboardInterrupt):
        tune("dch", "digits", store)
    assert not store.folder.exists()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("lda", "digits"), {}, "unknown method 'lda'; known: classifier, cnnh"),
        (("lsh", "digits"), {}, "lsh trains nothing"),
        (("dhn", "mnist"), {}, "unknown data set 'mnist'; known: cifar10, digit_pairs, digits, fashion_mnist"),
        (("dhn", "digits"), {"epochs": 0}, "epochs must be a whole number from 1"),
    ],
)
def test_what_cannot_be_tuned_is_refused_before_anything_is_run(arguments, options, message, store):
    with pytest.raises(ValueError, match=message):
        tune(*arguments, store, **options)
    assert not store.folder.exists()


# The search, on runs


def test_a_search_on_digits_chooses_what_scored_best_and_continues_where_it_stopped(trainings, store):
    search = tune("dhn", "digits", store, bits=8, epochs=1)
    scores = [trial["map_expected"] for trial in search["trials"]]
    assert search["chosen"] == search["trials"][int(np.argmax(scores))]["settings"]
    for trial in search["trials"]:
        record = load_record(store.trials.record(trial["run"]))
        assert record["provenance"]["fingerprint"] == datasets.fingerprint("digits", 0, "held_out")
        assert {name: record["metrics"][name] for name in tuning.SHOWN} == {name: trial[name] for name in tuning.SHOWN}
        codes = load_codes(store.trials.codes(trial["run"]))
        assert (len(codes.query), len(codes.database)) == (129, 1168)
        assert search["provenance"] == {name: record["provenance"][name] for name in tuning.MADE_BY}
    assert not store.runs.exists(), "trials are none of the profile's runs"
    n_trained = len(trainings)
    assert tune("dhn", "digits", store, bits=8, epochs=1) == search and len(trainings) == n_trained


# What the repository carries


def test_a_recorded_search_is_that_of_the_usual_bits_and_seed(store):
    head = dict.fromkeys(("method", "dataset", "protocol"), "invented") | {"criterion": tuning.CRITERION}
    head |= dict.fromkeys(("bits", "seed", "epochs"), 1)
    assert recorded_search("dch", "digits", store) is None
    store.tuning.mkdir(parents=True)
    for changed in ({}, {"bits": 12}, {"seed": 12}, {"epochs": 12}):
        search = head | {"trials": [], "chosen": dict(changed)}
        search_path("dch", "digits", store, **changed).write_text(json.dumps(search))
    assert recorded_search("dch", "digits", store)["chosen"] == {}
    assert recorded_search("dch", "digits", store, epochs=12)["chosen"] == {"epochs": 12}
    assert recorded_search("dch", "digits", store, epochs=13) is None
    assert recorded_search("dch", "fashion_mnist", store) is recorded_search("dhn", "digits", store) is None


def test_chosen_settings_are_those_of_the_committed_search(invented, store):
    committed = recorded_search("dch", "fashion_mnist")
    assert tuning.chosen("dch", "fashion_mnist") == committed["chosen"] != {}
    invented(lambda config: -config.alpha)
    assert tune("dch", "fashion_mnist", store)["chosen"] != committed["chosen"]
    assert tuning.chosen("dch", "fashion_mnist") == committed["chosen"], "searches elsewhere choose nothing"
    assert tuning.chosen("dch", "fashion_mnist", epochs=3) == {}


@pytest.mark.parametrize("text", ["", "{}", '{"chosen": {}}'])
def test_a_file_that_is_no_search_is_named(tmp_path, text):
    path = tmp_path / "search.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"{path} .*; delete it and tune again"):
        load_search(path)


def test_committed_searches_are_what_tune_makes_of_their_scores(monkeypatch, store):
    for path in sorted(COMMITTED.tuning.glob("*.json")):
        search = load_search(path)
        for trial in search["trials"]:
            trial.pop("source_hash", None)  # of records made before version 0.2
        by_run = {trial["run"]: trial for trial in search["trials"]}

        def run_all(configs, store, by_run=by_run, search=search, **options):
            trials = [by_run[run_id(config)] for config in configs]
            return [{"metrics": trial, "provenance": search["provenance"]} for trial in trials]

        monkeypatch.setattr(runs, "run_all", run_all)
        method, dataset, backbone = search["method"], search["dataset"], search.get("backbone", "")
        assert search["provenance"]["fingerprint"] == splits.fingerprint(dataset, 0, search["protocol"], backbone)
        how = {name: search[name] for name in ("bits", "seed", "epochs")} | {"backbone": backbone}
        assert path == search_path(method, dataset, COMMITTED, **how)
        assert tune(method, dataset, store, **how) == {"format": tuning.FORMAT} | search


# Frozen features


@pytest.mark.parametrize(
    ("dataset", "backbone", "epochs", "protocol"),
    [
        ("digits", "", 10, "held_out"),
        ("digits", "digits_labels", 5, "held_out"),
        ("digits", "digits_pixels", 50, "reduced_held_out"),
        ("miml_scenes", "squeezenet1_1_keras", 50, "held_out"),
        ("tiny_imagenet_32", "squeezenet1_1_keras", 10, "held_out"),
    ],
)
def test_epochs_and_protocol_of_a_search(invented, store, dataset, backbone, epochs, protocol):
    """Features that have seen no label of the data are tuned on few items."""
    batches = invented(lambda config: 0.5)
    search = tune("dhn", dataset, store, backbone=backbone)
    tried = {(c.epochs, c.protocol, c.backbone) for _, configs, _ in batches for c in configs}
    assert tried == {(epochs, protocol, backbone)} and search.get("backbone", "") == backbone
    assert recorded_search("dhn", dataset, store, backbone=backbone) == search
