"""Networks: images or frozen features -> embeddings (n, bits), without an output activation unless stated."""

from functools import partial

import torch
from torch import Tensor, nn

from qsmi_lib.losses.csq import hash_centers
from qsmi_lib.models.fused_pool import pooled_relu


class FashionCNN(nn.Module):
    """The network of Table 11 for 1 x 28 x 28 images: two 5 x 5 convolutions, each max-pooled, and one dense layer.

    Without padding: 28 -> 24 -> 12 -> 8 -> 4, so the dense layer has 64 * 4 * 4 = 1,024 inputs. The table has ReLU
    before the pooling. ReLU after it gives the same numbers, because the maximum and a monotone function commute, at a
    quarter of the cost.

    Args:
        bits: code length, at least 1.
    """

    def __init__(self, bits: int):
        super().__init__()
        self.convolution_1 = nn.Conv2d(1, 32, 5)
        self.convolution_2 = nn.Conv2d(32, 64, 5)
        self.dense = nn.Linear(1024, bits)

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (n, bits) of normalised images (n, 1, 28, 28)."""
        hidden = pooled_relu(self.convolution_1(images))
        hidden = pooled_relu(self.convolution_2(hidden))
        return self.dense(hidden.flatten(1))


class DigitsMLP(nn.Module):
    """The smallest network that learns scikit-learn's digits: 8 x 8 pixels -> 64 ReLU -> bits.

    Args:
        bits: code length, at least 1.
    """

    def __init__(self, bits: int):
        super().__init__()
        self.hidden = nn.Linear(64, 64)
        self.dense = nn.Linear(64, bits)

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (n, bits) of normalised images (n, 1, 8, 8)."""
        return self.dense(self.hidden(images.flatten(1)).relu())


class DigitPairsMLP(DigitsMLP):
    """`DigitsMLP` for pairs of digits, 8 x 16 pixels.

    Args:
        bits: code length, at least 1.
    """

    def __init__(self, bits: int):
        super().__init__(bits)
        self.hidden = nn.Linear(128, 64)


class HashHead(nn.Module):
    """Head that hashes frozen features (Appendix B): a hidden layer with ReLU, and one dense layer.

    Args:
        n_features: width of the features.
        bits: code length, at least 1.
        n_hidden: N_H of the paper, 64 on CIFAR-10.
    """

    def __init__(self, n_features: int, bits: int, n_hidden: int = 64):
        super().__init__()
        self.hidden = nn.Linear(n_features, n_hidden)
        self.dense = nn.Linear(n_hidden, bits)

    def forward(self, features: Tensor) -> Tensor:
        """Embeddings (n, bits) of features (n, n_features)."""
        return self.dense(self.hidden(features).relu())


class CsqHead(nn.Module):
    """CSQ's head (Yuan et al., CVPR 2020): two hidden layers with ReLU, dropout of 0.5 after the first.

    Args:
        n_features: width of the features.
        bits: code length.
        n_hidden: width of both hidden layers; in the authors' code the width of ResNet-50's features, 2,048.
    """

    def __init__(self, n_features: int, bits: int, n_hidden: int = 2048):
        super().__init__()
        self.hidden = nn.Linear(n_features, n_hidden)
        self.dropout = nn.Dropout(0.5)
        self.further = nn.Linear(n_hidden, n_hidden)
        self.dense = nn.Linear(n_hidden, bits)

    def forward(self, features: Tensor) -> Tensor:
        """Embeddings (n, bits) of features (n, n_features)."""
        return self.dense(self.further(self.dropout(self.hidden(features).relu())).relu())


class DivideAndEncode(nn.Module):
    """DNNH's last layer (Lai et al., CVPR 2015): each bit depends on a separate slice of the features.

    Args:
        in_features: number of features, at least `bits`.
        bits: code length.
        n_classes: not used.
    """

    def __init__(self, in_features: int, bits: int, n_classes: int):
        super().__init__()
        if in_features < bits:
            raise ValueError(f"{bits} bits need at least as many features to divide among them, got {in_features}")
        self.weight = nn.Parameter(nn.Linear(in_features, 1).weight.detach()[0] * (bits**0.5))
        self.bias = nn.Parameter(torch.zeros(bits))
        bit_of = torch.arange(in_features) * bits // in_features
        self.register_buffer("mask", (bit_of[:, None] == torch.arange(bits)).float(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Embeddings (n, bits) of features (n, in_features)."""
        return (features * self.weight) @ self.mask + self.bias


class ClassWords(nn.Module):
    """A classifier whose classes have fixed codes (words); an item is hashed to the expected word.

    In training mode it gives class scores (n, n_classes). In evaluation mode it gives embeddings (n, bits): the mean of
    the words, weighted by the probabilities of the classes. If one class has a probability above 1/2, the code is its
    word.

    Args:
        in_features: number of features.
        bits: code length; there must be enough words for all classes.
        n_classes: number of classes.
    """

    def __init__(self, in_features: int, bits: int, n_classes: int):
        super().__init__()
        self.scores = nn.Linear(in_features, n_classes)
        self.register_buffer("words", hash_centers(n_classes, bits).float())

    def forward(self, features: Tensor) -> Tensor:
        """Scores or embeddings of features (n, in_features)."""
        scores = self.scores(features)
        return scores if self.training else scores.float().softmax(dim=1) @ self.words


class EndToEnd(nn.Module):
    """A backbone and the head that hashes its features, trained together.

    Args:
        backbone: pictures -> features.
        head: features -> embeddings.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module):
        super().__init__()
        self.backbone, self.head = backbone.train(), head  # loaded in evaluation mode

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (n, bits) of pictures in the form that the backbone takes."""
        return self.head(self.backbone(images))


NETWORKS = {"digit_pairs": DigitPairsMLP, "digits": DigitsMLP, "fashion_mnist": FashionCNN}
# Heads for the features of a backbone: N_H of Appendix B is 64 on CIFAR-10 and 2,048 on NUS-WIDE; or CSQ's head.
HEADS = {"narrow": HashHead, "wide": partial(HashHead, n_hidden=2048), "csq": CsqHead}


def to_device(model: nn.Module, device: torch.device) -> nn.Module:
    """`model` on `device` in channels_last, the layout in which convolutions are fast on CPU and GPU."""
    return model.to(device, memory_format=torch.channels_last)
