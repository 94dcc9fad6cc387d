"""What one method brings over the others, pair by pair: on the same classes, features, code length and seed."""

from collections.abc import Iterable, Mapping

import pandas as pd

from qsmi_lib.config.run import RunConfig
from qsmi_lib.reproduction.tables import value

SAME = ("dataset", "backbone", "protocol", "draw", "bits", "seed")  # what two runs that are compared share


def gains(kept: Iterable[Mapping], of: str = "qsmi_u", metric: str = "map_11pt") -> pd.DataFrame:
    """The method `of` against every other on the same data, features, code length and seed.

    Args:
        kept: records, as many as there are; pairs of which one is missing are left out.
        of: registry name.
        metric: as `tables.value` takes it.

    Returns:
        A row a backbone and other method: `backbone`, `method`, `n` pairs, the mean `gain`, and in how many pairs the
        score went `up`.
    """
    scores = {}
    for record in kept:
        config = RunConfig.from_dict(record["config"])
        scores[config.method, *(getattr(config, name) for name in SAME)] = value(record, metric)
    pairs = [
        {"backbone": setting[1], "method": method, "gain": scores[of, *setting] - score}
        for (method, *setting), score in scores.items()
        if method != of and (of, *setting) in scores
    ]
    rows = pd.DataFrame(pairs, columns=["backbone", "method", "gain"]).groupby(["backbone", "method"], sort=False)[
        "gain"
    ]
    return rows.agg(n="size", gain="mean", up=lambda own: int((own > 0).sum())).reset_index()
