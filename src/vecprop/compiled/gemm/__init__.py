"""General matrix products on addresses, sizes and strides in bytes.

`products` computes blocks of C in registers directly from A and B. `packed` first copies pieces of large A and B into
panels. `products.blas_product` calls SciPy's BLAS on processors without wide vectors. `vectors` generates the
instructions of a block. The sums of a block, a few rows by two vectors of C, stay in registers while k runs over the
depth. Each k loads two vectors of a row of B and broadcasts one element of each row of A to all lanes::

                                     B (K, N)
                               k ->  [ b b b b | b b b b ]        one row: two vectors
                                       |          |
      A (M, K)                 C (M, N)
         k                     [ sums of 4 lanes | 4 lanes ]      row m      += a[m, k] * row of B
       [ a . . . ]             [ sums            | ...     ]      row m + 1  += a[m + 1, k] * row of B

Of 32 registers, 8 rows of 2 vectors need 16 for the sums, 2 for B and one for A. Blocks of the last few rows use 4
vectors instead: with fewer independent sums, the processor would wait for each addition. Each element of C is summed in
the order of k, even if the depth is divided. Threads can therefore split a product along rows and columns without
changing its bits.
"""
