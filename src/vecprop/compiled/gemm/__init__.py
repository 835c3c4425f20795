"""General products of matrices, which are given as addresses, sizes and strides in bytes.

`products` computes blocks of C = A B in registers, directly from A and B. `packed`
first copies pieces of large A and B into panels. `products.blas_product` calls SciPy's
BLAS on processors without wide vectors. `vectors` generates the instructions of a
block. The sums for a block of C (a few rows by two vectors) stay in registers while k
runs over the depth. For each k, two vectors of a row of B are loaded, and one element
of each row of A is broadcast to all lanes::

                                     B (K, N)
                               k ->  [ b b b b | b b b b ]        one row: two vectors
                                       |          |
      A (M, K)                 C (M, N)
         k                     [ sums of 4 lanes | 4 lanes ]      row m      += a[m, k] * row of B
       [ a . . . ]             [ sums            | ...     ]      row m + 1  += a[m + 1, k] * row of B

With 8 rows of 2 vectors, the sums take 16 of 32 registers, B takes 2 and A takes one.
Blocks of the last few rows use 4 vectors instead: with fewer independent sums, the
processor would wait for each addition. Each element of C is summed in the order of k,
even if the depth is divided. Threads can therefore split a product along rows and
columns without changing its bits.
"""
