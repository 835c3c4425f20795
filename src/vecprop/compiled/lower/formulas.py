"""Compile the formulas of ``core`` and ``optimize`` for scalars, from their source code.

Formulas are written for arrays, where Python numbers are weakly typed: ``1 - y`` has
the dtype of the array y, while ``1 - beta1**t`` is computed in double precision before
it is combined with an array. Compiled scalars do not follow this rule, so the syntax
tree of a formula is rewritten: an expression of Python numbers stays double, and is
cast when it is combined with an array element. ``self`` is replaced by a vector h of
the hyperparameters, in the order of the dataclass fields. Functions and methods that a
formula calls are compiled in the same way.

A formula consists of assignments and a return. Its expressions may contain numbers,
names, fields of ``self``, + - * / **, single comparisons and calls, also of elementary
functions of NumPy and ``scipy.special``, and of ``math`` for Python numbers. Other
syntax is refused, because its meaning could differ between scalars and arrays.
"""

import ast
import builtins
import inspect
import math
import textwrap
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
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
from .special_functions import NAMES, special_functions, special_module, special_name

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


def forget():
    """Clear all caches of compiled formulas, because a custom formula has changed. Loaded code stays in memory."""
    for cached in _caches:
        cached.cache_clear()


def is_of_the_library(value) -> bool:
    """Return whether a function or class belongs to vecprop. The module of a function created by `exec` may be None."""
    return str(value.__module__).partition(".")[0] == __name__.partition(".")[0]


def compiled_method(cls: type, name: str, F: type) -> Callable[..., Any]:
    """Return a compiled method for scalars of type F, with the vector h instead of self."""
    owner = next(base for base in cls.__mro__ if name in vars(base))
    method = vars(owner)[name]
    if not isinstance(method, FunctionType):
        raise _not_plain(name, method)
    inlines = is_of_the_library(cls)
    # Inlined before it is compiled, the step of RMSProp would be rounded differently.
    is_inlined = inlines and not issubclass(cls, Optimizer)
    return _compiled(method, owner, cls, F, inlines, is_inlined)


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


def _not_plain(name: str, function) -> ValueError:
    return ValueError(
        f"The formula {name} cannot be compiled: `{function!r}` is not a plain"
        " function."
    )


@of_formulas
@cache
def _compiled(
    function: FunctionType,
    owner: type | None,
    cls: type | None,
    F: type,
    inlines: bool,
    is_inlined: bool,
) -> Callable[..., Any]:
    """Compile a function, or a method that the class `owner` defines, for objects of class `cls`.

    If `inlines` is set, functions that it calls are inlined before they are compiled,
    which is faster. If `is_inlined` is set, it is inlined into its callers itself.
    """
    if hasattr(function, "__wrapped__"):  # decorated
        raise _not_plain(function.__name__, function)
    if enclosed := set(function.__code__.co_freevars) - {"__class__"}:
        raise ValueError(
            f"The formula {function.__qualname__} cannot be compiled: {min(enclosed)!r}"
            " is not global."
        )
    definition = definition_of(function)
    scalars = _Scalars(function, owner, cls, F, inlines)
    scalars.rewrite(definition)
    tree = ast.fix_missing_locations(ast.Module([definition], []))
    # in CPython 3.11.7, all threads share one counter of the recursion depth
    with fork_lock:
        code = compile(tree, inspect.getsourcefile(function) or "<formula>", "exec")
    exec(code, scalars.names)
    formula = scalars.names[function.__name__]
    if is_inlined:
        return inlined(formula)
    options = INNER if is_of_the_library(function) else OF_A_USER
    return njit(**options, forceinline=True)(formula)


def definition_of(function: FunctionType) -> ast.FunctionDef:
    """Return a function's definition from its file; raise RuntimeError if the file has changed since the import."""
    with fork_lock, suppress(OSError, SyntaxError, TokenError):
        # the lines at the function's line number, which fails if the lines have moved
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        if definition := _defined_in(tree, function.__name__, function):
            return definition
    with fork_lock, suppress(OSError, SyntaxError, TokenError):
        lines, _ = inspect.findsource(inspect.getmodule(function) or function)
        tree = ast.parse("".join(lines))
        if definition := _defined_in(tree, function.__qualname__, function):
            return definition
    if not is_of_the_library(function):
        raise RuntimeError(
            f"The source of {function.__qualname__} cannot be read, or has changed"
            " since it was run."
        )
    raise RuntimeError(
        f"{function.__qualname__} in {inspect.getsourcefile(function)} has changed"
        " since it was imported: restart Python."
    )


def _defined_in(
    tree: ast.Module, name: str, function: FunctionType
) -> ast.FunctionDef | None:
    """Return the definition with this qualified name if its code equals the function's code."""
    codes = [compile(tree, "<formula>", "exec")]
    for code in codes:  # nested codes are appended
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                codes.append(constant)
    first_lines = set()
    for code in codes:
        has_same_code = instructions(code) == instructions(function.__code__)
        if code.co_qualname == name and has_same_code:
            first_lines.add(code.co_firstlineno)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == function.__name__:
            parts = [node, *node.decorator_list]
            if min(part.lineno for part in parts) in first_lines:
                return node
    return None


@dataclass
class _Scalars(ast.NodeTransformer):
    """Rewrite a formula for scalars. Each visit method returns a node, marked if its type is weak.

    `names` are the globals of the rewritten formula. `local` maps its local names to
    whether they are weak.
    """

    function: Any
    owner: type | None
    cls: Any
    F: type
    inlines: bool

    def __post_init__(self):
        self.globals = self.function.__globals__
        self.names: dict[str, Any] = {"_cast": self.F}
        self.local: dict[str, bool] = {}
        self.is_optimizer = self.cls is not None and issubclass(self.cls, Optimizer)

    def rewrite(self, node: ast.stmt):
        """Rewrite the definition of the formula in place."""
        if not isinstance(node, ast.FunctionDef) or node.decorator_list:
            self.refuse(node, "is not a plain function")
        parameters = node.args
        starred = parameters.vararg
        if parameters.kwarg or (starred and parameters.kwonlyargs):
            self.refuse(node, "has **kwargs, or keyword-only arguments after *args")
        # calls pass all arguments by position, see `arguments`
        parameters.args += parameters.kwonlyargs
        parameters.kwonlyargs = []
        parameters.kw_defaults = []
        parameters.defaults = []
        named = [*parameters.posonlyargs, *parameters.args]
        for parameter in [*named, starred] if starred else named:
            parameter.annotation = None
            self.local[parameter.arg] = self.is_weak_parameter(parameter.arg)
        node.returns = None
        body = [part for part in node.body if not _is_docstring(part)]
        node.body = [self.visit(statement) for statement in body]
        if starred and self.inlines:
            self.replace_starred(node, starred.arg)

    def is_weak_parameter(self, name: str) -> bool:
        """Return whether a parameter of a formula is a Python number."""
        return self.is_optimizer and name in WEAK

    def replace_starred(self, node: ast.FunctionDef, starred: str):
        """Replace ``*moments`` by one parameter per moment, because Numba does not inline starred ones.

        The body then starts with ``moments = (moments_0, moments_1)``.
        """
        names = [f"{starred}_{index}" for index in range(len(self.cls.moments))]
        node.args.vararg = None
        node.args.args += [ast.arg(name) for name in names]
        elements: list[ast.expr] = [ast.Name(name, ast.Load()) for name in names]
        target = ast.Name(starred, ast.Store())
        assignment = ast.Assign([target], ast.Tuple(elements, ast.Load()))
        node.body.insert(0, assignment)

    def refuse(self, node: ast.AST, reason: str) -> NoReturn:
        """Raise ValueError with the expression and the reason."""
        text = ast.unparse(node).partition("\n")[0]
        raise ValueError(
            f"The formula {self.function.__qualname__} cannot be compiled: `{text}` {reason}."
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
        """Rewrite a constant of a module, or a hyperparameter: ``self.name`` becomes ``self[index]``."""
        if (module := self.module(node)) is not None:
            value = vars(module).get(node.attr)
            if _is_number(value):
                return _mark(ast.Constant(float(value)), weak=True)
        names = [] if self.cls is None else _numbers(self.cls)
        match node.value:
            case ast.Name("self") if node.attr in names:
                index = ast.Constant(names.index(node.attr))
                vector = ast.Name("self", ast.Load())
                return _mark(ast.Subscript(vector, index, ast.Load()), weak=True)
        self.refuse(node, "is not a hyperparameter")

    def module(self, node: ast.Attribute):
        """If the expression is an attribute of NumPy, ``math`` or ``scipy.special``, return that module."""
        value = None
        match node.value:
            case ast.Name(name) if name not in self.local:
                value = self.globals.get(name)
            case ast.Attribute(ast.Name("scipy"), "special"):
                value = getattr(self.globals.get("scipy"), "special", None)
        for module in (np, math, special_module()):
            if value is module:
                return module
        return None

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        if not isinstance(node.op, ast.USub):
            self.generic_visit(node)
        operand = self.visit(node.operand)
        return _mark(ast.UnaryOp(node.op, operand), weak=_weak(operand))

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        """Rewrite an operation: two Python numbers stay double, otherwise a number is cast to the array's type."""
        if not isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.Div | ast.Pow):
            self.generic_visit(node)
        left = self.visit(node.left)
        right = self.visit(node.right)
        if _weak(left) and _weak(right):
            return _mark(ast.BinOp(left, node.op, right), weak=True)
        if isinstance(node.op, ast.Div) and self.is_root_and_number(node.right):
            return self.call("_ratio", scalar_functions.ratio, [_cast(left), right])
        return ast.BinOp(_cast(left), node.op, _cast(right))

    def call(self, name: str, function, arguments: list[Any]) -> ast.Call:
        """Return the call of a function, which gets this name among the globals of the formula."""
        self.names[name] = function
        return ast.Call(ast.Name(name, ast.Load()), arguments, [])

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
        """Rewrite a single comparison; chains such as ``a < b < c``, and `in` and `is`, are refused."""
        comparisons = ast.Lt | ast.LtE | ast.Gt | ast.GtE | ast.Eq | ast.NotEq
        if len(node.ops) > 1 or not isinstance(node.ops[0], comparisons):
            self.generic_visit(node)
        left = self.strong(node.left)
        right = self.strong(node.comparators[0])
        return ast.Compare(left, node.ops, [right])

    def visit_Tuple(self, node: ast.Tuple) -> ast.expr:
        if isinstance(node.ctx, ast.Store):
            return node
        return ast.Tuple([self.strong(element) for element in node.elts], node.ctx)

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        """Rewrite an assignment to names; the names are weak if the value is."""
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
        """Rewrite the call of a function of the module or of NumPy, or of a method of self or super()."""
        match node.func:
            case ast.Name(name) if name not in self.local:
                function = self.globals.get(name, getattr(builtins, name, None))
                return self.function_call(node, name, function)
            case ast.Attribute(_, name) if module := self.module(node.func):
                function = getattr(module, name, None)
                unique_name = f"{module.__name__}_{name}".replace(".", "_")
                return self.function_call(node, unique_name, function)
            case ast.Attribute(ast.Name("self"), method) if self.cls is not None:
                return self.method_call(node, method, self.cls.__mro__)
            case ast.Attribute(ast.Call(ast.Name("super"), [], []), method) if (
                self.cls is not None and self.owner
            ):
                bases = self.cls.__mro__
                after_owner = bases.index(self.owner) + 1
                return self.method_call(node, method, bases[after_owner:])
        self.refuse(node, "calls neither a function of its module nor a method of self")

    def method_call(
        self, node: ast.Call, method: str, bases: Sequence[type]
    ) -> ast.expr:
        """Return the call of the compiled method of the first of these classes that defines it."""
        for owner in bases:
            function = vars(owner).get(method)
            if isinstance(function, FunctionType):
                break
        else:
            self.refuse(node, "does not call a plain method")
        compiled = _compiled(
            function, owner, self.cls, self.F, self.inlines, is_inlined=self.inlines
        )
        self_argument = ast.Name("self", ast.Load())
        with_self = ast.Call(node.func, [self_argument, *node.args], node.keywords)
        arguments = self.arguments(with_self, function)
        self.require_arrays(node, arguments[1:])
        passed = []
        for parameter, argument in arguments:
            is_weak = self.is_weak_parameter(parameter)
            passed.append(argument if is_weak else _cast(argument))
        return self.call(f"_{owner.__name__}_{method}", compiled, passed)

    def function_call(self, node: ast.Call, name: str, function) -> ast.expr:
        """Return the call of the kernel of a function, of NumPy, `scipy.special` or the module."""
        if getattr(function, "__module__", None) == "math":
            return self.math_call(node, name, function)
        replacement = None
        for numpy_function, kernel in OF_NUMPY.items():
            if numpy_function is function:  # `==` would compare any object
                replacement = kernel
        special = special_name(function)
        called = replacement or function
        if special or isinstance(replacement, np.ufunc):
            arguments = [("", self.visit(argument)) for argument in node.args]
            if node.keywords or len(arguments) != called.nin:
                self.refuse(node, f"must pass {called.nin} positional argument(s)")
        elif isinstance(called, FunctionType):
            arguments = self.arguments(node, called)
        else:
            names = {function.__name__ for function in OF_NUMPY}
            self.refuse(
                node,
                "calls a function that has no kernel; functions of NumPy and"
                " scipy.special with a kernel are"
                f" {', '.join(sorted(names.union(NAMES)))}",
            )
        self.require_arrays(node, arguments)
        compiled = scalar_functions.COMPILED[self.F].get(called)
        if special:
            compiled = special_functions(self.F)[special]
        elif compiled is None and replacement is None:
            compiled = _compiled(
                called, None, None, self.F, self.inlines, is_inlined=self.inlines
            )
        passed = [_cast(argument) for _, argument in arguments]
        return self.call(name, compiled or called, passed)

    def math_call(self, node: ast.Call, name: str, function) -> ast.expr:
        """Return the call of a function of ``math``, which is computed in double precision."""
        arguments = [self.visit(argument) for argument in node.args]
        if node.keywords or not all(map(_weak, arguments)):
            self.refuse(node, "takes only numbers: call NumPy's function")
        return _mark(self.call(name, function, arguments), weak=True)

    def require_arrays(self, node: ast.Call, passed: list[tuple[str, Any]]):
        """Refuse a call with only Python numbers, because compiled code would not compute it in double precision."""
        if all(_weak(argument) for _, argument in passed):
            self.refuse(
                node,
                "has only numbers as arguments: call the function of `math`, or make"
                " its value a hyperparameter",
            )

    def arguments(self, node: ast.Call, called: FunctionType) -> list[tuple[str, Any]]:
        """Return each parameter of a function with its rewritten argument, passed by position, name or default."""
        signature = inspect.signature(called)
        parameter_kinds = {
            parameter.kind for parameter in signature.parameters.values()
        }
        if inspect.Parameter.VAR_POSITIONAL in parameter_kinds:
            return self.starred_arguments(node, list(signature.parameters))
        by_name = {
            keyword.arg: keyword.value for keyword in node.keywords if keyword.arg
        }
        has_mapping = len(by_name) < len(node.keywords)
        if has_mapping or any(isinstance(part, ast.Starred) for part in node.args):
            self.refuse(node, "passes starred arguments to a function without *args")
        try:
            bound = signature.bind(*node.args, **by_name)
        except TypeError as error:
            self.refuse(node, f"does not match the function's signature: {error}")
        bound.apply_defaults()
        passed = []
        for name, value in bound.arguments.items():
            if not isinstance(value, ast.expr):
                value = ast.Constant(value)
            passed.append((name, self.visit(value)))
        return passed

    def starred_arguments(
        self, node: ast.Call, parameters: list[str]
    ) -> list[tuple[str, Any]]:
        """Return the arguments of a function with *args; the last is starred and passed on unchanged.

        A custom formula may also pass these arguments one by one. If functions are
        inlined, the starred argument is passed on as one argument per moment; see
        `replace_starred`.
        """
        *names, starred_name = parameters
        is_starred = any(isinstance(value, ast.Starred) for value in node.args)
        if not (self.inlines or is_starred or node.keywords):
            names += [starred_name] * (len(node.args) - len(names))
            return list(zip(names, map(self.visit, node.args), strict=True))
        *values, starred = node.args
        has_all = not node.keywords and len(names) == len(values)
        if not has_all or not isinstance(starred, ast.Starred):
            self.refuse(
                node,
                "must pass as many positional arguments as the function has, and"
                " then a starred one",
            )
        if (
            not isinstance(starred.value, ast.Name)
            or starred.value.id not in self.local
        ):
            self.refuse(
                node, "has a starred argument that is not an argument of the formula"
            )
        passed = list(zip(names, map(self.visit, values), strict=True))
        if not self.inlines:
            return [*passed, (starred_name, starred)]
        for index in range(len(self.cls.moments)):
            moment = ast.Subscript(starred.value, ast.Constant(index), ast.Load())
            passed.append((starred_name, moment))
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
