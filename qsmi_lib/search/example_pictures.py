"""The command that makes example pictures: crops of photographs that scikit-image and scikit-learn bring along."""

import importlib.util
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from qsmi_lib.utils.limits import SEED
from qsmi_lib.utils.validation import whole_number

if TYPE_CHECKING:
    from PIL import Image

PER_CLASS = 25  # pictures
RATIOS = (1, 4 / 3, 3 / 4)  # width : height
SIDES = (176, 256)  # least and most pixels of a picture's longer side
BRIGHTNESS = (0.85, 1.15)  # least and most factor
QUALITY = 88  # of JPEG
LICENSES = "LICENSES.txt"
EASY = "This is an easy task: the pictures of a class are crops of one photograph, so they resemble each other."


class Photograph(NamedTuple):
    """The source of the pictures of a class, and its licence as the package states it.

    Attributes:
        file: path of the file, which starts with the name of the package.
        box: left, top, right and bottom of the part from which crops are taken, in pixels.
        sides: least and most pixels of the longer side of a crop.
        author: whom to name.
        link: where the author published it, or the page of the package that names author and licence.
        license: under which it may be changed and passed on, one of `LINKS`.
    """

    file: str
    box: tuple[int, int, int, int]
    sides: tuple[int, int]
    author: str
    link: str
    license: str


SKIMAGE = "https://scikit-image.org/docs/stable/api/skimage.data.html"
CC0, CC_BY, PUBLIC, FREE = "CC0 1.0", "CC BY 2.0", "public domain", "no known copyright restrictions"
LINKS = {
    CC0: "https://creativecommons.org/publicdomain/zero/1.0/",
    CC_BY: "https://creativecommons.org/licenses/by/2.0/",
    PUBLIC: "",
    FREE: "",
}

# Left out: moon, page and motorcycle, of which no licence is named, and rocket, of which two are.
PHOTOGRAPHS = {
    "astronaut": Photograph(
        "skimage/data/astronaut.png", (20, 0, 450, 420), (290, 410), "NASA", "https://flic.kr/p/r9qvLn", PUBLIC
    ),
    "bricks": Photograph(
        "skimage/data/brick.png",
        (0, 0, 512, 512),
        (180, 400),
        "CC0 Textures (Bricks25)",
        "https://cc0textures.com/view.php?tex=Bricks25",
        CC0,
    ),
    "cat": Photograph("skimage/data/chelsea.png", (20, 0, 420, 300), (220, 390), "Stefan van der Walt", SKIMAGE, CC0),
    "coffee": Photograph("skimage/data/coffee.png", (60, 0, 520, 400), (250, 400), "Rachel Michetti", SKIMAGE, CC0),
    "coins": Photograph(
        "skimage/data/coins.png",
        (0, 0, 384, 303),
        (110, 200),
        "Brooklyn Museum",
        "https://www.brooklynmuseum.org/opencollection/archives/image/51611",
        FREE,
    ),
    "flower": Photograph(
        "sklearn/datasets/images/flower.jpg",
        (120, 40, 510, 400),
        (230, 360),
        "vultilion",
        "https://www.flickr.com/photos/vultilion/6056698931/",
        CC_BY,
    ),
    "galaxies": Photograph(
        "skimage/data/hubble_deep_field.jpg",
        (0, 0, 1000, 872),
        (220, 420),
        "NASA",
        "http://hubblesite.org/newscenter/archive/releases/2012/37/image/a/",
        PUBLIC,
    ),
    "grass": Photograph(
        "skimage/data/grass.png",
        (0, 0, 512, 512),
        (180, 400),
        "LinoLafett",
        "https://www.deviantart.com/linolafett/art/Grass-01-434853879",
        CC0,
    ),
    "gravel": Photograph(
        "skimage/data/gravel.png",
        (0, 0, 512, 512),
        (180, 400),
        "CC0 Textures (Gravel04)",
        "https://cc0textures.com/view.php?tex=Gravel04",
        CC0,
    ),
    "photographer": Photograph("skimage/data/camera.png", (10, 30, 420, 400), (270, 370), "Lav Varshney", SKIMAGE, CC0),
    "retina": Photograph(
        "skimage/data/retina.jpg",
        (130, 130, 1280, 1280),
        (450, 900),
        "Mikael Häggström",
        "https://commons.wikimedia.org/wiki/File:Fundus_photograph_of_normal_left_eye.jpg",
        CC0,
    ),
    "temple": Photograph(
        "sklearn/datasets/images/china.jpg",
        (20, 10, 450, 420),
        (250, 400),
        "danielbuechele",
        "https://www.flickr.com/photos/danielbuechele/6061409035/",
        CC_BY,
    ),
}


@click.command("example-pictures")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0, SEED), help="Seed of the crops.")
def example_pictures(folder: Path, seed: int) -> None:
    """Make example pictures in FOLDER, which must be new or empty: 12 class folders of 25 pictures each.

    They are crops of photographs that scikit-image and scikit-learn bring along. Nothing is downloaded. The photographs
    may be changed and passed on: sources and licences are printed, and written to LICENSES.txt.
    """
    write_pictures(folder, seed)
    for name, photograph in PHOTOGRAPHS.items():
        click.echo(f"{name:<13}{photograph.file}, {photograph.author}, {photograph.license}")
    click.echo(f"\n{len(PHOTOGRAPHS) * PER_CLASS} pictures in {len(PHOTOGRAPHS)} classes. {EASY}\nTo go on:")
    index = shlex.quote(f"{folder}.index")
    query = shlex.quote(str(folder / _path("cat", 0)))
    for command in (f"index {shlex.quote(str(folder))}", f"search {index} {query}", f"app {index}"):
        click.echo(f"  qsmi {command}")


def write_pictures(folder: Path, seed: int = 0) -> None:
    """Write `PER_CLASS` crops of each photograph to ``folder/<class>/``, and the licences to ``folder/LICENSES.txt``.

    The pictures depend on `seed` alone, with the same versions of the packages. The folder is written completely or
    not at all.

    Raises:
        ImportError: scikit-image is missing.
        FileExistsError: `folder` is there, and is not an empty folder.
        OSError: it cannot be written.
        ValueError: `seed` is no whole number from 0 to `limits.SEED`.
    """
    from qsmi_lib.utils.io import atomic_folder, naming  # imports NumPy

    seed, folder = whole_number("seed", seed, 0, SEED), Path(os.path.realpath(folder))
    with naming(folder):
        if folder == Path.cwd() or (folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))):
            raise FileExistsError(f"{folder} is there already, and nothing is overwritten: name a new folder")
    if importlib.util.find_spec("skimage") is None:
        raise ImportError('the example pictures are in scikit-image: pip install "qsmi-lib[pictures]"')
    images = {name: _read(photograph) for name, photograph in PHOTOGRAPHS.items()}
    with atomic_folder(folder) as partial:
        for at, (name, photograph) in enumerate(PHOTOGRAPHS.items()):
            (partial / name).mkdir()
            for number, picture in enumerate(_crops(images[name], photograph, (seed, at))):
                picture.save(partial / _path(name, number), quality=QUALITY)
        (partial / LICENSES).write_text(_licenses(), encoding="utf-8")


def _path(name: str, number: int) -> Path:
    """Path of a picture of the class `name`, from the folder."""
    return Path(name, f"{name}-{number + 1:02}.jpg")


def _read(photograph: Photograph) -> "Image.Image":
    """The photograph, in colours or grey; an ImportError if the installed package does not bring it."""
    from PIL import Image

    package, _, inside = photograph.file.partition("/")
    file = Path(importlib.util.find_spec(package).origin).parent / inside
    try:
        return Image.open(file).copy()
    except OSError as error:
        raise ImportError(
            f'{file} cannot be read: {error}; pip install --force-reinstall "qsmi-lib[pictures]"'
        ) from error


def _crops(image: "Image.Image", photograph: Photograph, seed: tuple[int, ...]) -> "Iterator[Image.Image]":
    """Crops of random place, size and ratio. Half of them are mirrored, and their brightness is changed a little."""
    import numpy as np
    from PIL import Image, ImageEnhance, ImageOps

    rng = np.random.default_rng(seed)
    left, top, right, bottom = photograph.box
    for _ in range(PER_CLASS):
        ratio = rng.choice(RATIOS)
        shape = np.array((ratio, 1.0)) / max(ratio, 1)  # width and height, the longer side is 1
        longest = min(photograph.sides[1], *((right - left, bottom - top) / shape))
        width, height = shape * rng.uniform(photograph.sides[0], longest)
        x, y = rng.uniform(left, right - width), rng.uniform(top, bottom - height)
        size = [round(side) for side in shape * rng.integers(*SIDES, endpoint=True)]
        crop = image.resize(size, Image.Resampling.LANCZOS, (x, y, x + width, y + height))
        if rng.random() < 0.5:
            crop = ImageOps.mirror(crop)
        yield ImageEnhance.Brightness(crop).enhance(rng.uniform(*BRIGHTNESS))


def _licenses() -> str:
    """The text beside the pictures: source, author and licence of each class, and what was changed."""
    blocks = (
        f"{name}\n  source: {photograph.file}\n  author: {photograph.author}, {photograph.link}\n"
        f"  license: {photograph.license} {LINKS[photograph.license]}".rstrip()
        for name, photograph in PHOTOGRAPHS.items()
    )
    changes = "They are cropped and resized, some are mirrored, and their brightness is changed."
    return "\n\n".join((f"Example pictures, made by `qsmi example-pictures`.\n{changes}\n{EASY}", *blocks)) + "\n"
