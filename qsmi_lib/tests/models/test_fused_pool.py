"""ReLU of 2 x 2 max pooling as loops of its own, against PyTorch's two operators: values and gradients."""

import os
import subprocess
import sys

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import nn
from torch.nn.functional import max_pool2d

from qsmi_lib.models import networks
from qsmi_lib.models.fused_pool import pooled_relu

CPU = torch.device("cpu")
DTYPES = (torch.bfloat16, torch.float32)
LAYOUTS = {"channels_last": torch.channels_last, "rows": torch.contiguous_format}
VALUES = (-torch.inf, -2.0, -0.5, -0.0, 0.0, 0.5, 2.0, torch.inf)
SHORT = "_PooledReluBackward"  # the gradient of the loops; anything else is PyTorch's
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
each_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


def plain(x):
    return max_pool2d(x, 2).relu()


def drawn(shape, dtype=torch.float32, layout=torch.channels_last, values=VALUES, seed=0):
    """A leaf of numbers out of `values`, in this layout."""
    which = torch.randint(len(values), shape, generator=torch.Generator().manual_seed(seed))
    return torch.tensor(values, dtype=dtype)[which].contiguous(memory_format=layout).requires_grad_()


def value_and_gradient(pool, x, loss):
    pooled = pool(x)
    return pooled.detach(), torch.autograd.grad(loss(pooled), x)[0]


def assert_same(x, loss):
    """Values and gradients, which are where and in the layout that PyTorch puts them."""
    own, theirs = value_and_gradient(pooled_relu, x, loss), value_and_gradient(plain, x, loss)
    for one, other in zip(own, theirs, strict=True):
        assert torch.equal(one, other) and one.dtype == other.dtype
        assert one.numel() == 0 or one.is_contiguous(memory_format=torch.channels_last) or one.is_contiguous()


# Against PyTorch's operators


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
    assert torch.equal(pooled_relu(x), plain(x))
    own, theirs = (torch.autograd.grad(pool(x), x, gradient)[0] for pool in (pooled_relu, plain))
    assert torch.equal(own, theirs)


@each_dtype
@each_layout
def test_many_different_numbers(dtype, layout):
    numbers = torch.randn(3, 32, 24, 24, generator=torch.Generator().manual_seed(0)).to(dtype)
    x = numbers.contiguous(memory_format=layout).requires_grad_()
    assert_same(x, lambda pooled: pooled.square().sum())


@each_dtype
@pytest.mark.parametrize(
    "loss",
    [
        torch.sum,
        torch.mean,
        lambda pooled: pooled[:, :, :, :1].sum(),
        lambda pooled: pooled.flatten(1).square().sum(),
        lambda pooled: (pooled.transpose(2, 3) * torch.arange(3.0).to(pooled.dtype)).sum(),
        lambda pooled: (pooled.contiguous() * torch.arange(2.0).to(pooled.dtype)).sum(),
    ],
    ids=["expanded", "expanded mean", "a slice", "flat", "transposed", "rows"],
)
def test_incoming_gradients_may_lie_as_they_like(dtype, loss):
    assert_same(drawn((2, 5, 6, 4), dtype, values=(-1.0, 0.5, 2.0)), loss)


@each_dtype
@each_layout
@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("others", [-torch.inf, -1.0, 0.0, torch.inf])
def test_nan_stays_nan_where_it_is(dtype, layout, sign, place, others):
    """Whatever its sign bit, and what stands beside it; the other squares do not hear of it."""
    x = torch.full((2, 3, 4, 4), others, dtype=dtype).contiguous(memory_format=layout)
    nan = torch.copysign(torch.tensor(torch.nan, dtype=dtype), torch.tensor(sign, dtype=dtype))
    assert torch.signbit(nan) == (sign < 0)
    x[1, 2, 2 + place // 2, place % 2] = nan
    own, own_gradient = value_and_gradient(pooled_relu, x.requires_grad_(), torch.sum)
    theirs, their_gradient = value_and_gradient(plain, x, torch.sum)
    assert own.isnan().nonzero().tolist() == [[1, 2, 1, 0]]
    assert torch.equal(own.nan_to_num(7.0), theirs.nan_to_num(7.0)) and torch.equal(own_gradient, their_gradient)


@pytest.mark.parametrize(("height", "width"), [(5, 4), (4, 5), (3, 3), (1, 2)])
@pytest.mark.parametrize("dtype", [*DTYPES, torch.float64], ids=str)
def test_an_odd_height_or_width_is_refused(height, width, dtype):
    with pytest.raises(ValueError, match=f"^height and width must be even, got {height} x {width}$"):
        pooled_relu(torch.zeros(1, 1, height, width, dtype=dtype))


# Which way is taken, and by whom


@each_dtype
def test_channels_last_takes_the_short_way_and_rows_that_of_pytorch(dtype):
    names = [pooled_relu(drawn((2, 3, 4, 4), dtype, layout)).grad_fn.name() for layout in LAYOUTS.values()]
    assert names[0] == SHORT != names[1]


@each_layout
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16], ids=str)
def test_other_dtypes_take_pytorchs_way(dtype, layout):
    x = drawn((2, 3, 4, 4), dtype, layout, values=(-1.0, 0.5, 2.0))
    assert pooled_relu(x).grad_fn.name() != SHORT
    assert_same(x, torch.sum)


@each_dtype
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_no_gradient_need_be_asked_for(dtype, context):
    x = drawn((2, 3, 4, 4), dtype)
    with context():
        pooled = pooled_relu(x)
        assert torch.equal(pooled, plain(x)) and not pooled.requires_grad
    assert torch.equal(pooled_relu(x.detach()), plain(x)) and not pooled_relu(x.detach()).requires_grad


def test_the_input_stays_as_it_is():
    x = drawn((2, 3, 4, 4))
    before = x.detach().clone()
    pooled_relu(x).sum().backward()
    assert torch.equal(x.detach(), before)


def test_one_thread_and_two_give_the_same():
    """In a process of its own, in which numba has two."""
    code = """
import numba, torch
from qsmi_lib.pooling import pooled_relu
x = torch.randn(7, 5, 8, 8, generator=torch.Generator().manual_seed(0))
x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
def run(n_threads):
    numba.set_num_threads(n_threads)
    pooled = pooled_relu(x)
    return pooled, *torch.autograd.grad(pooled.square().sum(), x)
print(*map(torch.equal, run(1), run(2)), pooled_relu(x).grad_fn.name())
"""
    environment = os.environ | {"NUMBA_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stdout == f"True True {SHORT}\n", done.stderr


# In the network


class Plain(nn.Module):
    """The network of Table 11 out of PyTorch's own modules."""

    def __init__(self, bits):
        super().__init__()
        self.convolution_1, self.convolution_2 = nn.Conv2d(1, 32, 5), nn.Conv2d(32, 64, 5)
        self.pool, self.dense = nn.MaxPool2d(2), nn.Linear(1024, bits)

    def forward(self, images):
        hidden = self.pool(self.convolution_1(images)).relu()
        return self.dense(self.pool(self.convolution_2(hidden)).relu().flatten(1))


@each_layout
@pytest.mark.parametrize("precision", DTYPES, ids=str)
def test_the_network_is_that_of_pytorchs_modules(precision, layout):
    """Outputs, and the gradient of every weight; also where `to_device` has put it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        own, theirs, images = networks.FashionCNN(12), Plain(12), torch.randn(9, 1, 28, 28)
    theirs.load_state_dict(own.state_dict())
    found = []
    for network in (own, theirs):
        if layout is torch.channels_last:
            network = networks.to_device(network, CPU)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision is torch.bfloat16):
            outputs = network(images)
        assert outputs.dtype == precision
        outputs.float().square().sum().backward()
        found.append((outputs.detach(), {name: value.grad for name, value in network.named_parameters()}))
    (outputs, gradients), (their_outputs, their_gradients) = found
    assert torch.equal(outputs, their_outputs)
    assert gradients.keys() == their_gradients.keys()
    assert all(torch.equal(gradients[name], value) and value.abs().sum() > 0 for name, value in their_gradients.items())


@pytest.mark.parametrize("precision", DTYPES, ids=str)
def test_in_training_the_network_takes_the_short_way(precision, monkeypatch):
    names = []
    monkeypatch.setattr(
        networks, "pooled_relu", lambda x: names.append(pooled_relu(x).grad_fn.name()) or pooled_relu(x)
    )
    network = networks.to_device(networks.FashionCNN(12), CPU)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision is torch.bfloat16):
        network(torch.zeros(2, 1, 28, 28))
    assert names == [SHORT, SHORT]
