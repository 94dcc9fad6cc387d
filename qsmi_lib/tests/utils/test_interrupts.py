"""A signal ends a command wherever it arrives: in C code's callbacks, in finalizers, twice, and ignored ones never."""

import ctypes
import os
import signal
import subprocess
import sys
import time

import pytest

from qsmi_lib.utils.interrupts import SIGNALS, Interrupted, interruptible, status

TWICE = """
import os, signal, time
from qsmi_lib.utils import interrupts
interrupts.TOGETHER = 0.0
with interrupts.interruptible():
    try:
        signal.raise_signal(signal.SIGTERM)
    finally:
        time.sleep(0.01)
        signal.raise_signal(signal.SIGTERM)
        print("cleaned up", flush=True)
"""


@pytest.fixture(autouse=True)
def handlers():
    """The usual handlers of a terminal; under nohup a process starts with some ignored."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Finalized:
    """Raises a signal while it is deleted."""

    def __del__(self):
        signal.raise_signal(signal.SIGTERM)


def in_finalizer():
    Finalized()


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_each_signal_ends_the_block_and_gives_its_status(number):
    with pytest.raises(Interrupted) as interrupt, interruptible():
        signal.raise_signal(number)
    assert status(interrupt.value) == 128 + number


@pytest.mark.parametrize(
    "drops",
    [ctypes.CFUNCTYPE(None)(lambda: signal.raise_signal(signal.SIGTERM)), in_finalizer],
    ids=["callback of C code", "finalizer"],
)
def test_an_interrupt_that_python_drops_is_repeated(drops):
    """As in numba's compilation, whose callbacks drop every exception."""
    with pytest.raises(Interrupted), interruptible():
        drops()
        time.sleep(60)


def test_an_ignored_signal_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interruptible():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_the_block_restores_what_was_there():
    before = [signal.getsignal(number) for number in SIGNALS], sys.unraisablehook
    with pytest.raises(KeyError), interruptible():
        raise KeyError
    assert before == ([signal.getsignal(number) for number in SIGNALS], sys.unraisablehook)


def test_a_signal_sent_twice_at_once_is_one():
    """timeout(1) sends its signal to the process and to the group of the process."""
    cleaned = False
    with pytest.raises(Interrupted), interruptible():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            cleaned = True
    assert cleaned


def test_a_second_signal_ends_the_process_at_once():
    done = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (128 + signal.SIGTERM, "", "")
