"""Several labels an item, from the classifier to the record; heads of features; what stands in for what."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from qsmi_lib import datasets
from qsmi_lib.codes import binarize
from qsmi_lib.config.presets import configure
from qsmi_lib.config.profiles import PROFILES, profile
from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import DATASETS, PICTURE_SETS
from qsmi_lib.evaluation import evaluate
from qsmi_lib.losses.csq import classifier_objective
from qsmi_lib.models import backbones, networks
from qsmi_lib.models.backbones import BACKBONES
from qsmi_lib.models.networks import HEADS, ClassWords, CsqHead, EndToEnd, HashHead
from qsmi_lib.reproduction import grids, large_grids
from qsmi_lib.tests.datasets.small_pictures import listing, picture, write_folder
from qsmi_lib.training import factory, records, runs
from qsmi_lib.training.loop import encode, train

BITS = 12


@pytest.fixture(autouse=True)
def forget_splits():
    """The runner keeps the last split, which lies in the folder of another test."""
    runs._split.cache_clear()


def random(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


# The classifier


SCORES = random(6, 4, dtype=torch.float64)
SEVERAL = torch.tensor([[1, 0, 0, 1], [0, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 1, 1], [1, 0, 0, 0]])


def test_each_label_of_an_item_gets_an_equal_share_of_its_probability():
    """The mean over the items, of which one says nothing."""
    total = 0.0
    for row, labels in zip(SCORES.tolist(), SEVERAL.tolist(), strict=True):
        logs = [value - math.log(sum(map(math.exp, row))) for value in row]
        total -= sum(log for log, mark in zip(logs, labels, strict=True) if mark) / max(1, sum(labels))
    assert classifier_objective(SCORES, SEVERAL).item() == pytest.approx(total / 6, rel=1e-12)


def test_one_label_an_item_is_the_usual_cross_entropy():
    labels = torch.tensor([3, 0, 0, 1, 2, 3])
    expected = nn.functional.cross_entropy(SCORES, labels)
    hot = nn.functional.one_hot(labels, 4)
    for own in (labels, hot, hot.bool(), hot.to(torch.uint8)):
        assert classifier_objective(SCORES, own).item() == pytest.approx(expected.item(), rel=1e-12)


def test_an_item_without_a_label_says_nothing():
    scores = SCORES.clone().requires_grad_()
    gradient = torch.autograd.grad(classifier_objective(scores, SEVERAL), scores)[0]
    assert (gradient[3] == 0).all() and (gradient[[0, 1, 2, 4, 5]] != 0).all()
    assert classifier_objective(SCORES, torch.zeros(6, 4, dtype=torch.int64)).item() == 0


def test_the_gradient_is_probability_less_share():
    scores = SCORES.clone().requires_grad_()
    gradient = torch.autograd.grad(classifier_objective(scores, SEVERAL), scores)[0]
    share = SEVERAL / SEVERAL.sum(dim=1, keepdim=True).clamp_min(1)
    expected = (SCORES.softmax(dim=1) * SEVERAL.any(dim=1, keepdim=True) - share) / 6
    assert (gradient - expected).abs().max() < 1e-12


@pytest.mark.parametrize("bits", [4, 16])
def test_an_item_of_two_labels_that_is_learnt_gets_the_mean_of_both_words(bits):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = ClassWords(6, bits, 4)
    inputs = 3 * torch.eye(6)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        classifier_objective(head(inputs), SEVERAL).backward()
        optimizer.step()
    found = head.eval()(inputs).detach()
    for row, labels in zip(found, SEVERAL, strict=True):
        if labels.any():
            assert (row - head.words[labels.bool()].mean(dim=0)).abs().max() < 0.05


# Heads


def test_the_heads_and_their_widths():
    found = {name: head(20, BITS) for name, head in HEADS.items()}
    assert {name: type(head) for name, head in found.items()} == {"narrow": HashHead, "wide": HashHead, "csq": CsqHead}
    assert {name: head.hidden.out_features for name, head in found.items()} == {"narrow": 64, "wide": 2048, "csq": 2048}
    for head in found.values():
        assert head.eval()(random(3, 20)).shape == (3, BITS)


def test_csq_s_head_is_three_layers_and_drops_half_of_the_first():
    head, inputs = CsqHead(20, BITS, n_hidden=50), random(5, 20)
    layers = {name: tuple(value.shape) for name, value in head.named_parameters() if value.ndim == 2}
    assert layers == {"hidden.weight": (50, 20), "further.weight": (50, 50), "dense.weight": (BITS, 50)}
    first = inputs @ head.hidden.weight.T + head.hidden.bias
    second = first.clamp(min=0) @ head.further.weight.T + head.further.bias
    expected = second.clamp(min=0) @ head.dense.weight.T + head.dense.bias
    assert (head.eval()(inputs) - expected).abs().max() < 1e-5
    head.train()
    dropped = []
    head.dropout.register_forward_hook(lambda _, given, out: dropped.append(out[given[0] > 0] == 0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        one, other = (head(random(400, 20)) for _ in range(2))
    assert not torch.equal(one, other)
    assert 0.45 < dropped[0].float().mean() < 0.55


@pytest.mark.parametrize(("head", "kind"), [("narrow", HashHead), ("wide", HashHead), ("csq", CsqHead)])
def test_a_configuration_names_the_head(head, kind):
    config = configure("digits", "qsmi", BITS, backbone="digits_pixels", head=head)
    model = factory.of(config)
    assert type(model) is kind and model.hidden.in_features == 32
    assert model.hidden.out_features == (64 if head == "narrow" else 2048)
    trained = factory.of(replace(config, backbone_learning_rate=1e-4), weights=False)
    assert isinstance(trained, EndToEnd) and type(trained.head) is kind


@pytest.mark.parametrize("method", ["dnnh", "classifier"])
def test_methods_put_their_last_layer_on_any_head(method):
    model = factory.of(configure("digits", method, BITS, backbone="digits_pixels", head="csq"))
    assert type(model) is CsqHead and not isinstance(model.dense, nn.Linear)
    assert model.eval()(random(3, 32)).shape == (3, BITS)


def test_an_unknown_head_lists_the_known():
    with pytest.raises(ValueError, match="unknown head 'large'; known: csq, narrow, wide"):
        factory.build("digits", BITS, backbone="digits_pixels", head="large")


def test_a_saved_model_keeps_its_head(tmp_path):
    config = configure("digits", "csq", BITS, backbone="digits_pixels", head="csq")
    model = factory.of(config).eval()
    factory.save(model, config, tmp_path / "model.safetensors")
    loaded, found = factory.load(tmp_path / "model.safetensors")
    assert found == config and type(loaded) is CsqHead
    assert torch.equal(loaded(random(5, 32)), model(random(5, 32)))


# Names of runs


def test_the_usual_head_is_left_out_so_that_older_names_hold():
    config = RunConfig("digits", "qsmi", 12, alpha=0.01, options={"information_needs": None})
    assert "head" not in config.to_dict() and config.run_id("mark") == "digits-qsmi-12b-s0-1f56b01958"
    config = replace(config, backbone="digits_pixels")
    wide = replace(config, head="wide")
    assert wide.to_dict() == config.to_dict() | {"head": "wide"} and wide.run_id("mark") != config.run_id("mark")
    assert RunConfig.from_dict(config.to_dict()) == config and RunConfig.from_dict(wide.to_dict()) == wide


PATHS = {
    "/home/someone/my pictures/list.txt": "list.txt",
    "some/folder/": "folder",
    "../a folder (2)": "a_folder_2_",
    "scenes.zip": "scenes.zip",
    "nus_wide": "nus_wide",
    "~/größe": "größe",
}


@pytest.mark.parametrize(("path", "name"), PATHS.items(), ids=PATHS)
def test_the_name_of_a_run_on_a_path_is_one_step(path, name):
    config = RunConfig(path, "qsmi", 12)
    found = config.run_id("mark")
    assert found.startswith(f"{name}-qsmi-12b-s0-") and not set(found) & set("/\\ ")
    assert config.to_dict()["dataset"] == path
    assert found != config.run_id("other") and found != RunConfig(f"x/{name}", "qsmi", 12).run_id("mark")


@pytest.mark.parametrize("path", [".", "./", "..", "../..", "/"])
def test_a_folder_without_a_name_gives_a_file_that_is_not_hidden(path):
    assert RunConfig(path, "qsmi", 12).run_id("mark").startswith("pictures-qsmi-12b-s0-")


# What stands in for what


@pytest.mark.parametrize("method", grids.TRAINED)
@pytest.mark.parametrize("bits", [12, 48])
def test_a_stand_in_gets_the_numbers_of_what_it_stands_for(method, bits):
    for own, published in {"miml_scenes": "nus_wide", "tiny_imagenet_32": "ilsvrc"}.items():
        config, model = configure(own, method, bits), configure(published, method, bits)
        assert (config.alpha, config.options) == (model.alpha, model.options)


def test_these_numbers_are_those_of_the_paper():
    for name in ("miml_scenes", "tiny_imagenet_32"):
        assert configure(name, "qsmi", 48).alpha == 0.1 and configure("fashion_mnist", "qsmi", 48).alpha == 0.01
        assert configure(name, "dpsh", 48).alpha == 5.0 and configure("fashion_mnist", "dpsh", 48).alpha == 3.0
        assert configure(name, "qsmi", 48).epochs == 50 and configure(name, "qsmi", 48).batch_size == 128
    assert configure("miml_scenes", "csq", 32).alpha == configure("nus_wide", "csq", 32).alpha == 0.05
    assert configure("miml_scenes", "qsmi", 48, alpha=0.3).alpha == 0.3


def test_the_width_of_the_head_is_the_paper_s():
    """N_H: 64 on CIFAR-10, 2,048 on NUS-WIDE."""
    found = {name: configure(name, "qsmi", 48).head for name in ("cifar10", *PICTURE_SETS)}
    assert found == {"cifar10": "narrow"} | dict.fromkeys(PICTURE_SETS, "wide")
    assert configure("some/folder", "qsmi", 48, backbone="resnet50").head == "wide"
    assert {configure(name, "qsmi", 48).head for name in ("digits", "digit_pairs", "fashion_mnist")} == {"narrow"}
    assert configure("digits", "qsmi", 48, backbone="digits_pixels").head == "narrow"
    assert configure("miml_scenes", "qsmi", 48, head="csq").head == "csq"


def test_every_data_set_without_a_network_has_a_backbone():
    for name in datasets.DATASETS:
        config = configure(name, "qsmi", 48)
        assert config.backbone in BACKBONES or name in networks.NETWORKS
        assert config.backbone == datasets.BACKBONE_OF.get(name, "")


def test_a_path_needs_a_backbone(tmp_path):
    message = f"^{re.escape(str(tmp_path))} has no network of its own: name a backbone, one of resnet56, squeezenet"
    with pytest.raises(ValueError, match=message):
        factory.of(configure(str(tmp_path), "qsmi", 48))


# Scores of a record


def scored(n_query=20, n_database=600, n_labels=4, seed=0):
    codes = [binarize(random(n, BITS, seed=seed + n)) for n in (n_query, n_database)]
    labels = [(random(n, n_labels, seed=seed + n + 1) > 0.3).long() for n in (n_query, n_database)]
    labels[0][:, 2] = 0
    labels[0][0] = 0
    return codes, labels


def test_several_labels_are_scored_by_both_rules():
    codes, labels = scored()
    found = runs.scores(*codes, *labels)
    assert list(found) == ["metrics", "metrics_share_one", "ap_by_label", "n_by_label"]
    for key, rule in {"metrics": "fraction", "metrics_share_one": "share-one"}.items():
        expected = evaluate(*codes, *labels, k=[1, 10, 100, 500], relevance=rule).to_record()
        assert found[key].keys() == expected.keys()
        for name, value in expected.items():
            if isinstance(value, list):
                assert np.asarray(found[key][name]) == pytest.approx(np.asarray(value), rel=1e-5)
                assert all(number == float(f"{number:.6g}") for number in np.ravel(found[key][name]))
            else:
                assert found[key][name] == value
        assert found[key]["map_at_k"].keys() == {"1", "10", "100", "500"}
    assert found["metrics"]["map"] != found["metrics_share_one"]["map"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert records.by_any_label(found) is found["metrics_share_one"]


def test_scores_by_label_are_those_of_the_queries_that_carry_it():
    codes, labels = scored()
    found = runs.scores(*codes, *labels)
    ap = evaluate(*codes, *labels).ap
    assert np.isnan(ap[0]) and found["ap_by_label"][2] is None
    for k in (0, 1, 3):
        own = [ap[row] for row in range(20) if labels[0][row, k]]
        assert found["ap_by_label"][k] == pytest.approx(sum(own) / len(own), rel=1e-5)
    assert found["n_by_label"] == labels[1].sum(dim=0).tolist()


def test_single_labels_are_scored_as_they_were():
    codes, _ = scored()
    labels = [torch.arange(20) % 3, torch.arange(600) % 4]
    found = runs.scores(*codes, *labels)
    assert list(found) == ["metrics", "ap_by_label", "n_by_label"]
    expected = evaluate(*codes, *labels, k=[1, 10, 100])
    assert found["metrics"]["map"] == expected.map
    assert found["metrics"]["map_at_k_hits"] == {str(k): v for k, v in expected.map_at_k_hits.items()}
    assert found["n_by_label"] == [150] * 4
    assert found["ap_by_label"][:3] == pytest.approx([expected.ap[k::3].mean() for k in range(3)], rel=1e-5)
    assert records.by_any_label(found) is found["metrics"]


@pytest.mark.parametrize(("n", "cutoffs"), [(9, ["1"]), (500, ["1", "10", "100", "500"]), (499, ["1", "10", "100"])])
def test_cutoffs_reach_as_far_as_the_database(n, cutoffs):
    codes, labels = scored(n_database=n)
    assert list(runs.scores(*codes, *labels)["metrics"]["map_at_k"]) == cutoffs


# Pairs of digits


def test_pairs_show_two_digits_and_carry_both_labels(digits):
    split = datasets.load("digit_pairs")
    assert split.database is split.train and split.classes == digits.classes
    empty = -DATASETS["digits"].mean / DATASETS["digits"].std
    for name in ("train", "query"):
        own, single = getattr(split, name), getattr(digits, name)
        left, right = own.inputs.split(8, dim=3)
        assert own.inputs.shape == (len(single), 1, 8, 16) and torch.equal(left, single.inputs)
        label_of = {image.numpy().tobytes(): label for image, label in zip(single.inputs, single.labels, strict=True)}
        alone = (right - empty).abs().amax(dim=(1, 2, 3)) < 1e-6
        assert int(alone.sum()) == len(single) // 5
        for image, one, is_alone, row in zip(right, single.labels, alone, own.labels, strict=True):
            labels = {int(one)} if is_alone else {int(one), int(label_of[image.numpy().tobytes()])}
            assert set(row.nonzero()[:, 0].tolist()) == labels
    assert set(split.train.labels.sum(dim=1).tolist()) == {1, 2}


def test_draws_of_pairs_differ_and_one_draw_does_not():
    drawn = [datasets.load("digit_pairs", draw=draw) for draw in (0, 1, 0)]
    assert torch.equal(drawn[0].train.inputs, drawn[2].train.inputs) and drawn[0].fingerprint == drawn[2].fingerprint
    assert not torch.equal(drawn[0].query.labels, drawn[1].query.labels)
    assert drawn[0].fingerprint != drawn[1].fingerprint == DATASETS["digit_pairs"].fingerprint(1)


@pytest.mark.parametrize("method", ["qsmi_jaccard", "qsmi_priors", "csq", "classifier"])
def test_a_run_of_several_labels_is_recorded_with_both_rules(method):
    record = runs.run(configure("digit_pairs", method, BITS, epochs=1), "digits")
    assert record["metrics"]["map"] < record["metrics_share_one"]["map"]
    assert set(record["metrics"]["map_at_k_hits"]) == {"1", "10", "100", "500", "1000"}
    assert len(record["ap_by_label"]) == len(record["n_by_label"]) == 10
    assert sum(record["n_by_label"]) > 1297 and "data" not in record
    assert records.load(runs.record_path(configure("digit_pairs", method, BITS, epochs=1), "digits")) == record


def test_the_smallest_profile_needs_nothing_but_the_digits():
    own = profile("digits")
    assert (own.scenes, own.objects, own.large_backbone) == ("digit_pairs", "digits", "")
    for other in ("quick", "paper", "gpu"):
        assert (PROFILES[other].scenes, PROFILES[other].objects) == tuple(datasets.SUBSTITUTE_FOR)


# Table 8 as published


@pytest.mark.parametrize(("dataset", "epochs"), [("nus_wide", 10), ("ms_coco", 20), ("some/folder", 20)])
def test_the_settings_of_table_8(dataset, epochs):
    configs = large_grids.fine_tuned(dataset)
    assert [(config.method, config.bits) for config in configs] == [
        ("csq", 32),
        ("csq", 64),
        ("csq_qsmi", 32),
        ("csq_qsmi", 64),
    ]
    for config in configs:
        assert (config.backbone, config.head, config.batch_size, config.epochs) == ("resnet50", "csq", 32, epochs)
        assert (config.learning_rate, config.backbone_learning_rate) == (1e-3, 5e-5)
        assert config.dataset == dataset
        if dataset != "some/folder":
            assert config.alpha == 0.05


def test_table_8_trains_resnet_50_from_pictures_on_disk(tmp_path, monkeypatch):
    """A folder in the form of COCO, weights at random: the published ones would have to be downloaded."""
    monkeypatch.setenv("QSMI_DATA", str(tmp_path))
    monkeypatch.setattr(backbones, "load", lambda name: backbones.assembled(name).eval())
    monkeypatch.setitem(BACKBONES, "resnet50", replace(BACKBONES["resnet50"], side=32))
    rows = {f"{k}.jpg": tuple(int(label in (k, 79 - k % 3)) for label in range(80)) for k in range(9)}
    parts = {"test": range(2), "train": range(2, 6), "database": range(2, 9)}
    lists = {f"{part}.txt": listing({f"{k}.jpg": rows[f"{k}.jpg"] for k in own}) for part, own in parts.items()}
    write_folder(tmp_path / "ms_coco" / "images", {path: picture(k, 40, 50) for k, path in enumerate(rows)})
    write_folder(tmp_path / "ms_coco", lists)
    config = replace(large_grids.fine_tuned("ms_coco")[2], epochs=1, batch_size=2, precision="float32")
    assert config.method == "csq_qsmi"
    split = runs.split_of(config)
    assert type(split.train.inputs).__name__ == "Pictures" and len(split.train) == 4
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        before = factory.of(config)
    trained = train(config, split)
    assert isinstance(trained.model.head, CsqHead) and trained.model.head.dense.out_features == 32
    for part in ("backbone", "head"):
        own = zip(getattr(before, part).parameters(), getattr(trained.model, part).parameters(), strict=True)
        assert any((one != other).any() for one, other in own)
    codes = [encode(trained.model, part.inputs, batch_size=2) for part in (split.query, split.database)]
    assert codes[0].shape == (2, 32) and codes[1].shape == (7, 32)
    assert math.isfinite(trained.history[0]["loss"])
    assert runs.scores(*codes, split.query.labels, split.database.labels)["n_by_label"][0] == 0


def test_the_learning_rate_of_the_backbone_is_a_twentieth():
    config = large_grids.fine_tuned("ms_coco")[0]
    backbone, head = factory.parameter_groups(factory.of(config, weights=False), config)
    assert backbone["lr"] * 20 == config.learning_rate and "lr" not in head
