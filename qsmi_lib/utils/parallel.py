"""Several processes at a time, by joblib."""

import contextlib
import os
import warnings
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor

from joblib import Parallel


@contextlib.contextmanager
def workers(jobs: int, **options) -> Iterator[Parallel]:
    """joblib's `Parallel` with `jobs` processes, which share the cores; 1 is this process alone.

    Raises:
        ChildProcessError: one of the processes was killed.
    """
    with warnings.catch_warnings():
        # joblib mistakes the data set in a worker for a memory leak and replaces the worker; no result is lost.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        os.environ["PYTHONSAFEPATH"] = "1"  # the processes import nothing from the current folder
        try:
            yield Parallel(n_jobs=jobs, **options)
        except BrokenExecutor as error:
            raise ChildProcessError(
                "a process was killed, out of memory? Finished runs are recorded; use fewer --jobs"
            ) from error
