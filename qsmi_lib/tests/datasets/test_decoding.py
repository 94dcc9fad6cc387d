"""One decoder for data sets and uploads: formats, bits, transparency, what is refused and how."""

import io
import struct
import threading
import warnings
import zlib
from functools import partial

import numpy as np
import pytest
from PIL import Image, features

from qsmi_lib.datasets.images import decoding
from qsmi_lib.datasets.images.decoding import SUFFIXES, UNREAD_SUFFIXES, read, unread
from qsmi_lib.datasets.images.lazy import decode
from qsmi_lib.search.uploads import opened
from qsmi_lib.tests.datasets.small_pictures import SIDE, encoded, pixels

GREY = pixels(5)[..., 0]
DEEP = (GREY.astype(np.uint16) << 8) | np.random.default_rng(0).integers(0, 256, GREY.shape, np.uint16)
READERS = {"data set": partial(decode, side=SIDE), "upload": lambda content: np.asarray(opened(content, "a.png"))}
each_reader = pytest.mark.parametrize("reader", READERS.values(), ids=READERS)


def png(values, bits, kind, *chunks):
    """A file of rows `values`, uint8 or uint16 (height, width, channels), and further chunks."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(f">u{bits // 8}").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    body = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in body)


def in_mode(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


# Transparency


def on_ground(values, alpha, ground):
    share = alpha[..., None] / 255
    return values * share + ground * (1 - share)


@each_reader
def test_transparent_areas_become_the_ground(reader):
    for drawn, ground in ((40, 255), (220, 0)):
        values = np.full((SIDE, SIDE, 3), drawn, np.uint8)
        expected = on_ground(values, GREY, ground)
        assert np.abs(reader(encoded(np.dstack([values, GREY]))) - expected).max() <= 1
        assert np.abs(reader(encoded(np.dstack([values[..., 0], GREY]))) - expected).max() <= 1


@each_reader
def test_an_opaque_alpha_channel_changes_nothing(reader):
    opaque = np.full_like(GREY, 255)
    assert np.array_equal(reader(encoded(np.dstack([pixels(5), opaque]))), pixels(5))
    assert np.array_equal(reader(encoded(np.dstack([GREY, opaque]))), np.dstack([GREY] * 3))


@each_reader
def test_a_transparent_colour_of_a_palette_becomes_the_ground(reader):
    palette = Image.fromarray(GREY // 64, "P")
    palette.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
    colours = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90], [100, 110, 120]])
    for kind in ("PNG", "GIF"):
        assert np.array_equal(reader(in_mode(palette, kind)), colours[GREY // 64])
        expected = np.where(GREY[..., None] // 64 == 2, 255, colours[GREY // 64])
        assert np.array_equal(reader(in_mode(palette, kind, transparency=2)), expected)


@each_reader
def test_a_transparent_colour_without_a_palette_becomes_the_ground(reader):
    values = np.full((SIDE, SIDE, 3), 9, np.uint8)
    values[2, 3] = 5, 6, 7
    clear = np.where((values == [5, 6, 7]).all(axis=2)[..., None], 255, values)
    assert np.array_equal(reader(png(values, 8, 2, (b"tRNS", struct.pack(">3H", 5, 6, 7)))), clear)
    deep = values.astype(np.uint16) * 256 + 3
    key = struct.pack(">3H", *deep[2, 3])
    assert np.array_equal(reader(png(deep, 16, 2, (b"tRNS", key))), clear)
    grey = np.full((SIDE, SIDE), 9 * 256 + 1, np.uint16)
    grey[2, 3] += 1
    expected = np.full((SIDE, SIDE, 3), 9)
    expected[2, 3] = 255
    assert np.array_equal(reader(png(grey, 16, 0, (b"tRNS", struct.pack(">H", grey[2, 3])))), expected)


# Bits


SIXTEEN = {
    "grey png": encoded(DEEP),
    "grey tiff": encoded(DEEP, "tiff"),
    "packed tiff": encoded(DEEP, "tiff", compression="tiff_lzw"),
    "big-endian tiff": in_mode(Image.frombytes("I;16B", (SIDE, SIDE), DEEP.astype(">u2").tobytes()), "TIFF"),
    "pgm": b"P5 %d %d 65535 " % (SIDE, SIDE) + DEEP.astype(">u2").tobytes(),
    "colour png": png(np.dstack([DEEP] * 3), 16, 2),
    "opaque png": png(np.dstack([DEEP] * 3 + [np.full_like(DEEP, 65535)]), 16, 6),
    "ppm": b"P6 %d %d 65535 " % (SIDE, SIDE) + np.dstack([DEEP] * 3).astype(">u2").tobytes(),
}


@each_reader
@pytest.mark.parametrize("kind", SIXTEEN)
def test_of_16_bits_the_upper_8_are_taken(reader, kind):
    """Pillow rounds those of a PPM itself."""
    assert np.abs(reader(SIXTEEN[kind]).astype(int) - np.dstack([GREY] * 3)).max() <= (kind == "ppm")


RANGELESS = {
    "32 bits": encoded(DEEP.astype(np.int32), "tiff"),
    "floats": encoded(DEEP.astype(np.float32), "tiff"),
    "16 bits with a sign": encoded(DEEP, "tiff", tiffinfo={339: 2}),
    "a pfm": b"Pf 1 1 -1.0\n" + bytes(4),
}


@each_reader
@pytest.mark.parametrize("kind", RANGELESS)
def test_values_without_a_known_range_are_refused(reader, kind):
    with pytest.raises(ValueError, match=r"mode .* without a known range: expected 8 bits, or 16 .*save it as PNG"):
        reader(RANGELESS[kind])


# Orientation


STORED = pixels(4, 6, 10)
UPRIGHT = {  # orientation -> the pixels of the file -> the picture
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).transpose(1, 0, 2),
    8: lambda stored: np.rot90(stored),
}
FORMS = {
    "png": {},
    "jpeg": {"quality": 100},
    "webp": {"lossless": True},
    "tiff": {},
    "packed tiff": {"compression": "tiff_lzw"},
}


def with_orientation(orientation, values=STORED, suffix="png", **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(values, suffix, exif=exif, **options)


@each_reader
@pytest.mark.parametrize("form", FORMS)
def test_a_picture_is_upright_as_its_camera_noted(reader, form):
    suffix = form.split()[-1]
    stored = np.asarray(read(encoded(STORED, suffix, **FORMS[form])))
    for orientation, upright in UPRIGHT.items():
        content = with_orientation(orientation, suffix=suffix, **FORMS[form])
        assert np.array_equal(reader(content), reader(encoded(np.ascontiguousarray(upright(stored)))))


@each_reader
def test_a_grey_picture_of_16_bits_is_turned(reader):
    upright = np.dstack([np.rot90(GREY, -1)] * 3)
    assert np.array_equal(reader(with_orientation(6, DEEP)), upright)


@pytest.mark.parametrize("suffix", ["png", "jpeg", "tiff", "webp"])
def test_a_picture_in_memory_is_read_as_its_file_and_turned_once(suffix):
    for orientation in UPRIGHT:
        content = with_orientation(orientation, suffix=suffix)
        upright = read(content)
        for image in (Image.open(io.BytesIO(content)), upright, decoding.rgb(upright)):
            assert np.array_equal(decoding.rgb(image), upright)


def test_a_picture_in_memory_has_a_known_range():
    assert np.array_equal(decoding.rgb(Image.fromarray(DEEP)), read(png(DEEP[..., None], 16, 0)))
    for values in (DEEP.astype(np.float32), DEEP.astype(np.int32)):
        with pytest.raises(ValueError, match="known range"):
            decoding.rgb(Image.fromarray(values))


@each_reader
@pytest.mark.parametrize("exif", [b"Exif\0\0none", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*" + b"\xff" * 60])
def test_damaged_exif_data_count_as_none(reader, exif):
    assert np.array_equal(reader(encoded(pixels(1), exif=exif)), pixels(1))


# Large JPEGs


def test_a_large_jpeg_is_decoded_at_a_reduced_size_and_looks_the_same(monkeypatch):
    monkeypatch.setattr(decoding, "REDUCED_SIDE", 100)
    values = np.asarray(Image.effect_noise((90, 60), 60).resize((900, 600), Image.Resampling.BICUBIC).convert("RGB"))
    for progressive in (False, True):
        content = encoded(values, "jpeg", progressive=progressive)
        assert read(content, 10).size == (225, 150) and read(content).size == (900, 600)
        assert read(content, 80).size == (450, 300)  # at least twice 80
        assert np.abs(decode(content, 80).astype(int) - np.asarray(decoding.fit(read(content), 80))).mean() < 2
    assert read(encoded(values), 10).size == (900, 600)


@pytest.mark.parametrize(("size", "side"), [((384, 256), 224), ((64, 64), 64), ((64, 64), 224), ((1279, 1279), 224)])
def test_a_jpeg_of_a_recorded_size_is_decoded_whole(size, side):
    """miml-scenes has 384 x 256 pixels, tiny-imagenet 64 x 64."""
    content = encoded(pixels(0, *size[::-1]), "jpeg")
    assert np.array_equal(read(content, side), read(content))


# Formats


@each_reader
@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP", "JPEG", "AVIF"])
def test_every_format_is_read(reader, kind):
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    content = encoded(np.full((SIDE, SIDE, 3), 130, np.uint8), kind)
    assert np.abs(reader(content).astype(int) - 130).max() <= 2


@each_reader
@pytest.mark.parametrize("kind", ["TGA", "ICO", "PCX", "SGI", "DDS", "JPEG2000", "EPS", "BLP"])
def test_no_other_format_is_tried(reader, kind):
    image = Image.fromarray(GREY // 64, "P").convert("P") if kind == "BLP" else Image.fromarray(pixels(1, 16, 16))
    with pytest.raises(ValueError, match="unknown format: expected JPEG, PNG"):
        reader(in_mode(image, kind))


def test_pictures_that_are_not_read_are_named_with_their_number():
    assert not SUFFIXES & UNREAD_SUFFIXES
    assert unread(["a.png", "b.txt"]) == ""
    text = unread(["a.png", "b/c.HEIC", "d.heic", "e.psd"])
    assert "b/c.HEIC" in text and "2 .heic" in text and "1 .psd" in text and "JPEG" in text


# Bombs


@each_reader
def test_more_pixels_than_the_limit_are_refused_before_they_are_decoded(reader, monkeypatch):
    monkeypatch.setattr(decoding, "MOST_PIXELS", SIDE * SIDE - 1)
    monkeypatch.setattr(decoding, "_rgb", lambda image: pytest.fail("decoded"))
    for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM"):
        with pytest.raises(ValueError, match=r"million pixels, expected at most .*scale it down"):
            reader(encoded(pixels(1), kind))


@each_reader
def test_a_tiff_with_a_tile_of_more_pixels_is_refused(reader):
    tags = {256: 1, 257: 1, 258: 8, 259: 8, 262: 1, 277: 1, 322: 40_000, 323: 40_000, 324: 200, 325: 4}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    content = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries
    with pytest.raises(ValueError, match="1600 million pixels"):
        reader(content.ljust(200, b"\0") + bytes(9))


@each_reader
@pytest.mark.parametrize("name", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_text_in_a_png_is_not_unpacked_without_a_bound(reader, name):
    head = {b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0\0\0", b"iCCP": b"a\0\0"}[name]
    content = png(pixels(1), 8, 2, (name, head + zlib.compress(bytes(50_000_000), 1)))
    try:
        assert np.array_equal(reader(content), pixels(1))  # a profile is left out
    except ValueError as error:
        assert "too large" in str(error).lower()


@each_reader
def test_a_jpeg_of_many_scans_is_refused(reader):
    content = encoded(pixels(1), "JPEG", progressive=True)
    scan = content[content.rindex(b"\xff\xda") : -2]
    assert reader(content[:-2] + 9 * scan + content[-2:]).shape == (SIDE, SIDE, 3)
    with pytest.raises(ValueError, match="scans, expected at most 100: save it again"):
        reader(content[:-2] + 100 * scan + content[-2:])


def test_one_of_many_frames_is_read_and_no_other():
    frames = [Image.new("L", (SIDE, SIDE), level) for level in range(100)]
    content = in_mode(frames[7], "GIF", save_all=True, append_images=frames)
    assert (decode(content, SIDE) == 7).all()
    with pytest.raises(ValueError, match="animation"):
        read(content, still=True)


# Errors and warnings of Pillow


@each_reader
@pytest.mark.parametrize(
    "error", [TypeError, RuntimeError, NotImplementedError, struct.error, IndexError, MemoryError, zlib.error, KeyError]
)
def test_every_error_of_pillow_is_one_of_the_picture(reader, error, monkeypatch):
    def fail(*_):
        raise error("deep inside")

    monkeypatch.setattr(Image.Image, "convert", fail)
    with pytest.raises(ValueError, match=f"{error.__name__}.*deep inside"):
        reader(encoded(pixels(1)))


@each_reader
def test_warnings_of_pillow_are_not_shown_and_others_are(reader, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60)  # Pillow warns of more
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        reader(encoded(pixels(1)))
        warnings.warn("mine", stacklevel=1)
    assert [str(warning.message) for warning in shown] == ["mine"]


def test_threads_leave_the_filters_of_warnings_as_they_were():
    before = list(warnings.filters)
    contents = [encoded(pixels(number)) for number in range(20)]
    threads = [threading.Thread(target=lambda: [read(content) for content in contents]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before
