"""The hasher of an index: from features to codes, learned with QSMI where labels are known, else by ITQ."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from qsmi_lib.config.presets import configure
from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets.base import Part, Split
from qsmi_lib.methods import METHODS
from qsmi_lib.models.networks import HashHead
from qsmi_lib.models.projections import principal_components
from qsmi_lib.models.rotation import itq
from qsmi_lib.training import loop

QSMI, ITQ = "qsmi", "itq"  # as in the registry of methods
EPOCHS = 50  # as the paper has, but no more than `STEPS` take, if that is at least `LEAST_EPOCHS`
STEPS, LEAST_EPOCHS = 20_000, 5
N_HIDDEN = 512  # units of the head's hidden layer
ALPHA, MOST_BITS_OF_ALPHA = 0.01, 48  # of Table 10, and the longest codes that it was chosen for
ROWS = 4096  # encoded at a time
NORM = torch.finfo(torch.float32).tiny  # the least norm that is divided by


class FeatureHasher(nn.Module):
    r"""Features (n, d) -> embeddings (n, bits), whose signs are the codes.

    A row is divided by its norm, since the similarity of features is the cosine. The mean of the training rows is
    subtracted, and one number scales all values to a variance of 1:
    :math:`y = h\left(\frac{x / \|x\| - \mu}{s}\right)`. :math:`h` is the head: `HashHead` for QSMI, a projection for
    ITQ.

    Args:
        n_features: d.
        bits: code length.
        method: "qsmi" or "itq".
    """

    def __init__(self, n_features: int, bits: int, method: str):
        super().__init__()
        self.n_features, self.bits, self.method = n_features, bits, method
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(1))
        if method == QSMI:
            self.head = HashHead(n_features, bits, N_HIDDEN)
        else:
            self.head = nn.Linear(n_features, bits, bias=False)

    def standardised(self, features: Tensor) -> Tensor:
        """The rows as the head takes them, float32 (n, d)."""
        units = features / features.norm(dim=1, keepdim=True).clamp(min=NORM)
        return (units - self.mean) / self.scale

    def forward(self, features: Tensor) -> Tensor:
        """Embeddings (n, bits)."""
        return self.head(self.standardised(features))

    @torch.no_grad()
    def codes(self, features: np.ndarray) -> np.ndarray:
        """Codes of float32 (n, d): int8 (n, bits) of -1 and +1."""
        if features.shape[1:] != (self.n_features,):
            raise ValueError(f"features must be (n, {self.n_features}), got {features.shape}")
        if not len(features):
            return np.empty((0, self.bits), np.int8)
        return loop.encode(self, torch.from_numpy(np.ascontiguousarray(features)), batch_size=ROWS).numpy()

    def arrays(self) -> dict[str, np.ndarray]:
        """The weights by name, to be stored."""
        return {name: np.ascontiguousarray(value.numpy()) for name, value in self.state_dict().items()}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], n_features: int, bits: int, method: str) -> "FeatureHasher":
        """The hasher with the weights `arrays`; a ValueError if they are those of another one."""
        with torch.device("meta"):
            hasher = cls(n_features, bits, method)
        expected = {name: tuple(value.shape) for name, value in hasher.state_dict().items()}
        if (got := {name: value.shape for name, value in arrays.items()}) != expected:
            raise ValueError(f"a hasher of {n_features} features to {bits} bits has {expected}, got {got}")
        hasher.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()}, assign=True)
        return hasher.eval()


def fit(
    features: np.ndarray, labels: Sequence[Set[str]] | None, bits: int, *, method: str = "", seed: int = 0
) -> FeatureHasher:
    """The hasher learned from features.

    Args:
        features: float32 (n, d).
        labels: of each item, for QSMI; None: unknown.
        bits: code length.
        method: "qsmi" or "itq"; empty: QSMI where labels are known.
        seed: of weights, batches and rotation.

    Raises:
        ValueError: ITQ with more bits than features or items.
    """
    hasher = FeatureHasher(features.shape[1], bits, method or (ITQ if labels is None else QSMI))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if hasher.method == QSMI:
            hasher.head = HashHead(hasher.n_features, bits, N_HIDDEN)  # initialised from the seed
        rows = hasher.standardised(torch.from_numpy(features))
        hasher.mean.copy_(rows.mean(dim=0))
        hasher.scale.copy_((rows - hasher.mean).square().mean().sqrt().clamp(min=1e-6))
        rows = (rows - hasher.mean) / hasher.scale
        if hasher.method == QSMI:
            _learn(hasher.head, rows, class_numbers(labels), bits, seed)
        else:
            _rotate(hasher.head, rows.numpy(), bits, seed)
    return hasher.eval()


def settings(method: str, bits: int, n: int) -> dict[str, float]:
    """The settings with which `fit` trains a hasher on `n` items, as an index stores them."""
    if method != QSMI:
        return {}
    config = _config(n, bits, 0)
    names = ("epochs", "batch_size", "learning_rate", "alpha")
    return {name: getattr(config, name) for name in names} | {"hidden": N_HIDDEN}


def class_numbers(labels: Sequence[Set[str]]) -> Tensor:
    """Labels in the form that losses take: int64 (n,) where each item has one, else multi-hot (n, c)."""
    names = sorted(frozenset().union(*labels))
    number = {name: index for index, name in enumerate(names)}
    if all(len(own) == 1 for own in labels):
        return torch.tensor([number[name] for own in labels for name in own])
    table = torch.zeros(len(labels), max(2, len(names)), dtype=torch.int64)
    for row, own in enumerate(labels):
        table[row, [number[name] for name in own]] = 1
    return table


def _config(n: int, bits: int, seed: int) -> RunConfig:
    """The settings of the paper, but for fewer epochs with many items, and for alpha at more bits than the paper has.

    The quantization penalty is a sum over bits, and the QSMI loss does not grow with them. With the paper's alpha,
    codes of 256 bits were much worse than of 48, on held-out training items of tiny-imagenet-32.
    """
    config = configure("user data", QSMI, bits, seed=seed, precision="float32")
    epochs = min(EPOCHS, max(LEAST_EPOCHS, STEPS * config.batch_size // n))
    return replace(config, epochs=epochs, alpha=ALPHA * min(1.0, MOST_BITS_OF_ALPHA / bits))


def _learn(head: nn.Module, rows: Tensor, labels: Tensor, bits: int, seed: int) -> None:
    """Train the head with QSMI."""
    config = _config(len(rows), bits, seed)
    part = Part(rows, labels)
    split = Split(config.dataset, part, part, part, "", ())
    with loop.computing(config, split):
        loop.descend(head.train(), config, split, config.precision)


def _rotate(projection: nn.Linear, rows: np.ndarray, bits: int, seed: int) -> None:
    """Set the projection to the first principal components of the rows, rotated by ITQ."""
    if bits > (most := min(rows.shape)):
        n, d = rows.shape
        raise ValueError(
            f"{METHODS[ITQ].title} makes at most {most} bits of {n} training items with {d} features, got {bits}: "
            f"use --bits {most} or fewer"
        )
    centred = rows.astype(np.float64)
    components = principal_components(centred, bits)
    directions = components @ itq(centred @ components, seed=seed)
    projection.weight.data.copy_(torch.from_numpy(np.ascontiguousarray(directions.T)))
