"""What codes look like: read from the codes that a run saved beside its record."""

import numpy as np

from qsmi_lib.reproduction.experiments import grid
from qsmi_lib.training.runs import codes_of
from qsmi_lib.utils import paths
from qsmi_lib.utils.files import write_arrays

AGREEMENT = "class_agreement.npz"


def class_agreement(codes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    r"""Mean share of equal bits between the items of two classes, :math:`\tfrac12 (1 + \mu_c^T \mu_d / n)`.

    Args:
        codes: (n_items, bits) of -1 and +1.
        labels: int (n_items,).

    Returns:
        float64 (c, c), classes in ascending order, an item's pair with itself included; :math:`\mu_c` is the mean
        code of class c and n the number of bits.
    """
    means = np.stack([codes[labels == name].mean(axis=0, dtype=np.float64) for name in np.unique(labels)])
    return 0.5 * (1.0 + means @ means.T / codes.shape[1])


def agreement_of_variants(profile: str) -> dict[str, np.ndarray]:
    """`class_agreement` of the database under each variant of Table 1, seed 0: method -> (c, c).

    Computed from the saved codes, and written as an artefact of the profile for readers who have none.

    Raises:
        FileNotFoundError: the codes are not on this machine.
    """
    codes = {run.method: codes_of(run, profile) for run in grid("table_1", profile) if run.seed == 0}
    shares = {name: class_agreement(own.database, own.database_labels) for name, own in codes.items()}
    write_arrays(paths.results(profile) / "artefacts" / AGREEMENT, **shares)
    return shares


def committed_agreement() -> dict[str, np.ndarray]:
    """What `agreement_of_variants` wrote for the records that the repository carries."""
    with np.load(paths.COMMITTED / "artefacts" / AGREEMENT) as saved:
        return dict(saved)
