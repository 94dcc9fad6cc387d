"""No file of the current folder is imported: not by the command line, and not by the processes that it starts."""

import os
import subprocess
import sys

import pytest

from qsmi_lib.utils import paths

WORK = "from joblib import delayed; from qsmi_lib.utils.parallel import workers\n"
WORK += "with workers(2) as run: print(sum(run(delayed(abs)(-1) for _ in range(2))))"


@pytest.fixture
def planted(tmp_path):
    """A folder of modules, each of which leaves a mark if it is imported: those that are used, and Python's own."""
    for name in {*sys.stdlib_module_names, "numpy", "torch", "click", "joblib", "cloudpickle", "sitecustomize"}:
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r})\nraise ImportError")
    return tmp_path


@pytest.mark.parametrize(
    "arguments", [["-m", "qsmi_lib", "--version"], ["-P", "-c", WORK]], ids=["the command line", "its processes"]
)
def test_no_module_of_the_current_folder_is_imported(arguments, planted):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    environment |= {"PYTHONPATH": str(paths.ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *arguments], cwd=planted, env=environment, capture_output=True, text=True)
    assert not (planted / "ran").exists(), (planted / "ran").read_text()
    assert done.returncode == 0, done.stderr
