"""The entrance: check the gradients of a network, or of any function."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.counter_rng import RandomKey
from ..core.inputs import Batch, checked_theta
from ..core.network import Network
from .comparison import Limit
from .engines import ENGINES, Engine, candidates_of
from .function_point import called, checked_function
from .network_point import Candidate, NetworkPoint
from .parameters import real_numbers
from .procedure import judged_report
from .report import Report

METHODS = ("auto", "complex step", "central differences", "directions", "ridders")

WORK = 2e10
"""How many multiplications the exact mode may take before the fast one is chosen: about a second or two."""


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
        gradient, or its value alone where ``gradient`` is given. Values may be arrays; their gradient, the Jacobian,
        then has the value's shape followed by theta's.
    theta : array, or list, tuple or dict of arrays
        The parameters at which to check. A network takes one member, (P,). The gradient is built alike, and of a dict
        it is matched by key.
    X, T, sample_weight : array, optional
        A network's rows; see `Network.loss`.
    noise : RandomKey or int, optional
        The key of random layers, held fixed. Where it is not given, a network that has random layers is checked with
        the masks of seed 0, since that is how it is trained, unless ``gradient`` is given.
    args : sequence, optional
        Further arguments of a function.
    gradient : callable or array, optional
        The gradient to judge: for a network instead of its own, as a vector (P,) or as a function of theta; for a
        function, its gradient for the same arguments, or the array itself.
    method : {"auto", "complex step", "central differences", "directions", "ridders"}, default "auto"
        How slopes are found. "complex step" is exact for every entry; "directions" are three random ones for each part,
        by complex step, for large networks; "central differences" are the seed's; "ridders" needs no complex numbers.
        "auto" takes the complex step, along directions where there are many parameters, and Ridders' differences for
        what complex numbers do not suit: real differences along random directions have to agree with it.
    engine : {"both", "reference", "compiled"}, default "both"
        Whose gradient of a network is judged. Of the compiled engine it is that of `vecprop.compile` and that of a
        step of training. "both" takes the reference alone where a part of the network has no kernel.
    rtol, atol : float, default 0
        Errors up to ``atol + rtol * abs(slope)`` are allowed beside those of rounding. By default none are.

    Returns
    -------
    Report
        With ``verdict``, ``passed`` and a row per named part.

    Raises
    ------
    ValueError, TypeError
        Where an argument has a wrong shape or type or is not finite, where the function raises at theta, or where
        ``engine="compiled"`` is asked for a network that has no kernels.

    Examples
    --------
    >>> from vecprop import Dense, Logistic, Network, SoftmaxCrossEntropy
    >>> network = Network(2, [Dense(3), Logistic(), Dense(2)], SoftmaxCrossEntropy())
    >>> X, T = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1])
    >>> report = check_gradients(network, network.init(seed=0), X, T)
    >>> report.verdict
    <Verdict.PASS: 'PASS'>

    Any function that returns its value and gradient; this one has forgotten a factor 2:

    >>> report = check_gradients(lambda w: (w @ w, w), np.array([1.0, 2.0]))
    >>> report.verdict, report.diagnoses
    (<Verdict.FAIL: 'FAIL'>, ('the gradient given is 1/2 of what it should be: a factor 2 is missing',))
    """
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"There is no method {method!r}: take one of {', '.join(METHODS)}.")
    if not isinstance(engine, str) or engine not in ENGINES:
        raise ValueError(f"There is no engine {engine!r}: take one of {', '.join(ENGINES)}.")
    limit = _limit(rtol, atol)
    if not isinstance(args, Sequence) or isinstance(args, str):
        raise TypeError(f"args is of type {type(args).__name__}: give a tuple of arguments, such as (X, T).")
    kernels = sys.modules.get("vecprop.compiled.network")  # without which nobody has a compiled network
    if kernels and isinstance(network, kernels.CompiledNetwork):
        network, engine = network.network, "compiled" if engine == "both" else engine
    if isinstance(network, Network):
        if args:
            raise TypeError("args are for functions; a network takes X, T, sample_weight and noise.")
        return _check_network(network, theta, X, T, sample_weight, noise, gradient, method, engine, limit)
    if not callable(network):
        raise TypeError(f"check_gradients takes a network or a function, not {type(network).__name__}.")
    if any(argument is not None for argument in (X, T, sample_weight, noise)):
        raise TypeError("X, T, sample_weight and noise are for networks; give a function its arguments as args=(…).")
    point = checked_function(network, theta, tuple(args), gradient)
    return judged_report(point, method, [], gradient is None or callable(gradient), limit)


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


def _limit(rtol: float, atol: float) -> Limit:
    for name, value in (("rtol", rtol), ("atol", atol)):
        if not (isinstance(value, int | float | np.number) and 0 <= value < np.inf):
            raise ValueError(f"{name} is {value!r}: give a finite number of at least 0.")
    return Limit(float(rtol), float(atol))


def _check_network(
    network: Network,
    theta: Any,
    X: Any,
    T: Any,
    sample_weight: Any,
    noise: Any,
    gradient: Any,
    method: str,
    engine: Engine,
    limit: Limit,
) -> Report:
    theta = np.asarray(checked_theta(network, theta))
    if theta.ndim != 1:
        raise ValueError(f"theta has shape {theta.shape}: check one member at a time, for example theta[0].")
    if theta.dtype.kind != "f":
        raise TypeError(f"theta has dtype {theta.dtype}, but the parameters to check are real numbers.")
    if network.layout.size == 0:
        raise ValueError("This network has no parameters: there is no gradient to check.")
    batch = network.batch(theta, X, T, sample_weight)  # rounded as the network that is checked rounds it
    if batch.X.ndim != 2:
        raise ValueError(f"X has shape {batch.X.shape}: check one member at a time, for example X[0].")
    notes = []
    noise = RandomKey.of(noise)
    if not isinstance(noise, RandomKey | None):
        raise TypeError(f"noise is {noise!r}: give a whole number, a RandomKey, or None.")
    if noise is None and gradient is None and network.random:
        noise = RandomKey(0)
        notes.append("Dropout was checked with the masks of noise=0, held fixed")
    exact = Batch(_float64(batch.X), _float64(batch.T), None if batch.weight is None else _float64(batch.weight))
    float64 = theta.dtype == np.float64
    unrounded = exact if float64 else network.batch(theta.astype(np.float64), X, T, sample_weight)

    def batch_at(at: np.ndarray) -> Batch:
        return batch if at.dtype == theta.dtype else unrounded

    if gradient is None:
        judged = candidates_of(network, batch_at, noise, theta.dtype, engine)
    else:
        judged = (Candidate(lambda at: (None, _given(gradient, at))),)
    point = NetworkPoint(network, theta.astype(np.float64), exact, noise, judged, theta.dtype, unrounded)
    if method == "auto" and float(theta.size) ** 2 * batch.rows > WORK:
        method = "directions"
    return judged_report(point, method, notes, gradient is None or callable(gradient), limit)


def _float64(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _given(gradient: Any, at: np.ndarray) -> np.ndarray:
    """Return the gradient that a user gives for a network's, at parameters theta."""
    return real_numbers(called(gradient, at, (), "The gradient function") if callable(gradient) else gradient)
