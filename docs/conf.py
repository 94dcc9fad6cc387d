"""The site that `make site` builds from notebooks, documents and docstrings; nothing is executed or downloaded.

The source folder is the repository itself, so every link between its files holds in the site too.
"""

import importlib.util
import re
from collections import _tuplegetter
from pathlib import Path
from urllib.parse import unquote

import myst_nb.sphinx_
import numpy.typing
from docutils import nodes
from myst_nb.core.render import MimeData, NbElementRenderer
from myst_parser.slugs import github_slugify
from sphinx import addnodes
from sphinx.application import Sphinx

numpy.typing.ArrayLike = type("ArrayLike", (), {})  # the reference shows this name, not the 200 characters behind it
import qsmi_lib  # noqa: E402
from qsmi_lib.methods import METHODS  # noqa: E402
from qsmi_lib.reproduction import notebooks  # noqa: E402

ROOT = Path(__file__).parents[1]
MATHJAX = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax" / "tex-svg.js"

project = "qsmi_lib"
author = "The qsmi-lib authors"
version = release = qsmi_lib.__version__
language = "en"

root_doc = "docs/index"
include_patterns = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md", "docs/**", "notebooks/*"]
include_patterns += ["results/*.md", "results/benchmarks/*.md"]
exclude_patterns = ["[.]*", "build", "qsmi_lib", "results/paper", "**/.ipynb_checkpoints"]
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx.ext.napoleon"]

nb_execution_mode = "off"
nb_ipywidgets_js = {}
nb_render_markdown_format = "myst"
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 4

default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True  # as written: a value may hold a path of this machine
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
napoleon_use_ivar = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80

mathjax_path = MATHJAX.name
mathjax3_config = {"options": {"enableMenu": False}}  # the menu would load its parts from elsewhere
html_theme = "furo"
html_favicon = "favicon.svg"
html_title = "Supervised hashing with QSMI"
html_static_path = [str(MATHJAX), "site.css"]
html_show_copyright = False
html_css_files = ["site.css"]
html_sourcelink_suffix = ""

LESSONS = [f"notebooks/{path.stem}" for path in notebooks.lessons()]
EVIDENCE = [f"notebooks/{path.stem}" for path in notebooks.chosen() if f"notebooks/{path.stem}" not in LESSONS]
BENCHMARKS = {  # these files have no heading of their own; that of another is its name
    "compression": "What compression of features costs",
    "evaluate": "Time of an evaluation",
    "full_size": "Costs at the full size of Tables 6 to 8",
    "indexes": "Time and memory of indexes",
    "layers": "Time of each loss",
    "pictures": "Pictures a second",
    "train-fashion_mnist": "Time of a training epoch",
}
NAVIGATION = {
    "Learn": [
        "docs/tour",
        *LESSONS,
        "notebooks/cheat_sheet",
        "notebooks/glossary",
    ],
    "Compare": [
        "results/paper_vs_ours",
        "results/README",
        *EVIDENCE,
        *(f"results/benchmarks/{path.stem}" for path in sorted((ROOT / "results" / "benchmarks").glob("*.md"))),
    ],
    "Use": [
        "README",
        "docs/own_data",
        "docs/library",
        "docs/commands",
        "data/README",
        "docs/reliability",
        "docs/api/index",
    ],
    "Contribute": ["CONTRIBUTING", "docs/hosting", "CHANGELOG"],
}


class Renderer(NbElementRenderer):
    """Outputs of notebooks, with the alternative text that the metadata of a picture holds."""

    def render_image(self, data: MimeData) -> list[nodes.Element]:
        """As in myst-nb, which takes width and height from there, and no text."""
        [image] = super().render_image(data)
        if alt := data.output_metadata.get(data.mime_type, {}).get("alt"):
            image["alt"] = alt
        return [image]


def complete_source(app: Sphinx, docname: str, source: list[str]) -> None:
    """What files of the repository lack as pages: headings of benchmarks, the list of methods, the lists of pages."""
    folder, _, name = docname.rpartition("/")
    if folder == "results/benchmarks" and not source[0].startswith("# "):
        heading = BENCHMARKS.get(name, name.replace("_", " ").capitalize())
        source[0] = f"# {heading}\n\n{source[0]}"
    if docname == "docs/api/methods":
        rows = "".join(f"   * - ``{name}``\n     - {one.title}\n     - {one.source}\n" for name, one in METHODS.items())
        source[0] += f"\n.. list-table::\n   :header-rows: 1\n\n   * - name\n     - title\n     - source\n{rows}"
    if docname == root_doc:
        for caption, names in NAVIGATION.items():
            entries = "\n".join(f"/{name}" for name in names)
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{entries}\n```\n"


def adapt_links(app: Sphinx, document: nodes.document) -> None:
    """Links that hold in the repository, in the terms of the site.

    A link to a section of a notebook has JupyterLab's form, #1-·-A-Title. A link to a folder leads to its README;
    without one it is plain text, because the site holds no folders.
    """
    env = app.env
    for link in list(document.findall(addnodes.pending_xref)):
        if link.get("refdomain") == "doc" and link["reftargetid"]:
            link["reftargetid"] = github_slugify(unquote(link["reftargetid"]))
        elif link.get("reftype") == "myst" and not link.get("refdomain"):
            heading = github_slugify(unquote(link["reftarget"]))
            folder = Path(env.relfn2path(link["reftarget"], env.docname)[1])
            readme = env.path2doc(folder / "README.md")
            if heading in env.metadata[env.docname].get("myst_slugs", {}):
                link.attributes.update(refdomain="doc", reftarget=env.docname, reftargetid=heading)
            elif readme in env.found_docs:
                link.attributes.update(refdomain="doc", reftarget=readme, reftargetid=None)
            elif folder.is_dir():
                link.replace_self(link.children)


def adapt_html(app: Sphinx, document: nodes.document) -> None:
    """The same for HTML inside Markdown, such as a folded answer; its formulas are typeset, as JupyterLab does."""
    for html in document.findall(nodes.raw):
        text = re.sub(r'(href="[^":]+)\.(ipynb|md)\b', r"\1.html", html.astext())
        html[:] = [nodes.Text(re.sub(r"\$([^$]+)\$", r'<span class="math notranslate">\\(\1\\)</span>', text))]


def skip_fields(app: Sphinx, kind: str, name: str, value: object, skip: bool, options: object) -> bool | None:
    """The fields of named tuples stand in the docstrings of their classes."""
    return True if isinstance(value, _tuplegetter) else None


def lead_to_front_page(app: Sphinx, error: Exception | None) -> None:
    """The address of the site itself leads to the front page."""
    if error is None:
        target = app.builder.get_target_uri(root_doc)
        page = f'<!doctype html><meta charset="utf-8"><title>{html_title}</title>'
        page += '<link rel="icon" href="_static/favicon.svg">'
        page += f'<meta http-equiv="refresh" content="0; url={target}"><a href="{target}">{html_title}</a>'
        Path(app.outdir, "index.html").write_text(page, encoding="utf-8")


def setup(app: Sphinx) -> None:
    """What this file adds to Sphinx and to myst-nb."""
    myst_nb.sphinx_.load_renderer = lambda name: Renderer  # its own way is an entry point of an installed package
    app.connect("source-read", complete_source)
    app.connect("doctree-read", adapt_links)
    app.connect("doctree-read", adapt_html)
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("build-finished", lead_to_front_page)
