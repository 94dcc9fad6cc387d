"""What losses do: to a pair by its Hamming distance, and to the outputs of a trained network."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction.plotting.style import described, method_style

LIMIT = 3.0  # of the outputs that a histogram shows; larger ones count in its last bins


def pairs(costs: pd.DataFrame, methods: Sequence[str]) -> Figure:
    """Loss of a pair over the Hamming distance of its codes: a panel for pairs of one class, one for the others.

    Args:
        costs: `pair_costs.pair_costs`.
        methods: which of them.
    """
    figure, panels = plt.subplots(1, 2, figsize=(7.0, 2.8), sharey=True)
    titles = {"similar": "two items of one class", "dissimilar": "two items of different classes"}
    for axes, (kind, title) in zip(panels, titles.items(), strict=True):
        for method in methods:
            every = max(1, len(costs) // 6)
            axes.plot(costs[method, kind], label=METHODS[method].title, markevery=every, **method_style(method))
        axes.set(title=title, xlabel="Hamming distance of the two codes [bits]")
    panels[0].set_ylabel("loss of the pair,\nas a share of its range")
    panels[0].legend()
    half = len(costs) // 2
    at_half = ", ".join(f"{METHODS[m].title} {costs[m, 'dissimilar'].iloc[half]:.2f}" for m in methods)
    text = "Loss of a pair over its Hamming distance. Within a class it rises with the distance, else it falls."
    return described(figure, f"{text} At half of the bits two items of different classes cost: {at_half}.")


def outputs(outputs_of: Mapping[str, ArrayLike]) -> Figure:
    """Histograms of the outputs of networks, one panel each; dotted lines mark the codes -1 and +1.

    Args:
        outputs_of: title -> (n, bits), outputs before the sign.
    """
    figure, panels = plt.subplots(1, len(outputs_of), figsize=(1.9 * len(outputs_of) + 0.6, 2.3), sharey=True)
    bins, texts = np.linspace(-LIMIT, LIMIT, 61), []
    for axes, (title, values) in zip(np.atleast_1d(panels), outputs_of.items(), strict=True):
        values = np.clip(np.asarray(values).ravel(), -LIMIT, LIMIT)
        axes.hist(values, bins=bins, weights=np.full(len(values), 1.0 / len(values)), color="0.4")
        for code in (-1.0, 1.0):
            axes.axvline(code, color="black", linestyle=":", linewidth=1.0)
        axes.set(title=title, xlabel="output")
        texts.append(f"{title}: {(np.abs(np.abs(values) - 1.0) < 0.25).mean():.0%} within 0.25 of -1 or +1")
    np.atleast_1d(panels)[0].set_ylabel("share of the outputs")
    return described(figure, f"Histograms of the outputs of trained networks. {'; '.join(texts)}.")
