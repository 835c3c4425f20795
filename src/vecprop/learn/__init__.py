"""Learning backpropagation: the founding tutorial's functions under their own names."""

from . import seed as seed
