"""Records with values of any type, with keys missing or added: refused by file and remedy, or of use to everyone."""

import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from qsmi_lib.reproduction import artefacts, figures, tables, verify
from qsmi_lib.reproduction.analysis import method_tables
from qsmi_lib.reproduction.results import read_runs, row_of
from qsmi_lib.tests.fuzz.damage import VALUES, changed
from qsmi_lib.tests.reproduction.invented import empty, invent, invent_grid
from qsmi_lib.training import tuning
from qsmi_lib.training.records import COMMITTED, Store, load_record, run_id

CONFIG = empty("digits", "").grid("table_1")[0]
CURVES = {"precision_at_recall": [0.5] * 11, "share_by_distance": [[0.5, 0.5]] * (CONFIG.bits + 1)}
RECORD = {
    "format": 1,
    "config": CONFIG.to_dict(),
    "metrics": {
        **dict.fromkeys(("map_11pt", "map", "map_expected", "map_optimistic", "map_pessimistic"), 0.5),
        **dict.fromkeys(("precision_radius2", "empty_radius2"), 0.5),
        "map_at_k": {"1": 0.5},
        **CURVES,
    },
    "ap_by_label": [0.5, None],
    "n_by_label": [1, 2],
    "codes": {"bit_mean": [0.0] * CONFIG.bits, "n_distinct": 3},
    "history": [{"epoch": 1, "loss": 1.0}],
    "probe": [1.0, 2.0, 3.0],
    "provenance": {"commit": None, "dirty": None, "precision": "float32", "seconds_train": 1.0},
}


@st.composite
def changed_records(draw) -> dict:
    """`RECORD` with one value replaced, or one key more; the added key may be the name of a column."""
    if draw(st.booleans()):
        return draw(changed(RECORD))
    part = draw(st.sampled_from(["", "config", "metrics", "codes", "provenance"]))
    name = draw(st.sampled_from(["seed", "method", "history", "search", "used_precision", "data", "config", "x"]))
    value = {name: draw(VALUES)}
    return RECORD | ({part: RECORD[part] | value} if part else value)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(record=changed_records())
@example(record=RECORD | {"config": RECORD["config"] | {"seed": [0]}})
@example(record=RECORD | {"metrics": [0.5]})
@example(record=RECORD | {"provenance": "float32"})
@example(record=RECORD | {"metrics": RECORD["metrics"] | {"seed": [1]}})
@example(record=RECORD | {"metrics": {}})
@example(record=RECORD | {"config": RECORD["config"] | {"method": "none"}})
@example(record=RECORD | {"format": [2]})
def test_a_changed_record_is_refused_by_name_or_of_use(tmp_path, record):
    results = empty("digits", tmp_path)
    path = results.store.record(run_id(CONFIG))
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record))
    try:
        read = load_record(path)
        assert row_of(read)["seed"] == read["config"].get("seed", 0)
        verify.kind_of(read), verify.one_of_each_kind([path])
        assert len(read_runs(results.store)) == 1
        tables.markdown("table_1", results), figures.title("table_1", results)
    except ValueError as error:
        assert str(path) in str(error) and ("; delete it" in str(error) or "update" in str(error))


def test_the_unchanged_record_is_of_use(tmp_path):
    results = empty("digits", tmp_path)
    path = results.store.record(run_id(CONFIG))
    path.parent.mkdir()
    path.write_text(json.dumps(RECORD))
    assert load_record(path, CONFIG) == RECORD and "1 of" in tables.markdown("table_1", results)


def test_a_record_under_the_name_of_another_run_is_named_not_counted(tmp_path):
    results = empty("digits", tmp_path)
    invent_grid(results, "table_1", lambda config: 0.5)
    one, other = (results.store.record(run_id(config)) for config in results.grid("table_1")[:2])
    other.write_text(one.read_text())
    with pytest.raises(ValueError, match=f"{other} .*another configuration.*; delete it"):
        results.recorded("table_1")
    with pytest.raises(ValueError, match=f"{other} .*another configuration.*; delete it"):
        verify.quick_disagreements(results, results.grid("table_1"))


def test_a_record_that_lacks_a_metric_is_named(tmp_path):
    results = empty("digits", tmp_path)
    config = results.grid("table_1")[0]
    record = invent(results, config)
    del record["metrics"]["map_11pt"]
    results.store.record(run_id(config)).write_text(json.dumps(record))
    with pytest.raises(ValueError, match=f"{run_id(config)}.json .*map_11pt.*; delete it"):
        tables.cells("table_1", results)


SEARCH = tuning.load_search(tuning.search_path("dch", "fashion_mnist", COMMITTED))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(search=changed(SEARCH))
@example(search=SEARCH | {"trials": [SEARCH["trials"][0] | {"settings": {"gamma": x}} for x in (1.0, "x", None)]})
@example(search=SEARCH | {"criterion": "run"})
@example(search=SEARCH | {"chosen": {}})
def test_a_changed_search_is_refused_by_name_or_of_use(tmp_path, search):
    store = Store(tmp_path)
    path = tuning.search_path("dch", "fashion_mnist", store)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(search))
    try:
        tuning.load_search(path)
        method_tables.trials(store, "fashion_mnist")
    except ValueError as error:
        assert str(path) in str(error) and ("; delete it" in str(error) or "update" in str(error))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(notes=changed({"features_allow.json": {"format": 1, "n_query": 3}, "other.csv": {"format": 1, "runs": ["x"]}}))
def test_changed_notes_are_refused_by_name_or_of_use(tmp_path, notes):
    store = Store(tmp_path)
    path = store.artefact(artefacts.MADE_BY)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(notes))
    try:
        assert set(artefacts.outdated(store, {})) == notes.keys()
        artefacts.note_made_by(store, "a.json", {"runs": []})
        assert artefacts.load_notes(store).keys() == notes.keys() | {"a.json"}
    except ValueError as error:
        assert str(path) in str(error) and "; delete it" in str(error)
