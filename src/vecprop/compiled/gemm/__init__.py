"""Products of matrices. They know no network: they take addresses, sizes and strides in bytes.

`products` computes blocks of C in the processor's registers, straight from A and B; `packed` copies pieces of large A
and B into panels first; `products.blas_product` passes the product to SciPy where the processor has no wide vectors.
`vectors` has the instructions of a block. The sums of a few rows and two vectors of C stay in registers while k runs
over the depth. Each k takes one row of B, two vectors, and one element of each row of A, copied to all lanes::

                                     B (K, N)
                               k ->  [ b b b b | b b b b ]        one row: two vectors
                                       |          |
      A (M, K)                 C (M, N)
         k                     [ sums of 4 lanes | 4 lanes ]      row m      += a[m, k] * row of B
       [ a . . . ]             [ sums            | ...     ]      row m + 1  += a[m + 1, k] * row of B

With 32 registers, 8 rows of 2 vectors are 16 sums; B takes 2 more, and A one. The last few rows take 4 vectors instead:
with fewer independent sums the processor would wait for each addition to end. An element of C is summed in the order of
k, wherever the depth is cut. So threads may cut a product along rows and columns without changing one bit.
"""
