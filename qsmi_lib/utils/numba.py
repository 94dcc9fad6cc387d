"""How numba's compiled loops live with other software in one process: its cache, threads and forks."""

import os
from collections.abc import Callable
from threading import Lock

import torch
from numba import get_num_threads, njit


class _Process:
    """What holds for this process: whether numba's threads have run in it, or ran in the one it was forked from."""

    lock = Lock()
    used = forked = False


def _after_fork() -> None:
    _Process.lock, _Process.forked = Lock(), _Process.used


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def compiled(**options) -> Callable[[Callable], Callable]:
    """numba's `njit`, its machine code kept for the next process where there is a folder to write to."""

    def decorate(function: Callable) -> Callable:
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # numba finds no such folder
            return njit(**options)(function)

    return decorate


def n_threads() -> int:
    """How many threads numba's loops take; asking starts them, which leaves PyTorch's number as it was."""
    threads = torch.get_num_threads()
    try:
        return get_num_threads()
    finally:
        torch.set_num_threads(threads)


def in_turn(function: Callable, *arguments) -> None:
    """Call a parallel `function`, one at a time: it takes all cores, and some threading layers bear no second call.

    PyTorch's number of threads is left as it was; numba sets it where both use OpenMP.

    Raises:
        RuntimeError: in a process forked from one that has called already; OpenMP would end it without a word.
    """
    if _Process.forked:
        raise RuntimeError(
            "evaluate, or a training, was used before this process was forked, and its threads do not outlive a fork: "
            "start processes by the method 'spawn'"
        )
    with _Process.lock:
        _Process.used = True
        threads = torch.get_num_threads()
        try:
            function(*arguments)
        finally:
            torch.set_num_threads(threads)
