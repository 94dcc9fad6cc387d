"""The registry of methods: sources, Table 10, settings of the losses, and one epoch of every method."""

import csv
import math

import pytest
import torch

from qsmi_lib.config.presets import configure, epochs_of
from qsmi_lib.datasets import DATASETS
from qsmi_lib.methods import METHODS, by_dataset
from qsmi_lib.training.loop import settings_of_loss, train
from qsmi_lib.utils.paths import PUBLISHED

LEARNT = [name for name, entry in METHODS.items() if entry.loss is not None]
WEIGHTED = [name for name, entry in METHODS.items() if entry.alpha is not None]

with open(PUBLISHED / "table_10.csv", newline="", encoding="utf-8") as file:
    TABLE_10 = list(csv.DictReader(file))


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_trained_for_an_epoch_or_fitted(name, digits):
    history = train(configure("digits", name, 12, **epochs_of(name, 1)), digits).history
    assert len(history) == (1 if name in LEARNT else 0)
    assert all(math.isfinite(value) for entry in history for value in entry.values())


@pytest.mark.parametrize("name", METHODS)
def test_every_entry_is_complete(name):
    """It has a source, one line for users, and a loss or a network that is fitted; what is reconstructed says so."""
    entry, reconstructed = METHODS[name], name in {"cnnh", "dnnh", "pgdh", "hashgan"}
    assert entry.title and entry.source and entry.about.endswith(".") and "\n" not in entry.about
    assert "Table 10" in entry.source or name not in {row["method"] for row in TABLE_10}
    assert (entry.network is None) == (entry.loss is not None)
    assert reconstructed == entry.title.endswith("†") == entry.note.startswith("reconstructed")


def loss_of(name, outputs, labels, **settings):
    """The loss of a method as in the first step of the training loop, with the same random numbers in every call."""
    config, entry = configure("digits", name, outputs.shape[1], **settings), METHODS[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        more = {} if entry.on_step is None else entry.on_step(0)
        if entry.prepare is not None:
            more = more | {"targets": entry.prepare(outputs, labels, config.bits, config.seed, config.options)}
        return entry.loss(outputs, labels, **settings_of_loss(config), **more)


def other_values(name):
    """The settings of a loss, each with values that are not its default."""
    values = {"alpha": [0.4]} if name in WEIGHTED else {}
    for option, default in METHODS[name].options.items():
        number = 0.4 if option == "epsilon" else 3.0  # an epsilon above 0.5 is one of 0.5
        values[option] = default[1:] if isinstance(default, tuple) else [number]
    return values


@pytest.mark.parametrize("name", LEARNT)
def test_every_setting_changes_the_loss(name):
    outputs, labels = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 2
    default = loss_of(name, outputs, labels)
    assert default.shape == () and default.isfinite()
    for setting, values in other_values(name).items():
        for value in values:
            loss = loss_of(name, outputs, labels, **{setting: value})
            assert loss.isfinite() and loss != default, (setting, value)


@pytest.mark.parametrize("name", [name for name in LEARNT if METHODS[name].prepare is not None])
def test_prepared_targets_have_a_row_an_item_and_do_not_change(name, digits):
    config, part = configure("digits", name, 12), digits.train[:60]
    arguments = (part.inputs, part.labels, 12, 0, config.options)
    targets, again = (METHODS[name].prepare(*arguments) for _ in range(2))
    assert len(targets) == 60 and torch.equal(targets, again)


def test_tuning_tries_several_values_of_known_settings():
    for name, entry in METHODS.items():
        for setting, values in entry.search.items():
            assert len(set(values)) == len(values) >= 3
            for value in values:
                config = configure("fashion_mnist", name, 48, **{setting: value})
                assert (config.options | {"alpha": config.alpha})[setting] == value


def test_a_rule_gives_the_number_of_a_data_set():
    rule = by_dataset(1.0, nus_wide=0.5)
    assert [rule(name, 48) for name in ("digits", "nus_wide")] == [1.0, 0.5]
    assert configure("nus_wide", "hashgan", 48).options == {"sharpness": 5.0}
    assert configure("digits", "hashgan", 48).options == {"sharpness": 10.0}
    assert configure("nus_wide", "hashgan", 48, sharpness=3.0).options == {"sharpness": 3.0}


# The paper's hyper-parameters


@pytest.mark.parametrize(
    "row", [row for row in TABLE_10 if row["method"] != "all"], ids=lambda row: f"{row['method']} {row['dataset']}"
)
def test_weights_are_those_of_table_10(row):
    """A row without a code length is for the lengths without another row."""
    special = {r["bits"] for r in TABLE_10 if (r["dataset"], r["method"]) == (row["dataset"], row["method"])}
    lengths = [int(row["bits"])] if row["bits"] else [bits for bits in (12, 24, 36, 48) if str(bits) not in special]
    assert {configure(row["dataset"], row["method"], bits).alpha for bits in lengths} == {float(row["mean"])}


def test_settings_of_all_methods_are_those_of_table_10():
    for row in TABLE_10:
        if row["method"] == "all" and row["dataset"] in DATASETS:
            setting = row["metric"].removeprefix("setting:")
            for method in LEARNT:
                assert getattr(configure(row["dataset"], method, 48), setting) == float(row["mean"])


def test_variants_have_the_alpha_of_qsmi_and_the_sigma_of_section_4_2():
    for dataset in ("fashion_mnist", "cifar10", "nus_wide"):
        for variant in ("qmi", "qmi_clamped", "qsmi_unclamped", "qsmi_priors", "qsmi_jaccard"):
            assert configure(dataset, variant, 48).alpha == configure(dataset, "qsmi", 48).alpha
    assert configure("fashion_mnist", "qmi", 48).options["sigma"] == 10.0
    assert "sigma" not in configure("fashion_mnist", "qsmi", 48).options
