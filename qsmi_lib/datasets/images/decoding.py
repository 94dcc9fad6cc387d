"""The one decoder of picture files, for data sets, folders and uploads: which formats are read, and how large.

`read` opens a file, and `fit` makes the square that a network sees. Whoever passes the same `side` to both gets the
same pixels.
"""

import io
import threading
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import PurePosixPath

import numpy as np
from PIL import ExifTags, Image, ImageOps, ImageStat, UnidentifiedImageError
from PIL.Image import Resampling, Transpose

from qsmi_lib.utils.validation import known

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "PPM", "TIFF", "AVIF")  # Pillow tries no other
# fmt: off
SUFFIXES = {  # of the files that are opened; the content decides
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff",
    ".avif",
}
UNREAD_SUFFIXES = {  # of pictures in formats that are not read
    ".heic", ".heif", ".jp2", ".j2k", ".jpf", ".jpx", ".jxl", ".ico", ".icns", ".tga", ".dds", ".psd", ".pcx", ".svg",
    ".eps", ".exr", ".hdr", ".pfm", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".raw",
}
# fmt: on
MOST_PIXELS = 50_000_000  # of a picture; decoded, they take 150 MB
MOST_BYTES = 8 * MOST_PIXELS  # of a picture's file: four channels of 16 bits, not compressed
MOST_SCANS = 100  # of a JPEG; each passes all pixels, and programs write about ten
REDUCED_SIDE = 640  # pixels that the shorter side of a JPEG keeps at least when it is decoded at a reduced size
TILE_WIDTH, TILE_HEIGHT = 322, 323  # tags of TIFF
OF_16_BITS = ("PNG", "PPM")  # formats whose mode "I" holds 0 to 65,535
RESAMPLING = {"bilinear": Resampling.BILINEAR, "bicubic": Resampling.BICUBIC}
UPRIGHT = {  # orientation in EXIF data -> what makes the picture upright
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


def read(content: bytes, side: int | None = None, *, still: bool = False) -> Image.Image:
    """The picture in the bytes of a file, in RGB, upright as its EXIF data say.

    Transparent areas become white, or black if what is drawn on them is light. Of 16 bits a channel the upper 8 are
    taken. Of an animation or several pages the first is taken.

    Args:
        content: of the file.
        side: pixels of the square that `fit` makes of it. A large JPEG is then decoded at 1/2, 1/4 or 1/8 of its size,
            in less time. Its shorter side keeps at least twice `side`, and at least `REDUCED_SIDE` pixels.
        still: whether animations and several pages are refused.

    Raises:
        ValueError: an unknown format, a damaged file, more than `MOST_PIXELS`, or values without a known range (signed,
            32 bits, floating point). The message does not name the file.
    """
    try:
        with _ignored_warnings(), Image.open(io.BytesIO(content), formats=_formats()) as image:
            _refuse(image, content, still)
            if side is not None:
                least = max(2 * side, REDUCED_SIDE)
                image.draft(None, (least, least))
            return rgb(image)
    except UnidentifiedImageError as error:  # Pillow's message names an address in memory
        raise ValueError(f"unknown format: expected {', '.join(_formats())}") from error
    except Image.DecompressionBombError as error:  # Pillow refuses it first
        raise ValueError(_too_large(f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6:.0f}")) from error
    except (OSError, ValueError) as error:
        raise ValueError(str(error)) from error
    except Exception as error:  # damaged files raise about every class of error in Pillow's decoders
        raise ValueError(f"damaged, {type(error).__name__}: {error}") from error


def rgb(image: Image.Image) -> Image.Image:
    """A picture in RGB and upright, as `read` returns it; a ValueError for values without a known range."""
    _refuse_range(image)
    return _rgb(_upright(image))


def fit(image: Image.Image, side: int, resample: str = "bilinear", squash: bool = False) -> Image.Image:
    """The centre of a picture as a square: scaled with antialiasing until its shorter side has `side` pixels, cropped.

    Args:
        image: any picture.
        side: pixels of each side.
        resample: one of `RESAMPLING`.
        squash: whether the whole picture is scaled to a square instead, which changes its proportions.
    """
    method = known("resampling filter", RESAMPLING, resample)
    return image.resize((side, side), method) if squash else ImageOps.fit(image, (side, side), method)


def unread(names: Iterable[str]) -> str:
    """One sentence on the pictures among `names` whose format is not read; empty if there are none."""
    names = [name for name in names if PurePosixPath(name).suffix.lower() in UNREAD_SUFFIXES]
    if not names:
        return ""
    counts = Counter(PurePosixPath(name).suffix.lower() for name in names)
    kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(counts.items()))
    which = f"{names[0]} and others of its kind are" if len(names) > 1 else f"{names[0]} is"
    return f"{which} left out ({kinds}): convert {'them' if len(names) > 1 else 'it'} to JPEG or PNG"


@cache
def _formats() -> tuple[str, ...]:
    """Those of `FORMATS` that the installed Pillow has."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _refuse(image: Image.Image, content: bytes, still: bool) -> None:
    """A ValueError for a picture that takes too long, has values without a known range, or moves."""
    tile = image.tag_v2.get(TILE_WIDTH, 1) * image.tag_v2.get(TILE_HEIGHT, 1) if image.format == "TIFF" else 0
    if (n_pixels := max(image.width * image.height, tile)) > MOST_PIXELS:
        raise ValueError(_too_large(f"{n_pixels / 1e6:.0f}"))
    if (n_scans := content.count(b"\xff\xda\0")) > MOST_SCANS:  # also of a JPEG in a TIFF
        raise ValueError(f"it has {n_scans:,} scans, expected at most {MOST_SCANS}: save it again")
    if still and image.format != "MPO" and getattr(image, "is_animated", False):  # many phones' JPEGs hold two
        what = "several pages" if image.format == "TIFF" else "an animation of several frames"
        raise ValueError(f"it has {what}, expected one picture")


def _refuse_range(image: Image.Image) -> None:
    of_16_bits = image.mode.startswith("I;16") or (image.mode == "I" and image.format in OF_16_BITS)
    if (image.mode.startswith(("I", "F")) and not of_16_bits) or ";12" in _raw_mode(image):
        raise ValueError(
            f"mode {_raw_mode(image) or image.mode} has values without a known range: expected 8 bits, or 16 without a "
            "sign; save it as PNG"
        )


def _too_large(millions: str) -> str:
    return f"it has {millions} million pixels, expected at most {MOST_PIXELS // 10**6}: scale it down"


def _upright(image: Image.Image) -> Image.Image:
    """The picture as its camera was held. Damaged EXIF data count as none."""
    image.load()  # Pillow turns a TIFF here
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # of about every class
        return image
    if orientation not in UPRIGHT:
        return image
    turned = image.transpose(UPRIGHT[orientation])
    turned.info = {name: turned.info[name] for name in turned.info.keys() & {"transparency"}}  # no EXIF: turned once
    return turned


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        image = _upper_bits(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    if isinstance(key := image.info.get("transparency"), tuple) and max(key) > 255:  # a colour of 16 bits a channel
        image.info["transparency"] = tuple(value >> 8 for value in key)
    drawn = image.convert("RGBA")
    if drawn.getchannel("A").getextrema()[0] == 255:
        return drawn.convert("RGB")
    return _on_ground(drawn).convert("RGB")


def _upper_bits(image: Image.Image) -> Image.Image:
    """A grey picture of 16 bits as one of 8, with its transparent level as an alpha channel."""
    values = np.asarray(image)
    grey = Image.fromarray((values >> 8).astype(np.uint8))
    if isinstance(level := image.info.get("transparency"), int):
        grey.putalpha(Image.fromarray(np.where(values == level, 0, 255).astype(np.uint8)))
    return grey


def _on_ground(drawn: Image.Image) -> Image.Image:
    """A picture with transparent areas on a ground from which it stands out: white, or black if it is light."""
    level = ImageStat.Stat(drawn.convert("L"), mask=drawn.getchannel("A").point(lambda alpha: 255 * (alpha > 0)))
    ground = Image.new("RGBA", drawn.size, "black" if level.count[0] and level.median[0] > 127 else "white")
    ground.alpha_composite(drawn)
    return ground


def _raw_mode(image: Image.Image) -> str:
    """How the file holds the values of a channel, such as ``I;16S``, where Pillow tells."""
    arguments = image.tile[0][3] if image.format in ("PNG", "TIFF") and image.tile else ""
    return str(arguments if isinstance(arguments, str) else arguments[0])


_lock, _saved, _n_active = threading.Lock(), None, 0


@contextmanager
def _ignored_warnings() -> Iterator[None]:
    """No warning of Pillow is shown or an error while any thread decodes: what matters is refused here.

    `warnings.catch_warnings` alone is not safe with threads.
    """
    global _saved, _n_active
    with _lock:
        if not _n_active:
            _saved = warnings.catch_warnings()
            _saved.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\.")
        _n_active += 1
    try:
        yield
    finally:
        with _lock:
            _n_active -= 1
            if not _n_active:
                _saved.__exit__(None, None, None)
