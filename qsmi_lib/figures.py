"""Figures of the experiments from records alone, written as PNG and PDF."""

from pathlib import Path

from matplotlib.figure import Figure

from qsmi_lib import plotting, records, tables
from qsmi_lib.experiments import grid
from qsmi_lib.paths import results
from qsmi_lib.plotting import results as plots


def figure(name: str, profile: str, where: Path | None = None) -> Figure | None:
    """The figure of the experiment `name`, or None where it has none or none of its runs is recorded."""
    where = where or records.folder(profile)
    kept = tables.found(grid(name, profile), where)
    if not kept:
        return None
    cells = tables.cells(name, profile, where)
    paper = tables.published(name)
    paper = paper[paper["dataset"] == kept[0]["config"]["dataset"]]
    if name == "table_1":
        return plots.ablation(cells, paper)
    if name == "table_2":
        return plots.by_bits(cells, paper)
    if name == "fig_3":
        return plots.sensitivity(cells.dropna(subset="map_11pt"))
    if name == "fig_2b":
        return plots.measures(kept[0]["history"])
    return None


def learning_curves(profile: str, where: Path | None = None) -> Figure:
    """QSMI and QMI over the epochs for the variants of Table 1, the first recorded seed of each."""
    histories = {}
    for record in tables.found(grid("table_1", profile), where or records.folder(profile)):
        histories.setdefault(record["config"]["method"], record["history"])
    return plots.learning_curves(histories)


def write(name: str, profile: str) -> list[Path]:
    """Write the figure of `name` under `profile` as PNG and PDF, where there is one; returns the paths."""
    import matplotlib.pyplot as plt

    drawn, folder = figure(name, profile), results(profile) / "figures"
    if drawn is None:
        return []
    plotting.save(drawn, folder, name)
    plt.close(drawn)
    return [folder / f"{name}.png", folder / f"{name}.pdf"]
