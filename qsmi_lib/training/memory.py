"""Cross-batch memory (Wang et al., CVPR 2020): a batch is also compared with the embeddings of those before it."""

from collections import deque

import torch
from torch import Tensor


class Memory:
    """The embeddings and labels of the last batches: the network changes slowly, so that they are almost current.

    A loss that sums over pairs grows by the pairs with the remembered items (and by the constant of the pairs among
    these); a penalty on the embeddings does not grow. To keep the balance, alpha must grow in proportion to the number
    of items that each item is compared with.

    Args:
        n_batches: number of remembered batches; may be 0.
    """

    def __init__(self, n_batches: int):
        self.batches: deque[tuple[Tensor, Tensor]] = deque(maxlen=n_batches)

    def beside(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """A batch followed by the remembered ones, which have no gradient; then the batch is remembered too.

        Args:
            embeddings: (n, bits).
            labels: (n,) or (n, c).

        Returns:
            (n + m, bits) and (n + m,) or (n + m, c).
        """
        older = [*self.batches]
        self.batches.append((embeddings.detach(), labels))
        if not older:
            return embeddings, labels
        recent, recent_labels = zip(*older, strict=True)
        return torch.cat([embeddings, *recent]), torch.cat([labels, *recent_labels])
