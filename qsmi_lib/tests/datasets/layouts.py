"""Layouts of data sets as people have them, a few tiny pictures each, with what must be read from them.

`python -m qsmi_lib.tests.datasets.layouts` prints what `datasets check` says to each of them.
"""

import io
import json
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import scipy.io

from qsmi_lib.tests.datasets.small_pictures import picture, write_folder


@dataclass(frozen=True)
class Layout:
    """Files, and what must be read from them.

    Attributes:
        files: name -> content.
        labels: path -> names of its labels, separated by commas; empty if there is a fault.
        parts: part -> paths.
        fault: what the fault must name: the file and the remedy, separated by bars.
        note: what the notes must name.
        choice: the option --labels.
        path: of the list that is passed; empty: the folder.
    """

    files: dict
    labels: dict = field(default_factory=dict)
    parts: dict = field(default_factory=dict)
    fault: str = ""
    note: str = ""
    choice: str = ""
    path: str = ""


@cache
def _picture(number):
    return picture(number)


def pictures(*names):
    """Each has other pixels."""
    return {name: _picture(number) for number, name in enumerate(names)}


# Six pictures in two folders which are not their classes

SIX = ("2019/0.jpg", "2019/1.jpg", "2019/2.jpg", "2020/3.jpg", "2020/4.jpg", "2020/5.jpg")
KINDS = dict(zip(SIX, ("cat", "dog", "cat", "dog", "cat", "dog"), strict=True))
NUMBERS = dict(zip(SIX, ("2", "9", "2", "9", "2", "9"), strict=True))
FEW = dict(zip(SIX, ("0", "9", "0", "1", "9", "1"), strict=True))
FLAGS = dict(zip(SIX, ("1 0 0", "0 1 0", "1 1 0", "0 0 1", "1 0 1", "0 1 0"), strict=True))
NAMES = ("cat", "dog", "owl")
MULTI = dict(zip(SIX, ("cat", "dog", "cat, dog", "owl", "cat, owl", "dog"), strict=True))
MULTI_NUMBERS = dict(zip(SIX, ("0", "1", "0, 1", "2", "0, 2", "1"), strict=True))
PARTS = {"train": SIX[:2] + SIX[3:5], "query": (SIX[2], SIX[5])}
DIVIDED = {"train": SIX[:2], "query": (SIX[2], SIX[5]), "validation": SIX[3:5]}


def rows(values, paths=SIX, mark=" ", header=""):
    """The text of a list: a line for each path."""
    lines = [f"{path}{mark}{values[path].replace(' ', mark)}" for path in paths]
    return "\n".join([header, *lines] if header else lines) + "\n"


HEADER = "file,cat,dog,owl"
TABLE = rows(FLAGS, mark=",", header=HEADER)
MINUS = {path: text.replace("0", "-1") for path, text in FLAGS.items()}


def lists(train, test, values=FLAGS, form=rows, parts=PARTS):
    return {train: form(values, parts["train"]), test: form(values, parts["query"])}


def six(files, labels=None, **more):
    return Layout(pictures(*SIX) | files, labels or {}, **more)


NAMED = {
    "Labels.csv": six({"Labels.csv": TABLE}, MULTI),
    "labels.TXT": six({"labels.TXT": rows(FLAGS)}, MULTI_NUMBERS),
    "TRAIN.TXT": six(lists("TRAIN.TXT", "Test.TXT"), MULTI_NUMBERS, parts=PARTS),
    "annotations.csv": six({"annotations.csv": TABLE}, MULTI),
    "train.csv and test.csv": six(
        {
            "train.csv": rows(KINDS, PARTS["train"], ",", "id,label"),
            "test.csv": rows(KINDS, PARTS["query"], ",", "id,label"),
        },
        KINDS,
        parts=PARTS,
    ),
    "train.csv and test.csv without labels": six(
        {"train.csv": rows(KINDS, PARTS["train"], ",", "id,label"), "test.csv": "\n".join(["id", *PARTS["query"]])},
        fault="test.csv|without labels|move it",
    ),
    "train.csv alone": six({"train.csv": TABLE}, fault="part 'query'|rename train.csv"),
    ".tsv": six({"all.tsv": rows(KINDS, mark="\t")}, KINDS),
    ".lst": six({"all.lst": rows(FLAGS)}, MULTI_NUMBERS),
    ".json": six({"classes.json": json.dumps(KINDS)}, KINDS),
    ".json, several names": six({"labels.json": json.dumps({p: t.split(", ") for p, t in MULTI.items()})}, MULTI),
    ".json, objects": six(
        {"labels.json": json.dumps([{"image": path, "label": kind} for path, kind in KINDS.items()])}, KINDS
    ),
    ".json, objects by path": six(
        {"l.json": json.dumps({p: {"width": 8, "label": k} for p, k in KINDS.items()})}, KINDS
    ),
    ".json, no labels": six({"l.json": json.dumps(dict.fromkeys(SIX, ""))}, fault="l.json|empty|expected"),
    ".json, pairs": six({"dataset.json": json.dumps({"labels": [[p, int(n)] for p, n in NUMBERS.items()]})}, NUMBERS),
    ".json, flags": six(
        {"l.json": json.dumps({p: list(map(int, t.split())) for p, t in FLAGS.items()})}, MULTI_NUMBERS
    ),
    "lists/train.txt": six(lists("lists/train.txt", "lists/test.txt"), MULTI_NUMBERS, parts=PARTS),
    "train/labels.csv": Layout(
        pictures("train/0.jpg", "train/1.jpg", "valid/0.jpg", "valid/1.jpg")
        | {f"{part}/_classes.csv": "filename,cat,dog\n0.jpg,1,0\n1.jpg,1,1\n" for part in ("train", "valid")},
        {f"{part}/{n}.jpg": ("cat", "cat, dog")[n] for part in ("train", "valid") for n in (0, 1)},
        {"train": ("train/0.jpg", "train/1.jpg"), "query": ("valid/0.jpg", "valid/1.jpg")},
    ),
    ".json, paths by class": six(
        {"l.json": json.dumps({k: [p for p in SIX if KINDS[p] == k] for k in ("cat", "dog")})}, KINDS
    ),
    ".json, paths by label": six({"l.json": json.dumps({k: [p for p in SIX if k in MULTI[p]] for k in NAMES})}, MULTI),
    ".json, columns": six({"l.json": json.dumps({"filename": SIX, "label": [*KINDS.values()]})}, KINDS),
    ".json, columns of pandas": six(
        {"l.json": json.dumps({"filename": dict(enumerate(SIX)), "label": dict(enumerate(KINDS.values()))})}, KINDS
    ),
    ".json, parts of objects": six(
        {
            "l.json": json.dumps(
                {part: [{"image": p, "label": KINDS[p]} for p in paths] for part, paths in PARTS.items()}
            )
        },
        KINDS,
        parts=PARTS,
    ),
    ".json, parts of pairs": six(
        {"l.json": json.dumps({part: [[p, KINDS[p]] for p in paths] for part, paths in PARTS.items()})},
        KINDS,
        parts=PARTS,
    ),
    ".json, parts of paths": six({"l.json": json.dumps(PARTS)}, {p: p[:4] for p in SIX}, parts=PARTS),
    ".json, several tables": six(
        {"l.json": json.dumps({k: [{"image": p, "label": KINDS[p]} for p in SIX[k : k + 2]] for k in (0, 2, 4)})},
        fault="l.json|several tables|train, test",
    ),
    "two lists": six({"a.csv": TABLE, "b.csv": TABLE}, fault="several lists|a.csv, b.csv"),
    "by path, .csv": six({"a.csv": TABLE, "b.csv": "?"}, MULTI, path="a.csv"),
    "by path, .TXT": six({"a.TXT": rows(FLAGS)}, MULTI_NUMBERS, path="a.TXT"),
    "by path, .lst": six({"a.lst": rows(KINDS)}, KINDS, path="a.lst"),
    "by path, .tsv": six({"a.tsv": rows(KINDS, mark="\t")}, KINDS, path="a.tsv"),
    "by path, no list": six({"a.txt": "nothing here\n"}, fault="a.txt|expected lists", path="a.txt"),
}

WRITTEN = {
    "commas": six({"labels.txt": rows(FLAGS, mark=",")}, MULTI_NUMBERS),
    "commas and blanks": six({"labels.txt": rows(FLAGS, mark=", ")}, MULTI_NUMBERS),
    "semicolons": six({"labels.csv": rows(FLAGS, mark=";", header=HEADER.replace(",", ";"))}, MULTI),
    "tabs": six({"labels.txt": rows(FLAGS, mark="\t")}, MULTI_NUMBERS),
    "a tab and blanks": six({"labels.txt": rows(FLAGS).replace("jpg ", "jpg\t")}, MULTI_NUMBERS),
    "bars": six({"labels.txt": rows(KINDS, mark="|")}, KINDS),
    "the delimiter for Excel": six({"a.csv": "sep=;\r\n" + rows(KINDS, mark=";", header="Bild;Klasse")}, KINDS),
    "capital letters in paths": six({"a.csv": rows(KINDS, mark=",").replace("jpg", "JPG")}, KINDS),
    "capital letters that differ": Layout(
        pictures("a.JPG", "A.jpg", "b.jpg", "c.jpg") | {"l.csv": "a.jpg,cat\nb.jpg,dog\nc.jpg,dog\n"},
        fault="l.csv:1|a.JPG|A.jpg|longer",
    ),
    "stems of boxes": Layout(
        pictures("x/i0.jpg", "x/i1.jpg", "y/i2.jpg", "y/i3.jpg")
        | {"boxes.csv": "image_id,xmin,class\ni0,1,cat\ni0,2,dog\ni1,3,cat\ni2,4,dog\ni3,5,cat\n"},
        fault="boxes.csv:3|x/i0.jpg|twice",
    ),
    "stems, one twice": Layout(
        pictures(*(f"x/i{n}.jpg" for n in range(5)), *(f"y/i{n}.jpg" for n in range(5, 10)))
        | {"t.csv": "image_id,label\ni0,cat\n" + "".join(f"i{n},{('cat', 'dog')[n % 2]}\n" for n in range(10))},
        fault="t.csv:3|x/i0.jpg|twice",
    ),
    "CRLF": six({"labels.csv": TABLE.replace("\n", "\r\n")}, MULTI),
    "CR": six({"labels.csv": TABLE.replace("\n", "\r")}, MULTI),
    "UTF-8 with its mark": six({"labels.csv": TABLE.encode("utf-8-sig")}, MULTI),
    "UTF-16": six({"labels.txt": rows(KINDS).encode("utf-16")}, KINDS),
    "UTF-16, other order": six({"labels.csv": b"\xfe\xff" + TABLE.encode("utf-16-be")}, MULTI),
    "UTF-16 without its mark": six({"labels.txt": rows(KINDS).encode("utf-16-le")}, fault="labels.txt|expected"),
    "latin-1": six({"labels.csv": rows(KINDS).replace("cat", "bär").encode("latin-1")}, fault="labels.csv:1|UTF-8"),
    "no header": six({"labels.csv": rows(FLAGS, mark=",")}, MULTI_NUMBERS),
    "a header at blanks": six({"labels.txt": rows(FLAGS, header="file cat dog owl")}, MULTI),
    "class names": six({"labels.txt": rows(KINDS)}, KINDS),
    "indices": six({"labels.txt": rows(NUMBERS)}, NUMBERS),
    "-1 and 1": six({"labels.txt": rows(MINUS)}, MULTI_NUMBERS),
    "0 and 1": six(
        {"labels.txt": rows({p: t[0] for p, t in FLAGS.items()})}, fault="labels.txt|--labels index|--labels multi"
    ),
    "0 and 1, index": six(
        {"labels.txt": rows({p: t[0] for p, t in FLAGS.items()})}, {p: t[0] for p, t in FLAGS.items()}, choice="index"
    ),
    "0 and 1, multi-hot": six(
        {"labels.txt": rows({p: t[0] for p, t in FLAGS.items()})},
        {p: "0" if t[0] == "1" else "" for p, t in FLAGS.items()},
        choice="multi-hot",
        fault="carry no label",
    ),
    "0 and 1 under label": six(
        {"a.csv": rows({p: t[0] for p, t in FLAGS.items()}, mark=",", header="file,label")},
        {p: t[0] for p, t in FLAGS.items()},
    ),
    "indices that begin with 0 and 1": six(
        lists("train.txt", "test.txt", FEW),
        FEW,
        parts=PARTS,
    ),
    "a number first": six(
        {"a.csv": "".join(f"{n},{p},{KINDS[p]}\n" for n, p in enumerate(SIX)).join([",file,class\n", ""])}, KINDS
    ),
    "a column of parts": six(
        {"a.csv": "image,split,label\n" + "".join(f"{p},{s},{KINDS[p]}\n" for s, ps in PARTS.items() for p in ps)},
        KINDS,
        parts=PARTS,
    ),
    "several names in a cell": six(
        {"a.csv": "image_name,tags\n" + "".join(f"{p},{MULTI[p].replace(',', '')}\n" for p in SIX)}, MULTI
    ),
    "several names in a line": six({"a.csv": "".join(f"{p},{MULTI[p].replace(', ', ',')}\n" for p in SIX)}, MULTI),
    "boxes": six({"a.csv": "".join(f"{p},cat,{n},{n + 9}\n" for n, p in enumerate(SIX))}, fault="a.csv|expected"),
    "scores": six({"a.csv": "".join(f"{p},0.{n + 1}\n" for n, p in enumerate(SIX))}, fault="a.csv|no classes|expected"),
    "captions": six(
        {"a.csv": "".join(f"{p},scene {n}\n" for n, p in enumerate(SIX))}, fault="a.csv|class of their own"
    ),
    "other columns": six(
        {"a.csv": "file,width,class,height\n" + "".join(f"{p},8,{KINDS[p]},8\n" for p in SIX)},
        KINDS,
        note="width, height",
    ),
    "backslashes": six({"labels.txt": rows(KINDS).replace("/", "\\")}, KINDS),
    "blanks in names": Layout(
        pictures("my cat.jpg", "a dog.jpg", "b.jpg") | {"l.txt": "my cat.jpg 1 0\na dog.jpg 0 1\nb.jpg 1 1\n"},
        {"my cat.jpg": "0", "a dog.jpg": "1", "b.jpg": "0, 1"},
    ),
    "composed and decomposed names": Layout(
        pictures("u\u0308.jpg", "\u00f6.jpg", "b.jpg") | {"l.txt": "\u00fc.jpg cat\no\u0308.jpg dog\nb.jpg cat\n"},
        {"\u00fc.jpg": "cat", "\u00f6.jpg": "dog", "b.jpg": "cat"},
    ),
    "names without suffix": Layout(
        pictures("train/00a.jpg", "train/00b.jpg", "train/00c.jpg", "test/00d.jpg")
        | {
            "labels.csv": "id,breed\n00a,boxer\n00b,pug\n00c,pug\n",
            "sample_submission.csv": "id,boxer,pug\n00d,0.5,0.5\n",
        },
        {"train/00a.jpg": "boxer", "train/00b.jpg": "pug", "train/00c.jpg": "pug"},
        note="test/00d.jpg|sample_submission.csv",
    ),
    "numbers as names": Layout(
        pictures("train/1.jpg", "train/2.jpg", "test/1.jpg", "test/2.jpg")
        | {"train.csv": "id,label\n1,cat\n2,dog\n", "test.csv": "id,label\n1,dog\n2,cat\n"},
        {"train/1.jpg": "cat", "train/2.jpg": "dog", "test/1.jpg": "dog", "test/2.jpg": "cat"},
        {"train": ("train/1.jpg", "train/2.jpg"), "query": ("test/1.jpg", "test/2.jpg")},
    ),
    "numbers as classes": Layout(
        pictures("0.jpg", "1.jpg", "2.jpg", "3.jpg")
        | {"all.csv": "file,0,1\n0.jpg,1,0\n1.jpg,0,1\n2.jpg,1,1\n3.jpg,1,1\n"},
        {"0.jpg": "0", "1.jpg": "1", "2.jpg": "0, 1", "3.jpg": "0, 1"},
    ),
    "MXNet": six({"all.lst": "".join(f"{n}\t{float(NUMBERS[p]):f}\t{p}\n" for n, p in enumerate(SIX))}, NUMBERS),
    "MXNet, several labels": six(
        {"all.lst": "".join(f"{n}\t{FLAGS[p].replace(' ', chr(9))}\t{p}\n" for n, p in enumerate(SIX))}, MULTI_NUMBERS
    ),
    "with a point": six(
        {"a.txt": rows({p: t.replace("0", "0.0").replace("1", "1.0") for p, t in FLAGS.items()})}, MULTI_NUMBERS
    ),
    "several numbers in a cell": six(
        {
            "train.csv": "Id,Target\n" + "".join(f"{p},{MULTI_NUMBERS[p].replace(',', '')}\n" for p in SIX[:4]),
            "test.csv": "Id,Target\n" + "".join(f"{p},{MULTI_NUMBERS[p].replace(',', '')}\n" for p in SIX[4:]),
        },
        MULTI_NUMBERS,
        parts={"train": SIX[:4], "query": SIX[4:]},
    ),
    "names with bars": six(
        {"a.csv": "file,label\n" + "".join(f"{p},{MULTI[p].replace(', ', '|')}\n" for p in SIX)}, MULTI
    ),
    "columns in another order": six(
        {
            "train.csv": rows(FLAGS, PARTS["train"], ",", HEADER),
            "test.csv": rows(FLAGS, PARTS["query"], ",", "file,dog,cat,owl"),
        },
        fault="order",
    ),
    "trainval": six(
        {
            "train.txt": rows(KINDS, SIX[:2]),
            "val.txt": rows(KINDS, SIX[3:5]),
            "trainval.txt": rows(KINDS, PARTS["train"]),
            "test.txt": rows(KINDS, PARTS["query"]),
        },
        KINDS,
        parts=PARTS,
    ),
    "train, val and test": six(
        {"train.txt": rows(KINDS, SIX[:2]), "val.txt": rows(KINDS, SIX[3:5]), "test.txt": rows(KINDS, PARTS["query"])},
        KINDS,
        parts={"train": SIX[:2], "query": PARTS["query"]},
        note="validation",
    ),
    "folders of another machine": Layout(
        pictures(*(f"{n}.jpg" for n in range(12)))
        | {"all.txt": "".join(f"data/set/{n}.jpg {n % 2} 1\n" for n in range(12))},
        fault="all.txt:1|data/set/0.jpg|other 11 lines|remove",
    ),
    "CUB": Layout(
        pictures(*(f"images/00{k}.Bird/{n}.jpg" for k in (1, 2) for n in (1, 2)))
        | {
            "images.txt": "1 001.Bird/1.jpg\n2 001.Bird/2.jpg\n3 002.Bird/1.jpg\n4 002.Bird/2.jpg\n",
            "image_class_labels.txt": "1 1\n2 1\n3 2\n4 2\n",
            "classes.txt": "1 001.Bird\n2 002.Bird\n",
        },
        {f"images/00{k}.Bird/{n}.jpg": f"00{k}.Bird" for k in (1, 2) for n in (1, 2)},
    ),
    "one name for two pictures": Layout(
        pictures("a/p1.jpg", "b/p1.jpg", "a/p2.jpg", "b/p3.jpg", "b/p4.jpg")
        | {"l.csv": "p1,cat\np2,dog\np3,cat\np4,dog\n"},
        fault="l.csv:1|a/p1.jpg|b/p1.jpg|longer",
    ),
    "paths alone": six(
        {"train.txt": "\n".join(PARTS["train"]), "test.txt": "\n".join(PARTS["query"])},
        {p: p[:4] for p in SIX},
        parts=PARTS,
    ),
    "paths alone and labels": six(
        {
            "train.txt": "\n".join(PARTS["train"]),
            "test.txt": "\n".join(PARTS["query"]),
            "labels.csv": rows(KINDS, mark=",", header="file,label"),
        },
        KINDS,
        parts=PARTS,
    ),
    "paths alone and labels of some": six(
        {
            "train.txt": "\n".join(PARTS["train"]),
            "test.txt": "\n".join(PARTS["query"]),
            "labels.csv": rows(KINDS, SIX[:5], ",", "file,label"),
        },
        fault="test.txt:2|labels.csv|2020/5.jpg",
    ),
    "paths alone and labels that cannot be read": six(
        {
            "train.txt": "\n".join(PARTS["train"]),
            "test.txt": "\n".join(PARTS["query"]),
            "labels.csv": "a,cat\nb,dog\nc,cat\n",
        },
        fault="labels.csv|expected",
    ),
    "paths alone in one folder": Layout(
        pictures("1.jpg", "2.jpg", "3.jpg") | {"l.txt": "1.jpg\n2.jpg\n3.jpg\n"}, fault="l.txt:1|no labels"
    ),
}


def table(header, *columns, paths=SIX):
    """A list of `paths` with further columns."""
    lines = zip(paths, *columns, strict=True)
    return six({"a.csv": "\n".join([header, *(",".join(map(str, line)) for line in lines)])}).files


ONE, TWO = ("1", "0", "1", "0", "1", "0"), ("0", "0", "1", "1", "0", "1")
ANIMALS = tuple(KINDS.values())
ALL_PARTS = ["train" if p in PARTS["train"] else "test" for p in SIX]
COLUMNS = {
    "x and y": Layout(table("filename,x,y", range(6), (0, 10, 20, 0, 10, 20)), fault="a.csv|expected"),
    "a fold": Layout(table("image,kind,fold,width", ANIMALS, ONE, TWO), KINDS, note="fold, width"),
    "a fold beside flags": Layout(
        table("image,cat,dog,fold", ("1", "1", "0", "0", "1", "0"), ("0", "1", "1", "1", "0", "1"), ONE),
        dict(zip(SIX, ("cat", "cat, dog", "dog", "dog", "cat", "dog"), strict=True)),
        note="fold",
    ),
    "an unknown part": Layout(
        table("file,split", ("train", "test", "holdout") * 2), fault="a.csv|'split'|'holdout'|train|name"
    ),
    "short parts": Layout(table("file,split", ("tr", "te") * 3), fault="a.csv|'split'|'tr'|train|name"),
    "a part left empty": Layout(
        table("file,kind,split", ANIMALS, [*ALL_PARTS[:5], ""]), fault="a.csv|'split'|''|train"
    ),
    "numbers of parts": Layout(table("file,kind,set", ANIMALS, (1, 2, 3) * 2), fault="a.csv|'set'|'1'|train|remove"),
    "CelebA's numbers elsewhere": Layout(table("file,kind,split", ANIMALS, (0, 1, 2) * 2), fault="a.csv|'split'|'0'"),
    "is_valid": Layout(table("file,kind,is_valid", ANIMALS, (True, False) * 3), fault="a.csv|'is_valid'|'True'|train"),
    "two columns of parts": Layout(table("file,kind,set,split", ANIMALS, ALL_PARTS, ALL_PARTS), fault="'set'|'split'"),
    "a class beside flags": Layout(
        table("file,person,target,tree", ONE, TWO, ONE), fault="a.csv:1|'target'|'person'|rename"
    ),
    "a named class beside flags": Layout(
        table("file,class,wild,tame", ANIMALS, ONE, TWO), fault="a.csv:1|'class'|'wild'|remove"
    ),
    "two classes": Layout(table("file,category,label", ANIMALS, TWO), fault="a.csv:1|'category'|'label'|remove"),
    "a class and its number": Layout(table("file,class_id,class", (0, 1) * 3, ANIMALS), KINDS, note="class_id"),
    "a mask": Layout(
        pictures(*(f"{k}/{k[0]}{n}.png" for k in ("image", "mask") for n in range(3)))
        | {"l.csv": "mask,image,label\n" + "".join(f"m{n}.png,i{n}.png,{'abb'[n]}\n" for n in range(3))},
        {f"image/i{n}.png": "abb"[n] for n in range(3)},
        note="mask",
    ),
    "a mask in JSON": Layout(
        pictures(*(f"{k}/{k[0]}{n}.png" for k in ("image", "mask") for n in range(3)))
        | {"l.json": json.dumps([{"mask": f"m{n}.png", "image": f"i{n}.png", "label": "abb"[n]} for n in range(3)])},
        {f"image/i{n}.png": "abb"[n] for n in range(3)},
        note="mask",
    ),
    "two images": Layout(
        pictures(*(f"{k}/{k}{n}.png" for k in "ab" for n in range(3)))
        | {"l.csv": "image_a,image_b,label\n" + "".join(f"a{n}.png,b{n}.png,{'abb'[n]}\n" for n in range(3))},
        fault="l.csv|1 and 2|remove",
    ),
}


def cells(*values, name="label"):
    """A list of six pictures with one column of labels, each value in quotes."""
    return table(f"image,{name}", [f'"{values[n % len(values)]}"' for n in range(6)])


def told(*values):
    return dict(zip(SIX, values * 6, strict=False))


CELLS = {
    "brackets of pandas": Layout(cells("['cat', 'dog']", "['dog']", name="labels"), told("cat, dog", "dog")),
    "brackets without commas": Layout(cells("['cat' 'dog']", "['dog']"), fault="a.csv:2|['cat' 'dog']|cat|dog"),
    "brackets of flags": Layout(cells("[0, 1, 1]", "[1, 0, 0]", name="kind"), told("1, 2", "0")),
    "blanks in names": Layout(cells("golden retriever", "owl", name="labels"), told("golden retriever", "owl")),
    "names or words": Layout(cells("red car", "red bus", name="labels"), fault="a.csv|'red |tags|'label'"),
    "tags": Layout(cells("red car", "red bus", name="tags"), told("car, red", "bus, red")),
    "names with commas": Layout(cells("cat", "dog", "cat,dog"), fault="a.csv|'cat,dog'|tags|'label'"),
    "names with semicolons": Layout(cells("cat;dog", "dog;owl", "cat;owl"), fault="a.csv|'cat;dog'|tags|'label'"),
    "one name with a comma": Layout(cells("cow, brown", "cat"), told("cow, brown", "cat")),
    "a comma without quotes": six(
        {"a.csv": "image,label\n" + "".join(f"{p},cat\n" for p in SIX[:4]) + f"{SIX[4]},cow, brown\n{SIX[5]},dog\n"},
        fault="a.csv:6|2 labels|quotes",
    ),
    "tags without quotes": six(
        {"a.csv": "image,tags\n" + "".join(f"{p},cat dog\n" for p in SIX[:5]) + f"{SIX[5]},dog,cat\n"},
        fault="a.csv:7|2 cells|quotes",
    ),
    "remarks in some rows": six(
        {"a.csv": "".join(f"{p},{k}{',blurred' * (n % 3 == 0)}\n" for n, (p, k) in enumerate(KINDS.items()))},
        fault="a.csv|'blurred'|header",
    ),
    "zeros first": Layout(cells("0110", "01"), told("0110", "01")),
    "zeros lost in some": Layout(cells("01", "1", "02"), fault="'01' and '1'|alike"),
    "thousands": Layout(cells("1,234", "2,345"), fault="a.csv|'1,234'|1234|without marks"),
    "thousands with points": Layout(cells("1.000", "2.000", "1.500"), fault="a.csv|'1.000'|1000|without marks"),
    "-1 for none": Layout(cells("-1", "0", "1", "2"), fault="a.csv|-1|remove|--labels index"),
    "-1 as a class": Layout(cells("-1", "0", "1"), told("-1", "0", "1"), choice="index"),
    "NaN": Layout(cells("NaN", "cat", "dog"), fault="a.csv|'NaN'|remove"),
    "a question mark": Layout(cells("cat|dog", "?", "dog", name="kinds"), fault="a.csv|'?'|remove"),
    "capital letters": Layout(cells("Cat", "cat", "dog"), fault="'Cat' and 'cat'|alike"),
    "blanks and letters of two kinds": Layout(
        cells("red  K\u00e4fer", "red\u00a0Ka\u0308fer", "dog"), told("red K\u00e4fer", "red K\u00e4fer", "dog")
    ),
    "house numbers": Layout(cells("12", "12a", "13"), told("12", "12a", "13")),
    "names here, numbers there": six(
        {"train.csv": rows(KINDS, SIX[:4], ",", "file,label"), "test.csv": rows(NUMBERS, SIX[4:], ",", "file,label")},
        fault="test.csv and train.csv|numbers|alike",
    ),
    "True and False": Layout(
        table("file,cat,dog", (True, False) * 3, (True, True, False, True, False, True)),
        told("cat, dog", "dog", "cat", "dog", "cat", "dog"),
    ),
    "yes and no": Layout(table("file,cat,dog", ("yes", "no") * 3, ("no", "yes") * 3), told("cat", "dog")),
}

FOLDERS = tuple(f"{part}/{kind}/{n}.jpg" for part in ("Train", "validation") for kind in ("cat", "dog") for n in (0, 1))
PLAIN = ("cat/0.jpg", "cat/1.jpg", "dog/2.jpg", "dog/3.jpg")
PLAIN_KINDS = {name: name[:3] for name in PLAIN}


def in_folders(*folders):
    """Two pictures in each."""
    return pictures(*(f"{folder}/{'_'.join(folder.split('/'))}{n}.jpg" for folder in folders for n in (0, 1)))


ANIMALS = pictures(*(f"{kind}/{n}.jpg" for kind in ("cat", "cow", "dog") for n in range(4)))


def about(name, header, *values, mark=",", n=12, labels=False):
    """A table that tells something of `n` pictures in folders of classes: its `labels`, or a fault that says both."""
    told = {path: values[k % len(values)] for k, path in enumerate(list(ANIMALS)[:n])}
    text = "".join(f"{path}{mark}{value}\n" for path, value in told.items())
    files = ANIMALS | {name: f"{header}\n{text}" if header else text}
    return Layout(files, told) if labels else Layout(files, fault=f"{name}|cat, cow, dog|{values[0]}|path|move")


def beside(**texts):
    """Folders of classes and other texts."""
    return Layout(pictures(*PLAIN) | {name.replace("_", "."): text for name, text in texts.items()}, PLAIN_KINDS)


def beside_list(name, text):
    """The same, with a fault that names the text."""
    return Layout(beside(**{name: text}).files, fault=f"{name.replace('_', '.')}:1|move it")


TEXTS = {
    "README": beside(README_txt="Pictures\ncat/0.jpg is the first, dog/3.jpg the last\nVersion 1\n"),
    "LICENSE": beside(LICENSE_txt="GNU General Public License, Version 2\nSection 1\nSection 0\n"),
    "stats": beside(stats_txt="cat 2\ndog 2\nmissing 0\ndamaged 1\n"),
    "classes": beside(classes_txt="cat 0\ndog 1\n"),
    "numbered classes": beside(wnids_txt="0 cat\n1 dog\n", synsets_csv="2,cat\n3,dog\n"),
    "labels that name the classes": beside(labels_txt="cat\ndog\n"),
    "checksums": beside(**{"urls_txt": "http://a.example/cat/0.jpg\nhttp://a.example/cat/1.jpg\n"}),
    "labels without names": Layout(pictures(*PLAIN) | {"labels.txt": "0\n1\n0\n1\n"}, fault="labels.txt|expected"),
    "names of some pictures": beside_list("damaged_txt", "cat/0.jpg\ndog/2.jpg\n"),
    "a table of another format": Layout(pictures(*PLAIN) | {"labels.xlsx": b"PK"}, fault="labels.xlsx|save|.csv"),
    "numbers of classes": beside(labels_json=json.dumps({"0": "cat", "1": "dog"})),
    "a list without suffix": six({"labels": rows(KINDS)}, KINDS),
    "a README beside a list": six(
        {"list.txt": rows(KINDS), "README.txt": "All of 2024\nClasses: 1\n"}, KINDS, note="README.txt"
    ),
}
DIRECTORIES = {
    "folders": Layout(pictures(*PLAIN), PLAIN_KINDS),
    "Train and validation": Layout(
        pictures(*FOLDERS), {n: n.split("/")[1] for n in FOLDERS}, {"train": FOLDERS[:4], "query": FOLDERS[4:]}
    ),
    "training, valid and testing": Layout(
        pictures(*(names := [f"{p}/{k}/1.jpg" for p in ("training", "valid", "testing") for k in ("cat", "dog")])),
        {name: name.split("/")[1] for name in names},
        {"train": names[:2], "query": names[4:]},
        note="2 pictures of the validation set are left out",
    ),
    "images/<class>": Layout(
        pictures(*(f"images/{name}" for name in PLAIN)), {f"images/{name}": kind for name, kind in PLAIN_KINDS.items()}
    ),
    "a list of labels in folders of other names": about("labels.csv", "file,label", "red", "blue", labels=True),
    "a list of some of the same classes": Layout(
        ANIMALS | {"part.csv": "file,class\n" + "".join(f"{name},{name[:3]}\n" for name in list(ANIMALS)[::3])},
        {name: name[:3] for name in list(ANIMALS)[::3]},
    ),
    **{
        f"a list with {name}": six({file: text}, fault=f"{file}|expected|move it")
        for name, file, text in (
            ("paths of Windows", "photos.csv", rows(KINDS, mark=",").replace("20", "C:\\me\\20").replace("/", "\\")),
            ("paths of another machine", "photos.csv", rows(KINDS, mark=",").replace("20", "/home/me/20")),
            ("another suffix", "photos.csv", rows(KINDS, mark=",").replace("jpg", "png")),
            ("UTF-16 without its mark", "photos.csv", rows(KINDS, mark=",").encode("utf-16-le")),
            (
                "JSON of a tool",
                "project.json",
                json.dumps([{"data": {"image": p}, "kind": [{"is": "cat"}]} for p in SIX]),
            ),
            ("most pictures missing", "photos.csv", rows(KINDS, mark=",").replace("20/", "20/_")),
        )
    },
    **{
        f"labels in {name}": six({name: "PK"}, fault=f"{name}|.csv|move it")
        for name in ("photos.xlsx", "labels.csv.gz", "labels.csv.bak", "labels.numbers", "train.tfrecord", "labels.md")
    },
    "other files": Layout(
        pictures(*PLAIN) | {"more.zip": "PK", "test.tar.gz": "?", "README.md": "Cats", "make_labels.py": "pass"},
        PLAIN_KINDS,
        note="4 files|more.zip|test.tar.gz|README.md|make_labels.py",
    ),
    "other letters in another part": Layout(
        in_folders("test/cat", "test/dog", "train/Cat", "train/Dog"), fault="Cat|alike"
    ),
    "other names in another part": Layout(
        in_folders("test/cats", "test/dogs", "train/cat", "train/dog"), fault="test/|4 of 4|alike"
    ),
    "other names in the list of another part": six(
        {
            "train.csv": rows(KINDS, PARTS["train"], ",", "file,label"),
            "test.csv": rows({p: f"{k}s" for p, k in KINDS.items()}, PARTS["query"], ",", "file,label"),
        },
        fault="test.csv|alike",
    ),
    "classes of the test set alone": Layout(
        in_folders("test/bird", "test/cat", "test/owl", "train/cat", "train/dog"), fault="test/|4 of 6|database"
    ),
    "a class of the test set alone": Layout(
        (some := in_folders("test/bird", "test/cat", "test/dog", "train/cat", "train/dog")),
        {name: name.split("/")[1] for name in some},
        {"query": list(some)[:6], "train": list(some)[6:]},
        note="2 of 6|bird",
    ),
    "three folders": Layout(
        in_folders("a/b/c", "a/b/d", "e/f/g"), fault="no pictures|6 pictures|3 folders|a/b/c/a_b_c0.jpg"
    ),
    "train alone": Layout(in_folders("train/cat", "train/dog"), fault="'query'|folder test beside train|path of train"),
    "test alone": Layout(in_folders("test/cat", "test/dog"), fault="'train'|folder train beside test|path of test"),
    "photographers": about("who.csv", "file,photographer", "Ann", "Bob"),
    "years": about("when.csv", "file,year", "2019", "2020"),
    "clusters": about("cluster.txt", "", "0", "1", "2", mark=" "),
    "flags": about("blurry.csv", "file,target", "0", "1"),
    "reasons": about("bad.csv", "file,reason", "dark", "dull", n=3),
    "colours in one folder": about("cat/info.csv", "file,colour", "red", "blue", n=4),
    "predictions": about("predictions.csv", "file,predicted", "cat", "dog", n=5),
    "one class": Layout(pictures("cat/1.jpg", "cat/2.jpg"), fault="same labels, cat|two classes"),
    "one class in a list": six({"l.txt": rows(dict.fromkeys(SIX, "cat"))}, fault="same labels, cat|two classes"),
    "one label set": six({"l.txt": rows(dict.fromkeys(SIX, "1 1 0"))}, fault="same labels, 0, 1|two classes"),
    "capital letters": Layout(
        pictures("train/Cat/1.jpg", "train/dog/2.jpg", "test/cat/3.jpg", "test/dog/4.jpg"),
        fault="'Cat' and 'cat'|alike",
    ),
    "pictures in one folder": Layout(pictures("images/1.jpg", "images/2.jpg"), fault="images|expected"),
    "Breed_1.jpg": Layout(pictures("images/pug_1.jpg", "images/boxer_1.jpg"), fault="images|expected"),
    "no pictures": Layout({"a.md": "?"}, fault="no pictures"),
    **{
        f"{folders} are no classes": Layout(in_folders(*folders.split()), fault=f"{folders.split()[0]}|rename|expected")
        for folders in (
            "gt images",
            "img mask",
            "test_images train_images",
            "cars_test cars_train",
            "testA testB trainA trainB",
            "images_001 images_002",
            "HAM_part_1 HAM_part_2",
        )
    },
    **{
        f"{folders} are classes": Layout(
            in_folders(*folders.split()), {name: name.split("/")[0] for name in in_folders(*folders.split())}
        )
        for folders in ("class1 class2", "0 1 2", "n01440764 n01443537", "bullet_train car", "person_01 person_02")
    },
    "data/image and data/label": Layout(in_folders("data/image", "data/label"), fault="image, label|rename"),
    "images and masks in parts": Layout(
        in_folders("test/images", "test/masks", "train/images", "train/masks"), fault="images, masks|rename"
    ),
}


# Public data sets


def matlab(*, compressed=True, **arrays):
    file = io.BytesIO()
    arrays = {name: np.atleast_2d(values) for name, values in arrays.items()}
    scipy.io.savemat(file, arrays, do_compression=compressed)
    return file.getvalue()


def coco(images, first=1):
    categories = [{"id": 3, "name": "dog"}, {"id": 1, "name": "cat"}, {"id": 7, "name": "owl"}]
    kinds = {"cat": 1, "dog": 3, "owl": 7}
    return json.dumps(
        {
            "images": [{"id": n, "file_name": path} for n, path in enumerate(images, first)],
            "annotations": [
                {"image_id": n, "category_id": kinds[kind], "bbox": [1, 2, 3, 4]}
                for n, labels in enumerate(images.values(), first)
                for kind in labels.split(", ")
                for _ in (0, 1)
            ],
            "categories": categories,
        }
    )


COCO_TRAIN, COCO_VAL = {"T_1.jpg": "cat", "T_2.jpg": "dog, owl"}, {"V_1.jpg": "cat, dog", "V_2.jpg": "owl"}
COCO_MORE = COCO_TRAIN | {"3.jpg": "cat", "4.jpg": "dog, owl", "5.jpg": "owl"}
COCO = pictures(*(f"train2014/{n}" for n in COCO_TRAIN), *(f"val2014/{n}" for n in COCO_VAL), "test2014/1.jpg") | {
    "annotations/instances_train2014.json": coco(COCO_TRAIN),
    "annotations/instances_val2014.json": coco(COCO_VAL, 9),
    "annotations/captions_val2014.json": json.dumps({"images": [], "annotations": []}),
}
COCO_LABELS = {f"train2014/{n}": t for n, t in COCO_TRAIN.items()} | {f"val2014/{n}": t for n, t in COCO_VAL.items()}
VOC = {"000001": ("cat", "train"), "000002": ("dog", "train"), "000003": ("cat, dog", "val"), "000004": ("dog", "val")}
VOC_FLAGS = {"cat": {"000001": "1", "000003": "1"}, "dog": {"000002": "1", "000003": "1", "000004": "1", "000001": "0"}}


def voc(parts):
    """``ImageSets/Main`` with the lists of `parts`: part -> names."""
    root = "VOCdevkit/VOC2012/"
    files = pictures(*(f"{root}JPEGImages/{n}.jpg" for n in VOC), *(f"{root}SegmentationClass/{n}.png" for n in VOC))
    for part, names in parts.items():
        files[f"{root}ImageSets/Main/{part}.txt"] = "\n".join(names)
        for kind, flags in VOC_FLAGS.items():
            text = "".join(f"{name} {flags.get(name, '-1'):>2}\n" for name in names)
            files[f"{root}ImageSets/Main/{kind}_{part}.txt"] = text
    return files


VOC_LABELS = {f"VOCdevkit/VOC2012/JPEGImages/{n}.jpg": kind for n, (kind, _) in VOC.items()}
NUS = {"actor\\0001_21.jpg": "sky", "actor\\0002_22.jpg": "sea, sky", "bay\\0003_23.jpg": "sea", "bay\\0004_24.jpg": ""}
NUS_PATHS = {f"Flickr/{name}".replace("\\", "/"): kinds for name, kinds in NUS.items()}


def nus_wide(names, part=""):
    folder = "TrainTestLabels" if part else "AllLabels"
    files = {f"ImageList/{part}Imagelist.txt": "\r\n".join(names) + "\r\n"}
    for kind in ("sea", "sky"):
        flags = "".join(f"{int(kind in NUS[name])}\n" for name in names)
        files[f"Groundtruth/{folder}/Labels_{kind}{'_' * bool(part)}{part}.txt"] = flags
    return files


CELEBA = ("000001.jpg", "000002.jpg", "000003.jpg", "000004.jpg")
CELEBA_FLAGS = ("-1  1", " 1  1", " 1 -1", "-1  1")
CELEBA_LABELS = dict(
    zip((f"img_align_celeba/{n}" for n in CELEBA), ("Young", "Bald, Young", "Bald", "Young"), strict=True)
)
CELEBA_LISTS = {
    "list_attr_celeba.txt": "4\nBald Young \n"
    + "".join(f"{n} {t}\n" for n, t in zip(CELEBA, CELEBA_FLAGS, strict=True)),
    "list_bbox_celeba.txt": "4\nimage_id x_1 y_1 width height\n" + "".join(f"{n} 95 71 226 313\n" for n in CELEBA),
}
CELEBA_PARTS = "".join(f"{name} {number}\n" for name, number in zip(CELEBA, "0012", strict=True))
CELEBA_DIVIDED = {"train": list(CELEBA_LABELS)[:2], "query": list(CELEBA_LABELS)[3:]}
FLOWERS = [f"jpg/image_{n:05}.jpg" for n in range(1, 7)]
PETS = {
    "Abyssinian_1": "Abyssinian",
    "Abyssinian_2": "Abyssinian",
    "great_pyrenees_1": "great_pyrenees",
    "great_pyrenees_2": "great_pyrenees",
}
PET_LIST = "#Image CLASS-ID SPECIES BREED ID\n" + "".join(f"{n} {1 + (n[0] == 'g')} 1 1\n" for n in PETS)
WNIDS = ("n01443537", "n02002724")
TINY = [f"train/{w}/images/{w}_{n}.JPEG" for w in WNIDS for n in (0, 1)]
TINY_VAL = ["val/images/val_0.JPEG", "val/images/val_1.JPEG"]
ILSVRC = [f"train/{w}/{w}_{n}.JPEG" for w in WNIDS for n in (0, 1)]
ILSVRC_VAL = [f"val/ILSVRC2012_val_0000000{n}.JPEG" for n in (1, 2)]
ILSVRC_LABELS = {name: name.split("/")[1] for name in ILSVRC} | dict(zip(ILSVRC_VAL, WNIDS, strict=True))
ILSVRC_PARTS = {"train": ILSVRC, "query": ILSVRC_VAL}
DOGS = ("train/cat.0.jpg", "train/cat.1.jpg", "train/dog.0.jpg", "train/dog.1.jpg")

PUBLIC = {
    "COCO": Layout(
        COCO, COCO_LABELS, {"train": list(COCO_LABELS)[:2], "query": list(COCO_LABELS)[2:]}, note="test2014/1.jpg"
    ),
    "COCO, one file by its path": Layout(
        pictures("T_1.jpg", "T_2.jpg", "3.jpg", "4.jpg", "5.jpg") | {"instances_train.json": coco(COCO_MORE)},
        COCO_MORE,
        path="instances_train.json",
    ),
    "COCO, one file of another name beside the pictures": Layout(
        pictures(*COCO_MORE) | {"_annotations.coco.json": coco(COCO_MORE)}, COCO_MORE
    ),
    "COCO without annotations": Layout(
        {n: raw for n, raw in COCO.items() if n.endswith("jpg")}, fault="train2014|expected"
    ),
    "COCO, damaged": Layout(
        COCO | {"annotations/instances_val2014.json": coco(COCO_VAL).replace("file_name", "name")},
        fault="annotations/instances_val2014.json|file_name",
    ),
    "VOC": Layout(
        voc({"train": list(VOC)[:2], "val": list(VOC)[2:], "trainval": list(VOC)}),
        VOC_LABELS,
        {"train": list(VOC_LABELS)[:2], "query": list(VOC_LABELS)[2:]},
        note="difficult",
    ),
    "VOC with a test set": Layout(
        voc({"train": list(VOC)[:1], "val": list(VOC)[1:2], "trainval": list(VOC)[:2], "test": list(VOC)[2:]}),
        VOC_LABELS,
        {"train": list(VOC_LABELS)[:2], "query": list(VOC_LABELS)[2:]},
    ),
    "VOC without lists": Layout({n: raw for n, raw in voc({}).items()}, fault="JPEGImages|expected"),
    "NUS-WIDE": Layout(
        pictures(*NUS_PATHS)
        | nus_wide(list(NUS)[:3:2], "Train")
        | nus_wide(list(NUS)[1::2], "Test")
        | nus_wide(list(NUS)),
        NUS_PATHS,
        {"train": list(NUS_PATHS)[:3:2], "query": list(NUS_PATHS)[1::2]},
    ),
    "NUS-WIDE, all labels": Layout(
        pictures(*NUS_PATHS) | nus_wide(list(NUS)),
        {p: k for p, k in NUS_PATHS.items() if k},
        note="no label and are left out",
    ),
    "NUS-WIDE, pictures missing": Layout(
        pictures(*list(NUS_PATHS)[:2]) | nus_wide(list(NUS)[:3]),
        dict(list(NUS_PATHS.items())[:2]),
        note="1 of 3|left out",
    ),
    "NUS-WIDE, a line missing": Layout(
        pictures(*NUS_PATHS) | nus_wide(list(NUS)) | {"Groundtruth/AllLabels/Labels_sky.txt": "1\n0\n"},
        fault="Groundtruth/AllLabels/Labels_sky.txt|2 lines|expected 4",
    ),
    "NUS-WIDE, pictures alone": Layout(pictures(*NUS_PATHS), fault="Flickr|Groundtruth"),
    "CelebA": Layout(
        pictures(*CELEBA_LABELS)
        | {f"Anno/{n}": t for n, t in CELEBA_LISTS.items()}
        | {"Eval/list_eval_partition.txt": CELEBA_PARTS},
        CELEBA_LABELS,
        CELEBA_DIVIDED,
        note="validation",
    ),
    "CelebA, .csv": Layout(
        pictures(*CELEBA_LABELS)
        | {
            "list_attr_celeba.csv": "image_id,Bald,Young\n"
            + "".join(f"{n},{','.join(t.split())}\n" for n, t in zip(CELEBA, CELEBA_FLAGS, strict=True)),
            "list_eval_partition.csv": "image_id,partition\n" + CELEBA_PARTS.replace(" ", ","),
            "list_bbox_celeba.csv": "image_id,x,y\n" + "".join(f"{n},95,71\n" for n in CELEBA),
        },
        CELEBA_LABELS,
        CELEBA_DIVIDED,
    ),
    "MIRFlickr": Layout(
        pictures(*(f"mirflickr/im{n}.jpg" for n in range(1, 5)))
        | {
            "annotations/sea.txt": "1\n2\n",
            "annotations/sky.txt": "2\n3\n",
            "annotations/sea_r1.txt": "2\n",
            "doc/README.txt": "25000",
        },
        {"mirflickr/im1.jpg": "sea", "mirflickr/im2.jpg": "sea, sea_r1, sky", "mirflickr/im3.jpg": "sky"},
        note="1 of 4|_r1",
    ),
    "MIRFlickr without annotations": Layout(
        pictures(*(f"mirflickr/im{n}.jpg" for n in range(1, 5))), fault="same labels"
    ),
    "Oxford Flowers": Layout(
        pictures(*FLOWERS)
        | {
            "imagelabels.mat": matlab(labels=[1, 1, 2, 2, 1, 2]),
            "setid.mat": matlab(trnid=[1, 3], valid=[2, 4], tstid=[5, 6]),
        },
        dict(zip(FLOWERS, "112212", strict=True)),
        {"train": [FLOWERS[0], FLOWERS[2]], "query": FLOWERS[4:]},
        note="validation",
    ),
    "Oxford Flowers, damaged": Layout(
        pictures(*FLOWERS) | {"imagelabels.mat": b"MATLAB 5.0" + bytes(200)}, fault="imagelabels.mat|expected"
    ),
    "Oxford Flowers without labels": Layout(pictures(*FLOWERS), fault="jpg|expected"),
    "Oxford Pets": Layout(
        pictures(*(f"images/{n}.jpg" for n in PETS))
        | {
            "annotations/list.txt": PET_LIST,
            "annotations/trainval.txt": "".join(PET_LIST.splitlines(True)[1::2]),
            "annotations/test.txt": "".join(PET_LIST.splitlines(True)[2::2]),
        },
        {f"images/{n}.jpg": kind for n, kind in PETS.items()},
        {
            "train": ["images/Abyssinian_1.jpg", "images/great_pyrenees_1.jpg"],
            "query": ["images/Abyssinian_2.jpg", "images/great_pyrenees_2.jpg"],
        },
    ),
    "dogs-vs-cats": Layout(pictures(*DOGS, "test1/1.jpg"), {n: n[6:9] for n in DOGS}, note="test1/1.jpg"),
    "dogs-vs-cats, other names": Layout(
        pictures("train/IMG_1.jpg", "train/DSC_1.jpg", "test/1.jpg"), fault="train|expected"
    ),
    "tiny-imagenet-200": Layout(
        pictures(*TINY, *TINY_VAL, "test/images/test_0.JPEG")
        | {f"train/{w}/{w}_boxes.txt": f"{w}_0.JPEG\t0\t10\t63\t58\n{w}_1.JPEG\t6\t3\t63\t5\n" for w in WNIDS}
        | {
            "wnids.txt": "\n".join(WNIDS),
            "words.txt": "n01443537\tgoldfish\n",
            "val/val_annotations.txt": f"val_0.JPEG\t{WNIDS[0]}\t0\t32\t44\t62\nval_1.JPEG\t{WNIDS[1]}\t1\t1\t4\t6\n",
        },
        {n: n.split("/")[1] for n in TINY} | dict(zip(TINY_VAL, WNIDS, strict=True)),
        {"train": TINY, "query": TINY_VAL},
        note="test/images/test_0.JPEG",
    ),
    "ILSVRC": Layout(
        pictures(*ILSVRC, *ILSVRC_VAL)
        | {"val.txt": "".join(f"{n[4:]} {w}\n" for n, w in zip(ILSVRC_VAL, WNIDS, strict=True))},
        ILSVRC_LABELS,
        ILSVRC_PARTS,
    ),
    "ILSVRC of Kaggle": Layout(
        pictures(*ILSVRC, *ILSVRC_VAL, "test/ILSVRC2012_test_00000001.JPEG")
        | {
            "LOC_val_solution.csv": "ImageId,PredictionString\n"
            + "".join(f"{n[4:-5]},{w} 85 1 499 272 \n" for n, w in zip(ILSVRC_VAL, WNIDS, strict=True)),
            "LOC_synset_mapping.txt": "n01443537 goldfish\nn02002724 stork\n",
        },
        ILSVRC_LABELS,
        ILSVRC_PARTS,
    ),
    "ILSVRC with dummy answers": Layout(
        pictures("train/cat/1.jpg", "train/cat/2.jpg", "train/dog/3.jpg", "train/dog/4.jpg", "test/5.jpg", "test/6.jpg")
        | {"sample_submission.csv": "file,species\n5.jpg,cat\n6.jpg,cat\n"},
        fault="test/5.jpg|2 pictures|move",
    ),
    "names as in MIRFlickr": Layout(
        pictures("cat/im1.jpg", "cat/im2.jpg", "dog/im3.jpg", "dog/im4.jpg")
        | {"sel/good.txt": "1\n2\n", "sel/bad.txt": "3\n"},
        {"cat/im1.jpg": "cat", "cat/im2.jpg": "cat", "dog/im3.jpg": "dog", "dog/im4.jpg": "dog"},
        note="sel/bad.txt",
    ),
    "names as in Dogs vs. Cats": Layout(
        pictures("pets/cat.0.jpg", "pets/dog.0.jpg", "pets/dog.1.jpg", "cars/0.jpg", "cars/1.jpg", "cars/2.jpg"),
        {f"pets/{n}.jpg": "pets" for n in ("cat.0", "dog.0", "dog.1")} | {f"cars/{n}.jpg": "cars" for n in (0, 1, 2)},
    ),
    "ILSVRC without a list": Layout(
        pictures(*ILSVRC, *ILSVRC_VAL), fault="val/ILSVRC2012_val_00000001.JPEG|2 pictures|val.txt"
    ),
    "metadata.csv": Layout(
        pictures("1.jpg", "2.jpg", "3.jpg") | {"metadata.csv": "file_name,label\n1.jpg,cat\n2.jpg,dog\n3.jpg,cat\n"},
        {"1.jpg": "cat", "2.jpg": "dog", "3.jpg": "cat"},
    ),
    "metadata.jsonl": Layout(
        pictures(*(f"{p}/{n}.jpg" for p in ("train", "test") for n in (1, 2)))
        | {
            f"{p}/metadata.jsonl": '{"file_name": "1.jpg", "label": 4}\n\n{"file_name": "2.jpg", "label": 7}\n'
            for p in ("train", "test")
        },
        {f"{p}/{n}.jpg": {1: "4", 2: "7"}[n] for p in ("train", "test") for n in (1, 2)},
        {"train": ["train/1.jpg", "train/2.jpg"], "query": ["test/1.jpg", "test/2.jpg"]},
    ),
    "Food-101": Layout(
        pictures(*(f"images/{k}/{n}.jpg" for k in ("pie", "taco") for n in (1, 2)))
        | {
            "meta/train.txt": "pie/1\ntaco/1\n",
            "meta/test.txt": "pie/2\ntaco/2\n",
            "meta/classes.txt": "pie\ntaco\n",
            "meta/labels.txt": "A pie\nA taco\n",
            "meta/train.json": '{"pie": ["pie/1"], "taco": ["taco/1"]}',
        },
        {f"images/{k}/{n}.jpg": k for k in ("pie", "taco") for n in (1, 2)},
        {"train": ["images/pie/1.jpg", "images/taco/1.jpg"], "query": ["images/pie/2.jpg", "images/taco/2.jpg"]},
    ),
}

GROUPS = {
    "name": NAMED,
    "form": WRITTEN,
    "column": COLUMNS,
    "cell": CELLS,
    "text": TEXTS,
    "folders": DIRECTORIES,
    "public": PUBLIC,
}
LAYOUTS = {f"{kind}: {name}": layout for kind, group in GROUPS.items() for name, layout in group.items()}


def main():
    """Print what `datasets check` says to each layout."""
    from click.testing import CliRunner

    from qsmi_lib.cli import main as command

    with tempfile.TemporaryDirectory() as place:
        for number, (name, layout) in enumerate(LAYOUTS.items()):
            source = write_folder(Path(place, str(number)), layout.files) / layout.path
            choice = ["--labels", layout.choice] if layout.choice else []
            result = CliRunner().invoke(command, ["datasets", "check", str(source), *choice])
            print(f"{name}  (exit status {result.exit_code})")
            print("".join(f"    {line}\n" for line in result.output.replace(str(source), "PATH").splitlines()))


if __name__ == "__main__":
    main()
