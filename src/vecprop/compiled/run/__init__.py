"""The loops over layers, tiles, shards, steps and epochs, which call what `gemm` and `lower` have compiled."""
