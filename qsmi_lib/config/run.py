"""The configuration of a run, frozen, every number with its unit."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from qsmi_lib.datasets.protocols import FULL
from qsmi_lib.utils.limits import BITS, EPOCHS, ITEMS_COMPARED, LARGEST, LEARNING_RATE, SEED
from qsmi_lib.utils.validation import known, non_negative_number, positive_number, text, whole_number

SCHEDULES = ("constant", "cosine")  # of the learning rate; cosine: half a period, from the full rate to 0
LABELS = ("", "index", "multi-hot")  # see `datasets.named`
AUGMENTATIONS = ("none", "shift", "flip", "flip_shift")  # of training pictures, see `training.augmentation`
WHOLE = {  # settings that are whole numbers: the least and the largest
    "bits": (1, BITS),
    "epochs": (1, EPOCHS),
    "batch_size": (1, ITEMS_COMPARED),
    "memory": (0, ITEMS_COMPARED),
    "seed": (0, SEED),
    "draw": (0, SEED),
}
LARGEST_OF = {"learning_rate": LEARNING_RATE, "backbone_learning_rate": LEARNING_RATE, "alpha": LARGEST}
# Settings that are newer than the first records. They are left out at their defaults, so that ids do not change.
LATER = {"protocol", "backbone", "backbone_learning_rate", "head", "schedule", "augmentation", "memory", "labels"}


def short(dataset: str) -> str:
    """A data set as part of a file name: its name, or the last part of its path."""
    return re.sub(r"[^\w.]+", "_", PurePath(dataset).name).strip(".") or "pictures"


@dataclass(frozen=True)
class RunConfig:
    """One training run and its evaluation; `presets.configure` fills in a method's settings for a data set."""

    dataset: str
    method: str
    bits: int  # code length
    seed: int = 0  # of the weights and the order of the batches; it does not change the split
    epochs: int = 50  # passes over the training set (Table 10)
    batch_size: int = 128  # items; a batch has batch_size ** 2 pairs; the last, shorter batch is used too (Table 10)
    learning_rate: float = 1e-3  # Adam's step, other settings PyTorch's defaults (Table 10)
    alpha: float = 0.01  # weight of the quantization term: alpha of QSMI and DSH, eta of DPSH (Table 10)
    options: Mapping[str, float | str | None] = field(default_factory=dict)  # further arguments of the method's loss
    draw: int = 0  # which random split, if the data set or protocol has several
    precision: str = "auto"  # of the network: float32, bf16, or auto (bf16 where the device is fast at it)
    protocol: str = FULL  # how the data set is divided, see `datasets.PROTOCOLS`
    backbone: str = ""  # whose features are hashed, see `backbones.named`; empty: the network of the data set
    backbone_learning_rate: float = 0.0  # Adam's step for the weights of the backbone; 0: it is frozen
    head: str = "narrow"  # hashes the features of a backbone, see `networks.HEADS`
    schedule: str = "constant"  # one of `SCHEDULES`
    augmentation: str = "none"  # one of `AUGMENTATIONS`
    memory: int = 0  # earlier batches that each batch is also compared with, see `training.memory`
    labels: str = ""  # how one column of 0 and 1 in a list of pictures is read, one of `LABELS`; empty: it is refused

    def __post_init__(self):
        for name in ("dataset", "method", "precision", "protocol", "backbone", "head", "schedule", "augmentation"):
            text(name, getattr(self, name))
        for name, limits in WHOLE.items():
            object.__setattr__(self, name, whole_number(name, getattr(self, name), *limits))
        for name, most in LARGEST_OF.items():  # 0 and 0.0 must give one id
            object.__setattr__(self, name, non_negative_number(name, getattr(self, name), most))
        if not isinstance(self.options, Mapping):
            raise ValueError(f"options must be names with values, got {self.options!r}")
        object.__setattr__(self, "options", {name: _option(name, value) for name, value in self.options.items()})
        if (items := self.batch_size * (1 + self.memory)) > ITEMS_COMPARED:
            raise ValueError(
                f"a batch and its memory must hold at most {ITEMS_COMPARED} items, got {items}: "
                f"batch_size {self.batch_size} and memory {self.memory}"
            )
        known("precision", dict.fromkeys(("auto", "float32", "bf16")), self.precision)
        known("schedule", dict.fromkeys(SCHEDULES), self.schedule)
        known("labels", dict.fromkeys(LABELS), self.labels)
        known("augmentation", dict.fromkeys(AUGMENTATIONS), self.augmentation)
        if self.augmentation != "none" and self.backbone and not self.backbone_learning_rate:
            raise ValueError(f"augmentation {self.augmentation!r} needs pictures, got the features of {self.backbone}")
        if self.head != "narrow" and not self.backbone:
            raise ValueError(f"head {self.head!r} needs the features of a backbone, got none")
        if self.backbone_learning_rate and not self.backbone:
            raise ValueError(f"backbone_learning_rate {self.backbone_learning_rate:g} needs a backbone, got none")

    def to_dict(self) -> dict:
        """The configuration for JSON, without the settings of `LATER` that have their default value."""
        values = dataclasses.asdict(self) | {"options": dict(sorted(self.options.items()))}
        defaults = {f.name: f.default for f in dataclasses.fields(self) if f.name in LATER}
        return {name: value for name, value in values.items() if name not in LATER or value != defaults[name]}

    @classmethod
    def from_dict(cls, values: Mapping) -> "RunConfig":
        """The configuration that `to_dict` wrote; an unknown name is a ValueError that lists the known ones."""
        names = {f.name: None for f in dataclasses.fields(cls)}
        for name in values:
            known("setting", names, name)
        return cls(**values)

    def run_id(self, fingerprint: str) -> str:
        """``<dataset>-<method>-<bits>b-s<seed>-<hash>``; the hash is of the configuration and the split.

        A path is represented by its last part.
        """
        text = json.dumps([self.to_dict(), fingerprint], sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:10]
        return f"{short(self.dataset)}-{self.method}-{self.bits}b-s{self.seed}-{digest}"


def _option(name: str, value: object) -> float | str | None:
    """`value`, a number as float; a ValueError unless it is text, None or a number within the limits."""
    return value if value is None or isinstance(value, str) else positive_number(name, value)
