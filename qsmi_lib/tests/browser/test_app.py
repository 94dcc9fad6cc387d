"""The app as a person uses it: an upload, answers, the slider, the keyboard, and files that are no pictures."""

import http.client
import io
from contextlib import closing
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from qsmi_lib import datasets

ANSWERS = "ol.qsmi-row li"


@pytest.fixture
def opened(page, app, wait):
    page.get(app)
    wait(lambda browser: len(browser.find_elements(By.CSS_SELECTOR, ANSWERS)) == 20, "ten answers of each method")
    return page


@pytest.fixture
def upload(opened):
    """Choose a file, as the dialog would."""

    def choose(path):
        [button] = [own for own in opened.find_elements(By.TAG_NAME, "button") if "Upload" in own.text]
        button.click()
        opened.find_elements(By.CSS_SELECTOR, "input[data-upload]")[-1].send_keys(str(path))

    return choose


def first_query(opened):
    return opened.find_element(By.CSS_SELECTOR, "ul.qsmi-row img").get_attribute("src")


def test_an_uploaded_picture_shows_ten_answers_of_each_method(opened, upload, wait, tmp_path):
    digit = np.round(datasets.load("digits").query.inputs[5, 0].numpy() * 0.376 * 255 + 0.3053 * 255).astype(np.uint8)
    Image.fromarray(digit).resize((200, 200)).save(tmp_path / "mine.png")
    before = first_query(opened)
    upload(tmp_path / "mine.png")
    wait(lambda browser: first_query(browser) != before, "the uploaded picture")
    wait(lambda browser: len(browser.find_elements(By.CSS_SELECTOR, ANSWERS)) == 20, "ten answers of each method")
    titles = [own.text for own in opened.find_elements(By.TAG_NAME, "h4")]
    assert titles == ["QSMI", "ITQ"]
    distances = [own.text.splitlines()[1] for own in opened.find_elements(By.CSS_SELECTOR, ANSWERS)[:10]]
    assert distances == sorted(distances, key=lambda text: int(text.split()[0])) and "of 16 bits" in distances[0]
    named = opened.find_element(By.CSS_SELECTOR, ".qsmi-bits").get_attribute("aria-label")
    assert named.startswith("differing bits: ")


def texts(opened, selector):
    return [own.text for own in opened.find_elements(By.CSS_SELECTOR, selector)]


def animated() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "GIF", save_all=True, append_images=[Image.new("RGB", (8, 8), "red")])
    return buffer.getvalue()


def huge() -> bytes:
    buffer = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(buffer, "PNG")
    return buffer.getvalue()


def uncompressed(width, height) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "BMP")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: b"hello", "unknown format"),
        (animated, "animation"),
        (huge, "100 million pixels"),
        (lambda: uncompressed(8500, 8500), "72 million pixels"),
        (lambda: np.random.default_rng(0).bytes(20_000_000), "unknown format"),
        (lambda: uncompressed(50, 50), "is blank"),
    ],
    ids=["text", "animated", "huge", "huge and 217 MB", "20 MB", "blank"],
)
def test_a_wrong_file_gives_a_message_and_the_app_goes_on(content, message, opened, upload, wait, tmp_path):
    (tmp_path / "wrong.png").write_bytes(content())
    upload(tmp_path / "wrong.png")
    [alert] = wait(lambda browser: [text for text in texts(browser, "[role=alert]") if text], "a message")
    assert "wrong.png" in alert and message in alert
    Image.radial_gradient("L").save(tmp_path / "right.png")
    before = first_query(opened)
    upload(tmp_path / "right.png")
    wait(lambda browser: first_query(browser) != before, "the picture after the message")
    wait(lambda browser: not browser.find_elements(By.CSS_SELECTOR, "[role=alert]"), "the message's end")


def test_the_keyboard_reaches_everything(opened, wait):
    reached = []
    for _ in range(12):
        opened.switch_to.active_element.send_keys(Keys.TAB)
        own = opened.switch_to.active_element
        reached.append((own.tag_name, own.get_attribute("class")))
    kinds = " ".join(f"{tag} {name}" for tag, name in reached)
    assert "button" in kinds and "select" in kinds and "noUi-handle" in kinds
    handle = opened.find_element(By.CSS_SELECTOR, ".noUi-handle")
    handle.send_keys(Keys.ARROW_RIGHT)
    wait(lambda browser: len(browser.find_elements(By.CSS_SELECTOR, ANSWERS)) == 22, "eleven answers of each method")


def test_every_picture_has_words(opened):
    assert all(own.get_attribute("alt") for own in opened.find_elements(By.TAG_NAME, "img"))


@pytest.mark.parametrize(
    "path", ["voila/files/search.ipynb", "voila/files/../../../../../etc/passwd", "files/etc/passwd"]
)
def test_no_file_is_served(path, app):
    with closing(http.client.HTTPConnection(urlsplit(app).netloc)) as connection:
        connection.request("GET", f"/{path}")
        answer = connection.getresponse()
        assert answer.status != 200 and b"root:" not in answer.read()
