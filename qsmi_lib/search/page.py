"""The app's page without its server: the controls as HTML, and the answers to one query as HTML."""

import html
from collections.abc import Mapping
from pathlib import Path
from string import Template

from qsmi_lib.search import answers
from qsmi_lib.search.collection import Collection
from qsmi_lib.search.uploads import opened

FRAME, SCRIPT = (Path(__file__).with_name(name) for name in ("page.html", "page.js"))
MOST_ANSWERS = 50


class Page:
    """A page to search by picture; it holds nothing of a visit.

    Args:
        collections: title of each method -> the collection that it searches.
        examples: a collection; its first pictures are offered as queries, and the first one is shown at the start.
        k: number of answers at the start.
    """

    def __init__(self, collections: Mapping[str, Collection], examples: Collection, *, k: int = 10):
        self.collections, self.examples, self.k = collections, examples, k
        self.searched = next(iter(collections.values()))
        self.classes = answers.classes(self.searched)
        self.most = min(MOST_ANSWERS, *map(len, collections.values()))

    def html(self, most_bytes: int) -> str:
        """The whole page; its script refuses files of more than `most_bytes`, so that they are not sent in vain."""
        examples = [("", answers.NONE, "")]
        for item, name in enumerate(answers.offered(self.examples)):
            [label] = own if len(own := self._labels(item)) == 1 else [""]
            examples.append((item, name, f' data-shows="{html.escape(label)}"'))
        shown = [(name, name, "") for name in self.classes]
        return Template(FRAME.read_text(encoding="utf-8")).substitute(
            about=answers.about(self.searched),
            examples=_options(examples),
            shows=_options([("", answers.UNKNOWN, ""), *shown]),
            hidden="" if self.classes else "hidden",
            count=min(self.k, self.most),
            most=self.most,
            most_bytes=most_bytes,
        )

    def answer(self, *, count: str, example: str = "", shows: str = "", name: str = "", content: bytes = b"") -> str:
        """The answers to one query, as HTML. The arguments are what a browser sends, so each of them is checked.

        Args:
            count: number of answers.
            example: number of the example that is the query; empty if `content` is the query.
            shows: what the query shows, one of the labels; empty if it is unknown.
            name: file name of `content`, for messages.
            content: a picture file.

        Raises:
            ValueError: a wrong argument, or a picture that is not accepted; the message says what is expected.
            OSError: the file of the example is no longer readable.
        """
        k = _whole(count, 1, self.most, "number of answers")
        if shows and shows not in self.classes:
            raise ValueError(f"no picture shows {shows!r}: expected one of {', '.join(self.classes)}")
        labels = frozenset([shows] if shows else ())
        if example:
            item = _whole(example, 0, len(answers.offered(self.examples)) - 1, "example")
            query, own = self.examples.picture(item), self._labels(item)
            labels = labels or (own if len(own) > 1 else frozenset())  # one label is chosen in the page
        else:
            query = opened(content, name)
            self.searched.hasher.fitted(query, name)  # a blank picture is refused by name
        found = {title: (c, c.search(query, k, labels=labels)) for title, c in self.collections.items()}
        return answers.answers_page(query, found)

    def _labels(self, item: int) -> frozenset[str]:
        """The labels of an example; empty if they are unknown."""
        return self.examples.labels[item] if self.examples.labels else frozenset()


def _whole(text: str, least: int, most: int, what: str) -> int:
    """A whole number that a browser sends; a ValueError if it is not in its range."""
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise ValueError(f"the {what} must be from {least} to {most}, got {text!r}")
    return int(text)


def _options(options: list[tuple]) -> str:
    """Options of a list: value, text, and further attributes."""
    return "".join(
        f'<option value="{html.escape(str(value))}"{more}>{html.escape(text)}</option>' for value, text, more in options
    )
