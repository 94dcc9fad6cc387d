"""Runs on any folder, zip or list, by the command line: from files to record, codes and model, with a tiny backbone."""

import hashlib
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file
from torch import nn

from qsmi_lib import datasets
from qsmi_lib.cli import main
from qsmi_lib.codes import pack
from qsmi_lib.config.presets import configure
from qsmi_lib.datasets.images.dataset import PictureSet, Version
from qsmi_lib.datasets.sampling import PerLabel
from qsmi_lib.models import backbones, features, networks
from qsmi_lib.models.backbones import Backbone
from qsmi_lib.tests.datasets.small_pictures import WRITERS, encoded, listing, table, write_folder, write_zip
from qsmi_lib.training import factory
from qsmi_lib.training import runs as runner
from qsmi_lib.training.loop import encode
from qsmi_lib.utils import paths

COLOURS = {"blue": (30, 60, 200), "green": (40, 180, 50), "red": (220, 40, 30)}
N = 36
each_source = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


class Tiny(nn.Module):
    """Means of the colours in a grid of 2 x 2, and a dense layer."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(12, 16)

    def forward(self, images):
        return self.dense(nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)).relu()


@pytest.fixture(autouse=True)
def tiny(tmp_path, monkeypatch):
    """A backbone called "tiny", its weights in a file under QSMI_DATA, which holds nothing else."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Tiny()
    folder = tmp_path / "data"
    folder.mkdir()
    save_file(network.state_dict(), folder / "tiny.safetensors")
    mark = hashlib.sha256((folder / "tiny.safetensors").read_bytes()).hexdigest()[:16]
    entry = Backbone("Tiny", Tiny, lambda network: network, 16, 32, {"tiny.safetensors": mark}, "", "nothing")
    monkeypatch.setitem(backbones.BACKBONES, "tiny", entry)
    monkeypatch.setenv("QSMI_DATA", str(folder))
    runner._split.cache_clear()
    return folder


def coloured(number):
    """A noisy picture of one colour, or of two halves."""
    names = list(COLOURS)
    own, other = COLOURS[names[number % 3]], COLOURS[names[(number + (number % 4 == 0)) % 3]]
    values = np.empty((20, 26, 3), np.float64)
    values[:, :13], values[:, 13:] = own, other
    values += np.random.default_rng(number).normal(0, 12, values.shape)
    return encoded(values.clip(0, 255).astype(np.uint8))


PICTURES = {f"images/{number}.png": coloured(number) for number in range(N)}
LABELS = {
    name: tuple(int(k in (number % 3, (number + (number % 4 == 0)) % 3)) for k in range(3))
    for number, name in enumerate(PICTURES)
}
SINGLE = [name for name, labels in LABELS.items() if sum(labels) == 1]


def part_of(number):
    return ("test", "train", "train", "database")[number % 4]


def lists(labels):
    parts = {part: {} for part in ("train", "test", "database")}
    for number, (name, own) in enumerate(labels.items()):
        parts[part_of(number)][name] = own
    parts["database"] |= parts["train"]
    return {f"{part}.txt": listing(rows) for part, rows in parts.items()}


def classes(parts):
    """Folders of classes, below folders of parts or not."""
    content = {}
    for number, name in enumerate(SINGLE):
        kind = list(COLOURS)[LABELS[name].index(1)]
        part = f"{'test' if number % 4 == 0 else 'train'}/" if parts else ""
        content[f"{part}{kind}/{number}.png"] = PICTURES[name]
    return content


FORMS = {  # files, and whether an item may carry several labels
    "lists of parts": (PICTURES | lists(LABELS), True),
    "one list": (PICTURES | {"all.txt": listing(LABELS)}, True),
    "a table": (PICTURES | {"labels.csv": table(LABELS, COLOURS)}, True),
    "folders of classes": (classes(parts=False), False),
    "folders of parts": (classes(parts=True), False),
}
each_form = pytest.mark.parametrize(("content", "several"), FORMS.values(), ids=FORMS)


def call(dataset, *more, method="qsmi", epochs=1):
    words = ["--dataset", dataset, "--method", method, "--bits", 8, "--backbone", "tiny", "--epochs", epochs, *more]
    return CliRunner().invoke(main, ["run", *map(str, words)])


def recorded(result):
    """The record that a call names, and the codes beside it."""
    assert result.exit_code == 0, result.output
    (path,) = re.findall(r"^record +(.*)$", result.output, re.MULTILINE)
    path = paths.runs("quick") / path.rpartition("/")[2]
    with np.load(paths.codes("quick", path.stem)) as codes:
        return json.loads(path.read_text()), dict(codes), path


@each_form
def test_a_folder_and_its_zip_give_the_same_run(tmp_path, content, several):
    runs = [recorded(call(write(tmp_path / "own", content))) for write in WRITERS.values()]
    for record, codes, path in runs:
        assert path.parent == paths.runs("quick") and path.name.startswith(("own-qsmi-8b-s0-", "own.zip-qsmi-8b-s0-"))
        assert ("metrics_share_one" in record) == several and "data" not in record
        assert 0.33 < record["metrics"]["map"] <= 1
        assert len(record["ap_by_label"]) == len(record["n_by_label"]) == 3
        assert codes["query_labels"].ndim == 1 + several
        assert record["config"]["head"] == "wide" and record["config"]["backbone"] == "tiny"
    for name in ("query", "database", "query_labels", "database_labels"):
        assert np.array_equal(runs[0][1][name], runs[1][1][name])
    assert runs[0][0]["metrics"] == runs[1][0]["metrics"]
    prints = [record["provenance"]["fingerprint"] for record, *_ in runs]
    assert prints[0] == prints[1] and runs[0][2] != runs[1][2]


def test_the_items_of_a_run_are_those_of_the_lists(tmp_path):
    content, _ = FORMS["lists of parts"]
    _, codes, _ = recorded(call(write_folder(tmp_path / "own", content)))
    counts = [len(own.splitlines()) for own in (content["test.txt"], content["database.txt"])]
    assert [len(codes["query"]), len(codes["database"])] == counts == [9, 27]


def test_a_list_file_by_its_own_path(tmp_path):
    content, _ = FORMS["one list"]
    root = write_folder(tmp_path / "own", content | {"other.txt": "no list of ours\n"})
    record, codes, path = recorded(call(root / "all.txt"))
    assert path.name.startswith("all.txt-qsmi-8b-s0-") and record["config"]["dataset"] == str(root / "all.txt")
    (root / "other.txt").unlink()
    assert np.array_equal(recorded(call(root))[1]["query"], codes["query"])
    assert len(codes["query"]) == 3 and len(codes["database"]) == N - 3


def test_what_is_recorded_is_not_run_again_and_a_changed_list_is_another_run(tmp_path, trainings):
    content, _ = FORMS["one list"]
    source = write_folder(tmp_path / "own", content)
    first = recorded(call(source))
    assert recorded(call(source))[2] == first[2] and len(trainings) == 1
    write_folder(source, {"all.txt": listing(dict(list(LABELS.items())[:-1]))})
    assert recorded(call(source))[2] != first[2] and len(trainings) == 2
    assert recorded(call(source, "--draw", 1))[2] != first[2] and len(trainings) == 3


def test_training_learns_the_colours(tmp_path):
    """Chance is below a half."""
    source = write_folder(tmp_path / "own", FORMS["folders of parts"][0])
    record, _, _ = recorded(call(source, epochs=30))
    assert record["metrics"]["map"] > 0.9 and record["history"][-1]["loss"] < record["history"][0]["loss"]


@pytest.mark.parametrize("rate", [0, 1e-4])
def test_the_saved_model_gives_the_saved_codes(tmp_path, rate):
    """Of frozen features, and of a backbone that is trained from the files."""
    source = write_folder(tmp_path / "own", FORMS["lists of parts"][0])
    record, codes, path = recorded(call(source, "--backbone-learning-rate", rate, "--precision", "float32"))
    model, config = factory.load(paths.model("quick", path.stem))
    split = runner.split_of(config)
    assert isinstance(split.query.inputs, torch.Tensor) == (rate == 0)
    found = encode(model, split.query.inputs, batch_size=factory.batch_size(config))
    assert np.array_equal(codes["query"], pack(found.numpy()))
    assert record["config"].get("backbone_learning_rate", 0) == rate
    assert (factory.batch_size(config) <= features.PIXELS // 32**2) or rate == 0


def test_a_trained_backbone_gives_the_same_from_folder_and_zip(tmp_path):
    content, _ = FORMS["lists of parts"]
    more = ("--backbone-learning-rate", 1e-3, "--precision", "float32")
    runs = [recorded(call(write(tmp_path / "own", content), *more))[1] for write in WRITERS.values()]
    assert np.array_equal(runs[0]["database"], runs[1]["database"])


@pytest.mark.parametrize("method", ["dsh", "qsmi_jaccard", "qsmi_priors", "csq", "classifier", "lsh", "itq"])
def test_any_method_takes_several_labels_from_files(tmp_path, method):
    source = write_zip(tmp_path / "own", FORMS["a table"][0])
    more = [] if method in ("lsh", "itq") else ["--epochs", 1]
    words = ["--dataset", source, "--method", method, "--bits", 8, "--backbone", "tiny", *more]
    record, _, _ = recorded(CliRunner().invoke(main, ["run", *map(str, words)]))
    assert 0 < record["metrics"]["map"] < record["metrics_share_one"]["map"] <= 1


@pytest.mark.parametrize("head", ["narrow", "csq"])
def test_a_head_may_be_chosen(tmp_path, head):
    source = write_folder(tmp_path / "own", FORMS["a table"][0])
    record, _, path = recorded(call(source, "--head", head))
    assert record["config"].get("head", "narrow") == head
    assert type(factory.load(paths.model("quick", path.stem))[0]) is type(networks.HEADS[head](16, 8))


def test_protocols_of_classes_take_a_folder(tmp_path):
    source = write_folder(tmp_path / "own", FORMS["folders of parts"][0])
    record, codes, _ = recorded(call(source, "--protocol", "unbalanced"))
    assert record["n_by_label"][0] > record["n_by_label"][2] == 1
    assert len(codes["database"]) == sum(record["n_by_label"])


# A stand-in


def test_the_record_of_a_stand_in_says_what_it_stands_for(tiny, monkeypatch):
    entry = PictureSet("miml_scenes", {"small": Version(3, N, PerLabel(3))}, side=32)
    monkeypatch.setitem(datasets.DATASETS, "miml_scenes", entry)
    write_zip(tiny / "miml-scenes", FORMS["a table"][0])
    record, codes, path = recorded(call("miml_scenes"))
    assert record["data"] == "miml-scenes in place of NUS-WIDE and MS COCO"
    assert record["config"]["alpha"] == 0.1 and path.name.startswith("miml_scenes-qsmi-8b-s0-")
    assert len(codes["query"]) == 9 and list(record)[:2] == ["config", "data"]


# What is refused, in one line and before anything is trained


REFUSED = {
    "a ragged line": (
        {"all.txt": listing(LABELS) + "images/0.png 1\n"},
        (),
        r"all\.txt:37: 1 labels, expected 3 as in",
    ),
    "a leak": (
        lists(LABELS) | {"test.txt": "images/1.png 0 1 0\n"},
        (),
        r"test\.txt:1: the query images/1\.png is also in",
    ),
    "an unreadable picture": (
        {"all.txt": listing(LABELS), "images/4.png": b"no picture"},
        (),
        r"cannot extract features of tiny from .*: all\.txt:5: images/4\.png of .* cannot be read as a picture",
    ),
    "an unknown head": ({"all.txt": listing(LABELS)}, ("--head", "large"), "unknown head 'large'; known: csq, narrow"),
    "one label an item": (
        {"all.txt": listing(LABELS)},
        ("--protocol", "n_way_5"),
        r".*own must have one label an item, got several",
    ),
}


@pytest.mark.parametrize(("change", "more", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_run_is_one_line(tmp_path, trainings, change, more, message):
    result = call(write_folder(tmp_path / "own", PICTURES | change), *more)
    assert result.exit_code == 1 and re.match(f"Error: {message}", result.output), result.output
    assert result.output.count("\n") == 1 and not list(paths.runs("quick").glob("*.json"))


def test_a_path_without_a_backbone_says_what_it_needs(tmp_path):
    source = write_folder(tmp_path / "own", FORMS["a table"][0])
    result = CliRunner().invoke(main, ["run", "--dataset", str(source), "--method", "qsmi", "--bits", "8"])
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {source} has no network of its own: name a backbone, one of resnet56, ")


def test_missing_data_say_what_to_do():
    result = CliRunner().invoke(
        main, ["run", "--dataset", "nus_wide", "--method", "qsmi", "--bits", "8", "--epochs", "1"]
    )
    assert result.exit_code == 1
    assert result.output == (
        "Error: nus_wide is not on this machine: put a folder nus_wide or nus-wide.zip where QSMI_DATA points; "
        "`datasets check PATH` lists its faults\n"
    )


def test_a_configuration_of_a_path_is_that_of_its_record(tmp_path):
    source = str(write_folder(tmp_path / "own", FORMS["a table"][0]))
    config = configure(source, "qsmi", 8, backbone="tiny", epochs=1)
    record = runner.run(config, "toy")
    assert record["config"] == config.to_dict() and record["config"]["dataset"] == source
    assert runner.run(config, "toy") == json.loads(json.dumps(record))
    assert runner.run_id(replace(config, head="narrow")) != runner.run_id(config)
