"""Protocols: what trains, what asks and what is searched, and that nothing leaks between them."""

from itertools import combinations

import pytest
import torch

from qsmi_lib import datasets
from qsmi_lib.datasets import Part, Split, fashion_mnist, overlap, protocols, subsets
from qsmi_lib.datasets.protocols import FULL, PROTOCOLS

COMMAND = "apt-get install dataset-fashion-mnist"
HELD_OUT = ("held_out", "reduced_held_out")
UNSEEN = {"unseen_2": 2, "unseen_3": 3}
KNOWN = ("cifar10", "digit_pairs", "digits", "fashion_mnist", "miml_scenes", "tiny_imagenet_32")  # without the data
DRAWN = ("digit_pairs", "digits", "miml_scenes")  # as published divided by a draw
SIZES = {  # train, query, database; unseen classes: by the classes drawn
    "digits": {
        "full": (1297, 500, 1297),
        "held_out": (1168, 129, 1168),
        "reduced": (648, 500, 1297),
        "reduced_held_out": (584, 64, 584),
        "first_tenth": (129, 50, 129),
    },
    "fashion_mnist": {
        "full": (60_000, 10_000, 60_000),
        "held_out": (54_000, 6_000, 54_000),
        "reduced": (5_000, 10_000, 60_000),
        "reduced_held_out": (4_500, 500, 4_500),
        "first_tenth": (6_000, 1_000, 6_000),
        "unseen_2": (48_000, 2_000, 12_000),
        "unseen_3": (42_000, 3_000, 18_000),
    },
}
every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)
drawn = pytest.mark.parametrize("protocol", [*HELD_OUT, "reduced", *UNSEEN])


@pytest.fixture(scope="module", params=["digits", "fashion_mnist"])
def whole(request):
    """The data set as published, with a number in place of each picture: protocols look at labels alone."""
    if request.param == "digits":
        split = datasets.load("digits")
        return numbered("digits", split.train.labels, split.query.labels)
    folder = fashion_mnist.find()
    if folder is None:
        pytest.skip(f"the four Fashion-MNIST files are not on this machine: {COMMAND}")
    labels = (fashion_mnist.read(next(folder.glob(f"{part}-labels-idx1-ubyte*"))) for part in ("train", "t10k"))
    return numbered("fashion_mnist", *(torch.from_numpy(own.astype("int64")) for own in labels))


def numbered(name, train, query):
    """A split of these labels: the training items are numbered from 0, the queries go on from there."""
    numbers = torch.arange(len(train) + len(query)).float()[:, None]
    part = Part(numbers[: len(train)], train)
    return Split(name, part, Part(numbers[len(train) :], query), part, "mark", datasets.DATASETS[name].CLASSES)


def divided(whole, protocol, draw=0):
    """What `datasets.load` gives, from data that are loaded already."""
    return PROTOCOLS[protocol](whole, draw)


def rows(part, whole):
    """Where each item of `part` stands in `whole`, a part of a numbered split."""
    place = {number: index for index, number in enumerate(whole.inputs[:, 0].tolist())}
    return [place[number] for number in part.inputs[:, 0].tolist()]


def same(part, other):
    return torch.equal(part.inputs, other.inputs) and torch.equal(part.labels, other.labels)


# Every protocol


@every_protocol
def test_sizes(whole, protocol):
    split = divided(whole, protocol)
    sizes = tuple(len(part) for part in (split.train, split.query, split.database))
    if protocol in SIZES[whole.name]:
        assert sizes == SIZES[whole.name][protocol]
    assert min(sizes) > 0
    assert split.classes == whole.classes and split.name == whole.name


@every_protocol
def test_nothing_asks_that_trained_or_is_searched(whole, protocol):
    split = divided(whole, protocol)
    assert overlap(split.query, split.train) == overlap(split.query, split.database) == 0


@every_protocol
def test_parts_are_of_the_parts_of_the_data_set(whole, protocol):
    """What was a query stays one, and labels move with their items, in the order of the data set."""
    split = divided(whole, protocol)
    sources = [(split.train, whole.train), (split.database, whole.database)]
    sources.append((split.query, whole.train if protocol in HELD_OUT else whole.query))
    for part, source in sources:
        index = rows(part, source)
        assert index == sorted(set(index))
        assert torch.equal(part.labels, source.labels[index])


@pytest.mark.parametrize("protocol", HELD_OUT)
def test_choices_never_see_the_queries(whole, protocol):
    split = divided(whole, protocol)
    for part in (split.train, split.query, split.database):
        assert overlap(part, whole.query) == 0


@drawn
def test_another_draw_is_another_division_of_the_same_sizes(whole, protocol):
    first, second = (divided(whole, protocol, draw) for draw in (0, 1))
    assert rows(first.train, whole.train) != rows(second.train, whole.train)
    if protocol not in UNSEEN:
        assert len(first.train) == len(second.train)


@every_protocol
def test_a_draw_is_the_same_again_whatever_the_global_generators(digits, protocol):
    first = divided(digits, protocol, 3)
    with torch.random.fork_rng():
        torch.manual_seed(99)
        again = divided(digits, protocol, 3)
    assert all(same(getattr(first, name), getattr(again, name)) for name in ("train", "query", "database"))


@pytest.mark.parametrize("protocol", [*HELD_OUT, "first_tenth", FULL])
def test_the_database_is_what_trained(whole, protocol):
    split = divided(whole, protocol)
    assert split.database is split.train


# One after the other


def test_full_is_the_data_set_as_published(whole):
    assert divided(whole, FULL, 7) is whole


def test_held_out_is_a_tenth_class_by_class_and_the_rest_trains(whole):
    split = divided(whole, "held_out")
    assert sorted(rows(split.train, whole.train) + rows(split.query, whole.train)) == list(range(len(whole.train)))
    share = whole.train.labels.bincount() * (len(split.query) / len(whole.train))
    assert ((split.query.labels.bincount(minlength=len(share)) - share).abs() < 1).all()


def test_reduced_trains_on_a_part_and_leaves_queries_and_database(whole):
    split = divided(whole, "reduced")
    assert split.query is whole.query and split.database is whole.database
    share = whole.train.labels.bincount() * (len(split.train) / len(whole.train))
    assert ((split.train.labels.bincount(minlength=len(share)) - share).abs() < 1).all()


def test_reduced_held_out_divides_what_reduced_trains_on(whole):
    reduced, split = divided(whole, "reduced", 2).train, divided(whole, "reduced_held_out", 2)
    both = rows(split.train, whole.train) + rows(split.query, whole.train)
    assert sorted(both) == rows(reduced, whole.train)


def test_the_first_tenth_comes_first(whole):
    split = divided(whole, "first_tenth")
    assert same(split.train, whole.train[: len(whole.train) // 10])
    assert same(split.query, whole.query[: len(whole.query) // 10])


@pytest.mark.parametrize(("protocol", "n"), UNSEEN.items())
@pytest.mark.parametrize("draw", range(3))
def test_nothing_of_an_unseen_class_trains_and_nothing_else_is_asked_or_searched(whole, protocol, n, draw):
    split = divided(whole, protocol, draw)
    seen, unseen = set(split.train.labels.tolist()), set(split.query.labels.tolist())
    assert unseen == set(split.database.labels.tolist())
    assert seen.isdisjoint(unseen)
    assert (len(seen), len(unseen)) == (len(whole.classes) - n, n)
    sizes = [sum((part.labels == name).sum().item() for name in unseen) for part in (whole.query, whole.database)]
    assert [len(split.query), len(split.database)] == sizes
    assert len(split.train) == len(whole.train) - sizes[1]


def test_draws_of_unseen_classes_reach_every_class(digits):
    draws = [frozenset(divided(digits, "unseen_3", draw).query.labels.tolist()) for draw in range(20)]
    assert len(set(draws)) > 10 and frozenset.union(*draws) == set(range(10))


# Several labels


def multi_hot(n, n_label=4, seed=0):
    """Items with several labels of which each is the first of some."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (n, n_label), generator=generator)
    labels[:, -1] = 1
    return Part(torch.arange(float(n))[:, None], labels)


def multi_label_split():
    train = multi_hot(200)
    return Split("toy", train, multi_hot(30, seed=1), train, "mark", tuple("abcd"))


def test_several_labels_are_drawn_by_the_first():
    split = divided(multi_label_split(), "held_out")
    first = [part.labels.argmax(dim=1).bincount(minlength=4) for part in (split.train, split.query)]
    assert (len(split.train), len(split.query)) == (180, 20)
    assert ((first[1] - (first[0] + first[1]) * 0.1).abs() < 1).all()


@pytest.mark.parametrize("protocol", UNSEEN)
def test_unseen_classes_need_single_labels(protocol):
    with pytest.raises(ValueError, match="unseen classes need single labels, got multi-hot ones"):
        divided(multi_label_split(), protocol)


# Names and fingerprints


@pytest.mark.parametrize("ask", [datasets.load, datasets.fingerprint])
def test_an_unknown_protocol_lists_the_known(ask):
    with pytest.raises(
        ValueError, match="unknown protocol 'half'; known: first_tenth, full, held_out, n_way_20, n_way_5, red"
    ):
        ask("digits", protocol="half")


@every_protocol
def test_a_fingerprint_is_known_without_the_data(protocol):
    for draw in (0, 1):
        split = datasets.load("digits", draw=draw, protocol=protocol)
        assert split.fingerprint == datasets.fingerprint("digits", draw, protocol)


@pytest.mark.parametrize("name", KNOWN)
def test_fingerprints_differ_by_protocol_and_draw(name):
    draws = {protocol: [0, 1] for protocol in (*PROTOCOLS, *subsets.PROTOCOLS)} | ({} if name in DRAWN else {FULL: [0]})
    marks = [datasets.fingerprint(name, draw, protocol) for protocol, own in draws.items() for draw in own]
    assert all(one != other for one, other in combinations(marks, 2))


def test_the_fingerprint_of_full_is_the_data_sets_own():
    """Records from before there were protocols are found by it."""
    for name in KNOWN:
        own = datasets.DATASETS[name].fingerprint(0)
        assert datasets.fingerprint(name) == datasets.fingerprint(name, protocol=FULL) == own


@pytest.mark.parametrize("name", sorted(datasets.DATASETS.keys() - set(KNOWN)))
def test_a_fingerprint_that_needs_data_says_how_to_get_them(name, monkeypatch, tmp_path):
    monkeypatch.setenv("QSMI_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=f"{name} is not on this machine: put a folder {name} or "):
        datasets.fingerprint(name)


@pytest.mark.parametrize("name", [name for name in KNOWN if name not in DRAWN])
def test_a_data_set_of_one_split_has_no_other_draw(name):
    with pytest.raises(ValueError, match="draw must be 0, got 1"):
        datasets.fingerprint(name, 1)


def test_a_protocol_draws_from_one_published_division(digits):
    """The draw is the protocol's: the items that are held out change, not the queries of the data set."""
    for draw in (0, 1):
        split = datasets.load("digits", draw=draw, protocol="held_out")
        assert same(split.query, divided(digits, "held_out", draw).query)
        assert overlap(split.query, digits.query) == 0


def test_load_is_the_protocol_of_the_data_set(digits):
    split = datasets.load("digits", draw=1, protocol="reduced")
    assert same(split.train, protocols.reduced(digits, 1).train) and same(split.query, digits.query)
    assert not same(datasets.load("digits", draw=1).query, digits.query)
