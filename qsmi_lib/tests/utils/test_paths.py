"""Where results and data go: the variables, else the checkout, else the folder one is in and the user's cache."""

from pathlib import Path

import pytest

from qsmi_lib import datasets
from qsmi_lib.utils import paths


@pytest.fixture
def unset(monkeypatch):
    for name in ("QSMI_DATA", "QSMI_RESULTS"):
        monkeypatch.delenv(name, raising=False)


def test_a_checkout_keeps_its_data_and_results(unset):
    assert paths.is_checkout()
    assert paths.results() == paths.ROOT / "results" and paths.data() == paths.ROOT / "data"
    paths.need_checkout("this")


@pytest.mark.parametrize(
    ("system", "folder"),
    [("linux", ".cache"), ("darwin", "Library/Caches"), ("win32", "AppData/Local")],
)
def test_an_installed_package_takes_the_current_folder_and_the_users_cache(
    unset, monkeypatch, tmp_path, system, folder
):
    monkeypatch.setattr(paths, "ROOT", tmp_path / "site-packages")
    monkeypatch.setattr(paths.sys, "platform", system)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    assert paths.results() == tmp_path / "results"
    assert paths.data() == tmp_path / folder / "qsmi_lib"
    with pytest.raises(FileNotFoundError, match=r"reproduce needs the repository.*clone"):
        paths.need_checkout("reproduce")


def test_the_variables_come_first(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QSMI_RESULTS", "here")
    monkeypatch.setenv("QSMI_DATA", str(tmp_path / "there"))
    paths.export()
    monkeypatch.chdir("/")
    assert paths.results() == tmp_path / "here" and paths.data() == tmp_path / "there"


def test_a_tilde_is_the_home_folder_and_that_of_no_user_stays():
    assert paths.expanded("~/x") == Path.home() / "x"
    assert paths.expanded("~no user/x") == Path("~no user/x")
    with pytest.raises(ValueError, match="unknown data set '~no user/x'"):
        datasets.named("~no user/x")
