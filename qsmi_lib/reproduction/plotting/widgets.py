"""Interactive figures: with widgets in a live notebook, and as a static picture everywhere else."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.figure import Figure

from qsmi_lib.utils import progress

INTERVAL = 200  # milliseconds between two pictures of a film


class Argument:
    """An argument of a figure: its value in the static picture, its widget, and the buttons next to it."""

    @property
    def still(self) -> Any:
        """Value in the static picture."""
        return self.start

    def widget(self) -> ipywidgets.ValueWidget:
        """The widget of the value."""
        raise NotImplementedError

    def row(self, widget: ipywidgets.ValueWidget) -> ipywidgets.DOMWidget:
        """`widget` with its buttons."""
        return widget


@dataclass(frozen=True)
class Slider(Argument):
    """Range of one argument, with a button for one step less and one more, so that each value can be reached.

    Attributes:
        start: value at first, and in the static picture.
        low: smallest value.
        high: largest value.
        step: distance of two values; the slider has whole numbers where it is an int.
        title: label of the slider.
    """

    start: float
    low: float
    high: float
    step: float
    title: str
    continuous = False  # reports its value when let go, so that a slow figure does not lag behind

    def widget(self) -> ipywidgets.IntSlider | ipywidgets.FloatSlider:
        """The slider; the arrow keys move it by one step, and its number can be written."""
        kind = ipywidgets.IntSlider if isinstance(self.step, int) else ipywidgets.FloatSlider
        return kind(
            value=self.start,
            min=self.low,
            max=self.high,
            step=self.step,
            description=self.title,
            continuous_update=self.continuous,
        )

    def row(self, widget: ipywidgets.IntSlider | ipywidgets.FloatSlider) -> ipywidgets.HBox:
        """The slider between its two buttons."""
        less, more = (self._button(widget, *kind) for kind in (("−", "less", -1), ("+", "more", 1)))
        return ipywidgets.HBox([less, widget, more])

    def _button(self, widget: ipywidgets.ValueWidget, sign: str, word: str, direction: int) -> ipywidgets.Button:
        def move(_):
            widget.value = round(widget.value + direction * self.step, 9)  # the widget keeps it in its range

        button = ipywidgets.Button(description=sign, tooltip=f"{self.title}: one step {word}")
        button.layout.width = "2.5em"
        button.on_click(move)
        return button


@dataclass(frozen=True)
class Steps(Slider):
    """Steps of a process, shown like a film: play, pause, one step less or more, and back to the first.

    Attributes:
        stills: the steps in the static picture, side by side; the plot function gets them as a tuple.
        pace: steps between two pictures while it plays.
    """

    stills: Sequence[int] = ()
    pace: int = 1
    continuous = True

    @property
    def still(self) -> int | tuple[int, ...]:
        """`stills`, or the first step."""
        return tuple(self.stills) or self.start

    def row(self, widget: ipywidgets.IntSlider) -> ipywidgets.HBox:
        """The slider and its buttons behind those of the film, which run in the browser."""
        play = ipywidgets.Play(
            value=self.start, min=self.low, max=self.high, step=self.pace, interval=INTERVAL, show_repeat=False
        )
        play.tooltip = "triangle: play or pause; square: back to the start"
        ipywidgets.jslink((play, "value"), (widget, "value"))
        return ipywidgets.HBox([play, *super().row(widget).children])


@dataclass(frozen=True)
class Choice(Argument):
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


@dataclass(frozen=True)
class Order(Argument):
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


def explore(draw: Callable[..., Figure], **arguments: Argument) -> Figure | ipywidgets.interactive:
    """Show `draw(**values)`: with one widget per argument in a live notebook, else one static picture.

    Args:
        draw: a plot function; where an argument has stills (`Steps`), it takes one value or a tuple of them.
        arguments: argument of `draw` -> its values.

    Returns:
        The static figure, or the panel that is shown.
    """
    if not progress.watched():
        return draw(**{name: argument.still for name, argument in arguments.items()})

    @functools.wraps(draw)
    def closed(**values):
        figure = draw(**values)
        plt.close(figure)  # else the notebook shows it a second time
        return figure

    widgets = {name: argument.widget() for name, argument in arguments.items()}
    panel = ipywidgets.interactive(closed, {"auto_display": True}, **widgets)
    panel.children = [*(argument.row(widgets[name]) for name, argument in arguments.items()), panel.out]
    if panel.result is not None:  # the page does not jump while one picture replaces another
        panel.out.layout.min_height = f"{panel.result.bbox.height:.0f}px"
    display(panel)
    return panel
