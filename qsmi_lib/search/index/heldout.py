"""The held-out tenth that asks the queries of an index's scores; equal items never fall on both sides."""

from collections import Counter
from collections.abc import Sequence, Set

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from qsmi_lib.datasets.sampling import by_hash

TOLERANCE = 5e-3  # of the distance between unit vectors; in another batch, or in 8 bits, equal ones differ by less
ROWS = 4096  # compared at a time
N_DIRECTIONS = 8  # random directions in which equal rows are looked for


def held_out(
    features: np.ndarray,
    labels: Sequence[Set[str]] | None,
    digests: Sequence[str] = (),
    seed: int = 0,
    *,
    near: bool = True,
) -> np.ndarray:
    """A choice of queries: bool (n,), a tenth of the items, a tenth of those with each label.

    Equal items (see `equals`) stay together. A label with one item, or whose items are all equal, is not asked for, and
    each label keeps an item that is searched.

    Args:
        features: float32 (n, d), n at least 2.
        labels: of each item; None: unknown.
        digests: of the items' content, if there are any.
        seed: of the choice.
        near: whether items with nearly the same features are equal, as copies of a picture are.
    """
    group = equals(features, digests, near=near)
    n_groups = int(group.max()) + 1
    if labels is None:
        return np.isin(group, by_hash(n_groups, seed)[: max(1, n_groups // 10)]) & (n_groups > 1)
    carried = [frozenset()] * n_groups
    for number, own in zip(group.tolist(), labels, strict=True):
        carried[number] |= own
    left = Counter(label for own in carried for label in own)
    wanted = {label: max(1, count // 10) for label, count in left.items()}
    chosen = np.zeros(n_groups, bool)
    for number in by_hash(n_groups, seed).tolist():
        own = carried[number]
        if any(wanted[label] > 0 for label in own) and all(left[label] > 1 for label in own):
            chosen[number] = True
            left.subtract(own)
            for label in own:
                wanted[label] -= 1
    return chosen[group]


def equals(features: np.ndarray, digests: Sequence[str] = (), *, near: bool = True) -> np.ndarray:
    """The group of equal items that each item belongs to: int (n,), from 0.

    Items are equal if their content has the same digest, or the same direction; with `near` also if the distance of
    their unit vectors is at most `TOLERANCE`: these are copies of a picture in another format without loss. Equality
    is made transitive; a chain may have steps of up to ``3 * TOLERANCE``.
    """
    units = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    _, first, same = np.unique(units, axis=0, return_index=True, return_inverse=True)
    links = [(np.arange(len(units)), first[same.ravel()])]
    if near:
        links.append(_near_links(units, first))
    if len(digests):
        _, first, same = np.unique(np.asarray(digests, str), return_index=True, return_inverse=True)
        links.append((np.arange(len(units)), first[same]))
    rows, columns = np.concatenate(links, axis=1)
    graph = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(len(units), len(units)))
    return connected_components(graph, directed=False)[1]


def _near_links(units: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of the rows `first` of `units`, all different, that connect those within `TOLERANCE` of each other.

    Rows with nearly equal projections on a few random directions are compared. In each cell of a grid, one row leads
    those that are equal to it. Leaders of equal rows are at most ``3 * TOLERANCE`` apart, so that only leaders are
    compared across cells, however many rows are equal.
    """
    directions = np.random.default_rng(0).normal(size=(units.shape[1], N_DIRECTIONS))
    places = units[first] @ (directions / (TOLERANCE * np.linalg.norm(directions, ord=2)))  # of equal rows: within 1
    cell = np.unique(np.floor(places), axis=0, return_inverse=True)[1].ravel()
    leader, left = np.arange(len(first)), np.arange(len(first))
    while len(left):
        _, head, which = np.unique(cell[left], return_index=True, return_inverse=True)
        heads = left[head][which]
        equal = _near(units, first[left], first[heads], TOLERANCE)
        leader[left[equal]] = heads[equal]
        left = left[~equal]
    leaders = np.unique(leader)
    a, b = leaders[cKDTree(places[leaders]).query_pairs(3, output_type="ndarray").reshape(-1, 2)].T
    linked = _near(units, first[a], first[b], 3 * TOLERANCE)
    return np.concatenate([first[a[linked]], first]), np.concatenate([first[b[linked]], first[leader]])


def _near(units: np.ndarray, a: np.ndarray, b: np.ndarray, distance: float) -> np.ndarray:
    """Whether rows `a` and `b` of `units` are within `distance`: bool, one for each pair; blocks bound the memory."""
    blocks = ((a[at : at + ROWS], b[at : at + ROWS]) for at in range(0, len(a), ROWS))
    near = [np.linalg.norm(units[first] - units[second], axis=1) <= distance for first, second in blocks]
    return np.concatenate([np.empty(0, bool), *near])
