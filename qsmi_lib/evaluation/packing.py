"""What a ranking leaves of each query: `numba_ranking` computes it on the CPU, `triton_ranking` on a GPU.

Both look at every pair of a query and an item, and sort nothing: the rank of an item is the number of items at smaller
distances plus its place, in database order, among those at its own. Gains are whole numbers (see `relevance`), so that
sums of them, nearness of recall and histograms are exact; only quotients are float64.
"""

from typing import NamedTuple

from torch import Tensor


class Scan(NamedTuple):
    """What a ranking leaves of each query, ties in database order, before anything is divided by a total.

    Attributes:
        histogram: int64 (n_query, bits + 1, n_gain); items by distance and gain.
        area: float64 (n_query,); sum over ranks of the gain times the gains so far, over the rank.
        reached: int64 (n_query, 11, 2); gains so far and rank where recall first is at least 0, 0.1, ... 1 and not 0.
        before: int64 (n_query, 11, 2); the same at the relevant item before that one, (0, 1) where there is none.
        area_at_k: float64 (n_query, n_k); `area` over the first k ranks.
        gain_at_k: int64 (n_query, n_k); gains of the first k ranks.
    """

    histogram: Tensor
    area: Tensor
    reached: Tensor
    before: Tensor
    area_at_k: Tensor
    gain_at_k: Tensor
