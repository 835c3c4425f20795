"""Layers, losses, penalties and their gradients, for real and complex arrays of any array library."""

# ruff: noqa: F401 (public names)
from .activations import (
    ELU,
    GELU,
    Identity,
    LeakyReLU,
    Logistic,
    ReLU,
    SiLU,
    Softplus,
    Tanh,
    logistic,
)
from .composites import Columns, Composite, Parallel, Residual, Sequential
from .counter_rng import (
    RandomKey,
    counter_bits,
    counter_uniform,
    order_of_blocks,
    permutation,
)
from .elementary import (
    Array,
    SuggestsKeywords,
    is_within,
    namespace,
    on_host,
    suggests_keywords,
)
from .joints import Add, Branch, Concatenate, Select
from .layers import (
    Activation,
    Dense,
    Dropout,
    Glorot,
    He,
    Initializer,
    Layer,
    LayerNorm,
    Normal,
)
from .losses import (
    BinaryCrossEntropy,
    ElementwiseLoss,
    Loss,
    Poisson,
    Quantile,
    SoftmaxCrossEntropy,
    SquaredError,
    one_hot,
)
from .network import Network
from .penalties import L1, L2, Penalty
from .rows.inputs import (
    AS_READ,
    Batch,
    checked_rows,
    checked_theta,
    is_converted_as_read,
    require_writable,
)
from .rows.selection import Scaling, Selection
from .rows.sparse import SparseBatch, SparseDense, SparseNetwork, require_entries
from .scores import Score, meanings, score
