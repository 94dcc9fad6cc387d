"""From a user's picture to the form of the data: ink is told from paper, cropped, centred and scaled."""

import numpy as np
from PIL import Image

LONGEST = 256  # pixels of the longer side when ink is looked for; larger pictures are reduced first
LEAST_CONTRAST = 0.2  # of ink, as a share of the whole range; a picture with less is blank
SHARE_OF_STRONGEST = 1 / 3  # ink has at least this share of the strongest contrast
MARGIN, REACH, THIN = 0.15, 0.8, 0.05  # shares of a side: where a frame may lie, how long its lines are, how thick


def in_form(image: Image.Image, side: int) -> bool:
    """Whether `image` has the form of the data: `side` x `side` pixels, with dark corners."""
    if image.size != (side, side):
        return False
    return np.median(np.asarray(image.convert("L"))[[0, 0, -1, -1], [0, -1, 0, -1]]) < 128


def found(image: Image.Image, side: int, name: str = "the picture") -> Image.Image:
    """The ink of `image` in the form of the data: grey, light on dark, `side` x `side` pixels.

    Ink is what differs from the paper, so its colour does not matter. It is cropped and keeps its aspect ratio. Its
    longer side fills the picture. It is centred vertically by its box, and horizontally by its mass as far as no ink is
    cut off. Each pixel is the mean over its area, and the lightest one becomes white. A picture that is `in_form`
    is only converted to grey.

    Raises:
        ValueError: the picture is blank. The message contains `name` and says what is expected.
    """
    if in_form(image, side):
        return image.convert("L")
    small = image.convert("RGB")
    small.thumbnail((LONGEST, LONGEST), Image.Resampling.BOX)
    contrast = _contrast(np.asarray(small) / 255.0)
    if contrast.max() < LEAST_CONTRAST:
        raise ValueError(f"{name} is blank: expected one digit or object, dark on light or light on dark")
    ink = _without_frame(contrast > SHARE_OF_STRONGEST * contrast.max())
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return _scaled(contrast[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], side)


def _contrast(pixels: np.ndarray) -> np.ndarray:
    """Difference of each pixel from the paper, the largest of the three channels: (height, width), 0 to 1.

    The colour of the paper is a linear function of the place, because a shadow may fall on it. It is fitted to the half
    of the pixels that are nearest to the median colour; the others may be ink or a frame. The outermost pixels have a
    third of the weight, so that a cropped digit may cover more than half of the picture.

    Args:
        pixels: (height, width, 3), 0 to 1.
    """
    height, width = pixels.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    place = np.stack([np.ones_like(x), x, y], axis=2)
    edges = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    sample = np.concatenate([pixels.reshape(-1, 3), edges.repeat(height * width // (2 * len(edges)), axis=0)])
    colour = np.median(sample, axis=0)
    near = abs(pixels - colour).max(axis=2) <= np.median(abs(sample - colour).max(axis=1))
    paper, *_ = np.linalg.lstsq(place[near], pixels[near])
    return abs(pixels - place @ paper).max(axis=2)


def _without_frame(ink: np.ndarray) -> np.ndarray:
    """`ink`, bool (height, width), without thin straight lines along the sides; unchanged if it has only such lines."""
    rest = ink.copy()
    for turned, lines in ((rest, ink), (rest.T, ink.T)):
        outer = round(MARGIN * len(lines))
        for side in (slice(0, outer), slice(len(lines) - outer, None)):
            long = lines[side].mean(axis=1) >= REACH
            if long.sum() <= max(1, THIN * len(lines)):
                turned[side][long] = False
    return rest if rest.any() else ink


def _scaled(box: np.ndarray, side: int) -> Image.Image:
    """The cropped ink, (height, width), scaled to `side` x `side` pixels."""
    height, width = box.shape
    square = max(height, width)
    centre = box.sum(axis=0) @ (np.arange(width) + 0.5) / box.sum()
    left = np.clip(square / 2 - centre, 0, square - width)  # empty columns on the left
    top = (square - height) / 2
    corner = np.array([square - left, square - top])  # of the square, in the box padded by `square` on every side
    padded = Image.fromarray(np.pad(box, square).astype(np.float32))
    grey = padded.resize((side, side), Image.Resampling.BOX, box=(*corner, *(corner + square)))
    return Image.fromarray(np.round(255 * np.asarray(grey) / np.max(grey)).astype(np.uint8))
