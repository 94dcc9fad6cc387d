"""Search by picture: accepted and refused files, folders, runs, and answers that agree with the codes."""

import dataclasses
import io
import os

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from qsmi_lib.config.presets import configure
from qsmi_lib.datasets.images import decoding, files
from qsmi_lib.datasets.images.check import inspect
from qsmi_lib.datasets.images.lazy import Pictures, decode
from qsmi_lib.search import collection
from qsmi_lib.search.uploads import opened
from qsmi_lib.training.records import Store
from qsmi_lib.utils import paths

pytest.importorskip("faiss")
CONFIG = configure("digits", "qsmi", 12, epochs=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The digits' database and queries, hashed by a network that was hardly trained."""
    store = Store(tmp_path_factory.mktemp("results"))
    return collection.of_run(CONFIG, store), collection.of_run(CONFIG, store, part="query")


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


RED = Image.new("RGB", (8, 6), "red")
REFUSED = {
    "empty": (b"", "unknown format: expected JPEG, PNG"),
    "text": (b"hello", "unknown format: expected JPEG, PNG"),
    "cut": (encoded(Image.effect_noise((64, 64), 50))[:-200], "truncated"),
    "huge": (encoded(Image.new("1", (10_000, 10_000))), "100 million pixels, expected at most 50"),
    "animated": (encoded(RED, "GIF", save_all=True, append_images=[Image.new("RGB", (8, 6))]), "animation"),
    "pages": (encoded(RED, "TIFF", save_all=True, append_images=[RED]), "pages"),
    "bomb": (encoded(Image.new("1", (20_000, 20_000))), "more than 179 million pixels, expected at most 50"),
    "another format": (encoded(RED, "TGA"), "unknown format"),
    "float": (encoded(Image.new("F", (4, 4)), "TIFF"), "without a known range: expected 8 bits"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_other_files_than_plain_pictures_are_refused_by_name(kind):
    content, message = REFUSED[kind]
    with pytest.raises(ValueError, match=f"mine.png .*{message}"):
        opened(content, "mine.png")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_every_plain_mode_becomes_rgb(mode):
    kind = "TIFF" if mode == "CMYK" else "PNG"
    image = opened(encoded(RED.convert(mode), kind), "red")
    assert image.mode == "RGB" and image.size == (8, 6)


@pytest.mark.parametrize("kind", ["BMP", "TIFF"])
def test_no_width_of_eight_bits_is_taken_for_sixteen(kind):
    more = {"compression": "tiff_lzw"} if kind == "TIFF" else {}
    for mode in ("L", "RGB"):
        for width in (1, 7, 8, 16, 31, 160, 541, 720):
            assert opened(encoded(Image.new(mode, (width, 7)), kind, **more), "plain").size == (width, 7)


def test_the_first_picture_of_a_phones_jpeg():
    content = encoded(RED, "MPO", save_all=True, append_images=[Image.new("RGB", (4, 3))])
    assert opened(content, "phone.jpg").size == (8, 6)


@pytest.mark.parametrize(("drawn", "ground"), [((10, 20, 30), (255,) * 3), ((250, 250, 240), (0,) * 3)])
def test_transparency_becomes_white_or_black_so_that_the_drawing_stands_out(drawn, ground):
    drawing = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    drawing.putpixel((1, 2), (*drawn, 255))
    image = opened(encoded(drawing), "drawing")
    assert image.getpixel((0, 0)) == ground and image.getpixel((1, 2)) == drawn


def test_a_picture_without_any_drawing_is_white():
    assert opened(encoded(Image.new("RGBA", (4, 4))), "empty").getcolors() == [(16, (255, 255, 255))]


STORED = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # orientation -> number of the flip or turn that a file holds


def with_orientation(image, orientation, kind="PNG"):
    """A file of an upright picture, as a camera held in that way writes it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = image.transpose(STORED[orientation]) if orientation in STORED else image
    return encoded(stored, kind, exif=exif)


def test_the_eight_orientations_are_one_picture_in_data_sets_the_check_collections_and_uploads(run, tmp_path):
    upright = Image.new("RGB", (20, 12), "white")
    upright.paste("black", (3, 2, 6, 11))
    upright.paste("red", (3, 2, 16, 5))
    contents = {f"{orientation}.png": with_orientation(upright, orientation) for orientation in range(1, 9)}
    for name, content in contents.items():
        place = tmp_path / "own" / "ab"[int(name[0]) % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    folder = collection.of_folder(tmp_path / "own", run[1].hasher)
    images = Pictures(tmp_path / "own", folder.names, folder.names, 12)
    assert len(folder) == 8 and len(np.unique(folder.codes, axis=0)) == 1
    assert len(images[:].unique(dim=0)) == 1 and np.array_equal(images[0].permute(1, 2, 0), decoding.fit(upright, 12))
    for item, name in enumerate(folder.names):
        content = contents[name.split("/")[1]]
        assert folder.picture(item).tobytes() == opened(content, name).tobytes() == upright.tobytes()
    assert not any("cannot be read" in fault.what for fault in inspect(tmp_path / "own").faults)


def test_a_network_sees_of_an_upload_what_it_sees_of_a_data_set():
    """Also of a large JPEG, which is decoded at a reduced size."""
    hasher = collection.Hasher(torch.nn.Identity(), configure("cifar10", "qsmi", 12))
    content = with_orientation(Image.effect_noise((1400, 1300), 90), 6, "JPEG")
    seen = hasher.fitted(opened(content, "a.jpg", hasher.side))
    assert np.array_equal(seen, decode(content, hasher.side)) and seen.size == (32, 32)


def test_answers_are_the_nearest_and_name_the_bits(run):
    database, query = run
    for item in range(20):
        answers = database.search(query.picture(item), 5)
        [code] = database.hasher.codes([query.picture(item)])
        every = (database.codes != code).sum(axis=1)
        assert [answer.distance for answer in answers] == np.sort(every)[:5].tolist()
        for answer in answers:
            assert answer.differing == tuple(np.flatnonzero(database.codes[answer.item] != code))
            assert answer.distance == len(answer.differing) and answer.name == database.names[answer.item]


def test_a_picture_of_the_data_has_the_code_that_the_run_saved(run):
    database, query = run
    assert len(database) == 1297 and len(query) == 500 and database.title == "digits"
    again = query.hasher.codes([query.picture(item) for item in range(100)])
    assert (again == query.codes[:100]).mean() > 0.99  # 17 levels of grey as whole numbers of 255


def test_answers_are_right_if_they_share_a_label(run):
    database, query = run
    for item in range(20):
        answers = database.search(query.picture(item), 10, labels=query.labels[item])
        assert [answer.right for answer in answers] == [answer.name == query.names[item] for answer in answers]
    assert {answer.right for answer in database.search(query.picture(0), 10)} == {None}
    two = dataclasses.replace(database, labels=[frozenset({"a", "b"})] * len(database))
    assert two.search(query.picture(0), 1, labels={"b", "c"})[0].right
    assert not two.search(query.picture(0), 1, labels={"c"})[0].right


def test_a_query_of_the_collection_is_no_answer_of_its_own(run):
    database, _ = run
    image = database.picture(7)
    every, others = database.search(image, 6), database.search(image, 5, without=7)
    assert len(others) == 5 and others == [answer for answer in every if answer.item != 7][:5]
    assert len(database.search(image, len(database), without=7)) == len(database) - 1


def test_answers_at_equal_distance_are_ordered_by_their_likeness(run):
    database, query = run
    image = query.picture(3)
    likeness = np.random.default_rng(0).normal(size=len(database))
    ordered = dataclasses.replace(database, likeness=lambda _, rows: likeness[rows])
    answers = ordered.search(image, 20)
    every = database.search(image, collection.ORDERED)
    expected = sorted(every, key=lambda answer: (answer.distance, -likeness[answer.item]))[:20]
    assert [answer.item for answer in answers] == [answer.item for answer in expected]


def test_a_dark_digit_on_white_has_nearly_the_code_of_the_light_one(run):
    _, query = run
    images = [query.picture(item) for item in range(20)]
    dark = [ImageOps.invert(ImageOps.expand(image.resize((80, 80), 0), 30)) for image in images]
    agreement = (query.hasher.codes(dark) == query.codes[:20]).mean()
    assert agreement > 0.85 > (query.hasher.codes(dark) == query.codes[20:40]).mean()


def test_more_answers_than_items_are_all_items(run, tmp_path):
    _, query = run
    query.picture(0).save(tmp_path / "a.png")
    folder = collection.of_folder(tmp_path, query.hasher)
    assert [answer.name for answer in folder.search(query.picture(0), 10)] == ["a.png"]


def test_a_folder_is_searched_with_what_cannot_be_read_named(run, tmp_path):
    _, query = run
    (tmp_path / "deep").mkdir()
    for item in range(5):
        query.picture(item).resize((50, 50)).save(tmp_path / "deep" / f"{item}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    Image.new("L", (9, 9), 200).save(tmp_path / "a blank page.png")
    for number, (content, _) in enumerate(REFUSED.values()):
        (tmp_path / f"refused {number}.png").write_bytes(content)
    folder = collection.of_folder(tmp_path, query.hasher)
    assert list(folder.names) == [f"deep/{item}.png" for item in range(5)]
    assert len(folder.faults) == 1 + len(REFUSED) and folder.faults[0].startswith("a blank page.png is blank: expected")
    assert folder.faults[1].startswith("refused 0.png cannot be read as a picture (unknown")
    assert folder.picture(2).size == (50, 50)
    [answer] = folder.search(query.picture(3).resize((50, 50)), 1)
    assert answer.distance == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_what_a_folder_holds_beside_its_pictures_is_named(run, tmp_path):
    _, query = run
    query.picture(0).save(tmp_path / "e\u0301.jpe", "JPEG")
    (tmp_path / "photo.heic").write_bytes(b"x")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe.png")
    with open(os.fsencode(tmp_path) + b"/\xff.png", "wb"):
        folder = collection.of_folder(tmp_path, query.hasher)
    assert list(folder.names) == ["\u00e9.jpe"] and folder.picture(0).mode == "RGB"
    for name in ("photo.heic", "gone.png", "pipe.png", "\\xff.png"):
        assert [fault for fault in folder.faults if fault.startswith(name)]


def test_nothing_outside_the_folder_is_searched(run, tmp_path):
    _, query = run
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for place in (inside, outside):
        place.mkdir()
        query.picture(0).save(place / f"{place.name}.png")
    (inside / "link.png").symlink_to(outside / "outside.png")
    (inside / "folder").symlink_to(outside)
    assert list(collection.of_folder(inside, query.hasher).names) == ["inside.png"]


def test_a_file_that_became_a_link_is_not_followed(run, tmp_path):
    _, query = run
    (tmp_path / "inside").mkdir()
    for place in ("inside/a.png", "outside.png"):
        query.picture(0).save(tmp_path / place)
    folder = collection.of_folder(tmp_path / "inside", query.hasher)
    (tmp_path / "inside" / "a.png").unlink()
    (tmp_path / "inside" / "a.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises(FileNotFoundError, match=r"a\.png is no longer a file of inside"):
        folder.picture(0)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut"])
def test_damaged_codes_are_made_again(content, run, tmp_path):
    _, query = run
    query.picture(0).save(tmp_path / "a.png")
    first = collection.of_folder(tmp_path, query.hasher)
    [cached] = (paths.cache() / "folders").glob("*.npz")
    cached.write_bytes(content)
    assert (collection.of_folder(tmp_path, query.hasher).codes == first.codes).all()


def test_a_file_that_may_not_be_read_is_tried_again(run, tmp_path, monkeypatch):
    _, query = run
    for item in range(2):
        query.picture(item).save(tmp_path / f"{item}.png")
    read = files.read

    def denied(path, most):
        if path.name == "1.png":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path, most)

    with monkeypatch.context() as forbidden:
        forbidden.setattr(files, "read", denied)
        folder = collection.of_folder(tmp_path, query.hasher)
    assert folder.faults == ("1.png cannot be read: Permission denied",) and len(folder) == 1
    assert len(collection.of_folder(tmp_path, query.hasher)) == 2


def test_a_folder_is_hashed_again_only_where_it_changed(run, tmp_path, monkeypatch):
    _, query = run
    calls = []
    encode = collection.Hasher.encode
    monkeypatch.setattr(
        collection.Hasher, "encode", lambda self, fitted: calls.append(len(fitted)) or encode(self, fitted)
    )
    for item in range(3):
        query.picture(item).save(tmp_path / f"{item}.png")
    first = collection.of_folder(tmp_path, query.hasher)
    again = collection.of_folder(tmp_path, query.hasher)
    assert calls == [3] and (first.codes == again.codes).all() and first.names == again.names
    query.picture(7).save(tmp_path / "1.png")
    changed = collection.of_folder(tmp_path, query.hasher)
    assert calls == [3, 3] and (changed.codes[1] == query.codes[7]).mean() > 0.9
    other = collection.of_run(configure("digits", "itq", 12), Store(tmp_path / "results")).hasher
    assert (collection.of_folder(tmp_path, other).codes != changed.codes).any()


def test_a_folder_without_pictures(run, tmp_path):
    hasher = run[0].hasher
    with pytest.raises(FileNotFoundError, match="missing is not a folder"):
        collection.of_folder(tmp_path / "missing", hasher)
    with pytest.raises(ValueError, match=r"holds no readable picture: expected files ending in .avif, .bmp"):
        collection.of_folder(tmp_path, hasher)
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"holds no readable picture: a\.png cannot be read as a picture"):
        collection.of_folder(tmp_path, hasher)


def test_a_data_set_that_does_not_accept_user_images():
    with pytest.raises(ValueError, match="digit_pairs does not accept user images: use digits or fashion_mnist"):
        collection.Hasher(None, configure("digit_pairs", "qsmi", 12))
