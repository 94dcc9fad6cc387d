"""A folder of files, and a zip or tar of one, read by the same functions."""

import contextlib
import errno
import gzip
import hashlib
import io
import os
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from qsmi_lib.datasets.images import files
from qsmi_lib.datasets.images.decoding import MOST_BYTES, SUFFIXES
from qsmi_lib.utils import paths
from qsmi_lib.utils.io import atomic_write
from qsmi_lib.utils.progress import bar

MOST_BYTES_UNPACKED = 20_000_000_000  # of a .tar.gz
MOST_RATIO = 100  # of these bytes to those of the .tar.gz, if it unpacks to more than `MOST_BYTES`
MOST_BYTES_OF_HEADER = 1_000_000  # of a member of a tar: its name and attributes
ARCHIVES = "a zip, .tar, .tar.gz or .tgz"
GZIP = b"\x1f\x8b"
OTHER_PACKERS = {
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf": "7-Zip",
    b"Rar!": "RAR",
}
ABOUT = re.compile(r"(read.?me|licen[cs]e|copying|copyright|notice|citation|changelog)|.*\.(md|rst|pdf|html?)$", re.I)
DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
    IndexError,
    OverflowError,
    MemoryError,
)  # what the standard library raises for damaged archives


class Tree:
    """The files of a folder, a zip or a tar: visible, regular, and named by paths with slashes and composed letters.

    Hidden files are skipped. So is a single folder around all files of an archive, with or without a README beside it;
    a folder that holds pictures alone is a class and stays. A .tar.gz is unpacked into the cache once.

    Args:
        source: the folder, zip or tar.
        links: whether links to folders below a folder are followed.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: a file that is no archive, or a damaged or encrypted one; or one of links, devices, paths out of it,
            or two files of one name. The message names the archive and the member.
        OSError: it cannot be read.
    """

    def __init__(self, source: Path, *, links: bool = True):
        self.source, self.packed = source, not source.is_dir()
        self._source = _open_archive(source) if self.packed else _Folder(source, links)

    def __enter__(self) -> "Tree":
        return self

    def __exit__(self, *_) -> None:
        self._source.close()

    def names(self) -> Iterator[str]:
        """Path of every file below the source, with slashes."""
        return iter(self._source.index)

    @property
    def left_out(self) -> dict[str, str]:
        """Paths in a folder that are not in `names` -> reason: see `files.find`."""
        return self._source.left_out

    def holds(self, name: str) -> bool:
        """Whether there is a file of that path."""
        return self._source.entry(name) is not None

    def bytes_of(self, name: str, limit: int = MOST_BYTES) -> bytes:
        """Content of a file of at most `limit` bytes.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it has more bytes, or is damaged.
            OSError: it cannot be read.
        """
        entry = self._entry(name)
        if self.packed and (size := self._source.size(entry)) > limit:
            raise ValueError(f"{name} of {self.source} has {size:,} bytes, expected at most {limit:,}")
        return self._source.read(entry, limit)

    def size(self, name: str) -> int:
        """Bytes of a file."""
        return self._source.size(self._entry(name))

    def fingerprint(self, name: str) -> str:
        """Identifies the content of a file without reading it: the checksum in a zip, else size and time of change."""
        return self._source.fingerprint(self._entry(name))

    def _entry(self, name: str):
        if (entry := self._source.entry(name)) is None:
            raise FileNotFoundError(f"there is no {name} in {self.source}")
        return entry


class _Folder:
    """The files of a folder; an entry is a path. Nothing is searched if lists name the files as the system does."""

    def __init__(self, place: Path, links: bool):
        self.place, self.links = place, links

    @cached_property
    def _found(self) -> tuple[dict[str, str], dict[str, str]]:
        return files.find(self.place, links=self.links)

    @property
    def index(self) -> dict[str, str]:
        return self._found[0]

    @property
    def left_out(self) -> dict[str, str]:
        return self._found[1]

    def entry(self, name: str) -> Path | None:
        if ".." in name.split("/") or os.path.isabs(name):
            return None
        if os.path.isfile(path := self.place / name):
            return path
        if name.isascii() and "\\" not in name:
            return None
        real = self.index.get(files.composed(name))
        return self.place / real if real else None

    def read(self, path: Path, limit: int) -> bytes:
        return files.read(path, limit)

    def size(self, path: Path) -> int:
        return path.stat().st_size

    def fingerprint(self, path: Path) -> str:
        state = path.stat()
        return f"{state.st_size}-{state.st_mtime_ns}"

    def close(self) -> None:
        pass


class _Zip:
    """The files of a zip; an entry is a `ZipInfo`."""

    def __init__(self, source: Path):
        self.source, self.left_out = source, {}
        with _damage_named(source):
            self.zip = zipfile.ZipFile(source)
        self.index = _index(source, ((_name(info), _fault(info), info) for info in self.zip.infolist()))

    def entry(self, name: str) -> zipfile.ZipInfo | None:
        return self.index.get(files.composed(name))

    def read(self, info: zipfile.ZipInfo, limit: int) -> bytes:
        """The member's content, cut at the size that the zip's directory states: a bomb unpacks to more."""
        with _damage_named(self.source, files.composed(_name(info))), self.zip.open(info) as file:
            return file.read(min(info.file_size, limit))

    def size(self, info: zipfile.ZipInfo) -> int:
        return info.file_size

    def fingerprint(self, info: zipfile.ZipInfo) -> str:
        return f"{info.CRC:08x}-{info.file_size}"

    def close(self) -> None:
        self.zip.close()


def _name(info: zipfile.ZipInfo) -> str:
    """The path in a zip: in UTF-8 also where the packer did not mark it, as on macOS."""
    with contextlib.suppress(UnicodeError):
        if not info.flag_bits & 0x800:
            return info.filename.encode("cp437").decode()
    return info.filename


def _fault(info: zipfile.ZipInfo) -> str:
    """Why a member of a zip is not read."""
    mode = info.external_attr >> 16 if info.create_system == 3 else 0
    if mode & 0o170000 not in (0, 0o100000, 0o040000):
        return "is a link or device: pack the files themselves"
    if info.flag_bits & 1:
        return "is encrypted: pack it without a password"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # the others unpack without a bound
        return f"is packed by method {info.compress_type}: pack it with deflate, the default of zip"
    return ""


class _Member(NamedTuple):
    """Where a file lies in a tar."""

    offset: int
    size: int


class _Tar:
    """The files of a tar that is not compressed; an entry is a `_Member`.

    Args:
        source: the archive; errors name it.
        place: the tar: the archive itself, or where it was unpacked to.
    """

    def __init__(self, source: Path, place: Path):
        state = source.stat()
        self.place, self.left_out, self.state = place, {}, f"{state.st_size}-{state.st_mtime_ns}"
        self.index = _index_of_tar(source, place, self.state)

    def entry(self, name: str) -> _Member | None:
        return self.index.get(files.composed(name))

    def read(self, member: _Member, limit: int) -> bytes:
        with self.place.open("rb") as file:
            file.seek(member.offset)
            if len(content := file.read(min(member.size, limit))) < member.size:
                raise ValueError(f"{self.place} has become shorter since it was opened")
            return content

    def size(self, member: _Member) -> int:
        return member.size

    def fingerprint(self, member: _Member) -> str:
        return f"{member.size}-{member.offset}-{self.state}"

    def close(self) -> None:
        pass


@lru_cache(maxsize=4)
def _index_of_tar(source: Path, place: Path, state: str) -> dict[str, _Member]:
    """The index of a tar, made once for each `state`: all headers of 60,000 files take seconds."""
    named = source if place == source else f"{source} (unpacked at {place})"
    with _damage_named(named), _Headers(place) as file:
        with tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
            members = list(_members(tar, place.stat().st_size))
        file.seek(tar.offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):  # tarfile stops without a word
            raise tarfile.ReadError(f"its end is missing, or no header is at byte {tar.offset:,}")
    return _index(named, members)


class _Headers(io.FileIO):
    """A tar of which only headers are read, so that a header of gigabytes is not."""

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MOST_BYTES_OF_HEADER:
            raise tarfile.ReadError(f"a header of {size:,} bytes, expected at most {MOST_BYTES_OF_HEADER:,}")
        return super().read(size)


def _members(tar: tarfile.TarFile, n_bytes: int) -> Iterator[tuple[str, str, _Member]]:
    """Name, fault and place of each member."""
    last = -1
    while (member := tar.next()) is not None:
        tar.members.clear()  # it would keep all of them
        if not last < member.offset <= member.offset_data <= member.offset_data + member.size <= n_bytes:
            raise tarfile.ReadError(f"{member.name} lies beyond its end")
        last = member.offset
        regular = member.isdir() or (member.isreg() and not member.issparse())
        fault = "" if regular else "is a link, a device or sparse: pack the files themselves"
        yield f"{member.name}{'/' * member.isdir()}", fault, _Member(member.offset_data, member.size)


def _open_archive(source: Path) -> _Zip | _Tar:
    """The archive; its first bytes decide what it is."""
    if not source.exists():
        raise FileNotFoundError(f"there is no {source}: expected a folder, or {ARCHIVES}")
    if not source.is_file():
        raise ValueError(f"{source} is a pipe or device: expected a folder, or {ARCHIVES}")
    with source.open("rb") as file:
        start = file.read(tarfile.BLOCKSIZE) if source.stat().st_size else b""
    for magic, packer in OTHER_PACKERS.items():
        if start.startswith(magic):
            raise ValueError(f"{source} is packed with {packer}: expected {ARCHIVES}; unpack it, and pass the folder")
    if start.startswith(GZIP):
        return _Tar(source, _unpacked(source))
    return _Tar(source, source) if source.suffix.lower() == ".tar" or _starts_tar(start) else _Zip(source)


def _starts_tar(start: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return False
    return True


def _unpacked(source: Path) -> Path:
    """The tar in a .tar.gz, in the cache: a member of a compressed file is found only by unpacking all before it."""
    state = source.stat()
    key = hashlib.sha256(
        f"{source.resolve()} {state.st_size} {state.st_mtime_ns}".encode(errors="surrogateescape")
    ).hexdigest()
    place = paths.cache() / "archives" / f"{key[:16]}.tar"
    if place.exists():
        return place
    most = min(MOST_BYTES_UNPACKED, max(MOST_BYTES, MOST_RATIO * state.st_size))
    with atomic_write(place) as partial, partial.open("wb") as file:
        for chunk in bar(_chunks(source), f"unpacking {source.name}", unit="MB"):
            if not file.tell() and any(chunk) and not _starts_tar(chunk[: tarfile.BLOCKSIZE]):
                raise ValueError(f"{source} holds no tar: expected {ARCHIVES}")
            if file.tell() + len(chunk) > most:
                raise ValueError(f"{source} unpacks to more than {most:,} bytes: unpack it, and pass the folder")
            file.write(chunk)
    return place


def _chunks(source: Path) -> Iterator[bytes]:
    """The unpacked bytes of a .gz, a megabyte at a time."""
    with gzip.open(source) as packed:
        while True:
            with _damage_named(source):
                chunk = packed.read(1 << 20)
            if not chunk:
                return
            yield chunk


def _index(source: Path | str, members: Iterable[tuple[str, str, object]]) -> dict[str, object]:
    """Path -> entry of the visible members, without a folder around all; a ValueError for one that is not safe."""
    index, most = {}, files.limit("QSMI_MOST_FILES", files.MOST_FILES)
    for n_seen, (name, fault, entry) in enumerate(members, 1):
        if n_seen > most:
            raise ValueError(f"{source} holds more than {most:,} files: raise QSMI_MOST_FILES")
        path = PurePosixPath(files.composed(name))
        if path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:/", str(path)):
            fault = "lies outside the archive: pack it with relative paths"
        elif any(map(files.hidden, path.parts)) or not path.parts or name.endswith(("/", "\\")):
            continue
        elif files.printable(str(path)) != str(path):
            fault = "has a name that is not UTF-8: rename it"
        elif str(path) in index:
            fault = "is in it twice: pack it once"
        if fault:
            raise ValueError(f"{source} cannot be used: {files.printable(name)} {fault}")
        index[str(path)] = entry
    return _without_outer_folder(index)


def _without_outer_folder(index: dict[str, object]) -> dict[str, object]:
    inner = {name: entry for name, entry in index.items() if "/" in name}
    beside = [name for name in index if "/" not in name]
    is_class = all(
        name.count("/") == 1 and (PurePosixPath(name).suffix.lower() in SUFFIXES or ABOUT.match(name.split("/")[1]))
        for name in inner
    )
    if len({name.split("/")[0] for name in inner}) != 1 or is_class or not all(map(ABOUT.match, beside)):
        return index
    return {name.partition("/")[2]: entry for name, entry in inner.items()}


@contextlib.contextmanager
def _damage_named(source: Path | str, member: str = "") -> Iterator[None]:
    """A ValueError that names the archive and the member instead of any of `DAMAGE`."""
    try:
        yield
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # of the disk, not of the content
            raise OSError(f"{source} cannot be read ({error.strerror})") from error
        where = f"at {member}" if member else f"or truncated: expected {ARCHIVES} of pictures"
        raise ValueError(f"{source} is damaged {where} ({str(error) or type(error).__name__})") from error
