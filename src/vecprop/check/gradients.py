"""The entrance: check the gradients of a network, or of any function."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import Batch, Network, RandomKey, checked_theta
from .arithmetic.rounding import rounded_to
from .comparison import Limit
from .diagnosis.wrong_layers import mixed_rows
from .points.function import called, checked_function
from .points.network import ENGINES, Engine, JudgedGradient, NetworkPoint, judged_gradients
from .points.parameters import real_numbers
from .procedure import judged_report
from .report import Report

METHODS = ("auto", "complex step", "central differences", "directions", "ridders")

WORK = 2e10
"""The number of multiplications, rows · P², up to which every entry of a network is judged: at this limit both engines
take 30 to 60 s of processor time."""


def check_gradients(
    network: Any,
    theta: Any,
    X: Any = None,
    T: Any = None,
    sample_weight: Any = None,
    noise: RandomKey | int | None = None,
    *,
    args: Sequence[Any] = (),
    gradient: Any = None,
    method: str = "auto",
    engine: Engine = "both",
    rtol: float = 0.0,
    atol: float = 0.0,
) -> Report:
    """Check the gradients of a network, or of any function, and say what is wrong with them and where.

    Parameters
    ----------
    network : Network, CompiledNetwork or callable
        A network, also as `vecprop.compile` returns it; or a function f(theta, *args) that returns its value and
        gradient, or its value alone if ``gradient`` is given. A value may be an array. Its gradient is then the
        Jacobian, of the value's shape followed by theta's.
    theta : array, or list, tuple or dict of arrays
        The parameters at which to check. A network takes one member, (P,). The gradient has the same
        structure; the arrays of a dict are matched by key.
    X, T, sample_weight : array, optional
        A network's rows; see `Network.loss`.
    noise : RandomKey or int, optional
        The key of random layers, held fixed. By default, a network with random layers is checked with the masks of
        seed 0, as in training, unless ``gradient`` is given.
    args : sequence, optional
        Further arguments of a function.
    gradient : callable or array, optional
        The gradient to judge. For a network it takes the place of its own: a vector (P,) or a function of theta. For a
        function it takes the same arguments, or is the array itself.
    method : {"auto", "complex step", "central differences", "directions", "ridders"}, default "auto"
        How the expected derivatives are computed. "complex step" is exact for every entry. "directions" judges each
        part along three random directions, by complex step, for large networks. "central differences" is the
        tutorial's method. "ridders" needs no complex numbers. "auto" is the complex step, along directions if there
        are many parameters, as long as real differences along random directions agree with it; else Ridders' method.
    engine : {"both", "reference", "compiled"}, default "both"
        The engine whose gradient of a network is judged. For the compiled engine, both the gradient of
        `vecprop.compile` and that of a training step are judged. "both" is the reference engine alone if a part of the
        network has no kernel.
    rtol, atol : float, default 0
        Errors up to ``atol + rtol * abs(derivative)`` are allowed in addition to rounding. By default none are.

    Returns
    -------
    Report
        With ``verdict``, ``passed`` and a row for each named part.

    Raises
    ------
    ValueError, TypeError
        If an argument has a wrong shape or type or is not finite, if the function raises at theta, or if
        ``engine="compiled"`` is given for a network that has no kernels.

    Examples
    --------
    >>> from vecprop import Dense, Logistic, Network, SoftmaxCrossEntropy
    >>> network = Network(2, [Dense(3), Logistic(), Dense(2)], SoftmaxCrossEntropy())
    >>> X, T = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1])
    >>> report = check_gradients(network, network.init(seed=0), X, T)
    >>> report.verdict
    <Verdict.PASS: 'PASS'>

    Any function that returns its value and gradient can be checked. Here a factor 2 was forgotten:

    >>> report = check_gradients(lambda w: (w @ w, w), np.array([1.0, 2.0]))
    >>> report.verdict, report.diagnoses
    (<Verdict.FAIL: 'FAIL'>, ('the gradient given is 1/2 of what it should be: a factor 2 is missing',))
    """
    for name, value, known in (("method", method, METHODS), ("engine", engine, ENGINES)):
        if not isinstance(value, str) or value not in known:
            raise ValueError(f"There is no {name} {value!r}: take one of {', '.join(known)}.")
    for name, value in (("rtol", rtol), ("atol", atol)):
        if not (isinstance(value, int | float | np.number) and 0 <= value < np.inf):
            raise ValueError(f"{name} is {value!r}: give a finite number of at least 0.")
    if not isinstance(args, Sequence) or isinstance(args, str):
        raise TypeError(f"args is of type {type(args).__name__}: give a tuple of arguments, such as (X, T).")
    kernels = sys.modules.get("vecprop.compiled.compiled_network")  # if it is not imported, there is no such network
    if kernels and isinstance(network, kernels.CompiledNetwork):
        network, engine = network.network, "compiled" if engine == "both" else engine
    rows, notes = (X, T, sample_weight), []
    if isinstance(network, Network):
        if args:
            raise TypeError("args are for functions; a network takes X, T, sample_weight and noise.")
        point, notes = _network_at(network, theta, rows, noise, gradient, engine)
        if method == "auto" and float(point.theta.size) ** 2 * point.batch.rows > WORK:
            method = "directions"
    elif not callable(network):
        raise TypeError(f"check_gradients takes a network or a function, not {type(network).__name__}.")
    elif any(argument is not None for argument in (*rows, noise)):
        raise TypeError("X, T, sample_weight and noise are for networks; give a function its arguments as args=(…).")
    else:
        point = checked_function(network, theta, tuple(args), gradient)
    movable = gradient is None or callable(gradient)
    return judged_report(point, method, notes, movable, Limit(float(rtol), float(atol)))


def assert_gradients(*arguments: Any, **options: Any) -> Report:
    """Check gradients as `check_gradients` does, and raise an AssertionError with the report unless they pass.

    Examples
    --------
    >>> assert_gradients(lambda w: (w @ w, 2 * w), np.array([1.0, 2.0]))
    Report(PASS, 1 part)
    """
    __tracebackhide__ = True
    report = check_gradients(*arguments, **options)
    report.raise_if_failed()
    return report


def _network_at(
    network: Network, theta: Any, rows: tuple[Any, Any, Any], noise: Any, gradient: Any, engine: Engine
) -> tuple[NetworkPoint, list[str]]:
    """Return a network at a point, with all arguments checked, and notes for the report."""
    theta = np.asarray(checked_theta(network, theta))
    if theta.ndim != 1:
        raise ValueError(f"theta has shape {theta.shape}: check one member at a time, for example theta[0].")
    if theta.dtype.kind != "f":
        raise TypeError(f"theta has dtype {theta.dtype}, but the parameters to check are real numbers.")
    if network.layout.size == 0:
        raise ValueError("This network has no parameters: there is no gradient to check.")
    batch = network.batch(theta, *rows)  # in the precision that is checked
    if batch.X.ndim != 2:
        raise ValueError(f"X has shape {batch.X.shape}: check one member at a time, for example X[0].")
    notes = []
    noise = RandomKey.of(noise)
    if not isinstance(noise, RandomKey | None):
        raise TypeError(f"noise is {noise!r}: give a whole number, a RandomKey, or None.")
    if noise is None and gradient is None and network.random:
        noise = RandomKey(0)
        notes.append("Dropout was checked with the masks of noise=0, held fixed")
    exact = Batch(*(rounded_to(array, np.float64) for array in (batch.X, batch.T, batch.weight)))
    unrounded = exact if theta.dtype == np.float64 else network.batch(theta.astype(np.float64), *rows)

    def batch_at(at: np.ndarray) -> Batch:
        return batch if at.dtype == theta.dtype else unrounded

    def given(at: np.ndarray) -> tuple[None, np.ndarray]:
        return None, real_numbers(called(gradient, at, (), "The gradient function") if callable(gradient) else gradient)

    judged = (JudgedGradient(given),)
    if gradient is None:
        judged = judged_gradients(network, batch_at, noise, theta.dtype, engine)
    point = NetworkPoint(network, theta.astype(np.float64), exact, noise, judged, theta.dtype, unrounded)
    if not point.is_of_the_library and (mixed := mixed_rows(network, point.theta, exact, noise)):
        notes.append(f"{mixed[0].upper()}{mixed[1:]}: weights, batches and members take a sum over rows")
    return point, notes
