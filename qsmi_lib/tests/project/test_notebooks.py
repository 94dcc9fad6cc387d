"""Notebooks take parameters, and keep only outputs that are checked or final, and small."""

import ast
import importlib.util
from types import SimpleNamespace

import nbformat
import pytest

from qsmi_lib.reproduction.experiments import EXPERIMENTS
from qsmi_lib.reproduction.notebooks import STORED
from qsmi_lib.reproduction.results import Results
from qsmi_lib.utils.paths import NOTEBOOKS

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
each = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def tags(cell):
    return set(cell.metadata.get("tags", []))


def test_the_notebook_of_each_experiment_is_here():
    assert {entry.notebook for entry in EXPERIMENTS.values()} <= {path.stem[:2] for path in PATHS}


@each
def test_cells_are_small_and_define_nothing(path):
    for cell in code_cells(path):
        if tags(cell) & {"method", "exercise"}:  # the method on one page, and a reader's answer
            continue
        lines = [line for line in cell.source.splitlines() if not line.startswith(("import ", "from "))]
        assert len(lines) <= 10, cell.source
        kinds = {type(node) for node in ast.walk(ast.parse(cell.source))}
        assert path.stem.startswith("01") or not kinds & {ast.FunctionDef, ast.ClassDef}, cell.source


@each
def test_one_cell_of_literal_parameters_with_the_profile(path):
    (cell,) = [cell for cell in code_cells(path) if "parameters" in tags(cell)]
    values = {node.targets[0].id: ast.literal_eval(node.value) for node in ast.parse(cell.source).body}
    assert values["profile"] == "digits"


def statements(path):
    """The statements of the import cell, the literal parameters, and the statements of the cells after them."""
    cells = code_cells(path)
    place = next(number for number, cell in enumerate(cells) if "parameters" in tags(cell))
    imports, literals, later = (
        [statement for cell in some for statement in ast.parse(cell.source).body]
        for some in (cells[:place], [cells[place]], cells[place + 1 :])
    )
    return imports, {one.targets[0].id: ast.literal_eval(one.value) for one in literals}, later


def uses(statement, name):
    """Whether `statement` reads the parameter `name`; the argument of a function may have the same name."""
    if isinstance(statement, ast.FunctionDef) and name in {argument.arg for argument in statement.args.args}:
        return False
    return any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(statement))


def run(statements, namespace):
    exec(compile(ast.Module(statements, []), "cell", "exec"), namespace)
    return namespace


def wrong_values(value):
    """What papermill may pass in place of `value`: another type, a list or one item of it, a number as text."""
    if isinstance(value, list | tuple):
        return ["[1, 2]", "", None, [value], *([f"{value[0]}"] if isinstance(value[0], int) else [["none"], 1])]
    return [[value], None, 3 if isinstance(value, str) else f"{value}"]


@each
def test_a_wrong_parameter_is_named_where_it_is_first_used(path):
    """The first statement that reads a parameter checks it; one value of a list is taken."""
    imports, defaults, later = statements(path)
    namespace = run(imports, {}) | defaults | {"live": Results.named("digits")}
    for name, value in defaults.items():
        check = next((statement for statement in later if uses(statement, name)), None)
        if check is None:  # it says that it has no effect
            continue
        run([check], dict(namespace))
        for wrong in [*wrong_values(value), *(["none"] if name == "profile" else [])]:
            with pytest.raises(ValueError, match=name.removesuffix("s")):
                run([check], namespace | {name: wrong})
        if isinstance(value, list | tuple):
            assert run([check], namespace | {name: value[0]})[name] == [value[0]]


@each
def test_only_tagged_cells_keep_their_output(path):
    for number, cell in enumerate(code_cells(path), start=1):
        of_cell = tags(cell)
        assert len(of_cell & set(STORED)) <= 1, cell.source
        assert bool(cell.outputs) == bool(of_cell & set(STORED)), f"make notebooks, make pictures: {cell.source}"
        assert "nbval-check-output" not in of_cell or "keep_output" in of_cell, cell.source
        assert cell.execution_count == number, "run all cells in order: make notebooks"


@each
def test_every_cell_says_whether_nbval_compares_it(path):
    """`pytest --nbval` would compare what a cell without a tag prints with nothing, and fail."""
    for cell in code_cells(path):
        assert len(tags(cell) & {"nbval-check-output", "nbval-ignore-output"}) == 1, cell.source


def test_nbval_runs_cells_in_their_order():
    spec = importlib.util.spec_from_file_location("notebooks_conftest", NOTEBOOKS / "conftest.py")
    spec.loader.exec_module(conftest := importlib.util.module_from_spec(spec))
    cells = [SimpleNamespace(path=name, cell_num=number) for name in "ab" for number in range(12)]
    test = SimpleNamespace(path="c")
    conftest.pytest_collection_modifyitems(items := [*cells[::-1], test])
    assert items == [test, *cells]


@each
def test_checked_cells_print_text(path):
    for cell in code_cells(path):
        for output in cell.outputs if "nbval-check-output" in tags(cell) else ():
            assert printed(output) or set(output.data) == {"text/markdown", "text/plain"}, cell.source


def printed(output) -> bool:
    return output.output_type == "stream" and output.name == "stdout"


@each
def test_pictures_are_small_and_have_alternative_text(path):
    """A picture of a live cell stays below 60 kB, a final figure below 100 kB."""
    for cell in code_cells(path):
        if not cell.outputs or "nbval-check-output" in tags(cell):
            continue
        pictures, limit = [output for output in cell.outputs if not printed(output)], 100_000
        if "keep_picture" in tags(cell):
            limit = 60_000
            assert pictures, cell.source
        for output in pictures:
            assert set(output.data) == {"image/png", "text/plain"}, cell.source
            assert len(output.data["image/png"]) * 3 / 4 < limit, cell.source
            assert output.metadata.get("image/png", {}).get("alt"), f"make notebooks, make pictures: {cell.source}"


@each
def test_a_notebook_is_small(path):
    assert path.stat().st_size < 500_000
