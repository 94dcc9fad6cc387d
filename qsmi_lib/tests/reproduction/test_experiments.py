"""The grids: which runs a table needs, and with which numbers."""

import re
from collections import Counter
from dataclasses import replace

import pytest

from qsmi_lib.config.presets import configure, epochs_of
from qsmi_lib.config.profiles import PROFILES
from qsmi_lib.datasets import FEW_LABELS, SUBSTITUTE_FOR
from qsmi_lib.losses.triplet import FORMS
from qsmi_lib.methods import METHODS
from qsmi_lib.models.backbones import BACKBONES
from qsmi_lib.reproduction import grids, titles
from qsmi_lib.reproduction.experiments import EXPERIMENTS, experiment, grid
from qsmi_lib.reproduction.grids import BATCHES, LONGER, POSTER_BITS, SIGMAS, TRAINED, UNTRAINED, VARIANTS, tuned
from qsmi_lib.training import runs as runner

PAPER_BACKBONES = ("resnet56", "squeezenet1_1_keras")
each_profile = pytest.mark.parametrize("profile", PROFILES)
each = pytest.mark.parametrize("name", EXPERIMENTS)


def settings(config):
    return config.options | {name: getattr(config, name) for name in config.__dataclass_fields__}


def cell(config, by):
    """What tells the cell of a run; None is an option that its method does not have."""
    return tuple(settings(config).get(name) for name in by)


def data_of(name, profile, backbone):
    """What an experiment is made on."""
    if name.startswith("table_7"):
        return profile.objects
    if name.endswith("_scenes") or name.startswith(("table_6", "table_8", "csq")):
        return profile.scenes
    return profile.pictures if backbone else profile.dataset


# Every experiment


@each
@each_profile
def test_a_cell_has_one_run_a_seed(name, profile):
    runs, by = grid(name, profile), EXPERIMENTS[name].by
    assert len({runner.record_path(config, profile) for config in runs}) == len(runs) > 0
    seeds = {}
    for config in runs:
        seeds.setdefault(cell(config, by), []).append(config.seed)
    known = range(PROFILES[profile].draws) if name.startswith("table_7") else PROFILES[profile].seeds
    assert all(own == list(known[: len(own)]) for own in seeds.values())


@each
@each_profile
def test_cells_share_data_batches_and_precision_and_under_one_protocol_the_epochs(name, profile):
    runs, own = grid(name, profile), PROFILES[profile]
    assert {config.dataset for config in runs} == {data_of(name, own, runs[0].backbone)}
    sizes = set(BATCHES) if name == "batch_sizes" else {32 if name in ("table_8", "csq_heads") else 128}
    assert {config.batch_size for config in runs} == sizes
    assert {config.precision for config in runs} == ({"auto", "float32"} if name == "precisions" else {"auto"})
    drawn = name == "table_9" or name.startswith("table_7")
    assert all(config.draw == (config.seed if drawn else 0) for config in runs)
    trained = [config for config in runs if METHODS[config.method].loss is not None]
    by_protocol = {(config.protocol, config.epochs) for config in trained}
    several = 2 if name in ("table_7_longer", "steps") else 1
    assert len(by_protocol) == several * len({config.protocol for config in trained})
    longest = 10 * own.head_epochs if runs[0].backbone and runs[0].dataset == own.pictures else own.epochs
    longest *= LONGER if name == "steps" else 1
    assert all(config.epochs <= longest for config in runs)


@each
def test_cells_are_told_apart_by_settings_that_tables_can_name(name):
    entry = EXPERIMENTS[name]
    for config in grid(name, "paper"):
        own = {"sigma"} if config.method == "qsmi" else set()  # it has no kernel with a width
        assert set(entry.by) - own <= settings(config).keys()
        assert config.protocol in titles.PROTOCOL_TITLES
    assert set(entry.metrics) <= titles.CONVENTIONS.keys()
    assert re.fullmatch(r"\d\d", entry.notebook)


def test_all_methods_are_compared_but_the_variants_of_table_1():
    variants = {"qmi", "qmi_clamped", "qsmi_unclamped", "qsmi_priors", "qsmi_jaccard"}
    assert sorted(TRAINED + UNTRAINED) == sorted(METHODS.keys() - variants)
    assert sorted(UNTRAINED) == ["itq", "lsh", "spectral_hashing"]


@pytest.mark.parametrize("ask", [experiment, lambda name: grid(name, "paper")])
def test_an_unknown_experiment_lists_the_known(ask):
    with pytest.raises(
        ValueError, match=r"unknown experiment 'table_99'; known: batch_sizes, constant_m, csq_heads, fig_2b, .*table_2"
    ):
        ask("table_99")


# The comparison of all methods


@pytest.fixture
def chosen(monkeypatch):
    """Searches that chose something."""
    found = {"dhn": {"alpha": 0.7}, "pgdh": {"balance": None, "n_samples": 64.0}}
    monkeypatch.setattr(grids, "chosen", lambda method, dataset, backbone: found.get(method, {}))
    return found


@each_profile
def test_every_method_is_compared_at_all_lengths_with_the_same_seeds(profile):
    runs, seeds = grid("methods", profile), PROFILES[profile].seeds[:3]
    counts = Counter((config.method, config.bits) for config in runs)
    assert counts == {
        (m, bits): len(seeds) for m in METHODS.keys() - set(VARIANTS) for bits in PROFILES[profile].lengths
    }
    epochs = {config.epochs for config in runs if config.method in TRAINED}
    assert epochs == {PROFILES[profile].comparison_epochs}
    assert {config.protocol for config in runs} == {"full"}


def test_a_method_runs_with_what_its_search_chose(chosen):
    for config in grid("methods", "paper"):
        own = chosen.get(config.method, {})
        assert {name: settings(config)[name] for name in own} == own
        own = own | epochs_of(config.method, config.epochs)
        assert config == configure("fashion_mnist", config.method, config.bits, seed=config.seed, **own)


def test_what_nothing_trains_counts_one_epoch_whatever_the_profile():
    runs = [config for profile in PROFILES for config in grid("methods", profile) if config.method in UNTRAINED]
    assert {config.epochs for config in runs} == {1}


def test_a_setting_of_the_experiment_comes_before_the_search(chosen):
    (run,) = tuned(PROFILES["paper"], ["dhn"], [12], [0], alpha=0.2, epochs=3)
    assert (run.alpha, run.epochs) == (0.2, 3)


# Spherical embedding, and the slides


def test_every_form_of_the_spring_is_a_cell():
    assert [config.options["form"] for config in grid("spring_forms", "paper")] == list(FORMS)


@each_profile
def test_the_poster_is_repeated_on_a_reduced_and_the_full_training_set(profile):
    runs = grid("poster", profile)
    by_protocol = {p: [c for c in runs if c.protocol == p] for p in ("reduced", "full")}
    assert sum(map(len, by_protocol.values())) == len(runs)
    cells = [{(config.method, config.bits) for config in own} for own in by_protocol.values()]
    assert cells[0] == cells[1]
    assert {bits for _, bits in cells[0]} == set(POSTER_BITS) and "spring" in {method for method, _ in cells[0]}
    assert {config.epochs for config in by_protocol["reduced"]} == {max(1, PROFILES[profile].epochs // 2)}


def test_the_slides_dsh():
    runs = grid("uit_dsh", "paper")
    assert {config.method for config in runs} == {"dsh"}
    assert {config.learning_rate for config in runs} == {3e-4}
    epochs = {config.protocol: config.epochs for config in runs}
    assert epochs.keys() == {"first_tenth", "full"} and epochs["full"] < epochs["first_tenth"] == 20
    assert {(c.alpha, c.bits) for c in runs} == {(alpha, bits) for alpha in (0.005, 0.01) for bits in (8, 12, 16)}


# The paper's own


@pytest.mark.parametrize(
    ("name", "profile", "n"),
    [
        ("tie_order", "paper", 4),
        ("table_1", "paper", 20),
        ("fig_2b", "paper", 1),
        ("constant_m", "paper", 10),
        ("fig_3", "paper", 18),
        ("table_2", "paper", 60),
        ("table_2", "digits", 24),
        ("table_2", "quick", 12),
        ("table_3", "paper", 75),
        ("table_5", "paper", 240),
        ("table_5", "quick", 16),
        ("table_9", "paper", 300),
        ("fig_3_cifar10", "paper", 18),
        ("poster_cifar10", "paper", 50),
        ("table_6", "paper", 75),
        ("table_6", "quick", 3),
        ("table_6_tuned", "paper", 75),
        ("fig_3_scenes", "paper", 18),
        ("table_7", "paper", 240),
        ("table_7", "quick", 8),
        ("table_7_longer", "paper", 80),
        ("table_8", "paper", 70),
        ("table_8", "quick", 7),
        ("csq_heads", "paper", 40),
        ("unbalanced", "paper", 18),
        ("poster_scenes", "paper", 50),
        ("table_2_tuned", "paper", 60),
        ("table_2_tuned", "digits", 24),
        ("batch_sizes", "paper", 15),
        ("batch_sizes", "digits", 6),
        ("sigmas", "paper", 27),
        ("sigmas", "digits", 18),
        ("precisions", "paper", 6),
        ("precisions", "digits", 4),
        ("steps", "paper", 45),
        ("steps", "digits", 18),
    ],
)
def test_sizes(name, profile, n):
    assert len(grid(name, profile)) == n


# Beside the paper's own: tuned, by batch size, by the kernel's width, and beyond


each_of_two = pytest.mark.parametrize("profile", ["digits", "paper"])


@each_of_two
def test_table_2_tuned_is_table_2_with_what_searches_of_twenty_epochs_chose(profile, monkeypatch):
    found, asked = {"dsh": {"alpha": 0.5}, "dpsh": {"alpha": 7.0}, "qsmi": {}}, []

    def chosen(method, dataset, backbone="", epochs=None):
        asked.append((method, dataset, backbone, epochs))
        return found[method]

    monkeypatch.setattr(grids, "chosen", chosen)
    tuned, plain = grid("table_2_tuned", profile), grid("table_2", profile)
    assert tuned == [replace(run, **found[run.method]) for run in plain]
    assert sorted(asked) == [(method, PROFILES[profile].dataset, "", 20) for method in sorted(found)]


@each_of_two
def test_batches_differ_in_size_alone_and_those_of_128_are_runs_of_table_2(profile):
    runs, table_2 = grid("batch_sizes", profile), grid("table_2", profile)
    usual = [run for run in table_2 if (run.method, run.bits) == ("qsmi", 48)]
    assert [run for run in runs if run.batch_size == 128] == usual
    for size in (64, 256):
        assert [replace(run, batch_size=128) for run in runs if run.batch_size == size] == usual


@each_of_two
def test_kernels_differ_in_width_alone_and_qsmi_has_none(profile):
    runs, own = grid("sigmas", profile), PROFILES[profile]
    seeds = own.seeds[:3]
    assert {(run.bits, run.epochs) for run in runs} == {(48, own.comparison_epochs)}
    cells = Counter((run.method, run.options.get("sigma")) for run in runs)
    methods = ("qmi", "qmi_clamped")
    assert cells == {(m, s): len(seeds) for m in methods for s in SIGMAS} | {("qsmi", None): len(seeds)}
    for run in runs:
        width = {"sigma": run.options["sigma"]} if run.method != "qsmi" else {}
        assert run == configure(own.dataset, run.method, 48, seed=run.seed, epochs=run.epochs, **width)
    assert 10.0 in SIGMAS, "the paper's"


@each_of_two
def test_precisions_differ_in_nothing_else(profile):
    runs = grid("precisions", profile)
    by_precision = {name: [run for run in runs if run.precision == name] for name in ("auto", "float32")}
    assert by_precision["auto"] == [replace(run, precision="auto") for run in by_precision["float32"]]
    assert by_precision["auto"] == [run for run in grid("sigmas", profile) if run.method == "qsmi"]


@each_of_two
def test_each_step_is_a_cell_of_its_own_and_the_first_is_table_1s_qsmi(profile):
    runs, own = grid("steps", profile), PROFILES[profile]
    cells = [
        (run.method, run.memory, run.schedule, run.epochs // own.epochs, run.augmentation)
        for run in runs
        if run.seed == 0
    ]
    assert cells == [
        ("qsmi", 0, "constant", 1, "none"),
        ("qsmi_priors", 0, "constant", 1, "none"),
        ("qsmi", 4, "constant", 1, "none"),
        ("qsmi", 0, "cosine", 1, "none"),
        ("qsmi", 0, "constant", 1, "shift"),
        ("qsmi_priors", 4, "cosine", 1, "none"),
        ("qsmi_priors", 4, "cosine", 1, "shift"),
        ("qsmi", 0, "constant", 3, "none"),
        ("qsmi", 0, "cosine", 3, "none"),
    ]
    plain = {"memory": 0, "schedule": "constant", "augmentation": "none", "epochs": own.epochs}
    for run in runs:
        usual = configure(own.dataset, run.method, 48, seed=run.seed, epochs=own.epochs)
        assert replace(run, alpha=usual.alpha, **plain) == usual
        assert run.alpha == usual.alpha * (1 + run.memory)  # as many more items to be compared with
    qsmi = [run for run in grid("table_1", profile) if run.method == "qsmi"]
    assert runs[: len(own.seeds)] == qsmi


# Frozen features


FROZEN = [name for name in EXPERIMENTS if grid(name, "paper")[0].backbone]
KNOWING = ("table_3", "fig_3_cifar10", "fig_4", "table_7", "table_7_longer", "table_9")


def test_what_is_hashed_from_frozen_features():
    assert sorted(FROZEN) == [
        "csq_heads",
        "fig_3_cifar10",
        "fig_3_scenes",
        "fig_4",
        "poster_cifar10",
        "poster_scenes",
        "table_3",
        "table_5",
        "table_5_end_to_end",
        "table_6",
        "table_6_tuned",
        "table_7",
        "table_7_longer",
        "table_8",
        "table_9",
    ]


def has_seen_the_labels(config):
    """Whether the backbone knows the labels of the data, or of what they stand in for."""
    known = {config.dataset, *SUBSTITUTE_FOR.get(config.dataset, ())}
    return bool(config.backbone) and BACKBONES[config.backbone].labels_of in known


@each_profile
@pytest.mark.parametrize("name", FROZEN)
def test_a_backbone_that_knows_the_labels_stands_where_all_labels_train_and_nowhere_else(name, profile):
    for config in grid(name, profile):
        if has_seen_the_labels(config):
            assert name in KNOWING and config.protocol not in FEW_LABELS
        assert runner.run_id(config)  # a leak would be refused by name


def test_table_3_has_the_settings_of_table_10():
    for config in grid("table_3", "paper"):
        own = configure("cifar10", config.method, config.bits)
        assert (config.alpha, config.epochs, config.learning_rate) == (own.alpha, 5, 0.001)


@pytest.mark.parametrize("name", ["table_5", "poster_cifar10"])
def test_few_items_train_for_as_many_steps_as_all(name):
    epochs = {config.protocol: config.epochs for config in grid(name, "paper")}
    assert all(n == (50 if protocol in FEW_LABELS else 5) for protocol, n in epochs.items())


def test_the_backbone_is_trained_on_one_seed_at_32_bits():
    (config,) = grid("table_5_end_to_end", "paper")
    assert (config.bits, config.protocol, config.seed) == (32, "sampled", 0)
    assert 0 < config.backbone_learning_rate < config.learning_rate


def test_table_9_holds_classes_back_in_both_readings_under_both_backbones():
    cells = Counter(
        (config.backbone, config.protocol, config.method, config.bits) for config in grid("table_9", "paper")
    )
    assert set(cells.values()) == {5}
    assert {key[:2] for key in cells} == {(b, p) for b in PAPER_BACKBONES for p in ("unseen_2", "unseen_3")}
    assert {key[2] for key in cells} == {"dsh", "dpsh", "qsmi", "qsmi_u", "itq"}
    own = [config for config in grid("table_9", "paper") if config.method == "qsmi_u"]
    assert {(c.options["n_clusters"], c.options["beta"], c.options["space"]) for c in own} == {(5.0, 0.5, "inputs")}


# Several labels, many classes


def test_table_6_has_the_settings_of_nus_wide():
    for config in grid("table_6", "paper"):
        own = configure("nus_wide", config.method, config.bits)
        assert (config.alpha, config.options, config.head) == (own.alpha, own.options, "wide")
        assert (config.epochs, config.learning_rate) == (50, 0.001)


def test_the_variants_of_qsmi_stand_beside_the_tuned_methods_of_table_6():
    methods = {config.method for config in grid("table_6_tuned", "paper")}
    assert methods == {"dsh", "dpsh", "qsmi", "qsmi_priors", "qsmi_jaccard"}


def test_table_7_draws_twenty_classes_twenty_times():
    runs = grid("table_7", "paper")
    assert {(config.draw, config.protocol, config.epochs) for config in runs} == {
        (k, "n_way_20", 20) for k in range(20)
    }
    longer = grid("table_7_longer", "paper")
    assert {(config.draw, config.epochs) for config in longer} == {(k, n) for k in range(10) for n in (20, 50)}
    assert all(config in runs for config in longer if config.epochs == 20)


def test_the_methods_of_centers_alone_have_their_own_head_in_table_8():
    heads = {(config.method in ("csq", "csq_qsmi"), config.head) for config in grid("table_8", "paper")}
    assert heads == {(True, "csq"), (False, "wide")}
    of_both = {head: [] for head in ("csq", "wide")}
    for config in grid("csq_heads", "paper"):
        of_both[config.head].append(replace(config, head="narrow"))
    assert of_both["csq"] == of_both["wide"]


def test_equal_and_true_priors_are_compared_at_the_same_weights():
    cells = {(config.method, config.alpha, config.protocol) for config in grid("unbalanced", "paper")}
    assert cells == {(m, a, "unbalanced") for m in ("qsmi", "qsmi_priors") for a in (0.001, 0.01, 0.1)}
