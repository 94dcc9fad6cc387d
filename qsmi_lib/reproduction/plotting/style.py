"""What figures of notebook 17 share: a caption of their own, and what stands in the place of one without records."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

DPI = 71  # on the screen and in the notebook, which must stay small; files are written at 150


def captioned(figure: Figure, caption: str) -> Figure:
    """`figure` with what it is of below it: a figure that travels alone says so."""
    figure.text(0.01, -0.01, caption, fontsize=7.5, color="0.3", ha="left", va="top")
    return figure


def awaited(caption: str) -> Figure:
    """What stands in the place of a figure without records."""
    figure, axes = plt.subplots(dpi=DPI, figsize=(4.8, 0.8))
    axes.text(0.5, 0.5, "not recorded yet", ha="center", va="center", color="0.3")
    axes.set_axis_off()
    return captioned(figure, caption)
