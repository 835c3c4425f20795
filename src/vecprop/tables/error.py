"""The error of everything in this folder, and the two things that it often says."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


class TableError(ValueError):
    """A table cannot be read, or is not one that a model can be made of or used with.

    Examples
    --------
    >>> issubclass(TableError, ValueError)
    True
    """


def nearest(name: str, names: Iterable[str]) -> str:
    """Return a sentence's end that names what was probably meant, of some names; empty where nothing is near.

    Examples
    --------
    >>> nearest("Age", ["age", "income"]), nearest("colour", ["age"])
    (": did you mean 'age'?", '')
    """
    known = {each.casefold().strip(): each for each in names}
    close = get_close_matches(name.casefold().strip(), known, n=1, cutoff=0.6)
    return f": did you mean {known[close[0]]!r}?" if close else ""


def pandas() -> Any:
    """Return the module pandas, or say how to get it."""
    try:
        import pandas
    except ImportError:
        raise ImportError('Tables are read with pandas and pyarrow: pip install "vecprop[tables]".') from None
    return pandas
