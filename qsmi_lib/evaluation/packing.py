"""What the ranking kernels take and give: codes and labels packed into 64-bit words, and statistics of each query.

`numba_ranking` runs on the CPU, `triton_ranking` on a GPU. Both compare every query with every item, and sort nothing:
the rank of an item is the number of items at smaller distances plus its position, in database order, among the items
at its own distance. Gains are integers, so that sums of gains, nearness of recall and histograms are exact; only
quotients are float64.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from qsmi_lib.codes import pack

RULES = ("share-one", "fraction")  # as `evaluate` takes them
EQUAL, ANY, SHARED = range(3)  # as the kernels take them; a gain is 1 for equal labels, for any shared, or their number
BLOCK_BYTES = 1 << 20  # of unpacked input at a time
ROOM = 160 << 20  # bytes of the packed database at a time
COUNTABLE = 1 << 20  # values of single labels that are counted


class Items(NamedTuple):
    """Packed items, a column each.

    Attributes:
        codes: int64 (words, n); the signs of a code, 64 a word.
        labels: int64 (words, n); the label, or a multi-hot row, 64 labels a word.
    """

    codes: Tensor
    labels: Tensor


class Scan(NamedTuple):
    """What a ranking leaves of each query, ties in database order, before anything is divided by a total.

    Attributes:
        histogram: int64 (n_query, bits + 1, n_gain); items by distance and gain.
        area: float64 (n_query,); sum over ranks of the gain times the gains so far, over the rank.
        reached: int64 (n_query, 11, 2); gains so far and rank where recall first is at least 0, 0.1, ... 1 and not 0.
        before: int64 (n_query, 11, 2); the same at the relevant item before that one, (0, 1) where there is none.
        area_at_k: float64 (n_query, n_k); `area` over the first k ranks.
        gain_at_k: int64 (n_query, n_k); gains of the first k ranks.
    """

    histogram: Tensor
    area: Tensor
    reached: Tensor
    before: Tensor
    area_at_k: Tensor
    gain_at_k: Tensor


def kernel_rule(relevance: str, multi_hot: bool) -> int:
    """The rule as the kernels take it; with single labels "share-one" and "fraction" say the same."""
    return (SHARED if relevance == "fraction" else ANY) if multi_hot else EQUAL


def blocks(values: np.ndarray | Tensor) -> Iterator[np.ndarray | Tensor]:
    """The rows of `values` a megabyte at a time, so that what is computed of them stays small."""
    rows = max(1, BLOCK_BYTES // (values.dtype.itemsize * max(1, int(np.prod(values.shape[1:])))))
    return (values[first : first + rows] for first in range(0, len(values), rows))


def packed(codes: np.ndarray | Tensor, labels: np.ndarray | Tensor, device: torch.device) -> Items:
    """Checked codes (n, bits) and labels (n,) or (n, c), packed where they lie, then moved to `device`."""
    words = _words(codes), _words(labels) if labels.ndim == 2 else _long(labels)[None]
    return Items(*(part.to(device).contiguous() for part in words))  # the kernels step by one


def _long(labels: np.ndarray | Tensor) -> Tensor:
    return labels.long() if isinstance(labels, Tensor) else torch.from_numpy(labels.astype(np.int64))


def _words(values: np.ndarray | Tensor) -> Tensor:
    if isinstance(values, Tensor):
        return torch.cat([_device_words(block > 0) for block in blocks(values)], dim=1)
    words = np.empty((-(-values.shape[1] // 64), len(values)), np.int64)
    first = 0
    for block in blocks(values):
        words[:, first : first + len(block)] = pack(block).view(np.int64).T
        first += len(block)
    return torch.from_numpy(words)


def _device_words(ones: Tensor) -> Tensor:
    """`codes.pack` on the device of `ones`, bool (n, c); in another order of bits, which no count notices."""
    octets = torch.nn.functional.pad(ones.to(torch.uint8), (0, -ones.shape[1] % 64)).view(len(ones), -1, 8)
    weights = 2 ** torch.arange(8, dtype=torch.uint8, device=ones.device)
    return (octets * weights).sum(dim=-1, dtype=torch.uint8).view(torch.int64).T


def _most_relevant(labels: np.ndarray | Tensor) -> int:
    """No query finds more relevant items than this among the labels (n,) or (n, c)."""
    if labels.ndim == 2 or isinstance(labels, Tensor):
        return len(labels)
    low, high = int(labels.min()), int(labels.max())
    if high - low >= COUNTABLE:
        return len(labels)
    counts = (np.bincount(block.astype(np.int64) - low, minlength=high - low + 1) for block in blocks(labels))
    return int(sum(counts).max())


class Segments:
    """The database packed, a sequence of segments that cover it in order.

    All segments are kept where they fit into ROOM; where they do not, each is packed anew whenever it is asked for.

    Args:
        codes: (n, bits), checked.
        labels: (n,) or (n, c), checked.
        device: where the words go.
        relevant: largest number of relevant items of a segment, if there is one.

    Attributes:
        most_relevant: what no query finds more of in a segment.
    """

    def __init__(self, codes, labels, device: torch.device, relevant: int | None = None):
        words = -(-codes.shape[1] // 64) + (-(-labels.shape[1] // 64) if labels.ndim == 2 else 1)
        size = fitting = max(1, ROOM // (8 * words))
        self.most_relevant = _most_relevant(labels)
        if relevant is not None and self.most_relevant > relevant:
            size = min(relevant, fitting)
        self.most_relevant = min(self.most_relevant, size)
        parts = (slice(start, start + size) for start in range(0, len(codes), size))
        self._parts = [(codes[part], labels[part], device) for part in parts]
        self._kept = [packed(*part) for part in self._parts] if len(codes) <= fitting else None

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, number: int) -> Items:
        return packed(*self._parts[number]) if self._kept is None else self._kept[number]
