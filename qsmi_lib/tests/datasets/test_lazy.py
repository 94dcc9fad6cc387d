"""Pictures in files: decoded as asked for, scaled and cut to a square, named where they cannot be read; features."""

import os
import re
import threading

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from qsmi_lib.datasets.base import Part
from qsmi_lib.datasets.images import lazy as module
from qsmi_lib.datasets.images.lazy import UNREADABLE, Pictures, decoded
from qsmi_lib.models import features
from qsmi_lib.tests.datasets.small_pictures import SIDE, WRITERS, encoded, picture, pixels, write_folder, write_zip

N = 7
PATHS = [f"images/{number}.png" for number in range(N)]
WHERE = [f"list.txt:{number + 1}" for number in range(N)]
FILES = {path: picture(number) for number, path in enumerate(PATHS)}
WHOLE = torch.stack([torch.from_numpy(pixels(number).transpose(2, 0, 1).copy()) for number in range(N)])
each_source = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


def of(root, side=SIDE, paths=PATHS, where=WHERE):
    return Pictures(root, paths, where, side)


@pytest.fixture
def own(tmp_path):
    return of(write_folder(tmp_path / "own", FILES))


# As a tensor


INDICES = {
    "one": 2,
    "the last": -1,
    "from the end": -3,
    "a slice": slice(1, 5),
    "a slice with steps": slice(0, None, 2),
    "beyond the end": slice(4, 99),
    "none": slice(3, 3),
    "rows": torch.tensor([4, 0, 0, 6]),
    "no rows": torch.tensor([], dtype=torch.int64),
}


@each_source
@pytest.mark.parametrize("rows", INDICES.values(), ids=INDICES)
def test_rows_are_those_of_the_tensor(tmp_path, write, rows):
    found, expected = of(write(tmp_path / "own", FILES))[rows], WHOLE[rows]
    assert found.dtype == torch.uint8 and found.is_contiguous() and found.device.type == "cpu"
    assert torch.equal(found, expected)


def test_a_row_beyond_the_end_is_none(own):
    for row in (N, -N - 1):
        with pytest.raises(IndexError):
            own[row]


def test_what_a_tensor_says_of_itself(own):
    assert len(own) == N and own.shape == WHOLE.shape and (own.dtype, own.ndim) == (WHOLE.dtype, WHOLE.ndim)
    assert own.device == torch.device("cpu") and own.to("cpu").paths.tolist() == PATHS
    sizes = [len(batch) for batch in own.split(3)]
    assert sizes == [3, 3, 1] and torch.equal(torch.cat(list(own.split(3))), WHOLE)


def test_a_mask_decodes_nothing(own, monkeypatch):
    mask = torch.tensor([True, False, True, True, False, False, True])
    monkeypatch.setattr(module, "decoded", lambda *_: pytest.fail("decoded"))
    kept = own[mask]
    assert isinstance(kept, Pictures) and len(kept) == 4 and len(own[~mask][torch.zeros(3, dtype=torch.bool)]) == 0
    part = Part(own, torch.arange(N))[mask]
    assert isinstance(part.inputs, Pictures) and part.labels.tolist() == [0, 2, 3, 6]
    monkeypatch.undo()
    assert torch.equal(kept[:], WHOLE[mask]) and torch.equal(part.to("cpu").inputs[:], WHOLE[mask])
    assert kept.where.tolist() == [WHERE[row] for row in (0, 2, 3, 6)]


def test_threads_do_not_mix_the_rows(tmp_path):
    """Of a zip, whose one file all threads read."""
    own = of(write_zip(tmp_path / "own", FILES))
    threads, order = torch.get_num_threads(), torch.randperm(300, generator=torch.Generator().manual_seed(0)) % N
    try:
        torch.set_num_threads(8)
        assert torch.equal(own[order], WHOLE[order])
    finally:
        torch.set_num_threads(threads)


# Scaled and cut


def slow_fit(values, side):
    """Scaled so that the shorter side is whole, then cut; of sizes where both come out even."""
    height, width = values.shape[:2]
    size = (width * side // min(height, width), height * side // min(height, width))
    image = Image.fromarray(values).resize(size, Image.Resampling.BILINEAR)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    return np.asarray(image.crop((left, top, left + side, top + side)))


@pytest.mark.parametrize("size", [(8, 8), (16, 8), (8, 16), (24, 16), (4, 2), (2, 6), (48, 24), (1, 1), (64, 64)])
def test_a_picture_is_scaled_to_its_shorter_side_and_cut_to_its_centre(size):
    values = pixels(1, *size)
    assert np.abs(decoded(encoded(values), SIDE).astype(int) - slow_fit(values, SIDE)).max() <= 1


def test_the_centre_stays_and_the_ends_go():
    """Red on the left, green in the middle, blue on the right, of a third each."""
    values = np.zeros((10, 30, 3), np.uint8)
    for k in range(3):
        values[:, 10 * k : 10 * (k + 1), k] = 255
    for turned in (values, values.transpose(1, 0, 2)):
        assert (decoded(encoded(turned), 10) == [0, 255, 0]).all()


def test_scaling_down_averages_and_does_not_skip():
    board = np.indices((64, 64)).sum(axis=0) % 2 * np.uint8(254)
    small = decoded(encoded(board.astype(np.uint8)), 8)
    assert np.abs(small.astype(int) - 127).max() <= 1


def test_a_picture_of_that_size_stays_to_the_bit():
    for suffix in ("png", "bmp", "tiff"):
        assert np.array_equal(decoded(encoded(pixels(3), suffix), SIDE), pixels(3))


GREY = pixels(5)[..., 0]
ALPHA = np.dstack([pixels(5), GREY])
MODES = {
    "grey": (encoded(GREY), np.dstack([GREY] * 3)),
    "black and white": (encoded(GREY > 99), np.dstack([np.uint8(GREY > 99) * 255] * 3)),
    "transparent": (encoded(ALPHA), pixels(5)),
    "of a palette": (encoded(GREY // 64, "gif"), np.dstack([GREY // 64] * 3)),
}


@pytest.mark.parametrize(("content", "expected"), MODES.values(), ids=MODES)
def test_other_modes_become_rgb(content, expected):
    assert np.array_equal(decoded(content, SIDE), expected)


def test_grey_and_cmyk_jpegs_have_three_channels(tmp_path):
    for mode in ("L", "CMYK"):
        Image.fromarray(pixels(2)).convert(mode).save(tmp_path / "a.jpg")
        assert decoded((tmp_path / "a.jpg").read_bytes(), SIDE).shape == (SIDE, SIDE, 3)


@pytest.mark.parametrize(("dtype", "mode"), [(np.uint16, "I;16"), (np.int32, "I"), (np.float32, "F")])
def test_more_than_8_bits_a_channel_are_refused(dtype, mode):
    """They would be cut off at 255: white."""
    with pytest.raises(ValueError, match=f"^more than 8 bits a channel, mode {mode}: expected 8$"):
        decoded(encoded((GREY * 200).astype(dtype), "tiff"), SIDE)


def test_an_orientation_that_a_camera_noted_is_not_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    assert np.array_equal(decoded(encoded(pixels(3), "png", exif=exif), SIDE), pixels(3))


# Damage


WHOLE_FILE = picture(0, 32, 32)
DAMAGES = {
    "text": b"no picture",
    "nothing": b"",
    "cut off": WHOLE_FILE[: len(WHOLE_FILE) // 2],
    "a cut jpeg": encoded(pixels(0, 64, 64), "jpeg")[:900],
    "a flipped byte": WHOLE_FILE[:60] + bytes([WHOLE_FILE[60] ^ 255]) + WHOLE_FILE[61:],
}


@each_source
@pytest.mark.parametrize("content", DAMAGES.values(), ids=DAMAGES)
def test_an_unreadable_picture_is_named_with_its_line(tmp_path, write, content):
    source = write(tmp_path / "own", FILES | {"images/3.png": content})
    own = of(source)
    assert torch.equal(own[:3], WHOLE[:3])
    message = rf"^list\.txt:4: images/3\.png of {re.escape(str(source))} cannot be read as a picture \(.+\)$"
    for rows in (3, slice(2, 5), torch.tensor([6, 3])):
        with pytest.raises(ValueError, match=message):
            own[rows]


def test_of_no_known_format_is_said_in_words(own):
    write_folder(own.root, {PATHS[0]: b"no picture"})
    message = f"list.txt:1: images/0.png of {own.root} cannot be read as a picture (of no known format)"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        own[0]


def test_a_file_that_went_is_named_too(own):
    (own.root / "images/3.png").unlink()
    with pytest.raises(ValueError, match=r"^list\.txt:4: images/3\.png of .* cannot be read as a picture"):
        own[3]


@pytest.mark.parametrize("suffix", ["jpeg", "png", "gif", "bmp", "webp", "tiff", "ppm"])
@pytest.mark.filterwarnings("ignore")
def test_damage_of_any_kind_raises_what_is_caught_and_nothing_else(suffix):
    """Cut off, or some bytes changed; a picture that still decodes is none of ours."""
    whole, random = encoded(pixels(0, 12, 16), suffix), np.random.default_rng(0)
    n_caught = 0
    for number in range(300):
        raw = bytearray(whole)
        if number % 3:
            for place in random.integers(0, len(raw), random.integers(1, 6)):
                raw[place] = random.integers(256)
        else:
            del raw[random.integers(len(raw)) :]
        try:
            assert decoded(bytes(raw), SIDE).shape == (SIDE, SIDE, 3)
        except UNREADABLE:
            n_caught += 1
    assert n_caught > 50


# What they are


def changed(root, name, content):
    state = (root / name).stat()
    (root / name).write_bytes(content)
    os.utime(root / name, ns=(state.st_atime_ns, state.st_mtime_ns + 1_000_000))


def test_the_mark_changes_with_paths_order_side_and_files(own, monkeypatch):
    monkeypatch.setattr(module, "decoded", lambda *_: pytest.fail("decoded"))
    marks = [
        own.mark,
        of(own.root, side=SIDE + 1).mark,
        of(own.root, paths=PATHS[::-1]).mark,
        own[torch.arange(N) < 5].mark,
    ]
    assert own.mark == of(own.root, where=WHERE[::-1]).mark == marks[0]
    changed(own.root, PATHS[2], FILES[PATHS[2]][:-1] + b"x")  # of the same length
    assert len({*marks, of(own.root).mark}) == 5


def test_the_content_is_that_of_folder_and_zip_in_any_order(tmp_path):
    folder, packed = (of(write(tmp_path / "own", FILES)) for write in WRITERS.values())
    assert folder.content == packed.content == of(folder.root, paths=PATHS[::-1]).content
    contents = {folder.content, folder[torch.arange(N) < 5].content}
    write_folder(folder.root, {PATHS[2]: picture(99)})
    assert len(contents | {of(folder.root).content}) == 3


# Features of them


class Counting(nn.Module):
    """Means of the pixels, channel by channel and half by half; notes how large its batches were."""

    def __init__(self, limit=None):
        super().__init__()
        self.sizes, self.limit = [], limit
        self.eval()

    def forward(self, images):
        if len(self.sizes) == self.limit:
            raise KeyboardInterrupt
        self.sizes.append(len(images))
        return images.float().unflatten(2, (2, -1)).mean(dim=(3, 4)).flatten(1)


def extract(images, backbone=None):
    return features.extract(images, backbone or Counting(), "toy", precision="float32", batch_size=3)


@each_source
def test_features_are_those_of_the_decoded_pictures(tmp_path, write):
    own = of(write(tmp_path / "own", FILES))
    found = extract(own)
    assert torch.equal(found, extract(WHOLE)) and found.shape == (N, 6)
    assert len(found.unique(dim=0)) == N


def test_features_are_kept_until_a_file_changes(own, results):
    backbone = Counting()
    first = extract(own, backbone).clone()
    assert torch.equal(extract(of(own.root), backbone), first) and backbone.sizes == [3, 3, 1]
    changed(own.root, PATHS[4], picture(50))
    again = extract(of(own.root), backbone)
    assert backbone.sizes == [3, 3, 1] * 2
    assert (again != first).any(dim=1).nonzero()[:, 0].tolist() == [4]
    extract(of(own.root, side=SIDE // 2), backbone)
    assert len(backbone.sizes) == 9 and len(list(results.rglob("toy-*.npy"))) == 3


def test_features_go_on_after_the_last_whole_batch(own):
    with pytest.raises(KeyboardInterrupt):
        extract(own, Counting(limit=2))
    again = Counting()
    assert torch.equal(extract(of(own.root), again), extract(WHOLE)) and again.sizes == [1]


def test_an_unreadable_picture_stops_the_features_with_its_line(own, results):
    write_folder(own.root, {PATHS[5]: b"no picture"})
    with pytest.raises(ValueError, match=r"^list\.txt:6: images/5\.png of .* cannot be read as a picture"):
        extract(own)
    assert not list(results.rglob("toy-*.npy"))


def test_pictures_are_decoded_once_for_their_features(own, monkeypatch):
    calls, whole, lock = [], module.decoded, threading.Lock()

    def note(content, side):
        with lock:
            calls.append(side)
        return whole(content, side)

    monkeypatch.setattr(module, "decoded", note)
    extract(own)
    assert len(calls) == N
