"""The app's page without its server: its controls, the answers, and what a browser may send."""

import dataclasses
import io
import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from qsmi_lib.search.collection import Collection
from qsmi_lib.search.page import Page

pytest.importorskip("faiss")
PICTURES = [Image.new("RGB", (8, 8), (red, 0, 0)) for red in (0, 120, 240)]


def red(images):
    """A code by how red pictures are: so many of the first bits are set."""
    levels = [np.asarray(image.convert("RGB"))[..., 0].mean() / 20 for image in images]
    return np.where(np.arange(14) < np.array(levels)[:, None], 1, -1).astype(np.int8)


def fitted(image, name="the picture"):
    if image.getpixel((0, 0)) == (255, 255, 255):
        raise ValueError(f"{name} is blank: expected ink")
    return image


def png(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def collection():
    labels = [frozenset({"dark"}), frozenset({"dark"}), frozenset({"light", "<i>"})]
    hasher = SimpleNamespace(codes=red, fitted=fitted)
    return Collection("<reds>", hasher, red(PICTURES), ["black", "<b>", "red"], PICTURES.__getitem__, labels=labels)


@pytest.fixture
def page(collection):
    return Page({"first": collection, "second": collection}, collection, k=10)


def alts(html):
    return re.findall(r'<img alt="([^"]*)"', html)


def test_the_controls_offer_what_there_is_and_every_name_is_escaped(page):
    html = page.html(10**6)
    assert "3 pictures: &lt;reds&gt;" in html and "<b>" not in html and "<i>" not in html and "$" not in html
    assert re.findall(r"<option value=\"(\d+)\" data-shows=\"(.*?)\">(.*?)<", html) == [
        ("0", "dark", "1: black"),
        ("1", "dark", "2: &lt;b&gt;"),
        ("2", "", "3: red"),
    ]
    assert '<option value="&lt;i&gt;">' in html and 'max="3" value="3"' in html and "<label hidden" not in html


def test_it_needs_nothing_from_elsewhere(page):
    assert not re.findall(r"(?:src|href)=\"(?!page\.js|data:)", page.html(1))


def test_without_labels_there_is_nothing_to_choose(collection):
    plain = dataclasses.replace(collection, labels=())
    page = Page({"first": plain}, plain)
    assert "<label hidden>It shows" in page.html(1) and " right" not in page.answer(count="2", example="0")


def test_an_example_is_searched_by_each_method(page):
    html = page.answer(count="2", example="0")
    one = ["black, 0 of 14 bits", "&lt;b&gt;, 6 of 14 bits"]
    assert alts(html) == ["query, as given", "query, as the network sees it", *one, *one]
    assert "<h4>second</h4>" in html


def test_a_picture_is_searched_and_marked_once_its_label_is_chosen(page):
    assert alts(page.answer(count="1", content=png(PICTURES[2]), name="mine.png"))[2] == "red, 0 of 14 bits"
    assert "first: 2 of 3 right" in page.answer(count="3", content=png(PICTURES[2]), name="mine.png", shows="dark")


def test_an_example_of_several_labels_is_right_with_each(page):
    assert "first: 1 of 3 right" in page.answer(count="3", example="2")
    assert "first: 2 of 3 right" in page.answer(count="3", example="2", shows="dark")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"count": "0"}, "from 1 to 3, got '0'"),
        ({"count": ""}, "from 1 to 3, got ''"),
        ({"count": "9" * 5000}, "from 1 to 3"),
        ({"count": "٣"}, "from 1 to 3"),
        ({"example": "-1"}, "from 0 to 2, got '-1'"),
        ({"example": "3"}, "from 0 to 2, got '3'"),
        ({"shows": "blue"}, "'blue': expected one of <i>, dark, light"),
        ({"example": "", "content": b"no picture", "name": "a.png"}, "a.png cannot be read as a picture"),
        ({"example": "", "content": png(Image.new("RGB", (8, 8), "white")), "name": "a.png"}, "a.png is blank"),
        ({"example": ""}, "cannot be read as a picture"),
    ],
)
def test_a_wrong_query_is_an_error_that_says_what_is_expected(wrong, message, page):
    with pytest.raises(ValueError, match=re.escape(message)):
        page.answer(**({"count": "1", "example": "0"} | wrong))
