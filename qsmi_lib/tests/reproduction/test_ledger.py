"""The ledger: every number that the paper prints has a row and a verdict."""

import pandas as pd
import pytest

from qsmi_lib.reproduction import ledger
from qsmi_lib.reproduction.analysis import causes
from qsmi_lib.reproduction.artefacts import save_artefact
from qsmi_lib.tests.reproduction.invented import empty, invent_grid
from qsmi_lib.utils import paths


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """The ledger of two seeds of QSMI and of DSH in Tables 2 and 3."""
    results = empty("paper", tmp_path_factory.mktemp("paper"))
    save_artefact(results.store, causes.FILE, {"cifar10 resnet56 full": {"map_11pt": 0.7}}, {})
    table_2 = {("qsmi", 48): 0.861, ("qsmi", 36): 0.1}
    invent_grid(results, "table_2", lambda run: _two_seeds(run, table_2.get((run.method, run.bits))))
    invent_grid(
        results, "table_3", lambda run: _two_seeds(run, 0.5 if (run.method, run.bits) == ("qsmi", 48) else None)
    )
    return ledger.ledger(results)


def _two_seeds(run, score):
    return score + 0.01 * run.seed if score is not None and run.seed < 2 else None


@pytest.mark.parametrize(
    ("table", "bits", "verdict", "cause"),
    [
        ("Table 2", 48, "within 2 SD", ""),
        ("Table 2", 36, "unexplained", ""),
        ("Table 3", 48, "explained", "the features: a linear classifier on ResNet-56's reaches 0.700 without codes"),
        ("Table 6", 48, "not comparable", ""),
        ("Table 2", 24, "not run", ""),
    ],
)
def test_verdicts(rows, table, bits, verdict, cause):
    (row,) = rows[
        (rows["table"] == table) & (rows["bits"] == bits) & (rows["method"] == "qsmi") & (rows["metric"] == "map_11pt")
    ].to_dict("records")
    assert (row["verdict"], row["cause"]) == (verdict, cause)


def test_every_published_number_has_a_row_for_each_reading(rows):
    readings = {"Table 5": 2, "Table 9": 4}  # of the database; of the classes held back, through two backbones
    for n in range(1, 10):
        printed = len(pd.read_csv(paths.PUBLISHED / f"table_{n}.csv"))
        assert (rows["table"] == f"Table {n}").sum() == printed * readings.get(f"Table {n}", 1)
    counts = ledger.summary(rows).set_index("table")
    assert list(counts.columns) == list(ledger.VERDICTS) and counts.to_numpy().sum() == len(rows)


def test_tables_that_are_not_comparable_say_why_once(rows):
    assert ledger.REASONS.keys() == set(rows.loc[rows["verdict"] == "not comparable", "table"])
    assert all(ledger.reasons().count(f"- {table}: ") == 1 for table in ledger.REASONS)


def test_the_ledger_for_people_names_every_number_once(rows):
    lines = ledger.markdown(rows).splitlines()
    assert len(lines) == len(rows) + 2 and len(set(lines)) == len(lines)
    assert not any("map_at" in line or "ms_" in line or "nan" in line for line in lines)


def test_the_committed_ledger_explains_what_lies_outside():
    rows = ledger.ledger()
    outside = rows["verdict"].isin(["explained", "unexplained"])
    assert (rows.loc[outside, "z"].abs() > 2).all()
    assert (rows.loc[rows["verdict"] == "explained", "cause"] != "").all() and (rows.loc[~outside, "cause"] == "").all()
    assert not (rows["verdict"] == "not run").any()


def test_pages_are_written_between_the_markers_and_nowhere_else(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(ledger.tables, "markdown", lambda name, results: f"the table of {name}")
    readme = tmp_path / "README.md"
    readme.write_text("# A title\n")
    with pytest.raises(ValueError, match=r"README.md must hold the two markers .*generated.* and .*end of results"):
        ledger.write_pages()
    readme.write_text(f"# A title\n{ledger.BEGIN}\nold\n{ledger.END}\nthe end\n")
    assert [path.name for path in ledger.write_pages()] == ["README.md", "README.md", "paper_vs_ours.md"]
    text = readme.read_text(encoding="utf-8")
    assert text.startswith(f"# A title\n{ledger.BEGIN}\n\n") and text.endswith(f"\n\n{ledger.END}\nthe end\n")
    assert "old" not in text and "| Table 9 |" in text and "within 2 SD" in text
    assert text.count("| Table 2 ") == 13  # the summary's row, and twelve numbers
    pages = (
        (tmp_path / "results" / "README.md").read_text(encoding="utf-8"),
        (tmp_path / "results" / "paper_vs_ours.md").read_text(encoding="utf-8"),
    )
    assert "the table of table_1" in pages[0] and "- Table 4: " in pages[1]
