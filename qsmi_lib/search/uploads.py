"""Uploaded pictures: anything may be uploaded, so each file is checked before it is decoded."""

import io
import warnings

from PIL import Image, ImageOps, ImageStat

from qsmi_lib.datasets.images.lazy import UNREADABLE

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
MOST_PIXELS = 50_000_000  # of a picture; decoded, 100 million take 300 MB


def opened(content: bytes, name: str) -> Image.Image:
    """The picture in a file's `content`: in RGB, rotated by its EXIF data.

    Transparent areas become white, or black if what is drawn on them is light.

    Raises:
        ValueError: not a picture, a damaged one, more than `MOST_PIXELS`, an animation, several pages, or more than 8
            bits in a channel. The message names the file and says what is expected.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of what is refused here, or harmless
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _refuse(image)
                turned = ImageOps.exif_transpose(image)
                if turned.has_transparency_data:
                    turned = _on_ground(turned.convert("RGBA"))
                return turned.convert("RGB")
    except Image.UnidentifiedImageError as error:  # Pillow's message names an address in memory
        raise ValueError(
            f"{name} is not a picture of a known format: expected PNG, JPEG, WebP, BMP, GIF or TIFF"
        ) from error
    except Image.DecompressionBombError as error:  # Pillow refuses it first
        raise ValueError(f"{name} cannot be used as a query: {_too_large(2 * Image.MAX_IMAGE_PIXELS)}") from error
    except (*UNREADABLE, EOFError) as error:
        raise ValueError(f"{name} cannot be used as a query: {error}") from error


def _on_ground(drawn: Image.Image) -> Image.Image:
    """A picture with transparent areas on a ground from which it stands out: white, or black if it is light."""
    level = ImageStat.Stat(drawn.convert("L"), mask=drawn.getchannel("A").point(lambda alpha: 255 * (alpha > 0)))
    ground = Image.new("RGBA", drawn.size, "black" if level.count[0] and level.median[0] > 127 else "white")
    ground.alpha_composite(drawn)
    return ground


def _refuse(image: Image.Image) -> None:
    """A ValueError for a picture that is readable but not accepted."""
    if (n_pixels := image.width * image.height) > MOST_PIXELS:
        raise ValueError(_too_large(n_pixels))
    n_frames = getattr(image, "n_frames", 1)
    if n_frames > 1 and image.format == "TIFF":
        raise ValueError(f"it has {n_frames} pages, expected one picture")
    if n_frames > 1 and image.format != "MPO":  # the JPEGs of many phones hold a second picture
        raise ValueError(f"it is an animation of {n_frames} frames, expected one picture")
    if image.mode.startswith(("I", "F")) or _deep(image):
        raise ValueError("it has more than 8 bits a channel, expected 8: save it as PNG or JPEG of 8 bits")


def _too_large(n_pixels: int) -> str:
    return f"it has {n_pixels / 1e6:.0f} million pixels, expected at most {MOST_PIXELS // 10**6}"


def _deep(image: Image.Image) -> bool:
    """Whether a file has 16 bits in a channel, by its raw mode: Pillow would silently drop eight of them."""
    arguments = [tile[3] for tile in image.tile] if image.format in ("PNG", "TIFF") else []
    return any(";16" in str(mode if isinstance(mode, str) else mode[0]) for mode in arguments)
