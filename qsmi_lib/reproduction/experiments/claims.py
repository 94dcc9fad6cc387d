"""Claims of the paper without a table, and QSMI beyond the paper (notebook 18)."""

from qsmi_lib.config.profiles import Profile
from qsmi_lib.config.run import RunConfig
from qsmi_lib.reproduction import grids
from qsmi_lib.reproduction.experiments.entry import Experiment
from qsmi_lib.reproduction.plotting import claims as plots

BATCHES = (64, 128, 256)  # the range of Section 3.3
SIGMAS = (1.0, 3.0, 10.0, 30.0)  # widths of QMI's kernel; the paper's is 10
# What may make QSMI better at the same network, data and code length: each alone, and together.
MEMORY = {"memory": 4, "alpha": 0.05}  # five times the items to be compared with, so five times Table 10's alpha
LONGER = 3  # times the epochs: the database is the training set, so underfitting hurts, and 50 epochs underfit
STEPS = (
    ("qsmi", {}),
    ("qsmi_priors", {}),
    ("qsmi", MEMORY),
    ("qsmi", {"schedule": "cosine"}),
    ("qsmi", {"augmentation": "shift"}),
    ("qsmi_priors", MEMORY | {"schedule": "cosine"}),
    ("qsmi_priors", MEMORY | {"schedule": "cosine", "augmentation": "shift"}),
)


def batch_sizes(profile: Profile) -> list[RunConfig]:
    """The range of batch sizes within which M is estimated."""
    return [run for size in BATCHES for run in grids.runs(profile, ["qsmi"], [48], batch_size=size)]


def sigmas(profile: Profile) -> list[RunConfig]:
    """Both forms of QMI by the width of their kernel, and QSMI, which has none; the epochs of a comparison."""
    short = {"epochs": profile.comparison_epochs, "seeds": profile.seeds[:3]}
    wide = [run for sigma in SIGMAS for run in grids.runs(profile, grids.ABLATION[:2], [48], sigma=sigma, **short)]
    return wide + grids.runs(profile, ["qsmi"], [48], **short)


def precisions(profile: Profile) -> list[RunConfig]:
    """The precision that a device uses under "auto" against float32; the epochs of a comparison."""
    short = {"epochs": profile.comparison_epochs, "seeds": profile.seeds[:3]}
    return [run for p in ("auto", "float32") for run in grids.runs(profile, ["qsmi"], [48], precision=p, **short)]


def steps(profile: Profile) -> list[RunConfig]:
    """Each step beyond the paper, the steps together, and last three times the epochs, without and with a schedule."""
    longer = [("qsmi", {"schedule": name, "epochs": LONGER * profile.epochs}) for name in ("constant", "cosine")]
    return [run for method, settings in (*STEPS, *longer) for run in grids.runs(profile, [method], [48], **settings)]


def step_rotations(profile: Profile) -> list[RunConfig]:
    """QSMI as in the paper and with all other `STEPS` together, each turned after training on nine tenths."""
    cells = (STEPS[0], STEPS[-1])
    return [run for m, settings in cells for run in grids.runs(profile, [m], [48], **settings, protocol="held_out")]


EXPERIMENTS = {
    "batch_sizes": Experiment(
        "Section 3.3: M estimated from batches of three sizes, 48 bits",
        notebook="18",
        grid=batch_sizes,
        by=("batch_size",),
        live=False,
    ),
    "sigmas": Experiment(
        "Section 3.2: QMI by the width of its kernel, 48 bits",
        notebook="18",
        grid=sigmas,
        by=("method", "sigma"),
        figure=lambda shown: plots.widths(shown.cells.dropna(subset="map_11pt")),
        live=False,
    ),
    "precisions": Experiment(
        "Rounding: the network in bf16 and in float32, 48 bits",
        notebook="18",
        grid=precisions,
        by=("precision",),
        live=False,
    ),
    "steps": Experiment(
        "Beyond the paper: steps alone and together, 48 bits",
        notebook="18",
        grid=steps,
        by=("method", "memory", "alpha", "schedule", "epochs", "augmentation"),
        rotations=step_rotations,
        live=False,
    ),
}
