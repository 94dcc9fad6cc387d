"""Processes that end early are named, and none outlives its parent; threads work ahead, in order, and end."""

import os
import signal
import subprocess
import sys
import threading

import psutil
import pytest
from joblib import delayed

from qsmi_lib.utils.parallel import ahead, workers

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


# Threads


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("most", [0, 2, 99])
def test_results_come_in_order_and_the_threads_end(jobs, most):
    before = threading.active_count()
    assert list(ahead(lambda number: number**2, range(20), jobs, most)) == [number**2 for number in range(20)]
    assert list(ahead(abs, [], jobs, most)) == [] and threading.active_count() == before


def test_no_more_than_the_given_number_of_calls_are_ahead():
    called = []
    results = ahead(called.append, iter(range(50)), 3, 4)
    for n_given in range(1, 40):
        next(results)
        assert len(called) <= n_given + 4
    results.close()


def test_an_error_comes_at_its_turn_and_drops_the_calls_that_have_not_begun():
    begun, before = [], threading.active_count()

    def call(number):
        begun.append(number)
        return 1 // (3 - number)

    results = ahead(call, range(1000), 2, 10)
    assert [next(results) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert len(begun) <= 14 and threading.active_count() == before


def test_closing_waits_for_the_running_call_alone():
    begun, running, release, before = [], threading.Event(), threading.Event(), threading.active_count()

    def call(number):
        begun.append(number)
        if number:
            running.set()
            release.wait(10)

    results = ahead(call, range(1000), 1, 10)
    next(results)
    assert running.wait(10)
    threading.Timer(0.05, release.set).start()
    results.close()
    assert begun == [0, 1] and threading.active_count() <= before + 1  # the timer may still end
