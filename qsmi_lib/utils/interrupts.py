"""Signals that ask a command to end: it stops, cleans up, and ends with status 128 + the number of the signal."""

import _thread
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator
from threading import Timer, main_thread
from types import FrameType

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
AGAIN = 0.05  # seconds after which a signal is repeated whose exception was dropped
TOGETHER = 0.5  # seconds within which two signals are one: timeout(1) sends each twice


class Interrupted(KeyboardInterrupt):
    """A signal asked the process to end.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number


def status(interrupt: KeyboardInterrupt) -> int:
    """Exit status after `interrupt`, as a shell reports it: 130 after SIGINT, 143 after SIGTERM, 129 after SIGHUP."""
    return 128 + getattr(interrupt, "number", signal.SIGINT)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """In this block, the first of `SIGNALS` raises `Interrupted` in the main thread; a second ends the process at once.

    Python prints and drops an exception that is raised in a callback of C code, as numba's compilation makes them, or
    in a finalizer. The signal is then repeated until its exception reaches the block. Ignored signals stay ignored.
    """
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    handlers = {number: handler for number, handler in handlers.items() if handler not in (signal.SIG_IGN, None)}
    unraisable, first = sys.unraisablehook, None

    def interrupt(number: int, _frame: FrameType | None) -> None:
        nonlocal first
        now = time.monotonic()
        if first is None:
            first = now
            raise Interrupted(number)
        if now - first > TOGETHER:
            os._exit(128 + number)

    def repeat(dropped) -> None:
        nonlocal first
        if not isinstance(dropped.exc_value, Interrupted):
            return unraisable(dropped)
        first = None
        timer = Timer(AGAIN, _send, [dropped.exc_value.number])
        timer.daemon = True
        timer.start()

    sys.unraisablehook = repeat
    for number in handlers:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        sys.unraisablehook = unraisable


def _send(number: int) -> None:
    """Send a signal to the main thread; where the system allows, this also ends a system call that waits."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(main_thread().ident, number)
    else:
        _thread.interrupt_main(number)
