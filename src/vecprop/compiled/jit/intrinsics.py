"""Functions whose instructions are written out, as the type checker knows them."""

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

from numba import extending

Arguments = ParamSpec("Arguments")


def intrinsic(written: Callable[Concatenate[Any, Arguments], Any]) -> Callable[Arguments, Any]:
    """Return Numba's intrinsic: it is called without the first argument, the types' context, which is Numba's own."""
    made: Any = extending.intrinsic(written)
    return made
