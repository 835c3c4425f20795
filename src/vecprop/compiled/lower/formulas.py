"""Compile the formulas of ``core`` and ``optimize`` for scalars, from their source code.

Formulas are written for arrays, where Python numbers are weakly typed: ``1 - y`` has
the dtype of the array y, while ``1 - beta1**t`` is computed in double precision before
it is combined with an array. Compiled scalars do not follow this rule, so the syntax
tree of a formula is rewritten: an expression of Python numbers stays double, and is
cast when it is combined with an array element. ``self`` is replaced by a vector h of
the hyperparameters, in the order of the dataclass fields. Functions and methods that a
formula calls are compiled in the same way.

A formula consists of assignments and a return. Its expressions may contain numbers,
names, fields of ``self``, + - * / **, single comparisons and calls, also of NumPy's
elementary functions. Other syntax is refused, because its meaning could differ between
scalars and arrays.
"""

import ast
import builtins
import inspect
import math
import textwrap
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from functools import cache
from tokenize import TokenError
from types import CodeType, FunctionType
from typing import Any, NoReturn, TypeVar

import numpy as np
from numba import njit

from ...core import elementary as core_elementary
from ...optimize.optimizers import Optimizer
from ...system.threads import fork_lock
from ..jit import INNER, inlined
from ..jit.cache import instructions
from . import scalar_functions

H_SIZE = 8
"""The length of the vector h, which is the maximum number of hyperparameters; see
`loops.unpacked`.
"""

WEAK = {"rate", "t"}
"""The arguments of optimizer formulas that are Python numbers; all others are
arrays.
"""


_SHARED = (
    "absolute",
    "clip",
    "exp",
    "expm1",
    "log",
    "log1p",
    "real",
    "sign",
    "sqrt",
    "tanh",
    "where",
)
OF_NUMPY: dict[Any, Any] = {
    abs: core_elementary.absolute,
    np.ones_like: core_elementary.one,
}
OF_NUMPY |= {getattr(np, name): getattr(core_elementary, name) for name in _SHARED}
OF_NUMPY |= {
    same: same
    for same in (np.arctan, np.cos, np.maximum, np.minimum, np.sin, np.square)
}
"""Functions that custom formulas may call, and the functions that compiled code
calls instead.
"""

OF_A_USER: dict[str, Any] = INNER | {"fastmath": {"contract"}}
"""Options of custom formulas. Sums are not reordered and divisions are not replaced, so
that rounding is the same in whole vectors and in the remainder of a loop.
"""

_Cache = TypeVar("_Cache", bound=Any)
_caches: list[Any] = []


def of_formulas(cached: _Cache) -> _Cache:
    """Register a cache of compiled formulas or their addresses, so that `forget` clears it."""
    _caches.append(cached)
    return cached


def forget() -> None:
    """Clear all caches of compiled formulas, because a custom formula has changed. Loaded code stays in memory."""
    for cached in _caches:
        cached.cache_clear()


def is_of_the_library(value) -> bool:
    """Return whether a function or class belongs to vecprop. The module of a function created by `exec` may be None."""
    return str(value.__module__).partition(".")[0] == __name__.partition(".")[0]


def compiled_method(cls: type, name: str, F: type) -> Callable[..., Any]:
    """Return a compiled method for scalars of type F, with the vector h instead of self."""
    owner = next(base for base in cls.__mro__ if name in vars(base))
    inlines = is_of_the_library(cls)
    # Inlined before it is compiled, the step of RMSProp would be rounded differently.
    return _compiled(
        owner, name, cls, F, inlines, inlines and not issubclass(cls, Optimizer)
    )


def hyperparameters(description) -> np.ndarray:
    """Return the numeric fields of a part as the vector h, padded with zeros."""
    numbers = [getattr(description, name) for name in _numbers(type(description))]
    return np.array(numbers + [0] * (H_SIZE - len(numbers)), float)


@cache
def _numbers(cls: type) -> list[str]:
    """Return the names of the hyperparameters: all fields except the reduction and the learning rate."""
    names = [
        field.name
        for field in fields(cls)
        if field.name not in ("reduction", "learning_rate")
    ]
    if len(names) > H_SIZE:
        raise ValueError(
            f"{cls.__name__} has {len(names)} hyperparameters, but kernels support at"
            f" most {H_SIZE}."
        )
    return names


@of_formulas
@cache
def _compiled(
    owner: type | None,
    name: str | FunctionType,
    cls: type | None,
    F: type,
    inlines: bool,
    is_inlined: bool,
) -> Callable[..., Any]:
    """Compile a function, or a method that `owner` defines, for class `cls`.

    Calls of a formula of vecprop are inlined before they are compiled, which is faster.
    """
    function = name if isinstance(name, FunctionType) else vars(owner)[name]
    # decorated
    if not isinstance(function, FunctionType) or hasattr(function, "__wrapped__"):
        raise ValueError(
            f"The formula {name} cannot be compiled: `{function!r}` is not a plain"
            " function."
        )
    if enclosed := set(function.__code__.co_freevars) - {"__class__"}:
        raise ValueError(
            f"The formula {function.__qualname__} cannot be compiled: {min(enclosed)!r}"
            " is not global."
        )
    names: dict[str, Any] = {"_cast": F}
    definition = definition_of(function)
    _Scalars(function, owner, cls, F, names, inlines).function(definition)
    tree = ast.fix_missing_locations(ast.Module([definition], []))
    # in CPython 3.11.7, all threads share one counter of the recursion depth
    with fork_lock:
        code = compile(tree, inspect.getsourcefile(function) or "<formula>", "exec")
    exec(code, names)
    formula = names[function.__name__]
    if is_inlined:
        return inlined(formula)
    options = INNER if is_of_the_library(function) else OF_A_USER
    return njit(**options, forceinline=True)(formula)


def definition_of(function: FunctionType) -> ast.FunctionDef:
    """Return a function's definition from its file; raise RuntimeError if the file has changed since the import."""
    with fork_lock, suppress(OSError, SyntaxError, TokenError):
        # fails if the lines have moved
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        if definition := _defined_in(tree, function.__name__, function):
            return definition
    with fork_lock, suppress(OSError, SyntaxError, TokenError):
        lines, _ = inspect.findsource(inspect.getmodule(function) or function)
        if definition := _defined_in(
            ast.parse("".join(lines)), function.__qualname__, function
        ):
            return definition
    file = inspect.getsourcefile(function)
    if not is_of_the_library(function):
        raise RuntimeError(
            f"The source of {function.__qualname__} cannot be read, or has changed"
            " since it was run."
        )
    raise RuntimeError(
        f"{function.__qualname__} in {file} has changed since it was imported: restart"
        " Python."
    )


def _defined_in(
    tree: ast.Module, name: str, function: FunctionType
) -> ast.FunctionDef | None:
    """Return the definition with this qualified name if its code equals the function's code."""
    codes = [compile(tree, "<formula>", "exec")]
    for code in codes:
        codes += [
            constant for constant in code.co_consts if isinstance(constant, CodeType)
        ]
    same = name, instructions(function.__code__)
    lines = {
        code.co_firstlineno
        for code in codes
        if (code.co_qualname, instructions(code)) == same
    }
    named = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == function.__name__
    )
    return next(
        (
            node
            for node in named
            if min(part.lineno for part in (node, *node.decorator_list)) in lines
        ),
        None,
    )


class _Scalars(ast.NodeTransformer):
    """Rewrite a formula for scalars. Each visit method returns a node, marked if its type is weak."""

    def __init__(
        self,
        function: FunctionType,
        owner,
        cls,
        F: type,
        names: dict[str, Any],
        inlines: bool,
    ) -> None:
        self.name, self.globals = function.__qualname__, function.__globals__
        self.owner, self.cls, self.F, self.names, self.inlines = (
            owner,
            cls,
            F,
            names,
            inlines,
        )
        self.local: dict[str, bool] = {}
        self.is_optimizer = cls is not None and issubclass(cls, Optimizer)

    def function(self, node: ast.stmt) -> None:
        """Rewrite the whole function in place."""
        if not isinstance(node, ast.FunctionDef) or node.decorator_list:
            self.refuse(node, "is not a plain function")
        node.returns, takes = None, node.args
        if takes.kwarg or (takes.vararg and takes.kwonlyargs):
            self.refuse(node, "has **kwargs, or keyword-only arguments after *args")
        # calls pass all arguments by position, see `arguments`
        takes.args += takes.kwonlyargs
        takes.kwonlyargs = []
        takes.kw_defaults = []
        takes.defaults = []
        for argument in [
            *takes.posonlyargs,
            *takes.args,
            *([takes.vararg] if takes.vararg else []),
        ]:
            argument.annotation = None
            self.local[argument.arg] = self.is_optimizer and argument.arg in WEAK
        node.body = [
            self.visit(statement)
            for statement in node.body
            if not _is_docstring(statement)
        ]
        # Numba does not inline functions with starred arguments
        if takes.vararg and self.inlines:
            starred, takes.vararg = takes.vararg.arg, None
            names = [f"{starred}_{index}" for index in range(len(self.cls.moments))]
            takes.args += [ast.arg(name) for name in names]
            all_names: list[ast.expr] = [ast.Name(name, ast.Load()) for name in names]
            node.body.insert(
                0,
                ast.Assign(
                    [ast.Name(starred, ast.Store())], ast.Tuple(all_names, ast.Load())
                ),
            )

    def refuse(self, node: ast.AST, reason: str) -> NoReturn:
        """Raise ValueError with the expression and the reason."""
        text = ast.unparse(node).partition("\n")[0]
        raise ValueError(
            f"The formula {self.name} cannot be compiled: `{text}` {reason}."
        )

    def generic_visit(self, node: ast.AST) -> NoReturn:
        """Refuse syntax that has no method here, because its meaning could be different for scalars."""
        self.refuse(node, "is not supported in formulas, see vecprop.compile")

    def strong(self, node: ast.expr) -> ast.expr:
        """Rewrite a node, and cast it if it is weak."""
        return _cast(self.visit(node))

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if not _is_number(node.value):
            self.refuse(node, "is not a real number")
        return _mark(node, weak=True)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.local:
            return _mark(node, weak=self.local[node.id])
        if not _is_number(self.globals.get(node.id)):
            self.refuse(node, "is neither an argument nor a real number")
        return _mark(ast.Constant(float(self.globals[node.id])), weak=True)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if (module := self.module(node)) is not None and _is_number(
            value := vars(module).get(node.attr)
        ):
            return _mark(ast.Constant(float(value)), weak=True)
        is_field = (
            isinstance(node.value, ast.Name)
            and node.value.id == "self"
            and self.cls is not None
        )
        if not is_field or node.attr not in _numbers(self.cls):
            self.refuse(node, "is not a hyperparameter")
        index = ast.Constant(_numbers(self.cls).index(node.attr))
        return _mark(
            ast.Subscript(ast.Name("self", ast.Load()), index, ast.Load()), weak=True
        )

    def module(self, node: ast.Attribute):
        """If the expression is an attribute of NumPy or ``math``, return that module; its attributes are constant."""
        match node.value:
            case ast.Name(name) if name not in self.local and name in self.globals:
                value = self.globals[name]
                return value if value is np or value is math else None
        return None

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        if not isinstance(node.op, ast.USub):
            self.generic_visit(node)
        operand = self.visit(node.operand)
        return _mark(ast.UnaryOp(node.op, operand), weak=_weak(operand))

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        if not isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.Div | ast.Pow):
            self.generic_visit(node)
        dividend = self.visit(node.left)
        divisor = self.visit(node.right)
        if _weak(dividend) and _weak(divisor):
            return _mark(ast.BinOp(dividend, node.op, divisor), weak=True)
        if isinstance(node.op, ast.Div) and self.is_root_and_number(node.right):
            self.names["_ratio"] = scalar_functions.ratio
            return ast.Call(
                ast.Name("_ratio", ast.Load()), [_cast(dividend), divisor], []
            )
        return ast.BinOp(_cast(dividend), node.op, _cast(divisor))

    def is_root_and_number(self, node: ast.expr) -> bool:
        """Return whether an expression has the form √v + ε. It is never 0, so divisions by it may be approximated."""
        if not self.is_optimizer or "epsilon" not in getattr(self.cls, "positive", ()):
            return False
        match node:
            case ast.BinOp(
                ast.Call(ast.Name(name)),
                ast.Add(),
                ast.Attribute(ast.Name("self"), "epsilon"),
            ):
                return self.globals.get(name) is core_elementary.sqrt
        return False

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        if len(node.ops) > 1 or not isinstance(
            node.ops[0], ast.Lt | ast.LtE | ast.Gt | ast.GtE | ast.Eq | ast.NotEq
        ):
            self.generic_visit(node)
        return ast.Compare(
            self.strong(node.left),
            node.ops,
            [self.strong(value) for value in node.comparators],
        )

    def visit_Tuple(self, node: ast.Tuple) -> ast.expr:
        if isinstance(node.ctx, ast.Store):
            return node
        return ast.Tuple([self.strong(element) for element in node.elts], node.ctx)

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        value = self.visit(node.value)
        for target in node.targets:
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            for name in names:
                if not isinstance(name, ast.Name):
                    self.generic_visit(node)
                self.local[name.id] = _weak(value)
        return ast.Assign(node.targets, value)

    def visit_Return(self, node: ast.Return) -> ast.stmt:
        if node.value is None:
            self.refuse(node, "does not return a number")
        return ast.Return(self.strong(node.value))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        match node.func:
            case ast.Name(name) if name not in self.local:
                return self.call_of(
                    node, name, self.globals.get(name, getattr(builtins, name, None))
                )
            case ast.Attribute(ast.Name(module), name) if self.module(node.func) is np:
                return self.call_of(node, f"{module}_{name}", getattr(np, name, None))
            case ast.Attribute(ast.Name("self"), method) if self.cls is not None:
                bases = self.cls.__mro__
            case ast.Attribute(ast.Call(ast.Name("super"), [], []), method) if (
                self.cls is not None and self.owner
            ):
                bases = self.cls.__mro__[self.cls.__mro__.index(self.owner) + 1 :]
            case _:
                self.refuse(
                    node, "calls neither a function of its module nor a method of self"
                )
        owner = next(
            (
                base
                for base in bases
                if isinstance(vars(base).get(method), FunctionType)
            ),
            None,
        )
        if owner is None:
            self.refuse(node, "does not call a plain method")
        name = f"_{owner.__name__}_{method}"
        self.names[name] = _compiled(
            owner, method, self.cls, self.F, self.inlines, self.inlines
        )
        with_self = ast.Call(
            node.func, [ast.Name("self", ast.Load()), *node.args], node.keywords
        )
        passed = self.arguments(with_self, vars(owner)[method])
        self.require_arrays(node, passed[1:])
        arguments: list[ast.expr] = []
        for parameter, argument in passed:
            is_weak = self.is_optimizer and parameter in WEAK
            arguments.append(argument if is_weak else _cast(argument))
        return ast.Call(ast.Name(name, ast.Load()), arguments, [])

    def call_of(self, node: ast.Call, name: str, called) -> ast.expr:
        """Return the call of a function, and add the compiled function to the names of the formula."""
        replaces_numpy = False
        for function, replacement in OF_NUMPY.items():
            if function is called:
                called = replacement
                replaces_numpy = True
                break
        if replaces_numpy and isinstance(called, np.ufunc):
            passed = [("", self.visit(argument)) for argument in node.args]
            if node.keywords or len(passed) != called.nin:
                self.refuse(node, f"must pass {called.nin} positional argument(s)")
        elif isinstance(called, FunctionType):
            passed = self.arguments(node, called)
        else:
            supported = ", ".join(sorted(name.__name__ for name in OF_NUMPY))
            self.refuse(
                node,
                "calls a function that has no kernel; NumPy functions with a kernel"
                f" are {supported}",
            )
        self.require_arrays(node, passed)
        compiled = scalar_functions.COMPILED[self.F].get(called)
        if compiled is None and not replaces_numpy:
            compiled = _compiled(None, called, None, self.F, self.inlines, self.inlines)
        self.names[name] = compiled or called
        arguments: list[ast.expr] = [_cast(argument) for _, argument in passed]
        return ast.Call(ast.Name(name, ast.Load()), arguments, [])

    def require_arrays(self, node: ast.Call, passed: list[tuple[str, Any]]) -> None:
        """Refuse a call with only Python numbers, because compiled code would not compute it in double precision."""
        if all(_weak(argument) for _, argument in passed):
            self.refuse(
                node,
                "has only numbers as arguments: write out its value, or make it a"
                " hyperparameter",
            )

    def arguments(self, node: ast.Call, called: FunctionType) -> list[tuple[str, Any]]:
        """Return each parameter of a function with its rewritten argument, passed by position, name or default.

        Starred arguments are passed on unchanged.
        """
        by_place = node.args
        by_name = {
            keyword.arg: keyword.value for keyword in node.keywords if keyword.arg
        }
        signature = inspect.signature(called)
        if any(
            parameter.kind is parameter.VAR_POSITIONAL
            for parameter in signature.parameters.values()
        ):
            *names, rest = signature.parameters
            *before, star = by_place
            if (
                node.keywords
                or len(names) != len(before)
                or not isinstance(star, ast.Starred)
            ):
                self.refuse(
                    node,
                    "must pass as many positional arguments as the function has, and"
                    " then a starred one",
                )
            if not isinstance(star.value, ast.Name) or star.value.id not in self.local:
                self.refuse(
                    node,
                    "has a starred argument that is not an argument of the formula",
                )
            stars: list[ast.expr] = [star]
            if self.inlines:
                places = map(ast.Constant, range(len(self.cls.moments)))
                stars = [
                    ast.Subscript(star.value, place, ast.Load()) for place in places
                ]
            return [
                *zip(names, map(self.visit, before), strict=True),
                *((rest, each) for each in stars),
            ]
        if any(isinstance(argument, ast.Starred) for argument in by_place) or len(
            by_name
        ) < len(node.keywords):
            self.refuse(node, "passes starred arguments to a function without *args")
        try:
            bound = signature.bind(*by_place, **by_name)
        except TypeError as error:
            self.refuse(node, f"does not match the function's signature: {error}")
        bound.apply_defaults()
        passed = []
        for name, value in bound.arguments.items():
            if not isinstance(value, ast.expr):
                value = ast.Constant(value)
            passed.append((name, self.visit(value)))
        return passed


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _cast(node):
    return ast.Call(ast.Name("_cast", ast.Load()), [node], []) if _weak(node) else node


def _mark(node, weak: bool):
    node.weak = weak
    return node


def _weak(node) -> bool:
    return getattr(node, "weak", False)
