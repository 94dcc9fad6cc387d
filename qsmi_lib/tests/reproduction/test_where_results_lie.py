"""What is committed is read wherever results are written; a folder that cannot be read or written is named."""

import os
import shutil
import subprocess
import sys

import pytest

from qsmi_lib.config.profiles import PROFILES
from qsmi_lib.reproduction import artefacts, figures, tables
from qsmi_lib.reproduction.analysis import causes, made_by, method_tables
from qsmi_lib.reproduction.experiments import EXPERIMENTS
from qsmi_lib.reproduction.reproduce import _records
from qsmi_lib.reproduction.results import Results, committed
from qsmi_lib.training import tuning
from qsmi_lib.training.records import COMMITTED, Store, load_record, run_id, save_record
from qsmi_lib.utils import paths


@pytest.fixture
def elsewhere():
    """The results of the profile `paper`, which are written into the folder of the test."""
    return Results.named("paper")


def test_no_committed_run_rotation_or_artefact_is_made_again(elsewhere, results):
    needed = {}
    for name in EXPERIMENTS:
        needed |= _records(elsewhere, elsewhere.grid(name), elsewhere.to_rotate(name))
    assert len(needed) > 1500 and all(path.is_relative_to(results) for path in needed)
    assert [path for path in needed if not elsewhere.store.existing(path).exists()] == []
    assert artefacts.outdated(elsewhere.store, made_by.expected(elsewhere)) == []
    assert not results.exists()


def test_tables_searches_and_artefacts_are_those_of_the_checkout(elsewhere, results):
    elsewhere.__dict__["table"] = committed().table  # read once for all tests
    assert tables.markdown("table_1", elsewhere) == tables.markdown("table_1", committed())
    searched = [method_tables.trials(store, "fashion_mnist") for store in (elsewhere.store, COMMITTED)]
    assert len(searched[0]) and searched[0].equals(searched[1])
    loaded = [artefacts.load_artefact(store, causes.FILE) for store in (elsewhere.store, COMMITTED)]
    assert loaded[0] == loaded[1]
    assert Store.of(PROFILES["digits"]).files(Store.of(PROFILES["digits"]).runs) == []
    written = [*tables.write_table("table_1", elsewhere), *figures.write_figure("table_1", elsewhere)]
    assert all(path.is_relative_to(results) for path in written)


def test_a_record_or_an_artefact_of_ones_own_comes_before_the_committed_one(elsewhere):
    store, run = elsewhere.store, run_id(elsewhere.grid("table_1")[0])
    record = load_record(store.existing(store.record(run)))
    save_record(record | {"metrics": record["metrics"] | {"map": 0.25}}, store.record(run))
    assert load_record(store.existing(store.record(run)))["metrics"]["map"] == 0.25
    assert store.record(run) in store.files(store.runs)
    assert len(store.files(store.runs)) == len(COMMITTED.files(COMMITTED.runs))
    artefacts.save_artefact(store, causes.FILE, {"scikit-learn": "0"}, {"n_query": 1})
    assert artefacts.load_artefact(store, causes.FILE) == {"scikit-learn": "0"}
    assert artefacts.outdated(store, made_by.expected(elsewhere)) == [causes.FILE]
    assert list(artefacts._read_notes(store)) == [causes.FILE], "the others are those of the checkout"


def test_a_search_elsewhere_is_read_where_there_is_one(elsewhere):
    path = tuning.search_path("dch", "fashion_mnist", elsewhere.store)
    shutil.copytree(COMMITTED.tuning, path.parent)
    path.write_text("{")
    with pytest.raises(ValueError, match=f"{path} .*; delete it"):
        tuning.recorded_search("dch", "fashion_mnist", elsewhere.store)
    path.unlink()
    assert tuning.recorded_search("dch", "fashion_mnist", elsewhere.store) == tuning.recorded_search(
        "dch", "fashion_mnist"
    )


IS_ROOT = os.name == "posix" and not os.geteuid()
WITHOUT_RIGHTS = ("setpriv", "--inh-caps=-all", "--bounding-set=-all") if IS_ROOT else ()


@pytest.mark.skipif(
    os.name != "posix" or bool(WITHOUT_RIGHTS and not shutil.which("setpriv")),
    reason="root may write everywhere, and this machine has no setpriv that takes the right away",
)
def test_a_read_only_checkout_without_qsmi_results_says_to_set_it(tmp_path):
    checkout = tmp_path / "checkout"
    shutil.copytree(paths.ROOT / "qsmi_lib", checkout / "qsmi_lib", ignore=shutil.ignore_patterns("tests"))
    for name in ("data/paper", "results/paper/tuning"):
        shutil.copytree(paths.ROOT / name, checkout / name)
    shutil.copy(paths.ROOT / "pyproject.toml", checkout)
    environment = {k: v for k, v in os.environ.items() if k != "QSMI_RESULTS"} | {"PYTHONPATH": str(checkout)}
    for folder, _, files in os.walk(checkout):
        for name in (*files, ""):
            os.chmod(os.path.join(folder, name), 0o444 if name else 0o555)
    command = [*WITHOUT_RIGHTS, sys.executable, "-m", "qsmi_lib", "run", "--dataset=digits", "--method=lsh", "--bits=8"]
    try:
        done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True)
        assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
        assert str(checkout / "results" / "digits") in done.stderr and "QSMI_RESULTS" in done.stderr
    finally:
        for folder, _, _ in os.walk(checkout):
            os.chmod(folder, 0o755)


def test_a_folder_of_records_that_cannot_be_read_is_no_empty_one(elsewhere, tmp_path):
    store = Store(tmp_path)
    store.runs.write_text("no folder")
    with pytest.raises(OSError, match=str(store.runs)):
        store.need_records()
    with pytest.raises(FileNotFoundError, match=f"{tmp_path / 'none'}.*QSMI_RESULTS"):
        Store(tmp_path / "none").need_records()
