"""Input checks of the losses: each kind of fault once, and every public loss checks every argument."""

import inspect
import math
import re

import numpy as np
import pytest
import torch

from qsmi_lib import losses
from qsmi_lib.losses import validation
from qsmi_lib.tests.losses.batches import N, batch

GOOD = batch(bits=4) | {"n_classes": 10, "bits": 8, "sigma": 2.0}
FAULTS = {  # argument -> wrong values, and what the error says
    "embeddings": [
        (torch.full((N, 4), math.nan), "finite, got 40 NaN"),
        (torch.full((N, 4), -math.inf), "finite, got 40 NaN or infinite"),
        (torch.zeros(4), r"\(n, bits\), got torch.float32 of shape \(4,\)"),
        (torch.ones(N, 4, dtype=torch.int8), "floating .* got torch.int8"),
        (torch.zeros(0, 4), r"at least one item .* got shape \(0, 4\)"),
        (torch.zeros(N, 0), rf"one bit, got shape \({N}, 0\)"),
        (torch.full((N, 4), 2e9), "at most 1e.09 .* got 2e.09"),
        ([[1.0]], "got a list"),
    ],
    "relevance": [
        (torch.ones(N), rf"\({N}, {N}\), got .* \({N},\)"),
        (torch.ones(N + 1, N + 1), rf"\({N}, {N}\), got .* \({N + 1}, {N + 1}\)"),
        (torch.ones(N, N).long(), "bool or floating, got torch.int64"),
        (torch.full((N, N), 1.5), r"\[0, 1\], got 1.5"),
        (torch.full((N, N), math.nan), r"\[0, 1\], got nan"),
        (np.ones((N, N)), "got a ndarray"),
    ],
    "labels": [
        (torch.full((N,), 0.5), "whole numbers .* got 0.5"),
        (torch.zeros(N, 2, 2).long(), rf"got shape \({N}, 2, 2\)"),
        (torch.full((N, 3), 2), "0 and 1 only, got 2"),
        (torch.zeros(0).long(), "at least one item"),
        (["cat", "dog"] * 5, "got text such as 'cat'"),
    ],
    "targets": [
        (torch.zeros(N, 4), "-1 and .1 only, got 0.0"),
        (torch.full((N, 4), math.nan), "-1 and .1 only, got nan"),
        (torch.ones(N, 4, dtype=torch.bool), "-1 and .1, got torch.bool"),
        (torch.ones(N, 1), rf"\({N}, 4\), got .* \({N}, 1\)"),
        ([[1.0]], "got a list"),
    ],
    "decisions": [
        (torch.ones(1, N, 4), rf"at least two samples .* got .* \(1, {N}, 4\)"),
        (torch.ones(2, N, 5), rf"\(2, {N}, 4\), got .* \(2, {N}, 5\)"),
        (torch.zeros(2, N, 4), "-1 and .1 only, got 0.0"),
    ],
}
FAULTS["needs"] = FAULTS["relevance"]
OUT_OF_RANGE = {
    "POSITIVE": (0, -1.0, math.nan, math.inf, "3", True, 1e308, 1e-320),
    "WEIGHTS": (-1e-3, math.nan, math.inf, "3", None, 1e308),
    "COUNTS": (0, 1.5, True, "3"),
    "SEEDS": (-1, 1.5, True, "3", 2**64),
}
FREE = {"form", "similarity", "clamp"}  # neither tensors nor numbers with a range


def parameters(name):
    return inspect.signature(getattr(losses, name)).parameters


def call(name, **changed):
    """The public loss `name` with good arguments but for the `changed` ones."""
    required = [key for key, parameter in parameters(name).items() if parameter.default is parameter.empty]
    return getattr(losses, name)(**{key: GOOD[key] for key in required} | changed)


@pytest.mark.parametrize("argument", FAULTS)
def test_each_fault_of_a_tensor_is_named(argument):
    name = next(name for name in losses.__all__ if argument in parameters(name))
    for wrong, message in FAULTS[argument]:
        with pytest.raises(ValueError, match=f"{argument}.*{message}"):
            call(name, **{argument: wrong})


@pytest.mark.parametrize("name", losses.__all__)
def test_every_public_loss_checks_every_argument(name):
    call(name)
    for argument in parameters(name):
        if argument in FAULTS:
            with pytest.raises(ValueError, match=argument):
                call(name, **{argument: FAULTS[argument][0][0]})
            continue
        kinds = [kind for kind in OUT_OF_RANGE if argument in getattr(validation, kind)]
        assert len(kinds) == (argument not in FREE), argument
        for wrong in OUT_OF_RANGE[kinds[0]] if kinds else ():
            with pytest.raises(ValueError, match=f"{argument} must be .*, got {re.escape(repr(wrong))}"):
                call(name, **{argument: wrong})


@pytest.mark.parametrize("name", losses.__all__)
def test_the_checked_function_is_the_core_that_training_calls(name):
    core = inspect.unwrap(getattr(losses, name))
    required = {key: GOOD[key] for key in GOOD if key in inspect.signature(core).parameters}
    torch.testing.assert_close(getattr(losses, name)(**required), core(**required), rtol=0, atol=0)


@pytest.mark.parametrize("name", [name for name in losses.__all__ if "embeddings" in parameters(name)])
def test_half_precision_is_computed_in_float32(name):
    for dtype in validation.HALF:
        outputs = GOOD["embeddings"].to(dtype).requires_grad_()
        result = call(name, embeddings=outputs)
        parts, expected = (
            each if isinstance(each, tuple) else (each,) for each in (result, call(name, embeddings=outputs.float()))
        )
        assert all(torch.equal(one, other) for one, other in zip(parts, expected, strict=True))
        (slope,) = torch.autograd.grad(sum(part.sum() for part in parts), outputs)
        assert slope.dtype == dtype and slope.isfinite().all()


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("qsmi_loss", {"similarity": "dot"}, "'cosine' or 'gaussian', got 'dot'"),
        ("spring_loss", {"form": "hooke"}, "'spring', .* or 'likelihood', got 'hooke'"),
        ("information_potentials", {"labels": torch.zeros(N - 1).long()}, f"expected {N}, got {N - 1}"),
        ("item_centers", {"labels": torch.tensor([0, -1])}, "at least 0, got -1"),
        ("item_centers", {"labels": torch.tensor([0, 3]), "n_classes": 3}, "= 3 classes, got 4"),
        ("item_centers", {"labels": torch.ones(2, 3).long(), "n_classes": 4}, "= 4 classes, got 3"),
    ],
)
def test_other_faults(name, changed, message):
    with pytest.raises(ValueError, match=message):
        call(name, **changed)


def test_arguments_are_checked_by_position_and_numbers_may_be_numpys():
    with pytest.raises(ValueError, match="relevance must have shape"):
        losses.qsmi_loss(GOOD["embeddings"], GOOD["labels"])
    assert call("dch_loss", gamma=np.float32(20.0)) == call("dch_loss", gamma=20.0)
