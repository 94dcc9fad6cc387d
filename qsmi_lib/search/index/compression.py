"""What compression of features to codes costs: mAP and recall of the nearest by cosine, beside the bytes of an item."""

import collections
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple

import numpy as np

from qsmi_lib.codes import binarize
from qsmi_lib.datasets.sampling import by_hash
from qsmi_lib.methods import METHODS
from qsmi_lib.search.index import hashing, ranking, storage
from qsmi_lib.search.index.hashing import ITQ, QSMI, FeatureHasher
from qsmi_lib.search.index.heldout import held_out
from qsmi_lib.utils.limits import BITS
from qsmi_lib.utils.validation import whole_number, whole_numbers

LENGTHS = (64, 128, 256)  # bits
NEAREST, MORE = 10, 100  # items by cosine, of which the codes find a share
RERANKED = 100  # items that features of 8 bits put into another order
N_QUERY = 1000


class Row(NamedTuple):
    """A way to store vectors, and what it costs.

    Attributes:
        method: in words.
        bits: of an item.
        bytes: of an item.
        map: mAP of the whole ranking, ties in database order; None without labels, or where `remark` says why.
        recall: share of the `NEAREST` items by cosine of float32 that are among as many first items; likewise.
        recall_100: the same of the `MORE` nearest items.
        remark: why the row has no scores; else empty.
    """

    method: str
    bits: int
    bytes: int
    map: float | None = None
    recall: float | None = None
    recall_100: float | None = None
    remark: str = ""


class Table(NamedTuple):
    """The rows of `table`, and the numbers of items that asked and that were searched."""

    n_query: int
    n_database: int
    rows: list[Row]


def table(
    features: np.ndarray,
    labels: Sequence[Set[str]] | None = None,
    *,
    bits: Sequence[int] = LENGTHS,
    seed: int = 0,
    n_query: int = N_QUERY,
    asks: np.ndarray | None = None,
    hasher: FeatureHasher | None = None,
) -> Table:
    """Store vectors as float32, by the sign of each number, and by codes of ITQ and QSMI, and search each.

    A held-out tenth asks, and the other vectors are searched. Codes are learned from these others alone. Equal vectors
    never fall on both sides. An item is relevant if it shares a label with the query.

    Args:
        features: float32 (n, d), finite, no row zero.
        labels: of each vector; None: unknown, which leaves out QSMI and mAP.
        bits: code lengths of ITQ and QSMI.
        seed: of weights, batches and rotations, and of the choice of the tenth.
        n_query: how many of the tenth ask, at most.
        asks: bool (n,), the held-out items; None: those of `held_out`.
        hasher: one that was trained on the other items with `seed`. Its codes are also searched with features of 8
            bits, which put the first `RERANKED` items into another order.

    Raises:
        ValueError: too few different vectors or labels for a held-out tenth.
    """
    bits, n_query = whole_numbers("bits", list(bits), 1, BITS), whole_number("n_query", n_query, 1)
    asks = held_out(features, labels, seed=seed) if asks is None else asks
    queries = np.flatnonzero(asks)
    if not len(queries) or len(queries) == len(features):
        raise ValueError(
            f"none of {len(features)} vectors can ask the others: expected at least two different ones, or, with "
            "labels, two different ones of a class"
        )
    queries = np.sort(queries[by_hash(len(queries), seed)[:n_query]])
    query, database = features[queries], features[~asks]
    numbers = None if labels is None else hashing.class_numbers(labels).numpy()
    known = None if labels is None else [own for own, ask in zip(labels, asks, strict=True) if not ask]
    rows: list[Row] = []
    nearest = None
    for method, length, found in _ways(query, database, known, bits, seed, hasher):
        n_bytes = -(-length // 8)
        if isinstance(found, str):
            rows.append(Row(method, length, n_bytes, remark=found))
            continue
        first: list[np.ndarray] = []
        rankings = _noting(found, first)
        if numbers is None:
            score = None
            collections.deque(rankings, maxlen=0)
        else:
            score = ranking.mean_average_precision(rankings, numbers[queries], numbers[~asks])
        items = np.concatenate(first)
        nearest = items if nearest is None else nearest  # by cosine of float32, the first of the ways
        shares = (ranking.recall_of_neighbours(items[:, :k], nearest[:, :k]) for k in (NEAREST, MORE))
        rows.append(Row(method, length, n_bytes, score, *shares))
    return Table(len(query), len(database), rows)


def to_record(table: Table) -> dict[str, Any]:
    """`table` as JSON."""
    return table._asdict() | {"rows": [row._asdict() for row in table.rows]}


def from_record(record: Mapping[str, Any]) -> Table:
    """The table of `to_record`."""
    return Table(
        record["n_query"],
        record["n_database"],
        [Row(**{name: row[name] for name in Row._fields}) for row in record["rows"]],
    )


def columns(table: Table) -> tuple[list[str], list[list[str]]]:
    """Headers and cells of `table` as text."""
    scored = any(row.map is not None for row in table.rows)
    headers = ["stored", "bits", "bytes an item", *["mAP"] * scored, f"recall of {NEAREST}", f"recall of {MORE}"]
    cells = []
    for row in table.rows:
        scores = [*[row.map] * scored, row.recall, row.recall_100]
        shown = ["-" if score is None else f"{score:.4f}" for score in scores]
        cells.append(
            [f"{row.method} ({row.remark})" if row.remark else row.method, f"{row.bits:,}", f"{row.bytes:,}", *shown]
        )
    return headers, cells


def lines(table: Table, own: tuple[str, int] | None = None) -> list[str]:
    """`table` for a terminal: who asks whom, a line for each way, and what the columns mean.

    Args:
        table: to show.
        own: method and bits of the row that is marked as that of the index.
    """
    headers, cells = columns(table)
    for row, cell in zip(table.rows, cells, strict=True):
        cell[0] += " <- this index" * ((row.method, row.bits) == own)
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    shown = [f"test: {table.n_query:,} held-out items search the {table.n_database:,} others, which codes learn from"]
    for first, *others in (headers, *cells):
        numbers = (f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True))
        shown.append("  ".join([f"{first:<{widths[0]}}", *numbers]))
    if any(row.method == METHODS[QSMI].title for row in table.rows):
        shown.append("mAP: 1 is perfect. QSMI learns which items share labels; ITQ needs no labels.")
    else:
        shown.append("There are no labels, which mAP and QSMI need: ITQ needs none.")
    what = f"share of the {NEAREST} nearest by cosine of float32 that are among the first {NEAREST}"
    return [*shown, f"recall of {NEAREST}: {what}"]


def _ways(
    query: np.ndarray,
    database: np.ndarray,
    labels: Sequence[Set[str]] | None,
    bits: Sequence[int],
    seed: int,
    own: FeatureHasher | None,
) -> Iterator[tuple[str, int, Iterable[np.ndarray] | str]]:
    """Each way to store vectors: its name, the bits of an item, and blocks of rankings, or why it is not possible."""
    d = database.shape[1]
    yield "float32, by cosine", 32 * d, ranking.cosine_rankings(query, database)
    for method, centre in {"sign of each number": np.float32(0), "sign, less the mean": database.mean(axis=0)}.items():
        yield method, d, ranking.hamming_rankings(*(binarize(part - centre).numpy() for part in (query, database)))
    for method in (ITQ,) if labels is None else (ITQ, QSMI):
        title = METHODS[method].title
        for length in bits:
            if method == ITQ and length > min(database.shape):
                what = "dimensions" if d <= len(database) else "vectors"
                yield title, length, f"only {min(database.shape)} {what}"
                continue
            is_own = own is not None and (own.method, own.bits) == (method, length)
            hasher = own if is_own else hashing.fit(database, labels, length, method=method, seed=seed)
            codes = hasher.codes(query), hasher.codes(database)
            yield title, length, ranking.hamming_rankings(*codes)
            if is_own:
                reranked = ranking.reordered(ranking.hamming_rankings(*codes), query, _rounded(database), RERANKED)
                yield f"{title}, with --rerank {RERANKED}", length + 8 * d + 32, reranked


def _rounded(features: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Rows -> features as an index stores them in 8 bits."""
    values, scale = storage.rounded(features)
    return lambda rows: storage.restored(values[rows], scale[rows])


def _noting(rankings: Iterable[np.ndarray], first: list[np.ndarray]) -> Iterator[np.ndarray]:
    """`rankings`, whose first items are appended to `first`, block by block."""
    for block in rankings:
        first.append(block[:, :MORE].copy())  # a view would keep the block in memory
        yield block
