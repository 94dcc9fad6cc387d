"""Processes that end before their work does are named, and none outlives the process that started it."""

import os
import signal
import subprocess
import sys

import psutil
import pytest
from joblib import delayed

from qsmi_lib.utils.parallel import workers

SLEEPING = """
import os, time
from joblib import delayed
from qsmi_lib.utils.parallel import workers
with workers(2, return_as="generator_unordered") as parallel:
    for process in parallel(delayed(work)() for work in [os.getpid, *[lambda: time.sleep(600)] * 2]):
        print("started", flush=True)
"""


@pytest.mark.parametrize("return_as", ["list", "generator_unordered"])
def test_a_process_that_is_killed_is_named(return_as):
    with pytest.raises(ChildProcessError, match="a process was killed"), workers(2, return_as=return_as) as parallel:
        list(parallel(delayed(os._exit)(1) for _ in range(2)))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_workers_end_with_the_process_that_started_them(number):
    """They would work on for as long as their task takes; the bound of ten seconds is for slow machines."""
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPING], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout.readline() == b"started\n"
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
    assert len(children) > 2 and psutil.wait_procs(children, timeout=10)[1] == []
