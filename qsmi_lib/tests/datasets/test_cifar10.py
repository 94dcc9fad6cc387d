"""CIFAR-10: a zip, a folder and torchvision's batches give the same split; nothing in a file is executed."""

import hashlib
import pickle
import re

import numpy as np
import pytest
import torch

from qsmi_lib import datasets
from qsmi_lib.datasets import DATASETS, cifar10, overlap
from qsmi_lib.tests.datasets import small_pictures
from qsmi_lib.tests.datasets.small_pictures import encoded
from qsmi_lib.utils import paths

CIFAR10 = DATASETS["cifar10"]
MEANS = (0.49140, 0.48216, 0.44653)  # of the training pixels in each channel, as published
HELP = r"put cifar10.zip, a folder cifar10/\{train,test\}/<class> or torchvision's download where QSMI_DATA points"
RANDOM = np.random.default_rng(0)
TREE = {
    (part, kind, f"{kind}_s_{number:06}"): RANDOM.integers(0, 256, (32, 32, 3), np.uint8)
    for part, n in {"train": 2, "test": 1}.items()
    for kind in cifar10.CLASSES
    for number in range(n)
}


def slow_pixels():
    """Pictures channel by channel, and labels: training pictures first, each part by the SHA-256 of the names."""
    images, labels = [], []
    for part in ("train", "test"):
        names = [(kind, stem) for where, kind, stem in TREE if where == part]
        for kind, stem in sorted(names, key=lambda name: hashlib.sha256("/".join(name).encode()).hexdigest()):
            images.append(TREE[part, kind, stem].transpose(2, 0, 1))
            labels.append(cifar10.CLASSES.index(kind))
    return np.stack(images), np.array(labels)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """An empty data folder; the tiny tree replaces CIFAR-10."""
    folder = tmp_path / "data"
    folder.mkdir()
    images, labels = slow_pixels()
    digest = hashlib.sha256(images.tobytes() + labels.astype(np.uint8).tobytes()).hexdigest()
    monkeypatch.setenv("QSMI_DATA", str(folder))
    for name, value in {"SHA256": digest, "N_TRAIN": 20, "N_QUERY": 10}.items():
        monkeypatch.setattr(cifar10, name, value)
    return folder


def files(tree):
    return {f"{'/'.join(entry)}.webp": encoded(pixels, "webp", lossless=True) for entry, pixels in tree.items()}


def write_zip(data, tree=TREE):
    return small_pictures.write_zip(data / "cifar10", files(tree), top="cifar10/")


def write_folder(data, tree=TREE):
    return small_pictures.write_folder(data / "cifar10", files(tree))


def write_batches(data, tree=TREE):
    """As torchvision unpacks them: five training batches and a test batch."""
    folder = data / "cifar-10-batches-py"
    folder.mkdir()
    train, test = ([entry for entry in tree if entry[0] == part] for part in ("train", "test"))
    batches = {f"data_batch_{k}": train[k - 1 :: 5] for k in range(1, 6)} | {"test_batch": test}
    for name, entries in batches.items():
        batch = {
            "batch_label": name,
            "labels": [cifar10.CLASSES.index(kind) for _, kind, _ in entries],
            "data": np.array([tree[entry].transpose(2, 0, 1).ravel() for entry in entries], np.uint8),
            "filenames": [f"{stem}.png" for *_, stem in entries],
        }
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    return folder


WRITERS = {"zip": write_zip, "folder": write_folder, "batches": write_batches}
each_source = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


@each_source
def test_every_source_gives_the_same_split(data, write):
    write(data)
    split = CIFAR10.load(0)
    images, labels = slow_pixels()
    for part, rows in ((split.train, slice(20)), (split.query, slice(20, None))):
        assert part.inputs.dtype == torch.uint8 and part.labels.dtype == torch.int64
        assert np.array_equal(part.inputs.numpy(), images[rows])
        assert np.array_equal(part.labels.numpy(), labels[rows])
    assert split.database is split.train
    assert (split.name, split.classes) == ("cifar10", cifar10.CLASSES)
    assert split.fingerprint == CIFAR10.fingerprint(0) == f"{cifar10.SHA256[:16]}-official"


def test_the_zip_is_preferred_to_the_folder_and_the_folder_to_the_batches(data):
    assert CIFAR10.find() is None
    for write in reversed(WRITERS.values()):
        assert write(data) == CIFAR10.find()


# Other pictures


@each_source
@pytest.mark.parametrize(("part", "n", "expected"), [("train", 19, 20), ("query", 9, 10)])
def test_another_number_of_pictures_is_refused(data, write, part, n, expected):
    tree = dict(TREE)
    del tree[next(entry for entry in tree if (entry[0] == "train") == (part == "train"))]
    source = write(data, tree)
    message = f"{re.escape(str(source))} holds {n} pictures of the part '{part}': expected {expected}"
    with pytest.raises(ValueError, match=message):
        CIFAR10.load(0)


@each_source
def test_other_pixels_or_labels_are_refused_and_not_cached(data, results, write):
    one, other = ("train", "cat", "cat_s_000000"), ("train", "dog", "dog_s_000000")
    source = write(data, TREE | {one: TREE[other], other: TREE[one]})
    message = (
        f"{re.escape(str(source))} does not hold CIFAR-10's pixels: expected SHA-256 {cifar10.SHA256}, got .*{HELP}"
    )
    with pytest.raises(ValueError, match=message):
        CIFAR10.load(0)
    assert not list(results.rglob("*.safetensors"))


@pytest.mark.parametrize("write", [write_zip, write_folder])
def test_another_class_or_an_unreadable_picture_is_named(data, write):
    source = write(data, TREE | {("train", "fish", "fish_s_000000"): TREE["train", "cat", "cat_s_000000"]})
    with pytest.raises(ValueError, match=rf"{re.escape(str(source))} holds the classes .*fish.*: expected airplane, "):
        CIFAR10.load(0)
    path = write_folder(data) / "test" / "frog" / "frog_s_000000.webp"
    (path.parents[2] / "train" / "fish" / "fish_s_000000.webp").unlink(missing_ok=True)
    (data / "cifar10.zip").unlink(missing_ok=True)
    path.write_bytes(b"this is text")
    with pytest.raises(ValueError, match=r"test/frog/frog_s_000000\.webp of .*cifar10 cannot be read as a picture"):
        CIFAR10.load(0)


# Batches


class Runs:
    """Unpickled, it opens a file to write to."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_batch_that_would_execute_something_is_refused_and_nothing_is_executed(data, tmp_path):
    path, trace = write_batches(data) / "data_batch_3", tmp_path / "executed"
    raw = pickle.dumps({"labels": [1], "data": Runs(trace), "filenames": ["a.png"]}, protocol=2)
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} is damaged .*it needs io.open, which no batch"):
        CIFAR10.load(0)
    assert not trace.exists()
    pickle.loads(raw)["data"].close()
    assert trace.exists()  # it does execute where pickles are trusted


@pytest.mark.parametrize("name", ["os system", "numpy load", "builtins eval", "torch load"])
def test_nothing_but_arrays_is_imported_for_a_batch(data, name):
    path = write_batches(data) / "test_batch"
    path.write_bytes(f"c{name.replace(' ', chr(10))}\n(S'1'\ntR.".encode())
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} .*it needs {name.replace(' ', '.')}, which no batch"):
        CIFAR10.load(0)


BATCH = {"labels": [1], "data": np.zeros((1, 3072), np.uint8), "filenames": ["a.png"]}
DAMAGES = {
    "text": b"this is text",
    "cut off": pickle.dumps(BATCH, 2)[:-50],
    "no dictionary": pickle.dumps([1, 2], 2),
    "no labels": pickle.dumps({k: v for k, v in BATCH.items() if k != "labels"}, 2),
    "other pixels": pickle.dumps(BATCH | {"data": np.zeros((1, 3000), np.uint8)}, 2),
    "fewer names": pickle.dumps(BATCH | {"filenames": []}, 2),
    "fewer pictures": pickle.dumps(BATCH | {"labels": [1, 2], "filenames": ["a.png", "b.png"]}, 2),
    "an eleventh class": pickle.dumps(BATCH | {"labels": [10]}, 2),
}


@pytest.mark.parametrize("raw", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_or_missing_batch_is_named(data, raw):
    path = write_batches(data) / "data_batch_2"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} is damaged or no batch of CIFAR-10: .*{HELP}"):
        CIFAR10.load(0)
    path.unlink()
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} is missing: expected torchvision's six .*; {HELP}"):
        CIFAR10.load(0)


@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_arrays_of_every_numpy_are_read(data, module):
    """The module of arrays was renamed; torchvision's file has the old name."""
    for path in write_batches(data).iterdir():
        raw = path.read_bytes()
        name = re.search(rb"cnumpy[a-z._]*\n_reconstruct", raw).group()
        path.write_bytes(raw.replace(name, f"c{module}\n_reconstruct".encode()))
    assert len(CIFAR10.load(0).train) == 20


# The cache of decoded pictures


CACHE_DAMAGES = {
    "none": lambda raw: raw,
    "cut off": lambda raw: raw[:-9],
    "flipped": lambda raw: raw[:-5] + bytes([raw[-5] ^ 1]) + raw[-4:],
    "text": lambda raw: b"x" * 500,
}


@pytest.mark.parametrize("damage", CACHE_DAMAGES.values(), ids=CACHE_DAMAGES)
def test_pictures_are_decoded_once_and_again_if_the_cache_is_damaged(data, results, monkeypatch, damage):
    sources, read = [], cifar10._read_pictures
    monkeypatch.setattr(cifar10, "_read_pictures", lambda source: sources.append(source) or read(source))
    write_zip(data)
    first = CIFAR10.load(0)
    expected = [part.inputs.clone() for part in (first.train, first.query)]
    (path,) = results.glob("cache/*.safetensors")
    raw = path.read_bytes()
    path.unlink()  # else the mapped pictures of the first call are damaged too
    path.write_bytes(damage(raw))
    again = CIFAR10.load(0)
    assert len(sources) == (1 if damage(raw) == raw else 2) and path.read_bytes() == raw
    assert torch.equal(again.train.inputs, expected[0]) and torch.equal(again.query.inputs, expected[1])
    assert again.train.labels.dtype == torch.int64


# Missing data


def test_missing_and_offline_says_how_to_get_it(data, monkeypatch):
    def offline(root, download):
        raise RuntimeError("Error downloading")

    monkeypatch.setattr("torchvision.datasets.CIFAR10", offline)
    message = rf"CIFAR-10 is not on this machine and its download failed \(Error downloading\): {HELP}"
    with pytest.raises(FileNotFoundError, match=message):
        datasets.load("cifar10")


def test_missing_and_online_is_downloaded_once(data, monkeypatch):
    requests = []

    def download(root, download):
        requests.append((root, download))
        write_batches(root)

    monkeypatch.setattr("torchvision.datasets.CIFAR10", download)
    for _ in range(2):
        assert len(datasets.load("cifar10").train) == 20
    assert requests == [(data, True)]


# The real pictures


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    if CIFAR10.find() is None:
        pytest.skip("cifar10.zip is not under QSMI_DATA")
    with pytest.MonkeyPatch.context() as patch:
        if not (paths.cache() / f"cifar10-{cifar10.SHA256[:16]}.safetensors").exists():
            patch.setenv("QSMI_RESULTS", str(tmp_path_factory.mktemp("results")))  # a test writes no other folder
        yield datasets.load("cifar10")


def test_the_real_pictures_have_the_published_numbers_and_means(real):
    assert real.database is real.train
    for part, n in ((real.train, 5000), (real.query, 1000)):
        assert part.inputs.shape == (10 * n, 3, 32, 32) and part.inputs.dtype == torch.uint8
        assert part.labels.bincount().tolist() == [n] * 10
    means = torch.stack([batch.float().mean((0, 2, 3)) / 255 for batch in real.train.inputs.split(1000)]).mean(0)
    assert means.tolist() == pytest.approx(MEANS, abs=1e-4)


def test_no_query_picture_of_table_5_is_in_the_training_set_or_the_database(real):
    for protocol, n_database in {"sampled": 54_000, "sampled_all": 59_000}.items():
        split = datasets.PROTOCOLS[protocol](real, 0)
        assert (len(split.train), len(split.query), len(split.database)) == (5000, 1000, n_database)
        assert overlap(split.query, split.train) == overlap(split.query, split.database) == 0
