"""Substitute data sets: both data sets are named in every row, and the order of the methods is compared."""

import pytest

from qsmi_lib.reproduction import tables
from qsmi_lib.reproduction.analysis import substitutes
from qsmi_lib.tests.reproduction.invented import empty, invent_grid

LEVEL = {"dsh": 0.3, "dpsh": 0.4, "qsmi": 0.5}


@pytest.fixture
def paper(tmp_path):
    """The profile `paper` without any record."""
    return empty("paper", tmp_path)


@pytest.mark.parametrize(("sign", "order"), [(1, "QSMI > DPSH > DSH"), (-1, "DSH > DPSH > QSMI")])
def test_scores_and_their_order_are_beside_the_papers(sign, order, paper):
    level = {method: 0.4 + sign * (score - 0.4) for method, score in LEVEL.items()}
    invent_grid(paper, "table_6", lambda run: level[run.method] + run.seed / 100)
    rows, published = substitutes.pairs("table_6", paper), tables.published("table_6")
    assert rows["paper"].tolist() == published["mean"].tolist() and set(rows["dataset"]) == {"nus_wide"}
    for row in rows.to_dict("records"):
        assert row["mean"] == pytest.approx(level[row["method"]] + 0.02)
        assert row["std"] == pytest.approx(0.0158, abs=1e-4)
    lines = substitutes.markdown("table_6", paper).splitlines()
    assert len(lines) == len(rows) + 2
    assert all("| NUS-WIDE " in line and " in place of NUS-WIDE" in line for line in lines[2:])
    orders = substitutes.orders("table_6", paper)
    assert orders["bits"].tolist() == sorted(set(published["bits"]))
    assert set(orders["ours"]) == {order} and set(orders["paper"]) == {"QSMI > DPSH > DSH"}
    assert orders["tau"].tolist() == pytest.approx([sign] * len(orders))


def test_both_data_sets_of_the_paper_have_rows_and_without_a_run_dashes(paper):
    rows = substitutes.pairs("table_8", paper)
    assert rows.groupby("dataset").size().to_dict() == {"ms_coco": 14, "nus_wide": 14}
    assert substitutes.orders("table_8", paper).empty and "–" in substitutes.markdown("table_8", paper)
