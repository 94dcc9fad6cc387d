"""The runs that the tables and figures need: profile -> configurations, all seeds."""

from collections.abc import Sequence
from itertools import product

from qsmi_lib.config.presets import configure, epochs_of
from qsmi_lib.config.profiles import Profile
from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import FEW_LABELS
from qsmi_lib.losses.triplet import FORMS
from qsmi_lib.methods import METHODS
from qsmi_lib.training.tuning import chosen

BITS = (12, 24, 36, 48)  # Table 2
TIE_BITS = (8, 12, 24, 48)  # notebook 02
ABLATION = ("qmi", "qmi_clamped", "qsmi_unclamped", "qsmi")  # Table 1, and the cell it leaves out
ALPHAS = (0.0, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # Fig. 3
BATCHES = (64, 128, 256)  # the range of Section 3.3
SIGMAS = (1.0, 3.0, 10.0, 30.0)  # widths of QMI's kernel; the paper's is 10
SEARCHED = 20  # epochs of the line searches for Table 2
# What may make QSMI better at the same network, data and code length: each alone, and together.
MEMORY = {"memory": 4, "alpha": 0.05}  # five times the items to be compared with, so five times Table 10's alpha
LONGER = 3  # times the epochs: a training set that is searched wants to be fitted, which 50 epochs do not do
STEPPED = ("method", "memory", "alpha", "schedule", "epochs", "augmentation")
STEPS = (
    ("qsmi", {}),
    ("qsmi_priors", {}),
    ("qsmi", MEMORY),
    ("qsmi", {"schedule": "cosine"}),
    ("qsmi", {"augmentation": "shift"}),
    ("qsmi_priors", MEMORY | {"schedule": "cosine"}),
    ("qsmi_priors", MEMORY | {"schedule": "cosine", "augmentation": "shift"}),
)
PRIORS = ("qsmi", "qsmi_priors", "qsmi_jaccard")  # equal and true priors, yes-or-no and graded relevance
VARIANTS = {*ABLATION, *PRIORS} - {"qsmi"}  # compared with QSMI alone
TRAINED = tuple(name for name, entry in METHODS.items() if entry.loss is not None and name not in VARIANTS)
UNTRAINED = tuple(name for name, entry in METHODS.items() if entry.loss is None)
COMPARED = ("dsh", "dpsh", "qsmi")  # Tables 2 and 3; Table 9 has the same and QSMI+U
TABLE_5 = ("sampled", "sampled_all")  # the database without and with the training items
TABLE_5_METHODS = ("dnnh", "dsh", "dpsh", "hashnet", "hashgan", "pgdh", "mihash", "qsmi")
POSTER = ("spring", "qsmi", "dsh", "dpsh", "dhn")
POSTER_BITS = (12, 16, 24, 32, 48)
UIT_ALPHAS, UIT_BITS = (0.005, 0.01), (8, 12, 16)


def runs(
    profile: Profile, methods: Sequence[str], bits: Sequence[int], seeds: Sequence[int] | None = None, **settings
) -> list[RunConfig]:
    """The product of methods, code lengths and seeds under one profile."""
    cells = product(methods, bits, profile.seeds if seeds is None else seeds)
    epochs, dataset = settings.pop("epochs", profile.epochs), settings.pop("dataset", profile.dataset)
    return [configure(dataset, m, b, seed=s, **epochs_of(m, epochs), **settings) for m, b, s in cells]


def tuned(profile: Profile, methods: Sequence[str], bits: Sequence[int], seeds: Sequence[int], **settings) -> list:
    """As `runs`, each method with the settings that its line search chose, and the epochs of a comparison."""
    settings = {"epochs": profile.comparison_epochs, "dataset": profile.dataset} | settings
    found = {m: chosen(m, settings["dataset"], settings.get("backbone", "")) for m in methods}
    return [run for m in methods for run in runs(profile, [m], bits, seeds, **found[m] | settings)]


def methods(profile: Profile) -> list[RunConfig]:
    """Every method at the profile's code lengths."""
    return tuned(profile, (*TRAINED, *UNTRAINED), profile.lengths, profile.seeds[:3])


def poster(profile: Profile) -> list[RunConfig]:
    """The reduced training set gets half of the profile's epochs: fewer steps, on Fashion-MNIST, than the whole one."""
    seeds = profile.seeds[:1]
    few = tuned(profile, POSTER, POSTER_BITS, seeds, protocol="reduced", epochs=reduced_epochs(profile))
    return few + tuned(profile, POSTER, POSTER_BITS, seeds)


def reduced_epochs(profile: Profile) -> int:
    """Passes over a reduced training set."""
    return max(1, profile.epochs // 2)


def lengths(profile: Profile, bits: Sequence[int]) -> Sequence[int]:
    """`bits`, or the middle one alone where the profile has few seeds: it then looks quickly at large tables."""
    return bits if len(profile.seeds) > 2 else bits[len(bits) // 2 :][:1]


def few_epochs(profile: Profile, protocol: str) -> int:
    """Passes over frozen features: of few items ten times as many, so that there are about as many steps."""
    return profile.head_epochs * (10 if protocol in FEW_LABELS else 1)


def frozen(profile: Profile, methods: Sequence[str], bits: Sequence[int], n_seeds: int = 1, *, protocol: str) -> list:
    """As `tuned`, on the features of the backbone that has seen no label of the pictures."""
    own = {"dataset": profile.pictures, "backbone": profile.clean_backbone, "protocol": protocol}
    return tuned(profile, methods, bits, profile.seeds[:n_seeds], epochs=few_epochs(profile, protocol), **own)


def table_3(profile: Profile) -> list[RunConfig]:
    """The paper's settings, on the features of the backbone that has seen all labels, as the paper's had."""
    own = {"dataset": profile.pictures, "backbone": profile.backbone, "epochs": profile.head_epochs}
    return runs(profile, COMPARED, (8, *BITS), **own)


def fig_4(profile: Profile) -> list[RunConfig]:
    """The codes that Fig. 4 draws, and DSH's beside them: runs of Table 3."""
    return [run for run in table_3(profile) if run.bits == 48 and run.seed == 0 and run.method in ("qsmi", "dsh")]


def table_5(profile: Profile) -> list[RunConfig]:
    """Every method of the table, the database in both readings; one seed and length where the profile has few seeds."""
    n_seeds = len(profile.seeds) if len(profile.seeds) > 2 else 1
    return [
        run
        for p in TABLE_5
        for run in frozen(profile, TABLE_5_METHODS, lengths(profile, (16, 32, 64)), n_seeds, protocol=p)
    ]


def end_to_end(profile: Profile) -> list[RunConfig]:
    """The backbone trained too, a tenth of the epochs, its learning rate a tenth of the head's: one seed, 32 bits."""
    own = {"dataset": profile.pictures, "backbone": profile.clean_backbone, "protocol": TABLE_5[0]}
    epochs = {"epochs": few_epochs(profile, TABLE_5[0]) // 10}
    seeds = profile.seeds[:1]
    return runs(profile, ["qsmi"], [32], seeds, **own, **epochs, backbone_learning_rate=1e-4)


def table_9(profile: Profile) -> list[RunConfig]:
    """Classes held back, in both readings of 7.5: each draw has a seed of its own; ITQ is what no training gives."""
    cells = product((profile.backbone, profile.clean_backbone), ("unseen_3", "unseen_2"), profile.seeds)
    own = {"dataset": profile.pictures, "epochs": profile.head_epochs}
    return [
        run
        for backbone, protocol, draw in cells
        for run in runs(
            profile,
            (*COMPARED, "qsmi_u", "itq"),
            lengths(profile, BITS[:3]),
            [draw],
            backbone=backbone,
            protocol=protocol,
            draw=draw,
            **own,
        )
    ]


def poster_cifar10(profile: Profile) -> list[RunConfig]:
    """The poster's comparison on frozen features."""
    bits = lengths(profile, POSTER_BITS)
    return [run for p in ("reduced", "full") for run in frozen(profile, POSTER, bits, protocol=p)]


def forms(profile: Profile) -> list[RunConfig]:
    """The variants of the spring loss."""
    return [run for form in FORMS for run in tuned(profile, ["spring"], [48], profile.seeds[:1], form=form)]


def uit_dsh(profile: Profile) -> list[RunConfig]:
    """The slides' DSH: 20 epochs, the learning rate of their script; one seed, few epochs where all items train it."""
    tenth = {"epochs": min(profile.epochs, 20), "protocol": "first_tenth"}
    whole = {"epochs": profile.comparison_epochs // 2}
    cells = [(a, tenth, profile.seeds[:3]) for a in UIT_ALPHAS] + [(a, whole, profile.seeds[:1]) for a in UIT_ALPHAS]
    rate = 3e-4
    return [r for a, own, n in cells for r in runs(profile, ["dsh"], UIT_BITS, n, alpha=a, learning_rate=rate, **own)]


def alphas(profile: Profile) -> list[RunConfig]:
    """Fig. 3's grid: three seeds are enough for a curve of six points."""
    return [run for alpha in ALPHAS for run in runs(profile, ["qsmi"], [48], profile.seeds[:3], alpha=alpha)]


def alphas_cifar10(profile: Profile) -> list[RunConfig]:
    """Fig. 3's grid on the features of Table 3."""
    own = {"dataset": profile.pictures, "backbone": profile.backbone, "epochs": profile.head_epochs}
    return [run for alpha in ALPHAS for run in runs(profile, ["qsmi"], [48], profile.seeds[:3], alpha=alpha, **own)]


def table_2_tuned(profile: Profile) -> list[RunConfig]:
    """Table 2, each method with what its line search on held-out training items chose."""
    found = {method: chosen(method, profile.dataset, epochs=SEARCHED) for method in COMPARED}
    return [run for method in COMPARED for run in runs(profile, [method], BITS, **found[method])]


def batch_sizes(profile: Profile) -> list[RunConfig]:
    """The range of batch sizes within which M is estimated."""
    return [run for size in BATCHES for run in runs(profile, ["qsmi"], [48], batch_size=size)]


def sigmas(profile: Profile) -> list[RunConfig]:
    """Both forms of QMI by the width of their kernel, and QSMI, which has none; the epochs of a comparison."""
    own = {"epochs": profile.comparison_epochs, "seeds": profile.seeds[:3]}
    wide = [run for sigma in SIGMAS for run in runs(profile, ABLATION[:2], [48], sigma=sigma, **own)]
    return wide + runs(profile, ["qsmi"], [48], **own)


def precisions(profile: Profile) -> list[RunConfig]:
    """What a device makes of "auto" against float32; the epochs of a comparison."""
    own = {"epochs": profile.comparison_epochs, "seeds": profile.seeds[:3]}
    return [
        run for precision in ("auto", "float32") for run in runs(profile, ["qsmi"], [48], precision=precision, **own)
    ]


def steps(profile: Profile) -> list[RunConfig]:
    """Each step beyond the paper, the steps together, and last three times the epochs, without and with a schedule."""
    longer = [("qsmi", {"schedule": name, "epochs": LONGER * profile.epochs}) for name in ("constant", "cosine")]
    return [run for method, settings in (*STEPS, *longer) for run in runs(profile, [method], [48], **settings)]


def constant_needs(profile: Profile) -> list[RunConfig]:
    """M from the batch, and M = 10, the number of classes."""
    return [run for m in (None, 10.0) for run in runs(profile, ["qsmi"], [48], information_needs=m)]
