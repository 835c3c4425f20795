"""Instructions on the processor's vectors, for blocks of matrices that stay in its registers.

Numba's loops are never compiled to a block of sums that stays in registers, nor to a transposition inside them; so
these are written out instruction by instruction. Masks stand for what a block has beyond a matrix's edges.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from llvmlite import binding, ir
from numba import types

from ..jit.intrinsics import intrinsic

AHEAD = 1024
"""How many bytes ahead of a block's products packed matrices are fetched: panels and C leave no room for each other."""

Value: TypeAlias = Any
"""What an instruction gives: llvmlite's own types do not say that it has a type."""

_WORD, _INTEGER, _BIT = ir.IntType(64), ir.IntType(32), ir.IntType(1)


@cache
def vector_bytes() -> int:
    """Return how many bytes the processor's vectors have: at least 32 where masks cost nothing, else 16."""
    features = binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 64
    return 32 if features.get("avx2") and features.get("fma") else 16


class _Vectors:
    """What generates instructions on vectors of so many numbers of type F."""

    def __init__(self, builder: ir.IRBuilder, F: type, lanes: int) -> None:
        self.builder, self.lanes, self.size = builder, lanes, np.dtype(F).itemsize
        self.number = ir.FloatType() if F is np.float32 else ir.DoubleType()
        self.vector = ir.VectorType(self.number, lanes)
        self.name = f"v{lanes}f{8 * self.size}"
        self.zero = ir.Constant(self.vector, [0.0] * lanes)
        self.every = ir.Constant(ir.VectorType(_BIT, lanes), [1] * lanes)

    def _call(self, name: str, result: ir.Type, *arguments: Value) -> Value:
        module, kinds = self.builder.module, [argument.type for argument in arguments]
        function = module.globals.get(name) or ir.Function(module, ir.FunctionType(result, kinds), name)
        return self.builder.call(function, arguments)

    def after(self, address: Value, vectors: int) -> Value:
        """Return the address so many vectors further on."""
        return self.builder.add(address, _WORD(vectors * self.lanes * self.size))

    def rows(self, address: Value, step: Value, count: int, there_are: Value, first: int = 0) -> list[Value]:
        """Return the addresses of so many rows that lie a step of bytes apart; beyond the last row its own again."""
        numbers = self._numbers(first, count, there_are)
        return [self.builder.add(address, self.builder.mul(row, step)) for row in numbers]

    def numbered_rows(
        self, address: Value, step: Value, count: int, there_are: Value, numbers: Value, first: int = 0
    ) -> list[Value]:
        """Return the addresses of so many rows, from a first one on, whose numbers stand at an address."""
        addresses = self.rows(numbers, _WORD(8), count, there_are, first)
        of_rows = [self.builder.load(self._pointer(number, _WORD)) for number in addresses]
        return [self.builder.add(address, self.builder.mul(row, step)) for row in of_rows]

    def _numbers(self, first: int, count: int, there_are: Value) -> list[Value]:
        """Return so many numbers of rows, from the first on as far as there are rows, and then the last again."""
        last = self.builder.sub(there_are, _WORD(1))
        return [
            self.builder.select(self.builder.icmp_signed("<", _WORD(row), last), _WORD(row), last)
            for row in range(first, first + count)
        ]

    def _pointer(self, address: Value, kind: ir.Type) -> Value:
        return self.builder.inttoptr(address, kind.as_pointer())

    def all(self, value: Value) -> Value:
        """Return a vector of one value."""
        kind = ir.VectorType(value.type, self.lanes)
        one = self.builder.insert_element(ir.Constant(kind, ir.Undefined), value, _INTEGER(0))
        return self.pick(one, one, [0] * self.lanes)

    def pick(self, a: Value, b: Value, places: Sequence[int]) -> Value:
        """Return the elements at these places of two vectors, counted on from the first to the second."""
        return self.builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_INTEGER, self.lanes), list(places)))

    def exchange(self, a: Value, b: Value, distance: int) -> tuple[Value, Value]:
        """Return two vectors after every other part of a, of so many elements, has changed places with one of b.

        As rows of a matrix of two by two parts they are transposed: a's second part for b's first, and so on.
        """
        inside, odd = range(self.lanes), [bool(place & distance) for place in range(self.lanes)]
        first = [place + (self.lanes - distance) * odd[place] for place in inside]
        return self.pick(a, b, first), self.pick(a, b, [place + distance for place in first])

    def below(self, first: int, count: Value) -> Value:
        """Return which of a vector's elements, numbered from first on, are below a count."""
        numbers = ir.Constant(ir.VectorType(_INTEGER, self.lanes), list(range(first, first + self.lanes)))
        return self.builder.icmp_signed("<", numbers, self.all(self.builder.trunc(count, _INTEGER)))

    def number_at(self, address: Value) -> Value:
        """Return the number at an address, for each element."""
        return self.all(self.builder.load(self._pointer(address, self.number)))

    def load(self, address: Value, mask: Value) -> Value:
        """Return the elements of a mask, and 0 for others."""
        place, align = self._pointer(address, self.vector), _INTEGER(self.size)
        return self._call(f"llvm.masked.load.{self.name}.p0", self.vector, place, align, mask, self.zero)

    def store(self, value: Value, address: Value, mask: Value) -> None:
        """Store the elements of a mask."""
        place, align = self._pointer(address, self.vector), _INTEGER(self.size)
        self._call(f"llvm.masked.store.{self.name}.p0", ir.VoidType(), value, place, align, mask)

    def prefetch(self, address: Value, to_write: bool = False) -> None:
        """Have what stands at an address come near."""
        arguments = self._pointer(address, ir.IntType(8)), *(_INTEGER(switch) for switch in (int(to_write), 3, 1))
        self._call("llvm.prefetch.p0", ir.VoidType(), *arguments)

    def multiply_add(self, a: Value, b: Value, c: Value) -> Value:
        """Return a b + c, rounded once."""
        return self._call(f"llvm.fma.{self.name}", self.vector, a, b, c)

    def repeat(self, count: Value, start: list[Value], body: Callable[[list[Value]], list[Value]]) -> list[Value]:
        """Apply a body to values so many times; return what comes out."""
        builder, before = self.builder, self.builder.block
        inside, behind = builder.append_basic_block("inside"), builder.append_basic_block("behind")
        builder.cbranch(builder.icmp_signed(">", count, _WORD(0)), inside, behind)
        builder.position_at_end(inside)
        left, *values = phis = [builder.phi(value.type) for value in (count, *start)]
        results = [builder.sub(left, _WORD(1)), *body(values)]
        for phi, first, result in zip(phis, (count, *start), results, strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(result, inside)
        builder.cbranch(builder.icmp_signed(">", results[0], _WORD(0)), inside, behind)
        builder.position_at_end(behind)
        out = []
        for first, result in zip(start, results[1:], strict=True):
            out.append(builder.phi(first.type))
            out[-1].add_incoming(first, before)
            out[-1].add_incoming(result, inside)
        return out

    def multiplied(
        self,
        K: Value,
        A: Value,
        A_rows: list[Value],
        A_k: Value,
        B: Value,
        B_k: Value,
        inside: list[Value],
        sums: list[Value],
        ahead: int = 0,
    ) -> list[Value]:
        """Return sums, by rows, to which the products of K columns of A with rows of B are added, those of the masks.

        The rows of A lie so many bytes from its address. What is so many bytes ahead comes near.
        """

        def add_column_times_row(values: list[Value]) -> list[Value]:
            A_at, B_at, *sums = values
            B_row = [self.load(self.after(B_at, n), mask) for n, mask in enumerate(inside)]
            for at in (A_at, *(self.after(B_at, n) for n in range(len(B_row)))) if ahead else ():
                self.prefetch(self.builder.add(at, _WORD(ahead)))
            left, results = iter(sums), []
            for row in A_rows:  # one after the other, for there is no register for each
                a = self.number_at(self.builder.add(row, A_at))
                results += [self.multiply_add(a, b, next(left)) for b in B_row]
            return [self.builder.add(A_at, A_k), self.builder.add(B_at, B_k), *results]

        return self.repeat(K, [A, B, *sums], add_column_times_row)[2:]


def product_block(F: type, lanes: int, rows: int, vectors: int) -> Any:
    """Return what adds A B to a block of C, which has at most so many rows and vectors in each, or puts it there.

    It is called with M, N, K, A, the steps from row to row and from column to column of A, B, its step from row to
    row, C, its step and whether to add: for C (M, N), A (M, K) and B (K, N), addresses and steps in bytes.
    """

    @intrinsic
    def block(typing, M, N, K, A, A_m, A_k, B, B_k, C, C_m, add):
        def generate(context, builder, signature, arguments):
            M, N, K, A, A_m, A_k, B, B_k, C, C_m, add = arguments
            v, places = _Vectors(builder, F, lanes), [(m, n) for m in range(rows) for n in range(vectors)]
            inside = [v.below(lanes * n, N) for n in range(vectors)]
            # Beyond the last row it is computed once more, and stored in its place.
            A_rows, C_rows = v.rows(A, A_m, rows, M), v.rows(C, C_m, rows, M)
            C_at = [v.after(row, n) for row in C_rows for n in range(vectors)]
            adds = v.all(builder.icmp_signed("!=", add, _WORD(0)))
            if_adding = [builder.and_(mask, adds) for mask in inside]
            sums = [v.load(at, if_adding[n]) for at, (_, n) in zip(C_at, places, strict=True)]

            sums = v.multiplied(K, _WORD(0), A_rows, A_k, B, B_k, inside, sums)
            for sum, at, (_, n) in zip(sums, C_at, places, strict=True):
                v.store(sum, at, inside[n])
            return context.get_dummy_value()

        return types.void(*[types.intp] * 11), generate

    return block


def packed_block(F: type, lanes: int, rows: int, vectors: int, whole: bool) -> Any:
    """Return what `product_block` does, for panels of so many rows of A and so many vectors of B that are packed.

    It is called with M, N, K, A, B, C, its step and whether to add. A whole block has all rows and vectors.
    """

    @intrinsic
    def block(typing, M, N, K, A, B, C, C_m, add):
        def generate(context, builder, signature, arguments):
            M, N, K, A, B, C, C_m, add = arguments
            v, places = _Vectors(builder, F, lanes), [(m, n) for m in range(rows) for n in range(vectors)]
            C_at = [v.after(builder.add(C, builder.mul(_WORD(m), C_m)), n) for m, n in places]
            for at in C_at:
                v.prefetch(at, to_write=True)
            A_rows = [_WORD(m * v.size) for m in range(rows)]
            steps = _WORD(rows * v.size), B, _WORD(vectors * lanes * v.size)
            sums = v.multiplied(K, A, A_rows, *steps, [v.every] * vectors, [v.zero] * len(places), AHEAD)
            masks = [v.every] * len(places)
            if not whole:
                there = [v.all(builder.icmp_signed("<", _WORD(m), M)) for m in range(rows)]
                inside = [v.below(lanes * n, N) for n in range(vectors)]
                masks = [builder.and_(there[m], inside[n]) for m, n in places]
            with builder.if_else(builder.icmp_signed("!=", add, _WORD(0))) as (to_add, to_put):
                with to_add:
                    for sum, at, mask in zip(sums, C_at, masks, strict=True):
                        v.store(builder.fadd(v.load(at, mask), sum), at, mask)
                with to_put:
                    for sum, at, mask in zip(sums, C_at, masks, strict=True):
                        v.store(sum, at, mask)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 8), generate

    return block


def copied_block(F: type, lanes: int, count: int) -> Any:
    """Return what copies so many numbers from one address to another."""

    @intrinsic
    def block(typing, place, to):
        def generate(context, builder, signature, arguments):
            v = _Vectors(builder, F, lanes)
            for n in range(-(-count // lanes)):
                mask = v.below(lanes * n, _WORD(count))
                place, to = (v.after(argument, n) for argument in arguments)
                v.store(v.load(place, mask), to, mask)
            return context.get_dummy_value()

        return types.void(types.intp, types.intp), generate

    return block


def dots_block(F: type, lanes: int, columns: int) -> Any:
    """Return what adds A Bᵀ to a block of C with so many columns and a vector's elements, or puts it there.

    It is called with M, N, K, A, its step from row to row, B, its step, C, its step and whether to add: for C (M, N), A
    (M, K) and B (N, K), addresses and steps in bytes. A single column is all of C.
    """

    @intrinsic
    def block(typing, M, N, K, A, A_m, B, B_n, C, C_m, add):
        def generate(context, builder, signature, arguments):
            M, N, K, A, A_m, B, B_n, C, C_m, add = arguments
            v, rows = _Vectors(builder, F, lanes), lanes // columns
            A_rows, B_rows, C_rows = v.rows(A, A_m, rows, M), v.rows(B, B_n, columns, N), v.rows(C, C_m, rows, M)

            def add_products(values):
                at, left, *sums = values
                inside = v.below(0, left)
                A_parts, B_parts = (
                    [v.load(builder.add(row, at), inside) for row in rows_of] for rows_of in (A_rows, B_rows)
                )
                pairs = [(a, b) for a in A_parts for b in B_parts]
                sums = [v.multiply_add(a, b, sum) for (a, b), sum in zip(pairs, sums, strict=True)]
                return [v.after(at, 1), builder.sub(left, _WORD(lanes)), *sums]

            times = builder.sdiv(builder.add(K, _WORD(lanes - 1)), _WORD(lanes))
            _, _, *sums = v.repeat(times, [_WORD(0), K, *[v.zero] * lanes], add_products)
            # Each vector's elements are summed, all at once: what is left of two vectors exchanges halves and is added.
            while len(sums) > 1:
                half = len(sums) // 2
                sums = [
                    builder.fadd(*v.exchange(first, second, half))
                    for first, second in zip(sums[:half], sums[half:], strict=True)
                ]
            (total,) = sums
            if columns == 1:  # C is contiguous
                inside = v.below(0, M)
                if_adding = builder.and_(inside, v.all(builder.icmp_signed("!=", add, _WORD(0))))
                v.store(builder.fadd(v.load(C, if_adding), total), C, inside)
                return context.get_dummy_value()
            inside = builder.and_(v.below(0, N), v.below(0, _WORD(columns)))
            if_adding = builder.and_(inside, v.all(builder.icmp_signed("!=", add, _WORD(0))))
            before = [v.load(row, if_adding) for row in C_rows]
            # Beyond the last row it is computed once more, and stored in its place.
            for m, (row, old) in enumerate(zip(C_rows, before, strict=True)):
                places = [(m * columns + place) % lanes for place in range(lanes)]
                v.store(builder.fadd(old, v.pick(total, total, places)), row, inside)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 10), generate

    return block


def transposed_block(F: type, lanes: int, numbered: bool) -> Any:
    """Return what puts the transpose of a block of A into B, of at most so many rows and columns.

    It is called with M, N, A, its step from row to row, B, its step and, where rows are numbered, the address of the
    rows' numbers: for A (M, N) and B (N, M), addresses and steps in bytes.
    """

    def generate(context, builder, signature, arguments):
        M, N, A, A_m, B, B_n, *numbers = arguments
        v = _Vectors(builder, F, lanes)
        of_rows = v.numbered_rows if numbered else v.rows
        columns = v.below(0, N)
        rows = [v.load(row, columns) for row in of_rows(A, A_m, lanes, M, *numbers)]
        for row in v.numbered_rows(A, A_m, lanes, M, *numbers, first=lanes) if numbered else ():
            v.prefetch(row)  # those of the next block lie anywhere
        # Blocks of blocks are transposed, from large ones to single elements.
        distance = lanes // 2
        while distance:
            for m in [m for m in range(lanes) if not m & distance]:
                rows[m], rows[m + distance] = v.exchange(rows[m], rows[m + distance], distance)
            distance //= 2
        columns = v.below(0, M)
        # Backwards, since the addresses beyond the last row are its own.
        for row, address in reversed(list(zip(rows, v.rows(B, B_n, lanes, N), strict=True))):
            v.store(row, address, columns)
        return context.get_dummy_value()

    if numbered:

        @intrinsic
        def numbered_block(typing, M, N, A, A_m, B, B_n, numbers):
            return types.void(*[types.intp] * 7), generate

        return numbered_block

    @intrinsic
    def block(typing, M, N, A, A_m, B, B_n):
        return types.void(*[types.intp] * 6), generate

    return block
