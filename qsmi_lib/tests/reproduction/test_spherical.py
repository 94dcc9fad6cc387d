"""Notebook 14's numbers: energies as the library's loss has them, tables of any subset of records, searches."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from qsmi_lib import losses
from qsmi_lib.config.presets import configure
from qsmi_lib.reproduction.analysis import spherical
from qsmi_lib.reproduction.rotations import COLUMNS, rotation_path
from qsmi_lib.training.records import Store, save_record

TURNED = pd.DataFrame(
    [
        {"method": "spring", "bits": 12, "protocol": "reduced_held_out", "held_before": 0.5, "held_after": 0.7}
        | {"before": 0.45, "after": 0.6, "gain": 0.15, "precision_gain": 0.1}
    ]
)
NO_ROTATION = pd.DataFrame([], columns=COLUMNS)


@pytest.mark.parametrize("form", spherical.FORMS)
@pytest.mark.parametrize("difference", [-3.7, 0.4, 3.5])
def test_energy_and_slope_are_the_librarys(form, difference):
    """A triplet on the circle whose t is `difference`; by the chain rule over the angle that is not 0."""
    angles = (0.0, math.acos(1 + difference / 2)) if difference < 0 else (math.acos(1 - difference / 2), 0.0)
    angle = torch.tensor([0.0, *angles], dtype=torch.float64, requires_grad=True)
    relevance = torch.tensor([[True, True, False], [False, True, False], [False, False, True]])
    loss = losses.spring_loss(torch.stack([angle.cos(), angle.sin()], dim=1), relevance, form=form)
    loss.backward()
    assert spherical.energy(difference, form, bits=2) == pytest.approx(loss.item(), abs=1e-7)
    moved, sign = (1, 1) if difference > 0 else (2, -1)
    slope_of_t = 2.0 * math.sin(angle[moved].item()) * sign  # t is 2 cos(negative) - 2 cos(positive)
    assert spherical.slope(difference, form, bits=2) == pytest.approx(angle.grad[moved].item() / slope_of_t, abs=1e-6)


def test_springs_have_no_slope_at_the_worst_triplet():
    for form in ("spring", "margin_spring"):
        assert spherical.slope(4.0, form) == math.inf
    assert spherical.slope([-4.0, 4.0], "margin").tolist() == [0.0, 1.0]


def rows_of(*rows):
    """Rows of the table of runs."""
    columns = ["method", "bits", "protocol", "map_expected", "bit_entropy"]
    return pd.DataFrame([("qsmi", *row) for row in rows], columns=columns)


def test_comparison_takes_any_subset():
    scores = spherical.comparison(rows_of((12, "full", 0.5, 0.9), (48, "reduced", 0.5, math.nan)), TURNED)
    assert scores["protocol"].tolist() == ["full", "reduced", "reduced"]
    assert scores["method"].tolist() == ["QSMI", "QSMI", spherical.ROTATED]
    assert scores["map"].tolist() == [0.5, 0.5, 0.6]
    np.testing.assert_array_equal(scores["bit_entropy"], [0.9, np.nan, np.nan])
    assert spherical.comparison(rows_of(), NO_ROTATION).empty


def test_by_length_has_a_row_a_method_and_a_dash_where_nothing_is_known():
    scores = spherical.comparison(rows_of((12, "full", 0.25, 0.9)), TURNED)
    table = spherical.by_length(scores, (12, 48))
    assert len(table) == 2 * len(spherical.method_order())
    values = table.set_index(["training set", "method"])
    assert values.loc[("all training items", "QSMI")].tolist() == ["0.250", "–"]
    assert values.loc[("reduced training set", spherical.ROTATED)].tolist() == ["0.600", "–"]
    entropies = spherical.by_length(scores, (12, 48), "bit_entropy")
    assert entropies.to_numpy().tolist() == [["all training items", "QSMI", "0.900", "–"]]


def test_gains_with_and_without_searches():
    table = spherical.gains(TURNED, [0.65])
    assert table.to_numpy().tolist() == [["reduced training set", 12, 0.5, 0.65, 0.7, 0.45, 0.6, 0.15]]
    assert list(spherical.gains(NO_ROTATION, [])) == list(table)


def test_searches_are_those_that_are_recorded(tmp_path):
    configs, store = (
        [configure("digits", "spring", bits, protocol="held_out") for bits in (12, 24, 48)],
        Store(tmp_path),
    )
    for config in configs[1:]:
        record = {"config": config.to_dict(), "search": {"before": config.bits / 100}, "metrics": {}}
        record |= {"provenance": {"precision": "float32", "seconds_train": 1.0}}
        save_record(record, rotation_path(config, store, n_steps=10))
    assert [search["before"] for search in spherical.searches(configs, store, 10)] == [0.24, 0.48]


def test_history_is_what_was_accepted_and_stays_until_the_next():
    search = {"n_steps": 5, "accepted": [[0, 0.3], [2, 0.4], [5, 0.6]]}
    assert spherical.history_of(search).tolist() == [0.3, 0.3, 0.4, 0.4, 0.4, 0.6]
