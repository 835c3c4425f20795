"""Vector instructions for blocks of matrices that stay in registers.

Numba does not compile loops such that the sums of a block, or a transpose, stay in
registers. The instructions are therefore generated here. Columns beyond the edge of a
matrix are masked. Rows beyond the edge repeat the last row and are stored at its
address, because row masks would add instructions to the inner loop.
"""

from functools import cache, wraps
from inspect import Signature, signature
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..jit.numba_internals import features, has_wide_vectors
from ..jit.tracing import of_numbers

PREFETCH_BYTES = 1024
"""The prefetch distance in packed matrices; prefetching helps because panels and C
evict each other from the cache.
"""

COLUMN_BYTES = 4
"""The bytes of a column index of sparse rows."""

_WORD = ir.IntType(64)
_INTEGER = ir.IntType(32)
_BIT = ir.IntType(1)


@cache
def vector_bytes() -> int:
    """Return the vector size in bytes: 64 or 32. The compiler splits vectors that the processor does not support."""
    return 64 if "avx512f" in features() else 32


class _Vectors:
    """Generate instructions on vectors of ``lanes`` numbers of type F."""

    def __init__(self, builder, F: type, lanes: int):
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
        """Return the addresses of ``count`` of ``total`` rows, starting with row `first`.

        For rows beyond the last, return the address of the last row.
        """
        builder = self.builder
        last = builder.sub(total, _WORD(1))
        addresses = []
        for number in range(first, first + count):
            is_before_last = builder.icmp_signed("<", _WORD(number), last)
            row = builder.select(is_before_last, _WORD(number), last)
            addresses.append(builder.add(address, builder.mul(row, stride)))
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

    def store(self, value, address, mask):
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

    def store_all(self, values, addresses, masks):
        """Store vectors under masks."""
        for value, address, mask in zip(values, addresses, masks, strict=True):
            self.store(value, address, mask)

    def put(self, values, addresses, masks, add):
        """Store vectors under masks, or add them to the numbers in memory unless `add` is 0."""
        is_sum = self.builder.icmp_signed("!=", add, _WORD(0))
        with self.builder.if_else(is_sum) as (adds, stores):
            with adds:
                for value, address, mask in zip(values, addresses, masks, strict=True):
                    sum = self.builder.fadd(self.load(address, mask), value)
                    self.store(sum, address, mask)
            with stores:
                self.store_all(values, addresses, masks)

    def prefetch(self, address, to_write: bool = False):
        """Prefetch the cache line at an address."""
        stays_in_cache = _INTEGER(3)
        is_data = _INTEGER(1)
        self._call(
            "llvm.prefetch.p0",
            ir.VoidType(),
            self._pointer(address, ir.IntType(8)),
            _INTEGER(int(to_write)),
            stays_in_cache,
            is_data,
        )

    def multiply_add(self, a, b, c):
        """Return a b + c, rounded once, or rounded twice if the processor has no fused multiply-add."""
        if not has_wide_vectors():
            return self.builder.fadd(self.builder.fmul(a, b), c)
        return self._call(f"llvm.fma.{self.name}", self.vector, a, b, c)

    def repeat(self, count, pointers, sums, body):
        """Write a loop of ``count`` passes, and return the sums after it.

        In each pass, ``body(addresses, sums)`` returns the new sums, and each address
        then advances by its stride. ``pointers`` holds the first addresses and strides.
        """
        builder = self.builder
        block_before = builder.block
        head = builder.append_basic_block("head")
        loop = builder.append_basic_block("loop")
        after = builder.append_basic_block("after")
        builder.branch(head)
        builder.position_at_end(head)
        # The variables of the loop: remaining passes, addresses, sums. A phi takes the
        # value of the block that ran before.
        start = [count, *(address for address, _ in pointers), *sums]
        variables = [builder.phi(value.type) for value in start]
        end_of_addresses = 1 + len(pointers)
        addresses = variables[1:end_of_addresses]
        sums = variables[end_of_addresses:]
        remaining = builder.sub(variables[0], _WORD(1))
        builder.cbranch(builder.icmp_signed(">=", remaining, _WORD(0)), loop, after)
        builder.position_at_end(loop)
        new_sums = body(addresses, sums)
        results = [remaining]
        for address, (_, stride) in zip(addresses, pointers, strict=True):
            results.append(builder.add(address, stride))
        results += new_sums
        for variable, first, result in zip(variables, start, results, strict=True):
            variable.add_incoming(first, block_before)
            variable.add_incoming(result, loop)
        builder.branch(head)
        builder.position_at_end(after)
        return sums

    def add_products(
        self, K, A, A_offsets, A_k, B, B_k, masks, sums, prefetch: int = 0
    ):
        """Return C + A B for a block of C, whose vectors are ``sums``, row by row.

        For each k, a column of A is multiplied by a row of B. A_k is the distance in
        bytes between columns of A, and B_k between rows of B. Rows of A start
        ``A_offsets`` bytes after the address of A, and rows of B are loaded under
        masks. `prefetch` is the prefetch distance in bytes.
        """

        def add_column_times_row(addresses, sums):
            """Return the sums plus the products A[m, k] B[k, n] for the next k."""
            A_at, B_at = addresses
            B_vectors = self.vectors_at(B_at, len(masks))
            B_row = self.load_all(B_vectors, masks)
            if prefetch:
                for address in (A_at, *B_vectors):
                    self.prefetch(self.builder.add(address, _WORD(prefetch)))
            new_sums = []
            # use each element of A immediately, because no registers are left
            for offset in A_offsets:
                a = self.broadcast_from(self.builder.add(offset, A_at))
                for b in B_row:
                    c = sums[len(new_sums)]
                    new_sums.append(self.multiply_add(a, b, c))
            return new_sums

        return self.repeat(K, [(A, A_k), (B, B_k)], sums, add_column_times_row)

    def dot_products(self, K, A_rows, B_rows):
        """Return a vector per row of A and row of B, whose elements add up to their dot product over K."""
        builder = self.builder

        def add_parts(variables, sums):
            """Return the sums plus the products of the next part of the rows, which is one vector long."""
            offset, remaining = variables
            inside = self.mask_below(0, remaining)
            A_parts = [self.load(builder.add(row, offset), inside) for row in A_rows]
            B_parts = [self.load(builder.add(row, offset), inside) for row in B_rows]
            new_sums = []
            for a in A_parts:
                for b in B_parts:
                    new_sums.append(self.multiply_add(a, b, sums[len(new_sums)]))
            return new_sums

        passes = builder.sdiv(builder.add(K, _WORD(self.lanes - 1)), _WORD(self.lanes))
        offset = (_WORD(0), _WORD(self.lanes * self.size))
        remaining = (K, _WORD(-self.lanes))
        zeros = [self.zero] * (len(A_rows) * len(B_rows))
        return self.repeat(passes, [offset, remaining], zeros, add_parts)

    def totals(self, vectors):
        """Return one vector with the sum of the elements of each vector.

        Two vectors exchange halves and are added, which gives one vector with partial
        sums of both: [a0 a1 a2 a3] [b0 b1 b2 b3] -> [a0 a1 b0 b1] + [a2 a3 b2 b3].
        This is repeated until one vector holds all totals.
        """
        while len(vectors) > 1:
            half = len(vectors) // 2
            partial_sums = []
            for first, second in zip(vectors[:half], vectors[half:], strict=True):
                left, right = self.exchange(first, second, half)
                partial_sums.append(self.builder.fadd(left, right))
            vectors = partial_sums
        return vectors[0]


def in_registers(generate) -> Any:
    """Decorate a function that writes instructions: ``generate(vectors, *words, **sizes)``.

    The result takes a floating-point type, the lanes of a vector, and the sizes, and
    returns a function for compiled code with the words as arguments. So
    ``product_block(F, lanes, rows=8)`` returns a function of M, N, K, A and so on.
    """
    _, *parameters = signature(generate).parameters.values()
    words = [word for word in parameters if word.kind is word.POSITIONAL_OR_KEYWORD]

    @wraps(generate)
    def for_sizes(F: type, lanes: int, **sizes):
        def formula(*numbers):
            vectors = _Vectors(numbers[0].builder, F, lanes)
            generate(vectors, *(number.value for number in numbers), **sizes)

        formula.__signature__ = Signature(words)
        return of_numbers(formula, types.void)

    return for_sizes


def _product(v, M, N, K, A, A_m, A_k, B, B_k, C, C_m, add, rows: int, vectors: int):
    """Compute ``rows`` rows and ``vectors`` vectors of C = A B, or C += A B; see `product_block`."""
    column_masks = v.masks_below(N, vectors)
    A_rows = v.rows(A, A_m, rows, M)
    C_at = []
    for row in v.rows(C, C_m, rows, M):
        C_at += v.vectors_at(row, vectors)
    # the sums start with C, or with 0 under masks without lanes
    adds = v.if_true(add)
    masks_of_C = [v.builder.and_(mask, adds) for mask in column_masks]
    sums = v.add_products(
        K,
        A=_WORD(0),
        A_offsets=A_rows,
        A_k=A_k,
        B=B,
        B_k=B_k,
        masks=column_masks,
        sums=v.load_all(C_at, masks_of_C * rows),
    )
    v.store_all(sums, C_at, column_masks * rows)


@in_registers
def product_block(v, M, N, K, A, A_m, A_k, B, B_k, C, C_m, add, *, rows: int):
    """Compute a block of C = A B, or C += A B unless ``add`` is 0, given addresses and strides in bytes.

    M rows and N columns of C are left. A block has at most ``rows`` rows of two
    vectors. The last blocks have fewer rows, of four vectors: with fewer independent
    sums, the processor would wait for each addition.
    """

    def multiply(rows: int, vectors: int):
        _product(v, M, N, K, A, A_m, A_k, B, B_k, C, C_m, add, rows, vectors)

    builder = v.builder
    is_over_half = builder.icmp_signed(">", M, _WORD(rows // 2))
    is_over_quarter = builder.icmp_signed(">", M, _WORD(rows // 4))
    with builder.if_else(is_over_half) as (over_half, up_to_half):
        with over_half:
            multiply(rows, vectors=2)
        with up_to_half, builder.if_else(is_over_quarter) as (half, quarter):
            with half:
                multiply(rows // 2, vectors=4)
            with quarter:
                multiply(rows // 4, vectors=4)


@in_registers
def packed_block(v, M, N, K, A, B, C, C_m, add, *, rows: int, vectors: int):
    """Compute a block of C like `product_block`, for A and B in packed panels.

    A panel of A has ``rows`` rows, stored column by column, and a panel of B has rows
    of ``vectors`` vectors.
    """
    builder = v.builder
    C_at = []
    for m in range(rows):
        row = builder.add(C, builder.mul(_WORD(m), C_m))
        C_at += v.vectors_at(row, vectors)
    for address in C_at:
        v.prefetch(address, to_write=True)
    sums = v.add_products(
        K,
        A=A,
        A_offsets=[_WORD(m * v.size) for m in range(rows)],
        A_k=_WORD(rows * v.size),
        B=B,
        B_k=_WORD(vectors * v.lanes * v.size),
        masks=[v.all_lanes] * vectors,
        sums=[v.zero] * len(C_at),
        prefetch=PREFETCH_BYTES,
    )
    has_all_rows = builder.icmp_signed(">=", M, _WORD(rows))
    has_all_columns = builder.icmp_signed(">=", N, _WORD(vectors * v.lanes))
    is_complete = builder.and_(has_all_rows, has_all_columns)
    with builder.if_else(is_complete) as (whole, edge):
        with whole:
            v.put(sums, C_at, [v.all_lanes] * len(C_at), add)
        with edge:
            # a panel is uninitialized beyond the last row
            masks = []
            column_masks = v.masks_below(N, vectors)
            for m in range(rows):
                is_row = v.broadcast(builder.icmp_signed("<", _WORD(m), M))
                masks += [builder.and_(is_row, mask) for mask in column_masks]
            v.put(sums, C_at, masks, add)


@in_registers
def copied_block(v, source, target, *, count: int):
    """Copy ``count`` numbers from one address to another."""
    vectors = -(-count // v.lanes)
    for n, mask in enumerate(v.masks_below(_WORD(count), vectors)):
        v.store(v.load(v.after(source, n), mask), v.after(target, n), mask)


@in_registers
def dots_block(v, columns, M, N, K, A, A_m, B, B_n, C, C_m, add):
    """Compute a block of C = A Bᵀ, or C += A Bᵀ, with 1, 2 or 4 columns."""
    builder = v.builder
    for count in (1, 2, 4):
        with builder.if_then(builder.icmp_signed("==", columns, _WORD(count))):
            _dots(v, M, N, K, A, A_m, B, B_n, C, C_m, add, columns=count)


def _dots(v, M, N, K, A, A_m, B, B_n, C, C_m, add, columns: int):
    """Compute a block of C = A Bᵀ, or C += A Bᵀ, which has as many elements as a vector has lanes.

    If the block has one column, C must also have one column, so that C is contiguous.
    """
    builder = v.builder
    rows = v.lanes // columns
    A_rows = v.rows(A, A_m, rows, M)
    B_rows = v.rows(B, B_n, columns, N)
    # the elements of the block, row by row
    total = v.totals(v.dot_products(K, A_rows, B_rows))
    adds = v.if_true(add)
    if columns == 1:  # C is contiguous
        inside = v.mask_below(0, M)
        previous = v.load(C, builder.and_(inside, adds))
        v.store(builder.fadd(previous, total), C, inside)
        return
    inside = builder.and_(v.mask_below(0, N), v.mask_below(0, _WORD(columns)))
    C_rows = v.rows(C, C_m, rows, M)
    previous_rows = v.load_all(C_rows, [builder.and_(inside, adds)] * rows)
    for m in range(rows):
        # move the elements of row m to the first lanes
        indices = [(m * columns + lane) % v.lanes for lane in range(v.lanes)]
        row = v.shuffle(total, total, indices)
        v.store(builder.fadd(previous_rows[m], row), C_rows[m], inside)


@in_registers
def summed_rows_block(v, N, K, a, columns, B, B_k, y, *, vectors: int):
    """Add Σ_k a[k] B[columns[k]] to a part of a row y; columns contains K 4-byte integers.

    At most N numbers of y are changed. B_k is the distance in bytes between rows of B.
    """
    masks = v.masks_below(N, vectors)
    y_vectors = v.vectors_at(y, vectors)

    def add_row(addresses, sums):
        a_at, column_at = addresses
        element = v.broadcast_from(a_at)
        row = v.vectors_at(v.row_of_column(B, B_k, column_at), vectors)
        new_sums = []
        for b, sum in zip(v.load_all(row, masks), sums, strict=True):
            new_sums.append(v.multiply_add(element, b, sum))
        return new_sums

    pointers = [(a, _WORD(v.size)), (columns, _WORD(COLUMN_BYTES))]
    sums = v.repeat(K, pointers, v.load_all(y_vectors, masks), add_row)
    v.store_all(sums, y_vectors, masks)


@in_registers
def added_row_block(v, N, K, a, columns, B, B_k, y, *, vectors: int):
    """Add a[k] y to B[columns[k]] for each k; y is part of a row of N numbers, and columns may repeat."""
    masks = v.masks_below(N, vectors)
    y_parts = v.load_all(v.vectors_at(y, vectors), masks)

    def add_to_row(addresses, _):
        a_at, column_at = addresses
        element = v.broadcast_from(a_at)
        row = v.vectors_at(v.row_of_column(B, B_k, column_at), vectors)
        for address, part, mask in zip(row, y_parts, masks, strict=True):
            b = v.load(address, mask)
            v.store(v.multiply_add(element, part, b), address, mask)
        return []

    pointers = [(a, _WORD(v.size)), (columns, _WORD(COLUMN_BYTES))]
    v.repeat(K, pointers, [], add_to_row)


@in_registers
def transposed_block(v, M, N, A, A_m, B, B_n, indices, *, indexed: bool):
    """Store the transpose of a square block of A (M, N), or of A[indices], in B.

    The block has as many rows and columns as a vector has lanes.
    """
    lanes = v.lanes
    columns = [v.mask_below(0, N)] * lanes
    if indexed:
        rows = v.load_all(v.indexed_rows(A, A_m, lanes, M, indices), columns)
        for address in v.indexed_rows(A, A_m, lanes, M, indices, first=lanes):
            # the hardware cannot predict the rows of the next block
            v.prefetch(address)
    else:
        rows = v.load_all(v.rows(A, A_m, lanes, M), columns)
    # Exchange halves of the block, then quarters, and so on down to single elements:
    # each row without the bit `part` exchanges with the row that has it.
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
