"""The sections of the tour exist, and run alone: after the set-up cells of their notebook, in a new kernel."""

import re

import nbformat
import pytest

from qsmi_lib.reproduction import notebooks
from qsmi_lib.utils import paths

TOUR = (paths.ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| \d+ \| \[.*?\]\(\.\./notebooks/(\w+\.ipynb)\) \| (.*?) \|", re.MULTILINE)
SELECTED: dict[str, list[str]] = {}
for name, sections in ROW.findall(TOUR):
    SELECTED.setdefault(name, []).extend(sections.split(", "))


def sections_of(cell):
    """The sections that begin in `cell`: the number of each heading, or the heading where it has none."""
    headings = re.findall(r"^## (?:(\d+) · )?(.*)$", cell.source, re.MULTILINE) if cell.cell_type == "markdown" else []
    return [number or heading for number, heading in headings]


@pytest.mark.parametrize("name", SELECTED)
def test_the_sections_run_alone(name, tmp_path):
    notebook, begun, cells = nbformat.read(paths.NOTEBOOKS / name, as_version=4), [""], []
    for cell in notebook.cells:
        begun += sections_of(cell)
        if set(cell.metadata.get("tags", [])) & {"setup", "parameters"} or begun[-1] in SELECTED[name]:
            cells.append(cell)
    assert set(SELECTED[name]) <= set(begun)
    notebook.cells = cells
    nbformat.write(notebook, tmp_path / name)
    notebooks.execute(tmp_path / name, tmp_path / "executed" / name)


def test_the_minutes_add_up():
    total = 0
    for minutes, is_sum in re.findall(r"^\| \**(\d+)(\*\*)? \|", TOUR, re.MULTILINE):
        if is_sum:
            assert total == int(minutes)
        else:
            total += int(minutes)
