"""Answers as HTML: thumbnails, distances and the bits that differ. The notebook's panel and the app show them."""

import base64
import functools
import html
import io
from collections.abc import Mapping, Sequence

from PIL import Image

from qsmi_lib.search.collection import Answer, Collection

NONE, UNKNOWN, N_EXAMPLES = "none", "unknown", 20
SIDE = 72  # pixels of a thumbnail
STYLE = """\
<style>
.qsmi-row {display: flex; flex-wrap: wrap; gap: 4px; list-style: none; margin: 4px 0 16px; padding: 0}
.qsmi-row figure {margin: 0; width: 77px; text-align: center; font-size: 12px; line-height: 1.3}
.qsmi-row img {width: 72px; height: 72px; object-fit: cover; image-rendering: pixelated; border: 1px solid #767676}
.qsmi-row figcaption {margin-top: 4px}
.qsmi-row img.right {outline: 3px solid #0072b2}
.qsmi-row img.wrong {outline: 3px dashed #d55e00}
.qsmi-bits {display: grid; grid-template-columns: repeat(12, 5px); gap: 1px; justify-content: center; margin-top: 2px}
.qsmi-bits i {height: 5px; background: #d5d5d5}
.qsmi-bits i.other {background: #b30000; outline: 1px solid #000}
</style>"""
MARKS = {True: ("right", "✓ "), False: ("wrong", "✗ "), None: ("", "")}  # class of the thumbnail, sign of its name


def answers_page(query: Image.Image, answers_of: Mapping[str, tuple[Collection, Sequence[Answer]]]) -> str:
    """A query, what the network sees of it, and the answers, as HTML.

    An answer has a thumbnail, its name, its distance, and one square for each bit, dark if it differs. If the labels
    are known, right and wrong answers are marked, and the right ones are counted.

    Args:
        query: the picture.
        answers_of: the collection and the answers of each method, by its title.
    """
    seen = next(iter(answers_of.values()))[0].hasher.fitted(query)
    pictures = _figure(_source(query), "query", "as given"), _figure(_source(seen), "query", "as the network sees it")
    parts = [STYLE, f'<ul class="qsmi-row">{"".join(f"<li>{picture}</li>" for picture in pictures)}</ul>']
    for title, (collection, answers) in answers_of.items():
        shown = (
            _figure(
                _thumbnail(collection, answer.item),
                answer.name,
                f"{answer.distance} of {collection.codes.shape[1]} bits",
                _bits(answer.differing, collection.codes.shape[1]),
                answer.right,
            )
            for answer in answers
        )
        items = "".join(f"<li>{figure}</li>" for figure in shown)
        parts.append(f'<h4>{html.escape(title)}{score(answers)}</h4><ol class="qsmi-row">{items}</ol>')
    return "".join(parts)


def score(answers: Sequence[Answer]) -> str:
    """How many answers are right, in words; empty if it is unknown."""
    known = [answer.right for answer in answers if answer.right is not None]
    return f": {sum(known)} of {len(known)} right" if known else ""


def refusal(reason: object) -> str:
    """Why there is no search, as a message of the page."""
    return f'<p role="alert"><b>No search:</b> {html.escape(str(reason))}</p>'


def offered(examples: Collection) -> list[str]:
    """The examples that are offered as queries, numbered and named."""
    return [f"{item + 1}: {examples.names[item]}" for item in range(min(N_EXAMPLES, len(examples)))]


def classes(collection: Collection) -> list[str]:
    """The labels of a collection in order; empty if they are unknown."""
    return sorted(frozenset().union(*collection.labels))


def about(collection: Collection) -> str:
    """What is searched, how to read the answers, and a folded list of the files that are left out."""
    words = (
        f"<h3>Search by picture</h3><p>{len(collection):,} pictures: {html.escape(collection.title)}. The squares "
        "below an answer are the bits of its code; a dark square differs from the query.</p>"
    )
    if not collection.faults:
        return words
    faults = "".join(f"<li>{html.escape(fault)}</li>" for fault in collection.faults)
    return f"{words}<details><summary>Left out: {len(collection.faults):,}</summary><ul>{faults}</ul></details>"


def _figure(source: str, name: str, below: str, more: str = "", right: bool | None = None) -> str:
    """A thumbnail, or a message if there is none, with its name and the text below it, marked if `right` is known."""
    (kind, sign), name = MARKS[right], html.escape(name)
    words = ", ".join(filter(None, (name, kind, below)))
    look = f' class="{kind}"' if kind else ""
    shown = f'<img alt="{words}"{look} src="{source}"/>' if source else "<p>The file is no longer readable.</p>"
    return f"<figure>{shown}<figcaption>{sign}{name}<br/>{below}{more}</figcaption></figure>"


@functools.lru_cache(maxsize=2000)
def _thumbnail(collection: Collection, item: int) -> str:
    """The picture of an answer as `_source`; empty if its file was deleted or changed after hashing."""
    try:
        return _source(collection.picture(item))
    except (OSError, ValueError):
        return ""


def _source(image: Image.Image) -> str:
    """A small copy of `image` as the source of an HTML image."""
    small = image.copy()
    small.thumbnail((2 * SIDE, 2 * SIDE))
    buffer = io.BytesIO()
    small.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _bits(differing: Sequence[int], bits: int) -> str:
    """One square for each bit; a label lists the differing bits for screen readers."""
    squares = "".join(f"<i{' class=other' if bit in differing else ''}></i>" for bit in range(bits))
    named = ", ".join(str(bit + 1) for bit in differing) or "none"
    named = f"differing bits: {named}"
    return f'<span class="qsmi-bits" role="img" title="{named}" aria-label="{named}">{squares}</span>'
