"""What Numba is told of each function that it compiles."""

from typing import Any

# Sums may be reordered; infinities and NaN keep their meaning. No references are counted, since kernels own nothing:
# that takes the compiler time.
OPTIONS: dict[str, Any] = {
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "arcp"},
    "nogil": True,
    "_nrt": False,
}

INNER: dict[str, Any] = {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
IN_ORDER: dict[str, Any] = {**INNER, "fastmath": False}
"""For sums whose order is promised."""

ONCE: dict[str, Any] = {**INNER, "inline": "always"}
"""For functions that are called in one place: compiled there, not by themselves too, which would take longer."""
