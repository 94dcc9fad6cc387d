"""The grids of the experiments: what every one has in common; no grid is restated."""

import pytest

from qsmi_lib.config.presets import configure, epochs_of
from qsmi_lib.config.profiles import PROFILES
from qsmi_lib.datasets import FEW_LABELS, SUBSTITUTE_FOR
from qsmi_lib.methods import METHODS
from qsmi_lib.models.backbones import BACKBONES
from qsmi_lib.reproduction import grids, titles
from qsmi_lib.reproduction.experiments import EXPERIMENTS, experiment
from qsmi_lib.reproduction.rotations import WHOLE
from qsmi_lib.reproduction.tables import key_of
from qsmi_lib.training.records import run_id

each = pytest.mark.parametrize("name", EXPERIMENTS)


def settings_of(config):
    return config.options | {name: getattr(config, name) for name in config.__dataclass_fields__}


@each
def test_runs_have_ids_of_their_own_and_a_cell_has_one_run_a_seed(name):
    entry = EXPERIMENTS[name]
    for profile in PROFILES.values():
        runs = entry.grid(profile)
        assert len({run_id(config) for config in runs}) == len(runs) > 0
        seeds = {}
        for config in runs:
            seeds.setdefault(key_of(config, entry.by), []).append(config.seed)
        assert all(len(set(of_cell)) == len(of_cell) for of_cell in seeds.values())


@each
def test_no_backbone_has_seen_labels_that_the_protocol_hides(name):
    """The id of a run refuses such a backbone; those that saw all labels are used where all labels train."""
    entry = EXPERIMENTS[name]
    for profile in PROFILES.values():
        for config in [*entry.grid(profile), *(entry.rotations(profile) if entry.rotations else [])]:
            assert run_id(config)
            if config.backbone and BACKBONES[config.backbone].labels_of in {
                config.dataset,
                *SUBSTITUTE_FOR.get(config.dataset, ()),
            }:
                assert config.protocol not in FEW_LABELS


def test_tables_can_name_the_settings_and_metrics():
    for name, entry in EXPERIMENTS.items():
        runs = entry.grid(PROFILES["paper"])
        for setting in entry.by:
            values = {settings_of(config).get(setting) for config in runs}
            assert values != {None} and all(titles.setting_title(setting, value) for value in values), name
        assert set(entry.metrics) <= titles.METRIC_TITLES.keys(), name
        assert all(config.protocol in titles.PROTOCOL_TITLES for config in runs), name


def test_rotations_are_searched_on_items_that_are_held_out():
    for name, entry in EXPERIMENTS.items():
        for profile in PROFILES.values() if entry.rotations else ():
            runs = entry.rotations(profile)
            assert {config.protocol for config in runs} <= WHOLE.keys(), name
            assert len({run_id(config) for config in runs}) == len(runs) > 0, name


def test_an_unknown_experiment_lists_the_known():
    with pytest.raises(ValueError, match=r"unknown experiment 'table_99'; known: .*table_2"):
        experiment("table_99")


def test_all_methods_are_compared_but_the_variants_of_qsmi():
    assert sorted([*grids.TRAINED, *grids.UNTRAINED, *grids.VARIANTS]) == sorted(METHODS)
    assert {config.method for config in EXPERIMENTS["methods"].grid(PROFILES["digits"])} == {
        *grids.TRAINED,
        *grids.UNTRAINED,
    }


def test_a_method_runs_with_what_its_search_chose_unless_the_experiment_sets_it(monkeypatch):
    searched = {"dhn": {"alpha": 0.7}, "pgdh": {"balance": None, "n_samples": 64.0}}
    monkeypatch.setattr(grids, "chosen", lambda method, dataset, backbone: searched.get(method, {}))
    profile = PROFILES["digits"]
    for config in grids.tuned(profile, ["dhn", "pgdh", "itq"], [12], [0]):
        options = searched.get(config.method, {}) | epochs_of(config.method, profile.comparison_epochs)
        assert config == configure("digits", config.method, 12, precision="float32", **options)
    (run,) = grids.tuned(profile, ["dhn"], [12], [0], alpha=0.2, epochs=3)
    assert (run.alpha, run.epochs) == (0.2, 3)


def test_few_items_train_for_about_as_many_steps_as_all():
    epochs = {config.protocol: config.epochs for config in EXPERIMENTS["poster_cifar10"].grid(PROFILES["paper"])}
    few = {protocol for protocol in epochs if protocol in FEW_LABELS}
    assert few and {epochs[protocol] for protocol in few} == {10 * PROFILES["paper"].head_epochs}


@pytest.mark.parametrize(("name", "setting"), [("csq_heads", "head"), ("precisions", "precision")])
def test_what_is_compared_alone_differs(name, setting):
    runs = {}
    for config in EXPERIMENTS[name].grid(PROFILES["paper"]):
        value = getattr(config, setting)
        runs.setdefault(value, []).append({**config.to_dict(), setting: None})
    first, second = runs.values()
    assert first == second
