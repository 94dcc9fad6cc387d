"""Tables are pure functions of records and of the published numbers."""

import math

import pytest

from qsmi_lib.config.presets import configure, options_of
from qsmi_lib.config.run import RunConfig
from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction import figures, tables
from qsmi_lib.reproduction.experiments import EXPERIMENTS
from qsmi_lib.reproduction.results import Results, committed
from qsmi_lib.tests.reproduction.invented import empty, invent, invent_grid
from qsmi_lib.training.records import COMMITTED, fingerprint, load_record, run_id


@pytest.fixture
def nothing(tmp_path):
    """The profile `paper` without any record."""
    return empty("paper", tmp_path)


@pytest.fixture
def few(nothing):
    """Two seeds of QSMI's row of Table 2, and one seed of Table 1's QMI."""
    invent_grid(
        nothing, "table_2", lambda run: 0.85 + 0.01 * run.seed if run.method == "qsmi" and run.seed < 2 else None
    )
    invent(nothing, next(run for run in nothing.grid("table_1") if run.method == "qmi"), map_11pt=0.7)
    return nothing


# The table of runs


def test_a_new_run_is_a_row_with_its_settings_options_and_metrics(tmp_path):
    results, config = empty("digits", tmp_path), configure("digits", "csq", 8, epochs=1)
    assert results.table.empty
    results.run_all([config])
    (row,) = results.table.to_dict("records")
    record = load_record(results.store.record(run_id(config)))
    assert results.table.index.tolist() == [run_id(config)]
    assert (row["method"], row["bits"], row["used_precision"]) == ("csq", 8, record["provenance"]["precision"])
    assert {name: row[name] for name in config.options} == config.options
    assert row["map_11pt"] == record["metrics"]["map_11pt"]
    assert row["map_at_10"] == record["metrics"]["map_at_k_hits"]["10"]
    assert row["map_at_10_clean"] == record["metrics"]["map_at_k"]["10"]
    assert row["bit_entropy"] == record["codes"]["bit_entropy"] and row["history"] == record["history"]


def test_rows_of_an_experiment_come_in_the_order_of_its_grid(few):
    expected = [run_id(run) for run in few.grid("table_2") if run.method == "qsmi" and run.seed < 2]
    assert few.recorded("table_2").index.tolist() == expected
    assert few.rows([*few.grid("table_2"), *few.grid("table_2")]).index.tolist() == expected


def test_an_unknown_profile_lists_the_known():
    with pytest.raises(ValueError, match=r"unknown profile 'papers'; known: digits, gpu, paper, quick"):
        Results.named("papers")


# Cells, and the paper's numbers


def test_mean_and_deviation_over_seeds(few):
    cells = tables.cells("table_2", few).set_index(["method", "bits"])
    assert cells.loc[("qsmi", 24), "map_11pt"] == pytest.approx(0.855)
    assert cells.loc[("qsmi", 24), "map_11pt_std"] == pytest.approx(0.01 / math.sqrt(2))
    assert (cells.loc[("qsmi", 24), "seeds"], cells.loc[("dsh", 24), "seeds"]) == (2, 0)
    assert math.isnan(cells.loc[("dsh", 24), "map_11pt"])


def test_a_number_is_compared_with_the_papers(few):
    rows = tables.compared("table_2", few).set_index(["method", "bits", "metric"])
    cell = rows.loc[("qsmi", 48, "map_11pt")]
    assert (cell["paper"], cell["paper_std"]) == (0.861, 0.01)
    assert cell["difference"] == pytest.approx(0.855 - 0.861)
    assert cell["z"] == pytest.approx((0.855 - 0.861) / math.hypot(0.01 / math.sqrt(2), 0.01))
    assert math.isnan(rows.loc[("dsh", 48, "map_11pt"), "z"]) and math.isnan(rows.loc[("qsmi", 48, "map"), "paper"])


@pytest.mark.parametrize(
    ("numbers", "z"),
    [
        ((0.5, 0.03, 0.6, 0.04), -2.0),  # both deviations
        ((0.7, math.nan, 0.727, 0.009), -3.0),  # one seed of ours
        ((0.5, 0.05, 0.6, math.nan), -2.0),  # none published
        ((0.5, math.nan, 0.6, math.nan), math.nan),
    ],
)
def test_z_is_in_units_of_the_deviations_that_are_known(numbers, z):
    assert tables.z_score(*numbers)["z"] == pytest.approx(z, nan_ok=True)


@pytest.mark.parametrize(("profile", "name"), [("digits", "table_2"), ("paper", "table_6"), ("paper", "table_7")])
def test_a_substitute_is_named_and_its_numbers_are_not_compared(profile, name, tmp_path):
    results = empty(profile, tmp_path)
    invent(results, results.grid(name)[0])
    text = tables.markdown(name, results)
    assert " in place of " in text and "in brackets the paper's" not in text
    assert len(tables.published(name)) and tables.compared(name, results)["paper"].isna().all()


def test_both_rules_of_relevance_have_columns(nothing):
    invent(nothing, nothing.grid("table_6")[0])
    (row,) = tables.cells("table_6", nothing).query("seeds > 0").to_dict("records")
    assert (row["map_11pt"], row["share_one_map_11pt"]) == (0.5, 0.75)


# Tables for people


def test_the_table_for_people(few):
    text = tables.markdown("table_2", few)
    assert text == tables.markdown("table_2", few)
    assert "8 of 60 runs recorded (seeds 0, 1; float32)" in text and "the paper's, after 50 epochs" in text
    assert "| QSMI     | 48     | 2       | 0.855 ± 0.007 (0.861 ± 0.010) " in text
    assert "| DSH      | 12     | 0       | – (0.761 ± 0.020) " in text


def test_notes_on_methods_are_printed_below_the_table(nothing):
    lines = tables.markdown("methods", nothing).splitlines()
    for entry in (METHODS[config.method] for config in nothing.grid("methods")):
        if entry.note:
            (line,) = [line for line in lines if line.endswith(f": {entry.note}.")]
            assert entry.title in line.removesuffix(f": {entry.note}.").split(", ")


def test_a_setting_that_a_method_does_not_have_is_a_dash(nothing):
    """QSMI has no kernel with a width."""
    invent(nothing, next(run for run in nothing.grid("sigmas") if run.method == "qsmi"))
    lines = tables.markdown("sigmas", nothing).splitlines()
    rows = [[column.strip() for column in line.split("|")[1:4]] for line in lines if line.startswith("| QSMI")]
    assert rows == [["QSMI", "–", "1"]]


@pytest.mark.parametrize("name", ["table_1", "table_6", "table_9", "uit_dsh", "poster_cifar10"])
def test_writing_without_any_run(name, nothing):
    csv, text = tables.write_table(name, nothing)
    assert csv.read_text(encoding="utf-8").count("\n") > 1 and "0 of" in text.read_text(encoding="utf-8")
    assert figures.write_figure(name, nothing) == []


# What the repository carries


def test_committed_records_are_whole_and_have_the_name_of_their_configuration():
    files = sorted(COMMITTED.runs.glob("*.json"))
    assert files
    for path in files:
        record = load_record(path)
        config = RunConfig.from_dict(record["config"])
        assert path.stem == run_id(config) == config.run_id(record["provenance"]["fingerprint"])
        assert record["provenance"]["fingerprint"] == fingerprint(config)
        assert config.options.keys() == options_of(config.method).keys()
    assert sum(path.stat().st_size for path in files) / len(files) < 10_000
    folders = ("runs", "artefacts", "figures", "tables", "rotations")
    carried = [path for name in folders for path in (COMMITTED.folder / name).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in carried) < 15_000_000


def test_every_run_of_the_profile_paper_is_committed():
    for name in EXPERIMENTS:
        assert len(committed().recorded(name)) == len(committed().grid(name)), name
