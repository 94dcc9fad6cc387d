"""The published numbers in data/paper: their form, and some cells as printed."""

import csv
import dataclasses
import re

import pytest

from qsmi_lib.evaluation import Evaluation
from qsmi_lib.methods import METHODS
from qsmi_lib.utils.paths import PUBLISHED as PAPER

HEADER = ["source", "place", "dataset", "method", "bits", "metric", "mean", "std", "note"]
OTHER_HEADERS = {
    "table_11": ["source", "place", "layer", "kernel", "units", "activation"],
    "conventions": [
        "source", "place", "subject", "convention", "denominator", "k", "ties", "empty_balls", "selection", "note",
    ],
}  # fmt: skip
SOURCES = {"paper", "slides", "poster", "uit", "code"}
DATASETS = {"", "fashion_mnist", "cifar10", "nus_wide", "ms_coco", "ilsvrc"}
METRIC = re.compile(
    r"map_11pt|map_at_5000|map_at_10|map_literature|precision_radius2"
    r"|ms_feed_forward|ms_back_propagation|(setting|claim):[a-z0-9_]+"
)
CELLS = [
    ("table_1", {"method": "qmi", "metric": "map_11pt"}, "0.727", "0.008"),
    ("table_1", {"method": "qsmi", "metric": "precision_radius2"}, "0.876", "0.004"),
    ("table_2", {"method": "dsh", "bits": "12"}, "0.761", "0.02"),
    ("table_2", {"method": "qsmi", "bits": "48"}, "0.861", "0.01"),
    ("table_3", {"method": "dpsh", "bits": "8"}, "0.776", ""),
    ("table_5", {"method": "mihash", "bits": "32"}, "0.776", ""),
    ("table_7", {"method": "dch", "bits": "48"}, "0.902", "0.005"),
    ("table_8", {"method": "csq_qsmi", "bits": "64", "dataset": "nus_wide"}, "0.842", ""),
    ("table_9", {"method": "qsmi_u", "bits": "36"}, "0.682", "0.144"),
    ("slides_table_iv", {"method": "qsmi", "bits": "24"}, "0.857", "0.004"),
    ("uit_table_1", {"bits": "16", "note": "hash tables 16"}, "0.6940", ""),
]


def read(name):
    with open(PAPER / f"{name}.csv", newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert all(len(row) == len(header) for row in rows)
    return header, [dict(zip(header, row, strict=True)) for row in rows]


@pytest.mark.parametrize("name", sorted(path.stem for path in PAPER.glob("*.csv")))
def test_form(name):
    header, rows = read(name)
    assert header == OTHER_HEADERS.get(name, HEADER) and rows
    assert all(row["source"] in SOURCES and row["place"] for row in rows)
    if name in OTHER_HEADERS:
        return
    keys = [tuple(row[column] for column in HEADER[:6]) for row in rows]
    assert len(set(keys)) == len(keys)
    for row in rows:
        assert row["dataset"] in DATASETS and row["method"] in {*METHODS, "", "all"}
        assert re.fullmatch(r"\d*", row["bits"]) and METRIC.fullmatch(row["metric"])
        assert float(row["mean"]) >= 0 and float(row["std"] or 0) >= 0
        if row["metric"].startswith(("map", "precision")):
            assert float(row["mean"]) < 1


@pytest.mark.parametrize(("name", "key", "mean", "std"), CELLS)
def test_cells_as_printed(name, key, mean, std):
    rows = [row for row in read(name)[1] if all(row[column] == value for column, value in key.items())]
    assert [(row["mean"], row["std"]) for row in rows] == [(mean, std)]


def test_conventions_say_something_of_every_table_and_of_every_quoted_method():
    _, rows = read("conventions")
    subjects = [row["subject"] for row in rows]
    assert len(set(subjects)) == len(subjects)
    assert {name.split(",")[0] for name in subjects if name.startswith("Table")} == {f"Table {n}" for n in range(1, 10)}
    quoted = {row["method"] for n in (5, 8) for row in read(f"table_{n}")[1] if row["metric"] != "map_11pt"}
    assert quoted - {"csq_qsmi"} <= {name.lower() for name in subjects}
    assert all(row[column] for row in rows for column in OTHER_HEADERS["conventions"])


def test_conventions_use_the_names_of_the_fields():
    fields = {field.name for field in dataclasses.fields(Evaluation)} | {"none", "map_literature", "map_at_5000"}
    divisors = re.compile(r"(R|min\(R, k\)|hits|none|not stated)([,;(]| \(|$)")
    for row in read("conventions")[1]:
        assert row["convention"] in fields
        assert divisors.match(row["denominator"]), row["denominator"]
