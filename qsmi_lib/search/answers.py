"""Answers as HTML: cards of pictures with distances and the bits that differ. The notebook's panel and the app use it.

`cards.css` is their style.
"""

import base64
import functools
import html
import io
from collections.abc import Mapping, Sequence, Set
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from PIL import Image

from qsmi_lib.methods import METHODS
from qsmi_lib.search.collection import Answer, Collection

STYLE = Path(__file__).with_name("cards.css")
NONE, UNKNOWN, N_EXAMPLES = "none", "unknown", 12
SIDE = 320  # pixels of the longer side of a thumbnail
TINY = 64  # a picture with no longer side is shown as it is, its pixels enlarged to squares
MARKS = {True: ("right", "✓ right"), False: ("wrong", "✗ wrong"), None: ("", "")}  # class of the card, and its mark


class Thumbnail(NamedTuple):
    """A small copy of a picture.

    Attributes:
        source: of an HTML image, as a `data:` address.
        tiny: whether its pixels are to be enlarged.
    """

    source: str
    tiny: bool


def answers_page(
    query: Image.Image,
    answers_of: Mapping[str, tuple[Collection, Sequence[Answer]]],
    name: str = "",
    labels: Set[str] = frozenset(),
) -> str:
    """A query, what the network sees of it, and the answers, as HTML.

    An answer has a thumbnail, its name and labels, its distance, and one square for each bit, filled if it differs. If
    the labels are known, right and wrong answers are marked, and the right ones are counted.

    Args:
        query: the picture.
        answers_of: the collection and the answers of each method, by its title.
        name: of the query.
        labels: of the query, if they are known.
    """
    seen = next(iter(answers_of.values()))[0].hasher.fitted(query)
    known = f"labelled {', '.join(sorted(labels))}" if labels else ""
    cards = [
        _card(_small(query), "the query", ["as given", known]),
        _card(
            _small(seen), "what the network sees", ["as the network sees it", f"{seen.width} × {seen.height} pixels"]
        ),
    ]
    parts = [f"<section><h3>Query{html.escape(f': {name}' if name else '')}</h3>{_list('ul', cards)}</section>"]
    for title, (collection, answers) in answers_of.items():
        cards = [_answer_card(collection, answer) for answer in answers]
        shown = _list("ol", cards) if cards else "<p>There is no other picture.</p>"
        heading, explanation = html.escape(f"{title}{score(answers)}"), html.escape(_explanation(collection))
        parts.append(f"<section><h3>{heading}</h3><p>{explanation}</p>{shown}</section>")
    return "".join(parts)


def score(answers: Sequence[Answer]) -> str:
    """How many answers are right, in words; empty if it is unknown."""
    known = [answer.right for answer in answers if answer.right is not None]
    return f": {sum(known)} of {len(known)} right" if known else ""


def refusal(reason: object) -> str:
    """Why there is no search, as a message of the page."""
    return f'<p role="alert"><b>No search:</b> {html.escape(str(reason))}</p>'


def offered(examples: Collection) -> list[int]:
    """The items that are offered as queries: at most `N_EXAMPLES`, evenly spaced by name over the good ones.

    Names start with the class, so that the examples show many classes.
    """
    rows = examples.examples if len(examples.examples) else range(len(examples))
    by_name = sorted(map(int, rows), key=examples.names.__getitem__)
    return [by_name[place] for place in np.linspace(0, len(rows) - 1, min(N_EXAMPLES, len(rows))).round().astype(int)]


def classes(collection: Collection) -> list[str]:
    """The labels of a collection in order; empty if they are unknown."""
    return sorted(frozenset().union(*collection.labels))


def about(collection: Collection) -> str:
    """What is searched, how to read the answers, what a visitor has to know, and the files that are left out."""
    n_labels = len(classes(collection))
    with_labels = f" with {n_labels:,} label{'s' if n_labels > 1 else ''}" if n_labels else ""
    pictures = f"{len(collection):,} picture{'s' if len(collection) > 1 else ''}"
    words = (
        f"<p>{html.escape(collection.title)}: {pictures}{with_labels}. Under each answer: how many bits of its code "
        "differ from the query. Dark squares are the bits that differ.</p>"
    )
    if collection.notice:
        words += f'<p class="qsmi-notice">{html.escape(collection.notice)}</p>'
    if not collection.faults:
        return words
    faults = "".join(f"<li>{html.escape(fault)}</li>" for fault in collection.faults)
    return f"{words}<details><summary>Left out: {len(collection.faults):,}</summary><ul>{faults}</ul></details>"


@functools.lru_cache(maxsize=2000)
def thumbnail(collection: Collection, item: int) -> Thumbnail | None:
    """A small copy of an item; None if its file was deleted or changed after hashing."""
    try:
        return _small(collection.picture(item))
    except (OSError, ValueError):
        return None


def image(small: Thumbnail, alt: str) -> str:
    """A thumbnail as an HTML image."""
    look = ' class="qsmi-tiny"' if small.tiny else ""
    return f'<img alt="{html.escape(alt)}"{look} src="{small.source}">'


def _small(picture: Image.Image) -> Thumbnail:
    if tiny := max(picture.size) <= TINY:
        kind, small = "png", picture
    else:
        kind, small = "jpeg", picture.convert("RGB")
        small.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    small.save(buffer, kind)
    return Thumbnail(f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}", tiny)


def _explanation(collection: Collection) -> str:
    """One line on a method and its codes."""
    about_method = f"{METHODS[collection.method].about} " if collection.method else ""
    scores = "".join(f"; {name} {value:.3f}" for name, value in collection.scores.items())
    return f"{about_method}{collection.codes.shape[1]} bits{scores}."


def _answer_card(collection: Collection, answer: Answer) -> str:
    """The card of an answer; its name is the path, and of a labelled item the file name alone."""
    name, bits = answer.name, collection.codes.shape[1]
    label = ", ".join(sorted(collection.labels[answer.item])) if collection.labels else ""
    lines = [name] if label in ("", name) else [PurePosixPath(name).name, label]  # a data set's names are its labels
    lines.append(f"{answer.distance} of {bits} bits")
    return _card(thumbnail(collection, answer.item), name, lines, _bits(answer.differing, bits), answer.right)


def _card(small: Thumbnail | None, alt: str, lines: Sequence[str], more: str = "", right: bool | None = None) -> str:
    """A thumbnail, or a message if there is none, above lines of text, marked if `right` is known."""
    kind, mark = MARKS[right]
    shown = image(small, alt) if small else "<p>The file is no longer readable.</p>"
    marked = f"<b>{mark}</b>" if mark else ""
    first, *others = [html.escape(line) for line in lines if line]
    caption = f"{marked}<span>{first}</span>" + "".join(f"<small>{line}</small>" for line in others) + more
    return f'<figure class="qsmi-card {kind}">{shown}<figcaption>{caption}</figcaption></figure>'


def _list(kind: str, cards: Sequence[str]) -> str:
    """Cards as an HTML list; narrow ones if all pictures are tiny."""
    look = "qsmi-row" if any('src="data:image/jpeg' in card for card in cards) else "qsmi-row qsmi-narrow"
    return f'<{kind} class="{look}">{"".join(f"<li>{card}</li>" for card in cards)}</{kind}>'


def _bits(differing: Sequence[int], bits: int) -> str:
    """One square for each bit, filled if it differs; a label lists the differing bits for screen readers."""
    squares = "".join(f"<i{' class=other' if bit in differing else ''}></i>" for bit in range(bits))
    named = ", ".join(str(bit + 1) for bit in differing) or "none"
    named = f"differing bits: {named}"
    return f'<span class="qsmi-bits" role="img" title="{named}" aria-label="{named}">{squares}</span>'
