"""The site in a browser, on a phone and on a desktop: pages are complete, fit, and load nothing from elsewhere."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

WIDTHS = {"phone": 390, "desktop": 1440}
# The browser refuses what a page asks of another host, and says so in its console, which the fixture `page` reads.
POLICY = "default-src 'self' data: 'unsafe-inline'"
STATE = """return {
  elsewhere: performance.getEntriesByType("resource").map(entry => entry.name).filter(name => !name.startsWith(origin)),
  equations: document.querySelectorAll(".math").length,
  typeset: document.querySelectorAll(".math mjx-container").length,
  wrong: [...document.querySelectorAll("mjx-container [data-mjx-error], mjx-container [fill=red]")].map(
    element => element.closest(".math").textContent),  // not understood, or an unknown command
  missing: [...document.images].filter(image => image.complete && !image.naturalWidth).map(image => image.src),
  width: document.documentElement.scrollWidth,
};"""


class Handler(SimpleHTTPRequestHandler):
    """Serves files with the policy, without a log."""

    def end_headers(self):
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def address(site):
    """Address of the site on a server of this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def opened(page, address):
    """Open a page in a width; returns the browser once equations are typeset."""

    def open_page(name: str, width: int):
        screen = {"width": width, "height": 900, "deviceScaleFactor": 2, "mobile": width < 600}
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        page.get(f"{address}/{name}")
        typeset = "return !window.MathJax || MathJax.startup.promise.then(() => true)"
        WebDriverWait(page, 60).until(lambda browser: browser.execute_script(typeset))
        return page

    yield open_page
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("screen", WIDTHS)
def test_a_page_is_complete_and_fits(name, screen, opened):
    state = opened(name, WIDTHS[screen]).execute_script(STATE)
    assert state["elsewhere"] == state["wrong"] == state["missing"] == []
    assert state["typeset"] == state["equations"] and state["width"] <= WIDTHS[screen]


def test_the_address_of_the_site_leads_to_the_front_page(opened, wait):
    browser = opened("index.html", WIDTHS["desktop"])
    wait(lambda browser: browser.current_url.endswith("/docs/index.html"), "the front page")
    assert browser.find_element(By.TAG_NAME, "h1").text


@pytest.mark.parametrize(("word", "expected"), [("clamp", "notebooks/01_derivation"), ("qsmi_loss", "docs/api/losses")])
def test_search_finds_a_word(word, expected, opened, wait):
    browser = opened("docs/index.html", WIDTHS["desktop"])
    field = browser.find_element(By.CSS_SELECTOR, "input[name=q]")
    field.send_keys(word)
    field.submit()
    wait(lambda browser: browser.find_elements(By.CSS_SELECTOR, f".search a[href*='{expected}']"), expected)
