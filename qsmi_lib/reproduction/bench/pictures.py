"""Pictures a second: decoding and a backbone together, against the backbone alone."""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from qsmi_lib.datasets.images.lazy import Pictures
from qsmi_lib.models import backbones, features
from qsmi_lib.reproduction.bench.measure import machine, save, seconds, table
from qsmi_lib.search.example_pictures import write_pictures
from qsmi_lib.utils import scratch
from qsmi_lib.utils.precision import autocast, resolve_precision
from qsmi_lib.utils.progress import bar

BACKBONE = "efficientnet_lite0"
SIZES = {"500 x 375": (500, 375), "4,000 x 3,000": (4000, 3000)}  # of a picture on the web, and of a telephone
BATCHES, ROUNDS = 12, 9  # batches of each way in a round; the median of the rounds counts
GRAIN, QUALITY = 12.0, 85  # noise of a camera in levels, and quality of JPEG
ALONE = "alone"
HOW = f"""\
Pictures a second of {{title}} with random weights, batches of {{size}}, in {{precision}}; medians of {{rounds}} rounds,
each way in turn. *Alone*: the pictures are decoded before. The other columns are shares of its speed in the same round.
*One after the other*: a batch is decoded, then the network computes. *Ahead*: threads decode the next pictures while
the network computes, as `features.extract` does. The pictures are generated: crops of photographs, enlarged, with grain
of {GRAIN:.0f} levels, as JPEG of quality {QUALITY}."""


def pictures(rounds: int = ROUNDS, n_batches: int = BATCHES, sizes: dict[str, tuple[int, int]] = SIZES) -> str:
    """Measure all sizes of pictures; returns the table, which is also written to results/benchmarks.

    Raises:
        ImportError: the extra `pictures` is not installed.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    precision, entry = resolve_precision("auto", device), backbones.named(BACKBONE)
    network = entry.assembled().eval().to(device, memory_format=torch.channels_last)
    size, rows = features.batch_size(BACKBONE), []
    with tempfile.TemporaryDirectory(dir=scratch.folder()) as folder:
        write_pictures(Path(folder) / "small")
        for title, shape in sizes.items():
            names = photographs(Path(folder), shape)
            paths = [names[row % len(names)] for row in range(n_batches * size)]
            images = Pictures(Path(folder), paths, paths, entry.scaled, resample=entry.interpolation)
            took = measure(images, network, size, precision, rounds)
            kilobytes = median((Path(folder) / name).stat().st_size / 1e3 for name in names)
            speed = len(images) / median(took[ALONE])
            shares = [
                median(alone / other for alone, other in zip(took[ALONE], others, strict=True))
                for way, others in took.items()
                if way != ALONE
            ]
            rows.append([title, f"{kilobytes:,.0f}", f"{speed:.1f}", *(f"{share:.2f}" for share in shares)])
    headers = ["pictures", "kilobytes", "alone, a second", "one after the other", "ahead"]
    how = HOW.format(title=entry.title, size=size, precision=precision, rounds=rounds)
    return save("pictures", how, machine(device, "timm", "pillow"), table(headers, rows))


def photographs(folder: Path, shape: tuple[int, int]) -> list[str]:
    """Enlarge one example picture of each class in `folder`/small to `shape`; returns the names below `folder`."""
    rng, names = np.random.default_rng(0), []
    for path in sorted((folder / "small").glob("*/*-01.jpg")):
        image = Image.open(path).convert("RGB").resize(shape, Image.Resampling.BICUBIC)
        grain = rng.normal(0.0, GRAIN, (*shape[::-1], 1)).astype(np.float32)
        names.append(f"{path.stem}-{shape[0]}.jpg")
        Image.fromarray((np.asarray(image) + grain).clip(0, 255).astype(np.uint8)).save(
            folder / names[-1], quality=QUALITY
        )
    return names


def measure(images: Pictures, network: nn.Module, size: int, precision: str, rounds: int) -> dict[str, list[float]]:
    """Seconds of each round of each way."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    ways = ways_of(images, size)

    def run(batches: Callable[[], Iterator[Tensor]]) -> None:
        with torch.inference_mode(), autocast(precision, device):
            for batch in batches():
                network(batch.to(device)).float().cpu()

    run(ways[ALONE])  # warms up
    took = {way: [] for way in ways}
    for _ in bar(range(rounds), "timing", unit="round"):
        for way, batches in ways.items():
            took[way].append(seconds(partial(run, batches), device))
    return took


def ways_of(images: Pictures, size: int) -> dict[str, Callable[[], Iterator[Tensor]]]:
    """Name -> a function that returns the decoded pictures, `size` at a time; they are the same by each way."""
    decoded = images[:]
    return {
        ALONE: lambda: iter(decoded.split(size)),
        "one after the other": lambda: (images[first : first + size] for first in range(0, len(images), size)),
        "ahead": lambda: images.split(size),
    }
