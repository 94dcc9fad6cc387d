"""Artefacts: written and read by their suffix, and made of the runs and settings that the experiments have today."""

import numpy as np
import pandas as pd
import pytest

from qsmi_lib.reproduction.analysis import made_by
from qsmi_lib.reproduction.artefacts import MADE_BY, is_current, load_artefact, note_made_by, outdated, save_artefact
from qsmi_lib.reproduction.results import committed
from qsmi_lib.training.records import Store


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", {"x": [1, 2], "y": {"z": 0.5}}),
        ("a.csv", pd.DataFrame({"x": [1, 2], "y": ["a", "b"]})),
        ("a.npz", {"x": np.arange(3), "y": np.ones((2, 2))}),
    ],
)
def test_an_artefact_comes_back(name, content, tmp_path):
    store = Store(tmp_path)
    save_artefact(store, name, content, {"runs": ["one"]})
    loaded = load_artefact(store, name)
    if name.endswith(".csv"):
        pd.testing.assert_frame_equal(loaded, content)
    else:
        np.testing.assert_equal(loaded, content)


def test_an_artefact_that_is_not_there_names_its_file_and_what_makes_it(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"quick/artefacts/a.csv is not there: `qsmi reproduce --profile quick`"
    ):
        load_artefact(Store(tmp_path / "quick"), "a.csv")


def test_an_artefact_of_other_runs_or_settings_is_found(tmp_path):
    store, notes = Store(tmp_path), {"runs": ["one"], "k": 2}
    save_artefact(store, "a.json", {}, notes)
    assert is_current(store, "a.json", notes) and outdated(store, {"a.json": notes}) == []
    for changed in ({"runs": ["two"], "k": 2}, {"runs": ["one"], "k": 3}, {"runs": ["one"]}):
        assert not is_current(store, "a.json", changed) and outdated(store, {"a.json": changed}) == ["a.json"]
    assert outdated(store, {}) == ["a.json"]
    note_made_by(store, "b.json", notes)  # noted, and not there
    assert outdated(store, {"a.json": notes, "b.json": notes}) == ["b.json"]


def test_committed_artefacts_are_of_the_runs_and_settings_of_their_experiments():
    store, expected = committed().store, made_by.expected(committed())
    assert outdated(store, expected) == []
    files = {path.name for path in store.artefact(MADE_BY).parent.iterdir()}
    assert files == expected.keys() | {MADE_BY}
    recorded = set(committed().table.index)
    assert all(set(notes.get("runs", ())) <= recorded for notes in expected.values())
