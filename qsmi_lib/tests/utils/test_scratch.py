"""The temporary folder of a process: gone at its end, and after a kill at the next start; nothing else is touched."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from qsmi_lib.utils import io, scratch

MAKE = "from qsmi_lib.utils import scratch; print(scratch.folder(), flush=True)"
DIE = "; import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
FORK = "; import os, sys; child = os.fork(); child and os.waitpid(child, 0); child and print(scratch.folder().exists())"


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The folder of temporary files, of this process and of those that it starts."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(scratch.tempfile, "tempdir", None)
    return tmp_path


def output_of(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split()


def left(name, locked=True):
    """A folder as a killed process leaves it, with a file in it; without `locked` it never had a lock."""
    folder = Path(scratch.tempfile.gettempdir()) / name
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "file").write_text("a")
    if locked:
        (folder / scratch.LOCK).touch()
    return folder


def test_the_folder_goes_with_its_process(temporary):
    (folder,) = output_of(MAKE)
    assert Path(folder).parent == temporary and not Path(folder).exists()


def test_the_folder_of_a_killed_process_goes_at_the_next_start(temporary):
    (killed,) = map(Path, output_of(MAKE + DIE))
    assert (killed / scratch.LOCK).exists()
    output_of(MAKE)
    assert list(temporary.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_the_end_of_a_forked_process_leaves_the_folder():
    assert output_of(MAKE + FORK)[1:] == ["True"]


def test_only_own_folders_without_a_holder_are_removed(temporary):
    gone = left(scratch.PREFIX + "gone")
    held, other, unlocked = (
        left(scratch.PREFIX + "held"),
        left("other"),
        left(scratch.PREFIX + "unlocked", locked=False),
    )
    (temporary / (scratch.PREFIX + "link")).symlink_to(other)
    with FileLock(held / scratch.LOCK):
        scratch.remove_left_behind()
    assert not gone.exists()
    assert all((folder / "below" / "file").exists() for folder in (held, other, unlocked))


def test_a_folder_of_another_user_stays(monkeypatch):
    folder = left(scratch.PREFIX + "theirs")
    monkeypatch.setattr(scratch.os, "getuid", lambda: os.stat(folder).st_uid + 1, raising=False)
    scratch.remove_left_behind()
    assert folder.exists()


def test_a_folder_that_is_removed_while_it_is_made_is_made_again(monkeypatch):
    """Between the making of a folder and its lock, another process may take it for one left behind."""
    acquire, removed = FileLock.acquire, []

    def late(lock, *arguments, **options):
        if not removed and lock.timeout != 0:
            removed.append(Path(lock.lock_file).parent)
            removed[0].rmdir()
        return acquire(lock, *arguments, **options)

    monkeypatch.setattr(FileLock, "acquire", late)
    made = scratch.folder.__wrapped__()
    assert removed and made.exists() and (made / scratch.LOCK).exists()


def test_the_partial_file_of_a_killed_process_goes_when_the_same_file_is_written_again(tmp_path):
    path, done = tmp_path / "a[1].txt", subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    names = {
        "killed": f".a[1].txt.{platform.node()}.{done.pid}.partial",
        "alive": f".a[1].txt.{platform.node()}.{os.getppid()}.partial",
        "another machine": f".a[1].txt.{platform.node()}x.{done.pid}.partial",
        "another file": f".a1.txt.{platform.node()}.{done.pid}.partial",
        "no process": f".a[1].txt.{platform.node()}.x.partial",
    }
    for name in names.values():
        (tmp_path / name).touch()
    io.write_text(path, "new\n")
    expected = {path.name, *names.values()} - ({names["killed"]} if os.name == "posix" else set())
    assert {file.name for file in tmp_path.iterdir()} == expected


@pytest.mark.skipif(os.name != "posix", reason="this system does not tell which processes live")
def test_the_partial_folder_of_a_killed_process_goes_when_the_same_folder_is_written_again(tmp_path):
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    for process in (done.pid, os.getpid(), os.getppid()):
        (tmp_path / f".a.{platform.node()}.{process}.partial" / "below").mkdir(parents=True)
    with io.atomic_folder(tmp_path / "a") as partial:
        assert not list(partial.iterdir())
    assert {folder.name for folder in tmp_path.iterdir()} == {"a", f".a.{platform.node()}.{os.getppid()}.partial"}
