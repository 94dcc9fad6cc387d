"""Stored outputs go where their tag says, and a person's copies are never overwritten."""

import json

import nbformat
import pytest
from click.testing import CliRunner

from qsmi_lib.cli import main
from qsmi_lib.reproduction import notebooks
from qsmi_lib.reproduction.bench import notebooks as bench
from qsmi_lib.utils import paths

V4 = nbformat.v4


def cell(source, *tags, outputs=()):
    return V4.new_code_cell(source, metadata={"tags": list(tags)} if tags else {}, outputs=list(outputs))


def old():
    return V4.new_output("stream", name="stdout", text="old\n")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of notebooks with one notebook, which holds an old output in each cell, and a page."""
    folder = tmp_path / "notebooks"
    monkeypatch.setattr(paths, "NOTEBOOKS", folder)
    folder.mkdir()
    tags = ("keep_output", "keep_picture", "setup")
    cells = [cell("x = 2", outputs=[old()]), *(cell("print(x)", tag, outputs=[old()]) for tag in tags)]
    cells[1].metadata["ExecuteTime"] = "today"
    cells.append(V4.new_markdown_cell("The *end*."))
    nbformat.write(V4.new_notebook(cells=cells), folder / "00_one.ipynb")
    (folder / "page.md").write_text("[one](00_one.ipynb)")
    return folder


def read(path):
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


@pytest.mark.parametrize(("tag", "n_stored"), [("keep_output", 1), ("keep_picture", 2)])
def test_only_cells_with_the_tag_get_their_new_output(tag, n_stored, folder):
    result = CliRunner().invoke(notebooks.main, ["store", tag, "00"])
    assert result.exit_code == 0, result.output
    cells = read(folder / "00_one.ipynb")
    texts = ["".join(output.text for output in cell.outputs) for cell in cells]
    assert texts == ["", *("2\n" if number == n_stored else "old\n" for number in (1, 2)), ""]
    assert [cell.execution_count for cell in cells] == [1, 2, 3, 4]
    assert all(cell.metadata.keys() <= {"tags"} for cell in cells)
    assert nbformat.read(folder / "00_one.ipynb", 4).metadata["language_info"] == {"name": "python"}


def test_what_is_printed_in_pieces_is_one_output(folder):
    path = folder / "00_one.ipynb"
    pieces = "import time\nprint(1, flush=True)\ntime.sleep(0.5)\nprint(2)"
    nbformat.write(V4.new_notebook(cells=[cell(pieces, "keep_output")]), path)
    notebooks.store(path, "keep_output")
    (output,) = read(path)[0].outputs
    assert output.text == "1\n2\n"


def test_a_notebook_that_fails_stays_as_it_is_and_is_named(folder):
    path = folder / "01_bad.ipynb"
    nbformat.write(V4.new_notebook(cells=[cell("1 / 0", "keep_output", outputs=[old()])]), path)
    before = path.read_text(encoding="utf-8")
    result = CliRunner().invoke(notebooks.main, ["store", "keep_output", "01"])
    assert result.exit_code == 1 and "01_bad.ipynb failed: ZeroDivisionError" in str(result.output)
    assert path.read_text(encoding="utf-8") == before


def change(path, source):
    notebook = nbformat.read(path, 4)
    notebook.cells[0].source = source
    nbformat.write(notebook, path)


def test_a_changed_copy_survives_and_an_unchanged_one_follows_its_original(folder, tmp_path):
    mine = tmp_path / "mine"
    notebooks.copy(mine)
    assert [cell.execution_count for cell in read(mine / "00_one.ipynb")] == [None] * 4
    assert (mine / "page.md").read_text(encoding="utf-8") == "[one](00_one.ipynb)"
    change(folder / "00_one.ipynb", "x = 3")
    assert notebooks.copy(mine) == [] and read(mine / "00_one.ipynb")[0].source == "x = 3"
    change(mine / "00_one.ipynb", "x = 'mine'")
    assert notebooks.copy(mine) == [] and read(mine / "00_one.ipynb")[0].source == "x = 'mine'"
    change(folder / "00_one.ipynb", "x = 4")
    for _ in range(2):  # it is said at each start
        [line] = notebooks.copy(mine)
        assert line.startswith("00_one.ipynb has a new version") and str(mine / "00_one.ipynb") in line
        assert read(mine / "00_one.ipynb")[0].source == "x = 'mine'"
    (mine / "00_one.ipynb").rename(mine / "mine.ipynb")
    assert notebooks.copy(mine) == [] and read(mine / "00_one.ipynb")[0].source == "x = 4"
    assert read(mine / "mine.ipynb")[0].source == "x = 'mine'"


def test_copies_without_their_record_are_taken_as_changed(folder, tmp_path):
    mine = tmp_path / "mine"
    notebooks.copy(mine)
    change(mine / "00_one.ipynb", "x = 'mine'")
    (mine / ".copied.json").unlink()
    assert len(notebooks.copy(mine)) == 1 and read(mine / "00_one.ipynb")[0].source == "x = 'mine'"
    assert json.loads((mine / ".copied.json").read_text(encoding="utf-8")).keys() == {"page.md"}


def test_a_lesson_comes_before_its_appendices_and_evidence_is_no_lesson(folder):
    for name in ("10_timing", "13_appendix_tables", "13_lsh", "16_beside"):
        (folder / f"{name}.ipynb").touch()
    assert [path.stem for path in notebooks.lessons()] == ["00_one", "13_lsh"]
    assert [path.stem for path in notebooks.chosen(("13",))] == ["13_lsh", "13_appendix_tables"]
    assert [path.stem for path in notebooks.chosen(("13_lsh",))] == ["13_lsh"]


COUNTS = """import os, pathlib, time
runs = pathlib.Path(os.environ["QSMI_RESULTS"]) / "runs"
time.sleep(0 if runs.exists() else 2)
runs.mkdir(parents=True, exist_ok=True)"""


def test_a_lesson_says_how_long_it_took_first_and_again(folder, results):
    path = folder / "00_one.ipynb"
    first = V4.new_markdown_cell("# 00 · One\n\n**Time.** first run … s, again … s.\n\nMore.")
    nbformat.write(V4.new_notebook(cells=[first, cell(COUNTS)]), path)
    result = CliRunner().invoke(main, ["bench", "notebooks"])
    assert result.exit_code == 0, result.output
    [row] = bench.recorded(results / "benchmarks")
    assert row["lesson"] == "00_one" and row["first"] > 2 and 2 <= row["imports"] < row["first"]
    text = nbformat.read(path, 4).cells[0].source.splitlines()
    assert text[0] == "# 00 · One" and text[2] == bench.sentence(row) and text[4] == "More."
    assert (results / "benchmarks" / "notebooks.md").read_text(encoding="utf-8") == result.output


def test_the_sentence_is_rounded():
    row = {"lesson": "00_one", "first": 25.4, "again": 8.6, "imports": 4.0, "cores": 2}
    times = "25 s the first time, 9 s again, on two CPU cores"
    assert bench.sentence(row).startswith(f"**Time.** {times}. Loading the libraries takes 4 s of them")
