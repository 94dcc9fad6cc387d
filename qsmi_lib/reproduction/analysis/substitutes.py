"""Substitute data sets compared with the paper: named in every row; the order of the methods is compared."""

from collections.abc import Mapping

import pandas as pd
import scipy

from qsmi_lib.datasets import TITLES
from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction import tables
from qsmi_lib.reproduction.results import Results

# Experiment -> our metric that is nearest to the paper's.
METRICS: Mapping[str, str] = {
    "table_6": "map_11pt",
    "table_7": "map_11pt",
    "table_8": "share_one_map_at_500",
}


def pairs(name: str, results: Results) -> pd.DataFrame:
    """The paper's numbers and ours of another data set, a row each number of the paper.

    Args:
        name: one of `METRICS`.
        results: the grid and the records of a profile.

    Returns:
        `dataset` (the paper's), `method`, `bits`, `paper`, `paper_std`, `mean`, `std` (ours, of the substitute).
    """
    ours = tables.cells(name, results).rename(columns={METRICS[name]: "mean", f"{METRICS[name]}_std": "std"})
    published = tables.published(name).rename(columns={"mean": "paper", "std": "paper_std"})
    keys = ["method", "bits"]
    columns = ["dataset", *keys, "paper", "paper_std", "mean", "std"]
    return published.merge(ours[[*keys, "mean", "std"]], on=keys, how="left")[columns]


def markdown(name: str, results: Results) -> str:
    """`pairs` in Markdown; both data sets are named in every row."""
    substitute = TITLES[results.grid(name)[0].dataset]
    rows = []
    for row in pairs(name, results).to_dict("records"):
        original = TITLES[row["dataset"]]
        rows.append(
            {
                "method": METHODS[row["method"]].title,
                "bits": f"{row['bits']:g}",
                "the paper's data": original,
                "paper": tables.plus_minus(row["paper"], row["paper_std"]),
                "our data": f"{substitute} in place of {original}",
                "ours": tables.plus_minus(row["mean"], row["std"]),
            }
        )
    return pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)


def orders(name: str, results: Results) -> pd.DataFrame:
    """The order of the methods, best first, in the paper and in ours: scores on other data cannot be compared.

    Returns:
        One row per data set of the paper and code length: `dataset`, `bits`, `paper` and `ours` (the methods' titles),
        and Kendall's `tau` of the two orders.
    """
    rows = []
    known = pairs(name, results).dropna(subset="mean")
    for (dataset, bits), rows_ in known.groupby(["dataset", "bits"], sort=False):
        titled = rows_.assign(title=[METHODS[method].title for method in rows_["method"]])
        ordered = {
            key: " > ".join(titled.sort_values(column, ascending=False, kind="stable")["title"])
            for key, column in {"paper": "paper", "ours": "mean"}.items()
        }
        tau = scipy.stats.kendalltau(rows_["paper"], rows_["mean"]).statistic
        rows.append({"dataset": TITLES[dataset], "bits": bits} | ordered | {"tau": tau})
    return pd.DataFrame(rows, columns=["dataset", "bits", "paper", "ours", "tau"])
