"""Unsupervised hashing: HOG features, and LSH, ITQ and spectral hashing of them."""

import inspect
import math
import pickle
from importlib.metadata import version

import joblib
import numpy as np
import pytest
import torch
from skimage.feature import hog as skimage_hog

from qsmi_lib.config.presets import configure
from qsmi_lib.datasets import DATASETS
from qsmi_lib.evaluation import evaluate
from qsmi_lib.methods import METHODS
from qsmi_lib.models import hog as hog_module
from qsmi_lib.models import projections
from qsmi_lib.models.hog import N_FEATURES, hog, hog_opencv
from qsmi_lib.training import factory
from qsmi_lib.training.loop import encode, train
from qsmi_lib.utils.io import write_tensors
from qsmi_lib.utils.reading import read_tensors

each = pytest.mark.parametrize("method", [name for name, entry in METHODS.items() if entry.loss is None])


def pictures(n=5, side=28, seed=0):
    """Pictures of squares of 4 x 4 pixels, which have gradients."""
    coarse = np.random.default_rng(seed).integers(0, 256, (n, side // 4, side // 4))
    return coarse.repeat(4, axis=1).repeat(4, axis=2).astype(np.uint8)


@pytest.fixture(scope="module")
def few(digits):
    """400 digits as training set and database, 100 as queries."""
    return digits.train[:400], digits.query[:100]


@pytest.fixture(autouse=True, scope="module")
def shared_cache(tmp_path_factory):
    """HOG features of the same digits are computed once for all tests."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hog_module.paths, "cache", lambda: folder)
        yield


def fitted(method, part, bits=16, seed=0):
    network = factory.build("digits", bits, method).eval()
    network.fit(part.inputs, seed)
    return network


# HOG


@pytest.mark.parametrize("side", [8, 28, 32])
def test_hog_is_that_of_scikit_image_over_the_whole_picture(side):
    images = pictures(side=side)
    features = hog(images)
    assert features.shape == (5, N_FEATURES) == (5, 324) and features.dtype == np.float32
    sizes = {"pixels_per_cell": (side // 4, side // 4), "cells_per_block": (2, 2)}
    for image, row in zip(images, features, strict=True):
        expected = skimage_hog(image, orientations=9, block_norm="L2-Hys", **sizes)
        np.testing.assert_allclose(row, expected, rtol=1e-6)


def test_hog_of_opencv_is_of_its_first_window():
    """24 x 24 pixels from the upper left corner; the rest has no influence."""
    images = pictures()
    features = hog_opencv(images)
    assert features.shape == (5, 144) and features.dtype == np.float32
    changed = images.copy()
    changed[:, 26:] = changed[:, :, 26:] = 7  # the gradients at the border need one pixel more
    assert np.array_equal(hog_opencv(changed), features)
    assert not np.array_equal(hog_opencv(images[:, ::-1]), features)
    with pytest.raises(ValueError, match="images must be 28 x 28 for the window of 24, got 32 x 32"):
        hog_opencv(pictures(side=32))


def test_hog_of_a_constant_picture_is_zero():
    constant = np.full((2, 28, 28), 90, np.uint8)
    assert not hog(constant).any() and not hog_opencv(constant).any()


def test_hog_is_computed_once(monkeypatch):
    images = pictures(seed=3)
    first = hog(images)
    monkeypatch.setattr("skimage.feature.hog", lambda *_: pytest.fail("the features are cached"))
    assert np.array_equal(hog(images), first)


class Runs:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


DAMAGES = {
    "cut off": lambda path, raw: path.write_bytes(raw[:-1]),
    "a number changed": lambda path, raw: path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1])),
    "empty": lambda path, raw: path.write_bytes(b""),
    "a pickle": lambda path, raw: path.write_bytes(pickle.dumps(Runs(path.with_name("trace")))),
    "of other shape": lambda path, raw: write_tensors(path, {"features": torch.zeros(1, 2)}, {}),
    "of other name": lambda path, raw: write_tensors(path, {"other": torch.zeros(5, N_FEATURES)}, {}),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_cache_of_hog_is_computed_again_and_never_executed(results, monkeypatch, damage):
    monkeypatch.setattr(hog_module.paths, "cache", lambda: results)
    images = pictures(seed=4)
    first = hog(images)
    (path,) = results.rglob("*.safetensors")
    damage(path, path.read_bytes())
    assert np.array_equal(hog(images), first) and np.array_equal(read_tensors(path)[0]["features"], first)
    assert [file for file in results.rglob("*") if file.is_file()] == [path]


def test_a_pickle_planted_where_features_were_cached_before_is_never_loaded(results, monkeypatch):
    """joblib's layout: it did load this file."""
    images = pictures(seed=5)
    folder = results / f"scikit-image-{version('scikit-image')}"
    planted = joblib.Memory(folder, verbose=0).cache(hog_module._hog)
    planted(images)
    trace = results / "trace"
    for path in results.rglob("output.pkl"):
        path.write_bytes(pickle.dumps(Runs(trace)))
    planted(images).close()
    assert trace.exists()
    trace.unlink()
    monkeypatch.setattr(hog_module.paths, "cache", lambda: results)
    assert np.array_equal(hog(images), hog_module._hog(images)) and not trace.exists()


@pytest.mark.parametrize("compute", [hog, hog_opencv])
@pytest.mark.parametrize(
    ("images", "shown"),
    [
        (np.zeros((2, 28, 28)), r"float64 \(2, 28, 28\)"),
        (np.zeros((28, 28), np.uint8), r"uint8 \(28, 28\)"),
        (np.zeros((2, 28, 24), np.uint8), r"uint8 \(2, 28, 24\)"),
        (np.zeros((2, 30, 30), np.uint8), r"uint8 \(2, 30, 30\)"),
        (np.zeros((0, 28, 28), np.uint8), r"uint8 \(0, 28, 28\)"),
    ],
)
def test_other_images_are_refused(compute, images, shown):
    with pytest.raises(ValueError, match=rf"images must be uint8 \(n, side, side\), .* multiple of 4, got {shown}"):
        compute(images)


@pytest.mark.parametrize(("compute", "library"), [(hog, "skimage"), (hog_opencv, "cv2")])
def test_a_library_that_is_not_installed_is_named(monkeypatch, compute, library):
    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(hog_module.importlib, "import_module", missing)
    with pytest.raises(ImportError, match=rf"{library} is not installed: pip install 'qsmi-lib\[lsh\]'"):
        compute(pictures())


def test_features_are_those_of_the_pixels(digits):
    """The normalisation is undone; the digits' 17 shades are scaled to 256."""
    network, images, dataset = factory.build("digits", 8, "lsh"), digits.query.inputs[:20], DATASETS["digits"]
    pixels = (images.double() * dataset.std + dataset.mean) * 16
    expected = hog((pixels[:, 0].round().numpy() * 255 / 16).round().astype(np.uint8))
    np.testing.assert_allclose(network.features(images), expected, atol=1e-6)
    assert network.features(images.flatten(1)).shape == (20, 64)  # features of a backbone are not changed


# The three methods


@each
def test_a_seed_alone_decides_the_codes(few, method):
    database, query = few
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    network = fitted(method, database)
    first, again, other = (encode(fitted(method, database, seed=seed), query.inputs) for seed in (0, 0, 1))
    assert first.shape == (100, 16) and set(first.unique().tolist()) == {-1, 1}
    assert torch.equal(first, again) and torch.equal(first, other) == (method == "spectral_hashing")
    assert torch.equal(torch.get_rng_state(), before[0]) and np.random.get_state()[1].tolist() == before[1]
    assert list(inspect.signature(network.fit).parameters) == ["images", "seed"]  # no labels
    together, alone = network(query.inputs[:8]), torch.cat([network(query.inputs[i : i + 1]) for i in range(8)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


@each
def test_codes_are_better_than_chance(few, method):
    database, query = few
    network = fitted(method, database, bits=24)
    codes = [encode(network, part.inputs) for part in (query, database)]
    assert evaluate(*codes, query.labels, database.labels).map > 0.2  # chance is 0.1


@each
def test_a_fitted_method_is_saved_and_loaded(few, tmp_path, method):
    database, query = few
    network, config = fitted(method, database), configure("digits", method, 16)
    factory.save(network, config, tmp_path / "model.safetensors")
    loaded, loaded_config = factory.load(tmp_path / "model.safetensors")
    assert loaded_config == config
    assert torch.equal(loaded(query.inputs), network(query.inputs))


@each
def test_training_is_fitting(digits, method):
    trained = train(configure("digits", method, 8, seed=3), digits)
    assert trained.history == [] and trained.precision == "float32" and not trained.model.training
    expected = fitted(method, digits.train, bits=8, seed=3)
    assert all(torch.equal(value, expected.state_dict()[k]) for k, value in trained.model.state_dict().items())


def test_too_many_bits_are_refused(few):
    for method in ("lsh", "itq", "spectral_hashing"):
        assert factory.build("digits", 324, method).projection.shape == (324, 324)
        with pytest.raises(ValueError, match="bits must be at most 324, the width of the features, got 325"):
            factory.build("digits", 325, method)
    for method in ("itq", "spectral_hashing"):
        with pytest.raises(ValueError, match="16 bits need at least 16 training items, got 15"):
            fitted(method, few[0][:15])


def hog_of(part):
    return factory.build("digits", 1, "lsh").features(part.inputs).astype(np.float64)


def test_lsh_projects_on_random_directions(few):
    database, query = few
    directions = np.random.default_rng(5).normal(size=(N_FEATURES, 16))
    expected = (hog_of(query) - hog_of(database).mean(axis=0)) @ directions
    np.testing.assert_allclose(fitted("lsh", database, seed=5)(query.inputs), expected, rtol=1e-3, atol=1e-4)


def test_principal_components_are_singular_vectors_and_itq_rotates_them(few):
    features = hog_of(few[0]) - hog_of(few[0]).mean(axis=0)
    components = projections.principal_components(features, 16)
    _, _, right = np.linalg.svd(features, full_matrices=False)
    np.testing.assert_allclose(components.T @ components, np.eye(16), atol=1e-10)
    np.testing.assert_allclose(np.abs((components.T * right[:16]).sum(axis=1)), 1, atol=1e-6)
    rotated = fitted("itq", few[0]).projection.double().numpy()
    np.testing.assert_allclose(rotated @ rotated.T, components @ components.T, atol=1e-5)  # the same subspace
    errors = [((np.where(p >= 0, 1, -1) - p) ** 2).sum() for p in (features @ rotated, features @ components)]
    assert errors[0] < errors[1]


def slow_spectral_hashing(database, query, bits):
    """The eigenfunctions of lowest frequency, dimension by dimension and mode by mode."""
    mean = database.mean(axis=0)
    _, _, right = np.linalg.svd(database - mean, full_matrices=False)
    functions = []
    for direction in right[:bits]:
        along = [float(item @ direction) for item in database - mean]
        for mode in range(1, bits + 1):
            functions.append((mode * math.pi / (max(along) - min(along)), direction, min(along)))
    functions.sort(key=lambda function: function[0])
    values = []
    for item in query - mean:
        values.append(
            [
                math.sin(math.pi / 2 + omega * (float(item @ direction) - low))
                for omega, direction, low in functions[:bits]
            ]
        )
    return np.array(values)


@pytest.mark.parametrize("bits", [1, 7, 24])
def test_spectral_hashing_is_that_of_its_definition(few, bits):
    """A component's sign is arbitrary: it mirrors the box, and cos(m pi - x) is cos(x) or -cos(x)."""
    database, query = few
    expected = slow_spectral_hashing(hog_of(database), hog_of(query), bits)
    values = fitted("spectral_hashing", database, bits=bits)(query.inputs).numpy()
    same, negated = (np.abs(values - sign * expected).max(axis=0) < 1e-3 for sign in (1, -1))
    assert (same | negated).all()


def test_spectral_hashing_gives_wide_components_more_bits(few):
    network = fitted("spectral_hashing", few[0], bits=100)
    norms = network.projection.norm(dim=0)  # omega, because components have length 1
    assert (norms.diff() >= -1e-6).all()
    directions = (network.projection / norms).T
    n_modes = ((directions @ directions.T).abs() > 0.999).sum(dim=1)
    assert n_modes[0] == n_modes.max() > 2 > n_modes.min()
