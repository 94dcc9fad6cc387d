"""Printed digits as queries: how many of the ten answers are right, by font."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import torch
from PIL import Image, ImageDraw, ImageFont, ImageOps

from qsmi_lib.config.presets import configure
from qsmi_lib.config.profiles import PROFILES
from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction.bench.measure import machine, save, table
from qsmi_lib.search import collection
from qsmi_lib.training.records import Store
from qsmi_lib.utils import io, paths

BITS, EPOCHS, SEEDS, K = 48, 15, (0, 1, 2), 10
OF_METHODS = {"qsmi": {"epochs": EPOCHS}, "itq": {}}
SIDE, SIZE = 160, 96  # pixels of a picture, and of the font
DEBIAN = Path("/usr/share/fonts/truetype")
OF_MATPLOTLIB = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
MATPLOTLIB = "Matplotlib"
FONTS = {  # name -> where it comes from, its file
    "DejaVu Sans": (MATPLOTLIB, OF_MATPLOTLIB / "DejaVuSans.ttf"),
    "STIX": (MATPLOTLIB, OF_MATPLOTLIB / "STIXGeneral.ttf"),
    "Liberation Sans": ("fonts-liberation", DEBIAN / "liberation" / "LiberationSans-Regular.ttf"),
    "FreeSerif": ("fonts-freefont-ttf", DEBIAN / "freefont" / "FreeSerif.ttf"),
    "Roboto": ("fonts-roboto-unhinted", DEBIAN / "roboto" / "unhinted" / "RobotoTTF" / "Roboto-Regular.ttf"),
    "Hack": ("fonts-hack", DEBIAN / "hack" / "Hack-Regular.ttf"),
}
HOW = f"""\
Share of the {K} answers that show the digit of the query: mean ± standard deviation over the seeds
{", ".join(map(str, SEEDS))}. Each font prints the ten digits, black on white, {SIZE} pixels high in {SIDE} x {SIDE}.
QSMI is trained for {EPOCHS} epochs on scikit-learn's digits, {BITS} bits. *Before*: the picture is only scaled to
8 x 8 pixels. *Now*: its ink is found, cropped, centred and scaled (`qsmi_lib.search.ink`). The rules of `ink` were
chosen on the two fonts of Matplotlib. The others come from Debian's packages and were first used after that choice.
Chance is 0.1."""


def printed(font: Path, digit: int) -> Image.Image:
    """A digit in `font`, black on white, in the middle of `SIDE` x `SIDE` pixels: RGB."""
    image = Image.new("RGB", (SIDE, SIDE), "white")
    place = {"xy": (SIDE / 2, SIDE / 2), "anchor": "mm", "font": ImageFont.truetype(str(font), SIZE)}
    ImageDraw.Draw(image).text(text=str(digit), fill="black", **place)
    return image


def scaled(image: Image.Image) -> Image.Image:
    """`image` in grey at 8 x 8 pixels: what the network was given before ink was looked for."""
    return ImageOps.fit(image.convert("L"), (8, 8), Image.Resampling.BILINEAR)


def share_right(items: collection.Collection, fitted: Sequence[Image.Image], digits: Sequence[int]) -> float:
    """Share of the `K` answers to the pictures `fitted` that show the same one of `digits`."""
    found = items.index.search(items.hasher.encode(fitted), K).items
    return float((np.array(items.names)[found] == np.array(digits, str)[:, None]).mean())


def printed_digits(fonts: Mapping[str, tuple[str, Path]] = FONTS) -> str:
    """Measure each font with each method and seed; returns the table.

    The table and its rows are written to results/benchmarks/printed_digits.{md,csv}. The CSV has the
    columns `font`, `source`, `method`, `epochs`, `seed`, `before` and `now`.

    Raises:
        FileNotFoundError: a font is missing; the message names its Debian package.
    """
    for name, (source, path) in fonts.items():
        if not path.exists():
            raise FileNotFoundError(f"the font {name} is missing, expected {path}: install {source}")
    rows, store, digits = [], Store.of(PROFILES["digits"]), range(10)
    for method, settings in OF_METHODS.items():
        for seed in SEEDS:
            items = collection.of_run(configure("digits", method, BITS, seed=seed, **settings), store)
            for name, (source, path) in fonts.items():
                images = [printed(path, digit) for digit in digits]
                before = share_right(items, [scaled(image) for image in images], digits)
                now = share_right(items, [items.hasher.fitted(image) for image in images], digits)
                rows.append([name, source, METHODS[method].title, settings.get("epochs", 0), seed, before, now])
    measured = pd.DataFrame(rows, columns=["font", "source", "method", "epochs", "seed", "before", "now"])
    io.write_text(paths.results() / "benchmarks" / "printed_digits.csv", measured.round(4).to_csv(index=False))
    return save("printed_digits", HOW, machine(torch.device("cpu"), "pillow"), _table(measured))


def _table(measured: pd.DataFrame) -> str:
    """A row per font, and one for the mean of the fonts from Debian's packages."""
    methods = list(measured["method"].unique())
    debian = measured[measured["source"] != MATPLOTLIB]
    mean = debian.groupby(["method", "seed"], sort=False)[["before", "now"]].mean().reset_index()
    groups = [(name, group["source"].iloc[0], group) for name, group in measured.groupby("font", sort=False)]
    groups += [("**mean of the fonts from Debian**", "", mean)] if len(debian) else []
    shown = []
    for name, source, group in groups:
        spread = [(group.loc[group["method"] == method, when]) for method in methods for when in ("before", "now")]
        shown.append([name, source, *(f"{values.mean():.2f} ± {values.std():.2f}" for values in spread)])
    return table(["font", "from", *(f"{method}, {when}" for method in methods for when in ("before", "now"))], shown)
