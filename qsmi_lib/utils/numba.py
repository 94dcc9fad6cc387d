"""numba in one process with PyTorch: the cache of compiled code, threads, and forks."""

import os
from collections.abc import Callable
from threading import Lock

import torch
from numba import get_num_threads, njit


class _Process:
    """Whether numba's threads ran in this process (`used`), or in the process that it was forked from (`forked`)."""

    lock = Lock()
    used = forked = False


def _after_fork() -> None:
    _Process.lock, _Process.forked = Lock(), _Process.used


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def compiled(**options) -> Callable[[Callable], Callable]:
    """numba's `njit` with a cache on disk, or without one if numba finds no folder that it can write to.

    The cache is pickle: whoever can change it runs code. It lies beside the library's own code, in __pycache__, else in
    the user's cache folder, and never in the folder of results, which may come from elsewhere.
    """

    def decorate(function: Callable) -> Callable:
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError:  # no folder for the cache
            return njit(**options)(function)

    return decorate


def n_threads() -> int:
    """Number of numba's threads. This starts them; PyTorch's number of threads is restored."""
    threads = torch.get_num_threads()
    try:
        return get_num_threads()
    finally:
        torch.set_num_threads(threads)


def in_turn(function: Callable, *arguments) -> None:
    """Call a parallel `function` under a lock: it uses all cores, and some threading layers allow no second call.

    PyTorch's number of threads is restored, because numba changes it where both use OpenMP.

    Raises:
        RuntimeError: this process was forked from one that called before; OpenMP would end it without a message.
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
