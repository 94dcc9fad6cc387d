"""Each table and figure of the paper as a grid of runs; what the paper claims and does not tabulate likewise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from qsmi_lib import runner
from qsmi_lib.config import PROFILES, Profile, RunConfig, known
from qsmi_lib.methods import configure

BITS = (12, 24, 36, 48)  # Table 2
TIE_BITS = (8, 12, 24, 48)  # notebook 02
ABLATION = ("qmi", "qmi_clamped", "qsmi_unclamped", "qsmi")  # Table 1, and the cell it leaves out
ALPHAS = (0.0, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # Fig. 3


@dataclass(frozen=True)
class Experiment:
    """What one table or figure needs.

    Attributes:
        title: its number and what it shows.
        notebook: number of the notebook that teaches it.
        by: the settings that tell its cells apart; the seeds of a cell share them all.
        metrics: fields of `Evaluation` that its table shows, the one that it is about first; none: it has no table.
        published: file of data/paper with the paper's numbers, or None where it prints none.
        grid: profile -> every run, all seeds.
    """

    title: str
    notebook: str
    by: tuple[str, ...]
    metrics: tuple[str, ...]
    published: str | None
    grid: Callable[[Profile], list[RunConfig]]


def _runs(
    profile: Profile, methods: Sequence[str], bits: Sequence[int], seeds: Sequence[int] | None = None, **settings
) -> list[RunConfig]:
    """The product of methods, code lengths and seeds under one profile."""
    cells = product(methods, bits, profile.seeds if seeds is None else seeds)
    return [configure(profile.dataset, m, b, seed=s, epochs=profile.epochs, **settings) for m, b, s in cells]


def _alphas(profile: Profile) -> list[RunConfig]:
    """Fig. 3's grid: three seeds are enough for a curve of six points."""
    return [run for alpha in ALPHAS for run in _runs(profile, ["qsmi"], [48], profile.seeds[:3], alpha=alpha)]


def _constant_needs(profile: Profile) -> list[RunConfig]:
    """M from the batch, and M = 10, the number of classes."""
    return [run for m in (None, 10.0) for run in _runs(profile, ["qsmi"], [48], information_needs=m)]


_MAP = ("map_11pt", "map", "precision_radius2", "empty_radius2")

EXPERIMENTS = {
    "tie_order": Experiment(
        "Order inside ties: QSMI by code length",
        "02",
        ("bits",),
        _MAP,
        None,
        lambda profile: _runs(profile, ["qsmi"], TIE_BITS, profile.seeds[:1]),
    ),
    "table_1": Experiment(
        "Table 1: ablation at 48 bits",
        "03",
        ("method",),
        ("map_11pt", "precision_radius2", "map", "empty_radius2"),
        "table_1.csv",
        lambda profile: _runs(profile, ABLATION, [48]),
    ),
    "fig_2b": Experiment(
        "Fig. 2b: loss and information measures over the epochs, 48 bits",
        "03",
        ("method",),
        (),
        None,
        lambda profile: _runs(profile, ["qsmi"], [48], profile.seeds[:1]),
    ),
    "constant_m": Experiment(
        "Section 3.3: M estimated from each batch against M = 10, 48 bits",
        "03",
        ("information_needs",),
        _MAP,
        None,
        _constant_needs,
    ),
    "fig_3": Experiment("Fig. 3: weight of the quantization penalty, 48 bits", "04", ("alpha",), _MAP, None, _alphas),
    "table_2": Experiment(
        "Table 2: DSH, DPSH and QSMI by code length",
        "05",
        ("method", "bits"),
        _MAP,
        "table_2.csv",
        lambda profile: _runs(profile, ["dsh", "dpsh", "qsmi"], BITS),
    ),
}


def experiment(name: str) -> Experiment:
    """The experiment called `name`; a ValueError lists the known ones."""
    return known("experiment", EXPERIMENTS, name)


def grid(name: str, profile: str) -> list[RunConfig]:
    """Every run of the experiment `name` under the profile called `profile`."""
    return experiment(name).grid(known("profile", PROFILES, profile))


def run(name: str, profile: str, **options) -> list[dict]:
    """The records of the experiment `name` under `profile`, those not on disk being made; see `runner.run_all`."""
    return runner.run_all(grid(name, profile), profile, **options)
