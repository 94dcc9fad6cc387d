"""Checks of input for all modules: a wrong value raises a ValueError that names the expected and the given value."""

from collections.abc import Mapping
from numbers import Integral, Real
from typing import TypeVar

Value = TypeVar("Value")


class QsmiWarning(UserWarning):
    """The class of every warning of this library: ``warnings.filterwarnings("ignore", category=QsmiWarning)``."""


def known(kind: str, names: Mapping[str, Value], name: str) -> Value:
    """``names[name]``, or a ValueError that lists the known names."""
    if name not in names:
        raise ValueError(f"unknown {kind} {name!r}; known: {', '.join(sorted(names))}")
    return names[name]


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
