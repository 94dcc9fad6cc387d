"""Several processes at a time, by joblib, and several threads."""

import contextlib
import os
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from pathlib import Path
from threading import Thread, get_native_id
from typing import TypeVar

from filelock import FileLock
from joblib import Parallel

from qsmi_lib.utils import scratch

S, T = TypeVar("S"), TypeVar("T")
LOW = 19  # priority of the threads of `ahead`
POLL = 0.2  # seconds between two looks of a worker whether its parent lives


@contextlib.contextmanager
def workers(jobs: int, **options) -> Iterator[Parallel]:
    """joblib's `Parallel` with `jobs` processes, which share the cores; 1 is this process alone.

    The processes end with this one, also if it is killed.

    Raises:
        ChildProcessError: one of the processes was killed.
    """
    if jobs > 1:
        folder = scratch.folder()
        options |= {"temp_folder": folder, "initializer": _end_with, "initargs": (folder / scratch.LOCK,)}
    with warnings.catch_warnings():
        # joblib mistakes the data set in a worker for a memory leak and replaces the worker; no result is lost.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        before = os.environ.get("PYTHONSAFEPATH", "")
        os.environ["PYTHONSAFEPATH"] = "1"  # the processes import nothing from the current folder
        try:
            yield Parallel(n_jobs=jobs, **options)
        except BrokenExecutor as error:
            raise ChildProcessError(
                "a process was killed, out of memory? Finished runs are recorded; use fewer --jobs"
            ) from error
        finally:
            os.environ["PYTHONSAFEPATH"] = before  # empty is the same as not set


def ahead(call: Callable[[S], T], items: Iterable[S], jobs: int, most: int) -> Iterator[T]:
    """`call` of each item, in order, on `jobs` threads of low priority, at most `most` items ahead of the caller.

    An error of `call` is raised when its item's turn comes. After an error, and when the iterator is closed, the calls
    that have not begun are dropped, and those that run are waited for.
    """
    with ThreadPoolExecutor(jobs, initializer=_yield_to_others) as pool:
        waiting = deque()
        try:
            for item in items:
                waiting.append(pool.submit(call, item))
                if len(waiting) > most:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _yield_to_others() -> None:
    """In a thread: run where others do not. Linux has a priority of each thread."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, get_native_id(), LOW)


def _end_with(lock: Path) -> None:
    """In a worker: end it once nobody holds `lock`, which its parent holds as long as it lives."""
    Thread(target=_wait_and_end, args=(lock,), daemon=True).start()


def _wait_and_end(lock: Path) -> None:
    with contextlib.suppress(OSError):  # the folder of the lock was removed: then the parent has ended, too
        FileLock(lock).acquire(poll_interval=POLL)
    os._exit(1)
