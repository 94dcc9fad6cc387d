"""The check of a data set: all faults and notes at once, with file and line, and the command that prints them."""

import re

import pytest
from click.testing import CliRunner

from qsmi_lib.cli import main
from qsmi_lib.datasets.images import manifest
from qsmi_lib.datasets.images.check import inspect, summary
from qsmi_lib.tests.datasets.small_pictures import WRITERS, listing, picture, table, write_folder

each_source = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
ROWS = {"a.png": (1, 0), "b.png": (1, 1), "c.png": (0, 1)}
PARTS = {"train.txt": "a.png 1 0\nb.png 1 1\n", "test.txt": "c.png 0 1\n", "database.txt": "d.png 0 1\na.png 1 0\n"}


def pictures(*names):
    """Each has other pixels."""
    return {name: picture(number) for number, name in enumerate(names)}


def texts(entries):
    return list(map(str, entries))


def call(source):
    return CliRunner().invoke(main, ["datasets", "check", str(source)])


@each_source
def test_a_sound_data_set_has_no_faults_and_no_notes(tmp_path, write):
    source = write(tmp_path / "own", pictures(*ROWS) | {"labels.csv": table(ROWS, ("cat", "dog"))})
    report, result = inspect(source), call(source)
    assert report.faults == report.notes == () and report.manifest.paths == manifest.read(source).paths
    assert summary(report.manifest) == "3 pictures, 2 labels, 1.33 a picture; not divided"
    assert result.exit_code == 0
    how, *understood, last = result.output.splitlines()
    assert how.startswith("read ") and "labels.csv" in how and "multi-hot: cat, dog" in how
    assert [line.split(": ", 1) for line in understood] == [
        ["item   labels.csv:2", "a.png: cat"],
        ["item   labels.csv:3", "b.png: cat, dog"],
        ["item   labels.csv:4", "c.png: dog"],
    ]
    assert last == "3 pictures, 2 labels, 1.33 a picture; not divided; 0 faults, 0 notes"
    lists = {"train.txt": "a.png 1 0\nb.png 1 0\n", "test.txt": "c.png 0 1\n"}
    items = manifest.read(write_folder(tmp_path / "parts", pictures(*ROWS) | lists))
    assert summary(items) == "3 pictures, 2 labels; 2 train, 1 query"


FAULTY = "a.png 1 0\nb.png 1\nc.png 1 2\n../d.png 1 0\ngone.png 0 1\na.png 1 0\nd.png 1 1\ntext.png 0 1\ncut.png 0 1\n"
KINDS = {
    2: "1 labels, expected 2 as in the other lines",
    3: "a label must be 0 or 1, got '2'",
    4: "the path '../d.png' lies outside the root",
    5: "gone.png is not there: expected it below ",
    6: "a.png is there twice, first at list.txt:1",
    8: "text.png cannot be read as a picture (unknown format",
    9: "cut.png cannot be read as a picture (",
}


@each_source
def test_every_kind_of_fault_is_listed_at_once_with_file_and_line(tmp_path, write):
    damaged = {"text.png": b"no picture", "cut.png": picture(5, 40, 40)[:900]}
    source = write(tmp_path / "own", pictures("a.png", "b.png", "c.png", "d.png") | damaged | {"list.txt": FAULTY})
    report, result = inspect(source), call(source)
    assert len(report.faults) == len(KINDS) and report.notes == ()
    for fault, (line, what) in zip(sorted(texts(report.faults)), KINDS.items(), strict=True):
        assert fault.startswith(f"list.txt:{line}: {what}")
    lines = [line for line in result.output.splitlines() if not line.startswith(("read ", "item "))]
    assert result.exit_code == 1 and sorted(lines[:-1]) == sorted(f"fault  {text}" for text in texts(report.faults))
    assert lines[-1] == "4 pictures, 2 labels, 1.25 a picture; not divided; 7 faults, 0 notes"


@each_source
def test_a_query_under_another_name_is_a_fault_and_other_equal_pictures_are_notes(tmp_path, write):
    content = pictures("a.png", "b.png", "c.png", "d.png", "e.png")
    same = {name: content["a.png"] for name in ("b.png", "d.png")} | {"e.png": content["c.png"]}
    report = inspect(write(tmp_path / "notes", content | same | PARTS | {"test.txt": "c.png 0 1\ne.png 0 1\n"}))
    assert report.faults == () and len(report.notes) == 3
    assert all("holds the same picture as" in text for text in texts(report.notes))
    report = inspect(write(tmp_path / "fault", content | {"c.png": content["b.png"]} | PARTS))
    (fault,) = texts(report.faults)
    leak = "a query that is also in the training set or the database"
    assert fault in (
        f"test.txt:1: c.png holds the same picture as train.txt:2: {leak}",
        f"train.txt:2: b.png holds the same picture as test.txt:1: {leak}",
    )
    assert ["e.png" in note for note in texts(report.notes)] == [True]  # which is in no list


@each_source
def test_pictures_in_folders_are_named_once(tmp_path, write):
    content = pictures("train/cat/a.png", "train/dog/b.png", "train/dog/c.png", "test/cat/a.png", "test/dog/b.png")
    content |= {"train/dog/c.png": b"no picture", "test/cat/a.png": content["train/cat/a.png"]}
    unreadable, leak = sorted(texts(inspect(write(tmp_path / "own", content)).faults), key=lambda text: "same" in text)
    assert unreadable.startswith("train/dog/c.png: cannot be read as a picture (")
    assert re.fullmatch(r"t\w+/cat/a\.png: holds the same picture as t\w+/cat/a\.png: a query that .*", leak)


def test_items_without_a_label_are_counted(tmp_path):
    lists = PARTS | {"test.txt": "c.png 0 0\n", "database.txt": "d.png 0 0\na.png 1 0\n"}
    source = write_folder(tmp_path / "own", pictures("a.png", "b.png", "c.png", "d.png") | lists)
    report, result = inspect(source), call(source)
    (note,) = texts(report.notes)
    assert report.faults == ()
    assert re.fullmatch(r"(test|database)\.txt:1: 2 of 4 items carry no label, .*; 1 of them are queries", note)
    assert result.exit_code == 0 and f"note  {note}\n" in result.output and "; 0 faults, 1 note\n" in result.output


def test_a_damaged_file_of_a_zip_is_one_fault(tmp_path):
    source = WRITERS["zip"](tmp_path / "own", pictures(*ROWS) | {"list.txt": listing(ROWS)})
    raw = bytearray(source.read_bytes())
    raw[raw.index(picture(1)) + 60] ^= 1
    source.write_bytes(raw)
    (fault,) = texts(inspect(source).faults)
    assert fault.startswith(f"list.txt:2: b.png cannot be read as a picture ({source} is damaged at pictures/b.png ")


def test_what_is_no_data_set_is_one_line(tmp_path):
    for source, message in {
        tmp_path / "nothing": f"there is no {tmp_path / 'nothing'}: expected a folder, a zip or a list file",
        write_folder(tmp_path / "empty", {}): f"{tmp_path / 'empty'} holds no pictures in a known form",
        write_folder(tmp_path / "own", {"a.zip": "no zip"}) / "a.zip": f"{tmp_path / 'own/a.zip'} is damaged or trunc",
    }.items():
        result = call(source)
        assert result.exit_code == 1 and result.output.startswith(f"Error: {message}")


def test_pictures_and_archives_that_are_not_read_are_counted(tmp_path):
    for files, named in {
        ("train.zip", "test.tar.gz"): ["test.tar.gz, train.zip", "unpack them"],
        ("1.jpg", "2.jpg"): ["2 pictures", "no folder", "1.jpg first"],
        ("1.heic",): ["1 .heic", "convert"],
    }.items():
        result = call(write_folder(tmp_path / files[0], dict.fromkeys(files, b"")))
        assert result.exit_code == 1 and all(words in result.output for words in named), result.output


def test_a_division_that_cannot_be_made_is_a_fault_if_there_is_no_other(tmp_path):
    source = write_folder(tmp_path / "own", pictures("a.png", "b.png") | {"train.txt": "a.png 1 0\nb.png 0 1\n"})
    (fault,) = texts(inspect(source).faults)
    assert fault.startswith(f"{source}: has no part 'query': expected lists of lines")
    assert call(source).exit_code == 1
    write_folder(source, {"train.txt": "a.png 1 0\nb.png 0 2\n"})
    assert texts(inspect(source).faults) == ["train.txt:2: a label must be 0 or 1, got '2'"]
