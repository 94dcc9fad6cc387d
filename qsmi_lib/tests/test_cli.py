"""The command line: help, what commands print, errors in one line, status, interrupts."""

import os
import signal
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from qsmi_lib import datasets
from qsmi_lib.cli import STATUS, Status, main
from qsmi_lib.config.presets import configure
from qsmi_lib.config.profiles import PROFILES
from qsmi_lib.methods import METHODS
from qsmi_lib.models import backbones
from qsmi_lib.reproduction.results import Results
from qsmi_lib.tests.reproduction.invented import invent
from qsmi_lib.training import provenance, runs, tuning
from qsmi_lib.training.records import Store, load_record, run_id, save_record

RUN = ("run", "--dataset=digits", "--method=qsmi", "--bits=8", "--epochs=1")
CONFIG = configure("digits", "qsmi", 8, epochs=1, precision="float32")


@pytest.fixture
def store():
    """Where commands of the profile "digits" put their results."""
    return Store.of(PROFILES["digits"])


def call(*arguments: str):
    return CliRunner().invoke(main, list(arguments))


# Help


@pytest.mark.parametrize("command", ["", *main.commands, "datasets check", "bench train"])
def test_every_command_and_option_has_help(command):
    result = call(*command.split(), "--help")
    assert result.exit_code == 0 and "Usage: " in result.output and len(result.output.splitlines()) > 5
    described = main
    for name in command.split():
        described = described.commands[name]
    assert all(option.help for option in described.params if isinstance(option, click.Option)), command


def test_help_imports_nothing_heavy():
    heavy = "{'torch', 'numpy', 'numba', 'pandas', 'matplotlib'}"
    code = f"import sys, qsmi_lib.cli; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_the_name_of_the_program_is_the_one_that_was_called():
    as_module = subprocess.run([sys.executable, "-m", "qsmi_lib", "--help"], capture_output=True, text=True).stdout
    script = "import sys; sys.argv = ['/bin/qsmi', '--help']; from qsmi_lib.cli import main; main()"
    as_script = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout
    assert as_module.startswith("Usage: python -m qsmi_lib ") and as_script.startswith("Usage: qsmi ")


# Runs


def test_run_prints_metrics_and_saves_a_record(store):
    beyond = {"schedule": "cosine", "augmentation": "flip_shift", "memory": 2}
    result = call(*RUN, "--option=information_needs=10", *(f"--{name}={value}" for name, value in beyond.items()))
    assert result.exit_code == 0, result.output
    assert "map_11pt" in result.output and "n_without_relevant    0" in result.output
    (path,) = store.runs.glob("*.json")
    config = load_record(path)["config"]
    assert (
        beyond.items() <= config.items()
        and config["options"] == {"information_needs": 10.0}
        and path.name in result.output
    )


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"commit": None, "dirty": None}, "made by code of no known commit"),
        ({"commit": "abc", "dirty": True}, "made by code with uncommitted changes"),
        ({"commit": "abc", "dirty": False}, ""),
    ],
)
def test_run_says_if_no_commit_made_the_record(store, changed, line):
    record = runs.run(CONFIG, store)
    record["provenance"] |= changed
    save_record(record, store.record(run_id(CONFIG)))
    lines = [text for text in call(*RUN).output.splitlines() if text.startswith("made by")]
    assert lines == ([line] if line else [])


def test_run_refuses_to_write_uncommitted_code_into_the_committed_folder(store, monkeypatch, trainings):
    monkeypatch.setattr(provenance, "COMMITTED", store)
    monkeypatch.setattr(provenance, "_git", lambda *command: " M qsmi_lib/cli.py" if "status" in command else "abc")
    result = call(*RUN)
    assert (
        result.exit_code == 1 and result.output.startswith(f"Error: {store.folder}") and result.output.count("\n") == 1
    )
    assert "qsmi_lib/cli.py" in result.output and "QSMI_RESULTS" in result.output
    assert trainings == [] and not store.folder.exists()


def test_a_draw_holds_out_other_classes(store):
    for draw in ("0", "1"):
        words = ["--method=qsmi_u", "--protocol=unseen_3", f"--draw={draw}"]
        assert call(*RUN, *words).exit_code == 0
    records = [load_record(path) for path in store.runs.glob("*.json")]
    assert sorted(record["config"]["draw"] for record in records) == [0, 1]
    assert len({record["provenance"]["fingerprint"] for record in records}) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--dataset=mnist", "unknown data set 'mnist'; known: cifar10, digit_pairs, digits, fashion_mnist, ilsvrc"),
        ("--method=qsmih", "unknown method 'qsmih'; known: classifier, cnnh, csq"),
        ("--bits=0", "bits must be a whole number from 1 to 4096, got 0"),
        ("--option=epochs=3", "unknown option of qsmi 'epochs'; known: information_needs"),
        ("--option=information_needs=0", "information_needs must be a finite number above 0, got 0.0"),
        ("--option=information_needs=1e308", "information_needs must be from 1e-09 to 1e+09, got 1e+308"),
        ("--method=mihash --option=n_bins=1e9", "n_bins must be a whole number from 1 to 1024, got 1000000000"),
        ("--batch-size=60000 --memory=9", "a batch and its memory must hold at most 65536 items, got 600000"),
        ("--option=sigma", "an option must read NAME=VALUE, got 'sigma'"),
        ("--method=lsh --memory=2", "unknown setting of lsh "),
        ("--protocol=half", "unknown protocol 'half'; known: first_tenth, full, held_out, n_way_20"),
        ("--method=csq --memory=2", "memory 2 needs a loss of pairs, got csq, which has targets"),
        ("--backbone=digits_pixels --augmentation=flip", "augmentation 'flip' needs pictures"),
    ],
)
def test_a_wrong_word_is_one_line_and_leaves_no_record(words, message, store):
    result = call(*RUN, *words.split())
    assert result.exit_code == 1 and result.output.startswith(f"Error: {message}") and result.output.count("\n") == 1
    assert not list(store.folder.rglob("*.json"))


@pytest.mark.parametrize(
    "error", [RuntimeError("alloc_cpu.cpp: can't allocate memory: you tried 9 bytes"), MemoryError()]
)
def test_too_little_memory_is_one_line(error, monkeypatch, store):
    def run(*_, **__):
        raise error

    monkeypatch.setattr(runs, "run", run)
    result = call(*RUN)
    assert result.exit_code == 1 and result.output.startswith("Error: out of memory") and result.output.count("\n") == 1
    assert "smaller batch" in result.output


def test_an_unknown_profile_lists_the_known():
    for command in (["reproduce"], ["tables"], ["verify"], ["tune", "dhn"], list(RUN)):
        result = call(*command, "--profile", "fast")
        assert result.exit_code == 2 and "known: digits, gpu, paper, quick" in result.output


# Tuning


def test_tune_prints_the_trials_and_what_was_chosen(store):
    result = call("tune", "dhn", "cnnh", "--bits=8", "--epochs=1")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    of_dhn, of_cnnh = ([line.split()[1:] for line in lines if line.startswith(name)] for name in ("dhn", "cnnh"))
    search = tuning.load_search(tuning.search_path("dhn", "digits", store, bits=8, epochs=1))
    assert of_dhn == [
        *(["map_expected", f"{t['map_expected']:.4f}", "alpha", f"{t['settings']['alpha']}"] for t in search["trials"]),
        ["chosen:", "alpha", f"{search['chosen']['alpha']}"],
    ]
    assert of_cnnh[0][-1] == "defaults" and of_cnnh[1] == ["chosen:", "nothing", "to", "choose"]
    assert lines[-1].startswith("search") and lines[-1].endswith("digits-cnnh-8b-s0-1e.json")


@pytest.mark.parametrize("words", ["dhn lda", "dhn lsh", "dhn --dataset=mnist"])
def test_tune_runs_nothing_if_a_name_is_wrong(words, results):
    result = call("tune", *words.split())
    assert result.exit_code == 1 and "known: c" in result.output and result.output.count("\n") == 1
    assert not results.exists()
    assert call("tune").exit_code == 2  # no method


def test_the_note_of_a_method_is_printed_with_its_numbers():
    for command in (["run", "--dataset=digits", "--method=hashgan"], ["tune", "hashgan"]):
        result = call(*command, "--bits=4", "--epochs=1")
        assert f"{METHODS['hashgan'].title}: {METHODS['hashgan'].note}\n" in result.output


# Tables and verification


def test_tables_of_no_record_name_the_folder_and_the_remedy(store):
    result = call("tables")
    assert result.exit_code == 1 and str(store.folder) in result.output and "QSMI_RESULTS" in result.output
    assert not store.tables.exists()


def test_tables_of_other_runs(store):
    invent(Results(PROFILES["digits"], store), CONFIG)
    result = call("tables", "--profile", "digits")
    assert result.exit_code == 0, result.output
    assert "0 of 24 runs recorded" in result.output and (store.tables / "table_2.csv").exists()


def test_damaged_codes_are_named(store):
    call(*RUN)
    (path,) = (store.folder / "codes").glob("*.npz")
    path.write_bytes(b"half")
    result = call("tables", "--rescore")
    assert result.exit_code == 1 and str(path) in result.output and "run again" in result.output


def test_verify_lists_disagreements_and_ends_with_1(store):
    for method in ("qsmi", "itq", "dsh"):
        settings = {} if method == "itq" else {"epochs": 1}
        runs.run(configure("digits", method, 8, precision="float32", **settings), store)
    result = call("verify", "--all")
    assert result.exit_code == 0 and result.output == "3 probes agree, 0 disagree, 0 skipped\n"
    path = store.record(run_id(CONFIG))
    record = load_record(path)
    save_record(record | {"probe": [loss * 1.01 for loss in record["probe"]]}, path)
    result = call("verify")
    assert result.exit_code == 1
    assert f"disagrees: {path.stem}: loss of batch 1" in result.output and "2 probes agree, 1 disagree" in result.output


def test_verify_skips_what_has_no_data_or_no_probe(store, monkeypatch):
    runs.run(CONFIG, store)
    without = configure("digits", "dsh", 8, epochs=1)
    record = runs.run(without, store)
    save_record({name: value for name, value in record.items() if name != "probe"}, store.record(run_id(without)))

    def missing(config, **options):
        raise FileNotFoundError("the digits are not on this machine: get them")

    monkeypatch.setattr("qsmi_lib.training.runs.split_of", missing)
    result = call("verify")
    assert result.exit_code == Status.FAILED and "0 probes agree, 0 disagree, 2 skipped" in result.output
    assert "the digits are not on this machine: get them" in result.output and "no probe" in result.output


# Data sets


def test_datasets_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(datasets.FashionMnist, "find", lambda self: None)
    lines = {line.split()[0]: line.split(maxsplit=1)[1] for line in call("datasets").output.splitlines()}
    assert lines["digits"] == "here: inside scikit-learn" and lines["digits_labels"].startswith("here: ")
    assert lines["fashion_mnist"].startswith("not here: get it with")
    assert lines.keys() == {*datasets.DATASETS, *backbones.BACKBONES}


# Exit status and charset


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("--help", Status.DONE),
        ("datasets", Status.DONE),
        ("verify --profile digits", Status.FAILED),  # nothing is recorded
        ("datasets check nowhere", Status.FAILED),
        ("run --dataset digits --method none --bits 8", Status.FAILED),
        ("bench evaluate --size none", Status.FAILED),
        ("app --bits 0", Status.USAGE),
        ("tune", Status.USAGE),
        ("tables --profile none", Status.USAGE),
        ("reproduce --jobs 0", Status.USAGE),
        ("none", Status.USAGE),
    ],
)
def test_each_command_ends_with_a_status_of_the_table(words, status):
    assert call(*words.split()).exit_code == status


def test_help_explains_each_status():
    explained = call("--help").output.partition("Exit status:")[2].splitlines()
    assert {tuple(line.split(maxsplit=1)) for line in explained if line} == {
        (str(s), text) for s, text in STATUS.items()
    }
    assert STATUS.keys() == set(Status)


@pytest.fixture
def unprintable(tmp_path):
    """A data set with a fault in a picture whose name no charset but Unicode's has."""
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "\u00e9\u65e5\u2020\u0e01.png").write_bytes(b"no picture")
    return tmp_path


@pytest.mark.parametrize(
    ("charset", "name"),
    [("latin-1", "é\\u65e5\\u2020\\u0e01.png"), ("gbk", "é日\\u2020\\u0e01.png"), ("ascii", "\u0e01.png")],
)
def test_a_console_of_any_charset_is_printed_on(charset, name, unprintable):
    result = CliRunner(charset=charset).invoke(main, ["datasets", "check", str(unprintable)])
    printed = result.stdout_bytes.decode("utf-8" if charset == "ascii" else charset)  # click takes ASCII for a mistake
    assert result.exit_code == Status.FAILED and name in printed and " 2 faults" in printed


def test_a_process_prints_what_its_charset_lacks(unprintable):
    environment = os.environ | {"PYTHONIOENCODING": "cp932"}
    command = [sys.executable, "-m", "qsmi_lib", "datasets", "check", unprintable]
    done = subprocess.run(command, env=environment, capture_output=True, encoding="cp932")
    assert done.returncode == Status.FAILED and "日†\\u0e01.png" in done.stdout, done.stderr


def test_tables_are_written_before_they_are_printed(monkeypatch, store):
    invent(Results(PROFILES["digits"], store), CONFIG)
    done = []
    monkeypatch.setattr("qsmi_lib.reproduction.reproduce.write_all", lambda _: done.append("written") or [])
    monkeypatch.setattr("qsmi_lib.reproduction.tables.markdown", lambda *_: done.append("printed") or "QSMI\u2020")
    result = CliRunner(charset="gbk").invoke(main, ["tables"])
    assert result.exit_code == Status.DONE and "QSMI\\u2020\n" in result.output
    assert done[0] == "written" and "printed" in done


# Interrupts and pipes


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM], ids=lambda kind: kind.name)
def test_an_interrupt_says_how_to_continue(monkeypatch, kind):
    monkeypatch.setattr("qsmi_lib.training.runs.run", lambda *_args, **_kwargs: signal.raise_signal(kind))
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # under nohup a process starts with SIGINT ignored
    try:
        result = call(*RUN)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert result.exit_code == 128 + kind and "finished work is kept" in result.output and "--fresh" in result.output


def test_a_reader_that_has_ended_is_no_error():
    command = f"'{sys.executable}' -m qsmi_lib datasets | true"
    assert subprocess.run(["sh", "-c", command], capture_output=True, text=True).stderr == ""
