"""What happens to files: cuts, changed bytes, repeated and moved parts, values that no program wrote."""

from hypothesis import strategies as st

PIECES = (
    b"", b"\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80", b"\n", b"\r\n", b"\t", b" ", b",", b";", b'"', b"\\",
    b"0", b"1", b"-1", b"1e999", b"NaN", b"99999999999999999999", b"..", b"/", b"../../x.png", b"{", b"}", b"[", b"]",
    b"[" * 1000, b"null", b"true", b'"x"', b"\xef\xbb\xbf", b"\xff\xfe", "é".encode(), b"%s%n", b"(", b"'",
)  # fmt: skip
VALUES = st.recursive(  # of JSON
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def damaged(draw, valid: tuple[bytes, ...]) -> bytes:
    """One of the `valid` files after up to four damages."""
    content = bytearray(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(0, 4))):
        start, end = sorted(draw(st.tuples(*[st.integers(0, len(content))] * 2)))
        match draw(st.sampled_from(("cut", "byte", "piece", "random", "repeat", "delete", "move", "splice"))):
            case "cut":
                del content[start:]
            case "byte" if start < len(content):
                content[start] = draw(st.integers(0, 255))
            case "piece":
                piece = draw(st.sampled_from(PIECES))
                content[start : start + draw(st.sampled_from((0, len(piece))))] = piece
            case "random":
                content[start : start + 8] = draw(st.binary(max_size=8))
            case "repeat":
                content[start:start] = content[start:end] * draw(st.integers(1, 3))
            case "delete":
                del content[start:end]
            case "move":
                content = content[end:] + content[start:end] + content[:start]
            case "splice":
                content[start:] = draw(st.sampled_from(valid))[start:]
    return bytes(content)


@st.composite
def changed(draw, value):
    """`value` of JSON, with one of its values, at any depth, replaced or left out."""
    children = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not children or draw(st.integers(0, 3)) == 0:
        return draw(VALUES)
    child = draw(st.sampled_from(children))
    copy = value.copy()
    if isinstance(value, dict) and draw(st.integers(0, 4)) == 0:
        del copy[child]
    else:
        copy[child] = draw(changed(value[child]))
    return copy
