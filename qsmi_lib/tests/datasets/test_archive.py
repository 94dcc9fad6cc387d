"""A folder and a zip of it are read alike: names, bytes, sizes, hidden files, damage."""

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
def test_names_bytes_and_sizes_are_those_of_the_visible_files(tmp_path, write):
    with Tree(write(tmp_path / "own", FILES | HIDDEN)) as tree:
        assert sorted(tree.names()) == sorted(FILES)
        assert {name: tree.bytes_of(name) for name in tree.names()} == FILES
        assert {name: tree.size(name) for name in FILES} == {name: len(raw) for name, raw in FILES.items()}
        assert all(tree.holds(name) for name in FILES)
        assert not any(tree.holds(name) for name in ("images", "images/", "", "a.png", "pictures/b.png", "B.png"))


@each_source
def test_an_empty_source_has_no_names(tmp_path, write):
    with Tree(write(tmp_path / "own", {})) as tree:
        assert list(tree.names()) == [] and not tree.holds("a.png")


def test_the_order_of_names_does_not_depend_on_the_file_system(tmp_path, monkeypatch):
    source, walk, names = write_folder(tmp_path / "own", FILES | {"another/d.png": b""}), os.walk, []
    for step in (1, -1):

        def ordered(*arguments, step=step, **options):
            for folder, folders, files in walk(*arguments, **options):
                folders[:] = sorted(folders)[::step]
                yield folder, folders, sorted(files)[::step]

        monkeypatch.setattr(os, "walk", ordered)
        names.append(list(Tree(source).names()))
    assert names[0] == names[1] and len(names[0]) == 6


def test_a_link_to_a_folder_above_is_not_followed(tmp_path):
    source = write_folder(tmp_path / "own", FILES)
    (source / "images/again").symlink_to(source, target_is_directory=True)
    assert sorted(Tree(source).names()) == sorted(FILES)


def test_files_that_a_packer_adds_beside_the_folder_of_a_zip_are_skipped(tmp_path):
    source = write_zip(tmp_path / "own", FILES)
    with zipfile.ZipFile(source, "a") as file:
        for name in (".DS_Store", "__MACOSX/._pictures", "__MACOSX/pictures/images/._a.png"):
            file.writestr(name, b"no")
        file.mkdir("pictures/empty")
        file.mkdir("another")
    with Tree(source) as tree:
        assert sorted(tree.names()) == sorted(FILES)


@pytest.mark.parametrize("names", [("cat/1.png", "dog/1.png"), ("labels.csv", "images/1.png"), ("1.png",)])
def test_paths_of_a_zip_without_one_folder_around_all_are_kept(tmp_path, names):
    files = {name: name.encode() for name in names}
    with Tree(write_zip(tmp_path / "own", files, top="")) as tree:
        assert {name: tree.bytes_of(name) for name in tree.names()} == files


@each_source
def test_a_fingerprint_changes_with_the_content_of_that_file_alone(tmp_path, write):
    source = write(tmp_path / "own", FILES)
    with Tree(source) as tree:
        before = {name: tree.fingerprint(name) for name in FILES}
    again = write(tmp_path / "own", FILES | {"b.png": b"three"} if source.suffix else {"b.png": b"three"})
    with Tree(again) as tree:
        assert [name for name in FILES if tree.fingerprint(name) != before[name]] == ["b.png"]


# Damage


def test_a_missing_source_is_named(tmp_path):
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


@pytest.mark.parametrize(("offset", "message"), [(8, "is encrypted"), (10, "compression method is not supported")])
def test_a_zip_that_cannot_be_unpacked_is_named(tmp_path, offset, message):
    """The flags and the method of the first entry of the directory are changed."""
    source = write_zip(tmp_path / "own", {"a.png": b"one"})
    raw = bytearray(source.read_bytes())
    raw[raw.index(b"PK\x01\x02") + offset] ^= 1
    source.write_bytes(raw)
    with Tree(source) as tree, pytest.raises(ValueError, match=rf"own\.zip is damaged at a\.png: .*{message}"):
        tree.bytes_of("a.png")
