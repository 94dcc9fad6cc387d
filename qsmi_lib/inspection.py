"""What codes look like: read from the codes that a run saved beside its record."""

from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np

from qsmi_lib import paths
from qsmi_lib.codes import unpack
from qsmi_lib.config import RunConfig
from qsmi_lib.experiments import grid
from qsmi_lib.records import write_arrays
from qsmi_lib.runner import record_path

AGREEMENT = "class_agreement.npz"
ROWS = 500  # queries that are ranked at a time


class SavedCodes(NamedTuple):
    """Codes and labels of one run: int8 (n, bits) of -1 and +1, and int64 (n,) or multi-hot (n, c)."""

    query: np.ndarray
    database: np.ndarray
    query_labels: np.ndarray
    database_labels: np.ndarray


def saved_codes(path: Path) -> SavedCodes:
    """The codes that a run wrote to `path`; a ValueError names a file that is damaged."""
    try:
        with np.load(path) as saved:
            query, database = (unpack(saved[part], int(saved["bits"])) for part in ("query", "database"))
            return SavedCodes(query, database, saved["query_labels"], saved["database_labels"])
    except (BadZipFile, EOFError, KeyError, ValueError) as error:
        raise ValueError(f"{path} holds no codes of a run: {error}; delete it and run again") from error


def codes_of(config: RunConfig, profile: str) -> SavedCodes:
    """The codes of a recorded run, or those that the repository carries of it; an error says how to make them."""
    run_id = record_path(config, profile).stem
    for path in (paths.codes(profile, run_id), paths.COMMITTED / "artefacts" / f"{run_id}.npz"):
        if path.exists():
            return saved_codes(path)
    raise FileNotFoundError(f"the codes of {run_id} are not on this machine: run the experiment with --fresh")


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


def nearest(query: np.ndarray, database: np.ndarray, k: int) -> np.ndarray:
    """The first `k` items of `database` for each code of `query`, by distance, then by index: int64 (n_query, k)."""
    bits, found = query.shape[1], []
    for rows in np.array_split(query, max(1, -(-len(query) // ROWS))):  # all distances at once may not fit into memory
        distance = (bits - rows.astype(np.float32) @ database.astype(np.float32).T) / 2  # whole numbers, exact
        ranking = np.argsort(distance.astype(np.uint16), axis=1, kind="stable")  # 16 bits are sorted by radix
        found.append(ranking[:, :k].copy())  # a view would keep the whole
    return np.concatenate(found)


def nearest_others(codes: np.ndarray, k: int) -> np.ndarray:
    """`nearest` of each code among all, without itself: int64 (n, k), where k is at most n - 1."""
    found = nearest(codes, codes, k + 1)
    own = found == np.arange(len(codes))[:, None]
    own[~own.any(axis=1), -1] = True  # it is not among them for the ties before it: the last is one too many
    return found[~own].reshape(len(codes), k)
