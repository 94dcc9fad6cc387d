"""Tables 3, 5 and 9 and Fig. 4: CIFAR-10 through frozen features."""

from itertools import product

from qsmi_lib.config.profiles import Profile
from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import DATASETS
from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction import grids
from qsmi_lib.reproduction.analysis import tsne
from qsmi_lib.reproduction.experiments.entry import Claim, Experiment, Shown
from qsmi_lib.reproduction.plotting import curves, maps

FEW = ("sampled", "sampled_all")  # Table 5's database without and with the training items
UNSEEN = ("unseen_3", "unseen_2")  # Table 9's 2.5 classes of ten
UNSEEN_METHODS = (*grids.COMPARED, "qsmi_u", "itq")  # Table 9's, and one that is not trained
TABLE_5_METHODS = ("dnnh", "dsh", "dpsh", "hashnet", "hashgan", "pgdh", "mihash", "qsmi")


def table_3(profile: Profile) -> list[RunConfig]:
    """The paper's settings, on the features of the backbone that has seen all labels, as the paper's had."""
    data = {"dataset": profile.pictures, "backbone": profile.backbone, "epochs": profile.head_epochs}
    return grids.runs(profile, grids.COMPARED, grids.ends(profile, (8, *grids.BITS)), **data)


def fig_4(profile: Profile) -> list[RunConfig]:
    """The codes that Fig. 4 draws, and DSH's beside them: runs of Table 3."""
    return [run for run in table_3(profile) if run.bits == 48 and run.seed == 0 and run.method in ("qsmi", "dsh")]


def table_5(profile: Profile) -> list[RunConfig]:
    """Every method of the table, the database in both readings; one seed and length where the profile has few seeds."""
    n_seeds = 1 if profile.is_brief else len(profile.seeds)
    bits = grids.lengths(profile, (16, 32, 64))
    return [run for p in FEW for run in grids.frozen(profile, TABLE_5_METHODS, bits, n_seeds, protocol=p)]


def end_to_end(profile: Profile) -> list[RunConfig]:
    """The backbone trained too, a tenth of the epochs, its learning rate a tenth of the head's: one seed, 32 bits."""
    data = {"dataset": profile.pictures, "backbone": profile.clean_backbone, "protocol": FEW[0]}
    epochs = grids.few_epochs(profile, FEW[0]) // 10
    return grids.runs(profile, ["qsmi"], [32], profile.seeds[:1], epochs=epochs, backbone_learning_rate=1e-4, **data)


def table_9(profile: Profile) -> list[RunConfig]:
    """Classes held back; the seed is the number of the draw. ITQ is not trained.

    Of ten classes 7.5 are seen: both readings, live the first alone.
    """
    bits = grids.lengths(profile, grids.BITS[:3])
    data = {"dataset": profile.pictures, "epochs": profile.head_epochs}
    protocols = UNSEEN[:1] if profile.only_live else UNSEEN
    cells = product((profile.backbone, profile.clean_backbone), protocols, profile.seeds)
    divided = [data | {"backbone": backbone, "protocol": protocol, "draw": draw} for backbone, protocol, draw in cells]
    return [run for data in divided for run in grids.runs(profile, UNSEEN_METHODS, bits, [data["draw"]], **data)]


def drawn_maps(shown: Shown):
    """Fig. 4 at the paper's perplexity, as notebook 11 shows it, where its maps are made."""
    if not shown.store.existing(shown.store.artefact(tsne.MEASURED)).exists():
        return None
    titles = {space: METHODS[space].title if space in METHODS else space for space in tsne.SPACES}
    drawn = {f"{title}, perplexity 2": tsne.load_map(shown.store, space, 2) for space, title in titles.items()}
    return maps.maps(drawn, DATASETS[shown.runs["dataset"].iloc[0]].classes)


EXPERIMENTS = {
    "table_3": Experiment(
        "Table 3: DSH, DPSH and QSMI on frozen features",
        notebook="06",
        grid=table_3,
        by=("method", "bits"),
        published="table_3.csv",
        quoted=": through a DenseNet-BC-190, after 5 epochs",
        figure=lambda shown: curves.by_bits(shown.cells, shown.paper),
        claims=(
            *(Claim("map", ("qsmi", 48), (other, 48)) for other in ("dsh", "dpsh")),
            *(Claim("map", (method, 48), (method, 8)) for method in grids.COMPARED),
            *(Claim("precision_radius2", (other, 48), ("dpsh", 48)) for other in ("dsh", "qsmi")),
        ),
    ),
    "table_5": Experiment(
        "Table 5: few training items, no other label seen",
        notebook="06",
        grid=table_5,
        by=("protocol", "method", "bits"),
        metrics=("map_11pt", "map", "precision_radius2"),
        published="table_5.csv",
        quoted=": QSMI's with AlexNet, frozen or not; the others quoted, each under a convention of its own",
        figure=lambda shown: curves.few_items(shown.cells, shown.paper),
        live=False,
    ),
    "table_5_end_to_end": Experiment(
        "Table 5, the backbone trained too: 32 bits, one seed",
        notebook="06",
        grid=end_to_end,
        by=("method",),
        live=False,
    ),
    "fig_4": Experiment(
        "Fig. 4: codes of 48 bits in a map",
        notebook="11",
        grid=fig_4,
        by=("method",),
        metrics=(),
        figure=drawn_maps,
        reads_data=True,
    ),
    "table_9": Experiment(
        "Table 9: classes that training never sees",
        notebook="12",
        grid=table_9,
        by=("backbone", "protocol", "method", "bits"),
        metrics=("map_11pt", "map"),
        published="table_9.csv",
        quoted="; it does not say which classes, nor how 7.5 of 10 are taken",
        figure=lambda shown: curves.unseen(shown.cells, shown.paper),
        claims=tuple(
            Claim("map", ("digits_labels", UNSEEN[0], method, 24), ("digits_pixels", UNSEEN[0], method, 24))
            for method in UNSEEN_METHODS
        ),
    ),
}
