"""Each page of the site: its links lead somewhere, it loads nothing from elsewhere, and its pictures have words."""

import importlib
import re
from urllib.parse import unquote, urlsplit

import pytest

from qsmi_lib.reproduction import notebooks
from qsmi_lib.tests.site.pages import SITE, parsed
from qsmi_lib.utils.paths import ROOT

PARTS = ["losses", "evaluation", "codes", "datasets", "models", "methods", "training", "search", "reproduction"]


def broken(name: str, addresses: list[str]) -> list[str]:
    """The addresses on a page that name no file of the site, or no element of that file."""
    found = []
    for address in addresses:
        url = urlsplit(address)
        target = (SITE / name).parent / unquote(url.path) if url.path else SITE / name
        inside = target.resolve().is_relative_to(SITE) and target.is_file()
        anchored = not url.fragment or (
            inside and unquote(url.fragment) in parsed(str(target.resolve().relative_to(SITE))).ids
        )
        if not (inside and anchored):
            found.append(address)
    return found


def test_links_lead_somewhere(name):
    own = [address for address in parsed(name).links if not re.match(r"https?:|mailto:", address)]
    assert own and broken(name, own) == []


def test_what_a_page_loads_is_here(name):
    assert broken(name, [address for address in parsed(name).loads if not address.startswith("data:")]) == []


def test_pictures_have_words(name):
    words = [picture.get("alt", "") for picture in parsed(name).pictures]
    assert all(words) and not [text for text in words if re.search(r"\.(png|svg|jpe?g|gif)$", text)]


def test_no_formula_is_left_as_source(name):
    assert re.findall(r"\$[^$]+\$", " ".join(parsed(name).words)) == []


def test_no_page_names_the_folder_it_was_built_in(name):
    assert str(ROOT) not in (SITE / name).read_text(encoding="utf-8")


def test_styles_load_nothing_from_elsewhere(site):
    styles = {path.name: path.read_text(encoding="utf-8") for path in site.rglob("*.css")}
    assert styles and not {
        name for name, text in styles.items() if re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", text)
    }


def test_notebooks_and_documents_are_pages(site):
    sources = [*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "notebooks").glob("*.md"), *(ROOT / "docs").glob("*.md")]
    front = {str(((site / "docs") / link).resolve()) for link in parsed("docs/index.html").links}
    for path in sources:
        page = (site / path.relative_to(ROOT)).with_suffix(".html")
        assert page.is_file() and (str(page) in front or path.stem == "index"), path.name


def test_lessons_and_evidence_are_apart(site):
    """The front page lists the lessons before the ledger, and evidence after it."""
    lessons = {path.stem for path in notebooks.lessons()}
    links = [link for link in parsed("docs/index.html").links if re.search(r"notebooks/\d\d_|paper_vs_ours", link)]
    places = {link.rpartition("/")[2]: place for place, link in reversed(list(enumerate(links)))}
    ledger = places.pop("paper_vs_ours.html")
    for name, place in places.items():
        assert (place < ledger) == (name.removesuffix(".html") in lessons), name


@pytest.mark.parametrize("part", PARTS)
def test_the_reference_has_the_public_functions_and_classes(part, site):
    module = importlib.import_module(f"qsmi_lib.{part}")
    page = parsed(f"docs/api/{part}.html")
    named = {name for name in getattr(module, "__all__", ()) if callable(getattr(module, name))}
    for name in named:
        value = getattr(module, name)
        places = {f"{module.__name__}.{name}", f"{value.__module__}.{name}"}
        assert places & page.ids, name


def test_every_page_of_the_reference_has_entries(site):
    for path in (site / "docs" / "api").glob("[!i]*.html"):
        assert any(own.startswith("qsmi_lib.") for own in parsed(str(path.relative_to(site))).ids), path.name
