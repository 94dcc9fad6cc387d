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

from qsmi_lib.codes import pack_bits
from qsmi_lib.utils.arrays import blocks

RELEVANCE = ("share-one", "fraction")  # the option of `evaluate`
# The rules of the kernels: a gain is 1 for equal labels, 1 for any shared label, or the number of shared labels.
EQUAL, ANY, SHARED = range(3)
ROOM = 160 << 20  # bytes of packed database that are held at a time
COUNTABLE = 1 << 20  # single labels are counted if their range is below this


class Items(NamedTuple):
    """Packed items, a column per item.

    Attributes:
        codes: int64 (words, n); 64 bits of the code per word.
        labels: int64 (words, n); the label, or 64 labels of the multi-hot row per word.
    """

    codes: Tensor
    labels: Tensor


class Scan(NamedTuple):
    """Ranking statistics of each query, ties in database order, not yet divided by totals.

    Attributes:
        histogram: int64 (n_query, bits + 1, n_gain); items by distance and gain.
        area: float64 (n_query,); sum over ranks of gain times cumulative gain / rank: AP before normalisation.
        reached: int64 (n_query, 11, 2); cumulative gain and rank of the first relevant item at which recall is at
            least 0, 0.1, ... 1.
        before: int64 (n_query, 11, 2); the same of the relevant item before that one; (0, 1) if there is none.
        area_at_k: float64 (n_query, n_k); `area` over the first k ranks.
        gain_at_k: int64 (n_query, n_k); cumulative gain at rank k.
    """

    histogram: Tensor
    area: Tensor
    reached: Tensor
    before: Tensor
    area_at_k: Tensor
    gain_at_k: Tensor


def kernel_rule(relevance: str, multi_hot: bool) -> int:
    """The rule of the kernels for the option `relevance`. With single labels both options are equal."""
    return (SHARED if relevance == "fraction" else ANY) if multi_hot else EQUAL


def packed(codes: np.ndarray | Tensor, labels: np.ndarray | Tensor, device: torch.device) -> Items:
    """Checked codes (n, bits) and labels (n,) or (n, c), packed on their device, then moved to `device`."""
    words = _words(codes), _words(labels) if labels.ndim == 2 else _long(labels)[None]
    return Items(*(part.to(device).contiguous() for part in words))  # the kernels need stride 1


def _long(labels: np.ndarray | Tensor) -> Tensor:
    return labels.long() if isinstance(labels, Tensor) else torch.from_numpy(labels.astype(np.int64))


def _words(values: np.ndarray | Tensor) -> Tensor:
    """Rows of signs, or of 0 and 1, as int64 words (words, n)."""
    if isinstance(values, Tensor):
        return torch.cat([_device_words(block > 0) for block in blocks(values)], dim=1)
    words = np.empty((-(-values.shape[1] // 64), len(values)), np.int64)
    first = 0
    for block in blocks(values):
        words[:, first : first + len(block)] = pack_bits(block > 0).view(np.int64).T
        first += len(block)
    return torch.from_numpy(words)


def _device_words(ones: Tensor) -> Tensor:
    """`codes.pack_bits` on the device of `ones`, bool (n, c), as int64 words (words, n)."""
    octets = torch.nn.functional.pad(ones.to(torch.uint8), (0, -ones.shape[1] % 64)).view(len(ones), -1, 8)
    weights = 2 ** torch.arange(7, -1, -1, dtype=torch.uint8, device=ones.device)  # the first bit is the highest
    return (octets * weights).sum(dim=-1, dtype=torch.uint8).view(torch.int64).T


def _most_relevant(labels: np.ndarray | Tensor) -> int:
    """An upper bound of the number of items of these labels, (n,) or (n, c), that are relevant to a query."""
    if labels.ndim == 2 or isinstance(labels, Tensor):
        return len(labels)
    low, high = int(labels.min()), int(labels.max())
    if high - low >= COUNTABLE:
        return len(labels)
    counts = np.zeros(high - low + 1, np.int64)
    for block in blocks(labels):
        counts += np.bincount(block.astype(np.int64) - low, minlength=len(counts))
    return int(counts.max())


class Segments:
    """The packed database as a sequence of segments in database order.

    If all segments fit into ROOM they stay in memory. Otherwise a segment is packed at each access.

    Args:
        codes: (n, bits), checked.
        labels: (n,) or (n, c), checked.
        device: device of the packed words.
        relevant: largest number of relevant items in a segment; None is no limit.

    Attributes:
        most_relevant: upper bound of the number of items in a segment that are relevant to a query.
    """

    def __init__(
        self,
        codes: np.ndarray | Tensor,
        labels: np.ndarray | Tensor,
        device: torch.device,
        relevant: int | None = None,
    ) -> None:
        words = -(-codes.shape[1] // 64) + (-(-labels.shape[1] // 64) if labels.ndim == 2 else 1)
        size = fitting = max(1, ROOM // (8 * words))
        self.most_relevant = _most_relevant(labels)
        if relevant is not None and self.most_relevant > relevant:
            size = min(relevant, fitting)
        self.most_relevant = min(self.most_relevant, size)
        parts = (slice(start, start + size) for start in range(0, len(codes), size))
        self._parts = [(codes[part], labels[part], device) for part in parts]
        self._packed = [packed(*part) for part in self._parts] if len(codes) <= fitting else None

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[Items]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> Items:
        return packed(*self._parts[number]) if self._packed is None else self._packed[number]
