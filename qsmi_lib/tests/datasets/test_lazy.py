"""Pictures in files: decoded when indexed, scaled and cropped to a square, named if unreadable; their features."""

import os
import re
import threading

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from qsmi_lib.datasets.base import Part
from qsmi_lib.datasets.images import lazy, manifest
from qsmi_lib.datasets.images.check import inspect
from qsmi_lib.datasets.images.lazy import UNREADABLE, Pictures, decode
from qsmi_lib.models import features
from qsmi_lib.tests.datasets.small_pictures import (
    PACKERS,
    SIDE,
    WRITERS,
    encoded,
    picture,
    pixels,
    write_folder,
    write_zip,
)

N = 7
PATHS = [f"images/{number}.png" for number in range(N)]
WHERE = [f"list.txt:{number + 1}" for number in range(N)]
FILES = {path: picture(number) for number, path in enumerate(PATHS)}
WHOLE = torch.stack([torch.from_numpy(pixels(number).transpose(2, 0, 1).copy()) for number in range(N)])
each_source = pytest.mark.parametrize("write", (SOURCES := WRITERS | PACKERS).values(), ids=SOURCES)


def of(root, side=SIDE, paths=PATHS, where=WHERE):
    return Pictures(root, paths, where, side)


@pytest.fixture
def pictures(tmp_path):
    return of(write_folder(tmp_path / "own", FILES))


# As a tensor


INDICES = [2, -1, -3, slice(1, 5), slice(0, None, 2), slice(4, 99), slice(3, 3), [4, 0, 0, 6], []]


@each_source
def test_rows_are_those_of_the_tensor(tmp_path, write):
    pictures = of(write(tmp_path / "own", FILES))
    for index in INDICES:
        rows = torch.tensor(index, dtype=torch.int64) if isinstance(index, list) else index
        images = pictures[rows]
        assert images.dtype == torch.uint8 and images.is_contiguous() and images.device.type == "cpu"
        assert torch.equal(images, WHOLE[rows])
    for row in (N, -N - 1):
        with pytest.raises(IndexError):
            pictures[row]


def test_pictures_describe_themselves_as_a_tensor_does(pictures):
    assert len(pictures) == N and pictures.shape == WHOLE.shape
    assert (pictures.dtype, pictures.ndim) == (WHOLE.dtype, WHOLE.ndim)
    assert pictures.device == torch.device("cpu") and pictures.to("cpu").paths.tolist() == PATHS
    batches = list(pictures.split(3))
    assert [len(batch) for batch in batches] == [3, 3, 1] and torch.equal(torch.cat(batches), WHOLE)


def test_a_mask_decodes_nothing(pictures, monkeypatch):
    mask = torch.tensor([True, False, True, True, False, False, True])
    monkeypatch.setattr(lazy, "decode", lambda *_: pytest.fail("decoded"))
    chosen = pictures[mask]
    assert isinstance(chosen, Pictures) and len(chosen) == 4
    assert len(pictures[~mask][torch.zeros(3, dtype=torch.bool)]) == 0
    part = Part(pictures, torch.arange(N))[mask]
    assert isinstance(part.inputs, Pictures) and part.labels.tolist() == [0, 2, 3, 6]
    monkeypatch.undo()
    assert torch.equal(chosen[:], WHOLE[mask]) and torch.equal(part.to("cpu").inputs[:], WHOLE[mask])
    assert chosen.where.tolist() == [WHERE[row] for row in (0, 2, 3, 6)]


def test_threads_do_not_mix_the_rows(tmp_path):
    """All threads read one zip."""
    pictures = of(write_zip(tmp_path / "own", FILES))
    threads, order = torch.get_num_threads(), torch.randperm(300, generator=torch.Generator().manual_seed(0)) % N
    try:
        torch.set_num_threads(8)
        assert torch.equal(pictures[order], WHOLE[order])
    finally:
        torch.set_num_threads(threads)


# Scaled and cropped


def slow_fit(values, side):
    """Scaled until the shorter side fits, then cropped; for sizes where both are even."""
    height, width = values.shape[:2]
    size = (width * side // min(height, width), height * side // min(height, width))
    image = Image.fromarray(values).resize(size, Image.Resampling.BILINEAR)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    return np.asarray(image.crop((left, top, left + side, top + side)))


@pytest.mark.parametrize("size", [(16, 8), (8, 16), (24, 16), (4, 2), (2, 6), (48, 24), (1, 1), (64, 64)])
def test_a_picture_is_scaled_to_its_shorter_side_and_cropped_to_its_centre(size):
    values = pixels(1, *size)
    assert np.abs(decode(encoded(values), SIDE).astype(int) - slow_fit(values, SIDE)).max() <= 1


def test_the_centre_is_kept():
    """A third is red, a third green, a third blue."""
    values = np.zeros((10, 30, 3), np.uint8)
    for k in range(3):
        values[:, 10 * k : 10 * (k + 1), k] = 255
    for turned in (values, values.transpose(1, 0, 2)):
        assert (decode(encoded(turned), 10) == [0, 255, 0]).all()


def test_scaling_down_averages():
    board = np.indices((64, 64)).sum(axis=0) % 2 * np.uint8(254)
    assert np.abs(decode(encoded(board.astype(np.uint8)), 8).astype(int) - 127).max() <= 1


GREY = pixels(5)[..., 0]
MODES = {
    "grey": (encoded(GREY), np.dstack([GREY] * 3)),
    "black and white": (encoded(GREY > 99), np.dstack([np.uint8(GREY > 99) * 255] * 3)),
    "palette": (encoded(GREY // 64, "gif"), np.dstack([GREY // 64] * 3)),
    **{suffix: (encoded(pixels(3), suffix), pixels(3)) for suffix in ("png", "bmp", "tiff")},
}


@pytest.mark.parametrize(("content", "expected"), MODES.values(), ids=MODES)
def test_a_picture_of_the_right_size_keeps_its_pixels_as_rgb(content, expected):
    assert np.array_equal(decode(content, SIDE), expected)


def test_grey_and_cmyk_jpegs_have_three_channels(tmp_path):
    for mode in ("L", "CMYK"):
        Image.fromarray(pixels(2)).convert(mode).save(tmp_path / "a.jpg")
        assert decode((tmp_path / "a.jpg").read_bytes(), SIDE).shape == (SIDE, SIDE, 3)


def test_a_caller_chooses_side_and_filter(pictures):
    content = FILES[PATHS[2]]
    images = pictures.like(side=5, resample="bicubic")
    assert np.array_equal(images[2].permute(1, 2, 0), decode(content, 5, "bicubic"))
    assert not np.array_equal(decode(content, 5, "bicubic"), decode(content, 5))
    chosen = images[torch.arange(N) > 1].to("cpu")
    assert chosen.shape == (N - 2, 3, 5, 5) and torch.equal(chosen[0], images[2])
    forms = [pictures, pictures.like(side=5), pictures.like(squash=True), images, images.like(side=SIDE)]
    assert len({form.fingerprint for form in forms}) == 5
    assert images.like(side=SIDE, resample="bilinear").fingerprint == pictures.fingerprint
    with pytest.raises(ValueError, match="unknown resampling filter 'nearest'; known: bicubic, bilinear"):
        pictures.like(resample="nearest")


# Damage


LARGE = picture(0, 32, 32)
DAMAGES = {
    "text": (b"no picture", "unknown format: expected JPEG, .+"),
    "nothing": (b"", "unknown format: expected JPEG, .+"),
    "cut off": (LARGE[: len(LARGE) // 2], ".+"),
    "a cut jpeg": (encoded(pixels(0, 64, 64), "jpeg")[:900], ".+"),
    "a flipped byte": (LARGE[:60] + bytes([LARGE[60] ^ 255]) + LARGE[61:], ".+"),
}


@each_source
@pytest.mark.parametrize(("content", "reason"), DAMAGES.values(), ids=DAMAGES)
def test_an_unreadable_picture_is_named_with_its_line(tmp_path, write, content, reason):
    source = write(tmp_path / "own", FILES | {"images/3.png": content})
    pictures = of(source)
    assert torch.equal(pictures[:3], WHOLE[:3])
    message = rf"^list\.txt:4: images/3\.png of {re.escape(str(source))} cannot be read as a picture \({reason}\)$"
    for rows in (3, slice(2, 5), torch.tensor([6, 3])):
        with pytest.raises(ValueError, match=message):
            pictures[rows]


def test_a_missing_file_is_named_with_its_line(pictures):
    (pictures.root / "images/3.png").unlink()
    with pytest.raises(ValueError, match=r"^list\.txt:4: images/3\.png of .* cannot be read as a picture"):
        pictures[3]


@pytest.mark.parametrize("suffix", ["jpeg", "png", "gif", "bmp", "webp", "tiff", "ppm"])
@pytest.mark.filterwarnings("ignore")
def test_random_damage_raises_no_other_error(suffix):
    """Cut off, or some bytes changed; some pictures can still be decoded."""
    whole, random = encoded(pixels(0, 12, 16), suffix), np.random.default_rng(0)
    n_caught = 0
    for number in range(200):
        raw = bytearray(whole)
        if number % 3:
            for place in random.integers(0, len(raw), random.integers(1, 6)):
                raw[place] = random.integers(256)
        else:
            del raw[random.integers(len(raw)) :]
        try:
            assert decode(bytes(raw), SIDE).shape == (SIDE, SIDE, 3)
        except UNREADABLE:
            n_caught += 1
    assert n_caught > 30


# Fingerprint and checksum


def change(root, name, content):
    state = (root / name).stat()
    (root / name).write_bytes(content)
    os.utime(root / name, ns=(state.st_atime_ns, state.st_mtime_ns + 1_000_000))


def test_the_fingerprint_changes_with_paths_order_side_and_files(pictures, monkeypatch):
    monkeypatch.setattr(lazy, "decode", lambda *_: pytest.fail("decoded"))
    fingerprints = [
        pictures.fingerprint,
        of(pictures.root, side=SIDE + 1).fingerprint,
        of(pictures.root, paths=PATHS[::-1]).fingerprint,
        pictures[torch.arange(N) < 5].fingerprint,
    ]
    assert fingerprints[0] == pictures.fingerprint == of(pictures.root, where=WHERE[::-1]).fingerprint
    change(pictures.root, PATHS[2], FILES[PATHS[2]][:-1] + b"x")  # of the same length
    assert len({*fingerprints, of(pictures.root).fingerprint}) == 5


def test_the_checksum_is_of_the_files_in_any_order_from_folder_and_zip(tmp_path):
    folder, packed = (of(write(tmp_path / "own", FILES)) for write in WRITERS.values())
    assert folder.checksum == packed.checksum == of(folder.root, paths=PATHS[::-1]).checksum
    checksums = {folder.checksum, folder[torch.arange(N) < 5].checksum}
    write_folder(folder.root, {PATHS[2]: picture(99)})
    assert len(checksums | {of(folder.root).checksum}) == 3


# Features


class Counting(nn.Module):
    """Means of the pixels by channel and half; notes the sizes of its batches."""

    def __init__(self):
        super().__init__()
        self.sizes = []
        self.eval()

    def forward(self, images):
        self.sizes.append(len(images))
        return images.float().unflatten(2, (2, -1)).mean(dim=(3, 4)).flatten(1)


def extract(images, backbone=None, **options):
    return features.extract(images, backbone or Counting(), "toy", precision="float32", batch_size=3, **options)


@each_source
def test_features_are_those_of_the_decoded_pictures_the_first_decoded_twice(tmp_path, write, monkeypatch):
    calls, lock = [], threading.Lock()

    def note(*arguments):
        with lock:
            calls.append(arguments)
        return decode(*arguments)

    monkeypatch.setattr(lazy, "decode", note)
    rows = extract(of(write(tmp_path / "own", FILES)))
    assert len(calls) == N + min(N, features.N_CHECKED) and rows.shape == (N, 6) and len(rows.unique(dim=0)) == N
    assert torch.equal(rows, extract(WHOLE))


def test_features_are_cached_until_a_file_changes(pictures, results):
    backbone = Counting()
    first = extract(pictures, backbone).clone()
    assert torch.equal(extract(of(pictures.root), backbone), first) and backbone.sizes == [7, 3, 3, 1, 7]
    change(pictures.root, PATHS[4], picture(50))
    again = extract(of(pictures.root), backbone)
    assert backbone.sizes == [7, 3, 3, 1, 7, 7, 3, 3, 1]
    assert (again != first).any(dim=1).nonzero()[:, 0].tolist() == [4]
    extract(of(pictures.root, side=SIDE // 2), backbone)
    assert len(list(results.rglob("toy-*.npy"))) == 3
    write_folder(pictures.root, {PATHS[5]: b"no picture"})
    with pytest.raises(ValueError, match=r"^list\.txt:6: images/5\.png of .* cannot be read as a picture"):
        extract(of(pictures.root))


def test_pictures_are_decoded_ahead_of_the_network_but_not_all(tmp_path, monkeypatch):
    """While the caller has the first batch, two further ones are decoded, and two pictures for each thread."""
    files = {f"{number:02}.png": picture(number) for number in range(40)}
    images = of(write_folder(tmp_path / "many", files), paths=list(files), where=list(files))
    expected, n_decoded, changed = images[4:].split(3), 0, threading.Condition()

    def note(*arguments):
        nonlocal n_decoded
        with changed:
            n_decoded += 1
            changed.notify_all()
        return decode(*arguments)

    monkeypatch.setattr(lazy, "decode", note)
    batches = images.batches(3, 4)
    batch, mask = next(batches)
    most = 3 + 2 * (3 + torch.get_num_threads())
    with changed:
        assert changed.wait_for(lambda: n_decoded == most, timeout=10)
        assert not changed.wait_for(lambda: n_decoded > most, timeout=0.05)
    found = [batch, *(batch for batch, _ in batches)]
    assert mask.all() and all(map(torch.equal, found, expected)) and len(found) == len(expected) == 12


def running():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("ThreadPool")]


def failing(error):
    """A network that stops in its second batch of three pictures."""
    backbone = Counting()

    def stop(module, inputs):
        if len(inputs[0]) == 3 and len(module.sizes) == 2:
            raise error

    backbone.register_forward_pre_hook(stop)
    return backbone


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("no space")])
def test_nothing_is_left_running_after_an_error_and_the_next_call_continues(pictures, error):
    expected = extract(WHOLE)
    with pytest.raises(type(error)):
        extract(pictures, failing(error))
    assert not running()
    backbone = Counting()
    assert torch.equal(extract(pictures, backbone), expected) and backbone.sizes == [7, 3, 1] and not running()


def test_a_picture_in_the_middle_that_cannot_be_read_is_named_and_nothing_is_left_running(tmp_path):
    files = {f"{number:02}.png": picture(number) for number in range(40)} | {"30.png": b"no picture"}
    images = of(write_folder(tmp_path / "many", files), paths=list(files), where=list(files))
    with pytest.raises(ValueError, match=r"^30\.png: 30\.png of .* cannot be read as a picture \(unknown format"):
        extract(images)
    assert not running()


def test_features_of_unreadable_pictures_are_nan_and_their_faults_those_of_the_check(tmp_path):
    broken = {PATHS[0]: LARGE[:90], PATHS[4]: b"no picture", PATHS[6]: b""}
    labels = {"train.txt": "".join(f"{path} {number % 2} 1\n" for number, path in enumerate(PATHS))}
    items = manifest.read(write_folder(tmp_path / "own", FILES | broken | labels))
    images, backbone = Pictures(items.root, items.paths, items.where, SIDE), Counting()
    whole = [path not in broken for path in items.paths]
    expected = extract(WHOLE)[[PATHS.index(path) for path in items.paths]]
    for _ in range(2):  # computed, and read from disk
        rows = extract(images, backbone, skip_unreadable=True)
        assert torch.equal(rows[whole], expected[whole]) and rows[~torch.tensor(whole)].isnan().all()
    assert sum(backbone.sizes) == 3 * 4
    faults = [images.fault(row) for row in range(N)]
    assert [fault is None for fault in faults] == whole
    assert {fault for fault in faults if fault} <= set(inspect(items.source).faults)
    with pytest.raises(ValueError, match=r"train\.txt:\d: images/[046]\.png of .* cannot be read as a picture"):
        extract(images)


@pytest.mark.parametrize("n_broken", [8, 11])
def test_the_first_pictures_may_all_be_unreadable(tmp_path, results, n_broken):
    files = {f"{number:02}.png": b"" if number < n_broken else picture(number) for number in range(20)}
    images = of(write_folder(tmp_path / "many", files), paths=list(files), where=list(files))
    backbone, others = Counting(), Counting()
    rows = extract(images, backbone, skip_unreadable=True)
    assert rows.isnan().any(dim=1).tolist() == [number < n_broken for number in range(20)]
    others.register_forward_hook(lambda module, inputs, outputs: outputs + 1)
    assert torch.equal(extract(images, others, skip_unreadable=True)[n_broken:], rows[n_broken:] + 1)
    assert len(list(results.rglob("toy-*.npy"))) == 2


def test_without_any_picture_that_can_be_read_there_are_no_features(tmp_path):
    images = of(write_folder(tmp_path / "own", dict.fromkeys(PATHS, b"")))
    with pytest.raises(ValueError, match=r"none of the 7 pictures .* list\.txt:1: images/0\.png cannot be read"):
        extract(images, skip_unreadable=True)


def test_unreadable_pictures_stay_unreadable_after_a_stop(pictures):
    write_folder(pictures.root, {PATHS[1]: b""})
    backbone = Counting()
    backbone.register_forward_pre_hook(lambda module, inputs: None)
    with pytest.raises(OSError, match="no space"):
        extract(pictures, failing(OSError("no space")), skip_unreadable=True)
    rows = extract(pictures, backbone, skip_unreadable=True)
    assert backbone.sizes == [6, 3, 1] and rows.isnan().any(dim=1).tolist() == [k == 1 for k in range(N)]


def test_a_picture_that_can_be_read_later_gets_its_features(pictures, monkeypatch):
    """Its file looks the same as before, as after a change of permissions."""

    def refuse(content, *form):
        if content == FILES[PATHS[3]]:
            raise PermissionError("not permitted")
        return decode(content, *form)

    monkeypatch.setattr(lazy, "decode", refuse)
    assert extract(pictures, skip_unreadable=True)[3].isnan().all()
    with pytest.raises(ValueError, match=r"^list\.txt:4: .*not permitted"):
        extract(pictures)
    monkeypatch.undo()
    assert torch.equal(extract(pictures), extract(WHOLE))
