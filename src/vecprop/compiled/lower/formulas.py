"""The formulas of ``core`` and ``optimize``, compiled from their own source for scalars.

A formula stands once, written for arrays. There Python's numbers are weak: ``1 - y`` has the type of the array y, while
``1 - beta1**t`` is worked out in double precision before it meets an array. Compiled scalars know no such rule, so it
is written into the formula's syntax tree: what is made of numbers alone stays double, and is cast where it meets an
array's element. ``self`` becomes a vector h of the hyperparameters, in the order of the dataclass's fields, and
functions and methods that a formula calls are compiled in the same way.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from functools import cache
from types import CodeType, FunctionType
from typing import Any

import numpy as np
from numba import njit

from ...optimize.optimizers import Optimizer
from ..jit.options import OPTIONS
from ..jit.reached import same_code
from . import elementary

WEAK = {"rate", "t"}
"""The arguments that are Python numbers in an array formula; all others are arrays."""


def compiled_method(cls: type, name: str, F: type) -> Callable[..., Any]:
    """Return a class's method for scalars of type F; hyperparameters h stand in the place of self."""
    return _compiled(_owner(cls, name), name, cls, F)


def hyperparameters(description: Any) -> np.ndarray:
    """Return the numbers among a description's fields, as the vector h: filled up to eight, which every loop takes."""
    numbers = [getattr(description, name) for name in _numbers(type(description))]
    return np.array(numbers + [0] * (8 - len(numbers)), float)


@cache
def _numbers(cls: type) -> list[str]:
    """Return the names of the fields that hold numbers; how rows are reduced is no part of a formula."""
    return [field.name for field in fields(cls) if field.name not in ("reduction", "learning_rate")]


def _owner(cls: type, name: str) -> type:
    return next(base for base in cls.__mro__ if name in vars(base))


@cache
def _compiled(owner: type | None, name: str | FunctionType, cls: type | None, F: type) -> Callable[..., Any]:
    """Return a compiled function, or a compiled method that an owner defines for a class."""
    function = name if isinstance(name, FunctionType) else vars(owner)[name]
    names: dict[str, Any] = {"_cast": F}
    definition = definition_of(function)
    _Scalars(function, owner, cls, F, names).function(definition)
    tree = ast.fix_missing_locations(ast.Module([definition], []))
    exec(compile(tree, inspect.getsourcefile(function) or "<formula>", "exec"), names)
    return njit(names[function.__name__], forceinline=True, **OPTIONS)


def definition_of(function: FunctionType) -> ast.FunctionDef:
    """Return a function's definition as its file has it, which has to say what the function does.

    Raises
    ------
    RuntimeError
        Where it does something else: the file has been edited since it was imported, and not in its comments alone.
    """
    with suppress(OSError, SyntaxError):
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))  # its lines, unless they have moved
        if found := _defined_in(tree, [function.__name__], function):
            return found
    with suppress(OSError, SyntaxError):
        lines, _ = inspect.findsource(inspect.getmodule(function) or function)
        if found := _defined_in(ast.parse("".join(lines)), function.__qualname__.split("."), function):
            return found
    file = inspect.getsourcefile(function)
    raise RuntimeError(f"{function.__qualname__} in {file} has changed since it was imported: restart Python.")


def _defined_in(tree: ast.Module, path: list[str], function: FunctionType) -> ast.FunctionDef | None:
    """Return the definition with this path of names, if it does what a function does."""
    node: Any = tree
    for name in path:
        node = next((each for each in node.body if getattr(each, "name", None) == name), None)
        if node is None:
            return None
    codes = [compile(tree, "<formula>", "exec")]
    for code in codes:
        codes += [each for each in code.co_consts if isinstance(each, CodeType)]
    is_same = any(code.co_qualname == ".".join(path) and same_code(code, function.__code__) for code in codes)
    return node if is_same and isinstance(node, ast.FunctionDef) else None


class _Scalars(ast.NodeTransformer):
    """Rewrites a formula for scalars: each visit returns a node that knows whether it is weak."""

    def __init__(self, function: FunctionType, owner: type | None, cls: type | None, F: type, names: dict[str, Any]):
        self.globals = function.__globals__
        self.owner, self.cls, self.F, self.names = owner, cls, F, names
        self.local: dict[str, bool] = {}
        self.estimates = cls is not None and issubclass(cls, Optimizer)  # they divide by √v + ε alone

    def function(self, node: ast.FunctionDef) -> None:
        """Rewrite the whole function in place."""
        node.returns, node.decorator_list = None, []
        arguments = [*node.args.args, *([node.args.vararg] if node.args.vararg else [])]
        for argument in arguments:
            argument.annotation = None
            self.local[argument.arg] = argument.arg in WEAK
        node.body = [self.visit(statement) for statement in node.body]

    def strong(self, node: ast.expr) -> ast.expr:
        """Return the node rewritten, and cast where it is made of numbers alone."""
        return _cast(self.visit(node))

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return _mark(node, weak=isinstance(node.value, int | float))

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in self.local and isinstance(self.globals.get(node.id), int | float):
            return _mark(ast.Constant(float(self.globals[node.id])), weak=True)
        return _mark(node, weak=self.local.get(node.id, False))

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        assert self.cls is not None  # only methods have attributes, and only of self
        place = ast.Constant(_numbers(self.cls).index(node.attr))
        return _mark(ast.Subscript(ast.Name("self", ast.Load()), place, ast.Load()), weak=True)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        operand = self.visit(node.operand)
        return _mark(ast.UnaryOp(node.op, operand), weak=_weak(operand))

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        left, right = self.visit(node.left), self.visit(node.right)
        if _weak(left) and _weak(right):
            return _mark(ast.BinOp(left, node.op, right), weak=True)
        if self.estimates and isinstance(node.op, ast.Div) and not _weak(right):
            self.names["_ratio"] = elementary.ratio
            return ast.Call(ast.Name("_ratio", ast.Load()), [_cast(left), right], [])
        return ast.BinOp(_cast(left), node.op, _cast(right))

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        return ast.Compare(self.strong(node.left), node.ops, [self.strong(value) for value in node.comparators])

    def visit_Tuple(self, node: ast.Tuple) -> ast.expr:
        if isinstance(node.ctx, ast.Store):
            return node
        return ast.Tuple([self.strong(element) for element in node.elts], node.ctx)

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        value = self.visit(node.value)
        for target in node.targets:
            for name in ast.walk(target):
                if isinstance(name, ast.Name):
                    self.local[name.id] = _weak(value)
        return ast.Assign(node.targets, value)

    def visit_Return(self, node: ast.Return) -> ast.stmt:
        assert node.value is not None
        return ast.Return(self.strong(node.value))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        arguments = [argument if isinstance(argument, ast.Starred) else self.visit(argument) for argument in node.args]
        if isinstance(node.func, ast.Name):
            arguments = [_cast(argument) for argument in arguments]
            called = self.globals[node.func.id]
            if called.__module__.endswith(".core.elementary") or called in elementary.OWN:
                self.names[node.func.id] = called
            else:
                self.names[node.func.id] = _compiled(None, called, None, self.F)
            return ast.Call(node.func, arguments, [])
        # self.method(…), or super().method(…)
        assert isinstance(node.func, ast.Attribute)
        assert self.cls is not None
        assert self.owner is not None
        method = node.func.attr
        if isinstance(node.func.value, ast.Call):
            after = self.cls.__mro__[self.cls.__mro__.index(self.owner) + 1 :]
            owner = next(base for base in after if method in vars(base))
        else:
            owner = _owner(self.cls, method)
        name = f"_{owner.__name__}_{method}"
        self.names[name] = _compiled(owner, method, self.cls, self.F)
        return ast.Call(ast.Name(name, ast.Load()), [ast.Name("self", ast.Load()), *arguments], [])


def _cast(node: Any) -> Any:
    return ast.Call(ast.Name("_cast", ast.Load()), [node], []) if _weak(node) else node


def _mark(node: Any, weak: bool) -> Any:
    node.weak = weak
    return node


def _weak(node: Any) -> bool:
    return getattr(node, "weak", False)
