"""NUS-WIDE, MS COCO, ILSVRC and any folder: versions told apart by their numbers, divisions, and what is refused."""

import os
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from qsmi_lib import datasets
from qsmi_lib.datasets.images import dataset
from qsmi_lib.datasets.images.dataset import PICTURE_SETS, PictureSet, Version
from qsmi_lib.datasets.images.lazy import Pictures
from qsmi_lib.datasets.sampling import AtRandom, PerLabel
from qsmi_lib.tests.datasets.small_pictures import WRITERS, listing, picture, table, write_folder, write_zip
from qsmi_lib.training import splits
from qsmi_lib.training.splits import load_split

ONE = picture(0)  # where what a picture shows does not matter
each_source = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """An empty folder of data."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("QSMI_DATA", str(folder))
    return folder


def several(n_items, n_labels, seed=0):
    """A path and its labels an item: one or two of them."""
    random = np.random.default_rng(seed)
    labels = np.eye(n_labels, dtype=int)[np.arange(n_items) % n_labels]
    labels[np.arange(n_items), random.integers(0, n_labels, n_items)] = 1
    return {f"images/{number}.png": tuple(row) for number, row in enumerate(labels.tolist())}


def files(rows):
    return dict.fromkeys(rows, ONE)


def divided(rows, n_query, n_train):
    """Lists of three parts: the training items are searched too."""
    names = list(rows)
    parts = {"test": names[:n_query], "train": names[n_query : n_query + n_train], "database": names[n_query:]}
    return {f"{part}.txt": listing({name: rows[name] for name in own}) for part, own in parts.items()}


def sizes(split):
    return len(split.train), len(split.query), len(split.database)


# What is known of the published ones


def test_the_numbers_are_those_of_the_paper():
    nus_wide, ms_coco, ilsvrc = (list(PICTURE_SETS[n].versions.values()) for n in ("nus_wide", "ms_coco", "ilsvrc"))
    assert nus_wide == [Version(21, 195_834, PerLabel(100), 2100), Version(81, 223_496, None)]
    assert ms_coco == [Version(80, None, AtRandom(5000, 10_000))]
    assert ilsvrc == [Version(1000, None, None)]
    assert {PICTURE_SETS[name].side for name in ("nus_wide", "ms_coco", "ilsvrc", "miml_scenes")} == {224}


@pytest.mark.parametrize("name", PICTURE_SETS)
def test_what_is_not_here_says_how_to_get_it(data, name):
    entry = PICTURE_SETS[name]
    assert entry.find() is None
    message = (
        f"{name} is not on this machine: put a folder {name} or {name.replace('_', '-')}.zip where QSMI_DATA points; "
        "`datasets check PATH` says what it lacks"
    )
    for ask in (lambda: entry.load(0), lambda: datasets.load(name), lambda: entry.CLASSES, entry.version):
        with pytest.raises(FileNotFoundError, match=f"^{re.escape(message)}$"):
            ask()


def test_places_are_looked_at_in_their_order(data):
    """Each of these goes before those that were there."""
    for place in (write_zip(data / "ms-coco", {}), data / "ms-coco", data / "ms_coco"):
        if not place.suffix:
            place.mkdir()
        assert PICTURE_SETS["ms_coco"].find() == place


@pytest.mark.parametrize(("n_labels", "n_items"), [(21, 40), (81, 100), (20, 40)])
def test_nus_wide_with_other_numbers_is_refused_and_both_versions_are_named(data, n_labels, n_items):
    rows = several(n_items, n_labels)
    write_folder(data / "nus_wide", files(rows) | {"all.txt": listing(rows)})
    message = (
        f"{data / 'nus_wide'} holds {n_items} pictures with {n_labels} labels, nus_wide has 195834 pictures with 21 "
        "labels or 223496 pictures with 81 labels: name its path instead, to use it as a data set of its own"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        datasets.load("nus_wide")
    with pytest.raises(ValueError, match="name its path instead"):
        datasets.fingerprint("nus_wide")
    assert datasets.fingerprint(str(data / "nus_wide")).endswith("-tenth-a-label-224px-draw-0")


SMALL = PictureSet(
    "nus_wide", {"few labels": Version(3, 30, PerLabel(2), 6), "many labels": Version(5, 40, None)}, side=8
)


@pytest.fixture
def nus_wide(data, monkeypatch):
    """NUS-WIDE in small: 30 pictures with 3 labels, or 40 with 5."""
    monkeypatch.setitem(datasets.DATASETS, "nus_wide", SMALL)
    return data / "nus_wide"


@each_source
def test_the_version_that_no_one_has_divided(nus_wide, write):
    rows = several(30, 3)
    write(nus_wide.with_name("nus-wide"), files(rows) | {"all.txt": listing(rows)})
    assert SMALL.version() == "few labels" and SMALL.CLASSES == ("0", "1", "2")
    split = datasets.load("nus_wide")
    assert sizes(split) == (24, 6, 24) and split.database is split.train
    assert split.fingerprint.endswith("-2-a-label-8px-draw-0") and split.name == "nus_wide"


@each_source
def test_the_version_that_comes_in_lists(nus_wide, write):
    rows = several(40, 5)
    write(nus_wide.with_name("nus-wide"), files(rows) | divided(rows, 10, 20))
    assert SMALL.version() == "many labels" and len(SMALL.CLASSES) == 5
    assert sizes(datasets.load("nus_wide")) == (20, 10, 30)


@pytest.mark.parametrize(("n_items", "n_labels"), [(30, 5), (40, 3), (31, 3)])
def test_the_numbers_of_two_versions_do_not_mix(nus_wide, n_items, n_labels):
    rows = several(n_items, n_labels)
    write_folder(nus_wide, files(rows) | {"all.txt": listing(rows)})
    with pytest.raises(ValueError, match="has 30 pictures with 3 labels or 40 pictures with 5 labels: name its path"):
        datasets.load("nus_wide")


def test_the_protocol_draws_queries_for_each_label(nus_wide):
    rows = several(30, 3)
    write_folder(nus_wide, files(rows) | {"all.txt": listing(rows)})
    drawn = [datasets.load("nus_wide", draw=draw) for draw in (0, 1, 0)]
    own = [split.query.inputs.paths.tolist() for split in drawn]
    assert own[0] == own[2] != own[1] and drawn[0].fingerprint == drawn[2].fingerprint != drawn[1].fingerprint
    for split, names in zip(drawn, own, strict=True):
        assert split.query.labels.tolist() == [list(rows[name]) for name in names]
        assert (split.query.labels.sum(dim=0) >= 2).all()
        assert set(names) | set(split.train.inputs.paths) == set(rows)


def test_a_version_with_lists_of_its_own_has_one_split(nus_wide):
    rows = several(30, 3)
    write_folder(nus_wide, files(rows) | divided(rows, 6, 12))
    split = datasets.load("nus_wide")
    assert sizes(split) == (12, 6, 24) and split.fingerprint.endswith("-own-8px")
    assert set(split.query.inputs.paths) == set(list(rows)[:6])
    assert set(split.train.inputs.paths) < set(split.database.inputs.paths)
    with pytest.raises(ValueError, match=r"^nus_wide has one split, its own: draw must be 0, got 1$"):
        datasets.load("nus_wide", draw=1)


def test_lists_with_another_number_of_queries_are_refused(nus_wide):
    rows = several(30, 3)
    write_folder(nus_wide, files(rows) | divided(rows, 5, 12))
    with pytest.raises(ValueError, match=r"nus_wide lists 5 queries, expected 6, as nus_wide has$"):
        datasets.load("nus_wide")


def test_a_version_that_no_one_divides_wants_lists(nus_wide):
    rows = several(40, 5)
    write_folder(nus_wide, files(rows) | {"all.txt": listing(rows)})
    with pytest.raises(ValueError, match=r"nus_wide is one list: expected train\.txt, test\.txt and database\.txt$"):
        datasets.load("nus_wide")


def test_items_without_a_label_are_refused_where_the_protocol_draws_and_taken_where_lists_say_so(nus_wide):
    rows = several(30, 3)
    names = list(rows)
    rows |= {names[3]: (0, 0, 0), names[20]: (0, 0, 0)}
    write_folder(nus_wide, files(rows) | {"all.txt": listing(rows)})
    message = r"^2 of 30 pictures carry no label, the first at all\.txt:(4|21): expected at least one label each$"
    with pytest.raises(ValueError, match=message):
        datasets.load("nus_wide")
    (nus_wide / "all.txt").unlink()
    write_folder(nus_wide, divided(rows, 6, 12))
    split = datasets.load("nus_wide")
    assert sizes(split) == (12, 6, 24)
    assert [int((part.labels.sum(dim=1) == 0).sum()) for part in (split.query, split.database)] == [1, 1]


@each_source
def test_a_query_that_trains_is_refused_with_its_line(nus_wide, write):
    rows = several(30, 3)
    lists = divided(rows, 6, 12)
    lists["test.txt"] += listing({"images/7.png": rows["images/7.png"]})
    write(nus_wide.with_name("nus-wide"), files(rows) | lists)
    message = r"^test\.txt:7: the query images/7\.png lies in the part 'train' too \(the first of 2 faults\); `py"
    for ask in (datasets.load, datasets.fingerprint):
        with pytest.raises(ValueError, match=message):
            ask("nus_wide")


# COCO and ILSVRC as they are, in small


@each_source
def test_coco_by_its_lists(data, write):
    rows = several(200, 80)
    write(data / "ms-coco", files(rows) | divided(rows, 20, 50))
    split = datasets.load("ms_coco")
    assert sizes(split) == (50, 20, 180) and split.query.labels.shape == (20, 80)
    assert split.query.inputs.shape == (20, 3, 224, 224) and split.query.inputs[:2].shape == (2, 3, 224, 224)


def test_coco_as_one_list_is_divided_at_random(data, monkeypatch):
    rows = several(200, 80)
    write_folder(data / "ms_coco", files(rows) | {"all.txt": listing(rows)})
    with pytest.raises(ValueError, match=r"^expected at least 5000 \+ 10000 items, got 200$"):
        datasets.load("ms_coco")
    entry = PICTURE_SETS["ms_coco"]
    version = replace(entry.versions["80 labels"], division=AtRandom(20, 50))
    monkeypatch.setitem(datasets.DATASETS, "ms_coco", replace(entry, versions={"80 labels": version}))
    split = datasets.load("ms_coco", draw=3)
    assert sizes(split) == (50, 20, 180) and split.fingerprint.endswith("-20-at-random-50-train-224px-draw-3")


def test_coco_with_another_number_of_labels(data):
    rows = several(30, 5)
    write_folder(data / "ms_coco", files(rows) | {"all.txt": listing(rows)})
    with pytest.raises(ValueError, match="holds 30 pictures with 5 labels, ms_coco has any pictures with 80 labels: "):
        datasets.load("ms_coco")


def test_ilsvrc_in_folders_of_classes(data):
    names = [f"{part}/n{number:08}/{part}.png" for part in ("train", "val") for number in range(1000)]
    write_zip(data / "ilsvrc", files(names))
    split = datasets.load("ilsvrc")
    assert sizes(split) == (1000, 1000, 1000) and split.database is split.train
    assert split.classes == tuple(f"n{number:08}" for number in range(1000)) and split.train.labels.ndim == 1
    names = [split.classes[label] for label in split.query.labels]
    assert [path.split("/")[1] for path in split.query.inputs.paths] == names
    twenty = datasets.load("ilsvrc", protocol="n_way_20", draw=1)
    assert sizes(twenty) == (20, 20, 20) and len(set(twenty.classes)) == 20
    assert twenty.query.labels.sort().values.tolist() == list(range(20))
    with pytest.raises(ValueError, match="ilsvrc has one split, its own: draw must be 0, got 1"):
        datasets.load("ilsvrc", draw=1)


def test_ilsvrc_needs_a_part_that_asks(data, monkeypatch):
    few = replace(PICTURE_SETS["ilsvrc"], versions={"two classes": Version(2, None, None)})
    monkeypatch.setitem(datasets.DATASETS, "ilsvrc", few)
    write_folder(data / "ilsvrc", files(["train/a/1.png", "train/b/1.png"]))
    with pytest.raises(ValueError, match=r"ilsvrc has no part 'query': expected lists of lines"):
        datasets.load("ilsvrc")


# Marks of what is known


def test_known_pictures_are_known_by_what_they_show(data, monkeypatch):
    """And their fingerprint needs no data."""
    rows = several(40, 5)
    entry = PictureSet("scenes", {"any": Version(5, 40, PerLabel(2), mark="0123456789abcdef")}, side=8)
    monkeypatch.setitem(datasets.DATASETS, "scenes", entry)
    assert datasets.fingerprint("scenes", 2) == "0123456789abcdef-2-a-label-8px-draw-2"
    source = write_folder(data / "scenes", files(rows) | {"labels.csv": table(rows, "abcde")})
    message = rf"^{re.escape(str(source))} does not hold the known .* expected .* 0123456789abcdef, got [0-9a-f]{{64}}$"
    with pytest.raises(ValueError, match=message) as error:
        datasets.load("scenes")
    mark = str(error.value)[-64:][:16]
    known = replace(entry, versions={"any": Version(5, 40, PerLabel(2), mark=mark)})
    monkeypatch.setitem(datasets.DATASETS, "scenes", known)
    split = datasets.load("scenes", draw=1)
    assert split.fingerprint == datasets.fingerprint("scenes", 1) == f"{mark}-2-a-label-8px-draw-1"
    assert split.classes == tuple("abcde") and sizes(split) == (30, 10, 30)
    packed = write_zip(data / "packed", files(rows) | {"labels.csv": table(rows, "abcde")})
    assert sizes(replace(known, at=packed).load(1)) == (30, 10, 30)
    write_folder(source, {"images/7.png": picture(1)})
    with pytest.raises(ValueError, match="does not hold the known pictures and labels of scenes"):
        datasets.load("scenes")


def here(name):
    """A published data set, or a skip that names its file."""
    if PICTURE_SETS[name].find() is None:
        pytest.skip(f"needs {name.replace('_', '-')}.zip under QSMI_DATA")
    return PICTURE_SETS[name]


def test_what_stands_in_for_nus_wide_and_coco():
    entry, split = here("miml_scenes"), datasets.load("miml_scenes")
    assert sizes(split) == (1500, 500, 1500) and split.database is split.train
    assert split.classes == ("desert", "mountains", "sea", "sunset", "trees")
    assert split.fingerprint == datasets.fingerprint("miml_scenes")
    assert (split.query.labels.sum(dim=0) >= 100).all() and split.train.labels.any(dim=1).all()
    assert split.query.inputs[:3].shape == (3, 3, entry.side, entry.side)


def test_what_stands_in_for_ilsvrc():
    entry = here("tiny_imagenet_32")
    found = entry.catalogue()
    assert entry.version() == "32 classes" and {k: len(rows) for k, rows in found.parts.items()} == {
        "train": 16_000,
        "query": 1600,
    }
    assert np.bincount(found.labels[found.parts["query"]]).tolist() == [50] * 32


# Any folder, zip or list by its path


@each_source
def test_a_path_is_a_data_set(tmp_path, write):
    rows = several(60, 3)
    source = write(tmp_path / "own", files(rows) | {"labels.csv": table(rows, ("cat", "dog", "owl"))})
    split = datasets.load(str(source))
    assert sizes(split) == (54, 6, 54) and split.classes == ("cat", "dog", "owl") and split.name == str(source)
    assert isinstance(split.query.inputs, Pictures)
    assert datasets.named(str(source)).find() == source
    drawn = datasets.load(str(source), draw=1)
    assert drawn.fingerprint != split.fingerprint == datasets.fingerprint(str(source))


def test_paths_may_be_relative_or_of_the_home_folder(tmp_path, monkeypatch):
    rows = several(30, 3)
    source = write_folder(tmp_path / "own", files(rows) | {"all.txt": listing(rows)})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("own", "./own", "~/own", "own/all.txt"):
        assert datasets.fingerprint(name) == datasets.fingerprint(str(source))
        assert datasets.named(name).find().is_absolute()


def test_a_name_of_the_registry_goes_before_a_folder_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    assert datasets.named("digits") is datasets.DATASETS["digits"]


@pytest.mark.parametrize("name", ["mnist", "nowhere/at/all", ""])
def test_neither_a_name_nor_a_path(name):
    message = f"^unknown data set '{name}'; known: cifar10, .*, tiny_imagenet_32; or the path of a folder, a zip or a l"
    with pytest.raises(ValueError, match=message):
        datasets.named(name)


def test_a_list_that_changes_is_read_again(tmp_path):
    rows = several(30, 3)
    source = write_folder(tmp_path / "own", files(rows) | {"all.txt": listing(rows)})
    before = datasets.fingerprint(str(source))
    assert datasets.fingerprint(str(source)) == before
    write_folder(source, {"all.txt": listing(dict(list(rows.items())[:29]))})
    os.utime(source / "all.txt", ns=(1, 1))
    assert datasets.fingerprint(str(source)) != before and len(datasets.load(str(source)).database) == 26


def test_a_list_is_read_once(tmp_path, monkeypatch):
    rows = several(30, 3)
    source = write_folder(tmp_path / "own", files(rows) | {"all.txt": listing(rows)})
    datasets.fingerprint(str(source))
    monkeypatch.setattr(dataset.catalogue, "read", lambda *_: pytest.fail("read again"))
    assert sizes(datasets.load(str(source))) == (27, 3, 27)


def test_a_faulty_path_is_refused_with_the_line(tmp_path):
    source = write_folder(tmp_path / "own", files(["a.png"]) | {"all.txt": "a.png 1 0\nb.png 0 1\n"})
    hint = f"; `python -m qsmi_lib datasets check {source}` lists all"
    message = f"all.txt:2: b.png is not there: expected it below {source}{hint}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        datasets.load(str(source))


def test_another_picture_under_an_old_name_is_another_data_set(tmp_path):
    """As far as its size tells; a folder and a zip, on any day, give one fingerprint."""
    rows = several(30, 3)
    content = files(rows) | {"all.txt": listing(rows)}
    folder, packed = (str(write(tmp_path / "own", content)) for write in WRITERS.values())
    before = datasets.fingerprint(folder)
    assert datasets.fingerprint(packed) == before
    os.utime(tmp_path / "own/images/3.png", ns=(1, 1))
    assert datasets.fingerprint(folder) == before
    write_folder(tmp_path / "own", {"images/3.png": picture(0, 40, 40)})
    assert datasets.fingerprint(folder) != before


def test_rare_labels_leave_something_to_train_on(tmp_path):
    """A label of one item asks nothing, one of none neither."""
    rows = {f"images/{number}.png": (int(number > 2), int(number < 3), int(number == 5), 0) for number in range(60)}
    source = str(write_folder(tmp_path / "own", files(rows) | {"all.txt": listing(rows)}))
    split = datasets.load(source)
    assert sizes(split) == (58, 2, 58)
    assert split.query.labels.sum(dim=0)[[0, 1, 3]].tolist() == [1, 1, 0]


@pytest.mark.parametrize(("part", "division"), [("query", AtRandom(0, 2)), ("train", AtRandom(2, 0))])
def test_a_part_of_nothing_is_refused(tmp_path, part, division):
    source = write_folder(tmp_path / "own", files(["a.png", "b.png"]) | {"all.txt": "a.png 1 0\nb.png 0 1\n"})
    toy = PictureSet("toy", {"any": Version(division=division)}, at=source)
    with pytest.raises(ValueError, match=f"^{re.escape(str(source))} has no part '{part}': expected lists of lines"):
        toy.load(0)


def test_protocols_divide_what_a_path_holds(tmp_path):
    names = [f"{part}/{'abcdefg'[k % 7]}/{k}.png" for part, n in (("train", 70), ("test", 21)) for k in range(n)]
    source = str(write_folder(tmp_path / "own", files(names)))
    expected = {
        "reduced": (35, 21, 70),
        "held_out": (63, 7, 63),
        "first_tenth": (7, 2, 7),
        "n_way_5": (50, 15, 50),
        "unseen_2": (50, 6, 20),
    }
    for protocol, numbers in expected.items():
        assert sizes(datasets.load(source, protocol=protocol)) == numbers
    with pytest.raises(ValueError, match="there is no committed list that divides"):
        datasets.load(source, protocol="sampled")


def test_features_of_a_path_are_those_of_its_decoded_pictures(tmp_path, monkeypatch):
    names = [f"{part}/{kind}/{k}.png" for part in ("train", "test") for kind in "ab" for k in range(3)]
    content = {name: picture(number, 30, 40) for number, name in enumerate(names)}
    sources = [str(write(tmp_path / "own", content)) for write in WRITERS.values()]
    monkeypatch.setattr(datasets.backbones, "load", lambda name: torch.nn.Sequential(torch.nn.Flatten()).eval())
    monkeypatch.setattr(torch.nn.Flatten, "forward", lambda self, images: images.float().mean(dim=(2, 3)))
    folder, packed = (load_split(source, backbone="resnet56") for source in sources)
    assert folder.fingerprint == packed.fingerprint
    pictures = datasets.load(sources[0]).query.inputs[:]
    for own in (folder, packed):
        assert own.database is own.train
        assert (own.query.inputs - pictures.float().mean(dim=(2, 3))).abs().max() < 1e-3


# Names


def test_titles_say_what_stands_in_for_what():
    assert datasets.title("miml_scenes") == "miml-scenes in place of NUS-WIDE and MS COCO"
    assert datasets.title("tiny_imagenet_32") == "Tiny ImageNet, 32 classes in place of ILSVRC"
    assert datasets.title("nus_wide") == "NUS-WIDE" and datasets.title("some/folder") == "some/folder"
    assert datasets.TITLES.keys() == datasets.DATASETS.keys()
    assert datasets.SUBSTITUTE_FOR.keys() <= PICTURE_SETS.keys()
    assert {of for own in datasets.SUBSTITUTE_FOR.values() for of in own} <= PICTURE_SETS.keys()


def test_the_inventory_has_all_of_them(data):
    found = {name: (place, fetch) for name, place, fetch in splits.inventory()}
    assert found.keys() >= PICTURE_SETS.keys()
    write_zip(data / "ms-coco", {})
    found = {name: (place, fetch) for name, place, fetch in splits.inventory()}
    assert found["ms_coco"][0] == data / "ms-coco.zip" and found["nus_wide"] == (None, PICTURE_SETS["nus_wide"].FETCH)
