"""The wheel is complete without the repository, the tests and Jupyter."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from qsmi_lib.utils.paths import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The unpacked wheel, built from a copy of the sources: a folder `build` beside these would get into it."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "qsmi_lib", source / "qsmi_lib", ignore=shutil.ignore_patterns("__pycache__"))
    command = "pip --disable-pip-version-check wheel --quiet --no-deps --no-build-isolation --wheel-dir"
    subprocess.run([sys.executable, "-m", *command.split(), str(built), str(source)], check=True)
    [archive] = built.glob("*.whl")
    with zipfile.ZipFile(archive) as file:
        file.extractall(built / "unpacked")
    return built / "unpacked"


def test_it_holds_what_the_library_reads_and_no_tests(wheel):
    package = wheel / "qsmi_lib"
    assert (package / "py.typed").exists() and (package / "reproduction" / "plotting" / "qsmi.mplstyle").exists()
    assert not (package / "tests").exists() and not list(wheel.rglob("test_*.py"))
    [information] = wheel.glob("*.dist-info")
    assert (information / "licenses" / "LICENSE").exists()
    assert "qsmi = qsmi_lib.cli:main" in (information / "entry_points.txt").read_text(encoding="utf-8")


def test_it_works_in_an_empty_folder_without_jupyter(wheel, tmp_path):
    variables = {name: value for name, value in os.environ.items() if not name.startswith("QSMI_")}
    cache = {name: str(tmp_path / "home") for name in ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA")}
    (empty := tmp_path / "empty").mkdir()
    script = Path(__file__).with_name("use_of_wheel.py")
    done = subprocess.run(
        [sys.executable, "-P", str(script)],
        cwd=empty,
        env=variables | cache | {"PYTHONPATH": str(wheel), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert f"works from {wheel / 'qsmi_lib'}" in done.stdout
