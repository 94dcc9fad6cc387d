"""Exact nearest neighbours by Hamming distance: by distance, then by database index."""

import numpy as np

ROWS = 500  # queries that are ranked at a time


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
