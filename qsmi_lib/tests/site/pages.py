"""The pages of the built site, and what one of them refers to."""

from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser

from qsmi_lib.utils.paths import ROOT

SITE = ROOT / "build" / "site"
PAGES = sorted(str(path.relative_to(SITE)) for path in SITE.rglob("*.html"))
CODE = ("pre", "code", "script", "style")


@dataclass
class Page(HTMLParser):
    """The elements of a page that have an id, lead somewhere or load something."""

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)  # of <a>: a reader follows them
    loads: list[str] = field(default_factory=list)  # of all other elements: the browser fetches them
    pictures: list[dict[str, str]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)  # without code
    inside: list[str] = field(default_factory=list)  # the elements of code that are open

    def __post_init__(self):
        super().__init__()

    def handle_starttag(self, tag, attrs):
        values = {key: value or "" for key, value in attrs}
        self.ids.update(values[key] for key in ("id", "name") if values.get(key))
        if tag in CODE:
            self.inside.append(tag)
        addresses = [values[key] for key in ("href", "src", "data", "poster", "srcset") if key in values]
        if tag != "use":  # a symbol of the page itself
            (self.links if tag == "a" else self.loads).extend(addresses)
        if tag == "img":
            self.pictures.append(values)

    def handle_endtag(self, tag):
        if tag in CODE and self.inside:
            self.inside.pop()

    def handle_data(self, data):
        if not self.inside:
            self.words.append(data)


@cache
def parsed(name: str) -> Page:
    """The page of that name."""
    page = Page()
    page.feed((SITE / name).read_text(encoding="utf-8"))
    return page
