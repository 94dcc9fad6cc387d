"""The registry against Table 10, and configurations: what they refuse, and the id of a run."""

import csv
import dataclasses
import json
import math

import pytest
import torch

from qsmi_lib.config.presets import configure, epochs_of, options_of
from qsmi_lib.config.profiles import PROFILES, profile
from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import DATASETS, SUBSTITUTE_FOR
from qsmi_lib.methods import METHODS, by_dataset
from qsmi_lib.training.loop import settings_of_loss, train
from qsmi_lib.utils.paths import PUBLISHED

PAPER_BITS = (12, 24, 36, 48)

LEARNT = [name for name, entry in METHODS.items() if entry.loss is not None]
WEIGHTED = [name for name, entry in METHODS.items() if entry.alpha is not None]

with open(PUBLISHED / "table_10.csv", newline="", encoding="utf-8") as file:
    TABLE_10 = list(csv.DictReader(file))


# The registry


@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains_or_is_fitted(name, digits):
    """One epoch; a method that nothing trains has no history."""
    history = train(configure("digits", name, 12, **epochs_of(name, 1)), digits).history
    assert len(history) == (1 if name in LEARNT else 0)
    assert all(math.isfinite(value) for entry in history for value in entry.values())


@pytest.mark.parametrize("name", METHODS)
def test_every_method_names_its_source(name):
    entry = METHODS[name]
    assert entry.title and entry.source
    assert "Table 10" in entry.source or name not in {row["method"] for row in TABLE_10}
    assert (entry.network is None) == (entry.loss is not None), "a method has a loss, or a network that is fitted"


@pytest.mark.parametrize("name", METHODS)
def test_what_is_reconstructed_carries_a_dagger_and_says_so(name):
    entry = METHODS[name]
    assert (name in {"cnnh", "dnnh", "pgdh", "hashgan"}) == entry.title.endswith("†")
    assert entry.note.startswith("reconstructed") == entry.title.endswith("†")


def loss_of(name, outputs, labels, **settings):
    """The loss of a method as the training loop calls it in its first step, all that is drawn drawn alike."""
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
def test_every_setting_of_a_loss_has_a_say(name):
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


@pytest.mark.parametrize("name", METHODS)
def test_the_search_tries_several_values_of_known_settings(name):
    for setting, values in METHODS[name].search.items():
        assert len(set(values)) == len(values) >= 3
        for value in values:
            config = configure("fashion_mnist", name, 48, **{setting: value})
            assert (config.options | {"alpha": config.alpha})[setting] == value


def test_a_rule_names_the_data_sets_that_have_their_own_number():
    rule = by_dataset(1.0, nus_wide=0.5)
    assert [rule(name, 48) for name in ("digits", "nus_wide")] == [1.0, 0.5]
    assert configure("nus_wide", "hashgan", 48).options == {"sharpness": 5.0}
    assert configure("digits", "hashgan", 48).options == {"sharpness": 10.0}
    assert configure("nus_wide", "hashgan", 48, sharpness=3.0).options == {"sharpness": 3.0}


@pytest.mark.parametrize(
    "row", [row for row in TABLE_10 if row["method"] != "all"], ids=lambda row: f"{row['method']} {row['dataset']}"
)
def test_weights_are_those_of_table_10(row):
    """A row without a code length holds for those that have no row of their own."""
    special = {r["bits"] for r in TABLE_10 if (r["dataset"], r["method"]) == (row["dataset"], row["method"])}
    lengths = [int(row["bits"])] if row["bits"] else [bits for bits in PAPER_BITS if str(bits) not in special]
    assert {configure(row["dataset"], row["method"], bits).alpha for bits in lengths} == {float(row["mean"])}


@pytest.mark.parametrize(
    ("dataset", "backbone", "head"),
    [
        ("cifar10", "resnet56", "narrow"),
        ("digits", "", "narrow"),
        ("digit_pairs", "", "narrow"),
        ("nus_wide", "densenet201", "wide"),
        ("ms_coco", "resnet50", "wide"),
        ("ilsvrc", "densenet201", "wide"),
        ("miml_scenes", "squeezenet1_1_keras", "wide"),
        ("tiny_imagenet_32", "squeezenet1_1_keras", "wide"),
    ],
)
def test_backbones_and_the_width_of_heads_are_those_of_the_data(dataset, backbone, head):
    """N_H is 64 on CIFAR-10, 2,048 elsewhere (Appendix B); what nothing trains has no head."""
    config = configure(dataset, "qsmi", 48)
    assert (config.backbone, config.head) == (backbone, head)
    assert configure(dataset, "itq", 48).head == "narrow"
    if backbone:
        assert configure(dataset, "csq", 48, head="csq").head == "csq"
    else:
        with pytest.raises(ValueError, match="head 'csq' needs the features of a backbone, got none"):
            configure(dataset, "csq", 48, head="csq")


@pytest.mark.parametrize("method", LEARNT)
def test_a_stand_in_has_the_numbers_of_what_it_stands_for(method):
    for dataset, names in SUBSTITUTE_FOR.items():
        own, theirs = (configure(name, method, 48) for name in (dataset, names[0]))
        assert (own.alpha, own.options, own.epochs) == (theirs.alpha, theirs.options, theirs.epochs)


@pytest.mark.parametrize("variant", ["qmi", "qmi_clamped", "qsmi_unclamped", "qsmi_priors", "qsmi_jaccard"])
@pytest.mark.parametrize("dataset", ["fashion_mnist", "cifar10", "nus_wide"])
def test_the_variants_have_the_alpha_of_qsmi(variant, dataset):
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
    for method in LEARNT:
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
        ("spring", {"form": "springs"}, "unknown form 'springs'; known: dtsh, likelihood, margin, margin_spring, neg"),
        ("spring", {"form": 3.0}, "unknown form '3.0'; known: dtsh"),
        ("lsh", {"epochs": 2}, "unknown setting of lsh 'epochs'; known: backbone, bits, draw, precision"),
        ("itq", {"learning_rate": 0.1}, "unknown setting of itq 'learning_rate'; known: backbone, bits"),
        ("qsmi_u", {"space": "pixels"}, "unknown space 'pixels'; known: inputs"),
        ("csq", {"head": "deep"}, "unknown head 'deep'; known: csq, narrow, wide"),
        ("lsh", {"head": "wide"}, "unknown setting of lsh 'head'; known: backbone, bits"),
        ("lsh", {"schedule": "cosine"}, "unknown setting of lsh 'schedule'; known: backbone, bits"),
        ("itq", {"augmentation": "flip"}, "unknown setting of itq 'augmentation'; known: backbone, bits"),
        ("spectral_hashing", {"memory": 2}, "unknown setting of spectral_hashing 'memory'; known: backbone, bits"),
        ("qsmi", {"schedule": "linear"}, "unknown schedule 'linear'; known: constant, cosine"),
        ("qsmi", {"augmentation": "turn"}, "unknown augmentation 'turn'; known: flip, flip_shift, none, shift"),
        ("qsmi_priors", {"information_needs": 10.0}, "unknown setting of qsmi_priors 'information_needs'; known: "),
    ],
)
def test_unknown_names_list_the_known(method, settings, message):
    with pytest.raises(ValueError, match=message):
        configure("digits", method, 12, **settings)


@pytest.mark.parametrize("name", [name for name in METHODS if name not in WEIGHTED])
def test_a_method_without_a_quantization_term_has_no_alpha(name):
    assert configure("digits", name, 12).alpha == 0.0
    with pytest.raises(ValueError, match=f"unknown setting of {name} 'alpha'; known: .*bits"):
        configure("digits", name, 12, alpha=0.1)


@pytest.mark.parametrize("value", [True, "3", [3.0]])
def test_an_option_of_the_wrong_kind_is_refused(value):
    with pytest.raises(ValueError, match="margin must be a number, got "):
        configure("digits", "dsh", 12, margin=value)


@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf])
def test_an_option_out_of_range_is_refused(value):
    with pytest.raises(ValueError, match="margin must be a finite number above 0, got "):
        configure("digits", "dsh", 12, margin=value)


@pytest.mark.parametrize("value", [1, 2.5, math.nan, math.inf])
def test_a_count_that_is_none_is_refused(value):
    with pytest.raises(ValueError, match="n_samples must be a whole number of at least 2, got "):
        configure("digits", "pgdh", 12, n_samples=value)


def test_options_that_are_names_start_with_the_first():
    config = configure("digits", "qsmi_u", 12)
    assert config.options == {
        "information_needs": None, "beta": 0.5, "n_clusters": 5.0, "space": "inputs", "refresh": None
    }  # fmt: skip
    assert set(config.options) == set(options_of("qsmi_u"))
    assert set(settings_of_loss(config)) == {"information_needs", "beta", "alpha"}
    assert configure("digits", "dch", 12).options["form"] == "paper"
    assert configure("digits", "dch", 12, form="code").options["form"] == "code"


@pytest.mark.parametrize(
    ("setting", "values"),
    [
        ("bits", [0, -1, True, 1.5, "12", None]),
        ("epochs", [0, True, 1.5]),
        ("batch_size", [0, True, 1.5]),
        ("seed", [-1, True, 1.5]),
        ("draw", [-1, True, 1.5]),
        ("memory", [-1, True, 1.5, "2", None]),
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
    with pytest.raises(ValueError, match="unknown profile 'full'; known: digits, gpu, paper, quick"):
        profile("full")


@pytest.mark.parametrize("name", METHODS)
def test_a_configuration_survives_json(name):
    weight = {"alpha": 0.3} if name in WEIGHTED else {}
    config = configure("digits", name, 12, seed=5, protocol="reduced", **weight)
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
    "protocol": "reduced",
    "backbone": "digits_labels",
    "backbone_learning_rate": 1e-4,
    "head": "wide",
    "schedule": "cosine",
    "augmentation": "shift",
    "memory": 4,
}


def test_run_id_is_the_same_in_every_process():
    """This name must not change: records are found by it."""
    assert CONFIG.run_id("fingerprint") == "digits-qsmi-12b-s0-f2fc3fd682"


@pytest.mark.parametrize("setting", [field.name for field in dataclasses.fields(RunConfig)])
def test_run_id_differs_with_every_setting(setting):
    of_backbones = setting in ("backbone_learning_rate", "head")
    base = dataclasses.replace(CONFIG, backbone="digits_pixels") if of_backbones else CONFIG
    other = dataclasses.replace(base, **{setting: OTHER[setting]})
    assert other.run_id("fingerprint") != base.run_id("fingerprint")


def test_the_full_protocol_goes_without_saying():
    """Records from before there were protocols keep their names."""
    assert "protocol" not in CONFIG.to_dict()
    assert dataclasses.replace(CONFIG, protocol="reduced").to_dict()["protocol"] == "reduced"


def test_frozen_features_go_without_saying_where_there_are_none():
    assert not {"backbone", "backbone_learning_rate", "head"} & CONFIG.to_dict().keys()
    assert dataclasses.replace(CONFIG, backbone="resnet56").to_dict()["backbone"] == "resnet56"


@pytest.mark.parametrize("setting", ["schedule", "augmentation", "memory"])
def test_what_the_paper_does_not_have_goes_without_saying_where_it_is_not_used(setting):
    assert setting not in CONFIG.to_dict()
    config = dataclasses.replace(CONFIG, **{setting: OTHER[setting]})
    assert config.to_dict() == CONFIG.to_dict() | {setting: OTHER[setting]}
    assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_learning_rate_of_no_backbone_is_refused():
    with pytest.raises(ValueError, match=r"backbone_learning_rate 0.001 needs a backbone, got none"):
        dataclasses.replace(CONFIG, backbone_learning_rate=1e-3)


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
