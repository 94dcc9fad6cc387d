"""What runs in place of data that cannot be had, beside the paper: named in every row."""

import pytest

from qsmi_lib.reproduction import tables
from qsmi_lib.reproduction.analysis import substitutes
from qsmi_lib.reproduction.experiments import grid
from qsmi_lib.training import records, runs

LEVEL = {"dsh": 0.5, "dpsh": 0.6, "qsmi": 0.7}


@pytest.fixture
def where(tmp_path):
    """Records of Table 6: by method, and a hundredth more a seed; the other rule of relevance gives other numbers."""
    for config in grid("table_6", "paper"):
        score = LEVEL[config.method] + config.seed / 100
        metrics = dict.fromkeys(("map_11pt", "map", "precision_radius2"), score)
        other = dict.fromkeys(metrics, 0.9)
        record = {"config": config.to_dict(), "metrics": metrics, "metrics_share_one": other}
        record["provenance"] = {"precision": "bf16", "fingerprint": runs.fingerprint(config)}
        records.save(record, tmp_path / f"{runs.run_id(config)}.json")
    return tmp_path


def test_a_row_each_number_of_the_paper(where):
    rows = substitutes.pairs("table_6", where)
    paper = tables.published("table_6")
    assert len(rows) == len(paper) == 15 and set(rows["dataset"]) == {"nus_wide"}
    for row in rows.to_dict("records"):
        assert row["mean"] == pytest.approx(LEVEL[row["method"]] + 0.02)
        assert row["std"] == pytest.approx(0.0158, abs=1e-4)
    assert rows["paper"].tolist() == paper["mean"].tolist()


def test_both_data_sets_are_named_in_every_row(where):
    lines = substitutes.markdown("table_6", where).splitlines()
    assert "the paper's data" in lines[0] and "our data" in lines[0]
    assert len(lines) == 17
    assert all("| NUS-WIDE " in line and "miml-scenes in place of NUS-WIDE" in line for line in lines[2:])


def test_the_orders_are_compared_length_by_length(where):
    rows = substitutes.orders("table_6", where).to_dict("records")
    assert [row["bits"] for row in rows] == [8, 12, 24, 36, 48]
    assert {row["ours"] for row in rows} == {"QSMI > DPSH > DSH"} == {row["paper"] for row in rows}
    assert all(row["tau"] == pytest.approx(1.0) for row in rows)


def test_an_order_that_is_reversed(where):
    for config in grid("table_6", "paper"):
        path = where / f"{runs.run_id(config)}.json"
        record = records.load(path)
        record["metrics"]["map_11pt"] = 1.0 - record["metrics"]["map_11pt"]
        records.save(record, path)
    rows = substitutes.orders("table_6", where)
    assert set(rows["ours"]) == {"DSH > DPSH > QSMI"} and (rows["tau"] == -1.0).all()


def test_what_is_not_run_has_no_order(tmp_path):
    assert substitutes.orders("table_8", tmp_path).empty
    assert "–" in substitutes.markdown("table_8", tmp_path)


def test_table_8_has_both_data_sets_of_the_paper(tmp_path):
    rows = substitutes.pairs("table_8", tmp_path)
    assert rows.groupby("dataset", sort=False).size().to_dict() == {"ms_coco": 14, "nus_wide": 14}


def test_a_grid_of_fewer_lengths_leaves_dashes(tmp_path):
    rows = substitutes.pairs("table_6", tmp_path, "quick")
    assert len(rows) == 15 and rows["mean"].isna().all()
