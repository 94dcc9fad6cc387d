"""The benchmarks: that what they compare computes the same, and what they print. No test times anything."""

import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from qsmi_lib import datasets
from qsmi_lib.cli import main
from qsmi_lib.evaluation import evaluate
from qsmi_lib.reproduction.bench import evaluation
from qsmi_lib.reproduction.bench.measure import peak_megabytes
from qsmi_lib.reproduction.bench.training import Pictures
from qsmi_lib.training.records import SavedCodes
from qsmi_lib.utils import paths


def call(*arguments):
    return CliRunner().invoke(main, arguments)


def test_train_prints_a_table_of_ratios():
    result = call("bench", "train", "--dataset", "digits", "--epochs", "1")
    assert result.exit_code == 0, result.output
    assert "authors' style: DataLoader, float32" in result.output and "1.00 |" in result.output
    assert (paths.results("benchmarks") / "train-digits.md").read_text() == result.output


def test_train_takes_several_labels():
    result = call("bench", "train", "--dataset", "digit_pairs", "--epochs", "1")
    assert result.exit_code == 0, result.output


def test_train_needs_a_network():
    result = call("bench", "train", "--dataset", "cifar10")
    assert result.exit_code == 1
    assert result.output.startswith("Error: unknown data set with a network of its own 'cifar10'; known: digit_pairs,")


def test_the_authors_style_sees_the_same_pictures():
    split = datasets.load("digits")
    pictures = Pictures(split)
    image, label = pictures[7]
    assert label == split.train.labels[7]
    assert (image - split.train.inputs[7]).abs().max() < 0.01  # one of 255 levels


@pytest.fixture
def codes():
    rng = np.random.default_rng(0)
    return SavedCodes(
        *(rng.choice(np.array([-1, 1], np.int8), (n, 12)) for n in (5, 6000)),
        *(rng.integers(3, size=n) for n in (5, 6000)),
    )


@pytest.mark.parametrize("other", evaluation.OTHERS, ids=lambda other: other.rank.__name__)
def test_the_others_say_the_same_once_ties_are_in_order(other, codes):
    if other.rank is evaluation.faiss_flat:
        pytest.importorskip("faiss")
    theirs = evaluation.number(other, codes, evaluation.ties_by_index(codes, other.rank(codes)))
    scores = evaluate(*codes, k=evaluation.K)
    assert theirs == pytest.approx(other.field(scores), rel=0, abs=1e-12)


def test_evaluate_prints_who_agrees_and_what_growth_costs(monkeypatch, codes):
    monkeypatch.setattr(evaluation, "codes_of", lambda *_: codes)
    monkeypatch.setattr(evaluation, "SIZES", {"small": (3, 6_000, 12, 0), "sets": (3, 6_000, 12, 4)})
    part = call("bench", "evaluate", "--sample", "3", "--size", "small")
    assert part.exit_code == 0 and "3 x 6,000 x 12" in part.output, part.output
    assert not (paths.results("benchmarks") / "evaluate.md").exists()
    result = call("bench", "evaluate", "--sample", "3")
    assert result.exit_code == 0, result.output
    assert "**`evaluate`: all**" in result.output and "NumPy argsort: `map`" in result.output
    assert "3 x 6,000 x 12" in result.output
    assert (paths.results("benchmarks") / "evaluate.md").read_text() == result.output


def test_an_unknown_size_lists_the_known_ones():
    result = call("bench", "evaluate", "--size", "huge")
    assert result.exit_code == 1 and "60 thousand items" in result.output


def test_peak_memory_counts_what_is_held_for_a_moment():
    peak = peak_megabytes(lambda: np.ones(400_000_000, np.int8).sum())
    assert peak is None or 300 < peak < 600


def test_peak_memory_counts_what_is_taken_from_memory_that_a_training_kept():
    """In a process of its own: the allocator stays as it is set."""
    code = """
import numpy as np
from qsmi_lib import training
from qsmi_lib.bench.measure import peak_megabytes
training._keep_freed_memory()
np.ones(400_000_000, np.int8).sum()
print(peak_megabytes(lambda: np.ones(400_000_000, np.int8).sum()))
"""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert printed == "None" or 300 < float(printed) < 600
