"""What lists, tables and folders say of pictures: the same items from every form and source, and every fault named."""

import hashlib
import re
from collections import Counter

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from qsmi_lib.datasets.images import manifest
from qsmi_lib.datasets.images.manifest import Fault, read
from qsmi_lib.tests.datasets.small_pictures import WRITERS, listing, table, write_folder, write_zip

CLASSES = ("cat", "dog", "owl")
SEVERAL = {"e.jpg": (1, 0, 0), "a.jpg": (0, 1, 1), "d.jpg": (0, 0, 0), "b.jpg": (1, 1, 1), "c.jpg": (0, 0, 1)}
SINGLE = {"cat/1.jpg": 0, "owl/2.jpg": 2, "dog/3.jpg": 1, "cat/4.JPEG": 0, "dog/1.jpg": 1}
each_source = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


def by_digest(names):
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())


def files(names):
    """No file is looked into here."""
    return {name: name.encode() for name in names}


def hot(label, n=3):
    return tuple(int(k == label) for k in range(n))


def is_(found, rows, *, parts=None, classes=None):
    """`found` holds the items of `rows` and no fault."""
    names = by_digest(rows)
    assert not found.faults and found.require() is found and len(found) == len(rows)
    assert list(found.paths) == names
    assert found.labels.dtype == np.int64
    assert found.labels.tolist() == [list(rows[n]) if isinstance(rows[n], tuple) else rows[n] for n in names]
    assert {part: [names[row] for row in own] for part, own in found.parts.items()} == {
        part: [name for name in names if name in own] for part, own in (parts or {}).items()
    }
    if classes is not None:
        assert found.classes == classes


def faults(found):
    return list(map(str, found.faults))


# Forms


@each_source
def test_a_list(tmp_path, write):
    source = write(tmp_path / "own", files(SEVERAL) | {"all.txt": listing(SEVERAL)})
    found = read(source)
    is_(found, SEVERAL, classes=("0", "1", "2"))
    lines = {path: f"all.txt:{number}" for number, path in enumerate(SEVERAL, 1)}
    assert list(found.where) == [lines[path] for path in found.paths]
    assert (found.source, found.root) == (source, source)
    assert found.unlabelled().tolist() == [found.paths.index("d.jpg")]


def test_a_list_file_by_its_own_path_lies_in_the_root(tmp_path):
    root = write_folder(tmp_path / "own", files(SEVERAL) | {"some.txt": listing(SEVERAL), "more.txt": "broken"})
    found = read(root / "some.txt")
    is_(found, SEVERAL)
    assert (found.source, found.root) == (root / "some.txt", root)


PARTS = {"train": ("a.jpg", "b.jpg"), "query": ("e.jpg",), "database": ("a.jpg", "c.jpg", "d.jpg")}


@each_source
@pytest.mark.parametrize("asking", ["test", "query", "val"])
def test_lists_of_parts(tmp_path, write, asking):
    """A picture of two parts is one item."""
    lists = {
        f"{asking if part == 'query' else part}.txt": listing({path: SEVERAL[path] for path in own})
        for part, own in PARTS.items()
    }
    found = read(write(tmp_path / "own", files(SEVERAL) | lists))
    is_(found, SEVERAL, parts=PARTS)
    place = dict(zip(found.paths, found.where, strict=True))
    assert place["e.jpg"] == f"{asking}.txt:1" and place["a.jpg"] == "database.txt:1"


def test_each_repetition_names_the_first(tmp_path):
    root = write_folder(tmp_path / "own", files(["a.jpg"]) | {"list.txt": "a.jpg 1 0\n" * 3})
    assert faults(read(root)) == [f"list.txt:{line}: a.jpg is there twice, first at list.txt:1" for line in (2, 3)]


def test_val_and_test_ask_both(tmp_path):
    lists = {name: listing({path: SEVERAL[path]}) for name, path in (("test.txt", "a.jpg"), ("val.txt", "b.jpg"))}
    lists["train.txt"] = listing({"c.jpg": SEVERAL["c.jpg"]})
    found = read(write_folder(tmp_path / "own", files(SEVERAL) | lists))
    rows = {path: SEVERAL[path] for path in ("a.jpg", "b.jpg", "c.jpg")}
    is_(found, rows, parts={"train": ("c.jpg",), "query": ("a.jpg", "b.jpg")})


@each_source
def test_a_table(tmp_path, write):
    source = write(tmp_path / "own", files(SEVERAL) | {"labels.csv": table(SEVERAL, CLASSES)})
    found = read(source)
    is_(found, SEVERAL, classes=CLASSES)
    assert dict(zip(found.paths, found.where, strict=True))["e.jpg"] == "labels.csv:2"


def test_a_table_may_quote(tmp_path):
    rows = {"one, two.jpg": (1, 0), 'a "b".jpg': (1, 1)}
    text = '\ufefffile,"cat, big", dog \r\n"one, two.jpg",1,0\r\n\r\n"a ""b"".jpg", 1 ,1\r\n'
    found = read(write_folder(tmp_path / "own", files(rows) | {"labels.csv": text}))
    is_(found, rows, classes=("cat, big", "dog"))
    assert sorted(found.where) == ["labels.csv:2", "labels.csv:4"]


@each_source
def test_folders_of_classes(tmp_path, write):
    found = read(write(tmp_path / "own", files(SINGLE) | files(["about.md", "cat/notes.html"])))
    is_(found, SINGLE, classes=CLASSES)
    assert found.where == found.paths and found.unlabelled().tolist() == []


@each_source
def test_folders_of_parts_and_classes(tmp_path, write):
    rows = {f"{part}/{path}": label for part in ("train", "val") for path, label in SINGLE.items()}
    rows |= {"train/ant/1.jpg": 0}  # of no query
    rows = {path: label if path.startswith("train/ant") else label + 1 for path, label in rows.items()}
    parts = {
        "train": [path for path in rows if path.startswith("train")],
        "query": [path for path in rows if path.startswith("val")],
    }
    is_(read(write(tmp_path / "own", files(rows))), rows, parts=parts, classes=("ant", *CLASSES))


def test_every_form_and_source_gives_the_same_items(tmp_path):
    """So one catalogue stands for all of them; the marks know no source."""
    rows = {path: hot(label) for path, label in SINGLE.items()}
    written = {
        "list": {"list.txt": listing(rows)},
        "table": {"labels.csv": table(rows, CLASSES)},
        "folders": {},
    }
    found = [
        read(write(tmp_path / name, files(SINGLE) | more))
        for name, more in written.items()
        for write in WRITERS.values()
    ]
    for own in found:
        is_(own, SINGLE)
    assert len({own.mark for own in found}) == 1


def test_one_label_an_item_is_a_number_and_two_somewhere_make_all_multi_hot(tmp_path):
    rows = {"a.jpg": (0, 0, 1), "b.jpg": (1, 0, 0)}
    root = write_folder(tmp_path / "own", files(("a.jpg", "b.jpg", "c.jpg")) | {"list.txt": listing(rows)})
    is_(read(root), {"a.jpg": 2, "b.jpg": 0}, classes=("0", "1", "2"))
    for labels in ((1, 1, 0), (0, 0, 0)):
        write_folder(root, {"list.txt": listing(rows | {"c.jpg": labels})})
        is_(read(root), rows | {"c.jpg": labels})


def test_one_label_in_all(tmp_path):
    root = write_folder(tmp_path / "own", files(["a.jpg"]) | {"list.txt": "a.jpg 1\n"})
    is_(read(root), {"a.jpg": 0}, classes=("0",))
    write_folder(root, {"list.txt": "a.jpg 0\n"})
    found = read(root)
    is_(found, {"a.jpg": (0,)})
    assert found.unlabelled().tolist() == [0]


def test_paths_may_leave_out_the_folder_of_images(tmp_path):
    """What lies at the path itself goes first."""
    root = write_folder(tmp_path / "own", files(["images/a.jpg", "b.jpg", "images/b.jpg"]))
    write_folder(root, {"list.txt": "a.jpg 1 0\nb.jpg 0 1\nimages/b.jpg 1 0\n"})
    is_(read(root), {"images/a.jpg": 0, "b.jpg": 1, "images/b.jpg": 0})


@pytest.mark.parametrize("text", ["\ufeff./a.jpg 1 0\n", "\n \na.jpg\t1\t0   \r\n\n", "a.jpg 1 0"])
def test_white_space_and_a_mark_of_the_byte_order_do_not_matter(tmp_path, text):
    is_(read(write_folder(tmp_path / "own", files(["a.jpg"]) | {"list.txt": text})), {"a.jpg": 0})


def test_lines_count_as_an_editor_counts_them(tmp_path):
    root = write_folder(tmp_path / "own", files(["a.jpg"]) | {"list.txt": "\n\na.jpg 1 0\n\na.jpg 1 2\n"})
    assert faults(read(root)) == ["list.txt:5: a label must be 0 or 1, got '2'"]


def test_names_of_classes_are_no_list(tmp_path):
    root = write_folder(tmp_path / "own", files(SINGLE) | {"classes.txt": "cat a small animal\n"})
    is_(read(root), SINGLE)


# Order, mark


@pytest.mark.parametrize("kind", ["list.txt", "labels.csv"])
def test_the_order_of_the_lines_has_no_say(tmp_path, kind):
    backwards = dict(reversed(SEVERAL.items()))
    both = [
        read(
            write_folder(
                tmp_path / name,
                files(SEVERAL) | {kind: listing(rows) if kind == "list.txt" else table(rows, CLASSES)},
            )
        )
        for name, rows in (("one", SEVERAL), ("other", backwards))
    ]
    assert both[0].paths == both[1].paths and both[0].mark == both[1].mark
    assert np.array_equal(both[0].labels, both[1].labels)


def test_a_mark_is_of_paths_labels_and_parts(tmp_path):
    lists = {
        "as it is": {"train.txt": "a.jpg 1 0\n", "test.txt": "b.jpg 1 1\n"},
        "another label": {"train.txt": "a.jpg 0 1\n", "test.txt": "b.jpg 1 1\n"},
        "another path": {"train.txt": "c.jpg 1 0\n", "test.txt": "b.jpg 1 1\n"},
        "another part": {"test.txt": "a.jpg 1 0\n", "train.txt": "b.jpg 1 1\n"},
        "not divided": {"all.txt": "a.jpg 1 0\nb.jpg 1 1\n"},
        "one more part": {"train.txt": "a.jpg 1 0\n", "test.txt": "b.jpg 1 1\n", "database.txt": "a.jpg 1 0\n"},
    }
    names = files(["a.jpg", "b.jpg", "c.jpg"])
    marks = {kind: read(write_folder(tmp_path / kind, names | own)).mark for kind, own in lists.items()}
    assert len(set(marks.values())) == len(lists)


# Faults


LIST_FAULTS = {
    "a ragged line": ("a.jpg 1 0", "list.txt:4: 2 labels, expected 3 as in the other lines"),
    "a label too many": ("a.jpg 1 0 0 1", "list.txt:4: 4 labels, expected 3 as in the other lines"),
    "another label": ("a.jpg 1 2 0", "list.txt:4: a label must be 0 or 1, got '2'"),
    "a label that is not whole": ("a.jpg 1.0 0 0", "list.txt:4: a label must be 0 or 1, got '1.0'"),
    "a label below 0": ("a.jpg 0 -1 0", "list.txt:4: a label must be 0 or 1, got '-1'"),
    "a path with a space": ("my a.jpg 0 1 0", "list.txt:4: a label must be 0 or 1, got 'a.jpg'"),
    "no label": ("a.jpg", "list.txt:4: 'a.jpg' has no labels: expected `path 0 1 0 ...`"),
    "a path above the root": ("../a.jpg 0 1 0", "list.txt:4: the path '../a.jpg' lies outside the root"),
    "a path that comes back": (
        "images/../../own/a.jpg 0 1 0",
        "list.txt:4: the path 'images/../../own/a.jpg' lies outside the root",
    ),
    "an absolute path": ("/a.jpg 0 1 0", "list.txt:4: the path '/a.jpg' lies outside the root"),
    "a missing file": ("f.jpg 0 1 0", "list.txt:4: f.jpg is not there: expected it below {source}"),
    "a folder": ("images 0 1 0", "list.txt:4: images is not there: expected it below {source}"),
    "an item twice": ("b.jpg 0 1 0", "list.txt:4: b.jpg is there twice, first at list.txt:1"),
    "an item twice under two names": ("./b.jpg 0 1 0", "list.txt:4: b.jpg is there twice, first at list.txt:1"),
}


@each_source
@pytest.mark.parametrize(("line", "message"), LIST_FAULTS.values(), ids=LIST_FAULTS)
def test_a_faulty_line_is_named(tmp_path, write, line, message):
    text = f"b.jpg 0 1 0\nc.jpg 1 0 0\nd.jpg 0 0 1\n{line}\n"
    names = files(["a.jpg", "b.jpg", "c.jpg", "d.jpg", "images/g.jpg"])
    source = write(tmp_path / "own", names | {"list.txt": text})
    found, expected = read(source), message.format(source=source)
    assert faults(found) == [expected]
    hint = f"; `python -m qsmi_lib datasets check {source}` lists all"
    with pytest.raises(ValueError, match=f"^{re.escape(expected + hint)}$"):
        found.require()


TABLE_FAULTS = {
    "a ragged row": ("a.jpg,1", "labels.csv:3: 1 labels, expected 2 as in the other lines"),
    "another label": ("a.jpg,1,x", "labels.csv:3: a label must be 0 or 1, got 'x'"),
    "an empty label": ("a.jpg,1,", "labels.csv:3: a label must be 0 or 1, got ''"),
    "no label": ("a.jpg", "labels.csv:3: 'a.jpg' has no labels: expected `path 0 1 0 ...`"),
    "a path above the root": ("../a.jpg,1,0", "labels.csv:3: the path '../a.jpg' lies outside the root"),
    "a missing file": ("f.jpg,1,0", "labels.csv:3: f.jpg is not there: expected it below {source}"),
    "an item twice": ("b.jpg,1,1", "labels.csv:3: b.jpg is there twice, first at labels.csv:2"),
}


@each_source
@pytest.mark.parametrize(("row", "message"), TABLE_FAULTS.values(), ids=TABLE_FAULTS)
def test_a_faulty_row_is_named(tmp_path, write, row, message):
    text = f"file,cat,dog\nb.jpg,1,1\n{row}\n"
    source = write(tmp_path / "own", files(["a.jpg", "b.jpg"]) | {"labels.csv": text})
    assert faults(read(source)) == [message.format(source=source)]


def test_the_header_says_how_many_labels_a_row_has(tmp_path):
    text = "file,cat,dog\na.jpg,1\nb.jpg,1\nc.jpg,1,1\n"
    found = read(write_folder(tmp_path / "own", files(["a.jpg", "b.jpg", "c.jpg"]) | {"labels.csv": text}))
    expected = [f"labels.csv:{line}: 1 labels, expected 2 as in the other lines" for line in (2, 3)]
    assert faults(found) == expected and found.paths == ("c.jpg",)


FOLDER_FAULTS = {
    "too deep": ("train/cat/more/9.jpg", "lies at another depth than most: expected <part>/<class>/<name>"),
    "too flat": ("train/9.jpg", "lies at another depth than most: expected <part>/<class>/<name>"),
    "a file alone": ("9.png", "lies at another depth than most: expected <part>/<class>/<name>"),
    "an unknown part": ("extra/cat/9.jpg", "unknown part 'extra': expected train, test, val, query, database"),
}


@each_source
@pytest.mark.parametrize(("name", "message"), FOLDER_FAULTS.values(), ids=FOLDER_FAULTS)
def test_a_picture_in_a_wrong_folder_is_named(tmp_path, write, name, message):
    rows = [f"{part}/{path}" for part in ("train", "test") for path in SINGLE]
    found = read(write(tmp_path / "own", files([*rows, name])))
    assert faults(found) == [f"{name}: {message}"] and len(found) == len(rows)


def test_class_folders_want_no_parts(tmp_path):
    found = read(write_folder(tmp_path / "own", files([*SINGLE, "train/cat/9.jpg"])))
    assert faults(found) == ["train/cat/9.jpg: lies at another depth than most: expected <class>/<name>"]


LISTS = {"train.txt": "a.jpg 1 0\nb.jpg 1 1\n", "test.txt": "c.jpg 1 0\n", "database.txt": "a.jpg 1 0\nd.jpg 0 0\n"}
PART_FAULTS = {
    "a query that trains": ({"test.txt": "c.jpg 1 0\nb.jpg 1 1\n"}, ["test.txt:2: the query b.jpg lies in {'train'}"]),
    "a query that is searched": (
        {"test.txt": "d.jpg 0 0\n"},
        ["test.txt:1: the query d.jpg lies in {'database'}"],
    ),
    "a query that does both": (
        {"test.txt": "c.jpg 1 0\n\na.jpg 1 0\n"},
        ["test.txt:3: the query a.jpg lies in {'train'}", "test.txt:3: the query a.jpg lies in {'database'}"],
    ),
    "other labels": (
        {"database.txt": "a.jpg 0 1\n"},
        ["train.txt:1: a.jpg carries other labels than at database.txt:1"],
    ),
    "twice in a part": (
        {"test.txt": "c.jpg 1 0\nc.jpg 1 0\n"},
        ["test.txt:2: c.jpg is there twice, first at test.txt:1"],
    ),
    "twice among queries of two lists": (
        {"val.txt": "c.jpg 1 0\n"},
        ["val.txt:1: c.jpg is there twice, first at test.txt:1"],
    ),
    "another number of labels": ({"test.txt": "c.jpg 1\n"}, ["test.txt:1: 1 labels, expected 2 as in the other lines"]),
}


@each_source
@pytest.mark.parametrize(("change", "messages"), PART_FAULTS.values(), ids=PART_FAULTS)
def test_parts_that_do_not_fit_are_named(tmp_path, write, change, messages):
    found = read(write(tmp_path / "own", files(["a.jpg", "b.jpg", "c.jpg", "d.jpg"]) | LISTS | change))
    expected = [re.sub(r"\{(.*)\}", r"the part \1 too", message) for message in messages]
    assert faults(found) == expected


def test_a_query_leaks_under_another_spelling_too(tmp_path):
    lists = {"train.txt": "images/a.jpg 1 0\n", "test.txt": "./a.jpg 1 0\n"}
    found = read(write_folder(tmp_path / "own", files(["images/a.jpg"]) | lists))
    assert faults(found) == ["test.txt:1: the query images/a.jpg lies in the part 'train' too"]


def test_all_faults_are_found_at_once_and_the_first_is_raised(tmp_path):
    text = "a.jpg 1 0\nb.jpg 1\nc.jpg 0 3\n../d.jpg 1 0\ne.jpg 0 1\na.jpg 1 0\nb.jpg 1 1\n"
    found = read(write_folder(tmp_path / "own", files(["a.jpg", "b.jpg", "c.jpg"]) | {"list.txt": text}))
    assert [fault.where for fault in found.faults] == [f"list.txt:{line}" for line in (2, 3, 4, 5, 6)]
    assert list(found.paths) == by_digest(["a.jpg", "b.jpg"])  # what is whole stays
    with pytest.raises(ValueError, match=r"^list\.txt:2: 1 labels, .* \(the first of 5 faults\); `python -m qsmi_lib"):
        found.require()


WORDS = st.sampled_from(["0", "1", "2", "x"])
PATHS = st.sampled_from(["a.jpg", "b.jpg", "c.jpg", "../a.jpg", "gone.jpg", "/b.jpg"])
LINES = st.lists(st.tuples(PATHS, st.lists(WORDS, min_size=0, max_size=3)), min_size=1, max_size=8)


def slow_read(lines):
    """Paths with labels, and the numbers of faulty lines: "0 1" and nothing else, of known paths, each once."""
    sound = [
        (number, path, labels)
        for number, (path, labels) in enumerate(lines, 1)
        if labels and set(labels) <= {"0", "1"} and path in ("a.jpg", "b.jpg", "c.jpg", "gone.jpg")
    ]
    lengths = Counter(len(labels) for _, _, labels in sound)
    width = max(lengths, key=lengths.get, default=0)
    items = {}
    for _, path, labels in sound:
        if len(labels) == width and path != "gone.jpg" and path not in items:
            items[path] = tuple(map(int, labels))
    taken, faulty = set(), []
    for number, (path, labels) in enumerate(lines, 1):
        whole = path in items and len(labels) == width and set(labels) <= {"0", "1"}
        if not whole or path in taken:
            faulty.append(number)
        else:
            taken.add(path)
    return items, faulty


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("three"), files(["a.jpg", "b.jpg", "c.jpg"]))


@settings(max_examples=60)
@given(LINES.filter(lambda lines: slow_read(lines)[0]))
def test_any_list_is_read_as_the_slow_way_reads_it(three, lines):
    (three / "list.txt").write_text("".join(" ".join([path, *labels]) + "\n" for path, labels in lines))
    found, (items, faulty) = read(three), slow_read(lines)
    assert [fault.where for fault in found.faults] == [f"list.txt:{number}" for number in faulty]
    assert list(found.paths) == by_digest(items)
    expected = [items[path] for path in found.paths]
    if all(sum(labels) == 1 for labels in expected):
        expected = [labels.index(1) for labels in expected]
    assert found.labels.tolist() == [list(e) if isinstance(e, tuple) else e for e in expected]


# What is no data set


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no .*nothing: expected a folder, a zip or a list file"):
        read(tmp_path / "nothing")


@each_source
def test_no_pictures(tmp_path, write):
    source = write(tmp_path / "own", {"notes.md": "no", "cat/notes.md": "no"})
    message = (
        rf"^{re.escape(str(source))} holds no pictures in a known form: expected lists of lines `path 0 1 0 \.\.\.`"
    )
    with pytest.raises(ValueError, match=message):
        read(source)


@each_source
def test_several_lists_of_unknown_names(tmp_path, write):
    source = write(tmp_path / "own", files(SEVERAL) | {"a.txt": listing(SEVERAL), "b.txt": listing(SEVERAL)})
    known = "train.txt, test.txt, val.txt, query.txt, database.txt, or one alone"
    message = f"{source} holds several lists, a.txt among them: expected {known}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        read(source)


@each_source
def test_texts_that_are_no_lists_are_passed_over(tmp_path, write):
    texts = {"README.txt": "See also:\nnothing\n", "wnids.txt": "n01\nn02\n"}
    found = read(write(tmp_path / "own", files(["train/cat/a.jpg", "val/cat/b.jpg"]) | texts))
    assert len(found) == 2 and not found.faults and found.parts.keys() == {"train", "query"}


@each_source
@pytest.mark.parametrize("name", ["train.txt", "labels.csv"])
def test_lists_of_known_names_and_tables_go_before_other_texts(tmp_path, write, name):
    own = {"train.txt": listing(SEVERAL), "labels.csv": table(SEVERAL, CLASSES)}[name]
    texts = {"README.txt": "See also:\n", "words.txt": "n01 cat\n", "empty.txt": "", "one.txt": "1\n"}
    texts |= {"more.txt": listing(SEVERAL)} if name == "train.txt" else {}
    found = read(write(tmp_path / "own", files(SEVERAL) | texts | {name: own}))
    is_(found, SEVERAL, parts={"train": tuple(SEVERAL)} if name == "train.txt" else None)


def test_a_damaged_zip(tmp_path):
    source = write_zip(tmp_path / "own", files(SEVERAL))
    source.write_bytes(source.read_bytes()[:50])
    with pytest.raises(ValueError, match=f"{re.escape(str(source))} is damaged or truncated: expected a zip"):
        read(source)


NOTHING_LEFT = {
    "an empty list": ({"train.txt": ""}, ["train.txt: it lists no picture: expected lines `path 0 1 0 ...`"]),
    "an empty table": ({"labels.csv": ""}, ["{source}: it lists no picture: expected lists of lines"]),
    "a header alone": ({"labels.csv": "file,cat\n"}, ["{source}: it lists no picture: expected lists of lines"]),
    "no picture there": ({"list.txt": "y.jpg 1 0\n"}, ["list.txt:1: y.jpg is not there: expected it below {source}"]),
}


@pytest.mark.parametrize(("content", "messages"), NOTHING_LEFT.values(), ids=NOTHING_LEFT)
def test_a_source_of_no_items_has_faults_too(tmp_path, content, messages):
    source = write_folder(tmp_path / "own", content)
    found = read(source)
    assert len(found) == 0 and found.unlabelled().tolist() == [] and found.parts == {}
    for fault, message in zip(faults(found), messages, strict=True):
        assert fault.startswith(message.format(source=source))
    with pytest.raises(ValueError, match=r"lists all$"):
        found.require()


def test_a_table_without_a_header_is_named(tmp_path):
    """Its first picture would be lost."""
    text = "a.jpg,0,1\nb.jpg,1,0\n"
    found = read(write_folder(tmp_path / "own", files(["a.jpg", "b.jpg"]) | {"labels.csv": text}))
    assert faults(found) == ["labels.csv:1: expected the names of the labels, got the picture 'a.jpg'"]


def test_a_label_that_is_named_twice(tmp_path):
    text = "file,cat,dog,cat\na.jpg,0,1,0\n"
    found = read(write_folder(tmp_path / "own", files(["a.jpg"]) | {"labels.csv": text}))
    assert faults(found) == ["labels.csv:1: a label is named twice: cat, dog, cat"]


@pytest.mark.parametrize("n_rows", [3, 30_000])
def test_a_quote_that_is_never_closed_is_named(tmp_path, n_rows):
    text = 'file,cat,dog\nb.jpg,1,0\n"a.jpg,0,1\n' + "b.jpg,1,0\n" * n_rows
    found = read(write_folder(tmp_path / "own", files(["a.jpg", "b.jpg"]) | {"labels.csv": text}))
    (fault,) = faults(found)
    assert fault.startswith("labels.csv:3: this row and what follows cannot be read (") and len(fault) < 200


def test_a_fault_reads_as_place_and_what():
    assert str(Fault("list.txt:3", "it is so")) == "list.txt:3: it is so"
    assert manifest.FORMS.count("labels.csv") == 1
