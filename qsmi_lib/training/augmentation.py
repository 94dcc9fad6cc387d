"""Light augmentation of training pictures: a picture keeps its label, and every epoch differs."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad


def independent(generator: torch.Generator) -> torch.Generator:
    """A generator seeded by `generator`, whose numbers would repeat those that order the batches."""
    return torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))


def shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture moved by at most one pixel along each axis; its edge is repeated.

    Args:
        images: (n, c, h, w), floating.
        generator: on the CPU, so that the moves are the same on every device.

    Returns:
        (n, c, h, w).
    """
    n, _, h, w = images.shape
    windows = pad(images, (1, 1, 1, 1), mode="replicate").unfold(2, h, 1).unfold(3, w, 1)  # (n, c, 3, 3, h, w)
    down, right = torch.randint(3, (2, n), generator=independent(generator)).to(images.device)
    return windows[torch.arange(n, device=images.device), :, down, right]


def flipped(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture mirrored, left to right, with probability 1/2; arguments and result as in `shifted`."""
    mirrored = torch.randint(2, (len(images), 1, 1, 1), generator=independent(generator), dtype=torch.bool)
    return torch.where(mirrored.to(images.device), images.flip(3), images)


def flipped_and_shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    """`flipped`, then `shifted`."""
    return shifted(flipped(images, generator), generator)


AUGMENTATIONS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "none": lambda images, generator: images,
    "shift": shifted,
    "flip": flipped,
    "flip_shift": flipped_and_shifted,
}
