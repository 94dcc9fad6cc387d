"""Interactive figures: with widgets in a live notebook, and as a static picture everywhere else."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import ipywidgets
import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.figure import Figure

from qsmi_lib.utils import progress


class Slider(NamedTuple):
    """Range of one argument of a figure; a slider of whole numbers where `step` is an int.

    Attributes:
        start: value at first, and in the static picture.
        low: smallest value.
        high: largest value.
        step: distance of two values.
        title: label of the slider.
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


class Choice(NamedTuple):
    """One of several values of an argument, side by side.

    Attributes:
        start: value at first, and in the static picture.
        options: all of them.
        title: label.
    """

    start: str
    options: Sequence[str]
    title: str

    def widget(self) -> ipywidgets.ToggleButtons:
        """A button an option."""
        return ipywidgets.ToggleButtons(value=self.start, options=list(self.options), description=self.title)


class Order(NamedTuple):
    """An order of distinct names, which a person drags into another.

    Attributes:
        start: the names in the order at first, and in the static picture.
        title: label.
    """

    start: Sequence[str]
    title: str

    def widget(self) -> ipywidgets.TagsInput:
        """The names as tags; one that is taken away can be written again."""
        names = list(self.start)
        return ipywidgets.TagsInput(value=names, allowed_tags=names, allow_duplicates=False, description=self.title)


def explore(draw: Callable[..., Figure], **arguments: Slider | Choice | Order) -> Figure | ipywidgets.interactive:
    """Show `draw(**values)`: with one widget per argument in a live notebook, else once, at their starts.

    Args:
        draw: a plot function.
        arguments: argument of `draw` -> its values.

    Returns:
        The static figure, or the panel that is shown.
    """
    if not progress.watched():
        return draw(**{name: argument.start for name, argument in arguments.items()})

    @functools.wraps(draw)
    def closed(**values):
        figure = draw(**values)
        plt.close(figure)  # else the notebook shows it a second time
        return figure

    widgets = {name: argument.widget() for name, argument in arguments.items()}
    panel = ipywidgets.interactive(closed, {"auto_display": True}, **widgets)
    display(panel)
    return panel
