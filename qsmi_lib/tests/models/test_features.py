"""Frozen features: those of the backbone, computed once, continued after a stop, and computed again if damaged."""

import threading

import numpy as np
import pytest
import torch
from torch import nn

from qsmi_lib.datasets import Part, Split
from qsmi_lib.models import backbones, features
from qsmi_lib.training.splits import load_split
from qsmi_lib.utils import progress
from qsmi_lib.utils.precision import autocast, resolve_precision

N, BATCH = 23, 5
CHECK = 8  # pictures that go through the network at each call, before the batches
SIZES = [5, 5, 5, 5, 3]  # of the batches


class Counting(nn.Module):
    """A dense layer that notes the sizes of its batches, and is interrupted after `limit` of them."""

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


def extract(backbone, inputs=None, **options):
    inputs = images() if inputs is None else inputs
    return features.extract(inputs, backbone, "toy", **({"precision": "float32", "batch_size": BATCH} | options))


@torch.no_grad()
def direct(backbone):
    backbone = backbone.to("cpu")
    return backbone.activation(backbone.dense(images().flatten(1)))


def cached(results, suffix="npy"):
    return sorted(results.glob(f"cache/features/*.{suffix}"))


def interrupted(n_done):
    """The backbone of a call that was stopped after `n_done` batches."""
    backbone = Counting()
    backbone.limit = 1 + n_done
    with pytest.raises(KeyboardInterrupt):
        extract(backbone)
    return backbone


def assert_recomputed(sizes):
    backbone = Counting()
    torch.testing.assert_close(extract(backbone), direct(Counting()), rtol=1e-5, atol=1e-6)
    assert backbone.sizes == [CHECK, *sizes]


# Values


@pytest.mark.parametrize("batch_size", [1, 5, 23, 100])
def test_features_are_the_output_of_the_backbone(batch_size):
    backbone = Counting()
    expected, rows = direct(backbone), extract(backbone, batch_size=batch_size)
    assert rows.shape == (N, 7) and rows.dtype == torch.float32 and not rows.requires_grad
    torch.testing.assert_close(rows, expected, rtol=1e-5, atol=1e-6)
    assert sum(backbone.sizes) == CHECK + N and max(backbone.sizes[1:]) == min(batch_size, N)


def test_features_are_computed_once(results):
    backbone = Counting()
    first = extract(backbone)
    assert torch.equal(extract(backbone, batch_size=3), first) and torch.equal(extract(Counting()), first)
    assert backbone.sizes == [CHECK, *SIZES, CHECK]
    assert len(cached(results)) == 1 and not cached(results, "partial") and cached(results)[0].name.startswith("toy-")


OTHERS = {
    "pictures": (Counting, {"inputs": images(seed=1)}),
    "order": (Counting, {"inputs": images().flip(0)}),
    "fewer": (Counting, {"inputs": images()[:9]}),
    "weights": (lambda: Counting(seed=1), {}),
    "structure": (lambda: Counting(nn.Sigmoid()), {}),
    "precision": (Counting, {"precision": "bf16"}),
}


@pytest.mark.parametrize(("make", "options"), OTHERS.values(), ids=OTHERS)
def test_whatever_changes_features_changes_the_file(results, make, options):
    first, other = extract(Counting()), extract(make(), **options)
    assert len(cached(results)) == 2 and not torch.equal(first, other)


# Another network of the same weights and structure


class Plain(nn.Module):
    """Ten features of (n, 3, 2, 2) pictures, which `scale`, the buffer `shift` and `function` decide."""

    def __init__(self, scale=1.0, shift=0.0, function=torch.tanh):
        super().__init__()
        self.dense = nn.Linear(12, 10)
        nn.init.constant_(self.dense.weight, 0.1)
        nn.init.constant_(self.dense.bias, 0.2)
        self.scale, self.function = scale, function
        self.register_buffer("shift", torch.tensor(shift), persistent=False)
        self.eval()

    def forward(self, images):
        return self.function(self.dense(images.flatten(1)) * self.scale + self.shift)


def closure(power):
    return lambda outputs: outputs**power


def with_default(power):
    def function(outputs, power=power):
        return outputs**power

    return function


def hooked():
    network = Plain()
    network.dense.register_forward_hook(lambda module, inputs, outputs: outputs * 2)
    return network


def patched():
    network = Plain()
    network.forward = lambda images: images.flatten(1)[:, :10]
    return network


def of_other_code():
    """Of another class of the same name."""

    class Other(Plain):
        def forward(self, images):
            return super().forward(images) + 1

    Other.__name__ = "Plain"
    return Other()


UNSEEN = {  # two networks that neither weights nor structure tell apart
    "attribute": (Plain, lambda: Plain(scale=1.01)),
    "buffer that is not saved": (Plain, lambda: Plain(shift=0.01)),
    "closure": (lambda: Plain(function=closure(1)), lambda: Plain(function=closure(2))),
    "default argument": (lambda: Plain(function=with_default(1)), lambda: Plain(function=with_default(2))),
    "hook": (Plain, hooked),
    "patched forward": (Plain, patched),
    "code": (Plain, of_other_code),
}


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize(("make", "make_other"), UNSEEN.values(), ids=UNSEEN)
def test_another_network_gets_its_own_features(results, make, make_other, precision, monkeypatch):
    monkeypatch.setitem(features.TOLERANCE, "bf16", 2e-3)  # the networks here round once
    assert len({features.file_of(images(), network(), "toy", precision) for network in (make, make_other)}) == 1
    first, other = extract(make(), precision=precision), extract(make_other(), precision=precision)
    with torch.no_grad(), autocast(precision, torch.device("cpu")):
        for network, rows in ((make(), first), (make_other(), other)):
            torch.testing.assert_close(rows, network(images()).float(), rtol=1e-2, atol=1e-2)
    assert not torch.allclose(first, other, rtol=1e-3)
    for network, rows in ((make, first), (make_other, other)):  # both stay
        assert torch.equal(extract(network(), precision=precision), rows)
    assert len(cached(results)) == 2


def test_a_partial_file_of_another_network_is_not_continued(results):
    backbone = Counting()
    backbone.change = lambda outputs: outputs + 1
    backbone.limit = 4
    with pytest.raises(KeyboardInterrupt):
        extract(backbone)
    assert len(cached(results, "partial")) == 1
    assert_recomputed(SIZES)


def test_rounding_makes_no_other_network(results):
    """Twice the tolerance does."""
    for precision, tolerance in {"float32": 1e-3, "bf16": 2e-2}.items():
        for scale, n_files in ((1.0, 1), (1.0 + tolerance / 2, 1), (1.0 + 2 * tolerance, 2)):
            network = Counting()
            network.change = lambda outputs, scale=scale: outputs.float() * scale
            extract(network, precision=precision)
            assert len(cached(results)) == n_files + 2 * (precision == "bf16")


class OfBatch(nn.Module):
    """Features of a picture that depend on the others of its batch."""

    def forward(self, images):
        return images.flatten(1) - images.flatten(1).mean(dim=0)


RANDOM = {
    "dropout": lambda: nn.Sequential(nn.Flatten(), nn.Linear(12, 7), Dropping()).eval(),
    "noise": lambda: nn.Sequential(nn.Flatten(), nn.Linear(12, 7), Noisy()).eval(),
    "of its batch": lambda: OfBatch().eval(),
    "place in the batch": lambda: Placed().eval(),
}


class Dropping(nn.Module):
    def forward(self, inputs):
        return nn.functional.dropout(inputs)  # its default is training=True


class Noisy(nn.Module):
    def forward(self, inputs):
        return inputs + 0.1 * torch.randn_like(inputs)


class Placed(nn.Module):
    """The first rows of a batch as they are, and its last rows with their place added."""

    def forward(self, images):
        return images.flatten(1) + (torch.arange(len(images))[:, None] > 5)


@pytest.mark.parametrize("make", RANDOM.values(), ids=RANDOM)
def test_a_network_that_answers_the_same_pictures_differently_is_refused(results, make):
    with pytest.raises(ValueError, match=r"^toy .*\.eval\(\)"):
        extract(make())
    assert not cached(results)


def test_a_part_in_training_mode_is_named():
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 7), nn.BatchNorm1d(7)).eval()
    network[2].train()
    with pytest.raises(ValueError, match=r"2 \(BatchNorm1d\) in training mode.*\.eval\(\)"):
        extract(network)


# Precision


def test_bf16_is_rounded_and_stored_as_float32():
    exact, rounded = extract(Counting()), extract(Counting(), precision="bf16")
    assert rounded.dtype == torch.float32 and 0 < (rounded - exact).abs().max() < 0.05


def test_auto_is_the_precision_of_the_device(results, monkeypatch, tmp_path):
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rows = extract(Counting(), precision="auto")
    assert torch.equal(extract(Counting(), precision=resolve_precision("auto", device)), rows)
    assert len(cached(results)) == 1
    for capability, expected in {(7, 5): "float32", (8, 0): "bf16", (9, 0): "bf16"}.items():
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, capability=capability: capability)
        assert resolve_precision("auto", torch.device("cuda")) == expected
    for flags, expected in {"flags: avx512f amx_bf16": "bf16", "flags: avx2": "float32", None: "float32"}.items():
        path = tmp_path / f"cpuinfo-{flags}".replace(" ", "_")
        if flags is not None:
            path.write_text(flags)
        monkeypatch.setattr("qsmi_lib.utils.precision.Path", lambda name, path=path: path)
        assert resolve_precision("auto", torch.device("cpu")) == expected


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bf16", torch.bfloat16)])
def test_a_named_precision_is_used(precision, dtype):
    device = torch.device("cpu")
    assert resolve_precision(precision, device) == precision
    with autocast(precision, device):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


# Interruption and damage


@pytest.mark.parametrize("n_done", [0, 1, 3, 4])
def test_an_interrupted_computation_continues_after_its_last_complete_batch(results, n_done):
    interrupted(n_done)
    assert not cached(results) and len(cached(results, "partial")) == 1
    assert_recomputed(SIZES[n_done:])
    assert len(cached(results)) == 1 and not cached(results, "partial")


def test_progress_counts_pictures_and_goes_on_where_it_was_interrupted(monkeypatch, capsys):
    interrupted(2)
    monkeypatch.delenv("QSMI_HEADLESS")
    monkeypatch.setattr(progress, "watched", lambda: False)
    monkeypatch.setattr(progress, "EVERY", 0.0)
    extract(Counting())
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1].split(",")[0] for line in lines] == ["15 of 23 pictures", "20 of 23 pictures"]
    assert all("s left" in line for line in lines)


@pytest.mark.parametrize("n_bytes", [1, 4 * 7, 4 * 7 * 2 + 3])
def test_a_batch_that_was_written_in_part_is_computed_again(results, n_bytes):
    interrupted(3)
    with cached(results, "partial")[0].open("ab") as file:
        file.write(b"\0" * n_bytes)
    assert_recomputed([5, 3])
    assert np.load(cached(results)[0]).shape == (N, 7)


def save(path, array):
    with open(path, "wb") as file:
        np.save(file, array)


DAMAGES = {
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-4]),
    "cut off in the header": lambda path: path.write_bytes(path.read_bytes()[:30]),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_bytes(b"this is text" * 99),
    "a row too few": lambda path: save(path, np.zeros((N - 1, 7), np.float32)),
    "another dtype": lambda path: save(path, np.zeros((N, 7))),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_computed_again_complete_or_partial(results, damage):
    n_kept = 2 if damage == "cut off" else 0  # whole batches, where the file ends too early
    damage = DAMAGES[damage]
    interrupted(3)
    damage(cached(results, "partial")[0])
    assert_recomputed(SIZES[n_kept:])
    (path,) = cached(results)
    raw = path.read_bytes()
    path.unlink()  # else the mapped result of the first call is damaged too
    path.write_bytes(raw)
    damage(path)
    assert_recomputed(SIZES)
    assert path.read_bytes() == raw


@pytest.mark.parametrize("suffix", [".npy", ".partial"])
def test_no_length_of_a_file_changes_the_features(results, suffix):
    expected = extract(Counting()).clone()
    (path,) = cached(results)
    raw = path.read_bytes()
    for content in [raw[:n] for n in range(0, len(raw), 41)] + [raw, raw + b"0", raw + raw, raw[::-1]]:
        path.unlink()
        path.with_suffix(suffix).write_bytes(content)
        assert torch.equal(extract(Counting()), expected) and path.read_bytes() == raw
    assert cached(results) == [path] and not cached(results, "partial")


def test_simultaneous_calls_compute_once():
    backbone, rows, start = Counting(), [], threading.Barrier(2)

    def call():
        start.wait()
        rows.append(extract(backbone))

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rows) == 2 and sorted(backbone.sizes) == sorted([CHECK, CHECK, *SIZES])
    for matrix in rows:
        torch.testing.assert_close(matrix, direct(Counting()), rtol=1e-5, atol=1e-6)


# Errors


def with_value(value):
    return lambda outputs: outputs.index_fill(0, torch.tensor([1], device=outputs.device), value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_value(float("nan")), "got some that are not finite"),
        (with_value(-float("inf")), "got some that are not finite"),
        (lambda outputs: outputs[..., None], r"got some of shape \(8, 7, 1\)"),
        (lambda outputs: outputs[:1], r"got some of shape \(1, 7\)"),
        (lambda outputs: outputs[:, :0], r"got some of shape \(8, 0\)"),
        (lambda outputs: [outputs], "got a list"),
        (lambda outputs: outputs.double() + 1e300, "got some that are not finite"),
    ],
)
def test_outputs_that_are_no_features_are_refused(results, change, message):
    backbone = Counting()
    backbone.change = change
    with pytest.raises(ValueError, match=rf"toy must give finite features \(n, n_features\), {message}"):
        extract(backbone)
    assert not cached(results)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="unknown precision 'fp16'; known: auto, bf16, float32"):
        extract(Counting(), precision="fp16")
    with pytest.raises(ValueError, match="at least one image, got 0 images"):
        extract(Counting(), images(0))
    with pytest.raises(ValueError, match=r"toy \(Counting\) in training mode.*\.eval\(\)"):
        extract(Counting().train())


# In memory and of splits


def test_features_are_mapped_copy_on_write(results, monkeypatch):
    opened, matrices = features._open, []
    monkeypatch.setattr(features, "_open", lambda *arguments: matrices.append(opened(*arguments)) or matrices[-1])
    first = extract(Counting())
    assert isinstance(matrices[-1], np.memmap) and matrices[-1].ctypes.data == first.data_ptr()
    (path,) = cached(results)
    raw, expected = path.read_bytes(), first.clone()
    first.zero_()
    assert path.read_bytes() == raw and torch.equal(extract(Counting()), expected)


def test_a_split_keeps_its_labels_and_a_shared_database(digits, results):
    split = features.of_split(digits, "digits_pixels")
    assert split.database is split.train and len(cached(results)) == 2
    network, size = backbones.load("digits_pixels"), features.batch_size("digits_pixels")
    for name in ("train", "query"):
        part, pixels = getattr(split, name), getattr(digits, name)
        assert torch.equal(part.labels, pixels.labels)
        assert torch.equal(part.inputs, features.extract(pixels.inputs, network, "digits_pixels", batch_size=size))
    assert (split.name, split.fingerprint, split.classes) == (digits.name, digits.fingerprint, digits.classes)


def test_another_database_has_other_features(digits, results, monkeypatch):
    database = Part(digits.train.inputs[:40], digits.train.labels[:40])
    other = Split("digits", digits.train[:30], digits.query[:20], database, "fingerprint", digits.classes)
    split = features.of_split(other, "digits_labels")
    assert [len(part) for part in (split.train, split.query, split.database)] == [30, 20, 40]
    assert len(cached(results)) == 3
    torch.testing.assert_close(split.database.inputs[:30], split.train.inputs, rtol=0.05, atol=0.05)
    monkeypatch.setattr(backbones, "load", lambda name: backbones.assembled(name).eval())
    with pytest.raises(ValueError, match="cannot extract features of resnet56 from digits: pictures must be uint8"):
        features.of_split(other, "resnet56")


def test_batches_on_a_cpu_fit_into_its_cache(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    sizes = {name: features.batch_size(name) for name in ("digits_pixels", "resnet56", "densenet201")}
    assert sizes == {"digits_pixels": 125, "resnet56": 125, "densenet201": 400_000 // 224**2}


def test_features_of_an_item_do_not_depend_on_the_protocol():
    whole = load_split("digits", backbone="digits_pixels")
    split = load_split("digits", protocol="sampled_all", backbone="digits_pixels")
    items = {item.tobytes() for item in torch.cat([whole.train.inputs, whole.query.inputs]).numpy()}
    assert {item.tobytes() for item in split.database.inputs.numpy()} <= items
