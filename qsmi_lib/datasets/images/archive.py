"""A folder of files and a zip of one, read by the same functions."""

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


class Tree:
    """The files of a folder or a zip. Hidden files are skipped; so is a single folder around all files of a zip.

    Args:
        source: the folder or the zip.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: a file that is not a zip, or is damaged; the message names it.
    """

    def __init__(self, source: Path):
        self.source, self.zip = source, None
        if source.is_dir():
            return
        try:
            self.zip = zipfile.ZipFile(source)
        except zipfile.BadZipFile as error:
            raise ValueError(
                f"{source} is damaged or truncated: expected a zip of pictures, but {str(error).lower()}"
            ) from error
        files = {PurePosixPath(info.filename): info for info in self.zip.infolist() if not info.is_dir()}
        visible = {path: info for path, info in files.items() if not _hidden(path)}
        wrapped = len({path.parts[0] for path in visible}) == 1 and all(len(path.parts) > 1 for path in visible)
        self._infos = {"/".join(path.parts[wrapped:]): info for path, info in visible.items()}

    def __enter__(self) -> "Tree":
        return self

    def __exit__(self, *_) -> None:
        if self.zip is not None:
            self.zip.close()

    def names(self) -> Iterator[str]:
        """Path of every file below the source, with slashes."""
        if self.zip is not None:
            yield from self._infos
            return
        for folder, folders, files in os.walk(self.source, followlinks=True):
            if os.path.realpath(folder) in map(os.path.realpath, Path(folder).parents):  # a link to a folder above
                folders.clear()
                continue
            below = PurePosixPath(Path(folder).relative_to(self.source).as_posix())
            folders[:] = sorted(name for name in folders if not _hidden(PurePosixPath(name)))
            yield from (str(below / name) for name in sorted(files) if not _hidden(PurePosixPath(name)))

    def holds(self, name: str) -> bool:
        """Whether there is a file of that path."""
        return name in self._infos if self.zip is not None else (self.source / name).is_file()

    def bytes_of(self, name: str) -> bytes:
        """Content of a file; a ValueError names the zip if the file's checksum is wrong."""
        if self.zip is None:
            return (self.source / name).read_bytes()
        try:
            return self.zip.read(self._infos[name])
        except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, zipfile.zlib.error) as error:
            raise ValueError(f"{self.source} is damaged at {name}: {error}") from error

    def size(self, name: str) -> int:
        """Bytes of a file."""
        return self._infos[name].file_size if self.zip is not None else (self.source / name).stat().st_size

    def fingerprint(self, name: str) -> str:
        """Identifies the content of a file without reading it: the checksum in a zip, else size and time of change."""
        if self.zip is not None:
            return f"{self._infos[name].CRC:08x}-{self._infos[name].file_size}"
        state = (self.source / name).stat()
        return f"{state.st_size}-{state.st_mtime_ns}"


def _hidden(path: PurePosixPath) -> bool:
    return any(step.startswith((".", "__MACOSX")) for step in path.parts)
