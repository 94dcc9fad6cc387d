"""Recall of faiss's binary indexes against time and memory, by the number of codes."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from qsmi_lib.reproduction.bench.measure import held_megabytes, machine, save, table
from qsmi_lib.search.indexes import Answers, CodeIndex
from qsmi_lib.utils import io, paths
from qsmi_lib.utils.progress import bar

CPU = torch.device("cpu")
BITS, N_QUERY, N_ALONE, K = 48, 1000, 50, 10
N_WORDS, FLIPPED = 1000, 0.08  # of the generated codes: classes, and the share of bits in which an item leaves its word
SIZES = {"10 thousand": 10_000, "1 million": 1_000_000, "10 million": 10_000_000}
LARGEST_GRAPH = 1_000_000  # codes: building a graph of more takes minutes


class Case(NamedTuple):
    """An index, how it is built, and the settings of the search that are tried one after the other."""

    kind: str
    build: dict[str, int]
    search: Sequence[dict[str, int]]


CASES = (
    Case("flat", {}, ({},)),
    Case("hnsw", {}, tuple({"search_effort": effort} for effort in (16, 64, 256, 1024))),
    Case("multihash", {"tables": 3, "substring": 16}, tuple({"flips": flips} for flips in (0, 1, 2))),
)
HOW = f"""\
{N_QUERY:,} queries, {BITS} bits, the first {K} answers. Codes are generated, seeded: an item is the random word of one
of {N_WORDS:,} classes with each bit flipped with probability {FLIPPED:g}. Recall: the share of the answers that are no
farther than the {K}th nearest, so that no order of ties counts. Milliseconds a query: the median of {N_ALONE} that
are asked one by one; then of all, asked together on all threads. Megabytes: by how much the process grows with the
index."""


def generated(n: int, seed: int) -> np.ndarray:
    """`n` codes around `N_WORDS` words, which are the same for every seed: int8 (n, BITS)."""
    words = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (N_WORDS, BITS))
    rng = np.random.default_rng(seed + 1)
    codes = words[rng.integers(N_WORDS, size=n)]
    for rows in np.array_split(np.arange(n), -(-n // 100_000)):  # random numbers are eight times as large as codes
        codes[rows] *= np.where(rng.random((len(rows), BITS), np.float32) < FLIPPED, -1, 1).astype(np.int8)
    return codes


def recall(distances: np.ndarray, exact: np.ndarray) -> float:
    """Share of the answers that are found and no farther than the last exact one, (n_query, k) each."""
    return float(((distances >= 0) & (distances <= exact[:, -1:])).mean())


def indexes(sizes: Sequence[str] = tuple(SIZES)) -> str:
    """Build each index over codes of each size, search it under several settings; returns the table.

    With all sizes it is kept, and a CSV beside it: `items`, `index`, `settings`, `seconds_build`, `milliseconds` of a
    query alone, `together` of one among many, `megabytes`, `recall`.
    """
    query, rows = generated(N_QUERY, -1), []
    for name in sizes:
        database = generated(SIZES[name], list(SIZES).index(name))
        cases = [case for case in CASES if case.kind != "hnsw" or len(database) <= LARGEST_GRAPH]
        _, exact = _timed(CodeIndex(database).search, query, K)
        rows += [row for case in bar(cases, name, unit="index") for row in measured(case, database, query, exact)]
    shown = [
        [
            f"{row['items']:,}",
            row["index"],
            row["settings"],
            f"{row['seconds_build']:.2f}",
            f"{row['milliseconds']:.3f}",
            f"{row['together']:.4f}",
            f"{row['megabytes']:.1f}",
            f"{row['recall']:.3f}",
        ]
        for row in rows
    ]
    headers = ["codes", "index", "settings", "build, s", "a query, ms", "among many", "megabytes", f"recall of {K}"]
    parts = HOW, machine(CPU, "faiss-cpu", "numpy"), table(headers, shown)
    if tuple(sizes) != tuple(SIZES):
        return "\n\n".join(parts) + "\n"
    io.write_text(paths.results() / "benchmarks" / "indexes.csv", pd.DataFrame(rows).to_csv(index=False))
    return save("indexes", *parts)


def measured(case: Case, database: np.ndarray, query: np.ndarray, exact: Answers) -> Iterator[dict]:
    """A row of `indexes` for each setting of the search."""
    built, (index, megabytes) = _timed(held_megabytes, lambda: CodeIndex(database, case.kind, **case.build))
    for settings in case.search:
        index.tuned(**settings)
        alone = [_timed(index.search, one[None], K)[0] for one in query[:N_ALONE]]
        together, answers = _timed(index.search, query, K)
        yield {
            "items": len(database),
            "index": case.kind,
            "settings": ", ".join(f"{name} {value}" for name, value in (case.build | settings).items()),
            "seconds_build": round(built, 3),
            "milliseconds": round(1000 * float(np.median(alone)), 4),
            "together": round(1000 * together / len(query), 4),
            "megabytes": round(megabytes, 1),
            "recall": round(recall(answers.distances, exact.distances), 4),
        }


def _timed(call: Callable, *arguments, **options) -> tuple[float, Any]:
    start = time.perf_counter()
    result = call(*arguments, **options)
    return time.perf_counter() - start, result
