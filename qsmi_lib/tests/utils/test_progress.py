"""Progress of long computations: what is done, of how much, and the time left, with and without a terminal."""

import pytest

from qsmi_lib.utils import progress


@pytest.fixture
def lines(monkeypatch, capsys):
    """A function that returns the lines on standard error; there is one for every item."""
    monkeypatch.delenv("QSMI_HEADLESS")
    monkeypatch.setattr(progress, "watched", lambda: False)
    monkeypatch.setattr(progress, "EVERY", 0.0)
    return lambda: capsys.readouterr().err.splitlines()


def test_lines_count_items(lines):
    assert list(progress.bar("abc", "reading")) == ["a", "b", "c"]
    assert [line.partition(",")[0] for line in lines()] == ["reading: 1 of 3 items", "reading: 2 of 3 items"]


def test_lines_count_what_items_hold_and_go_on_where_an_earlier_call_ended(lines):
    assert list(progress.bar(["ab", "cd", "e"], "reading", size=len, total=15, initial=10, unit="letter"))
    assert [line.partition(",")[0] for line in lines()] == ["reading: 12 of 15 letters", "reading: 14 of 15 letters"]


def test_the_time_left_is_that_at_the_speed_of_this_call(lines, monkeypatch):
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    list(progress.bar(["ab", "cd", "e"], "reading", size=len, total=105, initial=100))
    assert lines()[0].endswith("102 of 105 items, about 30 s left")  # two took 20 s


@pytest.mark.parametrize("size", [len, lambda _: 1])
def test_a_terminal_shows_the_same_numbers(monkeypatch, size):
    displays = []

    class Display(progress.tqdm):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            displays.append(self)

    monkeypatch.delenv("QSMI_HEADLESS")
    monkeypatch.setattr(progress, "watched", lambda: True)
    monkeypatch.setattr(progress, "tqdm", Display)
    items = ["ab", "cd", "e"]
    assert list(progress.bar(items, "reading", size=size, initial=4)) == items
    assert displays[0].n == 4 + sum(map(size, items))
