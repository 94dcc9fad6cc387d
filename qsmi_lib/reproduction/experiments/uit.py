"""The UIT slides' DSH (notebook 13); their LSH needs no run, see `analysis.uit`."""

from qsmi_lib.config.profiles import Profile
from qsmi_lib.config.run import RunConfig
from qsmi_lib.reproduction import grids
from qsmi_lib.reproduction.experiments.entry import Experiment

ALPHAS, BITS = (0.005, 0.01), (8, 12, 16)
LEARNING_RATE = 3e-4  # of their script


def uit_dsh(profile: Profile) -> list[RunConfig]:
    """The slides' DSH: 20 epochs on a tenth of the data; one seed, few epochs on all of them."""
    tenth = {"epochs": min(profile.epochs, 20), "protocol": "first_tenth"}
    whole = {"epochs": profile.comparison_epochs // 2}
    cells = [(a, tenth, profile.seeds[:3]) for a in ALPHAS] + [(a, whole, profile.seeds[:1]) for a in ALPHAS]
    return [
        run
        for alpha, settings, seeds in cells
        for run in grids.runs(profile, ["dsh"], BITS, seeds, alpha=alpha, learning_rate=LEARNING_RATE, **settings)
    ]


EXPERIMENTS = {
    "uit_dsh": Experiment(
        "UIT slides, Table 2: DSH by penalty and code length, on a tenth of the data and on all",
        notebook="13",
        grid=uit_dsh,
        by=("protocol", "alpha", "bits"),
        metrics=("map_at_10", "map"),
        reads_data=True,
        live=False,
    ),
}
