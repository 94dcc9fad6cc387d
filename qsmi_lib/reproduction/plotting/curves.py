"""Figures of tables: scores over code length, weight, epoch or label, and the costs of a loss."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qsmi_lib.methods import METHODS
from qsmi_lib.models.backbones import BACKBONES
from qsmi_lib.reproduction.plotting.style import DPI, cycle_style, distinct_style
from qsmi_lib.reproduction.titles import PROTOCOL_TITLES

MAP_LABEL = "mAP, 11 points"


def by_bits(cells: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """mAP over code length, one curve per method with the deviation over seeds; the paper's numbers as hollow marks.

    Args:
        cells: `tables.cells` of Table 2.
        published: the paper's rows for the same data set (may be empty).
    """
    figure, axes = plt.subplots()
    _curves(axes, cells, published[published["metric"] == "map_11pt"], "map_11pt", gap=0.7, alpha=0.7)
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
    cells = cells.sort_values("alpha")
    axes.errorbar(cells["alpha"], cells["map_11pt"], cells["map_11pt_std"], label=MAP_LABEL, **cycle_style(0))
    radius = cells["precision_radius2"], cells["precision_radius2_std"]
    axes.errorbar(cells["alpha"], *radius, label="precision, radius 2", **cycle_style(1))
    least = cells.loc[cells["alpha"] > 0, "alpha"].min()
    axes.set_xscale("symlog", linthresh=least)
    ticks = cells["alpha"].to_numpy()
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
    """QSMI and QMI over the epochs, one curve per method.

    Args:
        histories: method -> history of one record.
        chosen: title of the method to highlight, the others are grey; "all": each in colour.
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


def few_items(cells: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """Table 5: mAP of the whole ranking over code length, one panel per reading of the database.

    Args:
        cells: `tables.cells` of Table 5.
        published: the paper's rows for the same data set (may be empty), as hollow marks; their conventions differ.
    """
    protocols = list(cells["protocol"].unique())
    figure, panels = plt.subplots(1, len(protocols), figsize=(7.4, 3.4), sharey=True, squeeze=False)
    for axes, protocol in zip(panels[0], protocols, strict=True):
        _curves(axes, cells[cells["protocol"] == protocol], published, "map", gap=1.5)
        axes.set(title=PROTOCOL_TITLES[protocol], xlabel="code length [bits]", xticks=sorted(cells["bits"].unique()))
    panels[0, 0].set_ylabel("mAP, ours of the whole ranking")
    _legend(figure, panels[0, 0], "as the paper prints it" if len(published) else "")
    return figure


def unseen(cells: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """Table 9: mAP over code length, one row of panels per backbone, one column per number of classes held back.

    Args:
        cells: `tables.cells` of Table 9.
        published: the paper's rows for the same data set (may be empty), as hollow marks.
    """
    backbones, protocols = (list(cells[name].unique()) for name in ("backbone", "protocol"))
    shape = len(backbones), len(protocols)
    figure, panels = plt.subplots(*shape, figsize=(7.2, 2.6 * shape[0]), sharex=True, sharey=True, squeeze=False)
    for row, backbone in zip(panels, backbones, strict=True):
        for axes, protocol in zip(row, protocols, strict=True):
            panel_cells = cells[(cells["backbone"] == backbone) & (cells["protocol"] == protocol)]
            _curves(axes, panel_cells, published, "map_11pt", gap=3.0, step=0.5)
            axes.set(title=f"{BACKBONES[backbone].title}, {PROTOCOL_TITLES[protocol]}")
            axes.set_xticks(sorted(cells["bits"].unique()))
    for axes in panels[-1]:
        axes.set_xlabel("code length [bits]")
    for axes in panels[:, 0]:
        axes.set_ylabel(MAP_LABEL)
    _legend(figure, panels[0, 0], "paper" if len(published) else "")
    return figure


def over_bits(cells: pd.DataFrame, metrics: Mapping[str, str]) -> Figure:
    """Scores over code length, one panel per metric, one curve per method with the deviation over seeds.

    Args:
        cells: `tables.cells` of an experiment.
        metrics: its metrics -> titles of the panels.
    """
    figure, panels = plt.subplots(1, len(metrics), figsize=(7.4, 3.3), dpi=DPI, squeeze=False)
    step = 0.01 * np.ptp(cells["bits"])
    for axes, (metric, title) in zip(panels[0], metrics.items(), strict=True):
        for index, (method, group) in enumerate(cells.groupby("method", sort=False)):
            style = cycle_style(index) | ({"color": "0.3", "linestyle": ":"} if index > 5 else {})
            place = group["bits"] + step * index
            axes.errorbar(place, group[metric], group[f"{metric}_std"], label=METHODS[method].title, **style)
        axes.set(title=title, xlabel="code length [bits]", xticks=sorted(cells["bits"].unique()))
    panels[0, 0].set_ylabel("score")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=7)
    return figure


def by_label(scores: Mapping[str, np.ndarray], labels: Sequence[str], counts: Sequence[int]) -> Figure:
    """Mean AP of the queries of each label, the most frequent label first, one curve per method.

    Args:
        scores: title -> (seeds, labels), as records' `ap_by_label` has it.
        labels: their names.
        counts: training items that carry each.
    """
    figure, axes = plt.subplots(figsize=(6.4, 3.6), dpi=DPI)
    order = np.argsort(-np.asarray(counts), kind="stable")
    for index, (title, values) in enumerate(scores.items()):
        values = np.asarray(values, float)[:, order]
        deviation = values.std(axis=0, ddof=1) if len(values) > 1 else None
        axes.errorbar(np.arange(len(order)), values.mean(axis=0), deviation, label=title, **cycle_style(index))
    axes.set(xlabel="label, and how many training items carry it", ylabel="mean AP of its queries")
    axes.set_xticks(range(len(order)), [f"{labels[k]}\n{counts[k]:,}" for k in order], fontsize=6.5)
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def costs(times: pd.DataFrame) -> Figure:
    """Table 4: milliseconds of a weight update of the last layer, a bar a loss.

    Args:
        times: `bench.layers.summary`.
    """
    figure, axes = plt.subplots(figsize=(5.6, 0.24 * len(times) + 1.0))
    ordered = times.sort_values("update", ascending=False)
    place = np.arange(len(ordered))
    axes.barh(place, ordered["update"], color=[_of_paper(method) for method in ordered["method"]])
    axes.plot(ordered["feed_forward"], place, linestyle="", marker="|", color="black", label="feed-forward")
    axes.set(xscale="log", xlabel="milliseconds a batch", yticks=place)
    axes.set_yticklabels([METHODS[method].title for method in ordered["method"]])
    axes.grid(axis="y", visible=False)
    axes.legend(loc="upper right")
    return figure


def differences(rows: pd.DataFrame) -> Figure:
    """Ours minus the paper's for each mAP that both have, with two joint standard deviations around zero.

    Args:
        rows: `ledger.ledger`.
    """
    both = rows[(rows["metric"] == "map_11pt") & rows["mean"].notna()]
    figure, axes = plt.subplots(dpi=DPI, figsize=(4.8, 0.24 * len(both) + 0.9))
    place = np.arange(len(both))
    joint = np.hypot(both["std"].fillna(0.0), both["paper_std"].fillna(0.0))
    axes.barh(place, 4 * joint, left=-2 * joint, height=0.7, color="0.88", label="two standard deviations")
    axes.plot(both["difference"], place, linestyle="none", marker="o", label="ours minus the paper's")
    axes.axvline(0.0, color="black", linewidth=0.8)
    readings = [f", {reading}" if reading else "" for reading in both["reading"].fillna("")]
    cells = zip(both["table"], both["method"], both["bits"], readings, strict=True)
    axes.set(xlabel=f"difference in {MAP_LABEL}", yticks=place)
    axes.set_yticklabels(
        [f"{table}: {METHODS[method].title}, {bits:g} bits{reading}" for table, method, bits, reading in cells]
    )
    axes.invert_yaxis()
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _curves(
    axes: Axes,
    cells: pd.DataFrame,
    published: pd.DataFrame,
    metric: str,
    *,
    gap: float,
    step: float = 0.0,
    alpha: float = 0.5,
) -> None:
    """A curve a method with its deviation, each `step` bits further; the paper's hollow, `gap` bits further."""
    for index, (method, group) in enumerate(cells.groupby("method", sort=False)):
        style = distinct_style(index)
        place = group["bits"] + step * index
        axes.errorbar(place, group[metric], group[f"{metric}_std"], label=METHODS[method].title, **style)
        paper = published[published["method"] == method]
        hollow = style | {"linestyle": "none", "markerfacecolor": "none", "alpha": alpha}
        axes.errorbar(paper["bits"] + step * index + gap, paper["mean"], paper["std"], **hollow)


def _legend(figure: Figure, axes: Axes, hollow: str) -> None:
    """The curves of `axes` below the figure, and what hollow marks are, where there are any."""
    handles, labels = axes.get_legend_handles_labels()
    if hollow:
        handles.append(plt.Line2D([], [], color="0.4", linestyle="", marker="o", markerfacecolor="none"))
        labels.append(hollow)
    figure.legend(handles, labels, loc="outside lower center", ncols=6)


def _of_paper(method: str) -> str:
    """The colour of a bar: the methods of Table 4 are highlighted."""
    return {"qsmi": "#D55E00", "dsh": "#0072B2", "dpsh": "#009E73"}.get(method, "0.8")
