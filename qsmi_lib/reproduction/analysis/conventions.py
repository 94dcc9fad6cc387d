"""Which convention stands behind a number: those of the published tables, and a card of our own to cite."""

import dataclasses
import inspect
import re

import pandas as pd

from qsmi_lib import __version__
from qsmi_lib.evaluation import Evaluation, evaluate
from qsmi_lib.utils import paths

CITATION = (
    "N. Passalis and A. Tefas, *Deep Supervised Hashing using Quadratic Spherical Mutual Information for Efficient "
    "Image Retrieval*"
)
COMPANION = "Quadratic Spherical Mutual Information Hashing, executable"
HEADINGS = {
    "subject": "what",
    "convention": "convention",
    "denominator": "divided by",
    "k": "k",
    "ties": "order of ties",
    "empty_balls": "empty balls",
    "selection": "queries in model selection",
    "place": "source",
    "note": "note",
}


def conventions() -> pd.DataFrame:
    """What data/paper/conventions.csv says of the paper's tables and of the works quoted in them, a row each."""
    return pd.read_csv(paths.PUBLISHED / "conventions.csv", dtype=str, keep_default_na=False)


def markdown(rows: pd.DataFrame) -> str:
    """Rows of `conventions` for people."""
    named = rows[list(HEADINGS)].rename(columns=HEADINGS)
    return named.to_markdown(index=False, disable_numparse=True).replace("__", r"\_\_")  # no emphasis


def rules() -> dict[str, str]:
    """Field of `Evaluation` -> its rule, as the docstring has it.

    Raises:
        ValueError: a field without a rule.
    """
    stated = _entries(Evaluation, "Attributes")
    if lacking := [field.name for field in dataclasses.fields(Evaluation) if field.name not in stated]:
        raise ValueError(f"the docstring of Evaluation has no rule for {', '.join(lacking)}")
    return stated


def card() -> str:
    """Every field and option of `evaluate` with its rule, and how to cite both, from the docstrings: Markdown."""
    options = _entries(evaluate, "Args")
    terms = _plain(inspect.getdoc(Evaluation)).split("\n\nAttributes:")[0]
    return "\n\n".join(
        [
            f"### Retrieval scores by `qsmi_lib.evaluation.evaluate` {__version__}",
            terms,
            _table("field", rules()),
            _table("option", {name: options[name] for name in ("k", "relevance")}),
            f"**Ties.** `ties`: {options['ties']}",
            f"**Empty balls.** `precision_radius2`: {rules()['precision_radius2']}",
            f"**Nothing relevant.** `n_without_relevant`: {rules()['n_without_relevant']}",
            f"**To cite.** The method: {CITATION}. The scores: *{COMPANION}*, qsmi-lib {__version__}.",
        ]
    )


def statement(*fields: str) -> str:
    """The conventions of the scores `fields`, as plain text for a paper.

    Args:
        fields: of `Evaluation`, at least one.

    Raises:
        ValueError: no field, or an unknown one; the known ones are listed.
    """
    known = rules()
    if not fields or (unknown := [name for name in fields if name not in known]):
        got = f"got {', '.join(unknown)}" if fields else "got none"
        raise ValueError(f"fields must be of Evaluation: {', '.join(known)}; {got}")
    stated = [f"{name}: {known[name]}" for name in dict.fromkeys([*fields, "n_without_relevant"])]
    source = f"qsmi-lib {__version__}, companion to {CITATION}"
    ties = f"ties: {_entries(evaluate, 'Args')['ties']}"
    return re.sub(
        "[`*]", "", " ".join([f"Retrieval scores by qsmi_lib.evaluation.evaluate ({source}).", *stated, ties])
    )


def _entries(documented: object, section: str) -> dict[str, str]:
    """Name -> description of one section of a docstring, each on one line."""
    body = re.search(rf"^{section}:\n((?: {{4}}.*\n?)+)", inspect.getdoc(documented), flags=re.MULTILINE)
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", body.group(1), flags=re.MULTILINE)
    return {name: _plain(" ".join(text.split())) for name, text in found}


def _plain(text: str) -> str:
    """A docstring's formulas as Markdown has them."""
    return re.sub(r":math:`([^`]*)`", r"$\1$", text)


def _table(heading: str, rows: dict[str, str]) -> str:
    """Two columns: names and rules."""
    lines = [f"| `{name}` | {rule} |" for name, rule in rows.items()]
    return "\n".join([f"| {heading} | rule |", "|:--|:--|", *lines])
