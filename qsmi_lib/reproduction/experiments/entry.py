"""`Experiment`: everything that one table or figure needs, in one entry, and `Claim`, what the text says of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd
from matplotlib.figure import Figure

from qsmi_lib.config.profiles import Profile
from qsmi_lib.config.run import RunConfig
from qsmi_lib.training.records import Store

Grid = Callable[[Profile], list[RunConfig]]

MAP = ("map_11pt", "map", "precision_radius2", "empty_radius2")  # metrics of most tables


@dataclass(frozen=True)
class Shown:
    """The data that the figure of an experiment is drawn from.

    Attributes:
        cells: `tables.cells`.
        paper: the paper's numbers for the same data set, `tables.published`.
        runs: the recorded runs, rows of the table of runs.
        rotations: `rotations.table` of the experiment's rotations; empty where it has none.
        configs: every run of the experiment, recorded or not.
        store: the folder of results.
    """

    cells: pd.DataFrame
    paper: pd.DataFrame
    runs: pd.DataFrame
    rotations: pd.DataFrame
    configs: Sequence[RunConfig]
    store: Store


@dataclass(frozen=True)
class Claim:
    """What the text says of a table of the profile `digits`: one cell scores higher than another, or than a number.

    `live_claims` checks it.

    Attributes:
        metric: a column of the table of runs, or a measure of the history: its value after the last epoch.
        higher: a cell, the values of `Experiment.by`; or a number.
        lower: likewise.
    """

    metric: str
    higher: tuple | float
    lower: tuple | float


def descending(metric: str, *cells: tuple | float) -> tuple[Claim, ...]:
    """The claims that `metric` falls from each of `cells` to the next."""
    return tuple(Claim(metric, higher, lower) for higher, lower in pairwise(cells))


@dataclass(frozen=True)
class Experiment:
    """Everything that one table or figure needs.

    Attributes:
        title: its number and what it shows.
        notebook: number of the notebook that teaches it.
        grid: profile -> every run, all seeds.
        by: the settings that distinguish its cells; the seeds of a cell share them all.
        metrics: columns of the table of runs that its table shows, the main one first; none: no table.
        published: file of data/paper with the paper's numbers, or None if the paper prints none.
        quoted: text of the caption about the paper's numbers; None: the number of their epochs.
        remark: a sentence below the table of the profile `paper`.
        substitute_for: the data sets of the paper that its data set replaces; empty: all those that it can.
        figure: draws its figure, or returns None if something is not recorded; None: it has no figure.
        rotations: profile -> the runs whose rotations are shown with it; None: none.
        reads_data: whether the notebook's live part reads pictures, features or codes, which are not in the repository.
        live: whether the notebook's live part needs all runs of the grid; a profile that is `only_live` makes no
            others.
        claims: what the text says of its live table.
    """

    title: str
    notebook: str
    grid: Grid
    by: tuple[str, ...]
    metrics: tuple[str, ...] = MAP
    published: str | None = None
    quoted: str | None = None
    remark: str = ""
    substitute_for: frozenset[str] = frozenset()
    figure: Callable[[Shown], Figure | None] | None = None
    rotations: Grid | None = None
    reads_data: bool = False
    live: bool = True
    claims: tuple[Claim, ...] = ()
