"""What a network computes: layers, losses, penalties and their gradients, on any array, real or complex."""

# ruff: noqa: F401 (the names that other packages import)
from .activations import ELU, GELU, Identity, LeakyReLU, Logistic, ReLU, SiLU, Softplus, Tanh, logistic
from .counter_rng import RandomKey, counter_bits, counter_uniform
from .layers import Activation, Dense, Dropout, Glorot, He, Layer, LayerNorm, Normal
from .losses import BinaryCrossEntropy, Loss, Poisson, Quantile, SoftmaxCrossEntropy, SquaredError, one_hot
from .network import Network
from .penalties import L1, L2, Penalty
from .rows.inputs import Batch, checked_theta, require_writable
