"""Vector instructions for blocks of matrices that stay in registers.

Numba does not compile loops such that the sums of a block, or a transpose, stay in
registers. The instructions are therefore generated here. Columns beyond the edge of a
matrix are masked. Rows beyond the edge repeat the last row and are stored at its
address, because row masks would add instructions to the inner loop.
"""

from functools import cache
from inspect import signature

import numpy as np
from llvmlite import ir
from numba import types

from ..jit import intrinsic
from ..jit.numba_internals import features, has_wide_vectors

PREFETCH_BYTES = 1024
"""The prefetch distance in packed matrices; prefetching helps because panels and C
evict each other from the cache.
"""

_WORD = ir.IntType(64)
_INTEGER = ir.IntType(32)
_BIT = ir.IntType(1)


@cache
def vector_bytes() -> int:
    """Return the vector size in bytes: 64 or 32. The compiler splits vectors that the processor does not support."""
    return 64 if "avx512f" in features() else 32


class _Vectors:
    """Generate instructions on vectors of ``lanes`` numbers of type F."""

    def __init__(self, builder, F: type, lanes: int) -> None:
        self.builder, self.lanes, self.size = builder, lanes, np.dtype(F).itemsize
        self.number = ir.FloatType() if F is np.float32 else ir.DoubleType()
        self.vector = ir.VectorType(self.number, lanes)
        self.name = f"v{lanes}f{8 * self.size}"
        self.zero = ir.Constant(self.vector, [0.0] * lanes)
        self.all_lanes = ir.Constant(ir.VectorType(_BIT, lanes), [1] * lanes)

    def _call(self, name: str, result, *arguments):
        module = self.builder.module
        argument_types = [argument.type for argument in arguments]
        function = module.globals.get(name) or ir.Function(
            module, ir.FunctionType(result, argument_types), name
        )
        return self.builder.call(function, arguments)

    def after(self, address, vectors: int):
        """Return the address that lies this number of vectors after another."""
        return self.builder.add(address, _WORD(vectors * self.lanes * self.size))

    def vectors_at(self, address, count: int):
        """Return the addresses of consecutive vectors."""
        return [self.after(address, n) for n in range(count)]

    def rows(self, address, stride, count: int, total, first: int = 0):
        """Return the addresses of ``count`` rows, starting at `first`; rows beyond the last get the last address."""
        last = self.builder.sub(total, _WORD(1))
        addresses = []
        for number in range(first, first + count):
            row = self.builder.select(
                self.builder.icmp_signed("<", _WORD(number), last), _WORD(number), last
            )
            addresses.append(self.builder.add(address, self.builder.mul(row, stride)))
        return addresses

    def indexed_rows(self, address, stride, count: int, total, indices, first: int = 0):
        """Return the addresses of the rows whose indices are stored in an array, starting at entry `first`."""
        entries = self.rows(indices, _WORD(8), count, total, first)
        rows = [self.builder.load(self._pointer(entry, _WORD)) for entry in entries]
        return [
            self.builder.add(address, self.builder.mul(row, stride)) for row in rows
        ]

    def row_of_column(self, address, stride, column_at):
        """Return the address of the row whose index is the 4-byte integer at `column_at`."""
        column = self.builder.sext(
            self.builder.load(self._pointer(column_at, _INTEGER)), _WORD
        )
        return self.builder.add(address, self.builder.mul(column, stride))

    def _pointer(self, address, kind):
        return self.builder.inttoptr(address, kind.as_pointer())

    def broadcast(self, value):
        """Return a vector with one value in all lanes."""
        kind = ir.VectorType(value.type, self.lanes)
        lane = self.builder.insert_element(
            ir.Constant(kind, ir.Undefined), value, _INTEGER(0)
        )
        return self.shuffle(lane, lane, [0] * self.lanes)

    def shuffle(self, a, b, indices):
        """Return the elements at these positions of the concatenation of two vectors."""
        return self.builder.shuffle_vector(
            a, b, ir.Constant(ir.VectorType(_INTEGER, self.lanes), list(indices))
        )

    def exchange(self, a, b, part: int):
        """Exchange parts of two vectors: for 4 lanes and `part` 2, return [a0 a1 b0 b1] and [a2 a3 b2 b3]."""
        first = []
        for lane in range(self.lanes):
            is_of_b = lane & part
            first.append(lane + self.lanes - part if is_of_b else lane)
        return self.shuffle(a, b, first), self.shuffle(
            a, b, [index + part for index in first]
        )

    def mask_below(self, first: int, count):
        """Return a mask of the lanes whose index plus `first` is below a count."""
        numbers = ir.Constant(
            ir.VectorType(_INTEGER, self.lanes), list(range(first, first + self.lanes))
        )
        return self.builder.icmp_signed(
            "<", numbers, self.broadcast(self.builder.trunc(count, _INTEGER))
        )

    def masks_below(self, count, vectors: int):
        """Return masks of the first ``count`` elements of consecutive vectors."""
        return [self.mask_below(self.lanes * n, count) for n in range(vectors)]

    def if_true(self, word):
        """Return a mask of all lanes if a word is not 0, or of no lane."""
        return self.broadcast(self.builder.icmp_signed("!=", word, _WORD(0)))

    def broadcast_from(self, address):
        """Return a vector with the number at an address in all lanes."""
        return self.broadcast(self.builder.load(self._pointer(address, self.number)))

    def load(self, address, mask):
        """Load the elements under a mask; the other lanes are 0."""
        pointer = self._pointer(address, self.vector)
        return self._call(
            f"llvm.masked.load.{self.name}.p0",
            self.vector,
            pointer,
            _INTEGER(self.size),
            mask,
            self.zero,
        )

    def load_all(self, addresses, masks):
        """Load vectors under masks."""
        return [
            self.load(address, mask)
            for address, mask in zip(addresses, masks, strict=True)
        ]

    def store(self, value, address, mask) -> None:
        """Store the elements under a mask."""
        pointer = self._pointer(address, self.vector)
        self._call(
            f"llvm.masked.store.{self.name}.p0",
            ir.VoidType(),
            value,
            pointer,
            _INTEGER(self.size),
            mask,
        )

    def store_all(self, values, addresses, masks) -> None:
        """Store vectors under masks."""
        for value, address, mask in zip(values, addresses, masks, strict=True):
            self.store(value, address, mask)

    def prefetch(self, address, to_write: bool = False) -> None:
        """Prefetch the cache line at an address."""
        self._call(
            "llvm.prefetch.p0",
            ir.VoidType(),
            self._pointer(address, ir.IntType(8)),
            _INTEGER(int(to_write)),
            _INTEGER(3),
            _INTEGER(1),
        )

    def multiply_add(self, a, b, c):
        """Return a b + c, rounded once, or rounded twice if the processor has no fused multiply-add."""
        if not has_wide_vectors():
            return self.builder.fadd(self.builder.fmul(a, b), c)
        return self._call(f"llvm.fma.{self.name}", self.vector, a, b, c)

    def repeat(self, count, start, body):
        """Apply a function to values ``count`` times, and return the last results."""
        builder, before = self.builder, self.builder.block
        loop = builder.append_basic_block("loop")
        after = builder.append_basic_block("after")
        builder.cbranch(builder.icmp_signed(">", count, _WORD(0)), loop, after)
        builder.position_at_end(loop)
        remaining, *values = phis = [
            builder.phi(value.type) for value in (count, *start)
        ]
        results = [builder.sub(remaining, _WORD(1)), *body(values)]
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
        K,
        A,
        A_offsets,
        A_k,
        B,
        B_k,
        masks,
        sums,
        prefetch: int = 0,
    ):
        """Add the products of K columns of A with K rows of B to the sums of a block, and return the sums.

        Rows of A start ``A_offsets`` bytes after the address of A, and rows of B are
        loaded under masks. `prefetch` is the prefetch distance in bytes.
        """

        def add_column_times_row(values):
            A_at, B_at, *sums = values
            B_vectors = self.vectors_at(B_at, len(masks))
            B_row = self.load_all(B_vectors, masks)
            if prefetch:
                for address in (A_at, *B_vectors):
                    self.prefetch(self.builder.add(address, _WORD(prefetch)))
            addends = iter(sums)
            results = []
            # use each element of A immediately, because no registers are left
            for offset in A_offsets:
                a = self.broadcast_from(self.builder.add(offset, A_at))
                results += [self.multiply_add(a, b, next(addends)) for b in B_row]
            return [self.builder.add(A_at, A_k), self.builder.add(B_at, B_k), *results]

        return self.repeat(K, [A, B, *sums], add_column_times_row)[2:]


def _block(F: type, lanes: int, generate):
    """Return a function of words whose instructions are generated by generate(vectors, *words)."""

    def block(typing, *words):
        def instructions(context, builder, called, values):
            generate(_Vectors(builder, F, lanes), *values)
            return context.get_dummy_value()

        return types.void(*[types.intp] * len(words)), instructions

    # otherwise Numba would pass the words as a tuple
    block.__signature__ = signature(generate)
    return intrinsic(block)


def product_block(F: type, lanes: int, rows: int, vectors: int):
    """Return a function that computes a block of C = A B, or C += A B, given addresses and strides in bytes."""

    def generate(v, M, N, K, A, A_m, A_k, B, B_k, C, C_m, add):
        inside = v.masks_below(N, vectors)
        A_rows = v.rows(A, A_m, rows, M)
        C_at = []
        for row in v.rows(C, C_m, rows, M):
            C_at += v.vectors_at(row, vectors)
        adds = v.if_true(add)
        if_adding = [v.builder.and_(mask, adds) for mask in inside]
        sums = v.load_all(C_at, if_adding * rows)
        sums = v.add_products(K, _WORD(0), A_rows, A_k, B, B_k, inside, sums)
        v.store_all(sums, C_at, inside * rows)

    return _block(F, lanes, generate)


def packed_block(F: type, lanes: int, rows: int, vectors: int, is_complete: bool):
    """Return a function like `product_block` for packed panels; complete blocks need no masks."""

    def generate(v, M, N, K, A, B, C, C_m, add):
        builder = v.builder
        C_at = []
        for m in range(rows):
            C_at += v.vectors_at(builder.add(C, builder.mul(_WORD(m), C_m)), vectors)
        for address in C_at:
            v.prefetch(address, to_write=True)
        A_offsets = [_WORD(m * v.size) for m in range(rows)]
        A_k = _WORD(rows * v.size)
        B_k = _WORD(vectors * lanes * v.size)
        masks = [v.all_lanes] * len(C_at)
        sums = [v.zero] * len(C_at)
        sums = v.add_products(
            K, A, A_offsets, A_k, B, B_k, masks[:vectors], sums, PREFETCH_BYTES
        )
        # mask rows, too, because a panel is uninitialized beyond the last row
        if not is_complete:
            row_masks = [
                v.broadcast(builder.icmp_signed("<", _WORD(m), M)) for m in range(rows)
            ]
            inside = v.masks_below(N, vectors)
            masks = [
                builder.and_(row_mask, mask)
                for row_mask in row_masks
                for mask in inside
            ]
        with builder.if_else(builder.icmp_signed("!=", add, _WORD(0))) as (
            to_add,
            to_put,
        ):
            with to_add:
                for sum, address, mask in zip(sums, C_at, masks, strict=True):
                    v.store(builder.fadd(v.load(address, mask), sum), address, mask)
            with to_put:
                v.store_all(sums, C_at, masks)

    return _block(F, lanes, generate)


def copied_block(F: type, lanes: int, count: int):
    """Return a function that copies ``count`` numbers from one address to another."""

    def generate(v, source, target):
        vectors = -(-count // lanes)
        for n, mask in enumerate(v.masks_below(_WORD(count), vectors)):
            v.store(v.load(v.after(source, n), mask), v.after(target, n), mask)

    return _block(F, lanes, generate)


def dots_block(F: type, lanes: int, columns: int):
    """Return a function that computes a block of C = A Bᵀ, or C += A Bᵀ; the block has ``lanes`` elements.

    If the block has one column, C must also have one column, so that C is contiguous.
    """

    def generate(v, M, N, K, A, A_m, B, B_n, C, C_m, add):
        builder = v.builder
        rows = lanes // columns
        A_rows = v.rows(A, A_m, rows, M)
        B_rows = v.rows(B, B_n, columns, N)

        def add_parts(values):
            offset, remaining, *sums = values
            inside = v.mask_below(0, remaining)
            A_parts = [v.load(builder.add(row, offset), inside) for row in A_rows]
            B_parts = [v.load(builder.add(row, offset), inside) for row in B_rows]
            addends = iter(sums)
            sums = [
                v.multiply_add(a, b, next(addends)) for a in A_parts for b in B_parts
            ]
            return [v.after(offset, 1), builder.sub(remaining, _WORD(lanes)), *sums]

        times = builder.sdiv(builder.add(K, _WORD(lanes - 1)), _WORD(lanes))
        _, _, *sums = v.repeat(times, [_WORD(0), K, *[v.zero] * lanes], add_parts)
        # Reduce all vectors of sums at once. Two vectors exchange halves and are added,
        # which gives one vector with partial sums of both. This is repeated until one
        # vector holds all totals: [a0 a1 a2 a3] [b0 b1 b2 b3]  ->  [a0 a1 b0 b1] + [a2
        # a3 b2 b3]
        while len(sums) > 1:
            half = len(sums) // 2
            pairs = zip(sums[:half], sums[half:], strict=True)
            sums = [
                builder.fadd(*v.exchange(first, second, half))
                for first, second in pairs
            ]
        (total,) = sums
        if columns == 1:  # C is contiguous
            inside = v.mask_below(0, M)
            previous = v.load(C, builder.and_(inside, v.if_true(add)))
            v.store(builder.fadd(previous, total), C, inside)
            return
        inside = builder.and_(v.mask_below(0, N), v.mask_below(0, _WORD(columns)))
        C_rows = v.rows(C, C_m, rows, M)
        previous_rows = v.load_all(
            C_rows, [builder.and_(inside, v.if_true(add))] * rows
        )
        for m, (address, previous) in enumerate(
            zip(C_rows, previous_rows, strict=True)
        ):
            indices = [(m * columns + lane) % lanes for lane in range(lanes)]
            v.store(
                builder.fadd(previous, v.shuffle(total, total, indices)),
                address,
                inside,
            )

    return _block(F, lanes, generate)


def summed_rows_block(F: type, lanes: int, vectors: int):
    """Return a function that adds Σ_k a[k] B[columns[k]] to a part of a row y; columns contains K 4-byte integers."""

    def generate(v, N, K, a, columns, B, B_k, y):
        addresses = v.vectors_at(y, vectors)
        masks = v.masks_below(N, vectors)

        def add_row(values):
            a_at, column_at, *sums = values
            element = v.broadcast_from(a_at)
            parts = v.load_all(
                v.vectors_at(v.row_of_column(B, B_k, column_at), vectors), masks
            )
            sums = [
                v.multiply_add(element, part, sum)
                for part, sum in zip(parts, sums, strict=True)
            ]
            return [
                v.builder.add(a_at, _WORD(v.size)),
                v.builder.add(column_at, _WORD(4)),
                *sums,
            ]

        sums = v.load_all(addresses, masks)
        v.store_all(v.repeat(K, [a, columns, *sums], add_row)[2:], addresses, masks)

    return _block(F, lanes, generate)


def added_row_block(F: type, lanes: int, vectors: int):
    """Return a function that adds a[k] y to B[columns[k]] for each k; y is part of a row, and columns may repeat."""

    def generate(v, N, K, a, columns, B, B_k, y):
        masks = v.masks_below(N, vectors)
        parts = v.load_all(v.vectors_at(y, vectors), masks)

        def add_to_row(values):
            a_at, column_at = values
            element = v.broadcast_from(a_at)
            row = v.row_of_column(B, B_k, column_at)
            for address, part, mask in zip(
                v.vectors_at(row, vectors), parts, masks, strict=True
            ):
                v.store(
                    v.multiply_add(element, part, v.load(address, mask)), address, mask
                )
            return [
                v.builder.add(a_at, _WORD(v.size)),
                v.builder.add(column_at, _WORD(4)),
            ]

        v.repeat(K, [a, columns], add_to_row)

    return _block(F, lanes, generate)


def transposed_block(F: type, lanes: int, indexed: bool):
    """Return a function that stores the transpose of a block of A (M, N), or of selected rows of A, in B."""

    def generate(v, M, N, A, A_m, B, B_n, indices):
        columns = [v.mask_below(0, N)] * lanes
        if indexed:
            rows = v.load_all(v.indexed_rows(A, A_m, lanes, M, indices), columns)
            for address in v.indexed_rows(A, A_m, lanes, M, indices, first=lanes):
                # the hardware cannot predict the rows of the next block
                v.prefetch(address)
        else:
            rows = v.load_all(v.rows(A, A_m, lanes, M), columns)
        # Exchange halves first, then quarters, and so on down to single elements.
        part = lanes // 2
        while part:
            for m in range(lanes):
                if not m & part:
                    rows[m], rows[m + part] = v.exchange(rows[m], rows[m + part], part)
            part //= 2
        # Store rows in reverse order: rows beyond the last have the address of the last
        # row, which must be stored last.
        addresses = v.rows(B, B_n, lanes, N)
        v.store_all(rows[::-1], addresses[::-1], [v.mask_below(0, M)] * lanes)

    return _block(F, lanes, generate)
