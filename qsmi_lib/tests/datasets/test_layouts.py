"""Every layout of data sets in `layouts`: its labels and parts as expected, or a fault that names file and remedy."""

import os
from functools import partial
from types import SimpleNamespace

import hypothesis.strategies as st
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings

from qsmi_lib.cli import main
from qsmi_lib.datasets.images import labels, lookup, manifest
from qsmi_lib.datasets.images.check import inspect
from qsmi_lib.datasets.images.dataset import PictureSet
from qsmi_lib.datasets.images.entries import Item
from qsmi_lib.datasets.images.listing import listing
from qsmi_lib.datasets.images.lookup import Files
from qsmi_lib.tests.datasets.layouts import LAYOUTS, matlab
from qsmi_lib.tests.datasets.small_pictures import WRITERS, write_folder

each_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


def label_names(items):
    """Path -> the names of its labels, separated by commas."""
    rows = [np.flatnonzero(row) if items.labels.ndim == 2 else [row] for row in items.labels]
    named = (", ".join(sorted(items.classes[label] for label in row)) for row in rows)
    return dict(zip(items.paths, named, strict=True))


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@each_layout
def test_a_layout_is_read_or_its_fault_is_named(tmp_path, write, layout):
    if layout.path and write is not WRITERS["folder"]:
        pytest.skip("a list by its path lies in a folder")
    place = write(tmp_path / "own", layout.files, *(["own/"] if write is WRITERS["zip"] else []))
    source = place / layout.path if layout.path else place
    command = ["datasets", "check", str(source), *(["--labels", layout.choice] if layout.choice else [])]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == bool(layout.fault), result.output
    if layout.fault:
        faults = [line for line in result.output.splitlines() if line.startswith(("fault", "Error"))]
        assert len(faults) == 1 and all(words in faults[0] for words in layout.fault.split("|")), result.output
    if layout.labels:
        report = inspect(source, layout.choice)
        items = report.manifest
        assert label_names(items) == layout.labels
        parts = {part: {items.paths[row] for row in rows} for part, rows in items.parts.items()}
        assert parts == {part: set(paths) for part, paths in layout.parts.items()}
        assert items.how in result.output and all(f"item   {line}\n" in result.output for line in items.shown)
        assert len(items.shown) == min(3, len(items))
        notes = "\n".join(map(str, report.notes))
        assert all(words in notes for words in layout.note.split("|")), notes
        assert manifest.read(source, layout.choice).fingerprint == items.fingerprint


# Bounds, and what else must not pass silently

NAMES = ("x/0.jpg", "x/1.jpg", "y/2.jpg", "y/3.jpg")
BOMBS = {
    "JSON of many brackets": ({"labels.json": "[" * 100_000 + "]" * 100_000}, "labels.json"),
    "COCO of many brackets": (
        {
            "instances_train.json": '{"images": [], "annotations": [], "categories": '
            + "[" * 100_000
            + "]" * 100_000
            + "}"
        },
        "instances_train.json",
    ),
    "a header of many columns": ({"labels.csv": "file" + ",a" * 200_000 + "\nx/0.jpg,1\nx/1.jpg,0\n"}, "labels.csv"),
    "rows of many columns": (
        {"labels.txt": "".join(f"{name}{' 1' * 200_000}\n" for name in NAMES)},
        "labels.txt",
    ),
    "a line of many paths": ({"labels.txt": "a.jpg " * 500_000}, "labels.txt"),
    "a cell array of MATLAB": ({"imagelabels.mat": matlab(labels=np.array([[1], ["a"]], object))}, "imagelabels.mat"),
}


@pytest.mark.parametrize(("texts", "file"), BOMBS.values(), ids=BOMBS)
def test_an_absurd_file_is_one_fault(tmp_path, texts, file):
    items = manifest.read(write_folder(tmp_path / "own", dict.fromkeys(NAMES, b"") | texts))
    (fault,) = items.faults
    assert str(fault).startswith(file) and "expected" in str(fault) and len(str(fault)) < 600


def test_a_list_above_the_limit_is_not_read(tmp_path, monkeypatch):
    source = write_folder(tmp_path / "own", dict.fromkeys(NAMES, b"") | {"labels.csv": "x/0.jpg,cat\n" * 4})
    monkeypatch.setattr(lookup, "MOST_MEGABYTES", 0)
    (fault,) = manifest.read(source).faults
    assert fault.where == "labels.csv" and "expected at most 0 MB" in fault.what


def test_texts_of_pictures_are_not_read_one_by_one(tmp_path, monkeypatch):
    texts = {f"x/{number}.txt": "0 0.5 0.5 0.1 0.1\n" for number in range(4)}
    source = write_folder(tmp_path / "own", dict.fromkeys(NAMES, b"") | texts)
    monkeypatch.setattr(lookup, "MOST_LISTS", 3)
    items = manifest.read(source)
    assert not items.faults and items.classes == ("x", "y")
    assert "4 files are not read" in "\n".join(map(str, items.notes))


def test_a_changed_list_in_a_folder_below_is_read_again(tmp_path):
    files = dict.fromkeys(NAMES, b"") | {
        "lists/train.txt": "x/0.jpg cat\ny/2.jpg dog\n",
        "lists/test.txt": "x/1.jpg cat\n",
    }
    source = write_folder(tmp_path / "own", files)
    first = PictureSet(str(source), at=source).manifest()
    write_folder(source, {"lists/test.txt": "x/1.jpg dog\n"})
    os.utime(source / "lists/test.txt", ns=(1, 1))
    assert PictureSet(str(source), at=source).manifest().fingerprint != first.fingerprint


@pytest.mark.parametrize("path", ["", "labels.csv"])
@pytest.mark.parametrize("folder", ["cat", "train/cat", "train/dog/empty", "train/new"])
def test_a_picture_that_is_added_in_any_folder_is_seen(tmp_path, folder, path):
    names = [f"{'train/' * ('/' in folder)}{kind}/{number}.jpg" for kind in ("cat", "dog") for number in (1, 2)]
    listed = dict(zip([*names, f"{folder}/new.jpg"], ["cat", "cat", "dog", "dog", "cat"], strict=True))
    table = "file,label\n" + "".join(f"{name},{kind}\n" for name, kind in listed.items())
    source = write_folder(tmp_path / "own", dict.fromkeys(names, b"") | {"labels.csv": table})
    (source / "train/dog/empty").mkdir(parents=True)
    for place in [source, *source.rglob("*")]:
        os.utime(place, ns=(1, 1))
    data = PictureSet(str(source), at=source / path)
    with pytest.raises(ValueError, match=r"new\.jpg is not there"):
        data.manifest()
    write_folder(source, {f"{folder}/new.jpg": b""})
    assert len(data.manifest()) == 5


CELLS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(["0", "1", "-1", "cat", "dog", "7", "2"])), min_size=3
)


@given(CELLS, st.sampled_from([",", ";", "\t", " "]), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]), st.booleans())
@settings(max_examples=40)
def test_one_column_means_the_same_in_every_form(rows, mark, encoding, header):
    """Values are numbers where all are, and names otherwise; 0 and 1 alone, and -1 beside others, are refused."""
    rows = list(dict(rows).items())
    text = "".join(f"{path}{mark}{value}\n" for path, value in ([("file", "class")] if header else []) + rows)
    read = partial(labels_of, text.encode(encoding))
    values = [value for _, value in rows]
    whole = all(value.lstrip("-").isdecimal() for value in values)
    if (not header and set(values) <= {"0", "1"}) or (not header and set(values) <= {"1", "-1"}):
        with pytest.raises(ValueError, match="--labels index"):
            read()
        assert read("index") == dict(rows)
    elif len(rows) > 2 and 2 * sum(values.count(value) == 1 for value in values) > len(rows):
        with pytest.raises(ValueError, match="class of their own"):
            read()
    elif whole and "-1" in values and len(set(values)) > 2:
        with pytest.raises(ValueError, match="--labels index"):
            read()
        assert read("index") == dict(rows)
    else:
        assert read() == dict(rows)


def labels_of(raw, choice=""):
    """What `labels` makes of the list `raw`."""
    files = Files(SimpleNamespace(names=lambda: iter(NAMES), source="own"))
    reading = labels.read([("", listing("all.txt", raw, files))], files, choice)
    return {entry.path: str(entry.labels) for _, entry in reading.entries if isinstance(entry, Item)}
