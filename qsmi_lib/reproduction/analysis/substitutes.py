"""What runs in place of data that cannot be had, beside the paper: named in every row, the methods' order compared."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from scipy.stats import kendalltau

from qsmi_lib.datasets import TITLES
from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction import tables
from qsmi_lib.reproduction.experiments import grid

# Experiment -> the metric of ours that comes nearest to the paper's.
METRICS: Mapping[str, str] = {
    "table_6": "map_11pt",
    "table_7": "map_11pt",
    "table_8": "share_one_map_at_500",
}


def pairs(name: str, where: Path, profile: str = "paper") -> pd.DataFrame:
    """The paper's numbers and ours of another data set, a row each number of the paper.

    Args:
        name: one of `METRICS`.
        where: folder of records.
        profile: whose grid.

    Returns:
        `dataset` (the paper's), `method`, `bits`, `paper`, `paper_std`, `mean`, `std` (ours, of the stand-in).
    """
    ours = tables.cells(name, profile, where).rename(columns={METRICS[name]: "mean", f"{METRICS[name]}_std": "std"})
    theirs = tables.published(name).rename(columns={"mean": "paper", "std": "paper_std"})
    keys = ["method", "bits"]
    columns = ["dataset", *keys, "paper", "paper_std", "mean", "std"]
    return theirs.merge(ours[[*keys, "mean", "std"]], on=keys, how="left")[columns]


def markdown(name: str, where: Path, profile: str = "paper") -> str:
    """`pairs` for people: both headings say of which data their numbers are."""
    own = TITLES[grid(name, profile)[0].dataset]
    rows = []
    for row in pairs(name, where, profile).to_dict("records"):
        theirs = TITLES[row["dataset"]]
        rows.append(
            {
                "method": METHODS[row["method"]].title,
                "bits": f"{row['bits']:g}",
                "the paper's data": theirs,
                "paper": tables.plus_minus(row["paper"], row["paper_std"]),
                "our data": f"{own} in place of {theirs}",
                "ours": tables.plus_minus(row["mean"], row["std"]),
            }
        )
    return pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)


def orders(name: str, where: Path, profile: str = "paper") -> pd.DataFrame:
    """How the methods follow each other, best first, in the paper and in ours: levels do not compare, orders may.

    Returns:
        A row a data set of the paper and code length: `dataset`, `bits`, `paper` and `ours` (the methods' titles), and
        Kendall's `tau` of the two orders.
    """
    rows = []
    known = pairs(name, where, profile).dropna(subset="mean")
    for (dataset, bits), own in known.groupby(["dataset", "bits"], sort=False):
        named = own.assign(title=[METHODS[method].title for method in own["method"]])
        ordered = {
            key: " > ".join(named.sort_values(column, ascending=False, kind="stable")["title"])
            for key, column in {"paper": "paper", "ours": "mean"}.items()
        }
        tau = kendalltau(own["paper"], own["mean"]).statistic
        rows.append({"dataset": TITLES[dataset], "bits": bits} | ordered | {"tau": tau})
    return pd.DataFrame(rows, columns=["dataset", "bits", "paper", "ours", "tau"])
