"""Frozen features: those of the backbone, computed once, going on where they stopped, and made again where damaged."""

import threading

import numpy as np
import pytest
import torch
from torch import nn

from qsmi_lib.datasets import Part, Split
from qsmi_lib.models import backbones, features
from qsmi_lib.training.splits import load_split
from qsmi_lib.utils.precision import autocast, resolve_precision

N, BATCH = 23, 5  # five batches, the last one shorter


class Counting(nn.Module):
    """A dense layer that notes how many images each of its batches had, and stops after `limit` of them."""

    def __init__(self, activation=None, seed=0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.dense = nn.Linear(12, 7)
        self.activation = activation or nn.Tanh()
        self.sizes, self.limit, self.change = [], None, lambda outputs: outputs
        self.eval()

    def forward(self, images):
        if self.limit is not None and len(self.sizes) == self.limit:
            raise KeyboardInterrupt
        self.sizes.append(len(images))
        return self.change(self.activation(self.dense(images.flatten(1))))


def images(n=N, seed=0):
    return torch.randn(n, 3, 2, 2, generator=torch.Generator().manual_seed(seed))


def extract(backbone, own=None, **more):
    own = images() if own is None else own
    return features.extract(own, backbone, "toy", **({"precision": "float32", "batch_size": BATCH} | more))


@torch.no_grad()
def direct(backbone, own=None):
    backbone = backbone.to("cpu")
    return backbone.activation(backbone.dense((images() if own is None else own).flatten(1)))


def kept(results, suffix="npy"):
    return sorted(results.glob(f"cache/features/*.{suffix}"))


# What they are


@pytest.mark.parametrize("batch_size", [1, 5, 23, 100])
def test_features_are_what_the_backbone_gives(batch_size):
    backbone = Counting()
    expected, found = direct(backbone), extract(backbone, batch_size=batch_size)
    assert found.shape == (N, 7) and found.dtype == torch.float32 and not found.requires_grad
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert sum(backbone.sizes) == N and max(backbone.sizes) == min(batch_size, N)


def test_features_are_computed_once(results):
    backbone = Counting()
    first, n_batch = extract(backbone), len(backbone.sizes)
    assert torch.equal(extract(backbone, batch_size=3), first) and torch.equal(extract(Counting()), first)
    assert len(backbone.sizes) == n_batch == 5
    assert len(kept(results)) == 1 and not kept(results, "partial") and kept(results)[0].name.startswith("toy-")


def test_bf16_is_rounded_and_kept_as_float32():
    backbone = Counting()
    exact, rounded = extract(backbone), extract(backbone, precision="bf16")
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).abs().max() < 0.05


def test_auto_is_what_the_device_is_fast_at(results):
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    backbone = Counting()
    found = extract(backbone, precision="auto")
    assert torch.equal(extract(backbone, precision=resolve_precision("auto", device)), found)
    assert len(kept(results)) == 1


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_precision_that_is_named_is_taken(precision):
    device = torch.device("cpu")
    assert resolve_precision(precision, device) == precision
    with autocast(precision, device):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == {"float32": torch.float32, "bf16": torch.bfloat16}[precision]


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), "float32"), ((8, 0), "bf16"), ((9, 0), "bf16")])
def test_auto_on_a_graphics_card_depends_on_its_generation(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert resolve_precision("auto", torch.device("cuda")) == expected


def test_auto_on_a_cpu_depends_on_what_it_multiplies(monkeypatch, tmp_path):
    for flags, expected in {"flags: avx512f amx_bf16": "bf16", "flags: avx2": "float32", None: "float32"}.items():
        path = tmp_path / f"cpuinfo-{flags}".replace(" ", "_")
        if flags is not None:
            path.write_text(flags)
        monkeypatch.setattr("qsmi_lib.utils.precision.Path", lambda name, path=path: path)
        assert resolve_precision("auto", torch.device("cpu")) == expected


OTHERS = {
    "pictures": (Counting, {"own": images(seed=1)}),
    "order": (Counting, {"own": images().flip(0)}),
    "weights": (lambda: Counting(seed=1), {}),
    "structure": (lambda: Counting(nn.Sigmoid()), {}),
    "precision": (Counting, {"precision": "bf16"}),
}


@pytest.mark.parametrize(("make", "more"), OTHERS.values(), ids=OTHERS)
def test_what_changes_features_gives_another_file(results, make, more):
    first, other = extract(Counting()), extract(make(), **more)
    assert len(kept(results)) == 2 and not torch.equal(first, other)


def test_fewer_pictures_give_another_file(results):
    whole, fewer = extract(Counting()), extract(Counting(), images()[:9])
    assert len(kept(results)) == 2
    torch.testing.assert_close(fewer, whole[:9])


# What stops or damages them


@pytest.mark.parametrize("n_done", [0, 1, 3, 4])
def test_what_was_killed_half_way_goes_on_after_its_last_whole_batch(results, n_done):
    backbone = Counting()
    expected = direct(backbone)
    backbone.limit = n_done
    with pytest.raises(KeyboardInterrupt):
        extract(backbone)
    assert not kept(results) and len(kept(results, "partial")) == (n_done > 0)
    again = Counting()
    torch.testing.assert_close(extract(again), expected, rtol=1e-5, atol=1e-6)
    assert again.sizes == [5, 5, 5, 5, 3][n_done:]
    assert len(kept(results)) == 1 and not kept(results, "partial")


def test_a_batch_that_was_written_in_part_is_computed_again(results):
    backbone = Counting()
    expected, backbone.limit = direct(backbone), 3
    with pytest.raises(KeyboardInterrupt):
        extract(backbone)
    held = np.lib.format.open_memmap(kept(results, "partial")[0], "r+")
    held[7, 2:] = np.nan
    held.flush()
    again = Counting()
    torch.testing.assert_close(extract(again), expected, rtol=1e-5, atol=1e-6)
    assert again.sizes == [5, 5, 3]


def shorter(path):
    np.save(path, np.zeros((N - 1, 7), np.float32))


def doubled(path):
    np.save(path, np.zeros((N, 7)))


DAMAGES = {
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-4]),
    "cut off in the header": lambda path: path.write_bytes(path.read_bytes()[:30]),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_bytes(b"this is text" * 99),
    "a row too few": shorter,
    "another precision": doubled,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_made_again(results, damage):
    expected = extract(Counting()).clone()
    (path,) = kept(results)
    raw = path.read_bytes()
    path.unlink()  # else what the first call mapped is damaged too
    path.write_bytes(raw)
    damage(path)
    again = Counting()
    assert torch.equal(extract(again), expected)
    assert again.sizes == [5, 5, 5, 5, 3] and path.read_bytes() == raw


def without_two_batches(path):
    path.write_bytes(path.read_bytes()[: -8 * 7 * 4])


@pytest.mark.parametrize(
    "damage",
    [*(DAMAGES[name] for name in list(DAMAGES)[1:5]), pytest.param(without_two_batches)],
    ids=[*list(DAMAGES)[1:5], "without its last batches"],
)
def test_what_was_killed_half_way_and_damaged_begins_again(results, damage):
    backbone = Counting()
    expected, backbone.limit = direct(backbone), 3
    with pytest.raises(KeyboardInterrupt):
        extract(backbone)
    (path,) = kept(results, "partial")
    damage(path)
    for left in path.parent.glob("*.partial.npy"):  # NumPy adds its suffix to what it saves
        left.replace(path)
    again = Counting()
    torch.testing.assert_close(extract(again), expected, rtol=1e-5, atol=1e-6)
    assert again.sizes == [5, 5, 5, 5, 3]


def test_two_calls_at_once_compute_once_and_both_get_the_whole(results):
    backbone, found, start = Counting(), [], threading.Barrier(2)
    expected = direct(backbone)

    def ask():
        start.wait()
        found.append(extract(backbone))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2 and backbone.sizes == [5, 5, 5, 5, 3]
    for own in found:
        torch.testing.assert_close(own, expected, rtol=1e-5, atol=1e-6)


# What is refused


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_features_that_are_not_finite_are_refused(results, value):
    backbone = Counting()
    backbone.change = lambda outputs: outputs.index_fill(0, torch.tensor([1], device=outputs.device), value)
    with pytest.raises(ValueError, match=r"toy must give finite features \(n, n_features\), got some that are not fin"):
        extract(backbone)
    assert not kept(results)


def test_maps_are_no_features(results):
    backbone = Counting()
    backbone.change = lambda outputs: outputs[..., None]
    with pytest.raises(
        ValueError, match=r"toy must give finite features \(n, n_features\), got some of shape \(5, 7, 1"
    ):
        extract(backbone)
    assert not kept(results)


def test_one_row_for_several_images_is_refused(results):
    backbone = Counting()
    backbone.change = lambda outputs: outputs[:1]
    with pytest.raises(
        ValueError, match=r"toy must give finite features \(n, n_features\), got some of shape \(1, 7\)"
    ):
        extract(backbone)


def test_an_unknown_precision_lists_the_known():
    with pytest.raises(ValueError, match="unknown precision 'fp16'; known: auto, bf16, float32"):
        extract(Counting(), precision="fp16")


def test_no_images_are_refused():
    with pytest.raises(ValueError, match=r"features need at least one image and a network in evaluation.*got 0 images"):
        extract(Counting(), images(0))


def test_a_network_in_training_mode_is_refused():
    with pytest.raises(ValueError, match="and a network in evaluation mode, got a network in training mode"):
        extract(Counting().train())


# In memory and of splits


def test_features_are_mapped_and_what_is_written_to_them_stays_with_the_caller(results, monkeypatch):
    opened, held = features._opened, []
    monkeypatch.setattr(features, "_opened", lambda *arguments: held.append(opened(*arguments)) or held[-1])
    first = extract(Counting())
    assert isinstance(held[-1], np.memmap) and held[-1].ctypes.data == first.data_ptr()
    (path,) = kept(results)
    raw, expected = path.read_bytes(), first.clone()
    first.zero_()
    assert path.read_bytes() == raw and torch.equal(extract(Counting()), expected)


def test_a_split_is_seen_whole_and_its_database_stays_its_training_part(digits, results):
    split = features.of_split(digits, "digits_pixels")
    assert split.database is split.train and len(kept(results)) == 2
    network = backbones.load("digits_pixels")
    size = features.batch_size("digits_pixels")
    for name in ("train", "query"):
        own, whole = getattr(split, name), getattr(digits, name)
        assert torch.equal(own.labels, whole.labels)
        assert torch.equal(own.inputs, features.extract(whole.inputs, network, "digits_pixels", batch_size=size))
    assert (split.name, split.fingerprint, split.classes) == (digits.name, digits.fingerprint, digits.classes)


def test_a_database_of_its_own_is_seen_too(digits, results):
    database = Part(digits.train.inputs[:40], digits.train.labels[:40])
    own = Split("digits", digits.train[:30], digits.query[:20], database, "mark", digits.classes)
    split = features.of_split(own, "digits_labels")
    assert [len(part) for part in (split.train, split.query, split.database)] == [30, 20, 40]
    assert len(kept(results)) == 3
    torch.testing.assert_close(split.database.inputs[:30], split.train.inputs, rtol=0.05, atol=0.05)


def test_a_batch_on_a_cpu_is_as_large_as_its_cache_holds(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    sizes = {name: features.batch_size(name) for name in ("digits_pixels", "resnet56", "densenet201")}
    assert sizes == {"digits_pixels": 125, "resnet56": 125, "densenet201": 400_000 // 224**2}


def test_features_of_pictures_as_they_were_published_are_divided_by_the_protocol(digits):
    """The features of an item do not depend on who trains."""
    whole = load_split("digits", backbone="digits_pixels")
    split = load_split("digits", protocol="sampled_all", backbone="digits_pixels")
    items = {item.tobytes() for item in torch.cat([whole.train.inputs, whole.query.inputs]).numpy()}
    assert {item.tobytes() for item in split.database.inputs.numpy()} <= items
