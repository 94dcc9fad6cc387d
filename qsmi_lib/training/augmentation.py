"""Light augmentation of training pictures: each keeps its label, and no batch is the same twice."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad


def of_its_own(generator: torch.Generator) -> torch.Generator:
    """A stream seeded by `generator`: the batches are drawn from one of the same seed, and would go along with it."""
    return torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))


def shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture moved by at most one pixel along each axis; its edge fills what becomes free.

    Args:
        images: (n, c, h, w), floating.
        generator: on the CPU, so that every device moves them alike.

    Returns:
        (n, c, h, w).
    """
    n, _, h, w = images.shape
    own = of_its_own(generator)
    windows = pad(images, (1, 1, 1, 1), mode="replicate").unfold(2, h, 1).unfold(3, w, 1)  # (n, c, 3, 3, h, w)
    down, right = torch.randint(3, (2, n), generator=own).to(images.device)
    return windows[torch.arange(n, device=images.device), :, down, right]


def flipped(images: Tensor, generator: torch.Generator) -> Tensor:
    """Half of the pictures mirrored, left to right; arguments and result as in `shifted`."""
    mirrored = torch.randint(2, (len(images), 1, 1, 1), generator=of_its_own(generator), dtype=torch.bool)
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
