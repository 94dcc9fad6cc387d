"""Lessons have one form: aim, needs, time, the idea as a picture, findings, exercises, links to their neighbours."""

import re

import nbformat
import pytest

from qsmi_lib.reproduction import notebooks
from qsmi_lib.reproduction.bench import notebooks as bench

LESSONS = notebooks.lessons()
CELLS = {path: nbformat.read(path, as_version=4).cells for path in LESSONS}
each = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
LINK = re.compile(r"\[([^\]]*)\]\(([\w.]+)\)")


def text(path) -> str:
    return "\n".join(cell.source for cell in CELLS[path] if cell.cell_type == "markdown")


def places(words, text) -> list[int]:
    """Where each of `words` begins a line of `text`; each must, once."""
    found = [re.findall(rf"^{re.escape(word)}", text, re.MULTILINE) for word in words]
    assert [len(of_word) for of_word in found] == [1] * len(words), dict(zip(words, found, strict=True))
    return [re.search(rf"^{re.escape(word)}", text, re.MULTILINE).start() for word in words]


@each
def test_the_first_cell_says_aim_needs_and_time(path):
    first = CELLS[path][0].source
    assert first.startswith(f"# {path.stem[:2]} · ")
    found = places(["**Aim.**", "**Before.**", "**Time.**"], first)
    assert found == sorted(found)


def test_the_time_that_a_lesson_says_is_the_measured_one():
    rows = {row["lesson"]: row for row in bench.recorded()}
    assert rows.keys() == {path.stem for path in LESSONS}
    for path in LESSONS:
        assert bench.sentence(rows[path.stem]) in CELLS[path][0].source.splitlines()


@each
def test_the_last_sections_are_findings_exercises_references_and_next(path):
    found = places(["## What we found", "## Exercises", "## References", "## Next"], text(path))
    assert found == sorted(found) and "\n## " not in text(path)[found[-1] :]


@each
def test_there_are_two_exercises_each_with_a_check_and_a_solution(path):
    tags = [set(cell.metadata.get("tags", [])) for cell in CELLS[path]]
    todo = [number for number, of_cell in enumerate(tags) if "exercise" in of_cell]
    assert len(todo) >= 2
    for count, number in enumerate(todo, start=1):
        assert f"### Exercise {count}: " in CELLS[path][number - 1].source
        assert {"exercise-check", "keep_output", "nbval-check-output"} <= tags[number + 1]
        assert CELLS[path][number + 2].source.startswith("<details><summary>Solution</summary>")


@each
def test_the_idea_is_a_picture_before_the_first_formula(path):
    formulas = [number for number, cell in enumerate(CELLS[path]) if "$$" in cell.source]
    pictures = [number for number, cell in enumerate(CELLS[path]) if "image/png" in str(cell.get("outputs"))]
    assert not formulas or pictures[0] < formulas[0]


def next_links(path) -> list[tuple[str, str]]:
    """(words, target) of each link in the section "Next"."""
    return LINK.findall(text(path).partition("\n## Next")[2])


@each
def test_next_links_form_the_chain_of_lessons(path):
    place = LESSONS.index(path)
    before, after = LESSONS[:place][-1:], LESSONS[place + 1 :][:1]
    links = next_links(path)
    assert [target for words, target in links if words.startswith("← ")] == [one.name for one in before]
    assert [target for words, target in links if words.endswith(" →")] == [one.name for one in after]
    assert all(words.strip("← ")[:2] == target[:2] for words, target in links if "←" in words or "→" in words)
    assert place == 0 or LESSONS[0].name in [target for _, target in links]


def test_all_evidence_is_linked_from_a_lesson():
    evidence = {path.name for path in notebooks.chosen()} - {path.name for path in LESSONS}
    linked = {target for path in LESSONS for _, target in LINK.findall(text(path))}
    assert evidence - linked == set()
