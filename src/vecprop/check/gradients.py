"""The public functions: `check_gradients` and `assert_gradients`."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from ..core import Batch, Network, RandomKey, checked_theta, suggests_keywords
from .arithmetic.rounding import rounded_to
from .comparison import Limit
from .diagnosis.wrong_layers import mixed_rows
from .points.function import Code, called, checked_function
from .points.network import (
    ENGINES,
    Engine,
    JudgedGradient,
    NetworkPoint,
    judged_gradients,
)
from .points.parameters import real_numbers
from .procedure import judged_report
from .report import Report

METHODS = ("auto", "complex step", "central differences", "directions", "ridders")

WORK = 2e10
"""All entries of a network's gradient are checked up to this number of multiplications,
rows · P². At this limit, both engines take 30 to 60 s of processor time.
"""


@suggests_keywords
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
    """Check the gradients of a network or of any function, and diagnose errors.

    Parameters
    ----------
    network : Network, CompiledNetwork or callable
        A network, or a function f(theta, *args) that returns (value, gradient). If you
        pass ``gradient``, the function returns only the value. If the value is an
        array, the gradient is the Jacobian. The shape of the Jacobian is the shape of
        the value, followed by the shape of theta.
    theta : array, or list, tuple or dict of arrays
        The point where the gradient is checked. For a network, theta is a vector (P,).
        The gradient must have the structure of theta. Arrays in a dict are matched by
        key.
    X, T, sample_weight : array, optional
        The inputs, targets and sample weights of a network; see `Network.loss`.
    noise : RandomKey or int, optional
        The seed or key of random layers such as dropout. By default, the seed is 0. If
        you pass ``gradient``, random layers are off by default.
    args : sequence, optional
        Further arguments to pass to a function.
    gradient : callable or array, optional
        The gradient to check. For a network, pass a vector (P,) or a function of theta.
        This gradient is checked instead of the gradient of the network. For a function,
        pass an array or a function with the same arguments.
    method : {"auto", "complex step", "central differences", "directions", "ridders"},
    default "auto"
        The method for the expected derivatives. "complex step" is exact for every
        entry. "directions" computes complex steps along three random directions for
        each parameter array, and suits large networks. "central differences" is the
        textbook method. "ridders" does not need complex numbers. "auto" selects the
        complex step. If there are many parameters, "auto" selects directions. If finite
        differences contradict the complex step, "auto" selects Ridders' method.
    engine : {"both", "reference", "compiled"}, default "both"
        The engine that computes the gradient of a network. For the compiled engine, the
        check covers the gradient of `vecprop.compile` and the gradient of a training
        step. If a part of the network cannot be compiled, "both" checks only the
        reference engine.
    rtol, atol : float, default 0
        Errors up to ``atol + rtol * abs(derivative)`` are allowed in addition to
        rounding errors.

    Returns
    -------
    Report
        The verdict, and a row for each parameter array.

    Raises
    ------
    ValueError, TypeError
        If an argument has the wrong shape or type or is not finite, if the function
        raises at theta, or if ``engine="compiled"`` is given for a network without
        kernels.

    Examples
    --------
    >>> from vecprop import Dense, Logistic, Network, SoftmaxCrossEntropy
    >>> network = Network(2, [Dense(3), Logistic(), Dense(2)], SoftmaxCrossEntropy())
    >>> X, T = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1])
    >>> report = check_gradients(network, network.init(seed=0), X, T)
    >>> report.verdict
    <Verdict.PASS: 'PASS'>

    Any function that returns its value and gradient can be checked. This gradient lacks
    a factor of 2:

    >>> report = check_gradients(lambda w: (w @ w, w), np.array([1.0, 2.0]))
    >>> report.verdict, report.diagnoses
    (<Verdict.FAIL: 'FAIL'>, ('the gradient is 1/2 of the expected one: a factor of 2 is missing',))
    """
    _check_options(method, engine, args, tolerances={"rtol": rtol, "atol": atol})
    # do not import it here
    kernels = sys.modules.get("vecprop.compiled.compiled_network")
    if kernels and isinstance(network, kernels.CompiledNetwork):
        network = network.network
        if engine == "both":
            engine = "compiled"
    rows = (X, T, sample_weight)
    notes = []
    if isinstance(network, Network):
        if args:
            raise TypeError(
                "args applies only to functions; a network takes X, T, sample_weight"
                " and noise."
            )
        point, notes = _network_at(
            network, theta, rows, noise=noise, gradient=gradient, engine=engine
        )
        if method == "auto" and float(point.theta.size) ** 2 * point.batch.rows > WORK:
            method = "directions"
    else:
        if not callable(network):
            raise TypeError(
                "check_gradients takes a network or a function, not"
                f" {type(network).__name__}: call model.check_gradients(X, y) for a"
                " fitted model."
            )
        if any(argument is not None for argument in (*rows, noise)):
            raise TypeError(
                "X, T, sample_weight and noise apply only to networks: pass arguments"
                " as args=(…), and the gradient as gradient=."
            )
        point = checked_function(network, theta, tuple(args), gradient=gradient)
        point.code = Code(network, gradient, tuple(args))
    return judged_report(
        point,
        method,
        notes,
        can_move=gradient is None or callable(gradient),
        limit=Limit(float(rtol), float(atol)),
    )


def _check_options(method, engine, args, tolerances: dict[str, Any]):
    """Raise an error if an option of `check_gradients` is invalid."""
    for name, value, options in (
        ("method", method, METHODS),
        ("engine", engine, ENGINES),
    ):
        if not isinstance(value, str) or value not in options:
            raise ValueError(
                f"{name} must be one of {', '.join(options)}, got {value!r}."
            )
    for name, value in tolerances.items():
        if not (isinstance(value, int | float | np.number) and 0 <= value < np.inf):
            raise ValueError(f"{name} must be a finite number >= 0, got {value!r}.")
    if not isinstance(args, Sequence) or isinstance(args, str):
        raise TypeError(
            "args must be a tuple of arguments, such as (X, T), got"
            f" {type(args).__name__}."
        )


def assert_gradients(*arguments: Any, **options: Any) -> Report:
    """Check gradients with `check_gradients`, and raise an AssertionError with the report unless they pass.

    Examples
    --------
    >>> assert_gradients(lambda w: (w @ w, 2 * w), np.array([1.0, 2.0]))
    Report(PASS, 1 part)
    """
    __tracebackhide__ = True
    report = check_gradients(*arguments, **options)
    report.raise_if_failed()
    return report


def _single_member(
    network: Network, theta, rows: tuple[Any, Any, Any]
) -> tuple[ndarray, Batch]:
    """Return the parameters and the rows, or raise an error unless they have one member."""
    theta = np.asarray(checked_theta(network, theta))
    if theta.ndim != 1:
        raise ValueError(
            f"theta has shape {theta.shape}: check one member at a time, for example"
            " theta[0]."
        )
    if theta.dtype.kind != "f":
        raise TypeError(
            f"theta has dtype {theta.dtype}, but parameters must be real numbers."
        )
    if network.layout.size == 0:
        raise ValueError(
            "The network has no parameters, so it has no gradient to check."
        )
    batch = network._batch(theta, *rows)
    if batch.X.ndim != 2:
        raise ValueError(
            f"X has shape {batch.X.shape}: check one member at a time, for example"
            " X[0]."
        )
    return theta, batch


def _network_at(
    network: Network,
    theta,
    rows: tuple[Any, Any, Any],
    noise,
    gradient,
    engine: Engine,
) -> tuple[NetworkPoint, list[str]]:
    """Validate the arguments, and return a point and notes for the report."""
    theta, batch = _single_member(network, theta, rows)
    notes = []
    noise = RandomKey._of(noise)
    if noise is None and gradient is None and network._random:
        noise = RandomKey(0)
        notes.append("Random layers were checked with fixed random numbers (noise=0)")
    exact = rounded_to(batch, np.float64)
    unrounded = exact
    if theta.dtype != np.float64:
        unrounded = network._batch(theta.astype(float), *rows)

    def batch_at(parameters) -> Batch:
        return batch if parameters.dtype == theta.dtype else unrounded

    def given_gradient(parameters) -> tuple[None, ndarray]:
        value = gradient
        if callable(gradient):
            value = called(gradient, parameters, (), "The gradient function")
        return None, real_numbers(value)

    judged = (JudgedGradient(given_gradient),)
    if gradient is None:
        judged = judged_gradients(
            network, batch_at, noise, dtype=theta.dtype, engine=engine
        )
    point = NetworkPoint(
        network,
        theta.astype(float),
        batch=exact,
        noise_key=noise,
        judged=judged,
        dtype=theta.dtype,
        unrounded=unrounded,
    )
    mixed = "" if point.is_built_in else mixed_rows(point)
    if mixed:
        notes.append(f"{mixed[0].upper()}{mixed[1:]}")
    return point, notes
