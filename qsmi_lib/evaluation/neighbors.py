"""Exact nearest neighbours by Hamming distance: by distance, then by database index."""

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from qsmi_lib.codes import checked
from qsmi_lib.utils.validation import whole_number

ROWS = 500  # queries per block: all distances at once may not fit into memory


def nearest(query: Tensor | ArrayLike, database: Tensor | ArrayLike, k: int) -> np.ndarray:
    """The `k` nearest codes of `database` for each code of `query`, by distance, then by index.

    Args:
        query: (n_query, bits) of -1 and +1.
        database: (n_database, bits) of -1 and +1.
        k: number of neighbours, at most n_database.

    Returns:
        int64 (n_query, k), database indices.

    Raises:
        ValueError: codes of another shape, with other values or of different lengths; k out of range.
    """
    query, database = checked("query", query, least=0), checked("database", database)
    if query.shape[1] != database.shape[1]:
        raise ValueError(f"codes must have the same number of bits, got {query.shape[1]} and {database.shape[1]}")
    k = whole_number("k", k, 1, len(database))
    bits, blocks = query.shape[1], []
    for rows in np.array_split(query, max(1, -(-len(query) // ROWS))):
        distance = (bits - rows.astype(np.float32) @ database.astype(np.float32).T) / 2  # exact: integers
        ranking = np.argsort(distance.astype(np.uint16), axis=1, kind="stable")  # radix sort, as there are 16 bits
        blocks.append(ranking[:, :k].copy())  # a view would keep the whole ranking in memory
    return np.concatenate(blocks)


def nearest_others(codes: Tensor | ArrayLike, k: int) -> np.ndarray:
    """`nearest` of each of the codes (n, bits) among the others: int64 (n, k), k at most n - 1."""
    codes = checked("codes", codes, least=2)
    k = whole_number("k", k, 1, len(codes) - 1)
    indices = nearest(codes, codes, k + 1)
    itself = indices == np.arange(len(codes))[:, None]
    itself[~itself.any(axis=1), -1] = True  # ties with lower indices displaced it: drop the last one instead
    return indices[~itself].reshape(len(codes), k)
