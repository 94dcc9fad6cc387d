"""Table 1, Figs. 2b and 3, and what Section 3.3 says of M: QSMI taken apart on the profile's first data set."""

from qsmi_lib.config.profiles import Profile
from qsmi_lib.config.run import RunConfig
from qsmi_lib.reproduction import grids
from qsmi_lib.reproduction.experiments.entry import Claim, Experiment, Shown, descending
from qsmi_lib.reproduction.plotting import curves

TIE_BITS = (8, 12, 24, 48)


def sensitivity(shown: Shown):
    """Scores by the weight of the penalty, of the weights that are recorded."""
    return curves.sensitivity(shown.cells.dropna(subset="map_11pt"))


def alphas(profile: Profile, **data) -> list[RunConfig]:
    """Fig. 3's grid on `data`: three seeds are enough for a curve of six points; of four, live."""
    weights = (0.0, 1e-2, 1e-1, 1.0) if profile.only_live else grids.ALPHAS
    return [run for a in weights for run in grids.runs(profile, ["qsmi"], [48], profile.seeds[:3], alpha=a, **data)]


def constant_needs(profile: Profile) -> list[RunConfig]:
    """M from the batch, and M = 10, the number of classes."""
    return [run for m in (None, 10.0) for run in grids.runs(profile, ["qsmi"], [48], information_needs=m)]


EXPERIMENTS = {
    "tie_order": Experiment(
        "Order inside ties: QSMI by code length",
        notebook="02",
        grid=lambda profile: grids.runs(profile, ["qsmi"], TIE_BITS, profile.seeds[:1]),
        by=("bits",),
    ),
    "table_1": Experiment(
        "Table 1: ablation at 48 bits",
        notebook="03",
        grid=lambda profile: grids.runs(profile, grids.ABLATION, [48]),
        by=("method",),
        metrics=("map_11pt", "precision_radius2", "map", "empty_radius2"),
        published="table_1.csv",
        figure=lambda shown: curves.ablation(shown.cells, shown.paper),
        claims=(
            *descending("map", ("qsmi",), ("qmi_clamped",), ("qmi",), ("qsmi_unclamped",)),
            *descending("precision_at_10", ("qsmi",), ("qmi_clamped",), ("qmi",), ("qsmi_unclamped",)),
            *(Claim("precision_radius2", (other,), ("qsmi_unclamped",)) for other in ("qmi", "qmi_clamped", "qsmi")),
            Claim("empty_radius2", ("qsmi",), ("qmi",)),
            *(Claim("qsmi", ("qsmi_unclamped",), (other,)) for other in ("qmi", "qmi_clamped", "qsmi")),
        ),
    ),
    "fig_2b": Experiment(
        "Fig. 2b: loss and information measures over the epochs, 48 bits",
        notebook="03",
        grid=lambda profile: grids.runs(profile, ["qsmi"], [48], profile.seeds[:1]),
        by=("method",),
        metrics=(),
        figure=lambda shown: curves.measures(shown.runs["history"].iloc[0]),
    ),
    "constant_m": Experiment(
        "Section 3.3: M estimated from each batch against M = 10, 48 bits",
        notebook="03",
        grid=constant_needs,
        by=("information_needs",),
        live=False,
    ),
    "fig_3": Experiment(
        "Fig. 3: weight of the quantization penalty, 48 bits",
        notebook="04",
        grid=alphas,
        by=("alpha",),
        figure=sensitivity,
        claims=(
            *descending("precision_radius2", (0.1,), (0.01,), (0.0,), (1.0,)),
            *descending("map_11pt", (0.01,), (0.1,), (1.0,)),
            Claim("map_11pt", 0.3, (1.0,)),
        ),
    ),
    "fig_3_cifar10": Experiment(
        "Fig. 3, CIFAR-10: weight of the quantization penalty, 48 bits",
        notebook="04",
        grid=lambda profile: alphas(
            profile, dataset=profile.pictures, backbone=profile.backbone, epochs=profile.head_epochs
        ),
        by=("alpha",),
        figure=sensitivity,
        live=False,
    ),
    "fig_3_scenes": Experiment(
        "Fig. 3, several labels: weight of the quantization penalty, 48 bits",
        notebook="04",
        grid=lambda profile: alphas(profile, **grids.scenes(profile)),
        by=("alpha",),
        metrics=("map_11pt", "precision_radius2", "share_one_map_11pt", "share_one_precision_radius2"),
        substitute_for=frozenset({"nus_wide"}),
        figure=sensitivity,
        live=False,
    ),
}
