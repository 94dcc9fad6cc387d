"""Losses as functions of Hamming distance: of a pair, and of a triplet."""

import pandas as pd
import torch

from qsmi_lib.config.presets import configure
from qsmi_lib.losses import dnnh_loss, mihash_loss, spring_loss
from qsmi_lib.methods import METHODS
from qsmi_lib.training.loop import settings_of_loss

BY_PAIR = ("qsmi", "dsh", "dpsh", "dhn", "hashnet", "hashgan", "dch")  # losses that are sums over pairs
BY_ORDER = {"spring": spring_loss, "dnnh": dnnh_loss, "mihash": mihash_loss}  # of an anchor's positives and negatives
SATURATED = 40.0  # an output whose tanh and sigmoid are 1 in float64
SQUASHED = ("dhn", "hashnet", "dnnh", "mihash")  # losses that see tanh or sigmoid of the outputs


def pair_costs(bits: int, *, information_needs: float = 10.0) -> pd.DataFrame:
    """Each loss over pairs as a function of Hamming distance, as a share of its range.

    A batch of two items goes through the loss with the registry's own settings and no quantization term. Losses that
    see tanh of the outputs get outputs so large that it is the code.

    Args:
        bits: code length.
        information_needs: M of QSMI.

    Returns:
        Distances 0 to `bits` as rows; columns (method, "similar" or "dissimilar"), each from 0 to 1.
    """
    costs = {}
    for method in BY_PAIR:
        options = {"alpha": 0.0} if METHODS[method].alpha is not None else {}
        options |= {"information_needs": information_needs} if method == "qsmi" else {}
        settings = settings_of_loss(configure("fashion_mnist", method, bits, **options))
        settings |= METHODS[method].on_step(0) if METHODS[method].on_step else {}
        for kind, labels in {"similar": [0, 0], "dissimilar": [0, 1]}.items():
            costs[method, kind] = [
                METHODS[method].loss(_codes(method, bits, distance), torch.tensor(labels), **settings).item()
                for distance in range(bits + 1)
            ]
    return _share_of_range(pd.DataFrame(costs)).rename_axis("distance")


def order_costs(bits: int) -> pd.DataFrame:
    """The losses `BY_ORDER` of an anchor with one positive and one negative, as a share of their range.

    The two distances add up to `bits`, so that the pair runs from the best order to the worst.

    Args:
        bits: code length, even.

    Returns:
        Rows: the positive's distance less the negative's, -`bits` to `bits`; one column per method, each from 0 to 1.
    """
    relevance = torch.eye(3, dtype=torch.bool)
    relevance[0, 1] = True  # the first item alone is an anchor
    rows = range(bits + 1)
    costs = {
        method: [loss(_codes(method, bits, near, bits - near), relevance).item() for near in rows]
        for method, loss in BY_ORDER.items()
    }
    return _share_of_range(pd.DataFrame(costs, index=[2 * near - bits for near in rows])).rename_axis("difference")


def _codes(method: str, bits: int, *distances: int) -> torch.Tensor:
    """A code of ones and, for each of `distances`, one so far from it, as outputs that `method` takes for codes."""
    codes = torch.ones(1 + len(distances), bits, dtype=torch.float64)
    for row, distance in enumerate(distances, start=1):
        flipped = slice(distance) if row == 1 else slice(bits - distance, None)
        codes[row, flipped] = -1.0
    return codes * (SATURATED if method in SQUASHED else 1.0)


def _share_of_range(costs: pd.DataFrame) -> pd.DataFrame:
    """Each column from 0, its least value, to 1, its largest."""
    return (costs - costs.min()) / (costs.max() - costs.min())
