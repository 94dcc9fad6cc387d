"""The published numbers in data/paper: form, counts and well-known cells."""

import csv
import dataclasses
import re

import pytest

from qsmi_lib.evaluation import Evaluation
from qsmi_lib.utils.paths import PUBLISHED as PAPER

HEADER = ["source", "place", "dataset", "method", "bits", "metric", "mean", "std", "note"]
OTHER_HEADERS = {
    "table_11": ["source", "place", "layer", "kernel", "units", "activation"],
    "conventions": [
        "source", "place", "subject", "convention", "denominator", "k", "ties", "empty_balls", "selection", "note",
    ],
}  # fmt: skip
ROWS = {
    "table_1": 6, "table_2": 12, "table_3": 15, "table_4": 6, "table_5": 24, "table_6": 15,
    "table_7": 12, "table_8": 28, "table_9": 9, "table_10": 20, "table_11": 5,
    "slides_table_iv": 6, "slides_table_v": 10, "slides_cifar10_comparison": 24, "slides_nus_wide": 15,
    "uit_table_1": 6, "uit_table_2": 6, "uit_script": 6, "uit_settings": 16, "text": 95, "figures": 12,
    "conventions": 23,
}  # fmt: skip
SOURCES = {"paper", "slides", "poster", "uit", "code"}
DATASETS = {"", "fashion_mnist", "cifar10", "nus_wide", "ms_coco", "ilsvrc"}
METHODS = {
    "", "all", "qmi", "qmi_clamped", "qsmi", "qsmi_u", "dsh", "dpsh", "dch", "csq", "csq_qsmi", "hashnet",
    "dhn", "mihash", "dnnh", "cnnh", "pgdh", "hashgan", "spring", "lsh",
}  # fmt: skip
METRIC = re.compile(
    r"map_11pt|map_at_5000|map_at_10|map_literature|precision_radius2"
    r"|ms_feed_forward|ms_back_propagation|(setting|claim):[a-z0-9_]+"
)
CELLS = [
    ("table_1", "qmi", 48, "map_11pt", "0.727", "0.008"),
    ("table_1", "qmi", 48, "precision_radius2", "0.674", "0.021"),
    ("table_1", "qmi_clamped", 48, "map_11pt", "0.816", "0.009"),
    ("table_1", "qmi_clamped", 48, "precision_radius2", "0.864", "0.010"),
    ("table_1", "qsmi", 48, "map_11pt", "0.861", "0.004"),
    ("table_1", "qsmi", 48, "precision_radius2", "0.876", "0.004"),
    ("table_2", "dsh", 12, "map_11pt", "0.761", "0.02"),
    ("table_2", "dsh", 48, "map_11pt", "0.819", "0.01"),
    ("table_2", "qsmi", 12, "map_11pt", "0.842", "0.01"),
    ("table_2", "qsmi", 48, "map_11pt", "0.861", "0.01"),
    ("table_3", "dpsh", 8, "map_11pt", "0.776", ""),
    ("table_5", "qsmi", 64, "map_11pt", "0.780", ""),
    ("table_5", "mihash", 32, "map_literature", "0.776", ""),
    ("table_7", "dch", 48, "map_11pt", "0.902", "0.005"),
    ("table_9", "qsmi_u", 36, "map_11pt", "0.682", "0.144"),
    ("slides_table_iv", "qsmi", 24, "map_11pt", "0.857", "0.004"),
]
CELLS_OF_TWO = [  # these tables need one more key: the data set, or the table's row
    ("table_8", "ms_coco", "cnnh", 32, "0.617"),
    ("table_8", "nus_wide", "cnnh", 64, "0.647"),
    ("table_8", "ms_coco", "csq_qsmi", 32, "0.854"),
    ("table_8", "nus_wide", "csq_qsmi", 64, "0.842"),
    ("uit_table_1", "row 8 hash tables", "lsh", 8, "0.6223"),
    ("uit_table_1", "row 8 hash tables", "lsh", 16, "0.6494"),
    ("uit_table_1", "row 16 hash tables", "lsh", 8, "0.6775"),
    ("uit_table_1", "row 16 hash tables", "lsh", 16, "0.6940"),
    ("uit_table_2", "row regularizer 0.01", "dsh", 16, "0.7801"),
]


def read(name):
    with open(PAPER / f"{name}.csv", newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert all(len(row) == len(header) for row in rows)
    return header, [dict(zip(header, row, strict=True)) for row in rows]


def test_every_file_is_counted():
    assert {path.stem for path in PAPER.glob("*.csv")} == set(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_form(name):
    header, rows = read(name)
    assert header == OTHER_HEADERS.get(name, HEADER)
    assert len(rows) == ROWS[name]
    assert all(row["source"] in SOURCES and row["place"] for row in rows)
    if name in OTHER_HEADERS:
        return
    keys = [tuple(row[column] for column in HEADER[:6]) for row in rows]
    assert len(set(keys)) == len(keys)
    for row in rows:
        assert row["dataset"] in DATASETS and row["method"] in METHODS
        assert re.fullmatch(r"\d*", row["bits"]) and METRIC.fullmatch(row["metric"])
        assert float(row["mean"]) >= 0 and float(row["std"] or 0) >= 0
        if row["metric"].startswith(("map", "precision")):
            assert float(row["mean"]) < 1


@pytest.mark.parametrize(("name", "method", "bits", "metric", "mean", "std"), CELLS)
def test_cell(name, method, bits, metric, mean, std):
    key = (method, str(bits), metric)
    found = [(r["mean"], r["std"]) for r in read(name)[1] if (r["method"], r["bits"], r["metric"]) == key]
    assert found == [(mean, std)]


@pytest.mark.parametrize(("name", "key", "method", "bits", "mean"), CELLS_OF_TWO)
def test_cell_of_two(name, key, method, bits, mean):
    rows = [r for r in read(name)[1] if r["dataset"] == key or key in r["place"]]
    assert [r["mean"] for r in rows if (r["method"], r["bits"]) == (method, str(bits))] == [mean]


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
