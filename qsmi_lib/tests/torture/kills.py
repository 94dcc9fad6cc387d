"""A command of the command line in a process of its own, which a signal ends at a chosen moment.

The process is forked from this one, which has imported everything: so that a start takes no seconds. This process must
not compute: the threads of OpenMP do not outlive a fork.
"""

import atexit
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from qsmi_lib.cli import main

MARK = "QSMI_TORTURE"  # variable by which all processes of a command are known
WRITES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}  # Python's audit events around files


@dataclass(frozen=True)
class Kill:
    """A signal and its moment.

    Attributes:
        number: of the signal; None: none is sent.
        after: seconds after the start; None: `event` counts.
        event: which of the `WRITES` below the folder of results.
    """

    number: int | None = None
    after: float | None = None
    event: int | None = None


@dataclass(frozen=True)
class End:
    """How a command ended.

    Attributes:
        process: its number.
        status: exit status, or minus the number of the signal that ended it.
        seconds: from start to end.
        events: number of the `WRITES` below the folder of results, of an undisturbed command.
        lingered: seconds that other processes of the command lived on.
        output: what it printed.
    """

    process: int
    status: int
    seconds: float
    events: int
    lingered: float
    output: str


def run(arguments: list[str], folder: Path, kill: Kill, prepare: Callable[[], None]) -> End:
    """Run the command `arguments` with its results and temporary files in `folder`, and send it the signal of `kill`.

    Args:
        arguments: of the command line.
        folder: has the folders "results" and "temporary".
        kill: the signal and its moment.
        prepare: called in the process before the command.
    """
    mark, count = os.urandom(8).hex(), multiprocessing.get_context("fork").Value("i", 0)
    process = multiprocessing.get_context("fork").Process(
        target=_command, args=(arguments, folder, mark, kill, count, prepare)
    )
    began = time.monotonic()
    process.start()
    if kill.after is not None:
        process.join(kill.after)
        if process.is_alive():
            os.kill(process.pid, kill.number)
    process.join()
    ended = time.monotonic()
    while any(_marked(mark)):
        time.sleep(0.02)
    lingered = time.monotonic() - ended
    output = (folder / "output").read_text(encoding="utf-8", errors="replace")
    return End(process.pid, process.exitcode, ended - began, count.value, lingered, output)


def _marked(mark: str) -> list[psutil.Process]:
    """The processes that a command with `mark` started, and that still run."""
    marked = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                marked.append(process)
        except psutil.Error:  # it has ended, or is another user's
            continue
    return marked


def _command(arguments: list[str], folder: Path, mark: str, kill: Kill, count, prepare: Callable[[], None]) -> None:
    """In the forked process: the command, from its start to the end of its interpreter."""
    output = os.open(folder / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    os.environ |= {MARK: mark, "QSMI_RESULTS": str(folder / "results"), "TMPDIR": str(folder / "temporary")}
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    below = str(folder / "results")

    def note(event: str, details: tuple) -> None:
        if event in WRITES and any(str(detail).startswith(below) for detail in details[:2]):
            count.value += 1
            if count.value == kill.event:
                os.kill(os.getpid(), kill.number)

    sys.addaudithook(note)
    prepare()
    try:
        main(arguments)
    finally:  # as at the end of an interpreter
        threading._shutdown()
        atexit._run_exitfuncs()
