"""The app's page without its server: its controls, the answers, and what a browser may send."""

import base64
import dataclasses
import io
import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from qsmi_lib.datasets.images import decoding
from qsmi_lib.methods import METHODS
from qsmi_lib.search.answers import offered, thumbnail
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
    labels = [frozenset({"dark"}), frozenset({"dark"}), frozenset({"light", "<u>"})]
    hasher = SimpleNamespace(side=None, codes=red, fitted=fitted)
    return Collection(
        "<reds>", hasher, red(PICTURES), ["black", "dark <b>", "red"], PICTURES.__getitem__, labels=labels
    )


@pytest.fixture
def examples(collection):
    """The queries of the page: other pictures than those that are searched."""
    return dataclasses.replace(collection, title="queries")


@pytest.fixture
def page(collection, examples):
    return Page({"first": collection, "second": collection}, examples, k=10)


def alts(html):
    return re.findall(r'<img alt="([^"]*)"', html)


def cards(html):
    """The lines of each card."""
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", html)
    return [[line for line in re.split(r"<[^>]*>", caption) if line] for caption in captions]


def test_the_controls_offer_what_there_is_and_every_name_is_escaped(page):
    html = page.html(10**6)
    assert "&lt;reds&gt;: 3 pictures with 3 labels" in html and "<u>" not in html and "$" not in html
    assert re.findall(
        r"<label title=\"(.*?)\"><input type=\"radio\".*?value=\"(\d+)\" data-shows=\"(.*?)\"( checked)?", html
    ) == [
        ("black", "0", "dark", " checked"),
        ("dark &lt;b&gt;", "1", "dark", ""),
        ("red", "2", "", ""),
    ]
    assert '<option value="&lt;u&gt;">' in html and 'max="3" value="3"' in html and "<label hidden" not in html


def test_the_page_begins_with_the_answers_to_the_first_example(page):
    html = page.html(1)
    assert page.answer(count="3", example="0", shows="dark") in html and '<option value="dark" selected>' in html


def test_it_needs_nothing_from_elsewhere(page):
    assert not re.findall(r"(?:src|href)=\"(?!page\.js|page\.css|data:|#)", page.html(1))


def test_without_labels_there_is_nothing_to_choose(collection):
    plain = dataclasses.replace(collection, labels=())
    page = Page({"first": plain}, plain)
    assert "<label hidden><span>It shows" in page.html(1) and "right" not in page.answer(count="2", example="0")


def test_an_example_is_searched_by_each_method(page):
    html = page.answer(count="2", example="0")
    one = [["black", "dark", "0 of 14 bits"], ["dark &lt;b&gt;", "dark", "6 of 14 bits"]]
    assert cards(html) == [["as given"], ["as the network sees it", "8 × 8 pixels"], *one, *one]
    assert alts(html)[2:] == ["black", "dark &lt;b&gt;"] * 2
    assert "<h3>Query: black</h3>" in html and "<h3>second</h3>" in html


def test_a_picture_is_searched_and_marked_once_its_label_is_chosen(page):
    html = page.answer(count="1", content=png(PICTURES[2]), name="<u>mine.png")
    assert cards(html)[2] == ["red", "&lt;u&gt;, light", "0 of 14 bits"] and "Query: &lt;u&gt;mine.png" in html
    html = page.answer(count="3", content=png(PICTURES[2]), name="mine.png", shows="dark")
    assert "first: 2 of 3 right" in html and cards(html)[0] == ["as given", "labelled dark"]
    assert [card[0] for card in cards(html)[2:5]] == ["✗ wrong", "✓ right", "✓ right"]


def test_an_example_of_several_labels_is_right_with_each(page):
    html = page.answer(count="3", example="2")
    assert "first: 1 of 3 right" in html and "labelled &lt;u&gt;, light" in html
    assert "first: 2 of 3 right" in page.answer(count="3", example="2", shows="dark")


def test_an_example_of_a_label_that_nothing_carries_is_of_no_known_label(collection, examples):
    page = Page({"first": collection}, dataclasses.replace(examples, labels=[frozenset({"green"})] * 3))
    html = page.html(1)
    assert "green" not in html and "right" not in html and len(cards(html)) == 2 + 3


def test_an_example_of_the_searched_collection_is_no_answer_of_its_own(collection):
    own = dataclasses.replace(collection, examples=(1, 2))
    page = Page({"first": own, "second": own})
    assert page.offered == [1, 2]
    assert [card[0] for card in cards(page.answer(count="3", example="0"))[2:]] == ["black", "red"] * 2
    assert alts(page.answer(count="1", content=png(PICTURES[1]), name="mine.png"))[2] == "dark &lt;b&gt;"


def test_a_lone_picture_has_no_answer_but_to_an_upload(collection):
    lone = dataclasses.replace(collection, codes=collection.codes[:1], names=["black"], labels=())
    page = Page({"first": lone})
    assert len(cards(page.html(1))) == 2 and "no other picture" in page.html(1)
    assert len(cards(page.answer(count="1", content=png(PICTURES[1]), name="mine.png"))) == 3


def test_examples_are_spread_over_the_names():
    codes, names = np.ones((1000, 14), np.int8), [f"{item % 10}/{item:03}.png" for item in range(1000)]
    many = Collection("many", None, codes, names, None)
    assert len(offered(many)) == 12 and {names[item][0] for item in offered(many)} == set("0123456789")
    assert offered(dataclasses.replace(many, examples=np.array([9, 28, 8]))) == [8, 28, 9]


def test_an_example_that_has_gone_is_not_offered(collection):
    def picture(item):
        if item < gone:
            raise FileNotFoundError(f"{collection.names[item]} has gone")
        return PICTURES[item]

    gone = 1
    page = Page({"first": dataclasses.replace(collection, picture=picture)})
    assert page.offered == [1, 2] and "Query: dark &lt;b&gt;" in page.html(1)
    gone = 2
    assert "dark &lt;b&gt; has gone" in page.html(1)
    with pytest.raises(FileNotFoundError, match="has gone"):
        page.answer(count="1", example="0")
    gone = 3
    page = Page({"first": dataclasses.replace(collection, picture=picture)})
    html = page.html(1)
    assert "<fieldset hidden>" in html and not cards(html)
    html = page.answer(count="3", content=png(PICTURES[0]), name="mine.png")
    assert html.count("no longer readable") == 3 and cards(html)[2] == ["black", "dark", "0 of 14 bits"]


def test_it_explains_the_method_and_says_how_good_its_codes_are(collection):
    scored = dataclasses.replace(collection, method="itq", scores={"mAP <b>": 0.83456}, notice="No <b> folder.")
    page = Page({"first": scored})
    html = page.html(1)
    assert METHODS["itq"].about in html and "14 bits; mAP &lt;b&gt; 0.835." in html and "No &lt;b&gt; folder." in html


def test_a_labelled_file_shows_its_file_name_and_label(collection):
    named = dataclasses.replace(
        collection, names=["dark/1.jpg", "dark/2.jpg", "dark"], labels=[frozenset({"dark"})] * 3
    )
    html = Page({"first": named}, named).answer(count="3", example="1")
    assert cards(html)[2:] == [
        ["1.jpg", "dark", "0 of 14 bits"],
        ["2.jpg", "dark", "6 of 14 bits"],
        ["dark", "12 of 14 bits"],
    ]
    assert alts(html)[2] == "dark/1.jpg"
    plain = dataclasses.replace(named, labels=())
    assert cards(Page({"first": plain}, plain).answer(count="1", example="1"))[2] == ["dark/1.jpg", "0 of 14 bits"]


def test_an_upload_is_decoded_as_the_pictures_were_that_the_hasher_has_seen(collection):
    sizes = []
    hasher = SimpleNamespace(side=100, codes=red, fitted=lambda image, name="": sizes.append(image.size) or image)
    buffer = io.BytesIO()
    Image.radial_gradient("L").resize((3000, 2000)).save(buffer, "JPEG")
    Page({"first": dataclasses.replace(collection, hasher=hasher)}).answer(
        count="1", content=buffer.getvalue(), name="mine.jpg"
    )
    assert set(sizes) == {(1500, 1000)} == {decoding.read(buffer.getvalue(), 100).size}


def test_thumbnails_are_small_and_keep_their_aspect(collection):
    large = dataclasses.replace(collection, picture=lambda item: Image.radial_gradient("L").resize((3000, 1000)))
    small = thumbnail(large, 0)
    kind, _, content = small.source.partition(",")
    assert kind == "data:image/jpeg;base64" and not small.tiny and len(content) < 40_000
    assert Image.open(io.BytesIO(base64.b64decode(content))).size == (320, 107)
    assert thumbnail(collection, 0).tiny


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"count": "0"}, "from 1 to 3, got '0'"),
        ({"count": ""}, "from 1 to 3, got ''"),
        ({"count": "9" * 5000}, "from 1 to 3"),
        ({"count": "٣"}, "from 1 to 3"),
        ({"example": "-1"}, "from 0 to 2, got '-1'"),
        ({"example": "3"}, "from 0 to 2, got '3'"),
        ({"shows": "blue"}, "'blue': expected one of <u>, dark, light"),
        ({"example": "", "content": b"no picture", "name": "a.png"}, "a.png cannot be read as a picture"),
        ({"example": "", "content": png(Image.new("RGB", (8, 8), "white")), "name": "a.png"}, "a.png is blank"),
        ({"example": ""}, "cannot be read as a picture"),
    ],
)
def test_a_wrong_query_is_an_error_that_says_what_is_expected(wrong, message, page):
    with pytest.raises(ValueError, match=re.escape(message)):
        page.answer(**({"count": "1", "example": "0"} | wrong))
