"""Judge a function that computes the loss and gradient of a network."""

import re
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ...check import check_gradients
from ...check.diagnosis.error_patterns import ratio, ratio_in_words
from ...core import BinaryCrossEntropy, Network, Poisson, SoftmaxCrossEntropy
from .explaining import Trial, kept_state, listed
from .grades import Grade
from .judging import CHANGED_ARGUMENTS, LATER, Caller, problem, with_step
from .mistakes import LOOK, NUMERICAL
from .network_mistakes import explained
from .tasks import PRECISION, STEEPNESS, Task, as_list, same, type_in_words

NAME = "loss_and_gradient"


class NetworkCase(NamedTuple):
    """A description of test arguments, and their number of rows."""

    words: str
    rows: int


CASES = (
    NetworkCase("7 rows", 7),
    NetworkCase("4 rows", 4),
    NetworkCase("one row", 1),
    NetworkCase("two rows", 2),
    NetworkCase("40 rows", 40),
    NetworkCase("large inputs", 6),
    NetworkCase("inputs that saturate the first layer", 9),
    NetworkCase("outputs far from 0", 12),
    NetworkCase("other numbers in the same shapes", 7),
    NetworkCase("the first numbers again", 7),
)

LARGE, SATURATED, FAR, OTHER_NUMBERS, AGAIN = 5, 6, 7, 8, 9
"""The indices of test cases."""

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

_wrong = partial(with_step, TASK)
"""Build a grade from where to look, the mistake and the last hint."""


def arguments_for(network: Network, case: int = 0) -> dict:
    """Generate parameters, inputs and targets for a network; the last case repeats the first."""
    seed = 5 + case % AGAIN
    rows = CASES[case].rows
    rng = np.random.default_rng(seed)
    theta = network.init(seed) + 0.3 * rng.normal(size=network.layout.size)
    X = rng.normal(size=(rows, network.inputs))
    layers = network.layout.views(theta)  # to change theta in place
    target_size = 1
    if case == LARGE:
        target_size = 100
        if "W" in layers[0]:
            X *= 100
            layers[0]["W"] /= 100
    elif case == SATURATED:
        # the first layer saturates, but the outputs remain small
        for factor in (8, 4, 2):
            if _largest_output(network, theta, factor * X) < 8:
                X *= factor
                break
    elif case == FAR and "W" in layers[-1]:
        layers[-1]["W"] *= 6 / _largest_output(network, theta, X)
    T = _targets(
        network.loss_function, rng, shape=(rows, network.outputs), size=target_size
    )
    return {"theta": theta, "X": X, "T": T}


def _targets(loss, rng, shape, size):
    """Draw valid targets for a loss; `size` is the size of numeric targets."""
    rows, outputs = shape
    if isinstance(loss, SoftmaxCrossEntropy):
        return np.eye(outputs)[rng.integers(0, outputs, rows)]
    if isinstance(loss, BinaryCrossEntropy | Poisson):
        return rng.integers(0, 2, shape).astype(float)
    return size * rng.normal(size=shape)


def _largest_output(network, theta, X):
    layer_outputs, _ = network.forward(theta, X)
    return np.abs(layer_outputs[-1]).max()


def judged_network(network: Network, caller: Caller) -> Grade:
    """Grade a function of (theta, X, T)."""
    losses = []
    gradients = []
    wrong_grades = {}
    changed_arguments = {}
    for case in range(len(CASES)):
        arguments = arguments_for(network, case)
        outcome = caller(NAME, arguments, False)
        loss, gradient = _loss_and_gradient(outcome.get("value"))
        expected_loss, expected_gradient = network.loss_and_gradient(**arguments)
        losses.append(_trial(case, arguments, loss, np.asarray(expected_loss)))
        gradients.append(_trial(case, arguments, gradient, expected_gradient))
        changed_arguments |= dict.fromkeys(outcome["changed"])
        grade = _wrong_grade(network, outcome, losses[-1], gradients[-1])
        if grade is not None:
            wrong_grades[case] = grade
            if case == 0 and outcome["kind"] != "value":
                return grade
    if changed_arguments:
        names = " and ".join(changed_arguments)
        hint = f"The caller's {names} has different values after the call."
        grade = _wrong(CHANGED_ARGUMENTS, f"{names} is changed in place", hint)
        return grade if wrong_grades else replace(grade, points=0.5)
    if not wrong_grades:
        if _is_numerical(network, caller):
            return _wrong(LOOK["numerical"], NUMERICAL, "It is wrong for large inputs.")
        return Grade(NAME, 1.0)
    return _explained_grade(network, wrong_grades, losses, gradients)


def _is_numerical(network, caller):
    """Return whether gradients are wrong where small steps of the weights are too large."""
    arguments = arguments_for(network)
    layers = network.layout.views(arguments["theta"])
    if "W" not in layers[0]:
        return False
    arguments["X"] *= STEEPNESS
    layers[0]["W"] /= STEEPNESS
    _, gradient = _loss_and_gradient(caller(NAME, arguments, False).get("value"))
    _, expected = network.loss_and_gradient(**arguments)
    is_array = gradient is not None and np.isfinite(gradient).all()
    return is_array and not same(gradient, expected)


def _wrong_grade(network, outcome, loss_trial, gradient_trial):
    """Return the grade of one call, or None if its result is right."""
    if outcome["kind"] == "value":
        return _grade_of_value(network, outcome["value"], loss_trial, gradient_trial)
    grade = problem(TASK, outcome, loss_trial.arguments)
    if loss_trial.case == 0:
        return grade
    words = CASES[loss_trial.case].words
    return replace(grade, mistake=f"{grade.mistake} for {words}")


def _trial(case, arguments, value, expected):
    """Return the trial of a loss or a gradient; its value is None if it is missing."""
    kind = "nothing" if value is None else "value"
    return Trial(
        task=PART,
        case=case,
        arguments=arguments,
        outcome={"kind": kind, "value": value},
        expected=expected,
        precision=1e-3 if case in (LARGE, SATURATED, FAR) else PRECISION,
    )


def _explained_grade(network, wrong_grades, losses, gradients):
    """Return the first wrong grade, with a mistake that explains all wrong cases if there is one.

    `wrong_grades` maps the wrong cases to their grades.
    """
    first_grade = next(iter(wrong_grades.values()))
    look = first_grade.hints[0]
    last_hint = first_grade.hints[-1]
    for noun, trials in (("losses", losses), ("gradients", gradients)):
        state = kept_state(trials)
        if state:
            mistake = state.replace("results", noun)
            return _wrong(LOOK["kept"], mistake, last_hint)
    mistake = _explanation(network, wrong_grades, losses, gradients)
    if wrong_grades.keys() == {OTHER_NUMBERS}:
        mistake = LATER
        look = LOOK["kept"]
    elif 0 not in wrong_grades and mistake in ("", first_grade.mistake):
        cases = listed([CASES[case].words for case in wrong_grades])
        mistake = (
            f"it is correct for {CASES[0].words}, but not for {cases}:"
            f" {first_grade.mistake}"
        )
        look = "Look at the assumptions of the function: rows, ranges of numbers."
        return _wrong(look, mistake, last_hint)
    # keep the diagnosis of the first wrong case if no mistake explains all cases
    grade = _wrong(look, mistake or first_grade.mistake, last_hint)
    return replace(grade, judged=first_grade.judged)


def _explanation(network, wrong_grades, losses, gradients):
    """Return the mistake that explains all losses or gradients, or "" if none does."""
    mistakes = [grade.mistake for grade in wrong_grades.values()]
    if any("loss is wrong" in mistake for mistake in mistakes):
        return explained(network, losses, is_loss=True)
    if not all(trial.has_value for trial in gradients):
        return ""
    # other diagnoses of the first case already explain the gradient
    first_case_is_right = 0 not in wrong_grades
    if first_case_is_right or any(re.search(VAGUE, mistake) for mistake in mistakes):
        return explained(network, gradients, is_loss=False)
    return ""


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


def _grade_of_value(network, value, loss_trial, gradient_trial):
    """Return the grade of a wrong result, or None if the result is right."""
    grade = _wrong_structure(network, value)
    if grade is not None:
        return grade
    loss = loss_trial.value
    expected_loss = loss_trial.expected
    tolerance = loss_trial.precision * abs(expected_loss)
    if not abs(loss - expected_loss) <= tolerance:  # the loss may be nan
        arguments = loss_trial.arguments
        return _wrong_loss(network, arguments, float(loss), float(expected_loss))
    gradient = gradient_trial.value
    size = network.layout.size
    if gradient is None or gradient.size != size:
        count = "no array" if gradient is None else f"{gradient.size} numbers"
        return _wrong(
            "Look at the shape of the gradient.",
            "the gradient does not have one entry per parameter",
            f"It has {count}; theta has {size}.",
        )
    # the gradient check always checks the first case
    if gradient_trial.case > 0 and same(
        gradient, gradient_trial.expected, gradient_trial.precision
    ):
        return None
    for tensor in network.layout.tensors:
        if not np.isfinite(gradient[tensor.span]).all():
            return _wrong(
                f"The loss is correct. Look at the gradient of {tensor}.",
                f"the gradient of {tensor} is not finite",
                "Some entries are nan or infinite.",
            )
    return _wrong_gradient(network, gradient_trial)


def _wrong_structure(network, value):
    """Return the grade of a result that does not consist of one number and another value."""
    parts = as_list(value)
    if parts is None or len(parts) != 2:
        result = type_in_words(value) if parts is None else f"{len(parts)} parts"
        return _wrong(
            "Look at the returned values.",
            "it does not return two values",
            f"It is {result}.",
        )
    loss, _ = _loss_and_gradient(value)
    if loss is not None:
        return None
    loss, gradient = _loss_and_gradient(parts[::-1])
    if loss is not None and np.size(gradient) == network.layout.size:
        return _wrong(
            "Look at the order of the returned values.",
            "the gradient is returned before the loss",
            "It should be the loss, then the gradient.",
        )
    look = "Look at the loss: it is reduced over all rows."
    return _wrong(look, "the loss is not one number", "It is an array.")


def _wrong_gradient(network, trial):
    """Return the grade of a gradient with errors that the gradient check finds, or None."""
    gradient = trial.value
    report = check_gradients(network, *trial.arguments.values(), gradient=gradient)
    wrong_rows = []
    for row in report.rows:
        tolerance = trial.precision * max(abs(row.expected), 1e-3)
        if np.abs(row.given - row.expected) > tolerance:
            wrong_rows.append(row)
    if not wrong_rows:
        return None
    names = " and ".join(dict.fromkeys(row.name for row in wrong_rows))
    mistake = _diagnosis(report, wrong_rows)
    if not mistake:
        mistake = f"the gradient of {names} is wrong{UNEXPLAINED}"
    last = wrong_rows[-1]
    index = list(last.index) if last.index is not None else ""
    entry = (
        f"In the gradient of {last.name}, entry {index} is {last.given:.6g}, but should"
        f" be {last.expected:.6g}."
    )
    look = f"The loss is correct. Look at the gradient of {names}."
    return _wrong(look, mistake, entry)


def _diagnosis(report, wrong_rows):
    """Return the first diagnosis of the gradient check that fits the wrong rows, or ""."""
    gradient = np.array([row.given for row in wrong_rows])
    expected = np.array([row.expected for row in wrong_rows])
    # least squares: gradient = factor * expected
    factor = (gradient @ expected) / max(expected @ expected, 1e-300)
    is_multiple = same(gradient, factor * expected, 1e-3)
    for diagnosis in report.diagnoses:
        is_ratio = diagnosis.startswith("the gradient is")
        if is_multiple or not is_ratio:
            return diagnosis
    return ""


def _wrong_loss(network, arguments, loss, expected):
    """Return the grade of a wrong loss."""
    mistake = "the loss is wrong"
    bare_network = Network(network.inputs, network.layers, network.loss_function)
    without_penalties = bare_network.loss(**arguments)
    error = abs(loss - without_penalties)
    factor = ratio(np.array([loss]), np.array([expected]), 1e-9)
    if network.penalties and error <= PRECISION * abs(without_penalties):
        mistake = "the penalty is left out of the loss"
    elif factor is not None:
        rows = len(arguments["X"])
        words = ratio_in_words(factor, [rows], PRECISION, entries=1)
        if words:
            mistake = words.replace("the gradient", "the loss")
    look = (
        "Look at the loss: is it a sum or a mean, over which axes, and is the penalty"
        " included?"
    )
    entry = f"The loss is {loss:.6g}, but should be {expected:.6g}."
    return _wrong(look, mistake, entry)
