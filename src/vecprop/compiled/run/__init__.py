"""The loops over layers, tiles, steps and epochs, which call what `gemm` and `lower` have compiled.

A batch's rows are cut into shards, one for each worker, and a shard's rows into tiles (`dense`, `tiles`); or threads
split the weights of large layers (`parallelism`, `batches`). Parameters are cut into blocks, of which gradients are
summed, penalties added, and which are moved one by one (`steps`, `epochs`).
"""
