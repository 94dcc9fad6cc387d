"""NUS-WIDE, MS COCO, ILSVRC and any path: versions told apart by their numbers, divisions, and what is refused."""

import os
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from qsmi_lib import datasets
from qsmi_lib.datasets.images import manifest
from qsmi_lib.datasets.images.dataset import PICTURE_SETS, PictureSet, Version
from qsmi_lib.datasets.images.lazy import Pictures
from qsmi_lib.datasets.sampling import AtRandom, PerLabel
from qsmi_lib.models import backbones
from qsmi_lib.tests.datasets.small_pictures import WRITERS, listing, picture, table, write_folder, write_zip
from qsmi_lib.training import splits
from qsmi_lib.training.splits import load_split

ONE = picture(0)  # where it does not matter what a picture shows
each_source = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """An empty data folder."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("QSMI_DATA", str(folder))
    return folder


def several(n_items, n_labels, seed=0):
    """Paths, each with one or two labels."""
    random = np.random.default_rng(seed)
    labels = np.eye(n_labels, dtype=int)[np.arange(n_items) % n_labels]
    labels[np.arange(n_items), random.integers(0, n_labels, n_items)] = 1
    return {f"images/{number}.png": tuple(row) for number, row in enumerate(labels.tolist())}


def files(rows):
    return dict.fromkeys(rows, ONE)


def one_list(rows):
    return files(rows) | {"all.txt": listing(rows)}


def divided(rows, n_query, n_train):
    """Lists of three parts; the database contains the training items."""
    names = list(rows)
    parts = {"test": names[:n_query], "train": names[n_query : n_query + n_train], "database": names[n_query:]}
    return {f"{part}.txt": listing({name: rows[name] for name in members}) for part, members in parts.items()}


def sizes(split):
    return len(split.train), len(split.query), len(split.database)


# The published data sets


def test_the_published_numbers_are_those_of_the_paper():
    nus_wide, ms_coco, ilsvrc = (list(PICTURE_SETS[n].versions.values()) for n in ("nus_wide", "ms_coco", "ilsvrc"))
    assert nus_wide == [Version(21, 195_834, PerLabel(100), 2100), Version(81, 223_496, None)]
    assert ms_coco == [Version(80, None, AtRandom(5000, 10_000))]
    assert ilsvrc == [Version(1000, None, None)]
    assert {PICTURE_SETS[name].side for name in ("nus_wide", "ms_coco", "ilsvrc", "miml_scenes")} == {224}


@pytest.mark.parametrize("name", PICTURE_SETS)
def test_missing_data_say_how_to_get_them(data, name):
    entry = PICTURE_SETS[name]
    assert entry.find() is None
    message = f"^{name} is not on this machine: put a folder {name} or {name.replace('_', '-')}.zip where QSMI_DATA poi"
    for get in (lambda: entry.load(0), lambda: datasets.load(name), lambda: entry.classes, entry.version):
        with pytest.raises(FileNotFoundError, match=message):
            get()
    assert (name, None, entry.fetch) in splits.inventory()


def test_a_folder_is_preferred_to_a_zip(data):
    for place in (write_zip(data / "ms-coco", {}), data / "ms-coco", data / "ms_coco"):
        if not place.suffix:
            place.mkdir()
        assert PICTURE_SETS["ms_coco"].find() == place


def installed(name):
    """A published data set, or a skip that names its file."""
    if PICTURE_SETS[name].find() is None:
        pytest.skip(f"needs {name.replace('_', '-')}.zip under QSMI_DATA")
    return PICTURE_SETS[name]


def test_the_substitute_for_nus_wide_and_coco():
    entry, split = installed("miml_scenes"), datasets.load("miml_scenes")
    assert sizes(split) == (1500, 500, 1500) and split.database is split.train
    assert split.classes == ("desert", "mountains", "sea", "sunset", "trees")
    assert split.fingerprint == datasets.fingerprint("miml_scenes")
    assert (split.query.labels.sum(dim=0) >= 100).all() and split.train.labels.any(dim=1).all()
    assert split.query.inputs[:3].shape == (3, 3, entry.side, entry.side)


def test_the_substitute_for_ilsvrc():
    entry = installed("tiny_imagenet_32")
    items = entry.manifest()
    sizes = {part: len(rows) for part, rows in items.parts.items()}
    assert entry.version() == "32 classes" and sizes == {"train": 16_000, "query": 1600}
    assert np.bincount(items.labels[items.parts["query"]]).tolist() == [50] * 32


# NUS-WIDE in small: 30 pictures with 3 labels, or 40 with 5

SMALL = PictureSet(
    "nus_wide", {"few labels": Version(3, 30, PerLabel(2), 6), "many labels": Version(5, 40, None)}, side=8
)


@pytest.fixture
def nus_wide(data, monkeypatch):
    monkeypatch.setitem(datasets.DATASETS, "nus_wide", SMALL)
    return data / "nus_wide"


@each_source
def test_a_version_that_the_files_do_not_divide_is_divided_by_draws(nus_wide, write):
    rows = several(30, 3)
    write(nus_wide.with_name("nus-wide"), one_list(rows))
    assert SMALL.version() == "few labels" and SMALL.classes == ("0", "1", "2")
    drawn = [datasets.load("nus_wide", draw=draw) for draw in (0, 1, 0)]
    names = [split.query.inputs.paths.tolist() for split in drawn]
    assert names[0] == names[2] != names[1] and drawn[0].fingerprint == drawn[2].fingerprint != drawn[1].fingerprint
    assert drawn[0].fingerprint.endswith("-2-a-label-8px-draw-0") and drawn[0].name == "nus_wide"
    for split, members in zip(drawn, names, strict=True):
        assert sizes(split) == (24, 6, 24) and split.database is split.train
        assert split.query.labels.tolist() == [list(rows[name]) for name in members]
        assert (split.query.labels.sum(dim=0) >= 2).all()
        assert set(members) | set(split.train.inputs.paths) == set(rows)


@each_source
def test_a_version_in_lists_has_one_split(nus_wide, write):
    rows = several(40, 5)
    write(nus_wide.with_name("nus-wide"), files(rows) | divided(rows, 10, 20))
    split = datasets.load("nus_wide")
    assert SMALL.version() == "many labels" and len(SMALL.classes) == 5
    assert sizes(split) == (20, 10, 30) and split.fingerprint.endswith("-own-8px")
    assert set(split.query.inputs.paths) == set(list(rows)[:10])
    assert set(split.train.inputs.paths) < set(split.database.inputs.paths)
    with pytest.raises(ValueError, match=r"^nus_wide is divided by its files: draw must be 0, got 1$"):
        datasets.load("nus_wide", draw=1)


@pytest.mark.parametrize(("n_items", "n_labels"), [(30, 5), (40, 3), (31, 3)])
def test_other_numbers_are_refused_and_all_versions_named(nus_wide, n_items, n_labels):
    write_folder(nus_wide, one_list(several(n_items, n_labels)))
    message = (
        f"{nus_wide} holds {n_items} pictures with {n_labels} labels, nus_wide has 30 pictures with 3 labels or "
        "40 pictures with 5 labels: pass the path as the data set instead"
    )
    for get in (datasets.load, datasets.fingerprint):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            get("nus_wide")
    assert datasets.fingerprint(str(nus_wide)).endswith("-tenth-a-label-224px-draw-0")


def test_lists_that_do_not_fit_the_version_are_refused(nus_wide):
    rows = several(30, 3)
    write_folder(nus_wide, files(rows) | divided(rows, 5, 12))
    with pytest.raises(ValueError, match=r"nus_wide lists 5 queries, expected 6, as nus_wide has$"):
        datasets.load("nus_wide")
    for name in ("train.txt", "test.txt", "database.txt"):
        (nus_wide / name).unlink()
    write_folder(nus_wide, one_list(several(40, 5)))
    with pytest.raises(ValueError, match=r"nus_wide is one list: expected train\.txt, test\.txt and database\.txt$"):
        datasets.load("nus_wide")


def test_items_without_a_label_are_allowed_only_if_the_files_divide_them(nus_wide):
    rows = several(30, 3)
    names = list(rows)
    rows |= {names[3]: (0, 0, 0), names[20]: (0, 0, 0)}
    write_folder(nus_wide, one_list(rows))
    message = r"^2 of 30 pictures carry no label, the first at all\.txt:(4|21): expected at least one label each$"
    with pytest.raises(ValueError, match=message):
        datasets.load("nus_wide")
    (nus_wide / "all.txt").unlink()
    write_folder(nus_wide, divided(rows, 6, 12))
    split = datasets.load("nus_wide")
    assert sizes(split) == (12, 6, 24)
    assert [int((part.labels.sum(dim=1) == 0).sum()) for part in (split.query, split.database)] == [1, 1]


@each_source
def test_a_query_in_the_training_set_is_refused_with_its_line(nus_wide, write):
    rows = several(30, 3)
    lists = divided(rows, 6, 12)
    lists["test.txt"] += listing({"images/7.png": rows["images/7.png"]})
    write(nus_wide.with_name("nus-wide"), files(rows) | lists)
    message = r"^test\.txt:7: the query images/7\.png is also in the part 'train' \(the first of 2 faults\); `py"
    for get in (datasets.load, datasets.fingerprint):
        with pytest.raises(ValueError, match=message):
            get("nus_wide")


# COCO and ILSVRC in small


@each_source
def test_coco_by_its_lists_or_divided_at_random(data, write, monkeypatch):
    rows = several(200, 80)
    write(data / "ms-coco", files(rows) | divided(rows, 20, 50))
    split = datasets.load("ms_coco")
    assert sizes(split) == (50, 20, 180) and split.query.labels.shape == (20, 80)
    assert split.query.inputs.shape == (20, 3, 224, 224) and split.query.inputs[:2].shape == (2, 3, 224, 224)
    write_folder(data / "ms_coco", one_list(rows))
    with pytest.raises(ValueError, match=r"^expected at least 5000 \+ 10000 items, got 200$"):
        datasets.load("ms_coco")
    entry = PICTURE_SETS["ms_coco"]
    version = replace(entry.versions["80 labels"], division=AtRandom(20, 50))
    monkeypatch.setitem(datasets.DATASETS, "ms_coco", replace(entry, versions={"80 labels": version}))
    split = datasets.load("ms_coco", draw=3)
    assert sizes(split) == (50, 20, 180) and split.fingerprint.endswith("-20-at-random-50-train-224px-draw-3")


def test_ilsvrc_in_folders_of_classes(data, monkeypatch):
    names = [f"{part}/n{number:08}/{part}.png" for part in ("train", "val") for number in range(1000)]
    write_zip(data / "ilsvrc", files(names))
    split = datasets.load("ilsvrc")
    assert sizes(split) == (1000, 1000, 1000) and split.database is split.train
    assert split.classes == tuple(f"n{number:08}" for number in range(1000)) and split.train.labels.ndim == 1
    assert [path.split("/")[1] for path in split.query.inputs.paths] == [split.classes[k] for k in split.query.labels]
    twenty = datasets.load("ilsvrc", protocol="n_way_20", draw=1)
    assert sizes(twenty) == (20, 20, 20) and twenty.query.labels.sort().values.tolist() == list(range(20))
    few = replace(PICTURE_SETS["ilsvrc"], versions={"two classes": Version(2, None, None)})
    monkeypatch.setitem(datasets.DATASETS, "ilsvrc", few)
    write_folder(data / "ilsvrc", files(["train/a/1.png", "train/b/1.png"]))
    with pytest.raises(ValueError, match=r"ilsvrc has no part 'query': expected lists of lines"):
        datasets.load("ilsvrc")


def test_pictures_are_compared_with_a_published_checksum(data, monkeypatch):
    """The fingerprint then needs no data."""
    rows = several(40, 5)
    content = files(rows) | {"labels.csv": table(rows, "abcde")}
    entry = PictureSet("scenes", {"any": Version(5, 40, PerLabel(2), checksum="0123456789abcdef")}, side=8)
    monkeypatch.setitem(datasets.DATASETS, "scenes", entry)
    assert datasets.fingerprint("scenes", 2) == "0123456789abcdef-2-a-label-8px-draw-2"
    source = write_folder(data / "scenes", content)
    message = rf"^{re.escape(str(source))} does not hold the published .* 0123456789abcdef, got ([0-9a-f]{{64}})$"
    with pytest.raises(ValueError, match=message) as error:
        datasets.load("scenes")
    checksum = re.search(message, str(error.value)).group(1)[:16]
    known = replace(entry, versions={"any": Version(5, 40, PerLabel(2), checksum=checksum)})
    monkeypatch.setitem(datasets.DATASETS, "scenes", known)
    split = datasets.load("scenes", draw=1)
    assert split.fingerprint == datasets.fingerprint("scenes", 1) == f"{checksum}-2-a-label-8px-draw-1"
    assert split.classes == tuple("abcde") and sizes(split) == (30, 10, 30)
    assert sizes(replace(known, at=write_zip(data / "packed", content)).load(1)) == (30, 10, 30)
    write_folder(source, {"images/7.png": picture(1)})
    with pytest.raises(ValueError, match="does not hold the published pictures and labels of scenes"):
        datasets.load("scenes")


# Any folder, zip or list by its path


@each_source
def test_a_path_is_a_data_set(tmp_path, write):
    rows = several(60, 3)
    source = write(tmp_path / "own", files(rows) | {"labels.csv": table(rows, ("cat", "dog", "owl"))})
    split = datasets.load(str(source))
    assert sizes(split) == (54, 6, 54) and split.classes == ("cat", "dog", "owl") and split.name == str(source)
    assert isinstance(split.query.inputs, Pictures) and datasets.named(str(source)).find() == source
    drawn = datasets.load(str(source), draw=1)
    assert drawn.fingerprint != split.fingerprint == datasets.fingerprint(str(source))


def test_paths_may_be_relative_and_a_registry_name_is_preferred(tmp_path, monkeypatch):
    source = write_folder(tmp_path / "own", one_list(several(30, 3)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("own", "./own", "~/own", "own/all.txt"):
        assert datasets.fingerprint(name) == datasets.fingerprint(str(source))
        assert datasets.named(name).find().is_absolute()
    (tmp_path / "digits").mkdir()
    assert datasets.named("digits") is datasets.DATASETS["digits"]


@pytest.mark.parametrize("name", ["mnist", "nowhere/at/all", ""])
def test_neither_a_name_nor_a_path(name):
    message = f"^unknown data set '{name}'; known: cifar10, .*, tiny_imagenet_32; or the path of a folder, a zip or a l"
    with pytest.raises(ValueError, match=message):
        datasets.named(name)


def test_a_list_is_read_once_and_again_if_it_changes(tmp_path, monkeypatch):
    rows = several(30, 3)
    source = write_folder(tmp_path / "own", one_list(rows))
    before = datasets.fingerprint(str(source))
    with monkeypatch.context() as patch:
        patch.setattr(manifest, "read", lambda *_: pytest.fail("read again"))
        assert datasets.fingerprint(str(source)) == before and sizes(datasets.load(str(source))) == (27, 3, 27)
    write_folder(source, {"all.txt": listing(dict(list(rows.items())[:29]))})
    os.utime(source / "all.txt", ns=(1, 1))
    assert datasets.fingerprint(str(source)) != before and len(datasets.load(str(source)).database) == 26


def test_a_faulty_path_is_refused_with_the_line(tmp_path):
    source = write_folder(tmp_path / "own", files(["a.png"]) | {"all.txt": "a.png 1 0\nb.png 0 1\n"})
    hint = f"; `python -m qsmi_lib datasets check {source}` lists all"
    message = f"all.txt:2: b.png is not there: expected it below {source}{hint}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        datasets.load(str(source))


def test_a_fingerprint_changes_with_the_sizes_of_the_files_not_with_times_or_packing(tmp_path):
    folder, packed = (str(write(tmp_path / "own", one_list(several(30, 3)))) for write in WRITERS.values())
    before = datasets.fingerprint(folder)
    assert datasets.fingerprint(packed) == before
    os.utime(tmp_path / "own/images/3.png", ns=(1, 1))
    assert datasets.fingerprint(folder) == before
    write_folder(tmp_path / "own", {"images/3.png": picture(0, 40, 40)})
    assert datasets.fingerprint(folder) != before


def test_rare_labels_keep_training_items(tmp_path):
    """A label of one item has no query, one of no item neither."""
    rows = {f"images/{number}.png": (int(number > 2), int(number < 3), int(number == 5), 0) for number in range(60)}
    split = datasets.load(str(write_folder(tmp_path / "own", one_list(rows))))
    assert sizes(split) == (58, 2, 58)
    assert split.query.labels.sum(dim=0)[[0, 1, 3]].tolist() == [1, 1, 0]


@pytest.mark.parametrize(("part", "division"), [("query", AtRandom(0, 2)), ("train", AtRandom(2, 0))])
def test_an_empty_part_is_refused(tmp_path, part, division):
    source = write_folder(tmp_path / "own", files(["a.png", "b.png"]) | {"all.txt": "a.png 1 0\nb.png 0 1\n"})
    toy = PictureSet("toy", {"any": Version(division=division)}, at=source)
    with pytest.raises(ValueError, match=f"^{re.escape(str(source))} has no part '{part}': expected lists of lines"):
        toy.load(0)


def test_protocols_divide_what_a_path_holds(tmp_path):
    names = [f"{part}/{'abcdefg'[k % 7]}/{k}.png" for part, n in (("train", 70), ("test", 21)) for k in range(n)]
    source = str(write_folder(tmp_path / "own", files(names)))
    expected = {"reduced": (35, 21, 70), "held_out": (63, 7, 63), "n_way_5": (50, 15, 50), "unseen_2": (50, 6, 20)}
    for protocol, numbers in expected.items():
        assert sizes(datasets.load(source, protocol=protocol)) == numbers
    with pytest.raises(ValueError, match="there is no committed list that divides"):
        datasets.load(source, protocol="sampled")


def test_features_of_a_path_are_those_of_its_decoded_pictures(tmp_path, monkeypatch):
    names = [f"{part}/{kind}/{k}.png" for part in ("train", "test") for kind in "ab" for k in range(3)]
    content = {name: picture(number, 30, 40) for number, name in enumerate(names)}
    sources = [str(write(tmp_path / "own", content)) for write in WRITERS.values()]
    monkeypatch.setattr(backbones, "load", lambda name: torch.nn.Sequential(torch.nn.Flatten()).eval())
    monkeypatch.setattr(torch.nn.Flatten, "forward", lambda self, images: images.float().mean(dim=(2, 3)))
    folder, packed = (load_split(source, backbone="resnet56") for source in sources)
    assert folder.fingerprint == packed.fingerprint
    pictures = datasets.load(sources[0]).query.inputs[:]
    for split in (folder, packed):
        assert split.database is split.train
        assert (split.query.inputs - pictures.float().mean(dim=(2, 3))).abs().max() < 1e-3
