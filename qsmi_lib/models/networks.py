"""Networks: images or frozen features -> embeddings (n, bits), without an output activation unless said."""

from functools import partial

import torch
from torch import Tensor, nn

from qsmi_lib.models.fused_pool import pooled_relu


class FashionCNN(nn.Module):
    """The network of Table 11 for 1 x 28 x 28 images: two 5 x 5 convolutions, each max-pooled, and one dense layer.

    Without padding: 28 -> 24 -> 12 -> 8 -> 4, so the dense layer sees 64 * 4 * 4 = 1,024 numbers. ReLU after the
    pooling equals the table's order, for the maximum and a monotone function commute, and is a quarter of the work.

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
    """The smallest network that learns the embedded digits: 8 x 8 pixels -> 64 ReLU -> bits.

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


class HashHead(nn.Module):
    """What hashes frozen features (Appendix B): a hidden layer with ReLU, and one dense layer.

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
    """CSQ's own head (Yuan et al., CVPR 2020): two hidden layers with ReLU, half of the first dropped in training.

    Args:
        n_features: width of the features.
        bits: code length.
        n_hidden: width of both hidden layers; the features' own, 2,048, in the authors' code for ResNet-50.
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
        """Embeddings (n, bits) of pictures, as the backbone takes them."""
        return self.head(self.backbone(images))


class DigitPairsMLP(DigitsMLP):
    """`DigitsMLP` for pairs of digits, 8 x 16 pixels.

    Args:
        bits: code length, at least 1.
    """

    def __init__(self, bits: int):
        super().__init__(bits)
        self.hidden = nn.Linear(128, 64)


NETWORKS = {"digit_pairs": DigitPairsMLP, "digits": DigitsMLP, "fashion_mnist": FashionCNN}
# What hashes a backbone's features: N_H of Appendix B, 64 on CIFAR-10 and 2,048 on NUS-WIDE; or what CSQ brings.
HEADS = {"narrow": HashHead, "wide": partial(HashHead, n_hidden=2048), "csq": CsqHead}


def to_device(model: nn.Module, device: torch.device) -> nn.Module:
    """`model` on `device` in channels_last, the layout in which convolutions are fast on CPU and GPU."""
    return model.to(device, memory_format=torch.channels_last)
