"""Data sets by name: what a split holds, that nothing leaks, and the message for a missing or damaged file."""

import gzip
import hashlib

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from qsmi_lib import datasets
from qsmi_lib.datasets import DATASETS, Part, Split, fashion_mnist, overlap

NAMES = [
    *("cifar10", "digit_pairs", "digits", "fashion_mnist", "ilsvrc"),
    *("miml_scenes", "ms_coco", "nus_wide", "tiny_imagenet_32"),
]
COMMAND = "apt-get install dataset-fashion-mnist"


@pytest.mark.parametrize("get", [datasets.load, datasets.fingerprint])
def test_an_unknown_name_lists_the_known(get):
    with pytest.raises(ValueError, match=f"unknown data set 'mnist'; known: {', '.join(NAMES)}; or the path of"):
        get("mnist")


def test_every_data_set_has_the_same_form():
    assert sorted(DATASETS) == sorted(datasets.TITLES) == NAMES
    for name, dataset in DATASETS.items():
        assert isinstance(dataset, datasets.Dataset) and dataset.name == name
        assert dataset.find() is not None or dataset.fetch


def test_titles_name_what_a_substitute_replaces():
    assert datasets.title("miml_scenes") == "miml-scenes in place of NUS-WIDE and MS COCO"
    assert datasets.title("nus_wide") == "NUS-WIDE" and datasets.title("some/folder") == "some/folder"
    originals = {original for names in datasets.SUBSTITUTE_FOR.values() for original in names}
    assert DATASETS.keys() >= originals | datasets.SUBSTITUTE_FOR.keys()


# Parts and splits


def test_a_part_has_one_label_an_item():
    with pytest.raises(ValueError, match="one label per item, got 3 and 2"):
        Part(torch.zeros(3, 1), torch.zeros(2))


@pytest.mark.parametrize("shared", [True, False])
def test_a_split_moves_to_a_device_and_a_shared_database_stays_shared(shared):
    train, query, database = (Part(torch.zeros(n, 4), torch.zeros(n).long()) for n in (3, 2, 5))
    split = Split("toy", train, query, train if shared else database, "fingerprint", ("a", "b"))
    moved = split.to("meta")
    for name in ("train", "query", "database"):
        part = getattr(moved, name)
        assert part.inputs.device.type == part.labels.device.type == "meta"
        assert len(part) == len(getattr(split, name))
    assert (moved.database is moved.train) == shared
    assert (moved.name, moved.fingerprint, moved.classes) == ("toy", "fingerprint", ("a", "b"))


def test_overlap_counts_the_items_that_are_in_both():
    rows = torch.arange(12.0).reshape(6, 1, 1, 2)
    part, other = (Part(rows[index], torch.zeros(len(index)).long()) for index in ([0, 1, 2, 2], [2, 1, 5]))
    assert (overlap(part, other), overlap(other, part)) == (3, 2)


# Digits


def test_digits_are_those_of_scikit_learn_each_in_one_part(digits):
    """Without the normalisation the pixels and labels are scikit-learn's."""
    assert (len(digits.train), len(digits.query)) == (1297, 500) and digits.database is digits.train
    assert digits.train.inputs.dtype == torch.float32 and digits.train.labels.dtype == torch.int64
    bunch, dataset, items = load_digits(), DATASETS["digits"], []
    for part in (digits.train, digits.query):
        assert part.inputs.shape[1:] == (1, 8, 8)
        pixels = (part.inputs.double() * dataset.std + dataset.mean).flatten(1) * 16
        items += zip(map(tuple, pixels.round().tolist()), part.labels.tolist(), strict=True)
    assert sorted(items) == sorted(zip(map(tuple, bunch.data.tolist()), bunch.target.tolist(), strict=True))
    inputs = torch.cat([digits.train.inputs, digits.query.inputs])
    assert inputs.mean().item() == pytest.approx(0, abs=1e-3) and inputs.std().item() == pytest.approx(1, abs=1e-3)


def test_digits_are_stratified(digits):
    n_train, n_query = (part.labels.bincount(minlength=10) for part in (digits.train, digits.query))
    assert ((n_query - (n_train + n_query) * 500 / 1797).abs() < 1).all()


def test_the_draw_alone_decides_the_split_of_the_digits(digits):
    torch.manual_seed(1)
    again, other = datasets.load("digits"), datasets.load("digits", draw=1)
    assert torch.equal(again.query.inputs, digits.query.inputs)
    assert not torch.equal(other.query.inputs, digits.query.inputs)
    assert digits.fingerprint == again.fingerprint == datasets.fingerprint("digits") != other.fingerprint
    assert other.fingerprint == datasets.fingerprint("digits", draw=1)
    for split in (digits, other):
        assert overlap(split.query, split.train) == 0


def test_other_digits_than_the_known_are_refused(monkeypatch, tmp_path):
    bunch = load_digits()
    bunch.data[0, 0] += 1
    np.savetxt(tmp_path / "digits.csv.gz", np.column_stack([bunch.data, bunch.target]), delimiter=",", fmt="%d")
    monkeypatch.setattr("qsmi_lib.datasets.digits._file", lambda: tmp_path / "digits.csv.gz")
    with pytest.raises(ValueError, match="scikit-learn's digits have changed: expected SHA-256"):
        datasets.load("digits")


def test_pairs_are_digits_side_by_side_with_the_labels_of_both(digits):
    split, empty = datasets.load("digit_pairs"), -DATASETS["digits"].mean / DATASETS["digits"].std
    assert split.database is split.train and split.fingerprint == f"pairs-{digits.fingerprint}"
    for part, single in ((split.train, digits.train), (split.query, digits.query)):
        assert part.inputs.shape[1:] == (1, 8, 16) and torch.equal(part.inputs[..., :8], single.inputs)
        label_of = {image.numpy().tobytes(): int(y) for image, y in zip(single.inputs, single.labels, strict=True)}
        alone = 0
        for image, label, labels in zip(part.inputs, single.labels, part.labels, strict=True):
            right = image[..., 8:].contiguous()
            expected = {int(label)}
            if (right == torch.tensor(empty)).all():
                alone += 1
            else:
                expected.add(label_of[right.numpy().tobytes()])
            assert set(labels.nonzero()[:, 0].tolist()) == expected
        assert alone == len(part) // 5


# Fashion-MNIST: the real files


@pytest.fixture(scope="module")
def fashion():
    if DATASETS["fashion_mnist"].find() is None:
        pytest.skip(f"the four Fashion-MNIST files are not on this machine: {COMMAND}")
    return datasets.load("fashion_mnist")


def test_fashion_mnist_has_60000_training_items_and_10000_queries_which_do_not_overlap(fashion):
    assert fashion.database is fashion.train and len(fashion.classes) == 10
    for part, n in ((fashion.train, 60_000), (fashion.query, 10_000)):
        assert part.inputs.shape == (n, 1, 28, 28) and part.inputs.dtype == torch.float32
        assert part.labels.dtype == torch.int64 and part.labels.bincount().tolist() == [n // 10] * 10
    assert overlap(fashion.query, fashion.train) == 0


def test_fashion_mnist_is_normalised_with_the_authors_constants(fashion):
    path = next(DATASETS["fashion_mnist"].find().glob("t10k-images-idx3-ubyte*"))
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    pixels = ((fashion.query.inputs * 0.3081 + 0.1307) * 255).round().numpy().astype(np.uint8)
    assert np.array_equal(pixels.ravel(), np.frombuffer(raw, np.uint8, offset=16))


# Fashion-MNIST: files elsewhere, damaged or missing; four tiny files replace the known ones


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
    """An empty data folder on a machine without Debian's package."""
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
def test_idx_files_are_read_gzipped_or_not(data, zipped):
    write_tiny(data, zipped=zipped)
    split = datasets.load("fashion_mnist")
    assert split.query.labels.tolist() == [0, 1, 2, 3]
    expected = (TINY["train-images-idx3-ubyte"][:, None] / 255 - 0.1307) / 0.3081
    np.testing.assert_allclose(split.train.inputs.numpy(), expected, rtol=1e-6)


def test_the_first_folder_with_all_four_files_is_used(data):
    dataset = DATASETS["fashion_mnist"]
    names = ("", "fashion-mnist", "fashion_mnist", "FashionMNIST/raw")
    for folder in reversed([*(data / name for name in names), fashion_mnist.DEBIAN]):
        before = dataset.find()
        write_tiny(folder, names=list(TINY)[1:])
        assert dataset.find() == before
        write_tiny(folder)
        assert dataset.find() == folder


DAMAGES = {
    "gzip cut off": (True, lambda raw: raw[:-20], ""),
    "no gzip at all": (True, lambda raw: b"<html>404</html>", "Not a gzipped file"),
    "plain cut off": (False, lambda raw: raw[:-1], "expected 3152 bytes unpacked, got 3151"),
    "plain with a byte more": (False, lambda raw: raw + b"0", "expected 3152 bytes unpacked, got more"),
    "plain with a flipped bit": (False, lambda raw: raw[:100] + bytes([raw[100] ^ 1]) + raw[101:], "expected SHA-256"),
}


@pytest.mark.parametrize(("zipped", "damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_named(data, zipped, damage, message):
    write_tiny(data, zipped=zipped)
    path = data / f"t10k-images-idx3-ubyte{'.gz' if zipped else ''}"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=f"{path} .*{message}.*{COMMAND}"):
        datasets.load("fashion_mnist")


def test_missing_and_offline_says_how_to_get_it(data, monkeypatch):
    def offline(root, download):
        raise OSError("Name or service not known")

    monkeypatch.setattr("torchvision.datasets.FashionMNIST", offline)
    with pytest.raises(FileNotFoundError, match=f"not on this machine and .*Name or service.*{COMMAND}.*torchvision"):
        datasets.load("fashion_mnist")


def test_missing_and_online_is_downloaded_once(data, monkeypatch):
    requests = []

    def download(root, download):
        requests.append((root, download))
        write_tiny(root / "FashionMNIST" / "raw")

    monkeypatch.setattr("torchvision.datasets.FashionMNIST", download)
    for _ in range(2):
        assert len(datasets.load("fashion_mnist").train) == 6
    assert requests == [(data, True)]
