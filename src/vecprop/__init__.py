"""vecprop: dense neural networks trained by hand-derived, fully vectorized backpropagation."""

from .core.activations import ELU, GELU, Identity, LeakyReLU, Logistic, ReLU, SiLU, Softplus, Tanh
from .core.counted import Noise
from .core.initializers import Glorot, He, Initializer, Normal
from .core.layers import Activation, Dense, Dropout, Layer, LayerNorm
from .core.layout import Layout
from .core.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    Huber,
    Loss,
    Poisson,
    Quantile,
    SoftmaxCrossEntropy,
    SquaredError,
)
from .core.network import Network
from .core.penalties import L1, L2, Penalty
