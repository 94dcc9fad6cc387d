"""Pictures of one's own: anything may be uploaded, so each is looked at before it is decoded."""

import io
import warnings

from PIL import Image, ImageOps

from qsmi_lib.datasets.images.lazy import UNREADABLE

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
MOST_PIXELS = 50_000_000  # of a picture; one of 100 million takes 300 MB decoded


def opened(content: bytes, name: str) -> Image.Image:
    """The picture in a file's `content`, RGB, turned as its camera noted, what is transparent on white.

    Raises:
        ValueError: no picture, a damaged one, one of more than `MOST_PIXELS`, an animation or several pages, or one of
            more than 8 bits a channel; the message names it, says what came and what was expected.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow about what is refused here, or harmless in a picture
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _refuse(image)
                turned = ImageOps.exif_transpose(image)
                if turned.has_transparency_data:
                    ground = Image.new("RGBA", turned.size, "white")
                    ground.alpha_composite(turned.convert("RGBA"))
                    turned = ground
                return turned.convert("RGB")
    except Image.UnidentifiedImageError as error:  # its own text names but an address in memory
        raise ValueError(
            f"{name} is no picture of a known format: expected PNG, JPEG, WebP, BMP, GIF or TIFF"
        ) from error
    except Image.DecompressionBombError as error:  # refused by Pillow before this looks at it
        raise ValueError(f"{name} cannot be searched for: {_too_large(2 * Image.MAX_IMAGE_PIXELS)}") from error
    except (*UNREADABLE, EOFError) as error:
        raise ValueError(f"{name} cannot be searched for: {error}") from error


def _refuse(image: Image.Image) -> None:
    """A ValueError for a picture that is readable, and not one to be searched for."""
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
    """Whether a file has 16 bits a channel, of which Pillow would keep eight without a word: its raw mode says so."""
    arguments = [tile[3] for tile in image.tile] if image.format in ("PNG", "TIFF") else []
    return any(";16" in str(own if isinstance(own, str) else own[0]) for own in arguments)
