"""The judgement on a function that computes the loss and the gradient of a network."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from ...check import check_gradients
from ...check.diagnosis.error_patterns import ratio, ratio_in_words
from ...core.losses import BinaryCrossEntropy, Poisson, SoftmaxCrossEntropy
from ...core.network import Network
from .comparison import PRECISION, as_list, same, shown
from .judging import Caller, Judgement, problem
from .network_losses import Given, other_gradient, other_loss
from .student import Outcome
from .tasks import Task

NAME = "loss_and_gradient"
ROWS = 7
CASES = (
    ("7 rows", ROWS),
    ("4 rows", 4),
    ("one row", 1),
    ("two rows", 2),
    ("40 rows", 40),
    ("large inputs", 6),
    ("inputs that saturate the first layer", 9),
    ("outputs far from 0", 12),
    ("other numbers in the same shapes", ROWS),
    ("the first numbers again", ROWS),
)
"""The arguments that a function is tried on: a description, and the number of rows. The last repeat the first."""

LARGE, SATURATED, FAR, AGAIN = 5, 6, 7, len(CASES) - 1

STEP = (
    "The gradient comes back from the last layer to the first: each layer takes the error at its output, and gives the "
    "gradients of its parameters and the error at its input."
)
TASK = Task(
    NAME, ("theta", "X", "T"), len, "list", "the loss and its gradient, of the shape of theta", STEP, "See `trace`."
)


def arguments_for(network: Network, case: int = 0) -> dict[str, Any]:
    """Return parameters, inputs and targets that a network takes.

    Examples
    --------
    >>> from vecprop import Dense, Network, SoftmaxCrossEntropy
    >>> arguments_for(Network(2, [Dense(3)], SoftmaxCrossEntropy()))["T"].sum(axis=1)
    array([1., 1., 1., 1., 1., 1., 1.])
    """
    seed, rows = 5 + case % AGAIN, CASES[case][1]
    rng = np.random.default_rng(seed)
    theta = network.init(seed) + 0.3 * rng.normal(size=network.layout.size)
    X, O, loss = rng.normal(size=(rows, network.inputs)), network.outputs, network.loss_function
    first = network.layout.views(theta)[0].get("W")
    if case == LARGE and first is not None:
        X *= 100
        first /= 100
    if case == SATURATED:
        X *= next(
            size for size in (8, 4, 2, 1) if size == 1 or np.abs(network.forward(theta, size * X)[0][-1]).max() < 8
        )
    last = network.layout.views(theta)[-1].get("W")
    if case == FAR and last is not None:
        last *= 6 / np.abs(network.forward(theta, X)[0][-1]).max()
    if isinstance(loss, SoftmaxCrossEntropy):
        T = np.eye(O)[rng.integers(0, O, rows)]
    elif isinstance(loss, BinaryCrossEntropy | Poisson):
        T = rng.integers(0, 2, (rows, O)).astype(float)
    else:
        T = rng.normal(size=(rows, O)) * (100 if case == LARGE else 1)
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
    given: list[Given] = []
    faults: list[Judgement | None] = []
    changed: dict[str, None] = {}
    for case in range(len(CASES)):
        arguments = arguments_for(network, case)
        outcome = caller(NAME, arguments, False)
        fault = _fault(network, case, arguments, outcome)
        if not case and fault and outcome["kind"] != "value":
            return fault
        given.append(Given(arguments, *_pair(outcome)))
        changed |= dict.fromkeys(outcome["changed"])
        faults.append(fault)
    first = next((fault for fault in faults if fault), None)
    if changed and (first is None or first.hints[0].startswith("The loss is right")):
        names = " and ".join(changed)
        hint = f"{names} of the caller has other values after the call."
        share = 0 if first else 0.5
        return _wrong(f"{names} is changed in place", "Look at what happens to the arguments.", hint, share)
    if first is None:
        return Judgement()
    if keeps := _kept(network, given):
        return _wrong(keeps, "Look at what the function keeps between calls, such as global names.", first.hints[-1])
    if faults[0] is None:
        words = [CASES[case][0] for case, fault in enumerate(faults) if fault]
        some = " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
        name = f"it is right for {CASES[0][0]}, but not for {some}: {first.mistake}"
        return _wrong(name, "Look at the assumptions of the function: rows, bounds of numbers.", first.hints[-1])
    loss_is_wrong = any("loss is wrong" in fault.mistake for fault in faults if fault)
    name = other_loss(network, given) if loss_is_wrong else ""
    if "no one mistake explains" in first.mistake:
        name = other_gradient(network, given)
    return _wrong(name, first.hints[0], first.hints[-1]) if name else first


def _pair(outcome: Outcome) -> tuple[Any, Any]:
    """Return the loss and the gradient of an outcome, or None."""
    parts = as_list(outcome.get("value"))
    if outcome["kind"] != "value" or parts is None or len(parts) != 2:
        return None, None
    loss, gradient = parts
    number = float(loss.ravel()[0]) if isinstance(loss, np.ndarray) and loss.size == 1 else None
    return number, _flat(gradient)


def _kept(network: Network, given: Sequence[Given]) -> str:
    """Return the kind of state between calls, if equal arguments lead to different results."""
    first, last = given[0], given[-1]
    if any(part is None for part in (first.loss, first.gradient, last.loss, last.gradient)):
        return ""
    if same(np.array(first.loss), last.loss) and same(first.gradient, last.gradient):
        return ""
    for before, each in pairwise(given):
        gradient = network.loss_and_gradient(**each.arguments)[1]
        if before.gradient is None or each.gradient is None or not same(each.gradient, before.gradient + gradient):
            return "a second call with the same arguments comes to another result: something is kept or drawn at random"
    return "gradients of earlier calls are added: the gradient is not set back to 0 at the start of a call"


def _fault(network: Network, case: int, arguments: dict[str, Any], outcome: Outcome) -> Judgement | None:
    """Return what is wrong with one call."""
    if outcome["kind"] != "value":
        found = problem(TASK, outcome, arguments)
        return replace(found, mistake=f"{found.mistake} for {CASES[case][0]}") if case else found
    precision = 1e-3 if case in (LARGE, SATURATED, FAR) else PRECISION
    parts = as_list(outcome["value"])
    if parts is None or len(parts) != 2:
        what = (
            "None" if outcome["value"] is None else shown(outcome["value"]) if parts is None else f"{len(parts)} parts"
        )
        return _wrong("it does not return two values", "Look at what is returned.", f"It is {what}.")
    loss, gradient = np.asarray(network.loss(**arguments)), _flat(parts[1])
    if not isinstance(parts[0], np.ndarray) or parts[0].size != 1:
        if np.size(parts[0]) == network.layout.size and np.size(parts[1]) == 1:
            name = "the gradient is returned before the loss"
            return _wrong(name, "Look at the order of what is returned.", "It should be the loss, then the gradient.")
        return _wrong("the loss is not one number", "Look at the loss: it is reduced over all rows.", "It is an array.")
    found = float(parts[0].ravel()[0])
    if not abs(found - loss) <= precision * abs(loss):
        return _wrong_loss(network, arguments, found, float(loss))
    if gradient is None or gradient.size != network.layout.size:
        size = "no array" if gradient is None else f"{gradient.size} numbers"
        name = "the gradient does not have an entry for each parameter"
        return _wrong(name, "Look at the shape of the gradient.", f"It has {size}; theta has {network.layout.size}.")
    expected = network.loss_and_gradient(**arguments)[1]
    if case and same(gradient, expected, precision):
        return None
    report = check_gradients(network, *arguments.values(), gradient=gradient)
    wrong = [row for row in report.rows if np.abs(row.given - row.expected) > precision * max(abs(row.expected), 1e-3)]
    if not wrong:
        return None
    names = " and ".join(dict.fromkeys(row.name for row in wrong))
    diagnosis = next(
        iter(report.diagnoses), f"the gradient of {names} is wrong, and no one mistake explains the numbers"
    )
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
        words = ratio_in_words(r, [len(arguments["X"])], PRECISION, 1).replace("the gradient given", "the loss")
        name = words or name
    return _wrong(name, "Look at the loss: what is summed over, is it a mean, and is there a penalty?", last)


def _wrong(name: str, first: str, last: str, share: float = 0) -> Judgement:
    return Judgement(name, (first, f"{STEP} Here, {name}.", last), share)
