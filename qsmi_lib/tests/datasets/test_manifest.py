"""Lists, tables and folders of pictures: the same items from every form and source, and every fault named."""

import hashlib
import re
from collections import Counter

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from qsmi_lib.datasets.images.manifest import read
from qsmi_lib.tests.datasets.small_pictures import WRITERS, listing, table, write_folder, write_zip

CLASSES = ("cat", "dog", "owl")
SEVERAL = {"e.jpg": (1, 0, 0), "a.jpg": (0, 1, 1), "d.jpg": (0, 0, 0), "b.jpg": (1, 1, 1), "c.jpg": (0, 0, 1)}
SINGLE = {"cat/1.jpg": 0, "owl/2.jpg": 2, "dog/3.jpg": 1, "cat/4.JPEG": 0, "dog/1.jpg": 1}
each_source = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


def by_hash(names):
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())


def files(names):
    """Files whose content is never read."""
    return {name: name.encode() for name in names}


def assert_holds(items, rows, *, parts=None, classes=None):
    """`items` are those of `rows`, without a fault."""
    names = by_hash(rows)
    assert not items.faults and len(items) == len(rows)
    assert items.same_labels() or items.checked() is items
    assert list(items.paths) == names
    assert items.labels.dtype == np.int64
    assert items.labels.tolist() == [list(rows[n]) if isinstance(rows[n], tuple) else rows[n] for n in names]
    assert {part: [names[row] for row in indices] for part, indices in items.parts.items()} == {
        part: [name for name in names if name in members] for part, members in (parts or {}).items()
    }
    assert classes is None or items.classes == classes


def faults(items):
    return list(map(str, items.faults))


# Forms


@each_source
def test_a_list(tmp_path, write):
    source = write(tmp_path / "own", files(SEVERAL) | {"all.txt": listing(SEVERAL)})
    items = read(source)
    assert_holds(items, SEVERAL, classes=("0", "1", "2"))
    lines = {path: f"all.txt:{number}" for number, path in enumerate(SEVERAL, 1)}
    assert list(items.where) == [lines[path] for path in items.paths]
    assert (items.source, items.root) == (source, source)
    assert items.unlabelled().tolist() == [items.paths.index("d.jpg")]


def test_a_list_file_by_its_path_lies_in_the_root(tmp_path):
    root = write_folder(tmp_path / "own", files(SEVERAL) | {"some.txt": listing(SEVERAL), "more.txt": "broken"})
    items = read(root / "some.txt")
    assert_holds(items, SEVERAL)
    assert (items.source, items.root) == (root / "some.txt", root)


PARTS = {"train": ("a.jpg", "b.jpg"), "query": ("c.jpg",), "database": ("a.jpg", "e.jpg", "d.jpg")}


@each_source
@pytest.mark.parametrize("query", ["test", "query", "val"])
def test_lists_of_parts_share_their_items(tmp_path, write, query):
    lists = {
        f"{query if part == 'query' else part}.txt": listing({path: SEVERAL[path] for path in members})
        for part, members in PARTS.items()
    }
    items = read(write(tmp_path / "own", files(SEVERAL) | lists))
    assert_holds(items, SEVERAL, parts=PARTS)
    where = dict(zip(items.paths, items.where, strict=True))
    assert where["c.jpg"] == f"{query}.txt:1" and where["a.jpg"] == "database.txt:1"


@each_source
def test_a_table_which_may_quote(tmp_path, write):
    source = write(tmp_path / "own", files(SEVERAL) | {"labels.csv": table(SEVERAL, CLASSES)})
    items = read(source)
    assert_holds(items, SEVERAL, classes=CLASSES)
    assert dict(zip(items.paths, items.where, strict=True))["e.jpg"] == "labels.csv:2"
    rows = {"one, two.jpg": (1, 0), 'a "b".jpg': (1, 1)}
    text = '\ufefffile,"cat, big", dog \r\n"one, two.jpg",1,0\r\n\r\n"a ""b"".jpg", 1 ,1\r\n'
    items = read(write(tmp_path / "quoted", files(rows) | {"labels.csv": text}))
    assert_holds(items, rows, classes=("cat, big", "dog"))
    assert sorted(items.where) == ["labels.csv:2", "labels.csv:4"]


@each_source
def test_folders_of_classes_and_of_parts(tmp_path, write):
    items = read(write(tmp_path / "own", files(SINGLE) | files(["about.md", "cat/notes.html"])))
    assert_holds(items, SINGLE, classes=CLASSES)
    assert items.where == items.paths and items.unlabelled().tolist() == []
    rows = {f"{part}/{path}": label + 1 for part in ("train", "val") for path, label in SINGLE.items()}
    rows |= {"train/ant/1.jpg": 0}  # a class without queries
    parts = {"train": [path for path in rows if path[0] == "t"], "query": [path for path in rows if path[0] == "v"]}
    assert_holds(read(write(tmp_path / "parts", files(rows))), rows, parts=parts, classes=("ant", *CLASSES))


def test_every_form_and_source_gives_the_same_items_and_fingerprint(tmp_path):
    rows = {path: tuple(int(k == label) for k in range(3)) for path, label in SINGLE.items()}
    backwards = dict(reversed(rows.items()))
    forms = {
        "list": {"list.txt": listing(rows)},
        "backwards": {"list.txt": listing(backwards)},
        "table": {"labels.csv": table(rows, CLASSES)},
        "folders": {},
    }
    fingerprints = set()
    for name, more in forms.items():
        for write in WRITERS.values():
            items = read(write(tmp_path / name, files(SINGLE) | more))
            assert_holds(items, SINGLE)
            fingerprints.add(items.fingerprint)
    assert len(fingerprints) == 1


def test_one_label_for_each_item_is_a_number_and_any_other_makes_all_multi_hot(tmp_path):
    rows = {"a.jpg": (0, 0, 1), "b.jpg": (1, 0, 0)}
    root = write_folder(tmp_path / "own", files(("a.jpg", "b.jpg", "c.jpg")) | {"list.txt": listing(rows)})
    assert_holds(read(root), {"a.jpg": 2, "b.jpg": 0}, classes=("0", "1", "2"))
    for labels in ((1, 1, 0), (0, 0, 0)):
        write_folder(root, {"list.txt": listing(rows | {"c.jpg": labels})})
        assert_holds(read(root), rows | {"c.jpg": labels})


def test_paths_may_leave_out_the_folder_of_images(tmp_path):
    """A file at the path itself is preferred."""
    root = write_folder(tmp_path / "own", files(["images/a.jpg", "b.jpg", "images/b.jpg"]))
    write_folder(root, {"list.txt": "a.jpg 1 0\nb.jpg 0 1\nimages/b.jpg 1 0\n"})
    assert_holds(read(root), {"images/a.jpg": 0, "b.jpg": 1, "images/b.jpg": 0})


@pytest.mark.parametrize("text", ["\ufeff./a.jpg 1 0\n", "\n \na.jpg\t1\t0   \r\n\n", "a.jpg 1 0"])
def test_white_space_and_a_byte_order_mark_are_ignored(tmp_path, text):
    assert_holds(read(write_folder(tmp_path / "own", files(["a.jpg"]) | {"list.txt": text})), {"a.jpg": 0})


@each_source
def test_texts_that_are_no_lists_are_ignored(tmp_path, write):
    texts = {"README.txt": "See also:\nnothing\n", "wnids.txt": "n01\nn02\n", "classes.txt": "cat a small animal\n"}
    assert_holds(read(write(tmp_path / "folders", files(SINGLE) | texts)), SINGLE)
    texts |= {"more.txt": listing(SEVERAL), "empty.txt": ""}
    items = read(write(tmp_path / "list", files(SEVERAL) | texts | {"train.txt": listing(SEVERAL)}))
    assert_holds(items, SEVERAL, parts={"train": tuple(SEVERAL)})


def test_a_fingerprint_is_of_paths_labels_and_parts(tmp_path):
    lists = {
        "as it is": {"train.txt": "a.jpg 1 0\n", "test.txt": "b.jpg 1 1\n"},
        "another label": {"train.txt": "a.jpg 0 1\n", "test.txt": "b.jpg 1 1\n"},
        "another path": {"train.txt": "c.jpg 1 0\n", "test.txt": "b.jpg 1 1\n"},
        "another part": {"test.txt": "a.jpg 1 0\n", "train.txt": "b.jpg 1 1\n"},
        "not divided": {"all.txt": "a.jpg 1 0\nb.jpg 1 1\n"},
        "one more part": {"train.txt": "a.jpg 1 0\n", "test.txt": "b.jpg 1 1\n", "database.txt": "a.jpg 1 0\n"},
    }
    names = files(["a.jpg", "b.jpg", "c.jpg"])
    fingerprints = {read(write_folder(tmp_path / kind, names | texts)).fingerprint for kind, texts in lists.items()}
    assert len(fingerprints) == len(lists)


# Faults: b.jpg is listed before the faulty line, a.jpg is there and not listed, f.jpg is not there

LIST_FAULTS = {
    "a label too few": ("a.jpg 1 0", "2 labels, expected 3 as in the other lines"),
    "a label too many": ("a.jpg 1 0 0 1", "4 labels, expected 3 as in the other lines"),
    "another label": ("a.jpg 1 2 0", "a label must be 0 or 1, got '2'"),
    "a label that is not whole": ("a.jpg 0.5 0 0", "a label must be 0 or 1, got '0.5'"),
    "a path with a space": ("my a.jpg 0 1 0", "a label must be 0 or 1, got 'a.jpg'"),
    "no label": ("a.jpg", "'a.jpg' has no labels: expected `path 0 1 0 ...`"),
    "a path above the root": ("../a.jpg 0 1 0", "the path '../a.jpg' lies outside the root"),
    "a path that comes back": ("x/../../own/a.jpg 0 1 0", "the path 'x/../../own/a.jpg' lies outside the root"),
    "an absolute path": ("/a.jpg 0 1 0", "the path '/a.jpg' lies outside the root"),
    "a missing file": ("f.jpg 0 1 0", "f.jpg is not there: expected it below {source}"),
    "a folder": ("images 0 1 0", "images is not there: expected it below {source}"),
    "an item twice": ("b.jpg 0 1 0", "b.jpg is there twice, first at {name}:{first}"),
    "an item twice under two names": ("./b.jpg 0 1 0", "b.jpg is there twice, first at {name}:{first}"),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize(("line", "message"), LIST_FAULTS.values(), ids=LIST_FAULTS)
def test_a_faulty_line_is_named(tmp_path, write, line, message):
    lines = ["b.jpg 0 1 0", "c.jpg 1 0 0", "d.jpg 0 0 1", line]
    forms = {"list.txt": "\n".join(lines)}
    if not line.startswith("my "):  # a table may have spaces in its paths
        forms["labels.csv"] = "\n".join(["file cat dog owl", *lines]).replace(" ", ",")
    for first, (name, text) in enumerate(forms.items(), 1):
        names = files(["a.jpg", "b.jpg", "c.jpg", "d.jpg", "images/g.jpg"])
        source = write(tmp_path / name, names | {name: text})
        items = read(source)
        expected = f"{name}:{first + 3}: {message.format(source=source, name=name, first=first)}"
        assert faults(items) == [expected]
        hint = f"; `python -m qsmi_lib datasets check {source}` lists all"
        with pytest.raises(ValueError, match=f"^{re.escape(expected + hint)}$"):
            items.checked()


TABLE_FAULTS = {
    "rows shorter than the header": (
        "file,cat,dog\na.jpg,1\nb.jpg,1\nc.jpg,1,1\n",
        [f"labels.csv:{line}: 1 labels, expected 2 as in the other lines" for line in (2, 3)],
    ),
    "a label twice": ("file,cat,dog,cat\na.jpg,0,1,0\n", ["labels.csv:1: a label is named twice: cat, dog, cat"]),
    "an empty label": ("file,cat,dog\na.jpg,1,\n", ["labels.csv:2: a label must be 0 or 1, got ''"]),
}


@pytest.mark.parametrize(("text", "messages"), TABLE_FAULTS.values(), ids=TABLE_FAULTS)
def test_a_faulty_table_is_named(tmp_path, text, messages):
    names = files(["a.jpg", "b.jpg", "c.jpg"])
    assert faults(read(write_folder(tmp_path / "own", names | {"labels.csv": text}))) == messages


@pytest.mark.parametrize("n_rows", [3, 30_000])
def test_a_quote_that_is_never_closed_is_named(tmp_path, n_rows):
    text = 'file,cat,dog\nb.jpg,1,0\n"a.jpg,0,1\n' + "b.jpg,1,0\n" * n_rows
    items = read(write_folder(tmp_path / "own", files(["a.jpg", "b.jpg"]) | {"labels.csv": text}))
    (fault,) = faults(items)
    assert fault.startswith("labels.csv:3: this row and the following ones cannot be read (") and len(fault) < 200


FOLDER_FAULTS = {
    "too deep": ("train/cat/more/9.jpg", "lies at another depth than most: expected <part>/<class>/<name>"),
    "too flat": ("train/9.jpg", "lies at another depth than most: expected <part>/<class>/<name>"),
    "a file alone": ("9.png", "lies at another depth than most: expected <part>/<class>/<name>"),
    "an unknown part": ("extra/cat/9.jpg", "unknown part 'extra': expected "),
}


@each_source
@pytest.mark.parametrize(("name", "message"), FOLDER_FAULTS.values(), ids=FOLDER_FAULTS)
def test_a_picture_in_a_wrong_folder_is_named(tmp_path, write, name, message):
    rows = [f"{part}/{path}" for part in ("train", "test") for path in SINGLE]
    items = read(write(tmp_path / "own", files([*rows, name])))
    (fault,) = faults(items)
    assert fault.startswith(f"{name}: {message}") and len(items) == len(rows)


LISTS = {"train.txt": "a.jpg 1 0\nb.jpg 1 1\n", "test.txt": "c.jpg 1 0\n", "database.txt": "a.jpg 1 0\nd.jpg 0 0\n"}
LEAK = "the query {} is also in the part '{}'"
PART_FAULTS = {
    "in the training set": ({"test.txt": "c.jpg 1 0\nb.jpg 1 1\n"}, [f"test.txt:2: {LEAK.format('b.jpg', 'train')}"]),
    "in the database": ({"test.txt": "d.jpg 0 0\n"}, [f"test.txt:1: {LEAK.format('d.jpg', 'database')}"]),
    "in both": (
        {"test.txt": "c.jpg 1 0\n\n./a.jpg 1 0\n"},
        [f"test.txt:3: {LEAK.format('a.jpg', part)}" for part in ("train", "database")],
    ),
    "other labels": (
        {"database.txt": "a.jpg 0 1\n"},
        ["train.txt:1: a.jpg carries other labels than at database.txt:1"],
    ),
    "twice in a part": (
        {"test.txt": "c.jpg 1 0\n" * 3},
        [f"test.txt:{line}: c.jpg is there twice, first at test.txt:1" for line in (2, 3)],
    ),
    "twice in two lists of queries": (
        {"query.txt": "c.jpg 1 0\n"},
        ["test.txt:1: c.jpg is there twice, first at query.txt:1"],
    ),
    "another number of labels": ({"test.txt": "c.jpg 1\n"}, ["test.txt:1: 1 labels, expected 2 as in the other lines"]),
}


@each_source
@pytest.mark.parametrize(("change", "messages"), PART_FAULTS.values(), ids=PART_FAULTS)
def test_parts_that_do_not_fit_are_named(tmp_path, write, change, messages):
    items = read(write(tmp_path / "own", files(["a.jpg", "b.jpg", "c.jpg", "d.jpg"]) | LISTS | change))
    assert faults(items) == messages


def test_all_faults_are_reported_and_the_first_is_raised(tmp_path):
    text = "a.jpg 1 0\nb.jpg 1\nc.jpg 0 3\n../d.jpg 1 0\ne.jpg 0 1\na.jpg 1 0\n\nb.jpg 1 1\n"
    items = read(write_folder(tmp_path / "own", files(["a.jpg", "b.jpg", "c.jpg"]) | {"list.txt": text}))
    assert [fault.where for fault in items.faults] == [f"list.txt:{line}" for line in (2, 3, 4, 5, 6)]
    assert list(items.paths) == by_hash(["a.jpg", "b.jpg"])
    with pytest.raises(ValueError, match=r"^list\.txt:2: 1 labels, .* \(the first of 5 faults\); `python -m qsmi_lib"):
        items.checked()


WORDS = st.sampled_from(["0", "1", "0", "1", "0", "1", "2", "x"])
NAMES = st.sampled_from(["a.jpg", "b.jpg", "c.jpg", "../a.jpg", "gone.jpg", "/b.jpg"])
LINES = st.lists(st.tuples(NAMES, st.lists(WORDS, min_size=0, max_size=3)), min_size=1, max_size=8)


def is_multi_hot(lines):
    """Most rows have two labels or more, and no column has mostly other words than 0 and 1."""
    lengths = Counter(len(labels) for _, labels in lines if labels)
    width = max(lengths, key=lengths.get, default=0)
    rows = [labels for _, labels in lines if len(labels) == width]
    wrong = [sum(row[column] not in ("0", "1") for row in rows) for column in range(width)]
    listed = sum(path in ("a.jpg", "b.jpg", "c.jpg") for path, _ in lines)
    flagged = any(labels and labels[-1] in ("0", "1") for _, labels in lines)
    return width > 1 and 2 * max(wrong) <= len(rows) and (flagged or 2 * listed > len(lines)) and slow_read(lines)[0]


def slow_read(lines):
    """Paths with labels, and the numbers of faulty lines: only 0 and 1, of known paths, each once."""
    sound = [
        (number, path, labels)
        for number, (path, labels) in enumerate(lines, 1)
        if labels and set(labels) <= {"0", "1"} and path in ("a.jpg", "b.jpg", "c.jpg", "gone.jpg")
    ]
    lengths = Counter(len(labels) for _, labels in lines if labels)
    width = max(lengths, key=lengths.get, default=0)
    items = {}
    for _, path, labels in sound:
        if len(labels) == width and path != "gone.jpg" and path not in items:
            items[path] = tuple(map(int, labels))
    seen, faulty = set(), []
    for number, (path, labels) in enumerate(lines, 1):
        if path in items and len(labels) == width and set(labels) <= {"0", "1"} and path not in seen:
            seen.add(path)
        else:
            faulty.append(number)
    return items, faulty


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("three"), files(["a.jpg", "b.jpg", "c.jpg"]))


@settings(max_examples=60)
@given(LINES.filter(is_multi_hot))
def test_any_list_is_read_as_by_the_slow_reference(three, lines):
    (three / "list.txt").write_text("".join(" ".join([path, *labels]) + "\n" for path, labels in lines))
    items, (expected, faulty) = read(three), slow_read(lines)
    assert [fault.where for fault in items.faults] == [f"list.txt:{number}" for number in faulty]
    assert list(items.paths) == by_hash(expected)
    labels = [expected[path] for path in items.paths]
    single = all(sum(row) == 1 for row in labels)
    assert items.labels.tolist() == [row.index(1) if single else list(row) for row in labels]


# What is no data set


def test_what_is_no_data_set_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no .*nothing: expected a folder, a zip or a list file"):
        read(tmp_path / "nothing")
    damaged = write_zip(tmp_path / "damaged", files(SEVERAL))
    damaged.write_bytes(damaged.read_bytes()[:50])
    with pytest.raises(ValueError, match=f"{re.escape(str(damaged))} is damaged or truncated: expected a zip"):
        read(damaged)
    for write in WRITERS.values():
        source = write(tmp_path / "none", {"notes.md": "no", "cat/notes.md": "no"})
        with pytest.raises(
            ValueError, match=f"^{re.escape(str(source))} holds no pictures in a known form: expected l"
        ):
            read(source)
        source = write(tmp_path / "two", files(SEVERAL) | {"a.txt": listing(SEVERAL), "b.txt": listing(SEVERAL)})
        with pytest.raises(ValueError, match=f"^{re.escape(str(source))} holds several lists, a.txt, b.txt: expected"):
            read(source)


EMPTY = {
    "an empty list": ({"train.txt": ""}, "train.txt: it lists no picture that is here: expected lists of lines"),
    "an empty table": ({"labels.csv": ""}, "labels.csv: it lists no picture that is here: expected lists of lines"),
    "a header alone": ({"labels.csv": "file,cat\n"}, "labels.csv: it lists no picture that is here: expected lists"),
    "no picture there": ({"list.txt": "y.jpg 1 0\n"}, "list.txt:1: y.jpg is not there: expected it below {source}"),
}


@pytest.mark.parametrize(("content", "message"), EMPTY.values(), ids=EMPTY)
def test_a_source_without_items_has_a_fault(tmp_path, content, message):
    source = write_folder(tmp_path / "own", content)
    items = read(source)
    assert len(items) == 0 and items.unlabelled().tolist() == [] and items.parts == {}
    (fault,) = faults(items)
    assert fault.startswith(message.format(source=source))
    with pytest.raises(ValueError, match=r"lists all$"):
        items.checked()
