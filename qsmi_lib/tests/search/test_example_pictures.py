"""Example pictures: the same ones from the same seed, whole or not at all, and nothing is overwritten."""

import errno
import importlib.util
import os

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from qsmi_lib.cli import main
from qsmi_lib.search import example_pictures
from qsmi_lib.search.example_pictures import LICENSES, PER_CLASS, PHOTOGRAPHS, write_pictures

pytest.importorskip("skimage")


def call(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


def bytes_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.*")}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder and the command that made it."""
    folder = tmp_path_factory.mktemp("examples") / "new folder" / "pictures"
    return folder, call("example-pictures", folder)


@pytest.fixture
def few(monkeypatch):
    """Two pictures of each class, which are made in a moment."""
    monkeypatch.setattr(example_pictures, "PER_CLASS", 2)


def test_every_class_has_pictures_of_its_own_that_show_something(made):
    folder, _ = made
    assert {path.name for path in folder.iterdir()} == {*PHOTOGRAPHS, LICENSES}
    contents = bytes_of(folder)
    assert len(set(contents.values())) == len(contents) and sum(map(len, contents.values())) < 8e6
    for name in PHOTOGRAPHS:
        pictures = [Image.open(path) for path in sorted((folder / name).iterdir())]
        assert len(pictures) == PER_CLASS
        assert all(160 <= max(picture.size) <= 256 and min(picture.size) >= 120 for picture in pictures)
        assert all(np.asarray(picture.convert("L")).std() > 8 for picture in pictures)


def test_the_check_of_data_sets_finds_no_fault(made):
    result = call("datasets", "check", made[0])
    assert result.exit_code == 0 and f"{len(PHOTOGRAPHS)} labels" in result.output and "0 faults" in result.output


def test_sources_and_licences_are_printed_and_written(made):
    folder, result = made
    assert result.exit_code == 0, result.output
    text = (folder / LICENSES).read_text(encoding="utf-8")
    for name, photograph in PHOTOGRAPHS.items():
        for part in (name, photograph.file, photograph.author, photograph.license):
            assert part in text and part in result.output
        assert photograph.link in text
    assert "easy task" in text and "easy task" in result.output


def test_the_commands_to_go_on_name_files_that_are_there(made):
    folder, result = made
    query = next(folder.glob("cat/*1.jpg"))
    commands = [line.strip() for line in result.output.splitlines() if line.startswith("  qsmi")]
    assert commands == [
        f"qsmi index '{folder}'", f"qsmi search '{folder}.index' '{query}'", f"qsmi app '{folder}.index'"
    ]  # fmt: skip


def test_the_pictures_depend_on_the_seed_alone(tmp_path, few):
    (tmp_path / "empty").mkdir()
    for name, seed in (("a", 0), ("empty", 0), ("b", 1)):
        write_pictures(tmp_path / name, seed)
    first, again, other = (bytes_of(tmp_path / name) for name in ("a", "empty", "b"))
    assert first == again and first.keys() == other.keys()
    assert {name for name in first if first[name] == other[name]} == {LICENSES}


@pytest.mark.parametrize("there", ["file", "folder", "current"])
def test_nothing_is_overwritten(tmp_path, monkeypatch, there):
    path = tmp_path / "there"
    if there == "file":
        path.write_text("mine")
    else:
        path.mkdir()
    if there == "folder":
        (path / ".hidden").write_text("mine")
    if there == "current":
        monkeypatch.chdir(path)
    before = bytes_of(tmp_path)
    result = call("example-pictures", path)
    assert result.exit_code == 1 and str(path) in result.output and "new folder" in result.output
    assert len(result.output.splitlines()) == 1 and bytes_of(tmp_path) == before


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), OSError(errno.EACCES, "denied"), KeyboardInterrupt()]
)
def test_a_failure_in_the_middle_leaves_nothing(tmp_path, monkeypatch, few, error):
    save, saved = Image.Image.save, []

    def failing(picture, path, **options):
        if len(saved) == 5:
            raise error
        saved.append(path)
        save(picture, path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", failing)
        with pytest.raises(type(error)) as raised:
            write_pictures(tmp_path / "pictures")
    assert len(saved) == 5 and not list(tmp_path.iterdir())
    assert isinstance(error, KeyboardInterrupt) or str(tmp_path / "pictures") in str(raised.value)
    write_pictures(tmp_path / "pictures")
    assert len(bytes_of(tmp_path / "pictures")) == 2 * len(PHOTOGRAPHS) + 1


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("in the way")
    result = call("example-pictures", tmp_path / "file" / "pictures")
    assert result.exit_code == 1 and len(result.output.splitlines()) == 1
    assert f"cannot write {tmp_path / 'file' / 'pictures'}" in result.output


def test_without_scikit_image_the_extra_is_named(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "skimage" else find(name))
    result = call("example-pictures", tmp_path / "pictures")
    assert result.exit_code == 1 and 'pip install "qsmi-lib[pictures]"' in result.output
    assert not list(tmp_path.iterdir())


def test_a_package_without_the_photograph_is_named(tmp_path, monkeypatch):
    missing = PHOTOGRAPHS["cat"]._replace(file="skimage/data/no-such.png")
    monkeypatch.setitem(PHOTOGRAPHS, "cat", missing)
    with pytest.raises(ImportError, match=r"no-such\.png.*qsmi-lib\[pictures\]"):
        write_pictures(tmp_path / "pictures")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5, True])
def test_a_seed_that_is_none_is_refused(tmp_path, seed):
    with pytest.raises(ValueError, match="seed"):
        write_pictures(tmp_path / "pictures", seed)
