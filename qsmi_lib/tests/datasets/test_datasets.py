"""The data sets: what a split holds, that nothing leaks, and what a missing or damaged file says."""

import gzip
import hashlib

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from sklearn.datasets import load_digits

from qsmi_lib import datasets
from qsmi_lib.datasets import Part, Split, fashion_mnist, overlap
from qsmi_lib.datasets.base import stratified

PARTS = ("train", "query", "database")
NAMES = (
    *("cifar10", "digit_pairs", "digits", "fashion_mnist", "ilsvrc"),
    *("miml_scenes", "ms_coco", "nus_wide", "tiny_imagenet_32"),
)
COMMAND = "apt-get install dataset-fashion-mnist"


def contents(part):
    return {item.tobytes() for item in part.inputs.numpy()}


# Names and parts


def test_an_unknown_name_lists_the_known():
    for ask in (datasets.load, datasets.fingerprint):
        with pytest.raises(ValueError, match=f"unknown data set 'mnist'; known: {', '.join(NAMES)}; or the path of"):
            ask("mnist")


def test_a_part_has_one_label_an_item():
    with pytest.raises(ValueError, match="one label per item, got 3 and 2"):
        Part(torch.zeros(3, 1), torch.zeros(2))


@pytest.mark.parametrize("own_database", [False, True])
def test_a_split_moves_whole_and_shares_what_it_shared(own_database):
    train, query, database = (Part(torch.zeros(n, 4), torch.zeros(n).long()) for n in (3, 2, 5))
    split = Split("toy", train, query, database if own_database else train, "mark", ("a", "b"))
    moved = split.to("meta")
    for name in PARTS:
        part = getattr(moved, name)
        assert part.inputs.device.type == part.labels.device.type == "meta"
        assert len(part) == len(getattr(split, name))
    assert (moved.database is moved.train) == (not own_database)
    assert (moved.name, moved.fingerprint, moved.classes) == ("toy", "mark", ("a", "b"))


def test_overlap_counts_the_items_that_lie_in_both():
    rows = torch.arange(12.0).reshape(6, 1, 1, 2)
    part, other = (Part(rows[index], torch.zeros(len(index)).long()) for index in ([0, 1, 2, 2], [2, 1, 5]))
    assert (overlap(part, other), overlap(other, part)) == (3, 2)


# Stratified queries


@given(labels=st.lists(st.integers(-2, 3), min_size=1, max_size=40), data=st.data(), draw=st.integers(0, 9))
def test_stratified_takes_each_class_in_proportion(labels, data, draw):
    labels = np.array(labels)
    n_query = data.draw(st.integers(0, len(labels)))
    query = stratified(labels, n_query, draw)
    assert query.shape == labels.shape and query.sum() == n_query
    for name in np.unique(labels):
        share = (labels == name).sum() * n_query / len(labels)
        assert abs(query[labels == name].sum() - share) < 1
    assert np.array_equal(query, stratified(labels, n_query, draw))


def test_stratified_gives_the_odd_items_to_the_largest_remainders():
    labels = np.repeat([0, 1, 2], [10, 6, 4])
    query = stratified(labels, 7, draw=0)  # shares 3.5, 2.1 and 1.4
    assert np.bincount(labels[query]).tolist() == [4, 2, 1]


@pytest.mark.parametrize(("draw", "queries"), [(0, [4, 7, 9, 10, 15, 18]), (1, [4, 6, 7, 8, 11, 17])])
def test_stratified_is_the_same_everywhere(draw, queries):
    """These numbers must not change: records name a split by its draw."""
    assert np.flatnonzero(stratified(np.arange(20) % 2, 6, draw)).tolist() == queries


@pytest.mark.parametrize("n_query", [-1, 4])
def test_stratified_cannot_take_more_than_there_is(n_query):
    with pytest.raises(ValueError, match=f"n_query must lie between 0 and 3, got {n_query}"):
        stratified(np.zeros(3, int), n_query, draw=0)


# Digits


def test_digits_have_1297_items_to_train_and_500_queries(digits):
    assert (len(digits.train), len(digits.query)) == (1297, 500)
    assert digits.database is digits.train
    assert digits.classes == tuple("0123456789")
    for name in PARTS:
        part = getattr(digits, name)
        assert part.inputs.shape == (len(part), 1, 8, 8) and part.inputs.dtype == torch.float32
        assert part.labels.shape == (len(part),) and part.labels.dtype == torch.int64


def test_digits_are_those_of_scikit_learn(digits):
    """Every one of them is in one part; undone, the standardisation gives back the pixels, beside their labels."""
    bunch = load_digits()
    known = sorted(zip(map(tuple, bunch.data.tolist()), bunch.target.tolist(), strict=True))
    module = datasets.digits
    items = []
    for part in (digits.train, digits.query):
        pixels = (part.inputs.double() * module.STD + module.MEAN).flatten(1) * 16
        items += zip(map(tuple, pixels.round().tolist()), part.labels.tolist(), strict=True)
    assert sorted(items) == known


def test_digits_are_stratified(digits):
    per_class = [part.labels.bincount(minlength=10) for part in (digits.train, digits.query)]
    share = (per_class[0] + per_class[1]) * 500 / 1797
    assert ((per_class[1] - share).abs() < 1).all()


def test_digits_are_standardised(digits):
    inputs = torch.cat([digits.train.inputs, digits.query.inputs])
    assert inputs.mean().item() == pytest.approx(0, abs=1e-3)
    assert inputs.std().item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("draw", range(3))
def test_no_digit_trains_and_queries(draw):
    split = datasets.load("digits", draw=draw)
    assert overlap(split.query, split.train) == 0
    assert contents(split.query).isdisjoint(contents(split.train))


def test_the_draw_alone_decides_the_digits_split(digits):
    torch.manual_seed(1)
    again, other = datasets.load("digits"), datasets.load("digits", draw=1)
    assert torch.equal(again.query.inputs, digits.query.inputs) and torch.equal(again.train.labels, digits.train.labels)
    assert contents(other.query) != contents(digits.query)
    assert digits.fingerprint == again.fingerprint == datasets.fingerprint("digits") != other.fingerprint
    assert other.fingerprint == datasets.fingerprint("digits", draw=1)


def test_other_digits_than_the_known_are_refused(monkeypatch):
    changed = load_digits()
    changed.images[0, 0, 0] += 1
    monkeypatch.setattr("sklearn.datasets.load_digits", lambda: changed)
    with pytest.raises(ValueError, match="scikit-learn's digits have changed: expected SHA-256"):
        datasets.load("digits")


# Fashion-MNIST, the real files


@pytest.fixture(scope="module")
def fashion():
    if fashion_mnist.find() is None:
        pytest.skip(f"the four Fashion-MNIST files are not on this machine: {COMMAND}")
    return datasets.load("fashion_mnist")


def test_fashion_mnist_has_60000_items_to_train_and_10000_queries(fashion):
    assert fashion.database is fashion.train
    assert len(fashion.classes) == 10
    for part, n in ((fashion.train, 60_000), (fashion.query, 10_000)):
        assert part.inputs.shape == (n, 1, 28, 28) and part.inputs.dtype == torch.float32
        assert part.labels.dtype == torch.int64
        assert part.labels.bincount().tolist() == [n // 10] * 10


def test_no_fashion_mnist_picture_trains_and_queries(fashion):
    assert overlap(fashion.query, fashion.train) == 0


def test_fashion_mnist_is_normalised_with_the_authors_constants(fashion):
    folder = fashion_mnist.find()
    for part, name in ((fashion.train, "train"), (fashion.query, "t10k")):
        path = next(folder.glob(f"{name}-images-idx3-ubyte*"))
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        pixels = (part.inputs * 0.3081 + 0.1307) * 255
        assert np.array_equal(pixels.round().numpy().astype(np.uint8).ravel(), np.frombuffer(raw, np.uint8, offset=16))


def test_fashion_mnists_own_constants_are_those_the_module_names(fashion):
    pixels = fashion.train.inputs.double() * fashion_mnist.STD + fashion_mnist.MEAN
    assert (round(pixels.mean().item(), 4), round(pixels.std().item(), 4)) == (0.2860, 0.3530)


@pytest.mark.parametrize("draw", [1, -1])
def test_fashion_mnist_has_one_split(draw):
    with pytest.raises(ValueError, match=f"draw must be 0, got {draw}"):
        datasets.load("fashion_mnist", draw=draw)


# Fashion-MNIST, files that are elsewhere, damaged or missing: four tiny ones take the place of the known four


def idx(array):
    """`array` of bytes as an IDX file: its kind, its shape, its content."""
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


RANDOM = np.random.default_rng(0)
TINY = {
    "train-images-idx3-ubyte": RANDOM.integers(0, 256, (6, 28, 28), np.uint8),
    "train-labels-idx1-ubyte": np.arange(6, dtype=np.uint8),
    "t10k-images-idx3-ubyte": RANDOM.integers(0, 256, (4, 28, 28), np.uint8),
    "t10k-labels-idx1-ubyte": np.arange(4, dtype=np.uint8),
}


@pytest.fixture
def data(tmp_path, monkeypatch):
    """An empty data folder on a machine without Debian's package, where the tiny files are the known ones."""
    monkeypatch.setenv("QSMI_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")
    known = {name: (array.shape, hashlib.sha256(idx(array)).hexdigest()) for name, array in TINY.items()}
    monkeypatch.setattr(fashion_mnist, "FILES", known)
    return tmp_path / "data"


def write_tiny(folder, *, zipped=True, names=TINY):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        raw = idx(TINY[name])
        (folder / (f"{name}.gz" if zipped else name)).write_bytes(gzip.compress(raw) if zipped else raw)


@pytest.mark.parametrize("zipped", [True, False])
def test_tiny_files_load_as_the_real_ones(data, zipped):
    write_tiny(data, zipped=zipped)
    split = datasets.load("fashion_mnist")
    assert split.query.labels.tolist() == [0, 1, 2, 3]
    expected = (TINY["train-images-idx3-ubyte"][:, None] / 255 - 0.1307) / 0.3081
    np.testing.assert_allclose(split.train.inputs.numpy(), expected, rtol=1e-6)


def test_the_folders_are_searched_in_order(data):
    """The last found folder is beaten by each that comes before it; a folder that lacks a file does not count."""
    assert fashion_mnist.find() is None
    folders = [
        data,
        data / "fashion-mnist",
        data / "fashion_mnist",
        data / "FashionMNIST" / "raw",
        fashion_mnist.DEBIAN,
    ]
    for folder in reversed(folders):
        before = fashion_mnist.find()
        write_tiny(folder, names=list(TINY)[1:])
        assert fashion_mnist.find() == before
        write_tiny(folder)
        assert fashion_mnist.find() == folder


def flip(raw, at):
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


DAMAGES = {
    "gzip cut off": (True, lambda raw: raw[:-20], "damaged or truncated"),
    "gzip with a flipped bit": (True, lambda raw: flip(raw, len(raw) // 2), "damaged"),
    "gzip of nothing": (True, lambda raw: b"", "truncated"),
    "no gzip at all": (True, lambda raw: b"<html>404</html>", "damaged or truncated: Not a gzipped file"),
    "plain cut off": (False, lambda raw: raw[:-1], "truncated: expected 3152 bytes unpacked, got 3151"),
    "plain with a byte more": (False, lambda raw: raw + b"0", "expected 3152 bytes unpacked, got 3153"),
    "plain with a flipped bit": (False, lambda raw: flip(raw, 100), "damaged: expected SHA-256"),
}


@pytest.mark.parametrize(("zipped", "damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_named(data, zipped, damage, message):
    write_tiny(data, zipped=zipped)
    path = data / f"t10k-images-idx3-ubyte{'.gz' if zipped else ''}"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=f"{path} is .*{message}.*{COMMAND}"):
        datasets.load("fashion_mnist")


@pytest.fixture
def torchvision_download(monkeypatch):
    """Stands in for torchvision's data set: notes what it is asked for, then does what the test says."""

    class Download:
        requests = ()

        def __init__(self, root, *, download):
            type(self).requests += ((root, download),)
            self.answer(root)

    monkeypatch.setattr("torchvision.datasets.FashionMNIST", Download)
    return Download


@pytest.mark.parametrize("error", [RuntimeError("Error downloading"), OSError("Name or service not known")])
def test_missing_and_offline_says_how_to_get_it(data, torchvision_download, error):
    def fail(self, root):
        raise error

    torchvision_download.answer = fail
    with pytest.raises(FileNotFoundError, match=f"not on this machine and .*{error}.*{COMMAND}.*torchvision"):
        datasets.load("fashion_mnist")
    assert torchvision_download.requests == ((data, True),)


def test_missing_and_online_is_downloaded_once(data, torchvision_download):
    torchvision_download.answer = lambda self, root: write_tiny(root / "FashionMNIST" / "raw")
    for _ in range(2):
        assert len(datasets.load("fashion_mnist").train) == 6
    assert len(torchvision_download.requests) == 1
