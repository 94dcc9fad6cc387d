"""Backbones: preprocessing, networks, published weights, and the labels that these were trained on."""

import hashlib
import importlib.util
import re
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F
from torchvision.transforms import v2

from qsmi_lib import datasets
from qsmi_lib.datasets import cifar10
from qsmi_lib.datasets.images import manifest
from qsmi_lib.datasets.images.lazy import Pictures
from qsmi_lib.datasets.sampling import hash_order
from qsmi_lib.models import backbones
from qsmi_lib.models.backbones import BACKBONES, BasicBlock, CifarResNet, DigitsNetwork
from qsmi_lib.models.pretrained import IMAGENET, Pixels
from qsmi_lib.models.weights import checksum, load_weights
from qsmi_lib.training import splits
from qsmi_lib.training.splits import load_split
from qsmi_lib.utils import paths

SCRIPT = importlib.util.spec_from_file_location("make_digits_backbones", paths.WEIGHTS / "make_digits_backbones.py")
make_digits_backbones = importlib.util.module_from_spec(SCRIPT)
SCRIPT.loader.exec_module(make_digits_backbones)
OF_DIGITS = ("digits_labels", "digits_pixels")
DOWNLOADED = [name for name, entry in BACKBONES.items() if entry.url]
OF_TEN_CLASSES = sorted(datasets.PROTOCOLS.keys() - {"n_way_20"})


def pictures(n=2, side=32, width=None):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (n, 3, side, width or side), dtype=torch.uint8, generator=generator)


def normalised(images):
    mean, std = (torch.tensor(values, dtype=torch.float64)[:, None, None] for values in IMAGENET)
    return (images.double() / 255 - mean) / std


# Preprocessing


def test_pictures_of_the_right_size_are_only_normalised():
    output = Pixels(32)(pictures())
    assert output.dtype == torch.float32
    torch.testing.assert_close(output.double(), normalised(pictures()), rtol=1e-5, atol=1e-5)


def test_other_pictures_are_scaled_bilinearly_to_the_shorter_side_and_cropped():
    expected = F.interpolate(pictures().double(), (224, 224), mode="bilinear", antialias=True)
    output = Pixels(224)(pictures())
    assert output.shape == (2, 3, 224, 224)
    assert (output.double() - normalised(expected)).abs().max() < 1.01 / 255 / 0.224  # scaled in uint8
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
)
def test_other_tensors_are_refused(images, shown):
    with pytest.raises(ValueError, match=rf"pictures must be uint8 \(n, 3, height, width\), got {shown}"):
        Pixels(32)(images)


def test_the_size_is_in_the_structure_and_not_in_the_weights():
    assert repr(Pixels(32)) != repr(Pixels(224)) and not Pixels(32).state_dict()


# Networks


def test_resnet_56_has_56_layers():
    layers = [layer for layer in CifarResNet().modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
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
    assert block(images).shape == (2, n_out, side, side)
    torch.testing.assert_close(block(images), (block.bn2(hidden) + shortcut).relu())


def test_resnet_averages_its_last_maps_which_are_the_features():
    network, images, maps = CifarResNet(n_blocks=1, n_classes=7).eval(), pictures(), []
    network.layer3.register_forward_hook(lambda layer, inputs, output: maps.append(output))
    linear, scores = network.linear, network(Pixels(32)(images))
    assert scores.shape == (2, 7) and maps[0].shape == (2, 64, 8, 8)
    features = backbones.assembled("resnet56", network)(images)
    torch.testing.assert_close(features, maps[0].flatten(2).mean(2))
    torch.testing.assert_close(linear(features), scores)


def test_the_digits_network_takes_normalised_digits_alone():
    assert DigitsNetwork(10)(torch.zeros(3, 1, 8, 8)).shape == (3, 10)
    for images in (torch.zeros(3, 1, 8, 8, dtype=torch.uint8), torch.zeros(3, 64)):
        with pytest.raises(ValueError, match=r"images must be floating \(n, 1, 8, 8\), got torch"):
            DigitsNetwork(10)(images)


# The registry


@pytest.mark.parametrize("name", BACKBONES)
@torch.no_grad()
def test_every_backbone_gives_its_features(name):
    entry = BACKBONES[name]
    images = torch.zeros(2, 1, 8, 8) if entry.side is None else pictures(1)
    network = backbones.assembled(name).eval()
    assert network(images).shape == (len(images), entry.n_features)
    assert (entry.side is None) == (not isinstance(network[0], Pixels))
    assert re.fullmatch("[0-9a-f]{8,16}", entry.fingerprint) and entry.source
    assert entry.labels_of in {"", *datasets.DATASETS}
    if entry.url:  # PyTorch's file names contain the start of the checksum
        file, digest = next(iter(entry.files.items()))
        assert entry.url.endswith(f"/{file}") and re.search(r"-([0-9a-f]{8})\.", file).group(1) == digest


def test_fingerprints_differ():
    assert len({entry.fingerprint for entry in BACKBONES.values()}) == len(BACKBONES)


@pytest.mark.parametrize("get", [backbones.load, backbones.assembled, backbones.find, backbones.download])
def test_an_unknown_backbone_lists_the_known(get):
    with pytest.raises(ValueError, match=r"unknown backbone 'vgg'; known: alexnet, densenet201, .*resnet56"):
        get("vgg")


# Published weights


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A machine without any weights: empty folders of data, of torch.hub and of the repository."""
    monkeypatch.setenv("QSMI_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(paths, "WEIGHTS", tmp_path / "weights")
    return tmp_path


def publish(monkeypatch, name, path, **changes):
    """An untrained network's weights in `path`, which become the published ones of the backbone `name`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    network = BACKBONES[name].network()
    save_file(network.state_dict(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    entry = {"files": {path.name: digest[:16]}, "tensors": checksum(backbones.assembled(name, network))[:16]} | changes
    monkeypatch.setitem(BACKBONES, name, replace(BACKBONES[name], **entry))
    return path


@pytest.mark.parametrize("folder", ["data", "hub/checkpoints", "weights"])
def test_weights_are_found_in_three_folders_and_loaded_in_evaluation_mode(elsewhere, monkeypatch, folder):
    path = publish(monkeypatch, "digits_pixels", elsewhere / folder / "digits_pixels.safetensors")
    network = backbones.load("digits_pixels")
    assert backbones.find("digits_pixels") == path and not network.training
    assert checksum(network).startswith(BACKBONES["digits_pixels"].tensors)


def test_another_file_or_other_weights_are_refused(elsewhere, monkeypatch):
    path = elsewhere / "data" / "digits_labels.safetensors"
    path.parent.mkdir()
    save_file(DigitsNetwork(10).state_dict(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    message = (
        f"is not the published file .*: expected a SHA-256 that starts with e0206df70c2e7c7b, got {digest}; delete"
    )
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} {message}"):
        backbones.load("digits_labels")
    publish(monkeypatch, "digits_labels", path, tensors="0" * 16)
    message = "does not hold the weights of .*: expected 0{16}, got"
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} {message}"):
        backbones.load("digits_labels")


def test_weights_without_an_address_name_the_file_to_get(elsewhere):
    message = "weights of SqueezeNet 1.1 are not on this machine: put squeezenet1_1-imagenet-features.safetensors under"
    with pytest.raises(FileNotFoundError, match=message):
        backbones.load("squeezenet1_1_keras")


@pytest.mark.parametrize("name", DOWNLOADED)
def test_a_failed_download_names_address_and_file(elsewhere, monkeypatch, name):
    requests, entry = [], BACKBONES[name]

    def fail(url, path, hash_prefix, progress):
        requests.append((url, path, hash_prefix))
        raise OSError("Name or service not known")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    file, digest = next(iter(entry.files.items()))
    with pytest.raises(FileNotFoundError, match=f"{re.escape(entry.url)} failed .*Name or .*: put {re.escape(file)}"):
        backbones.download(name)
    assert requests == [(entry.url, str(elsewhere / "data" / file), digest)]


def test_weights_are_downloaded_once(elsewhere, monkeypatch):
    name, file, requests = "digits_pixels", "digits_pixels.safetensors", []
    published = publish(monkeypatch, name, elsewhere / "server" / file, url="https://example.org/" + file)

    def download(url, path, hash_prefix, progress):
        requests.append(url)
        (elsewhere / "data" / file).write_bytes(published.read_bytes())

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    assert checksum(backbones.load(name)) == checksum(backbones.load(name))
    assert requests == ["https://example.org/" + file]


# Labels that a backbone was trained on


@pytest.mark.parametrize("protocol", sorted(datasets.FEW_LABELS))
@pytest.mark.parametrize(
    ("dataset", "name", "clean"),
    [
        ("digits", "digits_labels", "digits_pixels"),
        (
            "cifar10",
            "resnet56",
            "squeezenet1_1_keras, squeezenet1_1, alexnet, resnet50, densenet201, "
            "efficientnet_lite0, efficientnet_lite2",
        ),
    ],
)
def test_a_backbone_trained_on_the_labels_is_refused_where_few_may_be_used(protocol, dataset, name, clean):
    message = (
        f"the backbone {name} has seen all training labels of {dataset} .*, but the protocol '{protocol}' allows "
        f"only the labels of its training items; use one of {clean}$"
    )
    for get in (load_split, splits.fingerprint):
        with pytest.raises(ValueError, match=message):
            get(dataset, protocol=protocol, backbone=name)


def test_a_backbone_trained_on_imagenet_is_refused_for_ilsvrc():
    for name in (name for name, entry in BACKBONES.items() if entry.side == 224):
        assert "ImageNet" in BACKBONES[name].source
        with pytest.raises(ValueError, match=f"{name} has seen all training .* of ilsvrc .* one of resnet56$"):
            backbones.refuse_leak(name, "ilsvrc", "reduced")


@pytest.mark.parametrize("protocol", OF_TEN_CLASSES)
def test_other_backbones_give_the_features_of_every_split(protocol):
    split, pixels = (
        load_split("digits", protocol=protocol, backbone="digits_pixels"),
        datasets.load("digits", protocol=protocol),
    )
    network = backbones.load("digits_pixels")
    for name in ("train", "query", "database"):
        features, images = getattr(split, name), getattr(pixels, name)
        assert torch.equal(features.labels, images.labels)
        with torch.no_grad():
            torch.testing.assert_close(features.inputs, network(images.inputs), rtol=0.05, atol=0.05)  # bf16 or float32
    fingerprint = BACKBONES["digits_pixels"].fingerprint
    assert split.fingerprint == splits.fingerprint("digits", 0, protocol, "digits_pixels")
    assert split.fingerprint == f"{pixels.fingerprint}-{fingerprint}"
    if protocol not in datasets.FEW_LABELS:
        assert splits.fingerprint("digits", 0, protocol, "digits_labels").startswith(pixels.fingerprint)


@pytest.mark.parametrize("get", [load_split, splits.fingerprint])
def test_an_unknown_backbone_of_a_split_lists_the_known(get):
    with pytest.raises(ValueError, match=r"unknown backbone 'vgg'; known: alexnet, .*squeezenet1_1_keras"):
        get("digits", backbone="vgg")


# The backbones of the digits


def accuracy(network, part):
    return (network(part.inputs).argmax(1) == part.labels).double().mean().item()


@torch.no_grad()
def test_the_committed_weights_classify_or_reconstruct_the_digits(digits):
    classifier, autoencoder = DigitsNetwork(10), DigitsNetwork(64)
    for name, network in zip(OF_DIGITS, (classifier, autoencoder), strict=True):
        assert checksum(backbones.load(name)).startswith(BACKBONES[name].tensors)
        load_weights(network, paths.WEIGHTS / f"{name}.safetensors")
    assert accuracy(classifier, digits.query) > 0.95
    images = digits.query.inputs.flatten(1)
    assert F.mse_loss(autoencoder(digits.query.inputs), images) < 0.3 * images.var()


def test_the_script_trains_them(tmp_path, monkeypatch, digits):
    """A seed gives the same network and leaves the global generator alone."""
    monkeypatch.setattr(make_digits_backbones, "EPOCHS", 2)
    before = torch.get_rng_state()
    for labels in (True, False):
        first, again, other = (checksum(make_digits_backbones.train(labels=labels, seed=seed)) for seed in (0, 0, 1))
        assert first == again != other
    assert torch.equal(torch.get_rng_state(), before)
    monkeypatch.setattr(paths, "WEIGHTS", tmp_path)
    make_digits_backbones.write_both()
    for name in OF_DIGITS:
        load_weights(BACKBONES[name].network(), tmp_path / f"{name}.safetensors")
    monkeypatch.setattr(make_digits_backbones, "EPOCHS", 20)
    network = make_digits_backbones.train(labels=True)
    assert not network.training and accuracy(network, digits.query) > 0.85


# ResNet-56 on real pictures


@torch.no_grad()
def test_resnet_56_classifies_real_queries():
    """The first 500 by the hashes of their names; its authors report 0.9339 on all 10,000."""
    place, weights = datasets.DATASETS["cifar10"].find(), backbones.find("resnet56")
    if place is None or place.name == cifar10.BATCHES or weights is None:
        pytest.skip("CIFAR-10 as pictures or the weights of ResNet-56 are not under QSMI_DATA")
    items = manifest.read(place)
    rows = items.parts["query"]
    rows = rows[hash_order(items.paths[row].removeprefix("test/").rsplit(".", 1)[0] for row in rows)[:500]]
    images = Pictures(items.root, [items.paths[row] for row in rows], [items.where[row] for row in rows], 32)
    backbone, classifier = backbones.load("resnet56"), CifarResNet()
    load_weights(classifier, weights)
    classes = torch.cat([classifier.linear(backbone(batch)).argmax(1) for batch in images.split(125)])
    assert (classes == torch.from_numpy(items.labels[rows])).double().mean() > 0.90
