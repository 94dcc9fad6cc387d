"""`evaluate` beside what people use, on the codes of a real run; and what it costs as the database grows.

The others are written from their formula. Each gives one number of the many, and leaves ties to its sort.
"""

import importlib.util
import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors

from qsmi_lib.evaluation import Evaluation, evaluate
from qsmi_lib.reproduction.bench.measure import machine, peak_megabytes, save, seconds, table
from qsmi_lib.reproduction.results import committed
from qsmi_lib.training.records import SavedCodes, codes_of
from qsmi_lib.utils.progress import bar

K, REPEATS = 5000, 5
AGREE = 1e-12  # numbers that are closer are the same
CPU = torch.device("cpu")
SIZES = {  # queries, items, bits, labels of a set (0: one label of ten)
    "Fashion-MNIST": (10_000, 60_000, 48, 0),
    "NUS-WIDE (fraction of 21 labels)": (2_100, 193_734, 48, 21),
    "60 thousand items": (1_000, 60_000, 48, 0),
    "600 thousand items": (1_000, 600_000, 48, 0),
    "6 million items": (1_000, 6_000_000, 48, 0),
    "10 million items": (100, 10_000_000, 128, 0),
}


class Other(NamedTuple):
    """What people use.

    Attributes:
        name: in words.
        rank: codes -> for each query the database indices (k,), nearest first.
        score: relevance of one ranking, bool (k,) -> its number, of which the mean over queries is taken.
        field: the same number of an `Evaluation`.
    """

    name: str
    rank: Callable[[SavedCodes], Iterable[np.ndarray]]
    score: Callable[[np.ndarray], float]
    field: Callable[[Evaluation], float]


def numpy_argsort(codes: SavedCodes) -> Iterator[np.ndarray]:
    """One inner product and one `argsort` a query, the pattern of many research scripts; it is not a stable sort."""
    return (np.argsort(distance) for distance in _distances(codes))


def numpy_integers(codes: SavedCodes) -> Iterator[np.ndarray]:
    """The same with distances as integers of two bytes and a stable sort, which is NumPy's radix sort then."""
    return (np.argsort(distance.astype(np.uint16), kind="stable") for distance in _distances(codes))


def _distances(codes: SavedCodes) -> Iterator[np.ndarray]:
    database, bits = codes.database.astype(np.float32), codes.query.shape[1]
    return (0.5 * (bits - database @ code) for code in codes.query.astype(np.float32))


def scikit_learn(codes: SavedCodes) -> Iterator[np.ndarray]:
    """All neighbours of each query by brute force, the pattern of the authors' evaluator."""
    neighbours = NearestNeighbors(n_neighbors=len(codes.database), algorithm="brute", metric="hamming")
    neighbours.fit(codes.database)
    batches = np.array_split(codes.query, -(-len(codes.query) // 64))
    return (row for batch in batches for row in neighbours.kneighbors(batch, return_distance=False))


def faiss_flat(codes: SavedCodes) -> np.ndarray:
    """The first 5,000 by faiss' exhaustive binary index."""
    import faiss

    query, database = (np.packbits(part > 0, axis=1) for part in (codes.query, codes.database))
    index = faiss.IndexBinaryFlat(8 * database.shape[1])  # the bits that fill the last byte are 0 on both sides
    index.add(database)
    return index.search(query, K)[1]


def average_precision(relevant: np.ndarray) -> float:
    """Mean precision at the ranks of the relevant items that were found; 0 if none was."""
    ranks = np.flatnonzero(relevant) + 1
    return float(np.mean(np.arange(1, len(ranks) + 1) / ranks)) if len(ranks) else 0.0


def eleven_points(relevant: np.ndarray) -> float:
    """Mean precision at the recall nearest to 0, 0.1, ... 1, in floats."""
    seen = np.cumsum(relevant)
    precision, recall = seen / np.arange(1, len(relevant) + 1), seen / seen[-1]
    return float(np.mean([precision[np.abs(recall - tenth / 10).argmin()] for tenth in range(11)]))


OTHERS = [
    Other("NumPy argsort: `map`", numpy_argsort, average_precision, lambda scores: scores.map),
    Other("NumPy stable argsort of integers: `map`", numpy_integers, average_precision, lambda scores: scores.map),
    Other("scikit-learn: `map_11pt`", scikit_learn, eleven_points, lambda scores: scores.map_11pt),
    Other(f"faiss: `map_at_k_hits[{K}]`", faiss_flat, average_precision, lambda scores: scores.map_at_k_hits[K]),
]


def beside(codes: SavedCodes, sample: int) -> str:
    """The table of `evaluate` and the others, which are timed and compared on `sample` queries."""
    devices = [CPU, *([torch.device("cuda")] if torch.cuda.is_available() else [])]
    few = codes._replace(query=codes.query[:sample], query_labels=codes.query_labels[:sample])
    scores, base = evaluate(*few, k=K), None
    rows = []
    for device in devices:
        moved = [torch.from_numpy(part).to(device) for part in codes]
        times = [seconds(lambda moved=moved: evaluate(*moved, k=K), device) for _ in range(1 + REPEATS)][1:]
        base = base or median(times)
        rows.append(
            [f"**`evaluate`: all**, {device}", f"{median(times):.3f}", f"{median(times) / base:.2f}", *[""] * 4]
        )
    for other in bar([other for other in OTHERS if other.rank is not faiss_flat or _has_faiss()], "timing"):
        tiny = few._replace(query=few.query[:4], query_labels=few.query_labels[:4])
        number(other, tiny, other.rank(tiny))  # warm
        numbers: list[float] = []
        took = seconds(lambda other=other, numbers=numbers: numbers.append(number(other, few, other.rank(few))), CPU)
        took *= len(codes.query) / len(few.query)
        numbers += [number(other, few, ties_by_index(few, other.rank(few))), other.field(scores)]
        agrees = "yes" if abs(numbers[1] - numbers[2]) < AGREE else "no"
        rows.append([other.name, f"{took:.1f}", f"{took / base:.0f}", *(f"{value:.9f}" for value in numbers), agrees])
    return table(["evaluator", "seconds", "times ours", "number", "ties by index", "ours", "agrees"], rows)


def number(other: Other, codes: SavedCodes, order: Iterable[np.ndarray]) -> float:
    """The mean over queries of what `other` makes of their rankings."""
    rankings = zip(order, codes.query_labels, strict=True)
    return float(np.mean([other.score(codes.database_labels[items] == label) for items, label in rankings]))


def ties_by_index(codes: SavedCodes, order: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The same items of each ranking, equal distances in database order."""
    for code, items in zip(codes.query, order, strict=True):
        distance = (codes.database[items] != code).sum(axis=1)
        yield items[np.lexsort((items, distance))]


def _has_faiss() -> bool:
    return importlib.util.find_spec("faiss") is not None


def growth(sizes: list[str]) -> str:
    """The table of what `evaluate` costs at `sizes`, each in a process of its own that holds nothing else."""
    fresh = multiprocessing.get_context("spawn")
    rows = []
    for name in bar(sizes, "growing", unit="size"):
        with ProcessPoolExecutor(1, mp_context=fresh) as process:
            took, peak = process.submit(cost, *SIZES[name]).result()
        n_query, n_item, bits, _ = SIZES[name]
        per_pair = took / (n_query * n_item) * 1e9
        size = f"{n_query:,} x {n_item:,} x {bits}"
        rows.append([name, size, f"{took:.2f}", f"{per_pair:.2f}", "not told" if peak is None else f"{peak:.0f}"])
    return table(["database", "queries x items x bits", "seconds", "ns a pair", "MB beyond the inputs"], rows)


def cost(n_query: int, n_item: int, bits: int, n_label: int) -> tuple[float, float | None]:
    """Seconds, the better of two, and 10^6 bytes beyond the inputs that `evaluate` takes on random codes.

    Args:
        n_query: number of queries.
        n_item: number of database items.
        bits: code length.
        n_label: 0: one label of ten each; else sets of so many labels, with relevance "fraction".
    """
    rng = np.random.default_rng(0)
    arguments = [rng.integers(2, size=(n, bits), dtype=np.int8) for n in (n_query, n_item)]
    for codes in arguments:
        codes *= 2
        codes -= 1
    for n in (n_query, n_item):
        arguments.append(rng.random((n, n_label), np.float32) < 0.1 if n_label else rng.integers(10, size=n))
    options = {"k": min(K, n_item), "relevance": "fraction" if n_label else "share-one"}
    evaluate(*(part[:1000] for part in arguments), **options | {"k": 1})  # compiled, or read from the cache
    took = []
    peak = peak_megabytes(lambda: took.append(seconds(lambda: evaluate(*arguments, **options), CPU)))
    took.append(seconds(lambda: evaluate(*arguments, **options), CPU))
    return min(took), peak


def evaluation(sample: int, sizes: list[str]) -> str:
    """Time `evaluate` beside the others, and at `sizes`; returns the tables, written to results/benchmarks if
    they are whole.

    Args:
        sample: queries that the others are timed on, and compared on.
        sizes: names of `SIZES`.

    Raises:
        FileNotFoundError: the codes of the run are not on this machine.
    """
    codes = codes_of(committed().grid("fig_2b")[0], committed().store)
    n_query, bits = codes.query.shape
    packages = ["numpy", "numba", "scikit-learn", *(["faiss-cpu"] if _has_faiss() else [])]
    evaluate(*(part[:100] for part in codes))  # compiled, or read from the cache
    parts = (
        f"Codes of QSMI on Fashion-MNIST, {n_query:,} queries, {len(codes.database):,} items, {bits} bits. `evaluate`"
        f" gives every field: median of {REPEATS}.\nThe others give one number, timed on {sample} queries and scaled;"
        " on these the number as it comes, with equal distances\n"
        f"put in database order, and ours; whether the last two agree to {AGREE}.",
        machine(CPU, *packages),
        beside(codes, sample),
        "What `evaluate` costs on random codes, the better of two:",
        growth(sizes),
    )
    return save("evaluate", *parts) if sizes == list(SIZES) else "\n\n".join(parts) + "\n"
