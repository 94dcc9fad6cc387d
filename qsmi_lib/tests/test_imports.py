"""What an import loads, each in a process of its own."""

import subprocess
import sys

import pytest

HEAVY = {"numba", "scipy", "sklearn", "PIL", "pandas", "matplotlib", "torchvision"}
EVALUATION = "; from qsmi_lib.evaluation.numba_ranking import _pass; assert not _pass.signatures"


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
    ],
    ids=["qsmi_lib", "losses", "evaluation", "datasets", "models"],
)
def test_an_import_loads_its_own_rooms_and_no_heavy_package(statement, rooms, absent):
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = [name.split(".") for name in done.stdout.split()]
    assert {name[1] for name in names if name[0] == "qsmi_lib" and len(name) > 1} <= rooms
    assert not {name[0] for name in names} & absent
