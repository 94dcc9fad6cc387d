"""Damaged files are read or refused, and nothing else: a fixed number of cases; `make fuzz` runs for longer."""

import pytest

from qsmi_lib.tests.fuzz.run import run
from qsmi_lib.tests.fuzz.targets import TARGETS

CASES = 100


@pytest.mark.parametrize("name", TARGETS)
def test_a_damaged_file_is_read_or_refused_by_name(name):
    counts = run(name, CASES, seed=0)
    assert counts["refused"], "no case was a damage that the reader sees"
