"""Effect of the order inside ties on each score: the codes of one run, with the database in many orders."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from qsmi_lib.evaluation import Evaluation, evaluate
from qsmi_lib.reproduction.artefacts import save_artefact
from qsmi_lib.reproduction.results import Results
from qsmi_lib.training.records import SavedCodes, codes_of, run_id
from qsmi_lib.utils.progress import bar

MOVED = ("map_11pt", "map", "map_at_k", "map_at_k_hits", "precision_at_k")  # fields of `Evaluation` that ties move
FREE = ("map_expected", "map_optimistic", "map_pessimistic", "precision_radius2", "empty_radius2")  # and do not move
FILE = "tie_orders.json"


def tie_orders(codes: SavedCodes, *, n_permutations: int = 20, seed: int = 0) -> dict:
    """Every score of `codes` that ties move, under several orders of the database; equal distances rank by index.

    Args:
        codes: int8 (n, bits) with int labels (n,).
        n_permutations: how many random orders, at least one.
        seed: of the random orders.

    Returns:
        As JSON holds it, scores rounded to eight digits: `n_query`, `n_database`; `n_query_codes`, how many of the
        queries' codes are distinct; `k`, the cut-off of the fields `..._at_k`: 5,000, or a tenth of a smaller
        database; `stored`, `sorted` (by class, ascending), `first` and `last` (inside ties each query's relevant items
        first, or last): field -> score; `permuted`: field -> a score for each random order; `at_recall`: the lowest
        and the highest `precision_at_recall` over these, 11 levels each; `order_free`: the fields `FREE` -> score;
        `gain_by_class`: for the queries of each class, ascending, mean AP of the sorted database less mean AP over
        all orders.

    Raises:
        ValueError: multi-hot labels, or no random order.
    """
    query, database, query_labels, labels = map(np.asarray, codes)
    if query_labels.ndim != 1 or labels.ndim != 1:
        raise ValueError(f"labels must have shape (n,), one class an item, got {query_labels.shape} and {labels.shape}")
    if n_permutations < 1:
        raise ValueError(f"n_permutations must be at least 1, got {n_permutations}")
    k = 5000 if len(labels) >= 5000 else max(1, len(labels) // 10)
    classes, rng = np.intersect1d(query_labels, labels), np.random.default_rng(seed)

    def scores(order: np.ndarray, queries: np.ndarray | slice = slice(None)) -> Evaluation:
        return evaluate(query[queries], database[order], query_labels[queries], labels[order], k=k)

    def by_query(order: Callable[[int], np.ndarray]) -> dict[str, float]:
        """Scores where the order of the database depends on the query's class."""
        parts = [moved(scores(order(name), query_labels == name)) for name in classes]
        n_query = [(query_labels == name).sum() for name in classes]
        return {field: _rounded(np.average([part[field] for part in parts], weights=n_query)) for field in MOVED}

    def moved(evaluation: Evaluation) -> dict[str, float]:
        values = {field: getattr(evaluation, field) for field in MOVED}
        return {field: _rounded(value[k] if isinstance(value, dict) else value) for field, value in values.items()}

    stored, by_class = scores(np.arange(len(labels))), scores(np.argsort(labels, kind="stable"))
    shuffles = bar(range(n_permutations), "random orders", unit="order")
    permuted = [scores(rng.permutation(len(labels))) for _ in shuffles]
    at_recall = np.array([one.precision_at_recall for one in permuted])
    gain = by_class.ap - evaluate(*codes, ties="expected").ap
    return {
        "n_query": len(query_labels),
        "n_database": len(labels),
        "n_query_codes": len(np.unique(query, axis=0)),
        "k": k,
        "stored": moved(stored),
        "sorted": moved(by_class),
        "first": by_query(lambda name: np.argsort(labels != name, kind="stable")),
        "last": by_query(lambda name: np.argsort(labels == name, kind="stable")),
        "permuted": {field: [moved(one)[field] for one in permuted] for field in MOVED},
        "at_recall": [[_rounded(p) for p in bound] for bound in (at_recall.min(axis=0), at_recall.max(axis=0))],
        "order_free": {field: _rounded(getattr(stored, field)) for field in FREE},
        "gain_by_class": [_rounded(gain[query_labels == name].mean()) for name in classes],
    }


def of_runs(results: Results, *, n_permutations: int = 20, seed: int = 0) -> dict:
    """`tie_orders` of every run of the experiment "tie_order", written as an artefact.

    Returns:
        `n_permutations`, `permutation_seed`, and `runs`: for each its `run` (the id), `dataset`, `method`, `bits` and
        `seed`, then what `tie_orders` says.

    Raises:
        FileNotFoundError: the codes of a run are not on this machine.
    """
    runs = []
    for config in results.grid("tie_order"):
        names = {name: getattr(config, name) for name in ("dataset", "method", "bits", "seed")}
        measured = tie_orders(codes_of(config, results.store), n_permutations=n_permutations, seed=seed)
        runs.append({"run": run_id(config)} | names | measured)
    scores = {"n_permutations": n_permutations, "permutation_seed": seed, "runs": runs}
    save_artefact(results.store, FILE, scores, made_by(results, n_permutations, seed))
    return scores


def made_by(results: Results, n_permutations: int = 20, seed: int = 0) -> dict:
    """The runs and settings that `of_runs` is made from."""
    runs = [run_id(config) for config in results.grid("tie_order")]
    return {"runs": runs, "n_permutations": n_permutations, "permutation_seed": seed}


def spread(scores: dict) -> pd.DataFrame:
    """One row a code length and score: `bits`, `score`, `last`, `low` and `high` (the least and the greatest of the
    random orders), `stored`, `sorted`, `first`, and `width`, which is `first` less `last`.

    Args:
        scores: what `of_runs` returned.
    """  # fmt: skip
    rows = []
    for run in scores["runs"]:
        for field in MOVED:
            name = f"{field}[{run['k']}]" if field.endswith(("_at_k", "_hits")) else field
            random = {"low": min(run["permuted"][field]), "high": max(run["permuted"][field])}
            ordered = {order: run[order][field] for order in ("stored", "sorted", "first")}
            row = {"bits": run["bits"], "score": name, "last": run["last"][field]} | random | ordered
            rows.append(row | {"width": row["first"] - row["last"]})
    return pd.DataFrame(rows)


def _rounded(score: float) -> float:
    """Eight digits: more than any table shows, fewer than the order of a sum moves."""
    return round(float(score), 8)
