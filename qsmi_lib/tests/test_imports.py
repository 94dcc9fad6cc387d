"""What an import loads, each in a process of its own."""

import pkgutil
import subprocess
import sys

import pytest

import qsmi_lib

HEAVY = {"numba", "scipy", "sklearn", "PIL", "pandas", "matplotlib", "torchvision"}
EVALUATION = "; from qsmi_lib.evaluation.numba_ranking import _pass; assert not _pass.signatures"
# What a lesson imports, and the digits that it trains on.
LESSON = """from qsmi_lib import datasets, training
from qsmi_lib.reproduction import EXPERIMENTS, Results, committed, exercises, figures, ledger, tables
from qsmi_lib.reproduction.plotting import derivation, maps, retrieval
datasets.load('digits')"""
ROOMS = {module.name for module in pkgutil.iter_modules(qsmi_lib.__path__)}


@pytest.mark.parametrize(
    ("statement", "rooms", "absent"),
    [
        ("import qsmi_lib", {"utils"}, HEAVY | {"torch"}),
        ("import qsmi_lib.losses", {"losses", "codes", "utils"}, HEAVY),
        ("import qsmi_lib.evaluation" + EVALUATION, {"evaluation", "codes", "utils"}, HEAVY - {"numba", "scipy"}),
        ("import qsmi_lib.datasets", {"datasets", "utils"}, HEAVY - {"PIL"}),
        (
            "import qsmi_lib.models.networks, qsmi_lib.models.backbones",
            {"models", "losses", "codes", "utils"},
            HEAVY - {"numba", "scipy"},
        ),
        (LESSON, ROOMS, {"sklearn", "torchvision", "papermill"}),
    ],
    ids=["qsmi_lib", "losses", "evaluation", "datasets", "models", "lesson"],
)
def test_an_import_loads_its_own_rooms_and_no_heavy_package(statement, rooms, absent):
    code = f"import sys; {statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = [name.split(".") for name in done.stdout.split()]
    assert {name[1] for name in names if name[0] == "qsmi_lib" and len(name) > 1} <= rooms
    assert not {name[0] for name in names} & absent
