"""Files of a folder: found within a limit of files and seconds, and read without waiting for pipes or devices."""

import os
import stat
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from qsmi_lib.utils.progress import bar

MOST_FILES = 3_000_000  # files and folders below a source; QSMI_MOST_FILES replaces it
MOST_SECONDS = 120  # to find them; QSMI_MOST_SECONDS replaces it
FILE, FOLDER, HIDDEN = "file", "folder", "hidden"  # kinds of what is in a folder
SYSTEM_NAMES = {"__MACOSX", "lost+found", "Thumbs.db", "desktop.ini"}  # of packers and systems


def composed(name: str) -> str:
    """A path with slashes and composed letters: macOS decomposes the letters, and Windows writes backslashes."""
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def hidden(step: str) -> bool:
    """Whether a file or folder of that name is left out without a word."""
    return step.startswith(".") or step in SYSTEM_NAMES


def limit(variable: str, default: int) -> int:
    """The whole number in an environment variable, or the default; a ValueError if it is none above 0."""
    if not (text := os.environ.get(variable)):
        return default
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ValueError(f"{variable} must be a whole number above 0, got {text!r}")
    return int(text)


def printable(name: str) -> str:
    """A file name as text that can be encoded: bytes that are no UTF-8 become escapes."""
    return os.fsencode(name).decode(errors="backslashreplace")


def find(folder: Path, *, links: bool = True) -> tuple[dict[str, str], dict[str, str]]:
    """The visible regular files below a folder, and what is left out.

    Args:
        folder: to search.
        links: whether links to folders are followed; one to a folder that contains it never is.

    Returns:
        Paths below the folder, `composed`, in alphabetical order -> as the file system has them; and paths left out ->
        reason: links to nothing, pipes and devices, folders that cannot be listed (they end with a slash), names that
        are not UTF-8.

    Raises:
        ValueError: more files than `MOST_FILES`, more seconds than `MOST_SECONDS`, or two names that differ only in the
            form of their letters.
        OSError: the folder itself cannot be listed.
    """
    most_files, most_seconds = limit("QSMI_MOST_FILES", MOST_FILES), limit("QSMI_MOST_SECONDS", MOST_SECONDS)
    deadline = time.monotonic() + most_seconds
    found, left_out = {}, {}
    for n_seen, (name, kind) in enumerate(bar(_walk(folder, links), f"finding files in {folder}", unit="file"), 1):
        if n_seen > most_files:
            raise ValueError(_too_much(folder, f"more than {most_files:,} files", "QSMI_MOST_FILES"))
        if time.monotonic() > deadline:
            raise ValueError(_too_much(folder, f"more files than {most_seconds} s find", "QSMI_MOST_SECONDS"))
        key = name if name.isascii() and "\\" not in name else composed(name)
        if kind == FILE and printable(name) != name:
            left_out[printable(name)] = "its name is not UTF-8: rename it"
        elif kind == FILE and key in found:
            raise ValueError(f"{folder} holds two files named {key}: rename one")
        elif kind == FILE:
            found[key] = name
        elif kind not in (FOLDER, HIDDEN):
            left_out[printable(name)] = kind
    return dict(sorted(found.items())), left_out


def folders(folder: Path) -> list[Path]:
    """A folder and all visible ones below it, also empty ones; `find`, which has limits, is to be called first.

    Raises:
        OSError: the folder itself cannot be listed.
    """
    return [folder, *(folder / name for name, kind in _walk(folder, True) if kind == FOLDER)]


def _walk(folder: Path, links: bool) -> Iterator[tuple[str, str]]:
    """Path below the folder and kind of all that is in it: `FILE`, `FOLDER`, `HIDDEN`, or why it is none of these."""
    above = frozenset(_identity(place) for place in (folder.resolve(), *folder.resolve().parents))
    ahead = [("", above)]
    while ahead:
        below, above = ahead.pop()
        try:
            with os.scandir(folder / below) as entries:
                for entry in entries:
                    name = f"{below}/{entry.name}" if below else entry.name
                    kind, identity = _kind(entry)
                    if kind == FOLDER and identity not in above and (links or not entry.is_symlink()):
                        ahead.append((name, above | {identity}))
                    yield name, kind
        except OSError as error:
            if not below:
                raise
            if not isinstance(error, (FileNotFoundError, ProcessLookupError)):  # it vanished
                yield f"{below}/", f"cannot be listed ({error.strerror}): make it readable"


def read(path: Path, most: int) -> bytes:
    """Content of a regular file of at most `most` bytes.

    Raises:
        ValueError: it has more.
        OSError: it cannot be read, or is a pipe or device.
    """
    with open(path, "rb", opener=_without_waiting) as file:
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode):
            raise OSError(f"{printable(str(path))} is not a regular file: expected no pipe or device")
        if state.st_size > most:
            raise ValueError(f"{printable(str(path))} has {state.st_size:,} bytes, expected at most {most:,}")
        return file.read(state.st_size)  # nothing of the files of /proc, which claim to be empty


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe without a writer would be waited for


def _kind(entry: os.DirEntry) -> tuple[str, tuple[int, int] | None]:
    """The kind of an entry, and of a folder what identifies it."""
    try:
        if hidden(entry.name):
            return HIDDEN, None
        if entry.is_dir():
            return FOLDER, _identity(entry)
        if entry.is_file():
            return FILE, None
        return "a link to nothing: remove it" if entry.is_symlink() else "a pipe or device: remove it", None
    except OSError as error:
        return f"cannot be read ({error.strerror})", None


def _identity(place: Path | os.DirEntry) -> tuple[int, int]:
    state = os.stat(place)
    return state.st_dev, state.st_ino


def _too_much(folder: Path, what: str, variable: str) -> str:
    return f"{folder} holds {what}: pass the folder of one data set, or raise {variable}"
