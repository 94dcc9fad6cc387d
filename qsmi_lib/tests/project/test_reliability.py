"""docs/reliability.md: each promise names tests that exist, each limit has the value that the code has."""

import ast
import importlib
import re

import pytest

from qsmi_lib.utils.paths import ROOT

TESTS = ROOT / "qsmi_lib" / "tests"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| promise") and not line.startswith("| limit")
]
NAMED = [(row[0], *name) for row in ROWS for name in re.findall(r"`([\w/]+\.py)::(\w+)`", row[-1])]
LIMITS = [row for row in ROWS if len(row) == 4]


@pytest.mark.parametrize(("promise", "file", "test"), NAMED)
def test_the_test_of_a_promise_exists(promise, file, test):
    functions = [node.name for node in ast.walk(ast.parse((TESTS / file).read_text(encoding="utf-8")))
                 if isinstance(node, ast.FunctionDef)]  # fmt: skip
    assert test in functions


@pytest.mark.parametrize(("limit", "value", "constant", "raised_by"), LIMITS)
def test_a_limit_has_the_value_of_the_code(limit, value, constant, raised_by):
    module, name = constant.strip("`").rsplit(".", 1)
    assert float(getattr(importlib.import_module(f"qsmi_lib.{module}"), name)) == float(value.replace(",", ""))
    assert raised_by


def test_there_are_promises_and_limits():
    assert NAMED
    assert LIMITS
