"""Table 2, and all methods compared, on the profile's first data set."""

from qsmi_lib.config.profiles import Profile
from qsmi_lib.config.run import RunConfig
from qsmi_lib.reproduction import grids
from qsmi_lib.reproduction.analysis.method_tables import caption
from qsmi_lib.reproduction.experiments.entry import Claim, Experiment, Shown, descending
from qsmi_lib.reproduction.plotting import curves, methods
from qsmi_lib.training.tuning import chosen

SEARCHED = 20  # epochs of the line searches for Table 2


def table_2_tuned(profile: Profile) -> list[RunConfig]:
    """Table 2, each method with what its line search on held-out training items chose."""
    best = {method: chosen(method, profile.dataset, epochs=SEARCHED) for method in grids.COMPARED}
    return [run for method in grids.COMPARED for run in grids.runs(profile, [method], grids.BITS, **best[method])]


def every_method(profile: Profile) -> list[RunConfig]:
    """Every method at the profile's code lengths."""
    return grids.tuned(profile, (*grids.TRAINED, *grids.UNTRAINED), profile.lengths, profile.seeds[:3])


def rotations(profile: Profile) -> list[RunConfig]:
    """The runs whose rotations a comparison shows: every method at a short and a long code, trained on nine tenths."""
    every = (*grids.TRAINED, *grids.UNTRAINED)
    return grids.tuned(profile, every, profile.lengths, profile.seeds[:1], protocol="held_out")


def compared(shown: Shown):
    """Every method's scores, as notebook 17 shows them."""
    return methods.scores(shown.cells, caption(shown.configs, len(shown.runs), "mean and deviation over seeds"))


EXPERIMENTS = {
    "table_2": Experiment(
        "Table 2: DSH, DPSH and QSMI by code length",
        notebook="05",
        grid=lambda profile: grids.runs(profile, grids.COMPARED, grids.ends(profile, grids.BITS)),
        by=("method", "bits"),
        published="table_2.csv",
        figure=lambda shown: curves.by_bits(shown.cells, shown.paper),
        reads_data=True,
        claims=(
            *descending("map", ("qsmi", 48), ("dpsh", 48), ("dsh", 48)),
            *(Claim("map", (method, 12), ("dsh", 12)) for method in ("dpsh", "qsmi")),
            *(Claim("map", (method, 48), (method, 12)) for method in grids.COMPARED),
            *(Claim("empty_radius2", (method, 48), (method, 12)) for method in grids.COMPARED),
            Claim("precision_radius2", ("qsmi", 12), ("qsmi", 48)),
        ),
    ),
    "table_2_tuned": Experiment(
        "Table 2, each method tuned on held-out training items",
        notebook="05",
        grid=table_2_tuned,
        by=("method", "bits"),
        live=False,
    ),
    "methods": Experiment(
        "Every method, each tuned at 48 bits",
        notebook="17",
        grid=every_method,
        by=("bits", "method"),
        figure=compared,
        rotations=rotations,
        live=False,
    ),
}
