"""The benchmarks: that what they compare computes the same, and what they print. No test times anything."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from qsmi_lib import datasets
from qsmi_lib.cli import main
from qsmi_lib.config.presets import configure
from qsmi_lib.datasets import BACKBONE_OF
from qsmi_lib.datasets.images import lazy
from qsmi_lib.evaluation import evaluate
from qsmi_lib.methods import METHODS
from qsmi_lib.models.backbones import BACKBONES
from qsmi_lib.reproduction.bench import evaluation, full_size, layers, pictures
from qsmi_lib.reproduction.bench.full_size import PLANS, TWENTY_WAY, hours, of_plans
from qsmi_lib.reproduction.bench.measure import peak_megabytes
from qsmi_lib.reproduction.bench.synthetic import SHAPES
from qsmi_lib.reproduction.bench.training import Pictures
from qsmi_lib.reproduction.grids import TRAINED
from qsmi_lib.search import example_pictures
from qsmi_lib.training import factory
from qsmi_lib.training.records import SavedCodes

CPU = torch.device("cpu")


def call(*arguments):
    return CliRunner().invoke(main, ["bench", *arguments])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["train", "--dataset", "cifar10"],
            "unknown data set with a network of its own 'cifar10'; known: digit_pairs,",
        ),
        (["evaluate", "--size", "huge"], "unknown size 'huge'; known: "),
        (["full-size", "imagenet"], "unknown shape 'imagenet'; known: ilsvrc, ms_coco, nus_wide"),
        (["full-size", "--share", "1.5"], "share must lie in (0, 1], got 1.5"),
    ],
)
def test_a_wrong_argument_is_one_line(arguments, message, results):
    result = call(*arguments)
    assert result.exit_code == 1 and result.output.startswith(f"Error: {message}")
    assert len(result.output.splitlines()) == 1 and not results.exists()


# An epoch of training


@pytest.mark.parametrize("dataset", ["digits", "digit_pairs"])
def test_train_prints_a_table_of_ratios(dataset, results):
    result = call("train", "--dataset", dataset, "--epochs", "1")
    assert result.exit_code == 0, result.output
    assert "authors' style: DataLoader, float32" in result.output and "1.00 |" in result.output
    assert (results / "benchmarks" / f"train-{dataset}.md").read_text(encoding="utf-8") == result.output


def test_the_authors_style_sees_the_same_pictures():
    split = datasets.load("digits")
    image, label = Pictures(split)[7]
    assert label == split.train.labels[7]
    assert (image - split.train.inputs[7]).abs().max() < 0.01  # one of 255 levels


# Evaluation


@pytest.fixture
def codes():
    rng = np.random.default_rng(0)
    pair = [rng.choice(np.array([-1, 1], np.int8), (n, 12)) for n in (5, 6000)]
    return SavedCodes(*pair, *(rng.integers(3, size=n) for n in (5, 6000)))


@pytest.mark.parametrize("other", evaluation.OTHERS, ids=lambda other: other.rank.__name__)
def test_other_evaluators_agree_once_ties_are_in_order(other, codes):
    if other.rank is evaluation.faiss_flat:
        pytest.importorskip("faiss")
    score = evaluation.number(other, codes, evaluation.ties_by_index(codes, other.rank(codes)))
    assert score == pytest.approx(other.field(evaluate(*codes, k=evaluation.K)), rel=0, abs=1e-12)


def test_evaluate_prints_who_agrees_and_what_growth_costs(monkeypatch, codes, results):
    monkeypatch.setattr(evaluation, "codes_of", lambda *_: codes)
    monkeypatch.setattr(evaluation, "SIZES", {"small": (3, 6_000, 12, 0)})
    monkeypatch.setattr(evaluation, "growth", lambda sizes: f"growth over {sizes}")
    result = call("evaluate", "--sample", "3")
    assert result.exit_code == 0, result.output
    assert "**`evaluate`: all**" in result.output and "NumPy argsort: `map`" in result.output
    assert "growth over ['small']" in result.output
    assert (results / "benchmarks" / "evaluate.md").read_text(encoding="utf-8") == result.output


def test_growth_has_seconds_and_memory_of_each_size(monkeypatch):
    monkeypatch.setattr(evaluation, "SIZES", {"sets": (3, 6_000, 12, 4)})
    took, peak = evaluation.cost(*evaluation.SIZES["sets"])
    assert took > 0 and (peak is None or peak >= 0)


def test_peak_memory_counts_what_is_held_for_a_moment_also_after_a_training():
    """In a process of its own: a training makes the allocator hold freed memory."""
    code = """
import numpy as np
from qsmi_lib.training import loop
from qsmi_lib.reproduction.bench.measure import peak_megabytes
loop._keep_freed_memory()
np.ones(400_000_000, np.int8).sum()
print(peak_megabytes(lambda: np.ones(400_000_000, np.int8).sum()))
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    peak = peak_megabytes(lambda: np.ones(400_000_000, np.int8).sum())
    assert peak is None or 300 < peak < 600
    assert printed == "None" or 300 < float(printed) < 600


# Table 4


@pytest.mark.parametrize("method", TRAINED)
def test_an_update_gives_the_last_layer_a_gradient_and_no_other(method, monkeypatch):
    models, build = [], layers.build
    monkeypatch.setattr(layers, "build", lambda *args, **options: models.append(build(*args, **options)) or models[-1])
    update, feed_forward = layers.steps(method, CPU)
    update()
    (model,) = models
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in model.dense.parameters())
    assert all(value.grad is None for value in model.hidden.parameters())
    before = [value.grad.clone() for value in model.dense.parameters()]
    feed_forward()
    update()
    if method != "pgdh":  # its bits are drawn anew
        assert all(torch.equal(a, b.grad) for a, b in zip(before, model.dense.parameters(), strict=True))


def test_medians_and_overheads_are_paired_by_round():
    numbers = {"update": [1.0, 1.1, 10.0, 12.0, 2.0, 2.6], "feed_forward": [0.1, 0.2, 0.3, 0.4, 0.2, 0.3]}
    summary = layers.summary(pd.DataFrame({"method": ["dsh", "qsmi"] * 3} | numbers)).set_index("method")
    assert summary["update"].to_dict() == {"dsh": 2.0, "qsmi": 2.6}
    assert summary["feed_forward"].to_dict() == {"dsh": 0.2, "qsmi": 0.3}
    assert summary["overhead"].to_dict() == pytest.approx({"dsh": 0.0, "qsmi": 0.2})


def test_layers_writes_a_table_and_a_csv(monkeypatch, results):
    measure = layers.measure
    monkeypatch.setattr(layers, "measure", lambda methods, device: measure(methods[:4], device, 1))
    result = call("layers")
    assert result.exit_code == 0, result.output
    table = (results / "benchmarks" / "layers.md").read_text(encoding="utf-8")
    assert table and result.output.endswith(table)  # PyTorch 2.6 may tell stderr before it that it finds no CUDA
    place, times = layers.recorded(results / "benchmarks")
    assert "torch" in place and list(times["method"])[:3] == ["dsh", "dpsh", "qsmi"]
    assert all(METHODS[method].title in result.output for method in times["method"])


def test_the_committed_times_hold_every_trained_method_and_the_papers_bound():
    """QSMI's overhead over DSH is at most the paper's 17 %."""
    overhead = layers.recorded()[1].set_index("method")["overhead"]
    assert set(overhead.index) == set(TRAINED) and overhead["dsh"] == 0.0 and overhead["qsmi"] <= 0.17


# Full size

ROW = {"epoch_128": 2.0, "epoch_32": 3.0, "encode": 5.0, "evaluate_share-one": 7.0}


@pytest.fixture
def quick(monkeypatch):
    """All in this process, and a speed that is given: what is computed can then be foretold."""
    monkeypatch.setattr(full_size, "apart", lambda call, *arguments: (call(*arguments), 1_230_000_000))
    monkeypatch.setattr(full_size, "pictures_per_second", lambda name, device: 10.0)


@pytest.mark.parametrize("name", SHAPES)
def test_the_head_takes_the_features_of_the_backbone(name):
    model = factory.of(configure(name, "qsmi", full_size.BITS))
    assert BACKBONES[BACKBONE_OF[name]].n_features == SHAPES[name].n_features == model.hidden.weight.shape[1]


def test_hours_are_runs_times_epochs_encoding_and_evaluations():
    row = pd.Series(ROW | {"evaluate_fraction": 11.0})
    by_table = {(plan.table, plan.case): plan for plan in PLANS}
    assert hours(by_table["Table 6", "nus_wide"], row) == pytest.approx(3 * 5 * 5 * (50 * 2 + 5 + 7 + 11) / 3600)
    one_rule = pd.Series(ROW | {"evaluate_fraction": np.nan})
    assert hours(by_table["Table 7", TWENTY_WAY], one_rule) == pytest.approx(4 * 3 * 20 * (50 * 2 + 5 + 7) / 3600)
    assert hours(by_table["Table 8", "ms_coco"], row) == pytest.approx(7 * 2 * 5 * (20 * 3 + 5 + 7 + 11) / 3600)


def test_a_table_of_two_data_sets_is_whole_with_both():
    measurements = pd.DataFrame([ROW, ROW], index=["nus_wide", "ms_coco"])
    text, both = of_plans(measurements), 7 * 2 * 5 * (30 * 3 + 2 * (5 + 7)) / 3600
    assert f"**{both:.2f}**" in text and "**Table 6, whole**" in text and "Table 7" not in text
    assert "**Table 8, whole**" not in of_plans(measurements.loc[["nus_wide"]])


def test_a_share_is_said_and_not_written(quick, results):
    result = call("full-size", "ms_coco", "--share", "0.005")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("**Only a share of 0.005 of the items was generated")
    assert "| ms_coco |" in result.output and "| 1.23 |" in " ".join(result.output.split())
    assert "nus_wide" not in result.output and "whole**" not in result.output
    assert not (results / "benchmarks").exists()


def test_all_shapes_are_written_as_a_table_and_a_csv(quick, monkeypatch, results):
    small = {name: shape.shrunk(0.002) for name, shape in SHAPES.items()}
    monkeypatch.setattr(full_size, "SHAPES", small)
    result = call("full-size")
    assert result.exit_code == 0, result.output
    folder = results / "benchmarks"
    assert (folder / "full_size.md").read_text(encoding="utf-8") == result.output and "share of" not in result.output
    measurements = pd.read_csv(folder / "full_size.csv", comment="#", index_col="case")
    assert list(measurements.index) == [*small, TWENTY_WAY]
    assert list(measurements["n_database"][:3]) == [shape.n_database for shape in small.values()]
    assert (measurements[["generate", "epoch_128", "encode", "evaluate_share-one"]] >= 0).all(axis=None)
    assert list(measurements["epoch_32"].isna()) == list(measurements["evaluate_fraction"].isna())
    assert all(f"**Table {number}, whole**" in result.output for number in (6, 7, 8))
    assert f"{small['ilsvrc'].n_items / 10 / 3600:.2f}" in result.output.splitlines()[-1]


def test_the_speed_of_a_backbone_needs_no_weights(monkeypatch):
    monkeypatch.setattr(full_size, "ROUNDS", 1)
    monkeypatch.setattr(full_size.features, "batch_size", lambda name: 2)
    assert full_size.pictures_per_second("squeezenet1_1", CPU) > 0


# Pictures


def test_pictures_are_the_same_by_each_way(monkeypatch, tmp_path, results):
    pytest.importorskip("skimage")
    pytest.importorskip("timm")
    monkeypatch.setattr(example_pictures, "PER_CLASS", 1)
    made, measure = [], pictures.measure

    def note(images, network, size, *arguments):
        ways = pictures.ways_of(images, 2)
        made.extend(torch.cat(list(batches())) for batches in ways.values())
        return {way: [1.0, 2.0, 4.0] for way in ways}

    monkeypatch.setattr(pictures, "measure", note)
    text = pictures.pictures(3, 1, {"small": (60, 45)})
    assert len(made) == 3 and torch.equal(made[0], made[1]) and torch.equal(made[0], made[2])
    assert [float(cell) for cell in text.splitlines()[-1].split("|")[4:6]] == [1.0, 1.0]
    assert (results / "benchmarks" / "pictures.md").read_text(encoding="utf-8") == text
    images = lazy.Pictures(tmp_path, [], [], 4)
    assert measure(images, torch.nn.Identity(), 2, "float32", 2).keys() == pictures.ways_of(images, 2).keys()
