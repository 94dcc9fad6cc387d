"""ReLU of 2 x 2 max pooling, and its gradient, each as one loop over the output of a convolution on a CPU.

PyTorch's operators take six passes over the same numbers, and store positions of maxima in 64 bits. Where convolutions
are fast (bf16 by AMX) this took a third of a training step.
"""

import numpy as np
import torch
from numba import prange
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import max_pool2d

from qsmi_lib.utils.numba import compiled, in_turn

BITS_OF = {
    torch.bfloat16: torch.int16,
    torch.float32: torch.int32,
}  # a float -> the integer of its bits
MINUS_INFINITY = {
    np.int16: np.int16(-0x80),
    np.int32: np.int32(-0x800000),
}  # its bits; between them and 0 lie NaN


def pooled_relu(x: Tensor) -> Tensor:
    """max(0, max over each 2 x 2 square): ``max_pool2d(x, 2).relu()`` and its gradient, the same numbers.

    If a square has its maximum twice, the first in reading order gets the gradient; NaN stays NaN. (Only the sign of a
    zero, and which of several NaN gets the gradient, may differ.)

    Args:
        x: (n, c, h, w), h and w even. bf16 and float32 on a CPU in channels_last use the fused loops.

    Returns:
        (n, c, h / 2, w / 2), of the same dtype.

    Raises:
        ValueError: an odd height or width.
    """
    if x.shape[2] % 2 or x.shape[3] % 2:
        raise ValueError(f"height and width must be even, got {x.shape[2]} x {x.shape[3]}")
    fused = x.device.type == "cpu" and x.dtype in BITS_OF and x.is_contiguous(memory_format=torch.channels_last)
    return _PooledRelu.apply(x) if fused else max_pool2d(x, 2).relu()


class _PooledRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        pooled, winner = _empty(x, n, c, h // 2, w // 2), torch.empty((n, h // 2, w // 2, c), dtype=torch.int8)
        bits = _bits(x)
        integer = bits.dtype.type
        in_turn(_pool, bits, _bits(pooled), winner.numpy(), MINUS_INFINITY[integer], integer(np.iinfo(integer).max))
        ctx.save_for_backward(winner)
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> Tensor:
        n, c, h, w = gradient.shape
        (winner,) = ctx.saved_tensors
        spread = _empty(gradient, n, c, 2 * h, 2 * w)
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        in_turn(_spread, _bits(gradient), winner.numpy(), _bits(spread))
        return spread


def _empty(x: Tensor, *shape: int) -> Tensor:
    """Memory of the dtype of `x`, in channels_last."""
    return torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)


def _bits(x: Tensor) -> np.ndarray:
    """(n, h, w, c) view of `x` in channels_last, its bits as integers, which have the order of positive floats."""
    return x.detach().permute(0, 2, 3, 1).view(BITS_OF[x.dtype]).numpy()


@compiled(parallel=True)
def _pool(x, pooled, winner, minus_infinity, nan):
    """Maximum of each square and 0, and its position: 0 to 3 in reading order, -1 if nothing is above 0."""
    zero = pooled.dtype.type(0)
    for n in prange(pooled.shape[0]):
        for i in range(pooled.shape[1]):
            for j in range(pooled.shape[2]):
                for c in range(pooled.shape[3]):
                    best, at = zero, np.int8(-1)
                    for place in range(4):
                        value = x[n, 2 * i + place // 2, 2 * j + place % 2, c]
                        if minus_infinity < value < zero:
                            value = nan  # a negative NaN
                        if value > best:
                            best, at = value, np.int8(place)
                    pooled[n, i, j, c], winner[n, i, j, c] = best, at


@compiled(parallel=True)
def _spread(gradient, winner, spread):
    """The gradient of each square at the position of its maximum, 0 elsewhere."""
    for n in prange(gradient.shape[0]):
        for i in range(gradient.shape[1]):
            for j in range(gradient.shape[2]):
                for place in range(4):  # one row of channels at a time, so that LLVM vectorises it
                    for c in range(gradient.shape[3]):
                        is_maximum = winner[n, i, j, c] == place
                        spread[n, 2 * i + place // 2, 2 * j + place % 2, c] = gradient[n, i, j, c] if is_maximum else 0
