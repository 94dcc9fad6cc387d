"""Each link of a document or notebook leads to a file of the repository, and to a heading if it names one."""

import re
import subprocess
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

from qsmi_lib.utils.paths import ROOT

SOURCES = [
    *ROOT.glob("*.md"),
    ROOT / "data" / "README.md",
    *(
        path
        for folder in ("docs", "notebooks", "results", "results/benchmarks")
        for path in (ROOT / folder).glob("*.md")
    ),
    *(ROOT / "notebooks").glob("*.ipynb"),
]


@cache
def text(path: Path) -> str:
    """The Markdown of a document, or of a notebook's cells, without code."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = nbformat.reads(source, as_version=4).cells
        source = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.sub(r"```.*?```|`[^`\n]+`", "", source, flags=re.DOTALL)


def anchors(path: Path) -> set[str]:
    """The names of the headings: as in JupyterLab for a notebook, as on GitHub for a document."""
    headings = re.findall(r"^#+ +(.+?) *$", text(path), flags=re.MULTILINE)
    if path.suffix == ".ipynb":
        return {heading.replace(" ", "-") for heading in headings}
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def in_repository() -> set[Path] | None:
    """Files and folders that git knows, because others would lack in a clone; None: git does not say."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    files = {ROOT / line for line in listed.stdout.splitlines()}
    return files | {folder for file in files for folder in file.parents} if listed.returncode == 0 else None


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    for link in re.findall(r"\]\(([^)\s]+)\)", text(path)):
        if re.match("https?:", link):
            continue
        place, _, heading = unquote(link).partition("#")
        target = (path.parent / place).resolve() if place else path
        assert target.exists() and target in (in_repository() or {target}), link
        assert not heading or heading in anchors(target), link
