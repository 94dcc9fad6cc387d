"""Ranking on a GPU, in Triton, without sorting and without copies to the CPU.

A program handles one query and one part of the database. The first kernel counts items by distance and gain. From
these counts follows how many items precede each part at each distance. The second kernel then writes the rank of every
relevant item, in the order of the ranking. The scores are sums over these ranks. Triton's interpreter runs the same
source on a CPU.
"""

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from qsmi_lib.evaluation import packing
from qsmi_lib.evaluation.packing import Items, Scan, Segments

PROGRAMS, SHORTEST = 1 << 15, 1 << 12  # programs that keep a device busy; fewest items of a program
CELLS = 1 << 24  # cells of the histograms of all parts, 4 bytes each
SLOTS = 1 << 22  # relevant items at a time, about 40 bytes each with temporary values
COUNTED, PLACED = 1024, 32  # items per step of the first kernel, and of the second, which compares them pairwise

EQUAL, ANY = tl.constexpr(packing.EQUAL), tl.constexpr(packing.ANY)


segments = Segments  # no limit on the relevant items, unlike numba_ranking.segments


def scan(query: Items, database: Segments, rule: int, bits: int, n_gain: int, ks: np.ndarray) -> Scan:
    """Rank the database for each query; arguments and result as those of `numba_ranking.scan`."""
    counts = [_counted(query, segment, rule, bits + 1, n_gain) for segment in database]
    before = _before(torch.cat(counts, dim=1)).split([part.shape[1] for part in counts], dim=1)
    histogram = torch.cat(counts, dim=1).sum(dim=1)
    n_relevant = histogram[:, :, 1:].sum(dim=(1, 2))
    rows = max(1, SLOTS // max(1, int(n_relevant.max())))
    sums = []
    for first in range(0, len(n_relevant), rows):
        chunk = slice(first, first + rows)
        part = Items(*(words[:, chunk].contiguous() for words in query))
        shape = len(n_relevant[chunk]), max(1, int(n_relevant[chunk].max()))
        ranks, gains = torch.zeros((2, *shape), dtype=torch.int32, device=histogram.device)
        for segment, preceding in zip(database, before, strict=True):
            _placed(part, segment, rule, preceding[chunk].contiguous(), ranks, gains)
        sums.append(_sums(ranks, gains, ks))
    return Scan(histogram, *(torch.cat(field) for field in zip(*sums, strict=True)))


def _counted(query: Items, segment: Items, rule: int, levels: int, n_gain: int) -> Tensor:
    """int32 (n_query, parts, levels, n_gain); items of each part of the segment by distance and gain."""
    n_query, n = query.codes.shape[1], segment.codes.shape[1]
    parts = max(1, min(PROGRAMS // n_query, n // SHORTEST, CELLS // (n_query * levels * n_gain)))
    counts = torch.zeros((n_query, parts, levels, n_gain), dtype=torch.int32, device=query.codes.device)
    with torch.cuda.device_of(counts):
        _count[n_query, parts](*query, *segment, counts, n_query, n, levels, n_gain, **_meta(query, rule, COUNTED))
    return counts


def _before(counts: Tensor) -> Tensor:
    """int64 (n_query, parts, levels); items that precede a part at a level, and from bit 32 on the relevant ones."""
    both = counts.sum(dim=3) + (counts[..., 1:].sum(dim=3) << 32)
    level = both.sum(dim=1)
    return (level.cumsum(dim=1) - level)[:, None] + both.cumsum(dim=1) - both


def _placed(query: Items, segment: Items, rule: int, before: Tensor, ranks: Tensor, gains: Tensor) -> None:
    """Write ranks and gains (n_query, slots) of the relevant items of the segment, in the order of the ranking."""
    n_query, parts, levels = before.shape
    n, slots = segment.codes.shape[1], ranks.shape[1]
    with torch.cuda.device_of(ranks):
        _place[n_query, parts](
            *query, *segment, before, ranks, gains, n_query, n, levels, slots, num_warps=1, **_meta(query, rule, PLACED)
        )


def _meta(query: Items, rule: int, block: int) -> dict[str, int]:
    """Constants of a kernel. There are no floats to fuse, and stating so spares Triton a look-up at each call."""
    return {
        "code_words": len(query.codes),
        "label_words": len(query.labels),
        "rule": rule,
        "block": block,
        "enable_fp_fusion": False,
    }


def _sums(ranks: Tensor, gains: Tensor, ks: np.ndarray) -> tuple[Tensor, ...]:
    """The fields of `Scan` after the histogram, from ranks and gains of the relevant items (0 in unused slots).

    Floats are added by `sum` only, because the order of additions in `cumsum` varies on a GPU.
    """
    seen = gains.cumsum(dim=1)
    area = (gains * seen).double() / ranks.clamp(min=1)
    targets = (torch.arange(11, device=seen.device) * seen[:, -1:] + 9) // 10
    index = torch.searchsorted(seen, targets.clamp(min=1)).clamp(max=seen.shape[1] - 1)
    reached = torch.stack([seen.gather(1, index), ranks.gather(1, index).long()], dim=2)
    last = (index - 1).clamp(min=0)
    before = torch.stack([seen.gather(1, last), ranks.gather(1, last).long()], dim=2)
    nothing = torch.tensor([0, 1], device=seen.device)
    at_k = area.new_zeros((len(area), len(ks))), seen.new_zeros((len(area), len(ks)))
    for column, k in enumerate(ks.tolist()):
        within = ranks <= k
        at_k[0][:, column], at_k[1][:, column] = (area * within).sum(dim=1), (gains * within).sum(dim=1)
    return (
        area.sum(dim=1),
        reached,
        torch.where(index[..., None] > 0, before, nothing),
        *at_k,
    )


@triton.jit
def _ones(words):
    """Number of ones in 64-bit words; LLVM compiles this pattern to one instruction."""
    words = words.to(tl.uint64, bitcast=True)
    words -= (words >> 1) & 0x5555555555555555
    words = (words & 0x3333333333333333) + ((words >> 2) & 0x3333333333333333)
    words = (words + (words >> 4)) & 0x0F0F0F0F0F0F0F0F
    return ((words * 0x0101010101010101) >> 56).to(tl.int32)


@triton.jit
def _compare(
    query_codes, query_labels, codes, labels, item, inside, n_query, n,
    code_words: tl.constexpr, label_words: tl.constexpr, rule: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    """Distance and gain of items."""
    distance = tl.zeros([block], tl.int32)
    gain = tl.zeros([block], tl.int32)
    of_query = query_codes + tl.program_id(0)
    for _ in range(code_words):
        distance += _ones(tl.load(codes + item, mask=inside, other=0) ^ tl.load(of_query))
        codes += n
        of_query += n_query
    of_query = query_labels + tl.program_id(0)
    for _ in range(label_words):
        word = tl.load(labels + item, mask=inside, other=0)
        if rule == EQUAL:
            gain = (word == tl.load(of_query)).to(tl.int32)
        else:
            gain += _ones(word & tl.load(of_query))
        labels += n
        of_query += n_query
    if rule == ANY:
        gain = tl.minimum(gain, 1)
    return distance, gain


@triton.jit
def _count(
    query_codes, query_labels, codes, labels, counts, n_query, n, levels, n_gain,
    code_words: tl.constexpr, label_words: tl.constexpr, rule: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    part = tl.program_id(0).to(tl.int64) * tl.num_programs(1) + tl.program_id(1)
    counts += part * levels * n_gain
    size = tl.cdiv(n, tl.num_programs(1))
    end = tl.minimum(n, (tl.program_id(1) + 1) * size)
    for first in range(tl.program_id(1) * size, end, block):
        item = first + tl.arange(0, block)
        inside = item < end
        distance, gain = _compare(
            query_codes, query_labels, codes, labels, item, inside, n_query, n, code_words, label_words, rule, block
        )
        tl.atomic_add(counts + distance * n_gain + gain, 1, mask=inside, sem="relaxed")


@triton.jit
def _place(
    query_codes, query_labels, codes, labels, before, ranks, gains, n_query, n, levels, slots,
    code_words: tl.constexpr, label_words: tl.constexpr, rule: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    query = tl.program_id(0).to(tl.int64)
    before += (query * tl.num_programs(1) + tl.program_id(1)) * levels
    size = tl.cdiv(n, tl.num_programs(1))
    end = tl.minimum(n, (tl.program_id(1) + 1) * size)
    for first in range(tl.program_id(1) * size, end, block):
        item = first + tl.arange(0, block)
        inside = item < end
        distance, gain = _compare(
            query_codes, query_labels, codes, labels, item, inside, n_query, n, code_words, label_words, rule, block
        )
        distance = tl.where(inside, distance, -1)
        relevant = inside & (gain > 0)
        one = 1 + (relevant.to(tl.int32) << 16)  # an item in the lower half, a relevant one in the upper
        same = distance[:, None] == distance[None, :]
        # Along the first axis, which each thread has in registers.
        with_it = tl.sum(tl.where(same & (item[:, None] <= item[None, :]), one[:, None], 0), axis=0)
        all_of_it = tl.sum(tl.where(same, one[:, None], 0), axis=0)
        now = tl.load(before + distance, mask=inside, other=0)
        now += (with_it & 0xFFFF).to(tl.int64) + ((with_it >> 16).to(tl.int64) << 32)
        tl.debug_barrier()  # all threads have read `before`, which the last item of each level now updates
        tl.store(before + distance, now, mask=inside & (with_it == all_of_it))
        tl.debug_barrier()
        slot = query * slots + (now >> 32) - 1
        tl.store(ranks + slot, (now & 0xFFFFFFFF).to(tl.int32), mask=relevant)
        tl.store(gains + slot, gain, mask=relevant)
