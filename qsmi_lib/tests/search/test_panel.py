"""The panel without a browser: a user changes values of widgets, and sees the HTML of the page."""

import base64
import dataclasses
import io
import re
from datetime import datetime
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from qsmi_lib.search.answers import answers_page
from qsmi_lib.search.collection import Answer, Collection
from qsmi_lib.search.panel import panel

pytest.importorskip("faiss")
PICTURES = [Image.new("RGB", (8, 8), (red, 0, 0)) for red in (0, 120, 240)]


def red(images):
    """A code by how red pictures are: so many of the first bits are set."""
    levels = [np.asarray(image.convert("RGB"))[..., 0].mean() / 20 for image in images]
    return np.where(np.arange(14) < np.array(levels)[:, None], 1, -1).astype(np.int8)


@pytest.fixture
def collection():
    hasher = SimpleNamespace(side=None, codes=red, fitted=seen)
    return Collection("reds", hasher, red(PICTURES), ["black", "dark <b>", "red"], PICTURES.__getitem__)


@pytest.fixture
def labelled(collection):
    """The collection whose items are dark, dark and light."""
    labels = [frozenset({"dark"}), frozenset({"dark"}), frozenset({"light"})]
    return dataclasses.replace(collection, labels=labels)


def seen(image, name="the picture"):
    """What the network sees: two grey pixels; a white picture is refused."""
    if image.getpixel((0, 0)) == (255, 255, 255):
        raise ValueError(f"{name} is blank: expected ink")
    return image.convert("L").resize((2, 1))


@pytest.fixture
def shown(collection):
    """The panel's parts by name."""
    examples = Collection("queries", collection.hasher, red(PICTURES[2:]), ["a red one"], PICTURES[2:].__getitem__)
    box = panel({"first": collection, "second": collection}, examples, k=2)
    about, controls, message, page = box.children
    upload, example, count = controls.children
    return SimpleNamespace(about=about, upload=upload, example=example, count=count, message=message, page=page)


def file(content, name="mine.png"):
    kind = {"name": name, "type": "image/png", "size": len(content), "last_modified": datetime(2026, 1, 1)}
    return kind | {"content": memoryview(content)}


def png(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def alts(page):
    return re.findall(r'<img alt="([^"]*)"', page.value)


def answers(page):
    """The lines of each answer's card."""
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page.value)
    return [[line for line in re.split(r"<[^>]*>", caption) if line] for caption in captions][2:]


def test_the_first_example_is_the_query_at_the_start(shown):
    assert shown.example.value == 0 and shown.example.options[1] == ("1: a red one", 0)
    one = [["red", "0 of 14 bits"], ["dark &lt;b&gt;", "6 of 14 bits"]]
    assert answers(shown.page) == [*one, *one]
    assert alts(shown.page) == ["the query", "what the network sees", *["red", "dark &lt;b&gt;"] * 2]
    assert "<h3>second</h3>" in shown.page.value


def test_an_upload_takes_the_place_of_the_example(shown):
    shown.upload.value = (file(png(PICTURES[0])),)
    assert answers(shown.page)[0] == ["black", "0 of 14 bits"]
    assert shown.example.value is None and shown.upload.value == () and shown.message.value == ""
    shown.upload.value = (file(png(PICTURES[0])),)  # the same file once more
    assert answers(shown.page)[0] == ["black", "0 of 14 bits"]


def test_a_wrong_file_leaves_the_answers_and_says_why(shown):
    before = shown.page.value
    shown.upload.value = (file(b"no picture", "<script>.png"),)
    assert (
        'role="alert"' in shown.message.value
        and "&lt;script&gt;.png cannot be read as a picture" in shown.message.value
    )
    assert shown.page.value == before
    shown.upload.value = (file(png(PICTURES[1])),)
    assert shown.message.value == "" and shown.page.value != before


def test_a_file_that_has_gone_since_leaves_the_other_answers(collection):
    def picture(item):
        if item == 1:
            raise FileNotFoundError("dark.png has gone")
        return PICTURES[item]

    box = panel({"first": dataclasses.replace(collection, picture=picture)}, collection)
    message, page = box.children[2:]
    assert message.value == "" and page.value.count("no longer readable") == 1 and page.value.count("<img") == 4


def test_an_example_that_has_gone_gives_a_message(collection):
    def gone(item):
        raise FileNotFoundError("black.png has gone")

    box = panel({"first": collection}, dataclasses.replace(collection, picture=gone))
    assert "black.png has gone" in box.children[2].value and 'role="alert"' in box.children[2].value


def test_it_says_what_is_searched_and_what_was_left_out(shown, collection):
    assert "reds: 3 pictures" in shown.about.value and "Left out" not in shown.about.value
    box = panel({"first": dataclasses.replace(collection, faults=("<a>.png is no picture",))}, collection)
    assert "Left out: 1" in box.children[0].value and "&lt;a&gt;.png is no picture" in box.children[0].value


def test_the_slider_says_how_many(shown):
    assert (shown.count.min, shown.count.value, shown.count.max) == (1, 2, 3)
    shown.count.value = 3
    assert len(alts(shown.page)) == 2 + 2 * 3


def test_the_bits_that_differ_are_dark_and_named(collection):
    page = answers_page(PICTURES[0], {"first": (collection, [Answer(1, "dark", 3, (0, 4, 13))])})
    squares = re.search(r'aria-label="differing bits: 1, 5, 14">(.*?)</span>', page).group(1)
    kinds = re.findall(r"<i( class=other)?>", squares)
    assert [place for place, kind in enumerate(kinds) if kind] == [0, 4, 13] and len(kinds) == 14
    alike = answers_page(PICTURES[0], {"first": (collection, [Answer(0, "black", 0, ())])})
    assert 'aria-label="differing bits: none"' in alike


def test_the_network_sees_its_own_form_of_the_query(shown):
    sources = re.findall(r'src="data:image/png;base64,([^"]*)"', shown.page.value)
    sizes = [Image.open(io.BytesIO(base64.b64decode(source))).size for source in sources[:2]]
    assert sizes == [(8, 8), (2, 1)]


def test_a_blank_picture_leaves_the_answers_and_says_why(shown):
    before = shown.page.value
    shown.upload.value = (file(png(Image.new("RGB", (8, 8), "white"))),)
    assert "mine.png is blank: expected ink" in shown.message.value and shown.page.value == before


def test_an_example_with_a_label_marks_right_and_wrong(labelled):
    examples = dataclasses.replace(labelled, names=["a", "b", "c"])
    box = panel({"first": labelled}, examples, k=3)
    (_, example, shows, _), page = box.children[1].children, box.children[3]
    assert shows.options == (("unknown", None), ("dark", "dark"), ("light", "light")) and shows.value == "dark"
    assert "first: 2 of 3 right" in page.value
    assert answers(page) == [
        ["✓ right", "black", "dark", "0 of 14 bits"],
        ["✓ right", "dark &lt;b&gt;", "dark", "6 of 14 bits"],
        ["✗ wrong", "red", "light", "12 of 14 bits"],
    ]
    example.value = 2
    assert shows.value == "light" and "first: 1 of 3 right" in page.value


def test_an_upload_is_marked_once_its_label_is_chosen(labelled):
    box = panel({"first": labelled}, labelled, k=3)
    (upload, _, shows, _), page = box.children[1].children, box.children[3]
    upload.value = (file(png(PICTURES[2])),)
    assert shows.value is None and "right" not in page.value and "<h3>first</h3>" in page.value
    shows.value = "light"
    assert "first: 1 of 3 right" in page.value
    shows.value = None
    assert "<h3>first</h3>" in page.value


def test_an_example_of_several_labels_is_right_with_each(labelled):
    both = dataclasses.replace(labelled, labels=[frozenset({"dark", "light"})] * 3)
    box = panel({"first": labelled}, both, k=3)
    assert box.children[1].children[2].value is None and "first: 3 of 3 right" in box.children[3].value
