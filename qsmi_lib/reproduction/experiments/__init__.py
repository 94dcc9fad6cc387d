"""The experiments: one entry for each table, figure and untabulated claim of the paper.

A new table is one new entry in one of the modules.
"""

from itertools import chain

from qsmi_lib.reproduction.experiments import (
    ablation,
    cifar10,
    claims,
    fashion_mnist,
    ilsvrc,
    multilabel,
    spherical,
    uit,
)
from qsmi_lib.reproduction.experiments.entry import Claim, Experiment, Shown
from qsmi_lib.utils.validation import known

MODULES = (ablation, fashion_mnist, cifar10, multilabel, ilsvrc, uit, spherical, claims)
EXPERIMENTS: dict[str, Experiment] = dict(
    sorted(chain.from_iterable(module.EXPERIMENTS.items() for module in MODULES), key=lambda item: item[1].notebook)
)  # in the order of the notebooks


def experiment(name: str) -> Experiment:
    """The experiment called `name`; a ValueError lists the known ones."""
    return known("experiment", EXPERIMENTS, name)


__all__ = ["EXPERIMENTS", "Claim", "Experiment", "Shown", "experiment"]
