"""Damaged files are read or refused, and nothing else: a fixed number of cases; `make fuzz` runs for longer."""

import pytest

from qsmi_lib.tests.fuzz.run import run
from qsmi_lib.tests.fuzz.targets import TARGETS

CASES = 100


@pytest.mark.parametrize("name", TARGETS)
def test_a_damaged_file_is_read_or_refused_by_name(name):
    counts = run(name, CASES, seed=0)
    assert counts["read"], "files that are whole must be among the cases, and be read"
    assert counts["refused"], "damages that the reader sees must be among the cases"
