"""Figures of results: functions of what `tables.cells` and records hold."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction.plotting import cycle_style

MAP_LABEL = "mAP, 11 points"


def by_bits(cells: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """mAP over code length, a curve a method with the deviation over seeds; the paper's numbers as hollow marks.

    Args:
        cells: `tables.cells` of Table 2.
        published: the paper's rows for the same data set (may be empty).
    """
    figure, axes = plt.subplots()
    for index, (method, own) in enumerate(cells.groupby("method", sort=False)):
        style = cycle_style(index)
        axes.errorbar(own["bits"], own["map_11pt"], own["map_11pt_std"], label=METHODS[method].title, **style)
        paper = published[(published["method"] == method) & (published["metric"] == "map_11pt")]
        hollow = style | {"linestyle": "none"}
        axes.errorbar(paper["bits"] + 0.7, paper["mean"], paper["std"], markerfacecolor="none", alpha=0.7, **hollow)
    if len(published):
        axes.plot([], [], color="0.4", linestyle="none", marker="o", markerfacecolor="none", label="paper")
    axes.set(xlabel="code length [bits]", ylabel=MAP_LABEL, xticks=sorted(cells["bits"].unique()))
    axes.legend(ncols=2)
    return figure


def ablation(cells: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """mAP and radius-2 precision of the four variants with the deviation over seeds; the paper's as hollow marks.

    Args:
        cells: `tables.cells` of Table 1.
        published: the paper's rows for the same data set (may be empty).
    """
    figure, axes = plt.subplots()
    place = np.arange(len(cells))
    for index, (metric, label) in enumerate(
        {"map_11pt": MAP_LABEL, "precision_radius2": "precision, radius 2"}.items()
    ):
        style = cycle_style(index) | {"linestyle": "none"}
        shift = 0.16 * (2 * index - 1)
        axes.errorbar(place + shift, cells[metric], cells[f"{metric}_std"], label=label, **style)
        paper = published[published["metric"] == metric].set_index("method").reindex(cells["method"])
        label = f"paper: {label}" if paper["mean"].notna().any() else None
        hollow = {"markerfacecolor": "none", "alpha": 0.7, "label": label}
        axes.errorbar(place + shift + 0.1, paper["mean"], paper["std"], **style, **hollow)
    axes.set(xlabel="variant of the loss", ylabel="score", ylim=(0.0, 1.0), xticks=place)
    axes.set_xticklabels([METHODS[method].title.replace(", ", ",\n") for method in cells["method"]])
    axes.legend(loc="lower left")
    return figure


def sensitivity(cells: pd.DataFrame) -> Figure:
    """mAP over the weight alpha (Fig. 3), on a logarithmic axis that has a place for 0.

    Args:
        cells: `tables.cells` of Fig. 3.
    """
    figure, axes = plt.subplots()
    own = cells.sort_values("alpha")
    axes.errorbar(own["alpha"], own["map_11pt"], own["map_11pt_std"], label=MAP_LABEL, **cycle_style(0))
    radius = own["precision_radius2"], own["precision_radius2_std"]
    axes.errorbar(own["alpha"], *radius, label="precision, radius 2", **cycle_style(1))
    least = own.loc[own["alpha"] > 0, "alpha"].min()
    axes.set_xscale("symlog", linthresh=least)
    ticks = own["alpha"].to_numpy()
    axes.set(
        xlabel="weight of the quantization penalty, alpha (both terms are batch sums)", ylabel="score", ylim=(0, 1)
    )
    axes.set_xticks(ticks, [f"{alpha:g}" for alpha in ticks])
    axes.minorticks_off()
    axes.legend(loc="lower left")
    return figure


def measures(history: list[dict]) -> Figure:
    """Fig. 2b: clamped QSMI loss, QSMI and QMI on the first 1,024 training items, each scaled to the unit interval.

    Args:
        history: of one record.
    """
    figure, axes = plt.subplots()
    frame = pd.DataFrame(history)
    titles = {"clamped_qsmi_loss": "clamped QSMI loss (Eq. 19)", "qsmi": "QSMI (Eq. 13)", "qmi": "QMI (sigma = 10)"}
    for index, (name, title) in enumerate(titles.items()):
        values = frame[name]
        scaled = (values - values.min()) / (values.max() - values.min())
        axes.plot(frame["epoch"], scaled, label=title, markevery=max(1, len(frame) // 10), **cycle_style(index))
    axes.set(xlabel="epoch", ylabel="value, scaled to [0, 1]")
    axes.legend(loc="center right")
    return figure


def learning_curves(histories: dict[str, list[dict]], chosen: str = "all") -> Figure:
    """QSMI and QMI over the epochs, a curve a method.

    Args:
        histories: method -> history of one record.
        chosen: title of a method that stands out, the others being grey; "all": every one in its own colour.
    """
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 2.9))
    for axes, (name, title) in zip(panels, {"qsmi": "QSMI (Eq. 13)", "qmi": "QMI (sigma = 10)"}.items(), strict=True):
        for index, (method, history) in enumerate(histories.items()):
            frame = pd.DataFrame(history)
            every = max(1, len(frame) // 8)
            grey = {"color": "0.8"} if chosen not in ("all", METHODS[method].title) else {}
            style = cycle_style(index) | grey
            axes.plot(frame["epoch"], frame[name], label=METHODS[method].title, markevery=every, **style)
        axes.set(xlabel="epoch", ylabel=title)
    panels[0].legend()
    return figure


def similarity_of_classes(matrices: dict[str, np.ndarray], classes: tuple[str, ...]) -> Figure:
    """Mean agreement of the codes of each pair of classes, a panel a method: where classes share a code, bits are lost.

    Args:
        matrices: method -> (c, c), the mean share of equal bits between items of two classes.
        classes: their names.
    """
    figure, panels = plt.subplots(1, len(matrices), figsize=(2.3 * len(matrices) + 0.8, 2.9), sharey=True)
    for axes, (method, matrix) in zip(np.atleast_1d(panels), matrices.items(), strict=True):
        image = axes.imshow(matrix, vmin=0.0, vmax=1.0)
        axes.set(title=METHODS[method].title, xticks=range(len(classes)), yticks=range(len(classes)))
        axes.set_xticklabels(classes, rotation=90)
        axes.grid(False)
        axes.set_xlabel("class")
    np.atleast_1d(panels)[0].set_yticklabels(classes)
    np.atleast_1d(panels)[0].set_ylabel("class")
    figure.colorbar(image, ax=panels, label="share of equal bits")
    return figure
