"""Random batches for the tests of the losses, and comparison with definitions."""

import pytest
import torch

from qsmi_lib import losses

N = 10
LABELS = {
    "single": torch.tensor([7, 7, 7, 7, 0, 0, 0, 2, 2, 5]),
    "multi-hot": torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 1]] * 2),  # two items without a label
}


def generator(seed):
    return torch.Generator().manual_seed(seed)


def random_embeddings(bits=5, *, n=N, seed=0):
    return 1.5 * torch.randn(n, bits, dtype=torch.float64, generator=generator(seed))


def random_codes(*shape, seed=5):
    return torch.randint(2, shape, generator=generator(seed)) * 2 - 1


def graded_relevance(diagonal=1.0):
    """Symmetric; about a third of the pairs are not relevant at all."""
    uniform = torch.rand(N, N, dtype=torch.float64, generator=generator(7))
    return ((uniform + uniform.T) / 2).where(uniform + uniform.T > 0.8, 0.0).fill_diagonal_(diagonal)


def batch(kind="single", bits=5):
    """All tensors that the losses take, by name; `kind` is a key of `LABELS`, or "graded": relevance without labels."""
    labels = LABELS.get(kind)
    return {
        "embeddings": random_embeddings(bits),
        "labels": labels,
        "relevance": graded_relevance() if labels is None else losses.relevance_matrix(labels),
        "targets": random_codes(N, bits),
        "decisions": random_codes(4, N, bits).double(),
        "needs": losses.relevance_matrix(torch.arange(N) // 4),
    }


def gradient(loss, embeddings):
    """Gradient of `loss`, a function of the embeddings."""
    leaf = embeddings.clone().requires_grad_()
    return torch.autograd.grad(loss(leaf), leaf)[0]


def equals(expected, tolerance=1e-9):
    return pytest.approx(expected, rel=tolerance, abs=tolerance)
