"""ReLU of 2 x 2 max pooling as fused loops, compared with PyTorch's two operators: values and gradients."""

import os
import subprocess
import sys

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import nn
from torch.nn.functional import max_pool2d

from qsmi_lib.models import networks
from qsmi_lib.models.fused_pool import pooled_relu

DTYPES = (torch.bfloat16, torch.float32)
LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}
VALUES = (-torch.inf, -2.0, -0.5, -0.0, 0.0, 0.5, 2.0, torch.inf)
FUSED = "_PooledReluBackward"  # the gradient of the loops; any other is PyTorch's
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
each_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


def reference(x):
    return max_pool2d(x, 2).relu()


def drawn(shape, dtype=torch.float32, layout=torch.channels_last, values=VALUES, seed=0):
    """A leaf of numbers out of `values`, in this layout."""
    which = torch.randint(len(values), shape, generator=torch.Generator().manual_seed(seed))
    return torch.tensor(values, dtype=dtype)[which].contiguous(memory_format=layout).requires_grad_()


def value_and_gradient(pool, x, loss):
    pooled = pool(x)
    return pooled.detach(), torch.autograd.grad(loss(pooled), x)[0]


def assert_same(x, loss):
    pairs = zip(value_and_gradient(pooled_relu, x, loss), value_and_gradient(reference, x, loss), strict=True)
    for fused, expected in pairs:
        assert torch.equal(fused, expected) and fused.dtype == expected.dtype
        assert fused.is_contiguous(memory_format=torch.channels_last) or fused.is_contiguous()


# Compared with PyTorch's operators


@settings(max_examples=60)
@given(
    n=st.integers(0, 3),
    c=st.sampled_from([1, 2, 3, 4, 5, 32]),
    h=st.sampled_from([2, 4, 6, 8]),
    w=st.sampled_from([2, 4, 6, 8]),
    values=st.lists(st.sampled_from(VALUES), min_size=1, max_size=4),
    dtype=st.sampled_from(DTYPES),
    layout=st.sampled_from(list(LAYOUTS.values())),
    seed=st.integers(0, 99),
)
def test_values_and_gradients_are_pytorchs(n, c, h, w, values, dtype, layout, seed):
    """With few numbers to draw from, most squares have their maximum twice, or nothing above 0."""
    x = drawn((n, c, h, w), dtype, layout, values, seed)
    gradient = drawn((n, c, h // 2, w // 2), dtype, layout, (-1.5, -0.0, 0.0, 0.25, 3.0), seed + 1).detach()
    assert torch.equal(pooled_relu(x), reference(x))
    fused, expected = (torch.autograd.grad(pool(x), x, gradient)[0] for pool in (pooled_relu, reference))
    assert torch.equal(fused, expected)


@each_dtype
@each_layout
def test_random_numbers(dtype, layout):
    numbers = torch.randn(3, 32, 24, 24, generator=torch.Generator().manual_seed(0)).to(dtype)
    x = numbers.contiguous(memory_format=layout).requires_grad_()
    before = x.detach().clone()
    assert_same(x, lambda pooled: pooled.square().sum())
    assert torch.equal(x.detach(), before)


@each_dtype
@pytest.mark.parametrize(
    "loss",
    [
        torch.sum,
        lambda pooled: pooled[:, :, :, :1].sum(),
        lambda pooled: pooled.flatten(1).square().sum(),
        lambda pooled: (pooled.transpose(2, 3) * torch.arange(3.0).to(pooled.dtype)).sum(),
        lambda pooled: (pooled.contiguous() * torch.arange(2.0).to(pooled.dtype)).sum(),
    ],
    ids=["expanded", "a slice", "flat", "transposed", "contiguous"],
)
def test_incoming_gradients_may_have_any_layout(dtype, loss):
    assert_same(drawn((2, 5, 6, 4), dtype, values=(-1.0, 0.5, 2.0)), loss)


@each_dtype
@each_layout
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_nan_stays_nan_in_its_square(dtype, layout, sign):
    """With either sign bit, at every place, beside every number."""
    nan = torch.copysign(torch.tensor(torch.nan, dtype=dtype), torch.tensor(sign, dtype=dtype))
    assert torch.signbit(nan) == (sign < 0)
    for place in range(4):
        for others in (-torch.inf, -1.0, 0.0, torch.inf):
            x = torch.full((2, 3, 4, 4), others, dtype=dtype).contiguous(memory_format=layout)
            x[1, 2, 2 + place // 2, place % 2] = nan
            fused, gradient = value_and_gradient(pooled_relu, x.requires_grad_(), torch.sum)
            expected, expected_gradient = value_and_gradient(reference, x, torch.sum)
            assert fused.isnan().nonzero().tolist() == [[1, 2, 1, 0]]
            assert torch.equal(fused.nan_to_num(7.0), expected.nan_to_num(7.0))
            assert torch.equal(gradient, expected_gradient)


@pytest.mark.parametrize(("height", "width"), [(5, 4), (4, 5), (1, 2)])
def test_an_odd_height_or_width_is_refused(height, width):
    for dtype in (*DTYPES, torch.float64):
        with pytest.raises(ValueError, match=f"^height and width must be even, got {height} x {width}$"):
            pooled_relu(torch.zeros(1, 1, height, width, dtype=dtype))


# When the loops are used


@each_dtype
def test_the_loops_are_used_in_channels_last_with_and_without_gradient(dtype):
    names = [type(pooled_relu(drawn((2, 3, 4, 4), dtype, layout)).grad_fn).__name__ for layout in LAYOUTS.values()]
    assert names[0] == FUSED != names[1]
    x = drawn((2, 3, 4, 4), dtype)
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            pooled = pooled_relu(x)
            assert torch.equal(pooled, reference(x)) and not pooled.requires_grad


@each_layout
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16], ids=str)
def test_other_dtypes_use_pytorchs_operators(dtype, layout):
    x = drawn((2, 3, 4, 4), dtype, layout, values=(-1.0, 0.5, 2.0))
    assert type(pooled_relu(x).grad_fn).__name__ != FUSED
    assert_same(x, torch.sum)


def test_one_thread_and_two_give_the_same():
    """In a new process, in which numba has two."""
    code = """
import numba, torch
from qsmi_lib.models.fused_pool import pooled_relu
x = torch.randn(7, 5, 8, 8, generator=torch.Generator().manual_seed(0))
x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
def run(n_threads):
    numba.set_num_threads(n_threads)
    pooled = pooled_relu(x)
    return pooled, *torch.autograd.grad(pooled.square().sum(), x)
print(*map(torch.equal, run(1), run(2)), type(pooled_relu(x).grad_fn).__name__)
"""
    environment = os.environ | {"NUMBA_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == f"True True {FUSED}\n", done.stderr


# In the network


class Plain(nn.Module):
    """The network of Table 11 with PyTorch's modules."""

    def __init__(self, bits):
        super().__init__()
        self.convolution_1, self.convolution_2 = nn.Conv2d(1, 32, 5), nn.Conv2d(32, 64, 5)
        self.pool, self.dense = nn.MaxPool2d(2), nn.Linear(1024, bits)

    def forward(self, images):
        hidden = self.pool(self.convolution_1(images)).relu()
        return self.dense(self.pool(self.convolution_2(hidden)).relu().flatten(1))


@each_layout
@each_dtype
def test_outputs_and_gradients_of_the_network_are_those_of_pytorchs_modules(dtype, layout, monkeypatch):
    names = []
    monkeypatch.setattr(
        networks, "pooled_relu", lambda x: names.append(type(pooled_relu(x).grad_fn).__name__) or pooled_relu(x)
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network, plain, images = networks.FashionCNN(12), Plain(12), torch.randn(9, 1, 28, 28)
    plain.load_state_dict(network.state_dict())
    results = []
    for model in (network, plain):
        if layout is torch.channels_last:
            model = networks.to_device(model, torch.device("cpu"))
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
            outputs = model(images)
        assert outputs.dtype == dtype
        outputs.float().square().sum().backward()
        results.append((outputs.detach(), {name: value.grad for name, value in model.named_parameters()}))
    (outputs, gradients), (expected, expected_gradients) = results
    assert torch.equal(outputs, expected) and gradients.keys() == expected_gradients.keys()
    for name, value in expected_gradients.items():
        assert torch.equal(gradients[name], value) and value.abs().sum() > 0
    assert layout is not torch.channels_last or names == [FUSED, FUSED]
