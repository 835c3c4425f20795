"""Learning backpropagation: the founding tutorial's functions under their own names, and every number of a pass."""

from . import seed as seed
from .tracing.trace import Trace as Trace
from .tracing.trace import trace as trace
