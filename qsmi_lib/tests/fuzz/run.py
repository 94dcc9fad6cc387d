"""Cases of one target: found by Hypothesis, which also makes a failing one small."""

import contextlib
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings

from qsmi_lib.tests.fuzz.targets import TARGETS, prepare

MEMORY = 2**31  # bytes that a reader may need beyond what the process has


class Failure(Exception):
    """A reader raised another error than a refusal; the cause is that error.

    Attributes:
        content: the smallest file found that does this.
    """

    def __init__(self, content: bytes):
        super().__init__(f"{len(content)} bytes")
        self.content = content


@contextlib.contextmanager
def bounded_memory() -> Iterator[None]:
    """On Linux, a reader that asks for more than `MEMORY` gets a MemoryError, and fails."""
    if sys.platform != "linux":
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def run(name: str, n_cases: int, seed: int) -> Counter[str]:
    """How many of `n_cases` damaged files the target `name` reads and refuses; a `Failure` where it does neither."""
    target, counts, last = TARGETS[name], Counter(), b""
    with bounded_memory(), tempfile.TemporaryDirectory(prefix=f"{name}-") as folder:
        prepare(target, Path(folder))

        @settings(
            max_examples=n_cases,
            deadline=None,
            database=None,
            derandomize=False,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @hypothesis.seed(seed)
        @given(target.files())
        def attempt(content: bytes) -> None:
            nonlocal last
            last = content
            counts[target.attempt(content, Path(folder))] += 1

        try:
            attempt()
        except Exception as error:
            raise Failure(last) from error
    return counts
