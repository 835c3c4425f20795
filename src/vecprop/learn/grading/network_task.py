"""Judge a function that computes the loss and gradient of a network."""

import re
from dataclasses import replace
from typing import Any

import numpy as np

from ...check import check_gradients
from ...check.diagnosis.error_patterns import ratio, ratio_in_words
from ...core import BinaryCrossEntropy, Network, Poisson, SoftmaxCrossEntropy
from .explaining import Trial, kept_state, listed
from .grades import Grade
from .judging import LATER, Caller, problem, with_step
from .mistakes import LOOK
from .network_mistakes import explained
from .tasks import PRECISION, Task, as_list, same, shown

NAME = "loss_and_gradient"
CASES = (("7 rows", 7), ("4 rows", 4), ("one row", 1), ("two rows", 2), ("40 rows", 40), ("large inputs", 6))
CASES += (("inputs that saturate the first layer", 9), ("outputs far from 0", 12))
CASES += (("other numbers in the same shapes", 7), ("the first numbers again", 7))
"""The test cases: a description and the number of rows. The last case repeats the first case."""

LARGE, SATURATED, FAR, LAST, AGAIN = 5, 6, 7, 8, len(CASES) - 1

UNEXPLAINED = ", and no single mistake explains the numbers"
VAGUE = f"{UNEXPLAINED}|the backward pass is right down to|^only this bias is wrong"
"""A pattern of diagnoses that do not name a mistake."""

STEP = "The backward pass runs from the last layer to the first: each layer receives the error at its output"
STEP += " and computes the gradients of its parameters and the error at its input."
TASK = Task(NAME, ("theta", "X", "T"), "list", "the loss and its gradient, of the shape of theta", STEP, "See `trace`.")
PART = replace(TASK, result="array")
"""The task of computing the loss or the gradient."""


def arguments_for(network: Network, case: int = 0) -> dict[str, Any]:
    """Generate parameters, inputs and targets for a network."""
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
    """Grade a function of (theta, X, T)."""
    losses, gradients = list[Trial](), list[Trial]()
    faults: list[Grade | None] = []
    changed: dict[str, None] = {}
    for case in range(len(CASES)):
        arguments = arguments_for(network, case)
        outcome = caller(NAME, arguments, False)
        if outcome["kind"] == "value":
            found = _fault(network, case, arguments, outcome["value"])
            faults.append(with_step(TASK, *found) if found else None)
        else:
            raised = problem(TASK, outcome, arguments)
            if not case:
                return raised
            faults.append(replace(raised, mistake=f"{raised.mistake} for {CASES[case][0]}"))
        right = network.loss_and_gradient(**arguments)
        for trials, found, expected in zip((losses, gradients), _pair(outcome.get("value")), right, strict=True):
            part = {"kind": "nothing" if found is None else "value", "value": found}
            trials.append(Trial(PART, case, arguments, part, np.asarray(expected), _precision(case)))
        changed |= dict.fromkeys(outcome["changed"])
    wrong = [fault for fault in faults if fault]
    if changed:
        names = " and ".join(changed)
        hint = f"The caller's {names} has different values after the call."
        points = 0 if wrong else 0.5
        found = with_step(TASK, "Look at what happens to the arguments.", f"{names} is changed in place", hint)
        return replace(found, points=points)
    if not wrong:
        return Grade(NAME, 1.0)
    name, look, last = wrong[0].mistake, wrong[0].hints[0], wrong[0].hints[-1]
    for what, trials in (("losses", losses), ("gradients", gradients)):
        if keeps := kept_state(trials):
            return with_step(TASK, LOOK["kept"], keeps.replace("results", what), last)
    loss_is_wrong = any("loss is wrong" in fault.mistake for fault in wrong)
    is_vague = faults[0] is None or any(re.search(VAGUE, fault.mistake) for fault in wrong)
    if loss_is_wrong or (is_vague and all(trial.found is not None for trial in gradients)):
        name = explained(network, losses if loss_is_wrong else gradients, loss_is_wrong) or name
    if wrong == [faults[LAST]]:
        name, look = LATER, LOOK["kept"]
    elif faults[0] is None and name == wrong[0].mistake:
        words = listed([CASES[case][0] for case, fault in enumerate(faults) if fault])
        name = f"it is correct for {CASES[0][0]}, but not for {words}: {name}"
        return with_step(TASK, "Look at the assumptions of the function: rows, ranges of numbers.", name, last)
    return replace(with_step(TASK, look, name, last), judged=wrong[0].judged)


def _precision(case: int) -> float:
    return 1e-3 if case in (LARGE, SATURATED, FAR) else PRECISION


def _pair(value: Any) -> tuple[Any, Any]:
    """Split a result into a loss and a flat gradient, with None for invalid parts."""
    loss, gradient, *more = [*(as_list(value) or ()), None, None]
    parts = gradient if isinstance(gradient, list) else [gradient]  # one array per parameter
    is_gradient = len(more) == 2 and parts and all(isinstance(part, np.ndarray) for part in parts)
    is_loss = len(more) == 2 and isinstance(loss, np.ndarray) and loss.size == 1
    flat = np.concatenate([part.ravel() for part in parts]) if is_gradient else None
    return loss.reshape(()) if is_loss else None, flat


def _fault(network: Network, case: int, arguments: dict[str, Any], value: Any) -> tuple[str, str, str] | None:
    """Return where to look, the mistake in a result, and the last hint."""
    precision, parts = _precision(case), as_list(value)
    if parts is None or len(parts) != 2:
        what = shown(value) if parts is None else f"{len(parts)} parts"
        return "Look at the returned values.", "it does not return two values", f"It is {what}."
    loss, gradient = _pair(value)
    right, expected = network.loss_and_gradient(**arguments)
    if loss is None:
        last, first = _pair(parts[::-1])
        if last is not None and np.size(first) == network.layout.size:
            name = "the gradient is returned before the loss"
            return "Look at the order of the returned values.", name, "It should be the loss, then the gradient."
        return "Look at the loss: it is reduced over all rows.", "the loss is not one number", "It is an array."
    if not abs(loss - right) <= precision * abs(right):
        return _wrong_loss(network, arguments, float(loss), float(right))
    if gradient is None or gradient.size != network.layout.size:
        size = "no array" if gradient is None else f"{gradient.size} numbers"
        name = "the gradient does not have one entry per parameter"
        return "Look at the shape of the gradient.", name, f"It has {size}; theta has {network.layout.size}."
    if case and same(gradient, expected, precision):
        return None
    if not np.isfinite(gradient).all():
        bad = next(t for t in network.layout.tensors if not np.isfinite(gradient[t.span]).all())
        look = f"The loss is correct. Look at the gradient of {bad}."
        return look, f"the gradient of {bad} is not finite", "Some entries are nan or infinite."
    report = check_gradients(network, *arguments.values(), gradient=gradient)
    wrong = [row for row in report.rows if np.abs(row.given - row.expected) > precision * max(abs(row.expected), 1e-3)]
    if not wrong:
        return None
    names = " and ".join(dict.fromkeys(row.name for row in wrong))
    given, right = (np.array([getattr(row, name) for row in wrong]) for name in ("given", "expected"))
    is_multiple = same(given, right * (given @ right) / max(right @ right, 1e-300), 1e-3)
    diagnoses = [words for words in report.diagnoses if is_multiple or not words.startswith("the gradient is")]
    diagnosis = next(iter(diagnoses), f"the gradient of {names} is wrong{UNEXPLAINED}")
    worst = wrong[-1]
    place = list(worst.index) if worst.index is not None else ""
    entry = f"In the gradient of {worst.name}, entry {place} is {worst.given:.6g}, but should be {worst.expected:.6g}."
    return f"The loss is correct. Look at the gradient of {names}.", diagnosis, entry


def _wrong_loss(network: Network, arguments: dict[str, Any], found: float, loss: float) -> tuple[str, str, str]:
    last = f"The loss is {found:.6g}, but should be {loss:.6g}."
    name, bare = "", Network(network.inputs, network.layers, network.loss_function).loss(**arguments)
    if network.penalties and abs(found - bare) <= PRECISION * abs(bare):
        name = "the penalty is left out of the loss"
    elif (r := ratio(np.array([found]), np.array([loss]), 1e-9)) is not None:
        name = ratio_in_words(r, [len(arguments["X"])], PRECISION, 1).replace("the gradient", "the loss")
    name = name or "the loss is wrong"
    return "Look at the loss: is it a sum or a mean, over which axes, and is the penalty included?", name, last
