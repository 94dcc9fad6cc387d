"""An index on disk: read as it was written, refused if a file is changed, and whole after a kill at any moment."""

import contextlib
import io as python_io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from qsmi_lib.cli import main
from qsmi_lib.search.index import hashing, storage
from qsmi_lib.search.index.index import Index
from qsmi_lib.search.index.storage import Contents, Item
from qsmi_lib.utils import io

N, D, BITS = 6, 5, 3


def contents(seed):
    """An index of vectors without labels."""
    features = np.random.default_rng(seed).normal(size=(N, D)).astype(np.float32)
    hasher = hashing.fit(features, None, BITS, seed=seed)
    scores = {"metric": "recall", "n_query": 1, "n_database": N - 1, "rows": []}
    about = {"kind": "vectors", "source": f"../{seed}.npy", "labelled": False, "bits": BITS, "method": hasher.method,
             "seed": seed, "settings": {}, "classes": [], "labels": [], "backbone": None, "scores": scores}  # fmt: skip
    items = [Item(str(row), None, f"state {row}", f"digest {row} of {seed}", held_out=not row) for row in range(N)]
    codes = np.packbits(hasher.codes(features) > 0, axis=1)
    return Contents(about, items, codes, *storage.rounded(features), hasher)


@pytest.fixture(scope="module")
def made():
    """Two versions of an index."""
    return contents(0), contents(1)


@pytest.fixture
def folder(tmp_path, made):
    """A folder with the first version."""
    storage.write(tmp_path / "a.index", made[0])
    return tmp_path / "a.index"


def read_all(folder):
    """All that an index holds, read."""
    stored = storage.read(folder)
    return [*stored.items], stored.codes, stored.features(range(len(stored))), stored.hasher.arrays()


def same(folder, expected):
    """Whether `folder` holds exactly `expected`."""
    items, codes, features, weights = read_all(folder)
    expected_weights = expected.hasher.arrays()
    arrays = [(codes, expected.codes), (features, storage.restored(expected.features, expected.scale))]
    return (
        items == list(expected.items)
        and all(np.array_equal(a, b) for a, b in arrays)
        and weights.keys() == expected_weights.keys()
        and all(np.array_equal(weights[name], value) for name, value in expected_weights.items())
    )


def parts(folder):
    """The files of an index."""
    return sorted(path for path in folder.iterdir() if path.name != storage.LOCK)


def change(folder, **changes):
    """Change fields of the main file, and its checksum with them."""
    path = folder / storage.MAIN
    about = json.loads(path.read_text()) | changes
    del about[io.CHECKSUM]
    path.write_text(json.dumps(about | {io.CHECKSUM: storage._checksum(about)}))


def refused(folder, *named):
    """The message with which `folder` is refused, by the library and in one line by the command."""
    with pytest.raises((ValueError, OSError)) as raised:
        read_all(folder)
    message = str(raised.value)
    assert all(str(name) in message for name in named), message
    np.save(query := folder.parent / "query.npy", np.ones(D, np.float32))
    result = CliRunner().invoke(main, ["search", str(folder), str(query), "--rerank", "3"])
    assert result.exit_code == 1 and result.output.startswith("Error: ") and len(result.output.splitlines()) == 1
    return message


def test_it_is_read_as_it_was_written_and_written_over(folder, made):
    assert same(folder, made[0]) and len(parts(folder)) == 5
    storage.write(folder, made[1])
    assert same(folder, made[1]) and len(parts(folder)) == 5


def test_features_in_8_bits_are_off_by_half_a_step():
    features = np.random.default_rng(0).normal(size=(50, 40)).astype(np.float32)
    features[0], features[1] = 0, 1e-30
    values, scale = storage.rounded(features)
    assert values.dtype == np.int8 and scale.dtype == np.float32
    largest = np.abs(features).max(axis=1, keepdims=True)
    assert (np.abs(values * scale[:, None] - features) <= largest * 1.001 / 254).all()


@pytest.mark.parametrize("part", ["items", "codes", "features", "hasher", "index.json"])
@pytest.mark.parametrize("damage", ["empty", "half", "byte", "longer", "missing", "folder"])
def test_a_damaged_file_is_named_with_the_remedy(folder, part, damage):
    [path] = [path for path in parts(folder) if path.name.startswith(part)]
    content = path.read_bytes()
    path.unlink()
    changed = {
        "empty": b"",
        "half": content[: len(content) // 2],
        "byte": content[:-2] + bytes([content[-2] ^ 1]) + content[-1:],
        "longer": content + b"\0",
    }
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes(changed[damage])
    message = refused(folder, folder if path.name == storage.MAIN else path)
    assert "index" in message


def test_every_change_of_the_main_file_is_refused(folder):
    path = folder / storage.MAIN
    content = path.read_bytes()
    for at in range(0, len(content) - 1, 7):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises((ValueError, OSError), match=str(folder)):
            storage.read(folder)


@pytest.mark.parametrize("part", ["items", "codes", "features", "hasher"])
def test_files_of_two_indexes_are_not_mixed(folder, tmp_path, made, part):
    storage.write(tmp_path / "b.index", made[1])
    mine, other = (
        next(path for path in parts(tmp_path / name) if path.name.startswith(part)) for name in ("a.index", "b.index")
    )
    shutil.copy(other, mine)
    refused(folder, mine)
    mine.unlink()
    shutil.copy(other, folder)  # under its own name
    refused(folder, mine)


def test_the_main_file_of_another_index_is_refused(folder, tmp_path, made):
    storage.write(tmp_path / "b.index", made[1])
    shutil.copy(tmp_path / "b.index" / storage.MAIN, folder)
    refused(folder, folder)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"format": 2}, "update"),
        ({"format": "1"}, "format"),
        ({"bits": 0}, "bits"),
        ({"bits": 2}, "hasher"),
        ({"bits": 2**40}, "bits"),
        ({"n_items": 5}, "codes"),
        ({"n_items": 10**12}, "n_items"),
        ({"n_features": 4}, "hasher"),
        ({"n_features": 5.0}, "n_features"),
        ({"kind": "sounds"}, "kind"),
        ({"method": "lsh"}, "method"),
        ({"method": "qsmi"}, "hasher"),
        ({"files": {}}, "files"),
    ],
)
def test_a_main_file_that_does_not_fit_is_refused(folder, changes, named):
    change(folder, **changes)
    refused(folder, folder, named)


@pytest.mark.parametrize("name", ["../a.npy", "/etc/hostname", "", ".", "x" * 300, "a\0b", "index.json"])
def test_a_file_elsewhere_is_never_read(folder, name):
    files = json.loads((folder / storage.MAIN).read_text())["files"]
    files["codes"]["name"] = name
    change(folder, files=files)
    refused(folder, folder)


def test_a_folder_of_something_else_is_no_index_and_is_not_written_to(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    refused(tmp_path / "missing", tmp_path / "missing")
    refused(tmp_path, tmp_path)
    with pytest.raises(ValueError, match="--output"):
        storage.check_free(tmp_path)
    with pytest.raises(ValueError, match="--output"):
        storage.check_free(tmp_path / "notes.txt")
    for free in (tmp_path / "missing", tmp_path / "empty"):
        storage.check_free(free)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("there", [True, False])
def test_a_failure_of_any_writer_leaves_the_old_index_and_a_repeat_finishes(tmp_path, made, error, there, monkeypatch):
    folder = tmp_path / "a.index"
    if there:
        storage.write(folder, made[0])
    write, count = io.write_bytes, 0

    def failing(path, content):
        nonlocal count
        count += 1
        if count == at:
            raise error
        write(path, content)

    for at in range(1, 6):
        count = 0
        with monkeypatch.context() as patch, pytest.raises(type(error)):
            patch.setattr(io, "write_bytes", failing)
            storage.write(folder, made[1])
        assert count == at, "every writer is reached"
        assert same(folder, made[0]) if there else not storage.holds_index(folder)
        storage.check_free(folder)  # a repeat may write there
    storage.write(folder, made[1])
    assert same(folder, made[1]) and len(parts(folder)) == 5


class Killed(BaseException):
    """The process has ended."""


@pytest.fixture
def killing(monkeypatch):
    """A function (n, write): `write` is killed at its n-th access to a file, and does nothing more; how many came."""

    def kill(n, write):
        count = 0

        def dying(access):
            def call(*arguments, **options):
                nonlocal count
                count += 1
                if count == n and access is real_open:
                    access(*arguments, **options).close()
                if count >= n:
                    raise Killed
                return access(*arguments, **options)

            return call

        real_open = python_io.open
        with monkeypatch.context() as patch, contextlib.suppress(Killed):
            patch.setattr(python_io, "open", dying(real_open))
            for name in ("replace", "unlink"):
                patch.setattr(os, name, dying(getattr(os, name)))
            write()
        return count

    return kill


@pytest.mark.parametrize("there", [True, False])
def test_a_kill_at_any_access_to_a_file_leaves_the_old_index_or_the_new_one(tmp_path, made, killing, there):
    """The writer is killed at its first access to a file, then at its second, and so on; the last one ends."""
    folder, states = tmp_path / "a.index", []
    if there:
        storage.write(folder, made[0])
    for n in range(1, 60):
        ended = killing(n, lambda: storage.write(folder, made[1])) < n
        new = storage.holds_index(folder) and storage.read(folder).about["seed"] == 1
        assert same(folder, made[new]) if there or new else not storage.holds_index(folder)
        storage.check_free(folder)
        states.append(new)
        if ended:
            break
    assert ended and states == sorted(states) and not states[0] and len(states) > 12
    assert same(folder, made[1]) and len(parts(folder)) == 5, "nothing of the killed writers is left"


def test_what_was_half_written_under_other_names_goes(folder, made, monkeypatch):
    """A process is killed while it writes the first part, and the next one writes other contents."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    monkeypatch.setattr(io.scratch.os, "getpid", lambda: process.pid)
    left = io.scratch.beside(folder / f"features-{'0' * 12}.safetensors")
    monkeypatch.undo()
    left.write_bytes(b"half")
    (folder / f"codes-{'0' * 12}.safetensors").write_bytes(b"whole, of a version that was never finished")
    storage.write(folder, made[1])
    assert same(folder, made[1]) and len(parts(folder)) == 5


def test_a_reader_meets_the_old_version_or_the_new_one(folder, made, monkeypatch):
    """The index is replaced after a reader has read its main file."""
    read_json, replaced = storage.read_json, []

    def late(*arguments, **options):
        about = read_json(*arguments, **options)
        if not replaced:
            replaced.append(True)
            storage.write(folder, made[1])
        return about

    monkeypatch.setattr(storage, "read_json", late)
    assert storage.read(folder).about["seed"] == 1
    assert same(folder, made[1])


def test_labels_and_names_of_any_text_are_kept(tmp_path, made):
    names = ["a b.png", "é/ü.jpg", 'quote".png', "new\nline.png", "\u2028.png", "back\\slash"]
    labels = [frozenset(), frozenset(["a", "b"]), frozenset(["é"]), frozenset([""]), frozenset(["\n"]), frozenset("c")]
    items = [Item(name, own, "", "") for name, own in zip(names, labels, strict=True)]
    about = made[0].about | {"labelled": True, "kind": "pictures"}
    storage.write(tmp_path / "a.index", replace(made[0], items=items, about=about))
    assert [*storage.read(tmp_path / "a.index").items] == items


def test_an_index_loads_through_a_relative_path_and_a_link(folder, made, monkeypatch):
    monkeypatch.chdir(folder)
    (folder.parent / "link").symlink_to(folder)
    for path in (".", "../a.index", "../link", folder.parent / "link"):
        assert len(Index.load(path)) == N
