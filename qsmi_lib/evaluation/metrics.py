"""`evaluate`: every number of this project, from codes and labels."""

import dataclasses
import importlib.util
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from qsmi_lib.evaluation import numba_ranking, validation
from qsmi_lib.evaluation.packing import RULES, SHARED, Scan, kernel_rule, packed
from qsmi_lib.evaluation.ties import over_orders

CHUNK_BYTES = 64 << 20  # of the histograms at a time, and what is computed from them; queries are taken in chunks
CHUNK_PAIRS = 1 << 32  # of a query and an item at a time: a few seconds, after which an interrupt is heard


@dataclass(frozen=True, eq=False)
class Evaluation:
    r"""Scores of a Hamming ranking. Means are over the queries that have something relevant, in float64.

    Below, g is an item's gain: 1 or 0 under "share-one", the share of the query's labels that it carries under
    "fraction" (there even the ideal order scores below 1). Precision at rank r is the sum of the first r gains over r,
    recall their share of all gains; AP is :math:`\sum_r g_r P(r) / \sum_r g_r`.

    Attributes:
        map_11pt: mean over the recall levels 0, 0.1, ... 1 of the precision at the recall nearest to the level, at the
            first such rank, the lower recall where two are as near (the authors' rule, Eq. 22); ties in database
            order.
        map: mean AP over the whole ranking; equal distances by `ties`.
        map_expected: mean AP over all orders of tied items.
        map_optimistic: mean AP of the best order inside ties.
        map_pessimistic: mean AP of the worst order inside ties.
        map_at_k: {k: the AP sum over k ranks, over min(R, k)}, R counting the items with a gain above 0; ties in
            database order.
        map_at_k_hits: {k: the same sum over the gains in the top k}; a query without any counts 0; ties in database
            order.
        precision_at_k: {k: precision at rank k}; ties in database order.
        recall_at_k: {k: recall at rank k}; ties in database order.
        precision_radius2: precision among the items within Hamming distance 2; an empty ball counts 0.
        empty_radius2: share of the queries with nothing within distance 2.
        precision_at_recall: (11,), what `map_11pt` is the mean of; ties in database order.
        precision_recall_by_radius: (bits + 1, 2); precision and recall of all query-item pairs within each radius
            taken together; precision is 0 where there are none.
        share_by_distance: (bits + 1, 2); how the relevant query-item pairs (weighted by gain) and the other ones are
            spread over the distances 0, 1, ... bits: each column sums to 1, or is 0 where there are no such pairs.
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
    share_by_distance: np.ndarray
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

    Nothing is sorted, and what is held beyond the inputs stays below 500 MB at any number of queries, items and bits
    (under "fraction" more, where queries have thousands of labels and codes thousands of bits).

    Args:
        query_codes: (n_query, bits) of -1 and +1, at least one query and one bit.
        database_codes: (n_database, bits) of -1 and +1, at least one item.
        query_labels: int (n_query,), or multi-hot (n_query, c) of 0 and 1.
        database_labels: int (n_database,), or multi-hot (n_database, c), as the queries' labels.
        k: one or several cut-offs between 1 and n_database for the fields `..._at_k`.
        relevance: "share-one" (equal labels, or at least one shared) or "fraction" (see `Evaluation`).
        ties: "index" ranks equal distances in database order; "expected" makes `ap` and `map` the mean over all
            orders of tied items. The other fields do not change.
        device: where the ranking is computed; None is where `query_codes` lie. On a CUDA device all of it stays there,
            ties included; for any other device, and without Triton, the CPU does it.

    Returns:
        `Evaluation`, NumPy float64.

    Raises:
        ValueError: codes with other values than -1 and +1 or of other lengths, labels of another number or kind, an
            unknown rule or device, k out of range, more than 65,535 bits or labels, or no query with anything relevant.
    """
    if relevance not in RULES:
        raise ValueError(f"relevance must be one of {RULES}, got {relevance!r}")
    if ties not in ("index", "expected"):
        raise ValueError(f"ties must be 'index' or 'expected', got {ties!r}")
    if device is None:
        device = query_codes.device if isinstance(query_codes, Tensor) else "cpu"
    kernels, device = _kernels(device)
    query_codes = validation.codes("query_codes", query_codes, device)
    database_codes = validation.codes("database_codes", database_codes, device)
    n_query, bits = query_codes.shape
    if database_codes.shape[1] != bits:
        raise ValueError(f"codes must be of one length, got {bits} and {database_codes.shape[1]} bits")
    query_labels = validation.labels("query_labels", query_labels, n_query, device)
    database_labels = validation.labels("database_labels", database_labels, len(database_codes), device)
    if query_labels.shape[1:] != database_labels.shape[1:]:
        shapes = f"{tuple(query_labels.shape)} and {tuple(database_labels.shape)}"
        raise ValueError(f"labels must be of one kind, got shapes {shapes}")
    ks = validation.cutoffs(k, len(database_codes))

    rule = kernel_rule(relevance, query_labels.ndim == 2)
    unit = query_labels.sum(axis=1).clip(min=1) if rule == SHARED else np.ones(n_query, np.int64)
    n_gain = 1 + int(unit.max())
    unit = torch.as_tensor(unit, dtype=torch.float64, device=device)
    database = kernels.segments(database_codes, database_labels, device)
    rows = CHUNK_BYTES // (64 * ((bits + 1) * (1 + n_gain) + len(ks)))
    rows = max(1, min(rows, CHUNK_PAIRS // len(database_codes)))
    ap, sums = np.full(n_query, np.nan), {}
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
    """What ranks on `device`, and where it does so: the CPU stands in where a device has no kernels of its own."""
    try:
        device = torch.device(device)
    except (RuntimeError, TypeError):
        raise ValueError(f"device must be one of PyTorch's, such as 'cpu' or 'cuda', got {device!r}") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device is {str(device)!r}, but PyTorch finds no CUDA device on this machine")
    if device.type == "cuda" and importlib.util.find_spec("triton"):
        from qsmi_lib.evaluation import triton_ranking  # not every machine has Triton

        return triton_ranking, device
    return numba_ranking, torch.device("cpu")


def _scores(scan: Scan, unit: Tensor, ks: np.ndarray) -> tuple[dict[str, Tensor], np.ndarray]:
    """What the means are taken of, a row for each query that has something relevant; and which queries have."""
    device = scan.area.device
    gains = torch.arange(scan.histogram.shape[2], device=device)
    total = (scan.histogram * gains).sum(dim=(1, 2))
    valid = total > 0
    scan = Scan(*(field[valid] for field in scan))
    unit, total = unit[valid], total[valid].double()  # whole numbers, exact
    within = scan.histogram.sum(dim=2).cumsum(dim=1)
    gain_within = (scan.histogram * gains).sum(dim=2).cumsum(dim=1) / unit[:, None]
    n_relevant = scan.histogram[:, :, 1:].sum(dim=(1, 2))

    tenths = torch.arange(11, device=device) * total[:, None]
    short, beyond = tenths - 10 * scan.before[..., 0], 10 * scan.reached[..., 0] - tenths
    earlier = (scan.reached[..., 1] > 1) & (short <= beyond)
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
    """The sums over the queries that have something relevant, divided by their number."""
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
    """Cumulative sums over their last; 0 where that is 0."""
    return cumulative / max(cumulative[-1], 1e-300)


def _quotient(above: Tensor, below: Tensor) -> Tensor:
    """above / below, and 0 where both are 0."""
    return torch.where(below > 0, above / below, 0.0)
