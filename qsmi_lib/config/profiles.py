"""Profiles: data sets, seeds and epochs of a reproduction."""

from dataclasses import dataclass

from qsmi_lib.utils.validation import known


@dataclass(frozen=True)
class Profile:
    """The size of a reproduction; the profile `paper` has the paper's seeds and epochs."""

    name: str
    dataset: str  # of Tables 1 and 2 and Figs. 2 and 3
    seeds: tuple[int, ...]
    epochs: int
    rotation_steps: int = 400  # of a search for a rotation
    lengths: tuple[int, ...] = (12, 48)  # code lengths of the comparison of all methods
    comparison_epochs: int = 10  # of the comparison of all methods
    pictures: str = "cifar10"  # of Tables 3, 5 and 9, which hash frozen features
    backbone: str = "resnet56"  # of these features; like the paper's, trained on all training labels
    clean_backbone: str = "squeezenet1_1_keras"  # a backbone that has seen no label of these data
    head_epochs: int = 5  # epochs on frozen features of all training items (Table 10)
    scenes: str = "miml_scenes"  # of Tables 6 and 8, with several labels an item
    objects: str = "tiny_imagenet_32"  # of Table 7
    n_way: int = 20  # classes in each draw of Table 7
    draws: int = 20  # of Table 7
    large_backbone: str = "squeezenet1_1_keras"  # of Tables 6 to 8; empty: the network of the data set
    precision: str = "auto"  # of the networks
    only_live: bool = False  # whether a reproduction makes only the runs of the live parts of notebooks

    @property
    def is_brief(self) -> bool:
        """Whether large tables have one code length and few seeds."""
        return self.only_live or len(self.seeds) < 3


PROFILES = {
    "digits": Profile(
        "digits",
        "digits",
        seeds=(0, 1, 2),
        epochs=60,
        rotation_steps=50,
        comparison_epochs=20,
        pictures="digits",
        backbone="digits_labels",
        clean_backbone="digits_pixels",
        head_epochs=15,
        scenes="digit_pairs",
        objects="digits",
        n_way=5,
        draws=3,
        large_backbone="",
        precision="float32",  # in which the claims about live tables are checked
        only_live=True,
    ),
    "quick": Profile("quick", "fashion_mnist", seeds=(0,), epochs=10, draws=2),
    "paper": Profile("paper", "fashion_mnist", seeds=(0, 1, 2, 3, 4), epochs=50),
    "gpu": Profile(  # as `paper`, but methods are compared at four lengths and 50 epochs
        "gpu", "fashion_mnist", seeds=(0, 1, 2, 3, 4), epochs=50, lengths=(12, 24, 36, 48), comparison_epochs=50
    ),
}


def profile(name: str) -> Profile:
    """The profile called `name`; a ValueError lists the known ones."""
    return known("profile", PROFILES, name)
