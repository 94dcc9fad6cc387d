"""Checks of input for all modules: a wrong value raises a ValueError that names the expected and the given value."""

import operator
from collections.abc import Mapping
from numbers import Real
from typing import TypeVar

from qsmi_lib.utils.limits import LARGEST, SMALLEST

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
    """`value` as int; a ValueError unless it is a whole number from `least` to `most`, which are included.

    Numbers of NumPy, and arrays and tensors without axes, are taken if their type is one of integers.
    """
    try:
        number = None if "bool" in str(getattr(value, "dtype", type(value))) else operator.index(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        number = None
    if number is None or number < least or (most is not None and number > most):
        expected = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} must be a whole number {expected}, got {value!r}")
    return number


def positive_number(name: str, value: object) -> float:
    """`value` as float; a ValueError unless it is above 0, and from `limits.SMALLEST` to `limits.LARGEST`."""
    if not is_number(value) or not 0 < value < float("inf"):
        raise ValueError(f"{name} must be a finite number above 0, got {value!r}")
    if not SMALLEST <= value <= LARGEST:
        raise ValueError(f"{name} must be from {SMALLEST:g} to {LARGEST:g}, got {value!r}")
    return float(value)


def non_negative_number(name: str, value: object, most: float = LARGEST) -> float:
    """`value` as float; a ValueError unless it is from 0 to `most`."""
    if not is_number(value) or not 0 <= value < float("inf"):
        raise ValueError(f"{name} must be a finite number of at least 0, got {value!r}")
    if value > most:
        raise ValueError(f"{name} must be at most {most:g}, got {value!r}")
    return float(value)


def is_number(value: object) -> bool:
    """Whether `value` is a real number of Python or NumPy; truth values are not."""
    return isinstance(value, Real) and not isinstance(value, bool)
