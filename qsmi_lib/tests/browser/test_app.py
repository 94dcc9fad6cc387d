"""The app as a person uses it: by mouse and keyboard, on a desktop and on a phone, with pictures and other files."""

import base64
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

ANSWERS, MARKED = "ol.qsmi-row li", ".qsmi-card:is(.right, .wrong)"
# Without a screen nothing is dropped or pasted: the event of one, with a picture.
GIVE = """
const [event, name, content] = arguments;
const given = new DataTransfer();
given.items.add(new File([Uint8Array.from(atob(content), (byte) => byte.charCodeAt())], name));
const kinds = {
  drop: () => new DragEvent("drop", { dataTransfer: given, bubbles: true }),
  paste: () => new ClipboardEvent("paste", { clipboardData: given, bubbles: true }),
};
document.body.dispatchEvent(kinds[event]());
"""


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
    assert texts(opened, "h3") == ["Query: mine.png", "QSMI", "ITQ"]
    distances = [own.text.splitlines()[1] for own in opened.find_elements(By.CSS_SELECTOR, ANSWERS)[:10]]
    assert distances == sorted(distances, key=lambda text: int(text.split()[0])) and "of 16 bits" in distances[0]
    named = opened.find_element(By.CSS_SELECTOR, ".qsmi-bits").get_attribute("aria-label")
    assert named.startswith("differing bits: ")


def texts(opened, selector):
    return [own.text for own in opened.find_elements(By.CSS_SELECTOR, selector)]


def png(image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def animated() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "GIF", save_all=True, append_images=[Image.new("RGB", (8, 8), "red")])
    return buffer.getvalue()


def huge() -> bytes:
    return png(Image.new("1", (10_000, 10_000)))


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


def example(opened):
    """The example that is chosen, or None."""
    chosen = opened.find_elements(By.CSS_SELECTOR, "[name=example]:checked")
    return int(chosen[0].get_attribute("value")) if chosen else None


def test_a_label_marks_the_answers_and_an_example_takes_the_place_of_a_file(opened, upload, wait, tmp_path):
    assert len(opened.find_elements(By.CSS_SELECTOR, MARKED)) == 20 and "of 10 right" in texts(opened, "h3")[1]
    Image.radial_gradient("L").save(tmp_path / "mine.png")
    upload(tmp_path / "mine.png")
    wait(lambda browser: not browser.find_elements(By.CSS_SELECTOR, MARKED), "answers of no known label")
    shows = Select(opened.find_element(By.NAME, "shows"))
    assert example(opened) is None and shows.first_selected_option.text == "unknown"
    shows.select_by_visible_text("3")
    wait(lambda browser: browser.find_elements(By.CSS_SELECTOR, MARKED), "marks")
    before, chosen = first_query(opened), opened.find_elements(By.NAME, "example")[2]
    chosen.click()
    wait(lambda browser: first_query(browser) != before, "the example")
    assert opened.find_element(By.NAME, "picture").get_attribute("value") == ""
    assert shows.first_selected_option.text == chosen.get_attribute("data-shows") == texts(opened, "h3")[0][-1]


def test_a_page_that_is_loaded_again_shows_the_first_example(opened):
    before = first_query(opened)
    opened.find_elements(By.NAME, "example")[3].click()
    opened.refresh()
    assert example(opened) == 0 and first_query(opened) == before


def test_a_picture_is_dropped_and_pasted(opened, wait, tmp_path):
    for event, name in (("drop", "dropped.png"), ("paste", "pasted.png")):
        opened.execute_script(GIVE, event, name, base64.b64encode(png(Image.radial_gradient("L"))).decode())
        wait(lambda browser, name=name: texts(browser, "h3")[0] == f"Query: {name}", event)
        assert opened.find_element(By.NAME, "picture").get_attribute("value").endswith(name)


def press(opened, *keys):
    ActionChains(opened).send_keys(*keys).perform()


def focused(opened):
    """The element that has the focus, which is to be seen."""
    element = opened.switch_to.active_element
    shown = element if element.get_attribute("name") != "example" else element.find_element(By.XPATH, "..//img")
    assert shown.value_of_css_property("outline-style") == "solid" and shown.is_displayed()
    return element.get_attribute("name") or element.text


def test_everything_is_done_by_the_keyboard_alone(opened, wait):
    press(opened, Keys.TAB)
    assert focused(opened) == "Skip to the answers"
    press(opened, Keys.ENTER)
    assert opened.switch_to.active_element.get_attribute("id") == "answers"
    opened.refresh()
    stops = []
    for _ in range(5):
        press(opened, Keys.TAB)
        stops.append(focused(opened))
    assert stops[1:] == ["picture", "shows", "count", "example"]  # one stop for all examples
    before = first_query(opened)
    press(opened, Keys.ARROW_RIGHT)
    wait(lambda browser: first_query(browser) != before, "the next example")
    assert example(opened) == 1
    press(opened, Keys.ENTER)  # nothing is sent as a form
    ActionChains(opened).key_down(Keys.SHIFT).send_keys(Keys.TAB).key_up(Keys.SHIFT).perform()
    press(opened, Keys.ARROW_RIGHT)
    wait(lambda browser: len(browser.find_elements(By.CSS_SELECTOR, ANSWERS)) == 22, "eleven answers of each method")
    assert opened.find_element(By.TAG_NAME, "output").text == "11"
    ActionChains(opened).key_down(Keys.SHIFT).send_keys(Keys.TAB).key_up(Keys.SHIFT).perform()
    press(opened, "3")
    wait(lambda browser: "labelled 3" in texts(browser, "ul.qsmi-row li")[0], "marks for another label")
    said = opened.find_element(By.CSS_SELECTOR, "[role=status]").get_attribute("textContent")
    assert said.startswith("Query: ") and "of 11 right" in said


def test_a_phone_needs_no_scrolling_to_the_side(opened, upload, wait, tmp_path):
    screen = {"width": 375, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        name = "a-very-long-name-without-a-space" * 5 + ".png"
        Image.radial_gradient("L").resize((600, 100)).save(tmp_path / name)
        upload(tmp_path / name)
        wait(lambda browser: name in texts(browser, "h3")[0], "the long name")
        widths = "return [document.documentElement.scrollWidth, innerWidth]"
        assert opened.execute_script(widths) == [375, 375]
        controls = opened.find_elements(By.CSS_SELECTOR, "input:not([type=radio]), select, .strip label")
        assert min(control.rect["height"] for control in controls) >= 40  # to be hit by a finger
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_it_says_that_it_searches_and_that_the_app_has_ended(opened, wait):
    opened.execute_script("window.fetch = () => new Promise((_, refused) => setTimeout(refused, 1500))")
    opened.find_elements(By.NAME, "example")[1].click()
    wait(lambda browser: texts(browser, "[role=status]") == ["Searching …"], "a line while it searches")
    [alert] = wait(lambda browser: texts(browser, "[role=alert]"), "a message")
    assert "start it again with `qsmi app`" in alert and not opened.find_elements(By.CSS_SELECTOR, "[aria-busy=true]")


def test_every_picture_and_control_has_words(opened):
    assert all(own.get_attribute("alt") for own in opened.find_elements(By.TAG_NAME, "img"))
    controls = opened.find_elements(By.CSS_SELECTOR, "input, select, #answers")
    names = [own.accessible_name for own in controls]
    assert (
        names[:4] == ["Your picture", "It shows (optional)", "Answers", "0"] and names[-1] == "Answers" and all(names)
    )


def test_an_index_of_photographs_is_searched(page, index_app, wait):
    address, folder = index_app
    page.get(address)
    names = [own.get_attribute("alt") for own in page.find_elements(By.CSS_SELECTOR, f"{ANSWERS} img")]
    query = texts(page, "h3")[0].removeprefix("Query: ")
    assert len(names) == 10 and query not in names and len(page.find_elements(By.CSS_SELECTOR, MARKED)) == 10
    page.find_element(By.CSS_SELECTOR, "input[type=file]").send_keys(str(folder / names[0]))
    wait(lambda browser: texts(browser, "h3")[0] == f"Query: {names[0].split('/')[1]}", "the upload")
    again = page.find_elements(By.CSS_SELECTOR, f"{ANSWERS} img")
    assert names[0] in [own.get_attribute("alt") for own in again] and not page.find_elements(By.CSS_SELECTOR, MARKED)
    sides = page.execute_script("return arguments[0].map((image) => [image.naturalWidth, image.naturalHeight])", again)
    assert all(150 < max(side) <= 320 for side in sides) and any(width != height for width, height in sides)


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
