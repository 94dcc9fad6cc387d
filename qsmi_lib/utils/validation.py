"""Checks of input for all modules: a wrong value raises a ValueError that names the expected and the given value."""

from collections.abc import Mapping
from numbers import Integral, Real
from typing import TypeVar

Name, Value = TypeVar("Name"), TypeVar("Value")


class QsmiWarning(UserWarning):
    """The class of every warning of this library: ``warnings.filterwarnings("ignore", category=QsmiWarning)``."""


def known(kind: str, names: Mapping[Name, Value], name: Name) -> Value:
    """``names[name]``, or a ValueError that lists the known names."""
    try:
        return names[name]
    except (KeyError, TypeError):  # TypeError: a list, for example
        raise ValueError(f"unknown {kind} {name!r}; known: {', '.join(map(str, sorted(names)))}") from None


def known_names(kind: str, names: Mapping[Name, object], value: object) -> list[Name]:
    """`value`, one name or number or several, as a list; a ValueError unless each is in `names`."""
    values = one_or_more(kind, value)
    for name in values:
        known(kind, names, name)
    return values


def text(name: str, value: object) -> str:
    """`value`; a ValueError unless it is a text."""
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a text, got {value!r}")
    return value


def whole_numbers(name: str, value: object, least: int, most: int | None = None) -> list[int]:
    """`value`, one whole number or several, as a list; a ValueError unless each is from `least` to `most`."""
    return [whole_number(f"each of {name}", number, least, most) for number in one_or_more(name, value)]


def one_or_more(name: str, value: object) -> list:
    """The items of the list or tuple `value`, or `value` alone, as a list; a ValueError if there is none."""
    values = list(value) if isinstance(value, list | tuple) else [value]
    if not values:
        raise ValueError(f"expected at least one {name}, got {value!r}")
    return values


def whole_number(name: str, value: object, least: int, most: int | None = None) -> int:
    """`value` as int; a ValueError unless it is a whole number from `least` to `most`, which are included."""
    if (
        isinstance(value, bool)
        or not isinstance(value, Integral)
        or not (least <= value and (most is None or value <= most))
    ):
        expected = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} must be a whole number {expected}, got {value!r}")
    return int(value)


def positive_number(name: str, value: object) -> float:
    """`value` as float; a ValueError unless it is finite and above 0."""
    if not isinstance(value, Real) or not 0 < value < float("inf"):
        raise ValueError(f"{name} must be a finite number above 0, got {value!r}")
    return float(value)


def non_negative_number(name: str, value: object) -> float:
    """`value` as float; a ValueError unless it is finite and at least 0."""
    if not isinstance(value, Real) or not 0 <= value < float("inf"):
        raise ValueError(f"{name} must be a finite number of at least 0, got {value!r}")
    return float(value)
