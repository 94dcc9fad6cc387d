"""The app's page without its server: the controls as HTML, and the answers to one query as HTML."""

import html
from collections.abc import Mapping
from pathlib import Path
from string import Template

from qsmi_lib.search import answers
from qsmi_lib.search.collection import Collection
from qsmi_lib.search.uploads import opened

FRAME, SCRIPT, STYLE = (Path(__file__).with_name(name) for name in ("page.html", "page.js", "page.css"))
MOST_ANSWERS = 50


class Page:
    """A page to search by picture; it holds nothing of a visit.

    Args:
        collections: title of each method -> the collection that it searches.
        examples: a collection whose pictures are offered as queries; None: those of the searched collections, which
            then hold the same items. An example is no answer of its own.
        k: number of answers at the start.
    """

    def __init__(self, collections: Mapping[str, Collection], examples: Collection | None = None, *, k: int = 10):
        self.collections, self.k = collections, k
        self.searched = next(iter(collections.values()))
        self.has_own_examples = examples is None
        self.examples = self.searched if examples is None else examples
        self.offered = [item for item in answers.offered(self.examples) if answers.thumbnail(self.examples, item)]
        self.classes = answers.classes(self.searched)
        self.most = min(MOST_ANSWERS, *map(len, collections.values()))

    def html(self, most_bytes: int) -> str:
        """The whole page with the answers to the first example; the search for it also warms the networks.

        Args:
            most_bytes: of a file; the script of the page refuses larger ones, so that they are not sent in vain.
        """
        k, first = min(self.k, self.most), self._shown(self.offered[0]) if self.offered else ""
        return Template(FRAME.read_text(encoding="utf-8")).substitute(
            about=answers.about(self.searched),
            examples="".join(self._example(number, item) for number, item in enumerate(self.offered)),
            without_examples="" if self.offered else "hidden",
            shows="".join(
                f'<option value="{html.escape(name)}"{" selected" * (name == first)}>'
                f"{html.escape(name) or answers.UNKNOWN}</option>"
                for name in ("", *self.classes)
            ),
            hidden="" if self.classes else "hidden",
            answers=self._first_answers(str(k), first) if self.offered else "",
            count=k,
            most=self.most,
            most_bytes=most_bytes,
        )

    def answer(self, *, count: str, example: str = "", shows: str = "", name: str = "", content: bytes = b"") -> str:
        """The answers to one query, as HTML. The arguments are what a browser sends, so each of them is checked.

        Args:
            count: number of answers.
            example: number of the example that is the query; empty if `content` is the query.
            shows: what the query shows, one of the labels; empty if it is unknown.
            name: file name of `content`.
            content: a picture file.

        Raises:
            ValueError: a wrong argument, or a picture that is not accepted; the message says what is expected.
            OSError: the file of the example is no longer readable.
        """
        k, item = _whole(count, 1, self.most, "number of answers"), None
        if shows and shows not in self.classes:
            raise ValueError(f"no picture shows {shows!r}: expected one of {', '.join(self.classes)}")
        labels = frozenset([shows] if shows else ())
        if example:
            item = self.offered[_whole(example, 0, len(self.offered) - 1, "example")]
            query, name = self.examples.picture(item), self.examples.names[item]
            if len(several := self._labels(item)) > 1:  # a single one is chosen in the page
                labels = labels or several
        else:
            query = opened(content, name, self.searched.hasher.side)
        self.searched.hasher.fitted(query, name)  # a blank picture is refused by name
        without = item if self.has_own_examples else None
        found = {
            title: (collection, collection.search(query, k, labels=labels, without=without))
            for title, collection in self.collections.items()
        }
        return answers.answers_page(query, found, name, labels)

    def _first_answers(self, count: str, shows: str) -> str:
        """The answers to the first example, or why there are none."""
        try:
            return self.answer(count=count, example="0", shows=shows)
        except (ValueError, OSError) as error:  # the file has changed since it was hashed
            return answers.refusal(error)

    def _example(self, number: int, item: int) -> str:
        """An example as one of the pictures to choose from."""
        shown, name = html.escape(self._shown(item)), self.examples.names[item]
        picture, checked = answers.image(answers.thumbnail(self.examples, item), name), "" if number else " checked"
        return (
            f'<label title="{html.escape(name)}"><input type="radio" name="example" value="{number}" '
            f'data-shows="{shown}"{checked}>{picture}</label>'
        )

    def _shown(self, item: int) -> str:
        """The label of an example; empty if it has none, several, or one that nothing searched carries."""
        [label] = labels if len(labels := self._labels(item)) == 1 else [""]
        return label if label in self.classes else ""

    def _labels(self, item: int) -> frozenset[str]:
        """The labels of an example; empty if they are unknown."""
        return self.examples.labels[item] if self.examples.labels else frozenset()


def _whole(text: str, least: int, most: int, what: str) -> int:
    """A whole number that a browser sends; a ValueError if it is not in its range."""
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise ValueError(f"the {what} must be from {least} to {most}, got {text!r}")
    return int(text)
