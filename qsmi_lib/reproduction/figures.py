"""Figures of the experiments from records alone, written as PNG and PDF."""

import functools
from collections.abc import Callable
from pathlib import Path

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from qsmi_lib.config import profiles
from qsmi_lib.datasets import DATASETS, FULL
from qsmi_lib.methods import METHODS
from qsmi_lib.models.backbones import BACKBONES
from qsmi_lib.reproduction import plotting, rotations, tables
from qsmi_lib.reproduction.analysis import methods, spherical, tsne
from qsmi_lib.reproduction.experiments import grid
from qsmi_lib.reproduction.grids import POSTER_BITS
from qsmi_lib.reproduction.plotting import claims, comparison, derivation, frozen, several, sphere, widgets
from qsmi_lib.reproduction.plotting import results as plots
from qsmi_lib.reproduction.titles import PROTOCOL_TITLES
from qsmi_lib.utils import paths


def compared(cells: pd.DataFrame, kept: list[dict], profile: str) -> Figure:
    """Every method's scores, as notebook 17 shows them."""
    configs = grid("methods", profile)
    return comparison.scores(cells, methods.caption(configs, len(kept), "mean and deviation over seeds"))


def across_lengths(kept: list[dict], profile: str, turned: Callable[[profiles.Profile], list]) -> Figure:
    """The poster's comparison, as notebook 14 shows it; `turned`: the runs whose rotations belong to it."""
    own = profiles.profile(profile)
    turned = rotations.table(turned(own), paths.rotations(profile), own.rotation_steps)
    return sphere.across_lengths(spherical.comparison(kept, turned), POSTER_BITS)


def drawn_maps(kept: list[dict], profile: str) -> Figure | None:
    """Fig. 4 at the paper's perplexity, as notebook 11 shows it, where its maps are made."""
    folder = paths.results(profile) / "artefacts"
    if not (folder / "tsne.json").exists():
        return None
    titles = {space: METHODS[space].title if space in METHODS else space for space in tsne.SPACES}
    maps = {f"{title}, perplexity 2": tsne.recorded(space, 2, folder) for space, title in titles.items()}
    return frozen.maps(maps, DATASETS[kept[0]["config"]["dataset"]].CLASSES)


def by_class(kept: list[dict]) -> Figure:
    """Mean AP by class of the methods that unequal priors compare, at every weight alpha: none is chosen."""
    scores = {}
    for record in kept:
        title = f"{METHODS[record['config']['method']].title}, alpha {record['config']['alpha']:g}"
        scores.setdefault(title, []).append(record["ap_by_label"])
    return several.by_label(scores, DATASETS[kept[0]["config"]["dataset"]].CLASSES, kept[0]["n_by_label"])


BOTH_RULES = {"map_11pt": "mAP (11 points), share of labels", "share_one_map_11pt": "mAP (11 points), any shared label"}
CUT = {
    "share_one_map_at_500": "mAP@500 over hits, as published",
    "share_one_map_at_500_clean": "mAP@500 over min(R, 500)",
}
FIGURES = {  # experiment: (cells, the paper's rows, records, profile) -> Figure
    "table_1": lambda cells, paper, kept, profile: plots.ablation(cells, paper),
    "table_2": lambda cells, paper, kept, profile: plots.by_bits(cells, paper),
    "fig_2b": lambda cells, paper, kept, profile: plots.measures(kept[0]["history"]),
    "fig_3": lambda cells, paper, kept, profile: plots.sensitivity(cells.dropna(subset="map_11pt")),
    "methods": lambda cells, paper, kept, profile: compared(cells, kept, profile),
    "poster": lambda cells, paper, kept, profile: across_lengths(kept, profile, rotations.poster_rotations),
    "sigmas": lambda cells, paper, kept, profile: claims.widths(cells.dropna(subset="map_11pt")),
    "fig_4": lambda cells, paper, kept, profile: drawn_maps(kept, profile),
    "table_3": lambda cells, paper, kept, profile: plots.by_bits(cells, paper),
    "table_5": lambda cells, paper, kept, profile: frozen.few_items(cells, paper),
    "table_9": lambda cells, paper, kept, profile: frozen.unseen(cells, paper),
    "fig_3_cifar10": lambda cells, paper, kept, profile: plots.sensitivity(cells.dropna(subset="map_11pt")),
    "table_6": lambda cells, paper, kept, profile: several.over_bits(cells, BOTH_RULES),
    "table_6_tuned": lambda cells, paper, kept, profile: several.over_bits(cells, BOTH_RULES),
    "table_7": lambda cells, paper, kept, profile: plots.by_bits(cells, paper),
    "table_8": lambda cells, paper, kept, profile: several.over_bits(cells, CUT),
    "unbalanced": lambda cells, paper, kept, profile: by_class(kept),
    "fig_3_scenes": lambda cells, paper, kept, profile: plots.sensitivity(cells.dropna(subset="map_11pt")),
    "poster_scenes": lambda cells, paper, kept, profile: across_lengths(
        kept, profile, rotations.poster_rotations_scenes
    ),
    "poster_cifar10": lambda cells, paper, kept, profile: across_lengths(
        kept, profile, rotations.poster_rotations_cifar10
    ),
}


def figure(name: str, profile: str, where: Path | None = None) -> Figure | None:
    """The figure of the experiment `name`, or None where it has none or none of its runs is recorded."""
    kept = tables.found(grid(name, profile), where or paths.runs(profile))
    if not kept or name not in FIGURES:
        return None
    paper = tables.published(name)
    first = kept[0]["config"]
    own_paper = paper[paper["dataset"] == first["dataset"]]
    drawn = FIGURES[name](tables.cells(name, profile, where), own_paper, kept, profile)
    if drawn is None:
        return None
    seeds = len({record["config"]["seed"] for record in kept})
    trained = [record["config"] for record in kept if METHODS[record["config"]["method"]].loss is not None]
    epochs = " and ".join(map(str, sorted({run["epochs"] for run in trained})))
    epochs = f"{epochs} epochs" if trained else "nothing trained"
    backbones = {record["config"].get("backbone", "") for record in kept} - {""}
    through = f" through {' and '.join(BACKBONES[name].title for name in sorted(backbones))}" if backbones else ""
    data = tables.shown_data(name, first["dataset"], grid(name, "paper")[0].dataset)
    protocols = {record["config"].get("protocol", FULL) for record in kept}
    divided = f", {PROTOCOL_TITLES[protocols.pop()]}" if len(protocols) == 1 and FULL not in protocols else ""
    repeated = "draw" if len({record["config"]["draw"] for record in kept}) > 1 else "seed"
    title = f"{data}{divided}{through}, {epochs}, {seeds} {repeated}{'s' if seeds > 1 else ''}"
    drawn.suptitle(title, fontsize="small", color="0.3")  # a file that travels alone says what it shows
    return drawn


def loss_of_a_pair() -> Figure:
    """Fig. 2a: what a pair costs by its error, without and with the square clamp; it needs no run."""
    error = np.linspace(0.0, 1.0, 101)
    return derivation.clamp_against_linear(error, linear=error, clamped=error**2)


def learning_curves(profile: str, where: Path | None = None) -> Figure | ipywidgets.interactive:
    """QSMI and QMI over the epochs for the variants of Table 1, the first recorded seed of each; one may stand out."""
    histories = {}
    for record in tables.found(grid("table_1", profile), where or paths.runs(profile)):
        histories.setdefault(record["config"]["method"], record["history"])
    draw = functools.partial(plots.learning_curves, histories)
    titles = [METHODS[method].title for method in histories]
    return widgets.explore(draw, chosen=widgets.Choice("all", ["all", *titles], "variant"))


def write(name: str, profile: str) -> list[Path]:
    """Write the figure of `name` ("fig_2a" or an experiment), where there is one, as PNG and PDF; returns the paths."""
    drawn = loss_of_a_pair() if name == "fig_2a" else figure(name, profile)
    if drawn is None:
        return []
    written = plotting.save(drawn, paths.figures(profile), name)
    plt.close(drawn)
    return written
