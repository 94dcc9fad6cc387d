"""Ink: pictures of the data are unchanged; the same digit in other colours, places and frames gives the same pixels."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_digits

from qsmi_lib.search import ink

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
SIDE, WHITE, BLACK = 160, (255, 255, 255), (0, 0, 0)


def drawn(digit, ink_colour=BLACK, paper=WHITE, *, size=(SIDE, SIDE), place=(80, 80), font=96, name="STIXGeneral"):
    image = Image.new("RGB", size, paper)
    letters = ImageFont.truetype(str(FONTS / f"{name}.ttf"), font)
    ImageDraw.Draw(image).text(place, str(digit), font=letters, fill=ink_colour, anchor="mm")
    return image


def pixels(image):
    return np.asarray(ink.found(image, 8)) / 255.0


def framed(image, inset, width):
    far = image.width - 1 - inset
    ImageDraw.Draw(image).rectangle((inset, inset, far, far), outline=BLACK, width=width)
    return image


def shadowed(image):
    """On grey paper, with noise, and darker by two fifths in one corner."""
    y, x = np.mgrid[0 : 1 : image.height * 1j, 0 : 1 : image.width * 1j]
    noise = np.random.default_rng(0).normal(0, 0.02, (*x.shape, 3))
    return Image.fromarray(
        np.uint8(255 * (np.asarray(image) / 255 * 0.85 * (1 - 0.2 * (x + y))[..., None] + noise).clip(0, 1))
    )


def cropped(image):
    rows, columns = (np.flatnonzero((np.asarray(image)[..., 0] < 128).any(axis)) for axis in (1, 0))
    return image.crop((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))


def test_every_digit_of_the_data_is_unchanged():
    for digit in load_digits().images:
        image = Image.fromarray(np.round(255 * digit / 16).astype(np.uint8))
        assert (np.asarray(ink.found(image, 8)) == np.asarray(image)).all()
        assert (np.asarray(ink.found(image.convert("RGB"), 8)) == np.asarray(image)).all()


SAME = {
    "white on black": lambda digit: drawn(digit, WHITE, BLACK),
    "grey on grey": lambda digit: drawn(digit, (90,) * 3, (170,) * 3),
    "blue on cream": lambda digit: drawn(digit, (30, 60, 200), (250, 240, 210)),
    "yellow on white": lambda digit: drawn(digit, (250, 220, 0)),
    "red on a green as light": lambda digit: drawn(digit, (200, 50, 50), (60, 130, 60)),
    "off the centre": lambda digit: drawn(digit, place=(60, 100)),
    "a thin frame": lambda digit: framed(drawn(digit), 0, 2),
    "a thick frame": lambda digit: framed(drawn(digit), 0, 5),
    "a frame within": lambda digit: framed(drawn(digit), 14, 1),
    "a line below": lambda digit: framed(drawn(digit), -150, 156),
    "cropped": lambda digit: cropped(drawn(digit)),
    "a wide picture": lambda digit: drawn(digit, size=(240, 120), place=(200, 60)),
}


@pytest.mark.parametrize("kind", SAME)
@pytest.mark.parametrize("name", ["STIXGeneral", "DejaVuSans"])
def test_colour_place_and_frame_of_a_digit_do_not_matter(kind, name, monkeypatch):
    monkeypatch.setitem(drawn.__kwdefaults__, "name", name)
    for digit in (1, 5, 7, 8):
        assert abs(pixels(SAME[kind](digit)) - pixels(drawn(digit))).mean() < 0.05


OTHER = {
    "grey paper with a shadow": lambda digit: shadowed(drawn(digit)),
    "a large picture": lambda digit: drawn(digit, size=(2000, 1500), place=(900, 700), font=900),
    "a small picture": lambda digit: drawn(digit, size=(24, 24), place=(12, 12), font=22),
}


@pytest.mark.parametrize("kind", OTHER)
def test_each_digit_is_nearest_to_itself(kind):
    plain = [pixels(drawn(digit)) for digit in range(10)]
    for digit in range(10):
        image = pixels(OTHER[kind](digit))
        assert np.argmin([abs(image - other).sum() for other in plain]) == digit


def test_the_longer_side_fills_the_picture_and_the_lightest_pixel_is_white():
    for digit in range(10):
        image = pixels(drawn(digit))
        assert image[0].max() > 0 and image[-1].max() > 0 and image.max() == 1
        columns = np.flatnonzero(image.any(axis=0))
        assert image.sum(axis=0) @ np.arange(8) / image.sum() == pytest.approx(3.5, abs=0.3) and len(columns) <= 7
    bar = pixels(Image.fromarray(np.pad(np.zeros((10, 80), np.uint8), 20, constant_values=255)))
    assert np.flatnonzero(bar.any(axis=0)).tolist() == list(range(8)) and np.flatnonzero(bar.any(axis=1)).tolist() == [
        3,
        4,
    ]


def test_no_ink_is_cut_off_by_centring():
    lopsided = np.full((60, 100), 255, np.uint8)
    lopsided[20:40, 10:90], lopsided[10:50, 70:90] = 0, 0
    image = pixels(Image.fromarray(lopsided))
    assert image[:, 0].max() > 0 and image[:, -1].max() > 0


def test_each_pixel_is_the_mean_over_its_area():
    bitmap = np.repeat(np.repeat(np.random.default_rng(0).integers(0, 2, (8, 8)), 4, 0), 4, 1).astype(float)
    bitmap[[0, -1]] = bitmap[:, [0, -1]] = 1
    means = bitmap.reshape(8, 4, 8, 4).mean(axis=(1, 3))
    image = np.asarray(ink._scaled(bitmap, 8)) / 255
    assert abs(image - means / means.max()).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize(
    "image", [Image.new("RGB", (50, 40), "white"), Image.new("L", (8, 9)), Image.new("1", (1, 1), 1)]
)
def test_a_blank_picture_is_refused_by_name(image):
    with pytest.raises(
        ValueError, match=r"mine\.png is blank: expected one digit or object, dark on light or light on"
    ):
        ink.found(image, 8, "mine.png")


def test_paper_with_a_shadow_is_blank():
    with pytest.raises(ValueError, match="is blank"):
        ink.found(shadowed(Image.new("RGB", (SIDE, SIDE), "white")), 8)


@pytest.mark.parametrize("size", [(2, 2), (1, 50), (50, 1), (7, 9), (300, 2)])
def test_any_size_has_a_form(size):
    image = Image.new("L", size, 255)
    image.putpixel((size[0] - 1, size[1] - 1), 0)
    image = image.resize((max(size[0], 2), max(size[1], 2)), Image.Resampling.NEAREST)
    assert ink.found(image, 28).size == (28, 28)
