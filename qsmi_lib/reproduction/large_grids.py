"""The runs of Tables 6, 7 and 8, of what goes beyond them, and of the other tables' parts with several labels."""

from collections.abc import Sequence
from itertools import product

from qsmi_lib.config.presets import configure
from qsmi_lib.config.profiles import Profile
from qsmi_lib.config.run import RunConfig
from qsmi_lib.reproduction.grids import ALPHAS, BITS, COMPARED, POSTER, POSTER_BITS, PRIORS, lengths, runs, tuned

TABLE_7 = ("dsh", "dpsh", "dch", "qsmi")
TABLE_8 = ("cnnh", "dnnh", "dhn", "hashnet", "dch", "csq", "csq_qsmi")
CENTRAL = ("csq", "csq_qsmi")  # they have a head of their own


def large(profile: Profile) -> dict:
    """Tables 6 and 8: pictures of several labels, their features hashed."""
    return {"dataset": profile.scenes, "backbone": profile.large_backbone}


def table_6(profile: Profile) -> list[RunConfig]:
    """The paper's settings for NUS-WIDE."""
    return runs(profile, COMPARED, lengths(profile, (8, *BITS)), **large(profile))


def table_6_tuned(profile: Profile) -> list[RunConfig]:
    """The same methods and the variants of QSMI, each tuned on held-out training items."""
    methods = (*COMPARED, *PRIORS[1:])
    return tuned(
        profile, methods, lengths(profile, (12, 24, 48)), profile.seeds, epochs=profile.epochs, **large(profile)
    )


def alphas_scenes(profile: Profile) -> list[RunConfig]:
    """Fig. 3's grid on the features of Table 6."""
    own = large(profile)
    return [run for alpha in ALPHAS for run in runs(profile, ["qsmi"], [48], profile.seeds[:3], alpha=alpha, **own)]


def table_7(profile: Profile) -> list[RunConfig]:
    """Each draw of the classes has a seed of its own; each method is tuned on held-out items of all classes.

    Two fifths of the profile's epochs: 20 of 10,000 items are 1,580 steps.
    """
    bits, epochs = lengths(profile, (16, 32, 48)), max(1, profile.epochs * 2 // 5)
    return [run for draw in range(profile.draws) for run in drawn_classes(profile, TABLE_7, bits, draw, epochs)]


def table_7_longer(profile: Profile) -> list[RunConfig]:
    """All epochs of Table 10 against the two fifths of Table 7, at its longest codes, on its first ten draws."""
    cells = product((max(1, profile.epochs * 2 // 5), profile.epochs), range(min(10, profile.draws)))
    return [run for epochs, draw in cells for run in drawn_classes(profile, TABLE_7, [48], draw, epochs)]


def drawn_classes(profile: Profile, methods: Sequence[str], bits: Sequence[int], draw: int, epochs: int) -> list:
    """Runs on one draw of the classes."""
    own = {"dataset": profile.objects, "backbone": profile.large_backbone, "protocol": f"n_way_{profile.n_way}"}
    return tuned(profile, methods, bits, [draw], draw=draw, epochs=epochs, **own)


def table_8(profile: Profile) -> list[RunConfig]:
    """Each method tuned; batches of 32 and two fifths of the epochs (Appendix B: 20); CSQ's head for CSQ."""
    return [run for method in TABLE_8 for run in central(profile, [method], "csq" if method in CENTRAL else "wide")]


def csq_heads(profile: Profile) -> list[RunConfig]:
    """Table 8's methods of centers on their own head and on the others'; what differs is the head alone."""
    heads = ("csq", "wide") if profile.large_backbone else ("narrow",)
    return [run for head in heads for run in central(profile, CENTRAL, head)]


def central(profile: Profile, methods: Sequence[str], head: str) -> list[RunConfig]:
    """Runs in the setting of Table 8, on one head."""
    own = large(profile) | {"epochs": max(1, profile.epochs * 2 // 5), "batch_size": 32}
    own |= {"head": head} if profile.large_backbone else {}
    return tuned(profile, methods, lengths(profile, (32, 64)), profile.seeds, **own)


def fine_tuned(dataset: str) -> list[RunConfig]:
    """Table 8 as published, for who has the data: ResNet-50 trained too, batches of 32, 20 epochs (NUS-WIDE: 10).

    The learning rates are those of CSQ's authors: Adam's 0.001, of the backbone a twentieth.
    """
    own = {"backbone": "resnet50", "head": "csq", "batch_size": 32, "epochs": 10 if dataset == "nus_wide" else 20}
    own |= {"learning_rate": 1e-3, "backbone_learning_rate": 5e-5}
    return [configure(dataset, method, bits, **own) for method in CENTRAL for bits in (32, 64)]


def unbalanced(profile: Profile) -> list[RunConfig]:
    """Equal and true priors where a class has up to a hundred times as many items as another."""
    own = {"protocol": "unbalanced"}
    alphas, methods = (1e-3, 1e-2, 1e-1), PRIORS[:2]
    return [run for alpha in alphas for run in runs(profile, methods, [48], profile.seeds[:3], alpha=alpha, **own)]


def poster_runs(profile: Profile, methods: Sequence[str], bits: Sequence[int], protocol: str) -> list[RunConfig]:
    """The poster's methods on pictures of several labels, under one protocol and one seed."""
    own = large(profile) | {"protocol": protocol, "epochs": profile.epochs}
    return tuned(profile, methods, bits, profile.seeds[:1], **own)


def poster_scenes(profile: Profile) -> list[RunConfig]:
    """The poster's two settings on pictures of several labels, as its own data have them."""
    bits = lengths(profile, POSTER_BITS)
    return [run for p in ("reduced", "full") for run in poster_runs(profile, POSTER, bits, p)]
