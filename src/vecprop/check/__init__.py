"""Proof that gradients are right, and where they are not.

How a verdict comes about, with the module that does each step:

1. The entrance, `gradients`, checks its arguments. It makes one of the `points`: a network (`points.network`) or any
   function (`points.function`) at parameters theta, one vector with named parts (`points.parameters`). A point returns
   the gradients that are judged, values nearby, and derivatives along directions. A network has a gradient for each
   engine; functions of PyTorch and JAX come through `adapters`.
2. The `procedure` then takes these steps:

   - Two runs are compared. If they differ, the verdict is NONDETERMINISTIC.
   - The expected `derivatives` are computed by complex step, which for networks is done in real arithmetic
     (`arithmetic.tangents`). If complex numbers do not suit the function, differences take their place
     (`arithmetic.steps`). Real differences decide that, so that no complex step is believed by itself.
   - The tolerance is the rounding error that the gradient may have (`arithmetic.rounding`). It is carried through the
     arithmetic (`arithmetic.running_error`), or measured as the noise of the gradient if its code cannot be followed.
   - Each part is judged by all of its entries, or along three random directions if there are many parameters. Both
     rest on one `comparison`: the part fails if |given - expected| exceeds the tolerance. At a kink a gradient between
     the one-sided derivatives has the verdict KINK.
   - If rounding could hide an error, the part is judged again at random points nearby (`second_point`). If it could
     hide the error there too, the verdict is INCONCLUSIVE.
   - The `diagnosis` explains a failure: by the pattern of the errors, by trying each layer by itself, or by planting
     known mistakes in the network until one gives the same wrong gradient.
   - The Taylor remainder is a second opinion, from values of the function alone.
3. The `report` has a row with a verdict for each part. Its own verdict is the worst of these.
"""

from .adapters import jax_function, torch_function
from .gradients import assert_gradients, check_gradients
from .report import GradientError, Report, Row, Taylor, Verdict

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
