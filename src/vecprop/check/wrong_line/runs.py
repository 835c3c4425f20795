"""Run an observed function with changes of its parameters, its values or its code."""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from ..points.function import Point
from ..points.parameters import leaves
from .rewriting import Rewriting
from .trace import ALLOCATORS, Graph, name_of_call

MOST_RUNS, MOST_SECONDS = 200, 2.0
"""The largest cost of an analysis: runs of the function, and seconds."""

STEP, DIFFERENCE = 1e-30, 1e-5
"""The lengths of complex steps, and of real steps relative to the size of a value."""

COMPLEX_RESULTS = {*ALLOCATORS, "array", "asarray", "copy", "float64"}
"""Functions whose results must be able to store complex numbers."""


class NoRunsLeft(BaseException):
    """The budget of runs or of time is used up; user code does not catch this exception."""


class Slope(NamedTuple):
    """The derivative of the function's value along a direction, and of intermediate values by event."""

    value: float
    values: dict[int, ndarray]


class Runs:
    """A function at a point, observed, with a budget of runs."""

    def __init__(
        self,
        point: Point,
        function: Callable[..., Any],
        gradient,
        args: tuple[Any, ...],
        is_complex: bool,
    ):
        self.point = point
        self.args = args
        self.is_complex = is_complex
        self.runs_left = MOST_RUNS
        self.events = 0
        self.wanted: frozenset[int] = frozenset()
        self._deadline = time.perf_counter() + MOST_SECONDS
        files = []
        for user_function in (function, gradient):
            code = getattr(_plain_function(user_function), "__code__", None)
            if code is not None:
                files.append(code.co_filename)
        self.rewriting = Rewriting(self.observe, self.update, files)
        self.function = self.rewriting.rewritten(function)
        self.gradient = self.rewriting.rewritten(gradient)

    def _run(self, theta=None, **options) -> Any:
        """Return the value and the gradient; see `observe` for the options."""
        self._graph = options.get("graph")
        self._changes = options.get("changes", {})
        self._codes = options.get("codes", {})
        self._place = options.get("site")
        self._results = options.get("results")
        self._is_moved = "changes" in options
        self._event = 0
        self._seen: dict[int, ndarray] = {}
        self.runs_left -= 1
        if self.runs_left < 0:
            raise NoRunsLeft
        if theta is None:
            theta = self.point.theta
        if self._graph is None:
            theta = self.point.structure.rebuilt(theta.copy())
        result = self.function(theta, *self.args)
        if self.gradient is None:
            return result
        if callable(self.gradient):
            return result, self.gradient(theta, *self.args)
        return result, self.gradient

    # ------------------------------------------------------------ what rewritten code calls

    def observe(self, number: int, value, operands, names=None):
        """Observe the value of an expression: record, move or replace it."""
        site = self.rewriting.sites[number]
        self._count()
        if number == self._place and names is not None:
            value = self._replaced(value, names)
        is_new = name_of_call(site.node) in COMPLEX_RESULTS
        if self.is_complex and self._is_moved and is_new:
            value = _complex(value)
        if self._event in self._changes:
            value = value + self._changes[self._event]
        self._see(value)
        if self._graph is not None:
            value = self._graph.add(self._event, number, value, operands=operands)
            if names is not None:
                self._graph.locate(self._event, site, value, names=names)
        return value

    def update(self, number: int, array, operands):
        """Observe an array after some of its entries were stored."""
        self._count()
        if not isinstance(array, ndarray):
            return
        if self._event in self._changes:
            array += self._changes[self._event]
        self._see(array)
        if self._graph is not None:
            self._graph.add(self._event, number, array, operands=operands)

    def _see(self, value):
        if self._event in self.wanted:
            self._seen[self._event] = np.array(value)

    def _count(self):
        self._event += 1
        if time.perf_counter() > self._deadline:
            raise NoRunsLeft

    def _replaced(self, value, names: dict[str, Any]):
        """Return the result of other code, or collect the results of several codes at one event."""
        scope = {**sys._getframe(2).f_globals, **names}
        if self._results is None:
            return eval(self._codes[0], scope)
        if not self._results:
            for code in self._codes:
                result = None
                with suppress(Exception):
                    result = eval(code, scope)
                self._results.append(result)
        return value

    # ------------------------------------------------------------ runs

    def graph(self) -> tuple[Graph, Any, Any]:
        """Return the values of a run, the function's value and its gradient."""
        theta = self.point.structure.rebuilt(self.point.theta.copy())
        graph = Graph(self.rewriting, leaves(theta))
        value, gradient = self._run(theta, graph=graph)
        self.events = self._event
        return graph, value, gradient

    def slope(self, direction=0.0, event: int = 0, change=None) -> Slope | None:
        """Return the derivatives along a direction of theta or a change of an event's value, or None.

        The directions should have the sizes of what moves.
        """
        if self.is_complex:
            run = self._moved(1j * STEP, direction, event=event, change=change)
            if run is None:
                return None
            derivatives = {key: array.imag / STEP for key, array in run.values.items()}
            return Slope(np.imag(run.value) / STEP, derivatives)
        runs = []
        for signed_step in (DIFFERENCE, -DIFFERENCE):
            run = self._moved(signed_step, direction, event=event, change=change)
            if run is None:
                return None
            runs.append(run)
        right, minus = runs
        derivatives = {
            key: (array - minus.values[key]) / (2 * DIFFERENCE)
            for key, array in right.values.items()
            if array.dtype.kind == "f"
        }
        return Slope((right.value - minus.value) / (2 * DIFFERENCE), derivatives)

    def _moved(self, step, direction, *, event: int, change) -> Slope | None:
        """Return the value and the wanted values of a run with a move, or None."""
        changes = {} if change is None else {event: step * change}
        try:
            value, _ = self._run(self.point.theta + step * direction, changes=changes)
        except Exception:  # user code may raise any exception for other values
            return None
        if self._event != self.events:
            return None
        return Slope(np.asarray(value).reshape(()), self._seen)

    def with_code(self, site: int, codes: list[Any], results=None) -> Any:
        """Return the gradient with other code for a right-hand side, or None.

        With a list of results, evaluate each code once and append its result instead.
        """
        with suppress(Exception):  # other code may raise any exception
            _, gradient = self._run(site=site, codes=codes, results=results)
            return gradient
        return None


def _complex(value):
    if getattr(value, "dtype", None) == np.float64:
        return value.astype(complex)
    return value


def _plain_function(function: Any) -> Any:
    """Return the Python function of a method, a partial function or a callable object."""
    for name in ("__func__", "func"):
        if hasattr(function, name):
            return _plain_function(getattr(function, name))
    if callable(function) and not hasattr(function, "__code__"):
        return type(function).__call__
    return function
