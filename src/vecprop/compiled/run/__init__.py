"""The loops over layers, tiles, steps and epochs, which call the compiled functions of `gemm` and `lower`.

The rows of a batch are divided into shards, one for each worker, and the rows of a
shard into tiles (`dense`, `tiles`). Alternatively, threads split the weights of large
layers (`parallelism`, `batches`). Parameters are divided into blocks. For each block,
gradients are summed, penalties are added, and the optimizer takes its step (`steps`,
`epochs`).
"""
