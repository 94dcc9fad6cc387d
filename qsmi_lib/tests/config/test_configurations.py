"""Configurations: a method's numbers for a data set, what overrides them, what is refused, and the id of a run."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest

from qsmi_lib.config.presets import configure, options_of
from qsmi_lib.config.profiles import PROFILES, profile
from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import SUBSTITUTE_FOR
from qsmi_lib.methods import METHODS
from qsmi_lib.training.loop import settings_of_loss

# Presets


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
def test_backbone_and_head_of_a_data_set(dataset, backbone, head):
    """N_H is 64 on CIFAR-10 and 2,048 elsewhere (Appendix B); a method without training has no head."""
    config = configure(dataset, "qsmi", 48)
    assert (config.backbone, config.head) == (backbone, head)
    assert configure(dataset, "itq", 48).head == "narrow"
    if backbone:
        assert configure(dataset, "csq", 48, head="csq").head == "csq"
    else:
        with pytest.raises(ValueError, match="head 'csq' needs the features of a backbone, got none"):
            configure(dataset, "csq", 48, head="csq")


def test_a_substitute_has_the_numbers_of_the_data_set_that_it_replaces():
    for dataset, originals in SUBSTITUTE_FOR.items():
        for method in (name for name, entry in METHODS.items() if entry.loss is not None):
            config, original = (configure(name, method, 48) for name in (dataset, originals[0]))
            assert (config.alpha, config.options, config.epochs) == (original.alpha, original.options, original.epochs)


def test_settings_and_options_override_a_methods_numbers():
    config = configure("digits", "qmi", 12, seed=2, alpha=0.5, sigma=3.0, precision="float32")
    assert (config.seed, config.alpha, config.precision) == (2, 0.5, "float32")
    assert config.options == {"sigma": 3.0, "information_needs": None}
    assert configure("digits", "dch", 12).options["form"] == "paper"
    assert configure("digits", "dch", 12, form="code").options["form"] == "code"


def test_options_of_qsmi_u_that_records_contain():
    """`space` and `refresh` have one value each."""
    config = configure("digits", "qsmi_u", 12)
    options = {"information_needs": None, "beta": 0.5, "n_clusters": 5.0, "space": "inputs", "refresh": None}
    assert config.options == options and set(options_of("qsmi_u")) == set(options)
    assert set(settings_of_loss(config)) == {"information_needs", "beta", "alpha"}


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("qsmih", {}, "unknown method 'qsmih'; known: .*dsh.*qmi.*qsmi"),
        ("qsmi", {"epoch": 3}, "unknown setting of qsmi 'epoch'; known: .*epochs.*information_needs"),
        ("qsmi", {"sigma": 3.0}, "unknown setting of qsmi 'sigma'; known: .*information_needs"),
        ("dsh", {"information_needs": 10.0}, "unknown setting of dsh 'information_needs'; known: .*margin"),
        ("qsmi", {"options": {}}, "unknown setting of qsmi 'options'"),
        ("qsmi", {"precision": "fp16"}, "unknown precision 'fp16'; known: auto, bf16, float32"),
        ("spring", {"form": "springs"}, "unknown form 'springs'; known: dtsh, likelihood, margin, margin_spring, neg"),
        ("spring", {"form": 3.0}, "unknown form '3.0'; known: dtsh"),
        ("qsmi_u", {"space": "pixels"}, "unknown space 'pixels'; known: inputs"),
        ("csq", {"head": "deep"}, "unknown head 'deep'; known: csq, narrow, wide"),
        ("qsmi", {"schedule": "linear"}, "unknown schedule 'linear'; known: constant, cosine"),
        ("qsmi", {"augmentation": "turn"}, "unknown augmentation 'turn'; known: flip, flip_shift, none, shift"),
        *(
            (method, {setting: value}, f"unknown setting of {method} '{setting}'; known: backbone, bits, draw")
            for method in ("lsh", "itq", "spectral_hashing")
            for setting, value in {"epochs": 2, "head": "wide", "schedule": "cosine", "memory": 2}.items()
        ),
    ],
)
def test_unknown_names_list_the_known(method, settings, message):
    with pytest.raises(ValueError, match=message):
        configure("digits", method, 12, **settings)


@pytest.mark.parametrize("name", [name for name, entry in METHODS.items() if entry.alpha is None])
def test_a_method_without_a_quantization_term_has_no_alpha(name):
    assert configure("digits", name, 12).alpha == 0.0
    with pytest.raises(ValueError, match=f"unknown setting of {name} 'alpha'; known: .*bits"):
        configure("digits", name, 12, alpha=0.1)


def test_options_out_of_range_are_refused():
    for value in (True, "3", [3.0]):
        with pytest.raises(ValueError, match="margin must be a number, got "):
            configure("digits", "dsh", 12, margin=value)
    for value in (0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="margin must be a finite number above 0, got "):
            configure("digits", "dsh", 12, margin=value)
    for value in (1, 2.5, math.nan, math.inf):
        with pytest.raises(ValueError, match="n_samples must be a whole number from 2 to 1024, got "):
            configure("digits", "pgdh", 12, n_samples=value)


@pytest.mark.parametrize(
    ("setting", "values"),
    [
        ("bits", [0, -1, True, 1.5, "12", None, 4097]),
        ("epochs", [0, True, 1.5, 10**9]),
        ("batch_size", [0, True, 1.5, 10**9]),
        ("seed", [-1, True, 1.5, 2**32]),
        ("draw", [-1, True, 1.5, 2**64]),
        ("memory", [-1, True, 1.5, "2", None, 10**9]),
        ("learning_rate", [math.nan, math.inf, -1e-3, 1e308, True]),
        ("alpha", [math.nan, math.inf, -1e-3, 1e308, "1"]),
        ("dataset", [3, None]),
        ("options", [3, [3]]),
    ],
)
def test_numbers_out_of_range_are_refused(setting, values):
    for value in values:
        with pytest.raises(ValueError, match=f"{setting} must be .*, got {re.escape(repr(value))}"):
            RunConfig(**({"dataset": "digits", "method": "qsmi", "bits": 12} | {setting: value}))


def test_a_batch_with_its_memory_is_limited():
    RunConfig("digits", "qsmi", 12, batch_size=1 << 13, memory=7)
    with pytest.raises(ValueError, match="at most 65536 items, got 73728: batch_size 8192 and memory 8"):
        RunConfig("digits", "qsmi", 12, batch_size=1 << 13, memory=8)


EXTREME = (0, -1, 1e308, 1e-320, math.nan, math.inf, True, "text", [1.0])


@pytest.mark.parametrize(
    ("method", "option"), [(method, option) for method in METHODS for option in options_of(method)]
)
def test_every_option_of_every_method_is_checked_when_it_is_configured(method, option):
    """What passes here must neither overflow nor fill the memory in training."""
    default = options_of(method)[option]
    for value in (*EXTREME, *(() if default is None or isinstance(default, tuple) else (None,))):
        if callable(default) and value is None:
            continue  # the default depends on the data set
        with pytest.raises(ValueError, match=option) as caught:
            configure("digits", method, 12, **{option: value})
        assert "; known: " in str(caught.value) or repr(value) in str(caught.value)


@pytest.mark.parametrize(("method", "option"), [("mihash", "n_bins"), ("pgdh", "n_samples"), ("qsmi_u", "n_clusters")])
def test_counts_that_would_fill_the_memory_are_refused(method, option):
    with pytest.raises(ValueError, match=f"{option} must be a whole number from . to 1024, got 1000000000"):
        configure("digits", method, 12, **{option: 1e9})


def test_numbers_of_numpy_are_numbers():
    config = configure("digits", "qmi", np.int64(12), seed=np.uint8(3), epochs=np.array(2), sigma=np.float32(2.0))
    assert config == configure("digits", "qmi", 12, seed=3, epochs=2, sigma=2.0) == from_json(config)
    assert type(config.bits) is type(config.seed) is type(config.epochs) is int


def test_an_unknown_profile_lists_the_known():
    assert [profile(name) for name in PROFILES] == list(PROFILES.values())
    with pytest.raises(ValueError, match="unknown profile 'full'; known: digits, gpu, paper, quick"):
        profile("full")


# JSON and the id of a run

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
    "labels": "index",
}


def from_json(config):
    return RunConfig.from_dict(json.loads(json.dumps(config.to_dict())))


def test_a_configuration_survives_json():
    for name, entry in METHODS.items():
        weight = {"alpha": 0.3} if entry.alpha is not None else {}
        config = configure("digits", name, 12, seed=5, protocol="reduced", **weight)
        assert from_json(config) == config
    with pytest.raises(ValueError, match=r"unknown setting 'dropout'; known: .*draw.*epochs"):
        RunConfig.from_dict(CONFIG.to_dict() | {"dropout": 0.5})


def test_the_id_of_a_run_never_changes():
    """Records are found by it."""
    assert CONFIG.run_id("fingerprint") == "digits-qsmi-12b-s0-f2fc3fd682"
    assert CONFIG.run_id("fingerprint") != CONFIG.run_id("another")


@pytest.mark.parametrize("setting", [field.name for field in dataclasses.fields(RunConfig)])
def test_every_setting_changes_the_id(setting):
    of_backbones = setting in ("backbone_learning_rate", "head")
    base = dataclasses.replace(CONFIG, backbone="digits_pixels") if of_backbones else CONFIG
    other = dataclasses.replace(base, **{setting: OTHER[setting]})
    assert other.run_id("fingerprint") != base.run_id("fingerprint") and from_json(other) == other


@pytest.mark.parametrize("setting", ["protocol", "backbone", "schedule", "augmentation", "memory"])
def test_settings_that_are_newer_than_records_are_left_out_at_their_defaults(setting):
    assert not {setting, "backbone_learning_rate", "head"} & CONFIG.to_dict().keys()
    config = dataclasses.replace(CONFIG, **{setting: OTHER[setting]})
    assert config.to_dict() == CONFIG.to_dict() | {setting: OTHER[setting]}


def test_a_learning_rate_without_a_backbone_is_refused():
    with pytest.raises(ValueError, match=r"backbone_learning_rate 0.001 needs a backbone, got none"):
        dataclasses.replace(CONFIG, backbone_learning_rate=1e-3)


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ({"options": {"sigma": 10.0, "information_needs": None}}, {}),
        ({"alpha": 0}, {"alpha": 0.0}),
        ({"learning_rate": 1}, {"learning_rate": 1.0}),
        ({"options": {"sigma": 10}}, {"options": {"sigma": 10.0}}),
    ],
)
def test_equal_configurations_have_one_id(one, same):
    one, same = dataclasses.replace(CONFIG, **one), dataclasses.replace(CONFIG, **same)
    assert one == same and one.run_id("fingerprint") == same.run_id("fingerprint")


# Paths as data sets

PATHS = {
    "/home/someone/my pictures/list.txt": "list.txt",
    "some/folder/": "folder",
    "../a folder (2)": "a_folder_2_",
    "scenes.zip": "scenes.zip",
    "~/größe": "größe",
    "../..": "pictures",
    "/": "pictures",
}


@pytest.mark.parametrize(("path", "name"), PATHS.items(), ids=PATHS)
def test_the_id_of_a_run_has_only_the_last_part_of_a_path(path, name):
    config = RunConfig(path, "qsmi", 12)
    run = config.run_id("fingerprint")
    assert run.startswith(f"{name}-qsmi-12b-s0-") and not set(run) & set("/\\ ")
    assert config.to_dict()["dataset"] == path and run != RunConfig(f"x/{name}", "qsmi", 12).run_id("fingerprint")


def test_pictures_of_a_path_have_a_backbone_and_the_data_sets_keep_theirs(tmp_path):
    own = configure(str(tmp_path), "qsmi", 12)
    assert (own.backbone, own.head) == ("efficientnet_lite0", "wide")
    assert configure(str(tmp_path), "qsmi", 12, backbone="resnet50").backbone == "resnet50"
    assert configure("digits", "qsmi", 12).backbone == "" and configure("cifar10", "qsmi", 12).backbone == "resnet56"


def test_a_path_is_one_data_set_however_it_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    assert configure("pictures", "qsmi", 12) == configure(f"{tmp_path}/./pictures/", "qsmi", 12)
    assert configure("pictures", "qsmi", 12, backbone="resnet50").head == "wide"


def test_features_have_no_augmentation():
    with pytest.raises(ValueError, match="needs pictures, got the features of digits_pixels"):
        dataclasses.replace(CONFIG, backbone="digits_pixels", augmentation="flip")
