"""Runs on any folder, zip or list, by the command line: from files to record, codes and model, with a tiny backbone."""

import hashlib
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from click.testing import CliRunner
from safetensors.torch import save_file
from torch import nn

from qsmi_lib import datasets
from qsmi_lib.cli import main
from qsmi_lib.codes import pack
from qsmi_lib.config.presets import configure
from qsmi_lib.config.profiles import PROFILES
from qsmi_lib.datasets.images.dataset import PictureSet, Version
from qsmi_lib.datasets.sampling import PerLabel
from qsmi_lib.models import backbones, features
from qsmi_lib.models.backbones import Backbone
from qsmi_lib.tests.datasets.small_pictures import WRITERS, encoded, listing, table, write_folder, write_zip
from qsmi_lib.training import factory, runs
from qsmi_lib.training.loop import encode
from qsmi_lib.training.records import Store, run_id
from qsmi_lib.training.splits import load_split, require_classes
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


@pytest.fixture
def store():
    """Where `run` records these runs: the profile is the default for what is not the digits."""
    return Store.of(PROFILES["quick"])


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
    return folder


def coloured(number):
    """A noisy picture of one colour, or of two halves."""
    names = list(COLOURS)
    values = np.empty((20, 26, 3), np.float64)
    values[:, :13] = COLOURS[names[number % 3]]
    values[:, 13:] = COLOURS[names[(number + (number % 4 == 0)) % 3]]
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
    for number, (name, row) in enumerate(labels.items()):
        parts[part_of(number)][name] = row
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
    words = ["--dataset", dataset, "--method", method, "--bits", 8, "--backbone", "tiny", *more]
    words += ["--epochs", epochs] if method != "lsh" else []
    return CliRunner().invoke(main, ["run", *map(str, words)])


def recorded(result):
    """The record that a call names, the codes beside it, and the path of the record."""
    assert result.exit_code == 0, result.output
    store = Store.of(PROFILES["quick"])
    (path,) = re.findall(r"^record +(.*)$", result.output, re.MULTILINE)
    path = store.runs / path.rpartition("/")[2]
    with np.load(store.codes(path.stem)) as codes:
        return json.loads(path.read_text()), dict(codes), path


@each_form
def test_a_folder_and_its_zip_give_the_same_run(tmp_path, content, several):
    made = [recorded(call(write(tmp_path / "mine", content))) for write in WRITERS.values()]
    for record, codes, path in made:
        assert path.name.startswith(("mine-qsmi-8b-s0-", "mine.zip-qsmi-8b-s0-"))
        assert ("metrics_share_one" in record) == several and "data" not in record
        assert 0.33 < record["metrics"]["map"] <= 1 and len(record["ap_by_label"]) == len(record["n_by_label"]) == 3
        assert codes["query_labels"].ndim == 1 + several
        assert record["config"]["head"] == "wide" and record["config"]["backbone"] == "tiny"
    for name in ("query", "database", "query_labels", "database_labels"):
        assert np.array_equal(made[0][1][name], made[1][1][name])
    prints = [record["provenance"]["fingerprint"] for record, *_ in made]
    assert prints[0] == prints[1] and made[0][2] != made[1][2] and made[0][0]["metrics"] == made[1][0]["metrics"]


def test_the_items_of_a_run_are_those_of_the_lists(tmp_path):
    content, _ = FORMS["lists of parts"]
    _, codes, _ = recorded(call(write_folder(tmp_path / "mine", content)))
    counts = [len(content[name].splitlines()) for name in ("test.txt", "database.txt")]
    assert [len(codes["query"]), len(codes["database"])] == counts == [9, 27]


def test_a_path_may_be_that_of_a_list_file(tmp_path):
    content, _ = FORMS["one list"]
    root = write_folder(tmp_path / "mine", content | {"other.txt": "not a list\n"})
    record, codes, path = recorded(call(root / "all.txt"))
    assert path.name.startswith("all.txt-qsmi-8b-s0-") and record["config"]["dataset"] == str(root / "all.txt")
    (root / "other.txt").unlink()
    assert np.array_equal(recorded(call(root))[1]["query"], codes["query"])


def test_what_is_recorded_is_not_run_again_and_a_changed_list_is_another_run(tmp_path, trainings):
    content, _ = FORMS["one list"]
    source = write_folder(tmp_path / "mine", content)
    _, codes, first = recorded(call(source))
    assert recorded(call(source))[2] == first and len(trainings) == 1
    write_folder(source, {"all.txt": listing(dict(list(LABELS.items())[:-6]))})
    _, fewer, second = recorded(call(source))
    assert second != first and len(trainings) == 2
    assert len(codes["database"]) + len(codes["query"]) == len(fewer["database"]) + len(fewer["query"]) + 6 == N
    assert recorded(call(source, "--draw", 1))[2] != second and len(trainings) == 3


def test_training_learns_the_colours(tmp_path):
    """Chance is below a half."""
    source = write_folder(tmp_path / "mine", FORMS["folders of parts"][0])
    record, _, _ = recorded(call(source, epochs=30))
    assert record["metrics"]["map"] > 0.9 and record["history"][-1]["loss"] < record["history"][0]["loss"]


@pytest.mark.parametrize(("rate", "head", "method"), [(0, "wide", "qsmi"), (1e-4, "csq", "csq_qsmi")])
@each_source
def test_the_saved_model_gives_the_saved_codes(tmp_path, store, write, rate, head, method):
    """Of frozen features, and, as in Table 8, of a backbone that is trained from the files."""
    source = write(tmp_path / "mine", FORMS["lists of parts"][0])
    more = ("--backbone-learning-rate", rate, "--head", head, "--precision", "float32")
    _, codes, path = recorded(call(source, *more, method=method))
    model, config = factory.load(store.model(path.stem))
    assert (config.backbone_learning_rate, config.head) == (rate, head)
    split = runs.split_of(config)
    assert isinstance(split.query.inputs, torch.Tensor) == (rate == 0)
    found = encode(model, split.query.inputs, batch_size=factory.batch_size(config))
    assert np.array_equal(codes["query"], pack(found.numpy()))
    assert (factory.batch_size(config) <= features.PIXELS // 32**2) or rate == 0


@pytest.mark.parametrize("method", ["qsmi_jaccard", "classifier", "lsh"])
def test_any_method_takes_several_labels_from_files(tmp_path, method):
    source = write_zip(tmp_path / "mine", FORMS["a table"][0])
    more = [] if method == "lsh" else ["--epochs", 1]
    words = ["--dataset", source, "--method", method, "--bits", 8, "--backbone", "tiny", *more]
    record, _, _ = recorded(CliRunner().invoke(main, ["run", *map(str, words)]))
    assert 0 < record["metrics"]["map"] < record["metrics_share_one"]["map"] <= 1


def test_protocols_of_classes_take_a_folder(tmp_path):
    source = write_folder(tmp_path / "mine", FORMS["folders of parts"][0])
    record, codes, _ = recorded(call(source, "--protocol", "unbalanced"))
    assert record["n_by_label"][0] > record["n_by_label"][2] == 1
    assert len(codes["database"]) == sum(record["n_by_label"])


def test_the_record_of_a_substitute_names_what_it_replaces(tiny, monkeypatch):
    entry = PictureSet("miml_scenes", {"small": Version(3, N, PerLabel(3))}, side=32)
    monkeypatch.setitem(datasets.DATASETS, "miml_scenes", entry)
    write_zip(tiny / "miml-scenes", FORMS["a table"][0])
    record, codes, path = recorded(call("miml_scenes"))
    assert "NUS-WIDE and MS COCO" in record["data"] and path.name.startswith("miml_scenes-qsmi-8b-s0-")
    assert record["config"]["alpha"] == 0.1 and len(codes["query"]) == 9


def test_a_model_of_timm_with_a_file_of_weights_hashes_a_folder(tmp_path, results):
    """Its weights are part of the id, and its name of the file of features."""
    source, weights = write_folder(tmp_path / "mine", FORMS["folders of parts"][0]), tmp_path / "weights.pth"
    torch.save(timm.create_model("test_resnet", num_classes=0).state_dict(), weights)
    name = f"timm:test_resnet@{weights}"
    words = ["run", "--dataset", source, "--method", "lsh", "--bits", 8, "--backbone", name]
    record, codes, _ = recorded(CliRunner().invoke(main, list(map(str, words))))
    assert record["config"]["backbone"] == name and len(codes["query"]) > 0
    assert record["provenance"]["fingerprint"].endswith(f"-{backbones.named(name).fingerprint}")
    assert list((results / "cache" / "features").glob(f"{backbones.file_part(name)}-*.npy"))


@pytest.mark.parametrize(("side", "decoded"), [(32, (224, "bilinear")), (260, (260, "bicubic"))])
def test_pictures_are_decoded_larger_for_a_backbone_that_takes_larger_ones(tmp_path, monkeypatch, side, decoded):
    source, forms = write_folder(tmp_path / "mine", FORMS["folders of parts"][0]), []

    def extract(images, network, name, **options):
        forms.append((images.side, images.resample))
        return torch.zeros(len(images), 16)

    monkeypatch.setattr(features, "extract", extract)
    entry = replace(backbones.BACKBONES["tiny"], side=side, interpolation="bicubic")
    monkeypatch.setitem(backbones.BACKBONES, "tiny", entry)
    split = load_split(str(source), backbone="tiny")
    assert set(forms) == {decoded} and len(forms) == (2 if split.database is split.train else 3)


def test_pictures_of_a_published_set_keep_the_size_of_its_records(monkeypatch):
    write_folder(paths.data() / "mine", FORMS["folders of parts"][0])
    monkeypatch.setitem(datasets.DATASETS, "mine", PictureSet("mine", side=32))
    sides = []
    monkeypatch.setattr(
        features, "extract", lambda images, *_, **__: sides.append(images.side) or torch.zeros(len(images), 16)
    )
    load_split("mine", backbone="tiny")
    assert set(sides) == {32}


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
        r".*tiny.*: all\.txt:5: images/4\.png of .* cannot be read as a picture",
    ),
    "an unknown head": ({"all.txt": listing(LABELS)}, ("--head", "large"), "unknown head 'large'; known: csq, narrow"),
    "one label an item": (
        {"all.txt": listing(LABELS)},
        ("--protocol", "n_way_5"),
        r".*mine must have one label an item, got several",
    ),
}


@pytest.mark.parametrize(("change", "more", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_run_is_one_line_and_leaves_no_record(tmp_path, store, trainings, change, more, message):
    result = call(write_folder(tmp_path / "mine", PICTURES | change), *more)
    assert result.exit_code == 1 and re.match(f"Error: {message}", result.output), result.output
    assert result.output.count("\n") == 1 and trainings == [] and not list(store.runs.glob("*.json"))


def test_missing_data_say_what_to_do():
    result = CliRunner().invoke(main, ["run", "--dataset", "nus_wide", "--method", "qsmi", "--bits", "8"])
    assert result.exit_code == 1 and result.output.count("\n") == 1
    for remedy in ("nus_wide is not on this machine", "nus-wide.zip", "QSMI_DATA", "datasets check PATH"):
        assert remedy in result.output


def test_a_configuration_of_a_path_is_that_of_its_record(tmp_path, store):
    source = str(write_folder(tmp_path / "mine", FORMS["a table"][0]))
    config = configure(source, "qsmi", 8, backbone="tiny", epochs=1)
    record = runs.run(config, store)
    assert record["config"] == config.to_dict() and record["config"]["dataset"] == source
    assert runs.run(config, store) == record
    assert run_id(replace(config, head="narrow")) != run_id(config)


def one_column(name):
    """The list of one part in which each picture has 0 or 1."""
    rows = [(path, number) for number, path in enumerate(PICTURES) if (number % 4 == 0) == (name == "test.txt")]
    return "".join(f"{path} {int(number % 3 == 0)}\n" for path, number in rows)


def test_one_column_of_0_and_1_is_refused_until_the_option_tells_its_meaning(tmp_path):
    source = write_folder(tmp_path / "mine", PICTURES | {name: one_column(name) for name in ("train.txt", "test.txt")})
    refused = call(source, method="lsh")
    assert refused.exit_code == 1 and len(refused.output.splitlines()) == 1
    for words in ("--labels index", "--labels multi-hot", "test.txt"):
        assert words in refused.output
    (classes, codes, first), (flags, other, second) = (
        recorded(call(source, "--labels", choice, method="lsh")) for choice in ("index", "multi-hot")
    )
    assert classes["config"]["labels"] == "index" and flags["config"]["labels"] == "multi-hot"
    assert first != second and classes["provenance"]["fingerprint"] != flags["provenance"]["fingerprint"]
    assert codes["query_labels"].ndim == 1 and other["query_labels"].shape == (9, 2)
    assert "metrics_share_one" in flags and "metrics_share_one" not in classes
    plain = recorded(call(write_folder(tmp_path / "own", FORMS["one list"][0]), method="lsh"))[0]
    assert "labels" not in plain["config"]  # the ids of earlier runs stay
    assert call("digits", "--labels", "index").exit_code == call(source, "--labels", "both").exit_code == 1


@pytest.mark.parametrize("name", ["blue/0.png", "images/0.png", "train/blue/0.png"])
def test_one_class_is_refused_before_anything_is_trained(tmp_path, trainings, name):
    """By `run`, also of a method that trains nothing, and by `tune`."""
    names = [name.replace("0.png", f"{number}.png") for number in range(4)]
    names += [name.replace("train", "test") for name in names] if "train" in name else []
    source = write_folder(tmp_path / "mine", dict(zip(names, PICTURES.values(), strict=False)))
    tuned = CliRunner().invoke(main, ["tune", "qsmi", "--dataset", str(source), "--backbone", "tiny"])
    for result in (call(source), call(source, method="lsh"), tuned):
        assert result.exit_code == 1 and len(result.output.splitlines()) == 1
        assert str(source) in result.output and "expected" in result.output
    assert trainings == []


def test_a_part_whose_items_carry_the_same_labels_is_refused():
    """Also where a protocol divides so, and with several labels."""
    same, other = torch.zeros(4, dtype=torch.int64), torch.arange(4)
    flags = torch.tensor([[1, 0, 1]]).repeat(4, 1)

    def split(train, query, database):
        parts = [datasets.Part(torch.zeros(4, 1), labels) for labels in (train, query, database)]
        return datasets.Split("mine", *parts, "0", ("a", "b", "c", "d"))

    for sound in (split(other, other, other), split(other, same, other), split(other, other, same)):
        assert require_classes(sound) is sound
    for faulty, part in ((split(same, other, other), "training"), (split(other, same, same), "database")):
        with pytest.raises(ValueError, match=f"all {part}|and {part}.* of mine carry the same labels: expected"):
            require_classes(faulty)
    with pytest.raises(ValueError, match="of mine carry the same labels"):
        require_classes(split(flags, flags, flags))
