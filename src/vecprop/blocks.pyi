from .scale.blocks import DaskBlocks as DaskBlocks
from .tables.streaming.parquet_blocks import ParquetBlocks as ParquetBlocks
from .train.blocks import train_blocks as train_blocks
from .train.blocks.sources import ArrayBlocks as ArrayBlocks
from .train.blocks.sources import Blocks as Blocks
from .train.blocks.sources import copy_blocks as copy_blocks

__all__: list[str]
