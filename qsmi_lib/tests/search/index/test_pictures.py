"""An index of pictures as a sceptic uses it: every way to change the folder, and every kind of bad input.

The backbone is a stub, whose features are the pixels of the picture scaled to 4 x 4.
"""

import io
import json
import os
import random

import numpy as np
import pytest
from PIL import Image
from torch import nn

from qsmi_lib.models import backbones
from qsmi_lib.models.pretrained import Backbone
from qsmi_lib.search.index import sources, storage
from qsmi_lib.search.index.index import Index
from qsmi_lib.tests.datasets.small_pictures import encoded, write_folder, write_tar, write_zip
from qsmi_lib.tests.search.index.calls import call, counts, files, refused

COLORS = {"blue": (40, 60, 220), "green": (30, 200, 50), "red": (220, 40, 30)}
STUB = Backbone(
    "a stub", nn.Identity, lambda network: nn.Flatten(), 48, 4, {}, "", "nobody", tensors="0123456789abcdef"
)


@pytest.fixture(autouse=True)
def stub(monkeypatch):
    """The stub is the default backbone, and the hasher is trained for a moment; the sizes of the batches it encodes."""
    batches = []

    def load(name):
        network = backbones.named(name).assembled().eval()
        network.register_forward_pre_hook(lambda _, images: batches.append(len(images[0])))
        return network

    monkeypatch.setitem(backbones.BACKBONES, "stub", STUB)
    monkeypatch.setattr(backbones, "load", load)
    monkeypatch.setattr(sources, "BACKBONE", "stub")
    monkeypatch.setattr("qsmi_lib.search.index.hashing.EPOCHS", 2)
    return batches


def pixels(name, number, height=8, width=10):
    noise = np.random.default_rng(number).integers(-40, 41, (height, width, 3))
    return np.clip(np.array(COLORS.get(name, (128, 128, 128))) + noise, 0, 255).astype(np.uint8)


def picture(name, number):
    return encoded(pixels(name, number))


def contents(n=8, names=("blue", "red")):
    return {f"{name}/{number}.png": picture(name, 100 * len(name) + number) for name in names for number in range(n)}


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "pictures", contents())


def check(index, expected):
    """The index holds these pictures and labels, and each picture is found by its own code."""
    assert {item.name: item.labels for item in index.stored.items} == expected
    for row, item in enumerate(index.stored.items):
        answers = index.search(index.source / item.name, k=len(index))
        assert {answer.row: answer.distance for answer in answers}[row] == 0


def test_the_three_counts_after_every_kind_of_change(folder, stub):
    assert counts(folder) == (16, 0, 0)
    place = folder.parent / "pictures.index"
    hasher = Index.load(place).stored.about["files"]["hasher"]
    stub.clear()
    for path in folder.rglob("*.png"):  # touched
        os.utime(path, ns=(1, 10**18))
    assert counts(folder) == (0, 0, 0) and not stub
    (folder / "blue" / "0.png").write_bytes(picture("blue", 7777))
    assert counts(folder) == (0, 1, 0)
    (folder / "blue" / "1.png").rename(folder / "blue" / "renamed.png")
    assert counts(folder) == (1, 0, 1)
    (folder / "blue" / "2.png").rename(folder / "red" / "moved.png")
    assert counts(folder) == (1, 0, 1)
    (folder / "red" / "new.png").write_bytes(picture("red", 8888))
    assert counts(folder) == (1, 0, 0)
    (folder / "red" / "0.png").unlink()
    assert counts(folder) == (0, 0, 1)
    (folder / "red" / "1.png").write_bytes((folder / "red" / "2.png").read_bytes())  # replaced by a copy
    assert counts(folder) == (0, 1, 0)
    a, b = folder / "blue" / "3.png", folder / "blue" / "4.png"  # swapped
    a_content, b_content = a.read_bytes(), b.read_bytes()
    a.write_bytes(b_content), b.write_bytes(a_content)
    assert counts(folder) == (0, 2, 0)
    assert counts(folder) == (0, 0, 0)
    index = Index.load(place)
    assert index.stored.about["files"]["hasher"] == hasher
    check(index, {str(path.relative_to(folder)): frozenset([path.parent.name]) for path in folder.rglob("*.png")})


def test_the_counts_are_those_of_the_difference_of_two_folders(folder):
    """Several changes at once, drawn at random, against the difference of the contents."""
    draw, place = random.Random(0), folder.parent / "pictures.index"
    counts(folder)
    held = contents()
    for step in range(6):
        now = dict(held)
        for name in draw.sample(sorted(now), 3):
            del now[name]
        for name in draw.sample(sorted(now), 3):
            now[name] = picture(name.partition("/")[0], 1000 + 10 * step + len(name))
        now |= {f"{name}/{step}-{n}.png": picture(name, 2000 + 10 * step + n) for name in COLORS for n in range(2)}
        for name in held.keys() - now.keys():
            (folder / name).unlink()
        write_folder(folder, {name: raw for name, raw in now.items() if held.get(name) != raw})
        added, removed = now.keys() - held.keys(), held.keys() - now.keys()
        changed = [name for name in now.keys() & held.keys() if now[name] != held[name]]
        assert counts(folder) == (len(added), len(changed), len(removed))
        held = now
    check(Index.load(place), {name: frozenset([name.partition("/")[0]]) for name in held})


def test_an_index_that_is_brought_up_to_date_is_that_of_a_new_start(folder):
    """Given the same hasher: the codes of the pictures do not depend on the order of the changes."""
    counts(folder)
    index = Index.load(folder.parent / "pictures.index")
    (folder / "blue" / "0.png").unlink()
    (folder / "blue" / "9.png").write_bytes(picture("blue", 9))
    counts(folder)
    later = Index.load(index.stored.folder)
    paths = [folder / item.name for item in later.stored.items]
    codes = index.stored.hasher.codes(later.pictures.features([Image.open(path) for path in paths]))
    np.testing.assert_array_equal(np.packbits(codes > 0, axis=1), later.stored.codes)


def test_a_picture_that_breaks_is_named_and_comes_back(folder):
    counts(folder)
    path, content = folder / "red" / "3.png", (folder / "red" / "3.png").read_bytes()
    path.write_bytes(content[:60])
    result = call("index", folder)
    assert result.exit_code == 0 and "removed 1" in result.output
    assert "red/3.png: cannot be read" in result.output and "left out" in result.output
    path.write_bytes(content)
    assert counts(folder) == (1, 0, 0)


def test_unreadable_pictures_are_listed_as_datasets_check_lists_them(folder):
    for name, content in {"empty": b"", "text": b"no picture", "half": picture("red", 3)[:70]}.items():
        (folder / "red" / f"{name}.png").write_bytes(content)
    result, checked = call("index", folder), call("datasets", "check", folder)
    assert result.exit_code == 0 and "added 16" in result.output and "3 pictures" in result.output
    faults = [line.removeprefix("fault  ") for line in checked.output.splitlines() if line.startswith("fault")]
    assert len(faults) == 3 and set(faults) <= set(result.output.splitlines())


@pytest.mark.parametrize("pack", [write_zip, write_tar])
def test_an_archive_is_indexed_and_brought_up_to_date(tmp_path, pack):
    content = contents()
    place = pack(tmp_path / "set", content)
    assert counts(place) == (16, 0, 0) and counts(place) == (0, 0, 0)
    content["red/1.png"], content["red/new.png"] = picture("red", 555), picture("red", 556)
    del content["red/2.png"]
    assert pack(tmp_path / "set", content) == place
    assert counts(place) == (1, 1, 1)
    assert len(Index.load(tmp_path / "set.index")) == 16


def test_labels_that_change_in_a_table_are_a_change(tmp_path):
    folder = write_folder(tmp_path / "pictures", {name.replace("/", "-"): raw for name, raw in contents().items()})
    table = {path.name: path.name.partition("-")[0] for path in sorted(folder.glob("*.png"))}

    def write():
        lines = [f"{name},{label}" for name, label in table.items()]
        (folder / "labels.csv").write_text("\n".join(["file,class", *lines]) + "\n")

    write()
    assert counts(folder) == (16, 0, 0)
    table["red-1.png"] = table["red-2.png"] = "blue"
    write()
    assert counts(folder) == (0, 2, 0)
    del table["red-3.png"]
    write()
    assert counts(folder) == (0, 0, 1)
    found = {item.name: item.labels for item in Index.load(tmp_path / "pictures.index").stored.items}
    assert found == {name: frozenset([label]) for name, label in table.items()}


def test_classes_of_one_picture_are_named(folder):
    write_folder(folder, {"green/alone.png": picture("green", 0)})
    result = call("index", folder)
    assert result.exit_code == 0 and "green" in result.output and "17" in result.output


def test_pictures_in_no_folder_have_no_labels_and_say_so(tmp_path):
    folder = write_folder(tmp_path / "loose", {name.replace("/", "-"): raw for name, raw in contents(n=12).items()})
    result = call("index", folder, "--bits", "4")
    assert result.exit_code == 0, result.output
    assert "no labels" in result.output and "ITQ" in result.output and "recall" in result.output
    assert all(item.labels is None for item in Index.load(tmp_path / "loose.index").stored.items)


def one_class(tmp_path):
    return write_folder(tmp_path / "set", contents(names=("red",))), "classes"


def one_class_in_a_table(tmp_path):
    pictures = {f"{number}.png": picture("red", number) for number in range(8)}
    table = "file,class\n" + "".join(f"{name},red\n" for name in pictures)
    return write_folder(tmp_path / "set", pictures | {"labels.csv": table}), "classes"


def empty(tmp_path):
    (tmp_path / "set").mkdir()
    return tmp_path / "set", "picture"


def empty_classes(tmp_path):
    for name in COLORS:
        (tmp_path / "set" / name).mkdir(parents=True)
    return tmp_path / "set", "picture"


def only_text(tmp_path):
    return write_folder(tmp_path / "set", {"notes.txt": b"dear diary", "red/notes.md": b"# red"}), "picture"


def one_picture(tmp_path):
    return write_folder(tmp_path / "set", {"red/0.png": picture("red", 0)}), "red"


def one_loose_picture(tmp_path):
    return write_folder(tmp_path / "set", {"0.png": picture("red", 0)}), "at least"


def all_unreadable(tmp_path):
    return write_folder(tmp_path / "set", dict.fromkeys(contents(), b"no picture")), "cannot be read"


def one_class_readable(tmp_path):
    content = {name: raw if name.startswith("red") else b"no picture" for name, raw in contents().items()}
    return write_folder(tmp_path / "set", content), "classes"


def all_equal(tmp_path):
    return write_folder(tmp_path / "set", dict.fromkeys(contents(), picture("red", 0))), "same direction"


def each_alone(tmp_path):
    names = [f"class{number}" for number in range(8)]
    return write_folder(tmp_path / "set", contents(n=1, names=names)), "class"


def missing(tmp_path):
    return tmp_path / "set", "set"


def no_index_of_it(tmp_path):
    (tmp_path / "set.txt").write_text("dear diary\n")
    return tmp_path / "set.txt", "set.txt"


BAD = [one_class, one_class_in_a_table, empty, empty_classes, only_text, one_picture, one_loose_picture, all_unreadable,
       one_class_readable, all_equal, each_alone, missing, no_index_of_it]  # fmt: skip


@pytest.mark.parametrize("make", BAD)
def test_what_cannot_be_indexed_is_one_line_and_nothing_is_written(tmp_path, make):
    place, named = make(tmp_path)
    refused(tmp_path, "index", place, named=[place, named])
    assert not (tmp_path / "set.index").exists()


def test_what_cannot_be_indexed_any_more_leaves_the_index(folder):
    counts(folder)
    for path in (folder / "blue").iterdir():
        path.unlink()
    refused(folder.parent, "index", folder, named=["classes"])
    for path in (folder / "red").iterdir():
        path.unlink()
    refused(folder.parent, "index", folder, named=[folder])


@pytest.mark.parametrize("where", ["pictures/inside", "pictures", "taken", "file"])
def test_a_place_that_is_taken_is_refused(folder, where):
    write_folder(folder.parent, {"taken/mine.txt": b"mine", "file": b"mine"})
    refused(folder.parent, "index", folder, "--output", folder.parent / where, named=["--output"])


@pytest.mark.parametrize("damage", ["main", "codes", "items", "hasher", "features"])
@pytest.mark.parametrize("how", ["cut", "gone"])
def test_a_damaged_index_is_refused_by_both_commands_and_can_be_deleted(folder, damage, how):
    counts(folder)
    place = folder.parent / "pictures.index"
    about = json.loads((place / storage.MAIN).read_text())
    path = place / (storage.MAIN if damage == "main" else about["files"][damage]["name"])
    path.write_bytes(path.read_bytes()[:-20]) if how == "cut" else path.unlink()
    named = [place] if damage == "main" else [path, "index again"]
    refused(folder.parent, "search", place, folder / "red" / "1.png", "--rerank", "5", named=named)
    if damage != "main" or how == "cut":
        refused(folder.parent, "index", folder, named=named)
        for file in place.iterdir():
            file.unlink()
    assert counts(folder) == (16, 0, 0)


def test_an_index_of_another_backbone_is_refused_and_can_be_made_anew(folder, monkeypatch):
    counts(folder)
    place = folder.parent / "pictures.index"
    monkeypatch.setitem(backbones.BACKBONES, "other", STUB)
    refused(folder.parent, "index", folder, "--backbone", "other", named=[place, "other", "--retrain"])
    refused(folder.parent, "index", folder, "--backbone", "missing", named=["missing"])
    assert counts(folder) == (0, 0, 0), "without an option, the backbone is that of the index"
    assert counts(folder, "--backbone", "other", "--retrain") == (0, 0, 0)
    assert Index.load(place).stored.about["backbone"]["name"] == "other"


@pytest.mark.parametrize("backbone", ["digits_labels", "nothing", "timm:nothing"])
def test_a_backbone_that_takes_no_photographs_is_refused(folder, backbone):
    refused(folder.parent, "index", folder, "--backbone", backbone, named=[backbone.removeprefix("timm:")])


def test_a_file_of_weights_is_found_from_any_folder(folder, monkeypatch):
    monkeypatch.setattr(backbones, "named", lambda name: STUB)
    monkeypatch.chdir(folder.parent)
    assert sources.Folder(folder, "timm:model@w.pth").backbone == f"timm:model@{folder.parent / 'w.pth'}"


def test_an_index_of_other_weights_or_another_preprocessing_is_refused(folder, monkeypatch):
    from dataclasses import replace

    counts(folder)
    place, query = folder.parent / "pictures.index", folder / "red" / "1.png"
    for change in ({"tensors": "f" * 16}, {"side": 5}, {"interpolation": "bicubic"}, {"mean": (0.1, 0.1, 0.1)}):
        monkeypatch.setitem(backbones.BACKBONES, "stub", replace(STUB, **change))
        refused(folder.parent, "search", place, query, named=[place, "stub", "--retrain"])
        refused(folder.parent, "index", folder, named=[place, "stub", "--retrain"])
    monkeypatch.delitem(backbones.BACKBONES, "stub")
    refused(folder.parent, "search", place, query, named=["stub"])


def test_other_settings_than_those_of_the_index_are_refused(folder):
    counts(folder, "--bits", "16")
    refused(folder.parent, "index", folder, "--bits", "24", named=["16", "24", "--retrain"])
    refused(folder.parent, "index", folder, "--no-labels", named=["--retrain"])
    assert counts(folder, "--bits", "16") == (0, 0, 0)
    assert counts(folder, "--bits", "24", "--retrain") == (0, 0, 0)
    assert Index.load(folder.parent / "pictures.index").bits == 24


def test_an_index_of_vectors_takes_no_pictures(folder):
    np.save(folder.parent / "pictures.npy", np.random.default_rng(0).normal(size=(40, 48)))
    refused(folder.parent, "index", folder.parent / "pictures.npy", "--bits", "48", named=["--bits"])
    assert counts(folder.parent / "pictures.npy", "--bits", "32") == (40, 0, 0)
    place = folder.parent / "pictures.index"
    refused(folder.parent, "index", folder, named=[place, "vectors"])
    refused(folder.parent, "search", place, folder / "red" / "1.png", named=[".npy"])


MODES = {
    "L": (), "LA": (), "RGBA": (), "P": (), "1": (), "CMYK": (), "I;16": (), "YCbCr": (),
}  # fmt: skip


def of_mode(mode, number):
    """The bytes of a file of this mode."""
    content, image = io.BytesIO(), Image.fromarray(pixels("red", number))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    else:
        image = image.convert(mode)
    image.save(content, {"CMYK": "jpeg", "YCbCr": "jpeg"}.get(mode, "png"))
    return content.getvalue()


def test_pictures_of_every_mode_are_indexed_and_searched(folder):
    write_folder(folder, {f"red/{number}-mode.png": of_mode(mode, number) for number, mode in enumerate(MODES)})
    assert counts(folder) == (16 + len(MODES), 0, 0)
    place = folder.parent / "pictures.index"
    for number in range(len(MODES)):
        result = call("search", place, folder / "red" / f"{number}-mode.png", "--json", "--rerank", "100")
        assert result.exit_code == 0, result.output
        assert json.loads(result.output)[0]["distance"] == 0
        assert json.loads(result.output)[0]["name"] == f"red/{number}-mode.png"
    index = Index.load(place)
    for item in index.stored.items:  # in memory as in its file
        with Image.open(folder / item.name) as image:
            assert index.search(image, k=30) == index.search(folder / item.name, k=30)


def test_a_picture_is_turned_as_its_camera_was_held(folder):
    """The same picture as it is stored, and as a camera stores it that was held sideways."""
    content, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6
    upright = Image.fromarray(pixels("red", 99, 12, 8))
    upright.transpose(Image.Transpose.ROTATE_90).save(content, "png", exif=exif)
    upright.save(folder / "red" / "upright.png")
    (folder / "red" / "turned.png").write_bytes(content.getvalue())
    counts(folder)
    index = Index.load(folder.parent / "pictures.index")
    rows = [row for row, item in enumerate(index.stored.items) if item.name in ("red/upright.png", "red/turned.png")]
    np.testing.assert_array_equal(*index.stored.features(rows))
    for query in (folder / "red" / "turned.png", Image.open(folder / "red" / "turned.png"), upright):
        assert {answer.row for answer in index.search(query, k=2, rerank=20)} == set(rows)


@pytest.mark.parametrize("content", [b"", b"no picture", picture("red", 1)[:50]])
def test_a_query_that_is_no_picture_is_named(folder, content):
    counts(folder)
    (folder.parent / "query.png").write_bytes(content)
    place = folder.parent / "pictures.index"
    refused(folder.parent, "search", place, folder.parent / "query.png", named=["query.png"])
    refused(folder.parent, "search", place, folder.parent / "missing.png", named=["missing.png"])
    refused(folder.parent, "search", place, folder, named=[folder])
    refused(folder.parent, "search", folder, folder / "red" / "1.png", named=[folder])


def test_answers_are_those_of_all_distances(folder):
    """Against the definition: sorted by the number of other bits, then by row; with --rerank, by cosine first."""
    counts(folder)
    index = Index.load(folder.parent / "pictures.index")
    query = folder.parent / "query.png"
    query.write_bytes(picture("blue", 4321))
    feature = index.pictures.features([Image.open(query)])[0]
    codes = np.unpackbits(index.stored.codes, axis=1, count=index.bits)
    code = index.stored.hasher.codes(feature[None])[0] > 0
    distances = (codes != code).sum(axis=1)
    expected = sorted(range(len(index)), key=lambda row: (distances[row], row))
    answers = index.search(query, k=5)
    assert [answer.row for answer in answers] == expected[:5]
    assert [answer.distance for answer in answers] == distances[expected[:5]].tolist()
    stored = index.stored.features(np.arange(len(index)))
    cosine = stored @ feature / np.linalg.norm(stored, axis=1)
    again = sorted(expected[:6], key=lambda row: -cosine[row])
    assert [answer.row for answer in index.search(query, k=6, rerank=6)] == again
    assert [answer.row for answer in index.search(query, k=100, rerank=6)] == again + expected[6:]


def test_copies_are_on_one_side_also_after_retraining(folder):
    """Copies under other names, in another format, and some of them added later."""
    counts(folder)
    for number in range(8):
        Image.open(folder / "red" / f"{number}.png").save(folder / "blue" / f"{number}-copy.bmp")
        (folder / "red" / f"{number}-copy.png").write_bytes((folder / "red" / f"{number}.png").read_bytes())
    for number in range(8, 24):
        (folder / "red" / f"{number}.png").write_bytes(picture("red", number))
    for retrain in ([], ["--retrain"], ["--retrain", "--seed", "1"]):
        counts(folder, *retrain)
        held_out = {item.name: item.held_out for item in Index.load(folder.parent / "pictures.index").stored.items}
        if not retrain:  # what is added later was not trained on, and asks nothing
            continue
        for number in range(8):
            names = (f"red/{number}.png", f"red/{number}-copy.png", f"blue/{number}-copy.bmp")
            assert len({held_out[name] for name in names}) == 1


def test_names_that_no_terminal_likes_are_kept(tmp_path):
    odd = ["with blank", "é", "quo'te", "100%", "-dash", "new\nline"]
    content = {f"{name}/{odd[n % 6]}{n}.png": picture(name, n) for name in ("blue", "red") for n in range(12)}
    folder = write_folder(tmp_path / "pictures", content)
    assert counts(folder) == (24, 0, 0) and counts(folder) == (0, 0, 0)
    result = call("search", tmp_path / "pictures.index", folder / "red" / "é1.png", "--k", "24", "--json")
    assert {row["name"] for row in json.loads(result.output)} == set(content)
    result = call("search", tmp_path / "pictures.index", folder / "red" / "é1.png", "--k", "24", "--rerank", "24")
    lines = result.output.splitlines()
    assert len(lines) == 24 and any(r"new\nline" in line for line in lines)


def test_a_folder_and_its_index_can_be_moved_together(folder):
    counts(folder)
    (folder.parent / "elsewhere").mkdir()
    for name in ("pictures", "pictures.index"):
        (folder.parent / name).rename(folder.parent / "elsewhere" / name)
    moved = folder.parent / "elsewhere"
    assert Index.load(moved / "pictures.index").source == moved / "pictures"
    assert counts(moved / "pictures") == (0, 0, 0)


def test_two_starts_write_the_same_bytes(folder):
    for name in ("a", "b"):
        counts(folder, "--output", folder.parent / name)
    assert files(folder.parent / "a") == files(folder.parent / "b")


def test_labels_of_several_classes_are_read(tmp_path):
    """Each picture has some of three labels, and one has none."""
    labels = {f"{number}.png": (number % 2, (number // 2) % 2, number > 9) for number in range(20)}
    folder = write_folder(tmp_path / "pictures", {name: picture("red", int(name[:-4])) for name in labels})
    rows = [",".join([name, *map(str, map(int, own))]) for name, own in labels.items()]
    (folder / "labels.csv").write_text("\n".join(["file,cat,dog,owl", *rows]) + "\n")
    result = call("index", folder)
    assert result.exit_code == 0 and "3 labels" in result.output, result.output
    found = {item.name: item.labels for item in Index.load(tmp_path / "pictures.index").stored.items}
    named = {name: {word for word, has in zip(("cat", "dog", "owl"), own, strict=True) if has}
             for name, own in labels.items()}  # fmt: skip
    assert found == named and frozenset() in found.values()


def test_features_are_kept_for_a_repeat_and_gone_when_the_index_is_there(folder, stub, results, monkeypatch):
    write = storage.write
    with monkeypatch.context() as patch:
        patch.setattr(storage, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        assert call("index", folder).exit_code == 1
    assert storage.write is write and list((results / "cache").rglob("*.npy"))
    stub.clear()
    assert counts(folder) == (16, 0, 0) and sum(stub) < 16, "only the first batch is computed again, and compared"
    assert not list((results / "cache").rglob("*.npy"))


def test_what_is_no_source_says_what_is_expected(folder):
    counts(folder)
    refused(folder.parent, "index", folder.parent / "pictures.index", named=["pictures.index"])
    (folder.parent / "labels.csv").write_text("file,class\n")
    refused(folder.parent, "index", folder, "--labels", folder.parent / "labels.csv", named=["labels.csv"])


def test_a_folder_that_is_the_current_one_is_indexed_beside_it(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert counts(".") == (16, 0, 0) and counts("../pictures/") == (0, 0, 0)
    assert len(Index.load(folder.parent / "pictures.index")) == 16


def test_links_out_of_the_folder_are_shown_to_nobody(folder, tmp_path):
    """A page on the index must not show what a link leads to; the picture itself may be indexed."""
    (tmp_path / "secret.png").write_bytes(picture("red", 1234))
    (folder / "red" / "link.png").symlink_to(tmp_path / "secret.png")
    counts(folder)
    index = Index.load(tmp_path / "pictures.index")
    shown, originals = {item.name for item in index.stored.items}, sources.Originals(index.source, 4)
    if "red/link.png" in shown:
        with pytest.raises((OSError, ValueError)):
            originals.picture("red/link.png")
    for name in ("../secret.png", str(tmp_path / "secret.png"), "red/../../secret.png"):
        with pytest.raises((OSError, ValueError)):
            originals.picture(name)
