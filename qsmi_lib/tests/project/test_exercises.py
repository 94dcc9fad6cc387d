"""An exercise says "not yet" as it stands, and "right" with its solution; both need the set-up cells alone."""

import re

import nbformat
import pytest
import torch

from qsmi_lib.reproduction import exercises
from qsmi_lib.utils.paths import NOTEBOOKS


def tags(cell):
    return set(cell.metadata.get("tags", []))


def exercises_of(path):
    """(source of the set-up, [(exercise, check, solution)]) of the notebook at `path`."""
    cells = nbformat.read(path, as_version=4).cells
    setup = [cell.source for cell in cells if tags(cell) & {"setup", "parameters"}]
    triples = [cells[i : i + 3] for i, cell in enumerate(cells) if "exercise" in tags(cell)]
    return setup, [(todo.source, check.source, solution_in(solution.source)) for todo, check, solution in triples]


def solution_in(text):
    (code,) = re.findall(r"<details>.*?```python\n(.*?)```.*?</details>", text, flags=re.DOTALL)
    return code


SOLVED = {
    f"{path.stem}-{number}": (path, number)
    for path in sorted(NOTEBOOKS.glob("*.ipynb"))
    for number in range(len(exercises_of(path)[1]))
}


@pytest.fixture
def double_precision_ends():
    """A lesson may compute in double precision; the tests after it do not."""
    before = torch.get_default_dtype()
    yield
    torch.set_default_dtype(before)


@pytest.mark.usefixtures("double_precision_ends")
@pytest.mark.parametrize("name", SOLVED)
def test_an_exercise_is_right_once_it_is_solved(name, capsys):
    path, number = SOLVED[name]
    setup, parts = exercises_of(path)
    todo, check, solution = parts[number]
    for attempt, answer in ((todo, "not yet"), (solution, "right")):
        names = {"__name__": "__main__"}
        for source in (*setup, attempt):
            exec(compile(source, path.name, "exec"), names)
        capsys.readouterr()
        exec(compile(check, path.name, "exec"), names)
        assert capsys.readouterr().out.startswith(answer), (attempt, check)


def not_written():
    raise NotImplementedError


@pytest.mark.parametrize(
    ("solved", "printed"),
    [
        (lambda: True, "right\n"),
        (lambda: False, "not yet: look at M\n"),
        (lambda: 1 / 0, "not yet: look at M (ZeroDivisionError: division by zero)\n"),
        (not_written, "not yet: look at M\n"),
        (lambda: torch.tensor(True), "right\n"),
    ],
)
def test_a_check_prints_and_raises_nothing(solved, printed, capsys):
    exercises.check(solved, "look at M")
    assert capsys.readouterr().out == printed
