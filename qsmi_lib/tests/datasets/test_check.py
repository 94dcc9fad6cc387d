"""All that is wrong with a data set, at once: faults and notes with file and line, and the command that lists them."""

import re

import pytest
from click.testing import CliRunner

from qsmi_lib.cli import main
from qsmi_lib.datasets.images import manifest
from qsmi_lib.datasets.images.check import inspect, summary
from qsmi_lib.tests.datasets.small_pictures import WRITERS, listing, picture, table, write_folder

each_source = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


def pictures(*names):
    """Each has pixels of its own."""
    return {name: picture(number) for number, name in enumerate(names)}


def texts(entries):
    return list(map(str, entries))


def call(*arguments):
    return CliRunner().invoke(main, ["datasets", "check", *map(str, arguments)])


ROWS = {"a.png": (1, 0), "b.png": (1, 1), "c.png": (0, 1)}


@each_source
def test_a_sound_data_set_has_nothing_to_say(tmp_path, write):
    source = write(tmp_path / "own", pictures(*ROWS) | {"labels.csv": table(ROWS, ("cat", "dog"))})
    report = inspect(source)
    assert report.faults == report.notes == () and report.manifest.mark == manifest.read(source).mark
    assert summary(report.manifest) == "3 pictures, 2 labels, 1.33 a picture; not divided"
    result = call(source)
    assert result.exit_code == 0
    assert result.output == "3 pictures, 2 labels, 1.33 a picture; not divided; 0 faults, 0 notes\n"


def test_the_summary_counts_parts_and_not_single_labels(tmp_path):
    lists = {"train.txt": "a.png 1 0\nb.png 1 0\n", "test.txt": "c.png 0 1\n"}
    found = manifest.read(write_folder(tmp_path / "own", pictures(*ROWS) | lists))
    assert summary(found) == "3 pictures, 2 labels; 2 train, 1 query"


FAULTY = "a.png 1 0\nb.png 1\nc.png 1 2\n../d.png 1 0\ngone.png 0 1\na.png 1 0\nd.png 1 1\ntext.png 0 1\ncut.png 0 1\n"
KINDS = [
    (2, "1 labels, expected 2 as in the other lines"),
    (3, "a label must be 0 or 1, got '2'"),
    (4, "the path '../d.png' lies outside the root"),
    (5, "gone.png is not there: expected it below "),
    (6, "a.png is there twice, first at list.txt:1"),
    (8, "text.png cannot be read as a picture (of no known format)"),
    (9, "cut.png cannot be read as a picture ("),
]


@each_source
def test_every_kind_of_fault_is_listed_at_once_with_file_and_line(tmp_path, write):
    damaged = {"text.png": b"no picture", "cut.png": picture(5, 40, 40)[:900]}
    source = write(tmp_path / "own", pictures("a.png", "b.png", "c.png", "d.png") | damaged | {"list.txt": FAULTY})
    report = inspect(source)
    found = sorted(texts(report.faults))
    assert [text.split(": ")[0] for text in found] == [f"list.txt:{line}" for line, _ in KINDS]
    assert all(text.startswith(f"list.txt:{line}: {what}") for text, (line, what) in zip(found, KINDS, strict=True))
    assert report.notes == ()
    result = call(source)
    lines = result.output.splitlines()
    assert result.exit_code == 1 and sorted(lines[:-1]) == [f"fault  {text}" for text in found]
    assert lines[-1] == "4 pictures, 2 labels, 1.25 a picture; not divided; 7 faults, 0 notes"


PARTS = {"train.txt": "a.png 1 0\nb.png 1 1\n", "test.txt": "c.png 0 1\n", "database.txt": "d.png 0 1\na.png 1 0\n"}


@each_source
@pytest.mark.parametrize(("part", "line"), [("train", "b.png 1 1"), ("database", "d.png 0 1")])
def test_a_query_that_trains_or_is_searched(tmp_path, write, part, line):
    lists = PARTS | {"test.txt": f"c.png 0 1\n{line}\n"}
    report = inspect(write(tmp_path / "own", pictures("a.png", "b.png", "c.png", "d.png") | lists))
    assert texts(report.faults) == [f"test.txt:2: the query {line[:5]} lies in the part '{part}' too"]


@each_source
def test_a_query_under_another_name_is_a_fault_and_other_equal_pictures_are_notes(tmp_path, write):
    """b trains, d is searched, and both show what a does; c asks for it."""
    content = pictures("a.png", "b.png", "c.png", "d.png")
    same = {name: content["a.png"] for name in ("b.png", "d.png")}
    report = inspect(write(tmp_path / "one", content | same | PARTS))
    assert report.faults == () and len(report.notes) == 2
    assert all("holds the same picture as" in text for text in texts(report.notes))
    report = inspect(write(tmp_path / "two", content | {"c.png": content["b.png"]} | PARTS))
    (fault,) = texts(report.faults)
    assert fault in (
        "test.txt:1: c.png holds the same picture as train.txt:2: a query that trains or is searched",
        "train.txt:2: b.png holds the same picture as test.txt:1: a query that trains or is searched",
    )
    assert report.notes == ()


def test_two_equal_queries_are_a_note(tmp_path):
    content = pictures("a.png", "b.png", "c.png", "d.png", "e.png")
    lists = PARTS | {"test.txt": "c.png 0 1\ne.png 0 1\n"}
    report = inspect(write_folder(tmp_path / "own", content | {"e.png": content["c.png"]} | lists))
    assert report.faults == () and len(report.notes) == 1


def test_items_without_a_label_are_counted(tmp_path):
    lists = PARTS | {"test.txt": "c.png 0 0\n", "database.txt": "d.png 0 0\na.png 1 0\n"}
    source = write_folder(tmp_path / "own", pictures("a.png", "b.png", "c.png", "d.png") | lists)
    report = inspect(source)
    (note,) = texts(report.notes)
    assert report.faults == ()
    assert re.fullmatch(
        r"(test|database)\.txt:1: 2 of 4 items carry no label, this one first; 1 of them are queries", note
    )
    result = call(source)
    assert result.exit_code == 0 and f"note  {note}\n" in result.output and "; 0 faults, 1 notes\n" in result.output


@each_source
def test_folders_of_classes_name_their_files(tmp_path, write):
    content = pictures("train/cat/a.png", "train/dog/b.png", "train/dog/c.png", "test/cat/a.png", "test/dog/b.png")
    content["train/dog/c.png"] = b"no picture"
    content["test/cat/a.png"] = content["train/cat/a.png"]
    content["test/dog/b.png"] = content["train/dog/b.png"]
    report = inspect(write(tmp_path / "own", content))
    found = sorted(texts(report.faults))
    assert len(found) == 3 and report.notes == ()
    assert sum(text.startswith("train/dog/c.png: cannot be read as a picture (") for text in found) == 1
    leaks = [text for text in found if "same picture" in text]
    assert all(
        re.fullmatch(r"(t\w+/\w+/\w\.png): holds the same .* as t\w+/\w+/\w\.png: a query that .*", t) for t in leaks
    )
    assert len(leaks) == 2


def test_a_list_file_by_its_path(tmp_path):
    root = write_folder(
        tmp_path / "own", pictures(*ROWS) | {"some.txt": listing(ROWS), "other.txt": "a.png 1 0\nb.png 9 0\n"}
    )
    assert call(root / "some.txt").exit_code == 0
    assert "fault  other.txt:2: a label must be 0 or 1, got '9'\n" in call(root / "other.txt").output


def test_a_damaged_file_of_a_zip_is_one_fault(tmp_path):
    source = WRITERS["zip"](tmp_path / "own", pictures(*ROWS) | {"list.txt": listing(ROWS)})
    raw = bytearray(source.read_bytes())
    raw[raw.index(picture(1)) + 60] ^= 1
    source.write_bytes(raw)
    (fault,) = texts(inspect(source).faults)
    assert fault.startswith(f"list.txt:2: b.png cannot be read as a picture ({source} is damaged at b.png: ")


def test_what_is_no_data_set_is_one_line(tmp_path):
    for source, message in {
        tmp_path / "nothing": f"there is no {tmp_path / 'nothing'}: expected a folder, a zip or a list file",
        write_folder(tmp_path / "empty", {}): f"{tmp_path / 'empty'} holds no pictures in a known form",
        write_folder(tmp_path / "own", {"a.zip": "no zip"}) / "a.zip": f"{tmp_path / 'own/a.zip'} is damaged or trunc",
    }.items():
        result = call(source)
        assert result.exit_code == 1 and result.output.startswith(f"Error: {message}")


def test_parts_that_cannot_be_used_are_a_fault_where_there_is_no_other(tmp_path):
    source = write_folder(tmp_path / "own", pictures("a.png", "b.png") | {"train.txt": "a.png 1 0\nb.png 0 1\n"})
    (fault,) = texts(inspect(source).faults)
    assert fault.startswith(f"{source}: has no part 'query': expected lists of lines")
    assert call(source).exit_code == 1
    write_folder(source, {"train.txt": "a.png 1 0\nb.png 0 2\n"})
    assert texts(inspect(source).faults) == ["train.txt:2: a label must be 0 or 1, got '2'"]


def test_a_list_whose_pictures_are_all_missing_has_a_fault_a_line(tmp_path):
    """As where the list lies beside the folder that it was made for."""
    source = write_folder(tmp_path / "own", {"list.txt": listing(ROWS)})
    result = call(source)
    assert result.exit_code == 1
    assert [line.split(":")[1] for line in result.output.splitlines()[:3]] == ["1", "2", "3"]
    assert result.output.splitlines()[3] == "0 pictures, 0 labels; not divided; 3 faults, 0 notes"


def test_help_names_the_forms():
    result = call("--help")
    assert result.exit_code == 0 and "`path 0 1 0 ...`" in result.output and "labels.csv" in result.output


def test_the_list_of_data_sets_stays_what_it_was():
    result = CliRunner().invoke(main, ["datasets"])
    assert result.exit_code == 0 and re.search(r"^digits +here: ", result.output, re.MULTILINE)
    assert "faults" not in result.output
