"""The entrance: check the gradients of a network, or of any function."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..core.counted import Noise
from ..core.inputs import Batch, checked_theta
from ..core.network import Network
from .diagnosis import diagnosed
from .directions import judge_directions
from .function import FunctionPoint, checked_function
from .judge import HIDDEN, Compared, Point, Row, hidden_share, judge_entries
from .network import NetworkPoint
from .parameters import Part
from .report import Report
from .taylor import taylor
from .verdict import Verdict

METHODS = ("auto", "complex step", "central differences", "directions", "ridders")

WORK = 2e10
"""How many multiplications the exact mode may take before the fast one is chosen: about a second or two."""

RESOLUTION = 1e-7
"""The share of a part's largest entry above which rounding sends the check to a second point."""


def check_gradients(
    network: Network | Callable[..., Any],
    theta: Any,
    X: Any = None,
    T: Any = None,
    sample_weight: Any = None,
    noise: Noise | int | None = None,
    *,
    args: Sequence[Any] = (),
    gradient: Any = None,
    method: str = "auto",
) -> Report:
    """Check the gradients of a network, or of any function, and say what is wrong with them and where.

    Parameters
    ----------
    network : Network or callable
        A network; or a function f(theta, *args) that returns its value and gradient, or its value alone where
        ``gradient`` is given. Values may be arrays; their gradient, the Jacobian, then has the value's shape followed
        by theta's.
    theta : array, or list or dict of arrays
        The parameters at which to check. A network takes one member, (P,).
    X, T, sample_weight : array, optional
        A network's rows; see `Network.loss`.
    noise : Noise or int, optional
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
        "auto" takes the complex step, along directions where there are many parameters, and Ridders' differences for a
        function that complex numbers do not suit.

    Returns
    -------
    Report
        With ``verdict``, ``passed`` and a row per named part.

    Raises
    ------
    ValueError, TypeError
        Where an argument has a wrong shape or type or is not finite, or where the function raises.

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
    if method not in METHODS:
        raise ValueError(f"There is no method {method!r}: take one of {', '.join(METHODS)}.")
    if isinstance(network, Network):
        if args:
            raise TypeError("args are for functions; a network takes X, T, sample_weight and noise.")
        return _check_network(network, theta, X, T, sample_weight, noise, gradient, method)
    if not callable(network):
        raise TypeError(f"check_gradients takes a network or a function, not {type(network).__name__}.")
    if any(argument is not None for argument in (X, T, sample_weight, noise)):
        raise TypeError("X, T, sample_weight and noise are for networks; give a function its arguments as args=(…).")
    return _check_function(network, theta, tuple(args), gradient, method)


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


def _check_network(
    network: Network, theta: Any, X: Any, T: Any, sample_weight: Any, noise: Any, gradient: Any, method: str
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
    noise = Noise.of(noise)
    if noise is None and gradient is None and any(getattr(layer, "random", False) for layer in network.layers):
        noise = Noise(0)
        notes.append("Dropout was checked with the masks of noise=0, held fixed")
    exact = Batch(_float64(batch.X), _float64(batch.T), None if batch.weight is None else _float64(batch.weight))

    float64 = theta.dtype == np.float64
    unrounded = exact if float64 else network.batch(theta.astype(np.float64), X, T, sample_weight)

    def own(at: np.ndarray) -> np.ndarray:
        return network.batch_loss_and_gradient(at, batch if at.dtype == theta.dtype else unrounded, noise)[1]

    judged: Any = own if gradient is None else gradient if callable(gradient) else lambda at: gradient
    point = NetworkPoint(
        network, theta.astype(np.float64), exact, noise, judged, theta.dtype, unrounded, gradient is None
    )
    if method == "auto":
        method = "complex step" if float(theta.size) ** 2 * batch.rows <= WORK else "directions"
    return _report(point, method, tuple(notes), movable=gradient is None or callable(gradient), own=gradient is None)


def _float64(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _check_function(f: Callable[..., Any], theta: Any, args: tuple[Any, ...], gradient: Any, method: str) -> Report:
    point, method, note = checked_function(f, theta, args, gradient, method)
    movable = gradient is None or callable(gradient)
    return _report(point, method, (note,) if note else (), movable)


def _words(method: str, float32: bool) -> str:
    words = {
        "complex step": "complex step, every entry",
        "directions": "complex step along 3 random directions a part, not every entry",
        "central differences": "central differences, every entry",
        "ridders": "Ridders' extrapolated central differences, every entry",
    }[method]
    return f"{words}; a float32 gradient against float64" if float32 else words


def _report(point: Any, method: str, notes: tuple[str, ...], movable: bool, own: bool = False) -> Report:
    """Judge a gradient at a point, and at a random point nearby where rounding hides too much here."""
    loss, given = point.evaluated()
    _finite(given, point, "The gradient")
    _finite(loss, point, "The function")
    loss_again, again = point.evaluated()
    rows, found = _rows(point, given, method, point.parts)
    rows = _deterministic(rows, point, np.abs(again - given), np.abs(loss_again - loss), loss)
    float32 = point.dtype != np.float64
    nearby: dict[str, Row] = {}
    if movable:
        resolution = 1e-4 if float32 else RESOLUTION
        open_yet = [row for row in rows if row.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE)]
        doubtful = [row.name for row in open_yet if row.hidden > resolution]
        nearby = _nearby(point, method, doubtful, resolution)
    largest = float(np.abs(given).max())
    rows = [_settled(row, nearby.get(row.name), largest) for row in rows]
    rows = diagnosed(point, given, rows, found, own)
    return Report(tuple(rows), _words(method, float32), tuple(nearby.values()), partial(taylor, point, given), notes)


def _finite(values: np.ndarray, point: Point, what: str) -> np.ndarray:
    wrong = np.argwhere(~np.isfinite(values))
    if wrong.size:
        place = ""
        if values.ndim == 2:
            part = next(part for part in point.parts if part.start <= wrong[0][1] < part.start + part.size)
            place = f" of {part.name}{list(part.index(int(wrong[0][1] - part.start))) or ''}"
        raise ValueError(f"{what}{place} is {values[tuple(wrong[0])]} at theta: check it where it is finite.")
    return values


def _rows(point: Any, given: np.ndarray, method: str, parts: Iterable[Part]) -> tuple[list[Row], dict[str, Compared]]:
    generator = np.random.default_rng(0)
    rows, found, is_function = [], {}, isinstance(point, FunctionPoint)
    parts = [part for part in parts if part.size]
    with np.errstate(all="ignore"):
        if method == "directions":
            return judge_directions(point, parts, given, generator), found
        for part in parts:
            row, found[part.name] = judge_entries(point, part, given[:, part.span], method)
            if is_function and row.verdict is Verdict.FAIL:
                row = _doubted(row, found[part.name], point.roughness(part))
            rows.append(row)
    return rows, found


def _doubted(row: Row, found: Compared, roughness: np.ndarray) -> Row:
    """Return a row that failed, inconclusive where the function's own rounding could explain all of its errors."""
    if (np.abs(found.given - found.expected) > roughness)[found.wrong].any():
        return row
    hidden = max(row.hidden, hidden_share(roughness, found.expected))
    return replace(row, verdict=Verdict.INCONCLUSIVE, hidden=hidden, note="the function's own rounding may explain it")


def _deterministic(
    rows: list[Row], point: Any, gradient_change: np.ndarray, loss_change: np.ndarray, loss: np.ndarray
) -> list[Row]:
    """Return the rows, without a judgement where two runs differ by more than rounding can explain."""
    loss_moves = bool((loss_change > 1e-12 * np.abs(loss)).any())
    checked = []
    for row in rows:
        part = next(part for part in point.parts if part.name == row.name)
        own = gradient_change[:, part.span]
        moves = loss_moves or (own.any() and bool((own > 8 * point.bound.gradient[:, part.span]).any()))
        checked.append(replace(row, verdict=Verdict.NONDETERMINISTIC) if moves else row)
    return checked


MOVES = ((1.0, 0.1), (0.5, 0.3), (0.1, 0.1))
"""How theta is moved: by which factor, and how much of each parameter at random. Small weights saturate nothing."""


def _nearby(point: Any, method: str, doubtful: list[str], resolution: float) -> dict[str, Row]:
    """Judge parts at random points ever farther away, until rounding hides little of them."""
    generator = np.random.default_rng(1)
    judged: dict[str, Row] = {}
    for factor, spread in MOVES:
        if not doubtful:
            break
        theta = point.theta.copy()
        for part in point.parts:
            own = theta[part.span]
            size = float(np.sqrt(np.mean(own * own))) if own.any() else 1.0
            scale = np.where(own == 0, size, np.abs(own))
            theta[part.span] = factor * own + spread * scale * generator.standard_normal(own.shape)
        other = point.at(theta)
        try:
            given = _finite(other.gradient(), other, "The gradient")
            _finite(other.loss(), other, "The function")
        except ValueError:  # outside the function's domain
            continue
        parts = [part for part in point.parts if part.name in doubtful]
        for row in _rows(other, given, method, parts)[0]:
            if row.name not in judged or row.hidden < judged[row.name].hidden or row.verdict is Verdict.FAIL:
                judged[row.name] = row
        doubtful = [name for name in doubtful if name not in judged or judged[name].hidden > resolution]
    return judged


def _settled(here: Row, there: Row | None, largest: float) -> Row:
    """Return a row with what was found nearby, and inconclusive where it would pass though rounding hides errors."""
    if here.verdict not in (Verdict.PASS, Verdict.INCONCLUSIVE):
        return here
    if there and there.verdict is Verdict.FAIL:
        return replace(here, verdict=Verdict.FAIL, note="rounding hides errors here, but it fails nearby")
    if here.verdict is Verdict.INCONCLUSIVE:
        return here
    if there and there.conclusive:
        why = "all its entries are 0 here" if here.hidden == np.inf else "rounding hides errors here"
        return replace(here, note=f"{why}; a random point nearby settles it")
    if here.conclusive:
        return here
    if here.hidden == np.inf and here.error == 0 and here.tolerance <= HIDDEN * largest:
        return replace(here, note="all its entries are exactly 0, as they should be")
    if here.tolerance <= np.finfo(np.float64).eps * largest:
        return replace(here, note="it is 0, but for what rounding leaves of the other entries")
    return replace(here, verdict=Verdict.INCONCLUSIVE)
