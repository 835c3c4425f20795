"""Proof that gradients are right, and where they are not."""

from .adapters import jax_function, torch_function
from .gradients import assert_gradients, check_gradients
from .report import GradientError, Report
from .taylor import Taylor
from .verdict import Row, Verdict

__all__ = [
    "GradientError",
    "Report",
    "Row",
    "Taylor",
    "Verdict",
    "assert_gradients",
    "check_gradients",
    "jax_function",
    "torch_function",
]
