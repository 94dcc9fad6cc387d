"""What every test has: a folder of its own for results, nobody who watches, and properties that repeat exactly."""

import os

import matplotlib.pyplot as plt
import pytest
import torch
from hypothesis import configuration, settings

from qsmi_lib import datasets
from qsmi_lib.training import loop

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is first imported: its kernels then run on the CPU

settings.register_profile("qsmi", database=None, derandomize=True, deadline=None)
settings.load_profile("qsmi")
configuration.set_hypothesis_home_dir(os.devnull)  # without a database it would still note in a folder what it has read
torch.set_num_threads(1)  # the networks here are tiny: threads would wait for one another, and for other work


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    """Folder of results, empty and gone after the test."""
    folder = tmp_path / "results"
    monkeypatch.setenv("QSMI_RESULTS", str(folder))
    monkeypatch.setenv("QSMI_HEADLESS", "1")
    return folder


@pytest.fixture(autouse=True)
def no_figure_stays():
    """Figures are drawn without a window and closed after the test."""
    plt.switch_backend("agg")
    yield
    plt.close("all")


@pytest.fixture(scope="session")
def digits():
    """The embedded digits; no test changes them."""
    return datasets.load("digits")


@pytest.fixture
def trainings(monkeypatch):
    """The configurations that were trained, in their order."""
    trained, train = [], loop.train

    def note(config, split):
        trained.append(config)
        return train(config, split)

    monkeypatch.setattr(loop, "train", note)
    return trained
