r"""Products of matrices. They know no network: they take addresses, sizes and strides in bytes.

There are three algorithms. `products` computes blocks of C in the processor's registers, straight from A and B;
`packed` copies pieces of large A and B into panels first; `products.blas_product` passes the product to SciPy where the
processor has no wide vectors. `vectors` has the instructions of a block.

**A block in registers** (`products.multiply`). The sums of a few rows and two vectors of C stay in registers while k
runs over the depth. Each k takes one row of B, two vectors, and one element of each row of A::

                                     B (K, N)
                               k ->  [ b b b b | b b b b ]        one row: two vectors
                                       |          |
      A (M, K)                 C (M, N)
         k                     [ sums of 4 lanes | 4 lanes ]      row m      += a[m, k] * row of B
       [ a . . . ]             [ sums            | ...     ]      row m + 1  += a[m + 1, k] * row of B
       [ a . . . ]             [      ...        | ...     ]      ...
         |
         one element of each row, copied to all lanes

With 32 registers, 8 rows of 2 vectors are 16 sums; B takes 2 more, and A one. The last few rows take 4 vectors instead:
with fewer independent sums the processor would wait for each addition to end. Lanes beyond the edges of C are masked.

**The depth is cut** where B is large and C is not: the rows of B that fit into the first-level cache are added to all
of C before the next ones are read. An element of C is still summed in the order of k::

      C  =  A[:, 0:d] B[0:d]  +  A[:, d:2d] B[d:2d]  +  ...

**Panels** (`packed.multiply`). In large matrices a row of A or B lies a page of memory apart from the next, so pieces
of both are copied into panels that are read from front to back (sizes are those for vectors of 64 bytes)::

      A, 38 panels of 14 rows                 B, 32 panels of two vectors' columns
      +-----------------------------+         +------+------+---
      | k=0: a a a ... a (14 rows)  |         | k=0  | k=0  |
      | k=1: a a a ... a            |  panel  | k=1  | k=1  |   each panel: K rows of two vectors
      | ...                         |         | ...  | ...  |
      +-----------------------------+         +------+------+---
      | next 14 rows                |           ^
                                                one of these stays in the first-level cache while all of A is read

A piece is at most 264 deep, so that a panel of B fits into the first-level cache; the pieces of A and B together fit
into the second-level cache. The order in which an element of C is summed depends on the depth of the pieces alone, so a
product may be cut along rows and columns, between threads, without changing one bit.

**Transposes** (`products.transpose`, `gather`). A square with as many rows as a vector has lanes is loaded. Halves are
exchanged first, then quarters, and single elements last::

      a0 a1 | a2 a3        a0 a1 | c0 c1        a0 b0 | c0 d0
      b0 b1 | b2 b3        b0 b1 | d0 d1        a1 b1 | c1 d1
      ------+------   ->   ------+------   ->   ------+------
      c0 c1 | c2 c3        a2 a3 | c2 c3        a2 b2 | c2 d2
      d0 d1 | d2 d3        b2 b3 | d2 d3        a3 b3 | c3 d3
"""
