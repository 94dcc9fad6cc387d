"""Arrays of numbers in MATLAB's files of version 5, read with bounds: SciPy's reader crashes on damaged ones."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np

MOST_BYTES = 100_000_000  # unpacked
COMPRESSED, MATRIX = 15, 14  # types of elements
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}


def arrays(raw: bytes) -> dict[str, np.ndarray]:
    """The arrays of numbers in the bytes of a file, flat; arrays of other kinds are left out.

    Raises:
        ValueError: it is no file of version 5, or a damaged one.
    """
    orders = {b"IM": "<", b"MI": ">"}
    if len(raw) < 128 or raw[126:128] not in orders:
        raise ValueError("expected a file of MATLAB 5 to 7, saved without -v7.3")
    order, found = orders[raw[126:128]], {}
    try:
        for kind, content in _elements(raw[128:], order):
            if kind == COMPRESSED:
                unpacking = zlib.decompressobj()
                content = unpacking.decompress(content, MOST_BYTES)
                if unpacking.unconsumed_tail:
                    raise ValueError(f"an array unpacks to more than {MOST_BYTES:,} bytes")
                kind, content = next(_elements(content, order))
            if kind == MATRIX:
                _, _, (_, name), (kind, numbers), *_ = [*_elements(content, order), (0, b"")]
                if kind in NUMBERS:
                    found[name.decode("ascii")] = np.frombuffer(numbers, order + NUMBERS[kind])
    except (struct.error, zlib.error, UnicodeDecodeError, StopIteration) as error:
        raise ValueError(f"the file is damaged ({type(error).__name__}: {error})") from error
    return found


def _elements(content: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Type and content of each element: 8 bytes of type and size, or 4 of both for up to 4 bytes of content."""
    place = 0
    while place + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, place)
        if kind >> 16:
            kind, size, start, end = kind & 0xFFFF, kind >> 16, place + 4, place + 8
        else:
            start, end = place + 8, place + 8 + size + (-size % 8 if kind != COMPRESSED else 0)
        if start + size > len(content):
            raise ValueError(f"an element of {size:,} bytes lies beyond the end of the file")
        yield kind, content[start : start + size]
        place = end
