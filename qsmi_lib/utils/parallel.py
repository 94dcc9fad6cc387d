"""Several processes at a time, through joblib."""

import contextlib
import warnings
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor

from joblib import Parallel


@contextlib.contextmanager
def workers(jobs: int, **options) -> Iterator[Parallel]:
    """joblib's `Parallel` of `jobs` processes, each with its share of the cores; this process alone where it is 1.

    Raises:
        ChildProcessError: one of the processes was killed.
    """
    with warnings.catch_warnings():
        # joblib takes the data set that a worker keeps for a leak, and starts another; nothing is lost.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
        try:
            yield Parallel(n_jobs=jobs, **options)
        except BrokenExecutor as error:
            raise ChildProcessError(
                "a process was killed, for want of memory perhaps: what is finished is recorded, fewer --jobs need less"
            ) from error
