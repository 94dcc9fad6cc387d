"""The app as a person uses it: an upload, answers, the slider, the keyboard, and files that are no pictures."""

import http.client
import io
from contextlib import closing
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

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
    return lambda path: opened.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(path))


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
        (lambda: uncompressed(8500, 8500), "expected at most 200 MB"),
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


def test_a_label_marks_the_answers_and_an_example_takes_the_place_of_a_file(opened, upload, wait, tmp_path):
    marked = len(opened.find_elements(By.CSS_SELECTOR, "img.right, img.wrong"))
    assert marked == 20 and "of 10 right" in opened.find_element(By.TAG_NAME, "h4").text
    Image.radial_gradient("L").save(tmp_path / "mine.png")
    upload(tmp_path / "mine.png")
    wait(
        lambda browser: not browser.find_elements(By.CSS_SELECTOR, "img.right, img.wrong"), "answers of no known label"
    )
    example, shows = (Select(opened.find_element(By.NAME, name)) for name in ("example", "shows"))
    assert example.first_selected_option.text == "none" and shows.first_selected_option.text == "unknown"
    shows.select_by_visible_text("3")
    wait(lambda browser: browser.find_elements(By.CSS_SELECTOR, "img.right, img.wrong"), "marks")
    before = first_query(opened)
    example.select_by_index(2)
    wait(lambda browser: first_query(browser) != before, "the example")
    assert opened.find_element(By.NAME, "picture").get_attribute("value") == ""
    assert example.first_selected_option.text.endswith(f": {shows.first_selected_option.text}")


def test_a_page_that_is_loaded_again_shows_the_first_example(opened, wait):
    Select(opened.find_element(By.NAME, "example")).select_by_index(3)
    opened.refresh()
    wait(lambda browser: len(browser.find_elements(By.CSS_SELECTOR, ANSWERS)) == 20, "ten answers of each method")
    assert Select(opened.find_element(By.NAME, "example")).first_selected_option.text.startswith("1: ")


def test_the_keyboard_reaches_everything(opened, wait):
    reached = set()
    for _ in range(8):
        ActionChains(opened).send_keys(Keys.TAB).perform()
        reached.add(opened.switch_to.active_element.get_attribute("name"))
    assert {"picture", "example", "shows", "count"} <= reached
    opened.find_element(By.NAME, "count").send_keys(Keys.ARROW_RIGHT)
    wait(lambda browser: len(browser.find_elements(By.CSS_SELECTOR, ANSWERS)) == 22, "eleven answers of each method")
    assert opened.find_element(By.TAG_NAME, "output").text == "11"


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


def test_a_page_of_another_host_sees_nothing_of_the_app(chromium, app):
    chromium.get(f"http://evil.example:{urlsplit(app).port}/")  # its name leads to this machine: DNS rebinding
    assert "evil.example" in chromium.find_element(By.CSS_SELECTOR, "[role=alert]").text
    assert not chromium.find_elements(By.CSS_SELECTOR, f"form, {ANSWERS}")
    chromium.get_log("browser")  # the refusal


def test_another_page_cannot_embed_the_app(chromium, app, tmp_path):
    (tmp_path / "hostile.html").write_text(f'<iframe src="{app}"></iframe>')
    chromium.get(f"file://{tmp_path}/hostile.html")
    chromium.switch_to.frame(0)
    assert not chromium.find_elements(By.CSS_SELECTOR, f"form, {ANSWERS}")
    chromium.switch_to.default_content()
    chromium.get_log("browser")  # the refusal
