"""Find out which values of a backward pass are right."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy import ndarray

from ..points.function import random_signs, typical_size
from ..points.parameters import as_array, paired
from .runs import Runs, Slope
from .trace import is_number

MOST_MOVES = 110
"""The largest number of runs that move parameters and intermediate values."""

MOST_PATHS = 4
"""A value with more uses than this is not split into paths."""

NAMES = "d{0} d_{0} g{0} g_{0} grad_{0} {0}_grad delta_{0} dL_d{0} dL{0} {0}_bar"
"""Usual names of the derivative by a variable."""


@dataclass(eq=False)
class Move:
    """A direction along which a forward value moved, and the derivatives along it.

    ``value`` is the index of the value. ``paths`` are the derivatives through each use of
    the value, by the index of what uses it.
    """

    value: int
    direction: ndarray
    slope: Slope
    paths: dict[int, float]


@dataclass(eq=False)
class Piece:
    """Entries of the returned gradient that were computed together.

    ``indices`` are the indices of the entries in theta. ``value`` is the index of the value
    that contains them, and ``joined`` the index of the value that joins it with others.
    """

    name: str
    indices: ndarray
    value: int
    joined: int | None = None
    move: Any = None
    is_wrong: bool = False

    def product(self, gradient: ndarray):
        """Return the product of a gradient, (P,), and the direction of the piece."""
        return float(gradient[self.indices] @ self.move.direction.ravel())


class Search:
    """The values of a function, and facts about its backward pass."""

    def __init__(self, runs: Runs):
        self.runs = runs
        self.tolerance = 1e-8 if runs.is_complex else 1e-5
        self.factors = {1.0}
        self.moves: list[Move] = []
        self.right: set[int] = set()
        self.draw = np.random.default_rng(0)
        self.graph, value, gradient = runs.graph()
        values = self.graph.values
        roots = {self.graph.index(value)} - {None}
        self.forward = self.graph.ancestors(roots)
        events = set()
        for index in self.forward:
            event = values[index].event
            if event > 0:
                events.add(event)
        runs.wanted = frozenset(events)
        self.gradient = self.flat(gradient)
        self.pieces = list(self._pieces(gradient))
        self.wrong: list[Piece] = []
        backward = self.graph.ancestors(piece.value for piece in self.pieces)
        self.backward = backward - self.forward

    def flat(self, gradient) -> ndarray:
        """Return the gradient as a vector, (P,)."""
        vector = np.zeros(self.runs.point.theta.shape)
        for part, leaf in paired(gradient, self.runs.point.structure.tree, ()):
            vector[part.span] = np.asarray(as_array(leaf), float).reshape(-1)
        return vector

    # ------------------------------------------------------------ the returned gradient

    def _pieces(self, gradient) -> Iterator[Piece]:
        gradient_value = self.graph.index(gradient)
        for part, leaf in paired(gradient, self.runs.point.structure.tree, ()):
            indices = np.arange(part.start, part.span.stop)
            value = self.graph.index(leaf)
            if value is not None:
                yield from self._split(Piece(part.name, indices, value))
            elif gradient_value is not None:
                yield Piece(part.name, indices, gradient_value)

    def _split(self, piece: Piece) -> Iterator[Piece]:
        """Split a piece whose value joins other values."""
        values = self.graph.values
        value = values[piece.value]
        operands = [values[operand].array.ravel() for operand in value.operands]
        array = value.array.ravel()
        is_joined = len(operands) > (0 if not value.is_whole else 1)
        if is_joined and np.array_equal(np.concatenate(operands), array):
            ends = np.cumsum([operand.size for operand in operands])
            spans = np.split(piece.indices, ends[:-1])
            for operand, indices in zip(value.operands, spans, strict=True):
                yield from self._split(
                    Piece(piece.name, indices, operand, joined=piece.value)
                )
        else:
            yield piece

    def compare_pieces(self, wrong_names: set[str]):
        """Compare the returned gradient of wrong parts with derivatives along random directions."""
        point = self.runs.point
        moved = []
        for piece in self.pieces:
            sizes = typical_size(point.theta[piece.indices])
            direction = np.zeros(point.theta.shape)
            direction[piece.indices] = sizes * random_signs(
                self.draw, piece.indices.shape
            )
            slope = self.runs.slope(direction)
            if slope is None:
                continue
            piece.move = Move(-1, direction[piece.indices], slope, paths={})
            for index, part in enumerate(point.parts):
                extent = (piece.indices[0], piece.indices.size)
                if (part.start, part.size) == extent:
                    piece.move.value = index
            is_right = self.is_right(self.gradient, [piece])
            piece.is_wrong = not is_right and piece.name in wrong_names
            moved.append(piece)
        self.pieces = moved
        self.wrong = [piece for piece in moved if piece.is_wrong]

    def is_right(self, gradient: ndarray, pieces: Iterable[Piece]):
        """Return whether these pieces of a gradient agree with the derivatives."""
        for piece in pieces:
            products = gradient[piece.indices] * piece.move.direction
            if not self.is_near(products, piece.move.slope.value, {1.0}):
                return False
        return True

    def is_near(self, products: ndarray, derivative: float, factors: set[float]):
        """Return whether the sum of products is a derivative, up to accepted factors."""
        size = np.abs(products).sum()
        for factor in factors:
            gap = abs(products.sum() - factor * derivative)
            if gap <= self.tolerance * (size + abs(factor * derivative)):
                return True
        return False

    # ------------------------------------------------------------ intermediate values

    def move_intermediates(self):
        """Compute the derivatives by intermediate values, the last ones first."""
        values = self.graph.values
        parameters = {i for i, value in enumerate(values) if value.event < 0}
        order = []
        for index in self.forward - parameters:
            is_negative = type(values[index].site.node).__name__ == "UnaryOp"
            is_varying = self.graph.ancestors([index]) & parameters
            is_real = values[index].array.dtype.kind == "f"
            if is_varying and is_real and (values[index].is_whole or not is_negative):
                order.append(index)
        order.sort(key=lambda index: (values[index].is_whole, index), reverse=True)
        last_runs = self.runs.runs_left - MOST_MOVES
        for index in order:
            if self.runs.runs_left < last_runs:
                break
            array = values[index].array
            direction = typical_size(array) * random_signs(self.draw, array.shape)
            slope = self.runs.slope(event=values[index].event, change=direction)
            if getattr(slope, "value", 0):
                self.moves.append(Move(index, direction, slope, paths={}))

    def all_moves(self) -> list[Move]:
        """Return the moves of intermediate values and of pieces of the gradient."""
        return self.moves + [piece.move for piece in self.pieces]

    def matches(self, array, factors: set[float]) -> list[Move]:
        """Return the moves whose derivative agrees with an array."""
        moves = []
        if not is_number(array):
            return []
        for move in self.all_moves():
            if self.agrees(array, move, derivative=move.slope.value, factors=factors):
                moves.append(move)
        return moves

    def agrees(self, array, move: Move, *, derivative: float, factors: set[float]):
        """Return whether the product of an array and the direction of a move is a derivative."""
        products = _products(array, move.direction)
        if products is None or not derivative:
            return False
        return self.is_near(products, derivative, factors)

    def find_right_values(self):
        """Find backward values that are right, and the values they depend on."""
        self._find_right_values()
        values = self.graph.values
        for index in self.right:
            for move in self.moves:
                products = _products(values[index].array, move.direction)
                are_whole = [values[index].is_whole, values[move.value].is_whole]
                if products is not None and all(are_whole):
                    factor = float(products.sum() / move.slope.value)
                    simple = _nearest_simple(factor)
                    if abs(factor - simple) <= self.tolerance * abs(factor):
                        self.factors.add(simple)
        if len(self.factors) > 1:
            self._find_right_values()

    def _find_right_values(self):
        values = self.graph.values
        forward = {values[index].array.tobytes() for index in self.forward}
        wrong = {piece.value for piece in self.wrong}
        right = []
        for piece in self.pieces:
            if not piece.is_wrong:
                right.append(piece.value)
        for index in self.backward:
            factors = self.factors
            if index in wrong:
                factors = {1.0}
            moves = self.matches(values[index].array, factors)
            if self._is_misnamed(index, moves):
                continue
            names = [move for move in moves if self._is_of_statement(move)]
            # another name for a value must be the derivative by another value
            is_derivative = len(names) > 1 if values[index].is_name else bool(moves)
            is_copy = values[index].array.tobytes() in forward
            if is_derivative or (is_copy and index not in wrong):
                right.append(index)
        self.right = self.graph.ancestors(right) & self.backward

    def _is_misnamed(self, index: int, moves: list[Move]):
        """Return whether a value such as dz differs from the derivatives by all values z."""
        values = self.graph.values
        name = values[index].name
        namesakes = []
        for move in self.moves:
            forward_name = values[move.value].name
            if forward_name and name in [
                pattern.format(forward_name) for pattern in NAMES.split()
            ]:
                namesakes.append(move)
        return bool(namesakes) and not any(move in moves for move in namesakes)

    def _is_of_statement(self, move: Move):
        return move.value < 0 or self.graph.values[move.value].is_whole

    # ------------------------------------------------------------ paths

    def find_paths(self, move: Move):
        """Compute the derivatives through each use of a value, if it has several uses."""
        values = self.graph.values
        uses = []
        for index in sorted(self.forward):
            if move.value in values[index].operands:
                uses.append(index)
        if move.paths:
            return
        if not 2 <= len(uses) <= MOST_PATHS:
            return
        for index in uses:
            tangent = move.slope.values.get(values[index].event, np.zeros(1))
            scale = typical_size(values[index].array) / typical_size(tangent)
            slope = self.runs.slope(event=values[index].event, change=scale * tangent)
            if slope is not None:
                move.paths[index] = slope.value / scale

    def partial_derivatives(self, suspects: set[int]) -> set[int]:
        """Return suspects that are derivatives along some of the paths from a value."""
        partial = set()
        for move in self.all_moves():
            for index in suspects:
                array = self.graph.values[index].array
                if _products(array, move.direction) is None:
                    continue
                self.find_paths(move)
                for paths in _subsets(move.paths):
                    derivative = sum(move.paths[use] for use in paths)
                    if self.agrees(
                        array, move, derivative=derivative, factors=self.factors
                    ):
                        partial.add(index)
        return partial

    def missing_paths(self, partial: set[int]) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Yield incomplete derivatives that are used as if they were complete, and the missing uses."""
        for move in self.all_moves():
            products = {}
            for piece in self.wrong:
                if piece.move is move:
                    products[piece.value] = piece.product(self.gradient)
            for index in partial:
                array = self.graph.values[index].array
                if self._explains(array, move):
                    products[index] = float(array.ravel() @ move.direction.ravel())
            for index, product in products.items():
                self.find_paths(move)
                for paths in _subsets(move.paths):
                    missing = np.array([product, *map(move.paths.get, paths)])
                    if self.is_near(missing, move.slope.value, {1.0}):
                        yield index, paths

    # ------------------------------------------------------------ suspects

    def suspects(self) -> set[int]:
        """Return the values that all wrong gradients are computed from and that are not known to be right."""
        sets = []
        for piece in self.wrong:
            ancestors = self.graph.ancestors([piece.value]) & self.backward
            sets.append(ancestors - self.right)
        common = set.intersection(*sets)
        if not any(self.graph.values[index].is_whole for index in common):
            common = min(sets, key=lambda indices: min(indices, default=np.inf))
        for index in sorted(common):
            # what follows from a value as the derivative by a forward value is right
            array = self.graph.values[index].array
            if any(self._explains(array, move) for move in self.moves):
                narrowed = common & self.graph.ancestors([index])
                return narrowed | {
                    second for second in common if self._are_together(second, index)
                }
        return common

    def _are_together(self, index: int, second: int):
        """Return whether two values belong to the same execution of a statement."""
        values = [self.graph.values[index], self.graph.values[second]]
        statements = {value.site.statement for value in values}
        return values[0].is_whole and len(statements) == 1 and index >= second

    def _explains(self, array: ndarray, move: Move):
        """Return whether the wrong gradients follow from an array as the derivative by a forward value."""
        event = self.graph.values[move.value].event
        for piece in self.wrong:
            tangent = piece.move.slope.values.get(event)
            products = None if tangent is None else _products(array, tangent)
            if products is None or not tangent.any():
                return False
            product = piece.product(self.gradient)
            if not self.is_near(products, product, self.factors):
                return False
        return True


def _products(array, direction: ndarray) -> ndarray | None:
    """Return the products of the entries of two arrays, or None if their shapes differ."""
    if np.squeeze(array).shape != np.squeeze(direction).shape:
        return None
    return np.ravel(array) * np.ravel(direction)


def _subsets(items: Iterable[int]) -> Iterator[tuple[int, ...]]:
    """Yield the subsets of items that are neither empty nor complete."""
    items = tuple(items)
    for count in range(1, len(items)):
        yield from combinations(items, count)


def _nearest_simple(factor: float):
    """Return the nearest multiple of 1/2, or the inverse of one."""
    if not 1e-3 < abs(factor) < 1e3:
        return 0.0
    if abs(factor) < 1:
        return 1 / (round(2 / factor) / 2)
    return round(2 * factor) / 2
