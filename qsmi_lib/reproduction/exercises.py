"""Exercises of the lessons: a cell to change, and a cell that checks it."""

from collections.abc import Callable


def check(solved: Callable[[], bool], hint: str = "") -> None:
    """Print "right" if `solved()` is true, else "not yet" and `hint`; an exercise never stops a notebook.

    Args:
        solved: compares the reader's names with the library. An exception in it counts as "not yet" and is named; only
            a `NotImplementedError`, which is how an exercise starts, is not.
        hint: what to look at.
    """
    try:
        right, error = bool(solved()), ""
    except NotImplementedError:
        right, error = False, ""
    except Exception as raised:  # an unfinished answer may raise anything
        right, error = False, f" ({type(raised).__name__}: {raised})"
    print("right" if right else "not yet" + (f": {hint}" if hint else "") + error)
