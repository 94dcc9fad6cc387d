"""Tables 6 and 8, and priors: pictures with several labels."""

from collections.abc import Sequence

from qsmi_lib.config.presets import configure
from qsmi_lib.config.profiles import Profile
from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import DATASETS
from qsmi_lib.reproduction import grids
from qsmi_lib.reproduction.experiments.entry import MAP, Claim, Experiment, Shown
from qsmi_lib.reproduction.plotting import curves

SEVERAL = ("map_11pt", "share_one_map_11pt", "share_one_map", "share_one_precision_radius2")
CUT = ("share_one_map_at_500", "share_one_map_at_500_clean", "map_11pt", "share_one_map")
BOTH_RULES = {"map_11pt": "mAP (11 points), share of labels", "share_one_map_11pt": "mAP (11 points), any shared label"}
BOTH_DENOMINATORS = {
    "share_one_map_at_500": "mAP@500 over hits, as published",
    "share_one_map_at_500_clean": "mAP@500 over min(R, 500)",
}
TABLE_8_METHODS = ("cnnh", "dnnh", "dhn", "hashnet", "dch", "csq", "csq_qsmi")
CENTRAL = ("csq", "csq_qsmi")  # methods of hash centers, which have another head


def table_6(profile: Profile) -> list[RunConfig]:
    """The paper's settings for NUS-WIDE."""
    return grids.runs(profile, grids.COMPARED, grids.lengths(profile, (8, *grids.BITS)), **grids.scenes(profile))


def table_6_tuned(profile: Profile) -> list[RunConfig]:
    """The same methods and the variants of QSMI, each tuned on held-out training items."""
    methods, bits = (*grids.COMPARED, *grids.PRIORS[1:]), grids.lengths(profile, (12, 24, 48))
    return grids.tuned(profile, methods, bits, profile.seeds, epochs=profile.epochs, **grids.scenes(profile))


def unbalanced(profile: Profile) -> list[RunConfig]:
    """Equal and true priors where a class has up to a hundred times as many items as another."""
    alphas, methods, seeds = (1e-3, 1e-2, 1e-1), grids.PRIORS[:2], profile.seeds[:3]
    return [run for a in alphas for run in grids.runs(profile, methods, [48], seeds, alpha=a, protocol="unbalanced")]


def central(profile: Profile, methods: Sequence[str], head: str) -> list[RunConfig]:
    """Runs in the setting of Table 8, each method tuned, on one head: batches of 32, two fifths of the epochs."""
    settings = grids.scenes(profile) | {"epochs": max(1, profile.epochs * 2 // 5), "batch_size": 32}
    settings |= {"head": head} if profile.large_backbone else {}
    return grids.tuned(profile, methods, grids.lengths(profile, (32, 64)), profile.seeds, **settings)


def table_8(profile: Profile) -> list[RunConfig]:
    """Each method in the setting of Appendix B (20 epochs); CSQ's head for CSQ. Live: the last four methods."""
    methods = TABLE_8_METHODS[-4:] if profile.only_live else TABLE_8_METHODS
    return [run for m in methods for run in central(profile, [m], "csq" if m in CENTRAL else "wide")]


def csq_heads(profile: Profile) -> list[RunConfig]:
    """Table 8's methods of hash centers on both heads; only the head differs."""
    heads = ("csq", "wide") if profile.large_backbone else ("narrow",)
    return [run for head in heads for run in central(profile, CENTRAL, head)]


def fine_tuned(dataset: str) -> list[RunConfig]:
    """Table 8 as published, for users who have the data: ResNet-50 trained too, 20 epochs (NUS-WIDE: 10).

    The learning rates are those of CSQ's authors: Adam's 0.001, of the backbone a twentieth.
    """
    settings = {"backbone": "resnet50", "head": "csq", "batch_size": 32, "epochs": 10 if dataset == "nus_wide" else 20}
    settings |= {"learning_rate": 1e-3, "backbone_learning_rate": 5e-5}
    return [configure(dataset, method, bits, **settings) for method in CENTRAL for bits in (32, 64)]


def by_class(shown: Shown):
    """Mean AP by class of the methods that unequal priors compare, at every weight alpha: none is chosen."""
    scores = {}
    for run in shown.runs.itertuples():
        scores.setdefault((run.method, run.alpha), []).append(run.ap_by_label)
    first = shown.runs.iloc[0]
    return curves.by_label(scores, DATASETS[first["dataset"]].classes, first["n_by_label"])


EXPERIMENTS = {
    "table_6": Experiment(
        "Table 6: DSH, DPSH and QSMI with several labels, the paper's settings",
        notebook="07",
        grid=table_6,
        by=("method", "bits"),
        metrics=SEVERAL,
        published="table_6.csv",
        figure=lambda shown: curves.over_bits(shown.cells, BOTH_RULES),
        live=False,
    ),
    "table_6_tuned": Experiment(
        "Table 6, each method tuned, and QSMI with true priors and with graded relevance",
        notebook="07",
        grid=table_6_tuned,
        by=("method", "bits"),
        metrics=SEVERAL,
        remark="Tuned at 48 bits on 150 held-out training items, by the mAP of all orders of ties, with relevance as "
        "the share of labels.",
        substitute_for=frozenset({"nus_wide"}),
        figure=lambda shown: curves.over_bits(shown.cells, BOTH_RULES),
        live=False,
    ),
    "unbalanced": Experiment(
        "Section 3.3: equal against true priors, up to 100 times as many items a class, 48 bits",
        notebook="07",
        grid=unbalanced,
        by=("method", "alpha"),
        metrics=MAP,
        figure=by_class,
        live=False,
    ),
    "table_8": Experiment(
        "Table 8: CSQ and CSQ + QSMI among the methods quoted",
        notebook="08",
        grid=table_8,
        by=("method", "bits"),
        metrics=CUT,
        published="table_8.csv",
        remark="All are tuned at 48 bits on the head of 2,048 hidden units, with batches of 128, for 50 "
        "epochs. The runs on CSQ's own head use the same settings.",
        figure=lambda shown: curves.by_method(shown.cells, BOTH_DENOMINATORS),
        claims=(
            Claim("share_one_map_at_500", ("dch", 64), ("csq", 64)),
            Claim("share_one_map_at_500_clean", ("csq", 64), ("dch", 64)),
            Claim("share_one_map", ("csq", 64), ("dch", 64)),
            Claim("share_one_map", ("hashnet", 64), ("csq", 64)),
        ),
    ),
    "csq_heads": Experiment(
        "Table 8's methods of centers on two heads",
        notebook="08",
        grid=csq_heads,
        by=("head", "method", "bits"),
        metrics=CUT,
        live=False,
    ),
}
