"""Embeddings of any magnitude: the loss and its gradient are finite, or an error names the bound that is broken."""

import inspect

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qsmi_lib import losses
from qsmi_lib.tests.losses.batches import N, batch
from qsmi_lib.utils.limits import LARGEST

BITS = 4
GOOD = batch(bits=BITS) | {"sigma": 2.0}
OF_EMBEDDINGS = [name for name in losses.__all__ if "embeddings" in inspect.signature(getattr(losses, name)).parameters]
SIGNS = GOOD["targets"].float()


@st.composite
def embeddings(draw):
    """Rows, columns or entries of all magnitudes of float32, some zero and some equal."""
    shape = draw(st.sampled_from([(1, 1), (N, 1), (1, BITS), (N, BITS)]))
    n = shape[0] * shape[1]
    exponents = draw(st.lists(st.floats(-45, draw(st.sampled_from([0, 8.9, 38.5]))), min_size=n, max_size=n))
    values = SIGNS * (10 ** torch.tensor(exponents, dtype=torch.float64).reshape(shape)).float()
    values[list(draw(st.sets(st.integers(0, N - 1), max_size=3)))] = 0.0
    if draw(st.booleans()):
        values[1] = values[2]
    return values.to(draw(st.sampled_from([torch.float32, torch.bfloat16])))


@settings(max_examples=60, deadline=None)
@given(drawn=embeddings())
def test_every_loss_and_gradient_is_finite_or_names_the_bound(drawn):
    for name in OF_EMBEDDINGS:
        parameters = inspect.signature(getattr(losses, name)).parameters
        arguments = {key: GOOD[key] for key, parameter in parameters.items() if parameter.default is parameter.empty}
        for similarity in ("cosine", "gaussian") if "similarity" in parameters else (None,):
            leaf = drawn.clone().requires_grad_()
            arguments |= {"embeddings": leaf} | ({} if similarity is None else {"similarity": similarity})
            if drawn.abs().max() > LARGEST:
                with pytest.raises(ValueError, match=r"embeddings must be (at most 1e.09 in magnitude|finite)"):
                    getattr(losses, name)(**arguments)
                continue
            result = getattr(losses, name)(**arguments)
            value = sum(part.sum() for part in (result if isinstance(result, tuple) else (result,)))
            (slope,) = torch.autograd.grad(value, leaf)
            assert value.isfinite() and slope.isfinite().all(), (name, similarity)


@pytest.mark.parametrize("option", [1e-9, 1e-3, 1e9])
def test_every_loss_is_finite_at_the_limits_of_its_numbers(option):
    """Together with the largest, the smallest and ordinary embeddings."""
    from qsmi_lib.losses.validation import POSITIVE, WEIGHTS

    for name in OF_EMBEDDINGS:
        parameters = inspect.signature(getattr(losses, name)).parameters
        arguments = {key: GOOD[key] for key, parameter in parameters.items() if parameter.default is parameter.empty}
        arguments |= dict.fromkeys((POSITIVE | WEIGHTS) & parameters.keys() - {"n_bins"}, option)
        for scale in (1e-45, 1.0, LARGEST):
            leaf = (SIGNS * scale).requires_grad_()
            result = getattr(losses, name)(**arguments | {"embeddings": leaf})
            value = sum(part.sum() for part in (result if isinstance(result, tuple) else (result,)))
            assert value.isfinite() and torch.autograd.grad(value, leaf)[0].isfinite().all(), (name, scale)
