"""The spherical embedding's spring loss, its variants, and its comparison on three kinds of data (notebook 14)."""

from qsmi_lib.config.profiles import Profile
from qsmi_lib.config.run import RunConfig
from qsmi_lib.losses.triplet import FORMS
from qsmi_lib.reproduction import grids
from qsmi_lib.reproduction.analysis.spherical import COMPARED, comparison
from qsmi_lib.reproduction.experiments.entry import Experiment, Shown
from qsmi_lib.reproduction.plotting import spherical
from qsmi_lib.reproduction.rotations import WHOLE

BITS = (12, 16, 24, 32, 48)
PROTOCOLS = ("reduced", "full")  # which training set
METRICS = ("map", "map_11pt", "precision_radius2")


def forms(profile: Profile) -> list[RunConfig]:
    """The variants of the spring loss."""
    return [run for form in FORMS for run in grids.tuned(profile, ["spring"], [48], profile.seeds[:1], form=form)]


def poster(profile: Profile) -> list[RunConfig]:
    """The reduced training set gets half of the profile's epochs: fewer steps, on Fashion-MNIST, than the whole one."""
    few = grids.tuned(profile, COMPARED, BITS, profile.seeds[:1], protocol="reduced", epochs=reduced_epochs(profile))
    return few + grids.tuned(profile, COMPARED, BITS, profile.seeds[:1])


def poster_rotations(profile: Profile) -> list[RunConfig]:
    """The spring loss on nine tenths of the reduced and of the whole training set."""
    few = {"protocol": "reduced_held_out", "epochs": reduced_epochs(profile)}
    whole = {"protocol": "held_out"}
    return [run for p in (few, whole) for run in grids.tuned(profile, ["spring"], BITS, profile.seeds[:1], **p)]


def reduced_epochs(profile: Profile) -> int:
    """Passes over a reduced training set."""
    return max(1, profile.epochs // 2)


def poster_cifar10(profile: Profile) -> list[RunConfig]:
    """The comparison on frozen features."""
    bits = grids.lengths(profile, BITS)
    return [run for p in PROTOCOLS for run in grids.frozen(profile, COMPARED, bits, protocol=p)]


def poster_cifar10_rotations(profile: Profile) -> list[RunConfig]:
    """The spring loss on nine tenths of the frozen features."""
    bits = grids.lengths(profile, BITS)
    return [run for p in WHOLE for run in grids.frozen(profile, ["spring"], bits, protocol=p)]


def poster_scenes(profile: Profile) -> list[RunConfig]:
    """The comparison on pictures with several labels, as the poster's own data have them."""
    return [run for p in PROTOCOLS for run in on_scenes(profile, COMPARED, p)]


def poster_scenes_rotations(profile: Profile) -> list[RunConfig]:
    """The spring loss on nine tenths of pictures with several labels."""
    return [run for p in WHOLE for run in on_scenes(profile, ["spring"], p)]


def on_scenes(profile: Profile, methods, protocol: str) -> list[RunConfig]:
    """Runs on pictures with several labels under one protocol and one seed."""
    data = grids.scenes(profile) | {"protocol": protocol, "epochs": profile.epochs}
    return grids.tuned(profile, methods, grids.lengths(profile, BITS), profile.seeds[:1], **data)


def across_lengths(shown: Shown):
    """The comparison by code length, as notebook 14 shows it."""
    return spherical.across_lengths(comparison(shown.runs, shown.rotations), BITS)


EXPERIMENTS = {
    "spring_forms": Experiment(
        "Spherical embedding: the spring loss and its variants, 48 bits",
        notebook="14",
        grid=forms,
        by=("form",),
        reads_data=True,
        live=False,
    ),
    "poster": Experiment(
        "Spherical embedding's comparison: a reduced and the full training set",
        notebook="14",
        grid=poster,
        by=("protocol", "method", "bits"),
        metrics=METRICS,
        figure=across_lengths,
        rotations=poster_rotations,
        live=False,
    ),
    "poster_cifar10": Experiment(
        "Spherical embedding's comparison on CIFAR-10's frozen features",
        notebook="14",
        grid=poster_cifar10,
        by=("protocol", "method", "bits"),
        metrics=METRICS,
        figure=across_lengths,
        rotations=poster_cifar10_rotations,
        live=False,
    ),
    "poster_scenes": Experiment(
        "Spherical embedding's comparison with several labels",
        notebook="14",
        grid=poster_scenes,
        by=("protocol", "method", "bits"),
        metrics=("share_one_map", "share_one_map_11pt", "map_11pt"),
        substitute_for=frozenset({"nus_wide"}),
        figure=across_lengths,
        rotations=poster_scenes_rotations,
        live=False,
    ),
}
