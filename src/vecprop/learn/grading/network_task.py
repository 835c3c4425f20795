"""Judge a function that computes the loss and gradient of a network."""

import re
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ...check import check_gradients
from ...check.diagnosis.error_patterns import ratio, ratio_in_words
from ...core import BinaryCrossEntropy, Network, Poisson, SoftmaxCrossEntropy
from .explaining import Trial, kept_state, listed
from .grades import Grade
from .judging import CHANGED_ARGUMENTS, LATER, Caller, problem, with_step
from .mistakes import LOOK
from .network_mistakes import explained
from .tasks import PRECISION, Task, as_list, same, type_in_words

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
"""The test cases: a description and the number of rows. The last case repeats the
first case.
"""

LARGE, SATURATED, FAR, LAST, AGAIN = 5, 6, 7, 8, len(CASES) - 1

UNEXPLAINED = ", and no single mistake explains the numbers"
VAGUE = f"{UNEXPLAINED}|the backward pass is right down to|^only this bias is wrong"
"""A pattern of diagnoses that do not name a mistake."""

STEP = (
    "The backward pass runs from the last layer to the first: each layer receives the"
    " error at its output and computes the gradients of its parameters and the error at"
    " its input."
)
TASK = Task(
    NAME,
    ("theta", "X", "T"),
    "list",
    "the loss and its gradient, of the shape of theta",
    STEP,
    "See `trace`.",
)
PART = replace(TASK, result="array")
"""The task of computing the loss or the gradient."""


class Fault(NamedTuple):
    """Where to look, the mistake in a result, and the last hint."""

    look: str
    mistake: str
    hint: str


def arguments_for(network: Network, case: int = 0) -> dict:
    """Generate parameters, inputs and targets for a network."""
    seed = 5 + case % AGAIN
    _, rows = CASES[case]
    rng = np.random.default_rng(seed)
    theta = network.init(seed) + 0.3 * rng.normal(size=network.layout.size)
    X = rng.normal(size=(rows, network.inputs))
    views = network.layout.views(theta)
    if case == LARGE and "W" in views[0]:
        X *= 100
        views[0]["W"] /= 100
    elif case == SATURATED:
        for factor in (8, 4, 2):
            if _largest_output(network, theta, factor * X) < 8:
                X *= factor
                break
    elif case == FAR and "W" in views[-1]:
        views[-1]["W"] *= 6 / _largest_output(network, theta, X)
    shape = (rows, network.outputs)
    loss = network.loss_function
    if isinstance(loss, SoftmaxCrossEntropy):
        T = np.eye(network.outputs)[rng.integers(0, network.outputs, rows)]
    elif isinstance(loss, BinaryCrossEntropy | Poisson):
        T = rng.integers(0, 2, shape).astype(float)
    else:
        T = rng.normal(size=shape)
        if case == LARGE:
            T *= 100
    return {"theta": theta, "X": X, "T": T}


def _largest_output(network, theta, X):
    return np.abs(network.forward(theta, X)[0][-1]).max()


def judged_network(network: Network, caller: Caller) -> Grade:
    """Grade a function of (theta, X, T)."""
    losses = []
    gradients = []
    faults = {}
    changed_arguments = {}
    for case, (words, _) in enumerate(CASES):
        arguments = arguments_for(network, case)
        outcome = caller(NAME, arguments, False)
        if outcome["kind"] == "value":
            fault = _fault(network, case, arguments, outcome["value"])
            if fault:
                faults[case] = with_step(TASK, *fault)
        else:
            grade = problem(TASK, outcome, arguments)
            if case == 0:
                return grade
            faults[case] = replace(grade, mistake=f"{grade.mistake} for {words}")
        loss, gradient = _loss_and_gradient(outcome.get("value"))
        expected_loss, expected_gradient = network.loss_and_gradient(**arguments)
        losses.append(_trial(case, arguments, loss, np.asarray(expected_loss)))
        gradients.append(_trial(case, arguments, gradient, expected_gradient))
        changed_arguments |= dict.fromkeys(outcome["changed"])
    if changed_arguments:
        names = " and ".join(changed_arguments)
        hint = f"The caller's {names} has different values after the call."
        grade = with_step(TASK, CHANGED_ARGUMENTS, f"{names} is changed in place", hint)
        return grade if faults else replace(grade, points=0.5)
    if not faults:
        return Grade(NAME, 1.0)
    return _with_mistake(network, faults, losses, gradients)


def _trial(case, arguments, value, expected):
    kind = "nothing" if value is None else "value"
    return Trial(
        PART,
        case,
        arguments,
        {"kind": kind, "value": value},
        expected,
        _precision(case),
    )


def _with_mistake(network, faults, losses, gradients):
    """Return the grade of a wrong function with a mistake that explains all its faults."""
    first_fault, *_ = faults.values()
    look, *_, last_hint = first_fault.hints
    for noun, trials in (("losses", losses), ("gradients", gradients)):
        if state := kept_state(trials):
            return with_step(
                TASK, LOOK["kept"], state.replace("results", noun), last_hint
            )
    name = ""
    if any("loss is wrong" in fault.mistake for fault in faults.values()):
        name = explained(network, losses, is_loss=True)
    elif all(trial.has_value for trial in gradients) and (
        0 not in faults
        or any(re.search(VAGUE, fault.mistake) for fault in faults.values())
    ):
        name = explained(network, gradients, is_loss=False)
    if faults.keys() == {LAST}:
        name = LATER
        look = LOOK["kept"]
    elif 0 not in faults and name in ("", first_fault.mistake):
        cases = listed([CASES[case][0] for case in faults])
        name = (
            f"it is correct for {CASES[0][0]}, but not for {cases}:"
            f" {first_fault.mistake}"
        )
        look = "Look at the assumptions of the function: rows, ranges of numbers."
        return with_step(TASK, look, name, last_hint)
    return replace(
        with_step(TASK, look, name or first_fault.mistake, last_hint),
        judged=first_fault.judged,
    )


def _precision(case):
    return 1e-3 if case in (LARGE, SATURATED, FAR) else PRECISION


def _loss_and_gradient(value) -> tuple[Any, Any]:
    """Split a result into a loss and a flat gradient, with None for invalid parts."""
    values = as_list(value) or []
    if len(values) != 2:
        return None, None
    loss, gradient = values
    # one array per parameter
    parts = gradient if isinstance(gradient, list) else [gradient]
    flat_gradient = None
    if parts and all(isinstance(part, np.ndarray) for part in parts):
        flat_gradient = np.concatenate([part.ravel() for part in parts])
    if isinstance(loss, np.ndarray) and loss.size == 1:
        return loss.reshape(()), flat_gradient
    return None, flat_gradient


def _fault(network, case, arguments, value):
    """Return the fault in a result."""
    parts = as_list(value)
    if parts is None or len(parts) != 2:
        result = type_in_words(value) if parts is None else f"{len(parts)} parts"
        return Fault(
            "Look at the returned values.",
            "it does not return two values",
            f"It is {result}.",
        )
    loss, gradient = _loss_and_gradient(value)
    expected_loss, expected_gradient = network.loss_and_gradient(**arguments)
    size = network.layout.size
    if loss is None:
        swapped_loss, swapped_gradient = _loss_and_gradient(parts[::-1])
        if swapped_loss is not None and np.size(swapped_gradient) == size:
            mistake = "the gradient is returned before the loss"
            hint = "It should be the loss, then the gradient."
            return Fault("Look at the order of the returned values.", mistake, hint)
        look = "Look at the loss: it is reduced over all rows."
        return Fault(look, "the loss is not one number", "It is an array.")
    precision = _precision(case)
    if not abs(loss - expected_loss) <= precision * abs(expected_loss):
        return _wrong_loss(network, arguments, float(loss), float(expected_loss))
    if gradient is None or gradient.size != size:
        count = "no array" if gradient is None else f"{gradient.size} numbers"
        mistake = "the gradient does not have one entry per parameter"
        return Fault(
            "Look at the shape of the gradient.",
            mistake,
            f"It has {count}; theta has {size}.",
        )
    if case and same(gradient, expected_gradient, precision):
        return None
    for tensor in network.layout.tensors:
        if not np.isfinite(gradient[tensor.span]).all():
            look = f"The loss is correct. Look at the gradient of {tensor}."
            return Fault(
                look,
                f"the gradient of {tensor} is not finite",
                "Some entries are nan or infinite.",
            )
    return _wrong_gradient(network, arguments, gradient, precision)


def _wrong_gradient(network, arguments, gradient, precision):
    """Return the fault that the gradient check finds."""
    report = check_gradients(network, *arguments.values(), gradient=gradient)
    rows = []
    for row in report.rows:
        if np.abs(row.given - row.expected) > precision * max(abs(row.expected), 1e-3):
            rows.append(row)
    if not rows:
        return None
    names = " and ".join(dict.fromkeys(row.name for row in rows))
    values = np.array([row.given for row in rows])
    expected = np.array([row.expected for row in rows])
    factor = (values @ expected) / max(expected @ expected, 1e-300)
    is_multiple = same(values, factor * expected, 1e-3)
    mistake = f"the gradient of {names} is wrong{UNEXPLAINED}"
    for diagnosis in report.diagnoses:
        if is_multiple or not diagnosis.startswith("the gradient is"):
            mistake = diagnosis
            break
    last = rows[-1]
    index = list(last.index) if last.index is not None else ""
    entry = (
        f"In the gradient of {last.name}, entry {index} is {last.given:.6g}, but should"
        f" be {last.expected:.6g}."
    )
    return Fault(
        f"The loss is correct. Look at the gradient of {names}.", mistake, entry
    )


def _wrong_loss(network, arguments, loss, expected):
    mistake = "the loss is wrong"
    without_penalties = Network(
        network.inputs, network.layers, network.loss_function
    ).loss(**arguments)
    if network.penalties and abs(loss - without_penalties) <= PRECISION * abs(
        without_penalties
    ):
        mistake = "the penalty is left out of the loss"
    elif (factor := ratio(np.array([loss]), np.array([expected]), 1e-9)) is not None:
        words = ratio_in_words(factor, [len(arguments["X"])], PRECISION, 1)
        mistake = words.replace("the gradient", "the loss") or mistake
    look = (
        "Look at the loss: is it a sum or a mean, over which axes, and is the penalty"
        " included?"
    )
    return Fault(
        look, mistake, f"The loss is {loss:.6g}, but should be {expected:.6g}."
    )
