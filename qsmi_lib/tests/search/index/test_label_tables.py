"""The labels of vectors: tables that are understood, and tables that are refused with the file and the remedy."""

import numpy as np
import pandas as pd
import pytest

from qsmi_lib.search.index.label_tables import SUFFIXES, read_labels
from qsmi_lib.search.index.sources import Vectors

ANIMALS = ["cat", "dog", "", "cat"]
BOTH = ["cat, dog", "dog", "", "cat"]

# Name -> file, content, labels of the four vectors
TEXTS = {
    "names": ("a.txt", "cat\ndog\n\ncat\n", ANIMALS),
    "names with blanks": ("a.txt", "big cat\ndog\n\nbig cat\n", ["big cat", "dog", "", "big cat"]),
    "a header": ("a.csv", "label\ncat\ndog\n\ncat\n", ANIMALS),
    "quotes and Windows": ("a.csv", '\ufefflabel\r\n"cat"\r\ndog\r\n""\r\ncat\r\n', ANIMALS),
    "numbers": ("a.csv", "3\n1\n3\n1", ["3", "1", "3", "1"]),
    "whole numbers as floats": ("a.csv", "3.0\n1.0\n\n1.0", ["3", "1", "", "1"]),
    "-1 and 1 are classes": ("a.csv", "-1\n1\n1\n-1", ["-1", "1", "1", "-1"]),
    "0 and 1 are classes": ("a.csv", "0\n1\n1\n0", ["0", "1", "1", "0"]),
    "0 and 1 below a header": ("a.csv", "target\n0\n1\n1\n0", ["0", "1", "1", "0"]),
    "a comment": ("a.txt", "# by hand\ncat\ndog\n\ncat", ANIMALS),
    "names beside": ("a.csv", "file,label\na.jpg,cat\nb.jpg,dog\nc.jpg,\nd.jpg,cat", ANIMALS),
    "row numbers of pandas": ("a.csv", ",class\n0,cat\n1,dog\n2,\n3,cat", ANIMALS),
    "semicolons": ("a.csv", "name;class\na;cat\nb;dog\nc;\nd;cat", ANIMALS),
    "tabs": ("a.tsv", "name\tlabel\na\tcat\nb\tdog\nc\t\nd\tcat", ANIMALS),
    "bars in a cell": ("a.txt", "cat|dog\ndog\n\ncat", BOTH),
    "bars in each cell": ("a.txt", "cat|dog\ndog|cat\nfox|cat\nb|d", ["cat, dog", "cat, dog", "cat, fox", "b, d"]),
    "commas in a cell": ("a.csv", 'tags\n"cat,dog"\ndog\n""\ncat', BOTH),
    "semicolons in a cell": ("a.csv", "labels\ncat;dog\ndog\n\ncat", BOTH),
    "0 and 1": ("a.csv", "cat,dog\n1,1\n0,1\n0,0\n1,0", BOTH),
    "0 and 1 beside a name": ("a.csv", "image,cat,dog\na,1,1\nb,0,1\nc,0,0\nd,1,0", BOTH),
    "0 and 1 without header": ("a.txt", "1 1\n0 1\n0 0\n1 0\n", ["0, 1", "1", "", "0"]),
    "-1 and 1": ("a.csv", "cat,dog\n1,1\n-1,1\n-1,-1\n1,-1", BOTH),
}  # fmt: skip
ARRAYS = {
    "numbers": (np.array([3, 1, 3, 1]), ["3", "1", "3", "1"]),
    "one column": (np.array([[3], [1], [3], [1]], np.uint8), ["3", "1", "3", "1"]),
    "floats": (np.array([3.0, 1.0, 3.0, 1.0]), ["3", "1", "3", "1"]),
    "text": (np.array(["cat", "dog", "", "cat"]), ANIMALS),
    "0 and 1": (np.array([[1, 1], [0, 1], [0, 0], [1, 0]]), ["0, 1", "1", "", "0"]),
    "truth values": (np.array([[1, 1], [0, 1], [0, 0], [1, 0]], bool), ["0, 1", "1", "", "0"]),
}
FRAMES = {
    "names": ({"label": ["cat", "dog", None, "cat"]}, ANIMALS),
    "categories": ({"label": pd.Categorical(["cat", "dog", None, "cat"]), "name": list("abcd")}, ANIMALS),
    "numbers with a gap": ({"class": [3, 1, None, 1]}, ["3", "1", "", "1"]),
    "lists": ({"labels": [["cat", "dog"], ["dog"], [], ["cat"]]}, BOTH),
    "0 and 1": ({"cat": [1, 0, 0, 1], "dog": [True, True, False, False]}, BOTH),
    "beside numbers": ({"x": [0, 1, 0, 1], "y": [1, 1, 0, 0], "label": ["cat", "dog", None, "cat"]}, ANIMALS),
    "beside vectors": ({"vector": [[1.0, 2.0]] * 4, "label": ["cat", "dog", None, "cat"]}, ANIMALS),
}
FAULTS = {
    "too few": ("a.csv", "cat\ndog\n", "2 rows|4 vectors"),
    "too many": ("a.csv", "kind\ncat\ndog\ndog\ncat\n", "5 rows|4 vectors|'label'"),
    "one class": ("a.csv", "cat\ncat\n\ncat\n", "cat|two classes"),
    "no label": ("a.csv", 'label\n""\n""\n""\n""', "no label|two classes"),
    "empty": ("a.csv", "", "no rows"),
    "a blank line at the end": ("a.csv", "cat\ndog\nfox\ncat\n\n", "a.csv:5|blank line|remove"),
    "a class each": ("a.csv", "a.jpg\nb.jpg\nc.jpg\na.jpg2\n", "class of their own"),
    "columns of words": ("a.csv", "a,cat\nb,dog\na,dog\nb,cat\na,cat", "'label'"),
    "several names or one": ("a.txt", '"cat, dog"\ndog\ncat\ndog', "'tags'|'label'"),
    "cells that need quotes": ("a.csv", "label\ncat,dog\ndog\ncat\ncat", "a.csv:2|quotes"),
    "no label or a class": ("a.csv", "0\n-1\n1\n1", "-1|empty"),
    "missing": ("a.csv", "cat\ndog\nnan\ncat", "'nan'"),
    "fractions": ("a.csv", "0.5\n0.25\n0.5\n0.5", "0.5"),
    "a wrong cell": ("a.csv", "cat,dog\n1,0\n1,2\n0,1\n1,1", "a.csv:3|'2'"),
    "capitals": ("a.csv", "cat\nCat\ndog\ndog", "'Cat'|alike"),
    "no text": ("a.csv", "cat\ndog\n\udc80\ncat", "UTF-8"),
    "an open quote": ("a.csv", 'cat\n"dog\ncat\ndog', "a.csv"),
    "another kind": ("a.xlsx", "cat\ndog\ndog\ncat", f"a.xlsx|{SUFFIXES[0]}|CSV"),
    "names alone": ("a.csv", "file,split\na,train\nb,train\nc,test\nd,test", "no column of labels|'label'"),
}


def shown(labels):
    return [", ".join(sorted(names)) for names in labels]


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_understood(tmp_path, name):
    file, content, expected = TEXTS[name]
    (tmp_path / file).write_text(content, encoding="utf-8", newline="")
    assert shown(read_labels(tmp_path / file, 4)) == expected


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_is_understood(tmp_path, name):
    array, expected = ARRAYS[name]
    np.save(tmp_path / "a.npy", array)
    assert shown(read_labels(tmp_path / "a.npy", 4)) == expected


@pytest.mark.parametrize("name", FRAMES)
def test_a_parquet_file_is_understood(tmp_path, name):
    pytest.importorskip("pyarrow")
    frame, expected = FRAMES[name]
    pd.DataFrame(frame).to_parquet(tmp_path / "a.parquet")
    assert shown(read_labels(tmp_path / "a.parquet", 4)) == expected


@pytest.mark.parametrize("name", FAULTS)
def test_a_table_is_refused_with_its_fault(tmp_path, name):
    file, content, words = FAULTS[name]
    (tmp_path / file).write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ValueError) as raised:
        read_labels(tmp_path / file, 4)
    message = str(raised.value)
    assert all(word in message for word in [file, *words.split("|")]) and "\n" not in message


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.array([0, 1, 1]), "3 rows|4 vectors"),
        (np.array([[0, 1], [1, 0], [1, 1]]), "3 rows|4 vectors"),
        (np.array([[0, 2], [1, 0], [1, 1], [0, 1]]), "numpy.save"),
        (np.array([0.5, 1, 1, 0]), "whole numbers"),
        (np.array([7, 7, 7, 7]), "7|two classes"),
        (np.array([0, -1, 1, 1]), "-1|empty"),
        (np.zeros((4, 2, 2)), "numpy.save"),
        (np.array([{}] * 4), "numpy.save"),
    ],
)
def test_an_array_is_refused_with_its_fault(tmp_path, array, words):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ValueError) as raised:
        read_labels(tmp_path / "a.npy", 4)
    assert all(word in str(raised.value) for word in ["a.npy", *words.split("|")])


def test_a_missing_table_is_named(tmp_path):
    for suffix in SUFFIXES:
        with pytest.raises(FileNotFoundError, match=f"a{suffix}"):
            read_labels(tmp_path / f"a{suffix}", 4)


def test_labels_beside_vectors_that_are_not_read_are_noted(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"
    pd.DataFrame({"v": [[1.0, 2.0], [2.0, 1.0]], "Label": ["cat", "dog"]}).to_parquet(path)
    [note] = Vectors.read(path).notes
    assert "'Label'" in str(note) and f"--labels {path}" in str(note)
    labelled = Vectors.read(path, path)
    assert not labelled.notes and labelled.labels == [{"cat"}, {"dog"}]
    np.save(tmp_path / "a.npy", np.eye(2))
    assert not Vectors.read(tmp_path / "a.npy").notes
