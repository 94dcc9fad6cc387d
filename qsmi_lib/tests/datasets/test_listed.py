"""Table 5's division: the committed lists are the drawn ones, and a list that leaks or was altered is refused."""

import hashlib
import json
import re
import zipfile

import pytest
import torch

from qsmi_lib import datasets
from qsmi_lib.datasets import Part, Split, cifar10, listed, overlap, protocols
from qsmi_lib.utils import paths

ZIP = paths.data() / "cifar10.zip"
SIZES = {  # train, query, database without and with the training items
    "digits": (129, 50, 1618, 1747),
    "cifar10": (5_000, 1_000, 54_000, 59_000),
}
each_reading = pytest.mark.parametrize("protocol", listed.PROTOCOLS)


def numbered(name, train, query, fingerprint):
    """A split of these labels: the training items are numbered from 0, the queries go on from there."""
    numbers = torch.arange(len(train) + len(query)).float()[:, None]
    part = Part(numbers[: len(train)], train)
    classes = datasets.DATASETS[name].CLASSES
    return Split(name, part, Part(numbers[len(train) :], query), part, fingerprint, classes)


def labels_of_the_zip(part):
    """The labels of a part of the real pictures, by their names alone: in the order of the names' digests."""
    with zipfile.ZipFile(ZIP) as file:
        names = [name.split("/")[2:] for name in file.namelist() if name.startswith(f"cifar10/{part}/")]
    names = [f"{kind}/{file.rsplit('.', 1)[0]}" for kind, file in names]
    names.sort(key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return torch.tensor([cifar10.CLASSES.index(name.split("/")[0]) for name in names])


@pytest.fixture(scope="module", params=["digits", "cifar10"])
def whole(request):
    """The data set as published, with a number in place of each picture: lists look at labels alone."""
    if request.param == "digits":
        split = datasets.load("digits")
        return numbered("digits", split.train.labels, split.query.labels, split.fingerprint)
    if not ZIP.exists():
        pytest.skip("cifar10.zip is not under QSMI_DATA")
    return numbered("cifar10", *map(labels_of_the_zip, ("train", "test")), cifar10.fingerprint(0))


def numbers(part):
    return part.inputs[:, 0].long().tolist()


# The committed lists


def test_the_committed_list_is_what_is_drawn(whole):
    n_items = len(whole.train) + len(whole.query)
    path = paths.SPLITS / f"{whole.name}-table_5.json"
    assert listed.read(path, whole.fingerprint, n_items) == listed.draw_list(whole)


def test_a_written_list_is_the_committed_one_byte_for_byte(whole, tmp_path):
    listed.write_list(whole, tmp_path / "list.json")
    assert (tmp_path / "list.json").read_bytes() == (paths.SPLITS / f"{whole.name}-table_5.json").read_bytes()


def slow_list(split):
    """A tenth of each part, class by class: the items with the smallest SHA-256 of draw 0 and index."""
    parts = []
    for part, first in ((split.train, 0), (split.query, len(split.train))):
        taken = []
        for name in range(10):
            members = [index for index, label in enumerate(part.labels.tolist()) if label == name]
            members.sort(key=lambda index: hashlib.sha256(f"0:{index}".encode()).hexdigest())
            taken += members[: round(len(members) / 10)]
        parts.append(sorted(first + index for index in taken))
    return parts


def test_a_list_is_drawn_class_by_class_by_the_digests_of_the_indices(whole):
    """Of the digits, whose classes are of several sizes, largest remainders settle an item or two."""
    found, expected = listed.draw_list(whole), slow_list(whole)
    for name, own in zip(("train", "query"), expected, strict=True):
        differing = set(found[name]) ^ set(own)
        assert found[name] == sorted(found[name])
        assert len(differing) <= (0 if whole.name == "cifar10" else 4)


def test_each_class_has_its_share(whole):
    split = listed.table_5(whole, 0, with_train=False)
    for part, source in ((split.train, whole.train), (split.query, whole.query)):
        share = source.labels.bincount() * (len(part) / len(source))
        counts = part.labels.bincount(minlength=10)
        assert ((counts - share).abs() < 1).all()
        assert whole.name != "cifar10" or counts.tolist() == [len(part) // 10] * 10


# Both readings


@each_reading
def test_sizes(whole, protocol):
    split = datasets.PROTOCOLS[protocol](whole, 0)
    n_train, n_query, without, with_train = SIZES[whole.name]
    n_database = {"sampled": without, "sampled_all": with_train}[protocol]
    assert (len(split.train), len(split.query), len(split.database)) == (n_train, n_query, n_database)
    assert (split.name, split.fingerprint, split.classes) == (whole.name, whole.fingerprint, whole.classes)


@each_reading
def test_no_query_trains_or_is_searched_by_index_and_by_item(whole, protocol):
    split = datasets.PROTOCOLS[protocol](whole, 0)
    assert set(numbers(split.query)).isdisjoint(numbers(split.train) + numbers(split.database))
    assert overlap(split.query, split.train) == overlap(split.query, split.database) == 0


@each_reading
def test_no_picture_of_a_query_trains_or_is_searched(protocol):
    split = datasets.load("digits", protocol=protocol)
    assert overlap(split.query, split.train) == overlap(split.query, split.database) == 0


def test_the_readings_differ_by_the_training_items_alone(whole):
    without, with_train = (listed.table_5(whole, 0, with_train=reading) for reading in (False, True))
    assert numbers(without.train) == numbers(with_train.train) and numbers(without.query) == numbers(with_train.query)
    assert sorted(numbers(without.database) + numbers(without.train)) == numbers(with_train.database)
    assert sorted(numbers(with_train.database) + numbers(without.query)) == list(range(sum(SIZES[whole.name][1::2])))


@each_reading
def test_labels_move_with_their_items(whole, protocol):
    split = datasets.PROTOCOLS[protocol](whole, 0)
    labels = torch.cat([whole.train.labels, whole.query.labels])
    for part in (split.train, split.query, split.database):
        assert torch.equal(part.labels, labels[numbers(part)])


@each_reading
@pytest.mark.parametrize("draw", [1, -1])
def test_there_is_one_list(digits, protocol, draw):
    with pytest.raises(ValueError, match=f"Table 5 is one committed list: draw must be 0, got {draw}"):
        datasets.PROTOCOLS[protocol](digits, draw)


def test_a_data_set_without_a_list_is_named(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "SPLITS", tmp_path)
    (tmp_path / "toy-table_5.json").write_text("{}")
    with pytest.raises(ValueError, match="no committed list that divides digits as Table 5 does; there is one for toy"):
        listed.table_5(digits, 0, with_train=True)
    with pytest.raises(ValueError, match="no committed list that divides fashion_mnist"):
        datasets.fingerprint("fashion_mnist", 0, "sampled")


# Lists that are refused


def rehashed(held):
    return held | {"sha256": listed.checksum(held)}


ALTERATIONS = {
    "checksum": (lambda held: held | {"sha256": "0" * 64}, "expected SHA-256 0{64} of its indices, got "),
    "index": (lambda held: held | {"train": [held["train"][0] + 1, *held["train"][1:]]}, "expected SHA-256 .*, got "),
    "order": (lambda held: held | {"query": held["query"][::-1]}, "expected SHA-256 .* of its indices, got "),
    "data": (lambda held: held | {"data": "others"}, "it divides others, expected 87ff0c9e40dc7e2c-stratified"),
    "leak": (
        lambda held: rehashed(held | {"query": [*held["query"][1:], held["train"][0]]}),
        "the split leaks: 1 of 50 queries lie in the part 'train', not none",
    ),
    "twice": (
        lambda held: rehashed(held | {"train": [*held["train"][1:], held["train"][1]]}),
        "1 of 129 items of the part 'train' are there twice",
    ),
    "beyond": (
        lambda held: rehashed(held | {"query": [*held["query"][1:], 1797]}),
        "the part 'query' must hold indices from 0 to 1796, got 1797",
    ),
    "negative": (
        lambda held: rehashed(held | {"query": [-1, *held["query"][1:]]}),
        "the part 'query' must hold indices from 0 to 1796, got -1",
    ),
    "no queries": (lambda held: {k: v for k, v in held.items() if k != "query"}, "'query'"),
    "no parts": (lambda held: [held["train"], held["query"]], "list indices must be"),
    "numbers alone": (lambda held: held | {"train": 3}, "not iterable"),
}


@pytest.mark.parametrize(("alter", "message"), ALTERATIONS.values(), ids=ALTERATIONS)
def test_an_altered_list_is_named(digits, tmp_path, monkeypatch, alter, message):
    path = tmp_path / "digits-table_5.json"
    listed.write_list(digits, path)
    path.write_text(json.dumps(alter(json.loads(path.read_text()))))
    monkeypatch.setattr(paths, "SPLITS", tmp_path)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} is no list of a split: .*{message}"):
        datasets.load("digits", protocol="sampled")


@pytest.mark.parametrize("text", ["", "{", '{"data": 1}'])
def test_a_damaged_list_is_named(digits, tmp_path, text):
    path = tmp_path / "list.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} is no list of a split: "):
        listed.read(path, digits.fingerprint, 1797)


# Leaks


def test_queries_that_lie_in_the_database_are_counted():
    """As in the lists that HashGAN was published with: 888 of its 1,000 queries are searched."""
    parts = {"train": range(5_000), "query": range(59_000, 60_000), "database": range(5_888, 59_888)}
    with pytest.raises(ValueError, match="the split leaks: 888 of 1000 queries lie in the part 'database', not none"):
        listed.check_leaks(parts, 60_000)


def test_training_items_may_be_searched():
    parts = {"train": [0, 1], "query": [2], "database": [0, 1, 3]}
    listed.check_leaks(parts, 4)


@pytest.mark.parametrize("name", ["train", "query", "database"])
def test_an_item_twice_in_a_part_is_refused(name):
    parts = {"train": [0, 1], "query": [2, 4], "database": [1, 3]}
    with pytest.raises(ValueError, match=f"1 of 3 items of the part '{name}' are there twice"):
        listed.check_leaks(parts | {name: [*parts[name], parts[name][0]]}, 5)


def test_the_reduced_training_set_of_cifar10_is_that_of_table_5(whole):
    """So what is tuned on it sees no label beyond Table 5's."""
    if whole.name == "digits":
        assert len(protocols.reduced(whole, 0).train) > len(listed.table_5(whole, 0, with_train=False).train)
    else:
        reduced, few = protocols.reduced(whole, 0).train, listed.table_5(whole, 0, with_train=False).train
        assert torch.equal(reduced.inputs, few.inputs) and torch.equal(reduced.labels, few.labels)
