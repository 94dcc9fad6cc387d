"""scikit-learn's checks, and what they do not cover: codes, neighbours, files, pictures, several labels."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_array, csr_matrix
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from qsmi_lib.evaluation import evaluate
from qsmi_lib.search.estimator import QSMIHasher
from qsmi_lib.utils.validation import QsmiWarning


@parametrize_with_checks([QSMIHasher(bits=8, epochs=2)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return train_test_split(x / 16, y, random_state=0, train_size=600, test_size=100)


@pytest.fixture(scope="module")
def fitted(digits):
    x, _, y, _ = digits
    return QSMIHasher(bits=16, epochs=20).fit(x, y)


def test_it_learns(digits, fitted):
    _, query, _, labels = digits
    untrained = QSMIHasher(bits=16, epochs=1, learning_rate=1e-9).fit(digits[0], digits[2])
    assert fitted.score(query, labels) > 0.6 > 0.5 > untrained.score(query, labels)


def test_the_score_is_the_evaluators(digits, fitted):
    x, query, y, labels = digits
    expected = evaluate(fitted.transform(query), fitted.transform(x), labels, y).map_expected
    assert fitted.score(query, labels) == pytest.approx(expected, abs=1e-12)


def test_codes_are_the_signs(digits, fitted):
    _, query, _, _ = digits
    codes = fitted.transform(query)
    assert codes.dtype == np.int8 and set(np.unique(codes)) == {-1, 1} and codes.shape == (len(query), 16)
    with torch.no_grad():
        embeddings = fitted.model_(torch.from_numpy(query.astype(np.float32)))
    assert (codes == np.where(embeddings.numpy() >= 0, 1, -1)).all()


@pytest.mark.parametrize("state", [3, np.random.RandomState(5)])
def test_a_random_state_gives_the_same_codes_and_another_other_codes(digits, state):
    x, query, y, _ = digits
    codes = [
        QSMIHasher(bits=8, epochs=1, random_state=random_state).fit(x, y).transform(query)
        for random_state in (state, state, 4, None, None)
    ]
    assert (codes[0] == codes[1]).all() == isinstance(state, int)  # a RandomState moves on
    assert all((codes[0] != other).any() for other in codes[2:]) and (codes[3] != codes[4]).any()


def test_fitting_leaves_the_global_generator_alone(digits):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    QSMIHasher(bits=4, epochs=1).fit(digits[0][:50], digits[2][:50])
    assert (torch.rand(2) == expected).all()


def test_neighbours_are_nearest_by_distance_then_by_index(digits, fitted):
    _, query, _, _ = digits
    distances, indices = fitted.kneighbors(query, n_neighbors=7)
    for code, row, items in zip(fitted.transform(query), distances, indices, strict=True):
        every = (fitted.codes_ != code).sum(axis=1)
        ranked = sorted(range(len(every)), key=lambda item: (every[item], item))[:7]
        assert items.tolist() == ranked and row.tolist() == every[ranked].tolist()
    assert (fitted.kneighbors(query, 7, return_distance=False) == indices).all()


def test_training_items_are_compared_with_all_others():
    x = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)  # many items at distance 0, also before the item itself
    hasher = QSMIHasher(bits=4, epochs=1).fit(x, np.repeat([0, 1, 2], 4))
    indices = hasher.kneighbors(n_neighbors=3, return_distance=False)
    assert indices.shape == (12, 3) and not (indices == np.arange(12)[:, None]).any()
    distances, _ = hasher.kneighbors(n_neighbors=3)
    assert (distances == 0).all()


@pytest.mark.parametrize("n_neighbors", [0, 13, True, 2.0])
def test_a_wrong_number_of_neighbours(n_neighbors):
    hasher = QSMIHasher(bits=4, epochs=1).fit(np.eye(12), np.arange(12) % 2)
    with pytest.raises(ValueError, match=f"from 1 to 12, got {n_neighbors}"):
        hasher.kneighbors(np.eye(12), n_neighbors)
    with pytest.raises(ValueError, match="from 1 to 11, got 12"):
        hasher.kneighbors(n_neighbors=12)


def test_pipeline_and_grid_search(digits):
    x, query, y, labels = digits
    steps = make_pipeline(StandardScaler(), QSMIHasher(bits=8, epochs=3))
    search = GridSearchCV(steps, {"qsmihasher__bits": [2, 16], "qsmihasher__method": ["qsmi", "dsh"]}, cv=2).fit(x, y)
    assert search.best_params_["qsmihasher__bits"] == 16
    assert search.score(query, labels) > 0.4
    assert list(search.best_estimator_[-1].get_feature_names_out())[:2] == ["qsmihasher0", "qsmihasher1"]


def test_names_as_labels(digits):
    x, query, y, _ = digits
    names = np.array([f"digit {label}" for label in y])
    hasher = QSMIHasher(bits=16, epochs=2).fit(x, names)
    assert list(hasher.classes_) == sorted(set(names))
    names = np.array(["digit 1", "digit 11", "digit 3"])
    with pytest.warns(QsmiWarning, match="1 of 3 queries .* did not see: digit 11"):
        score = hasher.score(query[:3], names)
    assert score == hasher.score(query[:3][names != "digit 11"], names[names != "digit 11"])
    with pytest.raises(ValueError, match="anything relevant"):
        hasher.score(query[:1], ["digit 11"])


def test_cross_validation_leaves_out_queries_whose_class_was_not_trained(digits):
    x, _, y, _ = digits
    order = np.argsort(y, kind="stable")  # so that the folds hold different classes
    with pytest.warns(QsmiWarning, match="queries are left out of the score"):
        scores = cross_val_score(QSMIHasher(bits=4, epochs=1), x[order], y[order], cv=KFold(3))
    assert np.isfinite(scores).all()


def test_labels_of_every_form_are_the_same_labels(digits):
    x, query, y, labels = digits
    scores = set()
    for form in (
        lambda y: y,
        lambda y: y[:, None],
        lambda y: y.astype(float),
        lambda y: y.astype(np.uint8),
        lambda y: y.astype(object),
        torch.from_numpy,
        pd.Series,
    ):
        scores.add(QSMIHasher(bits=4, epochs=1).fit(x, form(y)).score(query, form(labels)))
    assert len(scores) == 1


def test_sparse_labels_and_tensors_are_taken_and_masked_entries_refused(digits):
    x, query, y, labels = digits
    several, queries = (np.stack([one % 2, one > 4, one < 9], axis=1).astype(int) for one in (y, labels))
    hasher = QSMIHasher(bits=4, epochs=1).fit(x, several)
    sparse = QSMIHasher(bits=4, epochs=1).fit(torch.from_numpy(x).requires_grad_(), csr_matrix(several))
    assert hasher.score(query, queries) == sparse.score(query, csr_array(queries))
    for X, labels in ((np.ma.masked_less(x, 0.5), y), (x, np.ma.masked_equal(y, 3))):
        with pytest.raises(ValueError, match="must have no masked entries"):
            QSMIHasher(bits=4, epochs=1).fit(X, labels)


def test_several_labels_an_item(digits):
    x, query, y, labels = digits
    several, queries = (np.stack([one % 2, one > 4, one < 9], axis=1).astype(int) for one in (y, labels))
    hasher = QSMIHasher(bits=16, epochs=3).fit(x, several)
    assert hasher.classes_.tolist() == [0, 1, 2] and 0.5 < hasher.score(query, queries) <= 1
    with pytest.raises(ValueError, match="a column each, of 0 and 1"):
        QSMIHasher(bits=4, epochs=1).fit(x, several * 2)


def test_pictures_take_the_papers_network():
    pictures = np.random.default_rng(0).random((40, 1, 28, 28))
    hasher = QSMIHasher(bits=12, epochs=1).fit(pictures, np.arange(40) % 4)
    assert type(hasher.model_).__name__ == "FashionCNN" and hasher.transform(pictures[:3]).shape == (3, 12)
    with pytest.raises(ValueError, match=r"of shape \(1, 28, 28\), got \(3, 28, 28\)"):
        hasher.fit(np.zeros((4, 3, 28, 28)), [0, 1, 0, 1])
    before = hasher.transform(pictures)
    for wrong in (np.zeros((4, 784)), np.zeros((4, 1)), np.zeros((4, 1, 8, 8))):
        with pytest.raises(ValueError, match=r"of shape \(1, 28, 28\), got"):
            hasher.transform(wrong)
    assert (hasher.transform(pictures.tolist()) == before).all() and not hasattr(hasher, "n_features_in_")
    hasher.fit(np.eye(4), [0, 1, 0, 1])
    assert hasher.n_features_in_ == 4 and hasher.transform(np.eye(4)).shape == (4, 12)


def test_numbers_of_numpy(digits):
    x, query, y, _ = digits
    given = {"bits": np.int64(8), "epochs": np.int32(1), "alpha": np.float64(0.1), "random_state": np.int64(3)}
    hasher = QSMIHasher(**given, hidden=np.int64(16)).fit(x, y)
    plain = QSMIHasher(bits=8, epochs=1, alpha=0.1, random_state=3, hidden=16).fit(x, y)
    assert (hasher.transform(query) == plain.transform(query)).all()
    assert hasher.kneighbors(query[:2], np.int64(3))[1].shape == (2, 3)


def test_saved_and_loaded_without_pickle(digits, fitted, tmp_path):
    _, query, _, labels = digits
    fitted.save(tmp_path / "hasher.safetensors")
    loaded = QSMIHasher.load(tmp_path / "hasher.safetensors")
    assert loaded.get_params() == fitted.get_params() and loaded.history_ == fitted.history_
    assert (loaded.transform(query) == fitted.transform(query)).all()
    assert all((a == b).all() for a, b in zip(loaded.kneighbors(query), fitted.kneighbors(query), strict=True))
    assert loaded.score(query, labels) == fitted.score(query, labels)
    assert (
        loaded.n_features_in_ == 64
        and loaded.n_iter_ == 20
        and [*tmp_path.iterdir()] == [tmp_path / "hasher.safetensors"]
    )


@pytest.mark.parametrize("content", [b"", b"no safetensors", None])
def test_a_damaged_file_is_named(content, fitted, tmp_path):
    path = tmp_path / "hasher.safetensors"
    fitted.save(path)
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    with pytest.raises(ValueError, match=r"hasher.safetensors .*; save it again"):
        QSMIHasher.load(path)


def test_changed_numbers_are_noticed(fitted, tmp_path):
    path = tmp_path / "hasher.safetensors"
    fitted.save(path)
    content = bytearray(path.read_bytes())
    content[-200] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"hasher.safetensors .*checksum"):
        QSMIHasher.load(path)


def test_parameters_that_were_changed_after_fit_are_not_saved(tmp_path):
    hasher = QSMIHasher(bits=4, epochs=1).fit(np.eye(4), np.array(["a", "b", "a", "b"], dtype=object))
    assert len(hasher.set_params(bits=8).get_feature_names_out()) == 4
    with pytest.raises(ValueError, match="changed after fit"):
        hasher.save(tmp_path / "hasher.safetensors")
    hasher.set_params(bits=4).save(tmp_path / "hasher.safetensors")
    assert QSMIHasher.load(tmp_path / "hasher.safetensors").classes_.dtype == object


def test_a_hasher_that_is_not_fitted_is_not_saved(tmp_path):
    with pytest.raises(NotFittedError):
        QSMIHasher().save(tmp_path / "hasher.safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"bits": 0}, "bits must be a whole number from 1 to 4096, got 0"),
        ({"method": "qsmii"}, "unknown method of pairs 'qsmii'; known: dch, dhn"),
        ({"method": "csq"}, "unknown method of pairs 'csq'"),
        ({"method": "itq"}, "unknown method of pairs 'itq'"),
        ({"epochs": 0}, "epochs must be a whole number from 1 to 100000, got 0"),
        ({"learning_rate": -1.0}, "learning_rate must be a finite number of at least 0"),
        ({"hidden": 0}, "hidden must be a whole number of at least 1, got 0"),
        ({"random_state": -1}, "seed must be a whole number from 0 to 4294967295, got -1"),
    ],
)
def test_wrong_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        QSMIHasher(**parameters).fit(np.eye(4), [0, 1, 0, 1])
