"""Cross-batch memory (Wang et al., CVPR 2020): a batch is also compared with the embeddings of those before it."""

from collections import deque

import torch
from torch import Tensor


class Memory:
    """The embeddings and labels of the last batches; the network moves slowly, so that they are nearly today's.

    A loss that sums over pairs grows by the pairs with what is kept (and by those within it, a constant), a penalty on
    the embeddings does not: to keep their balance alpha must grow as the number of items that each is compared with.

    Args:
        n_batches: how many batches to keep; 0 keeps none.
    """

    def __init__(self, n_batches: int):
        self.kept: deque[tuple[Tensor, Tensor]] = deque(maxlen=n_batches)

    def beside(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """A batch followed by what is kept, of which no gradient is taken; the batch is then kept as well.

        Args:
            embeddings: (n, bits).
            labels: (n,) or (n, c).

        Returns:
            (n + m, bits) and (n + m,) or (n + m, c).
        """
        older = [*self.kept]
        self.kept.append((embeddings.detach(), labels))
        if not older:
            return embeddings, labels
        recent, recent_labels = zip(*older, strict=True)
        return torch.cat([embeddings, *recent]), torch.cat([labels, *recent_labels])
