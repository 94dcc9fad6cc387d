"""What the cheat sheet says is what the library does."""

import re

import pytest
import torch

from qsmi_lib import losses
from qsmi_lib.config.presets import configure
from qsmi_lib.config.profiles import PROFILES
from qsmi_lib.reproduction.experiments import EXPERIMENTS
from qsmi_lib.utils import paths

SHEET = (paths.ROOT / "notebooks" / "cheat_sheet.md").read_text(encoding="utf-8")


def test_the_defaults_are_those_of_the_paper_profile():
    run = next(run for run in EXPERIMENTS["table_1"].grid(PROFILES["paper"]) if run.method == "qsmi")
    rows = dict(re.findall(r"^\| `(\w+)`.* \| ([\d.]+) \|$", SHEET, re.MULTILINE))
    assert {name: float(rows.pop(name)) for name in ("bits", "epochs", "batch_size", "learning_rate", "alpha")} == {
        name: getattr(run, name) for name in ("bits", "epochs", "batch_size", "learning_rate", "alpha")
    }
    assert {name: float(value) for name, value in rows.items()} == {
        "sigma": configure("digits", "qmi", 8).options["sigma"]
    }


def test_the_equations_are_those_of_the_losses():
    torch.manual_seed(0)
    y, labels = torch.randn(12, 5, dtype=torch.float64), torch.arange(12) % 3
    delta = (labels[:, None] == labels).double()
    unit = y / y.norm(dim=1, keepdim=True)
    s = 0.5 * (1 + unit @ unit.T)
    expected = (delta * (s - 1) ** 2 + delta.mean() * s**2).sum()
    assert losses.qsmi_loss(y, losses.relevance_matrix(labels)).item() == pytest.approx(expected.item())
    assert losses.quantization_penalty(y).item() == pytest.approx((y.abs() - 1).abs().sum().item())


def test_every_name_of_the_library_exists():
    import qsmi_lib.codes
    import qsmi_lib.evaluation
    import qsmi_lib.losses
    import qsmi_lib.methods

    for module, name in re.findall(r"`(losses|codes|evaluation|methods)\.(\w+)", SHEET):
        assert hasattr(getattr(qsmi_lib, module), name), name
