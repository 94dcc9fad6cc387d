"""What figures share: the look of each method, captions, alternative text, and how a figure becomes a small file."""

import math
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from qsmi_lib.utils.io import write_bytes

# Hues by family, after Okabe & Ito: similarity by angle, its extensions, mutual information by distance, ...
_ANGLE, _EXTENDED, _INFORMATION = "#D55E00", "#E69F00", "#7F3300"
_CONTRASTIVE, _LIKELIHOOD, _WEIGHTED, _CAUCHY = "#0072B2", "#009E73", "#00573F", "#56B4E9"
_TRIPLET, _WORDS, _TWO_STAGE, _UNSUPERVISED = "#CC79A7", "#000000", "#8C7A00", "#777777"
METHOD_STYLES = {  # colour, marker, line style; methods with one marker differ in lightness
    "qsmi": (_ANGLE, "o", "-"),
    "qsmi_unclamped": (_ANGLE, "D", "--"),
    "qsmi_priors": (_EXTENDED, "s", "--"),
    "qsmi_jaccard": (_EXTENDED, "P", "-."),
    "qsmi_u": (_EXTENDED, "X", "-."),
    "qmi": (_INFORMATION, "v", ":"),
    "qmi_clamped": (_INFORMATION, "^", "-."),
    "mihash": (_INFORMATION, "d", "-."),
    "dsh": (_CONTRASTIVE, "s", "--"),
    "dpsh": (_LIKELIHOOD, "^", "-."),
    "dhn": (_WEIGHTED, "<", "--"),
    "hashnet": (_WEIGHTED, "h", ":"),
    "dch": (_CAUCHY, "p", "-"),
    "hashgan": (_CAUCHY, "*", ":"),
    "spring": (_TRIPLET, ">", "-"),
    "dnnh": (_TRIPLET, "v", "--"),
    "csq": (_WORDS, "*", "-"),
    "csq_qsmi": (_WORDS, "X", "--"),
    "classifier": (_WORDS, "p", ":"),
    "cnnh": (_TWO_STAGE, "d", "-."),
    "pgdh": (_TWO_STAGE, "<", ":"),
    "lsh": (_UNSUPERVISED, "p", "-"),
    "itq": (_UNSUPERVISED, "P", ":"),
    "spectral_hashing": (_UNSUPERVISED, "h", "--"),
}


def method_style(method: str) -> dict[str, str]:
    """Colour, marker and line style of a method of the registry, the same in every figure."""
    return dict(zip(("color", "marker", "linestyle"), METHOD_STYLES[method], strict=True))


def described(figure: Figure, text: str) -> Figure:
    """`figure` with alternative text, for readers who cannot see it; it is kept as the figure's label."""
    figure.set_label(text)
    return figure


def listed(numbers: Mapping[str, float]) -> str:
    """Names and numbers, the largest first, for alternative texts: QSMI 0.861; DSH 0.827."""
    known = {name: number for name, number in numbers.items() if not math.isnan(number)}
    return "; ".join(f"{name} {known[name]:.3f}" for name in sorted(known, key=known.get, reverse=True))


def captioned(figure: Figure, caption: str) -> Figure:
    """`figure` with a caption below it, for readers who see the figure alone."""
    figure.text(0.01, -0.01, caption, fontsize=7.5, color="0.3", ha="left", va="top")
    return figure


def awaited(caption: str) -> Figure:
    """An empty figure that says "not recorded yet"."""
    figure, axes = plt.subplots(figsize=(4.8, 0.8))
    axes.text(0.5, 0.5, "not recorded yet", ha="center", va="center", color="0.3")
    axes.set_axis_off()
    return captioned(described(figure, f"Not recorded yet: {caption}."), caption)


def cycle_style(index: int) -> dict:
    """Colour, line style and marker number `index` of the style's cycle, for curves that share or carry something."""
    return list(plt.rcParams["axes.prop_cycle"])[index % len(plt.rcParams["axes.prop_cycle"])]


def save_figure(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write `figure` as ``<name>.png`` and ``<name>.pdf`` into `folder`, undated, so that equal figures are equal."""
    png, pdf = (folder / f"{name}.{kind}" for kind in ("png", "pdf"))
    write_bytes(png, small_png(figure, plt.rcParams["savefig.dpi"]))
    figure.savefig(drawn := BytesIO(), format="pdf", metadata={"CreationDate": None})
    write_bytes(pdf, drawn.getvalue())
    return [png, pdf]


def small_png(figure: Figure, dpi: float) -> bytes:
    """`figure` as a PNG with a palette: one of few colours and their blends looks the same at 40 % of the bytes."""
    small = BytesIO()
    with_palette(Image.open(BytesIO(full_png(figure, dpi))).convert("RGB")).save(small, "png", optimize=True)
    return small.getvalue()


def full_png(figure: Figure, dpi: float) -> bytes:
    """`figure` as a PNG with all its colours, undated; drawn quickly."""
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi, metadata={"Software": None}, pil_kwargs={"compress_level": 1})
    return drawn.getvalue()


def with_palette(image: Image.Image) -> Image.Image:
    """An RGB image with 256 colours. The 128 most frequent stay exact, so that lines and markers keep their colour.

    The other 128 are a median cut, which alone would mix the colours of small markers with those of large areas.
    """
    from scipy.spatial import KDTree

    pixels = np.asarray(image, np.int32) @ (1 << 16, 1 << 8, 1)
    colors, places, counts = np.unique(pixels, return_inverse=True, return_counts=True)
    frequent = _channels(colors[np.argsort(-counts, kind="stable")[:128]])
    cut = np.reshape(image.quantize(128, dither=Image.Dither.NONE).getpalette(), (-1, 3))
    palette = np.concatenate([frequent, cut])
    nearest = KDTree(palette).query(_channels(colors))[1]
    indexed = Image.fromarray(nearest[places].reshape(pixels.shape).astype(np.uint8), "L")
    indexed.putpalette(palette.astype(np.uint8).tobytes())
    return indexed


def _channels(colors: np.ndarray) -> np.ndarray:
    """Red, green and blue (n, 3) of colours (n,) in one number."""
    return np.stack([colors >> 16, colors >> 8 & 255, colors & 255], axis=1)
