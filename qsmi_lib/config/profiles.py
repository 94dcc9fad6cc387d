"""Profiles: how much of the work a reproduction does."""

from dataclasses import dataclass

from qsmi_lib.utils.validation import known


@dataclass(frozen=True)
class Profile:
    """How much of the work a reproduction does; the paper's own numbers are those of `paper`."""

    name: str
    dataset: str  # what Tables 1 and 2 and Figs. 2 and 3 are made on
    seeds: tuple[int, ...]
    epochs: int
    rotation_steps: int = 400  # of a search for the rotation with the highest mAP
    lengths: tuple[int, ...] = (12, 48)  # of the codes by which all methods are compared
    comparison_epochs: int = 10  # of what compares methods
    pictures: str = "cifar10"  # what Tables 3, 5 and 9 are made on, through frozen features
    backbone: str = "resnet56"  # of these features; it has seen all training labels, as the paper's had
    clean_backbone: str = "squeezenet1_1_keras"  # one that has seen none
    head_epochs: int = 5  # passes over all training items with frozen features (Table 10)
    scenes: str = "miml_scenes"  # what Tables 6 and 8 are made on, of several labels
    objects: str = "tiny_imagenet_32"  # what Table 7 is made on
    n_way: int = 20  # classes of each of its draws
    draws: int = 20  # of these classes
    large_backbone: str = "squeezenet1_1_keras"  # of the features of both; empty: the data set's own network
    only_live: bool = False  # whether a reproduction makes the runs of the notebooks' live parts alone


_DIGITS = {"pictures": "digits", "backbone": "digits_labels", "clean_backbone": "digits_pixels", "head_epochs": 15}
_DIGITS |= {"scenes": "digit_pairs", "objects": "digits", "n_way": 5, "draws": 2, "large_backbone": ""}

PROFILES = {
    "digits": Profile("digits", "digits", seeds=(0, 1), epochs=15, rotation_steps=50, only_live=True, **_DIGITS),
    "quick": Profile("quick", "fashion_mnist", seeds=(0,), epochs=10, draws=2),
    "paper": Profile("paper", "fashion_mnist", seeds=(0, 1, 2, 3, 4), epochs=50),
    "gpu": Profile(  # as `paper`, and the comparison of all methods as long
        "gpu", "fashion_mnist", seeds=(0, 1, 2, 3, 4), epochs=50, lengths=(12, 24, 36, 48), comparison_epochs=50
    ),
}


def profile(name: str) -> Profile:
    """The profile called `name`; a ValueError lists the known ones."""
    return known("profile", PROFILES, name)
