"""Binary indexes of faiss for codes: exhaustive, a graph of neighbours, and hash tables of substrings."""

import inspect
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from qsmi_lib.codes import checked
from qsmi_lib.utils.validation import known, whole_number

OUTSIDE = -1  # in place of an item that an approximate index does not find


class Answers(NamedTuple):
    """The items nearest to each query, nearest first; the index decides the order of items at equal distance.

    Attributes:
        distances: int32 (n_query, k), numbers of differing bits; `OUTSIDE` where fewer than k items are found.
        items: int64 (n_query, k), database indices; `OUTSIDE` likewise.
    """

    distances: np.ndarray
    items: np.ndarray


class CodeIndex:
    """Codes in one of faiss's binary indexes.

    faiss stores whole bytes. The bits that fill the last byte are 0 in every code, so they do not change any
    distance. They come last, so no hash table of `multihash` uses them.

    Args:
        codes: the database, (n, bits) of -1 and +1, n at least 1.
        kind: "flat" compares the query with every item; "hnsw" follows a graph of neighbours; "multihash" looks up
            substrings of the code, each in a hash table.
        settings: defaults in brackets. For "hnsw": `neighbours` of a node (32), `effort` of building (40). For
            "multihash": number of `tables` (4, at most the bits), bits of each `substring` (bits / tables, at most 16).
            Also the settings of `tuned`.

    Raises:
        ImportError: faiss is not installed; the message says how.
        ValueError: codes of another shape or with other values, an unknown kind or setting, or more bits in the tables
            than in the code.
    """

    def __init__(self, codes: Tensor | ArrayLike, kind: str = "flat", **settings: int):
        codes = checked("codes", codes)
        self.bits, self.kind, self.n_items = codes.shape[1], kind, len(codes)
        make, tune = known("index", KINDS, kind)
        allowed = dict.fromkeys([*inspect.getfullargspec(make).kwonlyargs, *tune])
        for name in settings:
            known(f"setting of {kind}", allowed, name)
        search = {name: whole_number(name, settings.pop(name, default), 0) for name, (_, default) in tune.items()}
        build = {name: whole_number(name, value, 1) for name, value in settings.items()}
        self._index = make(8 * -(-self.bits // 8), self.bits, **build)
        self._index.add(octets(codes))
        self.tuned(**search)

    def tuned(self, **settings: int) -> "CodeIndex":
        """Change how this index is searched, and return it.

        Args:
            settings: for "hnsw": `search_effort` (64), the number of candidates; for "multihash": `flips` (1), in how
                many bits a substring may differ; "flat" has none.
        """
        tune = KINDS[self.kind].tune
        for name, value in settings.items():
            change, _ = known(f"setting of a search by {self.kind}", tune, name)
            change(self._index, whole_number(name, value, 0))
        return self

    def search(self, codes: Tensor | ArrayLike, k: int = 10) -> Answers:
        """The `k` items nearest to each of `codes`, (n_query, bits); a ValueError if codes or `k` do not fit."""
        codes = checked("query codes", codes)
        if codes.shape[1] != self.bits:
            raise ValueError(f"query codes must have {self.bits} bits as the database has, got {codes.shape[1]}")
        k = whole_number("k", k, 1)
        if k > self.n_items:
            raise ValueError(f"k must be from 1 to {self.n_items}, the items of the database, got {k}")
        distances, items = self._index.search(octets(codes), k)
        missed = items < 0
        return Answers(np.where(missed, OUTSIDE, distances), np.where(missed, OUTSIDE, items))


def octets(codes: np.ndarray) -> np.ndarray:
    """Codes (n, bits) of -1 and +1 as faiss reads them: uint8 (n, ceil(bits / 8)), the first bit the lowest."""
    return np.packbits(codes > 0, axis=1, bitorder="little")


def _faiss():
    try:
        import faiss
    except ImportError as error:
        raise ImportError('searching needs faiss: pip install "qsmi-lib[search]"') from error
    return faiss


def _flat(width: int, bits: int):
    return _faiss().IndexBinaryFlat(width)


def _hnsw(width: int, bits: int, *, neighbours: int = 32, effort: int = 40):
    neighbours = whole_number("neighbours", neighbours, 2)  # with 1, faiss ends the whole process
    index = _faiss().IndexBinaryHNSW(width, neighbours)
    index.hnsw.efConstruction = effort
    return index


def _multihash(width: int, bits: int, *, tables: int | None = None, substring: int | None = None):
    tables = min(4, bits) if tables is None else tables
    substring = max(1, min(16, bits // tables)) if substring is None else substring
    if tables * substring > bits:
        raise ValueError(f"{tables} tables of {substring} bits need a code of {tables * substring}, got {bits} bits")
    return _faiss().IndexBinaryMultiHash(width, tables, substring)


def _search_effort(index, value: int) -> None:
    index.hnsw.efSearch = value


def _flips(index, value: int) -> None:
    index.nflip = value


class Kind(NamedTuple):
    """How an index is built, and the settings of its search.

    Attributes:
        build: makes the index of faiss from the bits in whole bytes, the bits, and settings.
        tune: the function that changes each setting of the search, and its default.
    """

    build: Callable
    tune: Mapping[str, tuple[Callable, int]]


KINDS = {
    "flat": Kind(_flat, {}),
    "hnsw": Kind(_hnsw, {"search_effort": (_search_effort, 64)}),
    "multihash": Kind(_multihash, {"flips": (_flips, 1)}),
}
