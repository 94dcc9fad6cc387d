"""Table 7: draws of twenty classes."""

from collections.abc import Sequence
from itertools import product

from qsmi_lib.config.profiles import Profile
from qsmi_lib.config.run import RunConfig
from qsmi_lib.reproduction import grids
from qsmi_lib.reproduction.experiments.entry import Claim, Experiment
from qsmi_lib.reproduction.plotting import curves

METHODS = ("dsh", "dpsh", "dch", "qsmi")
METRICS = ("map_11pt", "map", "precision_radius2")


def drawn_classes(
    profile: Profile, methods: Sequence[str], bits: Sequence[int], draw: int, epochs: int
) -> list[RunConfig]:
    """Runs on one draw of the classes; the seed is the number of the draw."""
    data = {"dataset": profile.objects, "backbone": profile.large_backbone, "protocol": f"n_way_{profile.n_way}"}
    return grids.tuned(profile, methods, bits, [draw], draw=draw, epochs=epochs, **data)


def few_epochs(profile: Profile) -> int:
    """Two fifths of the profile's epochs: 20 of 10,000 items are 1,580 steps."""
    return max(1, profile.epochs * 2 // 5)


def table_7(profile: Profile) -> list[RunConfig]:
    """Each method is tuned on held-out items of all classes."""
    bits, epochs = grids.lengths(profile, (16, 32, 48)), few_epochs(profile)
    return [run for draw in range(profile.draws) for run in drawn_classes(profile, METHODS, bits, draw, epochs)]


def table_7_longer(profile: Profile) -> list[RunConfig]:
    """All epochs of Table 10 against the two fifths of Table 7, at its longest codes, on its first ten draws."""
    cells = product((few_epochs(profile), profile.epochs), range(min(10, profile.draws)))
    return [run for epochs, draw in cells for run in drawn_classes(profile, METHODS, [48], draw, epochs)]


EXPERIMENTS = {
    "table_7": Experiment(
        "Table 7: draws of twenty classes",
        notebook="09",
        grid=table_7,
        by=("method", "bits"),
        metrics=METRICS,
        published="table_7.csv",
        remark="Tuned for 10 epochs on held-out items of all classes. After 50 epochs the order is different "
        "(notebook 09).",
        figure=lambda shown: curves.by_method(shown.cells, {"map_11pt": curves.MAP_LABEL}, shown.paper),
        claims=(
            *(Claim("precision_radius2", (other, 32), ("qsmi", 32)) for other in ("dsh", "dpsh", "dch")),
            Claim("map", ("dpsh", 32), ("dsh", 32)),
        ),
    ),
    "table_7_longer": Experiment(
        "Table 7: two fifths of the epochs against all, 48 bits",
        notebook="09",
        grid=table_7_longer,
        by=("epochs", "method"),
        metrics=METRICS,
        live=False,
    ),
}
