"""Unsupervised hashing of HOG or frozen features; each method is a module with a `fit`."""

import numpy as np
import torch
from torch import Tensor, nn

from qsmi_lib.datasets import DATASETS
from qsmi_lib.models.hog import N_FEATURES, hog
from qsmi_lib.models.rotation import itq

BATCH = 1000  # images, as in `training.encode`, so that features are cached once


class Projection(nn.Module):
    """HOG or a backbone's features, minus their mean in the training set, projected; the sign is the code.

    Args:
        dataset: registry name.
        bits: code length, at most the number of features.
        n_features: of the backbone; None: the inputs are images, and HOG features are computed.
    """

    def __init__(self, dataset: str, bits: int, n_features: int | None = None):
        super().__init__()
        self.dataset, n_features = dataset, n_features or N_FEATURES
        if bits > n_features:
            raise ValueError(f"bits must be at most {n_features}, the width of the features, got {bits}")
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("projection", torch.zeros(n_features, bits))

    def features(self, images: Tensor) -> np.ndarray:
        """HOG features (n, 324) of normalised images (n, 1, side, side); features of a backbone unchanged."""
        if images.ndim == 2:
            return images.cpu().numpy()
        pixels = self.pixels(images)
        return np.concatenate([hog(pixels[i : i + BATCH]) for i in range(0, len(pixels), BATCH)])

    def pixels(self, images: Tensor) -> np.ndarray:
        """Pixels of normalised images (n, 1, side, side): uint8 (n, side, side)."""
        mean, std = DATASETS[self.dataset].mean, DATASETS[self.dataset].std
        return ((images[:, 0].cpu().double() * std + mean) * 255.0).round().clamp(0, 255).byte().numpy()

    def fit(self, images: Tensor, seed: int) -> None:
        """Compute mean and projection from training images."""
        features = self.features(images).astype(np.float64)
        mean = features.mean(axis=0)
        projection = self.directions(features - mean, self.projection.shape[1], seed)
        self.mean.copy_(torch.from_numpy(mean))
        self.projection.copy_(torch.from_numpy(np.ascontiguousarray(projection)))

    def directions(self, features: np.ndarray, bits: int, seed: int) -> np.ndarray:
        """The projection (n_features, bits) for centred features."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (n, bits) of normalised images."""
        features = torch.from_numpy(self.features(images)).to(self.mean.device)
        return (features - self.mean) @ self.projection


class Lsh(Projection):
    r"""Locality-sensitive hashing (Charikar, 2002): random directions :math:`r \sim N(0, I)`."""

    def directions(self, features: np.ndarray, bits: int, seed: int) -> np.ndarray:
        """Random directions, independent of the features."""
        return np.random.default_rng(seed).normal(size=(features.shape[1], bits))


class Itq(Projection):
    """Iterative Quantization (Gong & Lazebnik, 2011): rotated principal components."""

    def directions(self, features: np.ndarray, bits: int, seed: int) -> np.ndarray:
        """The first principal components, rotated by `qsmi_lib.models.rotation.itq`."""
        components = principal_components(features, bits)
        return components @ itq(features @ components, seed=seed)


class SpectralHashing(Projection):
    r"""Spectral hashing (Weiss, Torralba, Fergus, 2008): the eigenfunctions of lowest frequency on a box of components.

    Bit k is the sign of :math:`\sin(\tfrac\pi2 + \omega_k (x_{d_k} - a_{d_k}))`, :math:`\omega = m \pi / (b_d - a_d)`,
    where component d of the training items spans :math:`[a_d, b_d]` and (d, m) are those of the smallest
    :math:`\omega`.
    """

    def __init__(self, dataset: str, bits: int, n_features: int | None = None):
        super().__init__(dataset, bits, n_features)
        self.register_buffer("phase", torch.zeros(bits))

    def fit(self, images: Tensor, seed: int) -> None:
        """Compute components, ranges and frequencies from training images; nothing is random."""
        features = self.features(images).astype(np.float64)
        mean, bits = features.mean(axis=0), self.projection.shape[1]
        components = principal_components(features - mean, bits)
        points = (features - mean) @ components
        low, width = points.min(axis=0), np.ptp(points, axis=0)
        with np.errstate(divide="ignore"):  # a constant component gets an infinite frequency
            frequency = np.pi * np.arange(1, bits + 1)[:, None] / width  # a row each m, a column each component
        mode, component = np.unravel_index(np.argsort(frequency, axis=None, kind="stable")[:bits], frequency.shape)
        omega = frequency[mode, component]
        self.mean.copy_(torch.from_numpy(mean))
        self.projection.copy_(torch.from_numpy(components[:, component] * omega))
        self.phase.copy_(torch.from_numpy(np.pi / 2 - omega * low[component]))

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (n, bits) of normalised images, in [-1, 1]."""
        return (super().forward(images) + self.phase).sin()


def principal_components(features: np.ndarray, n: int) -> np.ndarray:
    """The first n principal components of centred features, as columns (n_features, n)."""
    from sklearn.decomposition import PCA

    if len(features) < n:
        raise ValueError(f"{n} bits need at least {n} training items, got {len(features)}")
    return PCA(n, svd_solver="covariance_eigh").fit(features).components_.T
