"""The glossary can be searched by eye, and sends nobody to a place that is not there."""

import re

import nbformat

from qsmi_lib.utils import paths

FOLDER = paths.ROOT / "notebooks"
ROWS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in (FOLDER / "glossary.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ")
][1:]


def test_words_are_sorted_and_each_is_explained_once():
    words = [row[0].lower() for row in ROWS]
    assert words == sorted(set(words)) and len(words) > 30
    assert all(len(row) == 4 and row[2] for row in ROWS)


def test_each_word_is_in_the_notebook_named():
    for word, _, _, link in ROWS:
        number, name = re.fullmatch(r"\[(\d\d)\]\((.+)\)", link).groups()
        assert name.startswith(number)
        prose = " ".join(cell.source for cell in nbformat.read(FOLDER / name, 4).cells).lower()
        plain = re.sub(r"\s*\(.*\)", "", word.lower())
        for part in map(str.strip, plain.split(",")):
            spaced = r"\s+".join(map(re.escape, part.removesuffix("s").split()))
            assert re.search(rf"\b{spaced}", prose), f"{part} in {name}"
