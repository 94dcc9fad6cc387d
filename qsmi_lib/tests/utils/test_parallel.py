"""Processes that end before their work does are named."""

import os

import pytest
from joblib import delayed

from qsmi_lib.utils.parallel import workers


@pytest.mark.parametrize("return_as", ["list", "generator_unordered"])
def test_a_process_that_is_killed_is_named(return_as):
    with pytest.raises(ChildProcessError, match="a process was killed"), workers(2, return_as=return_as) as parallel:
        list(parallel(delayed(os._exit)(1) for _ in range(2)))
