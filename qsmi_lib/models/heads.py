"""Last layers of the methods that bring their own; every other method ends in one dense layer."""

import torch
from torch import Tensor, nn

from qsmi_lib.losses.csq import hash_centers


class DivideAndEncode(nn.Module):
    """DNNH's last layer (Lai et al., CVPR 2015): each bit sees a slice of the features of its own.

    Args:
        in_features: how many features there are, at least as many as bits.
        bits: code length.
        n_classes: not used.
    """

    def __init__(self, in_features: int, bits: int, n_classes: int):
        super().__init__()
        if in_features < bits:
            raise ValueError(f"{bits} bits need at least as many features to divide among them, got {in_features}")
        self.weight = nn.Parameter(nn.Linear(in_features, 1).weight.detach()[0] * (bits**0.5))
        self.bias = nn.Parameter(torch.zeros(bits))
        owner = torch.arange(in_features) * bits // in_features
        self.register_buffer("mask", (owner[:, None] == torch.arange(bits)).float(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Embeddings (n, bits) of features (n, in_features)."""
        return (features * self.weight) @ self.mask + self.bias


class ClassWords(nn.Module):
    """A classifier's class scores, hashed: each class has a word, and an item gets the mean word of its classes.

    While training it gives scores (n, n_classes); in evaluation mode embeddings (n, bits), the words weighted by the
    classes' probabilities. Where one class has more than half of the probability the code is its word.

    Args:
        in_features: how many features there are.
        bits: code length; there must be a word for each class.
        n_classes: how many classes.
    """

    def __init__(self, in_features: int, bits: int, n_classes: int):
        super().__init__()
        self.scores = nn.Linear(in_features, n_classes)
        self.register_buffer("words", hash_centers(n_classes, bits).float())

    def forward(self, features: Tensor) -> Tensor:
        """Scores or embeddings of features (n, in_features)."""
        scores = self.scores(features)
        return scores if self.training else scores.float().softmax(dim=1) @ self.words
