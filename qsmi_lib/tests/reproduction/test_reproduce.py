"""Reproduction: what is trained, skipped and executed, and how failures are named."""

import nbformat
import pytest
from joblib.externals.loky import get_reusable_executor

from qsmi_lib.reproduction import notebooks
from qsmi_lib.reproduction import reproduce as module
from qsmi_lib.reproduction.experiments import EXPERIMENTS
from qsmi_lib.reproduction.results import Results
from qsmi_lib.reproduction.rotations import rotation_path
from qsmi_lib.training.records import run_id
from qsmi_lib.utils import paths

DIES = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


@pytest.fixture
def planned(monkeypatch):
    """What a reproduction would do, in place of doing it: runs, rotations, notebooks with profiles, and experiments."""
    done = {"runs": [], "rotations": [], "notebooks": {}, "written": []}
    monkeypatch.setattr(Results, "run_all", lambda self, configs, **_: done["runs"].extend(configs))
    monkeypatch.setattr(Results, "rotate", lambda self, configs, **_: done["rotations"].extend(configs))
    monkeypatch.setattr(module.verify, "quick_disagreements", lambda *_: [])
    monkeypatch.setattr(module, "_collect_artefacts", lambda *_args, **_kwargs: [])
    monkeypatch.setattr(module, "write_all", lambda _results, names, **_: done["written"].extend(names))

    def execute(notebook, output, profile):
        done["notebooks"][notebook.stem[:2]] = profile

    monkeypatch.setattr(notebooks, "execute", execute)
    return done


def numbers():
    return {path.stem[:2] for path in notebooks.chosen()}


def test_what_is_not_here_and_cannot_be_downloaded_is_skipped_by_name(monkeypatch, planned, capsys):
    monkeypatch.setattr(module, "_is_here", lambda config: config.dataset.startswith("digit"))

    def not_here(configs):
        needed = dict.fromkeys(map(module._needs, configs))
        return {need: f"{need[0]} is not on this machine" for need in needed if not need[0].startswith("digit")}

    monkeypatch.setattr(module, "_not_here", not_here)
    results = Results.named("quick")
    assert module.reproduce(results) == []
    names = [name for name, entry in EXPERIMENTS.items() if entry.notebook in numbers()]
    runs = {run_id(config) for name in names for config in results.grid(name)}
    steps = results.profile.rotation_steps
    turned = {rotation_path(c, results.store, n_steps=steps).stem for name in names for c in results.to_rotate(name)}
    output = capsys.readouterr().out
    assert output.startswith(f"skipped: {len(runs | turned)} runs, and notebooks 02, 03, 04")
    for dataset in ("fashion_mnist", "cifar10", "miml_scenes", "tiny_imagenet_32"):
        assert output.count(f"{dataset} is not on this machine") == 1
    skipped = {EXPERIMENTS[name].notebook for name in names}
    assert planned["notebooks"].keys() == numbers() - skipped and planned["runs"] == planned["rotations"] == []


def test_a_missing_data_set_skips_only_what_needs_it(monkeypatch, planned):
    results = Results.named("quick")
    lacking = {run.backbone for name in ("table_3", "table_9") for run in results.grid(name)}
    monkeypatch.setattr(module, "_not_here", lambda _configs: {("cifar10", name): "no CIFAR-10" for name in lacking})
    monkeypatch.setattr(module, "_is_here", lambda _config: True)
    assert module.reproduce(results) == []
    assert not {"04", "06", "12", "14"} & planned["notebooks"].keys() and {"05", "17"} <= planned["notebooks"].keys()
    assert {"fig_3", "methods", "steps"} <= set(planned["written"])
    assert not {"fig_3_cifar10", "table_3"} & set(planned["written"])
    assert {run.dataset for run in planned["rotations"]} == {"fashion_mnist", "miml_scenes"}


def test_notebooks_whose_data_are_not_here_run_on_the_digits(monkeypatch, planned, capsys):
    """Their records are all there; only their live parts need the data."""
    monkeypatch.setattr(module, "_not_here", lambda _configs: {})
    monkeypatch.setattr(module, "_is_here", lambda config: config.dataset != "fashion_mnist")
    assert module.reproduce(Results.named("paper")) == []
    on_digits = {number for number, profile in planned["notebooks"].items() if profile == "digits"}
    assert on_digits == {"05", "13", "14"} and planned["notebooks"].keys() == numbers()
    output = capsys.readouterr().out
    assert "05, 13, 14" in output and "skipped" not in output


def test_given_seeds_are_trained_and_no_notebook_is_run(planned):
    results = Results.named("digits")
    assert module.reproduce(results, only=("05",), seeds=(1,)) == []
    expected = {run_id(run) for name, entry in EXPERIMENTS.items() if entry.notebook == "05" and results.makes(name)
                for run in results.grid(name) if run.seed == 1}  # fmt: skip
    assert {run_id(run) for run in planned["runs"]} == expected and planned["notebooks"] == {}
    with pytest.raises(ValueError, match="profile digits has the seeds 0, 1, 2 there, got 7"):
        module.reproduce(results, seeds=(7,))


def test_an_unknown_notebook_is_refused_with_the_known(planned):
    with pytest.raises(ValueError, match="unknown notebook '99'; known: 00_start_here"):
        module.reproduce(Results.named("digits"), only=("99",))


@pytest.fixture
def three_notebooks(tmp_path, monkeypatch):
    """A notebook that runs, one with an error, and one whose kernel dies."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for name, source in {"00_good": "print(profile)", "01_bad": "1 / 0", "02_dies": DIES}.items():
        kernel = {"name": "python3", "display_name": "Python 3"}
        notebook = nbformat.v4.new_notebook(metadata={"kernelspec": kernel, "language_info": {"name": "python"}})
        parameters = nbformat.v4.new_code_cell('profile = "digits"', metadata={"tags": ["parameters"]})
        notebook.cells = [parameters, nbformat.v4.new_code_cell(source)]
        nbformat.write(notebook, folder / f"{name}.ipynb")
    monkeypatch.setattr(paths, "NOTEBOOKS", folder)
    return folder


def test_failing_notebooks_are_named_and_leave_their_executed_part(three_notebooks, monkeypatch, results):
    monkeypatch.setattr(module, "EXPERIMENTS", {})
    monkeypatch.setattr(module, "write_all", lambda *_args, **_kwargs: [])
    try:
        failures = module.reproduce(Results.named("digits"), jobs=2)
    finally:
        get_reusable_executor().shutdown(wait=True)
    assert failures[0] == "01_bad.ipynb failed: ZeroDivisionError: division by zero"
    assert failures[1].startswith("02_dies.ipynb failed: Kernel died") and "--jobs" in failures[1]
    executed = results / "digits" / "notebooks"
    files = sorted(path.name for path in executed.iterdir())
    assert len(failures) == 2 and files == ["00_good.ipynb", "01_bad.failed.ipynb", "02_dies.failed.ipynb"]
    with pytest.raises(ValueError, match="has no parameter alhpa; known: profile"):
        notebooks.execute(three_notebooks / "00_good.ipynb", executed / "x.ipynb", alhpa=1)
