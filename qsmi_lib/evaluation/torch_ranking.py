"""`ranking.scan` in PyTorch operations, for codes that lie on another device than the CPU."""

import numpy as np
import torch
from torch import Tensor

from qsmi_lib.evaluation.ranking import Scan

PAIRS = 1 << 24  # query-database pairs at a time: about 1 GB


def scan(
    query_codes: Tensor,
    database_codes: Tensor,
    query_labels: Tensor,
    database_labels: Tensor,
    graded: bool,
    ks: np.ndarray,
) -> Scan:
    """Rank the whole database for each query where the tensors lie; the definition and the result of `ranking.scan`.

    Args:
        query_codes: (n_query, bits) of -1 and +1.
        database_codes: (n_database, bits).
        query_labels: int (n_query,), or multi-hot (n_query, c).
        database_labels: likewise.
        graded: whether a gain is the number of shared labels.
        ks: int64 (n_k,), ascending.
    """
    n_gain = 1 + (max(1, int(query_labels.sum(dim=1).max())) if graded else 1)
    rows = max(1, PAIRS // len(database_codes))
    parts = [
        _scan(codes, database_codes, labels, database_labels, graded, n_gain, ks)
        for codes, labels in zip(query_codes.split(rows), query_labels.split(rows), strict=True)
    ]
    return Scan(*(torch.cat(field).cpu().numpy() for field in zip(*parts, strict=True)))


def _scan(query_codes, database_codes, query_labels, database_labels, graded, n_gain, ks) -> tuple[Tensor, ...]:
    n_query, bits = query_codes.shape
    device = query_codes.device
    distance = ((bits - query_codes.float() @ database_codes.float().T) / 2).round().long()
    if query_labels.ndim == 1:
        gain = (query_labels[:, None] == database_labels[None, :]).long()
    else:
        gain = (query_labels.float() @ database_labels.float().T).round().long()
        gain = gain if graded else gain.clamp(max=1)
    unit = query_labels.sum(dim=1).clamp(min=1) if graded else torch.ones(n_query, device=device, dtype=torch.long)
    cell = (torch.arange(n_query, device=device)[:, None] * (bits + 1) + distance) * n_gain + gain
    histogram = torch.bincount(cell.flatten(), minlength=n_query * (bits + 1) * n_gain)

    gain = gain.gather(1, distance.argsort(dim=1, stable=True))
    seen = gain.cumsum(dim=1)
    total = seen[:, -1:]
    rank = torch.arange(1, gain.shape[1] + 1, device=device, dtype=torch.float64)
    scale = unit[:, None].double()  # whole numbers divided by whole numbers would be float32
    precision = seen / scale / rank
    area = (gain / scale * precision).cumsum(dim=1)
    # argmin gives the first of equal values: the first rank with the nearest recall.
    nearest = torch.stack([(10 * seen - level * total).abs().argmin(dim=1) for level in range(11)], dim=1)
    at_recall = torch.where(total > 0, precision.gather(1, nearest), 0.0)
    at_k = torch.as_tensor(ks - 1, device=device)
    ap = torch.where(total[:, 0] > 0, area[:, -1] / (total / scale)[:, 0], torch.nan)
    return ap, at_recall, area[:, at_k], seen[:, at_k] / scale, histogram.view(n_query, bits + 1, n_gain)
