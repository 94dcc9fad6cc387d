"""Protocols: what is training set, query and database, and that nothing leaks between them."""

import hashlib
import json
import re
from itertools import combinations

import pytest
import torch

from qsmi_lib import datasets
from qsmi_lib.datasets import DATASETS, Part, Split, cifar10, fashion_mnist, overlap, protocols
from qsmi_lib.datasets.images import manifest
from qsmi_lib.datasets.images.lazy import Pictures
from qsmi_lib.datasets.protocols import FULL, LISTED, PROTOCOLS, check_leaks
from qsmi_lib.tests.datasets.small_pictures import SIDE, picture, write_folder
from qsmi_lib.utils import paths

HELD_OUT = ("held_out", "reduced_held_out")
UNSEEN = {"unseen_2": 2, "unseen_3": 3}
SAME_DATABASE = (FULL, *HELD_OUT, "first_tenth", "unbalanced")  # as the training set
KNOWN = ("cifar10", "digit_pairs", "digits", "fashion_mnist", "miml_scenes", "tiny_imagenet_32")  # without the data
DRAWN = ("digit_pairs", "digits", "miml_scenes")  # which a draw divides
SIZES = {  # train, query, database
    "digits": {
        "full": (1297, 500, 1297),
        "held_out": (1168, 129, 1168),
        "reduced": (648, 500, 1297),
        "reduced_held_out": (584, 64, 584),
        "first_tenth": (129, 50, 129),
        "sampled": (129, 50, 1618),
        "sampled_all": (129, 50, 1747),
    },
    "cifar10": {
        "full": (50_000, 10_000, 50_000),
        "held_out": (45_000, 5_000, 45_000),
        "reduced": (5_000, 10_000, 50_000),
        "reduced_held_out": (4_500, 500, 4_500),
        "first_tenth": (5_000, 1_000, 5_000),
        "unseen_2": (40_000, 2_000, 10_000),
        "unseen_3": (35_000, 3_000, 15_000),
        "sampled": (5_000, 1_000, 54_000),
        "sampled_all": (5_000, 1_000, 59_000),
        "n_way_5": (25_000, 5_000, 25_000),
    },
    "fashion_mnist": {
        "full": (60_000, 10_000, 60_000),
        "held_out": (54_000, 6_000, 54_000),
        "reduced": (5_000, 10_000, 60_000),
        "reduced_held_out": (4_500, 500, 4_500),
        "first_tenth": (6_000, 1_000, 6_000),
        "unseen_2": (48_000, 2_000, 12_000),
        "unseen_3": (42_000, 3_000, 18_000),
        "n_way_5": (30_000, 5_000, 30_000),
    },
}
OF_TEN_CLASSES = [name for name in PROTOCOLS if name != "n_way_20"]


def numbered(name, train, query, fingerprint="fingerprint"):
    """A split of these labels: training items are numbered from 0, the queries after them."""
    numbers = torch.arange(len(train) + len(query)).float()[:, None]
    part = Part(numbers[: len(train)], train)
    return Split(name, part, Part(numbers[len(train) :], query), part, fingerprint, DATASETS[name].classes)


@pytest.fixture(scope="module", params=SIZES)
def published(request):
    """A data set as published, with a number in place of each picture: protocols use labels alone."""
    if request.param == "digits":
        split = datasets.load("digits")
        return numbered("digits", split.train.labels, split.query.labels, split.fingerprint)
    place = DATASETS[request.param].find()
    if place is None or place.name == cifar10.BATCHES:  # its names alone are read
        pytest.skip(f"{request.param} is not on this machine: {DATASETS[request.param].fetch}")
    if request.param == "fashion_mnist":
        labels = (fashion_mnist.read_idx(next(place.glob(f"{part}-labels-idx1-ubyte*"))) for part in ("train", "t10k"))
        return numbered("fashion_mnist", *(torch.from_numpy(part.astype("int64")) for part in labels))
    items = manifest.read(place)
    labels = []
    for part in ("train", "query"):  # in the order of the hashes of <class>/<stem>, as CIFAR-10 is loaded
        rows = items.parts[part].tolist()
        names = {row: "/".join(items.paths[row].rsplit(".", 1)[0].split("/")[1:]) for row in rows}
        rows.sort(key=lambda row, names=names: hashlib.sha256(names[row].encode()).hexdigest())
        labels.append(torch.from_numpy(items.labels[rows]))
    return numbered("cifar10", *labels, DATASETS["cifar10"].fingerprint(0))


def divided(split, protocol, draw=0):
    """What `datasets.load` gives, from data that are loaded already; a skip where there is no committed list."""
    if protocol in LISTED and split.name == "fashion_mnist":
        pytest.skip("there is no committed list")
    return PROTOCOLS[protocol](split, draw)


def numbers(part):
    return part.inputs[:, 0].long().tolist()


def same(part, other):
    return torch.equal(part.inputs, other.inputs) and torch.equal(part.labels, other.labels)


# Every protocol


@pytest.mark.parametrize("protocol", OF_TEN_CLASSES)
def test_every_division_has_its_sizes_does_not_leak_and_keeps_labels_with_items(published, protocol):
    split = divided(published, protocol)
    sizes = tuple(len(part) for part in (split.train, split.query, split.database))
    assert sizes == SIZES[published.name].get(protocol, sizes) and min(sizes) > 0
    assert split.name == published.name and len(split.classes) == (5 if protocol == "n_way_5" else 10)
    assert (split.database is split.train) == (protocol in (*SAME_DATABASE, "n_way_5"))
    rows = {name: numbers(getattr(split, name)) for name in ("train", "query", "database")}
    check_leaks(rows, len(published.train) + len(published.query))
    labels = torch.cat([published.train.labels, published.query.labels])
    for name, indices in rows.items():
        part = getattr(split, name)
        assert indices == sorted(indices)
        assert [split.classes[y] for y in part.labels] == [published.classes[y] for y in labels[indices]]
        from_queries = name == "query" and protocol not in HELD_OUT
        if protocol not in LISTED:
            assert all((index >= len(published.train)) == from_queries for index in indices)


@pytest.mark.parametrize("protocol", [*HELD_OUT, "reduced", *UNSEEN, "n_way_5", "unbalanced"])
def test_another_draw_is_another_division_and_the_same_draw_the_same(digits, protocol):
    first, second = (divided(digits, protocol, draw) for draw in (0, 1))
    with torch.random.fork_rng():
        torch.manual_seed(99)
        again = divided(digits, protocol, 0)
    assert all(same(getattr(first, name), getattr(again, name)) for name in ("train", "query", "database"))
    assert not (len(first.train) == len(second.train) and same(first.train, second.train))


@pytest.mark.parametrize("protocol", ["held_out", "reduced", "sampled"])
def test_random_parts_are_stratified(published, protocol):
    split = divided(published, protocol)
    part = split.query if protocol == "held_out" else split.train
    share = published.train.labels.bincount() * (len(part) / len(published.train))
    assert ((part.labels.bincount(minlength=10) - share).abs() < 1).all()


def test_held_out_divides_the_training_set(published):
    for protocol, source in {"held_out": published, "reduced_held_out": PROTOCOLS["reduced"](published, 0)}.items():
        split = divided(published, protocol)
        assert sorted(numbers(split.train) + numbers(split.query)) == numbers(source.train)


def test_the_first_tenth_and_the_published_split(published):
    split = divided(published, "first_tenth")
    for part, source in ((split.train, published.train), (split.query, published.query)):
        assert numbers(part) == numbers(source)[: len(source) // 10]
    assert divided(published, FULL, 7) is published


@pytest.mark.parametrize(("protocol", "n"), UNSEEN.items())
@pytest.mark.parametrize("draw", range(3))
def test_unseen_classes_are_not_trained_on_and_are_all_of_queries_and_database(published, protocol, n, draw):
    split = divided(published, protocol, draw)
    seen, unseen = set(split.train.labels.tolist()), set(split.query.labels.tolist())
    assert unseen == set(split.database.labels.tolist()) and seen.isdisjoint(unseen)
    assert (len(seen), len(unseen)) == (10 - n, n)
    sizes = [sum((part.labels == k).sum().item() for k in unseen) for part in (published.query, published.database)]
    assert [len(split.query), len(split.database)] == sizes
    assert len(split.train) == len(published.train) - sizes[1]


def test_draws_of_unseen_classes_reach_every_class(digits):
    draws = [frozenset(divided(digits, "unseen_3", draw).query.labels.tolist()) for draw in range(20)]
    assert len(set(draws)) > 10 and frozenset.union(*draws) == set(range(10))


def test_several_labels_are_drawn_by_the_first_and_refused_where_one_is_needed():
    labels = torch.randint(2, (200, 4), generator=torch.Generator().manual_seed(0))
    labels[:, -1] = 1
    train = Part(torch.arange(200.0)[:, None], labels)
    several = Split("toy", train, train[:30], train, "fingerprint", tuple("abcd"))
    split = divided(several, "held_out")
    n_train, n_query = (part.labels.argmax(dim=1).bincount(minlength=4) for part in (split.train, split.query))
    assert len(split.query) == 20 and ((n_query - (n_train + n_query) * 0.1).abs() < 1).all()
    for protocol in (*UNSEEN, "n_way_20", "n_way_5", "unbalanced"):
        with pytest.raises(ValueError, match=r"^toy must have one label an item, got several$"):
            divided(several, protocol)


# Some classes, and classes of unequal frequency


def toy(n_train=120, n_classes=12, other_database=False):
    def part(start, n):
        return Part(torch.arange(start, start + n).float()[:, None], torch.arange(n) % n_classes)

    train, names = part(0, n_train), tuple(f"class {k}" for k in range(n_classes))
    return Split("toy", train, part(20_000, 36), part(30_000, 180) if other_database else train, "fingerprint", names)


@pytest.mark.parametrize("other_database", [False, True])
@pytest.mark.parametrize("n_classes", [1, 5, 12])
def test_n_way_keeps_the_items_of_the_drawn_classes_under_new_labels(other_database, n_classes):
    whole = toy(other_database=other_database)
    split = protocols.n_way(whole, 3, n_classes=n_classes)
    assert len(split.classes) == n_classes and list(split.classes) == [k for k in whole.classes if k in split.classes]
    assert (split.database is split.train) == (not other_database)
    for name in ("train", "query", "database"):
        part, before = getattr(split, name), getattr(whole, name)
        names = {number: whole.classes[y] for number, y in zip(numbers(before), before.labels, strict=True)}
        assert numbers(part) == [number for number, k in names.items() if k in split.classes]
        assert [split.classes[y] for y in part.labels] == [names[number] for number in numbers(part)]
        assert part.labels.dtype == torch.int64 and part.labels.unique().tolist() == list(range(n_classes))


def test_the_classes_of_a_draw_never_change():
    assert protocols.n_way(toy(), 0, n_classes=3).classes == ("class 2", "class 7", "class 9")
    with pytest.raises(ValueError, match=r"^toy has 12 classes: expected at least 13$"):
        protocols.n_way(toy(), 0, n_classes=13)


def test_unbalanced_classes_have_their_shares():
    """1, then 100 to the power of minus 1 / 11, 2 / 11, ... and a hundredth; at least one item."""
    whole = toy(12_000, other_database=True)
    split = protocols.unbalanced(whole, 0)
    assert split.train.labels.bincount().tolist() == [round(1000 * 100 ** (-k / 11)) for k in range(12)]
    assert split.database is split.train and split.query is whole.query
    rows = split.train.inputs[:, 0].long()
    assert (rows.diff() > 0).all() and torch.equal(whole.train.labels[rows], split.train.labels)
    assert protocols.unbalanced(toy(), 0).train.labels.bincount().tolist()[-4:] == [1, 1, 1, 1]
    assert len(protocols.unbalanced(toy(7, n_classes=1), 0).train) == 7


def test_pictures_stay_in_their_files(tmp_path):
    names = [f"{number}.png" for number in range(24)]
    root = write_folder(tmp_path / "own", {name: picture(number) for number, name in enumerate(names)})
    train = Part(Pictures(root, names, names, SIDE), torch.arange(24) % 12)
    whole = Split("toy", train, train, train, "fingerprint", toy().classes)
    for split in (protocols.n_way(whole, 0, n_classes=3), protocols.unbalanced(whole, 0)):
        assert isinstance(split.train.inputs, Pictures) and split.database is split.train
        assert len(split.train.inputs[:]) == len(split.train)


# Table 5: the committed lists


def test_the_committed_list_is_the_drawn_one_byte_for_byte(published, tmp_path):
    if published.name == "fashion_mnist":
        pytest.skip("there is no committed list")
    path = paths.SPLITS / f"{published.name}-table_5.json"
    n_items = len(published.train) + len(published.query)
    assert protocols.read_list(path, published.fingerprint, n_items) == protocols.draw_list(published)
    protocols.write_list(published, tmp_path / "list.json")
    assert (tmp_path / "list.json").read_bytes() == path.read_bytes()


def test_both_readings_differ_by_the_training_items_alone(published):
    rest, everything = (divided(published, protocol) for protocol in LISTED)
    assert numbers(rest.train) == numbers(everything.train) and numbers(rest.query) == numbers(everything.query)
    assert sorted(numbers(rest.database) + numbers(rest.train)) == numbers(everything.database)
    n_items = len(published.train) + len(published.query)
    assert sorted(numbers(everything.database) + numbers(rest.query)) == list(range(n_items))
    if published.name == "cifar10":  # so that tuning on `reduced` uses no label beyond Table 5's
        assert same(rest.train, divided(published, "reduced").train)


@pytest.mark.parametrize("protocol", LISTED)
def test_another_draw_or_a_data_set_without_a_list_is_refused(digits, protocol, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="Table 5 is one committed list: draw must be 0, got 1"):
        PROTOCOLS[protocol](digits, 1)
    with pytest.raises(ValueError, match="no committed list that divides fashion_mnist"):
        datasets.fingerprint("fashion_mnist", 0, protocol)
    monkeypatch.setattr(paths, "SPLITS", tmp_path)
    (tmp_path / "toy-table_5.json").write_text("{}")
    with pytest.raises(ValueError, match="no committed list that divides digits as Table 5 does; there is one for toy"):
        PROTOCOLS[protocol](digits, 0)


def rehashed(content):
    return content | {"sha256": protocols.checksum(content)}


ALTERATIONS = {
    "checksum": (lambda held: held | {"sha256": "0" * 64}, "expected SHA-256 0{64} of its indices, got "),
    "order": (lambda held: held | {"query": held["query"][::-1]}, "expected SHA-256 .* of its indices, got "),
    "data": (lambda held: held | {"data": "others"}, "it divides others, expected 87ff0c9e40dc7e2c-stratified"),
    "leak": (
        lambda held: rehashed(held | {"query": [*held["query"][1:], held["train"][0]]}),
        "the split leaks: 1 of 50 queries are also in the part 'train'",
    ),
    "twice": (
        lambda held: rehashed(held | {"train": [*held["train"][1:], held["train"][1]]}),
        "1 of 129 items of the part 'train' are there twice",
    ),
    "beyond": (
        lambda held: rehashed(held | {"query": [*held["query"][1:], 1797]}),
        "the part 'query' must hold indices from 0 to 1796, got 1797",
    ),
    "no queries": (lambda held: {k: v for k, v in held.items() if k != "query"}, "query"),
    "no parts": (lambda held: [held["train"], held["query"]], "it must be object"),
    "one number": (lambda held: held | {"train": 3}, "train must be array"),
}


@pytest.mark.parametrize(("alter", "message"), ALTERATIONS.values(), ids=ALTERATIONS)
def test_an_altered_list_is_named(digits, tmp_path, monkeypatch, alter, message):
    path = tmp_path / "digits-table_5.json"
    protocols.write_list(digits, path)
    path.write_text(json.dumps(alter(json.loads(path.read_text()))))
    monkeypatch.setattr(paths, "SPLITS", tmp_path)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} .*{message}.*; "):
        datasets.load("digits", protocol="sampled")
    path.write_text("{")
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} .*; clone"):
        datasets.load("digits", protocol="sampled")


def test_queries_in_the_database_are_counted():
    """As in the lists that HashGAN was published with: 888 of its 1,000 queries are in the database."""
    parts = {"train": range(5_000), "query": range(59_000, 60_000), "database": range(5_888, 59_888)}
    with pytest.raises(ValueError, match="the split leaks: 888 of 1000 queries are also in the part 'database'"):
        check_leaks(parts, 60_000)
    check_leaks({"train": [0, 1], "query": [2], "database": [0, 1, 3]}, 4)  # a database may contain training items


# Fingerprints


@pytest.mark.parametrize("get", [datasets.load, datasets.fingerprint])
def test_an_unknown_protocol_lists_the_known(get):
    with pytest.raises(
        ValueError, match="unknown protocol 'half'; known: first_tenth, full, held_out, n_way_20, n_way"
    ):
        get("digits", protocol="half")


@pytest.mark.parametrize("protocol", [name for name in OF_TEN_CLASSES if name not in LISTED])
def test_load_gives_the_protocol_of_the_published_division_under_its_fingerprint(digits, protocol):
    """The draw is the protocol's: the queries of the data set stay those of its draw 0."""
    for draw in (0, 1):
        split = datasets.load("digits", draw=draw, protocol=protocol)
        assert split.fingerprint == datasets.fingerprint("digits", draw, protocol)
        if protocol != FULL:
            expected = divided(digits, protocol, draw)
            assert all(same(getattr(split, name), getattr(expected, name)) for name in ("train", "query", "database"))
            assert protocol not in HELD_OUT or overlap(split.query, digits.query) == 0


@pytest.mark.parametrize("name", KNOWN)
def test_fingerprints_need_no_data_and_differ_by_protocol_and_draw(name, monkeypatch, tmp_path):
    monkeypatch.setenv("QSMI_DATA", str(tmp_path))
    draws = {protocol: [0, 1] for protocol in PROTOCOLS if protocol not in LISTED}
    if name not in DRAWN:
        draws[FULL] = [0]
        with pytest.raises(ValueError, match="draw must be 0, got 1"):
            datasets.fingerprint(name, 1)
    fingerprints = [datasets.fingerprint(name, draw, protocol) for protocol in draws for draw in draws[protocol]]
    assert all(one != other for one, other in combinations(fingerprints, 2))
    assert datasets.fingerprint(name) == DATASETS[name].fingerprint(0)  # as in records from before there were protocols
