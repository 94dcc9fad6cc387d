"""Models of timm as backbones: their preprocessing, weights of a file and published ones, and what is refused."""

import dataclasses
import re

import huggingface_hub
import numpy as np
import pytest
import timm
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from qsmi_lib.models import backbones, features
from qsmi_lib.models.weights import checksum
from qsmi_lib.training import splits

SHAPES = [(300, 260), (90, 170), (168, 240)]  # of pictures: height and width
SQUASHED = "coat_lite_medium_384"  # pictures are scaled to a square, without regard to their proportions


def saved(path, model="test_resnet", **options):
    """A model with random weights, in evaluation mode, which the file `path` contains."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = timm.create_model(model, **options).eval()
    state = network.state_dict()
    save_file(state, path) if path.suffix == ".safetensors" else torch.save({"state_dict": state}, path)
    return network


def picture(height, width, smooth=False):
    generator = np.random.default_rng(0)
    if smooth:
        small = Image.fromarray(generator.integers(0, 256, (8, 8, 3), np.uint8))
        return np.array(small.resize((width, height), Image.Resampling.BICUBIC))
    return generator.integers(0, 256, (height, width, 3), np.uint8)


# Preprocessing


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("model", "smooth"), [("test_resnet", True), ("test_vit", False), (SQUASHED, True)])
def test_preprocessing_is_that_of_timm(model, smooth, shape):
    """Both scale in 8 bits, Pillow and PyTorch with other rounding: up to two of 255 steps, at few pixels."""
    entry = backbones.named(f"timm:{model}")
    settings = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(model).to_dict())
    values = picture(*shape, smooth)
    expected = timm.data.create_transform(**settings)(Image.fromarray(values))
    pixels = entry.assembled(nn.Identity())[0]
    found = pixels(torch.from_numpy(values).permute(2, 0, 1)[None])[0]
    steps = (found - expected).abs() * pixels.std * 255
    assert steps.max() < 2.01 and (steps > 0.5).float().mean() < 0.06


def test_a_picture_of_the_scaled_size_is_only_cropped():
    entry = backbones.named("timm:test_vit")
    values = picture(entry.scaled, entry.scaled + 12)
    top, left = (entry.scaled - entry.side) // 2, (entry.scaled + 12 - entry.side) // 2
    cropped = torch.from_numpy(values[top : top + entry.side, left : left + entry.side]).permute(2, 0, 1)[None]
    pixels = entry.assembled(nn.Identity())[0]
    images = torch.from_numpy(values).permute(2, 0, 1)[None]
    torch.testing.assert_close(pixels(images), (cropped / 255 - pixels.mean) / pixels.std)


@pytest.mark.parametrize(
    ("model", "side", "scaled", "n_features", "mean"),
    [
        ("resnet50.a1_in1k", 224, 235, 2048, 0.485),
        ("vit_small_patch14_dinov2.lvd142m", 518, 518, 384, 0.485),
        ("vit_base_patch16_clip_224.openai", 224, 248, 768, 0.48145466),
        ("vit_base_patch16_siglip_224.webli", 224, 248, 768, 0.5),
    ],
)
def test_well_known_models_are_described_without_their_weights(model, side, scaled, n_features, mean):
    before = torch.get_rng_state()
    entry = backbones.named(f"timm:{model}")
    assert (entry.side, entry.scaled, entry.n_features, entry.mean[0]) == (side, scaled, n_features, mean)
    assert entry.interpolation == "bicubic" and all(0.2 < deviation <= 0.5 for deviation in entry.std)
    assert torch.equal(torch.get_rng_state(), before)  # the seed of a run gives the same head


# Weights of a file


@pytest.mark.parametrize(
    ("model", "options", "suffix"),
    [
        ("test_resnet", {}, ".safetensors"),
        ("test_resnet", {"num_classes": 0}, ".pth"),
        ("test_resnet", {"num_classes": 7}, ".safetensors"),
        ("test_vit", {}, ".pth"),
    ],
)
@torch.no_grad()
def test_features_are_those_of_the_file_whatever_its_classes(tmp_path, model, options, suffix):
    network, name = saved(tmp_path / f"mine{suffix}", model, **options), f"timm:{model}@{tmp_path}/mine{suffix}"
    network.reset_classifier(0)
    backbone = backbones.load(name)
    images = torch.from_numpy(picture(170, 200)).permute(2, 0, 1)[None]
    assert torch.equal(backbone(images), network(backbone[0](images))) and not backbone.training
    assert backbone(images).shape == (1, backbones.named(name).n_features)
    untrained = backbones.assembled(name).eval()  # takes the weights of a saved model
    assert repr(untrained) == repr(backbone) and checksum(untrained) != checksum(backbone)
    untrained.load_state_dict(backbone.state_dict())


def test_the_fingerprint_comes_from_the_weights(tmp_path):
    network, path = saved(tmp_path / "mine.safetensors"), tmp_path / "mine.safetensors"
    name = f"timm:test_resnet@{path}"
    first = backbones.named(name).fingerprint
    assert re.fullmatch("[0-9a-f]{16}", first) and splits.fingerprint("digits", backbone=name).endswith(f"-{first}")
    (tmp_path / "copy.safetensors").write_bytes(path.read_bytes())
    assert backbones.named(f"timm:test_resnet@{tmp_path}/copy.safetensors").fingerprint == first
    nn.init.zeros_(network.conv1[0].weight if isinstance(network.conv1, nn.Sequential) else network.conv1.weight)
    save_file(network.state_dict(), path)
    assert backbones.named(name).fingerprint != first


def test_a_file_of_another_network_or_a_damaged_one_is_named(tmp_path):
    saved(tmp_path / "vit.safetensors", "test_vit")
    (tmp_path / "text.pth").write_text("no weights")
    torch.save({"weights": print}, tmp_path / "code.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    for file, words in {
        "vit.safetensors": "holds the weights of another network than timm's test_resnet",
        "text.pth": "is damaged, or does not contain weights alone",
        "code.pth": "is damaged, or does not contain weights alone",
        "list.pth": "is damaged, or does not contain weights alone",
    }.items():
        with pytest.raises(ValueError, match=f"^{re.escape(str(tmp_path / file))} {words}: .") as raised:
            backbones.load(f"timm:test_resnet@{tmp_path / file}")
        assert "\n" not in str(raised.value) and "weights_only=False" not in str(raised.value)
    for get in (backbones.load, lambda name: backbones.named(name).fingerprint):
        with pytest.raises(FileNotFoundError, match=rf"{tmp_path}/none\.pth does not exist: expected a file"):
            get(f"timm:test_resnet@{tmp_path}/none.pth")


@pytest.mark.parametrize("name", ["timm:test_resnet", "timm:vit_x.tag@/a/b.pth", "timm:vit_x.tag@/a/c.pth", "resnet56"])
def test_a_name_becomes_a_part_of_a_file_name(name):
    part = backbones.file_part(name)
    assert re.fullmatch(r"[\w.-]+", part) and (part == name) == ("timm" not in name)
    assert part != backbones.file_part("timm:vit_x.tag@/a/d.pth")


# Published weights


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub of models with one file, below a folder, and an empty cache; notes what was downloaded."""
    requests = []

    def download(repository, file, revision=None):
        requests.append((repository, file))
        return str(tmp_path / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *names, **options: None)
    return requests


@torch.no_grad()
def test_published_weights_are_downloaded_and_found_again(tmp_path, hub, monkeypatch):
    network = saved(tmp_path / "model.safetensors")
    backbone = backbones.load("timm:test_resnet.r160_in1k")
    network.reset_classifier(0)
    assert hub == [("timm/test_resnet.r160_in1k", "model.safetensors")] and checksum(backbone[1]) == checksum(network)
    cache = {"model.safetensors": str(tmp_path / "model.safetensors")}
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda repository, file, **options: cache.get(file))
    assert checksum(backbones.load("timm:test_resnet.r160_in1k")) == checksum(backbone) and len(hub) == 1


def test_without_a_network_the_message_says_how_to_name_a_file(hub, monkeypatch):
    def fail(*names, **options):
        raise LocalEntryNotFoundError("Please check your connection\nand try again")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    for get in (backbones.load, lambda name: splits.fingerprint("digits", backbone=name)):
        with pytest.raises(FileNotFoundError, match=r"huggingface\.co/timm/test_vit\.\w+ failed .*check") as raised:
            get("timm:test_vit")
        assert str(raised.value).endswith("timm:test_vit@FILE") and "\n" not in str(raised.value)
    with pytest.raises(FileNotFoundError, match=r"no weights of test_vit4: name a file .* timm:test_vit4@FILE"):
        backbones.load("timm:test_vit4")


# What is refused


@pytest.mark.parametrize(
    ("model", "nearest"),
    [
        ("resnett18", "resnet18"),
        ("DINOv2", "vit_base_patch14_dinov2"),
        ("vit_small_patch14_dinov3.lvd142m", "dinov2"),
        ("", "lists all"),
    ],
)
def test_an_unknown_model_lists_the_nearest(model, nearest):
    with pytest.raises(ValueError, match=f"timm has no model '{model}'.*{nearest}"):
        backbones.named(f"timm:{model}")


def test_models_with_other_inputs_are_refused():
    model = next(name for name in timm.list_pretrained() if timm.get_pretrained_cfg(name).crop_mode == "border")
    with pytest.raises(ValueError, match=f"{re.escape(model)} cannot be a backbone: expected .* border; name another"):
        backbones.named(f"timm:{model}")


def test_models_are_taken_to_have_seen_the_labels_of_imagenet():
    """Which labels a model has seen, timm does not say in a form to rely on."""
    with pytest.raises(ValueError, match="its training labels are not known here, and ImageNet's are assumed"):
        backbones.refuse_leak("timm:test_resnet", "ilsvrc", "reduced")
    assert backbones.refuse_leak("timm:test_resnet", "cifar10", "reduced") is None


def test_the_largest_pictures_come_one_at_a_time(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    entry = dataclasses.replace(backbones.named("timm:test_vit"), side=1024)
    monkeypatch.setattr(backbones, "named", lambda name: entry)
    assert features.batch_size("timm:test_vit") == 1
