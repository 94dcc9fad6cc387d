"""Locality-sensitive hashing with several tables: random keys, exact buckets, ranking by shared buckets."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from qsmi_lib.utils.arrays import on_host
from qsmi_lib.utils.validation import whole_number

TIES = ("index", "table")
K = 10  # items in an answer
MISSING = -1  # fills answers with fewer than k items
CHUNK = 64_000_000  # bytes that `HashTables.answers` and `by_angle` use at a time
ROWS = 4096  # items that are projected at a time


class Answers(NamedTuple):
    """The first database items of each query, by number of shared buckets.

    Attributes:
        items: int64 (n_query, k), database indices; `MISSING` at the end of a short answer.
        tables: int64 (n_query, k), in how many tables each item shares the query's bucket; 0 if it is missing.
    """

    items: np.ndarray
    tables: np.ndarray


class HashTables:
    r"""Hash tables of one database; the key of an item is :math:`\mathrm{sign}(R_t^T x)`, with sign(0) = +1.

    The entries of :math:`R_t` (n_features, bits), a matrix for each table, are drawn from N(0, 1). Features are
    used as they are, centred or not. Two items at the angle :math:`\theta` share a bit with probability
    :math:`1 - \theta / \pi`; see `collision_probability`.

    Args:
        database: (n_database, n_features), finite.
        bits: length of a key, 1 to 64.
        tables: number of tables, at least 1.
        seed: of the directions; with the same seed, a smaller number of tables gives the first of them.

    Attributes:
        directions: float64 (tables, n_features, bits).
        database_keys: unsigned (tables, n_database), bit k of a key has the value 2 to the power k.

    Raises:
        ValueError: a database of another shape, complex or not finite; bits, tables or seed out of range.
    """

    def __init__(self, database: ArrayLike, bits: int, tables: int, seed: int = 0):
        database = _features("database", database)
        bits, tables = whole_number("bits", bits, 1, 64), whole_number("tables", tables, 1)
        seed = whole_number("seed", seed, 0)
        if not len(database):
            raise ValueError("database must hold at least one item, got none")
        self.directions = np.random.default_rng(seed).normal(size=(tables, database.shape[1], bits))
        self.database_keys = self.keys(database)
        self._order = np.argsort(self.database_keys, axis=1, kind="stable")  # a bucket is a slice of it
        self._sorted = np.take_along_axis(self.database_keys, self._order, axis=1)

    def keys(self, features: ArrayLike) -> np.ndarray:
        """The keys of `features` (n, n_features) in each table: unsigned (tables, n), in the smallest possible type."""
        tables, n_features, bits = self.directions.shape
        features = _features("features", features, n_features)
        weights = np.uint64(1) << np.arange(bits, dtype=np.uint64)
        keys = np.empty((tables, len(features)), np.min_scalar_type(2**bits - 1))
        for start in range(0, len(features), ROWS):
            rows = slice(start, start + ROWS)
            keys[:, rows] = np.where(features[rows] @ self.directions >= 0, weights, 0).sum(axis=2, dtype=np.uint64)
        return keys

    def bucket(self, query: ArrayLike, table: int | None = None) -> np.ndarray:
        """The database items in the query's bucket, whose key is the same.

        Args:
            query: (n_features,).
            table: number of a table, from 0; None: the buckets of all tables.

        Returns:
            int64 (n,), database indices, ascending, each once; empty if the bucket is.

        Raises:
            ValueError: a query of another length, complex or not finite; no such table.
        """
        (keys,) = self.keys(on_host("query", query)[None]).T
        numbers = range(len(keys)) if table is None else [self._number(table)]
        return np.unique(np.concatenate([self._bucket(number, keys[number]) for number in numbers]))

    def collisions(self, queries: ArrayLike) -> np.ndarray:
        """In how many tables each database item shares each query's bucket: unsigned (n_query, n_database).

        One byte for each pair: 600 MB for 10,000 queries and 60,000 items. `answers` works in parts instead.
        """
        return self._collisions(self.keys(queries))

    def answers(self, queries: ArrayLike, k: int = K, *, ties: str = "index") -> Answers:
        """The first k items of each query by number of shared buckets, then by database index.

        An item that shares no bucket is never an answer. The queries are processed in parts, so that less than 200 MB
        are needed besides features, keys and answers.

        Args:
            queries: (n_query, n_features), finite.
            k: at least 1.
            ties: order of items that share equally many buckets: "index", or "table", by the first table that they
                share and then by index, which is the order in which a loop over the tables finds them.

        Raises:
            ValueError: queries of another shape, complex or not finite; k below 1; an unknown rule for ties.
        """
        k = whole_number("k", k, 1)
        if ties not in TIES:
            raise ValueError(f"ties must be one of {TIES}, got {ties!r}")
        keys, n = self.keys(queries), self.database_keys.shape[1]
        items = np.full((keys.shape[1], k), MISSING, np.int64)
        tables = np.zeros_like(items)
        span = n if ties == "index" else n * (len(keys) + 1)  # of places among items that share equally many buckets
        for rows in _parts(len(items), 24 * n):
            place = self._collisions(keys[:, rows]) * np.int64(span) + np.arange(n)[::-1]
            if ties == "table":
                place += self._earliness(keys[:, rows]) * np.int64(n)
            best = np.sort(np.partition(place, -min(k, n), axis=1)[:, -min(k, n) :], axis=1)[:, ::-1]
            counts = best // span
            tables[rows, : best.shape[1]] = counts
            items[rows, : best.shape[1]] = np.where(counts > 0, n - 1 - best % n, MISSING)
        return Answers(items, tables)

    def bucket_sizes(self, table: int) -> np.ndarray:
        """How many database items lie in each occupied bucket of a table: int64, the fullest first.

        Raises:
            ValueError: no such table.
        """
        return np.sort(np.unique(self.database_keys[self._number(table)], return_counts=True)[1])[::-1]

    def _number(self, table: int) -> int:
        """`table`, after a check that there is such a table."""
        return whole_number("table", table, 0, len(self.directions) - 1)

    def _bucket(self, table: int, key: np.unsignedinteger) -> np.ndarray:
        """One bucket of one table."""
        first, last = (np.searchsorted(self._sorted[table], key, side) for side in ("left", "right"))
        return self._order[table, first:last]

    def _collisions(self, keys: np.ndarray) -> np.ndarray:
        """`collisions` of queries with these keys."""
        counts = np.zeros((keys.shape[1], self.database_keys.shape[1]), np.min_scalar_type(len(keys)))
        for query_keys, database_keys in zip(keys, self.database_keys, strict=True):
            counts += query_keys[:, None] == database_keys
        return counts

    def _earliness(self, keys: np.ndarray) -> np.ndarray:
        """How early a table is shared: the number of tables if it is the first one, 1 for the last, 0 for none."""
        early = np.zeros((keys.shape[1], self.database_keys.shape[1]), np.min_scalar_type(len(keys)))
        for number, (query_keys, database_keys) in enumerate(zip(keys, self.database_keys, strict=True)):
            shared = query_keys[:, None] == database_keys
            np.maximum(early, shared * early.dtype.type(len(keys) - number), out=early)
        return early


def by_angle(queries: ArrayLike, database: ArrayLike, k: int = K) -> np.ndarray:
    """The first k database items by angle to the query, then by index: the limit for infinitely many tables.

    Args:
        queries: (n_query, n_features), finite.
        database: (n_database, n_features), finite, at least k items.
        k: at least 1.

    Returns:
        int64 (n_query, k), database indices. Cosines are compared in float32; a row of zeros is orthogonal to all
        others.

    Raises:
        ValueError: features of another shape, of different lengths, complex or not finite; k out of range.
    """
    database = _features("database", database)
    queries, database = _unit(_features("queries", queries, database.shape[1])), _unit(database)
    k = whole_number("k", k, 1, len(database))
    items = np.empty((len(queries), k), np.int64)
    for rows in _parts(len(queries), 20 * len(database)):
        cosine = queries[rows] @ database.T
        least = np.partition(cosine, -k, axis=1)[:, -k]  # several equal cosines may compete for the k-th place
        for row, similarities in enumerate(cosine, start=rows.start):
            near = np.flatnonzero(similarities >= least[row - rows.start])
            items[row] = near[np.argsort(-similarities[near], kind="stable")[:k]]
    return items


def collision_probability(angle: ArrayLike, bits: int, tables: int = 1) -> np.ndarray:
    r"""Probability that two items share a bucket in at least one table, :math:`1 - (1 - (1 - \theta/\pi)^n)^T`.

    Args:
        angle: :math:`\theta` between the two, in rad, 0 to pi; any shape.
        bits: n, length of a key.
        tables: T.
    """
    return 1.0 - (1.0 - (1.0 - np.asarray(angle) / np.pi) ** bits) ** tables


def _features(name: str, values: ArrayLike, n_features: int | None = None) -> np.ndarray:
    """`values` as a real and finite array (n, n_features)."""
    values = on_host(name, values)
    wanted = "n_features" if n_features is None else n_features
    if values.ndim != 2 or not values.shape[1] or (n_features is not None and values.shape[1] != n_features):
        raise ValueError(f"{name} must have shape (n, {wanted}), got {values.shape}")
    if not (np.issubdtype(values.dtype, np.floating) or np.issubdtype(values.dtype, np.integer)):
        raise ValueError(f"{name} must be real, got {values.dtype}")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity")
    return values


def _unit(features: np.ndarray) -> np.ndarray:
    """Rows of norm 1, float32; a row of zeros stays."""
    norm = np.linalg.norm(features, axis=1, keepdims=True)
    return (features / np.where(norm > 0, norm, 1)).astype(np.float32)


def _parts(n: int, size: int) -> list[slice]:
    """The rows 0 to n - 1 in parts of at most `CHUNK` bytes, or of one row, at `size` bytes a row."""
    step = max(1, CHUNK // size)
    return [slice(start, min(start + step, n)) for start in range(0, n, step)]
