"""The site that `make site` built, its pages as parsed, and the browser of the other tests."""

import pytest

from qsmi_lib.tests.browser.conftest import chromium, page, wait  # noqa: F401
from qsmi_lib.tests.site.pages import PAGES, SITE


@pytest.fixture(scope="session")
def site():
    """The folder of the site."""
    if not SITE.is_dir():
        pytest.skip("no site here: make site")
    return SITE


def pytest_generate_tests(metafunc):
    """A test that takes `name` runs for each page."""
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", PAGES or [pytest.param("", marks=pytest.mark.skip("no site here: make site"))])
