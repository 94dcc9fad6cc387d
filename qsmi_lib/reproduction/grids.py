"""Products of methods, code lengths and seeds under a profile: the runs of the experiments."""

from collections.abc import Sequence
from itertools import product

from qsmi_lib.config.presets import configure, epochs_of
from qsmi_lib.config.profiles import Profile
from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import FEW_LABELS
from qsmi_lib.methods import METHODS
from qsmi_lib.training.tuning import chosen

BITS = (12, 24, 36, 48)  # Table 2
COMPARED = ("dsh", "dpsh", "qsmi")  # Tables 2, 3 and 6; Table 9 has the same and QSMI+U
ABLATION = ("qmi", "qmi_clamped", "qsmi_unclamped", "qsmi")  # Table 1, and the cell it leaves out
PRIORS = ("qsmi", "qsmi_priors", "qsmi_jaccard")  # equal and true priors, yes-or-no and graded relevance
VARIANTS = {*ABLATION, *PRIORS} - {"qsmi"}  # compared with QSMI alone
TRAINED = tuple(name for name, entry in METHODS.items() if entry.loss is not None and name not in VARIANTS)
UNTRAINED = tuple(name for name, entry in METHODS.items() if entry.loss is None)
ALPHAS = (0.0, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # Fig. 3


def runs(
    profile: Profile, methods: Sequence[str], bits: Sequence[int], seeds: Sequence[int] | None = None, **settings
) -> list[RunConfig]:
    """The product of methods, code lengths and seeds under one profile; `settings` as of `presets.configure`."""
    cells = product(methods, bits, profile.seeds if seeds is None else seeds)
    settings = {"precision": profile.precision} | settings
    epochs, dataset = settings.pop("epochs", profile.epochs), settings.pop("dataset", profile.dataset)
    return [configure(dataset, m, b, seed=s, **epochs_of(m, epochs), **settings) for m, b, s in cells]


def tuned(
    profile: Profile, methods: Sequence[str], bits: Sequence[int], seeds: Sequence[int], **settings
) -> list[RunConfig]:
    """As `runs`, each method with the settings that its line search chose, and the epochs of a comparison."""
    settings = {"epochs": profile.comparison_epochs, "dataset": profile.dataset} | settings
    best = {m: chosen(m, settings["dataset"], settings.get("backbone", "")) for m in methods}
    return [run for m in methods for run in runs(profile, [m], bits, seeds, **best[m] | settings)]


def frozen(
    profile: Profile, methods: Sequence[str], bits: Sequence[int], n_seeds: int = 1, *, protocol: str
) -> list[RunConfig]:
    """As `tuned`, on features of the backbone that has seen no label of the pictures."""
    data = {"dataset": profile.pictures, "backbone": profile.clean_backbone, "protocol": protocol}
    return tuned(profile, methods, bits, profile.seeds[:n_seeds], epochs=few_epochs(profile, protocol), **data)


def few_epochs(profile: Profile, protocol: str) -> int:
    """Passes over frozen features: of few items ten times as many, so that there are about as many steps."""
    return profile.head_epochs * (10 if protocol in FEW_LABELS else 1)


def lengths(profile: Profile, bits: Sequence[int]) -> Sequence[int]:
    """`bits`, or the middle one alone where the profile is brief."""
    return bits[len(bits) // 2 :][:1] if profile.is_brief else bits


def ends(profile: Profile, bits: Sequence[int]) -> Sequence[int]:
    """`bits`, or the first and the last where the profile makes only the runs of live parts."""
    return (bits[0], bits[-1]) if profile.only_live else bits


def scenes(profile: Profile) -> dict:
    """The data of Tables 6 and 8: pictures with several labels, seen through a frozen backbone."""
    return {"dataset": profile.scenes, "backbone": profile.large_backbone}
