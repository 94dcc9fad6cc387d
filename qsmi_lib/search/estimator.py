"""A transformer of scikit-learn: fit to labelled vectors or pictures, transform to codes, find neighbours."""

import json
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array, check_consistent_length, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from qsmi_lib.config.presets import configure
from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets.base import Part, Split
from qsmi_lib.evaluation import evaluate
from qsmi_lib.evaluation.neighbors import nearest, nearest_others
from qsmi_lib.methods import METHODS
from qsmi_lib.models.networks import FashionCNN, HashHead, to_device
from qsmi_lib.training import loop
from qsmi_lib.utils import arrays, io
from qsmi_lib.utils.reading import LARGEST_TEXT, damaged, differs, parse_json, read_tensors
from qsmi_lib.utils.validation import QsmiWarning, known, whole_number

PICTURE = (1, 28, 28)  # inputs of the paper's network
PARAMETERS = {"bits": int, "hidden": int}  # what the header of a saved hasher must look like, see `reading.Form`
FITTED = {
    "classes": [(bool, float, str)],
    "dtype": str,
    "shape": [int],
    "history": [{...: float}],
    "feature_names_in_?": [str],
}
METHODS_OF_PAIRS = {name: entry for name, entry in METHODS.items() if entry.loss and not (entry.prepare or entry.head)}


class QSMIHasher(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Codes of vectors or pictures, learned from labels: items of one class get codes that differ in few bits.

    Inputs are (n, d) vectors, hashed by a hidden layer with ReLU and a dense layer, or (n, 1, 28, 28) pictures, hashed
    by the paper's network of Table 11. Scale them first, e.g. with `StandardScaler` in a `Pipeline`.

    Args:
        bits: code length.
        method: a registry name whose loss compares pairs, e.g. "qsmi", "dsh" or "dpsh".
        alpha: weight of the quantization term; None: the default of the method.
        epochs: passes over the training items.
        batch_size: items in a batch; a batch has `batch_size` ** 2 pairs.
        learning_rate: Adam's step.
        hidden: width of the hidden layer, for vectors.
        random_state: of weights and batches; a whole number gives the same codes each time, None different ones.

    Attributes:
        classes_: the labels, sorted; if items have several labels, the column indices of y.
        n_features_in_: d; only for vectors.
        shape_: shape of an item, (d,) or (1, 28, 28).
        n_iter_: number of epochs.
        history_: one dict for each epoch, see `training.loop.Trained`.
        codes_: the codes of the training items, int8 (n, bits) of -1 and +1: the database of `kneighbors`.
        labels_: their labels as indices into `classes_`, (n,), or multi-hot (n, c).

    Examples:
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.model_selection import train_test_split
        >>> x, query, y, _ = train_test_split(*load_digits(return_X_y=True), random_state=0)
        >>> hasher = QSMIHasher(bits=16, epochs=3).fit(x / 16, y)
        >>> hasher.transform(query / 16).shape
        (450, 16)
    """

    def __init__(
        self,
        bits: int = 48,
        *,
        method: str = "qsmi",
        alpha: float | None = None,
        epochs: int = 50,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        hidden: int = 64,
        random_state: int | np.random.RandomState | None = 0,
    ):
        self.bits = bits
        self.method = method
        self.alpha = alpha
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.hidden = hidden
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> "QSMIHasher":
        """Train on items `X` with labels `y`, (n,) of any kind that sorts, or (n, c) of 0 and 1."""
        if y is None:
            raise ValueError("QSMIHasher requires y to be passed, but the target y is None")
        X, y = self._checked(X, y, reset=True)
        labels = self._encoded(y, reset=True)
        config = self._config()
        part = Part(torch.from_numpy(X), torch.from_numpy(labels))
        split = Split(config.dataset, part, part, part, "", tuple(map(str, self.classes_)))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            model = to_device(self._network(X.shape[1:]), torch.device("cpu"))
            self.history_, _ = loop.descend(model, config, split, config.precision)
        self.model_, self.shape_, self.n_iter_ = model.eval(), X.shape[1:], config.epochs
        self.codes_, self.labels_ = self._encode(X), labels
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Codes of `X`: int8 (n, bits) of -1 and +1."""
        check_is_fitted(self)
        return self._encode(self._checked(X))

    def kneighbors(
        self, X: ArrayLike | None = None, n_neighbors: int = 5, return_distance: bool = True
    ) -> tuple[np.ndarray, np.ndarray] | np.ndarray:
        """The training items nearest to each of `X` by Hamming distance; ties keep the order of the training items.

        Args:
            X: queries; None: the training items, each compared with all others.
            n_neighbors: at most the number of training items (minus one if X is None).
            return_distance: whether to return the distances too.

        Returns:
            `distances`, int64 (n, n_neighbors), the numbers of differing bits; and `indices`, int64, of the training
            items. Only `indices` if `return_distance` is False.
        """
        check_is_fitted(self)
        among_themselves = X is None
        n_neighbors = whole_number("n_neighbors", n_neighbors, 1, len(self.codes_) - among_themselves)
        queries = self.codes_ if among_themselves else self.transform(X)
        if among_themselves:
            indices = nearest_others(queries, n_neighbors)
        else:
            indices = nearest(queries, self.codes_, n_neighbors)
        if not return_distance:
            return indices
        return (queries[:, None, :] != self.codes_[indices]).sum(axis=2), indices

    def score(self, X: ArrayLike, y: ArrayLike) -> float:
        """mAP with `X` as queries, of labels `y`, against the training items; the mean over all orders of ties.

        Queries whose classes `fit` did not see, as cross-validation may draw them, are left out with a `QsmiWarning`;
        a ValueError if nothing is left.
        """
        check_is_fitted(self)
        X, y = self._checked(X, y)
        scored = evaluate(self._encode(X), self.codes_, self._encoded(y), self.labels_)
        if n := scored.n_without_relevant:
            known_names = set(self.classes_.tolist())
            strange = sorted({str(label) for label in y.ravel().tolist() if label not in known_names})[:5]
            named = f", of classes that fit did not see: {', '.join(strange)}" if self.labels_.ndim == 1 else ""
            warnings.warn(
                f"{n} of {len(X)} queries are left out of the score: no training item shares a label with them{named}",
                QsmiWarning,
                stacklevel=2,
            )
        return float(scored.map_expected)

    def save(self, path: Path | str) -> None:
        """Write all fitted attributes to `path`, a safetensors file, without pickle; completely or not at all.

        Raises:
            TypeError: classes or a `random_state` that JSON cannot represent.
            ValueError: parameters were changed after `fit`, and now need another network.
        """
        check_is_fitted(self)
        try:
            self._network(self.shape_).load_state_dict(self.model_.state_dict())
        except RuntimeError as error:
            raise ValueError("parameters were changed after fit, and do not fit the network: fit again") from error
        fitted = {"classes": self.classes_.tolist(), "dtype": self.classes_.dtype.str}
        fitted |= {"shape": list(self.shape_), "history": self.history_}
        fitted |= {name: getattr(self, name).tolist() for name in ("feature_names_in_",) if hasattr(self, name)}
        tensors = {f"model.{name}": value.contiguous() for name, value in self.model_.state_dict().items()}
        tensors |= {"codes": torch.from_numpy(self.codes_), "labels": torch.from_numpy(self.labels_)}
        parameters = {name: _plain(value) for name, value in self.get_params().items()}
        io.write_tensors(Path(path), tensors, {"parameters": json.dumps(parameters), "fitted": json.dumps(fitted)})

    @classmethod
    def load(cls, path: Path | str) -> "QSMIHasher":
        """The hasher that `save` wrote to `path`; a ValueError names a file that is damaged or of another kind."""
        remedy = "save it again after fit"
        tensors, header = read_tensors(Path(path), remedy)
        try:
            parameters, fitted = (parse_json(header[name]) for name in ("parameters", "fitted"))
            if difference := differs(parameters, PARAMETERS) or differs(fitted, FITTED):
                raise ValueError(difference)
            hasher, dtype = cls(**parameters), np.dtype(fitted["dtype"])
            if dtype.itemsize * len(fitted["classes"]) > LARGEST_TEXT:
                raise ValueError(f"its classes are of {dtype}")
            hasher.codes_, hasher.labels_ = (tensors.pop(name).clone().numpy() for name in ("codes", "labels"))
            hasher.shape_, hasher.history_ = tuple(fitted["shape"]), fitted["history"]
            hasher.classes_ = np.asarray(fitted["classes"], dtype=dtype)
            hasher._check_fitted()
            hasher.n_iter_ = len(hasher.history_)
            if len(hasher.shape_) == 1:
                [hasher.n_features_in_] = hasher.shape_
            if "feature_names_in_" in fitted:
                hasher.feature_names_in_ = np.asarray(fitted["feature_names_in_"], dtype=object)
            weights = {name.removeprefix("model."): tensor for name, tensor in tensors.items()}
            with torch.device("meta"):  # a network of absurd size takes no memory there
                expected = hasher._network(hasher.shape_).state_dict()
            if {name: value.shape for name, value in weights.items()} != {k: v.shape for k, v in expected.items()}:
                raise ValueError("its weights are those of another network than its parameters describe")
            hasher.model_ = hasher._network(hasher.shape_).eval()
            hasher.model_.load_state_dict(weights)
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            raise damaged(Path(path), f"it is not a QSMIHasher that was saved: {error!r}", remedy) from error
        return hasher

    def _check_fitted(self) -> None:
        """A ValueError unless codes and labels that were read are those of one fit."""
        codes, labels, n_classes = self.codes_, self.labels_, len(self.classes_)
        if codes.dtype != np.int8 or codes.ndim != 2 or codes.shape[1] != self.bits or (np.abs(codes) != 1).any():
            raise ValueError(f"its codes must be int8 (n, {self.bits}) of -1 and +1, got {codes.dtype} {codes.shape}")
        most, columns = (n_classes - 1, ()) if labels.ndim == 1 else (1, (n_classes,))
        if labels.dtype != np.int64 or labels.shape != (len(codes), *columns) or not len(codes):
            raise ValueError(f"its labels must be int64, one for each code, got {labels.dtype} {labels.shape}")
        if labels.min() < 0 or labels.max() > most:
            raise ValueError(f"its labels must be from 0 to {most}, got {labels.min()} to {labels.max()}")
        if self.shape_ != PICTURE and (len(self.shape_) != 1 or self.shape_[0] < 1):
            raise ValueError(f"its items must have shape (d,) or {PICTURE}, got {self.shape_}")

    @property
    def _n_features_out(self) -> int:
        return self.codes_.shape[1]

    def __sklearn_tags__(self):
        """For scikit-learn's checks: labels are required, and an item may have several."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _config(self) -> RunConfig:
        """The parameters as the training loop takes them; a ValueError names one that is out of range."""
        known("method of pairs", METHODS_OF_PAIRS, self.method)
        whole_number("hidden", self.hidden, 1)
        settings = {name: _plain(getattr(self, name)) for name in ("epochs", "batch_size", "learning_rate")}
        settings |= {} if self.alpha is None else {"alpha": _plain(self.alpha)}
        seed = _plain(self.random_state)
        if seed is None or isinstance(seed, np.random.RandomState):
            seed = check_random_state(seed).randint(2**31)
        return configure("user data", self.method, _plain(self.bits), seed=seed, precision="float32", **settings)

    def _network(self, shape: tuple[int, ...]) -> nn.Module:
        """A network for items of `shape`, with random weights."""
        if shape == PICTURE:
            return FashionCNN(int(self.bits))
        return HashHead(shape[0], int(self.bits), int(self.hidden))

    def _encode(self, inputs: np.ndarray) -> np.ndarray:
        return loop.encode(self.model_, torch.from_numpy(inputs)).numpy()

    def _checked(self, X: ArrayLike, y: ArrayLike | None = None, *, reset: bool = False):
        """`X` as float32, and `y` if given, after scikit-learn's checks and a check of shapes."""
        X, y = _dense("X", X), _dense("y", y)
        options = {"dtype": np.float32, "order": "C", "force_writeable": True}
        n_axes = np.ndim(X) if isinstance(X, list | tuple) else getattr(X, "ndim", 2)
        if pictures := n_axes == 4:  # `validate_data` accepts two axes only
            X = check_array(X, allow_nd=True, **options)
            y = y if y is None else check_array(y, ensure_2d=False, dtype=None)
            check_consistent_length(X, y)
        elif y is None:
            X = validate_data(self, X, reset=reset, **options)
        else:
            X, y = validate_data(self, X, y, multi_output=True, reset=reset, **options)
        expected = X.shape[1:] if reset and not pictures else PICTURE if reset else self.shape_
        if X.shape[1:] != expected:
            raise ValueError(f"X must be of items of shape {expected}, got {X.shape[1:]}")
        if reset and pictures:
            for name in ("n_features_in_", "feature_names_in_"):
                vars(self).pop(name, None)  # of an earlier fit to vectors
        return X if y is None else (X, y)

    def _encoded(self, y: np.ndarray, *, reset: bool = False) -> np.ndarray:
        """Labels in the form that the losses take: int64 (n,), indices into `classes_`, or multi-hot (n, c).

        A class that `fit` did not see has the first index that is not used.
        """
        if y.ndim == 2 and y.shape[1] > 1:
            if not np.isin(y, (0, 1)).all():
                raise ValueError(f"several labels an item must be a column each, of 0 and 1, got {np.unique(y)[:5]}")
            if reset:
                self.classes_ = np.arange(y.shape[1])
            return y.astype(np.int64)
        y = y.ravel()
        check_classification_targets(y)
        if reset:
            self.classes_ = np.unique(y)
        number = {label: index for index, label in enumerate(self.classes_.tolist())}
        return np.array([number.get(label, len(number)) for label in y.tolist()], np.int64)


def _dense(name: str, values):
    """Tensors and masked arrays, which scikit-learn does not check, as arrays, and labels that it does not know.

    These are sparse ones, and whole numbers as objects.
    """
    if isinstance(values, torch.Tensor):
        return arrays.on_host(name, values)
    if isinstance(values, np.ma.MaskedArray):
        return arrays.dense(name, values, text=name == "y")
    if name == "y" and hasattr(values, "tocsr"):
        return arrays.labels(name, values)
    if name == "y" and getattr(getattr(values, "dtype", None), "kind", "") == "O":
        typed = arrays.dense(name, values, text=True)
        return values if typed.dtype.kind == "U" else typed
    return values


def _plain(value):
    """A NumPy number as a Python number, anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value
