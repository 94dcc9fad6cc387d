"""Interactive figures: sliders where a person looks on, the same figure as a static picture everywhere else."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import ipywidgets
import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.figure import Figure

from qsmi_lib import progress


class Slider(NamedTuple):
    """Range of one argument of a figure; a slider of whole numbers where `step` is an int.

    Attributes:
        start: value at first, and in the static picture.
        low: smallest value.
        high: largest value.
        step: distance of two values.
        title: what stands beside the slider.
    """

    start: float
    low: float
    high: float
    step: float
    title: str

    def widget(self) -> ipywidgets.IntSlider | ipywidgets.FloatSlider:
        """The slider; it reports its value when let go, so that a slow figure does not lag behind."""
        kind = ipywidgets.IntSlider if isinstance(self.step, int) else ipywidgets.FloatSlider
        return kind(
            value=self.start,
            min=self.low,
            max=self.high,
            step=self.step,
            description=self.title,
            continuous_update=False,
        )


def explore(draw: Callable[..., Figure], **sliders: Slider) -> Figure | ipywidgets.interactive:
    """Show `draw(**values)`: with one slider per argument where a person looks on, else once, at their starts.

    Args:
        draw: a plot function.
        sliders: argument of `draw` -> its range.

    Returns:
        The static figure, or the panel that is shown.
    """
    if not progress.watched():
        return draw(**{name: slider.start for name, slider in sliders.items()})

    @functools.wraps(draw)
    def closed(**values):
        figure = draw(**values)
        plt.close(figure)  # else the notebook shows it a second time
        return figure

    widgets = {name: slider.widget() for name, slider in sliders.items()}
    panel = ipywidgets.interactive(closed, {"auto_display": True}, **widgets)
    display(panel)
    return panel
