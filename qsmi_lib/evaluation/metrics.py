"""`evaluate`: every score of this project, from codes and labels."""

import dataclasses
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from qsmi_lib.evaluation import numba_ranking, validation
from qsmi_lib.evaluation.packing import RELEVANCE, SHARED, Scan, kernel_rule, packed
from qsmi_lib.evaluation.ties import over_orders

# Limits of a chunk of queries
CHUNK_BYTES = 64 << 20  # bytes of the histograms and what is computed from them
CHUNK_PAIRS = 1 << 32  # pairs of a query and an item: a few seconds, which an interrupt may have to wait

# Definitions, and the convention of each score and option in one sentence: documents print them.
DEFINITIONS = """Scores of a Hamming ranking. Means are over the queries that have something relevant, in float64.

g is the gain of an item for a query. With `relevance="share-one"` it is 1 for relevant items and 0 for the others. With
"fraction" it is the fraction of the query's labels that the item has; even the ideal order then scores below 1. The
precision at rank r is the sum of the first r gains over r, the recall is their share of all gains, and
AP is $\\sum_r g_r P(r) / \\sum_r g_r$."""
RULES = {
    "map_11pt": "mean of the precision at the recalls nearest to 0, 0.1, ... 1 (the authors' rule, Eq. 22); of two "
    "equally near recalls the lower counts, of equal recalls the first rank; ties in database order.",
    "map": "mean AP over the whole ranking; ties by the option `ties`.",
    "map_expected": "mean AP over all orders of tied items.",
    "map_optimistic": "mean AP of the best order of tied items.",
    "map_pessimistic": "mean AP of the worst order of tied items.",
    "map_at_k": "{k: mean AP over the first k ranks with the denominator min(R, k)}, where R counts the items with a "
    "gain above 0; ties in database order.",
    "map_at_k_hits": "{k: mean AP over the first k ranks with the sum of their gains as denominator}; a query without "
    "gains there counts 0; ties in database order.",
    "precision_at_k": "{k: precision at rank k}; ties in database order.",
    "recall_at_k": "{k: recall at rank k}; ties in database order.",
    "precision_radius2": "precision among the items within Hamming distance 2; an empty ball counts 0.",
    "empty_radius2": "share of the queries with no item within Hamming distance 2.",
    "precision_at_recall": "(11,); the precisions whose mean is `map_11pt`; ties in database order.",
    "precision_recall_by_radius": "(bits + 1, 2); precision and recall of all query-item pairs within each Hamming "
    "distance; precision is 0 if there are no pairs.",
    "share_by_distance": "(bits + 1, 2); normalised histograms of the distances of relevant pairs, weighted by gain, "
    "and of the other pairs; a column sums to 1, or is 0 if there are no such pairs.",
    "ap": "(n_query,); AP of each query, ties by the option `ties`; nan if nothing is relevant.",
    "n_without_relevant": "number of queries with nothing relevant in the database; they are left out of all means.",
}
OPTION_RULES = {
    "k": "one or several ranks between 1 and n_database for the fields `..._at_k`.",
    "relevance": '"share-one": equal labels, or at least one shared label; "fraction": the fraction of the labels of '
    "the query that an item has.",
    "ties": '"index" ranks equal distances in database order; "expected" makes `ap` and `map` the mean over all orders '
    "of tied items, and changes no other field.",
}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores of a Hamming ranking, float64: means over the queries that have something relevant.

    `DEFINITIONS` and `RULES` of this module state how precision, recall, AP and each field are defined.

    Attributes:
        map_11pt: 11-point mAP, the paper's headline score.
        map: mAP over the whole ranking.
        map_expected: mAP, the mean over all orders of tied items.
        map_optimistic: mAP of the best order of tied items.
        map_pessimistic: mAP of the worst order of tied items.
        map_at_k: k -> mAP over the first k ranks, divided by min(R, k).
        map_at_k_hits: k -> mAP over the first k ranks, divided by the relevant items among them.
        precision_at_k: k -> precision at rank k.
        recall_at_k: k -> recall at rank k.
        precision_radius2: precision within Hamming distance 2; an empty ball counts 0.
        empty_radius2: share of the queries with an empty ball of radius 2.
        precision_at_recall: (11,), precision at recall 0, 0.1, ... 1.
        precision_recall_by_radius: (bits + 1, 2), precision and recall within each Hamming distance.
        share_by_distance: (bits + 1, 2), normalised histograms of the distances of relevant and of other pairs.
        ap: (n_query,), AP of each query; nan if nothing is relevant.
        n_without_relevant: number of queries with nothing relevant, which are left out of the means.
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
    share_by_distance: np.ndarray
    ap: np.ndarray
    n_without_relevant: int

    def to_record(self) -> dict:
        """The scores as JSON values, without `ap`, which has a value per query."""
        return {name: _as_json(value) for name, value in dataclasses.asdict(self).items() if name != "ap"}


def evaluate(
    query_codes: Tensor | ArrayLike,
    database_codes: Tensor | ArrayLike,
    query_labels: Tensor | ArrayLike,
    database_labels: Tensor | ArrayLike,
    *,
    k: int | Sequence[int] | None = None,
    relevance: str = "share-one",
    ties: str = "index",
    device: torch.device | str | None = None,
) -> Evaluation:
    """Score the Hamming ranking of the database for every query.

    The ranking is computed without sorting. Memory beyond the inputs stays below 500 MB for any number of queries,
    items and bits (more with "fraction" if queries have thousands of labels and codes thousands of bits).

    Args:
        query_codes: (n_query, bits) of -1 and +1, at least one query and one bit.
        database_codes: (n_database, bits) of -1 and +1, at least one item.
        query_labels: class numbers or text (n_query,), or multi-hot (n_query, c) of 0 and 1, dense or sparse. Labels
            in one column (n_query, 1) are (n_query,). Floats must be whole numbers.
        database_labels: (n_database,) or (n_database, c), as `query_labels`.
        k: one or several ranks between 1 and n_database for the fields `..._at_k`.
        relevance: "share-one" (equal labels, or at least one shared label) or "fraction" (the fraction of the labels
            of the query that an item has).
        ties: "index" ranks equal distances in database order; "expected" makes `ap` and `map` the mean over all
            orders of tied items, and changes no other field.
        device: where the ranking is computed; None is the device of `query_codes`. A CUDA device needs Triton; all
            other devices, and CUDA without Triton, use the CPU.

    Returns:
        The scores, NumPy float64.

    Raises:
        ValueError: codes with values other than -1 and +1 or of different lengths, labels of another number or kind,
            an unknown option or device, k out of range, more than 65,535 bits or labels, or nothing relevant to any
            query.
    """
    if relevance not in RELEVANCE:
        raise ValueError(f"relevance must be one of {RELEVANCE}, got {relevance!r}")
    if ties not in ("index", "expected"):
        raise ValueError(f"ties must be 'index' or 'expected', got {ties!r}")
    if device is None:
        device = query_codes.device if isinstance(query_codes, Tensor) else "cpu"
    kernels, device = _kernels(device)
    query_codes = validation.codes("query_codes", query_codes, device)
    database_codes = validation.codes("database_codes", database_codes, device)
    n_query, bits = query_codes.shape
    if database_codes.shape[1] != bits:
        raise ValueError(f"codes must have the same number of bits, got {bits} and {database_codes.shape[1]}")
    query_labels, database_labels = validation.label_pair(
        query_labels, database_labels, n_query, len(database_codes), device
    )
    ks = validation.cutoffs(k, len(database_codes))

    rule = kernel_rule(relevance, query_labels.ndim == 2)
    unit = query_labels.sum(1).clip(min=1) if rule == SHARED else np.ones(n_query, np.int64)
    n_gain = 1 + int(unit.max())
    unit = torch.as_tensor(unit, dtype=torch.float64, device=device)
    database = kernels.segments(database_codes, database_labels, device)
    rows = CHUNK_BYTES // (64 * ((bits + 1) * (1 + n_gain) + len(ks)))
    rows = max(1, min(rows, CHUNK_PAIRS // len(database_codes)))
    ap = np.full(n_query, np.nan)
    sums: dict[str, np.ndarray] = {}
    for first in range(0, n_query, rows):
        chunk = slice(first, first + rows)
        scan = kernels.scan(packed(query_codes[chunk], query_labels[chunk], device), database, rule, bits, n_gain, ks)
        scores, valid = _scores(scan, unit[chunk], ks)
        ap[chunk][valid] = scores["ap" if ties == "index" else "expected"].cpu()
        for name, values in scores.items():
            sums[name] = sums.get(name, 0) + values.sum(dim=0).cpu().numpy()
    n_valid = int((~np.isnan(ap)).sum())
    if not n_valid:
        raise ValueError(f"no query has anything relevant in the database: none of {n_query}")
    return _means(sums, n_valid, ap, ks)


def _kernels(device: torch.device | str) -> tuple[ModuleType, torch.device]:
    """The module of kernels for `device`, and the device they run on: the CPU if there are no kernels for `device`."""
    try:
        device = torch.device(device)
    except (RuntimeError, TypeError):
        raise ValueError(f"device must be a PyTorch device such as 'cpu' or 'cuda', got {device!r}") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device is {str(device)!r}, but PyTorch finds no CUDA device on this machine")
    if device.type == "cuda" and importlib.util.find_spec("triton"):
        from qsmi_lib.evaluation import triton_ranking  # imported here: not every machine has Triton

        return triton_ranking, device
    return numba_ranking, torch.device("cpu")


def _scores(scan: Scan, unit: Tensor, ks: np.ndarray) -> tuple[dict[str, Tensor], np.ndarray]:
    """The scores of each query that has something relevant, a row per query; and a mask of these queries."""
    device = scan.area.device
    gains = torch.arange(scan.histogram.shape[2], device=device)
    total = (scan.histogram * gains).sum(dim=(1, 2))
    valid = total > 0
    scan = Scan(*(field[valid] for field in scan))
    unit, total = unit[valid], total[valid].double()  # exact: integers
    within = scan.histogram.sum(dim=2).cumsum(dim=1)
    gain_within = (scan.histogram * gains).sum(dim=2).cumsum(dim=1) / unit[:, None]
    n_relevant = scan.histogram[:, :, 1:].sum(dim=(1, 2))

    tenths = torch.arange(11, device=device) * total[:, None]
    below, above = tenths - 10 * scan.before[..., 0], 10 * scan.reached[..., 0] - tenths
    earlier = (scan.reached[..., 1] > 1) & (below <= above)
    seen, rank = torch.where(earlier[..., None], scan.before, scan.reached).unbind(dim=-1)

    cut = torch.as_tensor(ks, device=device)
    area_at_k, gain_at_k = scan.area_at_k / unit[:, None] ** 2, scan.gain_at_k / unit[:, None]
    ball, gain_ball = (values[:, min(2, within.shape[1] - 1)] for values in (within, gain_within))
    scale = total * unit
    orders = over_orders(scan.histogram)
    return {
        "ap": scan.area / scale,
        "expected": orders.expected / scale,
        "optimistic": orders.optimistic / scale,
        "pessimistic": orders.pessimistic / scale,
        "precision_at_recall": seen / unit[:, None] / rank,
        "at_k": area_at_k / torch.minimum(n_relevant[:, None], cut),
        "at_k_hits": _quotient(area_at_k, gain_at_k),
        "precision_at_k": gain_at_k / cut,
        "recall_at_k": scan.gain_at_k / total[:, None],
        "precision_radius2": _quotient(gain_ball, ball),
        "empty_radius2": (ball == 0).double(),
        "within": within,
        "gain_within": gain_within,
    }, valid.cpu().numpy()


def _means(sums: dict[str, np.ndarray], n_valid: int, ap: np.ndarray, ks: np.ndarray) -> Evaluation:
    """The scores, from their sums over the `n_valid` queries that have something relevant."""
    pairs, gain_pairs = sums.pop("within"), sums.pop("gain_within")
    mean = {name: values / n_valid for name, values in sums.items()}

    def by_k(name: str) -> dict[int, float]:
        return dict(zip(ks.tolist(), mean[name].tolist(), strict=True))

    return Evaluation(
        map_11pt=float(mean["precision_at_recall"].mean()),
        map=float(np.nanmean(ap)),
        map_expected=float(mean["expected"]),
        map_optimistic=float(mean["optimistic"]),
        map_pessimistic=float(mean["pessimistic"]),
        map_at_k=by_k("at_k"),
        map_at_k_hits=by_k("at_k_hits"),
        precision_at_k=by_k("precision_at_k"),
        recall_at_k=by_k("recall_at_k"),
        precision_radius2=float(mean["precision_radius2"]),
        empty_radius2=float(mean["empty_radius2"]),
        precision_at_recall=mean["precision_at_recall"],
        precision_recall_by_radius=np.stack([gain_pairs / np.maximum(pairs, 1), gain_pairs / gain_pairs[-1]], axis=1),
        share_by_distance=np.diff(
            np.stack([_share(gain_pairs), _share(pairs - gain_pairs)], axis=1), axis=0, prepend=0.0
        ),
        ap=ap,
        n_without_relevant=len(ap) - n_valid,
    )


def _share(cumulative: np.ndarray) -> np.ndarray:
    """Cumulative sums divided by the last one; 0 if it is 0."""
    return cumulative / max(cumulative[-1], 1e-300)


def _as_json(value: float | dict[int, float] | np.ndarray) -> float | dict[str, float] | list:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return {str(k): score for k, score in value.items()} if isinstance(value, dict) else value


def _quotient(numerator: Tensor, denominator: Tensor) -> Tensor:
    """numerator / denominator, and 0 where both are 0."""
    return torch.where(denominator > 0, numerator / denominator, 0.0)
