"""Rewrite Python functions so that each intermediate value is observed.

Each expression ``e`` of a function becomes ``__observe__(site, e, operands)``, and calls
of functions in the same file are rewritten, too.
"""

import ast
import copy
import linecache
import operator
from dataclasses import dataclass
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any

OBSERVE, UPDATE, CALL, OPERATOR = (
    "__observe__",
    "__update__",
    "__rewritten__",
    "__operator__",
)

OBSERVED = "<observed "
"""The beginning of the file name of rewritten code."""

EXPRESSIONS = (
    ast.BinOp
    | ast.UnaryOp
    | ast.Compare
    | ast.IfExp
    | ast.Call
    | ast.Subscript
    | ast.Attribute
)
"""The expressions that are observed."""

IN_PLACE = {
    ast.Add: "iadd",
    ast.Sub: "isub",
    ast.Mult: "imul",
    ast.Div: "itruediv",
    ast.MatMult: "imatmul",
    ast.Pow: "ipow",
}


@dataclass(eq=False)
class Site:
    """An expression or a statement that stores a value.

    ``operands`` are the names and the indices of sites that it reads, in the order of
    the source. ``is_root`` marks the right-hand side of a statement, or an element of its
    lists and dicts. ``is_store`` marks an operation in site, or a target.
    """

    node: Any
    statement: Any
    file: str
    operands: list[str | int]
    is_root: bool = False
    is_store: bool = False


class Rewriting:
    """Functions of some files, rewritten for an observer."""

    def __init__(self, observe, update, files: list[str]):
        self.files = files
        self.sites: list[Site] = []
        self._names = {OBSERVE: observe, UPDATE: update, CALL: self.rewritten}
        self._names[OPERATOR] = operator
        self._functions: dict[Any, Any] = {}
        self._globals: dict[int, dict[str, Any]] = {}

    def rewritten(self, function: Any) -> Any:
        """Return a function that is observed, or the function itself if it belongs to another file."""
        if isinstance(function, MethodType):
            return MethodType(self.rewritten(function.__func__), function.__self__)
        if isinstance(function, partial):
            inner = self.rewritten(function.func)
            return partial(inner, *function.args, **function.keywords)
        if not isinstance(function, FunctionType):
            method = vars(type(function)).get("__call__")
            if isinstance(method, FunctionType):
                return MethodType(self.rewritten(method), function)
            return function
        code = function.__code__
        if code.co_filename not in self.files:
            return function
        cells = function.__closure__ or ()
        key = (code, *map(id, cells))
        if key not in self._functions:
            definition = _definition(code)
            rewritten = function
            if definition is not None:
                rewritten = self._compiled(function, definition, cells)
            # the function keeps the ids of its cells unique
            self._functions[key] = (function, rewritten)
        return self._functions[key][1]

    def _compiled(self, function: FunctionType, definition: ast.AST, cells):
        code = function.__code__
        tree = copy.deepcopy(definition)
        for node, original in zip(ast.walk(tree), ast.walk(definition), strict=True):
            node.original = original
        tree = _Transformer(self.sites, code.co_filename).visit(tree)
        if isinstance(tree, ast.Lambda):
            tree = ast.Return(tree)
        else:
            tree.decorator_list = []
        # the free variables are arguments of an outer function
        outer: Any = ast.parse(f"def outer({', '.join(code.co_freevars)}): pass").body[
            0
        ]
        outer.body = [tree]
        module = ast.fix_missing_locations(ast.Module([outer], []))
        compiled = compile(module, f"{OBSERVED}{code.co_filename}>", "exec")
        [outer_code] = _codes(compiled)
        inner = next(
            inner for inner in _codes(outer_code) if inner.co_name == code.co_name
        )
        cells = dict(zip(code.co_freevars, cells, strict=True))
        # runs leave no trace in a copy of the globals
        names = self._globals.setdefault(
            id(function.__globals__), {**function.__globals__, **self._names}
        )
        observed = FunctionType(
            inner, names, closure=tuple(map(cells.get, inner.co_freevars))
        )
        observed.__defaults__ = function.__defaults__
        observed.__kwdefaults__ = function.__kwdefaults__
        return observed


def _codes(code: CodeType) -> list[CodeType]:
    return [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _definition(code: CodeType) -> Any:
    """Return the definition of a function, or None without source."""
    try:
        tree = ast.parse("".join(linecache.getlines(code.co_filename)))
    except SyntaxError:
        return None
    starts = {("<lambda>", line, column) for line, _, column, _ in code.co_positions()}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            first = [*node.decorator_list, node][0]
            if (first.lineno, node.name) == (code.co_firstlineno, code.co_name):
                return node
        elif isinstance(node, ast.Lambda):
            start = (code.co_name, node.body.lineno, node.body.col_offset)
            if start in starts:
                return node
    return None


class _Transformer(ast.NodeTransformer):
    """Insert calls of the observer into a function."""

    def __init__(self, sites: list[Site], file: str):
        self.sites = sites
        self.file = file
        self.statement: Any = None

    def visit(self, node: Any) -> Any:
        if isinstance(node, ast.arguments | ast.JoinedStr):
            return node
        if isinstance(node, ast.stmt) or self.statement is None:
            self.statement = node
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Return):
            return self._stored(node) if node.value else node
        if isinstance(node, ast.Lambda):
            node.body = self._root(node.body)
            return node
        node = self.generic_visit(node)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            return self._called(node)
        if isinstance(node, ast.Call) and not _is_special(node.func):
            node.func = _call(CALL, node.func)
        if isinstance(node, EXPRESSIONS):
            if isinstance(getattr(node, "ctx", None), ast.Store | ast.Del):
                return node
            return self._observed(node, node)
        return node

    def _observed(self, original, node, **options):
        """Return the call that observes an expression."""
        operands = _operands(node)
        original = original.original
        statement = self.statement.original
        site = Site(original, statement, self.file, operands=operands, **options)
        self.sites.append(site)
        number = ast.Constant(len(self.sites) - 1)
        arguments = [number, node, _names(operands)]
        return ast.Call(_loaded(OBSERVE), arguments, [])

    def _root(self, node: Any):
        """Return a right-hand side with observed elements."""
        if isinstance(node, ast.Tuple | ast.List):
            node.elts = [self._root(element) for element in node.elts]
            return node
        if isinstance(node, ast.Dict):
            node.values = [self._root(element) for element in node.values]
            return node
        if isinstance(node, ast.Constant | ast.Lambda | ast.Starred):
            return node
        visited = self.visit(node)
        if not _is_call_of(visited, OBSERVE):
            visited = self._observed(node, visited)
        self.sites[visited.args[0].value].is_root = True
        visited.args.append(_call("locals"))
        return visited

    def _stored(self, node: Any):
        """Return an assignment and the statements that observe its targets."""
        node.value = self._root(node.value)
        if isinstance(node, ast.Return):
            return node
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if isinstance(node, ast.AugAssign):
            if type(node.op) not in IN_PLACE:
                return node
            function = ast.Attribute(
                _loaded(OPERATOR), IN_PLACE[type(node.op)], ast.Load()
            )
            result = ast.Call(function, [_as_loaded(targets[0]), node.value], [])
            value = self._observed(node, result, is_store=True)
            node = ast.copy_location(ast.Assign(targets, value), node)
        statements = [node]
        operands = _operands(node.value)
        for target in targets:
            for name in getattr(target, "elts", [target]):
                if isinstance(name, ast.Subscript):
                    statements.append(self._update(name.value, name, operands))
                elif isinstance(name, ast.Name | ast.Attribute) and name is not target:
                    value = self._observed(name, _as_loaded(name), is_store=True)
                    value.args[2] = _names(operands)
                    self.sites[-1].operands = operands
                    statements.append(ast.Assign([name], value))
        return statements

    def _update(self, array, node, operands):
        """Return the statement that observes an array after some entries were stored."""
        call = self._observed(node, _as_loaded(array), is_store=True)
        call.func = _loaded(UPDATE)
        call.args[2] = _names(operands)
        self.sites[-1].operands = operands
        return ast.Expr(call)

    def _called(self, node: Any):
        """Return a call whose result is not used; it may modify its first argument."""
        call = self.statement.original.value
        [first, *_] = [*call.args, None]
        if not isinstance(first, ast.Name | ast.Attribute):
            return node
        argument = copy.deepcopy(first)
        argument.original = first
        return [node, self._update(argument, argument, _operands(node.value))]


def _loaded(name: str):
    return ast.Name(name, ast.Load())


def _call(name: str, *arguments):
    return ast.Call(_loaded(name), list(arguments), [])


def _names(operands: list[str | int]):
    names = [_loaded(operand) for operand in operands if isinstance(operand, str)]
    return ast.Tuple(names, ast.Load())


def _is_call_of(node: Any, name: str):
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == name


def _is_special(function: Any):
    """Return whether a function depends on the frame that calls it."""
    return getattr(function, "id", "") in ("super", "locals", OBSERVE)


def _as_loaded(node):
    node = copy.deepcopy(node)
    for child in ast.walk(node):
        if hasattr(child, "ctx"):
            child.ctx = ast.Load()
    return node


def _operands(node: Any) -> list[str | int]:
    """Return the names and the observed sites that an expression reads directly."""
    if isinstance(node, ast.Name):
        if node.id.startswith("__"):
            return []
        return [node.id]
    if _is_call_of(node, OBSERVE):
        return [node.args[0].value]
    operands = []
    is_scope = isinstance(
        node, ast.Lambda | ast.ListComp | ast.GeneratorExp | ast.DictComp
    )
    for child in ast.iter_child_nodes(node):
        for operand in _operands(child):
            if not (is_scope and isinstance(operand, str)):
                operands.append(operand)
    return operands
