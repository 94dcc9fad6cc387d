"""The folder of an index: `index.json`, written last, names the other files and their checksums.

The other files have the start of their checksum in their names, so a new version of an index never overwrites the old
one. A reader finds the old version or the new one, whole, also where a writer was killed.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock
from safetensors.numpy import load, save

from qsmi_lib.search.index.hashing import ITQ, QSMI, FeatureHasher
from qsmi_lib.utils import io
from qsmi_lib.utils.io import CHECKSUM
from qsmi_lib.utils.limits import BITS
from qsmi_lib.utils.reading import damaged, differs, parse_json, read_json
from qsmi_lib.utils.validation import whole_number

FORMAT = 1
MAIN = "index.json"
LOCK = ".lock"
AGAIN = "delete the folder and index again"
MOST_ITEMS, MOST_FEATURES = 100_000_000, 1_000_000
KINDS = PICTURES, VECTORS = "pictures", "vectors"
FILE = {"name": str, "sha256": str}
SCORES = {"method": str, "bits": int, "bytes": int, "remark": str}
SCORES |= dict.fromkeys(("map", "recall", "recall_100"), (float, None))
FORM = {
    "format": int,
    "kind": str,
    "source": str,
    "labelled": bool,
    "n_items": int,
    "n_features": int,
    "bits": int,
    "method": str,
    "seed": int,
    "settings": {...: float},
    "classes": [str],
    "labels": [str],
    "backbone": ({"name": str, "checksum": str, "precision": str, "preprocessing": {...: object}}, None),
    "scores": {"n_query": int, "n_database": int, "rows": [SCORES]},
    CHECKSUM: str,
    "files": {"items": FILE, "codes": FILE, "features": FILE, "hasher": FILE},
}
ITEM = {"name": str, "labels": ([str], None), "state": str, "sha256": str, "held_out": bool}


class Item(NamedTuple):
    """An item of an index.

    Attributes:
        name: path below the folder of the pictures, or the row's number.
        labels: None if they are unknown.
        state: identifies its content without reading it, see `sources.Source.state`.
        sha256: of its content.
        held_out: whether it asked a query of the scores, and was not trained on.
    """

    name: str
    labels: frozenset[str] | None
    state: str
    sha256: str
    held_out: bool = False


@dataclass(frozen=True)
class Contents:
    """All that an index holds.

    Attributes:
        about: the fields of `FORM`, without those that `write` adds: the format, the files and the numbers of items.
        items: one for each code.
        codes: uint8 (n, ceil(bits / 8)), packed by `numpy.packbits`.
        features: int8 (n, d), see `rounded`.
        scale: float32 (n,).
        hasher: from features to codes.
    """

    about: dict[str, Any]
    items: Sequence[Item]
    codes: np.ndarray
    features: np.ndarray
    scale: np.ndarray
    hasher: FeatureHasher


@dataclass(frozen=True)
class Stored:
    """An index in its folder: small files are in memory, the features are read when they are needed.

    Attributes:
        folder: of the index.
        about: the content of `index.json`.
        codes: uint8 (n, ceil(bits / 8)).
        hasher: from features to codes.
    """

    folder: Path
    about: dict[str, Any]
    codes: np.ndarray
    hasher: FeatureHasher
    _lines: list[bytes] = field(repr=False)

    def __len__(self) -> int:
        return len(self.codes)

    def item(self, row: int) -> Item:
        """The item of a row; a ValueError if its line is damaged."""
        path = self.folder / self.about["files"]["items"]["name"]
        try:
            value = parse_json(self._lines[row].decode())
        except ValueError as error:
            raise damaged(path, f"line {row + 1} is not JSON: {error}", AGAIN) from error
        if difference := differs(value, ITEM):
            raise damaged(path, f"line {row + 1}: {difference}", AGAIN)
        labels = None if value["labels"] is None else frozenset(value["labels"])
        return Item(value["name"], labels, value["state"], value["sha256"], value["held_out"])

    @property
    def items(self) -> Iterator[Item]:
        """All items, in the order of the codes."""
        return map(self.item, range(len(self)))

    @cached_property
    def _features(self) -> dict[str, np.ndarray]:
        n, d = len(self), self.about["n_features"]
        expected = {"features": (np.int8, (n, d)), "scale": (np.float32, (n,))}
        try:
            arrays = _tensors(self.folder, self.about["files"]["features"], expected)
            return {name: arrays[name] for name in expected}
        except FileNotFoundError:
            if _read_main(self.folder) == self.about:
                raise
            raise ValueError(f"{self.folder} was updated meanwhile: load it again") from None

    def features(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """The stored features of these rows as float32 (len(rows), d), see `rounded`."""
        return restored(*(part[rows] for part in self._features.values()))


def rounded(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, d) in 8 bits: int8 (n, d), and float32 (n,) by which each row is multiplied.

    The largest value of a row becomes 127 in size, so a value is off by at most 1/254 of the largest one.
    """
    scale = np.maximum(np.abs(features).max(axis=1), np.finfo(np.float32).tiny).astype(np.float32) / 127
    return np.rint(features / scale[:, None]).astype(np.int8), scale


def restored(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The features that `rounded` has rounded: float32 (n, d)."""
    return values * scale[:, None]


def holds_index(folder: Path) -> bool:
    """Whether there is an index in `folder`."""
    return (folder / MAIN).is_file()


def check_free(folder: Path) -> None:
    """A ValueError if `folder` is a file, or a folder of something else than an index."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file: name a folder for the index with --output")
    own = {folder / LOCK, *_written(folder)}  # without an index, they are of a process that was killed
    if folder.exists() and not holds_index(folder) and not own.issuperset(folder.iterdir()):
        raise ValueError(f"{folder} holds other files and no index: name another folder with --output")


def write(folder: Path, contents: Contents) -> None:
    """Write an index, in place of the one in `folder` if there is one; completely or not at all.

    Raises:
        OSError: a file cannot be written; the index that was there stays.
    """
    with io.naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with io.naming(folder), FileLock(folder / LOCK):
        before = set(_written(folder))
        lines = b"".join(_line(item) for item in contents.items)
        parts = {
            "items": ("jsonl", lines),
            "codes": ("safetensors", save({"codes": contents.codes})),
            "features": ("safetensors", save({"features": contents.features, "scale": contents.scale})),
            "hasher": ("safetensors", save(contents.hasher.arrays())),
        }
        files = {}
        for part, (suffix, content) in parts.items():
            digest = hashlib.sha256(content).hexdigest()
            files[part] = {"name": f"{part}-{digest[:12]}.{suffix}", "sha256": digest}
            io.write_bytes(folder / files[part]["name"], content)
        n, d = contents.features.shape
        about = {"format": FORMAT} | contents.about | {"n_items": n, "n_features": d, "files": files}
        io.write_text(folder / MAIN, json.dumps(about | {CHECKSUM: _checksum(about)}, indent=1) + "\n")
        for path in before - {folder / file["name"] for file in files.values()}:
            path.unlink(missing_ok=True)


def read(folder: Path) -> Stored:
    """The index in `folder`.

    Raises:
        FileNotFoundError: there is no index.
        ValueError: a file is damaged, missing, of another index, or of a later format; it is named.
    """
    if not holds_index(folder):
        raise FileNotFoundError(f"{folder} holds no index: expected a folder that `qsmi index` has written")
    about = _read_main(folder)
    try:
        return _read(folder, about)
    except FileNotFoundError:
        if (newer := _read_main(folder)) != about:  # it was replaced meanwhile
            return _read(folder, newer)
        raise


def _read_main(folder: Path) -> dict[str, Any]:
    """The content of `index.json`, without its checksum."""
    about = read_json(folder / MAIN, FORM, AGAIN, version=FORMAT)
    expected = about.pop(CHECKSUM)
    if (got := _checksum(about)) != expected:
        raise damaged(
            folder / MAIN, f"it was changed: its checksum is {got[:12]}..., expected {expected[:12]}...", AGAIN
        )
    return about


def _checksum(about: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _read(folder: Path, about: dict[str, Any]) -> Stored:
    n, files = about["n_items"], about["files"]
    sizes = {"n_items": MOST_ITEMS, "n_features": MOST_FEATURES, "bits": BITS}
    for name, most in sizes.items():
        try:
            whole_number(name, about[name], 1, most)
        except ValueError as error:
            raise damaged(folder / MAIN, error, AGAIN) from error
    for name, words in {"kind": KINDS, "method": (QSMI, ITQ)}.items():
        if about[name] not in words:
            raise damaged(folder / MAIN, f"{name} must be {' or '.join(words)}, got {about[name]!r}", AGAIN)
    codes = _tensors(folder, files["codes"], {"codes": (np.uint8, (n, -(-about["bits"] // 8)))})["codes"]
    lines = _content(folder, files["items"]).split(b"\n")
    if len(lines) != n + 1 or lines.pop():
        raise damaged(folder / files["items"]["name"], f"it has {len(lines)} lines, expected {n}", AGAIN)
    try:
        hasher = FeatureHasher.of(
            _tensors(folder, files["hasher"]), about["n_features"], about["bits"], about["method"]
        )
    except ValueError as error:
        raise damaged(folder / files["hasher"]["name"], error, AGAIN) from error
    return Stored(folder, about, codes, hasher, lines)


def _content(folder: Path, file: dict[str, str]) -> bytes:
    """The bytes of a file of the index; a ValueError if they are not those of its checksum."""
    path = folder / file["name"]
    if path.parent != folder:
        raise damaged(folder / MAIN, f"it names {file['name']!r}, which is no file of this folder", AGAIN)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing, a file of the index: {AGAIN}")
    content = path.read_bytes()
    if (got := hashlib.sha256(content).hexdigest()) != file["sha256"]:
        raise damaged(path, f"its SHA-256 is {got[:12]}..., expected {file['sha256'][:12]}...", AGAIN)
    return content


def _tensors(folder: Path, file: dict[str, str], expected: Mapping[str, tuple] | None = None) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file of the index; of these types and shapes, unless `expected` is None."""
    path, content = folder / file["name"], _content(folder, file)
    try:
        arrays = load(content)
        got = {name: (value.dtype.type, value.shape) for name, value in arrays.items()}
    except Exception as error:  # damaged bytes may raise any error
        raise damaged(path, f"it is no file of tensors: {error}", AGAIN) from error
    if expected is not None and got != expected:
        raise damaged(path, f"it holds {got}, expected {expected}", AGAIN)
    return arrays


def _line(item: Item) -> bytes:
    labels = None if item.labels is None else sorted(item.labels)
    return json.dumps(item._replace(labels=labels)._asdict(), ensure_ascii=False).encode() + b"\n"


def _written(folder: Path) -> Iterator[Path]:
    """The files of versions of the index, and those that killed processes have left unfinished."""
    for part in FORM["files"]:
        yield from folder.glob(f"{part}-{'[0-9a-f]' * 12}.*")
        yield from folder.glob(f".{part}-*.partial")
    yield from folder.glob(f".{MAIN}.*.partial")
