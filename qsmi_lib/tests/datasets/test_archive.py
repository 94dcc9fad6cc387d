"""A folder and a zip of it are read alike: names, bytes, sizes, hidden files, damage."""

import contextlib
import gzip
import os
import re
import stat
import tarfile
import tracemalloc
import unicodedata
import zipfile

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from qsmi_lib.cli import main
from qsmi_lib.datasets.images import archive
from qsmi_lib.datasets.images.archive import Tree
from qsmi_lib.datasets.images.dataset import PictureSet
from qsmi_lib.tests.datasets.small_pictures import PACKERS, WRITERS, picture, write_folder, write_tar, write_zip

FILES = {"list.txt": b"b.png 1\n", "b.png": b"one", "images/a.png": b"two", "images/deep/c.png": b"", "Z.txt": b"\xff"}
HIDDEN = {".DS_Store": b"no", "images/.a.png": b"no", ".git/config": b"no", "images/.cache/d.png": b"no"}
each_packer = pytest.mark.parametrize("write", PACKERS.values(), ids=PACKERS)
each_source = pytest.mark.parametrize("write", (SOURCES := WRITERS | PACKERS).values(), ids=SOURCES)


@each_source
def test_names_bytes_and_sizes_are_those_of_the_visible_files(tmp_path, write):
    with Tree(write(tmp_path / "own", FILES | HIDDEN)) as tree:
        assert sorted(tree.names()) == sorted(FILES)
        assert {name: tree.bytes_of(name) for name in tree.names()} == FILES
        assert {name: tree.size(name) for name in FILES} == {name: len(raw) for name, raw in FILES.items()}
        assert all(tree.holds(name) for name in FILES)
        absent = ("images", "images/", "", "a.png", "pictures/b.png", "B.png", __file__, "images/../b.png", "x" * 5000)
        assert not any(tree.holds(name) for name in absent)
        for read in (tree.bytes_of, tree.size, tree.fingerprint):
            with pytest.raises(FileNotFoundError, match=r"no a\.png in "):
                read("a.png")


@each_source
def test_an_empty_source_has_no_names(tmp_path, write):
    with Tree(write(tmp_path / "own", {})) as tree:
        assert list(tree.names()) == [] and not tree.holds("a.png")


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
@each_packer
def test_paths_in_an_archive_without_one_folder_around_all_are_kept(tmp_path, write, names):
    files = {name: name.encode() for name in names}
    with Tree(write(tmp_path / "own", files, top="")) as tree:
        assert {name: tree.bytes_of(name) for name in tree.names()} == files


@each_packer
def test_a_folder_around_all_files_is_skipped_but_not_one_class(tmp_path, write):
    def names(*packed):
        with Tree(write(tmp_path / "own", dict.fromkeys(packed, b""), top="")) as tree:
            return list(tree.names())

    assert names("own/cat/1.png", "own/dog/2.png") == ["cat/1.png", "dog/2.png"]
    assert names("own/cat/1.png", "README.txt", "license", "ReadMe_CelebA.txt", "a.pdf") == ["cat/1.png"]
    assert names("own/1.png", "own/list.txt") == ["1.png", "list.txt"]
    assert names("cat/1.png", "cat/2.JPG") == ["cat/1.png", "cat/2.JPG"]
    assert names("cat/1.png", "cat/README.md") == ["cat/1.png", "cat/README.md"]
    assert names("own/cat/1.png", "list.txt") == ["own/cat/1.png", "list.txt"]
    assert names("images/1.png", "labels.csv") == ["images/1.png", "labels.csv"]


# Names


@each_packer
def test_backslashes_in_an_archive_are_separators(tmp_path, write):
    with Tree(write(tmp_path / "own", {"cat\\1.png": b"1", "cat\\": b"", "dog\\a b.png": b"2"}, top="own\\")) as tree:
        assert list(tree.names()) == ["cat/1.png", "dog/a b.png"]
        assert tree.holds("cat/1.png") and tree.bytes_of("dog\\a b.png") == b"2"


@each_source
def test_composed_and_decomposed_names_are_the_same(tmp_path, write):
    forms = [unicodedata.normalize(form, "café/été.png") for form in ("NFC", "NFD")]
    for number, form in enumerate(forms):
        with Tree(write(tmp_path / f"{number}", {form: b"1", "b/2.png": b"2"})) as tree:
            assert list(tree.names()) == ["b/2.png", forms[0]] or list(tree.names()) == [forms[0], "b/2.png"]
            assert all(tree.holds(other) and tree.bytes_of(other) == b"1" for other in forms)
            assert tree.size(forms[1]) == 1 and tree.fingerprint(forms[0]) == tree.fingerprint(forms[1])


def test_names_in_a_zip_are_utf_8_also_without_a_mark(tmp_path):
    """As the packer of macOS leaves them; other packers write the page of DOS."""
    source = write_zip(tmp_path / "own", {"été.png": b"1", "b/2.png": b"2"}, top="")
    raw = source.read_bytes()
    source.write_bytes(raw.replace(b"\0\x08\0\0", b"\0\0\0\0"))
    assert raw != source.read_bytes()
    with Tree(source) as tree:
        assert tree.bytes_of("été.png") == b"1"


@each_packer
@pytest.mark.parametrize(
    "name", ["/etc/a.png", "../a.png", "cat/../../a.png", "\\a.png", "..\\a.png", "C:\\a.png", "c:/a.png"]
)
def test_a_path_out_of_an_archive_is_refused(tmp_path, write, name):
    source = write(tmp_path / "own", {"cat/1.png": b"", name: b""}, top="")
    with pytest.raises(ValueError, match=rf"{re.escape(str(source))} .*{re.escape(name)} lies outside"):
        Tree(source)


@each_packer
def test_two_files_of_one_name_are_refused(tmp_path, write):
    for other in ("./cat/é.png", "cat\\é.png", "cat/e\u0301.png"):
        source = write(tmp_path / "own", {"cat/é.png": b"", other: b""}, top="")
        with pytest.raises(ValueError, match=rf"{re.escape(str(source))} .*\.png is in it twice"):
            Tree(source)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    with tarfile.open(tmp_path / "own.tar", "w") as file:
        member = tarfile.TarInfo("cat/1.png")
        member.type, member.linkname = kind, "/etc/passwd"
        file.addfile(member)
    with pytest.raises(ValueError, match=r"own\.tar .*cat/1\.png is a link, a device or sparse: pack the files"):
        Tree(tmp_path / "own.tar")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_in_a_zip_are_refused(tmp_path, kind):
    with zipfile.ZipFile(tmp_path / "own.zip", "w") as file:
        member = zipfile.ZipInfo("cat/1.png")
        member.create_system, member.external_attr = 3, (kind | 0o777) << 16
        file.writestr(member, "/etc/passwd")
    with pytest.raises(ValueError, match=r"own\.zip .*cat/1\.png is a link or device: pack the files"):
        Tree(tmp_path / "own.zip")


@each_packer
def test_a_data_set_is_found_under_its_name_and_checked(tmp_path, monkeypatch, write):
    """All parts of the library read it as they read a folder."""
    monkeypatch.setenv("QSMI_DATA", str(tmp_path / "data"))
    names = [f"{part}/{kind}/{k}.png" for part in ("train", "test") for kind in ("cat", "dog") for k in (1, 2)]
    content = {name: picture(number) for number, name in enumerate(names)}
    packed, folder = write(tmp_path / "data/my-own", content), write_folder(tmp_path / "own", content)
    result = CliRunner().invoke(main, ["datasets", "check", str(packed)])
    assert result.exit_code == 0 and "8 pictures, 2 labels; 4 train, 4 query" in result.output
    one, other = PictureSet("my_own", side=8).load(0), PictureSet("my_own", side=8, at=folder).load(0)
    assert one.fingerprint == other.fingerprint and one.train.labels.tolist() == other.train.labels.tolist()
    assert torch.equal(one.query.inputs[:], other.query.inputs[:])


# Fingerprints


@each_source
def test_a_fingerprint_changes_with_the_content_of_that_file_alone(tmp_path, write):
    source = write(tmp_path / "own", FILES)
    with Tree(source) as tree:
        before = {name: tree.fingerprint(name) for name in FILES}
    again = write(tmp_path / "own", FILES | {"b.png": b"three"} if source.suffix else {"b.png": b"three"})
    with Tree(again) as tree:
        changed = [name for name in FILES if tree.fingerprint(name) != before[name]]
    assert changed == (["b.png"] if source.suffix in ("", ".zip") else list(FILES))  # a tar has no checksums


def test_a_compressed_tar_is_unpacked_once_until_it_changes(tmp_path, results):
    source = write_tar(tmp_path / "own", FILES, suffix=".tgz")
    for _ in range(2):
        assert Tree(source).bytes_of("b.png") == b"one"
    [unpacked] = results.rglob("*.tar")
    unpacked.unlink()
    write_tar(tmp_path / "own", FILES | {"b.png": b"three"}, suffix=".tgz")
    assert Tree(source).bytes_of("b.png") == b"three" and len(list(results.rglob("*"))) == 3


# Bombs


@contextlib.contextmanager
def little_memory():
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def zip_of_zeros(place, size, said):
    """A zip with one member of `size` bytes; its headers say `said`."""
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("cat/1.png", bytes(size))
    place.write_bytes(place.read_bytes().replace(size.to_bytes(4, "little"), said.to_bytes(4, "little")))
    return place


def tar_of_zeros(place, size):
    member = tarfile.TarInfo("cat/1.png")
    member.size = size
    with place.open("wb") as file:
        file.write(member.tobuf())
        file.truncate(512 + -(-size // 512) * 512 + 1024)
    return place


def test_a_member_that_is_too_large_is_not_read(tmp_path):
    for source in (zip_of_zeros(tmp_path / "own.zip", 5000, 10**9), tar_of_zeros(tmp_path / "own.tar", 10**9)):
        for limits in ((), (9,)):
            what = rf"^cat/1\.png of .*{source.name} has 1,000,000,000 bytes, expected at most"
            with little_memory(), Tree(source) as tree, pytest.raises(ValueError, match=what):
                tree.bytes_of("cat/1.png", *limits)


def test_a_member_larger_than_it_says_is_not_unpacked(tmp_path):
    source = zip_of_zeros(tmp_path / "own.zip", 10**7, 1000)
    what = r"own\.zip is damaged at cat/1\.png"
    with little_memory(), Tree(source) as tree, pytest.raises(ValueError, match=what):
        tree.bytes_of("cat/1.png")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_a_bound_are_refused(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "own.zip", "w", method) as file:
        file.writestr("cat/1.png", b"1")
    with pytest.raises(ValueError, match=r"own\.zip .*cat/1\.png is packed by method \d+: pack it with deflate"):
        Tree(tmp_path / "own.zip")


def test_a_compressed_tar_is_unpacked_up_to_a_limit(tmp_path, monkeypatch, results):
    monkeypatch.setattr(archive, "MOST_BYTES_UNPACKED", 5000)
    with pytest.raises(ValueError, match=r"own\.tgz unpacks to more than 5,000 bytes: unpack it"):
        Tree(write_tar(tmp_path / "own", FILES, suffix=".tgz"))
    assert not [place for place in results.rglob("*") if place.is_file()]


def test_a_compressed_tar_of_zeros_is_unpacked_up_to_a_ratio(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MOST_BYTES", 10**6)
    source = tmp_path / "own.tgz"
    source.write_bytes(gzip.compress(tar_of_zeros(tmp_path / "own.tar", 10**7).read_bytes()))
    with pytest.raises(ValueError, match=r"own\.tgz unpacks to more than 1,.* bytes: unpack it"):
        Tree(source)


def test_a_tar_that_becomes_shorter_is_named(tmp_path):
    source = write_tar(tmp_path / "own", FILES)
    with Tree(source) as tree:
        os.truncate(source, 1024)
        with pytest.raises(ValueError, match=r"own\.tar has become shorter"):
            tree.bytes_of("images/a.png")


def test_a_header_of_gigabytes_is_not_read(tmp_path):
    member = tarfile.TarInfo("././@PaxHeader")
    member.type, member.size = tarfile.XHDTYPE, 2**33
    with (tmp_path / "own.tar").open("wb") as file:
        file.write(member.tobuf(tarfile.GNU_FORMAT))
        file.truncate(2**33 + 2048)
    with pytest.raises(ValueError, match=r"own\.tar is damaged .*header of 8,589,934,592 bytes"):
        Tree(tmp_path / "own.tar")


def test_an_archive_of_too_many_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("QSMI_MOST_FILES", "2")
    for write in PACKERS.values():
        with pytest.raises(ValueError, match="more than 2 files: raise QSMI_MOST_FILES"):
            Tree(write(tmp_path / "own", FILES))


# Damage


def test_a_missing_source_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        Tree(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["own.tar", "own.tar.gz"])
@pytest.mark.parametrize("n_left", [0, 100, 512, 1024, 3072])
def test_a_truncated_tar_is_named(tmp_path, name, n_left):
    """Also where it ends between two members."""
    content = dict.fromkeys(("cat/1.png", "dog/2.png", "cow/3.png"), np.random.default_rng(0).bytes(512))
    source = write_tar(tmp_path / "own", content, suffix=name.removeprefix("own"))
    source.write_bytes(source.read_bytes()[: n_left if source.suffix == ".tar" else min(n_left, 512)])
    with pytest.raises(ValueError, match=rf"{re.escape(str(source))}.* is damaged or truncated: expected a zip"):
        Tree(source)


@pytest.mark.parametrize("offset", [10, 150, 1024 + 150, 2048 + 10])
def test_a_damaged_header_of_a_tar_is_named(tmp_path, offset):
    """Python's tarfile ends there without a word."""
    content = dict.fromkeys(("cat/1.png", "dog/2.png", "cow/3.png"), bytes(512))
    source = write_tar(tmp_path / "own", content)
    raw = bytearray(source.read_bytes())
    raw[offset] ^= 255
    source.write_bytes(raw)
    with pytest.raises(ValueError, match=rf"{re.escape(str(source))} is damaged or truncated"):
        Tree(source)


@pytest.mark.parametrize(("start", "name"), [(b"BZh91AY", "bzip2"), (b"\xfd7zXZ\0", "xz"), (b"Rar!\x1a", "RAR")])
def test_other_packers_are_named(tmp_path, start, name):
    (tmp_path / "own.tar.xz").write_bytes(start + bytes(600))
    with pytest.raises(ValueError, match=rf"own\.tar\.xz is packed with {name}: .*unpack it"):
        Tree(tmp_path / "own.tar.xz")


def test_a_gz_of_something_else_is_named(tmp_path):
    (tmp_path / "own.gz").write_bytes(gzip.compress(b"no tar" * 1000))
    with pytest.raises(ValueError, match=r"own\.gz holds no tar"):
        Tree(tmp_path / "own.gz")


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
        with pytest.raises(ValueError, match=rf"{re.escape(str(source))} is damaged at pictures/images/a\.png .*CRC"):
            tree.bytes_of("images/a.png")


@pytest.mark.parametrize(("offset", "message"), [(8, "encrypted: pack it without"), (10, "method 1: pack it with")])
def test_a_zip_that_cannot_be_unpacked_is_named(tmp_path, offset, message):
    """The flags and the method of the first entry of the directory are changed."""
    source = write_zip(tmp_path / "own", {"a.png": b"one"})
    raw = bytearray(source.read_bytes())
    raw[raw.index(b"PK\x01\x02") + offset] ^= 1
    source.write_bytes(raw)
    with pytest.raises(ValueError, match=rf"own\.zip .*a\.png is .*{message}"):
        Tree(source)
