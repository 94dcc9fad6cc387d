"""The scores of an index: its held-out tenth searched in the rest, by its codes, by other codes and by the features."""

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from typing import Any

import numpy as np

from qsmi_lib.datasets.sampling import by_hash
from qsmi_lib.evaluation.neighbors import nearest
from qsmi_lib.methods import METHODS
from qsmi_lib.search.index import hashing, ranking
from qsmi_lib.search.index.hashing import ITQ, FeatureHasher
from qsmi_lib.search.index.storage import rounded

MOST_QUERIES = 1000  # rankings take n_query x n_database numbers
RERANKED = 100  # answers that the stored features put into another order
NEIGHBOURS = (10, 100)  # by cosine, of which the codes find a share

Score = Callable[[Iterable[np.ndarray]], float | dict[str, float]]


def measure(
    features: np.ndarray, labels: Sequence[Set[str]] | None, asks: np.ndarray, hasher: FeatureHasher, seed: int
) -> dict[str, Any]:
    """The scores of `hasher`, and of what it is compared with.

    Args:
        features: float32 (n, d).
        labels: of each item; None: unknown.
        asks: bool (n,), the held-out items, of which at most `MOST_QUERIES` are asked; the others are searched.
        hasher: trained on the others.
        seed: of ITQ, and of the choice of queries.

    Returns:
        `metric`, "map" where labels are known, else "recall"; `n_query`, `n_database`; and `rows`, one for each way to
        search: its `title`, the `bits` of a code or None, the `bytes` of an item, and the `score`. That of recall is
        by number of neighbours. A way that is not possible has a `remark` instead of a score.
    """
    queries = np.flatnonzero(asks)
    queries = np.sort(queries[by_hash(len(queries), seed)[:MOST_QUERIES]])
    query, database = features[queries], features[~asks]
    score = _recall(query, database) if labels is None else _map(hashing.class_numbers(labels).numpy(), queries, asks)
    title, d = METHODS[hasher.method].title, features.shape[1]
    codes = hasher.codes(query), hasher.codes(database)
    rows = [_row("features, by cosine", None, 4 * d, score(ranking.cosine_rankings(query, database)))]
    rows.append(_row(title, hasher.bits, _bytes(hasher.bits), score(hamming_rankings(*codes))))
    reranked = reordered(hamming_rankings(*codes), query, database)
    what = f"{title}, first {RERANKED} by features of 8 bits"
    rows.append(_row(what, hasher.bits, _bytes(hasher.bits) + d + 4, score(reranked)))
    if hasher.method != ITQ:
        rows.append(_of_itq(query, database, hasher.bits, score, seed))
    for what, centre in {"sign of the features": 0.0, "sign, less the mean": database.mean(axis=0)}.items():
        signs = (np.where(part >= centre, 1, -1).astype(np.int8) for part in (query, database))
        rows.append(_row(what, d, _bytes(d), score(hamming_rankings(*signs))))
    metric = "recall" if labels is None else "map"
    return {"metric": metric, "n_query": len(query), "n_database": len(database), "rows": rows}


def hamming_rankings(query: np.ndarray, database: np.ndarray) -> Iterator[np.ndarray]:
    """Rankings of `database` by Hamming distance, ties in database order, in blocks of `ranking`.

    Args:
        query: codes (n_query, bits) of -1 and +1.
        database: (n_database, bits).
    """
    rows = max(1, ranking.PAIRS // len(database))
    for start in range(0, len(query), rows):
        yield nearest(query[start : start + rows], database, len(database))


def reordered(rankings: Iterable[np.ndarray], query: np.ndarray, database: np.ndarray) -> Iterator[np.ndarray]:
    """`rankings` with their first `RERANKED` items ordered by the cosine with features that were stored in 8 bits.

    Args:
        rankings: blocks of rankings, for all queries.
        query: features (n_query, d).
        database: features (n_database, d), before they are rounded.
    """
    values, scale = rounded(database)
    start = 0
    for block in rankings:
        for row, items in enumerate(block[:, :RERANKED]):
            stored = values[items].astype(np.float32) * scale[items, None]
            block[row, :RERANKED] = items[by_cosine(query[start + row], stored)]
        start += len(block)
        yield block


def by_cosine(query: np.ndarray, features: np.ndarray) -> np.ndarray:
    """The order of `features` (n, d) by falling cosine with `query` (d,); equal ones keep their order."""
    [[order]] = ranking.cosine_rankings(query[None], features)
    return order


def lines(scores: dict[str, Any]) -> list[str]:
    """The scores as a table, a line each."""
    columns = ["mAP"] if scores["metric"] == "map" else [f"recall of {k} nearest" for k in NEIGHBOURS]
    head = f"{'search by':<42}{'bits':>6}{'bytes':>8}" + "".join(f"{name:>20}" for name in columns)
    table = [head]
    for row in scores["rows"]:
        start = f"{row['title']:<42}{row['bits'] or '':>6}{row['bytes']:>8,}"
        if "remark" in row:
            table.append(f"{start}  {row['remark']}")
            continue
        values = row["score"].values() if isinstance(row["score"], dict) else [row["score"]]
        table.append(start + "".join(f"{value:>20.4f}" for value in values))
    return table


def _map(labels: np.ndarray, queries: np.ndarray, asks: np.ndarray) -> Score:
    return lambda rankings: ranking.mean_average_precision(rankings, labels[queries], labels[~asks])


def _recall(query: np.ndarray, database: np.ndarray) -> Score:
    """Share of the nearest items by cosine that are among as many of a ranking, by their number."""
    expected = ranking.cosine_neighbours(query, database, min(max(NEIGHBOURS), len(database)))

    def score(rankings: Iterable[np.ndarray]) -> dict[str, float]:
        found = np.concatenate([block[:, : expected.shape[1]].copy() for block in rankings])
        return {str(k): ranking.recall_of_neighbours(found[:, :k], expected[:, :k]) for k in NEIGHBOURS}

    return score


def _of_itq(query: np.ndarray, database: np.ndarray, bits: int, score: Score, seed: int) -> dict[str, Any]:
    most = min(database.shape)
    if bits > most:
        return _row(METHODS[ITQ].title, bits, _bytes(bits), remark=f"at most {most} bits from these items")
    itq = hashing.fit(database, None, bits, method=ITQ, seed=seed)
    codes = itq.codes(query), itq.codes(database)
    return _row(METHODS[ITQ].title, bits, _bytes(bits), score(hamming_rankings(*codes)))


def _row(title: str, bits: int | None, n_bytes: int, score=None, remark: str = "") -> dict[str, Any]:
    row = {"title": title, "bits": bits, "bytes": n_bytes}
    return row | ({"remark": remark} if remark else {"score": score})


def _bytes(bits: int) -> int:
    return -(-bits // 8)
