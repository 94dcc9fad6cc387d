"""Models of the package timm as backbones: `timm:NAME` with published weights, `timm:NAME@FILE` with those of a file.

NAME is timm's, e.g. resnet50, vit_small_patch14_dinov2.lvd142m, vit_base_patch16_clip_224.openai or
vit_base_patch16_siglip_224.webli. The preprocessing is that which timm states for the model.
"""

import difflib
import hashlib
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import nn

from qsmi_lib.models.pretrained import Backbone, need_timm
from qsmi_lib.utils import paths
from qsmi_lib.utils.progress import watched

PREFIX = "timm:"
FILES = ("model.safetensors", "pytorch_model.bin")  # of a model on the Hugging Face hub
UNKNOWN_LABELS = "its training labels are not known here, and ImageNet's are assumed to be among them"


@dataclass(frozen=True)
class TimmBackbone(Backbone):
    """A model of timm without its classifier.

    Attributes:
        model: timm's name of it.
        hub: its repository on the Hugging Face hub; empty: it has none.
        file: the file of weights that the user names; None: the published weights.
    """

    model: str = ""
    hub: str = ""
    file: Path | None = None

    @property
    def fingerprint(self) -> str:
        """The start of the SHA-256 of the file of weights; it is downloaded if it is not on this machine."""
        path = self.find() or self.download()
        status = path.stat()
        return _digest(path, status.st_mtime_ns, status.st_size)

    @property
    def by_hand(self) -> str:
        """What to do with a file of weights; a sentence without its end."""
        return f"name a file of weights, safetensors or a PyTorch checkpoint: {PREFIX}{self.model}@FILE"

    def find(self) -> Path | None:
        """The file that the user names, or the published one if it was downloaded before; else None."""
        if self.file is not None:
            return self.file if self.file.is_file() else None
        if self.hub:
            from huggingface_hub import try_to_load_from_cache

            repository, _, revision = self.hub.partition("@")
            places = [try_to_load_from_cache(repository, file, revision=revision or None) for file in FILES]
            return next((Path(place) for place in places if isinstance(place, str)), None)
        path = self._of_url()
        return path if self.url and path.is_file() else None

    def download(self) -> Path:
        """Download the published weights to where timm keeps them; a FileNotFoundError says what to do instead."""
        missing = f"the weights of timm's {self.model} are not on this machine"
        if self.file is not None:
            raise FileNotFoundError(f"{self.file} does not exist: expected a file of weights of timm's {self.model}")
        if not self.hub and not self.url:
            raise FileNotFoundError(f"timm publishes no weights of {self.model}: {self.by_hand}")
        try:
            return self._from_hub() if self.hub else self._from_url()
        except Exception as error:  # without a network, the libraries raise many kinds
            place = f"https://huggingface.co/{self.hub}" if self.hub else self.url
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise FileNotFoundError(
                f"{missing} and their download from {place} failed ({reason}): {self.by_hand}"
            ) from error

    def trained(self, path: Path) -> nn.Module:
        """The model with the weights in `path`, without a classifier; a ValueError if they are of another model."""
        timm = need_timm(self.title)
        try:
            state = timm.models.load_state_dict(str(path), weights_only=True)  # no pickle is executed
            shapes = {name: tuple(value.shape) for name, value in state.items()}
        except Exception as error:  # a damaged pickle may raise any error
            reason = textwrap.shorten(str(error).partition(". ")[0], 200)  # what follows advises to execute the file
            raise ValueError(f"{path} is damaged, or does not contain weights alone: {reason}") from error
        errors = []
        for n_classes in _classes(shapes, timm.get_pretrained_cfg(self.model)):
            of_file = {"state_dict": dict(state), "num_classes": n_classes, "label_offset": 0}
            try:  # timm compares all names and shapes, as the numbers of classes agree
                network = timm.create_model(
                    self.model, pretrained=True, num_classes=n_classes, pretrained_cfg_overlay=of_file
                )
            except Exception as error:  # renaming the weights of another network may fail in any way
                errors.append(textwrap.shorten(str(error), 200))
            else:
                network.pretrained_cfg["state_dict"] = None  # a second copy of the weights
                network.reset_classifier(0)
                return network
        raise ValueError(f"{path} holds the weights of another network than timm's {self.model}: {errors[0]}")

    def _of_url(self) -> Path:
        return Path(torch.hub.get_dir()) / "checkpoints" / self.url.rpartition("/")[2]

    def _from_url(self) -> Path:
        path = self._of_url()
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(self.url, str(path), progress=watched())
        return path

    def _from_hub(self) -> Path:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import RemoteEntryNotFoundError

        repository, _, revision = self.hub.partition("@")
        first, other = FILES
        try:
            return Path(hf_hub_download(repository, first, revision=revision or None))
        except RemoteEntryNotFoundError:
            return Path(hf_hub_download(repository, other, revision=revision or None))


@lru_cache
def backbone(name: str) -> TimmBackbone:
    """The backbone `timm:NAME` or `timm:NAME@FILE`; neither weights nor the network are loaded.

    Raises:
        ValueError: timm has no model NAME, where similar names are listed; or one that takes other inputs than squares
            in RGB, or gives no features (n, n_features).
        ImportError: timm is not installed; the message says how to install it.
    """
    timm = need_timm(name)
    model, _, file = name.removeprefix(PREFIX).partition("@")
    names = [*timm.list_models(), *timm.list_pretrained()]
    if model not in names:
        near = [other for other in names if model and model.lower() in other]  # dinov2, for example
        near = near or difflib.get_close_matches(model, names, n=5, cutoff=0.5)
        nearest = f"; the nearest are {', '.join(near[:5])}" if near else ""
        raise ValueError(f"timm has no model {model!r}{nearest}: timm.list_models() lists all")
    with torch.random.fork_rng(devices=()), torch.device("meta"):  # without memory, and with the same seeds after it
        network = timm.create_model(model, pretrained=False, num_classes=0).eval()
    settings = timm.data.resolve_model_data_config(network)
    channels, height, width = settings["input_size"]
    if (channels, height) != (3, width) or settings["crop_mode"] == "border":
        raise ValueError(
            f"timm's {model} cannot be a backbone: expected pictures (3, side, side) cropped to their centre, got "
            f"{settings['input_size']}, crop mode {settings['crop_mode']}; name another model"
        )
    with torch.no_grad():
        shape = tuple(network(torch.empty(1, 3, height, width, device="meta")).shape)
    if len(shape) != 2:
        raise ValueError(f"timm's {model} cannot be a backbone: expected features (n, n_features), got {shape}")
    published = network.pretrained_cfg
    return TimmBackbone(
        title=f"{model} (timm)",
        network=lambda: timm.create_model(model, pretrained=False, num_classes=0),
        features=lambda network: network,
        n_features=shape[1],
        side=height,
        files={},
        url=published.get("url") or "",
        source=f"{published.get('tag') or 'a model'} of timm; {UNKNOWN_LABELS}",
        labels_of="ilsvrc",
        mean=tuple(settings["mean"]),
        std=tuple(settings["std"]),
        crop=settings["crop_pct"],
        interpolation=settings["interpolation"],
        squash=settings["crop_mode"] == "squash",
        model=model,
        hub=published.get("hf_hub_id") or "",
        file=paths.expanded(file) if file else None,
    )


def _classes(shapes: dict[str, tuple[int, ...]], published) -> Iterator[int]:
    """Numbers of classes that the classifier in a file may have: as in the file, as published, and none."""
    layers = published.classifier if published else None
    names = [layers] if isinstance(layers, str) else list(layers or ())
    of_file = [shapes[f"{name}.weight"][0] for name in names if shapes.get(f"{name}.weight")]
    yield from dict.fromkeys([*of_file[:1], *([published.num_classes] if published else []), 0])


@lru_cache
def _digest(path: Path, changed: int, n_bytes: int) -> str:
    """The start of the SHA-256 of the file `path`; its time and size are part of the key of the cache."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
