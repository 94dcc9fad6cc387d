"""The paper's numbers beside ours, as one picture."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction.plotting.curves import MAP_LABEL
from qsmi_lib.reproduction.plotting.style import DPI


def differences(rows: pd.DataFrame) -> Figure:
    """Ours minus the paper's for each mAP that both have, with two joint standard deviations around zero.

    Args:
        rows: `report.ledger`.
    """
    own = rows[(rows["metric"] == "map_11pt") & rows["mean"].notna()]
    figure, axes = plt.subplots(dpi=DPI, figsize=(4.8, 0.24 * len(own) + 0.9))
    place = np.arange(len(own))
    joint = np.hypot(own["std"].fillna(0.0), own["paper_std"].fillna(0.0))
    axes.barh(place, 4 * joint, left=-2 * joint, height=0.7, color="0.88", label="two standard deviations")
    axes.plot(own["difference"], place, linestyle="none", marker="o", label="ours minus the paper's")
    axes.axvline(0.0, color="black", linewidth=0.8)
    readings = [f", {reading}" if reading else "" for reading in own["reading"].fillna("")]
    cells = zip(own["table"], own["method"], own["bits"], readings, strict=True)
    axes.set(xlabel=f"difference in {MAP_LABEL}", yticks=place)
    axes.set_yticklabels(
        [f"{table}: {METHODS[method].title}, {bits:g} bits{reading}" for table, method, bits, reading in cells]
    )
    axes.invert_yaxis()
    figure.legend(loc="outside lower center", ncols=2)
    return figure
