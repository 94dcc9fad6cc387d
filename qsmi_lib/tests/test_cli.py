"""The command line: help, names, errors in one line, interrupts."""

import json
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner
from joblib.externals.loky import get_reusable_executor

from qsmi_lib import datasets
from qsmi_lib.cli import main
from qsmi_lib.config.profiles import PROFILES
from qsmi_lib.methods import METHODS
from qsmi_lib.models import backbones
from qsmi_lib.reproduction import ledger, rotations
from qsmi_lib.reproduction import reproduce as module
from qsmi_lib.reproduction.experiments import EXPERIMENTS, grid
from qsmi_lib.training import runs as runner
from qsmi_lib.training import tuning
from qsmi_lib.utils import paths


def call(*arguments: str):
    return CliRunner().invoke(main, list(arguments))


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["reproduce"],
        ["run"],
        ["tune"],
        ["tables"],
        ["datasets"],
        ["datasets", "check"],
        ["bench"],
        ["bench", "train"],
        ["bench", "evaluate"],
    ],
)
def test_help(command):
    result = call(*command, "--help")
    assert result.exit_code == 0
    assert "Usage: " in result.output and len(result.output.splitlines()) > 5


def test_help_needs_no_torch():
    code = (
        "import sys; import qsmi_lib.cli; print(sorted({'torch', 'numba', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_run_prints_metrics_and_saves_a_record():
    what = "--dataset digits --method qsmi --bits 12 --epochs 1 --option information_needs=10"
    result = call("run", *what.split())
    assert result.exit_code == 0, result.output
    assert "map_11pt" in result.output and "n_without_relevant    0" in result.output
    (path,) = paths.runs("digits").glob("*.json")
    config = json.loads(path.read_text())["config"]
    assert config["options"] == {"information_needs": 10.0}
    assert config["epochs"] == 1
    assert not {"schedule", "augmentation", "memory"} & config.keys()


def test_run_takes_a_schedule_an_augmentation_and_a_memory():
    beyond = {"schedule": "cosine", "augmentation": "flip_shift", "memory": 2}
    given = {"dataset": "digits", "method": "qsmi", "bits": 12, "epochs": 1} | beyond
    result = call("run", *(f"--{name}={value}" for name, value in given.items()))
    assert result.exit_code == 0, result.output
    (path,) = paths.runs("digits").glob("*.json")
    assert beyond.items() <= json.loads(path.read_text())["config"].items()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"--dataset": "mnist"},
            "unknown data set 'mnist'; known: cifar10, digit_pairs, digits, fashion_mnist, ilsvrc",
        ),
        ({"--method": "qsmih"}, "unknown method 'qsmih'; known: classifier, cnnh, csq"),
        ({"--bits": "0"}, "bits must be a whole number of at least 1, got 0"),
        ({"--profile": "papers"}, "unknown profile 'papers'; known: digits, gpu, paper, quick"),
        ({"--option": "sigma=3"}, "unknown option of qsmi 'sigma'; known: information_needs"),
        ({"--option": "epochs=3"}, "unknown option of qsmi 'epochs'; known: information_needs"),
        ({"--option": "information_needs=0"}, "information_needs must be a finite number above 0, got 0.0"),
        ({"--option": "sigma"}, "an option must read NAME=VALUE, got 'sigma'"),
        ({"--precision": "fp8"}, "unknown precision 'fp8'; known: auto, bf16, float32"),
        ({"--schedule": "linear"}, "unknown schedule 'linear'; known: constant, cosine"),
        ({"--augmentation": "turn"}, "unknown augmentation 'turn'; known: flip, flip_shift, none, shift"),
        ({"--memory": "-1"}, "memory must be a whole number of at least 0, got -1"),
        ({"--method": "lsh", "--memory": "2"}, "unknown setting of lsh 'memory'; known: backbone, bits"),
        ({"--alpha": "-1"}, "alpha must be a finite number of at least 0, got -1.0"),
        (
            {"--method": "hashnet", "--alpha": "0.1"},
            "unknown setting of hashnet 'alpha'; known: augmentation, backbone, backbone_learning_rate, batch_size",
        ),
        ({"--method": "spring", "--option": "form=spiral"}, "unknown form 'spiral'; known: dtsh, likelihood"),
        ({"--protocol": "half"}, "unknown protocol 'half'; known: first_tenth, full, held_out, n_way_20"),
        ({"--backbone": "digits_pixels", "--head": "deep"}, "unknown head 'deep'; known: csq, narrow, wide"),
    ],
)
def test_a_wrong_word_is_one_line_that_lists_the_known_ones(change, message):
    arguments = {"--dataset": "digits", "--method": "qsmi", "--bits": "8"} | change
    result = call("run", *(word for pair in arguments.items() for word in pair))
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {message}")
    assert not paths.runs("digits").exists()


@pytest.mark.parametrize(
    ("beyond", "message"),
    [
        (["--method=csq", "--memory=2"], "memory 2 needs a loss of pairs, got csq, which has targets"),
        (["--method=qsmi", "--backbone=digits_pixels", "--augmentation=flip"], "augmentation 'flip' needs pictures"),
        (["--method=csq", "--head=csq"], "head 'csq' needs the features of a backbone, got none"),
    ],
)
def test_what_training_refuses_is_one_line_and_leaves_no_record(beyond, message):
    result = call("run", "--dataset=digits", "--bits=8", *beyond)
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {message}") and result.output.count("\n") == 1
    assert not list(paths.runs("digits").glob("*.json"))


def test_an_unknown_profile():
    for command in (["reproduce"], ["tables"], ["tune", "dhn"], ["tune", "dhn", "--dataset", "digits"]):
        result = call(*command, "--profile", "fast")
        assert result.exit_code == 1 and "known: digits, gpu, paper, quick" in result.output


def test_tune_prints_the_trials_and_what_was_chosen():
    result = call("tune", "dhn", "cnnh", "--bits", "8", "--epochs", "1")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    of_dhn, of_cnnh = ([line for line in lines if line.startswith(name)] for name in ("dhn", "cnnh"))
    search = json.loads(tuning.file_of("dhn", "digits", paths.tuning("digits"), bits=8, epochs=1).read_text())
    assert [line.split()[1:] for line in of_dhn[:-1]] == [
        ["map_expected", f"{trial['map_expected']:.4f}", "alpha", str(trial["settings"]["alpha"])]
        for trial in search["trials"]
    ]
    assert of_dhn[-1].split() == ["dhn", "chosen:", "alpha", str(search["chosen"]["alpha"])]
    assert of_cnnh[0].endswith("as it is") and of_cnnh[1].endswith("chosen: nothing to choose")
    assert lines[-1].startswith("search") and lines[-1].endswith("digits-cnnh-8b-s0-1e.json")
    assert {trial["run"] for trial in search["trials"]} <= {
        path.stem for path in paths.runs(tuning.trials_of("digits")).glob("*.json")
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dhn", "lda"], "unknown trained method 'lda'; known: classifier, cnnh, csq"),
        (["dhn", "lsh"], "unknown trained method 'lsh'; known: classifier, cnnh, csq"),
        (
            ["dhn", "--dataset", "mnist"],
            "unknown data set 'mnist'; known: cifar10, digit_pairs, digits, fashion_mnist, ilsvrc",
        ),
    ],
)
def test_tune_runs_nothing_where_a_name_is_wrong(words, message, results):
    result = call("tune", *words)
    assert result.exit_code == 1 and result.output.startswith(f"Error: {message}")
    assert not results.exists()


def test_a_draw_holds_other_classes_back():
    for draw in ("0", "1"):
        words = ["--method", "qsmi_u", "--bits", "4", "--epochs", "1", "--protocol", "unseen_3", "--draw", draw]
        assert call("run", "--dataset", "digits", *words).exit_code == 0
    made = [json.loads(path.read_text()) for path in paths.runs("digits").glob("*.json")]
    assert sorted(record["config"]["draw"] for record in made) == [0, 1]
    assert len({record["provenance"]["fingerprint"] for record in made}) == 2


def test_what_must_stand_beside_the_numbers_of_a_method_does():
    for command in (["run", "--dataset", "digits", "--method", "hashgan"], ["tune", "hashgan"]):
        result = call(*command, "--bits", "4", "--epochs", "1")
        assert f"{METHODS['hashgan'].title}: {METHODS['hashgan'].note}\n" in result.output


def test_tune_needs_a_method():
    assert call("tune").exit_code == 2


def test_an_unknown_notebook_is_listed():
    result = call("reproduce", "--only", "99")
    assert result.exit_code == 1
    assert "unknown notebook '99'; known: 00_start_here" in result.output


def test_reproduce_skips_by_name_what_is_neither_here_nor_to_be_had(monkeypatch):
    def offline(*_args, **_kwargs):
        raise OSError("no route")

    ran = []
    monkeypatch.setattr(module, "execute", lambda notebook, *_args, **_kwargs: ran.append(notebook.stem))
    monkeypatch.setattr(datasets.FashionMnist, "find", lambda self: None)
    monkeypatch.setattr(datasets.Cifar10, "find", lambda self: None)
    monkeypatch.setattr(datasets.PictureSet, "find", lambda self: None)
    for name in ("FashionMNIST", "CIFAR10"):
        monkeypatch.setattr(f"torchvision.datasets.{name}", offline)
    result = call("reproduce", "--profile", "quick")
    assert result.exit_code == 0
    here = {path.stem[:2] for path in module.notebooks()}
    names = [name for name, entry in EXPERIMENTS.items() if entry.notebook in here]
    runs = {runner.record_path(config, "quick") for name in names for config in grid(name, "quick")}
    runs |= {
        rotations.file_of(c, "quick", n_steps=400)
        for turned in rotations.ROTATIONS.values()
        for c in turned(PROFILES["quick"])
    }
    lessons = ", ".join(sorted({EXPERIMENTS[name].notebook for name in names}))
    assert len(runs) >= 22 and lessons.startswith("02, 03, 04, 05")
    skipped = f"skipped: {len(runs)} runs, and notebooks {lessons}: Fashion-MNIST is not on this machine"
    assert result.output.startswith(skipped)
    assert "download failed (no route)" in result.output and "apt-get install" in result.output
    for name in ("CIFAR-10", "miml_scenes", "tiny_imagenet_32"):
        assert result.output.count(f"{name} is not on this machine") == 1
    assert ran == ["00_start_here", "01_derivation", "15_search", "16_paper_beside_ours", "10_timing"]


def test_what_one_data_set_lacks_skips_only_what_needs_it(monkeypatch):
    for what in ("runner.run_all", "comparison.collect_all"):
        monkeypatch.setattr(f"qsmi_lib.{what}", lambda *_args, **_kwargs: None)
    turned, wrote, ran = [], [], []
    monkeypatch.setattr(
        "qsmi_lib.reproduction.rotations.rotate_all", lambda configs, *_args, **_kwargs: turned.extend(configs)
    )
    monkeypatch.setattr(module, "write_all", lambda _profile, names, **_: wrote.extend(names))
    monkeypatch.setattr(module, "execute", lambda notebook, *_args, **_kwargs: ran.append(notebook.stem[:2]))
    lacking = {run.backbone for name in ("table_3", "table_9") for run in grid(name, "quick")}
    monkeypatch.setattr(module, "_not_here", lambda _configs: {("cifar10", name): "no CIFAR-10" for name in lacking})
    monkeypatch.setattr(module, "_found", lambda _config: True)
    result = call("reproduce", "--profile", "quick")
    assert result.exit_code == 0, result.output
    assert not {"04", "06", "12", "14"} & set(ran) and {"05", "07", "17", "18"} <= set(ran)
    assert {"fig_3", "methods", "steps"} <= set(wrote) and not {"fig_3_cifar10", "table_3"} & set(wrote)
    files = [rotations.file_of(run, "quick", n_steps=400) for run in turned]
    assert {run.dataset for run in turned} == {"fashion_mnist", "miml_scenes"} and len(set(files)) == len(files)


def test_notebooks_whose_pictures_are_not_here_run_on_the_digits(monkeypatch, tmp_path):
    recorded = tmp_path / "recorded.json"
    recorded.touch()
    monkeypatch.setattr(module.runner, "record_path", lambda *_args: recorded)
    monkeypatch.setattr(module.rotated, "file_of", lambda *_args, **_kwargs: recorded)
    for what in ("runner.run_all", "rotated.rotate_all", "comparison.collect_all", "causes.collect", "tsne.collect"):
        monkeypatch.setattr(f"qsmi_lib.{what}", lambda *_args, **_kwargs: None)
    monkeypatch.setattr(module, "write_all", lambda *_args, **_kwargs: [])
    monkeypatch.setattr(module, "_found", lambda config: config.dataset != "fashion_mnist")
    ran = {}
    monkeypatch.setattr(module, "execute", lambda notebook, _, profile: ran.update({notebook.stem[:2]: profile}))
    result = call("reproduce", "--profile", "paper")
    assert result.exit_code == 0
    assert {number for number, profile in ran.items() if profile == "digits"} == {"05", "13", "14"}
    assert set(ran) == {path.stem[:2] for path in module.notebooks()}
    assert "the data are not here: notebooks 05, 13, 14\n" in result.output and "skipped" not in result.output


def test_seeds_that_a_profile_lacks_are_an_error():
    result = call("reproduce", "--profile", "digits", "--seed", "7")
    assert result.exit_code == 1
    assert "profile digits has the seeds 0, 1 there, got 7" in result.output


def test_a_seed_of_a_draw_can_be_asked_for(monkeypatch):
    trained = []
    monkeypatch.setattr("qsmi_lib.training.runs.run_all", lambda configs, *_args, **_kwargs: trained.extend(configs))
    monkeypatch.setattr(module, "_not_here", lambda _configs: {})
    monkeypatch.setattr(module, "write_all", lambda *_args, **_kwargs: [])
    assert module.reproduce("paper", only=("09",), seeds=(17,)) == []
    assert {run.draw for run in trained} == {17}


def test_one_seed_trains_and_leaves_the_notebooks(monkeypatch):
    trained = []
    monkeypatch.setattr("qsmi_lib.training.runs.run_all", lambda configs, *_args, **_kwargs: trained.extend(configs))
    monkeypatch.setattr(module, "execute", lambda *_args, **_kwargs: pytest.fail("no notebook runs"))
    assert module.reproduce("digits", only=("05",), seeds=(1,)) == []
    assert len({runner.run_id(run) for run in trained}) == 12  # Table 2; on the digits nothing is tuned
    assert {run.seed for run in trained} == {1}
    assert (paths.figures("digits") / "fig_2a.png").exists()


def test_datasets_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(datasets.FashionMnist, "find", lambda self: None)
    output = call("datasets").output
    assert "digits               here: inside scikit-learn" in output
    assert "fashion_mnist        not here: get it with" in output
    assert "digits_labels        here: " in output
    assert all(f"{name:<21}" in output for name in (*datasets.DATASETS, *backbones.BACKBONES))


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM], ids=lambda kind: kind.name)
def test_an_interrupt_says_what_is_safe(monkeypatch, kind):
    monkeypatch.setattr("qsmi_lib.training.runs.run", lambda *_args, **_kwargs: signal.raise_signal(kind))
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # under nohup a process starts with SIGINT ignored
    try:
        result = call("run", "--dataset", "digits", "--method", "qsmi", "--bits", "8")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert result.exit_code == 130
    assert "finished runs are recorded" in result.output


def test_tables_of_no_runs(tmp_path):
    result = call("tables", "--profile", "digits")
    assert result.exit_code == 0, result.output
    assert "0 of 24 runs recorded" in result.output
    assert (paths.results("digits") / "tables" / "table_2.csv").exists()


def test_the_readme_is_written_between_its_marks(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / "README.md").write_text(f"before\n{ledger.BEGIN}\nold\n{ledger.END}\nafter\n")
    ledger.write_readme()
    text = (tmp_path / "README.md").read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text and "Table 2" in text


DIES = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


@pytest.mark.parametrize("jobs", [1, 2])
def test_reproduce_runs_notebooks_and_names_failures(tmp_path, monkeypatch, jobs):
    import nbformat

    folder = tmp_path / "notebooks"
    folder.mkdir()
    for name, source in {"00_good": "print(profile)", "01_bad": "1 / 0", "02_dies": DIES}.items():
        kernel = {"name": "python3", "display_name": "Python 3"}
        notebook = nbformat.v4.new_notebook(metadata={"kernelspec": kernel, "language_info": {"name": "python"}})
        cell = nbformat.v4.new_code_cell('profile = "digits"')
        cell.metadata["tags"] = ["parameters"]
        notebook.cells = [cell, nbformat.v4.new_code_cell(source)]
        nbformat.write(notebook, folder / f"{name}.ipynb")
    monkeypatch.setattr(paths, "NOTEBOOKS", folder)
    monkeypatch.setattr(module, "EXPERIMENTS", {"table_1": EXPERIMENTS["table_1"]})
    try:
        failures = module.reproduce("digits", jobs=jobs)
        written = module.write_all("digits", jobs=jobs)
    finally:
        get_reusable_executor().shutdown(wait=True)
    executed = paths.results("digits") / "notebooks"
    assert failures[0] == "01_bad.ipynb failed: ZeroDivisionError: division by zero"
    assert failures[1].startswith("02_dies.ipynb failed: Kernel died; if memory is short") and len(failures) == 2
    left = sorted(path.name for path in executed.iterdir())
    assert left == ["00_good.ipynb", "01_bad.failed.ipynb", "02_dies.failed.ipynb"]
    assert {path.name for path in written} >= {"fig_2a.png", "table_1.csv"} and all(path.exists() for path in written)
    with pytest.raises(ValueError, match="has no parameter alhpa; known: profile"):
        module.execute(folder / "00_good.ipynb", executed / "x.ipynb", alhpa=1)


def test_a_folder_that_cannot_be_written_to_fails_before_the_training(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("QSMI_RESULTS", str(tmp_path / "file"))
    monkeypatch.setattr("qsmi_lib.training.loop.train", lambda *_args: pytest.fail("nothing is trained"))
    result = call("run", "--dataset", "digits", "--method", "qsmi", "--bits", "8")
    assert result.exit_code == 1 and result.output.startswith("Error: ") and "file" in result.output


def test_a_record_of_another_run_is_named(results):
    for bits in ("8", "12"):
        call("run", "--dataset", "digits", "--method", "qsmi", "--bits", bits, "--epochs", "1")
    own, other = sorted((results / "digits" / "runs").glob("*.json"), key=lambda path: "-8b-" in path.name)
    own.write_text(other.read_text())
    result = call("run", "--dataset", "digits", "--method", "qsmi", "--bits", "12", "--epochs", "1")
    assert result.exit_code == 1 and "is not the record of its name" in result.output


def test_damaged_codes_are_named(results):
    call("run", "--dataset", "digits", "--method", "qsmi", "--bits", "8", "--epochs", "1")
    (path,) = (results / "digits" / "codes").glob("*.npz")
    path.write_bytes(b"half")
    result = call("tables", "--profile", "digits", "--rescore")
    assert result.exit_code == 1 and f"{path} holds no codes of a run" in result.output


def test_a_reader_that_has_gone_is_no_error():
    command = f"'{sys.executable}' -m qsmi_lib datasets | true"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert done.stderr == ""
