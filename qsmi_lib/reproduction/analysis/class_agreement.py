"""How many bits the items of two classes share, from the codes that a run saved."""

import numpy as np

from qsmi_lib.config.run import RunConfig
from qsmi_lib.reproduction.artefacts import save_artefact
from qsmi_lib.reproduction.results import Results
from qsmi_lib.training.records import codes_of, run_id

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


def agreement_of_variants(results: Results) -> dict[str, np.ndarray]:
    """`class_agreement` of the database under each variant of Table 1, seed 0: method -> (c, c).

    Computed from the saved codes, and written as an artefact for readers without the codes.

    Raises:
        FileNotFoundError: the codes are not on this machine.
    """
    codes = {config.method: codes_of(config, results.store) for config in _variants(results)}
    shares = {name: class_agreement(saved.database, saved.database_labels) for name, saved in codes.items()}
    save_artefact(results.store, AGREEMENT, shares, made_by(results))
    return shares


def made_by(results: Results) -> dict:
    """The runs that `agreement_of_variants` is of."""
    return {"runs": [run_id(config) for config in _variants(results)]}


def _variants(results: Results) -> list[RunConfig]:
    return [config for config in results.grid("table_1") if config.seed == 0]
