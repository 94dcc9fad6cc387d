"""Input checks of the public losses: a ValueError names the expected and the given value."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from qsmi_lib.utils.arrays import check_tensor, label_tensor
from qsmi_lib.utils.limits import BITS, LARGEST, SEED
from qsmi_lib.utils.validation import non_negative_number, positive_number, whole_number

P = ParamSpec("P")
R = TypeVar("R")

# The arguments of the losses, by what they must be.
POSITIVE = {"balance", "beta", "class_weight", "epsilon", "eps", "gamma", "information_needs", "margin", "n_bins"}
POSITIVE |= {"sharpness", "sigma", "slope"}
COUNTS = {"bits": BITS, "n_classes": None, "n_sweeps": None}  # whole numbers of at least 1, and at most this
SEEDS = {"seed"}  # whole numbers of at least 0
WEIGHTS = {"alpha", "eta", "a_csq"}  # finite numbers of at least 0
PAIRS = {"relevance", "needs"}  # (n, n) for a batch of n
HALF = (torch.float16, torch.bfloat16)


def check_embeddings(embeddings: Tensor) -> None:
    """Raise ValueError unless `embeddings` is (n, bits), n and bits at least 1, floating, finite and not too large.

    Beyond `LARGEST`, squares or their sums may overflow in float32.
    """
    if not isinstance(embeddings, Tensor) or embeddings.ndim != 2 or not embeddings.is_floating_point():
        raise ValueError(f"embeddings must be a floating tensor of shape (n, bits), got {describe(embeddings)}")
    if 0 in embeddings.shape:
        raise ValueError(f"embeddings must hold at least one item and one bit, got shape {tuple(embeddings.shape)}")
    if not torch.isfinite(embeddings).all():
        count = int((~torch.isfinite(embeddings)).sum())
        raise ValueError(f"embeddings must be finite, got {count} NaN or infinite values of {embeddings.numel()}")
    if (magnitude := embeddings.abs().max().item()) > LARGEST:
        raise ValueError(
            f"embeddings must be at most {LARGEST:g} in magnitude, or their squares overflow, got {magnitude:g}: "
            "divide them, or lower the learning rate that led to them"
        )


def checked_labels(labels: Tensor | ArrayLike, like: Tensor | None = None) -> Tensor:
    """`labels` as a tensor: int64 (n,), or multi-hot (n, c); on the device of the embeddings `like`, one row for each.

    Raises:
        ValueError: as `arrays.label_tensor`; no label, or another number of labels than embeddings.
    """
    labels = label_tensor("labels", labels, None if like is None else like.device)
    if len(labels) == 0:
        raise ValueError("labels must hold at least one item, got none")
    if like is not None and len(labels) != len(like):
        raise ValueError(f"labels must have one row per embedding: expected {len(like)}, got {len(labels)}")
    return labels


def check_classes(labels: Tensor, n_classes: int | None) -> None:
    """Raise ValueError unless `labels` name classes from 0 on, fewer than `n_classes` where that is given."""
    if labels.ndim == 1 and labels.min() < 0:
        raise ValueError(f"labels must be at least 0, got {int(labels.min())}")
    least = labels.shape[1] if labels.ndim == 2 else int(labels.max()) + 1
    if n_classes is not None and (least > n_classes or (labels.ndim == 2 and least != n_classes)):
        raise ValueError(f"labels must be of n_classes = {n_classes} classes, got {least}")


def check_relevance(relevance: Tensor, n: int, name: str = "relevance") -> None:
    """Raise ValueError unless `relevance` is (n, n), bool or floating in [0, 1]."""
    if not isinstance(relevance, Tensor) or relevance.shape != (n, n):
        raise ValueError(f"{name} must have shape ({n}, {n}), got {describe(relevance)}")
    if relevance.dtype != torch.bool and not relevance.is_floating_point():
        raise ValueError(f"{name} must be bool or floating, got {relevance.dtype}")
    if relevance.is_floating_point() and not ((relevance >= 0) & (relevance <= 1)).all():
        wrong = relevance[~((relevance >= 0) & (relevance <= 1))][0].item()
        raise ValueError(f"{name} must lie in [0, 1], got {wrong}")


def check_signs(name: str, values: Tensor, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless `values` has the `shape` and holds -1 and +1 only."""
    if not isinstance(values, Tensor) or values.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {describe(values)}")
    if values.dtype == torch.bool:
        raise ValueError(f"{name} must hold -1 and +1, got torch.bool")
    if not (values.abs() == 1).all():
        raise ValueError(f"{name} must hold -1 and +1 only, got {values[values.abs() != 1][0].item()}")


def check_decisions(decisions: Tensor, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless `decisions` is (t, n, bits) of -1 and +1, t at least 2, `shape` being (n, bits)."""
    if not isinstance(decisions, Tensor) or decisions.ndim != 3 or len(decisions) < 2:
        raise ValueError(
            f"decisions must have shape (t, {shape[0]}, {shape[1]}) with at least two samples t, since the baseline "
            f"of a sample is the mean of the others, got {describe(decisions)}"
        )
    check_signs("decisions", decisions, (len(decisions), *shape))


def check_similarity(similarity: str) -> None:
    """Raise ValueError unless `similarity` names a known similarity."""
    if similarity not in ("cosine", "gaussian"):
        raise ValueError(f"similarity must be 'cosine' or 'gaussian', got {similarity!r}")


def describe(value: object) -> str:
    """The type, dtype and shape of `value`, for an error message."""
    return f"{value.dtype} of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"


def checked(loss: Callable[P, R]) -> Callable[P, R]:
    """The public form of `loss`: it checks its arguments by their names, then calls `loss`.

    Embeddings of half precision are converted to float32, because the logarithms of the losses overflow in float16.
    """
    signature = inspect.signature(loss)

    @functools.wraps(loss)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(*args, **kwargs)
        arguments = bound.arguments
        for name, value in arguments.items():
            if isinstance(value, Tensor) and name != "labels":
                check_tensor(name, value)
        embeddings: Any = arguments.get("embeddings")  # a Tensor, once it is checked
        shape: tuple[int, ...] = ()
        if "embeddings" in arguments:
            check_embeddings(embeddings)
            shape = tuple(embeddings.shape)
        for name, value in arguments.items():
            if name == "labels":
                arguments[name] = checked_labels(value, embeddings)
            elif name in PAIRS:
                check_relevance(value, shape[0], name)
            elif name == "targets":
                check_signs(name, value, shape)
            elif name == "decisions":
                check_decisions(value, shape)
            elif name == "similarity":
                check_similarity(value)
            elif value is None and signature.parameters[name].default is None:
                pass  # None is the default of the loss
            elif name in COUNTS:
                arguments[name] = whole_number(name, value, 1, COUNTS[name])
            elif name in SEEDS:
                arguments[name] = whole_number(name, value, 0, SEED)
            elif name in POSITIVE:
                positive_number(name, value)
            elif name in WEIGHTS:
                non_negative_number(name, value)
        if {"labels", "n_classes"} <= signature.parameters.keys():
            check_classes(arguments["labels"], arguments.get("n_classes"))
        if shape and embeddings.dtype in HALF:
            arguments["embeddings"] = embeddings.float()
        return loss(*bound.args, **bound.kwargs)

    return call
