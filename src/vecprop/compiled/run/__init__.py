"""The loops over layers, tiles, steps and epochs, which call what `gemm` and `lower` have compiled.

A batch's rows are cut into shards, and a shard's rows into tiles; parameters are cut into blocks::

      rows of a batch                               parameters of theta
      +-----------+-----------+----                 +-------+-------+-------+----
      | shard 0   | shard 1   | ...                 | block | block | block | ...
      +-----+-----+-----+-----+----                 +-------+-------+-------+----
      | tile|tile | tile|tile |                     gradients summed, penalties added, and moved
      +-----+-----+-----+-----+                     block by block
      one shard, one worker, one gradient

`dense` and `tiles` compute a tile. `parallelism` says which layers' weights threads split instead of
rows; `batches` computes those. `steps` and `epochs` are the training around them.
"""
