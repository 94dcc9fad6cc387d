"""Conventions of published tables, and the card of `evaluate`."""

import dataclasses

import pytest

from qsmi_lib import __version__
from qsmi_lib.evaluation import Evaluation
from qsmi_lib.evaluation.metrics import OPTION_RULES, RULES
from qsmi_lib.reproduction.analysis import conventions
from qsmi_lib.utils import paths

FIELDS = [field.name for field in dataclasses.fields(Evaluation)]


def test_the_card_has_the_rule_of_every_field_and_option():
    card = conventions.card()
    assert list(RULES) == FIELDS
    assert all(f"| `{name}` | {rule} |" in card.splitlines() for name, rule in RULES.items())
    assert all(rule in card for rule in OPTION_RULES.values())
    assert __version__ in card and conventions.CITATION in card


def test_a_statement_names_what_it_is_asked_for():
    text = conventions.statement("map_expected", "precision_radius2")
    assert "map_expected: mean AP over all orders of tied items." in text
    assert "an empty ball counts 0" in text
    assert "ties: " in text and "n_without_relevant: " in text
    assert "map_11pt" not in text and "`" not in text
    assert conventions.statement("n_without_relevant").count("n_without_relevant:") == 1


@pytest.mark.parametrize(("fields", "message"), [((), "got none"), (("mAP", "map"), "got mAP$")])
def test_a_statement_of_nothing_known_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        conventions.statement(*fields)


def test_the_readme_cites_the_same():
    readme = " ".join((paths.ROOT / "README.md").read_text(encoding="utf-8").split())
    assert conventions.CITATION in readme
    assert readme.startswith(f"# {conventions.COMPANION}")


def test_conventions_for_people():
    rows = conventions.conventions()
    text = conventions.markdown(rows[rows["source"] == "paper"])
    assert text.count("\n") == (rows["source"] == "paper").sum() + 1
    assert text.splitlines()[0].startswith("| what")
