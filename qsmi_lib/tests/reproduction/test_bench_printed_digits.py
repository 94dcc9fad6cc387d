"""The benchmark of printed digits: its table, and which answers are right."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qsmi_lib.reproduction.bench import printed_digits as bench
from qsmi_lib.utils import paths

pytest.importorskip("faiss")
OF_MATPLOTLIB = {name: font for name, font in bench.FONTS.items() if font[0] == bench.MATPLOTLIB}


def test_the_benchmark_shows_each_font_and_the_mean_of_the_others(monkeypatch, results):
    monkeypatch.setattr(bench, "SEEDS", (0, 1))
    monkeypatch.setattr(bench, "OF_METHODS", {"itq": {}})
    [first, second] = OF_MATPLOTLIB
    fonts = {first: OF_MATPLOTLIB[first], second: ("some package", OF_MATPLOTLIB[second][1])}
    text = bench.printed_digits(fonts)
    rows = pd.read_csv(results / "benchmarks" / "printed_digits.csv")
    assert rows.columns.tolist() == ["font", "source", "method", "epochs", "seed", "before", "now"] and len(rows) == 4
    assert (rows["now"] > 0.4).all() and (rows["before"] < 0.3).all()  # of ITQ; chance is 0.1
    mean, std = rows.loc[rows["font"] == second, "now"].agg(["mean", "std"])
    assert text.count(f"{mean:.2f} ± {std:.2f} |") >= 2 and "**mean of the fonts from Debian**" in text
    assert (results / "benchmarks" / "printed_digits.md").read_text(encoding="utf-8") == text


def test_a_missing_font_names_its_package():
    with pytest.raises(FileNotFoundError, match=r"font Roboto is missing, expected nowhere\.ttf: install fonts-rob"):
        bench.printed_digits({"Roboto": ("fonts-roboto-unhinted", Path("nowhere.ttf"))})


def test_printed_digits_are_dark_on_white_and_differ():
    images = [np.asarray(bench.printed(path, digit)) for _, path in OF_MATPLOTLIB.values() for digit in range(10)]
    assert len({image.tobytes() for image in images}) == 20
    assert all(image[0].min() == 255 and image.min() < 20 for image in images)


def test_the_committed_table_reaches_what_is_asked():
    rows = pd.read_csv(paths.ROOT / "results" / "benchmarks" / "printed_digits.csv")
    qsmi = rows[(rows["method"] == "QSMI") & (rows["source"] != bench.MATPLOTLIB)]
    assert qsmi["font"].nunique() == 4 and set(qsmi["seed"]) == {0, 1, 2} and set(qsmi["epochs"]) == {15}
    assert qsmi["now"].mean() >= 0.6 and qsmi["before"].mean() < 0.2
