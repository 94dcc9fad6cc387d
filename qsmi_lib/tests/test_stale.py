"""Records that older sources made are named: runs, rotations, line searches."""

import json
from dataclasses import replace

import pytest
import torch
from click.testing import CliRunner

from qsmi_lib import datasets, paths, records, rotated, runner, sources, training, tsne, tuning, verification
from qsmi_lib.cli import main
from qsmi_lib.codes import binarize
from qsmi_lib.config import PROFILES
from qsmi_lib.configuring import configure
from qsmi_lib.datasets import protocols
from qsmi_lib.stale import stale

RUN = configure("digits", "qsmi", 48, epochs=15)
TURNED = rotated.poster_rotations(PROFILES["digits"])[0]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of the profile's tables, a rotation and a search, by today's sources."""
    folder = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QSMI_RESULTS", str(folder))
        runner.run(RUN, "digits")
        rotated.rotate(TURNED, "digits", n_steps=50)
        tuning.tune("dhn", "digits", "digits", bits=4, epochs=1)
    return folder


@pytest.fixture
def here(made, results):
    """A copy of them."""
    for path in made.glob("digits/*/*.json"):
        copy = results / path.relative_to(made)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())


def test_nothing_is_stale_that_todays_sources_made(here):
    assert stale("digits") == []
    assert stale("paper") == [], "nothing is recorded there"


@pytest.mark.parametrize("text", ["", "{}"])
def test_a_file_that_is_no_search_is_named(results, text):
    path = paths.tuning("digits") / "x.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert "x.json is not the record of a search: " in CliRunner().invoke(main, ["tables"]).output


@pytest.mark.parametrize(
    ("path", "remedy"),
    [
        (lambda: runner.record_path(RUN, "digits"), "reproduce"),
        (lambda: rotated.file_of(TURNED, "digits", n_steps=50), "reproduce"),
        (lambda: tuning.file_of("dhn", "digits", paths.tuning("digits"), bits=4, epochs=1), "tune"),
    ],
    ids=["run", "rotation", "search"],
)
def test_what_older_sources_made_is_named_with_its_remedy(here, path, remedy):
    path = path()
    record = json.loads(path.read_text())
    (record["trials"][1] if "trials" in record else record["provenance"])["source_hash"] = "old"
    path.write_text(json.dumps(record))
    name = f"{path.parent.name}/{path.stem}"
    assert stale("digits") == [name]
    output = CliRunner().invoke(main, ["tables"]).output
    assert f"changed since ({remedy} --stale rerun makes it again): {name}\n" in output


def test_a_stale_rotation_is_searched_again_when_that_is_asked_for(results):
    first = rotated.rotate(TURNED, "digits", n_steps=50)
    path = rotated.file_of(TURNED, "digits", n_steps=50)
    records.save(first | {"provenance": first["provenance"] | {"source_hash": "old"}}, path)
    assert rotated.rotate(TURNED, "digits", n_steps=50)["provenance"]["source_hash"] == "old"
    again = rotated.rotate(TURNED, "digits", n_steps=50, stale="rerun")
    assert again["provenance"]["source_hash"] == first["provenance"]["source_hash"]
    assert again["metrics"] == first["metrics"]


def test_stale_trials_are_run_again_when_that_is_asked_for(results):
    search = tuning.tune("dhn", "digits", "digits", bits=4, epochs=1)
    path = paths.runs(tuning.trials_of("digits")) / f"{search['trials'][0]['run']}.json"
    record = records.load(path)
    records.save(record | {"provenance": record["provenance"] | {"source_hash": "old"}}, path)
    assert tuning.tune("dhn", "digits", "digits", bits=4, epochs=1)["trials"][0]["source_hash"] == "old"
    assert tuning.tune("dhn", "digits", "digits", bits=4, epochs=1, stale="rerun") == search


# Older sources that give the same


def aged(path, *, name="source_hash", change=lambda record: None):
    """The record at `path` as if older sources had made it."""
    record = json.loads(path.read_text())
    record["provenance"][name] = "old"
    change(record)
    path.write_text(json.dumps(record))


def test_a_run_that_comes_out_equal_is_no_longer_stale(here):
    aged(runner.record_path(RUN, "digits"))
    assert stale("digits") != []
    assert verification.verify("digits") == [f"{runner.run_id(RUN)}: equal"]
    assert stale("digits") == [] and verification.verify("digits") == []
    assert sources.equalities("digits") == {sources.source_hash(RUN): ["old"]}


def test_a_run_that_comes_out_otherwise_stays_stale(here):
    aged(runner.record_path(RUN, "digits"), change=lambda record: record["history"][0].update(loss=1.0))
    assert verification.verify("digits") == [f"{runner.run_id(RUN)}: differs"]
    assert stale("digits") == [f"runs/{runner.run_id(RUN)}"]


@pytest.mark.parametrize("metric", [None, "map"])
def test_what_trains_nothing_is_compared_in_every_score(results, metric):
    config = configure("digits", "itq", 12)
    runner.run(config, "digits")
    change = (lambda record: None) if metric is None else lambda record: record["metrics"].update({metric: 0.5})
    aged(runner.record_path(config, "digits"), change=change)
    assert verification.verify("digits") == [f"{runner.run_id(config)}: {'differs' if metric else 'equal'}"]


@pytest.mark.parametrize("rule", ["metrics", "metrics_share_one"])
def test_with_several_labels_the_scores_of_both_rules_are_compared(results, monkeypatch, rule):
    config = configure("digit_pairs", "qsmi", 12, epochs=1)
    runner.run(config, "digits")
    monkeypatch.setattr(verification, "grid", lambda name, profile: [config])
    aged(runner.record_path(config, "digits"))
    assert verification.verify("digits") == [f"{runner.run_id(config)}: equal"]
    sources.equalities_of("digits").unlink()
    aged(runner.record_path(config, "digits"), change=lambda record: record[rule].update(map=0.5))
    assert verification.verify("digits") == [f"{runner.run_id(config)}: differs"]


@pytest.mark.parametrize("changed", [False, True])
def test_a_search_is_compared_whole(here, changed):
    path = rotated.file_of(TURNED, "digits", n_steps=50)
    change = (lambda record: record["metrics"].update(map=0.5)) if changed else lambda record: None
    aged(path, name="search_hash", change=change)
    assert verification.verify("digits") == [f"{path.stem}: {'differs' if changed else 'equal'}"]
    assert stale("digits") == ([f"rotations/{path.stem}"] if changed else [])


@pytest.mark.parametrize("changed", [False, True])
def test_a_trial_whose_sources_made_no_run_is_repeated(results, changed):
    tuning.tune("dhn", "digits", "digits", bits=4, epochs=1)
    [path] = paths.tuning("digits").glob("*.json")
    search = json.loads(path.read_text())
    search["trials"] = search["trials"][:1]
    search["trials"][0] |= {"source_hash": "old"} | ({"map": 0.5} if changed else {})
    path.write_text(json.dumps(search))
    assert stale("digits") == [f"tuning/{path.stem}"]
    lines = verification.verify("digits")
    assert lines == [f"trial {search['trials'][0]['run']}: {'differs' if changed else 'equal'}"]
    assert stale("digits") == ([f"tuning/{path.stem}"] if changed else [])


def test_what_was_shown_equal_is_not_run_again(here):
    aged(runner.record_path(RUN, "digits"))
    verification.verify("digits")
    assert runner.run(RUN, "digits", stale="rerun")["provenance"]["source_hash"] == "old"


def test_a_trial_of_sources_shown_equal_is_not_run_again(results):
    search = tuning.tune("dhn", "digits", "digits", bits=4, epochs=1)
    path = paths.runs(tuning.trials_of("digits")) / f"{search['trials'][0]['run']}.json"
    aged(path)
    records.write(sources.equalities_of("digits"), json.dumps({search["trials"][0]["source_hash"]: ["old"]}))
    again = tuning.tune("dhn", "digits", "digits", bits=4, epochs=1, stale="rerun")
    assert again["trials"][0]["source_hash"] == "old" and stale("digits") == []


def test_what_was_shown_before_an_interrupt_is_kept(here, monkeypatch):
    def interrupted(*_args):
        raise KeyboardInterrupt

    aged(runner.record_path(RUN, "digits"))
    second = rotated.file_of(TURNED, "digits", n_steps=50)
    aged(second, change=lambda record: record["provenance"].update(source_hash="x", search_hash="older"))
    monkeypatch.setattr(verification, "_same_search", interrupted)
    with pytest.raises(KeyboardInterrupt):
        verification.verify("digits")
    assert sources.equalities("digits") == {sources.source_hash(RUN): ["old"]}


def test_a_search_is_repeated_on_as_many_threads(here, monkeypatch):
    path = rotated.file_of(TURNED, "digits", n_steps=50)
    aged(path, name="search_hash", change=lambda record: record["provenance"].update(threads=3))
    threads, rotate = [], rotated.rotate
    monkeypatch.setattr(rotated, "rotate", lambda *a, **k: threads.append(torch.get_num_threads()) or rotate(*a, **k))
    own = torch.get_num_threads()
    verification.verify("digits")
    assert threads == [3] and torch.get_num_threads() == own


def test_a_damaged_list_of_equal_sources_is_named(here):
    aged(runner.record_path(RUN, "digits"))
    sources.equalities_of("digits").write_text("<<<<<<< ours")
    output = CliRunner().invoke(main, ["tables"]).output
    assert "equal_sources.json is damaged: Expecting value" in output and "restore it" in output


def test_the_command_says_what_came_out_equal(here):
    aged(runner.record_path(RUN, "digits"))
    output = CliRunner().invoke(main, ["tables", "--verify"]).output
    assert output.startswith(f"{runner.run_id(RUN)}: equal\n") and "changed since" not in output


@pytest.mark.parametrize("what", ["binarize", "unseen"])
def test_sources_that_give_other_codes_or_another_split_are_told_from_todays(results, monkeypatch, what):
    """The first epoch of training would be the same."""
    protocol = {"protocol": "unseen_3"} if what == "unseen" else {}
    config = configure("digits", "qsmi_u", 24, epochs=15, backbone="digits_labels", seed=0, **protocol)
    runner._split.cache_clear()
    runner.run(config, "digits")
    aged(runner.record_path(config, "digits"))
    runner._split.cache_clear()
    if what == "binarize":
        monkeypatch.setattr(training, "binarize", lambda embeddings: binarize(embeddings - 0.5))
    else:
        monkeypatch.setitem(
            datasets.PROTOCOLS,
            "unseen_3",
            lambda split, draw: replace(protocols.unseen(split, draw, n_unseen=3), database=split.database),
        )
    monkeypatch.setattr(verification, "grid", lambda name, profile: [config])
    assert verification.verify("digits") == [f"{runner.run_id(config)}: differs"]
    runner._split.cache_clear()


def test_one_run_of_each_protocol_must_come_out_equal(results, monkeypatch):
    configs = [configure("digits", "qsmi", 12, epochs=1, protocol=protocol) for protocol in ("full", "first_tenth")]
    monkeypatch.setattr(verification, "grid", lambda name, profile: configs)
    for config, change in zip(
        configs, (lambda record: None, lambda record: record["metrics"].update(map=0.5)), strict=True
    ):
        runner.run(config, "digits")
        aged(runner.record_path(config, "digits"), change=change)
    full, tenth = map(runner.run_id, configs)
    assert verification.verify("digits") == [f"{full}: equal", f"{tenth}: differs"]
    assert sources.equalities("digits") == {}


def test_maps_whose_runs_have_changed_are_named(results):
    path = results / "digits" / "artefacts" / tsne.MEASURED
    path.parent.mkdir(parents=True)
    assert stale("digits") == []
    path.write_text(json.dumps({"made_by": tsne.made_by("digits")}))
    assert stale("digits") == []
    path.write_text(json.dumps({"made_by": tsne.made_by("digits") | {"qsmi": "old"}}))
    assert stale("digits") == ["artefacts/tsne"]
