"""numba beside PyTorch: threads, forks, and the cache of compiled code."""

import os
import subprocess
import sys
import warnings

import pytest
import torch

from qsmi_lib.evaluation import evaluate
from qsmi_lib.utils import numba

CODES, LABELS = torch.tensor([[1, -1, 1], [1, 1, 1]]), torch.tensor([0, 0])


def test_a_fork_after_use_is_refused():
    evaluate(CODES, CODES, LABELS, LABELS)
    if not hasattr(os, "fork"):
        pytest.skip("this platform does not fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of forks beside threads
        child = os.fork()
    if child == 0:
        try:
            evaluate(CODES, CODES, LABELS, LABELS)
        except RuntimeError as error:
            os._exit(0 if "start processes by the method 'spawn'" in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_without_a_folder_for_the_cache_there_is_none(monkeypatch):
    def no_cache(cache=False, **options):
        if cache:
            raise RuntimeError("no locator available")
        return lambda function: function

    monkeypatch.setattr(numba, "njit", no_cache)
    assert numba.compiled(parallel=True)(abs) is abs


def test_a_call_leaves_the_number_of_pytorchs_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        evaluate(CODES, CODES, LABELS, LABELS)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_the_start_of_numbas_threads_leaves_pytorchs_number():
    """In a process of its own: the first call starts numba's threads."""
    lines = [
        "import numpy, torch",
        "from qsmi_lib.evaluation import evaluate",
        "torch.set_num_threads(1)",
        "codes, labels = numpy.ones((3, 8), numpy.int8), numpy.zeros(3, int)",
        "evaluate(codes, codes, labels, labels)",
        "print(torch.get_num_threads())",
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    environment.pop("NUMBA_NUM_THREADS", None)
    done = subprocess.run([sys.executable, "-c", ";".join(lines)], env=environment, capture_output=True, text=True)
    assert done.stdout == "1\n", done.stderr
