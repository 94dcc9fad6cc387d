"""The 1,797 handwritten digits that scikit-learn embeds: 8 x 8 pixels, ten classes, no network, no download."""

import hashlib

import numpy as np
import torch

from qsmi_lib.datasets.base import Part, Split, stratified

N_QUERY = 500
CLASSES = tuple("0123456789")
MEAN, STD = 0.3053, 0.3760  # of all pixels, scaled to [0, 1]
SHA256 = "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"  # of the pixels as uint8, then the labels


def fingerprint(draw: int) -> str:
    """The data and the division: 500 queries, the other 1,297 train and are the database."""
    return f"{SHA256[:16]}-stratified-{N_QUERY}-draw-{draw}"


def find() -> str:
    """Where the data lie."""
    return "inside scikit-learn"


def load(draw: int) -> Split:
    """The digits with pixels 0 to 16 scaled to [0, 1], then standardised by their own mean and deviation.

    Raises:
        ValueError: scikit-learn embeds other digits than the ones known here.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels, labels = bunch.images.astype(np.uint8), bunch.target.astype(np.int64)
    found = hashlib.sha256(pixels.tobytes() + labels.astype(np.uint8).tobytes()).hexdigest()
    if found != SHA256:
        raise ValueError(f"scikit-learn's digits have changed: expected SHA-256 {SHA256}, got {found}")
    images = torch.from_numpy((pixels[:, None] / 16.0 - MEAN) / STD).float()
    query = torch.from_numpy(stratified(labels, N_QUERY, draw))
    labels = torch.from_numpy(labels)
    train = Part(images[~query], labels[~query])
    return Split("digits", train, Part(images[query], labels[query]), train, fingerprint(draw), CLASSES)
