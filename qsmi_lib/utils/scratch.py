"""The temporary folder and files of this process; a later process removes them if this one is killed."""

import atexit
import contextlib
import glob
import os
import platform
import shutil
import tempfile
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

PREFIX = "qsmi_lib-scratch-"
LOCK = "lock"  # name of a file in the folder; its process holds a lock on it as long as it lives


@cache
def folder() -> Path:
    """The temporary folder of this process, removed at its end; the folders of processes that were killed go first."""
    remove_left_behind()
    lock = None
    while lock is None:
        made = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = _locked(made)
    atexit.register(_remove, made, lock, os.getpid())
    return made


def remove_left_behind() -> None:
    """Remove the folders that `folder` made for this user and whose lock nobody holds."""
    user = getattr(os, "getuid", lambda: 0)()  # on Windows the folder of temporary files belongs to the user
    for file in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}"):
        with contextlib.suppress(Timeout, OSError):
            if file.lstat().st_uid == file.parent.lstat().st_uid == user:
                with FileLock(file, timeout=0):
                    shutil.rmtree(file.parent, ignore_errors=True)


def beside(path: Path) -> Path:
    """A hidden file or folder beside `path` for this process to write; those of killed processes go first."""
    start = f".{path.name}.{platform.node()}."  # folders may be shared by several machines
    for left in path.parent.glob(f"{glob.escape(start)}*.partial"):
        process = left.name[len(start) : -len(".partial")]
        if process.isdecimal() and not _lives(int(process)):
            shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink(missing_ok=True)
    return path.with_name(f"{start}{os.getpid()}.partial")


def _lives(process: int) -> bool:
    """Whether a process with this number lives; where the system does not tell, it does."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)  # sends nothing
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def _locked(made: Path) -> FileLock | None:
    """The held lock of the folder `made`; None if another process took it for one left behind, and removed it."""
    lock = FileLock(made / LOCK)
    with contextlib.suppress(FileNotFoundError):
        lock.acquire()
    return lock if lock.is_locked and (made / LOCK).exists() else None


def _remove(made: Path, lock: FileLock, process: int) -> None:
    """Remove the folder at the end of the process that made it, and not at the end of one forked from it."""
    if os.getpid() == process:
        lock.release()
        shutil.rmtree(made, ignore_errors=True)
