"""The judgement on a function that computes the loss and the gradient of a network."""

from typing import Any

import numpy as np

from ...check import check_gradients
from ...check.diagnosis.error_patterns import ratio, ratio_in_words
from ...core.losses import BinaryCrossEntropy, Poisson, SoftmaxCrossEntropy
from ...core.network import Network
from .comparison import PRECISION, as_list, shown
from .judging import Caller, Judgement, problem
from .tasks import Task

NAME = "loss_and_gradient"
ROWS = 7

STEP = (
    "The gradient comes back from the last layer to the first: each layer takes the error at its output, and gives the "
    "gradients of its parameters and the error at its input."
)
TASK = Task(
    NAME, ("theta", "X", "T"), len, "list", "the loss and its gradient, of the shape of theta", STEP, "See `trace`."
)


def arguments_for(network: Network) -> dict[str, Any]:
    """Return parameters, inputs and targets that a network takes.

    Examples
    --------
    >>> from vecprop import Dense, Network, SoftmaxCrossEntropy
    >>> arguments_for(Network(2, [Dense(3)], SoftmaxCrossEntropy()))["T"].sum(axis=1)
    array([1., 1., 1., 1., 1., 1., 1.])
    """
    rng = np.random.default_rng(5)
    theta = network.init(5) + 0.3 * rng.normal(size=network.layout.size)
    X, O, loss = rng.normal(size=(ROWS, network.inputs)), network.outputs, network.loss_function
    if isinstance(loss, SoftmaxCrossEntropy):
        T = np.eye(O)[rng.integers(0, O, ROWS)]
    elif isinstance(loss, BinaryCrossEntropy | Poisson):
        T = rng.integers(0, 2, (ROWS, O)).astype(float)
    else:
        T = rng.normal(size=(ROWS, O))
    return {"theta": theta, "X": X, "T": T}


def judged_network(network: Network, caller: Caller) -> Judgement:
    """Return the judgement on a function of (theta, X, T).

    Parameters
    ----------
    network : Network
        The network whose loss and gradient it should return.
    caller : callable
        Calls the student's function.
    """
    arguments = arguments_for(network)
    outcome = caller(NAME, arguments, False)
    if outcome["kind"] != "value":
        return problem(TASK, outcome, arguments)
    parts = as_list(outcome["value"])
    if parts is None or len(parts) != 2:
        what = (
            "None" if outcome["value"] is None else shown(outcome["value"]) if parts is None else f"{len(parts)} parts"
        )
        return _wrong("it does not return two values", "Look at what is returned.", f"It is {what}.")
    loss, gradient = np.asarray(network.loss(**arguments)), _flat(parts[1])
    if not isinstance(parts[0], np.ndarray) or parts[0].size != 1:
        return _wrong("the loss is not one number", "Look at the loss: it is reduced over all rows.", "It is an array.")
    found = float(parts[0].ravel()[0])
    if abs(found - loss) > PRECISION * abs(loss):
        return _wrong_loss(network, arguments, found, float(loss))
    if gradient is None or gradient.size != network.layout.size:
        size = "no array" if gradient is None else f"{gradient.size} numbers"
        name = "the gradient does not have an entry for each parameter"
        return _wrong(name, "Look at the shape of the gradient.", f"It has {size}; theta has {network.layout.size}.")
    if outcome["changed"]:
        names = " and ".join(outcome["changed"])
        hint = f"{names} of the caller has other values after the call."
        return _wrong(f"{names} is changed in place", "Look at what happens to the arguments.", hint, 0.5)
    report = check_gradients(network, *arguments.values(), gradient=gradient)
    wrong = [row for row in report.rows if np.abs(row.given - row.expected) > PRECISION * max(abs(row.expected), 1e-3)]
    if not wrong:
        return Judgement()
    diagnosis = next(iter(report.diagnoses), "the numbers are wrong")
    names = " and ".join(dict.fromkeys(row.name for row in wrong))
    worst = wrong[-1]
    place = list(worst.index) if worst.index is not None else ""
    entry = f"In the gradient of {worst.name}, entry {place} is {worst.given:.6g}, but should be {worst.expected:.6g}."
    return _wrong(diagnosis, f"The loss is right. Look at the gradient of {names}.", entry)


def _flat(gradient: Any) -> np.ndarray | None:
    """Return a gradient as a vector; a list of one array for each parameter is joined."""
    if isinstance(gradient, np.ndarray):
        return gradient.ravel()
    if isinstance(gradient, list) and all(isinstance(part, np.ndarray) for part in gradient):
        return np.concatenate([part.ravel() for part in gradient]) if gradient else None
    return None


def _wrong_loss(network: Network, arguments: dict[str, Any], found: float, loss: float) -> Judgement:
    last = f"The loss is {found:.6g}, but should be {loss:.6g}."
    name = "the loss is wrong"
    if network.penalties:
        bare = Network(network.inputs, network.layers, network.loss_function).loss(**arguments)
        if abs(found - bare) <= PRECISION * abs(bare):
            name = "the penalty is left out of the loss"
    r = ratio(np.array([found]), np.array([loss]), 1e-9)
    if name == "the loss is wrong" and r is not None:
        words = ratio_in_words(r, [ROWS], PRECISION, 1).replace("the gradient given", "the loss")
        name = words or name
    return _wrong(name, "Look at the loss: what is summed over, is it a mean, and is there a penalty?", last)


def _wrong(name: str, first: str, last: str, share: float = 0) -> Judgement:
    return Judgement(name, (first, f"{STEP} Here, {name}.", last), share)
