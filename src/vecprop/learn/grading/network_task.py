"""The judgement on a function that computes the loss and the gradient of a network."""

import re
from dataclasses import replace
from typing import Any

import numpy as np

from ...check import check_gradients
from ...check.diagnosis.error_patterns import ratio, ratio_in_words
from ...core.losses import BinaryCrossEntropy, Poisson, SoftmaxCrossEntropy
from ...core.network import Network
from .explaining import Trial, kept
from .grades import Grade
from .judging import LATER, Caller, listed, problem
from .network_mistakes import explained
from .student import Outcome
from .tasks import PRECISION, Task, as_list, same, shown

NAME = "loss_and_gradient"
CASES = (
    ("7 rows", 7),
    ("4 rows", 4),
    ("one row", 1),
    ("two rows", 2),
    ("40 rows", 40),
    ("large inputs", 6),
    ("inputs that saturate the first layer", 9),
    ("outputs far from 0", 12),
    ("other numbers in the same shapes", 7),
    ("the first numbers again", 7),
)
"""The arguments that a function is tried on: a description, and the number of rows. The last repeat the first."""

LARGE, SATURATED, FAR, LAST, AGAIN = 5, 6, 7, 8, len(CASES) - 1

UNEXPLAINED = ", and no one mistake explains the numbers"
VAGUE = f"{UNEXPLAINED}|the backward pass is right down to|^only this bias is wrong"
"""What judgements on a gradient say that do not name a mistake."""

STEP = (
    "The gradient comes back from the last layer to the first: each layer takes the error at its output, and gives the "
    "gradients of its parameters and the error at its input."
)
TASK = Task(NAME, ("theta", "X", "T"), "list", "the loss and its gradient, of the shape of theta", STEP, "See `trace`.")
PART = replace(TASK, result="array")
"""The task that the loss is, and the gradient."""


def arguments_for(network: Network, case: int = 0) -> dict[str, Any]:
    """Return parameters, inputs and targets that a network takes."""
    seed, rows = 5 + case % AGAIN, CASES[case][1]
    rng = np.random.default_rng(seed)
    theta = network.init(seed) + 0.3 * rng.normal(size=network.layout.size)
    X, O, loss = rng.normal(size=(rows, network.inputs)), network.outputs, network.loss_function
    first = network.layout.views(theta)[0].get("W")
    if case == LARGE and first is not None:
        X *= 100
        first /= 100

    def largest(X: np.ndarray) -> float:
        return np.abs(network.forward(theta, X)[0][-1]).max()

    if case == SATURATED:
        X *= next(size for size in (8, 4, 2, 1) if size == 1 or largest(size * X) < 8)
    last = network.layout.views(theta)[-1].get("W")
    if case == FAR and last is not None:
        last *= 6 / largest(X)
    if isinstance(loss, SoftmaxCrossEntropy):
        T = np.eye(O)[rng.integers(0, O, rows)]
    elif isinstance(loss, BinaryCrossEntropy | Poisson):
        T = rng.integers(0, 2, (rows, O)).astype(float)
    else:
        T = rng.normal(size=(rows, O)) * (100 if case == LARGE else 1)
    return {"theta": theta, "X": X, "T": T}


def judged_network(network: Network, task: Task, caller: Caller, wrong: object) -> Grade:
    """Return the grade of a function of (theta, X, T)."""
    losses, gradients = list[Trial](), list[Trial]()
    faults: list[Grade | None] = []
    changed: dict[str, None] = {}
    for case in range(len(CASES)):
        arguments = arguments_for(network, case)
        outcome = caller(NAME, arguments, False)
        fault = _fault(network, case, arguments, outcome)
        if not case and fault and outcome["kind"] != "value":
            return fault
        right = network.loss_and_gradient(**arguments)
        for trials, found, expected in zip((losses, gradients), _pair(outcome), right, strict=True):
            part = {"kind": "nothing" if found is None else "value", "value": found}
            trials.append(Trial(PART, case, arguments, part, np.asarray(expected), _precision(case)))
        changed |= dict.fromkeys(outcome["changed"])
        faults.append(fault)
    wrong = [fault for fault in faults if fault]
    if changed:
        names = " and ".join(changed)
        hint = f"{names} of the caller has other values after the call."
        points = 0 if wrong else 0.5
        return _wrong(f"{names} is changed in place", "Look at what happens to the arguments.", hint, points)
    if not wrong:
        return Grade(NAME, 1.0)
    name, look, last = wrong[0].mistake, wrong[0].hints[0], wrong[0].hints[-1]
    for what, trials in (("losses", losses), ("gradients", gradients)):
        if keeps := kept(trials):
            look = "Look at what the function keeps between calls, such as global names."
            return _wrong(keeps.replace("results", what), look, last)
    loss_is_wrong = any("loss is wrong" in fault.mistake for fault in wrong)
    is_vague = faults[0] is None or any(re.search(VAGUE, fault.mistake) for fault in wrong)
    if loss_is_wrong or (is_vague and all(trial.found is not None for trial in gradients)):
        name = explained(network, losses if loss_is_wrong else gradients, loss_is_wrong) or name
    if wrong == [faults[LAST]]:
        name = LATER
    elif faults[0] is None and name == wrong[0].mistake:
        words = listed([CASES[case][0] for case, fault in enumerate(faults) if fault])
        name = f"it is right for {CASES[0][0]}, but not for {words}: {name}"
        return _wrong(name, "Look at the assumptions of the function: rows, bounds of numbers.", last)
    return replace(_wrong(name, look, last), judged=wrong[0].judged)


def _precision(case: int) -> float:
    return 1e-3 if case in (LARGE, SATURATED, FAR) else PRECISION


def _pair(outcome: Outcome) -> tuple[Any, Any]:
    """Return the loss and the gradient of an outcome, or None."""
    parts = as_list(outcome.get("value"))
    if outcome["kind"] != "value" or parts is None or len(parts) != 2:
        return None, None
    loss, gradient = parts
    return loss.reshape(()) if isinstance(loss, np.ndarray) and loss.size == 1 else None, _flat(gradient)


def _fault(network: Network, case: int, arguments: dict[str, Any], outcome: Outcome) -> Grade | None:
    """Return what is wrong with one call."""
    if outcome["kind"] != "value":
        found = problem(TASK, outcome, arguments)
        return replace(found, mistake=f"{found.mistake} for {CASES[case][0]}") if case else found
    precision, parts = _precision(case), as_list(outcome["value"])
    if parts is None or len(parts) != 2:
        what = shown(outcome["value"]) if parts is None else f"{len(parts)} parts"
        return _wrong("it does not return two values", "Look at what is returned.", f"It is {what}.")
    loss, gradient = _pair(outcome)
    right, expected = network.loss_and_gradient(**arguments)
    if loss is None:
        if np.size(parts[0]) == network.layout.size and np.size(parts[1]) == 1:
            name = "the gradient is returned before the loss"
            return _wrong(name, "Look at the order of what is returned.", "It should be the loss, then the gradient.")
        return _wrong("the loss is not one number", "Look at the loss: it is reduced over all rows.", "It is an array.")
    if not abs(loss - right) <= precision * abs(right):
        return _wrong_loss(network, arguments, float(loss), float(right))
    if gradient is None or gradient.size != network.layout.size:
        size = "no array" if gradient is None else f"{gradient.size} numbers"
        name = "the gradient does not have an entry for each parameter"
        return _wrong(name, "Look at the shape of the gradient.", f"It has {size}; theta has {network.layout.size}.")
    if case and same(gradient, expected, precision):
        return None
    if not np.isfinite(gradient).all():
        bad = next(t for t in network.layout.tensors if not np.isfinite(gradient[t.span]).all())
        look = f"The loss is right. Look at the gradient of {bad}."
        return _wrong(f"the gradient of {bad} is not finite", look, "Some of it is nan or infinite.")
    report = check_gradients(network, *arguments.values(), gradient=gradient)
    wrong = [row for row in report.rows if np.abs(row.given - row.expected) > precision * max(abs(row.expected), 1e-3)]
    if not wrong:
        return None
    names = " and ".join(dict.fromkeys(row.name for row in wrong))
    given, right = (np.array([getattr(row, name) for row in wrong]) for name in ("given", "expected"))
    is_multiple = same(given, right * (given @ right) / max(right @ right, 1e-300), 1e-3)
    known = [words for words in report.diagnoses if is_multiple or not words.startswith("the gradient given is")]
    diagnosis = next(iter(known), f"the gradient of {names} is wrong{UNEXPLAINED}")
    worst = wrong[-1]
    place = list(worst.index) if worst.index is not None else ""
    entry = f"In the gradient of {worst.name}, entry {place} is {worst.given:.6g}, but should be {worst.expected:.6g}."
    return _wrong(diagnosis, f"The loss is right. Look at the gradient of {names}.", entry)


def _flat(gradient: Any) -> np.ndarray | None:
    """Return a gradient as a vector; a list of one array for each parameter is joined."""
    parts = gradient if isinstance(gradient, list) else [gradient]
    if not parts or not all(isinstance(part, np.ndarray) for part in parts):
        return None
    return np.concatenate([part.ravel() for part in parts])


def _wrong_loss(network: Network, arguments: dict[str, Any], found: float, loss: float) -> Grade:
    last = f"The loss is {found:.6g}, but should be {loss:.6g}."
    name, bare = "", Network(network.inputs, network.layers, network.loss_function).loss(**arguments)
    if network.penalties and abs(found - bare) <= PRECISION * abs(bare):
        name = "the penalty is left out of the loss"
    elif (r := ratio(np.array([found]), np.array([loss]), 1e-9)) is not None:
        name = ratio_in_words(r, [len(arguments["X"])], PRECISION, 1).replace("the gradient given", "the loss")
    name = name or "the loss is wrong"
    return _wrong(name, "Look at the loss: what is summed over, is it a mean, and is there a penalty?", last)


def _wrong(name: str, first: str, last: str, points: float = 0) -> Grade:
    return Grade(NAME, points, mistake=name, hints=(first, f"{STEP} Here, {name}.", last))
