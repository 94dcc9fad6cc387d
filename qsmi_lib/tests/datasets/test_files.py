"""Files of a folder: those that are found, those that are left out, and the limits of a search."""

import os
import socket
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from qsmi_lib.cli import main
from qsmi_lib.datasets.images import files
from qsmi_lib.datasets.images.archive import Tree
from qsmi_lib.datasets.images.check import inspect
from qsmi_lib.datasets.images.dataset import PictureSet
from qsmi_lib.tests.datasets.small_pictures import picture, write_folder

FILES = dict.fromkeys(("b.png", "images/a.png", "images/deep/c.png", "Z.txt"), b"1")


def test_the_order_of_names_does_not_depend_on_the_file_system(tmp_path, monkeypatch):
    source, scan, orders = write_folder(tmp_path / "own", FILES), os.scandir, []

    class Ordered(list):
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    for step in (1, -1):
        monkeypatch.setattr(
            os, "scandir", lambda folder, step=step: Ordered(sorted(scan(folder), key=lambda entry: entry.name)[::step])
        )
        orders.append(list(files.find(source)[0]))
    assert orders[0] == orders[1] == sorted(FILES)


def test_links_to_folders_are_followed_but_not_to_those_above(tmp_path):
    source = write_folder(tmp_path / "own", FILES)
    write_folder(tmp_path / "other", {"d.png": b"1"})
    for name, goal in {"images/again": source, "root": "/", "other": tmp_path / "other", "above": tmp_path}.items():
        (source / name).symlink_to(goal, target_is_directory=True)
    assert list(files.find(source)[0]) == sorted([*FILES, "other/d.png"])
    assert list(files.find(source, links=False)[0]) == sorted(FILES)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_what_is_no_readable_file_is_left_out_with_a_reason(tmp_path):
    source = write_folder(tmp_path / "own", FILES)
    (source / "gone.png").symlink_to(tmp_path / "nothing")
    (source / "round.png").symlink_to(source / "round.png")
    os.mkfifo(source / "pipe.png")
    with open(os.fsencode(source) + b"/\xff.png", "wb"), socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(source / "s.png"))
        found, left_out = files.find(source)
    assert list(found) == sorted(FILES)
    for name, word in {"gone": "link to nothing", "pipe": "pipe", "s": "pipe", "\\xff": "UTF-8"}.items():
        assert word in left_out.pop(f"{name}.png")
    assert list(left_out) == ["round.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_no_reader_waits_for_a_pipe(tmp_path):
    os.mkfifo(pipe := tmp_path / "1.png")
    with pytest.raises(OSError, match=r"1\.png is not a regular file"):
        files.read(pipe, 9)
    with pytest.raises(ValueError, match=r"1\.png is a pipe or device"):
        Tree(pipe)
    with Tree(tmp_path) as tree:
        assert not tree.holds("1.png")


def test_a_folder_that_cannot_be_listed_is_left_out_with_a_reason(tmp_path, monkeypatch):
    source, scan = write_folder(tmp_path / "own", FILES), os.scandir

    def denied(folder):
        if str(folder).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", denied)
    found, left_out = files.find(source)
    assert "images/deep/c.png" not in found and "Permission denied" in left_out["images/deep/"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_data_set_with_pipes_and_broken_links_beside_its_pictures_is_loaded(tmp_path):
    content = {f"{part}/{kind}/1.png": picture(1) for part in ("train", "test") for kind in ("cat", "dog")}
    source = write_folder(tmp_path / "own", content)
    (source / "gone").symlink_to(tmp_path / "nothing")
    for name in ("pipe", "train/cat/pipe"):
        os.mkfifo(source / name)
    assert len(PictureSet("own", at=source).load(0).train.labels) == 2
    [note] = [str(note) for note in inspect(source).notes if "left out" in note.what]
    assert "3 others" in note and "gone first" in note


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_list_that_cannot_be_opened_is_a_fault(tmp_path):
    source = write_folder(tmp_path / "own", {"cat/1.png": picture(1), "dog/2.png": picture(2)})
    (source / "labels.csv").symlink_to(tmp_path / "nothing")
    os.mkfifo(source / "train.txt")
    with open(os.fsencode(source) + b"/a\xff.csv", "wb"):
        faults = {fault.where for fault in inspect(source).faults}
    assert faults >= {"labels.csv", "train.txt", "a\\xff.csv"}


def test_pictures_left_out_are_faults_of_a_data_set(tmp_path):
    content = {"cat/1.png": picture(1), "dog/2.png": picture(2), "dog/3.heic": b"x", "cat/4.HEIC": b"x"}
    source = write_folder(tmp_path / "own", content)
    (source / "dog/gone.png").symlink_to(tmp_path / "nothing")
    with open(os.fsencode(source) + b"/cat/\xff.png", "wb"):
        result = CliRunner().invoke(main, ["datasets", "check", str(source)])
    assert result.exit_code == 1
    assert "fault  dog/gone.png: " in result.output and "fault  cat/\\xff.png: " in result.output
    assert "cat/4.HEIC" in result.output and "2 .heic" in result.output


def test_a_file_larger_than_the_limit_is_not_read(tmp_path):
    with (tmp_path / "1.png").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ValueError, match=r"1\.png has 1,099,511,627,776 bytes, expected at most 100"):
        files.read(tmp_path / "1.png", 100)


def test_two_names_that_differ_in_the_form_of_their_letters_are_refused(tmp_path):
    write_folder(tmp_path, {"\u00e9.png": b"1", "e\u0301.png": b"2"})
    if len(os.listdir(tmp_path)) == 2:  # not on macOS
        with pytest.raises(ValueError, match="two files named \u00e9"):
            files.find(tmp_path)


# Limits of a search


@pytest.mark.parametrize(("variable", "value"), [("QSMI_MOST_FILES", "3"), ("QSMI_MOST_SECONDS", "x")])
def test_a_search_stops_at_a_limit_and_names_the_setting(tmp_path, monkeypatch, variable, value):
    source = write_folder(tmp_path / "own", FILES)
    monkeypatch.setenv(variable, value)
    result = CliRunner().invoke(main, ["datasets", "check", str(source)])
    assert result.exit_code == 1 and variable in result.output and len(result.output.splitlines()) == 1


def test_a_search_stops_after_some_seconds(tmp_path, monkeypatch):
    source = write_folder(tmp_path / "own", FILES)
    monkeypatch.setattr(files, "MOST_SECONDS", -1)
    with pytest.raises(ValueError, match=rf"{source} holds more files than .* raise QSMI_MOST_SECONDS"):
        files.find(source)


@pytest.mark.parametrize("place", ["/proc", "/sys", "/dev", "/"])
def test_the_check_of_a_system_folder_ends_with_one_message(place, monkeypatch):
    if not os.path.isdir(place):
        pytest.skip(f"no {place} here")
    monkeypatch.setenv("QSMI_MOST_FILES", "2000")
    monkeypatch.setenv("QSMI_MOST_SECONDS", "1")
    messages = []

    def check():
        try:
            inspect(Path(place))
        except (ValueError, OSError) as error:
            messages.append(str(error))

    (thread := threading.Thread(target=check, daemon=True)).start()
    thread.join(60)
    [message] = messages
    assert place in message and len(message.splitlines()) == 1
