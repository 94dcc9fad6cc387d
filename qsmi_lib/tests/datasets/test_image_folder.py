"""Pictures in a tree: a folder and a zip give the same, in an order that no class decides; damage is named."""

import hashlib
import io
import itertools
import re
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from qsmi_lib.datasets.images.image_folder import order, read

PARTS, CLASSES, SIDE = ("train", "test"), ("cat", "dog", "owl"), 6
RANDOM = np.random.default_rng(0)
COUNTS = {"train": 5, "test": 2}  # pictures of each class
TREE = {
    (part, kind, f"{kind}_{number}"): RANDOM.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    for part, n in COUNTS.items()
    for kind in CLASSES
    for number in range(n)
}


def encoded(pixels, suffix="png"):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, suffix, **({"lossless": True} if suffix == "webp" else {}))
    return content.getvalue()


def files(suffix="png"):
    """Name in the tree -> bytes."""
    return {f"{'/'.join(entry)}.{suffix}": encoded(pixels, suffix) for entry, pixels in TREE.items()}


def write_folder(path, content):
    for name, raw in content.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(raw)
    return path


def write_zip(path, content):
    with zipfile.ZipFile(path, "w") as file:
        for name, raw in content.items():
            file.writestr(f"pictures/{name}", raw)
    return path


WRITERS = {"folder": (write_folder, "pictures"), "zip": (write_zip, "pictures.zip")}
each_source = pytest.mark.parametrize("kind", WRITERS)


def written(kind, tmp_path, content):
    write, name = WRITERS[kind]
    return write(tmp_path / name, content)


def read_tree(source):
    return read(source, PARTS, CLASSES, SIDE)


def slow_part(part):
    """Every picture of a part, the one with the smallest digest of its name first."""
    rows = []
    for (own, kind, stem), pixels in TREE.items():
        if own == part:
            digest = hashlib.sha256(f"{kind}/{stem}".encode()).hexdigest()
            rows.append((digest, f"{kind}/{stem}", pixels, CLASSES.index(kind)))
    rows.sort(key=lambda row: row[0])
    return [row[1] for row in rows], [row[2] for row in rows], [row[3] for row in rows]


@each_source
@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_every_source_gives_every_picture_in_the_order_of_the_digests(tmp_path, kind, suffix):
    found = read_tree(written(kind, tmp_path, files(suffix)))
    assert list(found) == list(PARTS)
    for part, (names, images, labels) in found.items():
        expected, pixels, classes = slow_part(part)
        assert names == expected and labels.tolist() == classes
        assert images.dtype == torch.uint8 and labels.dtype == torch.int64
        assert images.shape == (3 * COUNTS[part], 3, SIDE, SIDE) and images.is_contiguous()
        assert np.array_equal(images.permute(0, 2, 3, 1).numpy(), np.stack(pixels))


@each_source
def test_the_order_of_the_files_has_no_say(tmp_path, kind):
    first = read_tree(
        written(kind, tmp_path / "first", files()) if kind == "folder" else write_zip(tmp_path / "a.zip", files())
    )
    turned = dict(reversed(files().items()))
    second = read_tree(
        write_folder(tmp_path / "second", turned) if kind == "folder" else write_zip(tmp_path / "b.zip", turned)
    )
    for part in PARTS:
        assert first[part][0] == second[part][0]
        assert all(torch.equal(one, other) for one, other in zip(first[part][1:], second[part][1:], strict=True))


def test_the_order_is_by_the_digest_of_class_and_stem_and_not_by_class():
    names = [f"{kind}/{kind}_{number}" for kind in CLASSES for number in range(20)]
    found = [names[index] for index in order(names)]
    assert found == sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    kinds = [name.split("/")[0] for name in found]
    n_change = sum(one != other for one, other in itertools.pairwise(kinds))
    assert n_change > 20  # sorted by class there would be 2


@pytest.mark.parametrize("classes", [CLASSES, CLASSES[::-1]])
def test_labels_follow_the_order_in_which_classes_are_named(tmp_path, classes):
    names, _, labels = read(write_folder(tmp_path / "own", files()), PARTS, classes, SIDE)["train"]
    assert labels.tolist() == [classes.index(name.split("/")[0]) for name in names]


HIDDEN = (".DS_Store", "train/.DS_Store", "train/cat/._cat_1.png", ".git/config", "train/.hidden/cat/a.png")


@each_source
@pytest.mark.parametrize("name", HIDDEN)
def test_hidden_files_are_passed_over(tmp_path, kind, name):
    expected = read_tree(written(kind, tmp_path, files()))
    found = read_tree(written(kind, tmp_path, files() | {name: b"no picture"}))
    assert all(torch.equal(found[part][1], expected[part][1]) for part in PARTS)


@pytest.mark.parametrize("name", [".DS_Store", "__MACOSX/._pictures", "__MACOSX/pictures/train/cat/._cat_1.png"])
def test_hidden_files_beside_the_folder_of_a_zip_are_passed_over(tmp_path, name):
    source = write_zip(tmp_path / "pictures.zip", files())
    with zipfile.ZipFile(source, "a") as file:
        file.writestr(name, b"no picture")
        file.mkdir("pictures/train/empty")
    assert len(read_tree(source)["train"][0]) == 3 * COUNTS["train"]


def grey():
    return encoded(RANDOM.integers(0, 256, (SIDE, SIDE), np.uint8))


def large():
    return encoded(RANDOM.integers(0, 256, (SIDE + 2, SIDE, 3), np.uint8))


def transparent():
    return encoded(RANDOM.integers(0, 256, (SIDE, SIDE, 4), np.uint8))


WHOLE = encoded(TREE["train", "dog", "dog_1"])
BAD_PICTURES = {
    "grey": (grey(), "must be an RGB picture of 6 x 6 pixels, got L of 6 x 6"),
    "transparent": (transparent(), "must be an RGB picture of 6 x 6 pixels, got RGBA of 6 x 6"),
    "another size": (large(), "must be an RGB picture of 6 x 6 pixels, got RGB of 6 x 8"),
    "text": (b"this is text", "cannot be read "),
    "nothing": (b"", "cannot be read "),
    "cut off": (WHOLE[: len(WHOLE) // 2], "cannot be read "),
    "a cut header": (WHOLE[:11] + b"\x00" + WHOLE[12:], "cannot be read "),
    "a flipped byte": (WHOLE[:60] + bytes([WHOLE[60] ^ 255]) + WHOLE[61:], "cannot be read "),
}


@each_source
@pytest.mark.parametrize(("raw", "message"), BAD_PICTURES.values(), ids=BAD_PICTURES)
def test_a_picture_of_another_kind_or_damaged_is_named(tmp_path, kind, raw, message):
    source = written(kind, tmp_path, files() | {"train/dog/dog_1.png": raw})
    with pytest.raises(ValueError, match=f"train/dog/dog_1.png of {re.escape(str(source))} {message}"):
        read_tree(source)


BAD_TREES = {
    "an unknown class": ("train/fish/a.png", "train/fish/a.png of .* unknown class 'fish': expected cat, dog, owl"),
    "an unknown part": ("val/cat/a.png", "val/cat/a.png of .* unknown part 'val': expected train, test"),
    "too deep": ("train/cat/more/a.png", "train/cat/more/a.png of .* depth: expected <part>/<class>/<name>"),
    "too flat": ("train/a.png", "train/a.png of .* lies at an unexpected depth: expected <part>/<class>/<name>"),
    "a file alone": ("readme.txt", "readme.txt of .* lies at an unexpected depth: expected <part>/<class>/<name>"),
}


@each_source
@pytest.mark.parametrize(("name", "message"), BAD_TREES.values(), ids=BAD_TREES)
def test_a_file_that_does_not_belong_is_named(tmp_path, kind, name, message):
    source = written(kind, tmp_path, files() | {name: WHOLE})
    with pytest.raises(ValueError, match=message) as error:
        read_tree(source)
    assert str(source) in str(error.value)


@each_source
@pytest.mark.parametrize("part", PARTS)
def test_an_empty_part_is_named(tmp_path, kind, part):
    source = written(kind, tmp_path, {name: raw for name, raw in files().items() if not name.startswith(part)})
    message = f"{re.escape(str(source))} holds no pictures of the part '{part}': expected {part}/<class>/<name>"
    with pytest.raises(ValueError, match=message):
        read_tree(source)


# Damaged zips


@pytest.mark.parametrize("n_left", [0, 10, 700])
def test_a_truncated_zip_is_named(tmp_path, n_left):
    source = write_zip(tmp_path / "pictures.zip", files())
    source.write_bytes(source.read_bytes()[:n_left])
    with pytest.raises(ValueError, match=f"{re.escape(str(source))} is damaged or truncated: expected a zip of pict"):
        read_tree(source)


def test_a_zip_with_a_flipped_byte_in_a_picture_is_named(tmp_path):
    """Stored, not deflated: the byte changes a pixel of a bitmap, and only the checksum tells."""
    source = write_zip(tmp_path / "pictures.zip", files("bmp"))
    raw = bytearray(source.read_bytes())
    raw[raw.index(encoded(TREE["train", "owl", "owl_3"], "bmp")) + 80] ^= 1
    source.write_bytes(raw)
    with pytest.raises(ValueError, match=f"{re.escape(str(source))} is damaged at train/owl/owl_3.bmp: .*CRC"):
        read_tree(source)


@pytest.mark.parametrize(
    ("offset", "message"), [(8, "is encrypted"), (10, "compression method is not supported")], ids=["locked", "packed"]
)
def test_a_zip_whose_pictures_cannot_be_unpacked_is_named(tmp_path, offset, message):
    """The flags and the method of the first entry of the directory."""
    source = write_zip(tmp_path / "pictures.zip", files())
    raw = bytearray(source.read_bytes())
    raw[raw.index(b"PK\x01\x02") + offset] ^= 1
    source.write_bytes(raw)
    with pytest.raises(ValueError, match=f"{re.escape(str(source))} is damaged at train/cat/cat_0.png: .*{message}"):
        read_tree(source)


def test_a_source_that_is_not_there_is_no_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.zip"):
        read_tree(tmp_path / "nothing.zip")
