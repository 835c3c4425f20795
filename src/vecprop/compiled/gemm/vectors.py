"""Vector instructions for blocks of matrices that stay in registers.

Numba does not compile loops such that the sums of a block, or a transpose, stay in registers. The instructions are
therefore generated here. Columns beyond the edge of a matrix are masked. Rows beyond the edge repeat the last row and
are stored at its address, because row masks would add instructions to the inner loop.
"""

from collections.abc import Callable, Sequence
from functools import cache
from inspect import signature
from typing import Any, TypeAlias

import numpy as np
from llvmlite import ir
from numba import types

from ..jit import intrinsic
from ..jit.numba_internals import features, has_wide_vectors

PREFETCH_BYTES = 1024
"""The prefetch distance in packed matrices; prefetching helps because panels and C evict each other from the cache."""

Value: TypeAlias = Any
"""The result of an instruction; the annotations of llvmlite do not declare its attribute `type`."""

_WORD, _INTEGER, _BIT = ir.IntType(64), ir.IntType(32), ir.IntType(1)


@cache
def vector_bytes() -> int:
    """Return the vector size in bytes: 64 or 32. The compiler splits vectors that the processor does not support."""
    return 64 if "avx512f" in features() else 32


class _Vectors:
    """Generate instructions on vectors of ``lanes`` numbers of type F."""

    def __init__(self, builder: ir.IRBuilder, F: type, lanes: int) -> None:
        self.builder, self.lanes, self.size = builder, lanes, np.dtype(F).itemsize
        self.number = ir.FloatType() if F is np.float32 else ir.DoubleType()
        self.vector = ir.VectorType(self.number, lanes)
        self.name = f"v{lanes}f{8 * self.size}"
        self.zero = ir.Constant(self.vector, [0.0] * lanes)
        self.all_lanes = ir.Constant(ir.VectorType(_BIT, lanes), [1] * lanes)

    def _call(self, name: str, result: ir.Type, *arguments: Value) -> Value:
        module, kinds = self.builder.module, [argument.type for argument in arguments]
        function = module.globals.get(name) or ir.Function(module, ir.FunctionType(result, kinds), name)
        return self.builder.call(function, arguments)

    def after(self, address: Value, vectors: int) -> Value:
        """Return the address that lies this number of vectors after another."""
        return self.builder.add(address, _WORD(vectors * self.lanes * self.size))

    def rows(self, address: Value, stride: Value, count: int, total: Value, first: int = 0) -> list[Value]:
        """Return the addresses of ``count`` rows, starting at `first`; rows beyond the last get the last address."""
        return [self.builder.add(address, self.builder.mul(row, stride)) for row in self._clamped(first, count, total)]

    def indexed_rows(
        self, address: Value, stride: Value, count: int, total: Value, indices: Value, first: int = 0
    ) -> list[Value]:
        """Return the addresses of the rows whose indices are stored in an array, starting at entry `first`."""
        entries = self.rows(indices, _WORD(8), count, total, first)
        rows = [self.builder.load(self._pointer(entry, _WORD)) for entry in entries]
        return [self.builder.add(address, self.builder.mul(row, stride)) for row in rows]

    def row_of_column(self, address: Value, stride: Value, column_at: Value) -> Value:
        """Return the address of the row whose index is the 4-byte integer at `column_at`."""
        column = self.builder.sext(self.builder.load(self._pointer(column_at, _INTEGER)), _WORD)
        return self.builder.add(address, self.builder.mul(column, stride))

    def _clamped(self, first: int, count: int, total: Value) -> list[Value]:
        """Return ``count`` row indices, starting at `first` and limited to the last row."""
        last, rows = self.builder.sub(total, _WORD(1)), [_WORD(row) for row in range(first, first + count)]
        return [self.builder.select(self.builder.icmp_signed("<", row, last), row, last) for row in rows]

    def _pointer(self, address: Value, kind: ir.Type) -> Value:
        return self.builder.inttoptr(address, kind.as_pointer())

    def broadcast(self, value: Value) -> Value:
        """Return a vector with one value in all lanes."""
        kind = ir.VectorType(value.type, self.lanes)
        one = self.builder.insert_element(ir.Constant(kind, ir.Undefined), value, _INTEGER(0))
        return self.shuffle(one, one, [0] * self.lanes)

    def shuffle(self, a: Value, b: Value, places: Sequence[int]) -> Value:
        """Return the elements at these positions of the concatenation of two vectors."""
        return self.builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_INTEGER, self.lanes), list(places)))

    def exchange(self, a: Value, b: Value, part: int) -> tuple[Value, Value]:
        """Exchange parts of two vectors: for 4 lanes and `part` 2, return [a0 a1 b0 b1] and [a2 a3 b2 b3]."""
        lanes, odd = range(self.lanes), [bool(lane & part) for lane in range(self.lanes)]
        first = [lane + (self.lanes - part) * odd[lane] for lane in lanes]
        return self.shuffle(a, b, first), self.shuffle(a, b, [place + part for place in first])

    def mask_below(self, first: int, count: Value) -> Value:
        """Return a mask of the lanes whose index plus `first` is below a count."""
        numbers = ir.Constant(ir.VectorType(_INTEGER, self.lanes), list(range(first, first + self.lanes)))
        return self.builder.icmp_signed("<", numbers, self.broadcast(self.builder.trunc(count, _INTEGER)))

    def broadcast_from(self, address: Value) -> Value:
        """Return a vector with the number at an address in all lanes."""
        return self.broadcast(self.builder.load(self._pointer(address, self.number)))

    def load(self, address: Value, mask: Value) -> Value:
        """Load the elements under a mask; the other lanes are 0."""
        place, align = self._pointer(address, self.vector), _INTEGER(self.size)
        return self._call(f"llvm.masked.load.{self.name}.p0", self.vector, place, align, mask, self.zero)

    def store(self, value: Value, address: Value, mask: Value) -> None:
        """Store the elements under a mask."""
        place, align = self._pointer(address, self.vector), _INTEGER(self.size)
        self._call(f"llvm.masked.store.{self.name}.p0", ir.VoidType(), value, place, align, mask)

    def prefetch(self, address: Value, to_write: bool = False) -> None:
        """Prefetch the cache line at an address."""
        arguments = self._pointer(address, ir.IntType(8)), *(_INTEGER(switch) for switch in (int(to_write), 3, 1))
        self._call("llvm.prefetch.p0", ir.VoidType(), *arguments)

    def multiply_add(self, a: Value, b: Value, c: Value) -> Value:
        """Return a b + c, rounded once, or rounded twice if the processor has no fused multiply-add."""
        if not has_wide_vectors():
            return self.builder.fadd(self.builder.fmul(a, b), c)
        return self._call(f"llvm.fma.{self.name}", self.vector, a, b, c)

    def repeat(self, count: Value, start: list[Value], body: Callable[[list[Value]], list[Value]]) -> list[Value]:
        """Apply a function to values ``count`` times, and return the last results."""
        builder, before = self.builder, self.builder.block
        loop, after = builder.append_basic_block("loop"), builder.append_basic_block("after")
        builder.cbranch(builder.icmp_signed(">", count, _WORD(0)), loop, after)
        builder.position_at_end(loop)
        left, *values = phis = [builder.phi(value.type) for value in (count, *start)]
        results = [builder.sub(left, _WORD(1)), *body(values)]
        for phi, first, result in zip(phis, (count, *start), results, strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(result, loop)
        builder.cbranch(builder.icmp_signed(">", results[0], _WORD(0)), loop, after)
        builder.position_at_end(after)
        out = []
        for first, result in zip(start, results[1:], strict=True):
            out.append(builder.phi(first.type))
            out[-1].add_incoming(first, before)
            out[-1].add_incoming(result, loop)
        return out

    def add_products(
        self,
        K: Value,
        A: Value,
        A_offsets: list[Value],
        A_k: Value,
        B: Value,
        B_k: Value,
        masks: list[Value],
        sums: list[Value],
        prefetch: int = 0,
    ) -> list[Value]:
        """Add the products of K columns of A with K rows of B to the sums of a block, and return the sums.

        Rows of A start ``A_offsets`` bytes after the address of A, and rows of B are loaded under masks. `prefetch` is
        the prefetch distance in bytes.
        """

        def add_column_times_row(values: list[Value]) -> list[Value]:
            A_at, B_at, *sums = values
            B_row = [self.load(self.after(B_at, n), mask) for n, mask in enumerate(masks)]
            for at in (A_at, *(self.after(B_at, n) for n in range(len(B_row)))) if prefetch else ():
                self.prefetch(self.builder.add(at, _WORD(prefetch)))
            left, results = iter(sums), []
            for offset in A_offsets:  # use each element of A immediately, because no registers are left
                a = self.broadcast_from(self.builder.add(offset, A_at))
                results += [self.multiply_add(a, b, next(left)) for b in B_row]
            return [self.builder.add(A_at, A_k), self.builder.add(B_at, B_k), *results]

        return self.repeat(K, [A, B, *sums], add_column_times_row)[2:]


def _block(F: type, lanes: int, generate: Any) -> Any:
    """Return a function of words whose instructions are generated by generate(vectors, *words)."""

    def block(typing: Any, *words: Any) -> Any:
        def instructions(context: Any, builder: ir.IRBuilder, called: Any, values: Sequence[Value]) -> Value:
            generate(_Vectors(builder, F, lanes), *values)
            return context.get_dummy_value()

        return types.void(*[types.intp] * len(words)), instructions

    block.__signature__ = signature(generate)  # otherwise Numba would pass the words as a tuple
    return intrinsic(block)


def product_block(F: type, lanes: int, rows: int, vectors: int) -> Any:
    """Return a function that computes a block of C = A B, or C += A B, given addresses and strides in bytes."""

    def generate(v, M, N, K, A, A_m, A_k, B, B_k, C, C_m, add):
        builder, places = v.builder, [(m, n) for m in range(rows) for n in range(vectors)]
        inside = [v.mask_below(lanes * n, N) for n in range(vectors)]
        A_rows, C_rows = v.rows(A, A_m, rows, M), v.rows(C, C_m, rows, M)
        C_at = [v.after(row, n) for row in C_rows for n in range(vectors)]
        adds = v.broadcast(builder.icmp_signed("!=", add, _WORD(0)))
        if_adding = [builder.and_(mask, adds) for mask in inside]
        sums = [v.load(at, if_adding[n]) for at, (_, n) in zip(C_at, places, strict=True)]

        sums = v.add_products(K, _WORD(0), A_rows, A_k, B, B_k, inside, sums)
        for sum, at, (_, n) in zip(sums, C_at, places, strict=True):
            v.store(sum, at, inside[n])

    return _block(F, lanes, generate)


def packed_block(F: type, lanes: int, rows: int, vectors: int, whole: bool) -> Any:
    """Return a function like `product_block` for packed panels; complete blocks need no masks."""

    def generate(v, M, N, K, A, B, C, C_m, add):
        builder, places = v.builder, [(m, n) for m in range(rows) for n in range(vectors)]
        C_at = [v.after(builder.add(C, builder.mul(_WORD(m), C_m)), n) for m, n in places]
        for at in C_at:
            v.prefetch(at, to_write=True)
        A_offsets = [_WORD(m * v.size) for m in range(rows)]
        strides = _WORD(rows * v.size), B, _WORD(vectors * lanes * v.size)
        every, zeros = [v.all_lanes] * vectors, [v.zero] * len(places)
        sums = v.add_products(K, A, A_offsets, *strides, every, zeros, PREFETCH_BYTES)
        masks = [v.all_lanes] * len(places)
        if not whole:  # mask rows, too, because a panel is uninitialized beyond the last row
            there = [v.broadcast(builder.icmp_signed("<", _WORD(m), M)) for m in range(rows)]
            inside = [v.mask_below(lanes * n, N) for n in range(vectors)]
            masks = [builder.and_(there[m], inside[n]) for m, n in places]
        with builder.if_else(builder.icmp_signed("!=", add, _WORD(0))) as (to_add, to_put):
            with to_add:
                for sum, at, mask in zip(sums, C_at, masks, strict=True):
                    v.store(builder.fadd(v.load(at, mask), sum), at, mask)
            with to_put:
                for sum, at, mask in zip(sums, C_at, masks, strict=True):
                    v.store(sum, at, mask)

    return _block(F, lanes, generate)


def copied_block(F: type, lanes: int, count: int) -> Any:
    """Return a function that copies ``count`` numbers from one address to another."""

    def generate(v, source, target):
        for n in range(-(-count // lanes)):
            mask = v.mask_below(lanes * n, _WORD(count))
            place, to = (v.after(argument, n) for argument in (source, target))
            v.store(v.load(place, mask), to, mask)

    return _block(F, lanes, generate)


def dots_block(F: type, lanes: int, columns: int) -> Any:
    """Return a function that computes a block of C = A Bᵀ, or C += A Bᵀ; the block has ``lanes`` elements.

    If the block has one column, C must also have one column, so that C is contiguous.
    """

    def generate(v, M, N, K, A, A_m, B, B_n, C, C_m, add):
        builder, rows = v.builder, lanes // columns
        A_rows, B_rows, C_rows = v.rows(A, A_m, rows, M), v.rows(B, B_n, columns, N), v.rows(C, C_m, rows, M)

        def add_parts(values):
            at, left, *sums = values
            inside = v.mask_below(0, left)
            A_parts = [v.load(builder.add(row, at), inside) for row in A_rows]
            B_parts = [v.load(builder.add(row, at), inside) for row in B_rows]
            pairs = [(a, b) for a in A_parts for b in B_parts]
            sums = [v.multiply_add(a, b, sum) for (a, b), sum in zip(pairs, sums, strict=True)]
            return [v.after(at, 1), builder.sub(left, _WORD(lanes)), *sums]

        times = builder.sdiv(builder.add(K, _WORD(lanes - 1)), _WORD(lanes))
        _, _, *sums = v.repeat(times, [_WORD(0), K, *[v.zero] * lanes], add_parts)
        # Reduce all vectors of sums at once. Two vectors exchange halves and are added, which gives one vector with
        # partial sums of both. This is repeated until one vector holds all totals:
        #   [a0 a1 a2 a3] [b0 b1 b2 b3]  ->  [a0 a1 b0 b1] + [a2 a3 b2 b3]
        while len(sums) > 1:
            half = len(sums) // 2
            pairs = zip(sums[:half], sums[half:], strict=True)
            sums = [builder.fadd(*v.exchange(first, second, half)) for first, second in pairs]
        (total,) = sums
        if columns == 1:  # C is contiguous
            inside = v.mask_below(0, M)
            if_adding = builder.and_(inside, v.broadcast(builder.icmp_signed("!=", add, _WORD(0))))
            v.store(builder.fadd(v.load(C, if_adding), total), C, inside)
            return
        inside = builder.and_(v.mask_below(0, N), v.mask_below(0, _WORD(columns)))
        if_adding = builder.and_(inside, v.broadcast(builder.icmp_signed("!=", add, _WORD(0))))
        before = [v.load(row, if_adding) for row in C_rows]
        for m, (row, old) in enumerate(zip(C_rows, before, strict=True)):
            places = [(m * columns + place) % lanes for place in range(lanes)]
            v.store(builder.fadd(old, v.shuffle(total, total, places)), row, inside)

    return _block(F, lanes, generate)


def summed_rows_block(F: type, lanes: int, vectors: int) -> Any:
    """Return a function that adds Σ_k a[k] B[columns[k]] to a part of a row y; columns contains K 4-byte integers."""

    def generate(v, N, K, a, columns, B, B_k, y):
        builder = v.builder
        places = [v.after(y, n) for n in range(vectors)]
        masks = [v.mask_below(lanes * n, N) for n in range(vectors)]

        def add_row(values):
            a_at, column_at, *sums = values
            element, row = v.broadcast_from(a_at), v.row_of_column(B, B_k, column_at)
            parts = [v.load(v.after(row, n), mask) for n, mask in enumerate(masks)]
            sums = [v.multiply_add(element, part, sum) for part, sum in zip(parts, sums, strict=True)]
            return [builder.add(a_at, _WORD(v.size)), builder.add(column_at, _WORD(4)), *sums]

        sums = [v.load(place, mask) for place, mask in zip(places, masks, strict=True)]
        for sum, place, mask in zip(v.repeat(K, [a, columns, *sums], add_row)[2:], places, masks, strict=True):
            v.store(sum, place, mask)

    return _block(F, lanes, generate)


def added_row_block(F: type, lanes: int, vectors: int) -> Any:
    """Return a function that adds a[k] y to B[columns[k]] for each k; y is part of a row, and columns may repeat."""

    def generate(v, N, K, a, columns, B, B_k, y):
        builder = v.builder
        masks = [v.mask_below(lanes * n, N) for n in range(vectors)]
        parts = [v.load(v.after(y, n), mask) for n, mask in enumerate(masks)]

        def add_to_row(values):
            a_at, column_at = values
            element, row = v.broadcast_from(a_at), v.row_of_column(B, B_k, column_at)
            for n, (part, mask) in enumerate(zip(parts, masks, strict=True)):
                place = v.after(row, n)
                v.store(v.multiply_add(element, part, v.load(place, mask)), place, mask)
            return [builder.add(a_at, _WORD(v.size)), builder.add(column_at, _WORD(4))]

        v.repeat(K, [a, columns], add_to_row)

    return _block(F, lanes, generate)


def transposed_block(F: type, lanes: int, indexed: bool) -> Any:
    """Return a function that stores the transpose of a block of A (M, N), or of selected rows of A, in B."""

    def generate(v, M, N, A, A_m, B, B_n, indices):
        columns = v.mask_below(0, N)
        places = v.indexed_rows(A, A_m, lanes, M, indices) if indexed else v.rows(A, A_m, lanes, M)
        rows = [v.load(place, columns) for place in places]
        for row in v.indexed_rows(A, A_m, lanes, M, indices, first=lanes) if indexed else ():
            v.prefetch(row)  # the hardware cannot predict the rows of the next block
        # Exchange halves first, then quarters, and so on down to single elements.
        part = lanes // 2
        while part:
            for m in [m for m in range(lanes) if not m & part]:
                rows[m], rows[m + part] = v.exchange(rows[m], rows[m + part], part)
            part //= 2
        columns = v.mask_below(0, M)
        # Store rows in reverse order: rows beyond the last have the address of the last row, which must be stored last.
        for row, address in reversed(list(zip(rows, v.rows(B, B_n, lanes, N), strict=True))):
            v.store(row, address, columns)

    return _block(F, lanes, generate)
