"""The app up to the server: what it searches, the notebook that it writes, its settings, and bad input."""

import nbformat
import pytest
from click.testing import CliRunner
from PIL import Image

from qsmi_lib.cli import main
from qsmi_lib.config.profiles import PROFILES
from qsmi_lib.search import app
from qsmi_lib.training.records import Store

pytest.importorskip("faiss")
pytest.importorskip("voila")
GIVEN = {"dataset": "digits", "methods": ("lsh", "itq"), "bits": 8, "profile": "digits", "folder": None}


@pytest.fixture
def served(monkeypatch):
    """What would have been served: the cells of each notebook, whether it is alone in its folder, and the settings."""
    calls = []

    def serve(notebook, *settings):
        beside = sorted(notebook.parent.iterdir())
        calls.append((nbformat.read(notebook, as_version=4).cells, beside == [notebook], notebook, *settings))

    monkeypatch.setattr(app, "serve", serve)
    return calls


def call(*arguments):
    return CliRunner().invoke(main, ["app", *arguments])


def test_the_app_trains_what_it_needs_and_serves_one_notebook_to_this_machine(served):
    result = call("--method", "lsh", "--method", "itq", "--bits", "8", "--no-browser")
    assert result.exit_code == 0, result.output
    [([cell], alone, notebook, port, host, browser)] = served
    assert (port, host, browser) == (8866, "127.0.0.1", False)
    assert len(list(Store.of(PROFILES["digits"]).runs.glob("*.json"))) == 2
    assert "bits=8" in cell.source and "kind='flat'" in cell.source and alone and not notebook.parent.exists()


def test_two_apps_share_no_notebook(tmp_path, served):
    Image.radial_gradient("L").save(tmp_path / "grey.png")
    call("--method", "lsh", "--bits", "8", "--no-browser")
    call("--method", "lsh", "--bits", "8", "--no-browser", "--folder", str(tmp_path), "--index", "hnsw")
    (first, *_), (second, *_) = served
    assert served[0][2] != served[1][2] and "folder=None" in first[0].source
    assert "grey" not in first[0].source and f"folder='{tmp_path}'" in second[0].source and "hnsw" in second[0].source


def test_the_cell_of_the_notebook_shows_the_panel(tmp_path):
    [cell] = nbformat.read(app.write_notebook(GIVEN, tmp_path), as_version=4).cells
    first, last = cell.source.splitlines()
    space = {}
    exec(f"{first}\nshown = {last}", space)
    assert "8 bits" in space["shown"].children[-1].value


def test_a_folder_is_searched_by_each_method(tmp_path, served):
    Image.radial_gradient("L").save(tmp_path / "grey.png")
    collections = app.collections(**(GIVEN | {"folder": str(tmp_path)}))
    assert list(collections) == ["LSH", "ITQ"] and all(list(c.names) == ["grey.png"] for c in collections.values())
    page = app.page(**(GIVEN | {"folder": str(tmp_path)}))
    assert "grey.png, 0 of 8 bits" in page.children[-1].value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "qsmii"], "unknown method 'qsmii'; known"),
        (["--dataset", "digit_pairs"], "digit_pairs does not accept user images"),
        (["--bits", "0"], "0 is not in the range"),
        (["--folder", "missing"], "'missing' does not exist"),
        (["--folder", ".", "--method", "lsh", "--bits", "8"], "holds no readable picture"),
        (["--port", "70000"], "70000 is not in the range"),
        (["--index", "tree"], "'tree' is not one of"),
    ],
)
def test_bad_input_is_one_line(arguments, message, served, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call(*arguments)
    assert result.exit_code and message in result.output and "Traceback" not in result.output and not served


def test_without_voila_it_says_what_to_install(monkeypatch, served):
    monkeypatch.setattr(app.importlib.util, "find_spec", lambda name: None)
    result = call("--method", "lsh", "--bits", "8")
    assert result.exit_code == 1 and 'pip install "qsmi-lib[app]"' in result.output and not served


def test_the_server_serves_no_file_and_takes_large_uploads(monkeypatch, tmp_path):
    from voila.app import Voila

    calls = {}
    monkeypatch.setattr(Voila, "launch_instance", lambda argv, config: calls.update(argv=argv, config=config))
    app.serve(tmp_path / "a.ipynb", 1234, "127.0.0.1", False)
    config = calls["config"]
    assert calls["argv"] == [str(tmp_path / "a.ipynb")] and config.Voila.ip == "127.0.0.1" and config.Voila.port == 1234
    assert config.VoilaConfiguration.file_allowlist == [] and config.VoilaConfiguration.file_denylist == [".*"]
    assert config.VoilaConfiguration.strip_sources and not config.Voila.open_browser
    assert config.Voila.tornado_settings["websocket_max_message_size"] >= 800_000_000
    assert config.Voila.port_retries == 0 and config.MappingKernelManager.cull_idle_timeout > 0
