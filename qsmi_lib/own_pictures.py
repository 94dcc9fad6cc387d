"""Pictures of one's own: anything may be uploaded, so each is looked at before it is decoded."""

import io
import warnings

import numpy as np
from PIL import Image, ImageOps

from qsmi_lib.datasets.pictures import UNREADABLE

MOST_PIXELS = 50_000_000  # of a picture; one of 100 million takes 300 MB decoded


def opened(content: bytes, name: str) -> Image.Image:
    """The picture in a file's `content`, RGB, turned as its camera noted.

    Raises:
        ValueError: no picture, a damaged one, one of more than `MOST_PIXELS`, an animation, or one of more than 8 bits
            a channel; the message names it, says what came and what was expected.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow about what is refused here, or harmless in a picture
            with Image.open(io.BytesIO(content)) as image:
                if (n_pixels := image.width * image.height) > MOST_PIXELS:
                    raise ValueError(
                        f"it has {n_pixels / 1e6:.0f} million pixels, expected at most {MOST_PIXELS // 10**6}"
                    )
                if getattr(image, "n_frames", 1) > 1:
                    raise ValueError(f"it is an animation of {image.n_frames} frames, expected one picture")
                if image.mode.startswith(("I", "F")) or _deep(image):
                    raise ValueError("it has more than 8 bits a channel, expected 8: save it as PNG or JPEG of 8 bits")
                return ImageOps.exif_transpose(image).convert("RGB")
    except Image.UnidentifiedImageError as error:  # its own text names but an address in memory
        raise ValueError(
            f"{name} is no picture of a known format: expected PNG, JPEG, WebP, BMP, GIF or TIFF"
        ) from error
    except (*UNREADABLE, EOFError) as error:
        raise ValueError(f"{name} cannot be searched for: {error}") from error


def _deep(image: Image.Image) -> bool:
    """Whether a file has 16 bits a channel, of which Pillow would keep eight without a word."""
    return any("16" in str(argument) for tile in image.tile for argument in np.atleast_1d(np.asarray(tile[3], object)))
