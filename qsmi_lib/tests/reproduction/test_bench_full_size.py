"""The measurement at full size: what is measured, and the arithmetic from it to whole tables; never how long it is."""

import time

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from qsmi_lib.cli import main
from qsmi_lib.config.presets import configure
from qsmi_lib.datasets import BACKBONE_OF
from qsmi_lib.models.backbones import BACKBONES
from qsmi_lib.reproduction.bench import full_size
from qsmi_lib.reproduction.bench.full_size import PLANS, TWENTY_WAY, batches, hours, of_plans
from qsmi_lib.reproduction.bench.synthetic import SHAPES
from qsmi_lib.training import factory
from qsmi_lib.utils import paths

ROW = {"epoch_128": 2.0, "epoch_32": 3.0, "encode": 5.0, "evaluate_share-one": 7.0}


def call(*arguments):
    return CliRunner().invoke(main, ["bench", "full-size", *arguments])


@pytest.fixture
def quick(monkeypatch):
    """All in this process, and a speed that is given: what is computed can then be foretold."""
    monkeypatch.setattr(full_size, "apart", lambda work, *arguments: (work(*arguments), 1_230_000_000))
    monkeypatch.setattr(full_size, "pictures_per_second", lambda name, device: 10.0)


@pytest.mark.parametrize("name", SHAPES)
def test_the_head_is_the_papers_and_its_backbone_has_so_many_features(name):
    model = factory.of(configure(name, "qsmi", full_size.BITS))
    assert BACKBONES[BACKBONE_OF[name]].n_features == SHAPES[name].n_features
    assert model.hidden.weight.shape == (2048, SHAPES[name].n_features)


def test_hours_are_runs_times_epochs_encoding_and_evaluations():
    row = pd.Series(ROW | {"evaluate_fraction": 11.0})
    of_table_6, of_table_7, of_coco, of_nus_wide = PLANS
    assert hours(of_table_6, row) == pytest.approx(3 * 5 * 5 * (50 * 2 + 5 + 7 + 11) / 3600)
    assert hours(of_table_7, pd.Series(ROW | {"evaluate_fraction": np.nan})) == pytest.approx(
        4 * 3 * 20 * (50 * 2 + 5 + 7) / 3600
    )
    assert hours(of_coco, row) == pytest.approx(7 * 2 * 5 * (20 * 3 + 5 + 7 + 11) / 3600)
    assert hours(of_nus_wide, row) == pytest.approx(7 * 2 * 5 * (10 * 3 + 5 + 7 + 11) / 3600)


def test_a_table_of_two_data_sets_is_whole_with_both():
    found = pd.DataFrame([ROW, ROW], index=["nus_wide", "ms_coco"])
    text = of_plans(found)
    both = 7 * 2 * 5 * (30 * 3 + 2 * (5 + 7)) / 3600
    assert f"**{both:.2f}**" in text and "**Table 6, whole**" in text and "Table 7" not in text
    assert "**Table 8, whole**" not in of_plans(found.loc[["nus_wide"]])


def test_epochs_are_timed_by_the_batches_that_the_tables_need():
    assert {case: batches(case) for case in ("nus_wide", "ms_coco", "ilsvrc", TWENTY_WAY)} == {
        "nus_wide": [128, 32],
        "ms_coco": [128, 32],
        "ilsvrc": [128],
        TWENTY_WAY: [128],
    }


def test_a_share_is_said_and_not_kept(quick):
    result = call("ms_coco", "--share", "0.005")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("**Only a share of 0.005 of the items was generated")
    assert "scores on them would mean nothing about methods" in result.output
    assert "| ms_coco |" in result.output and "| 1.23 |" in " ".join(result.output.split())
    assert "nus_wide" not in result.output and "whole**" not in result.output
    assert not paths.results("benchmarks").exists()
    assert list((paths.results("cache") / "generated").glob("ms_coco-*-features.npy"))


def test_all_shapes_are_kept_as_a_table_and_a_csv(quick, monkeypatch):
    small = {name: shape.shrunk(0.002) for name, shape in SHAPES.items()}
    monkeypatch.setattr(full_size, "SHAPES", small)
    result = call()
    assert result.exit_code == 0, result.output
    folder = paths.results("benchmarks")
    assert (folder / "full_size.md").read_text() == result.output and "share of" not in result.output
    assert "NUS-WIDE: 2.1 of 21 in the mean; MS COCO: 2.9 of 80 in the mean" in result.output
    lines = (folder / "full_size.csv").read_text().splitlines()
    assert lines[0].startswith("# ") and "torch" in lines[0]
    found = pd.read_csv(folder / "full_size.csv", comment="#", index_col="case")
    assert list(found.index) == ["nus_wide", "ms_coco", "ilsvrc", TWENTY_WAY]
    assert list(found["n_database"][:3]) == [shape.n_database for shape in small.values()]
    assert list(found["backbone"]) == ["densenet201", "resnet50", "densenet201", "densenet201"]
    timed = found[["generate", "epoch_128", "encode", "evaluate_share-one"]]
    assert (timed >= 0).all(axis=None) and (found["epoch_128"] > 0).all()
    assert list(found["epoch_32"].isna()) == list(found["evaluate_fraction"].isna()) == [False, False, True, True]
    assert all(f"**Table {number}, whole**" in result.output for number in (6, 7, 8))
    assert f"{small['ilsvrc'].n_items / 10 / 3600:.2f}" in result.output.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["imagenet"], "unknown shape 'imagenet'; known: ilsvrc, ms_coco, nus_wide"),
        (["--share", "1.5"], "share must lie in (0, 1], got 1.5"),
        (["nus_wide", "--share", "0.00001"], "a shape must have queries, a database and training items in it, got"),
    ],
)
def test_a_wrong_word_is_one_line(arguments, message):
    result = call(*arguments)
    assert result.exit_code == 1 and result.output.startswith(f"Error: {message}")
    assert len(result.output.splitlines()) == 1 and not paths.results("").exists()


def test_help_names_the_shapes():
    result = call("--help")
    assert result.exit_code == 0 and all(name in result.output for name in SHAPES)


def test_the_speed_of_a_backbone_needs_no_weights(monkeypatch):
    monkeypatch.setattr(full_size, "ROUNDS", 1)
    assert full_size.pictures_per_second("squeezenet1_1", torch.device("cpu")) > 0


def held(n_bytes):
    """Hold some memory long enough to be seen."""
    memory = np.ones(n_bytes, np.uint8)
    time.sleep(0.5)
    return int(memory[-1])


def test_the_peak_is_of_the_other_process():
    result, peak = full_size.apart(held, 600_000_000)
    assert result == 1 and (peak is None or 600e6 < peak < 2e9)
