"""Notebook 14's numbers: energies beside the library's loss, tables of any subset of records, searches."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from qsmi_lib import losses
from qsmi_lib.config.presets import configure
from qsmi_lib.reproduction.analysis import spherical
from qsmi_lib.reproduction.rotations import file_of
from qsmi_lib.training import records

forms = pytest.mark.parametrize("form", spherical.FORMS)
inside = pytest.mark.parametrize("difference", [-3.7, -1.0, 0.4, 3.5])

EMPTY = pd.DataFrame([])
TURNED = pd.DataFrame(
    [
        {"method": "spring", "bits": 12, "protocol": "reduced_held_out", "held_before": 0.5, "held_after": 0.7}
        | {"before": 0.45, "after": 0.6, "gain": 0.15, "precision_gain": 0.1}
    ]
)


def triplet(difference):
    """The embeddings of one triplet on the circle whose t is `difference`, and who is relevant to the first item."""
    positive, negative = (
        (0.0, math.acos(1 + difference / 2)) if difference < 0 else (math.acos(1 - difference / 2), 0.0)
    )
    angle = torch.tensor([0.0, positive, negative], dtype=torch.float64, requires_grad=True)
    relevance = torch.tensor([[True, True, False], [False, True, False], [False, False, True]])
    return angle, relevance


def loss(angle, relevance, form):
    return losses.spring_loss(torch.stack([angle.cos(), angle.sin()], dim=1), relevance, form=form)


@forms
@inside
def test_energy_is_the_librarys(form, difference):
    expected = loss(*triplet(difference), form).item()
    assert spherical.energy(difference, form, bits=2) == pytest.approx(expected, abs=1e-7)


@forms
@inside
def test_slope_is_the_librarys(form, difference):
    """By the chain rule over the angle that is not 0: t is 2 cos(negative) - 2 cos(positive)."""
    angle, relevance = triplet(difference)
    loss(angle, relevance, form).backward()
    moved = 1 if difference > 0 else 2
    slope_of_t = 2.0 * math.sin(angle[moved].item()) * (1 if moved == 1 else -1)
    expected = angle.grad[moved].item() / slope_of_t
    assert spherical.slope(difference, form, bits=2) == pytest.approx(expected, abs=1e-6)


def test_springs_have_no_slope_at_the_worst_triplet_and_say_so_without_a_warning():
    for form in ("spring", "margin_spring"):
        assert spherical.slope(4.0, form) == math.inf
    assert spherical.slope([-4.0, 4.0], "margin").tolist() == [0.0, 1.0]


def record(bits, protocol=None, entropy=None, score=0.5):
    config = {"method": "qsmi", "bits": bits} | ({} if protocol is None else {"protocol": protocol})
    return {"config": config, "metrics": {"map_expected": score}} | (
        {} if entropy is None else {"codes": {"bit_entropy": entropy}}
    )


def test_comparison_takes_any_subset():
    scores = spherical.comparison([record(12, entropy=0.9), record(48, "reduced")], TURNED)
    assert scores["protocol"].tolist() == ["full", "reduced", "reduced"]
    assert scores["method"].tolist() == ["QSMI", "QSMI", spherical.ROTATED]
    assert scores["map"].tolist() == [0.5, 0.5, 0.6]
    np.testing.assert_array_equal(scores["bit_entropy"], [0.9, np.nan, np.nan])
    assert spherical.comparison([], EMPTY).empty


def test_by_length_has_a_row_a_method_and_a_dash_where_nothing_is_known():
    table = spherical.by_length(spherical.comparison([record(12, score=0.25)], TURNED), (12, 48))
    assert len(table) == 2 * len(spherical.method_order())
    values = table.set_index(["training set", "method"])
    assert values.loc[("all training items", "QSMI")].tolist() == ["0.250", "–"]
    assert values.loc[("reduced training set", spherical.ROTATED)].tolist() == ["0.600", "–"]
    assert set(spherical.by_length(spherical.comparison([], EMPTY), (12,))["12 bits"]) == {"–"}


def test_by_length_leaves_out_methods_without_the_value():
    scores = spherical.comparison([record(12, entropy=0.9)], TURNED)
    table = spherical.by_length(scores, (12, 48), "bit_entropy")
    assert table.to_numpy().tolist() == [["all training items", "QSMI", "0.900", "–"]]


def test_gains_with_and_without_searches():
    table = spherical.gains(TURNED, [0.65])
    assert table.to_dict("records")[0] == {
        **{"training set": "reduced training set", "bits": 12, "held out, no rotation": 0.5, "held out, ITQ": 0.65},
        **{"held out, searched": 0.7, "queries, no rotation": 0.45, "queries, searched": 0.6, "queries' gain": 0.15},
    }
    assert list(spherical.gains(EMPTY, [])) == list(table)


def test_searches_are_those_that_are_recorded(tmp_path):
    configs = [configure("digits", "spring", bits, protocol="held_out") for bits in (12, 24, 48)]
    for config in configs[1:]:
        record = {"config": config.to_dict(), "search": {"before": config.bits / 100}, "metrics": {}, "provenance": {}}
        records.save(record, file_of(config, "", n_steps=10, where=tmp_path))
    assert [search["before"] for search in spherical.searches(configs, tmp_path, 10)] == [0.24, 0.48]


def test_history_is_what_was_accepted_and_stays_until_the_next():
    search = {"n_steps": 5, "accepted": [[0, 0.3], [2, 0.4], [5, 0.6]]}
    assert spherical.history_of(search).tolist() == [0.3, 0.3, 0.4, 0.4, 0.4, 0.6]
