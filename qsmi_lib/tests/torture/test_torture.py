"""Twenty kills of commands at random moments; `make torture` has two hundred."""

import os
import subprocess
import sys

import pytest

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")  # that forks, and whose threads would not


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and looks for processes in /proc")
def test_commands_that_are_killed_lose_nothing_and_leave_nothing():
    """In a process of its own: one in which numba has run cannot be forked. `make torture` also has workers."""
    commands = [argument for name in ("run", "features", "tune", "tables") for argument in ("--command", name)]
    done = subprocess.run(
        [sys.executable, "-m", "qsmi_lib.tests.torture", "--kills", "20", *commands],
        env=os.environ | ONE_THREAD,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
