"""Conventions of evaluation: those of the published tables, and a card of `evaluate` to cite."""

import re

import pandas as pd

from qsmi_lib import __version__
from qsmi_lib.evaluation.metrics import DEFINITIONS, OPTION_RULES, RULES
from qsmi_lib.utils import paths
from qsmi_lib.utils.reading import CLONE, read_table

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
    """data/paper/conventions.csv: the conventions of the paper's tables and of the works they cite, a row each."""
    columns, text = dict.fromkeys(HEADINGS, object), {"dtype": str, "keep_default_na": False}
    return read_table(paths.PUBLISHED / "conventions.csv", columns, CLONE, **text)


def markdown(rows: pd.DataFrame) -> str:
    """Rows of `conventions` as a Markdown table."""
    named = rows[list(HEADINGS)].rename(columns=HEADINGS)
    return named.to_markdown(index=False, disable_numparse=True).replace("__", r"\_\_")  # no emphasis


def card() -> str:
    """Every field and option of `evaluate` with its rule, and how to cite both, in Markdown."""
    return "\n\n".join(
        [
            f"### Retrieval scores by `qsmi_lib.evaluation.evaluate` {__version__}",
            DEFINITIONS,
            _table("field", RULES),
            _table("option", {name: OPTION_RULES[name] for name in ("k", "relevance")}),
            f"**Ties.** `ties`: {OPTION_RULES['ties']}",
            f"**Empty balls.** `precision_radius2`: {RULES['precision_radius2']}",
            f"**Nothing relevant.** `n_without_relevant`: {RULES['n_without_relevant']}",
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
    if not fields or (unknown := [name for name in fields if name not in RULES]):
        got = f"got {', '.join(unknown)}" if fields else "got none"
        raise ValueError(f"fields must be of Evaluation: {', '.join(RULES)}; {got}")
    stated = [f"{name}: {RULES[name]}" for name in dict.fromkeys([*fields, "n_without_relevant"])]
    source = f"qsmi-lib {__version__}, companion to {CITATION}"
    ties = f"ties: {OPTION_RULES['ties']}"
    return re.sub(
        "[`*]", "", " ".join([f"Retrieval scores by qsmi_lib.evaluation.evaluate ({source}).", *stated, ties])
    )


def _table(heading: str, rows: dict[str, str]) -> str:
    """Two columns: names and rules."""
    lines = [f"| `{name}` | {rule} |" for name, rule in rows.items()]
    return "\n".join([f"| {heading} | rule |", "|:--|:--|", *lines])
