"""The intermediate values of a run, and how they depend on each other."""

import ast
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy import ndarray

from .rewriting import OBSERVED, Rewriting, Site

ALLOCATORS = [
    "zeros",
    "ones",
    "empty",
    "full",
    "zeros_like",
    "ones_like",
    "empty_like",
    "full_like",
]
"""Functions whose result does not depend on the values of their arguments."""


@dataclass(eq=False)
class Value:
    """An intermediate value: its place in the code, its event, and its operands.

    ``event`` counts the observations of a run. It is negative for a parameter. ``names``
    are the local variables of a right-hand side, and ``caller`` is the file and the line
    that called its function.
    """

    event: int
    site: Any
    array: ndarray
    operands: list[int]
    names: dict[str, Any] = field(default_factory=dict)
    caller: tuple[str, int] | None = None

    @property
    def is_name(self):
        """Whether the value is only another name for a value."""
        return (
            self.site is not None
            and isinstance(self.site.node, ast.Name | ast.Attribute)
            and getattr(self.site.statement, "value", None) is self.site.node
        )

    @property
    def name(self):
        """The name that the value is assigned to, or an empty string."""
        if (
            not self.is_whole
            or getattr(self.site.statement, "value", 0) is not self.site.node
        ):
            return ""
        [target, *_] = getattr(self.site.statement, "targets", [None])
        return getattr(target, "id", getattr(target, "attr", ""))

    @property
    def is_whole(self):
        """Whether the value is the result of a statement, not of a part of an expression."""
        if self.site is None or name_of_call(self.site.node) in ALLOCATORS:
            return False
        is_element = isinstance(self.site.node, ast.Name) and not self.is_name
        return self.site.is_store or (self.site.is_root and not is_element)


def name_of_call(node: ast.AST):
    """Return the name of a function that is called, or an empty string."""
    function = getattr(node, "func", None)
    return getattr(function, "attr", getattr(function, "id", ""))


def is_number(value):
    """Return whether a value is a floating-point number or an array of them or of Booleans."""
    if isinstance(value, ndarray | np.generic):
        return value.dtype.kind in "fcb"
    return isinstance(value, float | complex)


class Graph:
    """The values of one run and their operands."""

    def __init__(self, rewriting: Rewriting, parameters: Iterable[Any]):
        self.rewriting = rewriting
        self.values: list[Value] = []
        self.calls: dict[tuple[str, int] | None, Value] = {}
        self.returned: dict[int, Site] = {}
        self._objects: list[Any] = []  # keeps the ids unique
        self._indices: dict[int, int] = {}
        self._latest: dict[int, list[int]] = {}
        for parameter in parameters:
            self._append(Value(-1, None, np.array(parameter), operands=[]), parameter)

    def index(self, value) -> int | None:
        """Return the index of a value that was observed, or None."""
        return self._indices.get(id(value))

    def _append(self, value: Value, thing):
        self._objects.append(thing)
        self._indices[id(thing)] = len(self.values)
        self.values.append(value)

    def add(self, event: int, number: int, value, operands):
        """Record a value, and return it, or a copy if it already has another name."""
        site = self.rewriting.sites[number]
        indices = self._operands(site, operands)
        if name_of_call(site.node) in ALLOCATORS:
            indices = []
        if not is_number(value):
            is_constant = isinstance(value, int | str | np.integer)
            self._latest[number] = [] if is_constant else indices
            return value
        index = self.index(value)
        if index is not None:
            self._latest[number] = [index]
            is_new_name = Value(event, site, value, operands=[]).is_name
            is_modified = site.is_store and not isinstance(site.node, ast.Name)
            if site.is_root and isinstance(site.statement, ast.Return):
                self.returned[index] = site
            if not (is_new_name or is_modified):
                return value
            if index not in indices:
                indices = [index, *indices]
            if is_new_name:
                value = value.view() if isinstance(value, ndarray) else value + 0.0
        self._append(Value(event, site, np.array(value), operands=indices), value)
        self._latest[number] = [len(self.values) - 1]
        return value

    def locate(self, event: int, site: Site, result, names: dict[str, Any]):
        """Record the local variables of a right-hand side, and the line that called its function."""
        array = np.array(result if is_number(result) else 0.0)
        value = Value(event, site, array, operands=[])
        index = self.index(result)
        if index is not None and self.values[index].event == event:
            value = self.values[index]
        else:
            self.calls.setdefault((site.file, site.statement.lineno), value)
        value.names = names
        caller = sys._getframe(2).f_back
        if caller is not None:
            file = caller.f_code.co_filename
            value.caller = (file[len(OBSERVED) : -1], caller.f_lineno)

    def _operands(self, site: Site, operands) -> list[int]:
        """Return the indices of the values that a site reads, in the order of the source."""
        indices = []
        names = iter(operands)
        for operand in site.operands:
            if isinstance(operand, int):
                indices.extend(self._latest.get(operand, []))
                continue
            index = self.index(next(names))
            if index is not None:
                indices.append(index)
        return indices

    def ancestors(self, indices: Iterable[int]) -> set[int]:
        """Return values and all values they depend on."""
        result = set()
        pending = list(indices)
        while pending:
            index = pending.pop()
            if index not in result:
                result.add(index)
                pending.extend(self.values[index].operands)
        return result
