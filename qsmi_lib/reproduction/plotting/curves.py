"""Figures of tables: scores over code length, weight, epoch or label, and the costs of a loss."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from qsmi_lib.methods import METHODS
from qsmi_lib.models.backbones import BACKBONES
from qsmi_lib.reproduction.plotting import rows
from qsmi_lib.reproduction.plotting.style import described, listed, method_style
from qsmi_lib.reproduction.titles import PROTOCOL_TITLES

MAP_LABEL = "mAP, 11 points"
RADIUS_LABEL = "precision, radius 2"
HOLLOW = {"linestyle": "none", "markerfacecolor": "none"}
TABLE_4 = ("qsmi", "dsh", "dpsh")  # the methods whose costs the paper measures
NEAR = 0.08  # how far below the best score the close-up of `sensitivity` reaches


def by_bits(cells: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """mAP over code length, one curve per method with the deviation over seeds; the paper's numbers as hollow marks.

    Args:
        cells: `tables.cells` of Table 2.
        published: the paper's rows for the same data set (may be empty).
    """
    figure, axes = plt.subplots()
    published = published[published["metric"] == "map_11pt"]
    for method, group in cells.groupby("method", sort=False):
        style, paper = method_style(method), published[published["method"] == method]
        axes.errorbar(group["bits"], group["map_11pt"], group["map_11pt_std"], label=METHODS[method].title, **style)
        axes.errorbar(paper["bits"] + 0.7, paper["mean"], paper["std"], alpha=0.7, **style | HOLLOW)
    if len(published):
        axes.plot([], [], color="0.4", marker="o", label="paper", **HOLLOW)
    axes.set(xlabel="code length [bits]", ylabel=MAP_LABEL, xticks=sorted(cells["bits"].unique()))
    axes.legend(ncols=2)
    hollow = " Hollow marks are the paper's numbers." if len(published) else ""
    text = f"Curves of the {MAP_LABEL}, over the code length. {rows.in_words(cells, 'map_11pt')}."
    return described(figure, text + hollow)


def ablation(cells: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """mAP and radius-2 precision of the four variants with the deviation over seeds; the paper's as hollow marks.

    Args:
        cells: `tables.cells` of Table 1.
        published: the paper's rows for the same data set (may be empty).
    """
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.0), sharey=True)
    texts = []
    for axes, (metric, label) in zip(
        panels, {"map_11pt": MAP_LABEL, "precision_radius2": RADIUS_LABEL}.items(), strict=True
    ):
        papers = published[published["metric"] == metric].set_index("method").reindex(cells["method"])
        for place, (cell, paper) in enumerate(zip(cells.to_dict("records"), papers.itertuples(), strict=True)):
            style = method_style(cell["method"])
            axes.errorbar(place - 0.1, cell[metric], cell[f"{metric}_std"], **style)
            axes.errorbar(place + 0.1, paper.mean, paper.std, **style | HOLLOW)
        titles = [METHODS[method].title for method in cells["method"]]
        axes.set(title=label, xlabel="variant of the loss", ylim=(0.0, 1.0), xlim=(-0.5, len(cells) - 0.5))
        axes.set_xticks(range(len(cells)), [title.replace(", ", ",\n") for title in titles])
        texts.append(f"{label}: {listed(dict(zip(titles, cells[metric], strict=True)))}.")
    panels[0].set_ylabel("score")
    if len(published):
        axes.plot([], [], color="0.4", marker="o", label="paper", **HOLLOW)
        axes.legend(loc="lower left")
    return described(figure, f"Two panels with a mark for each variant of the loss. {' '.join(texts)}")


def sensitivity(cells: pd.DataFrame) -> Figure:
    """Scores over the weight alpha (Fig. 3), on a logarithmic axis that has a place for 0: whole range and close-up.

    Args:
        cells: `tables.cells` of Fig. 3.
    """
    figure, panels = plt.subplots(1, 2, figsize=(7.4, 3.0))
    cells = cells.sort_values("alpha")
    ticks = cells["alpha"].to_numpy()
    style = method_style("qsmi")
    for axes in panels:
        axes.errorbar(ticks, cells["map_11pt"], cells["map_11pt_std"], label=MAP_LABEL, **style)
        radius = cells["precision_radius2"], cells["precision_radius2_std"]
        axes.errorbar(ticks, *radius, label=RADIUS_LABEL, **style | {"linestyle": ":", "markerfacecolor": "white"})
        axes.set_xscale("symlog", linthresh=ticks[ticks > 0].min())
        axes.set_xticks(ticks, [f"{alpha:g}" for alpha in ticks])
        axes.minorticks_off()
    best = cells[["map_11pt", "precision_radius2"]].max().max()
    panels[0].set(ylabel="score", ylim=(0, 1), title="whole range")
    panels[1].set(ylim=(best - NEAR, best + 0.25 * NEAR), title="close-up of the best")
    panels[0].legend(loc="lower left")
    figure.supxlabel("weight of the quantization penalty, alpha (both terms are batch sums)", fontsize=9)
    scores = "; ".join(f"alpha {a:g}: {m:.3f}" for a, m in zip(ticks, cells["map_11pt"], strict=True))
    return described(figure, f"{MAP_LABEL}, and {RADIUS_LABEL}, of QSMI over the weight alpha. mAP at {scores}.")


def measures(history: list[dict]) -> Figure:
    """Fig. 2b: clamped QSMI loss, QSMI and QMI on the first 1,024 training items, each scaled to the unit interval.

    Args:
        history: of one record.
    """
    figure, axes = plt.subplots()
    frame = pd.DataFrame(history)
    curves = {
        "clamped_qsmi_loss": ("clamped QSMI loss (Eq. 19)", {"color": "black", "linestyle": "--", "marker": "s"}),
        "qsmi": ("QSMI (Eq. 13)", method_style("qsmi")),
        "qmi": ("QMI (sigma = 10)", method_style("qmi")),
    }
    for name, (title, style) in curves.items():
        values = frame[name]
        scaled = (values - values.min()) / (values.max() - values.min())
        axes.plot(frame["epoch"], scaled, label=title, markevery=max(1, len(frame) // 10), **style)
    axes.set(xlabel="epoch", ylabel="value, scaled to [0, 1]")
    figure.legend(loc="outside lower center", ncols=3)
    together = frame[["clamped_qsmi_loss", "qsmi", "qmi"]].corr(method="spearman")["clamped_qsmi_loss"]
    return described(
        figure,
        "Three curves over the epochs, each scaled to the unit interval: the clamped QSMI loss, QSMI and QMI. "
        f"Rank correlation with the loss: QSMI {together['qsmi']:.2f}, QMI {together['qmi']:.2f}.",
    )


def learning_curves(histories: dict[str, list[dict]], chosen: str = "all") -> Figure:
    """QSMI and QMI over the epochs, one curve per method.

    Args:
        histories: method -> history of one record.
        chosen: title of the method to highlight, the others are grey; "all": each in colour.
    """
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 2.9))
    texts = []
    for axes, (name, title) in zip(panels, {"qsmi": "QSMI (Eq. 13)", "qmi": "QMI (sigma = 10)"}.items(), strict=True):
        for method, history in histories.items():
            frame = pd.DataFrame(history)
            every = max(1, len(frame) // 8)
            grey = {"color": "0.8"} if chosen not in ("all", METHODS[method].title) else {}
            style = method_style(method) | grey
            axes.plot(frame["epoch"], frame[name], label=METHODS[method].title, markevery=every, **style)
        axes.set(xlabel="epoch", ylabel=title)
        last = {METHODS[method].title: history[-1][name] for method, history in histories.items()}
        texts.append(f"{title} at the end: {listed(last)}.")
    panels[0].legend()
    return described(figure, f"A curve for each loss over the epochs, in two panels. {' '.join(texts)}")


def few_items(cells: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """Table 5: mAP of the whole ranking, a row a method, one panel per reading of the database.

    A method far below the others is named at the edge of the panel, so that the others can be told apart.

    Args:
        cells: `tables.cells` of Table 5.
        published: the paper's rows for the same data set (may be empty), as ticks; their conventions differ.
    """
    panels = {PROTOCOL_TITLES[name]: (group, "map") for name, group in cells.groupby("protocol", sort=False)}
    return rows.panels(panels, "mAP, ours of the whole ranking", published, paper="as the paper prints it")


def unseen(cells: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """Table 9: mAP, a row a method, one row of panels per backbone, one column per number of classes held back.

    Args:
        cells: `tables.cells` of Table 9.
        published: the paper's rows for the same data set (may be empty), as ticks.
    """
    panels = {
        f"{BACKBONES[backbone].title}, {PROTOCOL_TITLES[protocol]}": (group, "map_11pt")
        for (backbone, protocol), group in cells.groupby(["backbone", "protocol"], sort=False)
    }
    return rows.panels(panels, MAP_LABEL, published, n_columns=cells["protocol"].nunique())


def by_method(cells: pd.DataFrame, metrics: Mapping[str, str], published: pd.DataFrame | None = None) -> Figure:
    """Scores with the deviation over seeds, a row a method, one panel per metric.

    Args:
        cells: `tables.cells` of an experiment.
        metrics: its metrics -> titles of the panels.
        published: the paper's rows for the same data set, as ticks.
    """
    return rows.panels({title: (cells, metric) for metric, title in metrics.items()}, "score", published)


def over_bits(cells: pd.DataFrame, metrics: Mapping[str, str]) -> Figure:
    """Scores over code length, one panel per metric, one curve per method with the deviation over seeds.

    Args:
        cells: `tables.cells` of an experiment.
        metrics: its metrics -> titles of the panels.
    """
    figure, panels = plt.subplots(1, len(metrics), figsize=(7.4, 3.3), squeeze=False)
    step = 0.01 * np.ptp(cells["bits"])
    for axes, (metric, title) in zip(panels[0], metrics.items(), strict=True):
        for index, (method, group) in enumerate(cells.groupby("method", sort=False)):
            place = group["bits"] + step * index
            error = group[f"{metric}_std"]
            axes.errorbar(place, group[metric], error, label=METHODS[method].title, **method_style(method))
        axes.set(title=title, xlabel="code length [bits]", xticks=sorted(cells["bits"].unique()))
    panels[0, 0].set_ylabel("score")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=7)
    texts = (f"{title}, {rows.in_words(cells, metric)}." for metric, title in metrics.items())
    return described(figure, f"Curves of scores over the code length, a panel each. {' '.join(texts)}")


def by_label(
    scores: Mapping[tuple[str, float], Sequence[ArrayLike]], labels: Sequence[str], counts: Sequence[int]
) -> Figure:
    """Mean AP of the queries of each label with its deviation over seeds, a row a label, one panel per weight alpha.

    Args:
        scores: (method, alpha) -> (seeds, labels), as records' `ap_by_label` has it.
        labels: their names.
        counts: training items that carry each; the most frequent label is on top.
    """
    alphas = sorted({alpha for _, alpha in scores})
    shape = {"figsize": (2.2 * len(alphas) + 1.4, 0.3 * len(labels) + 1.3), "sharex": True, "sharey": True}
    figure, panels = plt.subplots(1, len(alphas), squeeze=False, **shape)
    order = np.argsort(-np.asarray(counts), kind="stable")
    for (method, alpha), seeds in scores.items():
        axes = panels[0, alphas.index(alpha)]
        values = np.asarray(seeds, float)[:, order]
        deviation = values.std(axis=0, ddof=1) if len(values) > 1 else None
        style = method_style(method) | {"linestyle": "none", "label": METHODS[method].title}
        axes.errorbar(values.mean(axis=0), range(len(order)), xerr=deviation, **style)
        axes.set(title=f"alpha = {alpha:g}", xlabel="mean AP of its queries", xlim=(0, 1))
    panels[0, 0].set_yticks(range(len(order)), [f"{labels[k]}: {counts[k]:,}" for k in order])
    panels[0, 0].set(ylabel="label: training items", ylim=(len(order) - 0.4, -0.6))
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    means = {f"{METHODS[method].title}, alpha {alpha:g}": np.mean(seeds) for (method, alpha), seeds in scores.items()}
    text = "Mean AP of the queries of each label, from the most to the least frequent one; a panel for each weight. "
    return described(figure, f"{text}Mean over the labels: {listed(means)}.")


def costs(times: pd.DataFrame) -> Figure:
    """Table 4: milliseconds of a weight update of the last layer, a bar a loss.

    Args:
        times: `bench.layers.summary`.
    """
    figure, axes = plt.subplots(figsize=(5.6, 0.24 * len(times) + 1.0))
    ordered = times.sort_values("update", ascending=False)
    place = np.arange(len(ordered))
    colors = [method_style(name)["color"] if name in TABLE_4 else "0.8" for name in ordered["method"]]
    axes.barh(place, ordered["update"], color=colors)
    axes.plot(ordered["feed_forward"], place, linestyle="", marker="|", color="black", label="feed-forward")
    axes.set(xscale="log", xlabel="milliseconds a batch", yticks=place)
    axes.set_yticklabels([METHODS[method].title for method in ordered["method"]])
    axes.grid(axis="y", visible=False)
    axes.legend(loc="upper right")
    times_of = {METHODS[method].title: ms for method, ms in zip(times["method"], times["update"], strict=True)}
    text = "Bars of the milliseconds of a weight update, a method each, on a logarithmic axis; the paper's in colour. "
    return described(figure, f"{text}{listed(times_of)}.")


def differences(rows: pd.DataFrame) -> Figure:
    """Ours minus the paper's for each mAP that both have, with two joint standard deviations around zero.

    Args:
        rows: `ledger.ledger`.
    """
    both = rows[(rows["metric"] == "map_11pt") & rows["mean"].notna()]
    figure, axes = plt.subplots(figsize=(5.4, 0.22 * len(both) + 0.9))
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
    axes.locator_params(axis="x", nbins=5)
    figure.legend(loc="outside lower center", ncols=2)
    within = int((both["difference"].abs() <= 2 * joint).sum())
    text = "A dot for each number of the paper: ours minus the paper's, with a bar of two standard deviations. "
    return described(figure, f"{text}{within} of {len(both)} dots lie within their bars.")
