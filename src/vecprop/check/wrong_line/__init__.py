"""Name the first wrong statement of the backward pass of a failing function.

The function is rewritten so that its intermediate values are observed (`rewriting`,
`trace`), and runs with moved values give the derivatives by them (`runs`). `search` finds
the backward values that are right, and `changes` proposes corrections.
"""

import ast
import linecache
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
from numpy import ndarray

from ..points.function import Point
from ..report import WrongLine
from .changes import Change, changes, scope
from .rewriting import Site
from .runs import NoRunsLeft, Runs
from .search import Search
from .trace import Value, is_number

MOST_STATEMENTS = 2
"""The report names no statement without an explanation if more statements are suspicious."""

MOST_MULTIPLES = 15
"""The largest number of factors that are tried in a statement."""


def find_wrong_line(
    point: Point, wrong_names: set[str], is_complex: bool
) -> WrongLine | None:
    """Return the first wrong statement, or None if the analysis cannot decide.

    ``wrong_names`` are the names of the wrong parts of the gradient.
    """
    # the analysis must not change a verdict, whatever user code does
    with suppress(Exception, NoRunsLeft):
        search = Search(Runs(point, *point.code, is_complex=is_complex))
        search.compare_pieces(wrong_names)
        if search.wrong and search.forward:
            return _Diagnosis(search).wrong_line()
    return None


class _Diagnosis:
    """What is wrong in a backward pass."""

    def __init__(self, search: Search):
        self.search = search
        self.graph = search.graph

    def wrong_line(self) -> WrongLine | None:
        search = self.search
        search.move_intermediates()
        search.find_right_values()
        suspects = search.suspects()
        candidates = self.statements(suspects)
        partial: set[int] = set()
        with suppress(NoRunsLeft):
            partial = search.partial_derivatives(suspects)
            correction = self.correction(candidates)
            if correction is not None:
                site, change = correction
                return _described(site, f"{change} the gradient is right")
            for index, uses in search.missing_paths(partial):
                site = self.graph.values[index].site
                return _described(site, self.missing_uses(uses))
        remaining = self.statements(suspects - self.graph.ancestors(partial))
        if remaining:
            candidates = remaining
        if not candidates:
            return self.wrong_return()
        if len({value.site for value in candidates}) > MOST_STATEMENTS:
            return None
        first = candidates[0]
        if self.is_right_elsewhere(first):
            first = self.graph.calls.get(first.caller, first)
        return _described(first.site)

    def statements(self, suspects: set[int]) -> list[Value]:
        """Return the suspects that are results of statements, in the order of execution."""
        statements = []
        for index in sorted(suspects):
            value = self.graph.values[index]
            if value.is_whole:
                statements.append(value)
        return statements

    def missing_uses(self, uses: tuple[int, ...]):
        """Describe the uses of a value whose derivatives are missing."""
        texts = []
        for use in uses:
            node = self.graph.values[use].site.node
            texts.append(f"`{ast.unparse(node)}` (line {node.lineno})")
        return f"the derivative through {' and '.join(texts)} is missing"

    def is_right_elsewhere(self, value: Value):
        """Return whether the statement computed right values in another call of its function."""
        callers = {value.caller}
        for index in self.search.right:
            right_value = self.graph.values[index]
            if right_value.site is value.site:
                callers.add(right_value.caller)
        return len(callers) > 1

    def wrong_return(self) -> WrongLine | None:
        """Return the statement that returns a right value as the gradient of another parameter."""
        pieces = self.search.pieces
        right = set()
        for piece in pieces:
            if not piece.is_wrong:
                right.add(piece.value)
        for piece in self.search.wrong:
            site = self.graph.returned.get(piece.value)
            if piece.joined is not None:
                site = self.graph.values[piece.joined].site
            if self.graph.values[piece.value].is_name and piece.value not in right:
                site = self.graph.values[piece.value].site
            if site is not None:
                return _described(site, f"it is not the gradient of {piece.name}")
        return None

    # ------------------------------------------------------------ corrections

    def correction(self, candidates: list[Value]) -> tuple[Site, Change] | None:
        """Return a changed statement that makes the gradient right, or None."""
        runs = self.search.runs
        untested = []
        multiples = []
        for value, proposals in self.proposals(candidates):
            codes = [change.code for change in proposals]
            results = []
            runs.with_code(self.number(value.site), codes, results)
            scaled = []
            for change, result in zip(proposals, results, strict=False):
                factor = _factor(result, value.array)
                is_divided = np.isclose(factor * np.array(runs.point.rows), 1).any()
                if self.search.matches(result, self.search.factors) and not is_divided:
                    if self.is_corrected(value.site, change):
                        return value.site, change
                elif factor:
                    scaled.append((value.site, change))
                else:
                    untested.append((value.site, change))
            multiples[:0] = scaled[:MOST_MULTIPLES]
        # a factor may be missing in any statement: the last one is most likely
        for site, change in multiples + untested:
            if self.is_corrected(site, change):
                return site, change
        return None

    def proposals(
        self, candidates: list[Value]
    ) -> Iterator[tuple[Value, list[Change]]]:
        """Yield the suspicious statements, and those that call their functions, with their changes."""
        callers = [self.graph.calls.get(value.caller) for value in candidates]
        sites = set()
        for value in (*candidates, *filter(None, callers)):
            site = value.site
            if site in sites:
                continue
            if not site.is_root:
                continue
            sites.add(site)
            proposals = {}
            for change in changes(
                site.node,
                site.statement,
                shapes=scope(value.names),
                shape=value.array.shape,
            ):
                proposals.setdefault(ast.unparse(change.node), change)
            yield value, list(proposals.values())

    def number(self, site: Site):
        return self.search.runs.rewriting.sites.index(site)

    def is_corrected(self, site: Site, change: Change):
        """Return whether the gradient is right with a changed statement."""
        gradient = self.search.runs.with_code(self.number(site), [change.code])
        with suppress(TypeError, ValueError):
            vector = self.search.flat(gradient)
            return self.search.is_right(vector, self.search.pieces)
        return False


def _described(site: Site, explanation: str = "") -> WrongLine:
    """Describe a wrong statement."""
    line = (site.statement if site.is_store else site.node).lineno
    text = linecache.getline(site.file, line).strip()
    return WrongLine(site.file, line, statement=text, explanation=explanation)


def _factor(result, array: ndarray) -> float:
    """Return the ratio of a result to an array if it is constant, or 0."""
    if not is_number(result):
        return 0.0
    if np.shape(result) != array.shape:
        return 0.0
    factor = float(np.sum(result * array) / max(np.sum(array * array), 1e-300))
    is_multiple = np.allclose(result, factor * array, rtol=1e-9, atol=0)
    return factor if is_multiple else 0.0
