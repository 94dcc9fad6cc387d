"""Tiny pictures, and the folders and zips that hold them."""

import io
import tarfile
import zipfile

import numpy as np
from PIL import Image

SIDE = 8


def pixels(number, height=SIDE, width=SIDE):
    """Random pixels (height, width, 3), others for each number."""
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)


def encoded(values, suffix="png", **options):
    """The bytes of a file with these pixels."""
    content = io.BytesIO()
    Image.fromarray(values).save(content, suffix, **options)
    return content.getvalue()


def picture(number, height=SIDE, width=SIDE):
    return encoded(pixels(number, height, width))


def write_folder(place, content):
    """A folder with these files; one that is there gets more."""
    place.mkdir(parents=True, exist_ok=True)
    for name, raw in content.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    return place


def write_zip(place, content, top="pictures/"):
    place = place.with_name(f"{place.name}.zip")
    place.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(place, "w") as file:
        for name, raw in content.items():
            file.writestr(f"{top}{name}", raw)
    return place


def write_tar(place, content, top="pictures/", suffix=".tar"):
    place = place.with_name(f"{place.name}{suffix}")
    place.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(place, "w:gz" if suffix.endswith("gz") else "w") as file:
        for name, raw in content.items():
            member = tarfile.TarInfo(f"{top}{name}")
            member.size = len(raw)
            file.addfile(member, io.BytesIO(raw if isinstance(raw, bytes) else raw.encode()))
    return place


WRITERS = {"folder": write_folder, "zip": write_zip}
PACKERS = {
    "zip": write_zip,
    "tar": write_tar,
    "tar.gz": lambda place, content, top="pictures/": write_tar(place, content, top, ".tar.gz"),
}


def listing(rows):
    """The text of a list: path -> labels."""
    return "".join(f"{path} {' '.join(map(str, labels))}\n" for path, labels in rows.items())


def table(rows, classes):
    """The text of a table of labels."""
    head = ",".join(["file", *classes])
    return "\n".join([head, *(",".join([path, *map(str, labels)]) for path, labels in rows.items())]) + "\n"
