"""Each table and figure of the paper as a grid of runs; what the paper claims and does not tabulate likewise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from qsmi_lib import runner
from qsmi_lib.config import PROFILES, Profile, RunConfig, known
from qsmi_lib.losses.triplet import FORMS
from qsmi_lib.methods import METHODS, configure, epochs_of
from qsmi_lib.tuning import chosen

BITS = (12, 24, 36, 48)  # Table 2
TIE_BITS = (8, 12, 24, 48)  # notebook 02
ABLATION = ("qmi", "qmi_clamped", "qsmi_unclamped", "qsmi")  # Table 1, and the cell it leaves out
ALPHAS = (0.0, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # Fig. 3
VARIANTS = ABLATION[:-1]  # of QSMI: Table 1 compares them, and no other
TRAINED = tuple(name for name, entry in METHODS.items() if entry.loss is not None and name not in VARIANTS)
UNTRAINED = tuple(name for name, entry in METHODS.items() if entry.loss is None)
POSTER = ("spring", "qsmi", "dsh", "dpsh", "dhn")
POSTER_BITS = (12, 16, 24, 32, 48)
UIT_ALPHAS, UIT_BITS = (0.005, 0.01), (8, 12, 16)


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
    epochs = settings.pop("epochs", profile.epochs)
    return [configure(profile.dataset, m, b, seed=s, **epochs_of(m, epochs), **settings) for m, b, s in cells]


def tuned(profile: Profile, methods: Sequence[str], bits: Sequence[int], seeds: Sequence[int], **settings) -> list:
    """As `_runs`, each method with the settings that its line search chose, and the epochs of a comparison."""
    settings = {"epochs": profile.comparison_epochs} | settings
    return [run for m in methods for run in _runs(profile, [m], bits, seeds, **chosen(m, profile.dataset) | settings)]


def _methods(profile: Profile) -> list[RunConfig]:
    """Every method at the profile's code lengths."""
    return tuned(profile, (*TRAINED, *UNTRAINED), profile.lengths, profile.seeds[:3])


def _poster(profile: Profile) -> list[RunConfig]:
    """The reduced training set gets half of the profile's epochs: fewer steps, on Fashion-MNIST, than the whole one."""
    seeds = profile.seeds[:1]
    few = tuned(profile, POSTER, POSTER_BITS, seeds, protocol="reduced", epochs=reduced_epochs(profile))
    return few + tuned(profile, POSTER, POSTER_BITS, seeds)


def reduced_epochs(profile: Profile) -> int:
    """Passes over a reduced training set."""
    return max(1, profile.epochs // 2)


def _forms(profile: Profile) -> list[RunConfig]:
    """The variants of the spring loss."""
    return [run for form in FORMS for run in tuned(profile, ["spring"], [48], profile.seeds[:1], form=form)]


def _uit_dsh(profile: Profile) -> list[RunConfig]:
    """The slides' DSH: 20 epochs, the learning rate of their script; one seed, few epochs where all items train it."""
    tenth = {"epochs": min(profile.epochs, 20), "protocol": "first_tenth"}
    whole = {"epochs": profile.comparison_epochs // 2}
    cells = [(a, tenth, profile.seeds[:3]) for a in UIT_ALPHAS] + [(a, whole, profile.seeds[:1]) for a in UIT_ALPHAS]
    rate = 3e-4
    return [r for a, own, n in cells for r in _runs(profile, ["dsh"], UIT_BITS, n, alpha=a, learning_rate=rate, **own)]


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
    "uit_dsh": Experiment(
        "UIT slides, Table 2: DSH by penalty and code length, on a tenth of the data and on all",
        "13",
        ("protocol", "alpha", "bits"),
        ("map_at_10", "map"),
        None,
        _uit_dsh,
    ),
    "spring_forms": Experiment(
        "Spherical embedding: the spring loss and its variants, 48 bits", "14", ("form",), _MAP, None, _forms
    ),
    "poster": Experiment(
        "Spherical embedding's comparison: a reduced and the full training set",
        "14",
        ("protocol", "method", "bits"),
        ("map", "map_11pt", "precision_radius2"),
        None,
        _poster,
    ),
    "methods": Experiment("Every method, each tuned at 48 bits", "17", ("bits", "method"), _MAP, None, _methods),
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
