"""What clusters bring for unseen classes: pairs of runs that share everything else."""

import pytest
from qsmi_lib.reproduction.analysis.gains import gains

from qsmi_lib.config.presets import configure


def record(method, score, **settings):
    config = configure(
        "digits", method, 12, **{"backbone": "digits_pixels", "protocol": "unseen_2", "epochs": 1} | settings
    )
    return {"config": config.to_dict(), "metrics": {"map_11pt": score, "map": 0.0}}


def test_gains_pair_runs_of_the_same_classes_features_length_and_seed():
    kept = [
        record("qsmi_u", 0.8, draw=0),
        record("qsmi_u", 0.5, draw=1),
        record("qsmi", 0.7, draw=0),
        record("qsmi", 0.6, draw=1),
        record("qsmi", 0.1, draw=2),  # nothing to pair it with
        record("dsh", 0.4, draw=0),
        record("dsh", 0.4, draw=0, backbone="digits_labels"),
    ]
    rows = gains(kept).to_dict("records")
    assert rows[0] == {"backbone": "digits_pixels", "method": "qsmi", "n": 2, "gain": pytest.approx(0.0), "up": 1}
    assert rows[1] == {"backbone": "digits_pixels", "method": "dsh", "n": 1, "gain": pytest.approx(0.4), "up": 1}
    assert len(rows) == 2


def test_no_records_give_an_empty_table():
    assert gains([]).empty
    assert list(gains([]).columns) == ["backbone", "method", "n", "gain", "up"]


def test_another_metric_is_compared_by_name():
    kept = [record("qsmi_u", 0.8), record("qsmi", 0.7)]
    assert gains(kept, metric="map")["gain"].tolist() == [0.0]
