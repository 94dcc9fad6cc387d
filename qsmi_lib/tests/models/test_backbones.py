"""Backbones: what pictures need before one, the networks, their published weights, and which labels they have seen."""

import hashlib
import importlib.util
import io
import re
import zipfile

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F
from torchvision.transforms import v2

from qsmi_lib import datasets
from qsmi_lib.datasets import cifar10
from qsmi_lib.models import backbones
from qsmi_lib.models.backbone_networks import IMAGENET, BasicBlock, CifarResNet, DigitsNetwork, Pixels
from qsmi_lib.models.backbones import BACKBONES
from qsmi_lib.models.weights import checksum, load_weights
from qsmi_lib.training import splits
from qsmi_lib.training.splits import load_split
from qsmi_lib.utils import paths

ZIP, RESNET = paths.data() / "cifar10.zip", paths.data() / "resnet56-cifar10.safetensors"
SCRIPT = importlib.util.spec_from_file_location("make_digits_backbones", paths.WEIGHTS / "make_digits_backbones.py")
digits_backbones = importlib.util.module_from_spec(SCRIPT)
SCRIPT.loader.exec_module(digits_backbones)
OWN = ("digits_labels", "digits_pixels")
DOWNLOADED = [name for name, entry in BACKBONES.items() if entry.url]
each = pytest.mark.parametrize("name", BACKBONES)
OF_TEN_CLASSES = sorted(datasets.PROTOCOLS.keys() - {"n_way_20"})  # which the digits have not enough classes for


def pictures(n=2, side=32, width=None):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (n, 3, side, width or side), dtype=torch.uint8, generator=generator)


def normalised(images):
    mean, std = (torch.tensor(values)[:, None, None] for values in IMAGENET)
    return (images.double() / 255 - mean) / std


# Pixels


def test_pictures_of_the_right_size_are_normalised_alone():
    found = Pixels(32)(pictures())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), normalised(pictures()).double(), rtol=1e-5, atol=1e-5)


def test_smaller_pictures_are_scaled_bilinearly():
    expected = F.interpolate(pictures().double(), (224, 224), mode="bilinear", antialias=True)
    found = Pixels(224)(pictures())
    assert found.shape == (2, 3, 224, 224)
    assert (found.double() - normalised(expected)).abs().max() < 1.01 / 255 / 0.224  # scaled as whole numbers


def test_the_shorter_side_is_scaled_and_the_centre_taken():
    wide = pictures(side=20, width=50)
    expected = v2.functional.center_crop(v2.functional.resize(wide, [32, 80], antialias=True), [32, 32])
    torch.testing.assert_close(Pixels(32)(wide), normalised(expected).float(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("images", "shown"),
    [
        (torch.zeros(2, 1, 32, 32, dtype=torch.uint8), r"torch.uint8 \(2, 1, 32, 32\)"),
        (torch.zeros(2, 3, 32, 32), r"torch.float32 \(2, 3, 32, 32\)"),
        (torch.zeros(3, 32, 32, dtype=torch.uint8), r"torch.uint8 \(3, 32, 32\)"),
    ],
    ids=["grey", "floating", "one"],
)
def test_pictures_of_another_kind_are_refused(images, shown):
    with pytest.raises(ValueError, match=rf"pictures must be uint8 \(n, 3, height, width\), got {shown}"):
        Pixels(32)(images)


def test_the_scaling_shows_in_the_structure_and_not_in_the_weights():
    assert repr(Pixels(32)) != repr(Pixels(224)) and not Pixels(32).state_dict()


# Networks


def test_resnet_56_has_56_layers():
    layers = [own for own in CifarResNet().modules() if isinstance(own, nn.Conv2d | nn.Linear)]
    assert len(layers) == 56
    assert sum(value.numel() for value in CifarResNet().parameters()) == 853_018  # 0.85 M (He et al., Table 6)


@pytest.mark.parametrize(("n_in", "n_out", "side"), [(4, 4, 8), (4, 8, 4)])
def test_a_block_adds_a_shortcut_without_weights(n_in, n_out, side):
    """Option A: every other pixel, and channels of zeros on both sides."""
    block, images = BasicBlock(n_in, n_out).eval(), torch.randn(2, n_in, 8, 8)
    hidden = F.conv2d(images, block.conv1.weight, stride=n_out // n_in, padding=1)
    hidden = F.conv2d(block.bn1(hidden).relu(), block.conv2.weight, padding=1)
    shortcut = torch.zeros(2, n_out, side, side)
    first = (n_out - n_in) // 2
    shortcut[:, first : first + n_in] = images[:, :, :: n_out // n_in, :: n_out // n_in]
    found = block(images)
    assert found.shape == (2, n_out, side, side)
    torch.testing.assert_close(found, (block.bn2(hidden) + shortcut).relu())


def test_resnet_averages_its_last_maps():
    network = CifarResNet(n_blocks=1, n_classes=7).eval()
    maps = []
    network.layer3.register_forward_hook(lambda module, inputs, output: maps.append(output))
    scores = network(torch.randn(2, 3, 32, 32))
    assert scores.shape == (2, 7) and maps[0].shape == (2, 64, 8, 8)
    torch.testing.assert_close(scores, network.linear(maps[0].flatten(2).mean(2)))


@pytest.mark.parametrize("n_out", [10, 64])
def test_the_digits_network_gives_what_it_is_asked(n_out):
    assert DigitsNetwork(n_out)(torch.zeros(3, 1, 8, 8)).shape == (3, n_out)


# Entries


@each
@torch.no_grad()
def test_every_backbone_assembles_and_gives_its_features(name):
    entry, n = BACKBONES[name], 2 if BACKBONES[name].side != 224 else 1
    images = torch.zeros(2, 1, 8, 8) if entry.side is None else pictures(n)
    network = backbones.assembled(name).eval()
    assert network(images).shape == (len(images), entry.n_features)
    assert (entry.side is None) == (not isinstance(network[0], Pixels))


def test_features_are_what_the_last_layer_sees():
    network, images = CifarResNet(n_blocks=1).eval(), pictures()
    scores, linear = network(Pixels(32)(images)), network.linear
    torch.testing.assert_close(linear(backbones.assembled("resnet56", network)(images)), scores)


@pytest.mark.parametrize("name", DOWNLOADED)
def test_the_address_of_weights_ends_in_their_file_whose_name_holds_its_digest(name):
    file, digest = next(iter(BACKBONES[name].files.items()))
    assert BACKBONES[name].url.endswith(f"/{file}")
    assert re.search(r"-([0-9a-f]{8})\.", file).group(1) == digest


@each
def test_an_entry_says_what_identifies_it_and_what_it_has_seen(name):
    entry = BACKBONES[name]
    assert re.fullmatch("[0-9a-f]{8,16}", entry.mark) and entry.source
    assert entry.labels_of in {"", *datasets.DATASETS}


def test_marks_differ():
    assert len({entry.mark for entry in BACKBONES.values()}) == len(BACKBONES)


@pytest.mark.parametrize("ask", [backbones.load, backbones.assembled, backbones.find, backbones.download])
def test_an_unknown_backbone_lists_the_known(ask):
    with pytest.raises(ValueError, match=r"unknown backbone 'vgg'; known: alexnet, densenet201, .*resnet56"):
        ask("vgg")


# Published weights


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A machine without any weights: an empty data folder, an empty one of torch.hub, none in the repository."""
    monkeypatch.setenv("QSMI_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(paths, "WEIGHTS", tmp_path / "weights")
    return tmp_path


def place(monkeypatch, name, path, **changed):
    """An untrained network's weights in `path`, which become those that the backbone `name` is published with."""
    path.parent.mkdir(parents=True, exist_ok=True)
    network = BACKBONES[name].network()
    save_file(network.state_dict(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    entry = {"files": {path.name: digest[:16]}, "tensors": checksum(backbones.assembled(name, network))[:16]} | changed
    monkeypatch.setitem(BACKBONES, name, BACKBONES[name].__class__(**(vars(BACKBONES[name]) | entry)))
    return path


@pytest.mark.parametrize("name", OWN)
def test_the_digits_backbones_load_in_evaluation_mode(name, digits):
    network = backbones.load(name)
    assert not network.training and checksum(network).startswith(BACKBONES[name].tensors)
    assert network(digits.query.inputs[:3]).shape == (3, 32)


@pytest.mark.parametrize("folder", ["data", "hub/checkpoints", "weights"])
def test_weights_are_found_in_the_data_folder_where_torch_hub_keeps_them_and_in_the_repository(
    elsewhere, monkeypatch, folder
):
    path = place(monkeypatch, "digits_pixels", elsewhere / folder / "digits_pixels.safetensors")
    assert backbones.find("digits_pixels") == path
    assert checksum(backbones.load("digits_pixels")).startswith(BACKBONES["digits_pixels"].tensors)


def test_a_file_with_another_digest_is_refused(elsewhere):
    path = elsewhere / "data" / "digits_labels.safetensors"
    path.parent.mkdir()
    save_file(DigitsNetwork(10).state_dict(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    message = (
        f"{re.escape(str(path))} is not the published file of {re.escape(BACKBONES['digits_labels'].title)}: "
        f"expected a SHA-256 that starts with e0206df70c2e7c7b, got {digest}; delete it"
    )
    with pytest.raises(ValueError, match=message):
        backbones.load("digits_labels")


def test_the_right_file_with_other_weights_is_refused(elsewhere, monkeypatch):
    path = elsewhere / "data" / "digits_labels.safetensors"
    place(monkeypatch, "digits_labels", path, tensors="0" * 16)
    with pytest.raises(
        ValueError, match=f"{re.escape(str(path))} does not hold the weights of .*: expected 0{{16}}, got"
    ):
        backbones.load("digits_labels")


def test_weights_that_cannot_be_downloaded_say_which_file_to_bring(elsewhere):
    message = "weights of SqueezeNet 1.1 are not on this machine: put squeezenet1_1-imagenet-features.safetensors under"
    with pytest.raises(FileNotFoundError, match=message):
        backbones.load("squeezenet1_1_keras")


@pytest.mark.parametrize("name", DOWNLOADED)
@pytest.mark.parametrize("error", [OSError("Name or service not known"), RuntimeError("invalid hash value")])
def test_missing_weights_are_downloaded_and_a_failure_names_address_and_file(elsewhere, monkeypatch, name, error):
    requests = []

    def fail(url, path, hash_prefix, progress):
        requests.append((url, path, hash_prefix))
        raise error

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    entry = BACKBONES[name]
    file, digest = next(iter(entry.files.items()))
    with pytest.raises(FileNotFoundError, match=f"{re.escape(entry.url)} failed .*{error}.*: put {re.escape(file)}"):
        backbones.download(name)
    assert requests == [(entry.url, str(elsewhere / "data" / file), digest)]


def test_downloaded_weights_are_loaded_and_not_brought_again(elsewhere, monkeypatch):
    name, file = "digits_pixels", "digits_pixels.safetensors"
    published, requests = place(monkeypatch, name, elsewhere / "server" / file, url="https://example.org/" + file), []

    def download(url, path, hash_prefix, progress):
        requests.append(url)
        (elsewhere / "data" / file).write_bytes(published.read_bytes())

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    assert checksum(backbones.load(name)) == checksum(backbones.load(name))
    assert requests == ["https://example.org/" + file]


# Labels that a backbone has seen


@pytest.mark.parametrize("ask", [datasets.load, datasets.fingerprint])
@pytest.mark.parametrize("protocol", sorted(datasets.FEW_LABELS))
@pytest.mark.parametrize(
    ("dataset", "name", "clean"),
    [
        ("digits", "digits_labels", "digits_pixels"),
        ("cifar10", "resnet56", "squeezenet1_1_keras, squeezenet1_1, alexnet, resnet50, densenet201"),
    ],
)
def test_a_backbone_that_knows_the_labels_is_refused_by_name_where_labels_are_few(ask, protocol, dataset, name, clean):
    message = (
        f"{name} has seen every training label of {dataset} .*, but the protocol '{protocol}' gives only those of its "
        f"own training items; take one of {clean}$"
    )
    with pytest.raises(ValueError, match=message):
        ask(dataset, protocol=protocol, backbone=name)


@pytest.mark.parametrize("name", [name for name, entry in BACKBONES.items() if entry.side == 224])
def test_what_was_trained_on_imagenet_knows_the_labels_of_ilsvrc(name):
    assert "ImageNet" in BACKBONES[name].source
    with pytest.raises(ValueError, match=f"{name} has seen every training label of ilsvrc .* take one of resnet56$"):
        backbones.refuse_leak(name, "ilsvrc", "reduced")


@pytest.mark.parametrize("protocol", [name for name in OF_TEN_CLASSES if name not in datasets.FEW_LABELS])
def test_a_backbone_that_knows_the_labels_is_taken_where_all_are_given(protocol):
    assert load_split("digits", protocol=protocol, backbone="digits_labels").train.inputs.shape[1] == 32


@pytest.mark.parametrize("protocol", OF_TEN_CLASSES)
def test_a_backbone_that_knows_no_labels_is_taken_everywhere(protocol):
    split = load_split("digits", protocol=protocol, backbone="digits_pixels")
    pixels = datasets.load("digits", protocol=protocol)
    network = backbones.load("digits_pixels")
    for name in ("train", "query", "database"):
        features, images = getattr(split, name), getattr(pixels, name)
        assert torch.equal(features.labels, images.labels)
        with torch.no_grad():
            torch.testing.assert_close(features.inputs, network(images.inputs), rtol=0.05, atol=0.05)  # bf16 or float32
    mark = BACKBONES["digits_pixels"].mark
    assert split.fingerprint == splits.fingerprint("digits", 0, protocol, "digits_pixels")
    assert split.fingerprint == f"{pixels.fingerprint}-{mark}"


@pytest.mark.parametrize("ask", [datasets.load, datasets.fingerprint])
@pytest.mark.parametrize("protocol", ["full", "sampled"])
def test_a_data_set_seen_by_an_unknown_backbone_lists_the_known(ask, protocol):
    with pytest.raises(ValueError, match=r"unknown backbone 'vgg'; known: alexnet, .*squeezenet1_1_keras"):
        ask("digits", protocol=protocol, backbone="vgg")


# The digits' own


def accuracy(network, part):
    return (network(part.inputs).argmax(1) == part.labels).double().mean().item()


@torch.no_grad()
def test_a_network_trained_on_the_digits_labels_names_them(digits, monkeypatch):
    monkeypatch.setattr(digits_backbones, "EPOCHS", 30)
    with torch.enable_grad():
        network = digits_backbones.train(labels=True)
    assert not network.training and accuracy(network, digits.query) > 0.9


@torch.no_grad()
def test_the_committed_weights_name_the_digits_or_give_them_back(digits):
    of_labels, of_pixels = DigitsNetwork(10), DigitsNetwork(64)
    for name, network in zip(OWN, (of_labels, of_pixels), strict=True):
        load_weights(network, paths.WEIGHTS / f"{name}.safetensors")
    assert accuracy(of_labels, digits.query) > 0.95
    images = digits.query.inputs.flatten(1)
    assert F.mse_loss(of_pixels(digits.query.inputs), images) < 0.3 * images.var()


@pytest.mark.parametrize("labels", [True, False])
def test_a_seed_gives_the_same_network_and_leaves_the_global_generator_alone(monkeypatch, labels):
    monkeypatch.setattr(digits_backbones, "EPOCHS", 2)
    before = torch.get_rng_state()
    first, again, other = (checksum(digits_backbones.train(labels=labels, seed=seed)) for seed in (0, 0, 1))
    assert first == again != other
    assert torch.equal(torch.get_rng_state(), before)


def test_both_are_written_where_they_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(digits_backbones, "EPOCHS", 1)
    monkeypatch.setattr(paths, "WEIGHTS", tmp_path)
    digits_backbones.write_both()
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(OWN)
    for name in OWN:
        load_weights(BACKBONES[name].network(), tmp_path / f"{name}.safetensors")


# ResNet-56 on real pictures


@pytest.mark.skipif(not ZIP.exists(), reason="cifar10.zip is not under QSMI_DATA")
@pytest.mark.skipif(not RESNET.exists(), reason="resnet56-cifar10.safetensors is not under QSMI_DATA")
@torch.no_grad()
def test_resnet_56_names_real_queries():
    """The first 500 in the order of their names' digests; its authors state 0.9339 on all 10,000."""
    backbone, whole = backbones.load("resnet56"), CifarResNet()
    load_weights(whole, RESNET)
    with zipfile.ZipFile(ZIP) as file:
        names = [name for name in file.namelist() if name.startswith("cifar10/test/") and not name.endswith("/")]
        names.sort(key=lambda name: hashlib.sha256(name[13:].rsplit(".", 1)[0].encode()).hexdigest())
        raw = [Image.open(io.BytesIO(file.read(name))) for name in names[:500]]
    images = torch.stack([v2.functional.pil_to_tensor(image) for image in raw])
    labels = torch.tensor([cifar10.CLASSES.index(name.split("/")[2]) for name in names[:500]])
    found = torch.cat([whole.linear(backbone(batch)).argmax(1) for batch in images.split(125)])
    assert (found == labels).double().mean() > 0.90
