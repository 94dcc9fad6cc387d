"""CIFAR-10: a zip, a folder and torchvision's batches give the same split; nothing in a file is executed."""

import hashlib
import io
import pickle
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from qsmi_lib import datasets
from qsmi_lib.datasets import cifar10, overlap
from qsmi_lib.utils import paths

HERE = (paths.data() / "cifar10.zip").exists()
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
    """Pictures channel by channel, and labels: training pictures first, each part by the digest of the names."""
    images, labels = [], []
    for part in ("train", "test"):
        own = [(kind, stem) for where, kind, stem in TREE if where == part]
        for kind, stem in sorted(own, key=lambda item: hashlib.sha256("/".join(item).encode()).hexdigest()):
            images.append(TREE[part, kind, stem].transpose(2, 0, 1))
            labels.append(cifar10.CLASSES.index(kind))
    return np.stack(images), np.array(labels)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """An empty data folder; the tiny tree takes the place of CIFAR-10."""
    folder = tmp_path / "data"
    folder.mkdir()
    images, labels = slow_pixels()
    digest = hashlib.sha256(images.tobytes() + labels.astype(np.uint8).tobytes()).hexdigest()
    monkeypatch.setenv("QSMI_DATA", str(folder))
    for name, value in {"SHA256": digest, "N_TRAIN": 20, "N_QUERY": 10}.items():
        monkeypatch.setattr(cifar10, name, value)
    return folder


def encoded(pixels):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "webp", lossless=True)
    return content.getvalue()


def write_zip(data, tree=TREE):
    with zipfile.ZipFile(data / "cifar10.zip", "w") as file:
        for (part, kind, stem), pixels in tree.items():
            file.writestr(f"cifar10/{part}/{kind}/{stem}.webp", encoded(pixels))
    return data / "cifar10.zip"


def write_folder(data, tree=TREE):
    for (part, kind, stem), pixels in tree.items():
        path = data / "cifar10" / part / kind / f"{stem}.webp"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(pixels))
    return data / "cifar10"


def write_batches(data, tree=TREE):
    """As torchvision unpacks them: five batches that train, one that asks."""
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
    split = cifar10.load(0)
    images, labels = slow_pixels()
    for part, rows in ((split.train, slice(20)), (split.query, slice(20, None))):
        assert part.inputs.dtype == torch.uint8 and part.labels.dtype == torch.int64
        assert np.array_equal(part.inputs.numpy(), images[rows])
        assert np.array_equal(part.labels.numpy(), labels[rows])
    assert split.database is split.train
    assert (split.name, split.classes) == ("cifar10", cifar10.CLASSES)
    assert split.fingerprint == cifar10.fingerprint(0) == f"{cifar10.SHA256[:16]}-official"


def test_the_zip_comes_before_the_folder_and_the_folder_before_the_batches(data):
    assert cifar10.find() is None
    for write in reversed(WRITERS.values()):
        assert write(data) == cifar10.find()


@pytest.mark.parametrize("draw", [1, -1])
@pytest.mark.parametrize("ask", [cifar10.load, cifar10.fingerprint])
def test_there_is_one_split(ask, draw):
    with pytest.raises(ValueError, match=f"cifar10 has one split: draw must be 0, got {draw}"):
        ask(draw)


# Wrong pictures


@each_source
@pytest.mark.parametrize(("part", "n_found", "n_expected"), [("train", 19, 20), ("test", 9, 10)])
def test_another_number_of_pictures_is_refused(data, write, part, n_found, n_expected):
    tree = dict(TREE)
    del tree[next(entry for entry in tree if entry[0] == part)]
    source = write(data, tree)
    message = f"{re.escape(str(source))} holds {n_found} pictures of the part '{part}': expected {n_expected}"
    with pytest.raises(ValueError, match=message):
        cifar10.load(0)


@each_source
def test_other_pixels_are_refused_and_not_kept(data, results, write):
    entry = next(iter(TREE))
    source = write(data, TREE | {entry: TREE[entry] ^ 1})
    message = (
        f"{re.escape(str(source))} does not hold CIFAR-10's pixels: expected SHA-256 {cifar10.SHA256}, got .*{HELP}"
    )
    with pytest.raises(ValueError, match=message):
        cifar10.load(0)
    assert not list(results.rglob("*.safetensors"))


@each_source
def test_exchanged_labels_are_refused(data, write):
    """The pictures of two classes change places: every count and every name is as before."""
    tree = dict(TREE)
    one, other = ("train", "cat", "cat_s_000000"), ("train", "dog", "dog_s_000000")
    tree[one], tree[other] = tree[other], tree[one]
    write(data, tree)
    with pytest.raises(ValueError, match="does not hold CIFAR-10's pixels"):
        cifar10.load(0)


def test_a_picture_of_another_kind_is_named(data):
    path = write_folder(data) / "test" / "frog" / "frog_s_000000.webp"
    path.write_bytes(b"this is text")
    with pytest.raises(ValueError, match=f"test/frog/frog_s_000000.webp of {re.escape(str(data))}.* cannot be read"):
        cifar10.load(0)


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
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} is damaged .*it asks for io.open, which no batch"):
        cifar10.load(0)
    assert not trace.exists()
    pickle.loads(raw)["data"].close()
    assert trace.exists()  # it does execute where pickles are trusted


@pytest.mark.parametrize(
    ("module", "name"), [("os", "system"), ("numpy", "load"), ("builtins", "eval"), ("torch", "load")]
)
def test_nothing_but_arrays_is_looked_up_in_a_batch(data, module, name):
    path = write_batches(data) / "test_batch"
    path.write_bytes(f"c{module}\n{name}\n(S'1'\ntR.".encode())
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} .*it asks for {module}.{name}, which no batch"):
        cifar10.load(0)


BATCH = {"labels": [1], "data": np.zeros((1, 3072), np.uint8), "filenames": ["a.png"]}
BAD_BATCHES = {
    "empty": b"",
    "text": b"this is text",
    "cut off": pickle.dumps(BATCH, 2)[:-50],
    "no dictionary": pickle.dumps([1, 2], 2),
    "no labels": pickle.dumps({k: v for k, v in BATCH.items() if k != "labels"}, 2),
    "other pixels": pickle.dumps(BATCH | {"data": np.zeros((1, 3000), np.uint8)}, 2),
    "fewer names": pickle.dumps(BATCH | {"filenames": []}, 2),
    "an eleventh class": pickle.dumps(BATCH | {"labels": [10]}, 2),
}


BAD_BATCHES = [pytest.param(raw, id=name) for name, raw in BAD_BATCHES.items()]
TOO_FEW = pickle.dumps(BATCH | {"labels": [1, 2], "filenames": ["a.png", "b.png"]}, 2)


@pytest.mark.parametrize("raw", [*BAD_BATCHES, pytest.param(TOO_FEW, id="fewer pictures than labels")])
def test_a_damaged_batch_is_named(data, raw):
    path = write_batches(data) / "data_batch_2"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} is damaged or no batch of CIFAR-10: .*{HELP}"):
        cifar10.load(0)


@pytest.mark.parametrize("name", ["data_batch_5", "test_batch"])
def test_a_missing_batch_is_named(data, name):
    path = write_batches(data) / name
    path.unlink()
    with pytest.raises(
        ValueError, match=f"{re.escape(str(path))} is missing: expected torchvision's six batches; {HELP}"
    ):
        cifar10.load(0)


@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_arrays_of_every_numpy_are_read(data, module):
    """The module that holds arrays was renamed; torchvision's file has the old name."""
    for path in write_batches(data).iterdir():
        raw = path.read_bytes()
        own = re.search(rb"cnumpy[a-z._]*\n_reconstruct", raw).group()
        path.write_bytes(raw.replace(own, f"c{module}\n_reconstruct".encode()))
    assert len(cifar10.load(0).train) == 20


# What was decoded is kept


@pytest.fixture
def readings(monkeypatch):
    """The sources whose pictures were decoded."""
    read, sources = cifar10.read, []

    def note(source, *more):
        sources.append(source)
        return read(source, *more)

    monkeypatch.setattr(cifar10, "read", note)
    return sources


def kept(results):
    (path,) = results.glob("cache/*.safetensors")
    return path


def test_pictures_are_decoded_once(data, results, readings):
    source = write_zip(data)
    first, again = cifar10.load(0), cifar10.load(0)
    assert readings == [source] and cifar10.SHA256[:16] in kept(results).name
    for one, other in ((first.train, again.train), (first.query, again.query)):
        assert torch.equal(one.inputs, other.inputs) and torch.equal(one.labels, other.labels)
        assert one.labels.dtype == other.labels.dtype == torch.int64


def flip(raw):
    return raw[:-5] + bytes([raw[-5] ^ 1]) + raw[-4:]


DAMAGES = {"cut off": lambda raw: raw[:-9], "empty": lambda raw: b"", "flipped": flip, "text": lambda raw: b"x" * 500}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_copy_of_what_was_decoded_is_made_again(data, results, readings, damage):
    source = write_zip(data)
    first = cifar10.load(0)
    expected = [part.inputs.clone() for part in (first.train, first.query)]
    raw = kept(results).read_bytes()
    kept(results).unlink()
    (results / "cache" / f"cifar10-{cifar10.SHA256[:16]}.safetensors").write_bytes(damage(raw))
    again = cifar10.load(0)
    assert readings == [source, source] and kept(results).read_bytes() == raw
    assert torch.equal(again.train.inputs, expected[0]) and torch.equal(again.query.inputs, expected[1])


# Missing data


@pytest.fixture
def torchvision_download(monkeypatch):
    """Stands in for torchvision's data set: notes what it is asked for, then does what the test says."""

    class Download:
        requests = ()

        def __init__(self, root, *, download):
            type(self).requests += ((root, download),)
            self.answer(root)

    monkeypatch.setattr("torchvision.datasets.CIFAR10", Download)
    return Download


@pytest.mark.parametrize("error", [RuntimeError("Error downloading"), OSError("Name or service not known")])
def test_missing_and_offline_says_how_to_get_it(data, torchvision_download, error):
    def fail(self, root):
        raise error

    torchvision_download.answer = fail
    message = rf"CIFAR-10 is not on this machine and its download failed \({error}\): {HELP}"
    with pytest.raises(FileNotFoundError, match=message):
        datasets.load("cifar10")
    assert torchvision_download.requests == ((data, True),)


def test_missing_and_online_is_downloaded_once(data, torchvision_download):
    torchvision_download.answer = lambda self, root: write_batches(Path(root))
    for _ in range(2):
        assert len(datasets.load("cifar10").train) == 20
    assert torchvision_download.requests == ((data, True),)


# The real pictures


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Decoded once for all tests here."""
    if not HERE:
        pytest.skip("cifar10.zip is not under QSMI_DATA")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QSMI_RESULTS", str(tmp_path_factory.mktemp("results")))
        yield datasets.load("cifar10")


def test_cifar10_has_5000_training_items_and_1000_queries_a_class(real):
    assert real.database is real.train
    for part, n in ((real.train, 5000), (real.query, 1000)):
        assert part.inputs.shape == (10 * n, 3, 32, 32) and part.inputs.dtype == torch.uint8
        assert part.labels.bincount().tolist() == [n] * 10


def test_the_training_pixels_have_the_published_means(real):
    means = torch.stack([batch.float().mean((0, 2, 3)) / 255 for batch in real.train.inputs.split(1000)]).mean(0)
    assert means.tolist() == pytest.approx(MEANS, abs=1e-4)


@pytest.mark.parametrize(("protocol", "n_database"), [("sampled", 54_000), ("sampled_all", 59_000)])
def test_no_picture_of_table_5_asks_that_trained_or_is_searched(real, protocol, n_database):
    split = datasets.PROTOCOLS[protocol](real, 0)
    assert (len(split.train), len(split.query), len(split.database)) == (5000, 1000, n_database)
    assert overlap(split.query, split.train) == overlap(split.query, split.database) == 0
