"""Claims about live tables: what counts as holding, and that each lesson prints its own in a checked cell."""

import dataclasses
import math

import nbformat
import pytest

from qsmi_lib.config.profiles import PROFILES
from qsmi_lib.reproduction import live_claims
from qsmi_lib.reproduction.experiments import EXPERIMENTS, Claim
from qsmi_lib.reproduction.experiments.entry import descending
from qsmi_lib.reproduction.tables import key_of
from qsmi_lib.tests.reproduction.invented import empty, invent
from qsmi_lib.utils.paths import NOTEBOOKS

CLAIMED = [name for name, entry in EXPERIMENTS.items() if entry.claims]
DIGITS = PROFILES["digits"]


@pytest.fixture
def table_1(tmp_path):
    """Table 1 under `digits`: QSMI 0.80, 0.82, 0.90 by seed, QMI 0.70, 0.60, 0.50; the other two 0.5."""
    results = empty("digits", tmp_path)
    scores = {"qsmi": (0.80, 0.82, 0.90), "qmi": (0.70, 0.60, 0.50)}
    for config in results.grid("table_1"):
        invent(results, config, map=scores.get(config.method, (0.5, 0.5, 0.5))[config.seed])
    return results


def test_a_difference_is_the_mean_over_seeds_with_its_standard_error(table_1):
    claim = Claim("map", ("qsmi",), ("qmi",))
    differences = (0.1, 0.22, 0.4)
    mean = sum(differences) / 3
    error = math.sqrt(sum((value - mean) ** 2 for value in differences) / 2 / 3)
    assert live_claims.difference(claim, "table_1", table_1) == pytest.approx((mean, error))


@pytest.mark.parametrize(
    ("claim", "verdict"),
    [
        (Claim("map", ("qsmi",), ("qmi",)), "mAP (whole ranking): QSMI > QMI: holds"),
        (Claim("map", ("qmi",), ("qsmi",)), "mAP (whole ranking): QMI > QSMI: does not hold"),
        (Claim("map", ("qmi",), ("qmi_clamped",)), "mAP (whole ranking): QMI > QMI, clamped: does not hold"),
        (Claim("map", ("qsmi",), 0.7), "mAP (whole ranking): QSMI > 0.7: holds"),
        (Claim("map", 0.7, ("qmi",)), "mAP (whole ranking): 0.7 > QMI: does not hold"),
        (Claim("map", ("qmi_clamped",), ("qsmi_unclamped",)), "clamped > QSMI, not clamped: does not hold"),  # equal
    ],
)
def test_a_claim_holds_beyond_two_standard_errors(table_1, monkeypatch, claim, verdict):
    entry = dataclasses.replace(EXPERIMENTS["table_1"], claims=(claim,))
    monkeypatch.setitem(EXPERIMENTS, "table_1", entry)
    assert live_claims.report("table_1", table_1).endswith(verdict)


def test_one_seed_or_none_decides_nothing(tmp_path):
    results = empty("digits", tmp_path)
    assert math.isnan(live_claims.difference(Claim("map", ("qmi",), 0.4), "table_1", results)[0])
    invent(results, results.grid("table_1")[0], map=0.5)
    assert math.isnan(live_claims.difference(Claim("map", ("qmi",), 0.4), "table_1", results)[0])


def test_descending_claims_each_step():
    assert descending("map", ("a",), ("b",), 0.5) == (Claim("map", ("a",), ("b",)), Claim("map", ("b",), 0.5))


@pytest.mark.parametrize("name", CLAIMED)
def test_a_claim_is_about_cells_of_the_live_table_with_three_seeds(name):
    entry = EXPERIMENTS[name]
    cells = [key_of(config, entry.by) for config in entry.grid(DIGITS)]
    for claim in entry.claims:
        sides = [side for side in (claim.higher, claim.lower) if isinstance(side, tuple)]
        assert sides and all(cells.count(side) >= 3 for side in sides), claim
        assert live_claims.sentence(claim, entry)
    assert entry.live and len(set(entry.claims)) == len(entry.claims)


def reports():
    """The experiments whose claims a notebook prints, each with the cell."""
    calls = {f'print(live_claims.report("{name}", live))': name for name in EXPERIMENTS}
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        for cell in nbformat.read(path, as_version=4).cells:
            if name := calls.get(cell.source):
                yield name, cell


@pytest.mark.parametrize(("name", "cell"), list(reports()))
def test_lessons_print_their_claims_in_checked_cells_where_all_hold(name, cell):
    """nbval runs the cell on networks trained there and then, and compares."""
    entry = EXPERIMENTS[name]
    assert {"keep_output", "nbval-check-output"} <= set(cell.metadata["tags"])
    lines = "".join(output.text for output in cell.outputs).splitlines()
    assert lines == [f"{live_claims.sentence(claim, entry)}: holds" for claim in entry.claims] != []


def test_every_claim_is_printed_by_a_lesson():
    assert sorted(name for name, _ in reports()) == sorted(CLAIMED)


def test_a_sentence_says_first_what_both_sides_share():
    claim = Claim("map", ("qsmi", 48), ("dsh", 48))
    assert live_claims.sentence(claim, EXPERIMENTS["table_2"]) == "mAP (whole ranking), 48 bits: QSMI > DSH"
