"""Check gradients, and locate and explain their errors.

A check has these steps:

1. `gradients` validates the arguments and builds a point: a network (`points.network`)
   or a function (`points.function`) at parameters theta (`points.parameters`). A point
   provides the gradients to check, function values at nearby parameters, and
   derivatives along directions. A network has one gradient for each engine. `adapters`
   wraps functions of PyTorch and JAX.
2. `procedure` judges the gradients:

   - It computes each gradient twice. If the results differ, the verdict is
     NONDETERMINISTIC.
   - It computes the expected `derivatives` by complex step. Networks use real
     arithmetic (`arithmetic.tangents`). If finite differences (`arithmetic.steps`)
     contradict the complex step of a function, they are used instead.
   - The tolerance is a bound on the rounding error of the gradient
     (`arithmetic.rounding`). The bound is propagated through the code of the gradient
     (`arithmetic.running_error`). If this is not possible, the rounding error is
     measured.
   - It compares every entry of a part, or the derivatives along three random directions
     if there are many parameters (`comparison`). The part fails if |given - expected|
     exceeds the tolerance. At a kink, a gradient between the one-sided derivatives gets
     the verdict KINK.
   - If rounding could hide an error, it judges the part again at random points nearby
     (`second_point`). If rounding could hide the error there too, the verdict is
     INCONCLUSIVE.
   - It explains a failure (`diagnosis`) by the pattern of the errors, by testing each
     layer separately, or by planting known mistakes in the network until one reproduces
     the wrong gradient.
   - If a function failed, it looks for the first wrong statement (`wrong_line`).
   - It computes the Taylor remainder, a second opinion that requires only function
     values.
3. `report` contains a row with a verdict for each part. The verdict of the report is
   the worst verdict of its rows.
"""

from .adapters import jax_function, torch_function
from .gradients import assert_gradients, check_gradients
from .report import GradientError, Report, Row, Taylor, Verdict, WrongLine

__all__ = [
    "GradientError",
    "Report",
    "Row",
    "Taylor",
    "Verdict",
    "WrongLine",
    "assert_gradients",
    "check_gradients",
    "jax_function",
    "torch_function",
]
