"""Hashes that no label has touched: HOG features, and LSH, ITQ and spectral hashing of them."""

import inspect
import math

import numpy as np
import pytest
import torch
from skimage.feature import hog as skimage_hog

from qsmi_lib.config.presets import configure
from qsmi_lib.evaluation import evaluate
from qsmi_lib.methods import METHODS
from qsmi_lib.models import hog as module
from qsmi_lib.models import projections
from qsmi_lib.models.hog import N_FEATURES, hog, hog_opencv
from qsmi_lib.training import factory
from qsmi_lib.training.loop import encode, train

METHODS_WITHOUT_LOSS = [name for name, entry in METHODS.items() if entry.loss is None]
each = pytest.mark.parametrize("method", METHODS_WITHOUT_LOSS)
RANDOM = np.random.default_rng(0)


def pictures(n=5, side=28, seed=0):
    """Smooth pictures, whose gradients point somewhere."""
    coarse = np.random.default_rng(seed).integers(0, 256, (n, side // 4, side // 4))
    return coarse.repeat(4, axis=1).repeat(4, axis=2).astype(np.uint8)


@pytest.fixture(scope="module")
def few(digits):
    """Fewer digits: 400 to fit and search, 100 to ask."""
    return digits.train[:400], digits.query[:100]


@pytest.fixture(autouse=True, scope="module")
def kept_features(tmp_path_factory):
    """HOG of the same digits is computed once for all tests here."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.paths, "results", lambda profile: folder / profile)
        yield


def fitted(method, part, bits=16, seed=0):
    network = factory.build("digits", bits, method).eval()
    network.fit(part.inputs, seed)
    return network


# HOG


@pytest.mark.parametrize("side", [8, 28, 32])
def test_hog_is_skimages_over_the_whole_picture(side):
    images = pictures(side=side)
    features = hog(images)
    assert features.shape == (5, N_FEATURES) == (5, 324) and features.dtype == np.float32
    for image, row in zip(images, features, strict=True):
        direct = skimage_hog(
            image,
            orientations=9,
            pixels_per_cell=(side // 4, side // 4),
            cells_per_block=(2, 2),
            block_norm="L2-Hys",
        )
        np.testing.assert_allclose(row, direct, rtol=1e-6)


def test_hog_of_opencv_is_of_its_first_window():
    """24 x 24 pixels from the upper left corner: what lies beyond does not count."""
    images = pictures()
    features = hog_opencv(images)
    assert features.shape == (5, 144) and features.dtype == np.float32
    beyond = images.copy()
    beyond[:, 26:] = beyond[:, :, 26:] = 7  # a pixel further for the gradients at the border
    assert np.array_equal(hog_opencv(beyond), features)
    assert not np.array_equal(hog_opencv(images[:, ::-1]), features)


def test_hog_of_an_even_picture_is_nothing():
    even = np.full((2, 28, 28), 90, np.uint8)
    assert not hog(even).any() and not hog_opencv(even).any()


def test_hog_is_computed_once(monkeypatch):
    images = pictures(seed=3)
    first = hog(images)
    monkeypatch.setattr("skimage.feature.hog", lambda *_args: pytest.fail("the features are kept"))
    assert np.array_equal(hog(images), first)


@pytest.mark.parametrize("compute", [hog, hog_opencv])
@pytest.mark.parametrize(
    ("images", "shown"),
    [
        (np.zeros((2, 28, 28)), r"float64 \(2, 28, 28\)"),
        (np.zeros((28, 28), np.uint8), r"uint8 \(28, 28\)"),
        (np.zeros((2, 28, 24), np.uint8), r"uint8 \(2, 28, 24\)"),
        (np.zeros((2, 30, 30), np.uint8), r"uint8 \(2, 30, 30\)"),
        (np.zeros((0, 28, 28), np.uint8), r"uint8 \(0, 28, 28\)"),
        (np.zeros((2, 28, 28, 3), np.uint8), r"uint8 \(2, 28, 28, 3\)"),
    ],
)
def test_images_of_another_kind_are_refused(compute, images, shown):
    with pytest.raises(ValueError, match=rf"images must be uint8 \(n, side, side\), .* multiple of 4, got {shown}"):
        compute(images)


def test_opencvs_window_needs_28_pixels():
    with pytest.raises(ValueError, match="images must be 28 x 28 for the window of 24, got 32 x 32"):
        hog_opencv(pictures(side=32))


@pytest.mark.parametrize(("compute", "library"), [(hog, "skimage"), (hog_opencv, "cv2")])
def test_a_library_that_is_not_installed_is_named(monkeypatch, compute, library):
    def absent(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(module.importlib, "import_module", absent)
    with pytest.raises(ImportError, match=rf"{library} is not installed: pip install 'qsmi-lib\[lsh\]'"):
        compute(pictures())


def test_features_are_those_of_the_pixels(digits):
    """The normalisation is undone; the digits' 17 shades are scaled to 256."""
    network, images = factory.build("digits", 8, "lsh"), digits.query.inputs[:20]
    pixels = (images.double() * projections.DATASETS["digits"].STD + projections.DATASETS["digits"].MEAN) * 16
    expected = hog((pixels[:, 0].round().numpy() * 255 / 16).round().astype(np.uint8))
    np.testing.assert_allclose(network.features(images), expected, atol=1e-6)


# The three hashes


@each
def test_a_seed_gives_the_same_codes_and_labels_have_no_say(few, method):
    database, query = few
    first, again = (encode(fitted(method, database), query.inputs) for _ in range(2))
    assert first.shape == (100, 16) and set(first.unique().tolist()) == {-1, 1}
    assert torch.equal(first, again)
    assert list(inspect.signature(fitted(method, database).fit).parameters) == ["images", "seed"]


@each
def test_another_seed_counts_where_something_is_drawn(few, method):
    database, query = few
    codes = [encode(fitted(method, database, seed=seed), query.inputs) for seed in (0, 1)]
    assert torch.equal(*codes) == (method == "spectral_hashing")


@each
def test_the_global_generators_are_left_alone(few, method):
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    fitted(method, few[0])
    assert torch.equal(torch.get_rng_state(), before[0]) and np.random.get_state()[1].tolist() == before[1]


@each
def test_codes_find_what_is_alike(few, method):
    """Chance is a tenth."""
    database, query = few
    network = fitted(method, database, bits=24)
    codes = [encode(network, part.inputs) for part in (query, database)]
    assert evaluate(*codes, query.labels, database.labels).map > 0.2


@each
def test_a_code_does_not_depend_on_the_company(few, method):
    database, query = few
    network = fitted(method, database)
    together, alone = network(query.inputs[:8]), torch.cat([network(query.inputs[i : i + 1]) for i in range(8)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


@each
def test_a_fitted_hash_is_saved_and_comes_back(few, tmp_path, method):
    database, query = few
    network, config = fitted(method, database), configure("digits", method, 16)
    factory.save(network, config, tmp_path / "model.safetensors")
    loaded, loaded_config = factory.load(tmp_path / "model.safetensors")
    assert loaded_config == config
    assert torch.equal(loaded(query.inputs), network(query.inputs))
    assert torch.equal(encode(loaded, query.inputs), encode(network, query.inputs))


@each
def test_training_is_fitting(digits, method):
    trained = train(configure("digits", method, 8, seed=3), digits)
    assert trained.history == [] and trained.precision == "float32" and not trained.model.training
    expected = fitted(method, digits.train, bits=8, seed=3)
    assert all(torch.equal(value, expected.state_dict()[k]) for k, value in trained.model.state_dict().items())


@each
def test_more_bits_than_features_are_refused(method):
    assert factory.build("digits", 324, method).projection.shape == (324, 324)
    with pytest.raises(ValueError, match="bits must be at most 324, the width of the features, got 325"):
        factory.build("digits", 325, method)


@pytest.mark.parametrize("method", ["itq", "spectral_hashing"])
def test_more_components_than_items_are_refused(few, method):
    with pytest.raises(ValueError, match="16 bits need at least 16 training items, got 15"):
        fitted(method, few[0][:15])


def centred(part):
    """Centred HOG features of digits."""
    features = factory.build("digits", 1, "lsh").features(part.inputs).astype(np.float64)
    return features - features.mean(axis=0), features.mean(axis=0)


def test_lsh_projects_on_random_directions(few):
    database, query = few
    _, mean = centred(database)
    directions = np.random.default_rng(5).normal(size=(N_FEATURES, 16))
    features = factory.build("digits", 1, "lsh").features(query.inputs)
    expected = (features - mean) @ directions
    np.testing.assert_allclose(fitted("lsh", database, seed=5)(query.inputs), expected, rtol=1e-3, atol=1e-4)


def test_principal_components_are_those_of_the_singular_values(few):
    features, _ = centred(few[0])
    found = projections.principal_components(features, 6)
    _, _, right = np.linalg.svd(features, full_matrices=False)
    np.testing.assert_allclose(found.T @ found, np.eye(6), atol=1e-10)
    np.testing.assert_allclose(np.abs((found.T * right[:6]).sum(axis=1)), 1, atol=1e-8)


def test_itq_quantizes_better_than_the_components_themselves(few):
    features, _ = centred(few[0])
    plain, turned = projections.principal_components(features, 16), fitted("itq", few[0]).projection.double().numpy()
    np.testing.assert_allclose(turned @ turned.T, plain @ plain.T, atol=1e-5)  # the same subspace
    errors = [((np.where(p >= 0, 1, -1) - p) ** 2).sum() for p in (features @ turned, features @ plain)]
    assert errors[0] < errors[1]


def slow_spectral_hashing(database, query, bits):
    """The flattest eigenfunctions, dimension by dimension and mode by mode."""
    mean = database.mean(axis=0)
    _, _, right = np.linalg.svd(database - mean, full_matrices=False)
    axes = []
    for direction in right[:bits]:
        along = [float(item @ direction) for item in database - mean]
        axes.append((direction, min(along), max(along)))
    functions = []
    for axis in axes:
        for mode in range(1, bits + 1):
            functions.append((mode * math.pi / (axis[2] - axis[1]), axis))
    functions.sort(key=lambda function: function[0])
    values = []
    for item in query - mean:
        row = []
        for omega, (direction, low, _) in functions[:bits]:
            row.append(math.sin(math.pi / 2 + omega * (float(item @ direction) - low)))
        values.append(row)
    return np.array(values)


@pytest.mark.parametrize("bits", [1, 7, 24])
def test_spectral_hashing_against_its_definition(few, bits):
    """A component's sign is free: it mirrors the box, and cos(m pi - x) is cos(x) but for the sign."""
    database, query = few
    network = fitted("spectral_hashing", database, bits=bits)
    features = [network.features(part.inputs).astype(np.float64) for part in (database, query)]
    expected, found = slow_spectral_hashing(*features, bits), network(query.inputs).numpy()
    same, turned = (np.abs(found - sign * expected).max(axis=0) < 1e-3 for sign in (1, -1))
    assert (same | turned).all()


def test_spectral_hashing_gives_wide_components_more_bits(few):
    network = fitted("spectral_hashing", few[0], bits=100)
    norms = network.projection.norm(dim=0)  # omega, for components have length 1
    assert (norms.diff() >= -1e-6).all()
    directions = (network.projection / norms).T
    repeated = (directions @ directions.T).abs() > 0.999
    n_modes = repeated.sum(dim=1)
    assert n_modes[0] == n_modes.max() > 2 > n_modes.min()
