"""An index of vectors: what is new, changed and removed; what it stores; what it refuses."""

import json

import numpy as np
import pytest
from sklearn.datasets import load_digits

from qsmi_lib.search.index import building, hashing, storage
from qsmi_lib.search.index.building import build
from qsmi_lib.search.index.index import Index, about
from qsmi_lib.search.index.sources import Vectors


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    monkeypatch.setattr("qsmi_lib.search.index.hashing.EPOCHS", 2)


@pytest.fixture(scope="module")
def digits():
    values, labels = load_digits(return_X_y=True)
    return values[:200].astype(np.float32), [frozenset([str(label)]) for label in labels[:200]]


@pytest.fixture
def made(digits, tmp_path):
    return build(Vectors(tmp_path / "digits.npy", *digits), tmp_path / "digits.index", bits=16)


def names_and_codes(index):
    return {item.name: code.tobytes() for item, code in zip(index.items, index.codes, strict=True)}


def test_an_index_holds_what_it_was_made_of(made, digits, tmp_path):
    values, labels = digits
    read = storage.read(tmp_path / "digits.index")
    assert (made.added, made.changed, made.removed, made.trained) == (200, 0, 0, True)
    assert [item.labels for item in read.items] == labels
    assert np.abs(read.features(np.arange(200)) - values).max() <= values.max() / 254 + 1e-6
    np.testing.assert_array_equal(read.codes, np.packbits(read.hasher.codes(values) > 0, axis=1))
    assert sum(item.held_out for item in read.items) == read.about["scores"]["n_query"]


def test_a_second_call_encodes_only_what_is_new(made, digits, tmp_path, monkeypatch):
    values, labels = digits
    before = names_and_codes(made.index)
    changed = values[:190].copy()  # the last ten are removed
    changed[3] = values[150]
    encoded = []
    codes = storage.FeatureHasher.codes
    monkeypatch.setattr(storage.FeatureHasher, "codes", lambda self, x: encoded.append(len(x)) or codes(self, x))
    again = build(Vectors(tmp_path / "digits.npy", changed, labels[:190]), tmp_path / "digits.index")
    assert (again.added, again.changed, again.removed, again.trained) == (0, 1, 10, False)
    assert encoded == [1]
    after = names_and_codes(again.index)
    assert after.keys() == before.keys() - {str(row) for row in range(190, 200)}
    assert all(after[name] == before[name] for name in after.keys() - {"3"})
    assert after["3"] == before["150"]
    more = build(Vectors(tmp_path / "digits.npy", *digits), tmp_path / "digits.index")
    assert (more.added, more.changed, more.removed) == (10, 1, 0)
    assert names_and_codes(more.index) == before


def test_other_labels_are_a_change_and_nothing_is_encoded(made, digits, tmp_path):
    values, labels = digits
    labels = [frozenset(["new"]), *labels[1:]]
    again = build(Vectors(tmp_path / "digits.npy", values, labels), tmp_path / "digits.index")
    assert (again.added, again.changed, again.removed) == (0, 1, 0)
    assert again.index.item(0).labels == {"new"}
    assert any("new" in note and "--retrain" in note for note in again.notes)


def test_retraining_takes_other_settings_and_leaves_no_old_file(made, digits, tmp_path):
    folder = tmp_path / "digits.index"
    source = Vectors(tmp_path / "digits.npy", *digits)
    with pytest.raises(ValueError, match=r"16, not 24.*--retrain"):
        build(source, folder, bits=24)
    again = build(source, folder, bits=24, retrain=True)
    assert again.index.codes.shape == (200, 3)
    assert again.trained
    files = {path.name for path in folder.iterdir()} - {storage.LOCK}
    assert files == {storage.MAIN, *(file["name"] for file in again.index.about["files"].values())}


def test_retraining_on_the_same_vectors_gives_the_same_index(made, digits, tmp_path):
    again = build(Vectors(tmp_path / "digits.npy", *digits), tmp_path / "digits.index", retrain=True)
    assert again.index.about == made.index.about


def test_vectors_that_point_in_nearly_the_same_direction_are_not_equal(digits, tmp_path):
    values, labels = digits
    built = build(Vectors(tmp_path / "x.npy", values + 300, labels), tmp_path / "x.index", bits=16)
    assert built.index.about["scores"]["n_query"] >= 15


def test_few_items_without_labels_get_fewer_bits_and_say_so(digits, tmp_path):
    built = build(Vectors(tmp_path / "x.npy", digits[0][:30]), tmp_path / "x.index")
    assert built.index.about["bits"] == 27 and any("27 bits" in note for note in built.notes)


def test_labels_that_are_missing_are_no_classes(digits, tmp_path):
    values, _ = digits
    source = Vectors.of(tmp_path / "x.npy", values[:4], [None, float("nan"), "", "a"])
    assert source.labels == [frozenset(), frozenset(), frozenset(), {"a"}]


def test_classes_that_are_added_are_counted(made, digits, tmp_path):
    values, labels = digits
    source = Vectors(tmp_path / "digits.npy", values, [frozenset(["new"]), *labels[1:]])
    assert "11 labels (10 when" in about(Index(build(source, tmp_path / "digits.index").index))


def test_another_seed_needs_retraining(made, digits, tmp_path):
    with pytest.raises(ValueError, match=r"seed 0, not 1.*--retrain"):
        build(Vectors(tmp_path / "digits.npy", *digits), tmp_path / "digits.index", seed=1)


def test_many_items_are_learned_in_fewer_epochs():
    assert hashing.settings("qsmi", 48, 1000)["epochs"] == hashing.EPOCHS
    assert hashing.settings("qsmi", 48, 10**7)["epochs"] == min(hashing.EPOCHS, hashing.LEAST_EPOCHS)
    assert hashing.settings("qsmi", 96, 1000)["alpha"] == pytest.approx(hashing.settings("qsmi", 48, 1000)["alpha"] / 2)


def test_a_failed_write_leaves_the_old_index(made, digits, tmp_path, monkeypatch):
    folder = tmp_path / "digits.index"
    before = names_and_codes(made.index)
    write = storage.io.write_text
    monkeypatch.setattr(storage.io, "write_text", lambda *_: (_ for _ in ()).throw(OSError(28, "disk full")))
    values, labels = digits
    with pytest.raises(OSError, match="disk full"):
        build(Vectors(tmp_path / "digits.npy", values[:150], labels[:150]), folder)
    assert names_and_codes(storage.read(folder)) == before
    monkeypatch.setattr(storage.io, "write_text", write)
    assert build(Vectors(tmp_path / "digits.npy", values[:150], labels[:150]), folder).removed == 50


@pytest.mark.parametrize("part", ["items", "codes", "features", "hasher", "main"])
def test_a_damaged_file_is_named(made, tmp_path, part):
    folder = tmp_path / "digits.index"
    path = folder / (storage.MAIN if part == "main" else made.index.about["files"][part]["name"])
    content = path.read_bytes()
    for damage in (content[:-9], content[:30] + b"x" + content[31:], b""):
        path.write_bytes(damage)
        with pytest.raises(ValueError, match=path.name):
            Index.load(folder).search(np.ones(64), rerank=5)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="index"):
        Index.load(folder).search(np.ones(64), rerank=5)


def test_a_folder_of_something_else_is_not_written_to(digits, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ValueError, match="--output"):
        build(Vectors(tmp_path / "digits.npy", *digits), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_labels_that_are_all_the_same_are_refused(digits, tmp_path):
    values, _ = digits
    with pytest.raises(ValueError, match="at least two classes"):
        build(Vectors(tmp_path / "x.npy", values, [frozenset(["a"])] * 200), tmp_path / "x.index")
    assert not (tmp_path / "x.index").exists()


def test_without_labels_itq_learns_and_recall_is_scored(digits, tmp_path):
    built = build(Vectors(tmp_path / "x.npy", digits[0]), tmp_path / "x.index", bits=32)
    assert built.index.about["method"] == "itq"
    scores = built.index.about["scores"]
    own = next(row for row in scores["rows"] if (row["method"], row["bits"]) == ("ITQ", 32))
    assert 0.1 < own["recall"] <= 1 and 0.1 < own["recall_100"] <= 1 and own["map"] is None
    assert scores["rows"][0]["recall"] == scores["rows"][0]["recall_100"] == 1  # the features themselves


def test_more_bits_than_itq_can_make_are_refused(digits, tmp_path):
    with pytest.raises(ValueError, match="64"):
        build(Vectors(tmp_path / "x.npy", digits[0]), tmp_path / "x.index", bits=65)


def test_classes_of_one_item_are_named(digits, tmp_path):
    values, labels = digits
    built = build(Vectors(tmp_path / "x.npy", values, [frozenset(["lonely"]), *labels[1:]]), tmp_path / "x.index")
    assert any("lonely" in note for note in built.notes)
    assert not built.index.item(0).held_out


def test_answers_are_the_nearest_codes_and_rerank_orders_the_first(made, digits):
    values, labels = digits
    index = Index(made.index)
    query = values[7]
    code = made.index.hasher.codes(query[None])[0]
    codes = made.index.hasher.codes(values)
    distances = (code != codes).sum(axis=1)
    expected = sorted(range(200), key=lambda row: (distances[row], row))
    answers = index.search(query, k=200)
    assert [answer.name for answer in answers] == expected
    assert [answer.distance for answer in answers] == distances[expected].tolist()
    assert [answer.labels for answer in answers] == [labels[row] for row in expected]
    first = np.array(expected[:50])
    cosine = values[first] @ query / np.linalg.norm(values[first], axis=1)
    reranked = [answer.name for answer in index.search(query, k=50, rerank=50)]
    assert set(reranked) == set(first.tolist())
    assert reranked[0] == 7
    close = cosine[np.argsort(-cosine, kind="stable")]
    got = values[reranked] @ query / np.linalg.norm(values[reranked], axis=1)
    np.testing.assert_allclose(got, close, rtol=2e-3)  # in 8 bits, near ones may change places
    assert [answer.distance for answer in index.search(query, k=50, rerank=50)] == distances[reranked].tolist()


def test_an_index_finds_its_source_after_both_were_moved(digits, tmp_path):
    (tmp_path / "a").mkdir()
    np.save(tmp_path / "a" / "x.npy", digits[0])
    build(Vectors.read(tmp_path / "a" / "x.npy"), tmp_path / "a" / "x.index", bits=16)
    (tmp_path / "a").rename(tmp_path / "b")
    assert Index.load(tmp_path / "b" / "x.index").source == tmp_path / "b" / "x.npy"


def test_the_format_is_checked(made, tmp_path):
    path = tmp_path / "digits.index" / storage.MAIN
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    with pytest.raises(ValueError, match="format 2"):
        Index.load(tmp_path / "digits.index")


def test_least_number_of_items(digits, tmp_path):
    values, labels = digits
    n = building.LEAST - 1
    with pytest.raises(ValueError, match=f"holds {n} vectors"):
        build(Vectors(tmp_path / "x.npy", values[:n], labels[:n]), tmp_path / "x.index")
