"""Input checks of the public losses: one clear error that says what came and what was expected."""

import functools
import inspect
from collections.abc import Callable

import torch
from torch import Tensor


def check_embeddings(embeddings: Tensor) -> None:
    """Raise ValueError unless `embeddings` is (n, bits), n and bits at least 1, floating and finite."""
    if not isinstance(embeddings, Tensor) or embeddings.ndim != 2 or not embeddings.is_floating_point():
        raise ValueError(f"embeddings must be a floating tensor of shape (n, bits), got {describe(embeddings)}")
    if 0 in embeddings.shape:
        raise ValueError(f"embeddings must hold at least one item and one bit, got shape {tuple(embeddings.shape)}")
    if not torch.isfinite(embeddings).all():
        count = int((~torch.isfinite(embeddings)).sum())
        raise ValueError(f"embeddings must be finite, got {count} NaN or infinite values of {embeddings.numel()}")


def check_labels(labels: Tensor, n: int | None = None) -> None:
    """Raise ValueError unless `labels` is int (n,) or multi-hot (n, c) of bool or 0/1 integers."""
    if not isinstance(labels, Tensor) or labels.ndim not in (1, 2) or labels.is_floating_point() or labels.is_complex():
        raise ValueError(f"labels must be integers (n,) or integer or bool multi-hot (n, c), got {describe(labels)}")
    if labels.ndim == 1 and labels.dtype == torch.bool:
        raise ValueError("labels of shape (n,) must be integers, got torch.bool")
    if labels.ndim == 2 and not ((labels == 0) | (labels == 1)).all():
        wrong = labels[(labels != 0) & (labels != 1)][0].item()
        raise ValueError(f"multi-hot labels must hold 0 and 1 only, got {wrong}")
    if len(labels) == 0:
        raise ValueError("labels must hold at least one item, got none")
    if n is not None and len(labels) != n:
        raise ValueError(f"labels must have one row per embedding: expected {n}, got {len(labels)}")


def check_relevance(relevance: Tensor, n: int) -> None:
    """Raise ValueError unless `relevance` is (n, n), bool or floating in [0, 1]."""
    if not isinstance(relevance, Tensor) or relevance.shape != (n, n):
        raise ValueError(f"relevance must have shape ({n}, {n}), got {describe(relevance)}")
    if relevance.dtype != torch.bool and not relevance.is_floating_point():
        raise ValueError(f"relevance must be bool or floating, got {relevance.dtype}")
    if relevance.is_floating_point() and not ((relevance >= 0) & (relevance <= 1)).all():
        wrong = relevance[~((relevance >= 0) & (relevance <= 1))][0].item()
        raise ValueError(f"relevance must lie in [0, 1], got {wrong}")


def check_positive(name: str, value: float) -> None:
    """Raise ValueError unless `value` is a finite number above zero."""
    if not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ValueError(f"{name} must be a finite number above 0, got {value!r}")


def check_weight(name: str, value: float) -> None:
    """Raise ValueError unless `value` is a finite number of at least zero."""
    if not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ValueError(f"{name} must be a finite number of at least 0, got {value!r}")


def check_similarity(similarity: str) -> None:
    """Raise ValueError unless `similarity` names a known similarity."""
    if similarity not in ("cosine", "gaussian"):
        raise ValueError(f"similarity must be 'cosine' or 'gaussian', got {similarity!r}")


def describe(value: object) -> str:
    """The type, dtype and shape of `value`, for an error message."""
    return f"{value.dtype} of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"


def checked(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The public form of `loss`: its arguments are checked by name before it is called."""
    signature = inspect.signature(loss)

    @functools.wraps(loss)
    def call(*args, **kwargs):
        given = signature.bind(*args, **kwargs).arguments
        n = None
        if "embeddings" in given:
            check_embeddings(given["embeddings"])
            n = len(given["embeddings"])
        if "labels" in given:
            check_labels(given["labels"], n)
        if "relevance" in given:
            check_relevance(given["relevance"], n)
        if "similarity" in given:
            check_similarity(given["similarity"])
        for name, value in given.items():
            estimated = name in ("information_needs", "margin") and value is None
            if name in ("sigma", "eps", "information_needs", "margin") and not estimated:
                check_positive(name, value)
            if name in ("alpha", "eta"):
                check_weight(name, value)
        return loss(*args, **kwargs)

    return call
