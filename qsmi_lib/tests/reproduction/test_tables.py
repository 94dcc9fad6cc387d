"""Tables, figures and the ledger are pure functions of records and published numbers."""

import json
import math

import pytest

from qsmi_lib.config.presets import configure, options_of
from qsmi_lib.config.run import RunConfig
from qsmi_lib.evaluation import neighbors
from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction import figures, ledger, tables
from qsmi_lib.reproduction.analysis import causes, class_agreement
from qsmi_lib.reproduction.experiments import EXPERIMENTS, grid
from qsmi_lib.training import records, rescoring
from qsmi_lib.training import runs as runner
from qsmi_lib.training.splits import fingerprint
from qsmi_lib.utils import paths


def invent(config, folder, **metrics):
    """A record of `config` with these metrics, the others 0.5."""
    names = ("map_11pt", "map", "precision_radius2", "empty_radius2", *causes.BOUNDS)
    several = config.dataset in ("digit_pairs", "miml_scenes")
    record = {
        "config": config.to_dict(),
        "metrics": dict.fromkeys(names, 0.5) | metrics,
        **({"metrics_share_one": dict.fromkeys(names, 0.75)} if several else {}),
        "history": [
            {"epoch": e, "loss": 10.0 / e, "clamped_qsmi_loss": 0.05 / e, "qsmi": 0.01 * e, "qmi": 0.02 * e}
            for e in (1, 2)
        ],
        "provenance": {
            "precision": "float32",
            "fingerprint": fingerprint(config.dataset, config.draw, config.protocol, config.backbone),
        },
    }
    records.save(record, folder / f"{config.run_id(record['provenance']['fingerprint'])}.json")


@pytest.fixture
def paper(tmp_path):
    """A folder with two seeds of QSMI's row of Table 2 and one seed of Table 1's QMI."""
    for run in grid("table_2", "paper"):
        if run.method == "qsmi" and run.seed < 2:
            invent(run, tmp_path, map_11pt=0.850 + 0.01 * run.seed)
    invent(next(run for run in grid("table_1", "paper") if run.method == "qmi"), tmp_path, map_11pt=0.7)
    return tmp_path


def test_mean_and_deviation_over_seeds(paper):
    cells = tables.cells("table_2", "paper", paper).set_index(["method", "bits"])
    assert cells.loc[("qsmi", 24), "map_11pt"] == pytest.approx(0.855)
    assert cells.loc[("qsmi", 24), "map_11pt_std"] == pytest.approx(0.01 / math.sqrt(2))
    assert cells.loc[("qsmi", 24), "seeds"] == 2
    assert cells.loc[("dsh", 24), "seeds"] == 0
    assert math.isnan(cells.loc[("dsh", 24), "map_11pt"])


def test_beside_the_paper(paper):
    rows = tables.beside("table_2", "paper", paper).set_index(["method", "bits", "metric"])
    cell = rows.loc[("qsmi", 48, "map_11pt")]
    assert (cell["paper"], cell["paper_std"]) == (0.861, 0.01)
    assert cell["difference"] == pytest.approx(0.855 - 0.861)
    assert cell["z"] == pytest.approx((0.855 - 0.861) / math.hypot(0.01 / math.sqrt(2), 0.01))
    assert cell["verdict"] == "within 2"
    assert rows.loc[("dsh", 48, "map_11pt"), "verdict"] == "not run"
    assert rows.loc[("qsmi", 48, "map"), "verdict"] == "not in the paper"


def test_one_seed_is_judged_by_the_papers_deviation(paper):
    row = tables.beside("table_1", "paper", paper).set_index(["method", "metric"]).loc[("qmi", "map_11pt")]
    assert row["z"] == pytest.approx((0.7 - 0.727) / 0.008)
    assert row["verdict"] == "outside"


@pytest.mark.parametrize(
    ("numbers", "verdict"),
    [
        ((0.5, 0.1, math.nan, math.nan), "not in the paper"),
        ((math.nan, math.nan, 0.5, 0.1), "not run"),
        ((0.5, 0.1, 0.5, math.nan), "no std published"),
        ((0.5, math.nan, 0.5, math.nan), "no std published"),
        ((0.5, math.nan, 0.3, 0.1), "within 2"),
        ((0.5, math.nan, 0.29, 0.1), "outside"),
    ],
)
def test_verdicts(numbers, verdict):
    assert tables.compare(*numbers)["verdict"] == verdict


def test_digits_never_stand_beside_the_papers_numbers(tmp_path):
    invent(grid("table_2", "digits")[0], tmp_path)
    text = tables.markdown("table_2", "digits", tmp_path)
    assert "in place of Fashion-MNIST" in text
    assert "paper" not in text


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("table_6", "miml-scenes in place of NUS-WIDE;"),
        ("table_7", "Tiny ImageNet, 32 classes in place of ILSVRC;"),
        ("table_8", "miml-scenes in place of NUS-WIDE and MS COCO;"),
    ],
)
def test_a_stand_in_is_named_and_never_stands_beside_the_papers_numbers(name, data, tmp_path):
    assert len(tables.published(name))
    assert data in tables.caption(name, "paper", tmp_path) and "brackets" not in tables.caption(name, "paper", tmp_path)
    rows = tables.beside(name, "paper", tmp_path)
    assert set(rows["verdict"]) == {"not in the paper"} and rows["paper"].isna().all()


def test_both_rules_of_relevance_stand_in_one_row(tmp_path):
    invent(grid("table_6", "paper")[0], tmp_path)
    (row,) = tables.cells("table_6", "paper", tmp_path).query("seeds > 0").to_dict("records")
    assert (row["map_11pt"], row["share_one_map_11pt"]) == (0.5, 0.75)
    text = tables.markdown("table_6", "paper", tmp_path)
    assert "relevance is the share of the query's labels that an item carries" in text
    assert "| mAP (11 points) " in text and "| mAP (11 points), any shared label " in text


def test_the_table_for_people(paper):
    text = tables.markdown("table_2", "paper", paper)
    assert "8 of 60 runs recorded (seeds 0, 1; float32)" in text
    assert "| QSMI     | 48     | 2       | 0.855 ± 0.007 (0.861 ± 0.010) " in text
    assert "| DSH      | 12     | 0       | – (0.761 ± 0.020) " in text
    assert "(in brackets the paper's, after 50 epochs)" in text


def test_what_must_stand_beside_a_methods_numbers_stands_below_them(tmp_path):
    lines = tables.markdown("methods", "paper", tmp_path).splitlines()
    noted = {config.method for config in grid("methods", "paper") if METHODS[config.method].note}
    assert {"cnnh", "dnnh", "pgdh", "hashgan", "classifier"} <= noted
    for entry in map(METHODS.__getitem__, noted):
        (line,) = [line for line in lines if line.endswith(f": {entry.note}.")]
        assert entry.title in line.removesuffix(f": {entry.note}.").split(", ")
    assert "reconstructed" not in tables.markdown("table_2", "paper", tmp_path)


def test_epochs_are_those_of_what_is_trained(tmp_path):
    assert "; 10 epochs; 0 of " in tables.caption("methods", "paper", tmp_path)
    fewer = min(config.epochs for config in grid("uit_dsh", "paper"))
    assert f"; {fewer} and 20 epochs; 0 of " in tables.caption("uit_dsh", "paper", tmp_path)


def test_runs_under_several_protocols_are_cells_of_their_own(tmp_path):
    """mAP@10 is over the relevant items among the ten, as published."""
    for protocol, value in {"first_tenth": 0.25, "full": 0.75}.items():
        run = next(run for run in grid("uit_dsh", "paper") if run.protocol == protocol)
        invent(run, tmp_path, map_at_k_hits={"1": 0.9, "10": value}, map_at_k={"10": 0.1})
    cells = tables.cells("uit_dsh", "paper", tmp_path).set_index(["protocol", "alpha", "bits"])
    assert cells.loc[("first_tenth", 0.005, 8), "map_at_10"] == 0.25
    assert cells.loc[("full", 0.005, 8), "map_at_10"] == 0.75
    assert cells["seeds"].sum() == 2
    text = tables.markdown("uit_dsh", "paper", tmp_path)
    assert "mAP@10 (over hits)" in text and "| first tenth of all " in text and "| all training items " in text


def test_a_setting_that_a_method_does_not_have_is_a_dash(tmp_path):
    """QSMI has no kernel with a width; its run stands in its own row."""
    invent(next(run for run in grid("sigmas", "paper") if run.method == "qsmi"), tmp_path)
    lines = tables.markdown("sigmas", "paper", tmp_path).splitlines()
    rows = [[column.strip() for column in line.split("|")[1:4]] for line in lines if line.startswith("| QSMI")]
    assert rows == [["QSMI", "–", "1"]]


def test_tables_are_the_same_each_time(paper):
    assert tables.markdown("table_2", "paper", paper) == tables.markdown("table_2", "paper", paper)


@pytest.mark.parametrize("name", [name for name, entry in EXPERIMENTS.items() if entry.metrics])
def test_writing_without_any_run(name):
    csv, text = tables.write(name, "paper")
    assert csv.read_text().count("\n") > 1
    assert "0 of" in text.read_text()
    assert figures.write(name, "paper") == []


@pytest.mark.parametrize("name", ["table_1", "table_2", "fig_2b", "fig_3"])
def test_figures_name_their_axes(name, tmp_path, monkeypatch):
    monkeypatch.setenv("QSMI_RESULTS", str(tmp_path))
    for run in grid(name, "paper")[:8]:
        invent(run, paths.runs("paper"))
    png, pdf = figures.write(name, "paper")
    assert png.stat().st_size > 5_000 and pdf.read_bytes().startswith(b"%PDF")
    for axes in figures.figure(name, "paper").axes:
        assert axes.get_ylabel() and axes.get_xlabel()


@pytest.mark.parametrize("name", ["methods", "poster"])
def test_figures_of_comparisons_show_what_is_recorded(name, tmp_path, monkeypatch):
    monkeypatch.setenv("QSMI_RESULTS", str(tmp_path))
    runs = [run for run in grid(name, "digits") if run.method in ("spring", "dhn", "lsh")]
    for run in runs:
        invent(run, paths.runs("digits"), map_expected=0.5)
    png, _ = figures.write(name, "digits")
    drawn = figures.figure(name, "digits")
    texts = [text.get_text() for text in (*drawn.texts, *drawn.legends[0].texts, *drawn.axes[0].get_yticklabels())]
    assert png.stat().st_size > 5_000
    assert {METHODS["spring"].title, METHODS["dhn"].title} <= set(texts)
    epochs = {"methods": "10 epochs", "poster": "7 and 10 epochs"}[name]
    assert f"digits in place of Fashion-MNIST, {epochs}" in drawn.get_suptitle()


def test_the_ledger_holds_every_published_result(paper):
    rows = ledger.ledger(paper)
    printed = {
        f"Table {n}": len((paths.PUBLISHED / f"table_{n}.csv").read_text().splitlines()) - 1 for n in range(1, 10)
    }
    readings = {"Table 5": 2, "Table 9": 4}  # of the database; of the classes held back, through two backbones
    assert rows.groupby("table").size().to_dict() == {name: n * readings.get(name, 1) for name, n in printed.items()}
    assert set(rows.loc[rows["table"] == "Table 5", "verdict"]) == {"not run"}
    for name, why in ledger.AWAITED.items():
        own = rows[rows["table"] == name]
        assert set(own["verdict"]) == {why} and own["mean"].isna().all()
    assert set(ledger.AWAITED) == {"Table 4", "Table 6", "Table 7", "Table 8"}
    qmi = rows[(rows["table"] == "Table 1") & (rows["method"] == "qmi") & (rows["metric"] == "map_11pt")]
    assert (qmi["verdict"].item(), qmi["cause"].item()) == ("outside, open", "open")
    counts = ledger.summary(rows).set_index("table")
    assert counts.to_numpy().sum() == len(rows) and counts.loc["Table 1", "not run"] == 2
    lines = ledger.markdown(rows).splitlines()
    assert len(lines) == len(rows) + 2 and len(set(lines)) == len(lines)  # no row that could be taken for another
    assert "Table 8, NUS-WIDE" in lines[-37] and not any("map_at" in line or "ms_" in line for line in lines)


def test_the_readme_is_that_of_the_records():
    text = (paths.ROOT / "README.md").read_text()
    shown = text.partition(ledger.BEGIN)[2].partition(ledger.END)[0]
    assert shown.strip() == ledger.readme_section().strip()


def test_committed_records_are_whole_and_small():
    files = sorted((paths.COMMITTED / "runs").glob("*.json"))
    assert len(files) >= 7
    for path in files:
        record = records.load(path)
        config = RunConfig.from_dict(record["config"])
        assert path.stem == config.run_id(record["provenance"]["fingerprint"])
        assert record["provenance"]["fingerprint"] == fingerprint(
            config.dataset, config.draw, config.protocol, config.backbone
        )
        assert config.options.keys() == options_of(config.method).keys()
    assert sum(path.stat().st_size for path in files) / len(files) < 10_000
    folders = ("runs", "artefacts", "figures", "tables", "rotations")  # what a repository carries of them
    kept = [path for name in folders for path in (paths.COMMITTED / name).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in kept) < 15_000_000


def test_rescoring_restores_the_metrics():
    config = configure("digits", "qsmi", 12, epochs=1)
    record = runner.run(config, "digits")
    path = runner.record_path(config, "digits")
    records.save(record | {"metrics": {}}, path)
    assert rescoring.rescore("digits") == 1
    assert records.load(path) == json.loads(json.dumps(record))


def test_class_agreement():
    import numpy as np

    codes = np.array([[1, 1, 1, 1], [1, 1, 1, -1], [-1, -1, -1, -1]], np.int8)
    labels = np.array([0, 0, 1])
    groups = [codes[labels == 0], codes[labels == 1]]
    expected = [[np.mean([(x == y).mean() for x in a for y in b]) for b in groups] for a in groups]
    assert class_agreement.class_agreement(codes, labels) == pytest.approx(np.array(expected))


def test_nearest_ranks_by_distance_then_index():
    import numpy as np

    database = np.array([[1, -1], [1, 1], [-1, -1], [1, 1]], np.int8)
    assert neighbors.nearest(np.array([[1, 1]], np.int8), database, 4).tolist() == [[1, 3, 0, 2]]
    queries = np.resize(database, (2 * neighbors.ROWS + 1, 2))  # more than are ranked at a time
    expected = neighbors.nearest(database, database, 3)[np.arange(len(queries)) % 4]
    assert (neighbors.nearest(queries, database, 3) == expected).all()


def test_the_agreement_of_variants_is_kept_for_readers_without_codes(monkeypatch):
    with pytest.raises(FileNotFoundError, match="run the experiment with --fresh"):
        class_agreement.agreement_of_variants("digits")
    runner.run_all([run for run in grid("table_1", "digits") if run.seed == 0], "digits")
    shares = class_agreement.agreement_of_variants("digits")
    assert list(shares) == ["qmi", "qmi_clamped", "qsmi_unclamped", "qsmi"]
    monkeypatch.setattr(paths, "COMMITTED", paths.results("digits"))
    kept = class_agreement.committed_agreement()
    assert all((kept[name] == shares[name]).all() and kept[name].shape == (10, 10) for name in shares)


def test_a_variant_stands_out_where_a_person_looks_on(monkeypatch, capsys):
    monkeypatch.setattr("qsmi_lib.utils.progress.watched", lambda: True)
    panel = figures.learning_curves("paper", paths.COMMITTED / "runs")
    [variant] = panel.kwargs_widgets
    assert variant.value == "all" and "QSMI" in variant.options
    monkeypatch.setattr(panel, "f", lambda chosen: drawn.append(chosen))
    drawn = []
    variant.value = "QSMI"
    assert drawn == ["QSMI"]
