"""The registry against Table 10, and configurations: what they refuse, and the id of a run."""

import csv
import dataclasses
import json
import math

import pytest
import torch

from qsmi_lib.config import PROFILES, RunConfig, profile
from qsmi_lib.datasets import DATASETS
from qsmi_lib.methods import METHODS, configure
from qsmi_lib.paths import PUBLISHED
from qsmi_lib.training import train

PAPER_BITS = (12, 24, 36, 48)

with open(PUBLISHED / "table_10.csv", newline="", encoding="utf-8") as file:
    TABLE_10 = list(csv.DictReader(file))


# The registry


@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains(name, digits):
    history = train(configure("digits", name, 12, epochs=1, batch_size=1297), digits).history
    assert len(history) == 1
    assert all(math.isfinite(value) for value in history[0].values())


@pytest.mark.parametrize("name", METHODS)
def test_every_method_names_its_source(name):
    assert METHODS[name].title
    assert "Table 10" in METHODS[name].source


@pytest.mark.parametrize("name", METHODS)
def test_every_option_of_a_method_is_one_of_its_loss(name):
    embeddings = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    for option in METHODS[name].options:
        loss = METHODS[name].loss(embeddings, torch.arange(6) % 2, alpha=0.0, **{option: 3.0})
        default = METHODS[name].loss(embeddings, torch.arange(6) % 2, alpha=0.0)
        assert loss.isfinite() and loss != default


@pytest.mark.parametrize(
    "row", [row for row in TABLE_10 if row["method"] != "all"], ids=lambda row: f"{row['method']} {row['dataset']}"
)
def test_weights_are_those_of_table_10(row):
    """A row without a code length holds for those that have no row of their own."""
    special = {r["bits"] for r in TABLE_10 if (r["dataset"], r["method"]) == (row["dataset"], row["method"])}
    lengths = [int(row["bits"])] if row["bits"] else [bits for bits in PAPER_BITS if str(bits) not in special]
    assert {configure(row["dataset"], row["method"], bits).alpha for bits in lengths} == {float(row["mean"])}


@pytest.mark.parametrize("variant", ["qmi", "qmi_clamped", "qsmi_unclamped"])
@pytest.mark.parametrize("dataset", ["fashion_mnist", "cifar10", "nus_wide"])
def test_the_variants_of_the_ablation_have_the_alpha_of_qsmi(variant, dataset):
    assert configure(dataset, variant, 48).alpha == configure(dataset, "qsmi", 48).alpha


def test_the_ablation_has_the_sigma_of_section_4_2():
    assert configure("fashion_mnist", "qmi", 48).options["sigma"] == 10.0
    assert "sigma" not in configure("fashion_mnist", "qsmi", 48).options


@pytest.mark.parametrize(
    "row",
    [row for row in TABLE_10 if row["method"] == "all" and row["dataset"] in DATASETS],
    ids=lambda row: f"{row['metric']} {row['dataset']}",
)
def test_settings_of_all_methods_are_those_of_table_10(row):
    setting = row["metric"].removeprefix("setting:")
    for method in METHODS:
        assert getattr(configure(row["dataset"], method, 48), setting) == float(row["mean"])


# Configurations


def test_settings_and_options_override_a_methods_own_numbers():
    config = configure("digits", "qmi", 12, seed=2, alpha=0.5, sigma=3.0, precision="float32")
    assert (config.seed, config.alpha, config.precision) == (2, 0.5, "float32")
    assert config.options == {"sigma": 3.0, "information_needs": None}


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("qsmih", {}, "unknown method 'qsmih'; known: .*dsh.*qmi.*qsmi"),
        ("qsmi", {"epoch": 3}, "unknown setting of qsmi 'epoch'; known: .*epochs.*information_needs"),
        ("qsmi", {"sigma": 3.0}, "unknown setting of qsmi 'sigma'; known: .*information_needs"),
        ("dsh", {"information_needs": 10.0}, "unknown setting of dsh 'information_needs'; known: .*margin"),
        ("qsmi", {"precision": "fp16"}, "unknown precision 'fp16'; known: auto, bf16, float32"),
        ("qsmi", {"options": {}}, "unknown setting of qsmi 'options'"),
    ],
)
def test_unknown_names_list_the_known(method, settings, message):
    with pytest.raises(ValueError, match=message):
        configure("digits", method, 12, **settings)


@pytest.mark.parametrize(
    ("setting", "values"),
    [
        ("bits", [0, -1, True, 1.5, "12", None]),
        ("epochs", [0, True, 1.5]),
        ("batch_size", [0, True, 1.5]),
        ("seed", [-1, True, 1.5]),
        ("draw", [-1, True, 1.5]),
        ("learning_rate", [math.nan, math.inf, -1e-3]),
        ("alpha", [math.nan, math.inf, -1e-3]),
    ],
)
def test_numbers_out_of_range_are_refused(setting, values):
    for value in values:
        with pytest.raises(ValueError, match=f"{setting} must be .* of at least [01], got {value!r}"):
            RunConfig(**({"dataset": "digits", "method": "qsmi", "bits": 12} | {setting: value}))


def test_an_unknown_profile_lists_the_known():
    assert [profile(name) for name in PROFILES] == list(PROFILES.values())
    with pytest.raises(ValueError, match="unknown profile 'full'; known: digits, paper, quick"):
        profile("full")


@pytest.mark.parametrize("name", METHODS)
def test_a_configuration_survives_json(name):
    config = configure("digits", name, 12, seed=5, alpha=0.3)
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_stored_setting_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match=r"unknown setting 'dropout'; known: .*draw.*epochs"):
        RunConfig.from_dict(configure("digits", "qsmi", 12).to_dict() | {"dropout": 0.5})


# The id of a run

CONFIG = RunConfig("digits", "qsmi", 12, options={"information_needs": None, "sigma": 10.0})
OTHER = {
    "dataset": "fashion_mnist",
    "method": "qmi",
    "bits": 24,
    "seed": 1,
    "epochs": 51,
    "batch_size": 64,
    "learning_rate": 0.002,
    "alpha": 0.02,
    "options": {"information_needs": 10.0, "sigma": 10.0},
    "draw": 1,
    "precision": "float32",
}


def test_run_id_is_the_same_in_every_process():
    """This name must not change: records are found by it."""
    assert CONFIG.run_id("fingerprint") == "digits-qsmi-12b-s0-f2fc3fd682"


@pytest.mark.parametrize("setting", [field.name for field in dataclasses.fields(RunConfig)])
def test_run_id_differs_with_every_setting(setting):
    other = dataclasses.replace(CONFIG, **{setting: OTHER[setting]})
    assert other.run_id("fingerprint") != CONFIG.run_id("fingerprint")


def test_run_id_differs_with_the_split():
    assert CONFIG.run_id("fingerprint") != CONFIG.run_id("another")


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ({"options": {"sigma": 10.0, "information_needs": None}}, {}),
        ({"alpha": 0}, {"alpha": 0.0}),
        ({"learning_rate": 1}, {"learning_rate": 1.0}),
        ({"options": {"sigma": 10}}, {"options": {"sigma": 10.0}}),
    ],
)
def test_equal_configurations_have_one_run_id(one, same):
    one, same = dataclasses.replace(CONFIG, **one), dataclasses.replace(CONFIG, **same)
    assert one == same
    assert one.run_id("fingerprint") == same.run_id("fingerprint")
