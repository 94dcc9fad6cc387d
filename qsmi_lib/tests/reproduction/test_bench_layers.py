"""Table 4's timings: what is timed, and how times become a table; never how long anything takes."""

import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from qsmi_lib.cli import main
from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction.bench import layers
from qsmi_lib.reproduction.grids import TRAINED

CPU = torch.device("cpu")


@pytest.mark.parametrize("method", TRAINED)
def test_an_update_gives_the_last_layer_a_gradient_and_no_other(method, monkeypatch):
    built = []
    build = layers.build
    monkeypatch.setattr(layers, "build", lambda *args, **own: built.append(build(*args, **own)) or built[-1])
    update, feed_forward = layers.steps(method, CPU)
    update()
    (model,) = built
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in model.dense.parameters())
    assert all(value.grad is None for value in model.hidden.parameters())
    before = [value.grad.clone() for value in model.dense.parameters()]
    feed_forward()
    update()
    if method != "pgdh":  # its bits are drawn anew
        assert all(torch.equal(a, b.grad) for a, b in zip(before, model.dense.parameters(), strict=True))


def test_medians_and_overheads_are_paired_by_round():
    rows = pd.DataFrame(
        {
            "method": ["dsh", "qsmi"] * 3,
            "update": [1.0, 1.1, 10.0, 12.0, 2.0, 2.6],
            "feed_forward": [0.1, 0.2, 0.3, 0.4, 0.2, 0.3],
        }
    )
    found = layers.summary(rows).set_index("method")
    assert list(found.index) == ["dsh", "qsmi"]
    assert found["update"].to_dict() == {"dsh": 2.0, "qsmi": 2.6}
    assert found["feed_forward"].to_dict() == {"dsh": 0.2, "qsmi": 0.3}
    assert found["overhead"].to_dict() == pytest.approx({"dsh": 0.0, "qsmi": 0.2})


def test_the_command_times_every_method_and_keeps_the_table(monkeypatch, results):
    monkeypatch.setattr(layers, "ROUNDS", 1)
    measure = layers.measure
    monkeypatch.setattr(layers, "measure", lambda methods, device: measure(methods[:4], device, 1))
    done = CliRunner().invoke(main, ["bench", "layers"])
    assert done.exit_code == 0
    folder = results / "benchmarks"
    assert (folder / "layers.md").read_text() == done.output
    place, times = layers.recorded(folder)
    assert "torch" in place and list(times["method"])[:3] == ["dsh", "dpsh", "qsmi"]
    assert all(METHODS[method].title in done.output for method in times["method"])


def test_the_committed_times_hold_every_trained_method_and_the_papers_bound():
    """QSMI's overhead over DSH is at most the paper's 17 %."""
    _, times = layers.recorded()
    own = times.set_index("method")
    assert set(own.index) == set(TRAINED)
    assert own["overhead"]["dsh"] == 0.0 and own["overhead"]["qsmi"] <= 0.17
