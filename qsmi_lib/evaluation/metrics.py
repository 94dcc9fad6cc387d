"""`evaluate`: every number of this project, from codes and labels."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from qsmi_lib.codes import pack
from qsmi_lib.evaluation import ranking, torch_ranking
from qsmi_lib.evaluation.relevance import RULES, gains

HISTOGRAM_CELLS = 1 << 23  # histogram cells held at a time, 8 bytes each; queries are taken in chunks of that


@dataclass(frozen=True)
class Evaluation:
    r"""Scores of a Hamming ranking. Means are over the queries that have something relevant, in float64.

    Below, g is an item's gain: 1 or 0 under "share-one", the share of the query's labels that it carries under
    "fraction" (there even the ideal order scores below 1). Precision at rank r is the sum of the first r gains over r,
    recall their share of all gains; AP is :math:`\sum_r g_r P(r) / \sum_r g_r`.

    Attributes:
        map_11pt: mean over the recall levels 0, 0.1, ... 1 of the precision at the recall nearest to the level, at the
            first such rank, the lower recall where two are as near (the authors' rule, Eq. 22).
        map: mean AP over the whole ranking; equal distances by `ties`.
        map_expected: mean AP over all orders of tied items.
        map_optimistic: mean AP of the best order inside ties.
        map_pessimistic: mean AP of the worst order inside ties.
        map_at_k: {k: the AP sum over k ranks, over min(R, k)}, R counting the items with a gain above 0.
        map_at_k_hits: {k: the same sum over the gains in the top k}; a query without any counts 0.
        precision_at_k: {k: precision at rank k}.
        recall_at_k: {k: recall at rank k}.
        precision_radius2: precision among the items within Hamming distance 2; an empty ball counts 0.
        empty_radius2: share of the queries with nothing within distance 2.
        precision_at_recall: (11,), what `map_11pt` is the mean of.
        precision_recall_by_radius: (bits + 1, 2); precision and recall of all query-item pairs within each radius
            taken together; precision is 0 where there are none.
        ap: (n_query,), AP of each query by `ties`; nan where nothing is relevant.
        n_without_relevant: queries with nothing relevant in the database; they are in no mean.
    """

    map_11pt: float
    map: float
    map_expected: float
    map_optimistic: float
    map_pessimistic: float
    map_at_k: dict[int, float]
    map_at_k_hits: dict[int, float]
    precision_at_k: dict[int, float]
    recall_at_k: dict[int, float]
    precision_radius2: float
    empty_radius2: float
    precision_at_recall: np.ndarray
    precision_recall_by_radius: np.ndarray
    ap: np.ndarray
    n_without_relevant: int

    def to_record(self) -> dict:
        """The scores as JSON holds them, but for `ap`, which is as long as there are queries."""
        values = dataclasses.asdict(self)
        del values["ap"]
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else {str(k): v for k, v in value.items()}
            if isinstance(value, dict) else value
            for name, value in values.items()
        }  # fmt: skip


def evaluate(
    query_codes: Tensor | ArrayLike,
    database_codes: Tensor | ArrayLike,
    query_labels: Tensor | ArrayLike,
    database_labels: Tensor | ArrayLike,
    *,
    k: int | list[int] | None = None,
    relevance: str = "share-one",
    ties: str = "index",
    device: torch.device | str | None = None,
) -> Evaluation:
    """Score the Hamming ranking of the database for every query.

    Args:
        query_codes: (n_query, bits) of -1 and +1, at least one query and one bit.
        database_codes: (n_database, bits) of -1 and +1, at least one item.
        query_labels: int (n_query,), or multi-hot (n_query, c) of 0 and 1.
        database_labels: int (n_database,), or multi-hot (n_database, c), as the queries' labels.
        k: one or several cut-offs between 1 and n_database for the fields `..._at_k`.
        relevance: "share-one" (equal labels, or at least one shared) or "fraction" (see `Evaluation`).
        ties: "index" ranks equal distances in database order; "expected" makes `ap` and `map` the mean over all
            orders of tied items. The other fields do not change.
        device: where the ranking is computed; None is where `query_codes` lie.

    Returns:
        `Evaluation`, NumPy float64.

    Raises:
        ValueError: codes with other values than -1 and +1 or of other lengths, labels of another number or kind, an
            unknown rule, k out of range, or no query with anything relevant.
    """
    if relevance not in RULES:
        raise ValueError(f"relevance must be one of {RULES}, got {relevance!r}")
    if ties not in ("index", "expected"):
        raise ValueError(f"ties must be 'index' or 'expected', got {ties!r}")
    if device is None:
        device = query_codes.device if isinstance(query_codes, Tensor) else "cpu"
    query_codes, database_codes = _codes("query_codes", query_codes), _codes("database_codes", database_codes)
    if query_codes.shape[1] != database_codes.shape[1]:
        raise ValueError(f"codes must be of one length, got {query_codes.shape[1]} and {database_codes.shape[1]} bits")
    query_labels = _labels("query_labels", query_labels, len(query_codes))
    database_labels = _labels("database_labels", database_labels, len(database_codes))
    if query_labels.shape[1:] != database_labels.shape[1:]:
        raise ValueError(f"labels must be of one kind, got shapes {query_labels.shape} and {database_labels.shape}")
    ks = _cutoffs(k, len(database_codes))
    inputs = query_codes, database_codes, query_labels, database_labels
    parts = list(_chunks(*inputs, relevance == "fraction", ks, torch.device(device)))
    per_query = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return _summary(per_query, ks, ties)


def _chunks(query_codes, database_codes, query_labels, database_labels, graded, ks, device):
    """Per-query numbers as dicts of arrays, chunk by chunk, so that the histograms stay small."""
    graded = graded and query_labels.ndim == 2
    bits = query_codes.shape[1]
    largest = max(1, int(query_labels.sum(axis=1).max())) if graded else 1
    rows = max(1, HISTOGRAM_CELLS // ((bits + 1) * (largest + 1)))
    on_cpu = device.type == "cpu"
    if on_cpu:
        database = pack(database_codes)
    else:
        database, labels = (torch.as_tensor(a, device=device) for a in (database_codes, database_labels))
    for first in range(0, len(query_codes), rows):
        codes, own_labels = query_codes[first : first + rows], query_labels[first : first + rows]
        worth = gains(own_labels, database_labels, graded)
        if on_cpu:
            scan = ranking.scan(pack(codes), database, bits, worth, ks)
        else:
            moved = torch.as_tensor(codes, device=device), torch.as_tensor(own_labels, device=device)
            scan = torch_ranking.scan(moved[0], database, moved[1], labels, graded, ks)
        yield _per_query(scan, worth.unit)


def _per_query(scan: ranking.Scan, unit: np.ndarray) -> dict[str, np.ndarray]:
    """What the means are taken of: one row a query."""
    by_level = scan.histogram.sum(axis=2)
    gain_by_level = scan.histogram @ np.arange(scan.histogram.shape[2]) / unit[:, None]
    over_orders = ranking.ties(scan.histogram, unit)
    return {
        "ap": scan.ap,
        "precision_at_recall": scan.precision_at_recall,
        "ap_at_k": scan.ap_at_k,
        "gain_at_k": scan.gain_at_k,
        "within": by_level.cumsum(axis=1),
        "gain_within": gain_by_level.cumsum(axis=1),
        "n_relevant": scan.histogram[:, :, 1:].sum(axis=(1, 2)),
        "expected": over_orders.expected,
        "optimistic": over_orders.optimistic,
        "pessimistic": over_orders.pessimistic,
    }


def _summary(rows: dict[str, np.ndarray], ks: np.ndarray, ties: str) -> Evaluation:
    """Means over the queries that have something relevant."""
    valid = rows["n_relevant"] > 0
    if not valid.any():
        raise ValueError(f"no query has anything relevant in the database: none of {len(valid)}")
    ap = rows["expected"] if ties == "expected" else rows["ap"]
    n_without_relevant = int((~valid).sum())
    kept = {name: values[valid] for name, values in rows.items()}
    within, gain_within = kept["within"], kept["gain_within"]
    total = gain_within[:, -1:]
    radius = min(2, within.shape[1] - 1)
    ball = within[:, radius]
    pairs, gain_pairs = within.sum(axis=0), gain_within.sum(axis=0)
    at_k, gain_at_k = kept["ap_at_k"], kept["gain_at_k"]
    least = np.minimum(kept["n_relevant"][:, None], ks)

    def by_k(values: np.ndarray) -> dict[int, float]:
        return dict(zip(ks.tolist(), values.mean(axis=0).tolist(), strict=True))

    return Evaluation(
        map_11pt=float(kept["precision_at_recall"].mean()),
        map=float(ap[valid].mean()),
        map_expected=float(kept["expected"].mean()),
        map_optimistic=float(kept["optimistic"].mean()),
        map_pessimistic=float(kept["pessimistic"].mean()),
        map_at_k=by_k(at_k / least),
        map_at_k_hits=by_k(_quotient(at_k, gain_at_k)),
        precision_at_k=by_k(gain_at_k / ks),
        recall_at_k=by_k(gain_at_k / total),
        precision_radius2=float(_quotient(gain_within[:, radius], ball).mean()),
        empty_radius2=float((ball == 0).mean()),
        precision_at_recall=kept["precision_at_recall"].mean(axis=0),
        precision_recall_by_radius=np.stack([_quotient(gain_pairs, pairs), gain_pairs / gain_pairs[-1]], axis=1),
        ap=ap,
        n_without_relevant=n_without_relevant,
    )


def _quotient(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, and 0 where both are 0."""
    return np.divide(above, below, out=np.zeros(above.shape), where=below > 0)


def _array(values: Tensor | ArrayLike) -> np.ndarray:
    if not isinstance(values, Tensor):
        return np.asarray(values)
    values = values.detach().cpu()
    return (values.float() if values.dtype == torch.bfloat16 else values).numpy()  # NumPy has no bfloat16


def _codes(name: str, codes: Tensor | ArrayLike) -> np.ndarray:
    """`codes` as int8, checked."""
    codes = _array(codes)
    if codes.ndim != 2 or 0 in codes.shape:
        raise ValueError(f"{name} must have shape (n, bits) with at least one item and one bit, got {codes.shape}")
    other = (codes != 1) & (codes != -1)
    if other.any():
        got = codes[other][0]
        raise ValueError(f"{name} must hold -1 and +1 only, got {got}; make codes with qsmi_lib.codes.binarize")
    return codes.astype(np.int8)


def _labels(name: str, labels: Tensor | ArrayLike, n: int) -> np.ndarray:
    """`labels` as int64, checked."""
    labels = _array(labels)
    if labels.ndim not in (1, 2) or labels.dtype.kind not in ("i", "u", "b"):
        got = f"{labels.dtype} of shape {labels.shape}"
        raise ValueError(f"{name} must be integers (n,) or integer or bool multi-hot (n, c), got {got}")
    if len(labels) != n:
        raise ValueError(f"{name} must have one row per code: expected {n}, got {len(labels)}")
    other = (labels != 0) & (labels != 1)
    if labels.ndim == 2 and other.any():
        raise ValueError(f"{name} of shape (n, c) must hold 0 and 1 only, got {labels[other][0]}")
    return labels.astype(np.int64)


def _cutoffs(k: int | list[int] | None, n_database: int) -> np.ndarray:
    """`k` as an ascending int64 array."""
    ks = [] if k is None else [k] if np.ndim(k) == 0 else list(k)
    for value in ks:
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 1 <= value <= n_database:
            raise ValueError(f"k must be whole numbers between 1 and the {n_database} database items, got {value!r}")
    return np.array(sorted(set(ks)), np.int64)
