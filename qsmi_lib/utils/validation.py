"""Checks of input that several rooms share: each raises one ValueError that says what came and what was expected."""

from collections.abc import Mapping


def known(kind: str, names: Mapping, name: str):
    """``names[name]``, or a ValueError that lists the known ones."""
    if name not in names:
        raise ValueError(f"unknown {kind} {name!r}; known: {', '.join(sorted(names))}")
    return names[name]
