"""Everything that reads a file which someone else may have made or damaged, each with valid files to start from."""

import gzip
import hashlib
import importlib.util
import io
import json
import pickle
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from qsmi_lib import QSMIHasher
from qsmi_lib.codes import pack
from qsmi_lib.config.presets import configure
from qsmi_lib.datasets import cifar10
from qsmi_lib.datasets.images import manifest, matlab
from qsmi_lib.datasets.images.check import inspect
from qsmi_lib.datasets.protocols import checksum, read_list
from qsmi_lib.models.weights import load_weights
from qsmi_lib.reproduction.results import row_of
from qsmi_lib.search.index import compression, hashing, storage, vectors
from qsmi_lib.search.index.index import Index
from qsmi_lib.search.index.label_tables import read_labels
from qsmi_lib.search.uploads import opened
from qsmi_lib.tests.datasets import layouts
from qsmi_lib.tests.datasets.small_pictures import encoded, listing, picture, pixels, table, write_folder, write_zip
from qsmi_lib.tests.fuzz.damage import changed, damaged
from qsmi_lib.training import factory
from qsmi_lib.training.records import Store, load_codes, load_record, save_record
from qsmi_lib.training.tuning import load_search
from qsmi_lib.utils import paths
from qsmi_lib.utils.io import CHECKSUM, write_arrays
from qsmi_lib.utils.reading import map_array, read_table

NAMES = ("a.png", "b.png", "with blank.png", "below/c.png", "below/é.png")


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        file: name of the file that is damaged; a refusal must contain it, or the name of its folder.
        files: makes the contents of the file.
        read: reads the file at a path.
        beside: files that lie in its folder and are whole.
    """

    file: str
    files: Callable[[], st.SearchStrategy[bytes]]
    read: Callable[[Path], object]
    beside: Callable[[], dict[str, bytes]] = dict

    def attempt(self, content: bytes, folder: Path) -> str:
        """ "read" or "refused"; an error other than a clear refusal, which names the file, passes through."""
        path = folder / self.file
        path.write_bytes(content)
        try:
            self.read(path)
        except (ValueError, OSError) as error:
            assert self.file in str(error) or str(folder) in str(error), f"the file is not named: {error}"
            return "refused"
        return "read"


def mutated(*valid: bytes) -> st.SearchStrategy[bytes]:
    return damaged(valid)


@cache
def _written(save: Callable[[Path], None], name: str) -> bytes:
    """The content of the file that `save` writes."""
    with tempfile.TemporaryDirectory() as folder:
        save(path := Path(folder, name))
        return path.read_bytes()


def _zipped(content: dict[str, bytes]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write_zip(Path(folder, "set"), content).read_bytes()


@cache
def _pictures() -> dict[str, bytes]:
    return {name: picture(number) for number, name in enumerate(NAMES)}


def _labels(path: Path) -> None:
    items = manifest.read(path.parent).checked()
    assert len(items) == len(items.labels) == len(items.where)
    assert set(items.paths) <= set(NAMES), "a picture that is not there"


def _check(path: Path) -> None:
    inspect(path)


def _lists() -> st.SearchStrategy[bytes]:
    plain = [name for name in NAMES if " " not in name]
    multi = listing({name: (row % 2, 1 - row % 2, 1) for row, name in enumerate(plain)})
    single = listing({name: (row % 3,) for row, name in enumerate(plain)})
    return mutated(multi.encode(), single.encode(), multi.encode("utf-16"), single.replace(" ", "\t").encode())


def _tables() -> st.SearchStrategy[bytes]:
    multi = table({name: (row % 2, 1) for row, name in enumerate(NAMES)}, ("cat", "dog"))
    named = "file,class\n" + "".join(f"{name},{'ab'[row % 2]}\n" for row, name in enumerate(NAMES))
    return mutated(multi.encode(), named.encode(), named.replace(",", ";").encode(), multi.encode("utf-8-sig"))


def _lines() -> st.SearchStrategy[bytes]:
    """A table of JSON Lines, as Hugging Face has it."""
    rows = [json.dumps({"file_name": name, "label": "ab"[row % 2]}) for row, name in enumerate(NAMES)]
    return mutated("\n".join(rows).encode())


def _coco() -> st.SearchStrategy[bytes]:
    valid = json.loads(layouts.coco({name: "cat" if row % 2 else "dog, owl" for row, name in enumerate(NAMES)}))
    return mutated(json.dumps(valid).encode()) | changed(valid).map(lambda value: json.dumps(value).encode())


def _matlab() -> st.SearchStrategy[bytes]:
    return mutated(*(layouts.matlab(labels=[1, 2, 3], compressed=compressed) for compressed in (True, False)))


def _arrays_of_matlab(path: Path) -> None:
    try:
        matlab.arrays(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error  # as its caller does, which knows the file


def _zips() -> st.SearchStrategy[bytes]:
    files = {f"{'ab'[row % 2]}/{row}.png": picture(row) for row in range(4)}
    return mutated(
        _zipped(files), _zipped(files | {"labels.csv": table({name: (1, 0) for name in files}, "xy").encode()})
    )


def _tars() -> st.SearchStrategy[bytes]:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for row in range(4):
            (member := tarfile.TarInfo(f"{'ab'[row % 2]}/{row}.png")).size = len(picture(row))
            tar.addfile(member, io.BytesIO(picture(row)))
    return mutated(content.getvalue(), gzip.compress(content.getvalue()))


def _picture_files() -> st.SearchStrategy[bytes]:
    formats = {"png": {}, "jpeg": {}, "gif": {}, "bmp": {}, "webp": {}, "tiff": {"compression": "tiff_lzw"}, "ppm": {}}
    grey = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000).save(grey, "png")
    palette = io.BytesIO()
    Image.fromarray(pixels(1)).quantize(4).save(palette, "png", transparency=0)
    files = [encoded(pixels(0), suffix, **options) for suffix, options in formats.items()]
    return mutated(*files, grey.getvalue(), palette.getvalue())


def _upload(path: Path) -> None:
    assert opened(path.read_bytes(), path.name).mode == "RGB"


def _record() -> dict:
    config = configure("digits", "qsmi", 12)
    metrics = {"map_11pt": 0.5, "map": 0.5, "map_at_k": {"1": 0.5}, "precision_at_recall": [0.5] * 11}
    provenance = {"commit": None, "precision": "float32", "seconds_train": 1.0, "threads": 1}
    history = [{"epoch": 0, "loss": 1.0}]
    return {"config": config.to_dict(), "metrics": metrics, "codes": {"entropy": 0.5}, "history": history,
            "probe": [1.0, 2.0, 3.0], "provenance": provenance}  # fmt: skip


def _records() -> st.SearchStrategy[bytes]:
    valid = _written(lambda path: save_record(_record(), path), "record.json")
    return mutated(valid) | changed(json.loads(valid)).map(lambda value: json.dumps(value).encode())


def _read_record(path: Path) -> None:
    row_of(load_record(path))


def _save_codes(path: Path) -> None:
    codes, labels = pack(np.sign(np.arange(48).reshape(4, 12) % 5 - 1.5).astype(np.int8)), np.arange(4)
    write_arrays(path, bits=np.array(12), query=codes, database=codes, query_labels=labels, database_labels=labels)


def _searches() -> st.SearchStrategy[bytes]:
    valid = next(Store(paths.COMMITTED).tuning.glob("*.json")).read_bytes()
    return mutated(valid) | changed(json.loads(valid)).map(lambda value: json.dumps(value).encode())


def _lists_of_splits() -> st.SearchStrategy[bytes]:
    content = {"data": "digits", "train": [0, 1], "query": [2], "sha256": checksum({"train": [0, 1], "query": [2]})}
    return mutated(json.dumps(content).encode()) | changed(content).map(lambda value: json.dumps(value).encode())


def _published() -> st.SearchStrategy[bytes]:
    return mutated(b"method,bits,map\nqsmi,48,0.861\ndsh,48,0.819\n")


def _save_array(path: Path) -> None:
    np.save(path, np.arange(12, dtype=np.float32).reshape(3, 4))


def _vectors() -> st.SearchStrategy[bytes]:
    wide = {name: [1.0, 2.0, 3.0, 4.0] for name in "xyz"}
    lists = {"v": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]], "name": list("abcd")}
    frames = [pd.DataFrame(columns | {"label": list("klkl")}) for columns in (wide, lists)]
    return mutated(*(_written(frame.to_parquet, f"{k}.parquet") for k, frame in enumerate(frames)))


def _read_vectors(path: Path) -> None:
    values = vectors.read(path)
    assert len(vectors.read_names(path) or values) == len(read_labels(path, len(values))) == len(values)
    assert np.isfinite(values).all()


def _label_tables() -> st.SearchStrategy[bytes]:
    return mutated(b"label\ncat\ndog\n\ncat\n", b"a,b\n1,0\n0,1\n1,1\n0,0\n", b"name;class\na;k\nb;l\nc;k\nd;k\n")


def _save_hasher(path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    QSMIHasher(bits=4, epochs=1, hidden=2, random_state=0).fit(vectors, np.arange(8) % 2).save(path)


def _save_model(path: Path) -> None:
    config = configure("digits", "qsmi", 12)
    factory.save(factory.of(config), config, path)


@cache
def _index() -> dict[str, bytes]:
    """The files of an index of six vectors, by name."""
    vectors, labels = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32), ["a", "ab", "b"] * 2
    hasher = hashing.fit(vectors, None, 3)
    scores = compression.to_record(compression.table(vectors, None, bits=[3]))
    about = {"kind": "vectors", "source": "v.npy", "labelled": True, "bits": 3, "method": hasher.method, "seed": 0,
             "settings": {}, "classes": ["a"], "labels": ["a", "b"], "backbone": None, "scores": scores}  # fmt: skip
    items = [storage.Item(str(row), frozenset(own), "state", "digest") for row, own in enumerate(labels)]
    codes = np.packbits(hasher.codes(vectors) > 0, axis=1)
    with tempfile.TemporaryDirectory() as folder:
        storage.write(Path(folder), storage.Contents(about, items, codes, *storage.rounded(vectors), hasher))
        return {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.name != storage.LOCK}


def _indexes() -> st.SearchStrategy[bytes]:
    valid = _index()[storage.MAIN]
    return mutated(valid) | changed(json.loads(valid)).map(_signed)


def _signed(about: object) -> bytes:
    """The main file of an index, with a checksum that fits: another program may have written it."""
    if isinstance(about, dict):
        about = {name: value for name, value in about.items() if name != CHECKSUM}
        about[CHECKSUM] = storage._checksum(about)
    return json.dumps(about).encode()


def _index_part(part: str, suffix: str) -> Target:
    """The target of a file of an index, whose main file names it with a checksum that fits."""
    name = f"{part}-0.{suffix}"

    def read(path: Path) -> None:
        about = json.loads(_index()[storage.MAIN])
        about["files"][part] = {"name": name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        path.with_name(storage.MAIN).write_bytes(_signed(about))
        _read_index(path)

    return Target(name, lambda: mutated(*(_index()[file] for file in _index() if file.startswith(part))), read, _index)


def _read_index(path: Path) -> None:
    index = Index.load(path.parent)
    assert len([*index.stored.items]) == len(index) == len(index.stored.features(range(len(index))))
    assert compression.lines(compression.from_record(index.stored.about["scores"]))
    assert len(index.search(np.ones(index.stored.about["n_features"], np.float32), k=2, rerank=3)) == 2


def _batch() -> bytes:
    batch = {"data": np.zeros((2, 3072), np.uint8), "labels": [0, 1], "filenames": ["x_1.png", "y_2.png"]}
    return pickle.dumps(batch, protocol=2)


def _weights(suffix: str) -> bytes:
    def save(path: Path) -> None:
        torch.save(nn.Linear(2, 2).state_dict(), path)

    return _written(save, f"weights{suffix}")


TARGETS = {
    "lists": Target("labels.txt", _lists, _labels, _pictures),
    "tables": Target("labels.csv", _tables, _labels, _pictures),
    "jsonl": Target("metadata.jsonl", _lines, _labels, _pictures),
    "coco": Target("instances_train.json", _coco, _labels, _pictures),
    "matlab": Target("labels.mat", _matlab, _arrays_of_matlab),
    "zips": Target("pictures.zip", _zips, _check),
    "tars": Target("pictures.tar", _tars, _check),
    "pictures": Target("upload.png", _picture_files, _upload),
    "records": Target("record.json", _records, _read_record),
    "codes": Target("codes.npz", lambda: mutated(_written(_save_codes, "codes.npz")), load_codes),
    "searches": Target("search.json", _searches, load_search),
    "splits": Target("split.json", _lists_of_splits, lambda path: read_list(path, "digits", 3)),
    "published": Target("table.csv", _published, lambda path: read_table(path, {"method": object, "map": float})),
    "arrays": Target("array.npy", lambda: mutated(_written(_save_array, "array.npy")), map_array),
    "vectors": Target("vectors.npy", lambda: mutated(_written(_save_array, "vectors.npy")), vectors.read),
    "label tables": Target("labels.csv", _label_tables, lambda path: read_labels(path, 4)),
    "hashers": Target("h.safetensors", lambda: mutated(_written(_save_hasher, "h.safetensors")), QSMIHasher.load),
    "indexes": Target(storage.MAIN, _indexes, _read_index, _index),
    "index items": _index_part("items", "jsonl"),
    "index codes": _index_part("codes", "safetensors"),
    "index features": _index_part("features", "safetensors"),
    "index hashers": _index_part("hasher", "safetensors"),
    "models": Target("m.safetensors", lambda: mutated(_written(_save_model, "m.safetensors")), factory.load),
    "weights": Target("weights.pt", lambda: mutated(_weights(".pt")), lambda path: load_weights(nn.Linear(2, 2), path)),
    "cifar10": Target(
        "data_batch_1",
        lambda: mutated(_batch()),
        lambda path: cifar10._read_batches(path.parent),
        lambda: {name: _batch() for files in cifar10.FILES.values() for name in files},
    ),
}

if importlib.util.find_spec("pyarrow"):
    TARGETS["parquet"] = Target("vectors.parquet", _vectors, _read_vectors)


def prepare(target: Target, folder: Path) -> None:
    """Write what lies beside the file."""
    write_folder(folder, target.beside())
