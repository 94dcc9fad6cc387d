"""The networks that this library brings as backbones, and what pictures need before one."""

import torch
from torch import Tensor, nn

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and deviation of its pixels, scaled to [0, 1]


class Pixels(nn.Module):
    """Pictures uint8 (n, 3, height, width) -> normalised by ImageNet's mean and deviation, scaled to a square.

    Bilinear and antialiased to the shorter side, then the centre.

    Args:
        side: pixels of each side.
    """

    def __init__(self, side: int):
        super().__init__()
        self.side = side
        for name, values in zip(("mean", "std"), IMAGENET, strict=True):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def extra_repr(self) -> str:
        """What `checksum` must see."""
        return f"side={self.side}"

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images (n, 3, side, side); a ValueError where the pictures are of another kind."""
        from torchvision.transforms.v2 import functional

        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"pictures must be uint8 (n, 3, height, width), got {images.dtype} {tuple(images.shape)}")
        if images.shape[2:] != (self.side, self.side):
            images = functional.center_crop(functional.resize(images, [self.side], antialias=True), [self.side])
        scaled = images.to(memory_format=torch.channels_last).float() / 255.0
        return (scaled - self.mean) / self.std


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut without weights (option A of He et al.: every other pixel, zeros)."""

    def __init__(self, n_in: int, n_out: int):
        super().__init__()
        self.stride, self.padding = n_out // n_in, (n_out - n_in) // 2
        self.conv1 = nn.Conv2d(n_in, n_out, 3, self.stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)

    def forward(self, images: Tensor) -> Tensor:
        """(n, n_in, side, side) -> (n, n_out, side / stride, side / stride)."""
        hidden = self.bn2(self.conv2(self.bn1(self.conv1(images)).relu()))
        shortcut = images[:, :, :: self.stride, :: self.stride]
        return (hidden + nn.functional.pad(shortcut, (0, 0, 0, 0, self.padding, self.padding))).relu()


class CifarResNet(nn.Module):
    """The ResNet for 32 x 32 pictures (He et al., CVPR 2016): three stages of 16, 32 and 64 channels.

    Args:
        n_blocks: blocks a stage; 9 make ResNet-56.
        n_classes: width of the last layer, which features do not pass.
    """

    def __init__(self, n_blocks: int = 9, n_classes: int = 10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        for stage, (n_in, n_out) in enumerate([(16, 16), (16, 32), (32, 64)], start=1):
            blocks = [BasicBlock(n_in if index == 0 else n_out, n_out) for index in range(n_blocks)]
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores (n, n_classes) of normalised images (n, 3, 32, 32)."""
        hidden = self.bn1(self.conv1(images)).relu()
        return self.linear(self.layer3(self.layer2(self.layer1(hidden))).mean((2, 3)))


class Digits(nn.Module):
    """Normalised images (n, 1, 8, 8) -> their pixels (n, 64); a ValueError where they are of another kind."""

    def forward(self, images: Tensor) -> Tensor:
        """Pixels (n, 64)."""
        if not images.is_floating_point() or images.shape[1:] != (1, 8, 8):
            raise ValueError(f"images must be floating (n, 1, 8, 8), got {images.dtype} {tuple(images.shape)}")
        return images.flatten(1)


class DigitsNetwork(nn.Module):
    """A small network for the 8 x 8 digits: 64 pixels -> 64 -> 32 features -> an output that features do not pass.

    Args:
        n_out: ten class scores, or 64 pixels.
    """

    def __init__(self, n_out: int):
        super().__init__()
        self.body = nn.Sequential(Digits(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU())
        self.linear = nn.Linear(32, n_out)

    def forward(self, images: Tensor) -> Tensor:
        """(n, n_out) of normalised images (n, 1, 8, 8)."""
        return self.linear(self.body(images))
