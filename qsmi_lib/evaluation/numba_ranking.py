"""Ranking on the CPU, compiled by numba, without sorting.

For each query one pass over the database counts the items at each distance. It also stores a note of each relevant
item: its gain, its distance and its position among the items at that distance. With the counts, a note gives the rank.
"""

import numpy as np
import torch
from numba import get_thread_id, prange

from qsmi_lib.evaluation.packing import ANY, EQUAL, Items, Scan, Segments
from qsmi_lib.utils.numba import compiled, in_turn, n_threads

BLOCK = 2048  # items whose gains and distances fit into the first-level cache
STAY = 1 << 14  # packed items that stay in the second-level cache while a group of queries reads them
TOGETHER = 8  # largest number of queries in a group
NOTES_BYTES = 160 << 20  # notes of all threads together, 8 bytes per relevant item
NEVER = np.iinfo(np.int64).max
LEVEL = np.dtype(
    [(name, np.int64) for name in ("nearer", "seen", "last", "target", "cutoff")] + [("area", float), ("lost", float)]
)


def segments(codes: np.ndarray, labels: np.ndarray, device: torch.device) -> Segments:
    """The database in segments that are small enough for the notes of each thread."""
    return Segments(codes, labels, device, relevant=NOTES_BYTES // (8 * n_threads()))


def scan(query: Items, database: Segments, rule: int, bits: int, n_gain: int, ks: np.ndarray) -> Scan:
    """Rank the database for each query, on all cores.

    Args:
        query: the queries.
        database: one segment needs one pass; several need a pass that counts and a pass that computes the scores.
        rule: one of `packing.EQUAL`, `ANY` and `SHARED`.
        bits: code length.
        n_gain: the largest gain plus 1.
        ks: int64 (n_k,), ascending, each between 1 and the number of items.
    """
    n_query, n_k, levels = query.codes.shape[1], len(ks), bits + 1
    result = (
        np.zeros((n_query, levels, n_gain), np.int64),
        np.zeros(n_query),
        np.zeros((n_query, 11, 2), np.int64),
        np.zeros((n_query, 11, 2), np.int64),
        np.zeros((n_query, n_k)),
        np.full((n_query, n_k), -1),
    )
    state = (
        np.zeros((n_query, levels), np.uint64),
        np.zeros((n_query, levels), LEVEL),
        np.zeros((n_query, 11), np.int64),
    )
    query_words = [words.numpy() for words in query]
    together = min(max(1, NOTES_BYTES // (8 * n_threads() * database.most_relevant)), TOGETHER, n_query)
    notes = np.empty((n_threads(), together, database.most_relevant + 1), np.uint64)
    for counts, settles in [(True, True)] if len(database) == 1 else [(True, False), (False, True)]:
        for number in range(len(database)):
            words = [part.numpy() for part in database[number]]
            last = number + 1 == len(database)
            in_turn(_pass, *query_words, *words, rule, notes, counts, settles, last, ks, *state, *result)
            del words  # otherwise two segments are in memory while the next one is packed
    return Scan(*map(torch.from_numpy, result))


@compiled(inline="always")
def _ones(word):
    """Number of ones in a 64-bit word; LLVM compiles this pattern to one instruction."""
    word = np.uint64(word)
    word -= (word >> np.uint64(1)) & np.uint64(0x5555555555555555)
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.uint32((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@compiled(parallel=True)
def _pass(
    query_codes, query_labels, codes, labels, rule, notes, counts, settles, last, ks, items, levels, targets,
    histogram, area, reached, before, area_at_k, gain_at_k,
):  # fmt: skip
    n_query, n_items, together = query_codes.shape[1], codes.shape[1], notes.shape[1]
    for group in prange(-(-n_query // together)):
        begin, end = group * together, min(n_query, (group + 1) * together)
        noted = notes[get_thread_id()]
        n = np.zeros(together, np.int64)
        for first in range(0, n_items, STAY):
            chunk = first, min(n_items, first + STAY)
            for q in range(begin, end):
                code, label, i = query_codes[:, q].copy(), query_labels[:, q].copy(), q - begin
                n[i] = _meet(code, label, codes, labels, rule, chunk, items[q], noted[i], n[i])
        for q in range(begin, end):
            of_query = noted[q - begin, : n[q - begin]]
            if counts:
                _count(of_query, histogram[q])
                if last:
                    _open(levels[q], items[q], histogram[q], targets[q], ks)
            if settles:
                _settle(of_query, levels[q], targets[q], ks, reached[q], before[q], area_at_k[q], gain_at_k[q])
                if last:
                    area[q] = _close(levels[q], ks, reached[q], before[q], area_at_k[q], gain_at_k[q])


@compiled()
def _meet(code, label, codes, labels, rule, chunk, items, notes, n):
    """Count the items at each distance, and append a note of each relevant item.

    A note holds gain, distance and position among the items at that distance in 16, 16 and 32 bits. `n` is the number
    of notes so far; returns the new number.
    """
    n = np.uint64(n)  # unsigned, as all indices here: signed ones are tested for being negative
    keys = np.empty(BLOCK, np.uint32)
    for first in range(chunk[0], chunk[1], BLOCK):
        size = min(BLOCK, chunk[1] - first)
        _compare(code, label, codes, labels, rule, first, keys[:size])
        for key in keys[:size]:
            distance = key & np.uint32(0xFFFF)
            place = items[distance] + np.uint64(1)
            items[distance] = place
            # Written always, and overwritten unless relevant: a branch would often be mispredicted.
            notes[n] = place | np.uint64(key) << np.uint64(32)
            n += np.uint64(key > 0xFFFF)
    return np.int64(n)


@compiled()
def _compare(code, label, codes, labels, rule, first, keys):
    """Gain and distance, 16 bits each, of the items from `first` on, in loops that LLVM vectorises."""
    last = first + len(keys)
    if rule == EQUAL:
        row, word = labels[0][first:last], label[0]
        for i in range(len(keys)):
            keys[i] = np.uint32(1) if row[i] == word else np.uint32(0)
    else:
        keys[:] = 0
        for w in range(len(label)):
            row, word = labels[w][first:last], label[w]
            for i in range(len(keys)):
                keys[i] += _ones(row[i] & word)
        if rule == ANY:
            for i in range(len(keys)):
                keys[i] = min(keys[i], np.uint32(1))
    for i in range(len(keys)):
        keys[i] <<= np.uint32(16)
    for w in range(len(code)):
        row, word = codes[w][first:last], code[w]
        for i in range(len(keys)):
            keys[i] += _ones(row[i] ^ word)


@compiled(inline="always")
def _read(note):
    """Gain, distance and position of a note."""
    return (
        np.int64(note >> np.uint64(48)),
        np.int64((note >> np.uint64(32)) & np.uint64(0xFFFF)),
        np.int64(note & np.uint64(0xFFFFFFFF)),
    )


@compiled()
def _count(notes, histogram):
    for note in notes:
        gain, distance, _ = _read(note)
        histogram[distance, gain] += 1


@compiled()
def _open(level, items, histogram, targets, ks):
    """From the histogram: the items nearer than each level, and the first recall target and rank k within it."""
    total = 0
    for distance in range(len(level)):
        histogram[distance, 0] = np.int64(items[distance]) - histogram[distance].sum()
        for gain in range(1, histogram.shape[1]):
            total += gain * histogram[distance, gain]
    for tenth in range(11):
        targets[tenth] = max(1, -(-tenth * total // 10))
    items[:] = 0
    nearer, seen = 0, 0
    for distance in range(len(level)):
        here = level[distance]
        here.nearer, here.seen = nearer, seen
        here.target, here.cutoff = _above(seen, targets), _above(nearer, ks)
        for gain in range(histogram.shape[1]):
            nearer += histogram[distance, gain]
            seen += gain * histogram[distance, gain]


@compiled()
def _above(value, ascending):
    """The first number above `value`."""
    index = np.searchsorted(ascending, value, side="right")
    return ascending[index] if index < len(ascending) else NEVER


@compiled()
def _settle(notes, level, targets, ks, reached, before, area_at_k, gain_at_k):
    """Add each relevant item to the area of its level, and record those that first reach a target or a rank k."""
    for note in notes:
        gain, distance, place = _read(note)
        here = level[distance]
        rank, seen = here.nearer + place, here.seen
        if rank > here.cutoff:
            for j in range(np.searchsorted(ks, here.cutoff), np.searchsorted(ks, rank)):
                area_at_k[j], gain_at_k[j] = here.area + here.lost, seen
            here.cutoff = _above(rank - 1, ks)
        here.seen += gain
        term, area = gain * here.seen / rank, here.area
        here.area += term
        # Millions of equal terms have equal rounding errors, which add up: sum the errors too (Neumaier 1974).
        here.lost += (area - here.area) + term if area >= term else (term - here.area) + area
        if here.seen >= here.target:
            for tenth in range(11):
                if seen < targets[tenth] <= here.seen:
                    reached[tenth, 0], reached[tenth, 1] = here.seen, rank
                    before[tenth, 0], before[tenth, 1] = seen, here.last
            here.target = _above(here.seen, targets)
        here.last = rank


@compiled()
def _close(level, ks, reached, before, area_at_k, gain_at_k):
    """After all notes: add what the nearer levels contribute to each level. Returns the area over all levels."""
    area, j = 0.0, 0
    for distance in range(len(level)):
        here = level[distance]
        while j < len(ks) and (distance + 1 == len(level) or ks[j] <= level[distance + 1].nearer):
            if gain_at_k[j] < 0:  # no relevant item of this level lies beyond the cut-off
                area_at_k[j], gain_at_k[j] = here.area + here.lost, here.seen
            area_at_k[j] += area
            j += 1
        area += here.area + here.lost
    for tenth in range(11):
        if before[tenth, 1] == 0:  # the first relevant item of its level
            before[tenth, 1] = 1
            for here in level:
                if here.last < reached[tenth, 1]:
                    before[tenth, 1] = max(before[tenth, 1], here.last)
    return area
