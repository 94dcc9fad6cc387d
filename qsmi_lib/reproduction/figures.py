"""Figures of the experiments from records alone, written as PNG and PDF."""

import functools
from pathlib import Path

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from qsmi_lib.datasets import FULL
from qsmi_lib.methods import METHODS
from qsmi_lib.models.backbones import BACKBONES
from qsmi_lib.reproduction import tables
from qsmi_lib.reproduction.experiments import Shown, experiment
from qsmi_lib.reproduction.plotting import curves, derivation, style, widgets
from qsmi_lib.reproduction.results import Results
from qsmi_lib.reproduction.titles import PROTOCOL_TITLES


def figure(name: str, results: Results) -> Figure | None:
    """The figure of the experiment `name`; None where it has none or nothing that it needs is recorded."""
    entry, runs = experiment(name), results.recorded(name)
    if entry.figure is None or runs.empty:
        return None
    paper = tables.published(name)
    shown = Shown(
        cells=tables.cells(name, results),
        paper=paper[paper["dataset"] == runs["dataset"].iloc[0]],
        runs=runs,
        rotations=results.rotations(name),
        configs=results.grid(name),
        store=results.store,
    )
    drawn = entry.figure(shown)
    if drawn is not None:
        data = title(name, results)
        drawn.suptitle(data, fontsize="small", color="0.3")  # the file is shown without the notebook
        style.described(drawn, f"{drawn.get_label()} Data: {data}.")
    return drawn


def title(name: str, results: Results) -> str:
    """The title above a figure of the experiment `name`: data, protocol, epochs, seeds."""
    runs = results.recorded(name)
    trained = runs[[METHODS[method].loss is not None for method in runs["method"]]]
    epochs = f"{' and '.join(map(str, sorted(set(trained['epochs']))))} epochs" if len(trained) else "nothing trained"
    backbones = sorted(set(runs["backbone"]) - {""})
    through = f" through {' and '.join(BACKBONES[backbone].title for backbone in backbones)}" if backbones else ""
    data = tables.shown_data(name, runs["dataset"].iloc[0])
    protocols = set(runs["protocol"])
    divided = f", {PROTOCOL_TITLES[protocols.pop()]}" if len(protocols) == 1 and FULL not in protocols else ""
    repeated, n = "draw" if runs["draw"].nunique() > 1 else "seed", runs["seed"].nunique()
    return f"{data}{divided}{through}, {epochs}, {n} {repeated}{'s' if n > 1 else ''}"


def loss_of_a_pair() -> Figure:
    """Fig. 2a: loss of a pair by its error, without and with the square clamp; it needs no run."""
    error = np.linspace(0.0, 1.0, 101)
    return derivation.clamp_against_linear(error, linear=error, clamped=error**2)


def learning_curves(results: Results) -> Figure | ipywidgets.interactive:
    """QSMI and QMI over the epochs for the variants of Table 1, one seed each; one variant can be highlighted."""
    runs = results.recorded("table_1").drop_duplicates("method")
    histories = dict(zip(runs["method"], runs["history"], strict=True))
    draw = functools.partial(curves.learning_curves, histories)
    titles = [METHODS[method].title for method in histories]
    return widgets.explore(draw, chosen=widgets.Choice("all", ["all", *titles], "variant"))


def write_figure(name: str, results: Results) -> list[Path]:
    """Write the figure of `name` ("fig_2a" or an experiment), where there is one, as PNG and PDF; returns the paths."""
    drawn = loss_of_a_pair() if name == "fig_2a" else figure(name, results)
    if drawn is None:
        return []
    written = style.save_figure(drawn, results.store.figures, name)
    plt.close(drawn)
    return written
