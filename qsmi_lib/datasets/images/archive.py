"""A folder of files, or a zip of one: read alike."""

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


class Tree:
    """The files below a folder, or in a zip, there below the folder that holds all; hidden ones are passed over.

    Args:
        source: the folder or the zip.

    Raises:
        FileNotFoundError: there is nothing of that name.
        ValueError: a file that is no zip, or a damaged one; the message names it.
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
        shown = {path: info for path, info in files.items() if not _hidden(path)}
        wrapped = len({path.parts[0] for path in shown}) == 1 and all(len(path.parts) > 1 for path in shown)
        self._infos = {"/".join(path.parts[wrapped:]): info for path, info in shown.items()}

    def __enter__(self) -> "Tree":
        return self

    def __exit__(self, *_) -> None:
        if self.zip is not None:
            self.zip.close()

    def names(self) -> Iterator[str]:
        """Every file below the folder, its path with slashes."""
        if self.zip is not None:
            yield from self._infos
            return
        for folder, folders, files in os.walk(self.source, followlinks=True):
            if os.path.realpath(folder) in map(os.path.realpath, Path(folder).parents):  # a link to a folder above
                folders.clear()
                continue
            own = PurePosixPath(Path(folder).relative_to(self.source).as_posix())
            folders[:] = sorted(name for name in folders if not _hidden(PurePosixPath(name)))
            yield from (str(own / name) for name in sorted(files) if not _hidden(PurePosixPath(name)))

    def holds(self, name: str) -> bool:
        """Whether there is a file of that path."""
        return name in self._infos if self.zip is not None else (self.source / name).is_file()

    def bytes_of(self, name: str) -> bytes:
        """What is in a file; a ValueError names a zip whose checksum of it does not hold."""
        if self.zip is None:
            return (self.source / name).read_bytes()
        try:
            return self.zip.read(self._infos[name])
        except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, zipfile.zlib.error) as error:
            raise ValueError(f"{self.source} is damaged at {name}: {error}") from error

    def size(self, name: str) -> int:
        """Bytes of a file."""
        return self._infos[name].file_size if self.zip is not None else (self.source / name).stat().st_size

    def mark(self, name: str) -> str:
        """What stands for the content of a file without reading it: a zip's checksum, else size and time of change."""
        if self.zip is not None:
            return f"{self._infos[name].CRC:08x}-{self._infos[name].file_size}"
        state = (self.source / name).stat()
        return f"{state.st_size}-{state.st_mtime_ns}"


def _hidden(path: PurePosixPath) -> bool:
    return any(step.startswith((".", "__MACOSX")) for step in path.parts)
