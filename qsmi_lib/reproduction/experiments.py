"""Each table and figure of the paper as a grid of runs; what the paper claims and does not tabulate likewise."""

from collections.abc import Callable
from dataclasses import dataclass

from qsmi_lib.config.profiles import PROFILES, Profile
from qsmi_lib.config.run import RunConfig
from qsmi_lib.reproduction import grids, large_grids
from qsmi_lib.training import runs
from qsmi_lib.utils.validation import known


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


_MAP = ("map_11pt", "map", "precision_radius2", "empty_radius2")
_SEVERAL = ("map_11pt", "share_one_map_11pt", "share_one_map", "share_one_precision_radius2")
_CUT = ("share_one_map_at_500", "share_one_map_at_500_clean", "map_11pt", "share_one_map")

EXPERIMENTS = {
    "tie_order": Experiment(
        "Order inside ties: QSMI by code length",
        "02",
        ("bits",),
        _MAP,
        None,
        lambda profile: grids.runs(profile, ["qsmi"], grids.TIE_BITS, profile.seeds[:1]),
    ),
    "table_1": Experiment(
        "Table 1: ablation at 48 bits",
        "03",
        ("method",),
        ("map_11pt", "precision_radius2", "map", "empty_radius2"),
        "table_1.csv",
        lambda profile: grids.runs(profile, grids.ABLATION, [48]),
    ),
    "fig_2b": Experiment(
        "Fig. 2b: loss and information measures over the epochs, 48 bits",
        "03",
        ("method",),
        (),
        None,
        lambda profile: grids.runs(profile, ["qsmi"], [48], profile.seeds[:1]),
    ),
    "constant_m": Experiment(
        "Section 3.3: M estimated from each batch against M = 10, 48 bits",
        "03",
        ("information_needs",),
        _MAP,
        None,
        grids.constant_needs,
    ),
    "fig_3": Experiment(
        "Fig. 3: weight of the quantization penalty, 48 bits", "04", ("alpha",), _MAP, None, grids.alphas
    ),
    "table_2": Experiment(
        "Table 2: DSH, DPSH and QSMI by code length",
        "05",
        ("method", "bits"),
        _MAP,
        "table_2.csv",
        lambda profile: grids.runs(profile, grids.COMPARED, grids.BITS),
    ),
    "table_2_tuned": Experiment(
        "Table 2, each method tuned on held-out training items",
        "05",
        ("method", "bits"),
        _MAP,
        None,
        grids.table_2_tuned,
    ),
    "batch_sizes": Experiment(
        "Section 3.3: M estimated from batches of three sizes, 48 bits",
        "18",
        ("batch_size",),
        _MAP,
        None,
        grids.batch_sizes,
    ),
    "sigmas": Experiment(
        "Section 3.2: QMI by the width of its kernel, 48 bits", "18", ("method", "sigma"), _MAP, None, grids.sigmas
    ),
    "precisions": Experiment(
        "Rounding: the network in bf16 and in float32, 48 bits", "18", ("precision",), _MAP, None, grids.precisions
    ),
    "steps": Experiment(
        "Beyond the paper: steps alone and together, 48 bits", "18", grids.STEPPED, _MAP, None, grids.steps
    ),
    "fig_3_cifar10": Experiment(
        "Fig. 3, CIFAR-10: weight of the quantization penalty, 48 bits",
        "04",
        ("alpha",),
        _MAP,
        None,
        grids.alphas_cifar10,
    ),
    "table_3": Experiment(
        "Table 3: DSH, DPSH and QSMI on frozen features", "06", ("method", "bits"), _MAP, "table_3.csv", grids.table_3
    ),
    "fig_4": Experiment("Fig. 4: codes of 48 bits in a map", "11", ("method",), (), None, grids.fig_4),
    "table_5": Experiment(
        "Table 5: few training items, no other label seen",
        "06",
        ("protocol", "method", "bits"),
        ("map_11pt", "map", "precision_radius2"),
        "table_5.csv",
        grids.table_5,
    ),
    "table_5_end_to_end": Experiment(
        "Table 5, the backbone trained too: 32 bits, one seed", "06", ("method",), _MAP, None, grids.end_to_end
    ),
    "table_9": Experiment(
        "Table 9: classes that training never sees",
        "12",
        ("backbone", "protocol", "method", "bits"),
        ("map_11pt", "map"),
        "table_9.csv",
        grids.table_9,
    ),
    "poster_cifar10": Experiment(
        "Spherical embedding's comparison on CIFAR-10's frozen features",
        "14",
        ("protocol", "method", "bits"),
        ("map", "map_11pt", "precision_radius2"),
        None,
        grids.poster_cifar10,
    ),
    "poster_scenes": Experiment(
        "Spherical embedding's comparison with several labels",
        "14",
        ("protocol", "method", "bits"),
        ("share_one_map", "share_one_map_11pt", "map_11pt"),
        None,
        large_grids.poster_scenes,
    ),
    "table_6": Experiment(
        "Table 6: DSH, DPSH and QSMI with several labels, the paper's settings",
        "07",
        ("method", "bits"),
        _SEVERAL,
        "table_6.csv",
        large_grids.table_6,
    ),
    "table_6_tuned": Experiment(
        "Table 6, each method tuned, and QSMI with true priors and with graded relevance",
        "07",
        ("method", "bits"),
        _SEVERAL,
        None,
        large_grids.table_6_tuned,
    ),
    "unbalanced": Experiment(
        "Section 3.3: equal against true priors, up to 100 times as many items a class, 48 bits",
        "07",
        ("method", "alpha"),
        _MAP,
        None,
        large_grids.unbalanced,
    ),
    "fig_3_scenes": Experiment(
        "Fig. 3, several labels: weight of the quantization penalty, 48 bits",
        "04",
        ("alpha",),
        ("map_11pt", "precision_radius2", "share_one_map_11pt", "share_one_precision_radius2"),
        None,
        large_grids.alphas_scenes,
    ),
    "table_7": Experiment(
        "Table 7: draws of twenty classes",
        "09",
        ("method", "bits"),
        ("map_11pt", "map", "precision_radius2"),
        "table_7.csv",
        large_grids.table_7,
    ),
    "table_7_longer": Experiment(
        "Table 7: two fifths of the epochs against all, 48 bits",
        "09",
        ("epochs", "method"),
        ("map_11pt", "map", "precision_radius2"),
        None,
        large_grids.table_7_longer,
    ),
    "table_8": Experiment(
        "Table 8: CSQ and CSQ + QSMI among the methods quoted",
        "08",
        ("method", "bits"),
        _CUT,
        "table_8.csv",
        large_grids.table_8,
    ),
    "csq_heads": Experiment(
        "Table 8's methods of centers on two heads", "08", ("head", "method", "bits"), _CUT, None, large_grids.csq_heads
    ),
    "uit_dsh": Experiment(
        "UIT slides, Table 2: DSH by penalty and code length, on a tenth of the data and on all",
        "13",
        ("protocol", "alpha", "bits"),
        ("map_at_10", "map"),
        None,
        grids.uit_dsh,
    ),
    "spring_forms": Experiment(
        "Spherical embedding: the spring loss and its variants, 48 bits", "14", ("form",), _MAP, None, grids.forms
    ),
    "poster": Experiment(
        "Spherical embedding's comparison: a reduced and the full training set",
        "14",
        ("protocol", "method", "bits"),
        ("map", "map_11pt", "precision_radius2"),
        None,
        grids.poster,
    ),
    "methods": Experiment("Every method, each tuned at 48 bits", "17", ("bits", "method"), _MAP, None, grids.methods),
}


def experiment(name: str) -> Experiment:
    """The experiment called `name`; a ValueError lists the known ones."""
    return known("experiment", EXPERIMENTS, name)


def grid(name: str, profile: str) -> list[RunConfig]:
    """Every run of the experiment `name` under the profile called `profile`."""
    return experiment(name).grid(known("profile", PROFILES, profile))


def run(name: str, profile: str, **options) -> list[dict]:
    """The records of the experiment `name` under `profile`, those not on disk being made; see `runner.run_all`."""
    return runs.run_all(grid(name, profile), profile, **options)
