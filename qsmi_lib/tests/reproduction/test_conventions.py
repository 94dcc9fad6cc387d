"""Conventions of published tables, and the card: built from docstrings, so that they say what `evaluate` does."""

import dataclasses

import pytest

from qsmi_lib import __version__
from qsmi_lib.evaluation import Evaluation
from qsmi_lib.reproduction.analysis import conventions
from qsmi_lib.utils import paths

FIELDS = [field.name for field in dataclasses.fields(Evaluation)]


def test_the_card_has_a_rule_for_every_field():
    card = conventions.card()
    assert list(conventions.rules()) == FIELDS
    for name, rule in conventions.rules().items():
        assert f"| `{name}` | {rule} |" in card.splitlines()
    for word in ("**Ties.**", "**Empty balls.**", "**Nothing relevant.**", "**To cite.**", __version__):
        assert word in card
    assert ":math:" not in card


def test_a_field_without_a_rule_is_named(monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class Extended(Evaluation):
        __doc__ = Evaluation.__doc__
        surprise: float = 0.0

    monkeypatch.setattr(conventions, "Evaluation", Extended)
    with pytest.raises(ValueError, match="no rule for surprise"):
        conventions.card()


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
