"""Numbers of notebook 14: a triplet's energy, and the poster's comparison, rotations and searches."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from qsmi_lib.config.run import RunConfig
from qsmi_lib.losses.triplet import REST
from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction.rotations import WHOLE, recorded
from qsmi_lib.reproduction.titles import PROTOCOL_TITLES
from qsmi_lib.training.records import Store

FORMS = {"spring": "spring", "margin_spring": "margin spring", "margin": "margin", "likelihood": "likelihood"}
ROTATED = "Spring + rotation"
COMPARED = ("spring", "qsmi", "dsh", "dpsh", "dhn")  # the methods of the poster, the one it proposes first


def energy(difference: ArrayLike, form: str, bits: int = 48) -> np.ndarray:
    r"""E(t) of `losses.spring_loss`, the root without its :math:`10^{-8}`.

    Args:
        difference: t, in [-4, 4].
        form: one of `FORMS`.
        bits: n, which the likelihood alone depends on.
    """
    difference = np.asarray(difference, float)
    length = np.sqrt(4.0 - difference)
    if form == "spring":
        return (REST - length) ** 2
    if form == "margin_spring":
        return _stiffness() * ((REST + 1.0 - length) / (REST + 1.0)) ** 2 + 6.0 - _stiffness()
    if form == "margin":
        return np.maximum(0.0, difference + 2.0)
    return np.logaddexp(0.0, bits * (difference / 4.0 + 0.5)) / bits


def slope(difference: ArrayLike, form: str, bits: int = 48) -> np.ndarray:
    """Its derivative E'(t); both springs have none at t = 4, where it is infinite; 0 at the margin's corner, t = -2."""
    difference = np.asarray(difference, float)
    with np.errstate(divide="ignore"):
        length = np.sqrt(4.0 - difference)
        if form == "spring":
            return (REST - length) / length
        if form == "margin_spring":
            return _stiffness() * (REST + 1.0 - length) / ((REST + 1.0) ** 2 * length)
    if form == "margin":
        return np.where(difference > -2.0, 1.0, 0.0)
    return 0.25 / (1.0 + np.exp(-bits * (difference / 4.0 + 0.5)))


def comparison(runs: pd.DataFrame, turned: pd.DataFrame) -> pd.DataFrame:
    """The poster's comparison as rows: every recorded run, and the spring loss with its rotation.

    Args:
        runs: recorded runs of the experiment "poster", rows of the table of runs.
        turned: `rotations.table` of the experiment's rotations; may be empty.

    Returns:
        `protocol` ("full" or "reduced": what trains), `bits`, `method` (its title; "Spring + rotation" is trained on
        nine tenths), `map`, the mean over all orders of ties, and `bit_entropy` of the database, nan where not known.
    """
    rows = [
        {"protocol": run["protocol"], "bits": run["bits"], "method": METHODS[run["method"]].title}
        | {"map": map_by_any_label(run), "bit_entropy": run.get("bit_entropy", math.nan)}
        for run in runs.to_dict("records")
    ]
    rows += [
        {"protocol": WHOLE[row["protocol"]], "bits": row["bits"], "method": ROTATED}
        | {"map": row["after"], "bit_entropy": math.nan}
        for row in turned.to_dict("records")
    ]
    return pd.DataFrame(rows, columns=["protocol", "bits", "method", "map", "bit_entropy"])


def map_by_any_label(run: Mapping) -> float:
    """mAP of a run over all orders of ties, by the field's rule of relevance also with several labels."""
    shared = run.get("share_one_map_expected", math.nan)
    return run["map_expected"] if math.isnan(shared) else shared


def by_length(scores: pd.DataFrame, bits: Sequence[int], value: str = "map") -> pd.DataFrame:
    """`scores` as text: one row per training set and method, one column per code length; a dash where none is known.

    Args:
        scores: as `comparison` returns it; any subset.
        bits: the code lengths to show.
        value: "map" or "bit_entropy"; methods without any are left out of the latter.
    """
    known = scores.dropna(subset=value).set_index(["protocol", "method", "bits"])[value].to_dict()
    rows = []
    for protocol in ("reduced", "full"):
        for method in method_order():
            numbers = [known.get((protocol, method, length), math.nan) for length in bits]
            if value == "map" or not all(map(math.isnan, numbers)):
                texts = ["–" if math.isnan(number) else f"{number:.3f}" for number in numbers]
                rows.append([PROTOCOL_TITLES[protocol], method, *texts])
    return pd.DataFrame(rows, columns=["training set", "method", *(f"{length} bits" for length in bits)])


def gains(turned: pd.DataFrame, starts: Sequence[float]) -> pd.DataFrame:
    """Effect of each rotation, as a table for readers.

    Args:
        turned: `rotations.table`; may be empty.
        starts: the held-out mAP of each search's start.
    """
    rows = turned.to_dict("records")
    columns = {
        "training set": [PROTOCOL_TITLES[WHOLE[row["protocol"]]] for row in rows],
        "bits": [row["bits"] for row in rows],
        "held out, no rotation": [row["held_before"] for row in rows],
        "held out, ITQ": list(starts),
        "held out, searched": [row["held_after"] for row in rows],
        "queries, no rotation": [row["before"] for row in rows],
        "queries, searched": [row["after"] for row in rows],
        "queries' gain": [row["gain"] for row in rows],
    }
    return pd.DataFrame(columns)


def method_order() -> list[str]:
    """The titles of the methods that `comparison` may hold, the one it proposes first."""
    return [ROTATED, *(METHODS[name].title for name in COMPARED)]


def searches(configs: Iterable[RunConfig], store: Store, n_steps: int) -> list[dict]:
    """The `search` of each recorded rotation after `configs`, in the order of the rows of `rotations.table`."""
    return [record["search"] for _, record in recorded(configs, store, n_steps)]


def history_of(search: Mapping) -> np.ndarray:
    """The best mAP at the start and after each step, (n_steps + 1,), of the `search` of a rotation's record."""
    history = np.zeros(search["n_steps"] + 1)
    for step, reached in search["accepted"]:
        history[step] = reached
    return np.maximum.accumulate(history)


def _stiffness() -> float:
    """K' of the margin spring."""
    return 6.0 / (1.0 - 1.0 / (REST + 1.0) ** 2)
