"""Profiles: epochs that they give to runs, and the data that they need."""

import pytest

from qsmi_lib.config.presets import configure, epochs_of, of_profile
from qsmi_lib.config.profiles import PROFILES, profile
from qsmi_lib.datasets import SUBSTITUTE_FOR
from qsmi_lib.models.backbones import BACKBONES
from qsmi_lib.reproduction import grids


@pytest.mark.parametrize(
    ("name", "dataset", "method", "epochs"),
    [
        ("paper", "fashion_mnist", "qsmi", 50),
        ("quick", "fashion_mnist", "qsmi", 10),
        ("paper", "cifar10", "qsmi", 5),
        ("paper", "fashion_mnist", "itq", 1),
    ],
)
def test_a_run_has_the_epochs_of_its_profile_unless_they_are_given(name, dataset, method, epochs):
    config, chosen = of_profile(dataset, method, 12, PROFILES[name], seed=None)
    assert config == configure(dataset, method, 12, **epochs_of(method, epochs)) and chosen is PROFILES[name]
    assert of_profile(dataset, "qsmi", 12, PROFILES[name], epochs=3)[0].epochs == 3


@pytest.mark.parametrize(("dataset", "name"), {"digits": "digits", "digit_pairs": "digits", "cifar10": "quick"}.items())
def test_without_a_profile_the_data_set_decides(dataset, name):
    assert of_profile(dataset, "qsmi", 12)[1] is profile(name)


def test_the_smallest_profile_needs_no_download_and_the_others_use_the_substitutes():
    digits = PROFILES["digits"]
    assert {digits.dataset, digits.pictures, digits.scenes, digits.objects} == {"digits", "digit_pairs"}
    assert not digits.large_backbone
    assert all(BACKBONES[name].url == "" for name in (digits.backbone, digits.clean_backbone))
    for name in ("quick", "paper", "gpu"):
        assert (PROFILES[name].scenes, PROFILES[name].objects) == tuple(SUBSTITUTE_FOR)


@pytest.mark.parametrize("name", PROFILES)
def test_only_the_digits_fix_the_precision_in_which_claims_are_checked(name):
    config, _ = of_profile("digits", "qsmi", 12, PROFILES[name])
    (run,) = grids.runs(PROFILES[name], ["qsmi"], [12], [0])
    assert config.precision == run.precision == ("float32" if name == "digits" else "auto")
