"""Judge one function and explain its mistake."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import combinations

import numpy as np
from numpy import ndarray

from .explaining import Trial, explained, kept_state, listed
from .grades import Grade
from .mistakes import LOOK, NUMERICAL, Mistake
from .student import Outcome
from .tasks import (
    AGAIN,
    CASES,
    STEEPNESS,
    TASKS,
    Task,
    arguments_of,
    as_list,
    difference,
    fits,
    parts_in_words,
    same,
    type_in_words,
)

Caller = Callable[..., Outcome]
"""A function that calls a student's function by name, with arguments as lists if
requested; see `student.call`.
"""

ENDED = ("time", "blocked", "crash", "untried")
"""The kinds of outcomes that end the student's process."""

UNJUDGED = ("time", "blocked", "untried", "unset")
"""The kinds of outcomes that do not allow a judgment."""

SHAPE_ERROR = (
    "^error (ValueError|IndexError|AxisError|TypeError).*(matmul|broadcast|shapes"
    "|aligned|dimension|core dim|axis|size|out of bounds|sequence)"
)
"""A pattern of outcomes with errors of array shapes."""

FOR_ARGUMENTS = ", for arguments of the shapes "


def judged(task: Task, caller: Caller, is_wrong: Callable[[str], bool]) -> Grade:
    """Grade a function of the tutorial.

    `is_wrong` returns whether another function of the student is wrong.
    """
    trials = _tried(task, caller)
    last = trials[-1]
    if last.outcome["kind"] in ENDED:
        return replace(problem(task, last.outcome, last.arguments), case=last.case)
    if all(trial.is_right for trial in trials):
        if task.name == "backprop_gradients" and _is_numerical(task, caller):
            mistake = Mistake(NUMERICAL, "numerical")
            return _with_hints(task, mistake, "It is wrong for large inputs")
        return _right(task, trials)
    wrong_names = [name for name in task.calls if is_wrong(name)]
    if _is_right_with_solutions(task, caller, is_wrong, names=[*wrong_names]):
        verb = "is" if len(wrong_names) == 1 else "are"
        words = (
            f"it is correct except for {listed(wrong_names)}, which it calls and which"
            f" {verb} wrong"
        )
        return _grade_of_trial(Mistake(words, "called"), _first_wrong(trials))
    grade = _wrong(task, caller, trials, wrong_names=wrong_names)
    changed = _changed_arguments(task, trials)
    if changed and "in place" not in grade.mistake:
        return replace(grade, notes=(f"It also changes {changed} in place.",))
    return grade


def _is_numerical(task, caller):
    """Return whether gradients are wrong where small steps of the weights are too large."""
    arguments = arguments_of(task, 0)
    arguments["X"] = arguments["X"] * STEEPNESS
    arguments["Wh"] = arguments["Wh"] / STEEPNESS
    outcome = caller(task.name, arguments, False)
    trial = Trial.from_call(task, 0, arguments=arguments, outcome=outcome)
    return trial.has_value and trial.is_finite and not trial.is_right


def _grade_of_trial(mistake, trial):
    """Build the grade of a mistake; the last hint describes a wrong trial."""
    grade = _with_hints(trial.task, mistake, _last_hint(trial))
    return replace(grade, case=trial.case)


def _is_right_with_solutions(task, caller, is_wrong, names):
    """Return whether a function is right if it calls the solutions of wrong functions."""
    if not names:
        return False
    # the list grows; each function is judged before the student's code can see its
    # solution
    for name in names:
        is_wrong(name)
        names += [called for called in TASKS[name].calls if called not in names]
    solutions = "\n".join(TASKS[name].source for name in names)
    trials = _tried(task, partial(caller, instead=solutions))
    is_right = all(trial.is_right for trial in trials)
    return is_right and not _changed_arguments(task, trials)


def _first_wrong(trials):
    return next(trial for trial in trials if not trial.is_right)


def _tried(task, caller):
    """Call a function in several formats of its arguments, and return the best trials.

    If a call ends the student's process, it is the last trial.
    """
    formats = ["arrays"]
    if {"bh", "bo", "ls_of_params"}.intersection(task.arguments):
        formats.append("vectors")
    formats.append("lists")
    attempts = []
    for arguments_format in formats:
        trials = _tried_in_format(task, caller, arguments_format)
        has_ended = trials[-1].outcome["kind"] in ENDED
        if has_ended or all(trial.is_right for trial in trials):
            return trials
        attempts.append(trials)
    return max(attempts, key=lambda trials: sum(trial.is_right for trial in trials))


def _tried_in_format(task, caller, arguments_format):
    """Call a function in all cases with "arrays", "vectors", "lists" or "soft targets"."""
    trials = []
    for case in range(len(CASES)):
        arguments = arguments_of(task, case)
        passed = arguments
        if arguments_format == "vectors":
            passed = {
                name: _flat_bias(name, value) for name, value in arguments.items()
            }
        elif arguments_format == "soft targets":
            T = arguments["T"]
            arguments["T"] = 0.8 * T + 0.2 / T.shape[1]
        outcome = caller(task.name, passed, arguments_format == "lists")
        trials.append(Trial.from_call(task, case, arguments=arguments, outcome=outcome))
        if outcome["kind"] in ENDED:
            break
    return trials


def _flat_bias(name, value):
    """Remove the row axis of biases; return other arguments unchanged."""
    if isinstance(value, list):
        return [_flat_bias("b" if len(part) == 1 else "W", part) for part in value]
    return value[0] if name.startswith("b") else value


def _changed_arguments(task, trials):
    """Return the names of arguments changed in place."""
    changed = {name for trial in trials for name in trial.outcome["changed"]}
    return " and ".join(name for name in task.arguments if name in changed)


CHANGED_ARGUMENTS = "Look at what happens to the arguments."


def _right(task, trials):
    grade = Grade(task.name, 1.0)
    if trials[0].outcome["printed"].strip():
        grade = replace(
            grade, notes=("It prints something; only the returned value counts.",)
        )
    names = _changed_arguments(task, trials)
    if not names or task.name == "train":  # the parameters may be trained in place
        return grade
    verb = "are" if " and " in names else "is"
    consequence = "the caller's arrays have different values after the call"
    hints = (
        f"The numbers are correct. {CHANGED_ARGUMENTS}",
        (
            f"{names} {verb} changed in place: {consequence}. Compute a new array"
            " instead, or work on a copy."
        ),
        f"The caller's {names} has different values after the call.",
    )
    return replace(
        grade, points=0.5, mistake=f"{names} is changed in place", hints=hints
    )


def _wrong(task, caller, trials, wrong_names):
    """Grade a wrong function from all its calls."""
    first = _first_wrong(trials)
    failed = next((trial for trial in trials if not trial.has_value), None)
    if failed is not None:
        # errors in later cases may only be caused by wrong shapes
        is_error = failed.outcome["kind"] in ("error", "exit")
        if failed is trials[0] or not is_error:
            return _without_result(task, failed, trials)
    if first.has_value:
        grade = _wrong_type(first)
        if grade is not None:
            return grade
    mistake = _mistake(task, caller, trials, wrong_names=wrong_names)
    return _grade_of_trial(mistake, first)


def _mistake(task, caller, trials, wrong_names):
    """Return a mistake that explains the results, or a description of the results."""
    state = kept_state(trials)
    if state:
        return Mistake(state, "kept")
    mistake = explained(task, trials)
    if mistake is None and task.name == "loss":
        # log(0) is infinite, and targets of 0 and 1 hide some mistakes
        soft_trials = _tried_in_format(task, caller, "soft targets")
        if all(trial.has_value for trial in soft_trials):
            mistake = explained(task, soft_trials)
    if mistake is None:
        mistake = _unknown(task, trials)
        if wrong_names:
            names = listed(wrong_names)
            verb = "are" if len(wrong_names) > 1 else "is"
            note = f"if it calls {names}, note that {names} {verb} wrong"
            mistake = replace(mistake, name=f"{mistake.name}; {note}")
    return mistake


def _without_result(task, failed, trials):
    """Grade a function by a failed trial; the other trials may explain an error of shapes."""
    outcome = failed.outcome
    mistake = None
    if re.search(SHAPE_ERROR, f"{outcome['kind']} {outcome.get('error')}"):
        mistake = explained(task, trials)
    if mistake is None:
        grade = problem(task, outcome, failed.arguments)
    else:
        error = _capital(_error_with_line(outcome))
        grade = _with_hints(task, mistake, f"{error}; {_shapes(failed.arguments)}")
    return replace(grade, case=failed.case)


def _wrong_type(trial):
    """Grade a function that returns a wrong type; return None if the type is right."""
    task = trial.task
    value = trial.value
    if value is None:
        changed = " and ".join(trial.outcome["changed"])
        mistake = "nothing is returned"
        if trial.outcome["printed"].strip():
            mistake = "the result is printed, not returned"
        elif changed:
            mistake = f"{changed} is changed in place, and nothing is returned"
        look = "Look at the end of the function: what does it return?"
        last_hint = f"It returns None, but should return {task.shape}."
        return with_step(task, look, mistake, last_hint)
    is_array = isinstance(value, ndarray)
    has_right_type = is_array
    if task.result == "list":
        has_right_type = as_list(value) is not None
    if has_right_type:
        return None
    result = "a single array" if is_array else type_in_words(value)
    if isinstance(value, list) and len(value) == 1 and same(value[0], trial.expected):
        result = "a list or tuple that contains the array, not the array itself"
    look = "Look at the type of the returned value."
    last_hint = f"It should be {task.shape}."
    return with_step(task, look, f"the result is {result}", last_hint)


def _last_hint(trial):
    """Return the last hint without a period: a wrong entry and its correct value, or the error."""
    hint = _difference(trial) if trial.has_value else _error_with_line(trial.outcome)
    hint = f"{_capital(hint)}{FOR_ARGUMENTS}{_shapes(trial.arguments)}"
    return f"{hint}: {CASES[trial.case].words}" if trial.case else hint


def _difference(trial):
    return difference(
        trial.value, trial.expected, trial.task.result, precision=trial.precision
    )


def _unknown(task, trials):
    """Describe a mistake that no known mistake explains."""
    wrong_trials = [trial for trial in trials if not trial.is_right]
    misfit = None  # the first trial with an array of a wrong shape
    if task.result != "list":
        for trial in reversed(wrong_trials):
            is_array = isinstance(trial.value, ndarray)
            if is_array and not fits(trial.value, trial.expected, task.result):
                misfit = trial
    if trials[0].is_right:
        return _unknown_in_some_cases(wrong_trials, misfit)
    values = [trial.value for trial in trials if trial.has_value]
    if len(values) > 2 and all(isinstance(value, ndarray) for value in values):
        if not np.isfinite(values[0]).all():
            return Mistake("the result is not finite", "argument")
        # the last case repeats the first, so the last different case precedes it
        if same(values[0], values[1]) and same(values[0], values[-2]):
            return Mistake("the result does not depend on the arguments", "argument")
    if misfit is not None:
        words = f"for {CASES[misfit.case].words} " if misfit.case else ""
        return Mistake(
            f"the shape of the result is wrong: {words}it is {misfit.value.shape}",
            "shape",
        )
    first = wrong_trials[0]
    if task.result == "list":
        count = len(as_list(first.value) or ())
        if count != len(first.expected):
            return Mistake(
                f"the list has {parts_in_words(count)}, but should have"
                f" {len(first.expected)}",
                "list",
            )
    return Mistake(f"the numbers are wrong{_share(first)}", "entry")


def _unknown_in_some_cases(wrong_trials, misfit):
    """Describe the wrong cases; `misfit` is the first trial with a wrong shape, or None."""
    first = wrong_trials[0]
    is_correct = f"it is correct for {CASES[0].words}"
    cases = listed([CASES[trial.case].words for trial in wrong_trials])
    if not first.has_value:
        error_type, *_ = first.outcome["error"].split(":")
        return Mistake(f"{is_correct}, but raises {error_type} for {cases}", "cases")
    if _are_repetitions([trial.case for trial in wrong_trials]):
        return Mistake(LATER, "kept")
    if misfit is first:
        shape = np.shape(first.value)
        mistake = f"{is_correct}, but has the shape {shape} for {cases}"
        return Mistake(mistake, "shape")
    return Mistake(f"{is_correct}, but wrong for {cases}", "cases")


LATER = (
    "it is correct for the first arguments of each shape, but wrong for the next: it"
    " keeps state between calls"
)


def _are_repetitions(wrong_cases):
    """Return whether the wrong cases are those that repeat some lengths of an earlier case.

    A function that keeps arrays by their shapes is wrong in these cases.
    """
    for count in (4, 3, 2, 1):
        for axes in combinations(range(4), count):
            if wrong_cases == _repetitions(axes):
                return True
    return False


def _repetitions(axes):
    """Return the cases that repeat the lengths of an earlier case along some axes."""
    earlier_lengths = []
    cases = []
    for number, case in enumerate(CASES[:AGAIN]):
        lengths = [case.shape[axis] for axis in axes]
        if lengths in earlier_lengths:
            cases.append(number)
        earlier_lengths.append(lengths)
    return cases


def _share(trial):
    """Describe the first wrong entry and the number or the size of the errors."""
    if trial.task.result == "number":
        return ""
    errors = []  # relative to the largest entry of each part
    for value, expected in trial.parts:
        if not isinstance(value, ndarray) or value.size != np.size(expected):
            return ""
        largest = max(np.abs(expected).max(), 1e-300)
        errors.append(np.abs(np.ravel(value) - np.ravel(expected)) / largest)
    errors = np.concatenate(errors)
    wrong_count = (errors > trial.precision).sum()
    words = f"{wrong_count} of {errors.size} entries are wrong"
    if errors.max() < 0.1:
        percent = 100 * errors.max()
        words = f"all errors are at most {percent:.1g} % of the largest entry"
    return f": {_difference(trial)}; {words}"


def _with_hints(task, mistake, last_hint):
    """Build the grade of a function with a mistake; the last hint has no period yet."""
    points = 0
    if mistake.look == "called":  # only called functions are wrong
        points = 0.5
        look = f"{_capital(mistake.name)}."
    elif mistake.look == "entry":  # no known mistake
        wrong_entry, *_ = last_hint.split(FOR_ARGUMENTS)
        look = f"{wrong_entry}."
    else:
        look = LOOK[mistake.look]
    return replace(with_step(task, look, mistake.name, f"{last_hint}."), points=points)


def with_step(task: Task, look: str, mistake: str, last_hint: str) -> Grade:
    """Build a grade with hints; if the mistake is in a called function, use the derivation of that function."""
    called, *_ = mistake.split(": ")
    step = TASKS.get(called, task).step
    hints = (look, f"{step} Here, {mistake}.", last_hint)
    return Grade(task.name, 0, mistake=mistake, hints=hints)


def absent(task: Task, mistake: str, advice: str, judged: bool = True) -> Grade:
    """Build the grade of a function that cannot be called."""
    hints = (
        f"{_capital(mistake)}.",
        f"{advice} {task.step}",
        f"It should return {task.shape}.",
    )
    return Grade(task.name, 0, mistake=mistake, hints=hints, judged=judged)


def _capital(text):
    return text[:1].upper() + text[1:]


def _shapes(arguments):
    arrays = [
        f"{name} {value.shape}"
        for name, value in arguments.items()
        if getattr(value, "ndim", 0)
    ]
    lists = [
        f"{name} with four arrays"
        for name, value in arguments.items()
        if isinstance(value, list)
    ]
    return ", ".join(arrays + lists)


def _error_with_line(outcome):
    text = outcome.get("error", "")
    if outcome.get("line"):
        text += f", in line {outcome['line']}"
        if outcome.get("code"):
            text += f": {outcome['code']}"
    return text


def problem(task: Task, outcome: Outcome, arguments: Mapping) -> Grade:
    """Build the grade of a function from a call without a result."""
    kind = outcome["kind"]
    error = outcome.get("error", "")
    mistake, advice = next(
        (mistake, advice)
        for pattern, mistake, advice in _PROBLEMS
        if re.search(pattern, f"{kind} {error}")
    )
    if mistake == "it has the wrong arguments":
        advice = advice.format(", ".join(task.arguments))
        if outcome.get("line"):  # the error comes from a call inside the function
            mistake = "it calls a function with wrong arguments"
            advice = "Look at the call in this line."
    first_hint = f"{_capital(mistake)}."
    if error:
        first_hint = f"{_capital(mistake)}: {_error_with_line(outcome)}."
    last_hint = (
        f"The arguments were {_shapes(arguments)}; it should return {task.shape}."
    )
    hints = (first_hint, f"{advice} {task.step}", last_hint)
    is_judged = kind not in UNJUDGED
    return Grade(task.name, 0, mistake=mistake, hints=hints, judged=is_judged)


_PROBLEMS = [
    line.split(" ; ")
    for line in """
File too large ; it writes a large file ; A function returns its result and writes no files.
^untried ; it was not run, because three earlier functions do not end ; Fix those first.
^time ; it does not end ; Look at the conditions of the loops. No loop is needed here.
^blocked ; it waits forever ; It waits without computing. A function needs only its arguments.
^unset ; it needs a name that the file does not define ; Fix the endless code, or pass the value as an argument.
^memory|MemoryError ; it needs too much memory ; Look at the shapes of new arrays: none needs to be large.
^crash ; it ends the whole process ; A function returns its result and never ends the program.
^exit ; it ends the program by exit() ; A function returns its result and never ends the program.
EOFError|reading from stdin ; it asks for input ; A function needs only its arguments.
RecursionError ; it calls itself endlessly ; Does it call itself instead of another function?
NameError: name 'np' ; NumPy is not imported as np ; Write import numpy as np in the file or cell of the function.
NameError|UnboundLocalError ; a name is not defined ; Is it an argument, a defined function, or a typing error?
positional argument|keyword argument|required argument ; it has the wrong arguments ; Expected {}, in this order.
only length-1|0-dimensional|must be real ; a function of math takes one number, not an array ; Use NumPy's function.
truth value of an array ; an array is used as a condition ; The condition differs between entries: use np.where.
matmul|broadcast|shapes|aligned|core dim ; the shapes do not match ; A matrix product needs equal inner lengths.
can't multiply sequence ; a list is multiplied by a number ; Multiply each array in the list instead.
IndexError|AxisError ; an index or axis is out of range ; Look at the shape of the indexed array.
read-only|assignment destination ; it changes an argument ; Compute a new array instead.
NotImplementedError ; it is not implemented yet ; Implement it.
^ ; it raises an error ; Read the error message.
""".strip().splitlines()
]
"""Patterns of outcomes and errors, the mistake, and advice."""
