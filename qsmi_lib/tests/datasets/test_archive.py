"""A folder and a zip of it are read alike: names, bytes, hidden files, damage."""

import os
import re
import zipfile

import pytest

from qsmi_lib.datasets.images.archive import Tree
from qsmi_lib.tests.datasets.small_pictures import WRITERS, write_folder, write_zip

FILES = {"list.txt": b"b.png 1\n", "b.png": b"one", "images/a.png": b"two", "images/deep/c.png": b"", "Z.txt": b"\xff"}
HIDDEN = {".DS_Store": b"no", "images/.a.png": b"no", ".git/config": b"no", "images/.cache/d.png": b"no"}
each_source = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


@each_source
def test_names_and_bytes_are_those_of_the_files_below(tmp_path, write):
    with Tree(write(tmp_path / "own", FILES)) as tree:
        assert sorted(tree.names()) == sorted(FILES)
        assert {name: tree.bytes_of(name) for name in tree.names()} == FILES
        assert all(tree.holds(name) for name in FILES)
        assert not any(tree.holds(name) for name in ("images", "images/", "", "a.png", "pictures/b.png", "B.png"))


def test_the_names_of_a_folder_come_in_an_order_that_the_file_system_does_not_decide(tmp_path, monkeypatch):
    source, walk = write_folder(tmp_path / "own", FILES | {"another/d.png": b""}), os.walk
    found = []
    for step in (1, -1):

        def ordered(*arguments, step=step, **options):
            for folder, folders, names in walk(*arguments, **options):
                folders[:] = sorted(folders)[::step]
                yield folder, folders, sorted(names)[::step]

        monkeypatch.setattr(os, "walk", ordered)
        found.append(list(Tree(source).names()))
    assert found[0] == found[1] and len(found[0]) == 6


def test_a_link_to_a_folder_above_ends(tmp_path):
    source = write_folder(tmp_path / "own", FILES)
    (source / "images/again").symlink_to(source, target_is_directory=True)
    assert sorted(Tree(source).names()) == sorted(FILES)


@each_source
def test_sizes_are_those_of_the_files(tmp_path, write):
    with Tree(write(tmp_path / "own", FILES)) as tree:
        assert {name: tree.size(name) for name in FILES} == {name: len(raw) for name, raw in FILES.items()}


@each_source
def test_hidden_files_are_passed_over(tmp_path, write):
    with Tree(write(tmp_path / "own", FILES | HIDDEN)) as tree:
        assert sorted(tree.names()) == sorted(FILES)


@pytest.mark.parametrize("beside", [".DS_Store", "__MACOSX/._pictures", "__MACOSX/pictures/images/._a.png"])
def test_what_a_packer_leaves_beside_the_folder_of_a_zip_is_passed_over(tmp_path, beside):
    source = write_zip(tmp_path / "own", FILES)
    with zipfile.ZipFile(source, "a") as file:
        file.writestr(beside, b"no")
        file.mkdir("pictures/empty")
        file.mkdir("another")
    with Tree(source) as tree:
        assert sorted(tree.names()) == sorted(FILES)


UNWRAPPED = {
    "parts": ("train/cat/1.png", "test/cat/1.png"),
    "classes": ("cat/1.png", "dog/1.png"),
    "a table beside a folder": ("labels.csv", "images/1.png"),
    "files alone": ("list.txt", "1.png"),
    "one file": ("1.png",),
}


@pytest.mark.parametrize("names", UNWRAPPED.values(), ids=UNWRAPPED)
def test_a_zip_without_one_folder_around_all_is_taken_as_it_is(tmp_path, names):
    """Two pictures of one name in two folders are two."""
    files = {name: name.encode() for name in names}
    with Tree(write_zip(tmp_path / "own", files, top="")) as tree:
        assert {name: tree.bytes_of(name) for name in tree.names()} == files


@each_source
def test_an_empty_source_has_no_names(tmp_path, write):
    with Tree(write(tmp_path / "own", {})) as tree:
        assert list(tree.names()) == [] and not tree.holds("a.png")


@each_source
def test_a_mark_changes_with_the_file_and_with_no_other(tmp_path, write):
    source = write(tmp_path / "own", FILES)
    with Tree(source) as tree:
        before = {name: tree.mark(name) for name in FILES}
    again = write(tmp_path / "own", FILES | {"b.png": b"three"} if source.suffix else {"b.png": b"three"})
    with Tree(again) as tree:
        assert [name for name in FILES if tree.mark(name) != before[name]] == ["b.png"]


def test_the_mark_in_a_zip_is_of_the_bytes_and_not_of_the_time(tmp_path):
    """A folder has no checksum at hand: there a new time is a new mark."""
    with Tree(write_zip(tmp_path / "one", FILES)) as one, Tree(write_zip(tmp_path / "two", FILES, top="x/")) as two:
        assert all(one.mark(name) == two.mark(name) for name in FILES)
        assert len({one.mark(name) for name in FILES}) == len(FILES)


def test_a_source_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        Tree(tmp_path / "nothing")


@pytest.mark.parametrize("n_left", [0, 10, 200])
def test_a_truncated_zip_is_named(tmp_path, n_left):
    source = write_zip(tmp_path / "own", FILES)
    source.write_bytes(source.read_bytes()[:n_left])
    with pytest.raises(ValueError, match=f"{re.escape(str(source))} is damaged or truncated: expected a zip"):
        Tree(source)


def test_a_flipped_byte_in_a_zip_is_named(tmp_path):
    source = write_zip(tmp_path / "own", FILES)
    source.write_bytes(source.read_bytes().replace(b"two", b"twp"))
    with Tree(source) as tree:
        assert tree.bytes_of("b.png") == b"one"
        with pytest.raises(ValueError, match=rf"{re.escape(str(source))} is damaged at images/a\.png: .*CRC"):
            tree.bytes_of("images/a.png")


def test_a_zip_is_closed_after_use(tmp_path):
    with Tree(write_zip(tmp_path / "own", FILES)) as tree:
        pass
    with pytest.raises(ValueError, match="closed"):
        tree.bytes_of("b.png")
