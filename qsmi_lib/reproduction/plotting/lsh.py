"""Figures of notebook 13: planes and buckets, collisions, unbalanced tables, answers, the slides' numbers by steps."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from qsmi_lib.reproduction.plotting.retrieval import answers
from qsmi_lib.reproduction.plotting.style import described, listed, method_style
from qsmi_lib.search.lsh import MISSING, collision_probability

MAP_LABEL = "mAP@10 (share of 1)"
QUERY, SHARED = "C1", "C0"


def planes(points: ArrayLike, query: ArrayLike, directions: ArrayLike, buckets: Sequence[ArrayLike]) -> Figure:
    """Random planes through the origin, one panel per table, and in how many tables each point meets the query.

    Args:
        points: (n, 2), the database.
        query: (2,).
        directions: (tables, 2, bits), each normal to a plane.
        buckets: for each table the points in the query's bucket, database indices.
    """
    points, query, directions = map(np.asarray, (points, query, directions))
    counts = np.bincount(np.concatenate(buckets).astype(int), minlength=len(points))
    reach = 1.15 * max(np.abs(points).max(), np.abs(query).max())
    figure, panels = plt.subplots(
        1, len(buckets) + 1, figsize=(2.05 * (len(buckets) + 1), 2.4), sharex=True, sharey=True
    )
    grid = np.stack(np.meshgrid(*[np.linspace(-reach, reach, 201)] * 2), axis=-1)
    for number, (axes, normals, bucket) in enumerate(zip(panels, directions, buckets, strict=False), start=1):
        same = (((grid @ normals) >= 0) == ((query @ normals) >= 0)).all(axis=-1)
        axes.contourf(grid[..., 0], grid[..., 1], same, levels=[0.5, 1.5], colors=["0.9"])
        for normal in normals.T:
            along = np.array([-normal[1], normal[0]]) / np.linalg.norm(normal) * 2 * reach
            axes.plot(*np.stack([-along, along]).T, color="0.4", linestyle="-", linewidth=1, marker="")
        inside = np.isin(np.arange(len(points)), bucket)
        _dots(axes, points[~inside], markerfacecolor="white")
        _dots(axes, points[inside])
        axes.set_title(f"table {number}: {len(bucket)} of {len(points)}")
    for count in range(len(buckets) + 1):
        label = f"in {count} of {len(buckets)}"
        shade = {"markerfacecolor": "white"} if not count else {"alpha": (count / len(buckets)) ** 1.5}
        _dots(panels[-1], points[counts == count], markersize=4 + 1.5 * count, label=label, **shade)
    panels[-1].set_title("tables shared")
    for axes in panels:
        axes.plot(*query, marker="*", markersize=13, color=QUERY, markeredgecolor="white", linestyle="", label="query")
        axes.set(xlabel="first feature", xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        axes.grid(False)
    panels[0].set_ylabel("second feature")
    figure.legend(*panels[-1].get_legend_handles_labels(), loc="outside lower center", ncols=len(buckets) + 2)
    return described(
        figure,
        f"A panel for each of {len(buckets)} tables: points, the query, the planes that cut them into buckets, and the "
        f"query's bucket in grey. Last, in how many tables a point shares the query's bucket: {counts.max()} at most.",
    )


def collisions(bits: int = 12, tables: int = 8) -> Figure:
    """Probability that two items share a bucket over the angle between them: of one bit, one key, and several tables.

    Args:
        bits: length of a key.
        tables: how many.
    """
    figure, axes = plt.subplots()
    angle = np.linspace(0.0, np.pi / 2, 91)
    shared_at_30 = {}
    for b, t in dict.fromkeys([(1, 1), (bits, 1), (bits, tables)]):
        name = f"{b} bit{'s' * (b > 1)}, {t} table{'s' * (t > 1)}"
        axes.plot(np.degrees(angle), collision_probability(angle, b, t), label=name, markevery=10)
        shared_at_30[name] = collision_probability(np.radians(30.0), b, t)
    axes.set(xlabel="angle between the two items (degrees)", ylabel="probability of a shared bucket")
    axes.set(xlim=(0, 90), ylim=(0, 1.03))
    axes.legend()
    text = "The probability that two items share a bucket falls with the angle between them. At 30 degrees: "
    return described(figure, f"{text}{listed(shared_at_30)}.")


def bucket_sizes(sizes: Mapping[str, ArrayLike], bits: int) -> Figure:
    """How full the buckets of a table are, the fullest first, and what an even table would have.

    Args:
        sizes: name -> items in each occupied bucket, descending, all tables of equally many items.
        bits: length of the keys.
    """
    figure, axes = plt.subplots()
    for name, counts in sizes.items():
        counts = np.asarray(counts)
        every = np.unique(np.geomspace(1, len(counts), 7).astype(int)) - 1
        axes.plot(
            np.arange(1, len(counts) + 1), counts, label=f"{name}: {len(counts)} buckets", markevery=every.tolist()
        )
    even = counts.sum() / 2**bits
    axes.axhline(even, color="0.5", linewidth=1, label=f"even: {2**bits:,} buckets of {even:.3g}")
    axes.set(xscale="log", yscale="log", xlabel="bucket, the fullest first", ylabel="items in the bucket")
    axes.legend()
    fullest = {name: int(max(counts)) for name, counts in sizes.items()}
    text = "Items in each bucket, the fullest first, both axes logarithmic, and a line for an even table. Fullest: "
    return described(figure, f"{text}{', '.join(f'{name} {count:,}' for name, count in fullest.items())}.")


def retrieved(queries: np.ndarray, answers_of: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """The answers of several methods to each query, framed where right and struck through where wrong.

    Args:
        queries: (n, height, width).
        answers_of: method -> pictures (n, k, height, width) in rank order and their relevance (n, k): 1, 0, or
            `lsh.MISSING`, for a rank that has no answer.
    """
    pictures, relevance = (np.stack(parts, axis=1) for parts in zip(*answers_of.values(), strict=True))
    n, methods, k = relevance.shape
    pictures, relevance = (part.reshape(n * methods, *part.shape[2:]) for part in (pictures, relevance))
    figure = answers(np.repeat(queries, methods, axis=0), pictures, relevance == 1)
    panels = np.array(figure.axes).reshape(n * methods, k + 1)
    for row, name in zip(panels, list(answers_of) * n, strict=True):
        row[0].set_ylabel(name, fontsize=8)
    for axes, right in zip(panels[:, 1:].flat, relevance.flat, strict=True):
        if right == MISSING:
            axes.clear()
            axes.axis("off")
            axes.text(0.5, 0.5, "–", ha="center", va="center", transform=axes.transAxes)
        else:
            axes.spines[:].set(visible=True, color="C0" if right else "C1", linewidth=1.5)
    figure.suptitle("query, and its first answers: right ones framed, wrong ones struck through", x=0.01, ha="left")
    counts = {name: int((right == 1).sum()) for name, (_, right) in answers_of.items()}
    text = f"The first {k} answers of each method to {n} queries, as pictures. Right answers: "
    return described(figure, f"{text}{', '.join(f'{name} {count} of {n * k}' for name, count in counts.items())}.")


def ladder(rows: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """mAP@10 from rung to rung, one panel per number of tables, one line per code length; hollow: the slides' numbers.

    Args:
        rows: `uit.ladder`.
        published: `uit.published` of Table 1.
    """
    groups = rows.groupby("tables", sort=True)
    figure, panels = plt.subplots(1, len(groups), figsize=(7.6, 3.6), sharey=True, squeeze=False)
    rungs = list(rows["rung"].unique())
    for axes, (tables, group) in zip(panels[0], groups, strict=True):
        for (bits, steps), style in zip(group.groupby("bits"), plt.rcParams["axes.prop_cycle"], strict=False):
            axes.errorbar(
                np.arange(1, len(steps) + 1), steps["mean"], steps["std"], label=f"{bits} bits", capsize=2, **style
            )
            paper = published[(published["tables"] == tables) & (published["bits"] == bits)]["paper"]
            axes.plot(0, paper, markerfacecolor="none", **style | {"linestyle": ""})
        axes.set(title=f"{tables} tables", xticks=range(len(rungs) + 1), xlim=(-0.5, len(rungs) + 0.5))
        axes.set_xticklabels(["published", *rungs], rotation=90)
    panels[0, 0].set_ylabel(MAP_LABEL)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=6)
    best = rows.loc[rows["mean"].idxmax()]
    text = "mAP@10 step by step, a panel for each number of tables, a curve for each code length. The highest: "
    where = f"{best['tables']} tables, {best['bits']} bits, {best['rung']}"
    return described(figure, f"{text}{best['mean']:.3f} with {where}.")


def by_bits(first: pd.DataFrame, second: pd.DataFrame, by_angle: float) -> Figure:
    """The slides' two tables in one picture: LSH and DSH over the bits of a key or code, the slides' as hollow marks.

    Args:
        first: `uit.table_1`.
        second: `uit.table_2`, of one protocol.
        by_angle: mAP@10 of the ranking by angle, without hashing.
    """
    figure, axes = plt.subplots(figsize=(5.6, 3.6))
    last = {}
    for method, table, setting in (("lsh", first[first["bits"] <= 16], "tables"), ("dsh", second, "alpha")):
        for (value, curve), marker, line in zip(
            table.groupby(setting), "o^Dvs", ("-", "--", ":", "-.", "-"), strict=False
        ):
            name = f"{method.upper()}, {setting} {value:g}"
            style = method_style(method) | {"marker": marker, "linestyle": line}
            axes.errorbar(curve["bits"], curve["mean"], curve["std"], label=name, **style)
            axes.plot(curve["bits"] + 0.2, curve["paper"], markerfacecolor="none", **style | {"linestyle": ""})
            last[name] = curve["mean"].iloc[-1]
    axes.axhline(by_angle, color="0.5", linewidth=1, label="HOG by angle, no hashing")
    axes.plot([], [], "o", color="0.4", markerfacecolor="none", label="slides and script")
    axes.set(xlabel="bits of a key or of a code", ylabel=MAP_LABEL, xticks=sorted(second["bits"].unique()))
    figure.legend(loc="outside right center")
    text = "mAP@10 over the bits of a key or code; hollow marks are the slides' numbers. At the longest of each: "
    return described(figure, f"{text}{listed(last)}; by angle without hashing {by_angle:.3f}.")


def _dots(axes: plt.Axes, points: np.ndarray, **look) -> None:
    """Points of the database."""
    axes.plot(*points.T, **{"marker": "o", "markersize": 4, "color": SHARED, "linestyle": ""} | look)
